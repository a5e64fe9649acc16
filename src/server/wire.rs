//! The one composition root: which backend stands behind each engine trait.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::config::Config;
use super::restore::RESTORE_PREFIX;
use crate::base::Lsn;
use crate::base::blocking::Door;
use crate::base::clock::SystemClock;
use crate::base::error::{Context, Error, Kind, Result};
use crate::base::files::{self, DirLock};
use crate::engine::catalog::sqlite::SqliteCatalog;
use crate::engine::catalog::{Catalog, Inventory, Registry, Runs as RunStore};
use crate::engine::embed::Embedder;
use crate::engine::embed::local::{LocalEmbedder, LocalOptions, ModelSource};
use crate::engine::embed::recent::RecentQueries;
use crate::engine::lexical::LexicalIndex;
use crate::engine::lexical::tantivy::{TantivyIndex, TantivySettings};
use crate::engine::store::Store;
use crate::engine::store::cloud::CloudStore;
use crate::engine::store::fetch::Fetcher;
use crate::engine::store::git::GitStore;
use crate::engine::store::github::GithubStore;
use crate::engine::store::http::HttpStore;
use crate::engine::store::line::Line;
use crate::engine::store::local::LocalStore;
use crate::engine::store::local_watch::LocalWatcher;
use crate::engine::store::sql::SqlStore;
use crate::engine::store::sql::postgres::Postgres;
use crate::engine::store::sql::sqlite::Sqlite;
use crate::engine::store::stores::Stores;
use crate::engine::store::web::WebStore;
use crate::engine::tokens::Counters;
use crate::engine::vector::VectorIndex;
use crate::engine::vector::edge::{EdgeIndex, EdgeSettings, Opened};
use crate::flow::access::Access;
use crate::flow::apply::Projector;
use crate::flow::backup::COPY_PREFIX;
use crate::flow::data_view::locate::Reach;
use crate::flow::gate::Gate;
use crate::flow::ingest::order;
use crate::flow::rebuild::{self, Projection, Workshop};
use crate::flow::route::Routing;
use crate::flow::runs::Runs;
use crate::flow::slot::Slot;
use crate::flow::turns::Turns;
use crate::flow::watch::{Pace, Watching};
use crate::flow::{Engines, compact, forget};
use crate::rpc;

/// Blocking jobs of the flows at a time, per core: they mix reading and computing.
const FLOW_JOBS_PER_CORE: usize = 4;
/// Waits for stores at a time: threads that do nothing meanwhile. Twice what one remote store is asked at a time.
const FAR_JOBS: usize = 64;
/// Searches of one index at a time, per core.
const INDEX_JOBS_PER_CORE: usize = 2;

/// Longest wait for one request to a remote store, its retries included, or for the next part of a stream.
const REMOTE_DEADLINE: Duration = Duration::from_secs(60);

/// The ground state, in the data directory.
pub(super) const CATALOG_FILE: &str = "catalog.sqlite";

/// A running set of engines and followers, holding the data directory.
pub struct Assembly {
    /// For the services.
    pub context: rpc::Context,
    catalog: Arc<SqliteCatalog>,
    _lock: DirLock,
}

impl Assembly {
    /// Opens everything in the configured data directory. With `lasting`, sources that are followed are taken up again
    /// and go on being so after this process. Without it the model that made the vectors answers, whatever is configured: one
    /// command is not to change it.
    ///
    /// # Errors
    /// Conflict if another process holds the directory; precondition for a missing model; those of the engines.
    pub async fn open(config: &Config, lasting: bool) -> Result<Self> {
        check_data_dir(&config.data_dir)?;
        let lock = DirLock::acquire(&config.data_dir)?;
        files::remove_unfinished(&config.data_dir, &[COPY_PREFIX, RESTORE_PREFIX]);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let door = Door::new(cores * FLOW_JOBS_PER_CORE);
        let dir = &config.data_dir;
        let catalog = Arc::new(SqliteCatalog::open(&dir.join(CATALOG_FILE)).await?);
        let workshop = Arc::new(Workroom {
            dir: dir.clone(),
            head: catalog.head().await?,
            embedder: model(config, &catalog, lasting).await?,
            gate: config.gate.clone(),
            door: door.clone(),
            index_jobs: cores * INDEX_JOBS_PER_CORE,
        });
        let embedder = workshop.embedder(&workshop.source()).await?;
        check_sizes(config, embedder.model().tokens_max)?;
        let opened = rebuild::open(&*catalog, &*workshop, &embedder, config.chunks, lasting).await?;
        let engines = Engines {
            catalog: Arc::clone(&catalog) as Arc<dyn Catalog>,
            registry: Arc::clone(&catalog) as Arc<dyn Registry>,
            runs: Arc::clone(&catalog) as Arc<dyn RunStore>,
            inventory: Arc::clone(&catalog) as Arc<dyn Inventory>,
            space: Arc::new(Slot::new(opened.space)),
            words: Arc::new(Slot::new(opened.words)),
            embedder,
            graphs: Arc::default(),
            counters: Arc::new(Counters::load(&config.tokenizers)?),
            rebuilding: Arc::default(),
            turns: Turns::default(),
            background: Door::background(cores),
            store: stores(config)?,
            clock: Arc::new(SystemClock),
            door,
            reader: config.reader.clone(),
            far: Door::new(FAR_JOBS),
            sizes: config.chunks,
            lasting,
        };
        let projector = Projector::start(&engines, workshop).await?;
        if let Some(words) = opened.words_next {
            projector.build_words(&engines, Arc::new(words));
        }
        if let Some(why) = opened.refused {
            projector.refuse(why);
        }
        if let Some(space) = opened.space_next {
            projector.build_vectors(&engines, Arc::new(space)).await?;
        }
        projector.keep(tokio::spawn(forget::sweep_forever(engines.clone(), Arc::clone(&projector))));
        projector.keep(tokio::spawn(compact::keep(engines.clone(), Arc::clone(&projector))));
        let watcher = Arc::new(LocalWatcher::new(LocalStore::new(config.roots.clone()), &config.data_dir));
        let pace = Pace::default();
        let watching = Watching::start(engines.clone(), Arc::clone(&projector), watcher, pace).await?;
        if lasting {
            projector.keep(tokio::spawn(order::go_on(engines.clone(), Arc::clone(&projector))));
        }
        let routing = Routing::new(engines.clone());
        let runs = Runs::new(engines.clone(), config.retention);
        projector.keep(tokio::spawn(Arc::clone(&runs).sweep_forever()));
        let context = rpc::Context {
            routing,
            runs,
            engines,
            projector,
            watching,
            access: Access::new(config.token.clone()),
            replies: Arc::default(),
            data_dir: Arc::new(config.data_dir.clone()),
            reach: Arc::new(Reach { server: reachable(&config.listen), token: config.token.is_some() }),
        };
        Ok(Self { context, catalog, _lock: lock })
    }

    /// Ends waiting and open streams, so that a graceful stop has nothing to wait for.
    pub fn stop(context: &rpc::Context) {
        context.watching.stop();
        context.routing.stop();
        context.runs.stop();
        context.projector.stop();
    }

    /// Stops following sources, and the followers of the log after a last commit and flush.
    ///
    /// # Errors
    /// Internal if one of them panicked.
    pub async fn close(self) -> Result<()> {
        Self::stop(&self.context);
        self.context.watching.close().await?;
        self.context.routing.close().await;
        self.context.projector.finish().await?;
        // Everything is durable by now; what fails here only leaves more space taken.
        if let Err(error) = compact::on_close(&self.context.engines, &self.context.projector).await {
            tracing::warn!(error = %error.chain(), "space cannot be given back");
        }
        self.catalog.close().await
    }
}

/// The model to answer with: the configured one where that `may_change`, or else the one that made the vectors.
async fn model(config: &Config, catalog: &SqliteCatalog, may_change: bool) -> Result<LocalOptions> {
    let made_by = if may_change { None } else { rebuild::serving_source(catalog).await? };
    Ok(match made_by {
        Some(source) => LocalOptions { source: model_source(&source)?, ..config.embedder.clone() },
        None => config.embedder.clone(),
    })
}

/// All places that bytes come from. Has to be called on the runtime that they are to be read on.
fn stores(config: &Config) -> Result<Arc<dyn Store>> {
    // Only fails where somebody was quicker, and then there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let line = Line::new(tokio::runtime::Handle::current(), REMOTE_DEADLINE);
    let (guard, credentials) = (&config.guard, &config.credentials);
    let cloud = CloudStore::new(guard.clone(), credentials.clone(), line.clone());
    let http = HttpStore::new(guard.clone(), credentials.clone(), line)?;
    let fetcher = Fetcher::new(guard.clone(), tokio::runtime::Handle::current())?;
    let local = LocalStore::new(config.roots.clone());
    let cache = |kind: &str| config.data_dir.join("cache").join(kind);
    let git = Arc::new(GitStore::new(local.clone(), fetcher.clone(), credentials.clone(), cache("git")));
    let (api, web) = &config.github;
    let github = GithubStore::new(Arc::clone(&git), fetcher.clone(), credentials.clone(), (api, web), cache("github"))?;
    let page = Arc::new(http);
    let web =
        WebStore::new(fetcher, credentials.clone(), page, cache("web"), config.crawl_delay_min).beside_github(web);
    let runtime = tokio::runtime::Handle::current;
    let sqlite = SqlStore::new(Sqlite::new(local.clone()), runtime());
    let postgres = SqlStore::new(Postgres::new(guard.clone(), credentials.clone()), runtime());
    let stores = Stores::new(Arc::new(local))
        .with(CloudStore::BEGINNINGS, Arc::new(cloud))
        .with(WebStore::BEGINNINGS, Arc::new(web))
        .with(GitStore::BEGINNINGS, git)
        .with(GithubStore::BEGINNINGS, Arc::new(github))
        .with(Sqlite::BEGINNINGS, Arc::new(sqlite))
        .with(Postgres::BEGINNINGS, Arc::new(postgres));
    Ok(Arc::new(stores))
}

/// The address to speak to a server that listens on `listen`, from its own machine at least.
fn reachable(listen: &str) -> String {
    match listen.rsplit_once(':') {
        Some(("0.0.0.0" | "[::]" | "*", port)) => format!("127.0.0.1:{port}"),
        _ => listen.to_owned(),
    }
}

/// Refuses a folder that holds something else: its files would lie between ours, and what looks like a leftover is removed.
fn check_data_dir(dir: &Path) -> Result<()> {
    let names = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    let ours = |name: &String| name == "LOCK" || [COPY_PREFIX, RESTORE_PREFIX].iter().any(|own| name.starts_with(own));
    match names.iter().find(|name| !ours(name)) {
        Some(foreign) if !names.iter().any(|name| name == CATALOG_FILE) => Err(Error::new(
            Kind::Precondition,
            format!(
                "{} is no data directory: it holds {foreign} and no {CATALOG_FILE}; give a new or empty folder with \
                 --data-dir",
                dir.display()
            ),
        )),
        _ => Ok(()),
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

/// Makes the embedded engines in the data directory: `vector/GENERATION` and `lexical/GENERATION`.
struct Workroom {
    dir: PathBuf,
    /// Newest log position at the start.
    head: Lsn,
    embedder: LocalOptions,
    gate: Option<Arc<Gate>>,
    door: Door,
    index_jobs: usize,
}

impl Workroom {
    fn path(&self, projection: Projection, generation: u64) -> PathBuf {
        self.dir.join(projection.as_str()).join(generation.to_string())
    }
}

#[async_trait]
impl Workshop for Workroom {
    async fn words(&self, generation: u64) -> Result<Arc<dyn LexicalIndex>> {
        let (path, head) = (self.path(Projection::Lexical, generation), self.head);
        let own = Door::new(self.index_jobs);
        self.door
            .run(move || {
                let index = TantivyIndex::open(&path, TantivySettings::default(), own.clone())?;
                if index.applied() <= head {
                    return Ok(Arc::new(index) as Arc<dyn LexicalIndex>);
                }
                // It belongs to another catalogue.
                tracing::warn!("the lexical index is ahead of the catalogue: it is built anew");
                drop(index);
                remove(&path)?;
                Ok(Arc::new(TantivyIndex::open(&path, TantivySettings::default(), own)?))
            })
            .await
    }

    async fn vectors(&self, generation: u64, embedder: &dyn Embedder) -> Result<(Arc<dyn VectorIndex>, bool)> {
        let path = self.path(Projection::Vector, generation);
        let (model, dimension, own) = (embedder.model().key(), embedder.model().dimension, Door::new(self.index_jobs));
        self.door
            .run(move || {
                std::fs::create_dir_all(&path).context(Kind::Precondition, || {
                    format!("cannot make {}: check permissions and space", path.display())
                })?;
                let Opened { index, fresh } = EdgeIndex::open(&path, dimension, &model, EdgeSettings::default(), own)?;
                Ok((Arc::new(index) as Arc<dyn VectorIndex>, fresh))
            })
            .await
    }

    async fn embedder(&self, source: &str) -> Result<Arc<dyn Embedder>> {
        let options = LocalOptions { source: model_source(source)?, ..self.embedder.clone() };
        let local = self.door.run(move || LocalEmbedder::load(&options)).await?;
        Ok(Arc::new(RecentQueries::new(Arc::new(local))))
    }

    fn source(&self) -> String {
        serde_json::json!(self.embedder.source).to_string()
    }

    fn gate(&self) -> Option<&Arc<Gate>> {
        self.gate.as_ref()
    }

    async fn keep_only(&self, projection: Projection, generations: &[u64]) -> Result<()> {
        let folder = self.dir.join(projection.as_str());
        let kept: Vec<String> = generations.iter().map(u64::to_string).collect();
        self.door
            .run(move || {
                let Ok(entries) = std::fs::read_dir(&folder) else { return Ok(()) };
                let entries = entries.filter_map(|entry| Some(entry.ok()?.path()));
                let is_kept =
                    |path: &Path| kept.iter().any(|kept| path.file_name().is_some_and(|name| name == &**kept));
                entries.filter(|path| !is_kept(path)).try_for_each(|path| remove(&path))
            })
            .await
    }
}

/// The inverse of [`Workshop::source`].
fn model_source(source: &str) -> Result<ModelSource> {
    serde_json::from_str(source).context(Kind::Precondition, || format!("the model source {source:?} is not known"))
}

fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    removed.context(Kind::Internal, || format!("cannot remove {}: check its permissions", path.display()))
}
