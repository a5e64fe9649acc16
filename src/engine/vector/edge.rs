//! The vector index on qdrant-edge: one shard in one directory.
//!
//! Originals are mapped from disk; int8 copies and the graph are in memory, and the best candidates by int8 are scored
//! again by their originals. A projection: what cannot be read, or was made for another model, is thrown away, and the
//! caller is told to fill it again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use qdrant_edge::{
    CountRequest, EdgeShard, PointInsertOperations, PointOperations, QuantizationSearchParams, SearchParams,
    SearchRequest, UpdateOperation,
};

use super::{VectorIndex, VectorPoint, VectorStats};
use crate::base::blocking::Door;
use crate::base::error::{Context, Error, Kind, Result};
use crate::base::{ChunkId, DocumentId};
use crate::model::{Candidate, Filter, Namespace};

mod payload;
mod shard;

pub use shard::Tuning;
use shard::{Place, config};

/// Points of one operation on the shard: the segment is locked against searches meanwhile, about 3 ms for so many.
const UPSERT_POINTS: usize = 256;

/// Ids of one deletion.
const DELETE_IDS: usize = 1_024;

/// Candidates by int8 for each result, to be scored again by the original.
const OVERSAMPLING: f64 = 1.5;

/// Beam of a search: at least this, and at least twice the candidates asked for.
const EF_MIN: usize = 128;

/// What can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgeSettings {
    /// How vectors are kept and linked.
    pub tuning: Tuning,
}

impl Default for EdgeSettings {
    fn default() -> Self {
        // One thread: a build must leave a core to searches.
        Self { tuning: Tuning { m: 16, ef_construct: 128, threads: 1, half_floats: true, quantized: true } }
    }
}

/// A [`VectorIndex`] in one directory.
pub struct EdgeIndex {
    inner: Arc<Inner>,
    door: Door,
    /// Builds take a minute: they must not hold a place at the door that searches go through.
    builds: Door,
}

/// What [`EdgeIndex::open`] found.
pub struct Opened {
    /// The index.
    pub index: EdgeIndex,
    /// Whether it is empty because there was none, or none that could be used. The caller then has to store log position
    /// 0 before it flushes for the first time; until that flush, every opening says so again.
    pub fresh: bool,
}

struct Inner {
    place: Place,
    dimension: usize,
    /// `None` only while it is dropped.
    shard: Option<EdgeShard>,
    /// One change or flush at a time: a flush that meets an update panics.
    writes: Mutex<()>,
}

impl EdgeIndex {
    /// Opens the index in `directory` for vectors of `model`, or makes an empty one there.
    ///
    /// Blocks; call it at start or through the door.
    ///
    /// # Errors
    /// [`Kind::Precondition`] if the directory cannot be written.
    pub fn open(directory: &Path, dimension: usize, model: &str, settings: EdgeSettings, door: Door) -> Result<Opened> {
        let place = Place::new(directory, dimension, model, settings.tuning);
        let opened = match place.open(config(dimension, settings.tuning)) {
            Err(cause) if cause.kind() == Kind::Corrupt => {
                tracing::warn!(
                    directory = %directory.display(),
                    cause = cause.chain(),
                    "the vector index cannot be used and is built again"
                );
                None
            }
            other => other?,
        };
        let fresh = opened.is_none();
        let shard = match opened {
            Some(shard) => shard,
            None => place.create(config(dimension, settings.tuning))?,
        };
        let inner = Inner { place, dimension, shard: Some(shard), writes: Mutex::new(()) };
        Ok(Opened { index: Self { inner: Arc::new(inner), door, builds: Door::new(1) }, fresh })
    }

    async fn run<T: Send + 'static>(&self, job: impl FnOnce(&Inner) -> Result<T> + Send + 'static) -> Result<T> {
        let inner = Arc::clone(&self.inner);
        self.door.run(move || job(&inner)).await
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let shard = self.shard.take();
        // The shard flushes when dropped and panics if that fails. What the caller needs durable it has flushed itself.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(shard))) {
            tracing::warn!(
                cause = shard::panic_text(panic.as_ref()).lines().next().unwrap_or_default().get(..200),
                "the vector index was not flushed when it was closed"
            );
        }
    }
}

impl Inner {
    fn shard(&self) -> Result<&EdgeShard> {
        self.shard.as_ref().ok_or_else(|| Error::new(Kind::Unavailable, "the vector index is closed"))
    }

    fn check(&self, vector: &[f32]) -> Result<()> {
        if vector.len() == self.dimension && vector.iter().all(|value| value.is_finite()) {
            return Ok(());
        }
        let message = format!(
            "a vector of {} numbers does not fit an index of dimension {}: embed with the model the index was made for",
            vector.len(),
            self.dimension
        );
        Err(Error::invalid("vector", message))
    }

    fn change(&self, operations: impl Iterator<Item = Result<PointOperations>>) -> Result<()> {
        let shard = self.shard()?;
        for operation in operations {
            let _one = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
            shard::update(shard, UpdateOperation::PointOperation(operation?))?;
        }
        Ok(())
    }

    fn upsert(&self, points: Vec<VectorPoint>) -> Result<()> {
        points.iter().try_for_each(|point| self.check(&point.vector))?;
        let mut points = points.into_iter().peekable();
        let batches = std::iter::from_fn(|| {
            points.peek()?;
            let batch = points.by_ref().take(UPSERT_POINTS).map(payload::point).collect();
            Some(Ok(PointOperations::UpsertPoints(PointInsertOperations::PointsList(batch))))
        });
        self.change(batches)
    }

    fn delete_documents(&self, namespace: &Namespace, documents: &[DocumentId]) -> Result<()> {
        self.change(
            documents.chunks(DELETE_IDS).map(|documents| {
                Ok(PointOperations::DeletePointsByFilter(payload::of_documents(namespace, documents)?))
            }),
        )
    }

    fn delete_chunks(&self, chunks: &[ChunkId]) -> Result<()> {
        self.change(chunks.chunks(DELETE_IDS).map(|chunks| {
            Ok(PointOperations::DeletePoints { ids: chunks.iter().map(|&chunk| payload::point_id(chunk)).collect() })
        }))
    }

    fn search(&self, vector: Vec<f32>, filter: &Filter, limit: usize) -> Result<Vec<Candidate>> {
        self.check(&vector)?;
        let Some(filter) = payload::compile(filter)?.filter(|_| limit > 0) else { return Ok(Vec::new()) };
        let params = SearchParams {
            hnsw_ef: Some(EF_MIN.max(2 * limit)),
            quantization: Some(QuantizationSearchParams {
                ignore: false,
                rescore: Some(true),
                oversampling: Some(OVERSAMPLING),
            }),
            ..SearchParams::default()
        };
        let request = SearchRequest {
            query: vector.into(),
            filter: Some(filter),
            params: Some(params),
            limit,
            offset: 0,
            with_payload: None,
            with_vector: None,
            score_threshold: None,
        };
        let shard = self.shard()?;
        let found = shard
            .search(request)
            .context(Kind::Internal, || format!("cannot search the vector index {}", shard.path().display()))?;
        let mut candidates = Vec::with_capacity(found.len());
        for point in found {
            candidates.push(Candidate { chunk: payload::chunk_id(point.id)?, score: point.score });
        }
        candidates.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.chunk.cmp(&b.chunk)));
        Ok(candidates)
    }

    fn flush(&self) -> Result<()> {
        let _one = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        shard::flush(self.shard()?)?;
        self.place.mark_flushed()?;
        self.place.trim_log()
    }

    fn optimize(&self) -> Result<bool> {
        let shard = self.shard()?;
        shard
            .optimize()
            .context(Kind::Internal, || format!("cannot optimise the vector index {}", shard.path().display()))
    }

    fn stats(&self) -> Result<VectorStats> {
        let shard = self.shard()?;
        let what = || format!("cannot count the vector index {}", shard.path().display());
        let points = shard.count(CountRequest { filter: None, exact: true }).context(Kind::Internal, what)? as u64;
        let indexed_points = (shard.info().indexed_vectors_count as u64).min(points);
        Ok(VectorStats { points, indexed_points })
    }
}

#[async_trait]
impl VectorIndex for EdgeIndex {
    async fn upsert(&self, points: Vec<VectorPoint>) -> Result<()> {
        self.run(move |inner| inner.upsert(points)).await
    }

    async fn delete_documents(&self, namespace: &Namespace, documents: &[DocumentId]) -> Result<()> {
        let (namespace, documents) = (namespace.clone(), documents.to_vec());
        self.run(move |inner| inner.delete_documents(&namespace, &documents)).await
    }

    async fn delete_chunks(&self, chunks: &[ChunkId]) -> Result<()> {
        let chunks = chunks.to_vec();
        self.run(move |inner| inner.delete_chunks(&chunks)).await
    }

    async fn search(&self, vector: Vec<f32>, filter: &Filter, limit: usize) -> Result<Vec<Candidate>> {
        let filter = filter.clone();
        self.run(move |inner| inner.search(vector, &filter, limit)).await
    }

    async fn flush(&self) -> Result<()> {
        self.run(Inner::flush).await
    }

    async fn optimize(&self) -> Result<bool> {
        let inner = Arc::clone(&self.inner);
        self.builds.run(move || inner.optimize()).await
    }

    async fn stats(&self) -> Result<VectorStats> {
        self.run(Inner::stats).await
    }
}

#[cfg(test)]
mod tests;
