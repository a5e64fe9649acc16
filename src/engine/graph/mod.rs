//! The knowledge graph of one namespace, in memory: what all documents say of each other, with names resolved.
//!
//! The ground is in the catalogue: what each document defines and names ([`crate::model::Facts`]). This is a projection of it: documents
//! are put and removed one by one, and the edges of a document are replaced with it. Names are resolved here, since what a
//! name means depends on the other documents: when a definition comes or goes, the references to its name are looked at
//! again, wherever they stand.
//!
//! # Contract
//! - **Determinism**: the same documents give the same nodes and edges, in whatever order they were put.
//! - **Replacement**: putting a document again leaves nothing of its earlier version; removing it leaves nothing of it.
//! - **Bounds**: a name that too many things have resolves to none of them rather than to all.

use std::sync::Arc;

use crate::base::{ChunkId, ContentHash, DocumentId, SourceId};
use crate::model::{EdgeKind, Facts, Lines, NodeKind, Role, Span};

mod address;
mod choose;
mod folders;
mod mention;
mod names;
mod overlay;
mod partners;
mod paths;
mod prose;
mod put;
mod resolve;
mod same;
mod scope;
mod series;
#[cfg(test)]
mod tests;
mod view;

pub use prose::Link;
pub use view::{EdgeView, NodeView, Toward};

use names::{NameId, Names};
use petgraph::stable_graph::{NodeIndex, StableDiGraph};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// What the graph needs to know of a document.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphDocument {
    /// The document.
    pub id: DocumentId,
    /// Where it comes from.
    pub source: SourceId,
    /// Its address.
    pub uri: String,
    /// Its path within the source; empty if it has none.
    pub path: String,
    /// Its language, for code.
    pub language: Option<String>,
    /// What part it plays.
    pub role: Role,
    /// Whether it is prose, whose names are those of entities.
    pub prose: bool,
    /// Whether it was remembered: a memory is about what it names, where a page only mentions it.
    pub memory: bool,
    /// Its title.
    pub title: Option<String>,
    /// Hash of its bytes, for the ids of its chunks.
    pub content: ContentHash,
    /// Its chunks in order.
    pub chunks: Vec<Span>,
    /// Run and task that made it, and what else its labels say: edges from the document to things by name.
    pub labels: Vec<(EdgeKind, NodeKind, String)>,
    /// The link between two other nodes that it states, if it is one.
    pub overlay: Option<Overlay>,
    /// What it says.
    pub facts: Facts,
}

/// A link that an agent or person made: between addresses, so that it outlives new versions of what it joins, and goes with the
/// document that states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlay {
    /// Address of the node that it goes out from.
    pub from: String,
    /// Address of the other.
    pub to: String,
    /// How they stand to each other.
    pub kind: EdgeKind,
    /// What was said of it.
    pub note: String,
}

/// A node's number. It stays the same while what it stands for stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(u32);

impl NodeId {
    /// As a plain number, for algorithms over graphs.
    pub fn index(self) -> u32 {
        self.0
    }

    /// The inverse of [`Self::index`].
    pub fn from_index(index: u32) -> Self {
        Self(index)
    }

    fn of(index: NodeIndex<u32>) -> Self {
        Self(index.index() as u32)
    }

    fn at(self) -> NodeIndex<u32> {
        NodeIndex::new(self.0 as usize)
    }
}

/// Place of a document in [`Graph::documents`].
type Slot = u32;

/// Names that may pile up without mattering: some ten megabytes.
const NAMES_SPARED: usize = 100_000;

/// No document: folders, entities, runs and tasks belong to none.
const NOWHERE: Slot = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Node {
    kind: NodeKind,
    test: bool,
    name: NameId,
    document: Slot,
    /// What it stands in; itself if in nothing.
    parent: NodeIndex<u32>,
    /// Name of the type that it belongs to, if that is not what it stands in.
    owner: NameId,
    span: (u32, u32),
    lines: (u32, u32),
}

#[derive(Debug, Clone, Copy)]
struct Edge {
    kind: EdgeKind,
    /// How sure it is, of 255.
    confidence: u8,
    /// The reference that it comes from, counted within the document of the node it goes out from; [`STRUCTURE`] for what is
    /// no reference.
    reference: u32,
}

/// Mark of edges that follow from where things stand.
const STRUCTURE: u32 = u32::MAX;

/// A name that a document uses, as it is kept.
#[derive(Debug, Clone, Copy)]
struct Used {
    kind: EdgeKind,
    from: NodeIndex<u32>,
    name: NameId,
    scope: NameId,
    line: u32,
    count: u32,
    /// Of a partner in history, in percent.
    weight: u8,
}

/// A document in the graph.
#[derive(Debug)]
struct Held {
    id: DocumentId,
    source: SourceId,
    uri: Arc<str>,
    path: Arc<str>,
    language: NameId,
    role: Role,
    prose: bool,
    content: ContentHash,
    partial: bool,
    node: NodeIndex<u32>,
    chunks: Vec<(u32, u32)>,
    /// A node for each chunk, in their order.
    passages: Vec<NodeIndex<u32>>,
    /// The terms of each, if it is prose.
    terms: Vec<Box<[u32]>>,
    /// What it is part of, and its number there.
    series: Option<(series::Key, u64)>,
    /// What it defines, in the order of its facts.
    nodes: Vec<NodeIndex<u32>>,
    /// The same by name, for finding one.
    by_name: Vec<(NameId, NodeIndex<u32>)>,
    used: Vec<Used>,
    /// Pairs of entities that it says to be the same.
    aliases: Vec<(NodeIndex<u32>, NodeIndex<u32>)>,
    /// Its imports, as places in `used`, by local name.
    imports: Vec<(NameId, u32)>,
}

/// A list that mostly has one entry, which then needs no memory of its own. As large as a `Vec` while `N` of `T` fit into 16 bytes.
type Few<T, const N: usize> = SmallVec<[T; N]>;

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Graph {
    graph: StableDiGraph<Node, Edge, u32>,
    names: Names,
    documents: Vec<Option<Held>>,
    free: Vec<Slot>,
    by_id: FxHashMap<DocumentId, Slot>,
    by_uri: FxHashMap<Arc<str>, Slot>,
    folders: FxHashMap<(SourceId, NameId), NodeIndex<u32>>,
    /// The inverse: source and path of each folder.
    folder_keys: FxHashMap<NodeIndex<u32>, (SourceId, NameId)>,
    /// Addresses of sources, for folders whose documents do not tell.
    sources: FxHashMap<SourceId, String>,
    /// Entities, runs and tasks by kind and name.
    things: FxHashMap<(NodeKind, NameId), NodeIndex<u32>>,
    /// All that is defined under a name, by place.
    defined: FxHashMap<NameId, Few<NodeIndex<u32>, 4>>,
    /// All references to a name: document and place in [`Held::used`].
    users: FxHashMap<NameId, Few<(Slot, u32), 2>>,
    /// Members of series: turns of conversations, numbered parts.
    series: FxHashMap<(series::Key, u64), Slot>,
    /// Links between nodes by the document that states them, and those documents by the addresses of both ends.
    overlays: FxHashMap<Slot, Overlay>,
    overlaid: FxHashMap<String, Vec<Slot>>,
    /// Other names of entities, once for each document that says so. Found here and not by the edges of an entity, which a
    /// name that is everywhere has by the ten thousands.
    aliased: FxHashMap<NodeIndex<u32>, Vec<NodeIndex<u32>>>,
    /// In how many passages a term is.
    frequency: FxHashMap<u32, u32>,
    /// Passages that have terms.
    prose_passages: u32,
    /// Most words of a title that begins with this word.
    title_words: FxHashMap<NameId, u8>,
    /// Names that there were when it was loaded.
    names_loaded: usize,
    /// Documents by the last part of their path, and of their folder where the file stands for it.
    stems: FxHashMap<NameId, Vec<Slot>>,
}

impl Graph {
    /// Nodes in it.
    pub fn nodes(&self) -> usize {
        self.graph.node_count()
    }

    /// Edges in it.
    pub fn edges(&self) -> usize {
        self.graph.edge_count()
    }

    /// Whether most of its names may be used no longer: then it is worth loading anew.
    pub fn is_worn(&self) -> bool {
        self.names.len() > 2 * self.names_loaded + NAMES_SPARED
    }

    /// Whether the address of a source was told.
    pub fn knows_source(&self, source: SourceId) -> bool {
        self.sources.contains_key(&source)
    }

    /// Tells the addresses of sources.
    pub fn name_sources(&mut self, sources: impl IntoIterator<Item = (SourceId, String)>) {
        self.sources.extend(sources);
    }

    /// Documents in it.
    pub fn documents(&self) -> usize {
        self.by_id.len()
    }

    fn held(&self, slot: Slot) -> Option<&Held> {
        self.documents.get(slot as usize)?.as_ref()
    }

    fn held_of(&self, node: NodeIndex<u32>) -> Option<&Held> {
        self.held(self.graph.node_weight(node)?.document)
    }

    /// The chunk that a passage stands for.
    pub fn chunk(&self, passage: NodeId) -> Option<ChunkId> {
        let node = self.graph.node_weight(passage.at()).filter(|node| node.kind == NodeKind::Passage)?;
        let held = self.held(node.document)?;
        Some(ChunkId::derive(held.id, &held.content, u64::from(node.span.0), u64::from(node.span.1)))
    }

    /// The passage of a chunk of `document` that covers byte `at`.
    pub fn passage(&self, document: DocumentId, at: u64) -> Option<NodeId> {
        let held = self.held(*self.by_id.get(&document)?)?;
        held.passage_at(at.min(u64::from(u32::MAX)) as u32).map(NodeId::of)
    }
}

impl Held {
    /// The passage that byte `at` lies in, or the one before it: what stands between chunks is white space.
    fn passage_at(&self, at: u32) -> Option<NodeIndex<u32>> {
        let after = self.chunks.partition_point(|(start, _)| *start <= at);
        self.passages.get(after.saturating_sub(1)).copied()
    }

    fn defined(&self, name: NameId) -> impl Iterator<Item = NodeIndex<u32>> + '_ {
        let from = self.by_name.partition_point(|(own, _)| *own < name);
        self.by_name[from..].iter().take_while(move |(own, _)| *own == name).map(|(_, node)| *node)
    }

    fn imported(&self, local: NameId) -> impl Iterator<Item = &Used> + '_ {
        let from = self.imports.partition_point(|(own, _)| *own < local);
        let places = self.imports[from..].iter().take_while(move |(own, _)| *own == local);
        places.filter_map(|(_, place)| self.used.get(*place as usize))
    }
}

/// The lines of a node, from 1.
fn lines_of(node: &Node) -> Lines {
    Lines { first: node.lines.0, last: node.lines.1 }
}
