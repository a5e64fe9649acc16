//! Which definitions a name means, by what stands around it.
//!
//! No type checker is here: evidence is the scope before the name, the imports of the file, what is defined around the place,
//! and how near files lie. Every kind of evidence has a confidence, and what is left of several candidates shares it. Names
//! that nothing tells apart resolve to nothing.

use std::cell::Cell;

use petgraph::stable_graph::NodeIndex;
use petgraph::visit::EdgeRef;
use petgraph::{Direction, graph};
use smallvec::SmallVec;

use super::choose::{NAMESAKES_MAX, TARGETS_MAX, Target, share};
use super::names::{NONE, NameId};
use super::paths::same_family;
use super::scope::{Scope, Start};
use super::{Graph, Held, Slot, Used};
use crate::model::{EdgeKind, NodeKind};

/// Namesakes looked at where the folder is known, which tells most of them apart.
const NAMESAKES_OF_FOLDERS_MAX: usize = 4096;
/// Re-exports and base classes followed one after the other.
const DEPTH_MAX: u8 = 8;
/// The same in all for one reference: modules that pass everything on to each other have more ways than anybody wants to go.
const FUEL: u32 = 64;

/// The definition stands in the same file, or an import names it.
pub(super) const SURE: f32 = 0.95;
/// A type of this name has a member of that name.
pub(super) const MEMBER: f32 = 0.8;
/// Imported with everything else of a module.
const GLOB: f32 = 0.75;
/// The same package, in a language whose packages share names.
const PACKAGE: f32 = 0.9;
/// Nothing but the name, in the same source.
const NAME: f32 = 0.4;

/// Languages whose files of one folder see each other's names.
const SHARED_FOLDERS: [&str; 5] = ["go", "java", "c", "cpp", "ruby"];

/// How far a resolution has gone, so that circles end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trail<'a> {
    depth: u8,
    fuel: &'a Cell<u32>,
}

impl Trail<'_> {
    fn deeper(self) -> Option<Self> {
        let left = self.fuel.get().checked_sub(1)?;
        self.fuel.set(left);
        (self.depth < DEPTH_MAX).then_some(Self { depth: self.depth + 1, ..self })
    }
}

impl Graph {
    /// What `used`, said in the document `slot`, means: surest first.
    pub(super) fn resolve(&self, slot: Slot, used: &Used) -> Vec<Target> {
        let Some(held) = self.held(slot) else { return Vec::new() };
        let fuel = Cell::new(FUEL);
        let trail = Trail { depth: 0, fuel: &fuel };
        let mut found = match used.kind {
            EdgeKind::Imports => self.imports(held, used, trail),
            EdgeKind::Links => self.link(held, used),
            EdgeKind::ChangesWith => self.partner(held, used),
            EdgeKind::Mentions | EdgeKind::Tests | EdgeKind::About | EdgeKind::SameAs => {
                self.mention(held, used, trail)
            }
            _ => self.meaning(held, used, trail),
        };
        found.retain(|(node, _)| *node != used.from || used.kind == EdgeKind::Calls);
        found.truncate(TARGETS_MAX);
        found
    }

    /// A name in code.
    fn meaning(&self, held: &Held, used: &Used, trail: Trail<'_>) -> Vec<Target> {
        if used.scope == NONE {
            return self.bare(held, used, trail);
        }
        let text = self.names.text(used.scope);
        let scope = self.scope(held, used, text);
        if text.ends_with('.') {
            return self.of_a_value(held, used);
        }
        match (scope.start, scope.last()) {
            (Start::Own, None) => self.own_member(held, used, true, trail),
            (Start::Base, None) => self.own_member(held, used, false, trail),
            (Start::Root | Start::Above(_), _) => self.by_path(held, &scope, used.name, trail),
            _ => self.scoped(held, used, &scope, trail),
        }
    }

    /// The scope of a reference, seen from its file: `super` within a module that stands in the file is the file.
    fn scope<'t>(&self, held: &Held, used: &Used, text: &'t str) -> Scope<'t> {
        let mut scope = Scope::of(text, self.names.text(held.language));
        if let Start::Above(above) = scope.start {
            let is_module =
                |node: &NodeIndex<u32>| self.graph.node_weight(*node).is_some_and(|own| own.kind == NodeKind::Module);
            let inside = self.around(used.from).iter().filter(|node| is_module(node)).count();
            scope.start = Start::Above(above.saturating_sub(inside));
        }
        scope
    }

    /// A member of a value whose type nobody knows: only a name that few members have says something.
    fn of_a_value(&self, held: &Held, used: &Used) -> Vec<Target> {
        let candidates = self.candidates(held, used, |node| self.is_member(node));
        self.nearest(held, candidates, NAME)
    }

    /// A name with nothing before it: what stands around it, then what was imported, then what the package shares.
    fn bare(&self, held: &Held, used: &Used, trail: Trail<'_>) -> Vec<Target> {
        let wanted = |node: &NodeIndex<u32>| self.fits(*node, used.kind);
        let around = self.around(used.from);
        let mut local: Vec<NodeIndex<u32>> = held.defined(used.name).filter(wanted).take(NAMESAKES_MAX).collect();
        // The innermost first: a nested function hides one of the file. What is a member needs its type before it.
        local
            .retain(|node| !self.is_member(*node) || self.parent(*node).is_some_and(|parent| around.contains(&parent)));
        local.sort_by_key(|node| {
            self.parent(*node)
                .and_then(|parent| around.iter().position(|own| *own == parent))
                .map_or(usize::MAX, |at| at)
        });
        if !local.is_empty() {
            return share(local, SURE);
        }
        let imported = self.imported(held, used.name, used.kind, trail);
        if !imported.is_empty() {
            return imported;
        }
        let globs: Vec<Target> = self.through_globs(held, used.name, trail);
        if !globs.is_empty() {
            return globs;
        }
        let candidates = self.candidates(held, used, |node| !self.is_member(node));
        let language = self.names.text(held.language);
        let folder = |path: &str| path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        if SHARED_FOLDERS.contains(&language) {
            let own = folder(&held.path);
            let same = |node: &NodeIndex<u32>| self.held_of(*node).is_some_and(|other| folder(&other.path) == own);
            let package: Vec<NodeIndex<u32>> = candidates.iter().copied().filter(same).collect();
            if !package.is_empty() {
                return share(self.by_place(package), PACKAGE);
            }
        }
        self.nearest(held, candidates, NAME)
    }

    /// A name after a path, a type, a module or a receiver.
    fn scoped(&self, held: &Held, used: &Used, scope: &Scope<'_>, trail: Trail<'_>) -> Vec<Target> {
        let Some(first) = scope.parts.first() else { return self.own_member(held, used, true, trail) };
        if let Some(first) = self.names.find(first) {
            let mut found: Vec<Target> = Vec::new();
            for import in held.imported(first) {
                for (target, sure) in self.import(held, import, trail) {
                    let inside = self.inside_at(held, target, &scope.parts[1..], used.name, trail);
                    found.extend(inside.into_iter().map(|(node, own)| (node, own * sure)));
                }
            }
            if !found.is_empty() {
                return self.best(found);
            }
        }
        // A type of this file or of anywhere, with a member of this name.
        let last = scope.last().and_then(|last| self.names.find(last));
        if let Some(last) = last {
            let members = self.members(held, last, used, trail);
            if !members.is_empty() {
                return members;
            }
        }
        if scope.start == Start::Free && (scope.parts.len() > 1 || last.is_some()) {
            let found = self.by_path(held, scope, used.name, trail);
            if !found.is_empty() {
                return found;
            }
        }
        Vec::new()
    }

    /// Members called `used.name` of types called `owner`: of this file, else of the nearest.
    pub(super) fn members(&self, held: &Held, owner: NameId, used: &Used, trail: Trail<'_>) -> Vec<Target> {
        let of_owner = |node: NodeIndex<u32>| self.owner(node) == Some(owner);
        let local: Vec<NodeIndex<u32>> = held.defined(used.name).filter(|node| of_owner(*node)).collect();
        if !local.is_empty() {
            return share(local, SURE);
        }
        let candidates = self.candidates(held, used, of_owner);
        let found = self.nearest(held, candidates, MEMBER);
        if !found.is_empty() || !held.defined(owner).any(|node| self.is_type(node)) {
            return found;
        }
        // The type is known and has no such member: one of its bases may.
        held.defined(owner).flat_map(|node| self.inherited(held, node, used.name, trail)).collect()
    }

    /// A member of the type around the place if `own`, else of what that inherits.
    fn own_member(&self, held: &Held, used: &Used, own: bool, trail: Trail<'_>) -> Vec<Target> {
        let around = self.around(used.from);
        let Some(name) = around.iter().find_map(|node| self.owner(*node).or_else(|| self.type_name(*node))) else {
            return self.bare(held, used, trail);
        };
        if own {
            let found = self.members_of(held, name, used.name);
            if !found.is_empty() {
                return found;
            }
        }
        let here = || held.defined(name).find(|node| self.is_type(*node));
        let owner = around.into_iter().find(|node| self.is_type(*node)).or_else(here);
        owner.map(|owner| self.inherited(held, owner, used.name, trail)).unwrap_or_default()
    }

    /// Members called `name` of types called `owner`, in this file or else nearby.
    fn members_of(&self, held: &Held, owner: NameId, name: NameId) -> Vec<Target> {
        let is = |node: &NodeIndex<u32>| self.owner(*node) == Some(owner);
        let found: Vec<NodeIndex<u32>> = held.defined(name).filter(is).collect();
        if !found.is_empty() {
            return share(found, SURE);
        }
        let all = self.defined.get(&name).map(SmallVec::as_slice).unwrap_or_default();
        if all.len() > NAMESAKES_MAX {
            return Vec::new();
        }
        let elsewhere = all.iter().copied().filter(|node| is(node) && self.family(held, *node)).collect();
        self.nearest(held, elsewhere, MEMBER)
    }

    /// A member of what `owner` inherits or implements.
    fn inherited(&self, held: &Held, owner: NodeIndex<u32>, name: NameId, trail: Trail<'_>) -> Vec<Target> {
        let Some(trail) = trail.deeper() else { return Vec::new() };
        let Some(home) = self.held_of(owner) else { return Vec::new() };
        let bases = home
            .used
            .iter()
            .filter(|used| used.from == owner && matches!(used.kind, EdgeKind::Inherits | EdgeKind::Implements));
        for base in bases {
            for (target, sure) in self.meaning(home, base, trail) {
                let Some(base_name) = self.type_name(target) else { continue };
                let found = self.members_of(self.held_of(target).unwrap_or(held), base_name, name);
                let found = if found.is_empty() { self.inherited(held, target, name, trail) } else { found };
                if !found.is_empty() {
                    return found.into_iter().map(|(node, own)| (node, own * sure)).collect();
                }
            }
        }
        Vec::new()
    }

    /// What the imports of a file mean by the local name `name`.
    fn imported(&self, held: &Held, name: NameId, kind: EdgeKind, trail: Trail<'_>) -> Vec<Target> {
        let found = held.imported(name).flat_map(|import| self.import(held, import, trail));
        self.best(found.filter(|(node, _)| self.fits(*node, kind)).collect())
    }

    /// What modules that were imported as a whole have under `name`.
    fn through_globs(&self, held: &Held, name: NameId, trail: Trail<'_>) -> Vec<Target> {
        let Some(star) = self.names.find("*") else { return Vec::new() };
        let mut found = Vec::new();
        for import in held.imported(star) {
            let scope = self.module_scope(held, import);
            let inside = self.by_path(held, &scope, name, trail);
            found.extend(inside.into_iter().map(|(node, own)| (node, own * GLOB)));
        }
        self.best(found)
    }

    /// What an import leads to: what it brings, else the module that ought to have it.
    fn imports(&self, held: &Held, used: &Used, trail: Trail<'_>) -> Vec<Target> {
        let found = self.import(held, used, trail);
        if !found.is_empty() {
            return found;
        }
        // Most have variables and aliases that no definition was read off.
        let scope = self.module_scope(held, used);
        let module = self.modules(held, &scope).into_iter().next();
        module.filter(|_| !scope.parts.is_empty()).map(|node| (node, MEMBER)).into_iter().collect()
    }

    /// What an import brings: a definition of the module that its scope names, or a module.
    fn import(&self, held: &Held, used: &Used, trail: Trail<'_>) -> Vec<Target> {
        let Some(trail) = trail.deeper() else { return Vec::new() };
        let scope = self.module_scope(held, used);
        if self.names.text(used.name) == "*" {
            let modules = self.modules(held, &scope);
            let Some((last, before)) = scope.parts.split_last().filter(|_| modules.is_empty()) else {
                return modules.into_iter().take(1).map(|node| (node, SURE)).collect();
            };
            // All of a type: the variants of an enum, static members.
            let outer = Scope { start: scope.start, parts: before.to_vec() };
            let owner = self.names.find(last);
            let found = owner.map(|owner| self.by_path(held, &outer, owner, trail)).unwrap_or_default();
            return found.into_iter().filter(|(node, _)| self.is_type(*node)).collect();
        }
        self.by_path(held, &scope, used.name, trail)
    }

    /// What `name` is in the module or type that `scope` names: a definition, a module of its own, or one that is passed on
    /// from elsewhere.
    pub(super) fn by_path(&self, held: &Held, scope: &Scope<'_>, name: NameId, trail: Trail<'_>) -> Vec<Target> {
        let Some(trail) = trail.deeper() else { return Vec::new() };
        // The module is the longest part of the scope that is a file; the rest stands in it.
        for cut in (0..=scope.parts.len()).rev() {
            let module = Scope { start: scope.start, parts: scope.parts[..cut].to_vec() };
            if cut == 0 && scope.start == Start::Free {
                break;
            }
            for target in self.modules(held, &module) {
                let found = self.inside_at(held, target, &scope.parts[cut..], name, trail);
                if !found.is_empty() {
                    return found.into_iter().map(|(node, sure)| (node, sure * SURE)).collect();
                }
            }
        }
        let own = self.names.text(name);
        let mut whole = Scope { start: scope.start, parts: scope.parts.clone() };
        whole.parts.push(own);
        self.modules(held, &whole).into_iter().take(1).map(|node| (node, SURE)).collect()
    }

    /// Nodes of the files and folders that a path may mean, best first.
    fn modules(&self, held: &Held, scope: &Scope<'_>) -> Vec<NodeIndex<u32>> {
        let files = self.files(held, scope);
        let mut found: Vec<NodeIndex<u32>> = files.iter().filter_map(|slot| Some(self.held(*slot)?.node)).collect();
        found.truncate(TARGETS_MAX);
        if found.is_empty() && scope.start == Start::Free {
            found.extend(self.folder(held, &scope.parts));
        }
        found
    }

    /// `name` in `target`, after further parts of a path.
    fn inside_at(
        &self,
        held: &Held,
        target: NodeIndex<u32>,
        parts: &[&str],
        name: NameId,
        trail: Trail<'_>,
    ) -> Vec<Target> {
        let Some(node) = self.graph.node_weight(target) else { return Vec::new() };
        match node.kind {
            NodeKind::Document => self.inside_file(target, parts, name, trail),
            NodeKind::Folder => self.inside_folder(target, name),
            _ if self.is_type(target) || node.kind == NodeKind::Module => {
                let found = self.members_of(self.held_of(target).unwrap_or(held), node.name, name);
                if found.is_empty() { self.inherited(held, target, name, trail) } else { found }
            }
            _ => Vec::new(),
        }
    }

    fn inside_file(&self, file: NodeIndex<u32>, parts: &[&str], name: NameId, trail: Trail<'_>) -> Vec<Target> {
        let Some(home) = self.held_of(file) else { return Vec::new() };
        let Some(trail) = trail.deeper() else { return Vec::new() };
        let owner = parts.last().and_then(|last| self.names.find(last));
        if !parts.is_empty() && owner.is_none() {
            return Vec::new();
        }
        let around =
            |node: &NodeIndex<u32>| self.parent(*node).and_then(|parent| self.graph.node_weight(parent)).copied();
        let stands = |node: &NodeIndex<u32>| match (owner, self.owner(*node)) {
            (Some(owner), own) => own == Some(owner) || around(node).is_some_and(|outer| outer.name == owner),
            (None, Some(_)) => false,
            (None, None) => around(node).is_none_or(|outer| outer.kind == NodeKind::Module),
        };
        let mut found: Vec<NodeIndex<u32>> = home.defined(name).filter(stands).collect();
        if !found.is_empty() {
            if self.names.text(home.language) == "python" {
                // The last one is what the name means; those before it are overloads.
                found.reverse();
            }
            return share(found, 1.0);
        }
        match owner {
            None => {
                let passed_on = self.imported(home, name, EdgeKind::Imports, trail);
                if passed_on.is_empty() { self.through_globs(home, name, trail) } else { passed_on }
            }
            Some(owner) => {
                let passed_on = home.imported(owner).flat_map(|import| self.import(home, import, trail));
                passed_on.flat_map(|(target, _)| self.inside_at(home, target, &[], name, trail)).collect()
            }
        }
    }

    /// A definition in a file right in a folder, for languages whose packages are folders.
    fn inside_folder(&self, folder: NodeIndex<u32>, name: NameId) -> Vec<Target> {
        let all = self.defined.get(&name).map(SmallVec::as_slice).unwrap_or_default();
        let here = |node: &NodeIndex<u32>| {
            let file = self.held_of(*node).map(|held| held.node);
            file.and_then(|file| self.parent(file)) == Some(folder) && !self.is_member(*node)
        };
        if all.len() > NAMESAKES_OF_FOLDERS_MAX {
            return Vec::new();
        }
        share(self.by_place(all.iter().copied().filter(here).collect()), 1.0)
    }

    /// The nodes around a place, innermost first, itself included.
    fn around(&self, node: NodeIndex<u32>) -> Vec<NodeIndex<u32>> {
        std::iter::successors(Some(node), |node| self.parent(*node)).take(64).collect()
    }

    /// The names of the types around a place, whose members `self` and its like may mean.
    pub(super) fn types_around(&self, node: NodeIndex<u32>) -> Vec<NameId> {
        self.around(node).into_iter().filter_map(|node| self.owner(node).or_else(|| self.type_name(node))).collect()
    }

    /// What a definition stands in; none for those right in their file.
    pub(super) fn parent(&self, node: NodeIndex<u32>) -> Option<NodeIndex<u32>> {
        let own = self.graph.node_weight(node)?;
        (own.parent != node).then_some(own.parent)
    }

    /// The scope of an import: Rust's `self` is the module, not a type.
    fn module_scope(&self, held: &Held, import: &Used) -> Scope<'_> {
        let scope = self.scope(held, import, self.names.text(import.scope));
        if scope.start == Start::Own { Scope { start: Start::Above(0), ..scope } } else { scope }
    }

    /// The name of the type that a definition belongs to.
    fn owner(&self, node: NodeIndex<u32>) -> Option<NameId> {
        let own = self.graph.node_weight(node)?;
        if own.owner != NONE {
            // `foo::Other` belongs to `Other`.
            let text = self.names.text(own.owner);
            return self.names.find(text.rsplit([':', '.']).next().unwrap_or(text));
        }
        self.parent(node).and_then(|parent| self.type_name(parent))
    }

    fn is_member(&self, node: NodeIndex<u32>) -> bool {
        self.owner(node).is_some()
    }

    fn type_name(&self, node: NodeIndex<u32>) -> Option<NameId> {
        self.graph.node_weight(node).filter(|own| is_type_kind(own.kind)).map(|own| own.name)
    }

    fn is_type(&self, node: NodeIndex<u32>) -> bool {
        self.graph.node_weight(node).is_some_and(|node| is_type_kind(node.kind))
    }

    pub(super) fn family(&self, held: &Held, node: NodeIndex<u32>) -> bool {
        self.held_of(node).is_some_and(|other| same_family(self, held.language, other.language))
    }

    /// Whether a definition can be meant by a use of this kind.
    pub(super) fn fits(&self, node: NodeIndex<u32>, kind: EdgeKind) -> bool {
        let Some(node) = self.graph.node_weight(node) else { return false };
        match kind {
            EdgeKind::Inherits | EdgeKind::Implements => is_type_kind(node.kind),
            EdgeKind::Calls => {
                !matches!(node.kind, NodeKind::Section | NodeKind::Passage | NodeKind::Entity | NodeKind::Document)
            }
            _ => !matches!(node.kind, NodeKind::Passage),
        }
    }

    /// The folder of the same source whose path ends in these parts.
    fn folder(&self, held: &Held, parts: &[&str]) -> Option<NodeIndex<u32>> {
        let own: Vec<&str> = held.path.split('/').collect();
        // A package is named by its path from some root: the longest tail that is a folder.
        (0..parts.len()).find_map(|skip| {
            let tail = self.names.find(&parts[skip..].join("/"))?;
            let exact = self.folders.get(&(held.source, tail)).copied();
            exact.or_else(|| {
                // Below a folder that the file is in too.
                (1..own.len()).rev().find_map(|depth| {
                    let path = format!("{}/{}", own[..depth].join("/"), parts[skip..].join("/"));
                    self.folders.get(&(held.source, self.names.find(&path)?)).copied()
                })
            })
        })
    }

    /// Edges of a reference that are in the graph.
    pub(super) fn edges_of(&self, from: NodeIndex<u32>, reference: u32) -> Vec<graph::EdgeIndex<u32>> {
        let own = self.graph.edges_directed(from, Direction::Outgoing);
        own.filter(|edge| edge.weight().reference == reference).map(|edge| edge.id()).collect()
    }
}

/// Whether a node of this kind has members.
pub(super) fn is_type_kind(kind: NodeKind) -> bool {
    matches!(kind, NodeKind::Type | NodeKind::Interface)
}
