//! Putting documents into the graph and taking them out.

use std::sync::Arc;

use petgraph::Direction;
use petgraph::stable_graph::NodeIndex;
use petgraph::visit::EdgeRef;
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use super::names::{NONE, NameId};
use super::scope::{Scope, Start};
use super::{Edge, Graph, GraphDocument, Held, NOWHERE, Node, STRUCTURE, Slot, Used, partners, paths};
use crate::base::DocumentId;
use crate::model::{EdgeKind, NodeKind};

/// What a change may have given another meaning.
#[derive(Debug, Default)]
struct Touched {
    /// Names that got or lost a definition.
    names: FxHashSet<NameId>,
    /// Documents whose references are all new.
    documents: Vec<Slot>,
}

/// What has to be looked at again.
struct Concerned {
    /// All references to these names.
    names: FxHashSet<NameId>,
    /// All references of these documents.
    documents: FxHashSet<Slot>,
}

impl Graph {
    /// Puts documents, each in the place of its earlier version, and gives every name its meaning.
    pub fn put(&mut self, documents: Vec<GraphDocument>) {
        let mut touched = Touched::default();
        for document in documents {
            let slot = self.place(document, &mut touched);
            touched.documents.push(slot);
        }
        self.settle(&touched);
    }

    /// Puts the first documents of a graph without giving names a meaning; [`Self::settle_all`] does that at the end.
    pub fn load(&mut self, documents: Vec<GraphDocument>) {
        let mut touched = Touched::default();
        for document in documents {
            self.place(document, &mut touched);
        }
    }

    /// Gives every name its meaning, after [`Self::load`].
    pub fn settle_all(&mut self) {
        let documents = (0..self.documents.len() as Slot).filter(|slot| self.held(*slot).is_some()).collect();
        self.settle(&Touched { documents, ..Touched::default() });
        self.names_loaded = self.names.len();
    }

    /// Takes documents out.
    pub fn remove(&mut self, documents: &[DocumentId]) {
        let mut touched = Touched::default();
        for id in documents {
            let Some(slot) = self.by_id.remove(id) else { continue };
            let Some(held) = self.documents.get_mut(slot as usize).and_then(Option::take) else { continue };
            touched.names.extend(held.imports.iter().map(|(local, _)| *local));
            self.by_uri.remove(&held.uri);
            self.forget_references(slot, &held);
            self.forget_stems(slot, &held.path, &mut touched);
            self.forget_terms(&held);
            self.leave_series(slot, &held);
            self.leave_aliases(&held);
            self.lift(slot);
            let mut things = self.things_of(held.node);
            for passage in &held.passages {
                things.extend(self.things_of(*passage));
            }
            for node in held.nodes.iter().chain(&held.passages) {
                self.drop_node(*node, &mut touched);
            }
            let folder =
                self.graph.node_weight(held.node).map(|node| node.parent).filter(|parent| *parent != held.node);
            self.graph.remove_node(held.node);
            self.drop_empty_folders(folder);
            self.drop_unused_things(things);
            self.free.push(slot);
        }
        self.settle(&touched);
    }

    /// Puts the nodes and structure of one document; its names have no meaning yet.
    fn place(&mut self, document: GraphDocument, touched: &mut Touched) -> Slot {
        let old = self.by_id.get(&document.id).copied();
        let slot = old.or_else(|| self.free.pop()).unwrap_or_else(|| {
            self.documents.push(None);
            (self.documents.len() - 1) as Slot
        });
        let before = self.documents.get_mut(slot as usize).and_then(Option::take);
        let mut things = Vec::new();
        if let Some(before) = &before {
            self.by_uri.remove(&before.uri);
            touched.names.extend(before.imports.iter().map(|(local, _)| *local));
            self.forget_references(slot, before);
            self.forget_stems(slot, &before.path, touched);
            self.forget_terms(before);
            self.leave_series(slot, before);
            self.leave_aliases(before);
            for node in before.passages.iter().chain([&before.node]) {
                things.extend(self.things_of(*node));
            }
            self.clear_outgoing(before);
        }
        self.by_id.insert(document.id, slot);
        let node = self.document_node(&document, slot, before.as_ref());
        let mut held = Held {
            id: document.id,
            source: document.source,
            uri: document.uri.as_str().into(),
            path: document.path.as_str().into(),
            language: self.names.intern(document.language.as_deref().unwrap_or_default()),
            role: document.role,
            prose: document.prose,
            content: document.content,
            partial: document.facts.partial,
            node,
            passages: Vec::with_capacity(document.chunks.len()),
            terms: document.facts.terms.iter().map(|terms| terms.as_slice().into()).collect(),
            series: self.series_of(&document),
            chunks: document.chunks.iter().map(|span| (clip(span.start), clip(span.end))).collect(),
            nodes: Vec::with_capacity(document.facts.nodes.len()),
            by_name: Vec::new(),
            used: Vec::with_capacity(document.facts.references.len()),
            imports: Vec::new(),
            aliases: Vec::new(),
        };
        self.by_uri.insert(Arc::clone(&held.uri), slot);
        self.place_passages(&mut held, slot, before.as_ref());
        self.place_definitions(&mut held, slot, &document, before.as_ref(), touched);
        self.note_references(&mut held, slot, &document);
        touched.names.extend(held.imports.iter().map(|(local, _)| *local));
        self.place_mentions(&held, &document);
        self.place_aliases(&mut held, &document.facts);
        self.count_terms(&held);
        self.join_series(slot, &held);
        for stem in paths::stems(&held.path) {
            let stem = self.names.intern(stem);
            touched.names.insert(stem);
            let slots = self.stems.entry(stem).or_default();
            if !slots.contains(&slot) {
                slots.push(slot);
            }
        }
        self.documents[slot as usize] = Some(held);
        self.lay(slot, document.overlay);
        for (kind, thing, name) in document.labels {
            self.label(node, kind, thing, &name);
        }
        self.drop_unused_things(things);
        slot
    }

    /// The node of a document, below its folders.
    fn document_node(&mut self, document: &GraphDocument, slot: Slot, before: Option<&Held>) -> NodeIndex<u32> {
        let name = document.path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(&document.uri);
        let name = self.names.intern(name);
        let folder = document.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let folder = if document.path.is_empty() { None } else { Some(self.folder_node(document.source, folder)) };
        let node = match before {
            Some(before) => {
                let old = self.graph.node_weight(before.node).map(|node| node.parent).filter(|old| *old != before.node);
                if old != folder
                    && let Some(edge) = old.and_then(|old| self.graph.find_edge(old, before.node))
                {
                    self.graph.remove_edge(edge);
                    self.drop_empty_folders(old);
                }
                before.node
            }
            None => self.add(Node::new(NodeKind::Document, name, slot)),
        };
        if let Some(folder) = folder.filter(|folder| self.graph.find_edge(*folder, node).is_none()) {
            self.graph.add_edge(folder, node, structure(EdgeKind::Contains));
        }
        if let Some(weight) = self.graph.node_weight_mut(node) {
            (weight.name, weight.parent) = (name, folder.unwrap_or(node));
        }
        node
    }

    fn place_passages(&mut self, held: &mut Held, slot: Slot, before: Option<&Held>) {
        let old = before.map(|before| before.passages.as_slice()).unwrap_or_default();
        for (ordinal, span) in held.chunks.clone().into_iter().enumerate() {
            let node = match old.get(ordinal) {
                Some(node) => *node,
                None => self.add(Node::new(NodeKind::Passage, NONE, slot)),
            };
            if let Some(weight) = self.graph.node_weight_mut(node) {
                (weight.span, weight.parent) = (span, held.node);
                // It has no lines of its own: its place among the passages.
                weight.lines = (ordinal as u32, 0);
            }
            self.graph.add_edge(held.node, node, structure(EdgeKind::Contains));
            held.passages.push(node);
        }
        for gone in old.iter().skip(held.chunks.len()) {
            self.graph.remove_node(*gone);
        }
    }

    /// Places what a document defines. A definition that was there before, by its kind, name and place in others, keeps its
    /// node and with it the edges that others have to it.
    fn place_definitions(
        &mut self,
        held: &mut Held,
        slot: Slot,
        document: &GraphDocument,
        before: Option<&Held>,
        touched: &mut Touched,
    ) {
        let mut old: FxHashMap<(NodeIndex<u32>, NodeKind, NameId), Vec<NodeIndex<u32>>> = FxHashMap::default();
        for node in before.map(|before| before.nodes.as_slice()).unwrap_or_default().iter().rev() {
            if let Some(weight) = self.graph.node_weight(*node) {
                let parent = if weight.parent == *node { held.node } else { weight.parent };
                old.entry((parent, weight.kind, weight.name)).or_default().push(*node);
            }
        }
        for fact in &document.facts.nodes {
            let name = self.names.intern(&fact.name);
            let owner = self.names.intern(&fact.owner);
            let outer = fact.parent.and_then(|parent| held.nodes.get(parent as usize)).copied();
            let around = outer.unwrap_or(held.node);
            let kept = old.get_mut(&(around, fact.kind, name)).and_then(Vec::pop);
            let node = kept.unwrap_or_else(|| {
                touched.names.insert(name);
                self.add(Node::new(fact.kind, name, slot))
            });
            if kept.is_none() {
                self.defined.entry(name).or_default().push(node);
            }
            if let Some(weight) = self.graph.node_weight_mut(node) {
                if weight.owner != owner {
                    touched.names.insert(name);
                }
                (weight.test, weight.owner) = (fact.test, owner);
                weight.span = (clip(fact.span.start), clip(fact.span.end));
                weight.lines = (fact.lines.first, fact.lines.last);
                weight.parent = outer.unwrap_or(node);
            }
            self.graph.add_edge(around, node, structure(EdgeKind::Contains));
            held.nodes.push(node);
            held.by_name.push((name, node));
            if outer.is_none()
                && let Some(passage) = held.passage_at(clip(fact.span.start))
            {
                self.graph.add_edge(passage, node, structure(EdgeKind::Contains));
            }
        }
        // Stable: those of one name stay in the order of their places.
        held.by_name.sort_by_key(|(name, _)| *name);
        for gone in old.into_values().flatten() {
            self.drop_node(gone, touched);
        }
    }

    fn note_references(&mut self, held: &mut Held, slot: Slot, document: &GraphDocument) {
        for reference in &document.facts.references {
            let name = self.names.intern(&reference.name);
            let outer = reference.from.and_then(|from| held.nodes.get(from as usize)).copied();
            let from = match outer {
                Some(node) => node,
                // What prose says, a passage says.
                // But the whole file changes with others.
                None if held.prose && reference.kind != EdgeKind::ChangesWith => {
                    held.passage_at(clip(reference.at)).unwrap_or(held.node)
                }
                None => held.node,
            };
            let local = reference.alias.as_deref().map_or(name, |alias| self.names.intern(alias));
            let (scope, weight) = (self.names.intern(&reference.scope), partners::weight(reference));
            let place = held.used.len() as u32;
            let kind = match reference.kind {
                EdgeKind::Mentions if document.memory => EdgeKind::About,
                kind => kind,
            };
            held.used.push(Used { kind, from, name, scope, line: reference.line, count: reference.count, weight });
            if reference.kind == EdgeKind::Imports {
                held.imports.push((local, place));
            }
            let names = self.names_of(&held.path, held.language, reference.kind, from, scope, name);
            for name in names {
                self.users.entry(name).or_default().push((slot, place));
            }
        }
        held.imports.sort_unstable();
    }

    /// An edge from a document to a thing that has nothing but a name.
    fn label(&mut self, node: NodeIndex<u32>, kind: EdgeKind, thing: NodeKind, name: &str) {
        let target = self.thing(thing, name);
        self.graph.add_edge(node, target, structure(kind));
    }

    /// The node of an entity, run or task.
    pub(super) fn thing(&mut self, kind: NodeKind, name: &str) -> NodeIndex<u32> {
        let name = self.names.intern(name);
        if let Some(known) = self.things.get(&(kind, name)) {
            return *known;
        }
        let node = self.add(Node::new(kind, name, NOWHERE));
        self.things.insert((kind, name), node);
        node
    }

    /// Gives the references of changed documents, and those to changed names, their meaning.
    fn settle(&mut self, touched: &Touched) {
        let fresh: FxHashSet<Slot> = touched.documents.iter().copied().collect();
        let mut again: Vec<(Slot, u32)> = Vec::new();
        for slot in &fresh {
            let used = self.held(*slot).map_or(0, |held| held.used.len());
            again.extend((0..used as u32).map(|place| (*slot, place)));
        }
        let concerned = self.closure(touched);
        for name in concerned.names {
            let users = self.users.get(&name).map(SmallVec::as_slice).unwrap_or_default();
            again.extend(users.iter().filter(|(slot, _)| !fresh.contains(slot)).copied());
        }
        for slot in concerned.documents.into_iter().filter(|slot| !fresh.contains(slot)) {
            let used = self.held(slot).map_or(0, |held| held.used.len());
            again.extend((0..used as u32).map(|place| (slot, place)));
        }
        // The order decides nothing but the order of edges, which is kept the same all the same.
        again.sort_unstable();
        again.dedup();
        for (slot, place) in again {
            let Some(used) = self.held(slot).and_then(|held| held.used.get(place as usize)).copied() else { continue };
            if !fresh.contains(&slot) {
                for edge in self.edges_of(used.from, place) {
                    self.graph.remove_edge(edge);
                }
            }
            for (target, confidence) in self.resolve(slot, &used) {
                let confidence = (confidence.clamp(0.0, 1.0) * 255.0).round() as u8;
                self.graph.add_edge(used.from, target, Edge { kind: used.kind, confidence, reference: place });
            }
        }
    }

    /// What may have changed its meaning: the names touched, what imports of them are called where they are imported, types that
    /// inherit from them, whose members may be others now, and documents that import all of a module that may be another,
    /// together with what others find in those.
    fn closure(&self, touched: &Touched) -> Concerned {
        let mut concerned = Concerned { names: touched.names.clone(), documents: FxHashSet::default() };
        let all = self.names.find("*");
        // What a document passes on as a whole is found again by the document's own names.
        if let Some(all) = all {
            concerned.names.remove(&all);
        }
        let mut queue: Vec<NameId> = concerned.names.iter().copied().collect();
        while let Some(name) = queue.pop() {
            for (slot, place) in self.users.get(&name).map(SmallVec::as_slice).unwrap_or_default() {
                let Some(held) = self.held(*slot) else { continue };
                let Some(used) = held.used.get(*place as usize) else { continue };
                let mut further: Vec<NameId> = Vec::new();
                match used.kind {
                    EdgeKind::Imports if Some(used.name) == all => {
                        concerned.documents.insert(*slot);
                        further.extend(paths::stems(&held.path).filter_map(|stem| self.names.find(stem)));
                    }
                    EdgeKind::Imports => {
                        let imported = held.imports.iter().find(|(_, import)| import == place);
                        further.extend(imported.map(|(local, _)| *local));
                    }
                    EdgeKind::Inherits | EdgeKind::Implements => {
                        further.extend(self.graph.node_weight(used.from).map(|from| from.name));
                    }
                    _ => {}
                }
                queue.extend(further.into_iter().filter(|further| concerned.names.insert(*further)));
            }
        }
        concerned
    }

    pub(super) fn add(&mut self, node: Node) -> NodeIndex<u32> {
        let index = self.graph.add_node(node);
        self.set_parent(index, index);
        index
    }

    pub(super) fn set_parent(&mut self, node: NodeIndex<u32>, parent: NodeIndex<u32>) {
        if let Some(weight) = self.graph.node_weight_mut(node) {
            weight.parent = parent;
        }
    }

    fn drop_node(&mut self, node: NodeIndex<u32>, touched: &mut Touched) {
        let Some(weight) = self.graph.remove_node(node) else { return };
        if let Some(same) = self.defined.get_mut(&weight.name) {
            same.retain(|other| *other != node);
            touched.names.insert(weight.name);
            if same.is_empty() {
                self.defined.remove(&weight.name);
            }
        }
    }

    /// Removes all edges that go out from the nodes of a document, those to its own nodes included.
    fn clear_outgoing(&mut self, held: &Held) {
        for node in held.nodes.iter().chain(&held.passages).chain([&held.node]) {
            let edges: Vec<_> = self.graph.edges_directed(*node, Direction::Outgoing).map(|edge| edge.id()).collect();
            for edge in edges {
                self.graph.remove_edge(edge);
            }
        }
    }

    /// The names by which a reference is found again when one of them changes: its own, those before it, which decide what it
    /// means, too, and those of the files and types that it means by where it stands.
    fn names_of(
        &mut self,
        path: &str,
        language: NameId,
        kind: EdgeKind,
        from: NodeIndex<u32>,
        scope: NameId,
        name: NameId,
    ) -> Vec<NameId> {
        if kind == EdgeKind::ChangesWith {
            let file = partners::file_name(self.names.text(name)).to_owned();
            return vec![self.names.intern(&file)];
        }
        let scope = Scope::of(self.names.text(scope), self.names.text(language));
        let mut parts: Vec<String> = scope.parts.iter().map(|part| (*part).to_owned()).collect();
        if parts.is_empty() {
            parts.extend(paths::meant_by_place(path, scope.start).into_iter().map(str::to_owned));
        }
        let around = match scope.start {
            Start::Own | Start::Base if scope.parts.is_empty() => self.types_around(from),
            _ => Vec::new(),
        };
        let mut names: Vec<NameId> = parts.iter().map(|part| self.names.intern(part)).chain([name]).collect();
        names.extend(around);
        names.sort_unstable();
        names.dedup();
        names
    }

    fn forget_references(&mut self, slot: Slot, held: &Held) {
        let mut names: FxHashSet<NameId> = FxHashSet::default();
        for used in &held.used {
            names.extend(self.names_of(&held.path, held.language, used.kind, used.from, used.scope, used.name));
        }
        for name in names {
            if let Some(users) = self.users.get_mut(&name) {
                users.retain(|(other, _)| *other != slot);
                if users.is_empty() {
                    self.users.remove(&name);
                }
            }
        }
    }

    fn forget_stems(&mut self, slot: Slot, path: &str, touched: &mut Touched) {
        for stem in paths::stems(path) {
            let Some(stem) = self.names.find(stem) else { continue };
            touched.names.insert(stem);
            if let Some(slots) = self.stems.get_mut(&stem) {
                slots.retain(|other| *other != slot);
            }
        }
    }

    /// Entities, runs and tasks that a document points to.
    fn things_of(&self, node: NodeIndex<u32>) -> Vec<NodeIndex<u32>> {
        let targets = self.graph.neighbors_directed(node, Direction::Outgoing);
        targets.filter(|target| self.graph.node_weight(*target).is_some_and(|node| node.document == NOWHERE)).collect()
    }

    fn drop_unused_things(&mut self, things: Vec<NodeIndex<u32>>) {
        for thing in things {
            let unused = self.graph.neighbors_directed(thing, Direction::Incoming).next().is_none();
            if let Some(weight) = self.graph.node_weight(thing).filter(|_| unused).copied() {
                self.things.remove(&(weight.kind, weight.name));
                self.graph.remove_node(thing);
            }
        }
    }
}

impl Node {
    pub(super) fn new(kind: NodeKind, name: NameId, document: Slot) -> Self {
        Self { kind, test: false, name, document, parent: NodeIndex::end(), owner: NONE, span: (0, 0), lines: (0, 0) }
    }
}

pub(super) fn structure(kind: EdgeKind) -> Edge {
    Edge { kind, confidence: u8::MAX, reference: STRUCTURE }
}

/// Documents end long before 4 GiB.
fn clip(at: u64) -> u32 {
    at.min(u64::from(u32::MAX)) as u32
}
