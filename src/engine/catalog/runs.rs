//! The part of the ground state that swarms work on: runs, their histories, the state these come down to, questions.
//!
//! # Contract
//! - **Atomicity**: each change is one transaction. An append stores events and the state after them together, or nothing.
//! - **Durability**: what returned `Ok` survives a kill of the process.
//! - **Ordering**: the numbers of a history are 1, 2, 3 … without a gap, and what has one keeps it.
//! - **Idempotency**: an append of what is there already, with the same content, changes nothing and is counted. So is the same
//!   answer to a question.
//! - **Fencing**: each lease has a higher fence than the one before; appends, renewals and releases under another than the newest
//!   are refused as [`Lease`](crate::base::Kind::Lease). A lease that ran out is good until somebody else takes it.
//! - **State**: always what [`RunState`](crate::model::RunState) makes of the history, compacted or not.
//! - **Walls**: every call takes a namespace and neither returns nor changes anything of another. A run that is not in it is
//!   refused as `NotFound`.

use async_trait::async_trait;

use crate::base::error::Result;
use crate::base::{DocumentId, RunId, Timestamp};
use crate::model::run::{Event, NodePath, NodeState, Question, Run, RunStatus};
use crate::model::{Namespace, NewRun};

/// What an append did.
#[derive(Debug, Clone, PartialEq)]
pub struct Appended {
    /// The run after it.
    pub run: Run,
    /// Events that are new.
    pub appended: u64,
    /// Events that were there.
    pub duplicates: u64,
}

/// A stretch of a history.
#[derive(Debug, Clone, PartialEq)]
pub struct EventPage {
    /// The run when it was read.
    pub run: Run,
    /// In order.
    pub events: Vec<Event>,
    /// Where to go on; `None`: the end.
    pub next: Option<u64>,
}

/// A node with its texts.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldNode {
    /// Where it stands.
    pub node: NodePath,
    /// How.
    pub state: NodeState,
    /// JSON, or empty.
    pub data: String,
    /// JSON, or empty.
    pub output: String,
    /// With what its last execution began: JSON, or empty.
    pub context: String,
    /// Effects by name with their receipts.
    pub receipts: Vec<(String, String)>,
    /// What it asks or asked.
    pub question: Option<Question>,
}

/// A part of a run's state.
#[derive(Debug, Clone, PartialEq)]
pub struct StatePage {
    /// The run when it was read.
    pub run: Run,
    /// In the order of the tree.
    pub nodes: Vec<HeldNode>,
    /// What waits to be executed, in order. Only with the last page.
    pub queue: Option<Vec<NodePath>>,
}

/// What a compaction took away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Compacted {
    /// Events.
    pub events: u64,
    /// Bytes of them and of their texts, without the overhead of the store.
    pub bytes: u64,
}

/// Something that time has made due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Chore {
    /// Somebody asked for the end of a run whose holder is gone.
    End,
    /// A run ended long enough ago for its history to go.
    Compact,
    /// A run ended long enough ago to be removed.
    Remove,
}

/// From when on what is due. `None`: never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Now: leases up to then are over.
    pub now: Timestamp,
    /// Runs that ended up to then are compacted.
    pub compact: Option<Timestamp>,
    /// Runs that ended up to then are removed.
    pub remove: Option<Timestamp>,
}

/// See the module's contract.
#[async_trait]
pub trait Runs: Send + Sync {
    /// Makes a run, unless `open_max` of the namespace are open.
    async fn create_run(&self, namespace: &Namespace, new: NewRun, open_max: u64, now: Timestamp) -> Result<Run>;

    /// One run.
    async fn run(&self, namespace: &Namespace, run: RunId) -> Result<Run>;

    /// Runs with one of these statuses (or any), newest first, after the key that the page before ended with; and that of this
    /// page, if there are more.
    async fn runs(
        &self,
        namespace: &Namespace,
        statuses: &[RunStatus],
        after: Option<i64>,
        limit: u32,
    ) -> Result<(Vec<Run>, Option<i64>)>;

    /// Takes the lease until `until` under a new fence, if the run is open and nobody holds it at `now`.
    async fn acquire_run(
        &self,
        namespace: &Namespace,
        run: RunId,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Run>;

    /// Keeps the lease until `until`.
    async fn renew_run(&self, namespace: &Namespace, run: RunId, fence: u64, until: Timestamp) -> Result<Run>;

    /// Gives the lease up. One that is over already is no error.
    async fn release_run(&self, namespace: &Namespace, run: RunId, fence: u64) -> Result<()>;

    /// Appends events, which are checked and in order, all or none. The end of a run ends its lease.
    async fn append_events(
        &self,
        namespace: &Namespace,
        run: RunId,
        fence: u64,
        events: Vec<Event>,
        now: Timestamp,
    ) -> Result<Appended>;

    /// Events from a number on, at most `limit`, and no more once they have `bytes_max`. Those that were compacted away are
    /// skipped.
    async fn events(
        &self,
        namespace: &Namespace,
        run: RunId,
        from: u64,
        limit: u32,
        bytes_max: usize,
    ) -> Result<EventPage>;

    /// Nodes after a place in the tree, no more once their texts have `bytes_max`. All of one moment.
    async fn state(
        &self,
        namespace: &Namespace,
        run: RunId,
        after: Option<&NodePath>,
        bytes_max: usize,
    ) -> Result<StatePage>;

    /// Those of these nodes that there are, without texts.
    async fn run_nodes(
        &self,
        namespace: &Namespace,
        run: RunId,
        nodes: &[NodePath],
    ) -> Result<Vec<(NodePath, NodeState)>>;

    /// Questions of open runs (or of one) without an answer, oldest first, after the key that the page before ended with; and
    /// that of this page, if there are more.
    async fn open_questions(
        &self,
        namespace: &Namespace,
        run: Option<RunId>,
        after: i64,
        limit: u32,
    ) -> Result<(Vec<Question>, Option<i64>)>;

    /// Questions of a run that people answered and that no event has taken up yet, oldest first.
    async fn answered_questions(&self, namespace: &Namespace, run: RunId) -> Result<Vec<Question>>;

    /// Stores an answer.
    async fn answer_question(
        &self,
        namespace: &Namespace,
        run: RunId,
        node: &NodePath,
        answer: &str,
        now: Timestamp,
    ) -> Result<Question>;

    /// Notes that somebody wants an end, and ends the run if nobody holds it at `now`.
    async fn cancel_run(&self, namespace: &Namespace, run: RunId, now: Timestamp) -> Result<Run>;

    /// Drops the history up to the last append, which may come again, and texts that no node needs.
    async fn compact_run(&self, namespace: &Namespace, run: RunId) -> Result<Compacted>;

    /// Removes a run that nobody holds at `now` with all that belongs to it; gives the number of its events.
    async fn delete_run(&self, namespace: &Namespace, run: RunId, now: Timestamp) -> Result<u64>;

    /// At most `limit` runs, of all namespaces, for which something is due.
    async fn due_runs(&self, due: Due, limit: u32) -> Result<Vec<(Namespace, RunId, Chore)>>;

    /// Documents that carry the labels of a run and of one of these nodes of it, newest first.
    async fn run_memories(
        &self,
        namespace: &Namespace,
        run: RunId,
        nodes: &[NodePath],
        limit: u32,
    ) -> Result<Vec<(NodePath, DocumentId)>>;
}
