//! The history of a run as an indented tree: one line for each node, with when it began, how long it took and what it cost. Pure:
//! nothing here reads or writes anything.

use std::collections::HashMap;

use hivemem_client::proto::run_event::Kind;
use hivemem_client::proto::{NodePhase, RunEvent, RunNode};
use serde_json::{Value, json};

use super::super::render;

/// Columns of output that one line shows at least.
const SAID_COLUMNS_MIN: usize = 20;

/// What events say of one node.
#[derive(Debug, Default)]
struct Past<'a> {
    events: Vec<&'a RunEvent>,
    prompt_tokens: u64,
    completion_tokens: u64,
}

/// Nodes with their past.
pub(super) struct Tree<'a> {
    nodes: &'a [RunNode],
    past: HashMap<&'a str, Past<'a>>,
    /// When the first event was, in seconds.
    began: f64,
}

impl<'a> Tree<'a> {
    /// Of the nodes of a state, in the order of the tree, and the events that are left.
    pub(super) fn new(nodes: &'a [RunNode], events: &'a [RunEvent]) -> Self {
        let mut past: HashMap<&str, Past<'_>> = HashMap::new();
        for event in events {
            let one = past.entry(&event.node).or_default();
            one.prompt_tokens += event.prompt_tokens;
            one.completion_tokens += event.completion_tokens;
            one.events.push(event);
        }
        let began = events.first().map(seconds).unwrap_or_default();
        Self { nodes, past, began }
    }

    /// Seconds from the start of the run to the node's first event, and from there to its last one.
    fn times(&self, node: &RunNode) -> Option<(f64, f64)> {
        let events = &self.past.get(node.node.as_str())?.events;
        let (first, last) = (seconds(events.first()?), seconds(events.last()?));
        Some((first - self.began, last - first))
    }

    pub(super) fn json(&self) -> Value {
        let node = |node: &RunNode| {
            let past = self.past.get(node.node.as_str());
            let (began, took) = self.times(node).unzip();
            json!({
                "node": node.node, "type": node.node_type, "phase": phase(node), "attempts": node.attempts,
                "children": node.children, "children_finished": node.children_finished,
                "began_s": began, "took_s": took,
                "prompt_tokens": past.map_or(0, |past| past.prompt_tokens),
                "completion_tokens": past.map_or(0, |past| past.completion_tokens),
                "data": super::value(&node.data), "output": super::value(&node.output),
                "question": node.question, "answer": node.answer,
            })
        };
        self.nodes.iter().map(node).collect()
    }

    /// For a terminal of that many columns.
    pub(super) fn text(&self, with_events: bool, columns: usize) -> String {
        let mut text = String::new();
        for node in self.nodes {
            let indent = "  ".repeat(node.node.matches('.').count());
            let line = format!("{indent}{}", self.line(node, columns.saturating_sub(indent.len())));
            text.push_str(&format!("{}\n", render::cut(&line, columns)));
            let events = self.past.get(node.node.as_str()).filter(|_| with_events);
            for event in events.into_iter().flat_map(|past| &past.events) {
                let line = format!("{indent}    {}", self.event_line(event));
                text.push_str(&format!("{}\n", render::cut(&line, columns)));
            }
        }
        text
    }

    fn line(&self, node: &RunNode, columns: usize) -> String {
        let mut line = format!("{} {} {}", node.node, node.node_type, phase(node));
        if let Some((began, took)) = self.times(node) {
            line.push_str(&format!("  +{began:.3}s {took:.3}s"));
        }
        if let Some(past) = self.past.get(node.node.as_str())
            && past.prompt_tokens + past.completion_tokens > 0
        {
            line.push_str(&format!("  {}+{} tokens", past.prompt_tokens, past.completion_tokens));
        }
        if node.attempts > 1 {
            line.push_str(&format!("  {} executions", node.attempts));
        }
        let said = if node.output.is_empty() { &node.data } else { &node.output };
        let room = columns.saturating_sub(line.len() + 2).max(SAID_COLUMNS_MIN);
        format!("{line}  {}", render::cut(said, room))
    }

    fn event_line(&self, event: &RunEvent) -> String {
        let mut line = format!("#{} +{:.3}s {}", event.sequence, seconds(event) - self.began, kind(event));
        if event.prompt_tokens + event.completion_tokens > 0 {
            line.push_str(&format!("  {}+{} tokens", event.prompt_tokens, event.completion_tokens));
        }
        for said in [&event.key, &event.data, &event.output] {
            if !said.is_empty() {
                line.push_str(&format!("  {said}"));
            }
        }
        line
    }
}

fn seconds(event: &RunEvent) -> f64 {
    event.at.as_ref().map_or(0.0, |at| at.seconds as f64 + f64::from(at.nanos) / 1e9)
}

fn phase(node: &RunNode) -> &'static str {
    match node.phase() {
        NodePhase::Unspecified => "unknown",
        NodePhase::Queued => "queued",
        NodePhase::Running => "running",
        NodePhase::Waiting => "waiting",
        NodePhase::Asking => "asking",
        NodePhase::Finished => "finished",
        NodePhase::Failed => "failed",
    }
}

fn kind(event: &RunEvent) -> &'static str {
    match event.kind() {
        Kind::Unspecified => "unknown",
        Kind::CreateNode => "create_node",
        Kind::RunNode => "run_node",
        Kind::NodeOutput => "node_output",
        Kind::NodeError => "node_error",
        Kind::DeleteNode => "delete_node",
        Kind::Question => "question",
        Kind::Answer => "answer",
        Kind::Receipt => "receipt",
        Kind::EndRun => "end_run",
    }
}

/// One event as JSON.
pub(super) fn event_json(event: &RunEvent) -> Value {
    json!({
        "sequence": event.sequence, "kind": kind(event), "node": event.node, "type": event.node_type,
        "data": super::value(&event.data), "output": super::value(&event.output), "attempt": event.attempt,
        "waits": event.waits, "key": event.key, "prompt_tokens": event.prompt_tokens,
        "completion_tokens": event.completion_tokens, "at": super::time(event.at.as_ref()),
    })
}

#[cfg(test)]
mod tests {
    use hivemem_client::proto::Timestamp;

    use super::*;

    fn event(sequence: u64, kind: Kind, node: &str, millis: i32) -> RunEvent {
        RunEvent {
            sequence,
            kind: kind.into(),
            node: node.to_owned(),
            prompt_tokens: if kind == Kind::NodeOutput { 120 } else { 0 },
            at: Some(Timestamp { seconds: 1_000, nanos: millis * 1_000_000 }),
            ..RunEvent::default()
        }
    }

    fn node(node: &str, phase: NodePhase) -> RunNode {
        RunNode {
            node: node.to_owned(),
            node_type: "write_text".to_owned(),
            phase: phase.into(),
            output: "\"a\u{1b}[2J long story\"".to_owned(),
            attempts: 2,
            ..RunNode::default()
        }
    }

    #[test]
    fn each_node_is_a_line_under_its_parent_with_times_and_tokens() {
        let events = [
            event(1, Kind::CreateNode, "0", 0),
            event(2, Kind::CreateNode, "0.0", 250),
            event(3, Kind::RunNode, "0.0", 300),
            event(4, Kind::NodeOutput, "0.0", 750),
        ];
        let nodes = [node("0", NodePhase::Waiting), node("0.0", NodePhase::Finished), node("0.1", NodePhase::Queued)];
        let tree = Tree::new(&nodes, &events);
        let text = tree.text(false, 100);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("0 write_text waiting  +0.000s 0.000s  2 executions"), "{text}");
        assert!(lines[1].starts_with("  0.0 write_text finished  +0.250s 0.500s  120+0 tokens"), "{text}");
        assert!(lines[2].starts_with("  0.1 write_text queued  2 executions"), "compacted away: no times\n{text}");
        assert!(!text.contains('\u{1b}') && lines.iter().all(|line| console::measure_text_width(line) <= 100));
        let text = tree.text(true, 100);
        assert!(text.contains("\n      #3 +0.300s run_node\n"), "{text}");
        assert_eq!(tree.json()[1]["took_s"], 0.5);
        assert_eq!(event_json(&events[3])["kind"], "node_output");
    }
}
