//! Nodes and edges as they are shown, with what only the catalogue has: signatures and comments.

use std::collections::HashMap;

use super::super::Engines;
use crate::base::DocumentId;
use crate::base::error::Result;
use crate::engine::graph::{EdgeView, Graph, NodeId, NodeView, Toward};
use crate::model::{EdgeKind, Facts, Namespace};

/// Documents whose signatures are looked up for one answer.
pub(super) const DOCUMENTS_MAX: usize = 64;

/// A node as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What the graph knows.
    pub view: NodeView,
    /// The definition up to its body; empty if it has none or was not looked up.
    pub signature: String,
    /// First sentence of its comment.
    pub doc: String,
    /// Where it stands among the facts of its document.
    pub(super) place: Option<(DocumentId, usize)>,
}

/// An edge as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Edge {
    /// Address of the node that it goes out from.
    pub from: String,
    /// Address of the other.
    pub to: String,
    /// How they stand to each other.
    pub kind: EdgeKind,
    /// How sure it is, 0 to 1.
    pub confidence: f32,
    /// The line that says it; 0 if none does.
    pub line: u32,
    /// How often it is said.
    pub count: u32,
    /// What was said of a link that somebody made.
    pub note: String,
    /// Address of the document that states it.
    pub origin: String,
}

/// A node without what the catalogue has.
pub(super) fn node(graph: &Graph, id: NodeId) -> Option<Node> {
    let (signature, doc) = Default::default();
    Some(Node { view: graph.view(id)?, signature, doc, place: graph.place_of(id) })
}

/// The edge of `at` that `view` shows.
pub(super) fn edge(graph: &Graph, at: NodeId, view: &EdgeView) -> Option<Edge> {
    let (own, other) = (graph.address(at)?, graph.address(view.other)?);
    let (from, to) = if view.toward == Toward::Out { (own, other) } else { (other, own) };
    let stated = view.origin.and_then(|origin| graph.overlay(origin));
    Some(Edge {
        from,
        to,
        kind: view.kind,
        confidence: view.confidence,
        line: view.line,
        count: view.count,
        note: stated.map(|(_, overlay)| overlay.note.clone()).unwrap_or_default(),
        origin: stated.map(|(uri, _)| uri.to_owned()).unwrap_or_default(),
    })
}

/// Adds signatures and comments to nodes, for the first documents among them.
///
/// # Errors
/// Those of the catalogue.
pub async fn describe(engines: &Engines, namespace: &Namespace, nodes: &mut [Node]) -> Result<()> {
    let mut documents: Vec<DocumentId> = nodes.iter().filter_map(|node| node.place).map(|(id, _)| id).collect();
    documents.sort_unstable();
    documents.dedup();
    documents.truncate(DOCUMENTS_MAX);
    if documents.is_empty() {
        return Ok(());
    }
    let stated = engines.catalog.facts(namespace, &documents).await?;
    let facts: HashMap<DocumentId, Facts> = stated.into_iter().map(|one| (one.document.id, one.facts)).collect();
    for node in nodes {
        let fact = node.place.and_then(|(id, place)| facts.get(&id)?.nodes.get(place));
        // Another version may have been written meanwhile.
        if let Some(fact) = fact.filter(|fact| fact.name == node.view.name) {
            (node.signature, node.doc) = (fact.signature.clone(), fact.doc.clone());
        }
    }
    Ok(())
}
