//! A new model against a gate, with models that are told apart by how many words they can tell apart.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use super::*;
use crate::engine::catalog::sqlite::SqliteCatalog;
use crate::engine::embed::fake::FakeEmbedder;
use crate::engine::lexical::LexicalIndex;
use crate::engine::lexical::fake::FakeLexicalIndex;
use crate::engine::vector::VectorIndex;
use crate::engine::vector::fake::FakeVectorIndex;
use crate::flow::access::Access;
use crate::flow::put::Put;
use crate::flow::rebuild::{self, Projection, Workshop};
use crate::flow::recall::{self, Mode};
use crate::flow::slot::Slot;
use crate::flow::testing;

/// Tells words apart.
const GOOD: usize = 256;
/// Tells nothing apart: what comes first is found first.
const BAD: usize = 1;

fn model(dimension: usize) -> Arc<dyn Embedder> {
    Arc::new(FakeEmbedder::new(dimension).revised(&dimension.to_string()))
}

/// Twenty documents; each question wants one of the last.
fn set(loss_max: f64) -> Arc<Gate> {
    let uri = |n: usize| format!("eval:{n}");
    let document = |n: usize| InputDocument {
        uri: uri(n),
        content: format!("alpha{n} beta{n} gamma{n}").into_bytes(),
        ..InputDocument::default()
    };
    let question = |n: usize| Question { text: format!("beta{n} gamma{n}"), gains: HashMap::from([(uri(n), 1)]) };
    let gate = Gate::new("small".into(), (0..20).map(document).collect(), (15..20).map(question).collect(), loss_max);
    Arc::new(gate.unwrap())
}

/// Makes indexes in memory; the source of a model is its dimension.
struct Shed {
    gate: Option<Arc<Gate>>,
    configured: usize,
    /// Vector indexes made.
    made: AtomicUsize,
}

#[async_trait]
impl Workshop for Shed {
    async fn words(&self, _generation: u64) -> Result<Arc<dyn LexicalIndex>> {
        Ok(Arc::new(FakeLexicalIndex::new()))
    }

    async fn vectors(&self, _generation: u64, embedder: &dyn Embedder) -> Result<(Arc<dyn VectorIndex>, bool)> {
        self.made.fetch_add(1, Ordering::Relaxed);
        Ok((Arc::new(FakeVectorIndex::new(embedder.model().dimension)), true))
    }

    async fn embedder(&self, source: &str) -> Result<Arc<dyn Embedder>> {
        Ok(model(source.parse().unwrap()))
    }

    fn source(&self) -> String {
        self.configured.to_string()
    }

    fn gate(&self) -> Option<&Arc<Gate>> {
        self.gate.as_ref()
    }

    async fn keep_only(&self, _projection: Projection, _generations: &[u64]) -> Result<()> {
        Ok(())
    }
}

/// One start of a server over a catalogue that goes on.
struct Started {
    engines: Engines,
    projector: Arc<Projector>,
    configured: Arc<FakeEmbedder>,
    shed: Arc<Shed>,
}

impl Started {
    async fn new(ground: &Arc<SqliteCatalog>, configured: usize, gate: Option<Arc<Gate>>) -> Self {
        let embedder = Arc::new(FakeEmbedder::new(configured).revised(&configured.to_string()));
        let shed = Arc::new(Shed { gate, configured, made: AtomicUsize::new(0) });
        let wanted = Arc::clone(&embedder) as Arc<dyn Embedder>;
        let usual = testing::engines().await;
        let opened = rebuild::open(&**ground, &*shed, &wanted, usual.sizes, true).await.unwrap();
        let engines = Engines {
            catalog: Arc::clone(ground) as Arc<dyn Catalog>,
            space: Arc::new(Slot::new(opened.space)),
            words: Arc::new(Slot::new(opened.words)),
            embedder: wanted,
            ..usual
        };
        let projector = Projector::start(&engines, Arc::clone(&shed) as Arc<dyn Workshop>).await.unwrap();
        if let Some(why) = opened.refused {
            projector.refuse(why);
        }
        if let Some(space) = opened.space_next {
            projector.build_vectors(&engines, Arc::new(space)).await.unwrap();
        }
        Self { engines, projector, configured: embedder, shed }
    }

    async fn put(&self, uri: &str, text: &str) {
        let grant = Access::default().authorize(None, "ns").unwrap();
        let (sink, _progress) = tokio::sync::mpsc::channel(1);
        let mut put = Put::begin(&self.engines, &self.projector, &grant, "").await.unwrap();
        let document = InputDocument { uri: uri.into(), content: text.as_bytes().to_vec(), ..InputDocument::default() };
        put.add(vec![document], &sink).await.unwrap();
        put.acknowledge().await.unwrap();
        put.finish(true, &sink).await.unwrap();
    }

    /// Hits by vectors alone, whole or not at all.
    async fn hits(&self) -> usize {
        let head = self.engines.catalog.head().await.unwrap();
        self.projector.wait_vector(head).await.unwrap();
        let grant = Access::default().authorize(None, "ns").unwrap();
        let request =
            recall::Request { query: "words".into(), k: 100, mode: Mode::Dense, ..recall::Request::default() };
        let answer = recall::search(&self.engines, &self.projector, &grant, &request).await.unwrap();
        assert!(answer.missing.is_empty(), "{:?}", answer.missing);
        answer.hits.len()
    }

    /// Dimension of the model that answers.
    fn answers(&self) -> usize {
        self.engines.space.get().embedder.model().dimension
    }
}

/// A server with two documents and `old`, stopped.
async fn begun(old: usize) -> Arc<SqliteCatalog> {
    let ground = Arc::new(SqliteCatalog::in_memory().await.unwrap());
    let server = Started::new(&ground, old, None).await;
    server.put("a.txt", "some words").await;
    server.put("b.txt", "other words").await;
    server.projector.finish().await.unwrap();
    ground
}

#[tokio::test]
async fn a_worse_model_is_not_switched_to_and_says_why() {
    let ground = begun(GOOD).await;
    let server = Started::new(&ground, BAD, Some(set(0.01))).await;
    server.projector.wait_built().await.unwrap();
    let why = server.projector.state().refused.unwrap();
    for part in [
        "the model fake-words@1 is not used: nDCG@10 0.000 on small, 1.000 of the model fake-words@256",
        "gate_loss_max",
    ] {
        assert!(why.contains(part), "{why}");
    }
    assert_eq!((server.answers(), server.hits().await), (GOOD, 2));
    assert_eq!(server.configured.embedded(), 20, "the set, and nothing of what is stored");
    server.put("c.txt", "new words").await;
    assert_eq!(server.hits().await, 3, "what is new is found by the old model");
    server.projector.finish().await.unwrap();

    // The next start knows: nothing is measured, nothing is built.
    let server = Started::new(&ground, BAD, Some(set(0.01))).await;
    server.projector.wait_built().await.unwrap();
    assert_eq!(server.projector.state().refused, Some(why));
    assert_eq!((server.configured.embedded(), server.shed.made.load(Ordering::Relaxed)), (0, 1));

    // The old model's index can be rebuilt, and is still there at the start after that.
    let generation = rebuild::rebuild(&server.engines, &server.projector, Projection::Vector).await.unwrap();
    server.projector.wait_built().await.unwrap();
    assert_eq!((generation, server.answers(), server.hits().await), (2, GOOD, 3));
    assert!(server.projector.state().refused.is_some());
    server.projector.finish().await.unwrap();
    let server = Started::new(&ground, BAD, Some(set(0.01))).await;
    assert_eq!((server.answers(), server.engines.space.get().generation), (GOOD, 2));
    server.projector.finish().await.unwrap();

    // More may be lost: the kept figures are judged again, not measured again.
    let server = Started::new(&ground, BAD, Some(set(1.0))).await;
    server.projector.wait_built().await.unwrap();
    assert_eq!((server.answers(), server.hits().await), (BAD, 3));
    assert_eq!((server.configured.embedded(), server.projector.state().refused), (3, None));
    server.projector.finish().await.unwrap();
}

#[tokio::test]
async fn a_better_model_takes_over() {
    let ground = begun(BAD).await;
    let server = Started::new(&ground, GOOD, Some(set(0.0))).await;
    server.projector.wait_built().await.unwrap();
    assert_eq!((server.answers(), server.hits().await, server.projector.state().refused), (GOOD, 2, None));
    server.projector.finish().await.unwrap();
}

#[tokio::test]
async fn without_a_gate_or_for_the_same_model_nothing_is_measured() {
    let ground = begun(GOOD).await;
    let server = Started::new(&ground, GOOD, Some(set(0.0))).await;
    rebuild::rebuild(&server.engines, &server.projector, Projection::Vector).await.unwrap();
    server.projector.wait_built().await.unwrap();
    assert_eq!((server.engines.space.get().generation, server.configured.embedded()), (2, 0));
    server.projector.finish().await.unwrap();
    let server = Started::new(&ground, BAD, None).await;
    server.projector.wait_built().await.unwrap();
    assert_eq!((server.answers(), server.configured.embedded()), (BAD, 2));
    server.projector.finish().await.unwrap();
}

#[test]
fn a_document_counts_by_its_best_chunk_wherever_it_comes() {
    let mut best = Vec::new();
    merge(&[1.0, 0.0], &[(0, vec![0.1, 0.0]), (1, vec![0.5, 0.0]), (0, vec![0.2, 0.0])], &mut best);
    merge(&[1.0, 0.0], &[(0, vec![0.9, 0.0]), (2, vec![0.5, 0.0])], &mut best);
    let found: Vec<(usize, f32)> = best.iter().map(|found| (found.document, found.score)).collect();
    assert_eq!(found, [(0, 0.9), (1, 0.5), (2, 0.5)]);
}

#[test]
fn a_set_that_nothing_can_fail_is_refused() {
    let question = Question { text: "x".into(), gains: HashMap::from([("eval:b".into(), 1), ("eval:a".into(), 0)]) };
    let document = InputDocument { uri: "eval:a".into(), content: b"x".to_vec(), ..InputDocument::default() };
    let error = Gate::new("set".into(), vec![document], vec![question], 0.1).unwrap_err();
    assert!(error.message().contains("qrels.tsv"), "{error}");
}

#[test]
fn what_may_just_be_lost_is_not_too_much() {
    let verdict = |new_ndcg| Verdict { set: "s".into(), old: "y".into(), new: "x".into(), old_ndcg: 0.47, new_ndcg };
    let gate = set(0.01);
    assert_eq!((gate.refusal(&verdict(0.46)), gate.refusal(&verdict(0.99))), (None, None));
    assert!(gate.refusal(&verdict(0.459)).unwrap().contains("0.459 on small, 0.470 of the model y"));
}
