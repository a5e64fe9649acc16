//! Documents that follow each other: turns of a conversation, numbered parts.
//!
//! The rule: same source, same title that is not empty, and addresses that differ in their last number alone, by one.

use petgraph::Direction;
use petgraph::visit::EdgeRef;

use super::names::NameId;
use super::put::structure;
use super::{Graph, GraphDocument, Held, NodeId, Slot};
use crate::base::SourceId;
use crate::model::EdgeKind;

/// What the members of a series have in common: source, title, and what stands before and after the number.
pub(super) type Key = (SourceId, NameId, NameId, NameId);

impl Graph {
    pub(super) fn series_of(&mut self, document: &GraphDocument) -> Option<(Key, u64)> {
        let title = document.title.as_deref().filter(|title| !title.trim().is_empty())?;
        let (before, number, after) = last_number(&document.uri)?;
        let key = (document.source, self.names.intern(title), self.names.intern(before), self.names.intern(after));
        Some((key, number))
    }

    pub(super) fn join_series(&mut self, slot: Slot, held: &Held) {
        let Some((key, number)) = held.series else { return };
        self.series.insert((key, number), slot);
        let beside = |step: i64| Some(self.held(*self.series.get(&(key, number.checked_add_signed(step)?))?)?.node);
        let (before, after) = (beside(-1), beside(1));
        if let Some(before) = before {
            self.graph.add_edge(before, held.node, structure(EdgeKind::Precedes));
        }
        if let Some(after) = after {
            self.graph.add_edge(held.node, after, structure(EdgeKind::Precedes));
        }
    }

    pub(super) fn leave_series(&mut self, slot: Slot, held: &Held) {
        if let Some(place) = held.series
            && self.series.get(&place) == Some(&slot)
        {
            self.series.remove(&place);
            let incoming = self.graph.edges_directed(held.node, Direction::Incoming);
            let outgoing = self.graph.edges_directed(held.node, Direction::Outgoing);
            let edges = incoming.chain(outgoing).filter(|edge| edge.weight().kind == EdgeKind::Precedes);
            let edges: Vec<_> = edges.map(|edge| edge.id()).collect();
            for edge in edges {
                self.graph.remove_edge(edge);
            }
        }
    }

    /// The passage right after (`step` 1) or before (-1) this one in its series: the first or last of the next document.
    pub fn beside(&self, passage: NodeId, step: i64) -> Option<NodeId> {
        let held = self.held_of(passage.at())?;
        let edge = if step > 0 { held.passages.last() } else { held.passages.first() };
        if edge != Some(&passage.at()) {
            return None;
        }
        let (key, number) = held.series?;
        let other = self.held(*self.series.get(&(key, number.checked_add_signed(step)?))?)?;
        let found = if step > 0 { other.passages.first() } else { other.passages.last() };
        found.copied().map(NodeId::of)
    }
}

/// What stands before the last number of `text`, the number, and what stands after it.
fn last_number(text: &str) -> Option<(&str, u64, &str)> {
    let end = text.rfind(|c: char| c.is_ascii_digit())? + 1;
    let start = text[..end]
        .rfind(|c: char| !c.is_ascii_digit())
        .map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8));
    Some((&text[..start], text[start..end].parse().ok()?, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_number_counts() {
        assert_eq!(last_number("eval:D1:12"), Some(("eval:D1:", 12, "")));
        assert_eq!(last_number("part-3.md"), Some(("part-", 3, ".md")));
        assert_eq!(last_number("é7"), Some(("é", 7, "")));
        assert_eq!(last_number("7"), Some(("", 7, "")));
        assert_eq!(last_number("none"), None);
        assert_eq!(last_number("99999999999999999999999"), None, "too large to follow");
    }
}
