//! What a history comes down to: which event may follow, and how it changes the nodes and the queue.
//!
//! A state need not hold the whole run: [`RunState::apply`] looks only at the node of an event, at its parent and at their question
//! and receipt, so a catalogue loads those and stores what changed. Texts are not here: a state says by number which event
//! holds them.

use std::collections::{BTreeMap, BTreeSet};

use super::place::NodePath;
use super::{Event, EventKind, NodePhase, RunStatus};
use crate::base::Timestamp;
use crate::base::error::{Error, Result};
use crate::base::limits::{RUN_EVENTS_MAX, RUN_NODES_MAX};

/// Counts of a run, kept with each event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// How it stands.
    pub status: RunStatus,
    /// Number of the last event.
    pub last_sequence: u64,
    /// Nodes that there are.
    pub nodes: u64,
    /// Those that are over.
    pub nodes_finished: u64,
    /// Questions without an answer.
    pub open_questions: u64,
    /// Tokens that went to models.
    pub prompt_tokens: u64,
    /// Tokens that came from them.
    pub completion_tokens: u64,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            status: RunStatus::Open,
            last_sequence: 0,
            nodes: 0,
            nodes_finished: 0,
            open_questions: 0,
            prompt_tokens: 0,
            completion_tokens: 0,
        }
    }
}

/// How a node stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeState {
    /// Its type.
    pub node_type: String,
    /// How it stands.
    pub phase: NodePhase,
    /// Executions begun.
    pub attempts: u32,
    /// Executions that failed since one ended well or asked.
    pub failures: u32,
    /// Children spawned.
    pub children: u32,
    /// Those that are over.
    pub children_finished: u32,
    /// A waiting node goes on when its children are done; one that does not is about to be deleted.
    pub waits: bool,
    /// Number of the event that put it into the queue; 0: it is not there.
    pub queued_at: u64,
    /// Number of the event that holds its data; 0: there is none.
    pub data_at: u64,
    /// Number of the event that holds its output; 0: there is none yet.
    pub output_at: u64,
    /// Number of the event that says with which context its last execution began; 0: with none, or it is over.
    pub context_at: u64,
}

/// What a node asked people last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Number of the event.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// As the node said it.
    pub data: String,
    /// What people said, and when.
    pub answer: Option<(String, Timestamp)>,
    /// The answer has reached the node.
    pub taken: bool,
}

/// A run, or the part of it that the next events are about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunState {
    /// Counts.
    pub tally: Tally,
    /// Nodes by place.
    pub nodes: BTreeMap<NodePath, NodeState>,
    /// What nodes asked.
    pub questions: BTreeMap<NodePath, Asked>,
    /// Number of the event that holds the receipt of an effect.
    pub receipts: BTreeMap<(NodePath, String), u64>,
    /// Nodes and questions that changed, and those whose question is gone.
    pub touched: BTreeSet<NodePath>,
    /// Receipts that changed.
    pub receipts_touched: BTreeSet<(NodePath, String)>,
}

impl RunState {
    /// Goes on by one event. A refused one changes nothing.
    ///
    /// # Errors
    /// Invalid, naming what stands against it; over a limit.
    pub fn apply(&mut self, event: &Event) -> Result<()> {
        let due = self.tally.last_sequence + 1;
        if self.tally.status != RunStatus::Open {
            return refuse(event, format!("comes after the end of the run, which {}", self.tally.status.as_str()));
        }
        if event.sequence != due {
            return refuse(event, format!("leaves a gap: the next number is {due}"));
        }
        if event.sequence > RUN_EVENTS_MAX {
            let message = format!("the run has {RUN_EVENTS_MAX} events, which is the limit: end it");
            return Err(Error::limit("events", message));
        }
        match (event.kind, &event.node) {
            (EventKind::EndRun, _) => self.end(event)?,
            (_, None) => return refuse(event, "names no node"),
            (EventKind::CreateNode, Some(node)) => self.create(event, node)?,
            (EventKind::RunNode, Some(node)) => self.run(event, node)?,
            (EventKind::NodeOutput, Some(node)) => self.output(event, node)?,
            (EventKind::NodeError, Some(node)) => self.error(event, node)?,
            (EventKind::DeleteNode, Some(node)) => self.delete(event, node)?,
            (EventKind::Question, Some(node)) => self.ask(event, node)?,
            (EventKind::Answer, Some(node)) => self.answered(event, node)?,
            (EventKind::Receipt, Some(node)) => self.receipt(event, node)?,
        }
        self.tally.last_sequence = due;
        self.tally.prompt_tokens = self.tally.prompt_tokens.saturating_add(event.prompt_tokens);
        self.tally.completion_tokens = self.tally.completion_tokens.saturating_add(event.completion_tokens);
        Ok(())
    }

    /// Nodes that wait to be executed, in order.
    pub fn queue(&self) -> Vec<NodePath> {
        let mut queue: Vec<_> = self.nodes.iter().filter(|(_, node)| node.queued_at > 0).collect();
        queue.sort_by_key(|(_, node)| node.queued_at);
        queue.into_iter().map(|(path, _)| path.clone()).collect()
    }

    /// A node that is there and not over.
    fn live(&mut self, event: &Event, path: &NodePath) -> Result<&mut NodeState> {
        match self.nodes.get_mut(path) {
            None => refuse(event, "is about a node that was not created"),
            Some(node) if node.phase.is_over() => {
                refuse(event, format!("is about a node that {}", node.phase.as_str()))
            }
            Some(node) => {
                self.touched.insert(path.clone());
                Ok(node)
            }
        }
    }

    fn create(&mut self, event: &Event, path: &NodePath) -> Result<()> {
        if self.tally.nodes >= RUN_NODES_MAX {
            let message = format!("the run has {RUN_NODES_MAX} nodes, which is the limit: spawn less");
            return Err(Error::limit("events", message));
        }
        if self.nodes.contains_key(path) {
            return refuse(event, "creates a node that is there already");
        }
        if let Some(parent) = path.parent() {
            match self.nodes.get_mut(&parent) {
                None => return refuse(event, "creates a child of a node that was not created"),
                Some(held) if held.phase.is_over() => {
                    return refuse(event, format!("creates a child of a node that {}", held.phase.as_str()));
                }
                Some(held) if held.children != path.number() => {
                    return refuse(event, format!("skips a number: the next child of {parent} is {}", held.children));
                }
                Some(held) => {
                    held.children += 1;
                    if held.phase == NodePhase::Waiting {
                        held.queued_at = 0;
                    }
                    self.touched.insert(parent);
                }
            }
        }
        let state = NodeState {
            node_type: event.node_type.clone(),
            phase: NodePhase::Queued,
            attempts: 0,
            failures: 0,
            children: 0,
            children_finished: 0,
            waits: false,
            queued_at: event.sequence,
            data_at: if event.data.is_empty() { 0 } else { event.sequence },
            output_at: 0,
            context_at: 0,
        };
        self.nodes.insert(path.clone(), state);
        self.touched.insert(path.clone());
        self.tally.nodes += 1;
        Ok(())
    }

    fn run(&mut self, event: &Event, path: &NodePath) -> Result<()> {
        let node = self.live(event, path)?;
        if node.phase == NodePhase::Waiting && node.children_finished < node.children {
            let left = node.children - node.children_finished;
            return refuse(event, format!("comes too early: {left} of its children are not done"));
        }
        node.phase = NodePhase::Running;
        node.attempts = node.attempts.saturating_add(1);
        node.queued_at = 0;
        node.context_at = if event.data.is_empty() { 0 } else { event.sequence };
        Ok(())
    }

    fn output(&mut self, event: &Event, path: &NodePath) -> Result<()> {
        let node = self.live(event, path)?;
        if node.phase != NodePhase::Running {
            return refuse(event, format!("is about a node that is {} and not running", node.phase.as_str()));
        }
        node.phase = NodePhase::Waiting;
        node.failures = 0;
        node.waits = event.waits;
        if !event.output.is_empty() {
            node.output_at = event.sequence;
        }
        if node.waits && node.children_finished == node.children {
            node.queued_at = event.sequence;
        }
        Ok(())
    }

    fn error(&mut self, event: &Event, path: &NodePath) -> Result<()> {
        let node = self.live(event, path)?;
        if event.waits {
            node.phase = NodePhase::Queued;
            node.failures = node.failures.saturating_add(1);
            node.queued_at = event.sequence;
            return Ok(());
        }
        if !event.output.is_empty() {
            node.output_at = event.sequence;
        }
        self.over(event, path, NodePhase::Failed);
        Ok(())
    }

    fn delete(&mut self, event: &Event, path: &NodePath) -> Result<()> {
        if self.nodes.get(path).is_some_and(|node| node.phase == NodePhase::Failed) {
            // Its parent knows already; that it failed is what stays.
            return Ok(());
        }
        let node = self.live(event, path)?;
        if node.children_finished < node.children {
            let left = node.children - node.children_finished;
            return refuse(event, format!("comes too early: {left} of its children are not done"));
        }
        if !event.output.is_empty() {
            node.output_at = event.sequence;
        }
        self.over(event, path, NodePhase::Finished);
        Ok(())
    }

    /// Ends a node: its question goes, and its parent goes on if this was the last child that it waits for.
    fn over(&mut self, event: &Event, path: &NodePath, phase: NodePhase) {
        if let Some(node) = self.nodes.get_mut(path) {
            node.phase = phase;
            (node.queued_at, node.context_at) = (0, 0);
            self.tally.nodes_finished += 1;
        }
        if let Some(asked) = self.questions.remove(path)
            && asked.answer.is_none()
        {
            self.tally.open_questions = self.tally.open_questions.saturating_sub(1);
        }
        let Some(parent) = path.parent() else { return };
        if let Some(held) = self.nodes.get_mut(&parent) {
            held.children_finished += 1;
            if held.phase == NodePhase::Waiting && held.waits && held.children_finished == held.children {
                held.queued_at = event.sequence;
            }
            self.touched.insert(parent);
        }
    }

    fn ask(&mut self, event: &Event, path: &NodePath) -> Result<()> {
        let node = self.live(event, path)?;
        if !matches!(node.phase, NodePhase::Running | NodePhase::Asking) {
            return refuse(event, format!("is about a node that is {} and not running", node.phase.as_str()));
        }
        node.phase = NodePhase::Asking;
        node.failures = 0;
        let held = self.questions.get(path).filter(|held| !held.taken);
        // An execution that begins again asks the same again: what people said meanwhile counts.
        if held.is_some_and(|held| held.data == event.data) {
            return Ok(());
        }
        if held.is_none_or(|held| held.answer.is_some()) {
            self.tally.open_questions += 1;
        }
        let asked =
            Asked { sequence: event.sequence, at: event.at, data: event.data.clone(), answer: None, taken: false };
        self.questions.insert(path.clone(), asked);
        Ok(())
    }

    fn answered(&mut self, event: &Event, path: &NodePath) -> Result<()> {
        if self.questions.get(path).is_none_or(|asked| asked.taken) {
            return refuse(event, "answers a question that nobody asks");
        }
        let node = self.live(event, path)?;
        if node.phase == NodePhase::Asking {
            node.phase = NodePhase::Running;
        }
        if let Some(asked) = self.questions.get_mut(path) {
            asked.taken = true;
            if asked.answer.is_none() {
                // Given to the client itself, at its prompt.
                asked.answer = Some((said(&event.data), event.at));
                self.tally.open_questions = self.tally.open_questions.saturating_sub(1);
            }
        }
        Ok(())
    }

    fn receipt(&mut self, event: &Event, path: &NodePath) -> Result<()> {
        self.live(event, path)?;
        let key = (path.clone(), event.key.clone());
        self.receipts_touched.insert(key.clone());
        self.receipts.insert(key, event.sequence);
        Ok(())
    }

    fn end(&mut self, event: &Event) -> Result<()> {
        match event.status {
            None | Some(RunStatus::Open) => refuse(event, "does not say how the run ended"),
            Some(status) => {
                self.tally.status = status;
                self.tally.open_questions = 0;
                Ok(())
            }
        }
    }
}

/// What an answer says: the text of a JSON string, anything else as it is.
fn said(data: &str) -> String {
    serde_json::from_str::<String>(data).unwrap_or_else(|_| data.to_owned())
}

fn refuse<T>(event: &Event, what: impl AsRef<str>) -> Result<T> {
    let node = event.node.as_ref().map(|node| format!(" of {node}")).unwrap_or_default();
    let name = format!("event {} ({}{node})", event.sequence, event.kind.as_str());
    Err(Error::invalid("events", format!("{name} {}", what.as_ref())))
}

#[cfg(test)]
#[path = "fold_tests.rs"]
mod tests;
