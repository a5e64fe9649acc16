//! The graph in a search: from the hits of the other channels, and the names in the question, to the passages that belong with
//! them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::super::Engines;
use super::Loaded;
use crate::base::ChunkId;
use crate::base::error::Result;
use crate::engine::graph::{Graph, NodeId};
use crate::engine::lexical::analyzer;
use crate::engine::parse::entities;
use crate::model::graph::term_hash;
use crate::model::{Hydrated, Namespace};
use crate::rank::linking::{self, Gain, Linked, Offer, Passage, Question, Way};

/// Hits that lend to what stands beside them and lead to others; those after them are noise.
const HITS_MAX: usize = 120;

/// What the graph adds to the score of each chunk.
pub type Gains = HashMap<ChunkId, Gain>;

/// The graph's part of one question.
struct Walk {
    question: Question,
    hits: Vec<(Passage, f32)>,
    ways: Vec<Way>,
    /// Chunks of all passages that vectors are needed of.
    chunks: BTreeMap<Passage, ChunkId>,
}

/// What the graph adds for `text`, given the hits of the other channels, best first, with their scores. `vector` is the question's,
/// if there is one. Asked `alone`, the graph says all that it has; among the others it holds back where the hits are code.
///
/// # Errors
/// Those of the vector index.
pub async fn expand(
    engines: &Engines,
    namespace: &Namespace,
    loaded: &Arc<Loaded>,
    text: &str,
    vector: Option<&[f32]>,
    hits: &[(&Hydrated, f32)],
    alone: bool,
) -> Result<Gains> {
    let hits = &hits[..hits.len().min(HITS_MAX)];
    let walk = engines.door.run_here(|| Ok(walk(&loaded.read(), text, hits))).await?;
    let vectors = match vector {
        Some(_) if !walk.ways.is_empty() => {
            let chunks: Vec<ChunkId> = walk.chunks.values().copied().collect();
            engines.vectors().vectors(namespace, &chunks).await?
        }
        _ => HashMap::new(),
    };
    let of = |passage: Passage| walk.chunks.get(&passage).and_then(|chunk| vectors.get(chunk));
    let to_question = |passage: Passage| Some(dot(of(passage)?, vector?));
    let between = |a: Passage, b: Passage| Some(dot(of(a)?, of(b)?));
    let graph = loaded.read();
    let seen = Seen { graph: &graph, terms: Vec::new(), known: HashSet::new(), titles: HashMap::new() };
    let gains = linking::gains(&walk.question, &walk.hits, &walk.ways, &to_question, &between, alone, &seen);
    let chunk = |(passage, gain)| Some((graph.chunk(NodeId::from_index(passage))?, gain));
    Ok(gains.into_iter().filter_map(chunk).collect())
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn walk(graph: &Graph, text: &str, hits: &[(&Hydrated, f32)]) -> Walk {
    let mut terms: Vec<String> = analyzer::terms(text);
    terms.sort_unstable();
    terms.dedup();
    let known: HashSet<u32> = terms.iter().map(|term| term_hash(term)).collect();
    terms.retain(|term| !entities::is_stop_word(term));
    let hashes: Vec<u32> = terms.iter().map(|term| term_hash(term)).collect();
    let named = graph.titles_in(&words(text));
    let question = Question {
        terms: hashes.iter().map(|term| graph.idf(*term)).collect(),
        named: named.iter().map(|entity| graph.about(*entity).into_iter().map(NodeId::index).collect()).collect(),
    };
    let mut places = Vec::with_capacity(hits.len());
    let mut titles: HashMap<Passage, Vec<NodeId>> = HashMap::new();
    for (found, score) in hits {
        let Some(passage) = graph.passage(found.document.id, found.chunk.span.start) else { continue };
        places.push((passage.index(), *score));
        if places.len() <= linking::SEEDS && !graph.terms(passage).is_empty() {
            let title = found.document.title.as_deref().unwrap_or_default();
            let mut words = words(title);
            words.extend(self::words(&found.chunk.text));
            titles.insert(passage.index(), graph.titles_in(&words));
        }
    }
    let seen = Seen { graph, terms: hashes, known, titles };
    let ways = linking::ways(&question, &places, &seen);
    let of_interest = ways.iter().flat_map(|way| [way.from, way.to]);
    let chunks = of_interest.filter_map(|passage| Some((passage, graph.chunk(NodeId::from_index(passage))?))).collect();
    Walk { question, hits: places, ways, chunks }
}

/// Words of a text, folded, each with whether it is capitalised and whether it says nothing by itself.
fn words(text: &str) -> Vec<(String, bool, bool)> {
    let word = |word: entities::Word<'_>| {
        let folded = entities::fold(word.text);
        let empty = entities::is_stop_word(&folded) || folded.chars().count() < 2;
        (folded, word.text.chars().next().is_some_and(char::is_uppercase), empty)
    };
    entities::words(text).map(word).collect()
}

/// The graph as linking sees it.
struct Seen<'a> {
    graph: &'a Graph,
    terms: Vec<u32>,
    /// All terms of the question.
    known: HashSet<u32>,
    /// Titles named in the texts of the best hits.
    titles: HashMap<Passage, Vec<NodeId>>,
}

impl Linked for Seen<'_> {
    fn offers(&self, from: Passage) -> Vec<Offer> {
        let named = self.titles.get(&from).map(Vec::as_slice).unwrap_or_default();
        let known = |name: &str| analyzer::terms(name).iter().all(|term| self.known.contains(&term_hash(term)));
        let links = self.graph.links(NodeId::from_index(from), named, &known);
        links
            .into_iter()
            .map(|link| Offer { to: link.to.index(), specificity: link.specificity, about: link.about })
            .collect()
    }

    fn has(&self, passage: Passage, term: usize) -> bool {
        let Some(term) = self.terms.get(term) else { return false };
        self.graph.terms(NodeId::from_index(passage)).binary_search(term).is_ok()
    }

    fn is_prose(&self, passage: Passage) -> bool {
        !self.graph.terms(NodeId::from_index(passage)).is_empty()
    }

    fn beside(&self, passage: Passage, step: i64) -> Option<Passage> {
        self.graph.beside(NodeId::from_index(passage), step).map(NodeId::index)
    }

    fn bytes(&self, passage: Passage) -> usize {
        self.graph.bytes(NodeId::from_index(passage))
    }
}
