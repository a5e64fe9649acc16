//! The life of a qdrant-edge shard on disk: made, opened, flushed, its log kept short.
//!
//! Works around what the shard does not do by itself in 0.7.2; each place says what.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use qdrant_edge::{
    Distance, EdgeConfig, EdgeOptimizersConfig, EdgeShard, EdgeVectorParams, HnswIndexConfig, ScalarQuantizationConfig,
    ScalarType, UpdateOperation, VectorStorageDatatype, WalOptions,
};

use super::payload;
use crate::base::error::{Context, Error, Kind, Result};
use crate::base::files::write_atomic;

/// File beside the shard that says what it was made for.
const MANIFEST: &str = "manifest.json";

/// Version of the shard's configuration; part of the manifest.
const CONFIG_VERSION: u32 = 1;

/// Kilobytes of vectors up to which a scan is preferred to the graph: 20,000 vectors of 384 dimensions, scanned by
/// their int8 forms in under a millisecond and without any loss. Filters that let fewer points through never depend on
/// the graph.
const FULL_SCAN_KB: usize = 30_000;

/// Kilobytes of vectors in a segment from which it gets a graph: 6,600 vectors of 384 dimensions.
const INDEXING_KB: usize = 10_000;

/// Segments to aim at. Each costs a search of its own; fewer mean that larger ones are rebuilt more often.
const SEGMENTS: usize = 2;

/// Bytes of one file of the write-ahead log. It is not read at opening (the shard has no replay, and this project
/// replays from its own log), so it only has to be small.
const WAL_FILE_BYTES: usize = 4 * 1024 * 1024;

/// Tries of a flush that meets a segment swap, which lasts milliseconds.
const FLUSH_TRIES: usize = 50;

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

/// A shard directory.
pub struct Place {
    directory: PathBuf,
    manifest: String,
}

impl Place {
    /// Names a place; nothing is touched.
    pub fn new(directory: &Path, dimension: usize, model: &str, tuning: Tuning) -> Self {
        let Tuning { m, ef_construct, half_floats, quantized, threads: _ } = tuning;
        let payload = payload::PAYLOAD_VERSION;
        let manifest = format!(
            "{{\"engine\":\"qdrant-edge 0.7\",\"config\":{CONFIG_VERSION},\"payload\":{payload},\"dimension\":{dimension},\
             \"model\":{model:?},\"m\":{m},\"ef_construct\":{ef_construct},\"half\":{half_floats},\
             \"quantized\":{quantized}}}\n"
        );
        Self { directory: directory.to_owned(), manifest }
    }

    fn shard(&self) -> PathBuf {
        self.directory.join("shard")
    }

    /// Opens the shard if it is whole and was made for the same purpose. `Ok(None)` where there is none.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] with the cause; then [`Self::create`] is the way on. Others if it is in use.
    pub fn open(&self, config: EdgeConfig) -> Result<Option<EdgeShard>> {
        let path = self.directory.join(MANIFEST);
        let found = match std::fs::read_to_string(&path) {
            Ok(found) => found,
            // No manifest: never flushed, so nothing in it counts.
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => {
                return Err(Error::new(Kind::Corrupt, format!("cannot read {}", path.display())).caused_by(cause));
            }
        };
        if found != self.manifest {
            return Err(Error::new(Kind::Corrupt, format!("made for something else: {}", found.trim())));
        }
        let shard = self.shard();
        let opened = catch_unwind(AssertUnwindSafe(|| EdgeShard::load(&shard, Some(config))))
            .map_err(|cause| Error::new(Kind::Corrupt, format!("opening it failed: {}", panic_text(cause.as_ref()))))?;
        opened.map(Some).context(Kind::Corrupt, || format!("cannot open the vector index {}", shard.display()))
    }

    /// Removes what is there and makes an empty shard. It counts as new until [`Self::mark_flushed`].
    ///
    /// # Errors
    /// [`Kind::Precondition`] if the directory cannot be written.
    pub fn create(&self, config: EdgeConfig) -> Result<EdgeShard> {
        let shard = self.shard();
        let what = || format!("cannot make the vector index in {}: check permissions and space", shard.display());
        if self.directory.exists() {
            std::fs::remove_dir_all(&self.directory).context(Kind::Precondition, what)?;
        }
        std::fs::create_dir_all(&shard).context(Kind::Precondition, what)?;
        let made = EdgeShard::new(&shard, config).context(Kind::Precondition, what)?;
        for operation in payload::index_operations()? {
            made.update(operation).context(Kind::Precondition, what)?;
        }
        Ok(made)
    }

    /// Says that the shard holds what was flushed. The manifest is written only now, so that a crash before the first
    /// flush leaves a shard that is new again.
    ///
    /// # Errors
    /// [`Kind::Internal`] if it cannot be written.
    pub fn mark_flushed(&self) -> Result<()> {
        let path = self.directory.join(MANIFEST);
        if path.exists() { Ok(()) } else { write_atomic(&path, self.manifest.as_bytes()) }
    }

    /// Frees the closed files of the write-ahead log but the newest, which carries the numbering on.
    ///
    /// The shard never acknowledges its log, so it would keep every vector ever written, once more and in CBOR. Closed
    /// files are not read again while it runs; they stay mapped, so they are emptied to free their space and then
    /// unlinked. The newest may still be on its way to the disk in another thread.
    ///
    /// # Errors
    /// [`Kind::Internal`] if a file cannot be removed.
    pub fn trim_log(&self) -> Result<()> {
        let directory = self.shard().join("wal");
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

/// The configuration of a shard.
pub fn config(dimension: usize, tuning: Tuning) -> EdgeConfig {
    let mut vectors = EdgeVectorParams::builder(dimension, Distance::Dot).on_disk(true);
    if tuning.half_floats {
        vectors = vectors.datatype(VectorStorageDatatype::Float16);
    }
    let hnsw = HnswIndexConfig {
        m: tuning.m,
        ef_construct: tuning.ef_construct,
        full_scan_threshold: FULL_SCAN_KB,
        max_indexing_threads: tuning.threads,
        on_disk: Some(false),
        payload_m: None,
        inline_storage: None,
    };
    let optimizers = EdgeOptimizersConfig {
        default_segment_number: Some(SEGMENTS),
        indexing_threshold: Some(INDEXING_KB),
        max_segment_size: Some(usize::MAX / 4096),
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

/// Applies one operation.
///
/// # Errors
/// [`Kind::Internal`] with the cause.
pub fn update(shard: &EdgeShard, operation: UpdateOperation) -> Result<()> {
    shard.update(operation).context(Kind::Internal, || {
        format!("cannot write the vector index {}: check the space on its disk", shard.path().display())
    })
}

/// Makes everything durable. No update may run at the same time.
///
/// The shard's own flush panics on failure, and also when it meets the moment in which an optimised segment is swapped
/// in; the latter passes.
///
/// # Errors
/// [`Kind::Internal`] with the cause.
pub fn flush(shard: &EdgeShard) -> Result<()> {
    let mut cause = String::new();
    for attempt in 0..FLUSH_TRIES {
        match catch_unwind(AssertUnwindSafe(|| shard.flush())) {
            Ok(()) => return Ok(()),
            Err(panic) => cause = panic_text(panic.as_ref()),
        }
        if !cause.contains("lock acquired") {
            break;
        }
        std::thread::sleep(Duration::from_millis(1 + attempt as u64));
    }
    let message = format!("cannot flush the vector index {}: check the space on its disk", shard.path().display());
    Err(Error::internal(message).caused_by(cause))
}

/// What a panic said.
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a text").to_owned()
}
