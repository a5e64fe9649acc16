//! Vector similarity search over chunk embeddings: a projection of the log.
//!
//! # Contract
//! - **Visibility**: what `upsert` or `delete_documents` returned `Ok` for is seen by every later `search`.
//! - **Durability**: only after `flush` returns `Ok`. The caller stores the log position after that and replays from it.
//! - **Idempotency**: upserting the same chunk id again replaces it; deleting what is not there is no error.
//! - **Ordering**: `search` returns candidates by descending score, ties by chunk id; scores are cosine similarities.
//! - **Filters** are exact: no candidate fails the filter, and a filter never costs recall: against brute force over the
//!   chunks that pass, recall@10 stays ≥ 0.99 at any selectivity.
//! - The namespace of the filter is ANDed in the engine itself.

use std::collections::HashMap;

use async_trait::async_trait;

use crate::base::error::Result;
use crate::base::{ChunkId, DocumentId};
use crate::model::{Candidate, Document, Filter, HeldChunk, Namespace};

#[cfg(test)]
mod conformance;
pub mod edge;
#[cfg(test)]
pub mod fake;

/// A chunk's vector with what filters look at.
#[derive(Debug, Clone)]
pub struct VectorPoint {
    /// The chunk.
    pub chunk: ChunkId,
    /// Whose.
    pub namespace: Namespace,
    /// Its document, for the filterable fields and for deletion.
    pub document: std::sync::Arc<Document>,
    /// Unit length, of the index's dimension.
    pub vector: Vec<f32>,
}

/// What the index holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VectorStats {
    /// Points that can be found.
    pub points: u64,
    /// Points covered by the approximate index; the rest is scanned.
    pub indexed_points: u64,
}

/// See the module's contract.
#[async_trait]
pub trait VectorIndex: Send + Sync {
    /// Inserts or replaces.
    async fn upsert(&self, points: Vec<VectorPoint>) -> Result<()>;

    /// Removes every chunk of these documents in `namespace`.
    async fn delete_documents(&self, namespace: &Namespace, documents: &[DocumentId]) -> Result<()>;

    /// Removes single chunks.
    async fn delete_chunks(&self, chunks: &[ChunkId]) -> Result<()>;

    /// The `limit` most similar chunks that pass `filter`.
    async fn search(&self, vector: Vec<f32>, filter: &Filter, limit: usize) -> Result<Vec<Candidate>>;

    /// The vectors of these chunks of `namespace`; those that are not there are left out.
    async fn vectors(&self, namespace: &Namespace, chunks: &[ChunkId]) -> Result<HashMap<ChunkId, Vec<f32>>>;

    /// Makes all changes durable.
    async fn flush(&self) -> Result<()>;

    /// Builds or improves the approximate index in the background of searches; returns whether there was work.
    async fn optimize(&self) -> Result<bool>;

    /// Counts.
    async fn stats(&self) -> Result<VectorStats>;

    /// Namespaces that the index may hold chunks of.
    async fn namespaces(&self) -> Result<Vec<Namespace>>;

    /// Every chunk of `namespace`, or of these documents in it, in no order. About 32 bytes each.
    async fn held(&self, namespace: &Namespace, documents: Option<&[DocumentId]>) -> Result<Vec<HeldChunk>>;

    /// Rewrites what holds deleted vectors, so that they are gone from the disk once `flush` returns `Ok`; returns
    /// whether there was work. Takes as long as building the index.
    async fn compact(&self) -> Result<bool>;
}
