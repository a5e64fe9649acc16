//! Links that agents and people make: memories that join two nodes. As memories they can be searched for, expire, say who made
//! them, and are forgotten; as links they lie over the graph.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::Engines;
use super::super::access::Grant;
use super::super::apply::Projector;
use super::super::forget;
use super::super::memory::{self, Memory};
use super::describe::Edge;
use super::walk::named;
use crate::base::Lsn;
use crate::base::error::{Error, Result};
use crate::engine::graph::Overlay;
use crate::model::EdgeKind;

/// Keys of a memory's metadata that make it a link.
const FROM: &str = "link.from";
const TO: &str = "link.to";
const KIND: &str = "link.kind";
const NOTE: &str = "link.note";

/// What is to be linked.
#[derive(Debug, Clone, Default)]
pub struct Link {
    /// Name or address.
    pub from: String,
    /// Name or address.
    pub to: String,
    /// How they stand to each other.
    pub kind: Option<EdgeKind>,
    /// Why.
    pub note: String,
    /// Labels.
    pub tags: Vec<String>,
    /// The run that says so.
    pub run: String,
    /// The node of it.
    pub node: String,
    /// After this long it is forgotten.
    pub ttl: Option<Duration>,
}

/// The link that a memory's metadata state, if it is one.
pub(super) fn overlay(metadata: &BTreeMap<String, String>) -> Option<Overlay> {
    Some(Overlay {
        from: metadata.get(FROM)?.clone(),
        to: metadata.get(TO)?.clone(),
        kind: EdgeKind::parse(metadata.get(KIND)?)?,
        note: metadata.get(NOTE).cloned().unwrap_or_default(),
    })
}

/// Makes a link. The same one again is the same.
///
/// # Errors
/// Not found for an end that does not exist; those of memories.
pub async fn link(engines: &Engines, projector: &Projector, grant: &Grant, link: Link) -> Result<(Edge, bool, Lsn)> {
    let (from, to) = ends(engines, grant, link.from, link.to).await?;
    let kind = link.kind.unwrap_or(EdgeKind::Related);
    let said = if link.note.is_empty() { String::new() } else { format!(": {}", link.note) };
    let text = format!("{from} {} {to}{said}", kind.as_str());
    let pairs = [(FROM, from.clone()), (TO, to.clone()), (KIND, kind.as_str().to_owned()), (NOTE, link.note.clone())];
    let memory = Memory {
        text,
        kind: "link".to_owned(),
        tags: link.tags,
        metadata: pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        run: link.run,
        node: link.node,
        ttl: link.ttl,
        ..Memory::default()
    };
    let made = memory::remember(engines, projector, grant, memory).await?;
    if let Some(first) = made.echoes.first() {
        return Err(Error::invalid(
            "note",
            format!("the note repeats what is stored in {first}: say why they belong together"),
        ));
    }
    let edge = Edge { from, to, kind, confidence: 1.0, line: 0, count: 1, note: link.note, origin: made.uri };
    Ok((edge, made.created, made.lsn))
}

/// Takes links back: the one that `origin` states, or those between two nodes, of one kind if that is given.
///
/// # Errors
/// Invalid if neither is named; not found for an end that does not exist; those of forgetting.
pub async fn unlink(
    engines: &Engines,
    projector: &Projector,
    grant: &Grant,
    origin: String,
    ends_named: Option<(String, String)>,
    kind: Option<EdgeKind>,
) -> Result<(Vec<String>, Lsn)> {
    let origins = match (origin.is_empty(), ends_named) {
        (false, _) => {
            let stored = engines.catalog.document_by_uri(grant.namespace(), &origin).await?;
            let is_link = stored.is_some_and(|document| overlay(&document.metadata).is_some());
            if is_link { vec![origin] } else { return Err(Error::not_found(format!("{origin} is no link"))) }
        }
        (true, Some((from, to))) => {
            let (from, to) = ends(engines, grant, from, to).await?;
            let loaded = engines.graphs.get(engines, grant.namespace()).await?;
            let graph = loaded.read();
            let between = graph.overlays_between(&from, &to);
            let meant = between.into_iter().filter(|(_, overlay)| kind.is_none_or(|kind| kind == overlay.kind));
            meant.map(|(uri, _)| uri.to_owned()).collect()
        }
        (true, None) => return Err(Error::invalid("origin", "name the link's origin, or both of its ends")),
    };
    let (mut removed, mut lsn) = (Vec::new(), engines.catalog.head().await?);
    for origin in origins {
        let forgotten = forget::forget(engines, projector, grant, forget::Request::Uri(origin)).await?;
        lsn = lsn.max(forgotten.lsn);
        removed.extend(forgotten.uris);
    }
    Ok((removed, lsn))
}

/// The addresses of both ends.
async fn ends(engines: &Engines, grant: &Grant, from: String, to: String) -> Result<(String, String)> {
    super::super::recall::require_namespace(engines, grant).await?;
    let loaded = engines.graphs.get(engines, grant.namespace()).await?;
    let graph = loaded.read();
    let address = |name: &str| -> Result<String> {
        let (node, _) = named(&graph, name)?;
        graph.address(node).ok_or_else(|| Error::not_found(format!("nothing in the graph is called {name:?}")))
    };
    Ok((address(&from)?, address(&to)?))
}
