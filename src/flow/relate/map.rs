//! The map of a repository that fits a budget: its definitions by signature and its headings, those first that much refers to and
//! that belong with the task.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write;
use std::sync::Arc;

use super::super::Engines;
use super::super::access::Grant;
use super::describe::{self, DOCUMENTS_MAX, Node};
use super::walk::Walked;
use crate::base::error::Result;
use crate::base::tokens::TokenCounter;
use crate::base::{DocumentId, Lsn, SourceId};
use crate::engine::graph::{EdgeView, Graph, NodeId, Toward};
use crate::model::{EdgeKind, Filter, Hit, NodeKind};
use crate::rank::pagerank;

/// Definitions that signatures are read of: at ten tokens each they fill any window.
const DEFINITIONS_MAX: usize = 3_000;
/// Share of what belongs with the task; the rest is that of what much refers to.
const TASK_SHARE: f32 = 0.6;
/// What a heading is worth against a definition.
const HEADING: f32 = 0.5;
/// What an outermost heading is worth that nothing refers to.
const HEADING_OUTERMOST: f32 = 0.02;
/// What a definition is worth that nothing refers to: less than one that something does (0.1), more than a heading.
const UNUSED: f32 = 0.03;
/// References of one definition that are counted.
const USES_MAX: usize = 1_000;

/// A map with how much of it there is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Map {
    /// Ready to be put before a model.
    pub text: String,
    /// Its tokens, at most the budget.
    pub tokens: usize,
    /// Position that it reflects.
    pub applied: Lsn,
}

/// The map of what passes `filter`, for the task that `hits` answer (none: for no task).
///
/// # Errors
/// Those of the catalogue.
pub async fn map(
    engines: &Engines,
    grant: &Grant,
    filter: Filter,
    hits: &[Hit],
    budget: usize,
    counter: Arc<dyn TokenCounter>,
) -> Result<Map> {
    let loaded = engines.graphs.get(engines, grant.namespace()).await?;
    let applied = loaded.applied();
    let seeds: Vec<(DocumentId, u64, f32)> =
        hits.iter().map(|hit| (hit.found.document.id, hit.found.chunk.span.start, hit.score)).collect();
    let mut chosen = engines.door.run(move || Ok(choose(&loaded.read(), &filter, &seeds))).await?;
    // Facts are read by document, so many at a time.
    chosen.sort_by_key(|(node, _)| node.place);
    let (mut nodes, scores): (Vec<Node>, Vec<f32>) = chosen.into_iter().unzip();
    let document = |node: &Node| node.place.map(|(document, _)| document);
    let mut from = 0;
    while from < nodes.len() {
        let mut documents = 0;
        let mut to = from;
        while to < nodes.len() && documents < DOCUMENTS_MAX {
            to += 1;
            documents += usize::from(to == nodes.len() || document(&nodes[to]) != document(&nodes[to - 1]));
        }
        describe::describe(engines, grant.namespace(), &mut nodes[from..to]).await?;
        from = to;
    }
    let mut ranked: Vec<(Node, f32)> = nodes.into_iter().zip(scores).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.view.address.cmp(&b.0.view.address)));
    let nodes: Vec<Node> = ranked.into_iter().map(|(node, _)| node).collect();
    engines
        .door
        .run(move || {
            let (text, tokens) = fit(&nodes, budget, &*counter);
            Ok(Map { text, tokens, applied })
        })
        .await
}

fn choose(graph: &Graph, filter: &Filter, seeds: &[(DocumentId, u64, f32)]) -> Vec<(Node, f32)> {
    let passages: Vec<(u32, f32)> = seeds
        .iter()
        .filter_map(|(document, at, score)| Some((graph.passage(*document, *at)?.index(), score.max(0.0))))
        .collect();
    let (walked, _) = pagerank::personalised(&Walked(graph), &passages);
    let most = walked.iter().map(|(_, score)| *score).fold(f32::MIN_POSITIVE, f32::max);
    let near: HashMap<u32, f32> = walked.into_iter().map(|(node, score)| (node, score / most)).collect();
    let task_share = if passages.is_empty() { 0.0 } else { TASK_SHARE };
    let allowed: Option<HashSet<DocumentId>> = filter.documents.as_ref().map(|ids| ids.iter().copied().collect());
    let mut scored: Vec<(NodeId, f32)> = Vec::new();
    let shown = |kind: NodeKind| !matches!(kind, NodeKind::Entity | NodeKind::Constant);
    let passes = |document: &DocumentId, source: &SourceId, language: &str| {
        allowed.as_ref().is_none_or(|allowed| allowed.contains(document))
            && (filter.sources.is_empty() || filter.sources.contains(source))
            && (filter.languages.is_empty() || filter.languages.iter().any(|wanted| wanted == language))
    };
    for node in graph.definitions_where(&passes, &shown) {
        let uses = graph.edges_at(node, Toward::In, USES_MAX).iter().filter(|edge| is_use(edge)).count();
        let known = (1.0 + uses as f32).ln() / (1.0 + USES_MAX as f32).ln();
        let important =
            if graph.kind(node) == Some(NodeKind::Section) { heading(graph, node, known) } else { known.max(UNUSED) };
        let relevant = near.get(&node.index()).copied().unwrap_or(0.0).sqrt();
        scored.push((node, task_share * relevant + (1.0 - task_share) * important));
    }
    scored.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    scored.truncate(DEFINITIONS_MAX);
    let nodes = scored.into_iter().filter_map(|(node, score)| Some((describe::node(graph, node)?, score)));
    nodes.collect()
}

/// What a heading is worth: half of a definition that is as much referred to, the outer ones first.
fn heading(graph: &Graph, node: NodeId, known: f32) -> f32 {
    let outer = std::iter::successors(graph.outer(node), |node| graph.outer(*node));
    let depth = outer.take_while(|node| graph.kind(*node) == Some(NodeKind::Section)).count();
    HEADING * known + HEADING_OUTERMOST / (1.0 + depth as f32)
}

fn is_use(edge: &EdgeView) -> bool {
    !matches!(edge.kind, EdgeKind::Contains | EdgeKind::ChangesWith | EdgeKind::Precedes)
}

/// The longest run of the best definitions whose map fits, by bisection: counting is exact and cheap.
fn fit(nodes: &[Node], budget: usize, counter: &dyn TokenCounter) -> (String, usize) {
    let (mut fits, mut too_many) = (0, nodes.len() + 1);
    let mut best = (String::new(), 0);
    while too_many - fits > 1 {
        let middle = (fits + too_many) / 2;
        let text = render(&nodes[..middle]);
        let tokens = counter.count(&text);
        if tokens <= budget {
            (fits, best) = (middle, (text, tokens));
        } else {
            too_many = middle;
        }
    }
    best
}

/// Files by path, definitions by line.
fn render(nodes: &[Node]) -> String {
    let mut files: BTreeMap<&str, Vec<&Node>> = BTreeMap::new();
    for node in nodes {
        files.entry(&node.view.path).or_default().push(node);
    }
    let mut text = String::new();
    for (path, mut definitions) in files {
        definitions.sort_by_key(|node| (node.view.lines.first, std::cmp::Reverse(node.view.lines.last)));
        let _ = writeln!(text, "{path}");
        for node in definitions {
            let indent = "  ".repeat(node.view.qualified.matches("::").count().min(4) + 1);
            let named = || match node.view.kind {
                NodeKind::Section => node.view.name.clone(),
                kind => format!("{} {}", kind.as_str(), node.view.name),
            };
            let shown = if node.signature.is_empty() { named() } else { node.signature.clone() };
            let _ = writeln!(text, "{indent}{}: {shown}", node.view.lines.first);
        }
    }
    text
}
