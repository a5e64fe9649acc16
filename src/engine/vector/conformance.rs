//! What every [`VectorIndex`] has to do, run against each of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::edge::{EdgeIndex, EdgeSettings, Opened};
use super::fake::FakeVectorIndex;
use super::{VectorIndex, VectorPoint, VectorStats};
use crate::base::blocking::Door;
use crate::base::error::Kind;
use crate::base::{ChunkId, ContentHash, DocumentId, SourceId, Timestamp};
use crate::model::{Candidate, Document, DocumentKind, Filter, HeldChunk, Namespace, Role};

pub const DIMENSION: usize = 4;

pub fn namespace(name: &str) -> Namespace {
    Namespace::new(name).unwrap()
}

pub fn document(namespace: &Namespace, path: &str) -> Document {
    let uri = format!("file:///{path}");
    Document {
        id: DocumentId::derive(namespace.as_str(), &uri),
        source: SourceId::derive(namespace.as_str(), "file:///"),
        path: path.to_owned(),
        kind: DocumentKind::Text,
        role: Role::Main,
        media_type: "text/plain".to_owned(),
        language: None,
        title: None,
        content: ContentHash::of(uri.as_bytes()),
        bytes: 1,
        modified_at: None,
        mark: None,
        indexed_at: Timestamp(1),
        tags: Vec::new(),
        metadata: BTreeMap::new(),
        trust: crate::model::Trust::Local,
        expires_at: None,
        repeats: None,
        uri,
    }
}

/// A unit vector in the direction of `values`.
pub fn unit(values: &[f32]) -> Vec<f32> {
    let length = values.iter().map(|value| value * value).sum::<f32>().sqrt();
    values.iter().map(|value| value / length).collect()
}

pub fn point(namespace: &Namespace, document: &Arc<Document>, ordinal: u64, vector: &[f32]) -> VectorPoint {
    VectorPoint {
        chunk: ChunkId::derive(document.id, &document.content, ordinal, ordinal + 1),
        namespace: namespace.clone(),
        document: Arc::clone(document),
        vector: unit(vector),
    }
}

pub fn ids(found: &[Candidate]) -> Vec<ChunkId> {
    found.iter().map(|candidate| candidate.chunk).collect()
}

async fn found(index: &dyn VectorIndex, vector: &[f32], filter: &Filter) -> Vec<ChunkId> {
    let found = index.search(unit(vector), filter, 100).await.unwrap();
    let ordered = |a: &Candidate, b: &Candidate| a.score > b.score || (a.score == b.score && a.chunk < b.chunk);
    assert!(found.is_sorted_by(ordered), "{found:?}");
    ids(&found)
}

async fn points_are_seen_at_once_and_best_first(index: &dyn VectorIndex) {
    let ns = namespace("a");
    let all = Filter::all(ns.clone());
    assert!(found(index, &[1., 0., 0., 0.], &all).await.is_empty());
    let doc = Arc::new(document(&ns, "a"));
    let near = point(&ns, &doc, 0, &[1., 0.1, 0., 0.]);
    let far = point(&ns, &doc, 1, &[0., 1., 0., 0.]);
    let opposite = point(&ns, &doc, 2, &[-1., 0., 0., 0.]);
    index.upsert(vec![opposite.clone(), far.clone(), near.clone()]).await.unwrap();
    let query = unit(&[1., 0., 0., 0.]);
    let candidates = index.search(query.clone(), &all, 10).await.unwrap();
    assert_eq!(ids(&candidates), [near.chunk, far.chunk, opposite.chunk]);
    for (candidate, expected) in candidates.iter().zip([0.995_037_2, 0.0, -1.0]) {
        assert!((candidate.score - expected).abs() < 2e-3, "cosine similarities: {candidates:?}");
    }
    assert_eq!(ids(&index.search(query.clone(), &all, 2).await.unwrap()), [near.chunk, far.chunk]);
    assert!(index.search(query, &all, 0).await.unwrap().is_empty());
    assert_eq!(index.stats().await.unwrap().points, 3);
}

async fn replays_change_nothing(index: &dyn VectorIndex) {
    let ns = namespace("a");
    let all = Filter::all(ns.clone());
    let doc = Arc::new(document(&ns, "a"));
    let old = point(&ns, &doc, 0, &[1., 0., 0., 0.]);
    let new = point(&ns, &doc, 0, &[0., 1., 0., 0.]);
    let other = point(&ns, &doc, 1, &[1., 0.5, 0., 0.]);
    for _ in 0..3 {
        index.upsert(vec![old.clone(), other.clone()]).await.unwrap();
        assert_eq!(found(index, &[1., 0., 0., 0.], &all).await, [old.chunk, other.chunk]);
        index.upsert(vec![new.clone()]).await.unwrap();
        assert_eq!(found(index, &[1., 0., 0., 0.], &all).await, [other.chunk, old.chunk]);
        assert_eq!(index.stats().await.unwrap().points, 2);
        index.flush().await.unwrap();
    }
    for _ in 0..2 {
        index.delete_chunks(&[other.chunk, ChunkId::from_u128(77)]).await.unwrap();
        assert_eq!(found(index, &[1., 0., 0., 0.], &all).await, [new.chunk]);
        index.delete_documents(&ns, &[DocumentId::from_u128(5)]).await.unwrap();
    }
    for _ in 0..2 {
        index.delete_documents(&ns, &[doc.id]).await.unwrap();
        assert!(found(index, &[1., 0., 0., 0.], &all).await.is_empty());
    }
    assert_eq!(index.stats().await.unwrap(), VectorStats::default());
    index.upsert(vec![old.clone()]).await.unwrap();
    assert_eq!(found(index, &[1., 0., 0., 0.], &all).await, [old.chunk], "what was deleted can come back");
    index.upsert(Vec::new()).await.unwrap();
    index.delete_chunks(&[]).await.unwrap();
    index.delete_documents(&ns, &[]).await.unwrap();
    assert_eq!(index.stats().await.unwrap().points, 1, "empty changes change nothing");
}

async fn namespaces_are_walls(index: &dyn VectorIndex) {
    let (a, b) = (namespace("a"), namespace("a/b"));
    let (doc_a, doc_b) = (Arc::new(document(&a, "x")), Arc::new(document(&b, "x")));
    let in_a = point(&a, &doc_a, 0, &[1., 0., 0., 0.]);
    let in_b = point(&b, &doc_b, 0, &[1., 0., 0., 0.]);
    index.upsert(vec![in_a.clone(), in_b.clone()]).await.unwrap();
    let query = [1., 0., 0., 0.];
    assert_eq!(found(index, &query, &Filter::all(a.clone())).await, [in_a.chunk]);
    assert_eq!(found(index, &query, &Filter::all(b.clone())).await, [in_b.chunk]);
    assert!(found(index, &query, &Filter::all(namespace("c"))).await.is_empty());
    let foreign = Filter { documents: Some(vec![doc_b.id]), ..Filter::all(a.clone()) };
    assert!(found(index, &query, &foreign).await.is_empty(), "naming a foreign document does not open the wall");
    index.delete_documents(&a, &[doc_b.id]).await.unwrap();
    assert_eq!(found(index, &query, &Filter::all(b.clone())).await, [in_b.chunk], "nor does deleting it");
}

async fn filters_hold(index: &dyn VectorIndex) {
    let ns = namespace("a");
    let mut one = document(&ns, "one.rs");
    one.kind = DocumentKind::Code;
    one.language = Some("rust".to_owned());
    one.tags = vec!["x".to_owned(), "y".to_owned()];
    one.modified_at = Some(Timestamp(1_750_000_000_000_001));
    let mut two = document(&ns, "two.md");
    two.kind = DocumentKind::Markdown;
    two.source = SourceId::derive("a", "file:///other");
    two.tags = vec!["y".to_owned()];
    two.modified_at = Some(Timestamp(-200));
    let documents = [Arc::new(one), Arc::new(two), Arc::new(document(&ns, "three.txt"))];
    let points = [0, 1, 2].map(|i| point(&ns, &documents[i], 0, &[1., i as f32, 0., 0.]));
    index.upsert(points.to_vec()).await.unwrap();
    let all = Filter::all(ns.clone());
    let check = async |filter: Filter, expected: &[usize]| {
        let expected: Vec<ChunkId> = expected.iter().map(|&i| points[i].chunk).collect();
        assert_eq!(found(index, &[1., 0., 0., 0.], &filter).await, expected, "{filter:?}");
    };
    check(all.clone(), &[0, 1, 2]).await;
    check(Filter { languages: vec!["rust".into(), "go".into()], ..all.clone() }, &[0]).await;
    check(Filter { kinds: vec![DocumentKind::Markdown, DocumentKind::Text], ..all.clone() }, &[1, 2]).await;
    check(Filter { sources: vec![documents[1].source], ..all.clone() }, &[1]).await;
    check(Filter { tags: vec!["y".into()], ..all.clone() }, &[0, 1]).await;
    check(Filter { tags: vec!["x".into(), "z".into()], ..all.clone() }, &[0]).await;
    check(Filter { documents: Some(Vec::new()), ..all.clone() }, &[]).await;
    check(Filter { documents: Some(vec![documents[2].id, documents[0].id]), ..all.clone() }, &[0, 2]).await;
    check(Filter { modified_from: Some(Timestamp(1_750_000_000_000_001)), ..all.clone() }, &[0]).await;
    check(Filter { modified_until: Some(Timestamp(1_750_000_000_000_001)), ..all.clone() }, &[1]).await;
    check(Filter { modified_from: Some(Timestamp(1_750_000_000_000_002)), ..all.clone() }, &[]).await;
    let both = Filter { tags: vec!["y".into()], kinds: vec![DocumentKind::Code], ..all };
    check(Filter { modified_from: Some(Timestamp(0)), ..both.clone() }, &[0]).await;
    check(Filter { modified_until: Some(Timestamp(0)), ..both }, &[]).await;
}

async fn a_wrong_dimension_is_refused(index: &dyn VectorIndex) {
    let ns = namespace("a");
    let good = point(&ns, &Arc::new(document(&ns, "a")), 0, &[1., 0., 0., 0.]);
    let bad = VectorPoint { vector: vec![1.0], ..good.clone() };
    assert_eq!(index.upsert(vec![good, bad]).await.unwrap_err().kind(), Kind::Invalid);
    assert_eq!(index.stats().await.unwrap().points, 0, "nothing of a refused batch is written");
    let refused = index.search(vec![1.0; 5], &Filter::all(ns), 10).await.unwrap_err();
    assert_eq!(refused.field(), Some("vector"));
}

async fn optimizing_ends(index: &dyn VectorIndex) {
    let ns = namespace("a");
    let doc = Arc::new(document(&ns, "a"));
    index.upsert(vec![point(&ns, &doc, 0, &[1., 0., 0., 0.])]).await.unwrap();
    index.optimize().await.unwrap();
    assert!(!index.optimize().await.unwrap(), "the second time there is nothing to do");
    assert_eq!(found(index, &[1., 0., 0., 0.], &Filter::all(ns)).await.len(), 1);
}

async fn what_is_held_is_listed(index: &dyn VectorIndex) {
    let (a, b) = (namespace("a"), namespace("b"));
    assert!(index.namespaces().await.unwrap().is_empty());
    assert!(index.held(&a, None).await.unwrap().is_empty());
    let (one, two, other) = (document(&a, "one"), document(&a, "two"), document(&b, "one"));
    let documents = [&one, &two, &other].map(|document| Arc::new(document.clone()));
    let mut points: Vec<VectorPoint> =
        (0..5_000).map(|i| point(&a, &documents[(i % 2) as usize], i, &[1., i as f32, 0., 0.])).collect();
    points.push(point(&b, &documents[2], 0, &[1., 0., 0., 0.]));
    index.upsert(points.clone()).await.unwrap();
    let check = async |namespace: &Namespace, documents: Option<&[DocumentId]>| {
        let mut expected: Vec<HeldChunk> = points
            .iter()
            .filter(|point| point.namespace == *namespace)
            .map(|point| HeldChunk { document: point.document.id, chunk: point.chunk })
            .filter(|held| documents.is_none_or(|documents| documents.contains(&held.document)))
            .collect();
        let mut held = index.held(namespace, documents).await.unwrap();
        expected.sort_unstable();
        held.sort_unstable();
        assert!(held == expected, "{} listed, {} expected", held.len(), expected.len());
    };
    assert_eq!(index.namespaces().await.unwrap(), [a.clone(), b.clone()]);
    check(&a, None).await;
    check(&b, None).await;
    check(&a, Some(&[two.id, other.id, DocumentId::from_u128(3)])).await;
    check(&a, Some(&[])).await;
    index.delete_documents(&a, &[one.id]).await.unwrap();
    assert_eq!(index.held(&a, None).await.unwrap().len(), 2_500, "what is deleted is not listed");
    assert!(index.held(&a, Some(&[one.id])).await.unwrap().is_empty());
}

async fn compacting_loses_nothing(index: &dyn VectorIndex) {
    let ns = namespace("a");
    let documents = [Arc::new(document(&ns, "a")), Arc::new(document(&ns, "b"))];
    let points = (0..40).map(|i| point(&ns, &documents[i % 2], i as u64, &[1., i as f32, 0., 0.])).collect();
    index.upsert(points).await.unwrap();
    index.delete_documents(&ns, &[documents[0].id]).await.unwrap();
    let query = [1., 7., 0., 0.];
    let before = found(index, &query, &Filter::all(ns.clone())).await;
    index.compact().await.unwrap();
    index.flush().await.unwrap();
    assert_eq!(found(index, &query, &Filter::all(ns.clone())).await, before);
    assert!(!index.compact().await.unwrap(), "the second time there is nothing to do");
    index.upsert(vec![point(&ns, &documents[0], 0, &query)]).await.unwrap();
    assert_eq!(index.held(&ns, None).await.unwrap().len(), 21, "it can be written to afterwards");
}

macro_rules! suite {
    ($($check:ident),+ $(,)?) => {
        mod fake {
            $(#[tokio::test]
            async fn $check() {
                super::$check(&super::FakeVectorIndex::new(super::DIMENSION)).await;
            })+
        }

        mod edge {
            $(#[tokio::test]
            async fn $check() {
                let dir = tempfile::tempdir().unwrap();
                super::$check(&super::open(dir.path()).index).await;
            })+
        }
    };
}

pub fn open(directory: &std::path::Path) -> Opened {
    EdgeIndex::open(directory, DIMENSION, "model-1", EdgeSettings::default(), Door::new(2)).unwrap()
}

suite!(
    points_are_seen_at_once_and_best_first,
    replays_change_nothing,
    namespaces_are_walls,
    filters_hold,
    a_wrong_dimension_is_refused,
    optimizing_ends,
    what_is_held_is_listed,
    compacting_loses_nothing,
);
