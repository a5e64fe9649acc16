//! The loop: takes nodes from the queue, executes them side by side, writes what they come to, and does so until the run ends.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::backend::{Backend, Change};
use super::context::Pack;
use super::error::{SwarmError, passes};
use super::execute::{self, Done};
use super::journal::{Journal, Stop};
use super::kind::NodeTypes;
use super::llm::Model;
use super::node::{Blueprint, NodeError, Outcome, Usage};
use super::observe::{Observer, Unobserved};
use super::settings::Settings;
use super::step::{Held, Scope, Step};
use super::tree::{End, Tree};
use crate::proto::{NodePhase, RunEvent, RunStatus};

/// Events and bytes after which an append is sent. The server takes a thousand and 8 MiB, and one outcome at its limits may come on
/// top.
const APPEND_EVENTS: usize = 256;
const APPEND_BYTES: usize = 1024 * 1024;

/// Wait before a stream of news that broke is asked for again.
const LISTEN_PAUSE: Duration = Duration::from_millis(200);

type Result<T> = std::result::Result<T, SwarmError>;

/// Runs goals. Clones and runs side by side are cheap.
#[derive(Clone)]
pub struct Swarm {
    backend: Arc<dyn Backend>,
    model: Option<Arc<dyn Model>>,
    types: NodeTypes,
    settings: Settings,
    observer: Arc<dyn Observer>,
    holder: String,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct RunEnd {
    /// Its id.
    pub run: String,
    /// How.
    pub status: RunStatus,
    /// The root's output, or `{"error": …}`.
    pub output: Value,
    /// Nodes that there were.
    pub nodes: u64,
    /// Tokens of all model calls.
    pub tokens: u64,
}

/// What a run keeps about itself on the server.
#[derive(Serialize, Deserialize)]
struct Stored {
    root: Blueprint,
    limits: Settings,
}

impl Swarm {
    /// With the built-in node types, no model and the default limits.
    pub fn new(backend: Arc<dyn Backend>) -> Self {
        Self {
            backend,
            model: None,
            types: NodeTypes::builtin(),
            settings: Settings::default(),
            observer: Arc::new(Unobserved),
            holder: format!("pid {}", std::process::id()),
        }
    }

    /// Whom nodes ask.
    #[must_use]
    pub fn with_model(self, model: Arc<dyn Model>) -> Self {
        Self { model: Some(model), ..self }
    }

    /// The node types that there are.
    #[must_use]
    pub fn with_types(self, types: NodeTypes) -> Self {
        Self { types, ..self }
    }

    /// Limits of new runs; what is resumed keeps its own, but for how scripts are run and whether people approve.
    #[must_use]
    pub fn with_settings(self, settings: Settings) -> Self {
        Self { settings, ..self }
    }

    /// Who watches.
    #[must_use]
    pub fn observed_by(self, observer: Arc<dyn Observer>) -> Self {
        Self { observer, ..self }
    }

    /// What people see as the holder of the lease.
    #[must_use]
    pub fn held_by(self, holder: impl Into<String>) -> Self {
        Self { holder: holder.into(), ..self }
    }

    /// Registers the node types of this swarm with the router, so that goals reach them.
    ///
    /// # Errors
    /// The server's.
    pub async fn announce(&self) -> Result<()> {
        let nodes = self.types.describe();
        if nodes.is_empty() { Ok(()) } else { Ok(self.backend.register_nodes(nodes, "").await.map(|_| ())?) }
    }

    /// Runs `goal` to its end: the root is a `route_goal`.
    ///
    /// # Errors
    /// As [`Self::resume`].
    pub async fn run(&self, goal: &str) -> Result<RunEnd> {
        let run = self.create(goal, Blueprint::new("route_goal", json!({"goal": goal}))).await?;
        self.resume(&run).await
    }

    /// Makes a run whose root is `root`, without working on it. Returns its id.
    ///
    /// # Errors
    /// The server's; [`SwarmError::Invalid`] for a limit beyond those of the server.
    pub async fn create(&self, goal: &str, root: Blueprint) -> Result<String> {
        self.settings.check()?;
        let stored = json!(Stored { root, limits: self.settings.clone() });
        Ok(self.backend.create_run(goal, &stored.to_string(), "").await?.id)
    }

    /// Works on a run until it ends: one that was created, or one whose process is gone.
    ///
    /// # Errors
    /// [`SwarmError::LeaseLost`] if another process works on it or takes it over, [`SwarmError::Server`] if the server refuses
    /// or is gone for too long, [`SwarmError::Invalid`] if it has nodes that can't be executed here. The run stays open then. A
    /// run that fails is no error.
    pub async fn resume(&self, run: &str) -> Result<RunEnd> {
        let ttl = Duration::from_millis(self.settings.lease_ms);
        let (fence, found) = self.backend.acquire_run(run, &self.holder, ttl).await?;
        let (backend, observer) = (Arc::clone(&self.backend), Arc::clone(&self.observer));
        let patience = Duration::from_millis(self.settings.patience_ms);
        let journal = Journal::new(backend, observer, run.to_owned(), (fence, found.last_sequence), patience);
        let (stopper, stop) = watch::channel(Stop::No);
        let mut lease = JoinSet::new();
        lease.spawn(Arc::clone(&journal).keep(ttl, stopper));
        let outcome = match self.begin(run, Arc::clone(&journal), stop).await {
            Ok(runner) => runner.run().await,
            Err(error) => Err(error),
        };
        drop(lease);
        if !matches!(outcome, Err(SwarmError::LeaseLost(_))) {
            journal.release().await;
        }
        outcome
    }

    async fn begin(&self, run: &str, journal: Arc<Journal>, stop: watch::Receiver<Stop>) -> Result<Runner> {
        let snapshot = self.backend.read_state(run).await?;
        // A run that another client made has settings of its own making.
        let stored: Option<Stored> = serde_json::from_str(&snapshot.run.settings).ok();
        let goal = snapshot.run.goal.clone();
        let (root, limits) = match stored {
            Some(stored) => (stored.root, stored.limits),
            None => {
                self.settings.check()?;
                (Blueprint::new("route_goal", json!({"goal": goal})), self.settings.clone())
            }
        };
        let settings = Settings { scripts: self.settings.scripts.clone(), approve: self.settings.approve, ..limits };
        let scope = Scope {
            run: run.to_owned(),
            backend: Arc::clone(&self.backend),
            model: self.model.clone(),
            types: self.types.clone(),
            settings,
            observer: Arc::clone(&self.observer),
            journal,
            tokens: AtomicU64::new(snapshot.run.prompt_tokens + snapshot.run.completion_tokens),
        };
        let mut runner = Runner::new(Arc::new(scope), Tree::restore(snapshot), stop);
        if let Some(end) = runner.tree.end().cloned() {
            // The root was done, and the process gone before it could say that the run is.
            let events = runner.tree.finish(end);
            runner.write(events).await?;
        } else if runner.tree.created == 0 {
            let events = runner.tree.plant(root);
            runner.write(events).await?;
        } else {
            self.know(run, &runner.tree).await?;
            runner.take_up().await?;
        }
        Ok(runner)
    }

    /// Refuses a run with nodes that can't be executed here: each would fail, and the run with them.
    async fn know(&self, run: &str, tree: &Tree) -> Result<()> {
        let mut unknown = Vec::new();
        for name in tree.types() {
            if let Err(problem) = self.types.find(self.backend.as_ref(), name).await? {
                unknown.push(format!("{name} ({problem})"));
            }
        }
        if unknown.is_empty() {
            return Ok(());
        }
        let what = "resume it with the node types that it was begun with (--script FILE)";
        Err(SwarmError::Invalid(format!(
            "run {run} has nodes that can't be executed here: {}; {what}",
            unknown.join(", ")
        )))
    }
}

/// An execution that is over, or that panicked.
type Joined = std::result::Result<(tokio::task::Id, Done), JoinError>;

/// What the loop waits for.
enum Happening {
    Stop(Stop),
    Late,
    Done(Box<Joined>),
    Rested(String),
    News(Option<Change>),
}

struct Runner {
    scope: Arc<Scope>,
    tree: Tree,
    tasks: JoinSet<Done>,
    /// Which node a task executes, for one that panics.
    executing: HashMap<tokio::task::Id, String>,
    /// Nodes that wait for their next attempt.
    pauses: JoinSet<String>,
    news: Option<mpsc::Receiver<Change>>,
    stop: watch::Receiver<Stop>,
    deadline: Option<Instant>,
}

impl Runner {
    fn new(scope: Arc<Scope>, tree: Tree, stop: watch::Receiver<Stop>) -> Self {
        let timeout = scope.settings.run_timeout_ms;
        let deadline = (timeout > 0).then(|| Instant::now() + Duration::from_millis(timeout));
        Self {
            scope,
            tree,
            tasks: JoinSet::new(),
            executing: HashMap::new(),
            pauses: JoinSet::new(),
            news: None,
            stop,
            deadline,
        }
    }

    async fn run(mut self) -> Result<RunEnd> {
        while self.tree.end().is_none() {
            self.start_due().await?;
            self.scope.observer.live(self.tree.live());
            if self.tasks.is_empty() && self.pauses.is_empty() && self.tree.asking().next().is_none() {
                return Err(SwarmError::Invalid("the run has nodes left and none of them can go on".to_owned()));
            }
            self.turn().await?;
        }
        let end = self.tree.end().cloned().unwrap_or(End { status: RunStatus::Failed, output: Value::Null });
        Ok(RunEnd {
            run: self.scope.run.clone(),
            status: end.status,
            output: end.output,
            nodes: self.tree.created,
            tokens: self.scope.tokens.load(std::sync::atomic::Ordering::Relaxed),
        })
    }

    /// Waits for the next thing that happens.
    async fn next(&mut self) -> Happening {
        let deadline = self.deadline;
        tokio::select! {
            biased;
            stop = self.stop.wait_for(|stop| *stop != Stop::No) => {
                Happening::Stop(stop.map_or_else(|_| Stop::Lost("the lease is not kept any more".to_owned()), |stop| stop.clone()))
            }
            () = at(deadline) => Happening::Late,
            Some(done) = self.tasks.join_next_with_id() => Happening::Done(Box::new(done)),
            Some(path) = self.pauses.join_next() => Happening::Rested(path.unwrap_or_default()),
            change = next_of(&mut self.news) => Happening::News(change),
        }
    }

    /// Does what follows from it.
    async fn turn(&mut self) -> Result<()> {
        match self.next().await {
            Happening::Stop(Stop::Lost(winner)) => Err(SwarmError::LeaseLost(winner)),
            Happening::Stop(_) | Happening::News(Some(Change::Cancel)) => {
                self.end(RunStatus::Cancelled, "cancelled").await
            }
            Happening::Late => self.end(RunStatus::Failed, "the run's time is over (run_timeout_ms)").await,
            Happening::Done(done) => {
                let mut events = self.settle(*done).await?;
                let bytes = |events: &[RunEvent]| -> usize {
                    events.iter().map(|event| event.data.len() + event.output.len()).sum()
                };
                while events.len() < APPEND_EVENTS
                    && bytes(&events) < APPEND_BYTES
                    && let Some(done) = self.tasks.try_join_next_with_id()
                {
                    events.extend(self.settle(done).await?);
                }
                self.write(events).await
            }
            Happening::Rested(path) => {
                self.tree.enqueue(path);
                Ok(())
            }
            Happening::News(Some(Change::Answered { node, answer })) => {
                let events = self.tree.answer(&node, answer);
                self.write(events).await
            }
            Happening::News(None) => self.listen().await,
        }
    }

    /// Starts what the queue has, as far as there is room, or asks whether it may be.
    async fn start_due(&mut self) -> Result<()> {
        let mut asked = Vec::new();
        while self.tasks.len() < self.scope.settings.parallel.max(1)
            && let Some(path) = self.tree.next()
        {
            if self.scope.settings.approve
                && let Some(events) = self.tree.ask_approval(&path)
            {
                asked.extend(events);
                continue;
            }
            let above = self.tree.above(&path).into_iter().filter_map(|node| node.pack.clone());
            let above: Vec<Arc<Pack>> = super::context::prefix(above, self.scope.settings.prefix_tokens_max);
            let Some(node) = self.tree.get_mut(&path) else { continue };
            node.attempts += 1;
            let held = Held { receipts: node.receipts.clone().into(), ..Held::default() };
            let step = Step {
                path: path.clone(),
                node_type: node.node_type.clone(),
                data: Arc::clone(&node.data),
                attempt: node.attempts,
                answer: node.answer.clone(),
                children: node.results.clone(),
                keep: node.keep.clone(),
                function: String::new(),
                packs: above,
                scope: Arc::clone(&self.scope),
                held: Arc::new(held),
            };
            let task = self.tasks.spawn(execute::execute(step));
            self.executing.insert(task.id(), path);
        }
        if !asked.is_empty() && self.news.is_none() {
            self.listen().await?;
        }
        for events in asked.chunks(APPEND_EVENTS) {
            self.write(events.to_vec()).await?;
        }
        Ok(())
    }

    /// Takes up what an execution came to.
    async fn settle(&mut self, joined: Joined) -> Result<Vec<RunEvent>> {
        let (path, done) = match joined {
            Ok((id, done)) => (self.executing.remove(&id).unwrap_or_default(), done),
            Err(error) => {
                let path = self.executing.remove(&error.id()).unwrap_or_default();
                (path, Done::failed(NodeError::fatal(format!("the node type panicked: {error}"))))
            }
        };
        if let Some(node) = self.tree.get_mut(&path) {
            node.receipts = done.receipts;
            node.pack = done.pack;
        }
        let outcome = done.outcome.and_then(|outcome| self.within_budget(outcome));
        if matches!(outcome, Ok(Outcome::Ask(_))) && self.news.is_none() {
            self.listen().await?;
        }
        let mut events = match outcome {
            Ok(outcome) => self.tree.settle(&path, outcome, done.usage),
            Err(error) => self.fail(&path, &error, done.usage),
        };
        if !done.notes.is_empty()
            && let Some(event) = events.first_mut().filter(|event| event.data.is_empty())
        {
            event.data = json!({"notes": done.notes}).to_string();
        }
        Ok(events)
    }

    fn within_budget(&self, outcome: Outcome) -> std::result::Result<Outcome, NodeError> {
        let Outcome::Spawn(spawn) = &outcome else { return Ok(outcome) };
        let wanted = (spawn.children.len() + spawn.then.len()) as u64;
        let most = self.scope.settings.nodes_max;
        if self.tree.created + self.tree.planned + wanted > most {
            let message = format!("{wanted} more nodes are over the run's budget of {most} (nodes_max)");
            return Err(NodeError::fatal(message));
        }
        Ok(outcome)
    }

    fn fail(&mut self, path: &str, error: &NodeError, usage: Usage) -> Vec<RunEvent> {
        let settings = &self.scope.settings;
        let Some(node) = self.tree.get_mut(path) else { return Vec::new() };
        node.failures += 1;
        let failures = node.failures;
        let again = error.retry && failures < settings.attempts_max;
        if again {
            let pause = backoff(settings, &self.scope.run, path, failures);
            let path = path.to_owned();
            self.pauses.spawn(async move {
                tokio::time::sleep(pause).await;
                path
            });
        }
        self.tree.fail(path, error, again, usage)
    }

    /// Ends the run, whatever is being executed.
    async fn end(&mut self, status: RunStatus, why: &str) -> Result<()> {
        self.tasks.shutdown().await;
        let events = self.tree.finish(End { status, output: json!({"error": why}) });
        self.write(events).await
    }

    async fn write(&mut self, events: Vec<RunEvent>) -> Result<()> {
        self.scope.journal.append(events).await.map_err(|_| self.scope.journal.fault())
    }

    /// Goes on with what people are asked since an earlier life of the run.
    async fn take_up(&mut self) -> Result<()> {
        if self.tree.asking().next().is_none() {
            return Ok(());
        }
        self.listen().await?;
        if self.scope.settings.approve {
            return Ok(());
        }
        // Nobody is to be asked any more; what was said already counts.
        for path in self.tree.approving() {
            let events = self.tree.answer(&path, "yes".to_owned());
            self.write(events).await?;
        }
        Ok(())
    }

    /// Listens for answers, and takes up those that were given before.
    async fn listen(&mut self) -> Result<()> {
        let until = Instant::now() + Duration::from_millis(self.scope.settings.patience_ms);
        let (backend, run) = (&self.scope.backend, &self.scope.run);
        let from = self.scope.journal.next().await;
        // Before the first question there is nothing to take up.
        let asked = self.tree.asking().next().is_some();
        let (news, nodes) = loop {
            let listened = async {
                let news = backend.watch_run(run, from).await?;
                Ok((news, if asked { backend.read_state(run).await?.nodes } else { Vec::new() }))
            };
            match listened.await {
                Ok(both) => break both,
                Err(error) if passes(&error) && Instant::now() < until => tokio::time::sleep(LISTEN_PAUSE).await,
                Err(error) => return Err(error.into()),
            }
        };
        self.news = Some(news);
        let mut events = Vec::new();
        for node in nodes.into_iter().filter(|node| node.phase() == NodePhase::Asking && node.answered) {
            events.extend(self.tree.answer(&node.node, node.answer));
        }
        self.write(events).await
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn next_of(news: &mut Option<mpsc::Receiver<Change>>) -> Option<Change> {
    match news {
        Some(news) => news.recv().await,
        None => std::future::pending().await,
    }
}

/// Doubles with each failure; half of it is jitter, the same for the same run, node and failure.
fn backoff(settings: &Settings, run: &str, path: &str, failures: u32) -> Duration {
    let doubled = settings.backoff_ms.saturating_mul(1 << failures.saturating_sub(1).min(20));
    let full = doubled.min(settings.backoff_ms_max);
    let mut hasher = DefaultHasher::new();
    (settings.seed, run, path, failures).hash(&mut hasher);
    Duration::from_millis(full / 2 + hasher.finish() % (full / 2 + 1))
}

#[cfg(test)]
#[path = "runtime_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "resume_tests.rs"]
mod resume_tests;
