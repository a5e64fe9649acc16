//! The folder tree with what its files hold, and the outline of one file.

use std::collections::BTreeMap;

use super::super::Engines;
use super::super::access::Grant;
use super::super::recall::require_namespace;
use super::describe::{self, Node};
use super::walk::{Found, check_limit, named, over};
use crate::base::Lsn;
use crate::base::error::{Error, Result};
use crate::base::limits::{GRAPH_NODES_MAX, TREE_DEPTH_MAX};
use crate::engine::graph::{Graph, NodeId, NodeView, Toward};
use crate::model::{EdgeKind, NodeKind};

/// Definitions named in the line of a file.
const OUTLINE_NAMES: usize = 6;
/// Files of one folder that are counted.
const CHILDREN_MAX: usize = 100_000;

/// A folder or file in the tree.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entry {
    /// Levels below what was asked for.
    pub depth: u32,
    /// Its address.
    pub address: String,
    /// Its name.
    pub name: String,
    /// Whether it holds others.
    pub is_folder: bool,
    /// Files below it.
    pub files: u32,
    /// The same by language.
    pub languages: BTreeMap<String, u32>,
    /// What a file defines.
    pub outline: String,
}

/// A part of the tree.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tree {
    /// Folders before what they hold.
    pub entries: Vec<Entry>,
    /// Entries over the limit.
    pub left_out: u32,
    /// Position that it reflects.
    pub applied: Lsn,
}

/// The tree below `path`, or of all sources if it is empty.
///
/// # Errors
/// Not found for a path that is no folder or file; over a limit; those of the engines.
pub async fn tree(engines: &Engines, grant: &Grant, path: String, depth: u32, limit: u32) -> Result<Tree> {
    if depth > TREE_DEPTH_MAX {
        return Err(Error::limit("depth", format!("depth is {depth}, it must be up to {TREE_DEPTH_MAX}")));
    }
    if limit == 0 || limit > GRAPH_NODES_MAX {
        return Err(Error::limit("limit", format!("limit is {limit}, it must be 1 to {GRAPH_NODES_MAX}")));
    }
    require_namespace(engines, grant).await?;
    let loaded = engines.graphs.get(engines, grant.namespace()).await?;
    let applied = loaded.applied();
    let look = move || {
        let graph = loaded.read();
        let roots = if path.is_empty() { graph.roots() } else { vec![folder_or_file(&graph, &path)?] };
        let mut tree = Tree { applied, ..Tree::default() };
        for root in roots {
            list(&graph, root, 0, depth, limit, &mut tree);
        }
        Ok(tree)
    };
    engines.door.run(look).await
}

/// A path means a folder or file, whatever else has that name.
fn folder_or_file(graph: &Graph, path: &str) -> Result<NodeId> {
    let (candidates, _) = graph.candidates_for(path, 64);
    let is_place = |node: &NodeId| matches!(graph.kind(*node), Some(NodeKind::Folder | NodeKind::Document));
    candidates.into_iter().find(is_place).ok_or_else(|| {
        Error::not_found(format!(
            "no folder or file {path:?} was ingested: `hivemem tree` without a path lists the sources"
        ))
    })
}

/// Lists `node` and what is below it down to `depth`; returns its entry's counts.
fn list(
    graph: &Graph,
    node: NodeId,
    level: u32,
    depth: u32,
    limit: u32,
    tree: &mut Tree,
) -> Option<(u32, BTreeMap<String, u32>)> {
    let is_folder = graph.kind(node)? == NodeKind::Folder;
    let shown = level <= depth && tree.entries.len() < limit as usize;
    if level <= depth && !shown {
        tree.left_out += 1;
    }
    let place = tree.entries.len();
    if shown {
        let NodeView { address, name, .. } = graph.view(node)?;
        let name = if is_folder && name.is_empty() { address.clone() } else { name };
        tree.entries.push(Entry { depth: level, address, name, is_folder, ..Entry::default() });
    }
    if !is_folder {
        let language = Some(graph.language(node)).filter(|language| !language.is_empty()).unwrap_or("other");
        let languages = BTreeMap::from([(language.to_owned(), 1)]);
        if shown {
            let entry = &mut tree.entries[place];
            (entry.files, entry.languages, entry.outline) = (1, languages.clone(), graph.line(node, OUTLINE_NAMES));
        }
        return Some((1, languages));
    }
    let mut children: Vec<(bool, String, NodeId)> = graph
        .edges_at(node, Toward::Out, CHILDREN_MAX)
        .into_iter()
        // Not what somebody linked: that may lead back up.
        .filter(|edge| edge.kind == EdgeKind::Contains && edge.origin.is_none())
        .filter_map(|edge| {
            Some((graph.kind(edge.other)? != NodeKind::Folder, graph.name(edge.other).to_owned(), edge.other))
        })
        .collect();
    children.sort();
    let (mut files, mut languages) = (0, BTreeMap::new());
    for (_, _, child) in children {
        if let Some((own, by_language)) = list(graph, child, level + 1, depth, limit, tree) {
            files += own;
            for (language, count) in by_language {
                *languages.entry(language).or_default() += count;
            }
        }
    }
    if shown {
        (tree.entries[place].files, tree.entries[place].languages) = (files, languages.clone());
    }
    Some((files, languages))
}

/// What a document defines.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outline {
    /// The document.
    pub document: Option<Node>,
    /// Its definitions in order, each with its depth.
    pub entries: Vec<(u32, Node)>,
    /// Definitions that the limit left out: those that stand deepest.
    pub left_out: u32,
    /// Some of it could not be read.
    pub partial: bool,
    /// Position that it reflects.
    pub applied: Lsn,
}

/// The outline of the document that `name` means, or that what it means stands in.
///
/// # Errors
/// Not found for a name that nothing has or that is of no document; over a limit; those of the engines.
pub async fn outline(engines: &Engines, grant: &Grant, name: String, limit: u32) -> Result<Outline> {
    check_limit(limit)?;
    let (tell, told) = std::sync::mpsc::channel();
    let found = over(engines, grant, move |graph| {
        let (node, _) = named(graph, &name)?;
        let id = graph.view(node).and_then(|view| view.document).ok_or_else(|| {
            Error::invalid("node", format!("{name:?} is no document and stands in none: name a file or a definition"))
        })?;
        let definitions = graph.definitions(id);
        let all = definitions.len();
        let shown = outermost(definitions.into_iter().map(|node| (node, depth(graph, node))).collect(), limit as usize);
        let _ = tell.send(((all - shown.len()) as u32, graph.partial(id)));
        let asked = graph.document(id).and_then(|node| describe::node(graph, node));
        let nodes = shown.into_iter().filter_map(|(node, depth)| Some((describe::node(graph, node)?, depth as f32)));
        Ok(Found { asked, nodes: nodes.collect(), ..Found::default() })
    })
    .await?;
    let (left_out, partial) = told.try_recv().unwrap_or_default();
    Ok(Outline {
        document: found.asked,
        entries: found.nodes.into_iter().map(|(node, depth)| (depth as u32, node)).collect(),
        left_out,
        partial,
        applied: found.applied,
    })
}

/// The `limit` that stand least deep, in their order.
fn outermost<T>(all: Vec<(T, usize)>, limit: usize) -> Vec<(T, usize)> {
    let mut places: Vec<usize> = (0..all.len()).collect();
    places.sort_by_key(|place| all[*place].1);
    let kept: std::collections::HashSet<usize> = places.into_iter().take(limit).collect();
    all.into_iter().enumerate().filter(|(place, _)| kept.contains(place)).map(|(_, one)| one).collect()
}

/// How many definitions one stands in.
fn depth(graph: &Graph, node: NodeId) -> usize {
    let outer = std::iter::successors(graph.outer(node), |node| graph.outer(*node));
    outer.take_while(|node| !matches!(graph.kind(*node), Some(NodeKind::Document | NodeKind::Folder) | None)).count()
}
