//! Carries the log to the projections, in the background, from wherever each of them stands.
//!
//! Followers run side by side so that words are searchable at once while vectors are still being made. Each reads the log
//! after its own position, looks up what the named documents hold *now*, and replaces them in its index; an entry applied
//! twice or late therefore ends in the same state. A follower that fails says so in [`Projections`], waits, and tries
//! again from its position; the others and all searches go on.
//!
//! An index can also be built beside the one that serves, by a follower of its own. When that one has caught up it takes
//! the place of the other in one step, and the other's follower ends ([`super::rebuild`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Engines;
use super::rebuild::{Space, Words, Workshop};
use crate::base::error::{Error, Kind, Result};
use crate::base::{DocumentId, Lsn};
use crate::model::Namespace;

mod graphs;
mod vectors;
mod words;

/// Log entries looked at in one step. Documents average some five chunks, so this fills
/// [`crate::base::limits::APPLY_CHUNKS_MAX`].
const STEP_ENTRIES_MAX: usize = 512;
/// Documents read at a time: at the limit for one document, 64 of them are 256 MiB; usually they are half a megabyte.
const READ_DOCUMENTS_MAX: usize = 64;
/// Pause after a failure; tests fail often and have no time.
const RETRY_AFTER: Duration = if cfg!(test) { Duration::from_millis(20) } else { Duration::from_secs(1) };
/// How often a follower at rest looks at the log though nobody woke it: a write may be committed and its caller fail
/// or go away before it can tell. Costs one read of an index.
const LOOK_AGAIN_AFTER: Duration = if cfg!(test) { Duration::from_millis(100) } else { Duration::from_secs(5) };

/// How far the projections are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Projections {
    /// Position that lexical search reflects.
    pub lexical: Lsn,
    /// Position that vector search reflects.
    pub vector: Lsn,
    /// Position that the vectors on the disk reflect, which is where a crash would leave them.
    pub vector_kept: Lsn,
    /// Chunks embedded since the server started.
    pub embedded: u64,
    /// Chunks whose vector came from the cache since the server started.
    pub cached: u64,
    /// Why the lexical follower is stuck, if it is.
    pub lexical_problem: Option<String>,
    /// Why the vector follower is stuck, if it is.
    pub vector_problem: Option<String>,
    /// Position of the lexical index that is being built, if one is.
    pub lexical_next: Option<Lsn>,
    /// Position of the vector index that is being built, if one is.
    pub vector_next: Option<Lsn>,
    /// Why an index that is being built does not get on, if so.
    pub next_problem: Option<String>,
    /// Why the configured model does not answer and will not, if so ([`super::gate`]).
    pub refused: Option<String>,
}

/// Whether a follower feeds the index that answers, or one that shall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Serving,
    Building,
}

/// Handle to the followers: wakes them, waits for them, stops them.
pub struct Projector {
    state: watch::Sender<Projections>,
    /// Largest position that somebody waits to see in lexical search.
    wanted: watch::Sender<Lsn>,
    /// Counts the times that the log grew.
    grown: watch::Sender<u64>,
    stop: watch::Sender<bool>,
    workshop: Arc<dyn Workshop>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl std::fmt::Debug for Projector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Projector").field("state", &*self.state.borrow()).finish_non_exhaustive()
    }
}

impl Projector {
    /// Starts the followers of the indexes that serve.
    ///
    /// # Errors
    /// If the position of the vectors can't be read.
    pub async fn start(engines: &Engines, workshop: Arc<dyn Workshop>) -> Result<Arc<Self>> {
        let space = engines.space.get();
        let vector = vectors::position(&*engines.catalog, &space).await?;
        let lexical = engines.lexical().applied();
        let state = Projections { lexical, vector, vector_kept: vector, ..Projections::default() };
        let projector = Arc::new(Self {
            state: watch::channel(state).0,
            wanted: watch::channel(Lsn(0)).0,
            grown: watch::channel(0).0,
            stop: watch::channel(false).0,
            workshop,
            tasks: Mutex::default(),
        });
        projector.begin(words::Follower::new(engines, engines.words.get(), Role::Serving));
        projector.begin(vectors::Follower::new(engines, space, vector, Role::Serving));
        projector.begin(graphs::Follower::new(engines));
        Ok(projector)
    }

    /// Builds `words` beside the lexical index that serves, and lets it take over once it has caught up.
    pub fn build_words(self: &Arc<Self>, engines: &Engines, words: Arc<Words>) {
        self.state.send_modify(|state| state.lexical_next = Some(words.index.applied()));
        self.begin(words::Follower::new(engines, words, Role::Building));
    }

    /// Builds `space` beside the one that serves, and lets it take over once it has caught up.
    ///
    /// # Errors
    /// If its position can't be read.
    pub async fn build_vectors(self: &Arc<Self>, engines: &Engines, space: Arc<Space>) -> Result<()> {
        let at = vectors::position(&*engines.catalog, &space).await?;
        self.state.send_modify(|state| state.vector_next = Some(at));
        self.begin(vectors::Follower::new(engines, space, at, Role::Building));
        Ok(())
    }

    fn begin(self: &Arc<Self>, follower: impl Follow + 'static) {
        self.keep(tokio::spawn(Arc::clone(self).follow(follower)));
    }

    /// Where indexes are made.
    pub fn workshop(&self) -> &dyn Workshop {
        &*self.workshop
    }

    /// Takes care of a task that ends when the server stops.
    pub fn keep(&self, task: JoinHandle<()>) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.retain(|task| !task.is_finished());
        tasks.push(task);
    }

    /// Tells the followers that the log grew.
    pub fn wake(&self) {
        self.grown.send_modify(|times| *times += 1);
    }

    /// How far they are.
    pub fn state(&self) -> Projections {
        self.state.borrow().clone()
    }

    /// Watches them.
    pub fn watch(&self) -> watch::Receiver<Projections> {
        self.state.subscribe()
    }

    /// Ends all followers after what they are doing, with a last commit and flush.
    pub fn stop(&self) {
        self.stop.send_replace(true);
        self.wake();
    }

    /// Completes once the server stops.
    pub async fn stopped(&self) {
        let _ = self.stop.subscribe().wait_for(|stop| *stop).await;
    }

    /// Stops and waits for everything that was started.
    ///
    /// # Errors
    /// Internal if a follower panicked.
    pub async fn finish(&self) -> Result<()> {
        self.stop();
        loop {
            let task = self.tasks.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(task) = task else { return Ok(()) };
            task.await.map_err(|cause| Error::internal("a follower of the log ended early").caused_by(cause))?;
        }
    }

    /// Ends everything where it stands, as a crash would: for tests and benches.
    pub async fn abort(&self) {
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            task.abort();
            let _ = task.await;
        }
    }

    /// Waits until lexical search reflects `lsn`.
    ///
    /// # Errors
    /// Unavailable if the follower is stuck or the server stops.
    pub async fn wait_lexical(&self, lsn: Lsn) -> Result<()> {
        self.wanted.send_if_modified(|wanted| {
            let grows = lsn > *wanted;
            *wanted = lsn.max(*wanted);
            grows
        });
        self.wake();
        self.wait(|state| (state.lexical >= lsn, state.lexical_problem.as_deref())).await
    }

    /// Waits until vector search reflects `lsn`.
    ///
    /// # Errors
    /// Unavailable if the follower is stuck or the server stops.
    pub async fn wait_vector(&self, lsn: Lsn) -> Result<()> {
        self.wait(|state| (state.vector >= lsn, state.vector_problem.as_deref())).await
    }

    /// Waits until the vectors on the disk reflect `lsn`: at once where nobody writes, else within seconds.
    ///
    /// # Errors
    /// Unavailable if the follower is stuck or the server stops.
    pub async fn wait_vector_kept(&self, lsn: Lsn) -> Result<()> {
        self.wait(|state| (state.vector_kept >= lsn, state.vector_problem.as_deref())).await
    }

    /// Waits until no index is being built any more.
    ///
    /// # Errors
    /// Unavailable if the building is stuck or the server stops.
    pub async fn wait_built(&self) -> Result<()> {
        self.wait(|state| (state.lexical_next.is_none() && state.vector_next.is_none(), state.next_problem.as_deref()))
            .await
    }

    async fn wait(&self, look: impl Fn(&Projections) -> (bool, Option<&str>)) -> Result<()> {
        let mut states = self.state.subscribe();
        let mut stop = self.stop.subscribe();
        loop {
            {
                let state = states.borrow_and_update();
                let (reached, problem) = look(&state);
                if reached {
                    return Ok(());
                }
                if let Some(problem) = problem {
                    return Err(Error::new(
                        Kind::Unavailable,
                        format!("everything is stored, but an index cannot follow: {problem}"),
                    ));
                }
            }
            tokio::select! {
                changed = states.changed() => changed.map_err(|_| stopping())?,
                _ = stop.wait_for(|stop| *stop) => return Err(stopping()),
            }
        }
    }

    /// Changes the state and what serves in one step, as the followers and those who wait for them see it.
    pub(super) fn switch<T>(&self, change: impl FnOnce(&mut Projections) -> Option<T>) -> Option<T> {
        let mut changed = None;
        self.state.send_modify(|state| changed = change(state));
        changed
    }

    /// No vector index is being built any more, and none took over.
    pub(super) fn give_up_vectors(&self) {
        self.state.send_modify(|state| (state.vector_next, state.next_problem) = (None, None));
    }

    /// Shows why the configured model is not used.
    pub fn refuse(&self, why: String) {
        self.state.send_modify(|state| state.refused = Some(why));
    }

    /// # Errors
    /// Unavailable if the server stops.
    pub(super) fn check_running(&self) -> Result<()> {
        if self.stopping_now() { Err(stopping()) } else { Ok(()) }
    }

    fn stopping_now(&self) -> bool {
        *self.stop.borrow()
    }
}

/// Feeds one index from the log.
#[async_trait]
trait Follow: Send {
    /// What it feeds, for the log.
    const WHAT: &'static str;

    /// Takes the next stretch of the log, or what there is to do at its end.
    async fn step(&mut self, projector: &Arc<Projector>) -> Result<Progress>;

    /// Goes back to what is certain, and says why it does not get on.
    fn failed(&mut self, projector: &Projector, error: &Error);

    /// Makes durable what was applied.
    async fn end(&mut self, projector: &Projector) -> Result<()>;
}

impl Projector {
    /// Runs `follower` until the server stops or another index took the place of its own.
    async fn follow<F: Follow>(self: Arc<Self>, mut follower: F) {
        let mut grown = self.grown.subscribe();
        while !self.stopping_now() {
            grown.mark_unchanged();
            match follower.step(&self).await {
                Ok(Progress::Moved) => {}
                Ok(Progress::Idle(wait)) => {
                    let _ = tokio::time::timeout(wait, grown.changed()).await;
                }
                Ok(Progress::Replaced) => return,
                Err(_) if self.stopping_now() => break,
                Err(error) => {
                    tracing::error!(index = F::WHAT, error = %error.chain(), "an index cannot follow the log");
                    follower.failed(&self, &error);
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        }
        if let Err(error) = follower.end(&self).await {
            tracing::error!(
                index = F::WHAT,
                error = %error.chain(),
                "the last changes could not be made durable; they are repeated at the next start"
            );
        }
    }
}

fn stopping() -> Error {
    Error::new(Kind::Unavailable, "the server is shutting down; what was acknowledged is stored")
}

/// What a step did.
enum Progress {
    Moved,
    /// Nothing to do; look again after this long or when woken.
    Idle(Duration),
    /// Another index serves in this one's place.
    Replaced,
}

/// The next stretch of the log: which documents it names, by namespace, and where it ends.
async fn next_stretch(
    engines: &Engines,
    after: Lsn,
) -> Result<Option<(Lsn, BTreeMap<Namespace, BTreeSet<DocumentId>>)>> {
    let entries = engines.catalog.read_log(after, STEP_ENTRIES_MAX).await?;
    let Some(last) = entries.last() else { return Ok(None) };
    let end = last.lsn;
    let mut documents: BTreeMap<Namespace, BTreeSet<DocumentId>> = BTreeMap::new();
    for entry in entries {
        documents.entry(entry.namespace).or_default().insert(entry.document);
    }
    Ok(Some((end, documents)))
}

fn all_ids(named: &BTreeMap<Namespace, BTreeSet<DocumentId>>) -> Vec<DocumentId> {
    named.values().flatten().copied().collect()
}
