//! What passages of prose have in common: the entities that they name, and the documents that are about them.
//!
//! An entity is a node for each folded name. Passages point to what they name, documents to what their titles say, so two steps
//! lead from a passage to all that share a name with it, and to the page about it.

use petgraph::Direction;
use petgraph::stable_graph::NodeIndex;
use petgraph::visit::EdgeRef;
use rustc_hash::FxHashMap;

use super::{Edge, Graph, GraphDocument, Held, NodeId, STRUCTURE};
use crate::model::{EdgeKind, NodeKind};

/// Confidence of a name whose capital may be an accident.
const WEAK: u8 = 100;
/// An entity that more passages name connects nothing (HippoRAG's node specificity, Gutiérrez et al. 2024, as a cut).
const NAMED_BY_MAX: usize = 50;
/// A title that more documents have is a label of a kind of document, not the name of something.
const TITLED_MAX: usize = 8;
/// Passages of one document that its title leads to: a page says first what it is about.
const PASSAGES_OF_TITLE_MAX: usize = 8;
/// Longest title that is looked for in texts, in words.
const TITLE_WORDS_MAX: usize = 12;

/// A way from one passage to another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Link {
    /// Where to.
    pub to: NodeId,
    /// How rare the entity is: 1 for one that a single passage names, 0 for one that all do.
    pub specificity: f32,
    /// Whether `to` is about the entity, rather than naming it as well.
    pub about: bool,
}

impl Graph {
    pub(super) fn place_mentions(&mut self, held: &Held, document: &GraphDocument) {
        let facts = &document.facts;
        for mention in &facts.mentions {
            let from = match mention.at {
                Some(at) => held.passage_at(at.min(u64::from(u32::MAX)) as u32).unwrap_or(held.node),
                None => held.node,
            };
            let entity = self.thing(NodeKind::Entity, &mention.key);
            let confidence = if mention.strong { u8::MAX } else { WEAK };
            let kind = if document.memory && mention.strong { EdgeKind::About } else { EdgeKind::Mentions };
            self.graph.add_edge(from, entity, Edge { kind, confidence, reference: STRUCTURE });
        }
        for title in &facts.titles {
            let entity = self.thing(NodeKind::Entity, title);
            self.graph.add_edge(
                held.node,
                entity,
                Edge { kind: EdgeKind::About, confidence: u8::MAX, reference: STRUCTURE },
            );
            self.know_title(title);
        }
    }

    /// Has [`Self::titles_in`] look for a title.
    pub(super) fn know_title(&mut self, title: &str) {
        let first = title.split(' ').next().unwrap_or_default();
        let first = self.names.intern(first);
        let words = title.split(' ').count().min(TITLE_WORDS_MAX) as u8;
        let longest = self.title_words.entry(first).or_default();
        *longest = words.max(*longest);
    }

    pub(super) fn count_terms(&mut self, held: &Held) {
        for terms in &held.terms {
            self.prose_passages += 1;
            for term in terms {
                *self.frequency.entry(*term).or_default() += 1;
            }
        }
    }

    pub(super) fn forget_terms(&mut self, held: &Held) {
        for terms in &held.terms {
            self.prose_passages = self.prose_passages.saturating_sub(1);
            for term in terms {
                if let Some(count) = self.frequency.get_mut(term) {
                    *count -= 1;
                    if *count == 0 {
                        self.frequency.remove(term);
                    }
                }
            }
        }
    }

    /// The terms of a passage of prose, ascending.
    pub fn terms(&self, passage: NodeId) -> &[u32] {
        let find = || {
            let node = self.graph.node_weight(passage.at()).filter(|node| node.kind == NodeKind::Passage)?;
            self.held(node.document)?.terms.get(node.lines.0 as usize)
        };
        find().map(|terms| &**terms).unwrap_or_default()
    }

    /// Inverse document frequency of a term over passages, as BM25 has it (Robertson and Zaragoza 2009).
    pub fn idf(&self, term: u32) -> f32 {
        let (all, with) = (self.prose_passages as f32, self.frequency.get(&term).copied().unwrap_or(0) as f32);
        (1.0 + (all - with + 0.5) / (with + 0.5)).ln()
    }

    /// Bytes of a passage.
    pub fn bytes(&self, passage: NodeId) -> usize {
        self.graph.node_weight(passage.at()).map_or(0, |node| (node.span.1 - node.span.0) as usize)
    }

    /// The titles that `text` names: the longest known ones, from left to right, as entities. `words` are its words, folded, each
    /// with whether it is capitalised and whether it says nothing by itself. One word alone has to be a capitalised one.
    pub fn titles_in(&self, words: &[(String, bool, bool)]) -> Vec<NodeId> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < words.len() {
            let first = self.names.find(&words[at].0);
            let longest =
                first.and_then(|first| self.title_words.get(&first)).map_or(0, |longest| usize::from(*longest));
            let longest = longest.min(words.len() - at);
            let title = (1..=longest).rev().find_map(|length| {
                let run = &words[at..at + length];
                let sound = if length == 1 { run[0].1 && !run[0].2 } else { run.iter().any(|(_, _, empty)| !empty) };
                let key = || run.iter().map(|(word, _, _)| word.as_str()).collect::<Vec<_>>().join(" ");
                let entity = sound.then(|| self.titled(&key())).flatten()?;
                Some((entity, length))
            });
            match title {
                Some((entity, length)) => {
                    found.push(NodeId::of(entity));
                    at += length;
                }
                None => at += 1,
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The entity that some title is known as, by this name or by another one of the same thing.
    fn titled(&self, key: &str) -> Option<NodeIndex<u32>> {
        let entity = *self.things.get(&(NodeKind::Entity, self.names.find(key)?))?;
        let titled = |entity: &NodeIndex<u32>| self.titled_documents(*entity).next().is_some();
        Some(entity).filter(titled).or_else(|| self.same(entity).filter(titled))
    }

    /// Documents whose title is a name of an entity. Passages of memories are about entities as well, without being pages of them.
    fn titled_documents(&self, entity: NodeIndex<u32>) -> impl Iterator<Item = NodeIndex<u32>> + '_ {
        let incoming = self.graph.edges_directed(entity, Direction::Incoming);
        let titles = incoming.filter(|edge| edge.weight().kind == EdgeKind::About).map(|edge| edge.source());
        titles.filter(|from| self.graph.node_weight(*from).is_some_and(|from| from.kind == NodeKind::Document))
    }

    /// The first passages of documents about an entity; none if its name is a label that many have.
    pub fn about(&self, entity: NodeId) -> Vec<NodeId> {
        let mut documents: Vec<NodeIndex<u32>> = self.titled_documents(entity.at()).take(TITLED_MAX + 1).collect();
        documents.sort_unstable();
        documents.dedup();
        if documents.len() > TITLED_MAX {
            return Vec::new();
        }
        let passages = documents
            .iter()
            .filter_map(|node| self.held_of(*node))
            .flat_map(|held| held.passages.iter().take(PASSAGES_OF_TITLE_MAX));
        passages.copied().map(NodeId::of).collect()
    }

    /// Where the entities of a passage lead, and `named` as well (see [`Self::titles_in`]): the best way to each other passage that
    /// is not of the same document. `known` says of an entity's name whether it is no news.
    pub fn links(&self, passage: NodeId, named: &[NodeId], known: &dyn Fn(&str) -> bool) -> Vec<Link> {
        let Some(held) = self.held_of(passage.at()) else { return Vec::new() };
        let own_titles: Vec<NodeIndex<u32>> = self.targets(held.node, EdgeKind::About).collect();
        let mentioned = [(passage.at(), EdgeKind::Mentions), (passage.at(), EdgeKind::About)]
            .into_iter()
            .chain([(held.node, EdgeKind::Mentions)])
            .flat_map(|(node, kind)| self.targets(node, kind));
        let mut entities: Vec<NodeIndex<u32>> =
            mentioned.chain(own_titles.iter().copied()).chain(named.iter().map(|node| node.at())).collect();
        let others: Vec<NodeIndex<u32>> = entities.iter().filter_map(|entity| self.same(*entity)).collect();
        entities.extend(others);
        entities.sort_unstable();
        entities.dedup();
        let all = f32::max(2.0, self.prose_passages as f32).ln();
        let mut best: FxHashMap<NodeIndex<u32>, Link> = FxHashMap::default();
        let mut offer = |to: NodeIndex<u32>, specificity: f32, about: bool| {
            let link = Link { to: NodeId::of(to), specificity, about };
            let value = |link: &Link| (u8::from(link.about), link.specificity);
            let known = best.entry(to).or_insert(link);
            if value(&link) > value(known) {
                *known = link;
            }
        };
        for entity in entities {
            let Some(node) = self.graph.node_weight(entity).filter(|node| node.kind == NodeKind::Entity) else {
                continue;
            };
            let other = self.same(entity).and_then(|other| self.graph.node_weight(other));
            if known(self.names.text(node.name)) || other.is_some_and(|other| known(self.names.text(other.name))) {
                continue;
            }
            let (passages, many, strong) = self.named_by(entity);
            if !strong {
                continue;
            }
            let specificity = 1.0 - (many.max(1) as f32).ln() / all;
            if many <= NAMED_BY_MAX {
                passages.into_iter().for_each(|to| offer(to, specificity, false));
            }
            if !own_titles.contains(&entity) {
                self.about(NodeId::of(entity)).into_iter().for_each(|to| offer(to.at(), specificity, true));
            }
        }
        let own = |node: &NodeIndex<u32>| self.graph.node_weight(*node).map(|node| node.document);
        let mut links: Vec<Link> = best.into_values().filter(|link| own(&link.to.at()) != own(&passage.at())).collect();
        links.sort_unstable_by_key(|link| link.to);
        links
    }

    fn targets(&self, node: NodeIndex<u32>, kind: EdgeKind) -> impl Iterator<Item = NodeIndex<u32>> + '_ {
        let edges = self.graph.edges_directed(node, Direction::Outgoing);
        edges.filter(move |edge| edge.weight().kind == kind).map(|edge| edge.target())
    }

    /// The passages that name an entity (those beyond the cut left out), how many there are, and whether it is surely a name.
    fn named_by(&self, entity: NodeIndex<u32>) -> (Vec<NodeIndex<u32>>, usize, bool) {
        let (mut passages, mut many, mut strong) = (Vec::new(), 0, false);
        for edge in self.graph.edges_directed(entity, Direction::Incoming) {
            let titled = matches!(edge.weight().kind, EdgeKind::About | EdgeKind::SameAs);
            strong |= titled || edge.weight().confidence == u8::MAX;
            let Some(node) = self.graph.node_weight(edge.source()) else { continue };
            match node.kind {
                NodeKind::Passage => {
                    many += 1;
                    passages.push(edge.source());
                }
                NodeKind::Document => {
                    let own = self.held(node.document).map(|held| held.passages.as_slice()).unwrap_or_default();
                    many += own.len();
                    passages.extend(own.iter().take(PASSAGES_OF_TITLE_MAX));
                }
                _ => {}
            }
            if many > NAMED_BY_MAX * 40 && strong {
                // Common beyond any use; how common exactly changes little.
                break;
            }
            if many > NAMED_BY_MAX {
                passages.clear();
            }
        }
        passages.sort_unstable();
        passages.dedup();
        (passages, many, strong)
    }
}
