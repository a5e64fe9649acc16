//! How nodes are called from outside: names that last, unlike numbers.
//!
//! A folder is `URI/`, a document its URI, a definition `URI#Outer::inner` (with `~2` for the second of that name), a passage
//! `URI#Lfirst-Llast` by its bytes, and what belongs to no document `entity:NAME`, `run:NAME`, `task:NAME`.

use std::borrow::Cow;

use petgraph::stable_graph::NodeIndex;
use smallvec::SmallVec;

use super::names::NONE;
use super::{Graph, Held, NOWHERE, NameId, NodeId};
use crate::base::SourceId;
use crate::model::NodeKind;

/// What an address ends with before a path: a folder, a scheme, a repository or database.
const SEPARATORS: [char; 3] = ['/', ':', '#'];

/// Whether addresses below `root` escape paths as those of files do; buckets take keys as they are.
fn escapes(root: &str) -> bool {
    ["file://", "git", "sqlite://", "postgres://"].iter().any(|scheme| root.starts_with(scheme))
}

/// A path as addresses of files spell it.
fn escaped(path: &str) -> Cow<'_, str> {
    let special = |c: char| matches!(c, ' ' | '%' | '#' | '?') || c.is_ascii_control();
    if !path.contains(special) {
        return Cow::Borrowed(path);
    }
    let mut spelt = String::with_capacity(path.len() + 8);
    for c in path.chars() {
        match special(c) {
            true => spelt.push_str(&format!("%{:02X}", u32::from(c))),
            false => spelt.push(c),
        }
    }
    Cow::Owned(spelt)
}

/// The inverse of [`escaped`].
fn unescaped(path: &str) -> Option<String> {
    let mut parts = path.split('%');
    let mut plain = parts.next()?.to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        plain.push(char::from(u8::from_str_radix(code, 16).ok().filter(u8::is_ascii)?));
        plain.push_str(rest);
    }
    Some(plain)
}

/// Whether the last parts of a path are `end`.
fn is_end(path: &str, end: &str) -> bool {
    path.strip_suffix(end).is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

/// Separates the parts of a definition's path in its address.
const INSIDE: &str = "::";

impl Graph {
    /// The lasting name of a node.
    pub fn address(&self, node: NodeId) -> Option<String> {
        let own = self.graph.node_weight(node.at())?;
        let name = self.names.text(own.name);
        if own.document == NOWHERE {
            return match own.kind {
                NodeKind::Folder => self.folder_address(node.at()),
                kind => Some(format!("{}:{name}", kind.as_str())),
            };
        }
        let held = self.held(own.document)?;
        match own.kind {
            NodeKind::Document => Some(held.uri.to_string()),
            NodeKind::Passage => Some(format!("{}#bytes={}-{}", held.uri, own.span.0, own.span.1)),
            _ => Some(format!("{}#{}{}", held.uri, self.qualified(node), self.number(held, node.at()))),
        }
    }

    /// The path of a definition within its document: `Outer::inner`. A method that stands outside of its type has the type
    /// before it all the same.
    pub fn qualified(&self, node: NodeId) -> String {
        let chain: Vec<NodeIndex<u32>> =
            std::iter::successors(Some(node.at()), |node| self.parent(*node)).take(64).collect();
        let mut path = String::new();
        for own in chain.iter().rev().filter_map(|node| self.graph.node_weight(*node)) {
            if matches!(own.kind, NodeKind::Document | NodeKind::Folder) {
                continue;
            }
            for name in [own.owner, own.name].into_iter().filter(|name| *name != NONE) {
                if !path.is_empty() {
                    path.push_str(INSIDE);
                }
                path.push_str(self.names.text(name));
            }
        }
        path
    }

    /// Tells definitions of one path apart.
    fn number(&self, held: &Held, node: NodeIndex<u32>) -> String {
        let Some(own) = self.graph.node_weight(node) else { return String::new() };
        let (parent, path) = (self.parent(node), self.qualified(NodeId::of(node)));
        let earlier = held.defined(own.name).filter(|at| {
            self.graph.node_weight(*at).is_some_and(|other| {
                // A file may define one name ten thousand times, mostly in one place.
                let beside = other.owner == own.owner && self.parent(*at) == parent;
                (other.span, *at) < (own.span, node) && (beside || self.qualified(NodeId::of(*at)) == path)
            })
        });
        match earlier.count() {
            0 => String::new(),
            before => format!("~{}", before + 1),
        }
    }

    fn folder_address(&self, node: NodeIndex<u32>) -> Option<String> {
        let (source, path) = self.folder_keys.get(&node)?;
        let root = self.root(*source)?;
        let path = match (self.names.text(*path), escapes(&root)) {
            ("", _) => return Some(root),
            (path, true) => escaped(path),
            (path, false) => Cow::Borrowed(path),
        };
        Some(format!("{root}{path}/"))
    }

    /// The address of a source's root, with what separates it from a path at its end: from any document whose address ends with
    /// its path, or else that of the source.
    fn root(&self, source: SourceId) -> Option<String> {
        let own = self.documents.iter().flatten().filter(|held| held.source == source && !held.path.is_empty());
        let mut told = own.filter_map(|held| {
            let before = held.uri.strip_suffix(&*held.path).or_else(|| held.uri.strip_suffix(&*escaped(&held.path)))?;
            // `a.md` is the end of `/ba.md` too.
            before.chars().next_back().is_none_or(|last| SEPARATORS.contains(&last)).then(|| before.to_owned())
        });
        told.next().or_else(|| {
            let uri = self.sources.get(&source)?;
            Some(if uri.ends_with(SEPARATORS) { uri.clone() } else { format!("{uri}/") })
        })
    }

    /// The node of an exact address.
    pub fn find(&self, address: &str) -> Option<NodeId> {
        if let Some(held) = self.held_at(address) {
            return Some(NodeId::of(held.node));
        }
        if let Some((kind, name)) = address.split_once(':')
            && let Some(kind) = NodeKind::parse(kind)
            && let Some(name) = self.names.find(name)
            && let Some(thing) = self.things.get(&(kind, name))
        {
            return Some(NodeId::of(*thing));
        }
        // Names may have a `#`, too, and headings anything.
        let splits = address.match_indices('#').map(|(at, _)| (&address[..at], &address[at + 1..]));
        let defined = splits.filter_map(|(uri, path)| Some((self.held_at(uri)?, path)));
        let mut defined = defined.filter_map(|(held, path)| self.find_defined(held, path, address));
        defined.next().or_else(|| self.find_folder(address))
    }

    /// The definition of a document with this whole address, which ends in `path`.
    fn find_defined(&self, held: &Held, path: &str, address: &str) -> Option<NodeId> {
        let digits = path.trim_end_matches(|c: char| c.is_ascii_digit());
        let plain = digits.strip_suffix('~').unwrap_or(path);
        let named = |name: NameId| [path, plain].iter().any(|path| path.ends_with(self.names.text(name)));
        let mut nodes = held.by_name.iter().filter(|(name, _)| named(*name)).map(|(_, node)| NodeId::of(*node));
        nodes.find(|node| self.address(*node).is_some_and(|own| own == address))
    }

    fn find_folder(&self, address: &str) -> Option<NodeId> {
        let wanted = address.trim_end_matches('/');
        let sources: std::collections::BTreeSet<SourceId> = self.folders.keys().map(|(source, _)| *source).collect();
        sources.into_iter().find_map(|source| {
            let root = self.root(source)?;
            let path = if wanted == root.trim_end_matches('/') || wanted == root.trim_end_matches('#') {
                ""
            } else {
                wanted.strip_prefix(&root)?
            };
            // As it is written, or as addresses escape it.
            let folder = |path: &str| self.folders.get(&(source, self.names.find(path)?)).copied();
            folder(path).or_else(|| folder(&unescaped(path)?)).map(NodeId::of)
        })
    }

    /// What a name as people write it may mean, best first: an address, a path or its end, `Outer::inner` or its end, a name
    /// whatever its case, an entity with its other name. At most `limit`; and whether there were more.
    pub fn candidates_for(&self, text: &str, limit: usize) -> (Vec<NodeId>, bool) {
        let text = text.trim();
        if let Some(exact) = self.find(text) {
            return (vec![exact], false);
        }
        let mut found: Vec<NodeId> = Vec::new();
        let spelled = text.trim_end_matches("()");
        let parts: Vec<&str> = spelled.split([':', '.', '#']).filter(|part| !part.is_empty()).collect();
        if let Some(name) = parts.last().and_then(|last| self.names.find(last)) {
            let defined = self.defined.get(&name).map(SmallVec::as_slice).unwrap_or_default();
            let fits = |node: &&NodeIndex<u32>| {
                let own = self.qualified(NodeId::of(**node));
                let own: Vec<&str> = own.split(INSIDE).collect();
                parts.iter().rev().zip(own.iter().rev()).all(|(a, b)| a == b)
                    && (parts.len() <= own.len() || self.stands_in(**node, &parts))
            };
            let mut fitting: Vec<NodeIndex<u32>> = defined.iter().filter(fits).copied().collect();
            fitting.sort_by_cached_key(|node| self.prominence(*node));
            found.extend(fitting.into_iter().map(NodeId::of));
        }
        let path = text.trim_start_matches("./").trim_end_matches('/');
        let file = self.names.find(path.rsplit('/').next().unwrap_or(path));
        let called = file.and_then(|file| self.stems.get(&file)).into_iter().flatten();
        let files =
            called.filter_map(|slot| self.held(*slot)).filter(|held| !held.path.is_empty() && is_end(&held.path, path));
        let mut files: Vec<(usize, &str, NodeIndex<u32>)> =
            files.map(|held| (held.path.len(), &*held.uri, held.node)).collect();
        files.sort_unstable();
        found.extend(files.into_iter().map(|(_, _, node)| NodeId::of(node)));
        let mut folders: Vec<(&str, NodeIndex<u32>)> = self
            .folders
            .iter()
            .map(|((_, folder), node)| (self.names.text(*folder), *node))
            .filter(|(folder, _)| is_end(folder, path))
            .collect();
        folders.sort_unstable();
        found.extend(folders.into_iter().map(|(_, node)| NodeId::of(node)));
        let folded = text.to_lowercase();
        for kind in [NodeKind::Entity, NodeKind::Run, NodeKind::Task] {
            for name in [text, folded.as_str()] {
                let thing = self.names.find(name).and_then(|name| self.things.get(&(kind, name))).copied();
                found.extend(thing.into_iter().chain(thing.and_then(|thing| self.same(thing))).map(NodeId::of));
            }
        }
        let mut seen = std::collections::HashSet::new();
        found.retain(|node| seen.insert(*node));
        let more = found.len() > limit;
        found.truncate(limit);
        (found, more)
    }

    fn held_at(&self, uri: &str) -> Option<&Held> {
        self.held(*self.by_uri.get(uri)?)
    }

    /// Whether the parts before a definition's own path name its module.
    fn stands_in(&self, node: NodeIndex<u32>, parts: &[&str]) -> bool {
        let Some(held) = self.held_of(node) else { return false };
        let own = self.qualified(NodeId::of(node)).split(INSIDE).count();
        let module = super::paths::module_parts(&held.path);
        let rest = &parts[..parts.len().saturating_sub(own)];
        rest.iter().rev().zip(module.iter().rev()).all(|(a, b)| a == b)
    }

    /// Sorts namesakes: what is no test, what much refers to, what lies less deep, then by address.
    fn prominence(&self, node: NodeIndex<u32>) -> (bool, std::cmp::Reverse<usize>, usize, String) {
        let test = self.graph.node_weight(node).is_some_and(|own| own.test)
            || self.held_of(node).is_some_and(|held| held.role != crate::model::Role::Main);
        let incoming = self.graph.edges_directed(node, petgraph::Direction::Incoming).take(1_000).count();
        let depth = self.held_of(node).map_or(0, |held| held.path.split('/').count());
        (test, std::cmp::Reverse(incoming), depth, self.address(NodeId::of(node)).unwrap_or_default())
    }
}
