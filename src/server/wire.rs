//! The one composition root: which backend stands behind each engine trait.

use std::path::Path;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::config::Config;
use crate::base::Lsn;
use crate::base::blocking::Door;
use crate::base::clock::SystemClock;
use crate::base::error::{Error, Kind, Result};
use crate::base::files::DirLock;
use crate::engine::catalog::Catalog;
use crate::engine::catalog::sqlite::SqliteCatalog;
use crate::engine::embed::Embedder;
use crate::engine::embed::local::LocalEmbedder;
use crate::engine::lexical::LexicalIndex;
use crate::engine::lexical::tantivy::{TantivyIndex, TantivySettings};
use crate::engine::store::local::LocalStore;
use crate::engine::vector::edge::{EdgeIndex, EdgeSettings, Opened};
use crate::flow::Engines;
use crate::flow::access::Access;
use crate::flow::apply::{Projector, VECTOR_CHECKPOINT};
use crate::flow::forget;
use crate::flow::turns::Turns;
use crate::rpc;

/// Blocking jobs of the flows at a time, per core: they mix reading and computing.
const FLOW_JOBS_PER_CORE: usize = 4;
/// Searches of one index at a time, per core.
const INDEX_JOBS_PER_CORE: usize = 2;

/// A running set of engines and followers, holding the data directory.
pub struct Assembly {
    /// For the services.
    pub context: rpc::Context,
    followers: Vec<JoinHandle<()>>,
    _lock: DirLock,
}

impl Assembly {
    /// Opens everything in the configured data directory.
    ///
    /// # Errors
    /// Conflict if another process holds the directory; precondition for a missing model; those of the engines.
    pub async fn open(config: &Config) -> Result<Self> {
        let lock = DirLock::acquire(&config.data_dir)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let door = Door::new(cores * FLOW_JOBS_PER_CORE);
        let index_door = || Door::new(cores * INDEX_JOBS_PER_CORE);
        let options = config.embedder.clone();
        let embedder = Arc::new(door.run(move || LocalEmbedder::load(&options)).await?);
        check_sizes(config, embedder.model().tokens_max)?;

        let dir = &config.data_dir;
        let catalog = SqliteCatalog::open(&dir.join("catalog.sqlite")).await?;
        let manifest = format!("{} dimension {}", embedder.model().key(), embedder.model().dimension);
        let vectors = open_vectors(dir, embedder.model().dimension, manifest.clone(), &door, index_door()).await?;
        if vectors.fresh {
            catalog.set_checkpoint(VECTOR_CHECKPOINT, Lsn(0), &manifest).await?;
        }
        let lexical = open_lexical(dir, catalog.head().await?, &door, index_door()).await?;
        let engines = Engines {
            catalog: Arc::new(catalog),
            vectors: Arc::new(vectors.index),
            lexical: Arc::new(lexical),
            embedder,
            store: Arc::new(LocalStore::new(config.roots.clone())),
            clock: Arc::new(SystemClock),
            door,
            sizes: config.chunks,
            turns: Turns::default(),
        };
        let (projector, mut followers) = Projector::start(engines.clone(), manifest).await?;
        followers.push(tokio::spawn(forget::sweep_forever(engines.clone(), Arc::clone(&projector))));
        let context = rpc::Context {
            engines,
            projector,
            access: Access::new(config.token.clone()),
            replies: Arc::default(),
            data_dir: Arc::new(config.data_dir.clone()),
        };
        Ok(Self { context, followers, _lock: lock })
    }

    /// Stops the followers after a last commit and flush.
    ///
    /// # Errors
    /// Internal if a follower panicked.
    pub async fn close(self) -> Result<()> {
        self.context.projector.stop();
        for follower in self.followers {
            follower.await.map_err(|cause| Error::internal("a follower of the log ended early").caused_by(cause))?;
        }
        Ok(())
    }
}

/// Chunk and header together have to fit what the model reads, or their ends would silently not be embedded.
fn check_sizes(config: &Config, model_reads: usize) -> Result<()> {
    let wanted = config.chunks.tokens_max + config.chunks.header_tokens_max + 2;
    if wanted > model_reads {
        return Err(Error::new(
            Kind::Precondition,
            format!(
                "bad configuration: chunks.tokens_max + chunks.header_tokens_max + 2 is {wanted}, but the model reads \
                 {model_reads} tokens: lower one of them"
            ),
        ));
    }
    Ok(())
}

async fn open_vectors(dir: &Path, dimension: usize, manifest: String, door: &Door, own: Door) -> Result<Opened> {
    let path = dir.join("vector");
    door.run(move || EdgeIndex::open(&path, dimension, &manifest, EdgeSettings::default(), own)).await
}

/// Opens the lexical index; one that is ahead of the catalogue belongs to another one and is built anew.
async fn open_lexical(dir: &Path, head: Lsn, door: &Door, own: Door) -> Result<TantivyIndex> {
    let path = dir.join("lexical");
    door.run(move || {
        let index = TantivyIndex::open(&path, TantivySettings::default(), own.clone())?;
        if index.applied() <= head {
            return Ok(index);
        }
        tracing::warn!("the lexical index is ahead of the catalogue: it is built anew");
        drop(index);
        std::fs::remove_dir_all(&path)
            .map_err(|cause| Error::internal(format!("cannot remove {}", path.display())).caused_by(cause))?;
        TantivyIndex::open(&path, TantivySettings::default(), own)
    })
    .await
}
