//! The vector index on qdrant-edge: a shard per namespace, all in one directory.
//!
//! A shard of its own makes a namespace's wall a matter of structure, and keeps its graph whole: a search that skips
//! foreign points on a shared graph loses its way where namespaces hold different things. Originals are mapped from
//! disk; int8 copies and the graph are in memory, and the best candidates by int8 are scored again by their originals.
//! A projection: what cannot be read, or was made for another model, is thrown away, and the caller is told to fill it
//! again.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use qdrant_edge::{EdgeConfig, PointInsertOperations, PointOperations};

use super::{VectorIndex, VectorPoint, VectorStats};
use crate::base::blocking::Door;
use crate::base::error::{Context, Error, Kind, Result};
use crate::base::files::write_atomic;
use crate::base::{ChunkId, ContentHash, DocumentId};
use crate::model::{Candidate, Filter, HeldChunk, Namespace};

mod marker;
mod payload;
mod shard;

use payload::Compiled;
use shard::Shard;
pub use shard::{Tuning, beam};

/// File that says what the index was made for.
const MANIFEST: &str = "manifest.json";

/// Points of one operation on a shard: a segment is locked against searches meanwhile, about 3 ms for so many.
const UPSERT_POINTS: usize = 256;

/// Ids of one deletion or listing.
const DELETE_IDS: usize = 1_024;

/// What can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgeSettings {
    /// How vectors are kept and linked.
    pub tuning: Tuning,
}

impl Default for EdgeSettings {
    fn default() -> Self {
        // One thread: a build must leave a core to searches. 100,000 × 384 on clustered vectors: recall@100 .9998 at
        // 0.8 ms, 24 s to build, 84 MB of memory and 75 MB of evictable pages; 32-bit originals double the pages and
        // gain nothing, and without int8 a build takes 38 s and a cold start reads the disk at every step of a search.
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
    directory: PathBuf,
    manifest: String,
    dimension: usize,
    config: EdgeConfig,
    shards: RwLock<BTreeMap<Namespace, Arc<Shard>>>,
}

impl EdgeIndex {
    /// Opens the index in `directory` for vectors of `model`, or makes an empty one there.
    ///
    /// Blocks; call it at start or through the door.
    ///
    /// # Errors
    /// [`Kind::Precondition`] if the directory cannot be written.
    pub fn open(directory: &Path, dimension: usize, model: &str, settings: EdgeSettings, door: Door) -> Result<Opened> {
        let mut inner = Inner {
            directory: directory.to_owned(),
            manifest: manifest(dimension, model, settings.tuning),
            dimension,
            config: shard::config(dimension, settings.tuning),
            shards: RwLock::default(),
        };
        let opened = match inner.open_existing() {
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
        match opened {
            Some(shards) => inner.shards = RwLock::new(shards),
            None => inner.wipe()?,
        }
        Ok(Opened { index: Self { inner: Arc::new(inner), door, builds: Door::new(1) }, fresh })
    }

    async fn run<T: Send + 'static>(&self, job: impl FnOnce(&Inner) -> Result<T> + Send + 'static) -> Result<T> {
        let inner = Arc::clone(&self.inner);
        self.door.run(move || job(&inner)).await
    }
}

fn manifest(dimension: usize, model: &str, tuning: Tuning) -> String {
    let Tuning { m, ef_construct, half_floats, quantized, threads: _ } = tuning;
    let (config, payload) = (shard::CONFIG_VERSION, payload::PAYLOAD_VERSION);
    format!(
        "{{\"engine\":\"qdrant-edge 0.7\",\"config\":{config},\"payload\":{payload},\"dimension\":{dimension},\
         \"model\":{model:?},\"m\":{m},\"ef_construct\":{ef_construct},\"half\":{half_floats},\
         \"quantized\":{quantized}}}\n"
    )
}

/// Opening and closing.
impl Inner {
    /// The shards as they were flushed; `None` where nothing ever was.
    fn open_existing(&self) -> Result<Option<BTreeMap<Namespace, Arc<Shard>>>> {
        let corrupt = || format!("cannot read the vector index {}", self.directory.display());
        let found = match std::fs::read_to_string(self.directory.join(MANIFEST)) {
            Ok(found) => found,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(Error::new(Kind::Corrupt, corrupt()).caused_by(cause)),
        };
        if found != self.manifest {
            return Err(Error::new(Kind::Corrupt, format!("made for something else: {}", found.trim())));
        }
        let mut shards = BTreeMap::new();
        for entry in std::fs::read_dir(&self.directory).context(Kind::Corrupt, corrupt)? {
            let path = entry.context(Kind::Corrupt, corrupt)?.path();
            if !path.is_dir() {
                continue;
            }
            match Shard::open(&path, self.config.clone())? {
                Some(shard) => {
                    shards.insert(shard.namespace().clone(), Arc::new(shard));
                }
                None => std::fs::remove_dir_all(&path).context(Kind::Precondition, || {
                    format!("cannot remove {}, which was never flushed: check permissions", path.display())
                })?,
            }
        }
        Ok(Some(shards))
    }

    fn wipe(&self) -> Result<()> {
        let directory = &self.directory;
        let what = || format!("cannot make the vector index {}: check permissions and space", directory.display());
        if directory.exists() {
            std::fs::remove_dir_all(directory).context(Kind::Precondition, what)?;
        }
        std::fs::create_dir_all(directory).context(Kind::Precondition, what)
    }

    fn shard(&self, namespace: &Namespace) -> Option<Arc<Shard>> {
        self.shards.read().unwrap_or_else(PoisonError::into_inner).get(namespace).cloned()
    }

    fn all_shards(&self) -> Vec<Arc<Shard>> {
        self.shards.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn shard_or_new(&self, namespace: &Namespace) -> Result<Arc<Shard>> {
        if let Some(shard) = self.shard(namespace) {
            return Ok(shard);
        }
        let mut shards = self.shards.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(shard) = shards.get(namespace) {
            return Ok(Arc::clone(shard));
        }
        // By hash: a namespace may be longer than a file name and may hold slashes.
        let name = ContentHash::of(namespace.as_str().as_bytes()).to_string();
        let shard = Shard::create(&self.directory.join(&name[..32]), namespace.clone(), self.config.clone())?;
        let shard = Arc::new(shard);
        shards.insert(namespace.clone(), Arc::clone(&shard));
        Ok(shard)
    }
}

/// The work behind the trait.
impl Inner {
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

    fn upsert(&self, points: Vec<VectorPoint>) -> Result<()> {
        points.iter().try_for_each(|point| self.check(&point.vector))?;
        let mut by_namespace: BTreeMap<Namespace, Vec<VectorPoint>> = BTreeMap::new();
        for point in points {
            by_namespace.entry(point.namespace.clone()).or_default().push(point);
        }
        for (namespace, points) in by_namespace {
            let shard = self.shard_or_new(&namespace)?;
            let mut points = points.into_iter().map(payload::point).peekable();
            while points.peek().is_some() {
                let batch = points.by_ref().take(UPSERT_POINTS).collect();
                shard.change(PointOperations::UpsertPoints(PointInsertOperations::PointsList(batch)))?;
            }
        }
        Ok(())
    }

    fn delete_documents(&self, namespace: &Namespace, documents: &[DocumentId]) -> Result<()> {
        let Some(shard) = self.shard(namespace) else { return Ok(()) };
        for documents in documents.chunks(DELETE_IDS) {
            shard.change(PointOperations::DeletePointsByFilter(payload::of_documents(documents)?))?;
        }
        Ok(())
    }

    fn delete_chunks(&self, chunks: &[ChunkId]) -> Result<()> {
        for shard in self.all_shards() {
            for chunks in chunks.chunks(DELETE_IDS) {
                let ids = chunks.iter().map(|&chunk| payload::point_id(chunk)).collect();
                shard.change(PointOperations::DeletePoints { ids })?;
            }
        }
        Ok(())
    }

    fn search(&self, vector: Vec<f32>, filter: &Filter, limit: usize) -> Result<Vec<Candidate>> {
        self.check(&vector)?;
        let Some(shard) = self.shard(&filter.namespace).filter(|_| limit > 0) else { return Ok(Vec::new()) };
        let mut candidates = match payload::compile(filter)? {
            Compiled::All => shard.search(vector, None, limit)?,
            Compiled::Some(filter) => shard.search(vector, Some(filter), limit)?,
            Compiled::None => Vec::new(),
        };
        candidates.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.chunk.cmp(&b.chunk)));
        Ok(candidates)
    }

    fn flush(&self) -> Result<()> {
        self.all_shards().iter().try_for_each(|shard| shard.flush())?;
        // Last, and only once: a crash before the first flush leaves an index that is new again.
        let path = self.directory.join(MANIFEST);
        if path.exists() { Ok(()) } else { write_atomic(&path, self.manifest.as_bytes()) }
    }

    fn optimize(&self) -> Result<bool> {
        self.all_shards().iter().try_fold(false, |worked, shard| Ok(shard.optimize()? || worked))
    }

    fn held(&self, namespace: &Namespace, documents: Option<&[DocumentId]>) -> Result<Vec<HeldChunk>> {
        let Some(shard) = self.shard(namespace) else { return Ok(Vec::new()) };
        let Some(documents) = documents else { return shard.held(None) };
        let mut held = Vec::new();
        for documents in documents.chunks(DELETE_IDS) {
            held.extend(shard.held(Some(payload::of_documents(documents)?))?);
        }
        Ok(held)
    }

    fn compact(&self) -> Result<bool> {
        self.all_shards().iter().try_fold(false, |worked, shard| Ok(shard.compact()? || worked))
    }

    fn stats(&self) -> Result<VectorStats> {
        self.all_shards().iter().try_fold(VectorStats::default(), |sum, shard| {
            let (points, indexed) = shard.counts()?;
            Ok(VectorStats { points: sum.points + points, indexed_points: sum.indexed_points + indexed })
        })
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
        self.door.run_here(|| self.inner.search(vector, filter, limit)).await
    }

    async fn vectors(&self, namespace: &Namespace, chunks: &[ChunkId]) -> Result<HashMap<ChunkId, Vec<f32>>> {
        let Some(shard) = self.inner.shard(namespace) else { return Ok(HashMap::new()) };
        self.door.run_here(|| shard.vectors(chunks)).await
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

    async fn namespaces(&self) -> Result<Vec<Namespace>> {
        Ok(self.inner.all_shards().iter().map(|shard| shard.namespace().clone()).collect())
    }

    async fn held(&self, namespace: &Namespace, documents: Option<&[DocumentId]>) -> Result<Vec<HeldChunk>> {
        let (namespace, documents) = (namespace.clone(), documents.map(<[DocumentId]>::to_vec));
        self.run(move |inner| inner.held(&namespace, documents.as_deref())).await
    }

    async fn compact(&self) -> Result<bool> {
        let inner = Arc::clone(&self.inner);
        self.builds.run(move || inner.compact()).await
    }
}

#[cfg(test)]
mod tests;
