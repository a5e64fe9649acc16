//! Bringing data in: parsing, words, the whole way against a bare embedding loop, and syncing what did not change.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use criterion::{Criterion, Throughput};
use fastembed::TextEmbedding;
use hivemem::base::EmbedKey;
use hivemem::base::limits::{EMBED_BATCH_TEXTS_MAX, EMBED_BATCH_TOKENS_MAX};
use hivemem::engine::parse::facts::{Code, Markup, of_code, of_prose};
use hivemem::engine::parse::language::Grammar;
use hivemem::engine::parse::syntax;
use hivemem::engine::parse::{headings, media};
use hivemem::flow::access::Access;
use hivemem::flow::apply::Projector;
use hivemem::flow::rebuild::NoWorkshop;
use hivemem::flow::{build, ingest};
use hivemem_client::proto::{IngestReport, IngestSourceRequest};
use tokio::runtime::Runtime;

use common::corpus::{self, Corpus, SIZES};
use common::model::{Model, cores};
use common::report::{heading, line, mib};
use common::server::Server;

mod common;

/// Files of the generated tree.
const SMALL_FILES: usize = 5_000;
/// Rounds of bare loop and full ingest, in turn.
const EMBED_ROUNDS: usize = 2;
const LEXICAL_ROUNDS: usize = 3;
const FACTS_ROUNDS: usize = 5;
const SYNC_ROUNDS: usize = 5;

fn main() {
    common::server::serve_if_asked();
    let Some(model) = Model::find() else { return };
    let runtime = Runtime::new().expect("a runtime");
    if common::wanted("chunk") {
        chunk(&model);
    }
    if common::wanted("facts") {
        facts(&model);
    }
    if common::wanted("lexical") {
        lexical(&runtime, &model);
    }
    if common::wanted("full") {
        full(&runtime, &model);
    }
    if common::wanted("unchanged") {
        unchanged(&runtime);
    }
}

/// Parsing and chunking alone, on one thread.
fn chunk(model: &Model) {
    let Some(root) = corpus::find(&["tokio-1.", "tantivy-0."]) else { return };
    let corpus = Corpus::read(&root);
    let counter = &model.counter;
    let all = || -> usize {
        let chunks = |file| corpus.parse(file, &**counter).map_or(0, |write| write.chunks.len());
        corpus.files.iter().map(chunks).sum()
    };
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(6))
        .configure_from_args();
    let mut group = criterion.benchmark_group("chunk");
    group.throughput(Throughput::Bytes(corpus.bytes()));
    group.bench_function("one thread", |b| b.iter(all));
    group.finish();

    heading(&format!("parse and chunk {}, one thread", name_of(&root)));
    let best = (0..3).map(|_| timed(all)).min_by(|a, b| a.0.total_cmp(&b.0)).expect("three rounds");
    let rate = mib(corpus.bytes()) / best.0;
    let what = format!("{} files, {:.2} MiB, {} chunks", corpus.files.len(), mib(corpus.bytes()), best.1);
    line(&what, &format!("{rate:.1} MiB/s"), "");
    criterion.final_summary();
}

/// What reading the facts adds to parsing and chunking, on one thread.
fn facts(model: &Model) {
    for names in [&["tokio-1.", "tantivy-0."][..], &["axum-0."], &["tree-sitter-python-0."], &["clap_builder-4."]] {
        let Some(root) = corpus::find(names) else { continue };
        let corpus = Corpus::read(&root);
        let all = || corpus.files.iter().filter_map(|file| corpus.parse(file, &*model.counter)).count();
        // Right after the file was parsed, as it is done: its tree is still in the processor's caches.
        let alone = || {
            let (mut seconds, mut references) = (0.0, 0);
            for (spent, count) in corpus.files.iter().filter_map(|(object, bytes)| of_file(&object.path, bytes)) {
                seconds += spent;
                references += count;
            }
            (seconds, references)
        };
        let rounds = || 0..FACTS_ROUNDS;
        let whole = rounds().map(|_| timed(all)).min_by(|a, b| a.0.total_cmp(&b.0)).expect("some rounds");
        let part = rounds().map(|_| alone()).min_by(|a, b| a.0.total_cmp(&b.0)).expect("some rounds");
        heading(&format!("facts of {}, one thread", name_of(&root)));
        let what = format!("{:.2} MiB, {} references", mib(corpus.bytes()), part.1);
        let times = format!("{:.1} ms of {:.1} ms", part.0 * 1e3, whole.0 * 1e3);
        line(&what, &times, "");
        line("parsing with facts against without", &format!("{:.3}", whole.0 / (whole.0 - part.0)), "<= 1.25");
    }
}

/// How long the facts of a file take once it is parsed, and how many references there are.
fn of_file(path: &str, bytes: &[u8]) -> Option<(f64, usize)> {
    let media = media::detect(path, bytes).ok()?;
    let text = std::str::from_utf8(bytes).ok()?;
    let (spent, facts) = match (media.language, media.media_type) {
        (Some(language), _) => {
            let grammar = Grammar::of(language, path)?;
            let found = syntax::analyse(text, grammar, &|_, _| false)?;
            let (tree, symbols) = (&found.tree, &found.symbols[..]);
            timed(|| of_code(&Code { text, grammar, tree, symbols, test: false }))
        }
        (None, "text/markdown") => {
            let layout = headings::markdown(text);
            timed(|| of_prose(text, &layout, Markup::Markdown))
        }
        _ => return None,
    };
    Some((spent, facts.references.len()))
}

/// Parsing, SQL and words, up to the acknowledgement.
fn lexical(runtime: &Runtime, model: &Model) {
    let Some(root) = corpus::find(&["tokio-1.", "tantivy-0."]) else { return };
    heading(&format!("parse, store and index the words of {}, no embedding", name_of(&root)));
    for _ in 0..LEXICAL_ROUNDS {
        let (seconds, report) = runtime.block_on(acknowledge(&root, model));
        let what = format!("{} files, {:.2} MiB, {} chunks", report.files, mib(report.bytes), report.chunks);
        let rate = report.bytes as f64 / 1e6 / seconds;
        line(&what, &format!("{rate:.1} MB/s ({seconds:.2} s)"), ">= 10 MB/s");
    }
}

/// Ingests `root` into engines of its own; the time up to the acknowledgement.
async fn acknowledge(root: &Path, model: &Model) -> (f64, ingest::Report) {
    let dir = scratch();
    let engines = common::engines::open(dir.path(), model).await;
    let projector = Projector::start(&engines, Arc::new(NoWorkshop)).await.expect("followers");
    let grant = Access::default().authorize(None, common::NAMESPACE).expect("an open server");
    let request = ingest::Request { source: root.display().to_string(), no_wait: true, ..ingest::Request::default() };
    let (sink, _progress) = tokio::sync::mpsc::channel(1);
    let began = Instant::now();
    let report = ingest::ingest(&engines, &projector, &grant, &request, &sink).await.expect("an ingest");
    let seconds = began.elapsed().as_secs_f64();
    // The followers hold the engines, which must be gone before their folder is; the paused embedder never returns.
    projector.abort().await;
    (seconds, report)
}

/// The whole way through the public API against a bare loop over the same texts with as many sessions, in turn.
fn full(runtime: &Runtime, model: &Model) {
    let Some(root) = corpus::find(&["axum-0.", "tokio-util-0.", "clap_builder-4."]) else { return };
    let corpus = Corpus::read(&root);
    let (texts, tokens) = texts(&corpus, model);
    heading(&format!("ingest {} with embedding: {} distinct texts, {tokens} tokens", name_of(&root), texts.len()));
    let mut sessions: Vec<TextEmbedding> = (0..cores()).map(|_| model.session(1)).collect();
    bare_loop(&mut sessions, &texts[texts.len() - texts.len() / 10..]);
    let (mut bare_best, mut full_best) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..EMBED_ROUNDS {
        let (bare, ()) = timed(|| bare_loop(&mut sessions, &texts));
        let (full, acknowledged, report, peak) = runtime.block_on(full_ingest(&root));
        assert_eq!(report.embedded as usize, texts.len(), "the bare loop has the same texts");
        (bare_best, full_best) = (bare_best.min(bare), full_best.min(full));
        let rate = |seconds: f64| tokens as f64 / seconds;
        line("bare fastembed loop", &format!("{bare:.2} s  {:.0} tokens/s", rate(bare)), "");
        let figures = format!("{full:.2} s  {:.0} tokens/s  acknowledged after {acknowledged:.2} s", rate(full));
        line("full ingest through gRPC", &figures, "");
        line("speed against the bare loop", &format!("{:.3}", bare / full), ">= 0.85");
        line("peak resident memory of the server", &format!("{:.0} MiB", mib(peak)), "<= 1.2 GB");
    }
    line("best of each", &format!("{:.3}", bare_best / full_best), ">= 0.85");
}

/// The distinct texts that are embedded for a corpus with their tokens, longest first, and all tokens.
fn texts(corpus: &Corpus, model: &Model) -> (Vec<(usize, String)>, usize) {
    let counter = &model.counter;
    let mut texts = BTreeMap::new();
    for write in corpus.files.iter().filter_map(|file| corpus.parse(file, &**counter)) {
        for chunk in &write.chunks {
            let text = build::embed_text(&write.document, chunk, *SIZES, &**counter);
            texts.insert(EmbedKey::of(&text), text);
        }
    }
    let mut texts: Vec<(usize, String)> = texts.into_values().map(|text| (counter.count(&text) + 2, text)).collect();
    texts.sort_by_key(|(tokens, _)| std::cmp::Reverse(*tokens));
    let tokens = texts.iter().map(|(tokens, _)| tokens).sum();
    (texts, tokens)
}

/// The quickest loop known over texts sorted by length: batches bounded by padded tokens, one thread for each session.
fn bare_loop(sessions: &mut [TextEmbedding], texts: &[(usize, String)]) {
    let mut batches: Vec<&[(usize, String)]> = Vec::new();
    let mut rest = texts;
    while let Some((longest, _)) = rest.first() {
        let count = (EMBED_BATCH_TOKENS_MAX / longest).clamp(1, EMBED_BATCH_TEXTS_MAX).min(rest.len());
        let (batch, after) = rest.split_at(count);
        batches.push(batch);
        rest = after;
    }
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for session in sessions {
            scope.spawn(|| {
                while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let input: Vec<&str> = batch.iter().map(|(_, text)| text.as_str()).collect();
                    let vectors = session.embed(&input, Some(input.len())).expect("a model that runs");
                    assert_eq!(vectors.len(), input.len());
                }
            });
        }
    });
}

/// Seconds until all vectors are searchable and until the acknowledgement, the report, and the server's peak memory.
async fn full_ingest(root: &Path) -> (f64, f64, IngestReport, u64) {
    let dir = scratch();
    let server = Server::start(dir.path());
    let client = server.client().await;
    let began = Instant::now();
    let request = IngestSourceRequest { source: root.display().to_string(), ..IngestSourceRequest::default() };
    let mut acknowledged = 0.0;
    let stream = client.ingest_source(request).await.expect("an ingest");
    let report = stream.finish(|progress| {
        if progress.acknowledged && acknowledged == 0.0 {
            acknowledged = began.elapsed().as_secs_f64();
        }
    });
    let report = report.await.expect("an ingest");
    (began.elapsed().as_secs_f64(), acknowledged, report, server.memory().peak)
}

/// Syncing a tree of small files that did not change: by size and time, and by hash.
fn unchanged(runtime: &Runtime) {
    let tree = small_files();
    let dir = scratch();
    let server = Server::start(dir.path());
    heading(&format!("sync {SMALL_FILES} unchanged files through gRPC"));
    runtime.block_on(async {
        let client = server.client().await;
        let sync = async |verify: bool| {
            let source = tree.path().display().to_string();
            let request = IngestSourceRequest { source, verify, ..IngestSourceRequest::default() };
            let began = Instant::now();
            let stream = client.ingest_source(request).await.expect("an ingest");
            let report = stream.finish(|_| {}).await.expect("an ingest");
            (began.elapsed().as_secs_f64(), report)
        };
        let (seconds, report) = sync(false).await;
        assert_eq!(report.added as usize, SMALL_FILES);
        line("the first time", &format!("{seconds:.2} s, {} chunks embedded", report.embedded), "");
        server.settled(&client).await;
        for (what, verify, target) in [("by size and time", false, ">= 5,000 files/s"), ("by hash (verify)", true, "")]
        {
            for _ in 0..SYNC_ROUNDS {
                let (seconds, report) = sync(verify).await;
                assert_eq!((report.unchanged as usize, report.embedded), (SMALL_FILES, 0), "nothing changed");
                let rate = SMALL_FILES as f64 / seconds;
                line(what, &format!("{rate:.0} files/s, {} embedded", report.embedded), target);
            }
        }
    });
}

/// A tree of small files that are older than the ingest, as files are.
fn small_files() -> tempfile::TempDir {
    let tree = scratch();
    let old = SystemTime::now() - Duration::from_secs(3_600);
    for number in 0..SMALL_FILES {
        let folder = tree.path().join(format!("part{}", number / 100));
        std::fs::create_dir_all(&folder).expect("a writable target folder");
        let text = format!("/// Gives {number}.\npub fn number_{number}() -> u32 {{\n    {number}\n}}\n");
        let path = folder.join(format!("n{number}.rs"));
        std::fs::write(&path, text).expect("a writable target folder");
        let file = std::fs::File::options().write(true).open(&path).expect("a file just written");
        file.set_modified(old).expect("a file just written");
    }
    tree
}

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in(PathBuf::from(env!("CARGO_TARGET_TMPDIR"))).expect("a writable target folder")
}

fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let began = Instant::now();
    let result = work();
    (began.elapsed().as_secs_f64(), result)
}

fn name_of(root: &Path) -> String {
    root.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
