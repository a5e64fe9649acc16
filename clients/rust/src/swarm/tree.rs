//! The live part of a run: nodes that are not done, and the one lifecycle queue.
//!
//! Every change is made here and comes back as the events that say it; nothing is sent from here. A node that is done leaves,
//! and only its result stays with its parent until that is done too, so memory follows the nodes that live, not those that were.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::backend::RunSnapshot;
use super::context::{self, Pack};
use super::llm::cut;
use super::node::{Blueprint, Child, NodeError, Outcome, Question, Usage, parent_of};
use crate::proto::run_event::Kind;
use crate::proto::{NodePhase, RunEvent, RunNode, RunStatus};

/// Most bytes of an error that are written: it is for people and models, and may quote anything.
const ERROR_BYTES: usize = 8 * 1024;

/// Most bytes of a node's data that people are shown when they approve it.
const SHOWN_BYTES: usize = 2_000;

/// What people say to let a node be executed.
const YES: [&str; 6] = ["y", "yes", "ok", "okay", "approve", "approved"];

/// A node that is not done.
#[derive(Debug, Default)]
pub(super) struct Live {
    pub node_type: String,
    pub data: Arc<Value>,
    /// Executions begun.
    pub attempts: u32,
    /// Executions that failed since one went well.
    pub failures: u32,
    /// Children spawned, and those that are done.
    pub children: u32,
    pub done: u32,
    /// Has an output and goes on when its children are done.
    waiting: bool,
    /// First child of the outcome that it waits for.
    from: u32,
    /// Steps of its plan that are left.
    then: VecDeque<Blueprint>,
    pub keep: Value,
    /// Of its children that are done.
    pub results: Vec<Child>,
    pub receipts: BTreeMap<String, Value>,
    pub asking: bool,
    /// It asks whether it may be executed, nothing of its own.
    approving: bool,
    /// People said that it may, and it has not come to anything since.
    approved: bool,
    pub answer: Option<String>,
    /// What it put before its model, for the nodes below.
    pub pack: Option<Arc<Pack>>,
}

/// What a waiting node keeps in its output, so that it can go on in another process.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Waiting {
    /// Children before this outcome, and before the first step of its plan.
    from: u32,
    base: u32,
    then: Vec<Blueprint>,
    keep: Value,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct End {
    pub status: RunStatus,
    pub output: Value,
}

#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: HashMap<String, Live>,
    queue: VecDeque<String>,
    /// Nodes over the life of the run.
    pub created: u64,
    /// Steps of plans that are still to be created.
    pub planned: u64,
    end: Option<End>,
}

impl Tree {
    /// The tree of a run as its state says it is. Nodes that were being executed are in the queue again, before the others.
    pub fn restore(snapshot: RunSnapshot) -> Self {
        let mut tree = Self { created: snapshot.run.nodes.max(snapshot.nodes.len() as u64), ..Self::default() };
        let mut over = Vec::new();
        let mut again = Vec::new();
        for node in snapshot.nodes {
            match node.phase() {
                NodePhase::Finished | NodePhase::Failed => over.push(node),
                phase => {
                    if phase == NodePhase::Running {
                        again.push(node.node.clone());
                    }
                    let path = node.node.clone();
                    let live = Live::restore(node, phase);
                    tree.planned += live.then.len() as u64;
                    tree.nodes.insert(path, live);
                }
            }
        }
        for node in over {
            tree.restore_result(node);
        }
        tree.queue.extend(again);
        tree.queue.extend(snapshot.queue);
        tree
    }

    fn restore_result(&mut self, node: RunNode) {
        let output = json_or_null(&node.output);
        let result = match node.phase() {
            NodePhase::Failed => Err(error_text(&output)),
            _ => Ok(output),
        };
        let Some((parent, number)) = node.node.rsplit_once('.') else {
            self.end = Some(End::of(result));
            return;
        };
        if let (Some(parent), Ok(number)) = (self.nodes.get_mut(parent), number.parse()) {
            let at = parent.results.partition_point(|held| held.number < number);
            parent.results.insert(at, Child { number, node_type: node.node_type, result });
        }
    }

    /// Nodes that are not done.
    pub fn live(&self) -> usize {
        self.nodes.len()
    }

    /// How the run ended, once it has.
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    pub fn get(&self, path: &str) -> Option<&Live> {
        self.nodes.get(path)
    }

    pub fn get_mut(&mut self, path: &str) -> Option<&mut Live> {
        self.nodes.get_mut(path)
    }

    /// Nodes from the root down to the parent of `path`.
    pub fn above(&self, path: &str) -> Vec<&Live> {
        let mut above: Vec<&Live> =
            std::iter::successors(parent_of(path), |path| parent_of(path)).filter_map(|path| self.get(path)).collect();
        above.reverse();
        above
    }

    /// Takes the next node to be executed.
    pub fn next(&mut self) -> Option<String> {
        self.queue.pop_front()
    }

    /// Puts a node into the queue again, after a wait or an answer.
    pub fn enqueue(&mut self, path: String) {
        self.queue.push_back(path);
    }

    /// Names of the types of nodes that are not done and of steps that are planned, each once.
    pub fn types(&self) -> BTreeSet<&str> {
        let planned = self.nodes.values().flat_map(|node| &node.then).map(|step| step.node_type.as_str());
        self.nodes.values().map(|node| node.node_type.as_str()).chain(planned).collect()
    }

    /// Nodes that wait for an approval.
    pub fn approving(&self) -> Vec<String> {
        self.nodes.iter().filter(|(_, node)| node.approving).map(|(path, _)| path.clone()).collect()
    }

    /// Nodes that wait for people.
    pub fn asking(&self) -> impl Iterator<Item = &String> {
        self.nodes.iter().filter(|(_, node)| node.asking).map(|(path, _)| path)
    }

    /// Spawns the root.
    pub fn plant(&mut self, root: Blueprint) -> Vec<RunEvent> {
        vec![self.create("0".to_owned(), root)]
    }

    fn create(&mut self, path: String, blueprint: Blueprint) -> RunEvent {
        let event = RunEvent {
            node_type: blueprint.node_type.clone(),
            data: blueprint.data.to_string(),
            ..event(Kind::CreateNode, &path)
        };
        let node = Live { node_type: blueprint.node_type, data: Arc::new(blueprint.data), ..Live::default() };
        self.nodes.insert(path.clone(), node);
        self.queue.push_back(path);
        self.created += 1;
        event
    }

    fn create_child(&mut self, parent: &str, blueprint: Blueprint) -> Option<RunEvent> {
        let held = self.nodes.get_mut(parent)?;
        let path = format!("{parent}.{}", held.children);
        held.children += 1;
        Some(self.create(path, blueprint))
    }

    /// What an execution that ended well comes to.
    pub fn settle(&mut self, path: &str, outcome: Outcome, usage: Usage) -> Vec<RunEvent> {
        let Some(node) = self.nodes.get_mut(path) else { return Vec::new() };
        node.failures = 0;
        match outcome {
            Outcome::Finish(output) => {
                let said = RunEvent { output: output.to_string(), ..spent(Kind::NodeOutput, path, usage) };
                let mut events = vec![said, event(Kind::DeleteNode, path)];
                self.leave(path, Ok(output), &mut events);
                events
            }
            Outcome::Spawn(spawn) => {
                let from = node.children;
                let base = from + spawn.children.len() as u32;
                node.from = from;
                self.planned += spawn.then.len() as u64;
                node.keep = spawn.keep.clone();
                node.then = spawn.then.iter().cloned().collect();
                node.waiting = true;
                node.approved = false;
                let waiting = json!(Waiting { from, base, then: spawn.then, keep: spawn.keep });
                let said =
                    RunEvent { output: waiting.to_string(), waits: true, ..spent(Kind::NodeOutput, path, usage) };
                let mut events = vec![said];
                for child in spawn.children {
                    events.extend(self.create_child(path, child));
                }
                events.extend(self.advance(path));
                events
            }
            Outcome::Ask(question) => {
                node.asking = true;
                node.answer = None;
                vec![RunEvent { data: json!(question).to_string(), ..spent(Kind::Question, path, usage) }]
            }
        }
    }

    /// Asks people whether the node may be executed; `None` if they have said so. The execution begins with the question, in one
    /// append, so that what they said before is never taken for an answer to it.
    pub fn ask_approval(&mut self, path: &str) -> Option<[RunEvent; 2]> {
        let node = self.nodes.get_mut(path).filter(|node| !node.approved)?;
        (node.asking, node.approving) = (true, true);
        node.attempts += 1;
        let begins =
            RunEvent { attempt: node.attempts, node_type: node.node_type.clone(), ..event(Kind::RunNode, path) };
        let question = Question { text: approval(path, &node.node_type, &node.data), choices: Vec::new() };
        Some([begins, RunEvent { data: json!(question).to_string(), ..event(Kind::Question, path) }])
    }

    /// An execution failed. With `again` the node stays, and the caller puts it into the queue after a while.
    pub fn fail(&mut self, path: &str, error: &NodeError, again: bool, usage: Usage) -> Vec<RunEvent> {
        let attempt = self.nodes.get(path).map_or(0, |node| node.attempts);
        let message = cut(&error.message, ERROR_BYTES).to_owned();
        let said = RunEvent {
            output: json!({"error": message}).to_string(),
            waits: again,
            attempt,
            ..spent(Kind::NodeError, path, usage)
        };
        let mut events = vec![said];
        if !again {
            self.leave(path, Err(message), &mut events);
        }
        events
    }

    /// People answered: the node is executed again, with what they said, or has failed with it if they do not let it.
    pub fn answer(&mut self, path: &str, answer: String) -> Vec<RunEvent> {
        let Some(node) = self.nodes.get_mut(path).filter(|node| node.asking) else { return Vec::new() };
        node.asking = false;
        let mut events = vec![RunEvent { data: json!(answer).to_string(), ..event(Kind::Answer, path) }];
        let approval = std::mem::take(&mut node.approving);
        if approval && !YES.contains(&answer.trim().to_lowercase().as_str()) {
            let error = NodeError::fatal(format!("not approved: {}", answer.trim()));
            events.extend(self.fail(path, &error, false, Usage::default()));
            return events;
        }
        // Who has just told a node how to go on wants it to.
        node.approved = true;
        if !approval {
            node.answer = Some(answer);
        }
        self.queue.push_back(path.to_owned());
        events
    }

    /// The run ends here, whatever is left.
    pub fn finish(&mut self, end: End) -> Vec<RunEvent> {
        let said = RunEvent { status: end.status as i32, output: end.output.to_string(), ..event(Kind::EndRun, "") };
        self.end = Some(end);
        vec![said]
    }

    /// A node is gone: its parent has the result and goes on if that was what it waited for.
    fn leave(&mut self, path: &str, result: Result<Value, String>, events: &mut Vec<RunEvent>) {
        let Some(node) = self.nodes.remove(path) else { return };
        let Some((parent, number)) = path.rsplit_once('.') else {
            events.extend(self.finish(End::of(result)));
            return;
        };
        let Some(held) = self.nodes.get_mut(parent) else { return };
        held.done += 1;
        let number = number.parse().unwrap_or_default();
        let at = held.results.partition_point(|other| other.number < number);
        held.results.insert(at, Child { number, node_type: node.node_type, result });
        events.extend(self.advance(parent));
    }

    /// Lets a waiting node whose children are done go on: to the next step of its plan, or into the queue.
    fn advance(&mut self, path: &str) -> Option<RunEvent> {
        let node = self.nodes.get_mut(path).filter(|node| node.waiting && node.done == node.children)?;
        // A step that failed ends the plan: its manager decides what comes of it.
        let failed = node.results.iter().any(|child| child.number >= node.from && child.result.is_err());
        let left = node.then.len() as u64;
        match node.then.pop_front().filter(|_| !failed) {
            Some(step) => {
                self.planned -= 1;
                self.create_child(path, step)
            }
            None => {
                self.planned -= left;
                node.then.clear();
                node.waiting = false;
                self.queue.push_back(path.to_owned());
                None
            }
        }
    }
}

impl End {
    fn of(result: Result<Value, String>) -> Self {
        match result {
            Ok(output) => Self { status: RunStatus::Succeeded, output },
            Err(error) => Self { status: RunStatus::Failed, output: json!({"error": error}) },
        }
    }
}

impl Live {
    fn restore(node: RunNode, phase: NodePhase) -> Self {
        let output = json_or_null(&node.output);
        let waiting: Waiting = serde_json::from_value(output).unwrap_or_default();
        // A plan's steps are the children after its base; what they have not used up is left. One that is executed again, or whose
        // last step failed, has no plan any more.
        let used = node.children.saturating_sub(waiting.base) as usize;
        let waits = phase == NodePhase::Waiting && node.children_finished < node.children;
        let then = if waits { waiting.then.into_iter().skip(used).collect() } else { VecDeque::new() };
        let data = Arc::new(json_or_null(&node.data));
        let approval = node.question == approval(&node.node, &node.node_type, &data);
        Self {
            node_type: node.node_type,
            data,
            attempts: node.attempts,
            failures: node.failures,
            children: node.children,
            done: node.children_finished,
            waiting: waits,
            from: waiting.from,
            then,
            keep: waiting.keep,
            results: Vec::new(),
            receipts: node.receipts.into_iter().map(|held| (held.key, json_or_null(&held.receipt))).collect(),
            asking: phase == NodePhase::Asking,
            approving: phase == NodePhase::Asking && approval,
            approved: node.answered && matches!(phase, NodePhase::Queued | NodePhase::Running),
            answer: (node.answered && !approval).then_some(node.answer),
            pack: context::restored(&node.context),
        }
    }
}

/// What people are asked before a node is executed. A resume knows it by its words, so they follow from the node alone.
fn approval(path: &str, node_type: &str, data: &Value) -> String {
    let data = data.to_string();
    let shown = cut(&data, SHOWN_BYTES);
    let more = if shown.len() < data.len() { " …" } else { "" };
    format!("May node {path} be executed: {node_type} {shown}{more}? Say yes, or why not.")
}

/// An event of `kind` about `node` with nothing else in it; the journal numbers it.
pub(super) fn event(kind: Kind, node: &str) -> RunEvent {
    RunEvent { kind: kind as i32, node: node.to_owned(), ..RunEvent::default() }
}

fn spent(kind: Kind, node: &str, usage: Usage) -> RunEvent {
    RunEvent { prompt_tokens: usage.prompt_tokens, completion_tokens: usage.completion_tokens, ..event(kind, node) }
}

fn json_or_null(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

fn error_text(output: &Value) -> String {
    output["error"].as_str().map_or_else(|| output.to_string(), str::to_owned)
}
