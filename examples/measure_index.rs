//! Measures the two index engines: `measure_index lexical DIR…` on real code, `measure_index vector N DIM` on clusters.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hivemem::base::blocking::Door;
use hivemem::base::{ChunkId, ContentHash, DocumentId, EmbedKey, Lsn, SourceId, Timestamp};
use hivemem::engine::lexical::tantivy::{TantivyIndex, TantivySettings};
use hivemem::engine::lexical::{LexicalDocument, LexicalIndex, LexicalQuery, analyzer};
use hivemem::engine::vector::edge::{EdgeIndex, EdgeSettings, Opened, Tuning};
use hivemem::engine::vector::{VectorIndex, VectorPoint};
use hivemem::model::{Chunk, Document, DocumentKind, Filter, Lines, Namespace, Role, Span};

fn document(ns: &Namespace, path: &str) -> Document {
    let uri = format!("file:///{path}");
    Document {
        id: DocumentId::derive(ns.as_str(), &uri),
        source: SourceId::derive(ns.as_str(), "file:///"),
        path: path.to_owned(),
        kind: DocumentKind::Code,
        role: Role::Main,
        media_type: "text/plain".to_owned(),
        language: Some("rust".to_owned()),
        title: None,
        content: ContentHash::of(uri.as_bytes()),
        bytes: 1,
        modified_at: Some(Timestamp(5)),
        mark: None,
        indexed_at: Timestamp(1),
        tags: vec!["t".into()],
        metadata: BTreeMap::new(),
        trust: hivemem::model::Trust::Local,
        expires_at: None,
        repeats: None,
        uri,
    }
}

fn walk(dir: &Path, out: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            walk(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs" || e == "md" || e == "py") {
            out.push(path);
        }
    }
}

fn chunks(document: &Document, text: &str) -> Vec<Chunk> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    lines
        .chunks(25)
        .enumerate()
        .map(|(i, lines)| {
            let text = lines.concat();
            let span = Span { start: i as u64 * 10_000, end: i as u64 * 10_000 + text.len() as u64 };
            let symbols = text
                .split("fn ")
                .skip(1)
                .filter_map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next())
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect();
            Chunk {
                id: ChunkId::derive(document.id, &document.content, span.start, span.end),
                document: document.id,
                ordinal: i as u32,
                span,
                lines: Lines { first: 1, last: 1 },
                pages: None,
                tokens: 1,
                breadcrumb: String::new(),
                symbols,
                outline: String::new(),
                embed_key: EmbedKey::of(""),
                text,
            }
        })
        .collect()
}

fn status(name: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

fn memory(what: &str) {
    println!("  {what}: RSS {:.0} MB, of it anonymous {:.0} MB", status("VmRSS"), status("RssAnon"));
}

fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    Duration::from_millis((fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()) * 10)
}

fn percentiles(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |p: usize| times[(times.len() - 1) * p / 100].as_secs_f64() * 1e3;
    println!("  {what}: p50 {:.2} ms, p95 {:.2} ms, min {:.2} ms ({} queries)", at(50), at(95), at(0), times.len());
}

async fn lexical(dirs: &[String]) {
    let ns = Namespace::new("a").unwrap();
    let mut files = Vec::new();
    dirs.iter().for_each(|dir| walk(Path::new(dir), &mut files));
    files.sort();
    let mut documents = Vec::new();
    let (mut bytes, mut count) = (0, 0);
    for file in files {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        let document = document(&ns, file.to_str().unwrap());
        let chunks = chunks(&document, &text);
        bytes += text.len();
        count += chunks.len();
        documents.push(LexicalDocument { namespace: ns.clone(), document: Arc::new(document), chunks });
        if count > 120_000 {
            break;
        }
    }
    println!("{} documents, {count} chunks, {:.1} MB", documents.len(), bytes as f64 / 1e6);
    let started = Instant::now();
    let mut terms = 0;
    for document in documents.iter().take(documents.len() / 8) {
        for chunk in &document.chunks {
            terms += analyzer::terms(&chunk.text).len();
        }
    }
    println!("  analyser alone on an eighth: {terms} terms, {:?}", started.elapsed());
    let dir = tempfile::tempdir().unwrap();
    let index = TantivyIndex::open(dir.path(), TantivySettings::default(), Door::new(2)).unwrap();
    let (started, cpu_before) = (Instant::now(), cpu());
    for (i, batch) in documents.chunks(200).enumerate() {
        index.replace(batch.to_vec()).await.unwrap();
        if i % 4 == 3 {
            index.commit(Lsn(i as u64)).await.unwrap();
        }
    }
    index.commit(Lsn(1_000_000)).await.unwrap();
    let (took, cpu_took) = (started.elapsed(), cpu() - cpu_before);
    println!(
        "  indexed in {took:.1?}, {cpu_took:.1?} CPU with merges: {:.1} MB/s of wall time, {:.1} of CPU",
        bytes as f64 / 1e6 / took.as_secs_f64(),
        bytes as f64 / 1e6 / cpu_took.as_secs_f64()
    );
    memory("after indexing");
    drop(documents);
    tokio::time::sleep(Duration::from_secs(8)).await;
    let files = std::fs::read_dir(dir.path()).unwrap().flatten();
    let (size, segments) = files.fold((0, 0), |(size, n), f| {
        (size + f.metadata().unwrap().len(), n + usize::from(f.path().extension().is_some_and(|e| e == "idx")))
    });
    println!("  {:.1} MB on disk, {segments} segments", size as f64 / 1e6);
    let queries = [
        "how does the writer commit segments and reload the reader",
        "parse a configuration file with default values and report errors",
        "where is the retry policy for failed http requests implemented",
        "spawn blocking task from async context without blocking the runtime",
        "convert a string to lower case and remove accents",
        "what happens when the channel is closed while receiving",
        "TcpListener accept loop with graceful shutdown",
        "`read_to_end` returns an error on invalid utf-8",
        "merge policy log segments number of documents",
        "compute bm25 score with field norms and term frequency",
        "the of and to in a is that for it",
        "Iterator next size_hint",
    ];
    for (name, filter) in [
        ("all", Filter::all(ns.clone())),
        ("kind", Filter { kinds: vec![DocumentKind::Code, DocumentKind::Text], ..Filter::all(ns.clone()) }),
        ("modified", Filter { modified_from: Some(Timestamp(1)), ..Filter::all(ns.clone()) }),
        ("absent", Filter { tags: vec!["none".into()], ..Filter::all(ns.clone()) }),
    ] {
        let mut times = Vec::new();
        for round in 0..60 {
            for text in queries {
                let query = LexicalQuery { text: text.to_owned() };
                let started = Instant::now();
                index.search(&query, &filter, 100).await.unwrap();
                if round > 9 {
                    times.push(started.elapsed());
                }
            }
        }
        percentiles(name, times);
    }
    for text in queries {
        let query = LexicalQuery { text: text.to_owned() };
        let mut best = Duration::MAX;
        for _ in 0..20 {
            let started = Instant::now();
            index.search(&query, &Filter::all(ns.clone()), 100).await.unwrap();
            best = best.min(started.elapsed());
        }
        println!("    {best:.2?} {text}");
    }
    memory("after queries");
}

/// Clustered unit vectors: a center plus noise, as embeddings of real text are.
struct Clusters(u64, Vec<Vec<f32>>);

impl Clusters {
    fn new(dim: usize, centers: usize) -> Self {
        let mut this = Self(88_172_645_463_325_252, Vec::new());
        let made = (0..centers).map(|_| (0..dim).map(|_| this.gauss()).collect()).collect();
        this.1 = made;
        this
    }

    fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn gauss(&mut self) -> f32 {
        let (u, v) = (self.uniform().max(1e-12), self.uniform());
        ((-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
    }

    fn vector(&mut self) -> Vec<f32> {
        self.with_center().1
    }

    fn with_center(&mut self) -> (usize, Vec<f32>) {
        let center = (self.uniform() * self.1.len() as f64) as usize;
        let noise: Vec<f32> = (0..self.1[center].len()).map(|_| self.gauss()).collect();
        let mixed: Vec<f32> = self.1[center].iter().zip(&noise).map(|(c, n)| c + 0.9 * n).collect();
        let length = mixed.iter().map(|v| v * v).sum::<f32>().sqrt();
        (center, mixed.iter().map(|v| v / length).collect())
    }
}

fn brute(vectors: &[Vec<f32>], query: &[f32], k: usize, pass: impl Fn(usize) -> bool) -> Vec<usize> {
    let dot = |v: &[f32]| v.iter().zip(query).map(|(a, b)| a * b).sum::<f32>();
    let mut all: Vec<(f32, usize)> =
        vectors.iter().enumerate().filter(|(i, _)| pass(*i)).map(|(i, v)| (dot(v), i)).collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    all.truncate(k);
    all.into_iter().map(|(_, i)| i).collect()
}

/// Only opens and searches, so that the memory shown is the index's own.
async fn reopen(args: &[String]) {
    let (n, dim): (usize, usize) = (args[0].parse().unwrap(), args[1].parse().unwrap());
    let tuning = tuning(args);
    let ns = Namespace::new("a").unwrap();
    let mut clusters = Clusters::new(dim, n / 200);
    let queries: Vec<Vec<f32>> = (0..2_000).map(|_| clusters.vector()).collect();
    memory("before");
    let started = Instant::now();
    let settings = EdgeSettings { tuning };
    let Opened { index, fresh } = EdgeIndex::open(Path::new(&args[5]), dim, "m", settings, Door::new(2)).unwrap();
    println!("  reopened in {:.2?}, fresh {fresh}, {:?}", started.elapsed(), index.stats().await.unwrap());
    memory("after opening");
    let filter = Filter::all(ns);
    let mut times = Vec::new();
    for query in &queries {
        let started = Instant::now();
        index.search(query.clone(), &filter, 100).await.unwrap();
        times.push(started.elapsed());
    }
    percentiles("limit 100", times);
    memory("after 2,000 queries");
}

fn tuning(args: &[String]) -> Tuning {
    Tuning {
        m: args[2].parse().unwrap(),
        ef_construct: args[3].parse().unwrap(),
        threads: 1,
        half_floats: args[4].contains('h'),
        quantized: args[4].contains('q'),
    }
}

async fn vector(args: &[String]) {
    let n: usize = args[0].parse().unwrap();
    let dim: usize = args[1].parse().unwrap();
    let tuning = tuning(args);
    println!("{n} x {dim}, {tuning:?}");
    let ns = Namespace::new("a").unwrap();
    let other = Namespace::new(if std::env::var("TWO").is_ok() { "b" } else { "a" }).unwrap();
    let mut clusters = Clusters::new(dim, n / 200);
    let (centers, vectors): (Vec<usize>, Vec<Vec<f32>>) = (0..n).map(|_| clusters.with_center()).unzip();
    let queries: Vec<Vec<f32>> = (0..200).map(|_| clusters.vector()).collect();
    // Tags by position: t10 is one in ten, and so on.
    // Kinds by cluster: one cluster in three is text, so that the filter and the vectors go together.
    let documents: Vec<Arc<Document>> = (0..n / 5)
        .map(|j| {
            let i = j % (n / 10);
            let mut document = document(&ns, &format!("src/{j}.rs"));
            if j >= n / 10 {
                document.kind = DocumentKind::Text;
            }
            for every in [2, 5, 10, 100, 1000] {
                if i.is_multiple_of(every) {
                    document.tags.push(format!("t{every}"));
                }
            }
            Arc::new(document)
        })
        .collect();
    let passes = |i: usize, every: usize| (i % (n / 10)).is_multiple_of(every);
    let chunk = |i: usize| ChunkId::from_u128(i as u128 + 1);
    memory("data");
    let keep = args.get(5).map(PathBuf::from);
    let dir = tempfile::tempdir().unwrap();
    let dir = keep.unwrap_or_else(|| dir.path().to_owned());
    let settings = EdgeSettings { tuning };
    let Opened { index, .. } = EdgeIndex::open(&dir, dim, "m", settings, Door::new(2)).unwrap();
    let started = Instant::now();
    for start in (0..n).step_by(2_048) {
        let points = (start..(start + 2_048).min(n))
            .map(|i| VectorPoint {
                chunk: chunk(i),
                namespace: if centers[i] % 3 == 1 { other.clone() } else { ns.clone() },
                document: Arc::clone(&documents[i % (n / 10) + if centers[i] % 3 == 0 { n / 10 } else { 0 }]),
                vector: vectors[i].clone(),
            })
            .collect();
        index.upsert(points).await.unwrap();
    }
    println!("  upserted in {:.1?}", started.elapsed());
    let started = Instant::now();
    index.flush().await.unwrap();
    println!("  flushed in {:.1?}", started.elapsed());
    let measure = async |index: &EdgeIndex, every: usize, k: usize| {
        let correlated = every == 3;
        let kinds = if correlated { vec![DocumentKind::Text] } else { Vec::new() };
        let tags = if every == 1 || correlated { Vec::new() } else { vec![format!("t{every}")] };
        let filter = Filter { tags, kinds, ..Filter::all(ns.clone()) };
        let (mut times, mut hit, mut of) = (Vec::new(), 0, 0);
        for query in &queries {
            let started = Instant::now();
            let found = index.search(query.clone(), &filter, k).await.unwrap();
            times.push(started.elapsed());
            let expected = brute(&vectors, query, k, |i| {
                (other == ns || centers[i] % 3 != 1) && if correlated { centers[i] % 3 == 0 } else { passes(i, every) }
            });
            of += expected.len();
            hit += expected.iter().filter(|i| found.iter().any(|c| c.chunk == chunk(**i))).count();
        }
        percentiles(&format!("1/{every} recall@{k} {:.4}", hit as f64 / of as f64), times);
    };
    measure(&index, 1, 100).await;
    let started = Instant::now();
    let index = Arc::new(index);
    let building = tokio::spawn({
        let index = Arc::clone(&index);
        async move { index.optimize().await.unwrap() }
    });
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (mut times, mut writes) = (Vec::new(), Vec::new());
    while !building.is_finished() {
        for query in queries.iter().take(20) {
            let started = Instant::now();
            index.search(query.clone(), &Filter::all(ns.clone()), 100).await.unwrap();
            times.push(started.elapsed());
        }
        let started = Instant::now();
        let points = (0..64)
            .map(|i| VectorPoint {
                chunk: chunk(i),
                namespace: if centers[i] % 3 == 1 { other.clone() } else { ns.clone() },
                document: Arc::clone(&documents[i % (n / 10) + if centers[i] % 3 == 0 { n / 10 } else { 0 }]),
                vector: vectors[i].clone(),
            })
            .collect();
        index.upsert(points).await.unwrap();
        writes.push(started.elapsed());
        let _ = index.flush().await.inspect_err(|e| println!("  flush: {}", e.chain()));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    println!("  optimised in {:.1?}: {:?}", started.elapsed(), index.stats().await.unwrap());
    if !times.is_empty() {
        percentiles("searches meanwhile", times);
        percentiles("upserts of 64 meanwhile", writes);
    }
    for (every, k) in
        [(1, 100), (1, 10), (3, 10), (3, 100), (2, 10), (5, 10), (10, 10), (100, 10), (1000, 10), (2, 100), (10, 100)]
    {
        measure(&index, every, k).await;
    }
    memory("after build and queries");
    index.flush().await.unwrap();
    let size = std::process::Command::new("du").arg("-sm").arg(&dir).output().unwrap();
    println!("  {} MB on disk", String::from_utf8_lossy(&size.stdout).split_whitespace().next().unwrap());
    drop(index);
    let started = Instant::now();
    let Opened { index, .. } = EdgeIndex::open(&dir, dim, "m", settings, Door::new(2)).unwrap();
    println!("  reopened in {:.2?}", started.elapsed());
    memory("after reopening");
    measure(&index, 1, 100).await;
    memory("after queries");
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args[0].as_str() {
        "lexical" => lexical(&args[1..]).await,
        "reopen" => reopen(&args[1..]).await,
        _ => vector(&args[1..]).await,
    }
}
