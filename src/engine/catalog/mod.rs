//! The ground state: namespaces, sources, documents, chunks, the operation log and the embedding cache, in SQL.
//!
//! # Contract
//! - **Atomicity**: `write`, `touch` and `remove` are one transaction each: documents, chunks and log entries together,
//!   or nothing. Readers see the old version or the new one.
//! - **Durability**: what returned `Ok` survives a kill of the process.
//! - **Ordering**: log positions ascend without being reused; a later write has a larger one.
//! - **Idempotency**: writing a document whose content, path, tags and chunker are stored already adds no log entry.
//! - **Walls**: every read of documents or chunks takes a namespace and returns nothing of another.
//! - The embedding cache is shared by namespaces (it maps texts to vectors) and is never a way to read a text.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use async_trait::async_trait;

use crate::base::error::Result;
use crate::base::{ChunkId, ContentHash, DocumentId, EmbedKey, Lsn, SourceId, Timestamp};
use crate::model::{Document, DocumentWrite, Facts, Filter, HeldChunk, Hydrated, LogEntry, Namespace, Span};

pub mod audit;
#[cfg(test)]
mod conformance;
pub mod inventory;
pub mod registry;
pub mod runs;
pub mod sqlite;

pub use audit::{Audit, CounterFault, Snapshot};
pub use inventory::Inventory;
pub use registry::Registry;
pub use runs::Runs;

/// What sync needs to know of a stored document.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentState {
    /// The document.
    pub id: DocumentId,
    /// Its address.
    pub uri: String,
    /// Size at the source.
    pub bytes: u64,
    /// Modification time at the source.
    pub modified_at: Option<Timestamp>,
    /// The store's mark of that version.
    pub mark: Option<String>,
    /// When it was indexed.
    pub indexed_at: Timestamp,
    /// Hash of the bytes.
    pub content: ContentHash,
    /// Fingerprint of everything else that shaped the chunks (chunker version, sizes, tokenizer).
    pub recipe: String,
}

/// Why a source is synced when nobody calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is followed.
    Watch,
    /// A sync of it is under way, or was when the server ended.
    Sync,
}

/// An object of a source that was read and left out for what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its address.
    pub uri: String,
    /// Size at the source.
    pub bytes: u64,
    /// Modification time at the source.
    pub modified_at: Option<Timestamp>,
    /// The store's mark of that version.
    pub mark: Option<String>,
    /// When it was read.
    pub looked_at: Timestamp,
    /// What decided: see [`DocumentState::recipe`].
    pub recipe: String,
    /// Why, as reports say it.
    pub reason: String,
}

/// A place that documents come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Derived from namespace and URI.
    pub id: SourceId,
    /// Address, such as `file:///repo`.
    pub uri: String,
}

/// What a write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WriteOutcome {
    /// Position of its last log entry, or the head if nothing changed.
    pub lsn: Lsn,
    /// Documents that were new.
    pub added: u64,
    /// Documents whose version was replaced.
    pub updated: u64,
    /// Documents that were stored already, the same.
    pub unchanged: u64,
    /// Documents removed.
    pub removed: u64,
}

/// Counts of one namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NamespaceStats {
    /// Documents.
    pub documents: u64,
    /// Chunks.
    pub chunks: u64,
    /// Bytes of the documents as read.
    pub bytes: u64,
    /// Tokens of the chunks.
    pub tokens: u64,
    /// Chunks whose vector is not in the cache for the model asked about.
    pub chunks_without_vector: u64,
}

/// A document with the chunks that a projection needs, and the position that its version was written at.
#[derive(Debug, Clone)]
pub struct ProjectedDocument {
    /// Whose.
    pub namespace: Namespace,
    /// The document and all its chunks.
    pub write: DocumentWrite,
}

/// A document with what it says of the graph.
#[derive(Debug, Clone, PartialEq)]
pub struct StatedDocument {
    /// The document.
    pub document: Document,
    /// Its chunks in order.
    pub chunks: Vec<Span>,
    /// What it says; nothing but `partial` if it was written before the graph was.
    pub facts: Facts,
}

/// A selector for removal.
#[derive(Debug, Clone, PartialEq)]
pub enum Selector {
    /// Single documents.
    Documents(Vec<DocumentId>),
    /// Everything of a source.
    Source(SourceId),
    /// The document with this URI.
    Uri(String),
    /// Every document whose URI begins with this.
    UriPrefix(String),
    /// Every document with this tag.
    Tag(String),
    /// Every document that passes. Its namespace must be the one that is worked on.
    Filter(Box<Filter>),
    /// Every document whose time to live ended at or before this.
    ExpiredBy(Timestamp),
}

/// See the module's contract.
#[async_trait]
pub trait Catalog: Send + Sync {
    /// Makes a namespace; false if it is there.
    async fn create_namespace(&self, namespace: &Namespace, now: Timestamp) -> Result<bool>;

    /// All namespaces by name.
    async fn namespaces(&self) -> Result<Vec<Namespace>>;

    /// Whether it exists.
    async fn has_namespace(&self, namespace: &Namespace) -> Result<bool>;

    /// Makes or finds a source.
    async fn ensure_source(&self, namespace: &Namespace, uri: &str, now: Timestamp) -> Result<Source>;

    /// All sources of a namespace, by URI.
    async fn sources(&self, namespace: &Namespace) -> Result<Vec<Source>>;

    /// Stores what a source is synced with when nobody calls; `None`: it is not. A source that is not there is left alone.
    async fn set_standing(
        &self,
        namespace: &Namespace,
        source: SourceId,
        standing: Standing,
        options: Option<&str>,
    ) -> Result<()>;

    /// All sources of that standing with what they are synced with, by namespace and URI.
    async fn standing(&self, standing: Standing) -> Result<Vec<(Namespace, Source, String)>>;

    /// The state of every document of a source.
    async fn source_documents(&self, namespace: &Namespace, source: SourceId) -> Result<Vec<DocumentState>>;

    /// The state of the documents of a source that have one of these URIs, or one that goes on from it with a slash.
    /// Reads only those.
    async fn source_documents_at(
        &self,
        namespace: &Namespace,
        source: SourceId,
        uris: &BTreeSet<String>,
    ) -> Result<Vec<DocumentState>>;

    /// What was skipped of a source.
    async fn skipped(&self, namespace: &Namespace, source: SourceId) -> Result<Vec<Skipped>>;

    /// Notes what was skipped of a source, and the addresses of what is so no longer, first those. A source that is not there is
    /// left alone.
    async fn note_skipped(
        &self,
        namespace: &Namespace,
        source: SourceId,
        skipped: &[Skipped],
        over: &[String],
    ) -> Result<()>;

    /// Writes new versions of documents, replacing their chunks. `recipe` is stored with each.
    async fn write(&self, namespace: &Namespace, recipe: &str, writes: Vec<DocumentWrite>) -> Result<WriteOutcome>;

    /// Records new sizes, times and marks of documents whose content did not change. Adds no log entry.
    async fn touch(&self, namespace: &Namespace, states: &[DocumentState]) -> Result<()>;

    /// Removes documents with their chunks.
    async fn remove(&self, namespace: &Namespace, selector: &Selector) -> Result<(WriteOutcome, Vec<String>)>;

    /// Reads chunks back with their documents; ids that are not there (any more) are left out. Order is not kept.
    async fn hydrate(&self, namespace: &Namespace, chunks: &[ChunkId]) -> Result<Vec<Hydrated>>;

    /// All chunks of the given documents, by document and ordinal.
    async fn document_chunks(&self, namespace: &Namespace, documents: &[DocumentId]) -> Result<Vec<Hydrated>>;

    /// Documents of a namespace that `keep` accepts by (path, uri), up to `limit`.
    async fn documents_where(
        &self,
        namespace: &Namespace,
        keep: &(dyn for<'a> Fn(&'a str, &'a str) -> bool + Send + Sync),
        limit: usize,
    ) -> Result<Vec<DocumentId>>;

    /// One document by URI.
    async fn document_by_uri(&self, namespace: &Namespace, uri: &str) -> Result<Option<Document>>;

    /// The newest log position.
    async fn head(&self) -> Result<Lsn>;

    /// Entries after `after`, oldest first, at most `limit`.
    async fn read_log(&self, after: Lsn, limit: usize) -> Result<Vec<LogEntry>>;

    /// What these documents of a namespace say of the graph, by age; those that are not there are left out.
    async fn facts(&self, namespace: &Namespace, documents: &[DocumentId]) -> Result<Vec<StatedDocument>>;

    /// The same of all documents of a namespace, page by page: at most `limit` after the key `after`, and the key to go on
    /// from, which is `after` again at the end.
    async fn facts_after(&self, namespace: &Namespace, after: i64, limit: usize) -> Result<(Vec<StatedDocument>, i64)>;

    /// What these documents hold now, for a projection, their facts left out; removed ones are left out.
    async fn project(&self, documents: &[DocumentId]) -> Result<Vec<ProjectedDocument>>;

    /// How far the projection `name` got, and the manifest it was built with.
    async fn checkpoint(&self, name: &str) -> Result<Option<(Lsn, String)>>;

    /// Records how far a projection got.
    async fn set_checkpoint(&self, name: &str, applied: Lsn, manifest: &str) -> Result<()>;

    /// Forgets a projection's position and manifest.
    async fn drop_checkpoint(&self, name: &str) -> Result<()>;

    /// Vectors known for `keys` under `model`.
    async fn cached_vectors(&self, model: &str, keys: &[EmbedKey]) -> Result<HashMap<EmbedKey, Vec<f32>>>;

    /// Adds vectors to the cache, except those of texts that no chunk has any more.
    async fn cache_vectors(&self, model: &str, vectors: Vec<(EmbedKey, Vec<f32>)>) -> Result<()>;

    /// Drops all cached vectors of a model that is used no longer.
    async fn drop_vectors(&self, model: &str) -> Result<()>;

    /// Counts of a namespace; `model` is the key whose missing vectors are counted.
    async fn stats(&self, namespace: &Namespace, model: &str) -> Result<NamespaceStats>;

    /// Stores the reply to a request under its idempotency key, or returns the one that is stored already.
    async fn remember_reply(&self, namespace: &Namespace, key: &str, reply: &[u8], now: Timestamp) -> Result<Vec<u8>>;

    /// Drops replies stored before `before`.
    async fn drop_replies(&self, before: Timestamp) -> Result<u64>;

    /// The reply stored under an idempotency key.
    async fn stored_reply(&self, namespace: &Namespace, key: &str) -> Result<Option<Vec<u8>>>;

    /// Every chunk of a namespace, or of these documents in it, in no order. About 32 bytes each.
    async fn held(&self, namespace: &Namespace, documents: Option<&[DocumentId]>) -> Result<Vec<HeldChunk>>;

    /// The address of each of these documents that exists in the namespace.
    async fn uris(&self, namespace: &Namespace, documents: &[DocumentId]) -> Result<HashMap<DocumentId, String>>;

    /// Checks the catalogue against itself, all of one state. Of vectors that chunks lack under `model` only those
    /// count whose document was written up to `embedded`.
    async fn audit(&self, model: &str, embedded: Lsn) -> Result<Audit>;

    /// Counts again what counters say, and drops cached vectors and chunks that belong to nothing.
    async fn mend(&self) -> Result<()>;

    /// Appends log entries about documents that did not change, so that every projection looks at them again: `put` for
    /// those that exist in the namespace, `delete` for the rest. Gives the position of the last one.
    async fn relog(&self, namespace: &Namespace, documents: &[DocumentId]) -> Result<Lsn>;

    /// Drops log entries up to `applied` that no projection needs, not even to start over: those about a document that
    /// is gone or has a later entry. Gives their number. Every document keeps the entry that wrote its version.
    async fn prune_log(&self, applied: Lsn) -> Result<u64>;

    /// Bytes of its files, and those of them that hold nothing.
    async fn space(&self) -> Result<(u64, u64)>;

    /// Gives the space of what was removed back to the file system; nothing of it is left on the disk.
    async fn compact(&self) -> Result<()>;

    /// Writes all of one state to a new file at `target`, while reads and writes go on.
    async fn snapshot(&self, target: &Path) -> Result<Snapshot>;
}
