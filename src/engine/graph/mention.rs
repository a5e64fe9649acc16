//! What prose, comments and links mean: paths as people write them, headings, names told apart by what stands before them.

use petgraph::stable_graph::NodeIndex;

use super::choose::{Target, share};
use super::names::NONE;
use super::resolve::{MEMBER, SURE, Trail};
use super::scope::{Scope, Start};
use super::{Graph, Held, Used};

impl Graph {
    /// A name in prose, a comment or a code span, or what a test's name says: exact names, told apart by their scope.
    pub(super) fn mention(&self, held: &Held, used: &Used, trail: Trail<'_>) -> Vec<Target> {
        let text = self.names.text(used.name);
        if text.contains('/') || text.contains('.') {
            return self.path(held, text);
        }
        if used.scope != NONE {
            let scope = Scope::of(self.names.text(used.scope), self.names.text(held.language));
            let owner = scope.last().and_then(|last| self.names.find(last));
            let found = owner.map(|owner| self.members(held, owner, used, trail)).unwrap_or_default();
            return if found.is_empty() { self.by_path(held, &scope, used.name, trail) } else { found };
        }
        let local: Vec<NodeIndex<u32>> = held.defined(used.name).filter(|node| *node != used.from).collect();
        if !local.is_empty() {
            return share(local, SURE);
        }
        let candidates = self.candidates(held, used, |_| true);
        self.nearest(held, candidates, MEMBER)
    }

    /// A link to a file, or to a heading in it.
    pub(super) fn link(&self, held: &Held, used: &Used) -> Vec<Target> {
        let scope = self.names.text(used.scope);
        let (path, fragment) = scope.split_once('#').unwrap_or((scope, ""));
        let files = if path.is_empty() {
            vec![held.node]
        } else {
            self.path(held, path).into_iter().map(|(node, _)| node).collect()
        };
        let Some(file) = files.first().copied() else { return Vec::new() };
        let wanted = slug(fragment);
        let section = self.held_of(file).and_then(|home| {
            let named = |node: &&NodeIndex<u32>| {
                self.graph
                    .node_weight(**node)
                    .is_some_and(|own| !wanted.is_empty() && slug(self.names.text(own.name)) == wanted)
            };
            home.nodes.iter().find(named).copied()
        });
        vec![(section.unwrap_or(file), SURE)]
    }

    /// A path as people write it: from the file's folder, from the root of the source, or its tail.
    pub(super) fn path(&self, held: &Held, text: &str) -> Vec<Target> {
        let relative = Scope::of(text, "");
        let above = match relative.start {
            Start::Above(above) => above,
            _ => 0,
        };
        let mut found = self.files(held, &Scope { start: Start::Above(above), parts: relative.parts.clone() });
        let mut sure = SURE;
        if found.is_empty() {
            let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | "." | "..")).collect();
            found = self.files(held, &Scope { start: Start::Free, parts });
            sure = MEMBER;
        }
        found.retain(|slot| self.held(*slot).is_some_and(|other| other.node != held.node));
        let nodes = found.iter().filter_map(|slot| Some(self.held(*slot)?.node)).take(1);
        nodes.map(|node| (node, sure)).collect()
    }
}

/// A heading as links name it: lower case, hyphens for what is no letter.
fn slug(heading: &str) -> String {
    let mut slug = String::with_capacity(heading.len());
    for c in heading.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() || c == '_' {
            slug.push(c);
        } else if (c.is_whitespace() || c == '-') && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_matches('-').to_owned()
}
