//! Fusion, signals and packing: pure, over this repository's own sources, without model or server.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use hivemem::base::{ChunkId, Lsn};
use hivemem::engine::embed::fake::WordCounter;
use hivemem::engine::lexical::analyzer;
use hivemem::engine::tokens::openai;
use hivemem::model::{Candidate, Channel, Freshness, Hit, Hydrated};
use hivemem::rank::fusion::{self, Fused, Ranked, Shares};
use hivemem::rank::packing;
use hivemem::rank::signals::{self, QueryView, Weights};

use common::corpus::Corpus;
use common::report::{Sample, heading};

mod common;

const QUERY: &str = "where does the vector follower take vectors from the cache before it embeds";

const SHARES: Shares = Shares { dense: 0.5, lexical: 0.5 };

/// Iterations of a loop that gives percentiles.
const ROUNDS: usize = 200;

/// Chunks of this repository.
fn chunks() -> Vec<Hydrated> {
    let corpus = Corpus::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let documents = corpus.files.iter().filter_map(|file| corpus.parse(file, &WordCounter));
    let hydrate = |write: hivemem::model::DocumentWrite| {
        let document = Arc::new(write.document);
        write.chunks.into_iter().map(move |chunk| Hydrated {
            document: Arc::clone(&document),
            chunk: Arc::new(chunk),
            lsn: Lsn(1),
        })
    };
    documents.flat_map(hydrate).collect()
}

/// Two lists of `length` candidates that share half of them.
fn lists(ids: &[ChunkId], length: usize) -> Vec<Ranked> {
    let list = |channel, from: usize| Ranked {
        channel,
        candidates: (0..length)
            .map(|rank| Candidate { chunk: ids[(from + rank) % ids.len()], score: 1.0 / (1.0 + rank as f32) })
            .collect(),
    };
    vec![list(Channel::Dense, 0), list(Channel::Lexical, length / 2)]
}

fn hits(chunks: &[Hydrated], count: usize) -> Vec<Hit> {
    let stride = (chunks.len() / count).max(1);
    let hit = |(rank, found): (usize, &Hydrated)| Hit {
        found: found.clone(),
        score: 1.0 - rank as f32 / count as f32,
        parts: Vec::new(),
        channels: Vec::new(),
        freshness: Freshness::Unknown,
    };
    chunks.iter().step_by(stride).take(count).enumerate().map(hit).collect()
}

fn candidates(chunks: &[Hydrated], ids: &[ChunkId]) -> Vec<(Fused, Hydrated)> {
    let fused = fusion::fuse(&lists(ids, 100), &SHARES);
    let find = |fused: Fused| {
        let found = chunks.iter().find(|found| found.chunk.id == fused.chunk).expect("an id of these chunks");
        (fused, found.clone())
    };
    fused.into_iter().map(find).collect()
}

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .sample_size(20)
        .configure_from_args();
    let chunks = chunks();
    let ids: Vec<ChunkId> = chunks.iter().map(|found| found.chunk.id).collect();
    let candidates = candidates(&chunks, &ids);
    let view = QueryView::new(QUERY, analyzer::identifiers(QUERY), &analyzer::terms);
    let score = |candidates| signals::score(&view, candidates, &Weights::default(), &analyzer::terms);
    let counter = openai::counter(openai::DEFAULT).expect("a vocabulary").expect("the default").counter;

    let mut group = criterion.benchmark_group("fuse");
    for length in [100, 1_000] {
        let lists = lists(&ids, length);
        group.throughput(Throughput::Elements(2 * length as u64));
        group.bench_function(BenchmarkId::from_parameter(length), |b| {
            b.iter(|| fusion::fuse(black_box(&lists), &SHARES))
        });
    }
    group.finish();
    criterion.bench_function("signals/150", |b| {
        b.iter_batched(|| candidates.clone(), score, criterion::BatchSize::SmallInput);
    });
    let mut group = criterion.benchmark_group("pack");
    for (count, budget) in [(80, 4_000), (300, 32_000)] {
        let hits = hits(&chunks, count);
        group.bench_function(BenchmarkId::from_parameter(budget), |b| {
            b.iter(|| packing::pack(black_box(&hits), budget, &*counter));
        });
    }
    group.finish();

    heading(&format!("ranking without channels, over {} chunks of this repository", chunks.len()));
    let lists = lists(&ids, 100);
    let (mut fuse, mut signal, mut pack) = (Sample::default(), Sample::default(), Sample::default());
    let hits = hits(&chunks, 80);
    for _ in 0..ROUNDS {
        fuse.time(|| fusion::fuse(black_box(&lists), &SHARES));
        let candidates = candidates.clone();
        signal.time(|| score(candidates));
        pack.time(|| packing::pack(black_box(&hits), 4_000, &*counter));
    }
    fuse.print("fuse 2 × 100 candidates", "");
    signal.print("signals over 150 candidates", "");
    pack.print("pack 80 hits into 4,000 o200k tokens", "");
    criterion.final_summary();
}
