//! The catalogue as a tree: one level at a time, so that a listing has the same size whatever the catalogue holds. Where hundreds of
//! nodes lie in one folder they are shown in groups, which are listed like folders.

use std::collections::BTreeMap;

use super::grouping::GROUPED_FROM;
use super::table::Table;
use super::{Routing, Space, decide};
use crate::base::error::{Error, Result};
use crate::base::limits::NODE_LIST_MAX;
use crate::flow::access::Grant;
use crate::model::ToolKind;

/// Begins the name of a group: of nodes that lie in one folder, more than are shown one by one.
const GROUP: char = '~';

/// What to list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Request {
    /// Folder whose level is wanted; empty: the top.
    pub folder: String,
    /// Only nodes with one of these tags; empty: all.
    pub tags: Vec<String>,
    /// Only these kinds; empty: all.
    pub kinds: Vec<ToolKind>,
    /// Entries wanted.
    pub limit: u32,
    /// Where the last page ended; empty: from the start.
    pub after: String,
}

/// One entry of a level.
#[derive(Debug, Clone, PartialEq)]
pub enum Listed {
    /// A folder with the number of nodes below it.
    Folder(String, u64),
    /// A node: name, kind, first line of its description.
    Node(String, ToolKind, String),
}

impl Listed {
    /// Folders stand before nodes, each by name.
    fn key(&self) -> String {
        match self {
            Self::Folder(path, _) => format!("0{path}"),
            Self::Node(name, ..) => format!("1{name}"),
        }
    }
}

/// A page of a level.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// Folders, then nodes.
    pub entries: Vec<Listed>,
    /// Nodes at this level and below.
    pub total: u64,
    /// Where the next page begins; empty: this is the last.
    pub next: String,
}

impl Routing {
    /// A page of one level of the tree.
    ///
    /// # Errors
    /// Over the limit of a page; NotFound for a folder that has nothing.
    pub async fn list(&self, grant: &Grant, request: &Request) -> Result<Page> {
        if request.limit == 0 || request.limit > NODE_LIST_MAX {
            let limit = request.limit;
            return Err(Error::limit(
                "page_size",
                format!("the page size is {limit}, it must be 1 to {NODE_LIST_MAX}"),
            ));
        }
        let space = self.space(grant).await?;
        let request = request.clone();
        self.engines.door.run(move || page(&space, &request)).await
    }
}

fn page(space: &Space, request: &Request) -> Result<Page> {
    let table = space.read();
    let (folder, group) = match request.folder.trim_matches('/').rsplit_once(GROUP) {
        Some((folder, group)) => (folder.trim_end_matches('/'), Some(group)),
        None => (request.folder.trim_matches('/'), None),
    };
    let level = Level::of(&table, folder, request);
    let named = || format!("{:.80}", request.folder);
    if level.total == 0 && !folder.is_empty() {
        return Err(Error::not_found(format!("there is no folder {:?} with such nodes", named())));
    }
    let (mut folders, mut nodes, mut total) = (level.folders, level.fitting, level.total);
    if level.nodes.len() >= GROUPED_FROM {
        let grouping = space.grouping(&table, folder, &level.nodes);
        let groups = grouping.names_of(&table, &nodes);
        if let Some(group) = group {
            nodes = nodes.iter().zip(groups).filter(|(_, own)| *own == group).map(|(entry, _)| *entry).collect();
            (folders, total) = (BTreeMap::new(), nodes.len() as u64);
        } else {
            let before = if folder.is_empty() { String::new() } else { format!("{folder}/") };
            for own in groups {
                *folders.entry(format!("{before}{GROUP}{own}")).or_default() += 1;
            }
            nodes.clear();
        }
    } else if group.is_some() {
        total = 0;
    }
    if total == 0 && group.is_some() {
        return Err(Error::not_found(format!("there is no group {:?} any more: list the folder above", named())));
    }
    Ok(cut(&table, folders, &nodes, total, request))
}

/// One page of a level.
fn cut(table: &Table, folders: BTreeMap<String, u64>, nodes: &[u32], total: u64, request: &Request) -> Page {
    let shown = |entry: &u32| {
        let spec = &table.entries()[*entry as usize].node.spec;
        Listed::Node(spec.name.clone(), spec.kind, decide::summary(&spec.description))
    };
    let mut nodes: Vec<Listed> = nodes.iter().map(shown).collect();
    nodes.sort_by_key(Listed::key);
    let all = folders.into_iter().map(|(path, count)| Listed::Folder(path, count)).chain(nodes);
    let mut entries: Vec<Listed> = all
        .filter(|listed| request.after.is_empty() || listed.key() > request.after)
        .take(request.limit as usize + 1)
        .collect();
    let more = entries.len() > request.limit as usize;
    entries.truncate(request.limit as usize);
    let next = entries.last().filter(|_| more).map(Listed::key).unwrap_or_default();
    Page { entries, total, next }
}

/// What is right in a folder and below it.
#[derive(Debug, Default)]
struct Level {
    /// Folders with what fits below them.
    folders: BTreeMap<String, u64>,
    /// Everything right in it.
    nodes: Vec<u32>,
    /// What of that fits the request.
    fitting: Vec<u32>,
    /// What fits, in it and below.
    total: u64,
}

impl Level {
    fn of(table: &Table, folder: &str, request: &Request) -> Self {
        let mut level = Self::default();
        for (number, entry) in (0_u32..).zip(table.entries()).filter(|(_, entry)| entry.live) {
            let spec = &entry.node.spec;
            let Some(below) = below(&spec.folder, folder) else { continue };
            let first = below.split('/').next().filter(|first| !first.is_empty());
            if first.is_none() {
                level.nodes.push(number);
            }
            let fits = (request.kinds.is_empty() || request.kinds.contains(&spec.kind))
                && (request.tags.is_empty() || spec.tags.iter().any(|tag| request.tags.contains(tag)));
            if !fits {
                continue;
            }
            level.total += 1;
            match first {
                Some(first) if folder.is_empty() => *level.folders.entry(first.to_owned()).or_default() += 1,
                Some(first) => *level.folders.entry(format!("{folder}/{first}")).or_default() += 1,
                None => level.fitting.push(number),
            }
        }
        level
    }
}

/// What of `path` lies below `folder`; `None` if it is not in it.
fn below<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    if folder.is_empty() {
        return Some(path);
    }
    match path.strip_prefix(folder)? {
        "" => Some(""),
        rest => rest.strip_prefix('/'),
    }
}
