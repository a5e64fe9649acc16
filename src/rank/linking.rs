//! From what was found to what belongs with it: the next hop of a question, the page about what a passage names, the turn
//! before and after.
//!
//! The idea of retrieving over a graph of entities without a model is that of HippoRAG (Gutiérrez et al. 2024): passages that share
//! a rare name belong together. Plain personalised PageRank over it ranks what is central; a question with several hops wants
//! what its first hop leaves open. So each way from a hit to a linked passage counts by how rare the name is, and by how much
//! the passage says of that part of the question which the hit does not: in words, by the weight of the question's terms that
//! only it has; in vectors, by its similarity to the question less what it owes to the hit. Nothing is learnt, and where
//! no names are shared nothing changes.

use std::collections::{BTreeMap, HashMap};

/// A passage, by a number that the graph gives.
pub type Passage = u32;

/// Hits from which ways go out.
pub const SEEDS: usize = 10;
/// How much more a page about an entity is than one that names it too.
const ABOUT: f32 = 2.0;
/// What a way is worth though nothing says that its end answers anything.
const FLOOR: f32 = 0.3;
/// Share of words in what a way's end answers; the rest is that of vectors.
const WORDS: f32 = 0.5;
/// Least weight that counts as a full answer of what is open, so that a chance word is not one.
const OPEN_MIN: f32 = 0.3;
/// Similarity beyond what the hit explains that counts as a full answer.
const SIMILAR: f32 = 0.4;
/// What a hit keeps against the passages that it leads to.
const SELF: f32 = 0.5;
/// What being about something that the question names is worth.
const NAMED: f32 = 0.5;
/// Passages at the ends of ways whose vectors are looked at.
pub const ENDS_MAX: usize = 100;
/// What a hit lends to the passages one and two before and after it in a series.
const LENT: [f32; 2] = [0.6, 0.4];
/// Bytes that a hit and those it lends to may have together: short turns need each other, chapters stand alone.
const LENT_BYTES_MAX: usize = 600;

/// A way that the graph offers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Offer {
    /// Where to.
    pub to: Passage,
    /// How rare the name is, 0 to 1.
    pub specificity: f32,
    /// Whether the end is about the name.
    pub about: bool,
}

/// The graph as linking sees it.
pub trait Linked {
    /// Ways from a hit, without those by names that the question has already.
    fn offers(&self, from: Passage) -> Vec<Offer>;
    /// Whether a passage has a term of the question, by its place in [`Question::terms`].
    fn has(&self, passage: Passage, term: usize) -> bool;
    /// Whether a passage is prose, whose names lead somewhere.
    fn is_prose(&self, passage: Passage) -> bool;
    /// The passage right after (1) or before (-1) in its series.
    fn beside(&self, passage: Passage, step: i64) -> Option<Passage>;
    /// Bytes of a passage.
    fn bytes(&self, passage: Passage) -> usize;
}

/// What is asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Question {
    /// Inverse document frequency of each distinct term that says something.
    pub terms: Vec<f32>,
    /// Passages about each thing that it names.
    pub named: Vec<Vec<Passage>>,
}

/// A way that was chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Way {
    /// The hit.
    pub from: Passage,
    /// What it leads to.
    pub to: Passage,
    /// Worth of the hit and of the name.
    pub strength: f32,
    /// How much of what the hit leaves open the end has in words, 0 to 1.
    pub words: f32,
}

/// What a passage gets from the graph, by why.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Gain {
    /// A way leads to it, or goes out from it.
    pub linked: f32,
    /// The question names what it is about.
    pub named: f32,
    /// It stands beside a hit.
    pub beside: f32,
}

impl Gain {
    /// All of it.
    pub fn sum(&self) -> f32 {
        self.linked + self.named + self.beside
    }
}

/// Chooses the ways from the best of `hits` (score by passage, best first).
pub fn ways(question: &Question, hits: &[(Passage, f32)], graph: &dyn Linked) -> Vec<Way> {
    let Some(&(_, top)) = hits.first().filter(|(_, top)| *top > 0.0) else { return Vec::new() };
    let total: f32 = question.terms.iter().sum::<f32>().max(f32::MIN_POSITIVE);
    let mut found: Vec<Way> = Vec::new();
    for &(from, score) in hits.iter().take(SEEDS) {
        let open: Vec<usize> = (0..question.terms.len()).filter(|term| !graph.has(from, *term)).collect();
        let offers = graph.offers(from);
        let words: Vec<f32> = offers
            .iter()
            .map(|offer| {
                open.iter().filter(|term| graph.has(offer.to, **term)).map(|term| question.terms[*term]).sum::<f32>()
                    / total
            })
            .collect();
        let most = words.iter().copied().fold(OPEN_MIN, f32::max);
        found.extend(offers.iter().zip(words).map(|(offer, words)| {
            let link = if offer.about { ABOUT * offer.specificity } else { offer.specificity };
            Way { from, to: offer.to, strength: score / top * link, words: words / most }
        }));
    }
    found.sort_by(|a, b| worth(b).total_cmp(&worth(a)).then_with(|| (a.to, a.from).cmp(&(b.to, b.from))));
    let mut ends = std::collections::HashSet::new();
    found.retain(|way| ends.contains(&way.to) || (ends.len() < ENDS_MAX && ends.insert(way.to)));
    found
}

/// What a way is worth before vectors are looked at.
fn worth(way: &Way) -> f32 {
    way.strength * (FLOOR + WORDS * way.words)
}

/// What every passage gets. `similar` gives the cosine of a passage and the question, and of two passages; `None` where a vector
/// is missing. Asked `alone`, the graph has nobody to hold back for: hits that nothing leads to keep their places.
pub fn gains(
    question: &Question,
    hits: &[(Passage, f32)],
    ways: &[Way],
    to_question: &dyn Fn(Passage) -> Option<f32>,
    between: &dyn Fn(Passage, Passage) -> Option<f32>,
    alone: bool,
    graph: &dyn Linked,
) -> BTreeMap<Passage, Gain> {
    let mut gains: BTreeMap<Passage, Gain> = BTreeMap::new();
    for way in ways {
        // The question less its part along the hit: what the end says of the rest.
        let beyond = || Some(to_question(way.to)? - to_question(way.from)? * between(way.from, way.to)?);
        let vectors = beyond().map_or(0.0, |beyond| (beyond / SIMILAR).clamp(0.0, 1.0));
        let value = way.strength * (FLOOR + WORDS * way.words + (1.0 - WORDS) * vectors);
        let gain = gains.entry(way.to).or_default();
        gain.linked = gain.linked.max(value);
    }
    for passages in &question.named {
        for passage in passages {
            gains.entry(*passage).or_default().named += NAMED / (passages.len() as f32).sqrt();
        }
    }
    if let Some(&(_, top)) = hits.first().filter(|(_, top)| *top > 0.0 && (alone || !gains.is_empty())) {
        for &(hit, score) in hits.iter().take(SEEDS) {
            let gain = gains.entry(hit).or_default();
            gain.linked = gain.linked.max(SELF * score / top);
        }
    }
    let trust = if alone { 1.0 } else { prose_share(hits, graph) };
    for gain in gains.values_mut() {
        (gain.linked, gain.named) = (trust * gain.linked, trust * gain.named);
    }
    for (passage, lent) in lend(hits, graph) {
        gains.entry(passage).or_default().beside += lent;
    }
    gains
}

/// Share of prose among the best hits. Names lead from prose to prose: where the answer is likely code, the few pages that mention it
/// must not push it aside.
fn prose_share(hits: &[(Passage, f32)], graph: &dyn Linked) -> f32 {
    let best = &hits[..hits.len().min(SEEDS)];
    let prose = best.iter().filter(|(hit, _)| graph.is_prose(*hit)).count();
    if best.is_empty() { 1.0 } else { prose as f32 / best.len() as f32 }
}

/// What each hit lends along its series, in both directions, while all of it together stays short.
fn lend(hits: &[(Passage, f32)], graph: &dyn Linked) -> HashMap<Passage, f32> {
    let mut lent: HashMap<Passage, f32> = HashMap::new();
    for &(hit, score) in hits {
        for step in [1, -1] {
            let (mut at, mut bytes) = (hit, graph.bytes(hit));
            for share in LENT {
                let Some(next) = graph.beside(at, step) else { break };
                bytes += graph.bytes(next);
                if bytes > LENT_BYTES_MAX {
                    break;
                }
                *lent.entry(next).or_default() += share * score;
                at = next;
            }
        }
    }
    lent
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Passages 1 → 2, 3 by a rare name; 2 is about it; 5 follows 4.
    struct Small;

    impl Linked for Small {
        fn offers(&self, from: Passage) -> Vec<Offer> {
            match from {
                1 => vec![
                    Offer { to: 2, specificity: 0.5, about: true },
                    Offer { to: 3, specificity: 0.5, about: false },
                ],
                _ => Vec::new(),
            }
        }

        fn has(&self, passage: Passage, term: usize) -> bool {
            matches!((passage, term), (1, 0) | (3, 1))
        }

        fn beside(&self, passage: Passage, step: i64) -> Option<Passage> {
            match (passage, step) {
                (4, 1) => Some(5),
                (5, -1) => Some(4),
                _ => None,
            }
        }

        fn is_prose(&self, passage: Passage) -> bool {
            passage != 6
        }

        fn bytes(&self, _: Passage) -> usize {
            100
        }
    }

    fn question() -> Question {
        Question { terms: vec![1.0, 1.0], named: Vec::new() }
    }

    #[test]
    fn what_answers_the_open_part_gains_over_what_only_shares_the_name() {
        let hits = [(1, 0.8), (4, 0.4)];
        let ways = ways(&question(), &hits, &Small);
        assert_eq!(ways.iter().map(|way| (way.from, way.to)).collect::<Vec<_>>(), [(1, 3), (1, 2)]);
        assert_eq!((ways[0].words, ways[1].words), (1.0, 0.0), "only 3 has the word that 1 lacks");
        let gains = gains(&question(), &hits, &ways, &|_| None, &|_, _| None, false, &Small);
        assert!((gains[&3].linked - 0.5 * (FLOOR + WORDS)).abs() < 1e-6);
        assert!((gains[&2].linked - ABOUT * 0.5 * FLOOR).abs() < 1e-6);
        assert!((gains[&1].linked - SELF).abs() < 1e-6, "the hit keeps its place");
    }

    #[test]
    fn vectors_count_beyond_what_the_hit_explains() {
        let hits = [(1, 0.8)];
        let ways = ways(&question(), &hits, &Small);
        let to_question = |passage| Some(if passage == 1 { 0.6 } else { 0.5 });
        let same = gains(&question(), &hits, &ways, &to_question, &|_, _| Some(0.9), false, &Small);
        let other = gains(&question(), &hits, &ways, &to_question, &|_, _| Some(0.1), false, &Small);
        assert!(other[&2].linked > same[&2].linked, "a passage that repeats the hit adds nothing");
    }

    #[test]
    fn short_turns_lend_to_each_other_and_names_count() {
        let hits = [(4, 0.4)];
        let asked = Question { terms: Vec::new(), named: vec![vec![7, 8]] };
        let gains = gains(&asked, &hits, &[], &|_| None, &|_, _| None, false, &Small);
        assert!((gains[&5].beside - LENT[0] * 0.4).abs() < 1e-6);
        assert!((gains[&7].named - NAMED / 2.0_f32.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn among_code_names_count_less_and_no_hit_loses_to_another() {
        let hits = [(6, 1.0), (1, 0.8)];
        let ways = ways(&question(), &hits, &Small);
        let gains = gains(&question(), &hits, &ways, &|_| None, &|_, _| None, false, &Small);
        assert!((gains[&6].linked - 0.5 * SELF).abs() < 1e-6, "code keeps its place too, half of it being trusted");
        assert!(gains[&6].sum() > gains[&1].sum());
        assert!(gains[&3].linked < 0.5 * 0.5 * (FLOOR + WORDS));
    }

    #[test]
    fn asked_alone_the_graph_gives_hits_that_nothing_leads_to() {
        let hits = [(6, 1.0)];
        let asked = Question { terms: Vec::new(), named: Vec::new() };
        let of = |alone| gains(&asked, &hits, &[], &|_| None, &|_, _| None, alone, &Small);
        assert!((of(true)[&6].linked - SELF).abs() < 1e-6);
        assert!(of(false).values().all(|gain| gain.linked == 0.0));
    }

    #[test]
    fn nothing_found_leads_nowhere() {
        assert!(ways(&question(), &[], &Small).is_empty());
        assert!(ways(&question(), &[(1, 0.0)], &Small).is_empty());
    }
}
