//! What the runtime needs of a server, and nothing more: runs, memory, routing.
//!
//! [`ServerBackend`](super::ServerBackend) is the real one, [`MemoryBackend`](super::MemoryBackend) keeps everything in this
//! process and is as strict.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::error::{ClientError, ErrorKind};
use crate::proto::{
    GatherContextRequest, GatherContextResponse, Node, RecordOutcomeRequest, RegisterNodesResponse, RememberRequest,
    RouteRequest, RouteResponse, Run, RunEvent, RunNode,
};

/// What calls return.
pub type Result<T> = std::result::Result<T, ClientError>;

/// What a run comes down to.
#[derive(Debug, Clone, Default)]
pub struct RunSnapshot {
    /// Counts, limits, goal.
    pub run: Run,
    /// Parents before their children.
    pub nodes: Vec<RunNode>,
    /// Nodes that wait to be executed, in order.
    pub queue: Vec<String>,
}

/// News of a run that its holder has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Somebody answered what a node asked.
    Answered {
        /// The node.
        node: String,
        /// What they said.
        answer: String,
    },
    /// Somebody asked for an end.
    Cancel,
}

/// See the module. Calls may be repeated: appends by their numbers, the others by their keys.
#[tonic::async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Makes a run. `key` makes it the same one when it is asked for again.
    async fn create_run(&self, goal: &str, settings: &str, key: &str) -> Result<Run>;

    /// Takes the lease; returns the fence with the run. ABORTED, naming the holder, if another has it.
    async fn acquire_run(&self, run: &str, holder: &str, ttl: Duration) -> Result<(u64, Run)>;

    /// Keeps the lease; returns whether somebody asked for an end. ABORTED once it was lost.
    async fn renew_run(&self, run: &str, fence: u64, ttl: Duration) -> Result<bool>;

    /// Gives the lease up.
    async fn release_run(&self, run: &str, fence: u64) -> Result<()>;

    /// Appends to the history, all or none.
    async fn append_events(&self, run: &str, fence: u64, events: Vec<RunEvent>) -> Result<()>;

    /// The state that the history comes down to.
    async fn read_state(&self, run: &str) -> Result<RunSnapshot>;

    /// News from event number `from` on, until the receiver is dropped or the connection ends.
    async fn watch_run(&self, run: &str, from: u64) -> Result<mpsc::Receiver<Change>>;

    /// Answers what a node asked.
    async fn answer_question(&self, run: &str, node: &str, answer: &str) -> Result<()>;

    /// Gathers a context.
    async fn gather_context(&self, request: GatherContextRequest) -> Result<GatherContextResponse>;

    /// Stores a memory.
    async fn remember(&self, request: RememberRequest) -> Result<()>;

    /// Which node type serves a goal.
    async fn route(&self, request: RouteRequest) -> Result<RouteResponse>;

    /// A node type of the catalogue; `None` if there is none of that name.
    async fn get_node(&self, name: &str) -> Result<Option<Node>>;

    /// Registers node types and waits until they are routed to.
    async fn register_nodes(&self, nodes: Vec<Node>, key: &str) -> Result<RegisterNodesResponse>;

    /// Tells what came of a decision.
    async fn record_outcome(&self, request: RecordOutcomeRequest) -> Result<()>;

    /// What a web page says to `question`; if that is empty, what it is about.
    async fn fetch_page(&self, url: &str, _question: &str) -> Result<String> {
        let message = format!("{url} can't be fetched: this server does not fetch pages");
        Err(ClientError::local(ErrorKind::Unsupported, message))
    }
}
