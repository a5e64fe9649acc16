//! The wrappers: each engine trait, with every call that can fail led through the plan of faults.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Faults, Tree};
use crate::base::error::Result;
use crate::base::tokens::TokenCounter;
use crate::base::{ChunkId, DocumentId, EmbedKey, Lsn, SourceId, Timestamp};
use crate::engine::catalog::audit::{Audit, Snapshot};
use crate::engine::catalog::sqlite::SqliteCatalog;
use crate::engine::catalog::{
    Catalog, DocumentState, NamespaceStats, ProjectedDocument, Selector, Skipped, Source, Standing, StatedDocument,
    WriteOutcome,
};
use crate::engine::embed::fake::FakeEmbedder;
use crate::engine::embed::{Embedder, ModelInfo};
use crate::engine::lexical::fake::FakeLexicalIndex;
use crate::engine::lexical::{LexicalDocument, LexicalIndex, LexicalQuery};
use crate::engine::store::{ListOptions, Listing, Object, Stat, Store};
use crate::engine::vector::fake::FakeVectorIndex;
use crate::engine::vector::{VectorIndex, VectorPoint, VectorStats};
use crate::model::{Candidate, Document, DocumentWrite, Filter, HeldChunk, Hydrated, LogEntry, Namespace};

/// An engine that fails as [`Faults`] says.
pub struct Faulty<E> {
    inner: Arc<E>,
    faults: Faults,
}

impl<E> Faulty<E> {
    pub fn new(inner: Arc<E>, faults: &Faults) -> Self {
        Self { inner, faults: faults.clone() }
    }
}

/// Implements an engine's trait: the listed methods are led through the plan as `engine.method`, the rest is as written.
macro_rules! faulty {
    ($contract:ident as $engine:literal over $inner:ty;
     $(async $name:ident($($argument:ident: $type:ty),*) -> $reply:ty;)+
     rest { $($rest:tt)* }) => {
        #[async_trait]
        impl $contract for Faulty<$inner> {
            $(async fn $name(&self, $($argument: $type),*) -> Result<$reply> {
                self.faults.through(concat!($engine, ".", stringify!($name)), self.inner.$name($($argument),*)).await
            })+
            $($rest)*
        }
    };
}

faulty! { Catalog as "catalog" over SqliteCatalog;
    async create_namespace(namespace: &Namespace, now: Timestamp) -> bool;
    async namespaces() -> Vec<Namespace>;
    async has_namespace(namespace: &Namespace) -> bool;
    async ensure_source(namespace: &Namespace, uri: &str, now: Timestamp) -> Source;
    async sources(namespace: &Namespace) -> Vec<Source>;
    async source_documents(namespace: &Namespace, source: SourceId) -> Vec<DocumentState>;
    async write(namespace: &Namespace, recipe: &str, writes: Vec<DocumentWrite>) -> WriteOutcome;
    async touch(namespace: &Namespace, states: &[DocumentState]) -> ();
    async remove(namespace: &Namespace, selector: &Selector) -> (WriteOutcome, Vec<String>);
    async hydrate(namespace: &Namespace, chunks: &[ChunkId]) -> Vec<Hydrated>;
    async document_chunks(namespace: &Namespace, documents: &[DocumentId]) -> Vec<Hydrated>;
    async document_by_uri(namespace: &Namespace, uri: &str) -> Option<Document>;
    async head() -> Lsn;
    async read_log(after: Lsn, limit: usize) -> Vec<LogEntry>;
    async project(documents: &[DocumentId]) -> Vec<ProjectedDocument>;
    async checkpoint(name: &str) -> Option<(Lsn, String)>;
    async set_checkpoint(name: &str, applied: Lsn, manifest: &str) -> ();
    async cached_vectors(model: &str, keys: &[EmbedKey]) -> HashMap<EmbedKey, Vec<f32>>;
    async cache_vectors(model: &str, vectors: Vec<(EmbedKey, Vec<f32>)>) -> ();
    async stats(namespace: &Namespace, model: &str) -> NamespaceStats;
    async remember_reply(namespace: &Namespace, key: &str, reply: &[u8], now: Timestamp) -> Vec<u8>;
    async set_standing(namespace: &Namespace, source: SourceId, standing: Standing, options: Option<&str>) -> ();
    async standing(standing: Standing) -> Vec<(Namespace, Source, String)>;
    async source_documents_at(namespace: &Namespace, source: SourceId, uris: &BTreeSet<String>) -> Vec<DocumentState>;
    async skipped(namespace: &Namespace, source: SourceId) -> Vec<Skipped>;
    async note_skipped(namespace: &Namespace, source: SourceId, skipped: &[Skipped], over: &[String]) -> ();
    async facts(namespace: &Namespace, documents: &[DocumentId]) -> Vec<StatedDocument>;
    async facts_after(namespace: &Namespace, after: i64, limit: usize) -> (Vec<StatedDocument>, i64);
    async drop_checkpoint(name: &str) -> ();
    async drop_vectors(model: &str) -> ();
    async held(namespace: &Namespace, documents: Option<&[DocumentId]>) -> Vec<HeldChunk>;
    async uris(namespace: &Namespace, documents: &[DocumentId]) -> HashMap<DocumentId, String>;
    async audit(model: &str, embedded: Lsn) -> Audit;
    async mend() -> ();
    async relog(namespace: &Namespace, documents: &[DocumentId]) -> Lsn;
    async prune_log(applied: Lsn) -> u64;
    async space() -> (u64, u64);
    async compact() -> ();
    async snapshot(target: &Path) -> Snapshot;
    async drop_replies(before: Timestamp) -> u64;
    async stored_reply(namespace: &Namespace, key: &str) -> Option<Vec<u8>>;
    rest {
        async fn documents_where(
            &self,
            namespace: &Namespace,
            keep: &(dyn for<'a> Fn(&'a str, &'a str) -> bool + Send + Sync),
            limit: usize,
        ) -> Result<Vec<DocumentId>> {
            self.faults.through("catalog.documents_where", self.inner.documents_where(namespace, keep, limit)).await
        }
    }
}

faulty! { VectorIndex as "vectors" over FakeVectorIndex;
    async upsert(points: Vec<VectorPoint>) -> ();
    async delete_documents(namespace: &Namespace, documents: &[DocumentId]) -> ();
    async delete_chunks(chunks: &[ChunkId]) -> ();
    async search(vector: Vec<f32>, filter: &Filter, limit: usize) -> Vec<Candidate>;
    async vectors(namespace: &Namespace, chunks: &[ChunkId]) -> HashMap<ChunkId, Vec<f32>>;
    async flush() -> ();
    async optimize() -> bool;
    async stats() -> VectorStats;
    async namespaces() -> Vec<Namespace>;
    async held(namespace: &Namespace, documents: Option<&[DocumentId]>) -> Vec<HeldChunk>;
    async compact() -> bool;
    rest {}
}

faulty! { Embedder as "embedder" over FakeEmbedder;
    async embed(texts: Vec<String>) -> Vec<Vec<f32>>;
    async embed_query(text: &str) -> Vec<f32>;
    rest {
        fn model(&self) -> &ModelInfo {
            self.inner.model()
        }

        fn counter(&self) -> Arc<dyn TokenCounter> {
            self.inner.counter()
        }
    }
}

impl Faulty<FakeLexicalIndex> {
    /// A change that fails takes everything since the last commit with it, as the contract says.
    async fn change(&self, method: &'static str, work: impl Future<Output = Result<()>>) -> Result<()> {
        let done = self.faults.through(method, work).await;
        if done.is_err() {
            self.inner.crash();
        }
        done
    }
}

#[async_trait]
impl LexicalIndex for Faulty<FakeLexicalIndex> {
    async fn replace(&self, documents: Vec<LexicalDocument>) -> Result<()> {
        self.change("lexical.replace", self.inner.replace(documents)).await
    }

    async fn delete_documents(&self, namespace: &Namespace, documents: &[DocumentId]) -> Result<()> {
        self.change("lexical.delete_documents", self.inner.delete_documents(namespace, documents)).await
    }

    async fn commit(&self, applied: Lsn) -> Result<()> {
        self.change("lexical.commit", self.inner.commit(applied)).await
    }

    fn applied(&self) -> Lsn {
        self.inner.applied()
    }

    async fn search(&self, query: &LexicalQuery, filter: &Filter, limit: usize) -> Result<Vec<Candidate>> {
        self.faults.through("lexical.search", self.inner.search(query, filter, limit)).await
    }

    async fn count(&self) -> Result<u64> {
        self.faults.through("lexical.count", self.inner.count()).await
    }

    async fn namespaces(&self) -> Result<Vec<Namespace>> {
        self.faults.through("lexical.namespaces", self.inner.namespaces()).await
    }

    async fn held(&self, namespace: &Namespace, documents: Option<&[DocumentId]>) -> Result<Vec<HeldChunk>> {
        self.faults.through("lexical.held", self.inner.held(namespace, documents)).await
    }

    async fn compact(&self) -> Result<bool> {
        self.faults.through("lexical.compact", self.inner.compact()).await
    }
}

impl Store for Faulty<Tree> {
    fn resolve(&self, address: &str) -> Result<String> {
        self.faults.through_blocking("store.resolve", || self.inner.resolve(address))
    }

    fn list(&self, source: &str, options: &ListOptions) -> Result<Listing> {
        self.faults.through_blocking("store.list", || self.inner.list(source, options))
    }

    fn list_at(&self, source: &str, options: &ListOptions, uris: &BTreeSet<String>) -> Result<Listing> {
        self.faults.through_blocking("store.list_at", || self.inner.list_at(source, options, uris))
    }

    fn read(&self, object: &Object, bytes_max: u64) -> Result<Vec<u8>> {
        self.faults.through_blocking("store.read", || self.inner.read(object, bytes_max))
    }

    fn stat(&self, uri: &str) -> Result<Option<Stat>> {
        self.faults.through_blocking("store.stat", || self.inner.stat(uri))
    }
}
