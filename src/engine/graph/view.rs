//! Looking at nodes and walking along edges.

use petgraph::Direction;
use petgraph::stable_graph::NodeIndex;
use petgraph::visit::EdgeRef;

use super::names::NONE;
use super::{Graph, NOWHERE, NodeId, STRUCTURE, lines_of};
use crate::base::{DocumentId, SourceId};
use crate::model::{EdgeKind, Lines, NodeKind, Role};

/// Which end of its edges a node is looked at from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Toward {
    /// From the node to others: what it calls.
    Out,
    /// From others to the node: what calls it.
    In,
}

/// A node as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeView {
    /// Its number.
    pub id: NodeId,
    /// What it is.
    pub kind: NodeKind,
    /// Its lasting name.
    pub address: String,
    /// Its own name.
    pub name: String,
    /// Its path within its document; empty for what is no definition.
    pub qualified: String,
    /// Its document, if it is in one.
    pub document: Option<DocumentId>,
    /// The document's address.
    pub uri: String,
    /// The document's path within its source.
    pub path: String,
    /// Its language, for code.
    pub language: String,
    /// Where it stands; 0 for what has no lines.
    pub lines: Lines,
    /// Bytes of it in its document.
    pub span: (u64, u64),
    /// Whether it is a test or stands among tests.
    pub test: bool,
}

/// An edge as it is shown, from the node that was asked about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EdgeView {
    /// How the nodes stand to each other.
    pub kind: EdgeKind,
    /// The node at the other end.
    pub other: NodeId,
    /// Whether it goes out from the asked one.
    pub toward: Toward,
    /// How sure it is, 0 to 1.
    pub confidence: f32,
    /// The line that says it; 0 if it follows from where things stand.
    pub line: u32,
    /// How often it is said there.
    pub count: u32,
    /// What states it, if it is a link that somebody made; see [`Graph::overlay`].
    pub origin: Option<u32>,
}

impl Graph {
    /// What a node is.
    pub fn kind(&self, node: NodeId) -> Option<NodeKind> {
        self.graph.node_weight(node.at()).map(|node| node.kind)
    }

    /// A node's own name.
    pub fn name(&self, node: NodeId) -> &str {
        self.graph.node_weight(node.at()).map_or("", |node| self.names.text(node.name))
    }

    /// The language of the document that a node is of; empty if it has none.
    pub fn language(&self, node: NodeId) -> &str {
        self.held_of(node.at()).map_or("", |held| self.names.text(held.language))
    }

    /// The root folders of all sources, and the documents that stand in no folder, by address.
    pub fn roots(&self) -> Vec<NodeId> {
        let folders = self.folders.iter().filter(|((_, path), _)| *path == NONE).map(|(_, node)| *node);
        let alone = self.documents.iter().flatten().filter(|held| held.path.is_empty()).map(|held| held.node);
        let mut roots: Vec<(String, NodeId)> =
            folders.chain(alone).map(NodeId::of).filter_map(|node| Some((self.address(node)?, node))).collect();
        roots.sort();
        roots.into_iter().map(|(_, node)| node).collect()
    }

    /// A document in one line: what it is about, or the first of what it defines.
    pub fn line(&self, document: NodeId, names_max: usize) -> String {
        let Some(held) = self.held_of(document.at()) else { return String::new() };
        let outer =
            held.nodes.iter().filter_map(|node| self.graph.node_weight(*node).filter(|own| own.parent == *node));
        let mut names: Vec<String> = Vec::new();
        let mut left_out = 0;
        for own in outer {
            let name = self.names.text(own.name);
            let shown = match own.kind {
                NodeKind::Section | NodeKind::Entity => name.to_owned(),
                kind => format!("{} {name}", kind.as_str()),
            };
            if names.contains(&shown) {
                continue;
            }
            if names.len() < names_max { names.push(shown) } else { left_out += 1 }
        }
        let more = if left_out > 0 { format!(" and {left_out} more") } else { String::new() };
        format!("{}{more}", names.join(", "))
    }

    /// A node as it is shown.
    pub fn view(&self, node: NodeId) -> Option<NodeView> {
        let own = self.graph.node_weight(node.at())?;
        let held = self.held(own.document);
        let definition = own.document != NOWHERE && !matches!(own.kind, NodeKind::Document | NodeKind::Passage);
        Some(NodeView {
            id: node,
            kind: own.kind,
            address: self.address(node)?,
            name: self.names.text(own.name).to_owned(),
            qualified: if definition { self.qualified(node) } else { String::new() },
            document: held.map(|held| held.id),
            uri: held.map(|held| held.uri.to_string()).unwrap_or_default(),
            path: held.map(|held| held.path.to_string()).unwrap_or_default(),
            language: held.map(|held| self.names.text(held.language).to_owned()).unwrap_or_default(),
            lines: lines_of(own),
            span: (u64::from(own.span.0), u64::from(own.span.1)),
            test: own.test || held.is_some_and(|held| held.role == Role::Test),
        })
    }

    /// The edges of a node, in no order, at most `limit`.
    pub fn edges_at(&self, node: NodeId, toward: Toward, limit: usize) -> Vec<EdgeView> {
        let overlays = self.overlays_at(node);
        let overlays = overlays.into_iter().filter_map(|(slot, overlay, other)| {
            let out = self.address(other).is_some_and(|other| other == overlay.to);
            (out == (toward == Toward::Out)).then_some(EdgeView {
                kind: overlay.kind,
                other,
                toward,
                confidence: 1.0,
                line: 0,
                count: 1,
                origin: Some(slot),
            })
        });
        overlays.chain(self.stored_edges(node, toward)).take(limit).collect()
    }

    fn stored_edges(&self, node: NodeId, toward: Toward) -> impl Iterator<Item = EdgeView> + '_ {
        let direction = if toward == Toward::Out { Direction::Outgoing } else { Direction::Incoming };
        self.graph.edges_directed(node.at(), direction).map(move |edge| {
            let (own, from) = (edge.weight(), edge.source());
            let other = if toward == Toward::Out { edge.target() } else { from };
            let used =
                (own.reference != STRUCTURE).then(|| self.held_of(from)?.used.get(own.reference as usize)).flatten();
            EdgeView {
                kind: own.kind,
                other: NodeId::of(other),
                toward,
                confidence: f32::from(own.confidence) / 255.0,
                line: used.map_or(0, |used| used.line),
                count: used.map_or(1, |used| used.count),
                origin: None,
            }
        })
    }

    /// Edges of a node in both directions together, at most `limit` counted.
    pub fn degree(&self, node: NodeId, limit: usize) -> usize {
        let count = |direction| self.graph.edges_directed(node.at(), direction).take(limit).count();
        (count(Direction::Outgoing) + count(Direction::Incoming)).min(limit)
    }

    /// All documents in it, in no order.
    pub fn all_documents(&self) -> impl Iterator<Item = DocumentId> + '_ {
        self.by_id.keys().copied()
    }

    /// The node of a document.
    pub fn document(&self, id: DocumentId) -> Option<NodeId> {
        self.by_id.get(&id).and_then(|slot| self.held(*slot)).map(|held| NodeId::of(held.node))
    }

    /// What a document defines, in the order of its facts.
    pub fn definitions(&self, id: DocumentId) -> Vec<NodeId> {
        let held = self.by_id.get(&id).and_then(|slot| self.held(*slot));
        held.map(|held| held.nodes.iter().copied().map(NodeId::of).collect()).unwrap_or_default()
    }

    /// Where a definition stands among the facts of its document.
    pub fn place_of(&self, node: NodeId) -> Option<(DocumentId, usize)> {
        let held = self.held_of(node.at())?;
        let place = held.nodes.iter().position(|own| *own == node.at())?;
        Some((held.id, place))
    }

    /// All definitions of kinds that `shown` takes, in documents that `passes` takes by id, source and language.
    pub fn definitions_where(
        &self,
        passes: &dyn Fn(&DocumentId, &SourceId, &str) -> bool,
        shown: &dyn Fn(NodeKind) -> bool,
    ) -> Vec<NodeId> {
        let documents = self.documents.iter().flatten();
        let taken = documents.filter(|held| passes(&held.id, &held.source, self.names.text(held.language)));
        let nodes = taken.flat_map(|held| held.nodes.iter().copied());
        nodes.filter(|node| self.graph.node_weight(*node).is_some_and(|own| shown(own.kind))).map(NodeId::of).collect()
    }

    /// The passage that a definition begins in.
    pub fn passage_of(&self, node: NodeId) -> Option<NodeId> {
        let own = self.graph.node_weight(node.at())?;
        match own.kind {
            NodeKind::Passage => Some(node),
            NodeKind::Document => self.held(own.document)?.passages.first().copied().map(NodeId::of),
            _ => self.held(own.document)?.passage_at(own.span.0).map(NodeId::of),
        }
    }

    /// What a passage stands in: the innermost definition or section around its beginning, or else its document.
    pub fn around_passage(&self, passage: NodeId) -> Option<NodeId> {
        let held = self.held_of(passage.at())?;
        let start = self.graph.node_weight(passage.at())?.span.0;
        let spans = held.nodes.iter().filter_map(|node| Some((node, self.graph.node_weight(*node)?.span)));
        let around = spans.filter(|(_, span)| (span.0..span.1).contains(&start));
        let inner = around.min_by_key(|(_, span)| span.1 - span.0).map(|(node, _)| *node);
        Some(NodeId::of(inner.unwrap_or(held.node)))
    }

    /// The passages that name something and stand in a node, by [`Self::around_passage`].
    pub fn naming_in(&self, node: NodeId) -> Vec<NodeId> {
        let (Some(held), Some(own)) = (self.held_of(node.at()), self.graph.node_weight(node.at())) else {
            return Vec::new();
        };
        let whole = node.at() == held.node;
        let inside = |passage: &NodeId| {
            let start = self.graph.node_weight(passage.at()).map_or(0, |passage| passage.span.0);
            whole || (own.span.0..own.span.1).contains(&start)
        };
        let names =
            |passage: &NodeId| self.graph.neighbors_directed(passage.at(), Direction::Outgoing).next().is_some();
        let passages = held.passages.iter().copied().map(NodeId::of);
        passages.filter(inside).filter(names).filter(|passage| self.around_passage(*passage) == Some(node)).collect()
    }

    /// Whether a node is a test, or stands among tests.
    pub fn is_test(&self, node: NodeId) -> bool {
        let own = self.graph.node_weight(node.at()).is_some_and(|own| own.test);
        own || self.held_of(node.at()).is_some_and(|held| held.role == Role::Test)
    }

    /// Whether a node stands in a document of prose.
    pub fn is_prose(&self, node: NodeId) -> bool {
        self.held_of(node.at()).is_some_and(|held| held.prose)
    }

    /// The definitions that begin in a passage, outer before inner.
    pub fn beginning_in(&self, passage: NodeId) -> Vec<NodeId> {
        let Some(held) = self.held_of(passage.at()) else { return Vec::new() };
        let Some((start, end)) = self.graph.node_weight(passage.at()).map(|node| node.span) else { return Vec::new() };
        let begins = |node: &NodeIndex<u32>| {
            self.graph.node_weight(*node).is_some_and(|own| own.span.0 >= start && own.span.0 < end)
        };
        held.nodes.iter().copied().filter(begins).map(NodeId::of).collect()
    }

    /// Whether some part of a document could not be read for the graph.
    pub fn partial(&self, id: DocumentId) -> bool {
        self.by_id.get(&id).and_then(|slot| self.held(*slot)).is_some_and(|held| held.partial)
    }

    /// What a node stands in: the type of a method, the file of a function, the folder of a file.
    pub fn outer(&self, node: NodeId) -> Option<NodeId> {
        let own = self.graph.node_weight(node.at())?;
        let outer: NodeIndex<u32> = if own.parent != node.at() { own.parent } else { self.held(own.document)?.node };
        (outer != node.at()).then(|| NodeId::of(outer))
    }
}
