//! Around a node, between two nodes, and what belongs with some: walks that stop at their limits and say so.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::Arc;

use super::super::Engines;
use super::super::access::Grant;
use super::super::recall::require_namespace;
use super::Loaded;
use super::describe::{self, Edge, Node};
use crate::base::Lsn;
use crate::base::error::{Error, Result};
use crate::base::limits::{GRAPH_DEPTH_MAX, GRAPH_NODES_MAX};
use crate::engine::graph::{EdgeView, Graph, NodeId, Toward};
use crate::model::{EdgeKind, NodeKind};
use crate::rank::pagerank::{self, Adjacent};

/// Edges of one node that a walk looks at: a folder of ten thousand files leads everywhere, which is nowhere.
const EDGES_MAX: usize = 2_000;
/// Nodes that the search for a path looks at.
const LOOKED_AT_MAX: usize = 20_000;
/// Other nodes of a name that are listed.
const ALTERNATIVES_MAX: usize = 8;

/// What is asked of the surroundings of a node.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Around {
    /// Name or address.
    pub node: String,
    /// Kinds of edges; empty: all.
    pub kinds: Vec<EdgeKind>,
    /// Which way; `None`: both.
    pub toward: Option<Toward>,
    /// Steps.
    pub depth: u32,
    /// Most nodes.
    pub limit: u32,
    /// Least confidence.
    pub confidence_min: f32,
}

/// Some nodes and how they hang together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// What was asked about.
    pub asked: Option<Node>,
    /// Nodes, in an order that depends on the question, each with a score where there is one.
    pub nodes: Vec<(Node, f32)>,
    /// Edges between them.
    pub edges: Vec<Edge>,
    /// A limit cut it short.
    pub truncated: bool,
    /// Addresses of other nodes that a name may have meant.
    pub alternatives: Vec<String>,
    /// Position that the answer reflects.
    pub applied: Lsn,
}

/// Runs `look` over the graph of the grant's namespace, away from the async threads, and describes what it found.
pub(super) async fn over(
    engines: &Engines,
    grant: &Grant,
    look: impl FnOnce(&Graph) -> Result<Found> + Send + 'static,
) -> Result<Found> {
    require_namespace(engines, grant).await?;
    let loaded: Arc<Loaded> = engines.graphs.get(engines, grant.namespace()).await?;
    let applied = loaded.applied();
    let mut found = engines.door.run(move || look(&loaded.read())).await?;
    let mut nodes: Vec<Node> = found.asked.take().into_iter().collect();
    let asked = nodes.len();
    let scores: Vec<f32> = found.nodes.iter().map(|(_, score)| *score).collect();
    nodes.extend(found.nodes.into_iter().map(|(node, _)| node));
    describe::describe(engines, grant.namespace(), &mut nodes).await?;
    let rest = nodes.split_off(asked);
    Ok(Found { asked: nodes.pop(), nodes: rest.into_iter().zip(scores).collect(), applied, ..found })
}

/// The node that a name means, and the addresses of others that it may mean.
pub(super) fn named(graph: &Graph, name: &str) -> Result<(NodeId, Vec<String>)> {
    let (candidates, _) = graph.candidates_for(name, ALTERNATIVES_MAX + 1);
    let Some((first, others)) = candidates.split_first() else {
        return Err(Error::not_found(format!(
            "nothing in the graph is called {name:?}: `hivemem graph resolve` takes a part of a name, `hivemem tree` lists files"
        )));
    };
    Ok((*first, others.iter().filter_map(|other| graph.address(*other)).collect()))
}

/// The nodes around one, nearest first, surest first.
///
/// # Errors
/// Not found for a name that nothing has; over a limit; those of the engines.
pub async fn neighbours(engines: &Engines, grant: &Grant, asked: Around) -> Result<Found> {
    if asked.depth == 0 || asked.depth > GRAPH_DEPTH_MAX {
        return Err(Error::limit("depth", format!("depth is {}, it must be 1 to {GRAPH_DEPTH_MAX}", asked.depth)));
    }
    check_limit(asked.limit)?;
    over(engines, grant, move |graph| {
        let (start, alternatives) = named(graph, &asked.node)?;
        let mut found = Found { asked: describe::node(graph, start), alternatives, ..Found::default() };
        let mut seen = HashSet::from([start]);
        let mut level = vec![start];
        for _ in 0..asked.depth {
            let mut next = Vec::new();
            for at in level {
                let (edges, cut) = edges(graph, at, asked.toward, &asked.kinds, asked.confidence_min);
                found.truncated |= cut;
                for edge in edges {
                    if !seen.contains(&edge.other) {
                        if found.nodes.len() >= asked.limit as usize {
                            found.truncated = true;
                            continue;
                        }
                        seen.insert(edge.other);
                        next.push(edge.other);
                        found.nodes.extend(describe::node(graph, edge.other).map(|node| (node, edge.confidence)));
                    }
                    found.edges.extend(describe::edge(graph, at, &edge));
                }
            }
            level = next;
        }
        let mut told = HashSet::new();
        found.edges.retain(|edge| told.insert((edge.from.clone(), edge.to.clone(), edge.kind, edge.line)));
        Ok(found)
    })
    .await
}

/// Edges that a person asks about, surest first; and whether there were more than are looked at. Passages are how retrieval
/// sees documents, not what people ask for: what one names is named by the
/// section that it begins in, or its document.
fn edges(graph: &Graph, at: NodeId, toward: Option<Toward>, kinds: &[EdgeKind], least: f32) -> (Vec<EdgeView>, bool) {
    let directions = match toward {
        Some(one) => vec![one],
        None => vec![Toward::Out, Toward::In],
    };
    let mut cut = false;
    let mut found: Vec<EdgeView> = Vec::new();
    for direction in directions {
        let own = graph.edges_at(at, direction, EDGES_MAX);
        cut |= own.len() == EDGES_MAX;
        found.extend(own);
    }
    if toward != Some(Toward::In) {
        let passages = graph.naming_in(at).into_iter();
        let named = passages.flat_map(|passage| graph.edges_at(passage, Toward::Out, EDGES_MAX)).take(EDGES_MAX);
        let before = found.len();
        found.extend(named);
        cut |= found.len() - before == EDGES_MAX;
    }
    if kinds.contains(&EdgeKind::Tests) {
        let calls = found.iter().filter(|edge| is_tried(graph, at, edge));
        let tests: Vec<EdgeView> = calls.map(|edge| EdgeView { kind: EdgeKind::Tests, ..*edge }).collect();
        found.extend(tests);
    }
    found.retain(|edge| edge.confidence >= least && (kinds.is_empty() || kinds.contains(&edge.kind)));
    let placed = found.into_iter().filter_map(|edge| match graph.kind(edge.other)? {
        NodeKind::Passage if edge.kind == EdgeKind::Contains => None,
        NodeKind::Passage => Some(EdgeView { other: graph.around_passage(edge.other)?, ..edge }),
        _ => Some(edge),
    });
    let mut found: Vec<EdgeView> = placed.collect();
    found.sort_by(|a, b| {
        b.confidence.total_cmp(&a.confidence).then_with(|| a.kind.cmp(&b.kind)).then_with(|| a.other.cmp(&b.other))
    });
    // Several passages of one section may name the same: it is said once, as sure as the surest.
    let mut said = HashSet::new();
    found.retain(|edge| {
        edge.kind != EdgeKind::Mentions || edge.line > 0 || said.insert((edge.other, edge.toward == Toward::In))
    });
    (found, cut)
}

/// Whether an edge of `at` is a call from a test to what is none: it tests that, beside what its name says that it tests.
fn is_tried(graph: &Graph, at: NodeId, edge: &EdgeView) -> bool {
    let (from, to) = if edge.toward == Toward::Out { (at, edge.other) } else { (edge.other, at) };
    edge.kind == EdgeKind::Calls && graph.is_test(from) && !graph.is_test(to)
}

/// How far apart the ends of an edge are: what says little is far.
fn length(edge: &EdgeView, graph: &Graph) -> f32 {
    let kind = match edge.kind {
        EdgeKind::Calls
        | EdgeKind::Inherits
        | EdgeKind::Implements
        | EdgeKind::Tests
        | EdgeKind::SameAs
        | EdgeKind::About => 1.0,
        EdgeKind::Related | EdgeKind::Imports | EdgeKind::Uses | EdgeKind::Links | EdgeKind::Mentions => 1.2,
        EdgeKind::Precedes | EdgeKind::ChangesWith => 1.5,
        EdgeKind::Contains | EdgeKind::MadeBy => 2.0,
    };
    kind / edge.confidence.max(0.1) + 0.2 * (1.0 + graph.degree(edge.other, EDGES_MAX) as f32).ln()
}

/// The shortest connection of two nodes, surest edges first (Dijkstra 1959).
///
/// # Errors
/// As [`neighbours`]. No path is no error.
pub async fn path(
    engines: &Engines,
    grant: &Grant,
    from: String,
    to: String,
    depth: u32,
    kinds: Vec<EdgeKind>,
) -> Result<Found> {
    let depth_max = 2 * GRAPH_DEPTH_MAX;
    if depth == 0 || depth > depth_max {
        return Err(Error::limit("depth", format!("depth is {depth}, it must be 1 to {depth_max}")));
    }
    over(engines, grant, move |graph| {
        let (start, mut alternatives) = named(graph, &from)?;
        let (end, others) = named(graph, &to)?;
        alternatives.extend(others);
        let mut found = Found { alternatives, ..Found::default() };
        let (chain, cut) = shortest(graph, start, end, depth, &kinds);
        found.truncated = cut;
        found.nodes.extend(chain.first().and_then(|_| describe::node(graph, start)).map(|node| (node, 0.0)));
        let mut at = start;
        for edge in chain {
            found.edges.extend(describe::edge(graph, at, &edge));
            found.nodes.extend(describe::node(graph, edge.other).map(|node| (node, 0.0)));
            at = edge.other;
        }
        if start == end {
            found.nodes.extend(describe::node(graph, start).map(|node| (node, 0.0)));
        }
        Ok(found)
    })
    .await
}

/// The edges of the way from `start` to `end`, and whether something was left out of the search.
pub(super) fn shortest(
    graph: &Graph,
    start: NodeId,
    end: NodeId,
    depth: u32,
    kinds: &[EdgeKind],
) -> (Vec<EdgeView>, bool) {
    // By steps as well: a cheap way to a node that takes all of them does not stand for a dear one with steps to spare.
    let mut came: HashMap<(NodeId, u32), (NodeId, EdgeView)> = HashMap::new();
    let mut best: HashMap<(NodeId, u32), u32> = HashMap::from([((start, 0), 0)]);
    let mut queue = BinaryHeap::from([Reverse((0_u32, start, 0_u32))]);
    let mut fewest: HashMap<NodeId, u32> = HashMap::new();
    let (mut looked_at, mut truncated) = (0, false);
    while let Some(Reverse((far, at, steps))) = queue.pop() {
        if at == end {
            let mut chain = Vec::new();
            let mut back = (end, steps);
            while let Some((before, edge)) = came.get(&back) {
                chain.push(*edge);
                back = (*before, back.1 - 1);
            }
            chain.reverse();
            return (chain, false);
        }
        if best.get(&(at, steps)).is_some_and(|known| *known < far) || steps >= depth {
            continue;
        }
        // Whoever came here before came cheaper: only fewer steps lead on to anything new.
        if fewest.get(&at).is_some_and(|fewest| *fewest <= steps) {
            continue;
        }
        fewest.insert(at, steps);
        looked_at += 1;
        if looked_at > LOOKED_AT_MAX {
            return (Vec::new(), true);
        }
        let (around, cut) = edges(graph, at, None, kinds, 0.0);
        truncated |= cut;
        for edge in around {
            // In thousandths, so that lengths can be ordered.
            let next = far + (1_000.0 * length(&edge, graph)) as u32;
            let place = (edge.other, steps + 1);
            if best.get(&place).is_none_or(|known| next < *known) {
                best.insert(place, next);
                came.insert(place, (at, edge));
                queue.push(Reverse((next, edge.other, steps + 1)));
            }
        }
    }
    (Vec::new(), truncated)
}

/// How much of a walk goes along an edge of a kind. Edges are gone both ways: who calls is as much related as what is called.
fn weight(kind: EdgeKind) -> f32 {
    match kind {
        EdgeKind::Inherits | EdgeKind::Implements | EdgeKind::SameAs | EdgeKind::About | EdgeKind::Related => 2.0,
        EdgeKind::Calls | EdgeKind::Tests | EdgeKind::Links => 1.0,
        EdgeKind::Imports | EdgeKind::Uses | EdgeKind::Mentions | EdgeKind::Precedes => 0.6,
        // Its confidence says how strongly; that two files were changed at once says less than that one names the other.
        EdgeKind::ChangesWith => 0.5,
        EdgeKind::Contains | EdgeKind::MadeBy => 0.3,
    }
}

/// The graph as a random walk sees it.
pub(super) struct Walked<'a>(pub &'a Graph);

impl Adjacent for Walked<'_> {
    fn neighbours(&self, node: u32) -> Vec<(u32, f32)> {
        let at = NodeId::from_index(node);
        let both = [Toward::Out, Toward::In].into_iter().flat_map(|toward| self.0.edges_at(at, toward, EDGES_MAX / 4));
        both.filter(|edge| edge.other != at)
            .map(|edge| (edge.other.index(), weight(edge.kind) * edge.confidence.max(0.01)))
            .collect()
    }
}

/// What belongs with `nodes`: where a random walk from them ends.
///
/// # Errors
/// As [`neighbours`].
pub async fn related(
    engines: &Engines,
    grant: &Grant,
    nodes: Vec<String>,
    limit: u32,
    kinds: Vec<NodeKind>,
) -> Result<Found> {
    if nodes.is_empty() {
        return Err(Error::invalid("nodes", "no node is named: give at least one"));
    }
    check_limit(limit)?;
    over(engines, grant, move |graph| {
        let mut found = Found::default();
        let mut seeds = Vec::new();
        for name in &nodes {
            let (node, others) = named(graph, name)?;
            seeds.push((node.index(), 1.0));
            found.alternatives.extend(others);
        }
        let (ranked, cut) = pagerank::personalised(&Walked(graph), &seeds);
        found.truncated = cut;
        let wanted = |node: NodeId| match graph.kind(node) {
            None => false,
            Some(kind) if kinds.is_empty() => kind != NodeKind::Passage,
            Some(kind) => kinds.contains(&kind),
        };
        let others = ranked.into_iter().map(|(node, score)| (NodeId::from_index(node), score));
        let others = others.filter(|(node, _)| !seeds.iter().any(|(seed, _)| *seed == node.index()) && wanted(*node));
        found.nodes = others
            .take(limit as usize)
            .filter_map(|(node, score)| Some((describe::node(graph, node)?, score)))
            .collect();
        Ok(found)
    })
    .await
}

/// The nodes that a name may mean, best first.
///
/// # Errors
/// As [`neighbours`], but that nothing has the name is no error.
pub async fn resolve(engines: &Engines, grant: &Grant, name: String, limit: u32) -> Result<Found> {
    if name.trim().is_empty() {
        return Err(Error::invalid("name", "the name is empty"));
    }
    check_limit(limit)?;
    over(engines, grant, move |graph| {
        let (candidates, truncated) = graph.candidates_for(&name, limit as usize);
        let nodes = candidates.into_iter().filter_map(|node| Some((describe::node(graph, node)?, 0.0))).collect();
        Ok(Found { nodes, truncated, ..Found::default() })
    })
    .await
}

pub(super) fn check_limit(limit: u32) -> Result<()> {
    if limit == 0 || limit > GRAPH_NODES_MAX {
        return Err(Error::limit("limit", format!("limit is {limit}, it must be 1 to {GRAPH_NODES_MAX}")));
    }
    Ok(())
}
