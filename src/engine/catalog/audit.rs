//! What a check of the catalogue finds, and what a copy of it is.

use crate::base::{DocumentId, Lsn};
use crate::model::{HeldChunk, Namespace};

/// Chunks without a vector that are listed one by one; beyond them only the number counts. About 100 bytes each.
pub const LISTED_MAX: usize = 100_000;

/// What a check of the catalogue against itself found. Empty lists and zeros: nothing is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    /// What the database says of its own files and references, in its words.
    pub damage: Vec<String>,
    /// Counters that are wrong.
    pub counters: Vec<CounterFault>,
    /// Documents whose chunks are not all there, or that have more: the ground itself is damaged.
    pub broken: Vec<(Namespace, DocumentId)>,
    /// Chunks that belong to no document.
    pub stray_chunks: u64,
    /// Documents that the log has no entry for: a projection that starts over would never hear of them.
    pub unlogged: Vec<(Namespace, DocumentId)>,
    /// Documents.
    pub documents: u64,
    /// Vectors in the cache.
    pub vectors: u64,
    /// Different texts without one that have to have one.
    pub texts_without_vector: u64,
    /// The first chunks with such a text.
    pub without_vector: Vec<(Namespace, HeldChunk)>,
    /// Vectors of texts that no chunk has.
    pub orphans: u64,
}

/// A counter of a namespace that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CounterFault {
    /// Whose.
    pub namespace: Namespace,
    /// What is counted: documents, chunks, bytes or tokens.
    pub counter: &'static str,
    /// What the counter says.
    pub stored: i64,
    /// What is there.
    pub counted: i64,
}

/// A copy of the catalogue in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    /// Newest log position in it.
    pub lsn: Lsn,
    /// Version of its schema.
    pub schema: i64,
}
