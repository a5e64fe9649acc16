//! A long run of everything at once over a corpus that keeps its size: does memory or disk grow?
//!
//! `HIVEMEM_SOAK_SECONDS` says how long (default 60). Prints the resident memory over time and the slope of its second half.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::time::{Duration, Instant};

use hivemem_client::Client;
use hivemem_client::proto::forget_request::Selector;
use hivemem_client::proto::{
    ForgetRequest, GatherContextRequest, IngestSourceRequest, RememberRequest, SearchFilter, SearchRequest,
};
use tokio::runtime::Runtime;

use common::model::Model;
use common::report::{heading, line, mib};
use common::server::Server;

mod common;

/// Files of the tree that is rewritten; each has a few chunks.
const FILES: usize = 200;
/// Memories that are alive at a time.
const MEMORIES: u64 = 500;
/// Rounds between two looks at memory.
const LOOK_EVERY: u64 = 5;

fn main() {
    common::server::serve_if_asked();
    if !common::wanted("soak") || Model::find().is_none() {
        return;
    }
    let seconds = std::env::var("HIVEMEM_SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let runtime = Runtime::new().expect("a runtime");
    let (tree, data) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let server = Server::start(data.path());
    let client = runtime.block_on(server.client());
    heading(&format!("everything at once for {seconds} s"));
    let began = Instant::now();
    let mut worker = Worker { client, tree: tree.path(), round: 0, calls: 0 };
    let mut looks: Vec<(f64, f64)> = Vec::new();
    while began.elapsed() < Duration::from_secs(seconds) {
        runtime.block_on(worker.round());
        if worker.round.is_multiple_of(LOOK_EVERY) {
            looks.push((began.elapsed().as_secs_f64(), mib(server.memory().anonymous)));
        }
    }
    let stats = runtime.block_on(worker.client.stats()).expect("stats");
    line("calls, rounds", &format!("{}, {}", worker.calls, worker.round), "");
    line("documents, chunks, log", &format!("{}, {}, {}", stats.documents, stats.chunks, stats.lsn), "");
    line("disk", &format!("{:.0} MiB", mib(stats.disk_bytes)), "");
    for part in looks.chunks(looks.len().div_ceil(8).max(1)) {
        let mean = part.iter().map(|look| look.1).sum::<f64>() / part.len() as f64;
        line(&format!("anonymous memory at {:.0} s", part[0].0), &format!("{mean:.1} MiB"), "");
    }
    let settled = &looks[looks.len() / 2..];
    line("slope over the second half", &format!("{:+.2} MiB a minute", 60.0 * slope(settled)), "near 0");
    line("peak resident memory", &format!("{:.0} MiB", mib(server.memory().peak)), "");
}

/// Least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let over: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    let under: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    if under > 0.0 { over / under } else { 0.0 }
}

struct Worker<'a> {
    client: Client,
    tree: &'a std::path::Path,
    round: u64,
    calls: u64,
}

impl Worker<'_> {
    /// Changes a tenth of the tree and syncs it, remembers and forgets, asks.
    async fn round(&mut self) {
        let changed = if self.round == 0 { FILES } else { FILES / 10 };
        for n in 0..changed {
            let file = (self.round as usize * 7 + n * 13) % FILES;
            let text = |part: usize| {
                format!(
                    "Part {part} of file {file} in round {} is about topic {}.",
                    self.round,
                    (part * 31 + file) % 97
                )
            };
            let parts: Vec<String> =
                (0..12).map(|part| format!("## Part {part}\n\n{}\n", text(part).repeat(6))).collect();
            std::fs::write(self.tree.join(format!("{file}.md")), format!("# File {file}\n\n{}", parts.join("\n")))
                .expect("a file");
        }
        let sync = IngestSourceRequest { source: self.tree.display().to_string(), ..IngestSourceRequest::default() };
        let stream = self.client.ingest_source(sync).await.expect("a stream");
        stream.finish(|_| {}).await.expect("a report");
        for n in 0..20 {
            let number = self.round * 20 + n;
            let memory = RememberRequest {
                text: format!("In step {number} the agent saw {} of {} parts ready.", number % 89, number % 53),
                tags: vec![format!("batch:{}", number % MEMORIES / 20)],
                idempotency_key: format!("soak {number}"),
                ..RememberRequest::default()
            };
            self.client.remember(memory).await.expect("a reply");
        }
        if self.round * 20 >= MEMORIES {
            let tag = format!("batch:{}", (self.round + 1) * 20 % MEMORIES / 20);
            let old = ForgetRequest { selector: Some(Selector::Tag(tag)), ..ForgetRequest::default() };
            self.client.forget(old).await.expect("a reply");
        }
        for n in 0..20 {
            let query = format!("what is known of topic {} in file {}", (self.round * 3 + n) % 97, n * 9);
            let filter =
                (n % 4 == 0).then(|| SearchFilter { kinds: vec!["markdown".into()], ..SearchFilter::default() });
            let search = SearchRequest { query, filter, require_fresh: n % 5 == 0, ..SearchRequest::default() };
            self.client.search(search).await.expect("an answer");
        }
        for n in 0..4 {
            let task = format!("summarise part {n} for round {}", self.round);
            let context = GatherContextRequest { task, ..GatherContextRequest::default() };
            self.client.gather_context(context).await.expect("a context");
        }
        self.calls += 46;
        self.round += 1;
    }
}
