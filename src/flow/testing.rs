//! Helpers for tests of flows: engines in memory that fail on demand, a tree of files, a clock to set, and one place
//! that puts them together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::Engines;
use super::access::{Access, Grant};
use super::apply::{Projections, Projector};
use super::ingest::{self, Report};
use super::put::{InputDocument, Put};
use super::rebuild::{NoWorkshop, Space, Words};
use super::recall::{self, Answer, Mode};
use super::slot::Slot;
use super::turns::Turns;
use crate::base::blocking::Door;
use crate::base::clock::SystemClock;
use crate::base::error::{Error, Kind, Result};
use crate::base::{Clock, Timestamp};
use crate::engine::catalog::sqlite::SqliteCatalog;
use crate::engine::catalog::{Catalog, Registry, Runs};
use crate::engine::embed::Embedder;
use crate::engine::embed::fake::FakeEmbedder;
use crate::engine::lexical::fake::FakeLexicalIndex;
use crate::engine::parse::ChunkSizes;
use crate::engine::parse::formats::apart::Reader;
use crate::engine::store::local::LocalStore;
use crate::engine::store::{ListOptions, Listing, Object, Stat, Store};
use crate::engine::vector::fake::FakeVectorIndex;

mod faulty;

pub use faulty::Faulty;

/// Length of the fake's vectors.
const DIMENSION: usize = 32;
/// Where the tree of files is.
pub const TREE: &str = "file:///tree";
/// What the clock says first; long enough after 1970 for files to be old.
pub const START: Timestamp = Timestamp(1_000_000_000_000_000);

/// What a call does instead of its work, or after it.
#[derive(Debug, Clone)]
pub enum How {
    /// Fails with this kind and does nothing.
    Fails(Kind),
    /// Does its work and reports a failure all the same, as where the answer was lost.
    Torn,
    /// Does its work and does not return before the gate opens.
    Held(Arc<Gate>),
}

impl How {
    /// The error for `method`. What a full disk looks like to callers differs by engine only in its kind.
    fn error(&self, method: &str) -> Error {
        match self {
            Self::Fails(kind) => Error::new(*kind, format!("{method} failed on demand")),
            Self::Torn | Self::Held(_) => Error::internal(format!("{method} did its work and failed on demand")),
        }
    }
}

/// Stops a call between its work and its return.
#[derive(Debug, Default)]
pub struct Gate {
    reached: Notify,
    open: Notify,
}

impl Gate {
    /// Completes once a call stands at the gate.
    pub async fn reached(&self) {
        self.reached.notified().await;
    }

    /// Lets it go on.
    pub fn open(&self) {
        self.open.notify_one();
    }
}

/// Which calls fail, shared by all wrappers. Methods are named `engine.method`.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<Plan>>);

#[derive(Default)]
struct Plan {
    /// Calls of the method still to be let pass, calls to fail after that, and how.
    due: BTreeMap<&'static str, (u64, u64, How)>,
}

impl Faults {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets every call of `method` fail until [`Self::clear`].
    pub fn always(&self, method: &'static str, how: How) {
        self.plan().due.insert(method, (0, u64::MAX, how));
    }

    /// Lets the next call of `method` fail.
    pub fn once(&self, method: &'static str, how: How) {
        self.after(method, 0, how);
    }

    /// Lets one call of `method` fail after `passing` that do not.
    pub fn after(&self, method: &'static str, passing: u64, how: How) {
        self.plan().due.insert(method, (passing, 1, how));
    }

    /// Holds the next call of `method` between its work and its return.
    pub fn hold(&self, method: &'static str) -> Arc<Gate> {
        let gate = Arc::new(Gate::default());
        self.once(method, How::Held(Arc::clone(&gate)));
        gate
    }

    /// Ends all faults.
    pub fn clear(&self) {
        self.plan().due.clear();
    }

    /// Whether a fault was planned and has not happened.
    pub fn pending(&self, method: &str) -> bool {
        self.plan().due.get(method).is_some_and(|(_, times, _)| *times > 0)
    }

    fn next(&self, method: &'static str) -> Option<How> {
        let mut plan = self.plan();
        let (passing, times, how) = plan.due.get_mut(method)?;
        if *passing > 0 {
            *passing -= 1;
            return None;
        }
        if *times == 0 {
            return None;
        }
        *times -= 1;
        Some(how.clone())
    }

    /// Does `work`, or what the plan says instead.
    async fn through<T>(&self, method: &'static str, work: impl Future<Output = Result<T>>) -> Result<T> {
        match self.next(method) {
            None => work.await,
            Some(How::Held(gate)) => {
                let done = work.await;
                gate.reached.notify_one();
                gate.open.notified().await;
                done
            }
            Some(How::Torn) => {
                work.await?;
                Err(How::Torn.error(method))
            }
            Some(how) => Err(how.error(method)),
        }
    }

    /// [`Self::through`] for work that blocks.
    fn through_blocking<T>(&self, method: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        match self.next(method) {
            None => work(),
            Some(how) => Err(how.error(method)),
        }
    }
}

/// A clock that stands until it is set.
#[derive(Debug)]
pub struct SetClock(AtomicI64);

impl SetClock {
    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        self.0.fetch_add(time.as_micros() as i64, Ordering::Relaxed);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

/// A tree of files in memory, under [`TREE`].
#[derive(Clone, Default)]
pub struct Tree(Arc<Mutex<Contents>>);

/// Bytes and times of files by path.
type Contents = BTreeMap<String, (Vec<u8>, Timestamp)>;

impl Tree {
    pub fn files(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a file, old enough for its time to be trusted.
    pub fn write(&self, path: &str, text: &str, at: Timestamp) {
        self.files().insert(path.to_owned(), (text.as_bytes().to_vec(), at));
    }

    pub fn remove(&self, path: &str) {
        self.files().remove(path);
    }
}

impl Store for Tree {
    fn resolve(&self, address: &str) -> Result<String> {
        Ok(address.to_owned())
    }

    fn list(&self, source: &str, _options: &ListOptions) -> Result<Listing> {
        let object = |(path, (bytes, modified_at)): (&String, &(Vec<u8>, Timestamp))| Object {
            path: path.clone(),
            uri: format!("{source}/{path}"),
            bytes: bytes.len() as u64,
            modified_at: Some(*modified_at),
            mark: None,
        };
        Ok(Listing { objects: self.files().iter().map(object).collect(), ..Listing::default() })
    }

    fn list_at(&self, source: &str, options: &ListOptions, uris: &BTreeSet<String>) -> Result<Listing> {
        let mut listing = self.list(source, options)?;
        listing.objects.retain(|object| uris.contains(&object.uri));
        Ok(listing)
    }

    fn read(&self, object: &Object, _bytes_max: u64) -> Result<Vec<u8>> {
        let gone = || Error::not_found(format!("{} is gone", object.path));
        self.files().get(&object.path).map(|(bytes, _)| bytes.clone()).ok_or_else(gone)
    }

    fn stat(&self, uri: &str) -> Result<Option<Stat>> {
        let path = uri.strip_prefix(TREE).and_then(|path| path.strip_prefix('/')).unwrap_or(uri);
        let stat =
            |(bytes, at): &(Vec<u8>, Timestamp)| Stat { bytes: bytes.len() as u64, modified_at: Some(*at), mark: None };
        Ok(self.files().get(path).map(stat))
    }
}

/// Flows over engines in memory, with the followers running.
pub struct Rig {
    pub engines: Engines,
    pub projector: Arc<Projector>,
    pub grant: Grant,
    pub faults: Faults,
    pub clock: Arc<SetClock>,
    pub tree: Tree,
    pub vectors: Arc<FakeVectorIndex>,
    pub lexical: Arc<FakeLexicalIndex>,
    pub embedder: Arc<FakeEmbedder>,
}

impl Rig {
    pub async fn new() -> Self {
        let faults = Faults::default();
        let clock = Arc::new(SetClock(AtomicI64::new(START.0)));
        let tree = Tree::default();
        let vectors = Arc::new(FakeVectorIndex::new(DIMENSION));
        let lexical = Arc::new(FakeLexicalIndex::new());
        let embedder = Arc::new(FakeEmbedder::new(DIMENSION));
        let model: Arc<dyn Embedder> = Arc::new(Faulty::new(Arc::clone(&embedder), &faults));
        // The one place in tests that knows what engines consist of.
        let ground = Arc::new(SqliteCatalog::in_memory().await.unwrap());
        let engines = Engines {
            catalog: Arc::new(Faulty::new(Arc::clone(&ground), &faults)),
            registry: Arc::clone(&ground) as Arc<dyn Registry>,
            runs: Arc::clone(&ground) as Arc<dyn Runs>,
            inventory: ground,
            space: Arc::new(Slot::new(Space {
                generation: 1,
                embedder: Arc::clone(&model),
                vectors: Arc::new(Faulty::new(Arc::clone(&vectors), &faults)),
            })),
            words: Arc::new(Slot::new(Words {
                generation: 1,
                index: Arc::new(Faulty::new(Arc::clone(&lexical), &faults)),
            })),
            embedder: model,
            graphs: Arc::default(),
            counters: Arc::default(),
            rebuilding: Arc::default(),
            background: Door::background(2),
            reader: Reader::Here,
            store: Arc::new(Faulty::new(Arc::new(tree.clone()), &faults)),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            door: Door::new(4),
            far: Door::new(4),
            sizes: ChunkSizes { tokens_max: 40, header_tokens_max: 12 },
            lasting: true,
            turns: Turns::default(),
        };
        let grant = Access::default().authorize(None, "ns").unwrap();
        let projector = follow(&engines).await;
        Self { engines, projector, grant, faults, clock, tree, vectors, lexical, embedder }
    }

    /// Stops the followers in good order and starts them again.
    pub async fn restart(&mut self) {
        self.projector.finish().await.unwrap();
        self.projector = follow(&self.engines).await;
    }

    /// Ends the followers wherever they are, takes what the indexes had not made durable, and starts again.
    pub async fn crash(&mut self) {
        self.projector.abort().await;
        self.vectors.crash();
        self.lexical.crash();
        self.projector = follow(&self.engines).await;
    }

    pub async fn put(&self, documents: &[(&str, &str)]) -> Result<Report> {
        let documents = documents.iter().map(|(uri, text)| self.input(uri, text, &[])).collect();
        self.put_all(documents, true).await
    }

    pub fn input(&self, uri: &str, text: &str, tags: &[&str]) -> InputDocument {
        InputDocument {
            uri: uri.to_owned(),
            content: text.as_bytes().to_vec(),
            media_type: "text/plain".to_owned(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            ..InputDocument::default()
        }
    }

    pub async fn put_all(&self, documents: Vec<InputDocument>, wait: bool) -> Result<Report> {
        let (sink, _progress) = tokio::sync::mpsc::channel(1);
        let mut put = Put::begin(&self.engines, &self.projector, &self.grant, "").await?;
        put.add(documents, &sink).await?;
        put.acknowledge().await?;
        put.finish(wait, &sink).await
    }

    /// Syncs the tree.
    pub async fn ingest(&self) -> Result<Report> {
        let (sink, _progress) = tokio::sync::mpsc::channel(1);
        let request = ingest::Request { source: TREE.to_owned(), ..ingest::Request::default() };
        ingest::ingest(&self.engines, &self.projector, &self.grant, &request, &sink).await
    }

    pub async fn search(&self, query: &str, mode: Mode) -> Result<Answer> {
        let request = recall::Request { query: query.to_owned(), k: 100, mode, ..recall::Request::default() };
        recall::search(&self.engines, &self.projector, &self.grant, &request).await
    }

    /// URIs that a search finds, each once, and the parts that are missing.
    pub async fn finds(&self, query: &str, mode: Mode) -> (Vec<String>, Vec<String>) {
        let answer = self.search(query, mode).await.unwrap();
        let mut uris: Vec<String> = answer.hits.iter().map(|hit| hit.found.document.uri.clone()).collect();
        uris.sort();
        uris.dedup();
        (uris, answer.missing.into_iter().map(|missing| missing.part).collect())
    }

    /// Waits, without touching anything, until both followers are at the head and content, and all is durable.
    pub async fn settled(&self) {
        let head = self.engines.catalog.head().await.unwrap();
        for _ in 0..1_000 {
            let state = self.projector.state();
            let content = state.lexical_problem.is_none() && state.vector_problem.is_none();
            if state.lexical >= head && state.vector_kept >= head && content {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the followers are not at {head}: {:?}", self.projector.state());
    }
}

impl Rig {
    /// Whether the words lag behind the log.
    pub async fn lexical_lags(&self) -> bool {
        self.projector.state().lexical < self.engines.catalog.head().await.unwrap()
    }

    /// Waits until the followers' state or anything else is as `is` says.
    pub async fn stuck(&self, is: impl Fn(&Projections) -> bool) {
        for _ in 0..1_000 {
            if is(&self.projector.state()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it does not get there: {:?}", self.projector.state());
    }
}

async fn follow(engines: &Engines) -> Arc<Projector> {
    Projector::start(engines, Arc::new(NoWorkshop)).await.unwrap()
}

/// Engines that hold everything in memory and read real files.
pub(crate) async fn engines() -> Engines {
    let embedder: Arc<dyn Embedder> = Arc::new(FakeEmbedder::new(DIMENSION));
    let vectors = Arc::new(FakeVectorIndex::new(DIMENSION));
    let ground = Arc::new(SqliteCatalog::in_memory().await.unwrap());
    Engines {
        catalog: Arc::clone(&ground) as Arc<dyn Catalog>,
        registry: Arc::clone(&ground) as Arc<dyn Registry>,
        runs: Arc::clone(&ground) as Arc<dyn Runs>,
        inventory: ground,
        space: Arc::new(Slot::new(Space { generation: 1, embedder: Arc::clone(&embedder), vectors })),
        words: Arc::new(Slot::new(Words { generation: 1, index: Arc::new(FakeLexicalIndex::new()) })),
        embedder,
        turns: Turns::default(),
        graphs: Arc::default(),
        counters: Arc::default(),
        rebuilding: Arc::default(),
        store: Arc::new(LocalStore::default()),
        clock: Arc::new(SystemClock),
        door: Door::new(8),
        far: Door::new(8),
        background: Door::background(2),
        reader: Reader::Here,
        sizes: ChunkSizes { tokens_max: 100, header_tokens_max: 20 },
        lasting: true,
    }
}
