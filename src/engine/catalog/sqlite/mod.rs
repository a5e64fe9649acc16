//! The catalogue in one SQLite file: the default, for one server with one data directory.
//!
//! One connection writes, a few read; with the write-ahead log neither waits for the other. Statements handle rows in
//! bulk, since the way to the driver's thread costs more than a row does. Not for many servers on one database.
//!
//! Reads of a namespace that does not exist find nothing; writes to it are refused as NotFound.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::{
    Audit, Catalog, DocumentState, NamespaceStats, ProjectedDocument, Selector, Skipped, Snapshot, Source, Standing,
    StatedDocument, WriteOutcome,
};
use crate::base::error::{Error, Result};
use crate::base::{ChunkId, DocumentId, EmbedKey, Lsn, SourceId, Timestamp};
use crate::model::{Document, DocumentWrite, HeldChunk, Hydrated, LogEntry, Namespace};

mod audit;
mod bulk;
mod chunks;
mod connect;
mod documents;
mod facts;
mod fault;
mod inventory;
mod inventory_words;
mod listing;
mod log;
mod names;
mod recent;
mod registry;
mod remove;
mod runs;
mod skipped;
mod vectors;
mod write;

#[cfg(test)]
mod tests;

use connect::Connections;
use recent::Recent;

/// A catalogue in SQLite. Dropping it loses nothing that was acknowledged; [`Self::close`] tidies up as well.
pub struct SqliteCatalog {
    inner: Arc<Inner>,
}

/// What is kept in memory is exact because this process is the only writer.
struct Inner {
    connections: Connections,
    /// Newest log position.
    head: AtomicU64,
    /// Namespaces that were seen; none is ever removed.
    namespaces: Mutex<HashSet<Namespace>>,
    recent: Mutex<Recent>,
}

impl Inner {
    async fn over(connections: Connections) -> Result<Arc<Self>> {
        let head = log::head(&mut *connections.reader().await?).await?;
        let (namespaces, recent) = Default::default();
        Ok(Arc::new(Self { connections, head: AtomicU64::new(head.0), namespaces, recent }))
    }

    /// Notes that a committed transaction may have changed `documents` and that the log reaches `lsn`.
    fn committed(&self, lsn: Lsn, documents: &HashSet<DocumentId>) {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).forget(documents);
        self.head.fetch_max(lsn.0, Ordering::AcqRel);
    }
}

impl SqliteCatalog {
    /// Opens the database file at `path`, making it or bringing its schema up to date as need be.
    ///
    /// # Errors
    /// Precondition if the file can't be made, or was written by a newer version; Corrupt if it is no catalogue.
    pub async fn open(path: &Path) -> Result<Self> {
        Ok(Self { inner: Inner::over(Connections::open(path).await?).await? })
    }

    /// A catalogue in memory, for tests; gone when dropped.
    ///
    /// # Errors
    /// Internal, if SQLite can't make it.
    pub async fn in_memory() -> Result<Self> {
        Ok(Self { inner: Inner::over(Connections::in_memory().await?).await? })
    }

    /// Bytes that the database takes on disk, its write-ahead log included; 0 in memory.
    pub fn disk_bytes(&self) -> u64 {
        self.inner.connections.disk_bytes()
    }

    /// The newest step of the schema that this version can read.
    pub fn schema_known() -> i64 {
        connect::schema_known()
    }

    /// What the copy of a catalogue at `path` holds. Does not change it.
    ///
    /// # Errors
    /// Corrupt if it is no catalogue.
    pub async fn describe(path: &Path) -> Result<Snapshot> {
        connect::describe(path).await
    }

    /// Runs a change to its end even if the caller goes away: one that was abandoned half-way might commit without
    /// anybody noting it.
    async fn change<T, F>(&self, change: impl FnOnce(Arc<Inner>) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let change = tokio::spawn(change(Arc::clone(&self.inner)));
        change.await.map_err(|cause| Error::internal("a change of the catalogue ended early").caused_by(cause))?
    }

    /// Copies the write-ahead log into the database file and closes the readers; later reads fail.
    ///
    /// # Errors
    /// Unavailable, Corrupt or Internal, as the database fails.
    pub async fn close(&self) -> Result<()> {
        self.inner.connections.close().await
    }
}

#[async_trait]
impl Catalog for SqliteCatalog {
    async fn create_namespace(&self, namespace: &Namespace, now: Timestamp) -> Result<bool> {
        names::create_namespace(&self.inner.connections, namespace, now).await
    }

    async fn namespaces(&self) -> Result<Vec<Namespace>> {
        names::namespaces(&self.inner.connections).await
    }

    async fn has_namespace(&self, namespace: &Namespace) -> Result<bool> {
        let seen = || self.inner.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
        if seen().contains(namespace) {
            return Ok(true);
        }
        let found = names::has_namespace(&self.inner.connections, namespace).await?;
        if found {
            seen().insert(namespace.clone());
        }
        Ok(found)
    }

    async fn ensure_source(&self, namespace: &Namespace, uri: &str, now: Timestamp) -> Result<Source> {
        names::ensure_source(&self.inner.connections, namespace, uri, now).await
    }

    async fn sources(&self, namespace: &Namespace) -> Result<Vec<Source>> {
        names::sources(&self.inner.connections, namespace).await
    }

    async fn set_standing(
        &self,
        namespace: &Namespace,
        source: SourceId,
        standing: Standing,
        options: Option<&str>,
    ) -> Result<()> {
        names::set_standing(&self.inner.connections, namespace, source, (standing, options)).await
    }

    async fn standing(&self, standing: Standing) -> Result<Vec<(Namespace, Source, String)>> {
        names::standing(&self.inner.connections, standing).await
    }

    async fn source_documents(&self, namespace: &Namespace, source: SourceId) -> Result<Vec<DocumentState>> {
        documents::source_documents(&self.inner.connections, namespace, source).await
    }

    async fn source_documents_at(
        &self,
        namespace: &Namespace,
        source: SourceId,
        uris: &BTreeSet<String>,
    ) -> Result<Vec<DocumentState>> {
        documents::source_documents_at(&self.inner.connections, namespace, source, uris).await
    }

    async fn skipped(&self, namespace: &Namespace, source: SourceId) -> Result<Vec<Skipped>> {
        skipped::skipped(&self.inner.connections, namespace, source).await
    }

    async fn note_skipped(
        &self,
        namespace: &Namespace,
        source: SourceId,
        skipped: &[Skipped],
        over: &[String],
    ) -> Result<()> {
        let (namespace, skipped, over) = (namespace.clone(), skipped.to_vec(), over.to_vec());
        self.change(move |inner| async move {
            skipped::note_skipped(&inner.connections, &namespace, source, (&skipped, &over)).await
        })
        .await
    }

    async fn write(&self, namespace: &Namespace, recipe: &str, writes: Vec<DocumentWrite>) -> Result<WriteOutcome> {
        let (namespace, recipe) = (namespace.clone(), recipe.to_owned());
        self.change(move |inner| async move {
            let documents = writes.iter().map(|write| write.document.id).collect();
            let outcome = write::write(&inner.connections, &namespace, &recipe, writes).await?;
            inner.committed(outcome.lsn, &documents);
            Ok(outcome)
        })
        .await
    }

    async fn touch(&self, namespace: &Namespace, states: &[DocumentState]) -> Result<()> {
        let (namespace, states) = (namespace.clone(), states.to_vec());
        self.change(move |inner| async move {
            documents::touch(&inner.connections, &namespace, &states).await?;
            inner.committed(Lsn(0), &states.iter().map(|state| state.id).collect());
            Ok(())
        })
        .await
    }

    async fn remove(&self, namespace: &Namespace, selector: &Selector) -> Result<(WriteOutcome, Vec<String>)> {
        let (namespace, selector) = (namespace.clone(), selector.clone());
        self.change(move |inner| async move {
            let (outcome, removed) = remove::remove(&inner.connections, &namespace, &selector).await?;
            inner.committed(outcome.lsn, &removed.iter().map(|removed| removed.id).collect());
            Ok((outcome, removed.into_iter().map(|removed| removed.uri).collect()))
        })
        .await
    }

    async fn hydrate(&self, namespace: &Namespace, chunks: &[ChunkId]) -> Result<Vec<Hydrated>> {
        chunks::hydrate(&self.inner.connections, &self.inner.recent, namespace, chunks).await
    }

    async fn document_chunks(&self, namespace: &Namespace, documents: &[DocumentId]) -> Result<Vec<Hydrated>> {
        chunks::document_chunks(&self.inner.connections, namespace, documents).await
    }

    async fn documents_where(
        &self,
        namespace: &Namespace,
        keep: &(dyn for<'a> Fn(&'a str, &'a str) -> bool + Send + Sync),
        limit: usize,
    ) -> Result<Vec<DocumentId>> {
        documents::documents_where(&self.inner.connections, namespace, keep, limit).await
    }

    async fn document_by_uri(&self, namespace: &Namespace, uri: &str) -> Result<Option<Document>> {
        documents::document_by_uri(&self.inner.connections, namespace, uri).await
    }

    async fn head(&self) -> Result<Lsn> {
        Ok(Lsn(self.inner.head.load(Ordering::Acquire)))
    }

    async fn read_log(&self, after: Lsn, limit: usize) -> Result<Vec<LogEntry>> {
        log::read_log(&self.inner.connections, after, limit).await
    }

    async fn project(&self, documents: &[DocumentId]) -> Result<Vec<ProjectedDocument>> {
        chunks::project(&self.inner.connections, documents).await
    }

    async fn facts(&self, namespace: &Namespace, documents: &[DocumentId]) -> Result<Vec<StatedDocument>> {
        facts::facts(&self.inner.connections, namespace, documents).await
    }

    async fn facts_after(&self, namespace: &Namespace, after: i64, limit: usize) -> Result<(Vec<StatedDocument>, i64)> {
        facts::facts_after(&self.inner.connections, namespace, after, limit).await
    }

    async fn checkpoint(&self, name: &str) -> Result<Option<(Lsn, String)>> {
        log::checkpoint(&self.inner.connections, name).await
    }

    async fn set_checkpoint(&self, name: &str, applied: Lsn, manifest: &str) -> Result<()> {
        log::set_checkpoint(&self.inner.connections, name, applied, manifest).await
    }

    async fn drop_checkpoint(&self, name: &str) -> Result<()> {
        log::drop_checkpoint(&self.inner.connections, name).await
    }

    async fn cached_vectors(&self, model: &str, keys: &[EmbedKey]) -> Result<HashMap<EmbedKey, Vec<f32>>> {
        vectors::cached_vectors(&self.inner.connections, model, keys).await
    }

    async fn cache_vectors(&self, model: &str, vectors: Vec<(EmbedKey, Vec<f32>)>) -> Result<()> {
        vectors::cache_vectors(&self.inner.connections, model, vectors).await
    }

    async fn drop_vectors(&self, model: &str) -> Result<()> {
        vectors::drop_vectors(&self.inner.connections, model).await
    }

    async fn stats(&self, namespace: &Namespace, model: &str) -> Result<NamespaceStats> {
        names::stats(&self.inner.connections, namespace, model).await
    }

    async fn remember_reply(&self, namespace: &Namespace, key: &str, reply: &[u8], now: Timestamp) -> Result<Vec<u8>> {
        names::remember_reply(&self.inner.connections, namespace, key, reply, now).await
    }

    async fn drop_replies(&self, before: Timestamp) -> Result<u64> {
        names::drop_replies(&self.inner.connections, before).await
    }

    async fn stored_reply(&self, namespace: &Namespace, key: &str) -> Result<Option<Vec<u8>>> {
        names::stored_reply(&self.inner.connections, namespace, key).await
    }

    async fn held(&self, namespace: &Namespace, documents: Option<&[DocumentId]>) -> Result<Vec<HeldChunk>> {
        audit::held(&self.inner.connections, namespace, documents).await
    }

    async fn uris(&self, namespace: &Namespace, documents: &[DocumentId]) -> Result<HashMap<DocumentId, String>> {
        audit::uris(&self.inner.connections, namespace, documents).await
    }

    async fn audit(&self, model: &str, embedded: Lsn) -> Result<Audit> {
        audit::audit(&self.inner.connections, model, embedded).await
    }

    async fn mend(&self) -> Result<()> {
        self.change(|inner| async move { audit::mend(&inner.connections).await }).await
    }

    async fn relog(&self, namespace: &Namespace, documents: &[DocumentId]) -> Result<Lsn> {
        let (namespace, documents) = (namespace.clone(), documents.to_vec());
        self.change(move |inner| async move {
            let lsn = log::relog(&inner.connections, &namespace, &documents).await?;
            inner.committed(lsn, &documents.into_iter().collect());
            Ok(lsn)
        })
        .await
    }

    async fn prune_log(&self, applied: Lsn) -> Result<u64> {
        log::prune_log(&self.inner.connections, applied).await
    }

    async fn space(&self) -> Result<(u64, u64)> {
        let connections = &self.inner.connections;
        Ok((connections.disk_bytes(), connections.free_bytes().await?))
    }

    async fn compact(&self) -> Result<()> {
        vectors::sweep(&self.inner.connections).await?;
        self.inner.connections.compact().await
    }

    async fn snapshot(&self, target: &Path) -> Result<Snapshot> {
        self.inner.connections.snapshot(target).await?;
        connect::describe(target).await
    }
}
