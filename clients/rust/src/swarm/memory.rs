//! A [`Backend`] in this process: as strict as the server about numbers, fences, phases and sizes, and gone with the process.
//!
//! For tests, and for runs that nobody needs to find again. It searches by shared words; it is no memory to rely on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tonic::{Code, Status};

use super::backend::{Backend, Change, Result, RunSnapshot};
use super::node::{Question, depth_of, named, parent_of};
use super::settings::DEPTH_MAX;
use crate::error::ClientError;
use crate::proto::run_event::Kind;
use crate::proto::{
    ContextItem, GatherContextRequest, GatherContextResponse, Node, NodePhase, RecordOutcomeRequest,
    RegisterNodesResponse, RememberRequest, RouteCandidate, RouteRequest, RouteResponse, Run, RunEvent, RunNode,
    RunReceipt, RunStatus,
};

/// Most bytes of an event, by the server's rule.
const EVENT_BYTES_MAX: usize = 1024 * 1024;

/// See the module.
#[derive(Debug, Default)]
pub struct MemoryBackend(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    runs: BTreeMap<String, HeldRun>,
    keys: BTreeMap<String, String>,
    memories: Vec<RememberRequest>,
    nodes: BTreeMap<String, Node>,
    outcomes: Vec<RecordOutcomeRequest>,
    fault: Option<Fault>,
}

/// From this event on nothing is taken any more.
#[derive(Debug, Clone, Copy)]
struct Fault {
    from: u64,
    /// The append that meets it is stored, and only its reply is lost.
    stored: bool,
    code: Code,
}

#[derive(Debug, Default)]
struct HeldRun {
    run: Run,
    fence: u64,
    lease: Option<Instant>,
    events: Vec<RunEvent>,
    nodes: BTreeMap<Vec<u32>, RunNode>,
    /// Untaken answers count as open until the holder writes them.
    taken: BTreeMap<String, bool>,
    queue: Vec<String>,
    watchers: Vec<mpsc::Sender<Change>>,
}

impl MemoryBackend {
    /// The whole history of a run.
    pub fn events(&self, run: &str) -> Vec<RunEvent> {
        self.state().runs.get(run).map(|held| held.events.clone()).unwrap_or_default()
    }

    /// What was remembered, in order.
    pub fn memories(&self) -> Vec<RememberRequest> {
        self.state().memories.clone()
    }

    /// The catalogue.
    pub fn registered(&self) -> Vec<Node> {
        self.state().nodes.values().cloned().collect()
    }

    /// What was told about decisions.
    pub fn outcomes(&self) -> Vec<RecordOutcomeRequest> {
        self.state().outcomes.clone()
    }

    /// The run as it is.
    ///
    /// # Errors
    /// For an unknown one.
    pub fn run(&self, run: &str) -> Result<Run> {
        Ok(self.state().held(run)?.run.clone())
    }

    /// Asks for the end of a run.
    ///
    /// # Errors
    /// For an unknown one.
    pub fn cancel(&self, run: &str) -> Result<()> {
        let mut state = self.state();
        let held = state.held(run)?;
        held.run.cancel_requested = true;
        held.tell(&Change::Cancel);
        Ok(())
    }

    /// Refuses appends that reach event `from`, until [`Self::mend`]. With `stored` the first of them is kept all the same, as if
    /// only its reply had been lost. `UNAVAILABLE` is a server that is gone, other codes end the run at once.
    pub fn break_at(&self, from: u64, stored: bool, code: Code) {
        self.state().fault = Some(Fault { from, stored, code });
    }

    /// Takes appends again.
    pub fn mend(&self) {
        self.state().fault = None;
    }

    /// Ends the lease of a run, as time would.
    ///
    /// # Errors
    /// For an unknown one.
    pub fn expire_lease(&self, run: &str) -> Result<()> {
        self.state().held(run)?.lease = None;
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn held(&mut self, run: &str) -> Result<&mut HeldRun> {
        self.runs.get_mut(run).ok_or_else(|| refused(Code::NotFound, format!("there is no run {run:?}")))
    }
}

fn refused(code: Code, message: impl Into<String>) -> ClientError {
    ClientError::from(Status::new(code, message))
}

fn invalid<T>(event: &RunEvent, what: &str) -> Result<T> {
    let message = format!("event {} ({:?} of {:?}) {what}", event.sequence, event.kind(), event.node);
    Err(refused(Code::InvalidArgument, message))
}

/// Sorts like the tree.
fn place(path: &str) -> Vec<u32> {
    path.split('.').filter_map(|step| step.parse().ok()).collect()
}

impl HeldRun {
    fn tell(&mut self, change: &Change) {
        self.watchers.retain(|watcher| watcher.try_send(change.clone()).is_ok());
    }

    fn check_fence(&self, fence: u64) -> Result<()> {
        if fence == self.fence {
            return Ok(());
        }
        Err(refused(Code::Aborted, format!("the run is held by {} under a newer lease", self.run.holder)))
    }

    /// All or none.
    fn append_all(&mut self, events: Vec<RunEvent>) -> Result<()> {
        let about = events.iter().flat_map(|event| [Some(event.node.as_str()), parent_of(&event.node)]);
        let places: BTreeSet<Vec<u32>> = about.flatten().map(place).collect();
        let nodes: Vec<_> = places.into_iter().map(|at| (self.nodes.get(&at).cloned(), at)).collect();
        let (run, taken, queue, held) = (self.run.clone(), self.taken.clone(), self.queue.clone(), self.events.len());
        let done = events.into_iter().try_for_each(|event| self.append(event));
        if done.is_err() {
            (self.run, self.taken, self.queue) = (run, taken, queue);
            self.events.truncate(held);
            for (node, at) in nodes {
                match node {
                    Some(node) => self.nodes.insert(at, node),
                    None => self.nodes.remove(&at),
                };
            }
        }
        done
    }

    fn append(&mut self, event: RunEvent) -> Result<()> {
        if event.data.len() + event.output.len() > EVENT_BYTES_MAX || depth_of(&event.node) > DEPTH_MAX {
            return invalid(&event, "is larger or deeper than the server takes");
        }
        for (name, needed) in [(&event.key, Kind::Receipt), (&event.node_type, Kind::CreateNode)] {
            if !(named(name) || name.is_empty() && event.kind() != needed) {
                return invalid(&event, "has a name that the server does not take");
            }
        }
        if let Some(held) = self.events.get((event.sequence as usize).wrapping_sub(1)) {
            let same = *held == event;
            return if same { Ok(()) } else { invalid(&event, "has another content than the one that is there") };
        }
        if event.sequence != self.events.len() as u64 + 1 {
            return invalid(&event, "leaves a gap");
        }
        if self.run.status() != RunStatus::Open {
            return invalid(&event, "comes after the end of the run");
        }
        self.fold(&event)?;
        self.run.last_sequence = event.sequence;
        self.run.prompt_tokens += event.prompt_tokens;
        self.run.completion_tokens += event.completion_tokens;
        self.events.push(event);
        Ok(())
    }

    fn fold(&mut self, event: &RunEvent) -> Result<()> {
        let at = place(&event.node);
        if event.kind() == Kind::EndRun {
            self.run.status = event.status;
            self.run.result.clone_from(&event.output);
            return Ok(());
        }
        if event.kind() == Kind::CreateNode {
            return self.create(event, at);
        }
        let Some(node) = self.nodes.get_mut(&at) else { return invalid(event, "is about no node") };
        let open = node.children - node.children_finished;
        match (event.kind(), node.phase()) {
            (_, NodePhase::Finished | NodePhase::Failed) => return invalid(event, "is about a node that is over"),
            (Kind::RunNode, NodePhase::Queued | NodePhase::Running | NodePhase::Waiting) if open == 0 => {
                node.set_phase(NodePhase::Running);
                node.attempts += 1;
                node.context.clone_from(&event.data);
                self.queue.retain(|queued| *queued != event.node);
            }
            (Kind::NodeOutput, NodePhase::Running) => {
                node.set_phase(NodePhase::Waiting);
                node.failures = 0;
                node.output.clone_from(&event.output);
                if event.waits && open == 0 {
                    self.queue.push(event.node.clone());
                }
            }
            (Kind::NodeError, NodePhase::Running) if event.waits => {
                node.set_phase(NodePhase::Queued);
                node.failures += 1;
                self.queue.push(event.node.clone());
            }
            (Kind::NodeError, NodePhase::Running) => {
                node.output.clone_from(&event.output);
                self.over(event, &at, NodePhase::Failed);
            }
            (Kind::DeleteNode, NodePhase::Waiting) if open == 0 => self.over(event, &at, NodePhase::Finished),
            (Kind::Question, NodePhase::Running) => {
                node.set_phase(NodePhase::Asking);
                node.failures = 0;
                let asked: Question = serde_json::from_str(&event.data).unwrap_or_default();
                let same = node.question == asked.text && self.taken.get(&event.node) == Some(&false);
                if !same {
                    (node.question, node.answered) = (asked.text, false);
                    self.taken.insert(event.node.clone(), false);
                    self.run.open_questions += 1;
                }
            }
            (Kind::Answer, NodePhase::Asking) => {
                if !node.answered {
                    node.answer = serde_json::from_str(&event.data).unwrap_or_else(|_| event.data.clone());
                    node.answered = true;
                    self.run.open_questions -= 1;
                }
                self.taken.insert(event.node.clone(), true);
                node.set_phase(NodePhase::Running);
            }
            (Kind::Receipt, _) => {
                node.receipts.push(RunReceipt { key: event.key.clone(), receipt: event.output.clone() });
            }
            (_, phase) => return invalid(event, &format!("can't be, the node is {}", phase.as_str_name())),
        }
        Ok(())
    }

    fn create(&mut self, event: &RunEvent, at: Vec<u32>) -> Result<()> {
        if self.nodes.contains_key(&at) {
            return invalid(event, "creates a node that is there");
        }
        if let Some(parent) = parent_of(&event.node) {
            let number = at.last().copied().unwrap_or_default();
            match self.nodes.get_mut(&place(parent)) {
                Some(held) if held.children == number => held.children += 1,
                _ => return invalid(event, "is not the next child of a node that is there"),
            }
            self.queue.retain(|queued| queued != parent);
        }
        let node = RunNode {
            node: event.node.clone(),
            node_type: event.node_type.clone(),
            data: event.data.clone(),
            phase: NodePhase::Queued as i32,
            ..RunNode::default()
        };
        self.nodes.insert(at, node);
        self.run.nodes += 1;
        self.queue.push(event.node.clone());
        Ok(())
    }

    fn over(&mut self, event: &RunEvent, at: &[u32], phase: NodePhase) {
        if let Some(node) = self.nodes.get_mut(at) {
            node.set_phase(phase);
            node.context.clear();
        }
        self.run.nodes_finished += 1;
        let Some(parent) = parent_of(&event.node) else { return };
        if let Some(held) = self.nodes.get_mut(&place(parent)) {
            held.children_finished += 1;
            if held.phase() == NodePhase::Waiting && held.children_finished == held.children {
                self.queue.push(parent.to_owned());
            }
        }
    }
}

#[tonic::async_trait]
impl Backend for MemoryBackend {
    async fn create_run(&self, goal: &str, settings: &str, key: &str) -> Result<Run> {
        let mut state = self.state();
        if let Some(id) = state.keys.get(key).cloned() {
            return Ok(state.held(&id)?.run.clone());
        }
        let id = uuid::Uuid::now_v7().to_string();
        let run = Run {
            id: id.clone(),
            goal: goal.to_owned(),
            settings: settings.to_owned(),
            status: RunStatus::Open as i32,
            ..Run::default()
        };
        if !key.is_empty() {
            state.keys.insert(key.to_owned(), id.clone());
        }
        state.runs.insert(id, HeldRun { run: run.clone(), ..HeldRun::default() });
        Ok(run)
    }

    async fn acquire_run(&self, run: &str, holder: &str, ttl: Duration) -> Result<(u64, Run)> {
        let mut state = self.state();
        let held = state.held(run)?;
        if held.run.status() != RunStatus::Open {
            return Err(refused(Code::FailedPrecondition, format!("run {run} has ended")));
        }
        if held.lease.is_some_and(|until| until > Instant::now()) {
            return Err(refused(Code::Aborted, format!("run {run} is held by {}", held.run.holder)));
        }
        held.fence += 1;
        held.lease = Some(Instant::now() + ttl);
        holder.clone_into(&mut held.run.holder);
        Ok((held.fence, held.run.clone()))
    }

    async fn renew_run(&self, run: &str, fence: u64, ttl: Duration) -> Result<bool> {
        let mut state = self.state();
        let held = state.held(run)?;
        held.check_fence(fence)?;
        held.lease = Some(Instant::now() + ttl);
        Ok(held.run.cancel_requested)
    }

    async fn release_run(&self, run: &str, fence: u64) -> Result<()> {
        let mut state = self.state();
        let held = state.held(run)?;
        held.check_fence(fence)?;
        held.lease = None;
        Ok(())
    }

    async fn append_events(&self, run: &str, fence: u64, events: Vec<RunEvent>) -> Result<()> {
        let mut state = self.state();
        let fault = state.fault.filter(|fault| events.last().is_some_and(|last| last.sequence >= fault.from));
        if let Some(fault) = &mut state.fault {
            fault.stored &= events.last().is_none_or(|last| last.sequence < fault.from);
        }
        let held = state.held(run)?;
        held.check_fence(fence)?;
        if fault.is_none_or(|fault| fault.stored) {
            held.append_all(events)?;
        }
        fault.map_or(Ok(()), |fault| Err(refused(fault.code, "the fake was told to break here")))
    }

    async fn read_state(&self, run: &str) -> Result<RunSnapshot> {
        let mut state = self.state();
        let held = state.held(run)?;
        let nodes = held.nodes.values().cloned().collect();
        Ok(RunSnapshot { run: held.run.clone(), nodes, queue: held.queue.clone() })
    }

    async fn watch_run(&self, run: &str, _from: u64) -> Result<mpsc::Receiver<Change>> {
        let (sender, receiver) = mpsc::channel(64);
        self.state().held(run)?.watchers.push(sender);
        Ok(receiver)
    }

    async fn answer_question(&self, run: &str, node: &str, answer: &str) -> Result<()> {
        let mut state = self.state();
        let held = state.held(run)?;
        let asks = held.nodes.get_mut(&place(node)).filter(|node| node.phase() == NodePhase::Asking && !node.answered);
        let Some(asks) = asks else {
            return Err(refused(Code::NotFound, format!("node {node} of run {run} asks nothing")));
        };
        (asks.answer, asks.answered) = (answer.to_owned(), true);
        held.run.open_questions -= 1;
        held.tell(&Change::Answered { node: node.to_owned(), answer: answer.to_owned() });
        Ok(())
    }

    async fn gather_context(&self, request: GatherContextRequest) -> Result<GatherContextResponse> {
        let state = self.state();
        let mut reply = GatherContextResponse::default();
        let words: Vec<String> = words(&request.task).collect();
        for (number, memory) in state.memories.iter().enumerate() {
            let citation = format!("memory:{number}");
            let fits = words.iter().any(|word| self::words(&memory.text).any(|other| other == *word));
            if fits && !request.held.contains(&citation) {
                reply.text.push_str(&memory.text);
                reply.text.push('\n');
                reply.items.push(ContextItem { citation, ..ContextItem::default() });
            }
        }
        reply.tokens = (reply.text.len() / 4) as u32;
        Ok(reply)
    }

    async fn remember(&self, request: RememberRequest) -> Result<()> {
        let mut state = self.state();
        let known = state.memories.iter().any(|held| held.idempotency_key == request.idempotency_key);
        if !known || request.idempotency_key.is_empty() {
            state.memories.push(request);
        }
        Ok(())
    }

    async fn route(&self, request: RouteRequest) -> Result<RouteResponse> {
        let state = self.state();
        let goal = request.goal.to_lowercase();
        let named = |node: &&Node| node.utterances.iter().any(|said| goal.contains(&said.to_lowercase()));
        let Some(node) = state.nodes.values().find(named) else {
            return Ok(RouteResponse { decision: "none".into(), advice: "break_down".into(), ..Default::default() });
        };
        let candidate =
            RouteCandidate { name: node.name.clone(), schema: node.arguments.clone(), ..Default::default() };
        let set = vec![node.name.clone()];
        Ok(RouteResponse { decision: "route".into(), set, candidates: vec![candidate], ..Default::default() })
    }

    async fn get_node(&self, name: &str) -> Result<Option<Node>> {
        Ok(self.state().nodes.get(name).cloned())
    }

    async fn register_nodes(&self, nodes: Vec<Node>, _key: &str) -> Result<RegisterNodesResponse> {
        let added = nodes.len() as u64;
        self.state().nodes.extend(nodes.into_iter().map(|node| (node.name.clone(), node)));
        Ok(RegisterNodesResponse { added, ..RegisterNodesResponse::default() })
    }

    async fn record_outcome(&self, request: RecordOutcomeRequest) -> Result<()> {
        self.state().outcomes.push(request);
        Ok(())
    }
}

/// Words of some length: the short ones say nothing.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() > 3).map(str::to_lowercase)
}
