//! The catalogue as a tree: one level at a time, so that a listing has the same size whatever the catalogue holds.

use std::collections::BTreeMap;

use super::{Routing, decide};
use crate::base::error::{Error, Result};
use crate::base::limits::NODE_LIST_MAX;
use crate::flow::access::Grant;
use crate::model::ToolKind;

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
        let table = space.read();
        let folder = request.folder.trim_matches('/');
        let (mut folders, mut nodes, mut total) = (BTreeMap::<String, u64>::new(), Vec::new(), 0);
        for entry in table.entries().iter().filter(|entry| entry.live) {
            let spec = &entry.node.spec;
            let fits = (request.kinds.is_empty() || request.kinds.contains(&spec.kind))
                && (request.tags.is_empty() || spec.tags.iter().any(|tag| request.tags.contains(tag)));
            let Some(below) = below(&spec.folder, folder).filter(|_| fits) else { continue };
            total += 1;
            match below.split('/').next().filter(|first| !first.is_empty()) {
                Some(first) => {
                    let path = if folder.is_empty() { first.to_owned() } else { format!("{folder}/{first}") };
                    *folders.entry(path).or_default() += 1;
                }
                None => nodes.push(Listed::Node(spec.name.clone(), spec.kind, decide::summary(&spec.description))),
            }
        }
        if total == 0 && !folder.is_empty() {
            return Err(Error::not_found(format!("there is no folder {folder:.80?} with such nodes")));
        }
        nodes.sort_by_key(Listed::key);
        let all = folders.into_iter().map(|(path, count)| Listed::Folder(path, count)).chain(nodes);
        let mut entries: Vec<Listed> = all
            .filter(|listed| request.after.is_empty() || listed.key() > request.after)
            .take(request.limit as usize + 1)
            .collect();
        let more = entries.len() > request.limit as usize;
        entries.truncate(request.limit as usize);
        let next = entries.last().filter(|_| more).map(Listed::key).unwrap_or_default();
        Ok(Page { entries, total, next })
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
