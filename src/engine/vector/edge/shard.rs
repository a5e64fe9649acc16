//! One namespace's qdrant-edge shard: made, opened, changed, flushed, its log kept short.
//!
//! Works around what the shard does not do by itself in 0.7.2; each place says what.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use qdrant_edge::{
    CountRequest, Distance, EdgeConfig, EdgeOptimizersConfig, EdgeShard, EdgeVectorParams, Filter as EdgeFilter,
    HnswIndexConfig, PointInsertOperations, PointOperations, QuantizationSearchParams, ScalarQuantizationConfig,
    ScalarType, ScrollRequest, SearchParams, SearchRequest, UpdateOperation, VectorStorageDatatype,
    VectorStructInternal, WalOptions, WithPayloadInterface, WithVector,
};

use super::marker::Marker;
use super::{UPSERT_POINTS, payload};
use crate::base::ChunkId;
use crate::base::error::{Context, Error, Kind, Result};
use crate::base::files::write_atomic;
use crate::model::{Candidate, HeldChunk, Namespace};

/// File that names the namespace. It is written at the first flush: a shard without it never held anything that counts.
const NAMESPACE: &str = "namespace";

/// Version of the shard's configuration; part of the manifest.
pub const CONFIG_VERSION: u32 = 2;

/// Points up to which a scan by int8 is preferred to the graph: at most 2.5 ms, without loss.
const FULL_SCAN_POINTS: usize = 20_000;

/// Points in a segment from which it gets a graph; without one they are scanned by their originals in half a
/// millisecond.
const INDEXING_POINTS: usize = 10_000;

/// Segments to aim at. Each costs a search of its own; fewer mean that larger ones are rebuilt more often.
const SEGMENTS: usize = 2;

/// Bytes of one file of the write-ahead log. It is not read at opening (the shard has no replay, and this project
/// replays from its own log), so it only has to be small.
const WAL_FILE_BYTES: usize = 1024 * 1024;

/// Share of deleted points at which a segment is rewritten, and points from which that is worth the while: a shard of
/// fewer takes a quarter of a megabyte.
const VACUUM_RATIO: f64 = 0.2;
/// See [`VACUUM_RATIO`].
const VACUUM_POINTS: usize = 100;

/// Points listed at a time.
const LIST_POINTS: usize = 4_096;

/// Tries of a flush that meets a segment swap, which lasts milliseconds.
const FLUSH_TRIES: u64 = 50;

/// Candidates by int8 for each result, to be scored again by the original.
const OVERSAMPLING: f64 = 1.5;

/// Least beam of a search. Where the index holds what is asked about, half of what [`beam`] gives would do; a question
/// about something else has only distant neighbours, which are hard to rank.
const EF_MIN: usize = 256;

/// How vectors are kept and linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tuning {
    /// Links per point.
    pub m: usize,
    /// Beam while building.
    pub ef_construct: usize,
    /// Threads of a build.
    pub threads: usize,
    /// Whether the originals are kept as 16-bit floats.
    pub half_floats: bool,
    /// Whether int8 copies in memory lead the search and originals only rescore.
    pub quantized: bool,
}

/// An open shard.
pub struct Shard {
    directory: PathBuf,
    namespace: Namespace,
    dimension: usize,
    /// `None` only while it is dropped.
    edge: Option<EdgeShard>,
    /// One change or flush at a time: a flush that meets an update panics.
    writes: Mutex<Marker>,
    /// Changed since the last flush.
    dirty: AtomicBool,
}

impl Shard {
    /// Opens the shard in `directory`; `None` if it was never flushed.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] with the cause.
    pub fn open(directory: &Path, config: EdgeConfig) -> Result<Option<Self>> {
        let corrupt = || format!("cannot open the vector index {}", directory.display());
        let name = match std::fs::read_to_string(directory.join(NAMESPACE)) {
            Ok(name) => name,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(Error::new(Kind::Corrupt, corrupt()).caused_by(cause)),
        };
        let namespace = Namespace::new(&name).context(Kind::Corrupt, corrupt)?;
        let loaded = catch_unwind(AssertUnwindSafe(|| EdgeShard::load(directory, Some(config))))
            .map_err(|panic| Error::new(Kind::Corrupt, corrupt()).caused_by(panic_text(panic.as_ref())))?;
        let edge = loaded.map_err(|cause| {
            // The lock of the log, which another process holds: no reason to throw the index away.
            let held = cause.to_string().contains("WouldBlock");
            Error::new(if held { Kind::Conflict } else { Kind::Corrupt }, corrupt()).caused_by(cause)
        })?;
        let shard = Self::of(directory, namespace, edge);
        let left = shard.writes.lock().unwrap_or_else(PoisonError::into_inner).points();
        if let Some(points) = left {
            catch_unwind(AssertUnwindSafe(|| shard.repair(points)))
                .map_err(|panic| Error::new(Kind::Corrupt, corrupt()).caused_by(panic_text(panic.as_ref())))?
                .context(Kind::Corrupt, corrupt)?;
        }
        Ok(Some(shard))
    }

    /// Makes a shard that was killed between a change and the next flush even with itself. What was changed since the last
    /// flush is replayed by the caller, so here it only must not stand in the way.
    fn repair(&self, points: u64) -> Result<()> {
        // Payloads without ids lie where the next points will. So many points take their places, and go with them.
        let mut ids = (1..=points).map(|number| payload::filler_id(u128::from(number))).peekable();
        while ids.peek().is_some() {
            let ids: Vec<_> = ids.by_ref().take(UPSERT_POINTS).collect();
            let fillers = ids.iter().map(|&id| payload::filler(id, self.dimension)).collect();
            self.change(PointOperations::UpsertPoints(PointInsertOperations::PointsList(fillers)))?;
            self.change(PointOperations::DeletePoints { ids })?;
        }
        for operation in payload::repair_operations()? {
            self.apply(operation)?;
        }
        self.flush()
    }

    /// Makes an empty shard in `directory`. What lies there is thrown away: an attempt that failed half-way.
    ///
    /// # Errors
    /// [`Kind::Precondition`] if it cannot be written.
    pub fn create(directory: &Path, namespace: Namespace, config: EdgeConfig) -> Result<Self> {
        let what = || format!("cannot make the vector index in {}: check permissions and space", directory.display());
        if directory.exists() {
            std::fs::remove_dir_all(directory).context(Kind::Precondition, what)?;
        }
        std::fs::create_dir_all(directory).context(Kind::Precondition, what)?;
        let edge = EdgeShard::new(directory, config).context(Kind::Precondition, what)?;
        for operation in payload::index_operations()? {
            edge.update(operation).context(Kind::Precondition, what)?;
        }
        Ok(Self::of(directory, namespace, edge))
    }

    fn of(directory: &Path, namespace: Namespace, edge: EdgeShard) -> Self {
        let (writes, dirty) = (Mutex::new(Marker::of(directory)), AtomicBool::new(true));
        let dimension = edge.config().vectors.get("").map_or(0, |vectors| vectors.size);
        Self { dimension, directory: directory.to_owned(), namespace, edge: Some(edge), writes, dirty }
    }

    /// Whose it is.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    fn edge(&self) -> Result<&EdgeShard> {
        self.edge.as_ref().ok_or_else(|| Error::new(Kind::Unavailable, "the vector index is closed"))
    }

    /// Applies one operation.
    ///
    /// # Errors
    /// [`Kind::Internal`] with the cause.
    pub fn change(&self, operation: PointOperations) -> Result<()> {
        self.apply(UpdateOperation::PointOperation(operation))
    }

    fn apply(&self, operation: UpdateOperation) -> Result<()> {
        let points = match &operation {
            UpdateOperation::PointOperation(PointOperations::UpsertPoints(PointInsertOperations::PointsList(list))) => {
                list.len() as u64
            }
            _ => 0,
        };
        let mut marker = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        marker.note(points)?;
        self.dirty.store(true, Ordering::Release);
        self.edge()?.update(operation).context(Kind::Internal, || {
            format!("cannot write the vector index {}: check the space on its disk", self.directory.display())
        })
    }

    /// The `limit` best points that pass `filter`, in no order.
    ///
    /// # Errors
    /// [`Kind::Internal`] with the cause.
    pub fn search(&self, vector: Vec<f32>, filter: Option<EdgeFilter>, limit: usize) -> Result<Vec<Candidate>> {
        let edge = self.edge()?;
        let what = || format!("cannot search the vector index {}", self.directory.display());
        // The graph loses recall under filters that go together with the vectors (a language, a folder), so they never
        // use it. Few points are scanned by int8 anyway; for many that has to be asked for, and reads the originals:
        // about 0.1 µs each.
        let exact = match &filter {
            Some(filter) => {
                let request = CountRequest { filter: Some(filter.clone()), exact: false };
                2 * edge.count(request).context(Kind::Internal, what)? > FULL_SCAN_POINTS
            }
            None => false,
        };
        let int8 = QuantizationSearchParams { ignore: false, rescore: Some(true), oversampling: Some(OVERSAMPLING) };
        let params =
            SearchParams { hnsw_ef: Some(beam(limit)), exact, quantization: Some(int8), ..SearchParams::default() };
        let request = SearchRequest {
            query: vector.into(),
            filter,
            params: Some(params),
            limit,
            offset: 0,
            with_payload: None,
            with_vector: None,
            score_threshold: None,
        };
        let found = edge.search(request).context(Kind::Internal, what)?;
        found
            .into_iter()
            .map(|point| Ok(Candidate { chunk: payload::chunk_id(point.id)?, score: point.score }))
            .collect()
    }

    /// The vectors of these chunks, as far as they are there.
    ///
    /// # Errors
    /// [`Kind::Internal`] with the cause.
    pub fn vectors(&self, chunks: &[ChunkId]) -> Result<HashMap<ChunkId, Vec<f32>>> {
        let what = || format!("cannot read the vector index {}", self.directory.display());
        let ids: Vec<_> = chunks.iter().map(|chunk| payload::point_id(*chunk)).collect();
        let nothing = Some(WithPayloadInterface::Bool(false));
        let records =
            self.edge()?.retrieve(&ids, nothing, Some(WithVector::Bool(true))).context(Kind::Internal, what)?;
        let mut vectors = HashMap::with_capacity(records.len());
        for record in records {
            if let Some(VectorStructInternal::Single(vector)) = record.vector {
                vectors.insert(payload::chunk_id(record.id)?, vector);
            }
        }
        Ok(vectors)
    }

    /// Builds what is missing of the graph; searches and changes go on meanwhile. Returns whether there was work.
    ///
    /// # Errors
    /// [`Kind::Internal`] with the cause.
    pub fn optimize(&self) -> Result<bool> {
        let what = || format!("cannot optimise the vector index {}", self.directory.display());
        let worked = self.edge()?.optimize().context(Kind::Internal, what)?;
        self.dirty.fetch_or(worked, Ordering::AcqRel);
        Ok(worked)
    }

    /// Rewrites every segment that holds anything deleted; returns whether there was work.
    ///
    /// # Errors
    /// [`Kind::Internal`] with the cause.
    pub fn compact(&self) -> Result<bool> {
        let what = || format!("cannot compact the vector index {}", self.directory.display());
        let edge = self.edge()?;
        let usual = edge.config().optimizers.clone();
        let strict =
            EdgeOptimizersConfig { deleted_threshold: Some(0.0), vacuum_min_vector_number: Some(1), ..usual.clone() };
        edge.set_optimizers_config(strict).context(Kind::Internal, what)?;
        let worked = self.optimize();
        edge.set_optimizers_config(usual).context(Kind::Internal, what)?;
        worked
    }

    /// The points that pass `filter`.
    ///
    /// # Errors
    /// [`Kind::Internal`] with the cause; [`Kind::Corrupt`] for a point that this index never wrote.
    pub fn held(&self, filter: Option<EdgeFilter>) -> Result<Vec<HeldChunk>> {
        let what = || format!("cannot list the vector index {}", self.directory.display());
        let edge = self.edge()?;
        let (mut held, mut offset) = (Vec::new(), None);
        loop {
            let request = ScrollRequest {
                offset,
                limit: Some(LIST_POINTS),
                filter: filter.clone(),
                with_payload: Some(payload::with_document()?),
                with_vector: WithVector::Bool(false),
                order_by: None,
            };
            let (records, next) = edge.scroll(request).context(Kind::Internal, what)?;
            for record in records {
                let document = payload::document_of(record.payload.as_ref());
                held.push(HeldChunk { document, chunk: payload::chunk_id(record.id)? });
            }
            if next.is_none() {
                return Ok(held);
            }
            offset = next;
        }
    }

    /// Points, and those of them in a graph.
    ///
    /// # Errors
    /// [`Kind::Internal`] with the cause.
    pub fn counts(&self) -> Result<(u64, u64)> {
        let edge = self.edge()?;
        let what = || format!("cannot count the vector index {}", self.directory.display());
        let points = edge.count(CountRequest { filter: None, exact: true }).context(Kind::Internal, what)? as u64;
        Ok((points, (edge.info().indexed_vectors_count as u64).min(points)))
    }

    /// Makes all changes durable.
    ///
    /// # Errors
    /// [`Kind::Internal`] with the cause.
    pub fn flush(&self) -> Result<()> {
        let mut marker = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.dirty.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let flushed = self.flush_edge().and_then(|()| self.mark()).and_then(|()| self.trim_log());
        let flushed = flushed.and_then(|()| marker.clear());
        if flushed.is_err() {
            self.dirty.store(true, Ordering::Release);
        }
        flushed
    }

    /// The shard's own flush panics on failure, and also when it meets the moment in which an optimised segment is
    /// swapped in; the latter passes.
    fn flush_edge(&self) -> Result<()> {
        let edge = self.edge()?;
        let mut cause = String::new();
        for attempt in 1..=FLUSH_TRIES {
            match catch_unwind(AssertUnwindSafe(|| edge.flush())) {
                Ok(()) => return Ok(()),
                Err(panic) => cause = panic_text(panic.as_ref()),
            }
            if !cause.contains("lock acquired") {
                break;
            }
            std::thread::sleep(Duration::from_millis(attempt));
        }
        let message =
            format!("cannot flush the vector index {}: check the space on its disk", self.directory.display());
        Err(Error::internal(message).caused_by(cause))
    }

    fn mark(&self) -> Result<()> {
        let path = self.directory.join(NAMESPACE);
        if path.exists() { Ok(()) } else { write_atomic(&path, self.namespace.as_str().as_bytes()) }
    }

    /// Frees the closed files of the write-ahead log but the newest, which carries the numbering on.
    ///
    /// The shard never acknowledges its log, so it would keep every vector ever written, once more and in CBOR. Closed
    /// files are not read again while it runs; they stay mapped, so they are emptied to free their space and then
    /// unlinked. The newest may still be on its way to the disk in another thread.
    fn trim_log(&self) -> Result<()> {
        let directory = self.directory.join("wal");
        let what = || format!("cannot shorten the log in {}", directory.display());
        let mut closed: Vec<(u64, PathBuf)> = Vec::new();
        for entry in std::fs::read_dir(&directory).context(Kind::Internal, what)? {
            let path = entry.context(Kind::Internal, what)?.path();
            let start = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix("closed-"));
            if let Some(start) = start.and_then(|start| start.parse().ok()) {
                closed.push((start, path));
            }
        }
        closed.sort_unstable();
        closed.pop();
        for (_, path) in closed {
            let file = std::fs::OpenOptions::new().write(true).open(&path).context(Kind::Internal, what)?;
            std::fs::remove_file(&path).context(Kind::Internal, what)?;
            file.set_len(0).context(Kind::Internal, what)?;
        }
        Ok(())
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        let edge = self.edge.take();
        // It flushes when dropped and panics if that fails. What the caller needs durable it has flushed itself.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(edge))) {
            // The first line: the rest is a dump of the lock or the error's insides.
            let cause = panic_text(panic.as_ref());
            tracing::warn!(
                cause = cause.lines().next().unwrap_or_default(),
                "the vector index was not flushed when it was closed"
            );
        }
    }
}

/// Beam of a search for `limit` points.
pub fn beam(limit: usize) -> usize {
    EF_MIN.max(4 * limit)
}

/// The configuration of a shard.
pub fn config(dimension: usize, tuning: Tuning) -> EdgeConfig {
    let mut vectors = EdgeVectorParams::builder(dimension, Distance::Dot).on_disk(true);
    if tuning.half_floats {
        vectors = vectors.datatype(VectorStorageDatatype::Float16);
    }
    // Qdrant wants its thresholds as kilobytes of stored vectors.
    let value_bytes = if tuning.half_floats { 2 } else { 4 };
    let kilobytes = |points: usize| (points * dimension * value_bytes / 1_024).max(1);
    let hnsw = HnswIndexConfig {
        m: tuning.m,
        ef_construct: tuning.ef_construct,
        full_scan_threshold: kilobytes(FULL_SCAN_POINTS),
        max_indexing_threads: tuning.threads,
        on_disk: Some(false),
        payload_m: None,
        inline_storage: None,
    };
    let optimizers = EdgeOptimizersConfig {
        default_segment_number: Some(SEGMENTS),
        indexing_threshold: Some(kilobytes(INDEXING_POINTS)),
        // No upper bound; qdrant multiplies it by 1,024.
        max_segment_size: Some(usize::MAX / 4_096),
        deleted_threshold: Some(VACUUM_RATIO),
        vacuum_min_vector_number: Some(VACUUM_POINTS),
        ..EdgeOptimizersConfig::default()
    };
    let wal = WalOptions { segment_capacity: WAL_FILE_BYTES, ..WalOptions::default() };
    let mut builder = EdgeConfig::builder()
        .vector("", vectors.build())
        .hnsw_config(hnsw)
        .optimizers(optimizers)
        .on_disk_payload(true)
        .wal_options(wal);
    if tuning.quantized {
        let int8 = ScalarQuantizationConfig { r#type: ScalarType::Int8, quantile: Some(0.99), always_ram: Some(true) };
        builder = builder.quantization_config(int8.into());
    }
    builder.build()
}

/// What a panic said.
fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a text").to_owned()
}
