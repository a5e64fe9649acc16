//! What a piece of code needs beside it to be understood: who calls it and what it calls, the types it uses, its tests, and what
//! the documentation says of it.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::Engines;
use super::super::access::Grant;
use super::super::freshness;
use super::super::recall::{self, FilterRequest};
use super::Loaded;
use crate::base::ChunkId;
use crate::base::error::Result;
use crate::engine::graph::{EdgeView, Graph, NodeId, Toward};
use crate::model::{Channel, DocumentKind, EdgeKind, Freshness, Hit, NodeKind, Proposal, ScorePart};

/// Hits whose surroundings are looked at.
const HITS_MAX: usize = 3;
/// Definitions of one hit.
const DEFINITIONS_MAX: usize = 4;
/// Edges of one definition that are looked at.
const EDGES_MAX: usize = 500;

/// A way to stand beside code: its name, how many of it are taken for one definition, and its worth against the hit. What is worth
/// less than a third is shown by its signatures (see `packing`): of callers and callees that is what one wants to see.
struct Way {
    name: &'static str,
    most: usize,
    worth: f32,
}

const BASE: Way = Way { name: "base", most: 2, worth: 0.5 };
const TYPE: Way = Way { name: "type", most: 3, worth: 0.4 };
const DOC: Way = Way { name: "documentation", most: 2, worth: 0.4 };
const TEST: Way = Way { name: "test", most: 2, worth: 0.38 };
const CALLED: Way = Way { name: "called", most: 4, worth: 0.3 };
const CALLER: Way = Way { name: "caller", most: 4, worth: 0.28 };

fn way(graph: &Graph, edge: &EdgeView) -> Option<&'static Way> {
    let kind = graph.kind(edge.other)?;
    let is_type = matches!(kind, NodeKind::Type | NodeKind::Interface);
    match (edge.toward, edge.kind) {
        (Toward::Out, EdgeKind::Inherits | EdgeKind::Implements) => Some(&BASE),
        (Toward::Out, EdgeKind::Uses) if is_type => Some(&TYPE),
        (Toward::Out, EdgeKind::Calls) => Some(if is_type { &TYPE } else { &CALLED }),
        (Toward::In, EdgeKind::Tests) => Some(&TEST),
        (Toward::In, EdgeKind::Calls) if graph.is_test(edge.other) => Some(&TEST),
        (Toward::In, EdgeKind::Calls) => Some(&CALLER),
        (Toward::In, EdgeKind::Mentions | EdgeKind::Links | EdgeKind::About) if graph.is_prose(edge.other) => {
            Some(&DOC)
        }
        _ => None,
    }
}

/// Chunks that stand beside the best of `hits`, best first, as hits that follow them. Those among the hits already are left out.
///
/// # Errors
/// Those of the catalogue.
pub async fn surround(engines: &Engines, grant: &Grant, filter: &FilterRequest, hits: &[Hit]) -> Result<Vec<Hit>> {
    let is_code = |hit: &&Hit| hit.found.document.kind == DocumentKind::Code;
    let best = hits.iter().take(2 * HITS_MAX).filter(is_code).take(HITS_MAX);
    let seeds: Vec<_> = best.map(|hit| (hit.found.document.id, hit.found.chunk.span.start, hit.score)).collect();
    if seeds.is_empty() {
        return Ok(Vec::new());
    }
    let loaded: Arc<Loaded> = engines.graphs.get(engines, grant.namespace()).await?;
    let found = engines
        .door
        .run_here(|| {
            let graph = loaded.read();
            let mut found: HashMap<ChunkId, (f32, &'static str)> = HashMap::new();
            for (document, at, score) in seeds {
                let Some(passage) = graph.passage(document, at) else { continue };
                for (chunk, worth, name) in beside(&graph, passage) {
                    let known = found.entry(chunk).or_insert((0.0, name));
                    if worth * score > known.0 {
                        *known = (worth * score, name);
                    }
                }
            }
            Ok(found)
        })
        .await?;
    let new = |chunk: &&ChunkId| !hits.iter().any(|hit| hit.found.chunk.id == **chunk);
    let ids: Vec<ChunkId> = found.keys().filter(new).copied().collect();
    let filter = recall::resolve_filter(engines, grant, filter).await?;
    let mut hydrated = engines.catalog.hydrate(grant.namespace(), &ids).await?;
    hydrated.retain(|found| filter.admits(&found.document));
    let documents = hydrated.iter().map(|found| Arc::clone(&found.document)).collect();
    let verdicts = freshness::look(engines, documents).await?;
    let mut beside: Vec<Hit> = Vec::with_capacity(ids.len());
    for hydrated in hydrated {
        let Some(&(score, name)) = found.get(&hydrated.chunk.id) else { continue };
        let channels = vec![Proposal { channel: Channel::Graph, score, rank: 0 }];
        let parts = vec![ScorePart { name, value: score }];
        let freshness = verdicts.get(&hydrated.document.id).copied().unwrap_or(Freshness::Unknown);
        beside.push(Hit { found: hydrated, score, parts, channels, freshness });
    }
    beside.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.found.chunk.id.cmp(&b.found.chunk.id)));
    Ok(beside)
}

/// Chunks beside the definitions that begin in a passage.
fn beside(graph: &Graph, passage: NodeId) -> Vec<(ChunkId, f32, &'static str)> {
    let mut found = Vec::new();
    for definition in graph.beginning_in(passage).into_iter().take(DEFINITIONS_MAX) {
        let mut edges: Vec<EdgeView> = [Toward::Out, Toward::In]
            .into_iter()
            .flat_map(|toward| graph.edges_at(definition, toward, EDGES_MAX))
            .collect();
        edges.sort_by(|a, b| b.confidence.total_cmp(&a.confidence).then_with(|| a.other.cmp(&b.other)));
        let mut taken: HashMap<&'static str, usize> = HashMap::new();
        for edge in edges {
            let Some(way) = way(graph, &edge) else { continue };
            let Some(target) = graph.passage_of(edge.other).filter(|target| *target != passage) else { continue };
            let count = taken.entry(way.name).or_default();
            if *count < way.most
                && let Some(chunk) = graph.chunk(target)
            {
                *count += 1;
                found.push((chunk, way.worth * (0.5 + 0.5 * edge.confidence), way.name));
            }
        }
    }
    found
}
