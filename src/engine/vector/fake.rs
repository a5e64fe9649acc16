//! A strict in-memory [`VectorIndex`] for tests: brute force, and a panic for whoever breaks the contract.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{VectorIndex, VectorPoint, VectorStats};
use crate::base::error::{Error, Result};
use crate::base::{ChunkId, DocumentId};
use crate::model::{Candidate, Filter, HeldChunk, Namespace};

/// See the module.
pub struct FakeVectorIndex {
    dimension: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    points: BTreeMap<ChunkId, VectorPoint>,
    durable: BTreeMap<ChunkId, VectorPoint>,
    indexed: u64,
}

impl FakeVectorIndex {
    /// An empty index.
    pub fn new(dimension: usize) -> Self {
        Self { dimension, state: Mutex::default() }
    }

    /// What a crash leaves: the last flush.
    pub fn crash(&self) {
        let mut state = self.state();
        state.points = state.durable.clone();
    }

    /// The chunks that can be found.
    pub fn chunks(&self) -> Vec<ChunkId> {
        self.state().points.keys().copied().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, vector: &[f32]) -> Result<()> {
        if vector.len() != self.dimension {
            return Err(Error::invalid("vector", format!("{} numbers, not {}", vector.len(), self.dimension)));
        }
        let length = dot(vector, vector).sqrt();
        assert!((length - 1.0).abs() < 1e-3, "a vector of length {length}");
        Ok(())
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[async_trait]
impl VectorIndex for FakeVectorIndex {
    async fn upsert(&self, points: Vec<VectorPoint>) -> Result<()> {
        points.iter().try_for_each(|point| self.check(&point.vector))?;
        let mut state = self.state();
        for point in points {
            let derived = DocumentId::derive(point.namespace.as_str(), &point.document.uri);
            assert_eq!(point.document.id, derived, "a document's id is derived");
            state.points.insert(point.chunk, point);
        }
        Ok(())
    }

    async fn delete_documents(&self, namespace: &Namespace, documents: &[DocumentId]) -> Result<()> {
        let mut state = self.state();
        state.points.retain(|_, point| point.namespace != *namespace || !documents.contains(&point.document.id));
        Ok(())
    }

    async fn delete_chunks(&self, chunks: &[ChunkId]) -> Result<()> {
        self.state().points.retain(|chunk, _| !chunks.contains(chunk));
        Ok(())
    }

    async fn search(&self, vector: Vec<f32>, filter: &Filter, limit: usize) -> Result<Vec<Candidate>> {
        self.check(&vector)?;
        let state = self.state();
        let passing = state.points.values().filter(|p| p.namespace == filter.namespace && filter.admits(&p.document));
        let mut found: Vec<Candidate> =
            passing.map(|point| Candidate { chunk: point.chunk, score: dot(&point.vector, &vector) }).collect();
        found.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.chunk.cmp(&b.chunk)));
        found.truncate(limit);
        Ok(found)
    }

    async fn vectors(&self, namespace: &Namespace, chunks: &[ChunkId]) -> Result<HashMap<ChunkId, Vec<f32>>> {
        let state = self.state();
        let held =
            chunks.iter().filter_map(|chunk| state.points.get(chunk)).filter(|point| point.namespace == *namespace);
        Ok(held.map(|point| (point.chunk, point.vector.clone())).collect())
    }

    async fn flush(&self) -> Result<()> {
        let mut state = self.state();
        state.durable = state.points.clone();
        Ok(())
    }

    async fn optimize(&self) -> Result<bool> {
        let mut state = self.state();
        let points = state.points.len() as u64;
        Ok(std::mem::replace(&mut state.indexed, points) != points)
    }

    async fn stats(&self) -> Result<VectorStats> {
        let state = self.state();
        let points = state.points.len() as u64;
        Ok(VectorStats { points, indexed_points: state.indexed.min(points) })
    }

    async fn namespaces(&self) -> Result<Vec<Namespace>> {
        let mut namespaces: Vec<_> = self.state().points.values().map(|point| point.namespace.clone()).collect();
        namespaces.sort();
        namespaces.dedup();
        Ok(namespaces)
    }

    async fn held(&self, namespace: &Namespace, documents: Option<&[DocumentId]>) -> Result<Vec<HeldChunk>> {
        let state = self.state();
        let wanted = |id: DocumentId| documents.is_none_or(|documents| documents.contains(&id));
        let points = state.points.values().filter(|p| p.namespace == *namespace && wanted(p.document.id));
        Ok(points.map(|point| HeldChunk { document: point.document.id, chunk: point.chunk }).collect())
    }

    async fn compact(&self) -> Result<bool> {
        Ok(false)
    }
}
