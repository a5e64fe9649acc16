//! The catalogue in one SQLite file: the default, for one server with one data directory.
//!
//! One connection writes, a few read; with the write-ahead log neither waits for the other. Statements handle rows in
//! bulk, since the way to the driver's thread costs more than a row does. Not for many servers on one database.
//!
//! Reads of a namespace that does not exist find nothing; writes to it are refused as NotFound.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Mutex;

use async_trait::async_trait;

use super::{Catalog, DocumentState, NamespaceStats, ProjectedDocument, Selector, Source, WriteOutcome};
use crate::base::error::Result;
use crate::base::{ChunkId, DocumentId, EmbedKey, Lsn, SourceId, Timestamp};
use crate::model::{Document, DocumentWrite, Hydrated, LogEntry, Namespace};

mod bulk;
mod chunks;
mod connect;
mod documents;
mod fault;
mod log;
mod names;
mod remove;
mod vectors;
mod write;

#[cfg(test)]
mod tests;

use connect::Connections;

/// A catalogue in SQLite. Dropping it loses nothing that was acknowledged; [`Self::close`] tidies up as well.
pub struct SqliteCatalog {
    connections: Connections,
    recent: Mutex<documents::Recent>,
}

impl SqliteCatalog {
    /// Opens the database file at `path`, making it or bringing its schema up to date as need be.
    ///
    /// # Errors
    /// Precondition if the file can't be made, or was written by a newer version; Corrupt if it is no catalogue.
    pub async fn open(path: &Path) -> Result<Self> {
        Ok(Self { connections: Connections::open(path).await?, recent: Mutex::default() })
    }

    /// A catalogue in memory, for tests; gone when dropped.
    ///
    /// # Errors
    /// Internal, if SQLite can't make it.
    pub async fn in_memory() -> Result<Self> {
        Ok(Self { connections: Connections::in_memory().await?, recent: Mutex::default() })
    }

    /// Bytes that the database takes on disk, its write-ahead log included; 0 in memory.
    pub fn disk_bytes(&self) -> u64 {
        self.connections.disk_bytes()
    }

    /// Drops cached vectors that no chunk has a use for and gives their number. Writes and removals do that by
    /// themselves; this is for vectors that were cached after their text had been removed.
    ///
    /// # Errors
    /// Unavailable, Corrupt or Internal, as the database fails.
    pub async fn sweep_vectors(&self) -> Result<u64> {
        vectors::sweep(&self.connections).await
    }

    /// Gives the space of what was removed back to the file system. Without it the space is used again by later
    /// writes; worth calling after a large removal.
    ///
    /// # Errors
    /// Unavailable, Corrupt or Internal, as the database fails.
    pub async fn compact(&self) -> Result<()> {
        self.connections.compact().await
    }

    /// Copies the write-ahead log into the database file and closes the readers; later reads fail.
    ///
    /// # Errors
    /// Unavailable, Corrupt or Internal, as the database fails.
    pub async fn close(&self) -> Result<()> {
        self.connections.close().await
    }
}

#[async_trait]
impl Catalog for SqliteCatalog {
    async fn create_namespace(&self, namespace: &Namespace, now: Timestamp) -> Result<()> {
        names::create_namespace(&self.connections, namespace, now).await
    }

    async fn namespaces(&self) -> Result<Vec<Namespace>> {
        names::namespaces(&self.connections).await
    }

    async fn has_namespace(&self, namespace: &Namespace) -> Result<bool> {
        names::has_namespace(&self.connections, namespace).await
    }

    async fn ensure_source(&self, namespace: &Namespace, uri: &str, now: Timestamp) -> Result<Source> {
        names::ensure_source(&self.connections, namespace, uri, now).await
    }

    async fn sources(&self, namespace: &Namespace) -> Result<Vec<Source>> {
        names::sources(&self.connections, namespace).await
    }

    async fn source_documents(&self, namespace: &Namespace, source: SourceId) -> Result<Vec<DocumentState>> {
        documents::source_documents(&self.connections, namespace, source).await
    }

    async fn write(&self, namespace: &Namespace, recipe: &str, writes: Vec<DocumentWrite>) -> Result<WriteOutcome> {
        write::write(&self.connections, namespace, recipe, writes).await
    }

    async fn touch(&self, namespace: &Namespace, states: &[DocumentState]) -> Result<()> {
        documents::touch(&self.connections, namespace, states).await
    }

    async fn remove(&self, namespace: &Namespace, selector: &Selector) -> Result<(WriteOutcome, Vec<String>)> {
        remove::remove(&self.connections, namespace, selector).await
    }

    async fn hydrate(&self, namespace: &Namespace, chunks: &[ChunkId]) -> Result<Vec<Hydrated>> {
        chunks::hydrate(&self.connections, &self.recent, namespace, chunks).await
    }

    async fn document_chunks(&self, namespace: &Namespace, documents: &[DocumentId]) -> Result<Vec<Hydrated>> {
        chunks::document_chunks(&self.connections, namespace, documents).await
    }

    async fn documents_where(
        &self,
        namespace: &Namespace,
        keep: &(dyn for<'a> Fn(&'a str, &'a str) -> bool + Send + Sync),
        limit: usize,
    ) -> Result<Vec<DocumentId>> {
        documents::documents_where(&self.connections, namespace, keep, limit).await
    }

    async fn document_by_uri(&self, namespace: &Namespace, uri: &str) -> Result<Option<Document>> {
        documents::document_by_uri(&self.connections, namespace, uri).await
    }

    async fn head(&self) -> Result<Lsn> {
        log::head(&mut *self.connections.reader().await?).await
    }

    async fn read_log(&self, after: Lsn, limit: usize) -> Result<Vec<LogEntry>> {
        log::read_log(&self.connections, after, limit).await
    }

    async fn project(&self, documents: &[DocumentId]) -> Result<Vec<ProjectedDocument>> {
        chunks::project(&self.connections, documents).await
    }

    async fn checkpoint(&self, name: &str) -> Result<Option<(Lsn, String)>> {
        log::checkpoint(&self.connections, name).await
    }

    async fn set_checkpoint(&self, name: &str, applied: Lsn, manifest: &str) -> Result<()> {
        log::set_checkpoint(&self.connections, name, applied, manifest).await
    }

    async fn cached_vectors(&self, model: &str, keys: &[EmbedKey]) -> Result<HashMap<EmbedKey, Vec<f32>>> {
        vectors::cached_vectors(&self.connections, model, keys).await
    }

    async fn cache_vectors(&self, model: &str, vectors: Vec<(EmbedKey, Vec<f32>)>) -> Result<()> {
        vectors::cache_vectors(&self.connections, model, vectors).await
    }

    async fn stats(&self, namespace: &Namespace, model: &str) -> Result<NamespaceStats> {
        names::stats(&self.connections, namespace, model).await
    }

    async fn remember_reply(&self, namespace: &Namespace, key: &str, reply: &[u8], now: Timestamp) -> Result<Vec<u8>> {
        names::remember_reply(&self.connections, namespace, key, reply, now).await
    }

    async fn stored_reply(&self, namespace: &Namespace, key: &str) -> Result<Option<Vec<u8>>> {
        names::stored_reply(&self.connections, namespace, key).await
    }
}
