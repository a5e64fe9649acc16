//! Full-text search that knows identifiers: a projection of the log.
//!
//! # Contract
//! - **Visibility and durability** come together at `commit`: before it nothing of the batch is seen, after it all is,
//!   together with the log position it was given; a crash leaves exactly the last commit.
//! - **Idempotency**: `replace` removes all earlier chunks of a document first, so replaying is harmless.
//! - **Failure**: after an error of `replace`, `delete_documents` or `commit` everything since the last commit is gone;
//!   the caller reads `applied` and replays from there.
//! - **Ordering**: `search` returns candidates by descending score, ties by chunk id.
//! - The namespace of the filter is ANDed in the engine itself.

use async_trait::async_trait;

use crate::base::error::Result;
use crate::base::{DocumentId, Lsn};
use crate::model::{Candidate, Chunk, Document, Filter, HeldChunk, Namespace};

pub mod analyzer;
#[cfg(test)]
mod conformance;
#[cfg(test)]
pub mod fake;
mod fold;
mod stem;
pub mod tantivy;

/// All chunks of one document version.
#[derive(Debug, Clone)]
pub struct LexicalDocument {
    /// Whose.
    pub namespace: Namespace,
    /// The document.
    pub document: std::sync::Arc<Document>,
    /// All its chunks.
    pub chunks: Vec<Chunk>,
}

/// What a query means to this engine.
#[derive(Debug, Clone, PartialEq)]
pub struct LexicalQuery {
    /// The words of the user.
    pub text: String,
}

/// See the module's contract.
#[async_trait]
pub trait LexicalIndex: Send + Sync {
    /// Replaces all chunks of these documents. Not visible before `commit`.
    async fn replace(&self, documents: Vec<LexicalDocument>) -> Result<()>;

    /// Removes documents. Not visible before `commit`.
    async fn delete_documents(&self, namespace: &Namespace, documents: &[DocumentId]) -> Result<()>;

    /// Makes everything so far visible and durable, together with `applied`.
    async fn commit(&self, applied: Lsn) -> Result<()>;

    /// The position of the last commit.
    fn applied(&self) -> Lsn;

    /// The `limit` best chunks by BM25 over text, path, headings and symbols.
    async fn search(&self, query: &LexicalQuery, filter: &Filter, limit: usize) -> Result<Vec<Candidate>>;

    /// Chunks that can be found.
    async fn count(&self) -> Result<u64>;

    /// Namespaces that the index may hold chunks of.
    async fn namespaces(&self) -> Result<Vec<Namespace>>;

    /// Every chunk of `namespace`, or of these documents in it, that can be found; in no order, and as often as it is
    /// there. About 32 bytes each.
    async fn held(&self, namespace: &Namespace, documents: Option<&[DocumentId]>) -> Result<Vec<HeldChunk>>;

    /// Rewrites what holds deleted chunks, so that their words are gone from the disk; returns whether there was work.
    async fn compact(&self) -> Result<bool>;
}
