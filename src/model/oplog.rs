//! The operation log that projections follow.

use super::document::named_enum;
use super::namespace::Namespace;
use crate::base::{ChunkId, DocumentId, Lsn};

named_enum!(
    /// What happened to a document.
    Operation {
        /// A version was written; its chunks replace all earlier ones.
        Put = "put",
        /// It was removed.
        Delete = "delete",
    }
);

/// One entry: which document changed. What it holds now is read from the catalogue, so applying an entry twice, or an
/// old entry after a newer one, ends in the same state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Position.
    pub lsn: Lsn,
    /// Whose.
    pub namespace: Namespace,
    /// Which document.
    pub document: DocumentId,
    /// What happened.
    pub operation: Operation,
}

/// A chunk as a store lists it when stores are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HeldChunk {
    /// Its document; all zeros if the store cannot tell.
    pub document: DocumentId,
    /// The chunk.
    pub chunk: ChunkId,
}
