//! Damage behind the server's back: each kind is found by id, mended, and then gone.

use std::path::PathBuf;
use std::sync::Arc;

use sqlx::{Connection, SqliteConnection};

use super::*;
use crate::base::blocking::Door;
use crate::base::clock::SystemClock;
use crate::engine::catalog::sqlite::SqliteCatalog;
use crate::engine::catalog::{Catalog, Registry};
use crate::engine::embed::Embedder;
use crate::engine::embed::fake::FakeEmbedder;
use crate::engine::lexical::LexicalDocument;
use crate::engine::lexical::tantivy::{TantivyIndex, TantivySettings};
use crate::engine::parse::ChunkSizes;
use crate::engine::parse::formats::apart::Reader;
use crate::engine::store::local::LocalStore;
use crate::engine::vector::VectorPoint;
use crate::engine::vector::edge::{EdgeIndex, EdgeSettings};
use crate::flow::access::{Access, Grant};
use crate::flow::put::{InputDocument, Put};
use crate::flow::rebuild::{NoWorkshop, Space, Words};
use crate::flow::slot::Slot;
use crate::flow::turns::Turns;
use crate::flow::{compact, forget};
use crate::model::DocumentWrite;

const DIMENSION: usize = 16;

/// A small server without a front: the real stores, a fake model.
struct Bench {
    engines: Engines,
    projector: Arc<Projector>,
    custodian: Custodian,
    grant: Grant,
    dir: tempfile::TempDir,
}

impl Bench {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let catalog = Arc::new(SqliteCatalog::open(&dir.path().join("catalog.sqlite")).await.unwrap());
        let vectors =
            EdgeIndex::open(&dir.path().join("vector"), DIMENSION, "m", EdgeSettings::default(), Door::new(2)).unwrap();
        let settings = TantivySettings { writer_bytes: 15_000_000 };
        let lexical = TantivyIndex::open(&dir.path().join("lexical"), settings, Door::new(2)).unwrap();
        let embedder: Arc<dyn Embedder> = Arc::new(FakeEmbedder::new(DIMENSION));
        let engines = Engines {
            catalog: Arc::clone(&catalog) as Arc<dyn Catalog>,
            registry: Arc::clone(&catalog) as Arc<dyn Registry>,
            runs: Arc::clone(&catalog) as Arc<dyn crate::engine::catalog::Runs>,
            inventory: catalog,
            space: Arc::new(Slot::new(Space {
                generation: 1,
                embedder: Arc::clone(&embedder),
                vectors: Arc::new(vectors.index),
            })),
            words: Arc::new(Slot::new(Words { generation: 1, index: Arc::new(lexical) })),
            embedder,
            graphs: Arc::default(),
            counters: Arc::default(),
            rebuilding: Arc::default(),
            turns: Turns::default(),
            background: Door::background(2),
            reader: Reader::Here,
            store: Arc::new(LocalStore::new(Vec::new())),
            clock: Arc::new(SystemClock),
            door: Door::new(2),
            far: Door::new(2),
            sizes: ChunkSizes { tokens_max: 20, header_tokens_max: 8 },
            lasting: true,
        };
        let projector = Projector::start(&engines, Arc::new(NoWorkshop)).await.unwrap();
        let access = Access::default();
        let (custodian, grant) = (access.custodian(None).unwrap(), access.authorize(None, "team").unwrap());
        let bench = Self { engines, projector, custodian, grant, dir };
        bench.put(&[("a", "the first text about pumps"), ("b", "the second text about valves")]).await;
        bench
    }

    /// Ends it before its files go.
    async fn stop(self) {
        self.projector.finish().await.unwrap();
        drop(self.engines);
    }

    async fn put(&self, documents: &[(&str, &str)]) {
        let (sink, _progress) = tokio::sync::mpsc::channel(1);
        let mut put = Put::begin(&self.engines, &self.projector, &self.grant, "test:").await.unwrap();
        let input = |(uri, text): &(&str, &str)| InputDocument {
            uri: (*uri).to_owned(),
            content: text.as_bytes().to_vec(),
            tags: vec![format!("tag-{uri}")],
            ..InputDocument::default()
        };
        put.add(documents.iter().map(input).collect(), &sink).await.unwrap();
        put.acknowledge().await.unwrap();
        put.finish(true, &sink).await.unwrap();
        settle(&self.engines, &self.projector).await.unwrap();
    }

    /// What the catalogue holds under a URI.
    async fn stored(&self, uri: &str) -> DocumentWrite {
        let found = self.engines.catalog.document_by_uri(self.grant.namespace(), &format!("test:{uri}")).await.unwrap();
        self.engines.catalog.project(&[found.unwrap().id]).await.unwrap().remove(0).write
    }

    async fn fsck(&self) -> Report {
        fsck(&self.engines, &self.projector, &self.custodian).await.unwrap()
    }

    /// Runs SQL past the server.
    async fn sql(&self, sql: &'static str) {
        let url = format!("sqlite://{}", self.dir.path().join("catalog.sqlite").display());
        let mut raw = SqliteConnection::connect(&url).await.unwrap();
        sqlx::query("PRAGMA foreign_keys = OFF").execute(&mut raw).await.unwrap();
        sqlx::query(sql).execute(&mut raw).await.unwrap();
        raw.close().await.unwrap();
    }

    /// Only `store` is not clean, and only in this way; after a repair nothing is.
    async fn check(&self, store: &str, missing: &[ChunkId], surplus: &[ChunkId], problems: usize) {
        let report = self.fsck().await;
        for one in &report.stores {
            assert!(one.name == store || one.is_clean(), "{store}: {one:?}");
        }
        let one = report.stores.iter().find(|one| one.name == store).unwrap();
        let listed = |missing| {
            let of = one.first.iter().filter(|difference| difference.missing == missing);
            of.filter_map(|difference| difference.chunk).collect::<BTreeSet<_>>()
        };
        assert_eq!(listed(true), missing.iter().copied().collect(), "{store}: {one:?}");
        assert_eq!(listed(false), surplus.iter().copied().collect(), "{store}: {one:?}");
        assert_eq!((one.missing, one.problems.len()), (missing.len() as u64, problems), "{store}: {one:?}");
        if surplus.is_empty() {
            assert!(one.first.iter().all(|difference| difference.uri.is_some()), "known documents are named: {one:?}");
        } else {
            assert_eq!(one.surplus, surplus.len() as u64);
        }
        assert_eq!(one.found + one.missing, one.expected + one.surplus, "{store}: {one:?}");
        let outcome = repair(&self.engines, &self.projector, &self.custodian).await.unwrap();
        assert!(!outcome.found.is_clean() && outcome.is_clean(), "{store}: {outcome:?}");
        assert!(self.fsck().await.is_clean());
    }

    /// All bytes below the data directory. The followers work on, so a file may go between its listing and its reading.
    fn bytes(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        let mut open = vec![self.dir.path().to_owned()];
        while let Some(dir) = open.pop() {
            for path in std::fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path()) {
                match std::fs::read(&path) {
                    Ok(bytes) => files.push((path, bytes)),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(_) => open.push(path),
                }
            }
        }
        files
    }
}

fn ids(write: &DocumentWrite) -> Vec<ChunkId> {
    write.chunks.iter().map(|chunk| chunk.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_server_is_clean_and_a_repair_changes_nothing() {
    let bench = Bench::start().await;
    let report = bench.fsck().await;
    assert!(report.is_clean(), "{report:?}");
    let counts: Vec<_> = report.stores.iter().map(|store| (store.name, store.expected, store.found)).collect();
    assert_eq!(
        counts,
        [
            ("catalogue", 2, 2),
            ("log", 2, 2),
            ("embeddings", 2, 2),
            ("lexical", 2, 2),
            ("vector", 2, 2),
            ("graph", 2, 2)
        ]
    );
    let outcome = repair(&bench.engines, &bench.projector, &bench.custodian).await.unwrap();
    assert_eq!((outcome.left, bench.engines.catalog.head().await.unwrap()), (None, report.lsn));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_are_asked_of_the_model_that_answers_not_of_the_configured_one() {
    let mut bench = Bench::start().await;
    // As while another model is built, or after it was refused.
    bench.engines.embedder = Arc::new(FakeEmbedder::new(DIMENSION).revised("2"));
    let report = bench.fsck().await;
    assert!(report.is_clean(), "{report:?}");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_chunks_come_back() {
    let bench = Bench::start().await;
    let a = bench.stored("a").await;
    bench.engines.vectors().delete_chunks(&ids(&a)).await.unwrap();
    bench.check("vector", &ids(&a), &[], 0).await;
    bench.engines.lexical().delete_documents(bench.grant.namespace(), &[a.document.id]).await.unwrap();
    bench.engines.lexical().commit(bench.engines.lexical().applied()).await.unwrap();
    bench.check("lexical", &ids(&a), &[], 0).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_chunks_go() {
    let bench = Bench::start().await;
    let a = bench.stored("a").await;
    let foreign = ChunkId::from_u128(0xf0);
    // Of a known document, of an unknown one, and of a namespace that does not exist.
    let mut unknown = a.document.clone();
    (unknown.uri, unknown.id) = ("test:gone".to_owned(), DocumentId::derive("team", "test:gone"));
    let nowhere = Namespace::new("nowhere").unwrap();
    for (namespace, document) in
        [(bench.grant.namespace(), &a.document), (bench.grant.namespace(), &unknown), (&nowhere, &unknown)]
    {
        let mut vector = vec![0.0; DIMENSION];
        vector[0] = 1.0;
        let document = Arc::new(document.clone());
        let point =
            VectorPoint { chunk: foreign, namespace: namespace.clone(), document: Arc::clone(&document), vector };
        bench.engines.vectors().upsert(vec![point]).await.unwrap();
        bench.check("vector", &[], &[foreign], 0).await;
        let mut chunks = if document.id == a.document.id { a.chunks.clone() } else { Vec::new() };
        chunks.push(crate::model::Chunk { id: foreign, ..a.chunks[0].clone() });
        let entry = LexicalDocument { namespace: namespace.clone(), document, chunks };
        bench.engines.lexical().replace(vec![entry]).await.unwrap();
        bench.engines.lexical().commit(bench.engines.lexical().applied()).await.unwrap();
        bench.check("lexical", &[], &[foreign], 0).await;
    }
    assert_eq!(bench.engines.catalog.namespaces().await.unwrap(), [bench.grant.namespace().clone()]);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_is_mended_where_it_can_be_computed() {
    let bench = Bench::start().await;
    let a = bench.stored("a").await;
    bench.sql("DELETE FROM embeddings WHERE key = (SELECT embed_key FROM chunks ORDER BY key LIMIT 1)").await;
    bench.check("embeddings", &ids(&a)[..1], &[], 0).await;
    bench
        .sql("INSERT INTO embeddings (key, model, vector) SELECT randomblob(16), model, vector FROM embeddings LIMIT 1")
        .await;
    bench.check("embeddings", &[], &[], 0).await;
    bench.sql("UPDATE namespaces SET documents = 7, tokens = -1").await;
    bench.check("catalogue", &[], &[], 2).await;
    bench.sql("INSERT INTO chunks SELECT 99 * 1048576, randomblob(16), namespace, embed_key, span_start, span_end, line_first, line_last, tokens, breadcrumb, symbols, outline, text, page_first, page_last FROM chunks LIMIT 1").await;
    bench.check("catalogue", &[], &[], 1).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_without_log_entry_gets_one() {
    let bench = Bench::start().await;
    bench.sql("DELETE FROM oplog WHERE lsn = 1").await;
    let report = bench.fsck().await;
    let log = report.stores.iter().find(|store| store.name == "log").unwrap();
    let first: Vec<_> = log.first.iter().map(|difference| difference.uri.as_deref().unwrap()).collect();
    assert_eq!((log.missing, first), (1, vec!["test:a"]));
    let outcome = repair(&bench.engines, &bench.projector, &bench.custodian).await.unwrap();
    assert!(outcome.is_clean(), "{outcome:?}");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_chunks_of_the_ground_are_told_and_not_hidden() {
    let bench = Bench::start().await;
    bench.sql("DELETE FROM chunks WHERE key = (SELECT min(key) FROM chunks)").await;
    let outcome = repair(&bench.engines, &bench.projector, &bench.custodian).await.unwrap();
    let left = outcome.left.clone().unwrap();
    assert!(!outcome.is_clean());
    let catalogue = &left.stores[0];
    assert_eq!(catalogue.first[0].uri.as_deref(), Some("test:a"));
    assert!(catalogue.problems[0].contains("ingest them again"), "{catalogue:?}");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_server_has_no_false_differences() {
    let bench = Arc::new(Bench::start().await);
    let writer = Arc::clone(&bench);
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let writing = tokio::spawn(async move {
        let mut round = 0;
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            let text = format!("the text of round {round}");
            writer.put(&[("a", text.as_str()), (&format!("new-{round}"), text.as_str())]).await;
            round += 1;
        }
        round
    });
    for _ in 0..20 {
        let report = bench.fsck().await;
        assert!(report.is_clean(), "{report:?}");
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(writing.await.unwrap() > 0);
    Arc::into_inner(bench).unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_replaced_a_moment_ago_leaves_the_log_too() {
    let bench = Bench::start().await;
    for round in 0..10 {
        bench.put(&[("a", &format!("round {round} of many"))]).await;
        let done = compact::compact(&bench.engines, &bench.projector, &bench.custodian).await.unwrap();
        assert_eq!(done.log_entries, 1, "round {round}: {done:?}");
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_what_was_forgotten_stays() {
    let bench = Bench::start().await;
    let filler = "words that many documents have ".repeat(40);
    let names: Vec<String> = (0..30).map(|i| format!("filler-{i}")).collect();
    let mut documents: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), filler.as_str())).collect();
    documents.push(("secret", "the passphrase is xylocarpquartz"));
    bench.put(&documents).await;
    let secret = bench.stored("secret").await;
    let holding = |what: &str| -> Vec<PathBuf> {
        let holds = |bytes: &[u8]| bytes.windows(what.len()).any(|window| window == what.as_bytes());
        bench.bytes().into_iter().filter(|(_, bytes)| holds(bytes)).map(|(path, _)| path).collect()
    };
    assert!(!holding("xylocarpquartz").is_empty() && !holding("tag-secret").is_empty());
    let request = forget::Request::Document(secret.document.id);
    forget::forget(&bench.engines, &bench.projector, &bench.grant, request).await.unwrap();
    assert!(bench.fsck().await.is_clean());
    let keys: Vec<_> = secret.chunks.iter().map(|chunk| chunk.embed_key).collect();
    let model = bench.engines.embedder.model().key();
    assert!(bench.engines.catalog.cached_vectors(&model, &keys).await.unwrap().is_empty());
    let done = compact::compact(&bench.engines, &bench.projector, &bench.custodian).await.unwrap();
    // Which of both indexes had something left to rewrite depends on what they rewrote by themselves meanwhile.
    assert_eq!(done.log_entries, 2, "{done:?}");
    assert_eq!(holding("xylocarpquartz"), Vec::<PathBuf>::new(), "not even in the files");
    let left: Vec<PathBuf> = holding("tag-secret");
    assert!(left.iter().all(|path| path.components().any(|part| part.as_os_str() == "wal")), "{left:?}");
    let entries = bench.engines.catalog.read_log(Lsn(0), usize::MAX).await.unwrap();
    assert!(entries.iter().all(|entry| entry.document != secret.document.id));
    assert!(bench.fsck().await.is_clean());
    bench.stop().await;
}
