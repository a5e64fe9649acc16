//! Searching and gathering contexts over gRPC at 10,000 and 100,000 chunks, beside the bare parts in the same run.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use criterion::Criterion;
use hivemem_client::Client;
use hivemem_client::proto::{GatherContextRequest, IngestSourceRequest, SearchRequest, SearchResponse, Timings};
use tokio::runtime::Runtime;

use common::bare::Bare;
use common::corpus;
use common::model::Model;
use common::report::{Sample, heading, line, mib};
use common::server::{Memory, Server};
use common::stock;

mod common;

/// Questions as agents ask them about crates: sentences, names, and both.
const QUERIES: [&str; 40] = [
    "how is backpressure applied to a bounded channel",
    "parse an integer from bytes without allocating",
    "where are HTTP/2 frames decoded",
    "HashMap entry api or_insert_with",
    "spawn a blocking task on a thread pool",
    "retry with exponential backoff and jitter",
    "tokenizer that splits camel case identifiers",
    "how does the allocator round up sizes",
    "fn poll_next for a stream that merges two streams",
    "SIMD search for a byte in a slice",
    "convert between UTC and local time",
    "error type that wraps io::Error and keeps the source",
    "serialize a struct to JSON with renamed fields",
    "certificate verification and root store",
    "read_to_end with a size limit",
    "Mutex poisoning and how to recover from it",
    "base64 url safe encoding without padding",
    "graph shortest path with a priority queue",
    "random number generator seeded from the operating system",
    "regex compile to a lazy DFA",
    "macro that generates a builder for a struct",
    "unicode normalization form NFC",
    "memory map a file read only",
    "terminal width and ANSI colors",
    "BufReader fill_buf and consume",
    "walk a directory tree and respect gitignore",
    "atomic reference counting with weak pointers",
    "what happens when the runtime is dropped while tasks run",
    "compress a stream with zstd at a given level",
    "glob pattern matching of paths",
    "parse command line arguments with subcommands",
    "AES GCM encryption with associated data",
    "semaphore permits acquire_owned",
    "levenshtein distance between two strings",
    "linear interpolation of quantiles",
    "SQL prepared statement cache",
    "arena allocation of syntax tree nodes",
    "decode percent encoding in a URL query",
    "tracing span enter and exit events",
    "sort by cached key stable",
];

/// What is appended to them, so that none is asked twice: the server remembers the vectors of 1,024 questions.
const CRATES: [&str; 30] = [
    "tokio",
    "axum",
    "hyper",
    "serde",
    "rustls",
    "regex",
    "clap",
    "tracing",
    "tower",
    "bytes",
    "futures",
    "rayon",
    "crossbeam",
    "parking_lot",
    "hashbrown",
    "indexmap",
    "smallvec",
    "rand",
    "chrono",
    "time",
    "url",
    "http",
    "h2",
    "ring",
    "quinn",
    "reqwest",
    "sqlx",
    "tantivy",
    "nom",
    "syn",
];

/// Place of the time for reading candidates back in [`Figures::server`].
const READING_BACK: usize = 3;

/// Blocks of a measured loop, after two that warm up. Bare parts and searches alternate by blocks, not one by one: threads of
/// ONNX Runtime spin for some milliseconds after their work, and those of one process would slow the other.
const BLOCKS: usize = 8;
/// Queries of a block.
const BLOCK: usize = 20;
/// Longer than any thread spins.
const REST: Duration = Duration::from_millis(100);

/// The next of 1,200 questions, then again from the first, which the server has forgotten by then.
fn question() -> String {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let number = ASKED.fetch_add(1, Ordering::Relaxed);
    format!("{} in {}", QUERIES[number % QUERIES.len()], CRATES[number / QUERIES.len() % CRATES.len()])
}

fn questions(count: usize) -> Vec<String> {
    std::iter::repeat_with(question).take(count).collect()
}

fn main() {
    common::server::serve_if_asked();
    let Some(model) = Model::find() else { return };
    let runtime = Runtime::new().expect("a runtime");
    for (count, name) in [(10_000, "10k"), (100_000, "100k")] {
        if !common::wanted(name) {
            continue;
        }
        heading(&format!("{count} chunks"));
        let Some(dir) = runtime.block_on(stock::prepared(count, &model)) else { continue };
        measure(&runtime, &dir, &model, name);
    }
}

fn measure(runtime: &Runtime, dir: &Path, model: &Model, name: &str) {
    let bare = Bare::open(dir, model);
    let server = Server::start(dir);
    let client = runtime.block_on(server.client());
    runtime.block_on(server.settled(&client));
    let started = server.memory();
    let stats = runtime.block_on(client.stats()).expect("stats");
    let indexed = stats.projections.iter().find(|projection| projection.name == "vector");
    let indexed = indexed.map_or(0, |projection| projection.indexed_entries);
    line("chunks and those with approximate index", &format!("{} and {indexed}", stats.chunks), "");
    let rig = Rig { runtime, bare, client };
    let mut warming = Figures::default();
    (0..2).for_each(|_| rig.block(&mut warming));
    warming.search.print("the first searches after the start", "");
    warming.server[READING_BACK].print("of it: reading back", "");
    let mut figures = Figures::default();
    (0..BLOCKS).for_each(|_| rig.block(&mut figures));
    figures.print();
    print_memory("resident after start", started, "");
    print_memory("resident after these queries", server.memory(), "<= 500 MB");
    rig.criterion(name);
    drop(rig);
    drop(server);
    if name == "10k" {
        beside_an_ingest(runtime, dir);
    }
}

/// Searches while the same server ingests a crate with embedding, against searches before it. On a copy: it is changed.
fn beside_an_ingest(runtime: &Runtime, dir: &Path) {
    let Some(root) = corpus::find(&["axum-0.", "tokio-util-0.", "clap_builder-4."]) else { return };
    let copy = dir.with_extension("busy");
    let _ = std::fs::remove_dir_all(&copy);
    let copied = std::process::Command::new("cp").arg("-r").args([dir, &copy]).status().expect("cp");
    assert!(copied.success(), "{} cannot be copied", dir.display());
    let server = Server::start(&copy);
    let client = runtime.block_on(server.client());
    let ask = || {
        let request = SearchRequest { query: question(), ..SearchRequest::default() };
        runtime.block_on(client.search(request)).expect("an answer")
    };
    let (mut idle, mut busy) = (Sample::default(), Sample::default());
    (0..QUERIES.len()).for_each(|_| drop(ask()));
    (0..QUERIES.len() * 5).for_each(|_| idle.time(|| drop(ask())));
    let ingesting = client.with_namespace("busy");
    let source = root.display().to_string();
    let ingest = runtime.spawn(async move {
        let request = IngestSourceRequest { source, ..IngestSourceRequest::default() };
        ingesting.ingest_source(request).await.expect("a stream").finish(|_| {}).await.expect("a report")
    });
    while !ingest.is_finished() {
        busy.time(|| drop(ask()));
    }
    let report = runtime.block_on(ingest).expect("an ingest");
    heading(&format!("searching while {} chunks are ingested and embedded", report.chunks));
    idle.print("search before", "");
    busy.print("search meanwhile", "");
    line("p95 meanwhile / p95 before", &format!("{:.2}", busy.quantile(0.95) / idle.quantile(0.95)), "<= 3");
    drop(client);
    drop(server);
    let _ = std::fs::remove_dir_all(&copy);
}

fn print_memory(what: &str, memory: Memory, target: &str) {
    let Memory { resident, peak, anonymous, mapped } = memory;
    let [resident, peak, anonymous, mapped] = [resident, peak, anonymous, mapped].map(mib);
    let figures = format!("{resident:.0} MiB (anonymous {anonymous:.0}, mapped files {mapped:.0}), peak {peak:.0} MiB");
    line(what, &figures, target);
}

/// Everything that a round needs.
struct Rig<'a> {
    runtime: &'a Runtime,
    bare: Bare,
    client: Client,
}

/// Times of the measured loop.
#[derive(Default)]
struct Figures {
    search: Sample,
    again: Sample,
    context: Sample,
    embed: Sample,
    vectors: Sample,
    words: Sample,
    embed_then_vectors: Sample,
    embed_beside_words: Sample,
    both_channels: Sample,
    server: [Sample; 6],
}

impl Rig<'_> {
    fn search(&self, query: &str) -> SearchResponse {
        let request = SearchRequest { query: query.to_owned(), ..SearchRequest::default() };
        let answer = self.runtime.block_on(self.client.search(request)).expect("an answer");
        let completeness = answer.completeness.as_ref().expect("completeness");
        assert!(completeness.complete && answer.hits.len() == 10, "a whole answer: {completeness:?}");
        answer
    }

    fn context(&self, task: &str) {
        let request = GatherContextRequest { task: task.to_owned(), ..GatherContextRequest::default() };
        let context = self.runtime.block_on(self.client.gather_context(request)).expect("a context");
        assert!(context.tokens > 0 && context.tokens <= context.budget_tokens);
    }

    /// One block of queries: their bare parts, their searches, the same once more, then contexts for others.
    fn block(&self, figures: &mut Figures) {
        let queries = questions(BLOCK);
        queries.iter().for_each(|query| self.bare_parts(query, figures));
        std::thread::sleep(REST);
        for query in &queries {
            let began = Instant::now();
            let answer = self.search(query);
            figures.searched(began.elapsed(), answer.timings.unwrap_or_default());
        }
        queries.iter().for_each(|query| figures.again.time(|| drop(self.search(query))));
        questions(BLOCK / 2).iter().for_each(|query| figures.context.time(|| self.context(query)));
        std::thread::sleep(REST);
    }

    fn bare_parts(&self, query: &str, figures: &mut Figures) {
        let began = Instant::now();
        let vector = figures.embed.time(|| self.bare.embed(query));
        figures.vectors.time(|| self.bare.vectors(vector));
        figures.embed_then_vectors.push(began.elapsed());
        figures.words.time(|| self.bare.words(query));
        figures.embed_beside_words.time(|| self.bare.embed_beside_words(query));
        figures.both_channels.time(|| self.bare.both_channels(query));
    }

    fn criterion(&self, name: &str) {
        let mut criterion = Criterion::default()
            .sample_size(20)
            .warm_up_time(Duration::from_secs(1))
            .measurement_time(Duration::from_secs(3))
            .configure_from_args();
        let mut group = criterion.benchmark_group(name);
        group.bench_function("search", |b| b.iter(|| self.search(&question())));
        group.bench_function("context", |b| b.iter(|| self.context(&question())));
        group.bench_function("bare embedding", |b| b.iter(|| self.bare.embed(&question())));
        group.bench_function("bare BM25", |b| b.iter(|| self.bare.words(&question())));
        let vectors: Vec<Vec<f32>> = QUERIES.iter().map(|query| self.bare.embed(query)).collect();
        let mut vectors = vectors.iter().cycle();
        group.bench_function("bare vectors", |b| {
            b.iter(|| self.bare.vectors(vectors.next().cloned().unwrap_or_default()));
        });
        group.finish();
        criterion.final_summary();
    }
}

impl Figures {
    fn searched(&mut self, whole: Duration, steps: Timings) {
        self.search.push(whole);
        let whole = u64::try_from(whole.as_micros()).unwrap_or(u64::MAX);
        let found = steps.embed_us.saturating_add(steps.dense_us).max(steps.lexical_us) + steps.hydrate_us;
        let rest = [steps.total_us.saturating_sub(found), whole.saturating_sub(steps.total_us)];
        let times = [steps.embed_us, steps.dense_us, steps.lexical_us, steps.hydrate_us].into_iter().chain(rest);
        self.server.iter_mut().zip(times).for_each(|(sample, us)| sample.push_us(us));
    }

    fn print(&self) {
        self.search.print("search through gRPC", "p50 <= 5, p95 <= 12 ms when quiet");
        self.again.print("the same question once more", "");
        self.context.print("context of 4,000 tokens through gRPC", "p50 <= 15 ms when quiet");
        self.embed.print("bare query embedding", "");
        self.vectors.print("bare vector query", "");
        self.words.print("bare BM25", "");
        self.embed_then_vectors.print("bare embedding + vector query", "");
        self.embed_beside_words.print("bare embedding beside BM25", "");
        self.both_channels.print("bare (embedding + vector) beside BM25", "");
        let slowest = self.embed_then_vectors.p50().max(self.embed_beside_words.p50());
        line("search / slowest bare chain, by p50", &format!("{:.2}", self.search.p50() / slowest), "<= 1.4");
        let both = self.search.p50() / self.both_channels.p50();
        line("search / both bare channels at once", &format!("{both:.2}"), "");
        let names = ["embedding", "vectors", "words", "reading back", "the rest of the flow", "transport and wire"];
        for (name, sample) in names.iter().zip(&self.server) {
            sample.print(&format!("of the search: {name}"), "");
        }
    }
}
