//! Every limit of the system, with the arithmetic behind it. Over a limit is an error that names it, never a cut.

use std::time::Duration;

/// Largest gRPC message, both ways. A batch of [`PUT_BATCH_DOCUMENTS_MAX`] ordinary documents (4 KiB) is 2 MiB; one
/// document at its own limit plus its envelope has to fit too.
pub const MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Largest document that is parsed. Source files above 2 MiB are, in practice, generated tables or data dumps: the
/// largest hand-written file among 600 crates was 1.3 MiB.
pub const DOCUMENT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Largest file of a format whose text is extracted: PDF, DOCX, EPUB, archives of HTML, notebooks, tables. Mostly it is pictures:
/// a book with figures has 10 to 40 MB. Two threads that read one each hold some 300 MB.
pub const PACKED_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Most pages of a PDF. Reference manuals have up to 4,000; what is longer has more text than [`DOCUMENT_BYTES_MAX`] anyhow.
pub const PAGES_MAX: usize = 5_000;

/// Longest that a PDF is read. On two busy cores 100 pages take a second.
pub const READING_TIME_MAX: Duration = Duration::from_secs(60);

/// Most memory of the process that reads a PDF: a file at its own limit, twice, and what its largest streams unpack to.
pub const READING_MEMORY_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// Most entries of an archive. A documentation site has some thousand pages.
pub const ARCHIVE_ENTRIES_MAX: usize = 20_000;

/// Largest object that is fetched from a store that can't stream it; all of it is in memory meanwhile. As large as the largest
/// file that is ingested.
pub const WHOLE_BYTES_MAX: u64 = PACKED_BYTES_MAX;

/// Most bytes of markup that an archive unpacks to: text at [`DOCUMENT_BYTES_MAX`] with eight times as much of tags around it, as
/// word processors write.
pub const ARCHIVE_MARKUP_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Most that an entry of an archive may grow when it is unpacked, beyond the first [`ARCHIVE_RATIO_FLOOR_BYTES`]. XML of a word
/// processor grows 10 to 50 times, a bomb 1,000 times.
pub const ARCHIVE_RATIO_MAX: u64 = 200;
/// See [`ARCHIVE_RATIO_MAX`].
pub const ARCHIVE_RATIO_FLOOR_BYTES: u64 = 1024 * 1024;

/// Settings and data above this are dumps: a hand-written one of 256 KiB would have some 6,000 lines. Tables of any size are
/// described instead of shown.
pub const DATA_BYTES_MAX: u64 = 256 * 1024;

/// Most columns or fields of a table that are described, a line of some 60 bytes each.
pub const TABLE_COLUMNS_MAX: usize = 500;

/// Most rows of a table that is shown whole, and rows shown of a longer one: they are there to show what rows look like.
pub const TABLE_ROWS_WHOLE_MAX: usize = 50;
/// See [`TABLE_ROWS_WHOLE_MAX`].
pub const TABLE_ROWS_SAMPLED: usize = 10;

/// Most elements of a web page whose main part is looked for; the search is not linear. Long articles have 5,000.
pub const PAGE_ELEMENTS_MAX: usize = 30_000;

/// Most links that are taken from a web page.
pub const PAGE_LINKS_MAX: usize = 5_000;

/// Documents in one message of a put stream.
pub const PUT_BATCH_DOCUMENTS_MAX: usize = 512;

/// Largest labelled set that a new model has to pass: it is read at every start and stays in memory. At 800 bytes a chunk
/// 64 MiB are 80,000 chunks, which two small models embed in some ten minutes.
pub const GATE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Longest query, in bytes. The embedder reads 256 tokens, about 1 KiB; a pasted stack trace or diff is under 32 KiB.
pub const QUERY_BYTES_MAX: usize = 32 * 1024;

/// Most hits of one search.
pub const SEARCH_K_MAX: u32 = 1_000;

/// Hits of a search that does not say how many.
pub const SEARCH_K_DEFAULT: u32 = 10;

/// Candidates asked of each channel: the head that fusion scales by, and a few below it that signals may lift. Each is
/// read back from the catalogue, so more of them is slower and, measured on the labelled sets, not better.
pub const CANDIDATES_MIN: usize = 60;

/// Most candidates per channel, however large k is.
pub const CANDIDATES_MAX: usize = 2_000;

/// Largest context budget, in tokens of the target model: the longest context windows on offer.
pub const CONTEXT_TOKENS_MAX: u32 = 2_000_000;

/// Context budget when none is given.
pub const CONTEXT_TOKENS_DEFAULT: u32 = 4_000;

/// Most documents that a path filter may select before it is refused; each costs a term in both indexes.
pub const FILTER_DOCUMENTS_MAX: usize = 200_000;

/// Documents and bytes of one catalogue transaction during ingest. 4 MiB of text is about 5,000 chunks, written in
/// some 50 ms; a crash repeats at most that much parsing.
pub const BATCH_DOCUMENTS_MAX: usize = 256;
/// See [`BATCH_DOCUMENTS_MAX`].
pub const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Chunks that one step of a projection reads from the catalogue. 2,048 chunks of about 900 bytes are 2 MiB of text
/// and 3 MiB of vectors.
pub const APPLY_CHUNKS_MAX: usize = 2_048;

/// Padded tokens of one embedding batch and texts in it. On two cores batches of 512 tokens ran 1.4 times as fast as
/// batches of 8,192, because the activations stay in the cache.
pub const EMBED_BATCH_TOKENS_MAX: usize = 512;
/// See [`EMBED_BATCH_TOKENS_MAX`].
pub const EMBED_BATCH_TEXTS_MAX: usize = 32;

/// Most steps from a node that its surroundings are asked for, and half of the most steps of a path: three steps reach a tenth of a
/// large graph.
pub const GRAPH_DEPTH_MAX: u32 = 3;
/// Most nodes or entries of one answer about the graph: about 300 bytes each, so 600 KB.
pub const GRAPH_NODES_MAX: u32 = 2_000;
/// Deepest level of the folder tree that is listed.
pub const TREE_DEPTH_MAX: u32 = 32;

/// Edges of all knowledge graphs in memory together; beyond it those used longest ago are dropped and loaded again when asked for.
/// About 190 bytes each with their nodes and names, so 760 MB.
pub const GRAPH_EDGES_MAX: usize = 4_000_000;

/// Requests in progress at a time; the next ones wait up to their deadline.
pub const REQUESTS_IN_FLIGHT_MAX: usize = 256;

/// Deadline of a search or context request that brings none.
pub const REQUEST_DEADLINE_DEFAULT: Duration = Duration::from_secs(30);

/// Longest time to live of a memory; whoever wants more wants it for ever.
pub const TTL_MAX: Duration = Duration::from_secs(10 * 365 * 86_400);

/// How long replies are kept for requests that come again with the same idempotency key.
pub const REPLIES_KEPT: Duration = Duration::from_secs(86_400);

/// Longest idempotency key.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 256;

/// How long `forget` waits for the vector index, which may be busy embedding. No search returns what was forgotten anyway.
pub const FORGET_WAIT_MAX: Duration = Duration::from_secs(5);

/// Length of a namespace name, a tag, and number of tags.
pub const NAME_BYTES_MAX: usize = 128;
/// See [`NAME_BYTES_MAX`].
pub const TAGS_MAX: usize = 64;

/// Longest URI.
pub const URI_BYTES_MAX: usize = 4_096;

/// Most definitions that are taken from one document. The largest hand-written files have one per 200 bytes, so 20,000
/// are those of a document at its own limit.
pub const FACT_NODES_MAX: usize = 20_000;

/// Most distinct references that are taken from one document. Real code has one per 60 to 100 bytes; 50,000 are those
/// of a document at its own limit, and 5 MB in memory.
pub const FACT_REFERENCES_MAX: usize = 50_000;

/// Longest name, and longest scope, of a reference. A longer one is no name that anybody wrote.
pub const FACT_NAME_BYTES_MAX: usize = 160;
/// Longest description of a node. The embedder reads 256 tokens, about 1 KiB; the longest among 6,000 tools of public
/// catalogues has 7 KiB.
pub const NODE_DESCRIPTION_BYTES_MAX: usize = 16 * 1024;

/// Most bytes of a node in all, its code and schema included: some thousand lines.
pub const NODE_SPEC_BYTES_MAX: usize = 1024 * 1024;

/// Most examples of one node. Beyond some hundred they teach the router nothing new; each keeps 768 bytes of memory.
pub const NODE_EXAMPLES_MAX: usize = 20_000;

/// Most nodes of a namespace. A decision compares with each: 100,000 take some 15 ms and 800 MiB.
pub const NODES_MAX: usize = 100_000;

/// Nodes in one message of a registration.
pub const NODE_BATCH_MAX: usize = 512;

/// Most candidates of one routing, and those of one that does not say how many.
pub const ROUTE_K_MAX: u32 = 100;
/// See [`ROUTE_K_MAX`].
pub const ROUTE_K_DEFAULT: u32 = 5;

/// Goals in one batch: half a second of work.
pub const ROUTE_BATCH_MAX: usize = 512;

/// Entries of one listing: about 4,000 tokens with 200 bytes each, whatever the catalogue holds.
pub const NODE_LIST_MAX: u32 = 100;
/// Entries of a listing that does not say how many.
pub const NODE_LIST_DEFAULT: u32 = 50;

/// Outcomes kept for each node. Old ones say little of a tool that was worked on since.
pub const OUTCOMES_KEPT: usize = 500;

/// Most runs of a namespace that have not ended. One costs a row of some 500 bytes and nothing else while nobody works on it.
pub const RUNS_OPEN_MAX: u64 = 10_000;

/// Longest goal of a run, and most bytes of its settings: a goal is a page of text at most.
pub const RUN_GOAL_BYTES_MAX: usize = 64 * 1024;
/// See [`RUN_GOAL_BYTES_MAX`].
pub const RUN_SETTINGS_BYTES_MAX: usize = 64 * 1024;

/// Most nodes of one run: ten times the largest that anybody planned. Their state is 10 MB beside their own data.
pub const RUN_NODES_MAX: u64 = 100_000;

/// Most events of one run: 20 for each node. A client that tries again without end stops here.
pub const RUN_EVENTS_MAX: u64 = 2_000_000;

/// Most bytes of one event, data and output together. Of eight of them one message is full; what is larger belongs in a file.
pub const RUN_EVENT_BYTES_MAX: usize = 1024 * 1024;

/// Most events of one append: some 10 ms of one transaction.
pub const RUN_APPEND_EVENTS_MAX: usize = 1_000;

/// Deepest place in the tree of a run, in nodes from the root down: a break-down of that depth has lost its goal.
pub const RUN_DEPTH_MAX: usize = 64;

/// Longest name of an effect, of a holder, and of a node's type.
pub const RUN_NAME_BYTES_MAX: usize = 256;

/// Longest answer to a question.
pub const RUN_ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Bytes of events or nodes in one message: half of the largest, since an event at its own limit may come on top.
pub const RUN_PIECE_BYTES: usize = 2 * 1024 * 1024;

/// Events of one page, and of one that does not say how many.
pub const RUN_EVENTS_PAGE_MAX: u32 = 1_000;
/// See [`RUN_EVENTS_PAGE_MAX`].
pub const RUN_EVENTS_PAGE_DEFAULT: u32 = 100;

/// Runs or questions of one page, and of one that does not say how many.
pub const RUN_LIST_MAX: u32 = 100;
/// See [`RUN_LIST_MAX`].
pub const RUN_LIST_DEFAULT: u32 = 50;

/// Bounds of a lease, and one that does not say how long. A holder renews it at a third of that, so two lost calls cost nothing.
pub const RUN_LEASE_MIN: Duration = Duration::from_secs(1);
/// See [`RUN_LEASE_MIN`].
pub const RUN_LEASE_MAX: Duration = Duration::from_secs(300);
/// See [`RUN_LEASE_MIN`].
pub const RUN_LEASE_DEFAULT: Duration = Duration::from_secs(15);

/// Citations that a caller may say it holds: those of a context of two million tokens at 150 tokens each.
pub const HELD_MAX: usize = 16_384;

/// Largest answer of a git server to one fetch. The pack of the largest projects with some thousand commits of history has
/// 1 to 2 GB; what is larger than that holds more than text.
pub const GIT_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// Clones kept in the data directory together; beyond it those used longest ago go and are fetched again when asked for.
pub const GIT_CACHE_BYTES_MAX: u64 = 10 * 1024 * 1024 * 1024;

/// Commits whose changed files are compared, newest first: about a year of a busy project, read in about a second.
pub const GIT_HISTORY_COMMITS_MAX: u32 = 2_000;

/// Objects in one message of a registration.
pub const DATA_BATCH_MAX: usize = 1_000;

/// Entries of one page of a listing of data, and of one that does not say how many: 300 bytes each, so 300 KB.
pub const DATA_PAGE_MAX: u32 = 1_000;
/// See [`DATA_PAGE_MAX`].
pub const DATA_PAGE_DEFAULT: u32 = 100;

/// Objects in a folder of the tree up to which they are counted: two seeks and a thousand steps in an index a folder.
pub const DATA_COUNTED_MAX: u64 = 1_000;

/// Hits of one search for data, and of one that does not say how many.
pub const DATA_K_MAX: u32 = 100;
/// See [`DATA_K_MAX`].
pub const DATA_K_DEFAULT: u32 = 10;

/// Longest description of an object, and longest schema: a table of a thousand columns takes some 60 KB.
pub const DATA_DESCRIPTION_BYTES_MAX: usize = 16 * 1024;
/// See [`DATA_DESCRIPTION_BYTES_MAX`].
pub const DATA_SCHEMA_BYTES_MAX: usize = 256 * 1024;

/// Longest name, owner, media type or user of an object, and most bytes of its metadata in all.
pub const DATA_LABEL_BYTES_MAX: usize = 512;
/// See [`DATA_LABEL_BYTES_MAX`].
pub const DATA_METADATA_BYTES_MAX: usize = 16 * 1024;

/// Uses of an object that are kept: who had it lately is asked, not who ever had it.
pub const DATA_USES_KEPT: usize = 20;

/// Documents of a prefix or repository that are named one by one.
pub const DATA_DOCUMENTS_NAMED: usize = 20;

/// Longest life of a presigned URL: what S3 signs at most.
pub const PRESIGN_TTL_MAX: Duration = Duration::from_secs(7 * 86_400);

/// Most objects of one listing of a bucket. Each takes about 300 bytes, so 150 MB while it is compared with what is stored.
pub const LISTING_OBJECTS_MAX: usize = 500_000;

/// Largest page or file that a page leads to. Pages above 4 MiB are not parsed anyway; a PDF of 32 MiB has some thousand
/// pages.
pub const WEB_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Pages kept in the data directory for the next sync; at 50 KB each some 40,000.
pub const WEB_CACHE_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// Most pages of one crawl, and those of one that does not say how many. A listing takes about 1 KB a page.
pub const CRAWL_PAGES_MAX: u32 = 100_000;
/// See [`CRAWL_PAGES_MAX`].
pub const CRAWL_PAGES_DEFAULT: u32 = 1_000;

/// Most links between the first page of a crawl and another, and those of one that does not say how many.
pub const CRAWL_DEPTH_MAX: u32 = 100;
/// See [`CRAWL_DEPTH_MAX`].
pub const CRAWL_DEPTH_DEFAULT: u32 = 10;

/// Time between two requests of a crawl that does not say how long, to another machine: what search engines leave.
pub const CRAWL_DELAY_DEFAULT: Duration = Duration::from_secs(1);
