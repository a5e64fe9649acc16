//! Matching hashed words: BM25, tf-idf cosine and naive Bayes over one kind of inverted lists.
//!
//! Documents are routes, numbered in the order in which they are added; terms come in as 64-bit hashes, which callers make by
//! [`hash`]. Nothing is taken out again: a route that went away keeps its number until the lists are made anew.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Saturation and length normalisation of BM25 (Robertson and Zaragoza, "The probabilistic relevance framework", 2009).
const K1: f32 = 1.2;
/// See [`K1`].
const B: f32 = 0.75;

/// Mass that every term gets in every route's language model, seen there or not (Lidstone smoothing; Manning, Raghavan and
/// Schütze, "Introduction to information retrieval", section 13.2).
const SMOOTHING: f32 = 0.1;

/// Length of character n-grams. They meet words that stemming does not: compounds, other languages, misspellings.
const GRAMS: std::ops::RangeInclusive<usize> = 3..=4;

/// Hash of a term: FNV-1a, 64 bits.
pub fn hash(term: &str) -> u64 {
    extend(0xcbf2_9ce4_8422_2325, term)
}

/// Hash of two terms in a row.
pub fn hash_pair(first: u64, second: &str) -> u64 {
    extend(extend(first, "\0"), second)
}

fn extend(start: u64, term: &str) -> u64 {
    term.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// Hashed character n-grams of the words of `text`, each word with a space around it.
pub fn grams(text: &str) -> Vec<u64> {
    let mut grams = Vec::new();
    let mut word: Vec<char> = Vec::new();
    for part in text.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty()) {
        word.clear();
        word.push(' ');
        word.extend(part.chars().flat_map(char::to_lowercase));
        word.push(' ');
        for length in GRAMS {
            for gram in word.windows(length.min(word.len())) {
                grams.push(gram.iter().fold(length as u64, |hash, c| {
                    (hash ^ u64::from(*c)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23)
                }));
            }
        }
    }
    grams
}

/// Terms are hashes already.
#[derive(Debug, Default)]
struct Plain(u64);

impl Hasher for Plain {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

type Map<V> = HashMap<u64, V, BuildHasherDefault<Plain>>;

fn shrink(lists: &mut Map<Vec<(u32, f32)>>) {
    lists.values_mut().for_each(Vec::shrink_to_fit);
    lists.shrink_to_fit();
}

/// Terms with their counts, in the order of hashes.
fn counted(terms: &[u64]) -> Vec<(u64, f32)> {
    let mut sorted = terms.to_vec();
    sorted.sort_unstable();
    let mut counted: Vec<(u64, f32)> = Vec::with_capacity(sorted.len());
    for term in sorted {
        match counted.last_mut() {
            Some((last, count)) if *last == term => *count += 1.0,
            _ => counted.push((term, 1.0)),
        }
    }
    counted
}

/// BM25 over the words of routes.
#[derive(Debug, Clone, Default)]
pub struct Words {
    lists: Map<Vec<(u32, f32)>>,
    lengths: Vec<f32>,
    total: f32,
}

impl Words {
    /// Adds the next route.
    pub fn push(&mut self, terms: &[u64]) {
        let route = self.lengths.len() as u32;
        for (term, count) in counted(terms) {
            self.lists.entry(term).or_default().push((route, count));
        }
        self.lengths.push(terms.len() as f32);
        self.total += terms.len() as f32;
    }

    /// Gives back the space that lists have in reserve for growing.
    pub fn shrink(&mut self) {
        shrink(&mut self.lists);
    }

    /// Terms of a route on average.
    pub fn mean_length(&self) -> f32 {
        self.total / self.lengths.len().max(1) as f32
    }

    /// The score of every route. A term counts once, however often `query` has it.
    pub fn score(&self, query: &[u64]) -> Vec<f32> {
        let mut scores = vec![0.0_f32; self.lengths.len()];
        let (count, mean) = (self.lengths.len() as f32, self.mean_length().max(1.0));
        for (term, _) in counted(query) {
            let Some(list) = self.lists.get(&term) else { continue };
            let having = list.len() as f32;
            let idf = (1.0 + (count - having + 0.5) / (having + 0.5)).ln();
            for &(route, times) in list {
                let norm = K1 * (1.0 - B + B * self.lengths[route as usize] / mean);
                scores[route as usize] += idf * times * (K1 + 1.0) / (times + norm);
            }
        }
        scores
    }

    /// Which of `terms` route number `route` has.
    pub fn has(&self, route: u32, term: u64) -> bool {
        self.lists.get(&term).is_some_and(|list| list.binary_search_by_key(&route, |(route, _)| *route).is_ok())
    }
}

/// How many texts have each term.
#[derive(Debug, Clone, Default)]
struct Frequencies {
    having: Map<u32>,
    texts: u32,
}

impl Frequencies {
    fn note(&mut self, terms: &[(u64, f32)]) {
        self.texts += 1;
        for (term, _) in terms {
            *self.having.entry(*term).or_default() += 1;
        }
    }

    /// Term weights of a text with unit length: (1 + ln tf) · idf.
    fn weighed(&self, terms: Vec<(u64, f32)>) -> Vec<(u64, f32)> {
        let texts = self.texts as f32;
        let mut weighed: Vec<(u64, f32)> = terms
            .into_iter()
            .map(|(term, count)| {
                let having = self.having.get(&term).copied().unwrap_or(0) as f32;
                (term, (1.0 + count.ln()) * (((1.0 + texts) / (1.0 + having)).ln() + 1.0))
            })
            .collect();
        let norm = weighed.iter().map(|(_, weight)| weight * weight).sum::<f32>().sqrt().max(1e-9);
        weighed.iter_mut().for_each(|(_, weight)| *weight /= norm);
        weighed
    }
}

/// Cosine of tf-idf vectors.
#[derive(Debug, Clone, Default)]
pub struct Cosines {
    frequencies: Frequencies,
    lists: Map<Vec<(u32, f32)>>,
    routes: usize,
}

impl Cosines {
    /// Adds the next routes. Those added together weigh their terms by what all have, earlier ones by what there was then.
    pub fn extend(&mut self, texts: &[Vec<u64>]) {
        let texts: Vec<_> = texts.iter().map(|terms| counted(terms)).collect();
        texts.iter().for_each(|terms| self.frequencies.note(terms));
        for terms in texts {
            for (term, weight) in self.frequencies.weighed(terms) {
                self.lists.entry(term).or_default().push((self.routes as u32, weight));
            }
            self.routes += 1;
        }
    }

    /// See [`Words::shrink`].
    pub fn shrink(&mut self) {
        shrink(&mut self.lists);
    }

    /// The cosine of every route with `query`.
    pub fn score(&self, query: &[u64]) -> Vec<f32> {
        let mut scores = vec![0.0_f32; self.routes];
        for (term, weight) in self.frequencies.weighed(counted(query)) {
            for &(route, held) in self.lists.get(&term).into_iter().flatten() {
                scores[route as usize] += weight * held;
            }
        }
        scores
    }
}

/// Multinomial naive Bayes over tf-idf weights of words and pairs of words, all routes equally likely beforehand (Rennie et al.,
/// "Tackling the poor assumptions of naive Bayes text classifiers", 2003, for the weighting).
#[derive(Debug, Clone, Default)]
pub struct Bayes {
    frequencies: Frequencies,
    lists: Map<Vec<(u32, f32)>>,
    totals: Vec<f32>,
}

impl Bayes {
    /// Adds the next routes, each with its texts. Weights as in [`Cosines::extend`].
    pub fn extend(&mut self, routes: &[Vec<Vec<u64>>]) {
        let routes: Vec<Vec<_>> =
            routes.iter().map(|texts| texts.iter().map(|terms| counted(terms)).collect()).collect();
        routes.iter().flatten().for_each(|terms: &Vec<(u64, f32)>| self.frequencies.note(terms));
        for texts in routes {
            let route = self.totals.len() as u32;
            let mut total = 0.0;
            let mut sums: Map<f32> = Map::default();
            for (term, weight) in texts.into_iter().flat_map(|terms| self.frequencies.weighed(terms)) {
                total += weight;
                *sums.entry(term).or_default() += weight;
            }
            for (term, held) in sums {
                // What scoring adds up; a logarithm for each meeting of a goal and a route is what would cost there.
                self.lists.entry(term).or_default().push((route, (1.0 + held / SMOOTHING).ln()));
            }
            self.totals.push(total);
        }
    }

    /// See [`Words::shrink`].
    pub fn shrink(&mut self) {
        shrink(&mut self.lists);
    }

    /// log P(`query` | route) of every route. Terms that no route has are left out.
    pub fn score(&self, query: &[u64]) -> Vec<f32> {
        let query = self.frequencies.weighed(counted(query));
        let known: f32 = query.iter().filter(|(term, _)| self.lists.contains_key(term)).map(|(_, weight)| weight).sum();
        let vocabulary = SMOOTHING * self.lists.len() as f32;
        let mut scores: Vec<f32> =
            self.totals.iter().map(|total| known * (SMOOTHING.ln() - (total + vocabulary).max(1e-9).ln())).collect();
        for (term, weight) in query {
            for &(route, held) in self.lists.get(&term).into_iter().flatten() {
                scores[route as usize] += weight * held;
            }
        }
        scores
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(text: &str) -> Vec<u64> {
        text.split(' ').map(hash).collect()
    }

    fn best(scores: &[f32]) -> usize {
        (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap()
    }

    #[test]
    fn bm25_as_the_formula_has_it() {
        let mut words = Words::default();
        for text in ["send a mail", "read mail mail from a box", "draw"] {
            words.push(&terms(text));
        }
        let scores = words.score(&terms("mail mail"));
        let idf = (1.0_f32 + 1.5 / 2.5).ln();
        let mean = 10.0 / 3.0;
        let expected = |times: f32, length: f32| idf * times * 2.2 / (times + 1.2 * (0.25 + 0.75 * length / mean));
        assert!((scores[0] - expected(1.0, 3.0)).abs() < 1e-5, "{scores:?}");
        assert!((scores[1] - expected(2.0, 6.0)).abs() < 1e-5, "{scores:?}");
        assert_eq!(scores[2], 0.0);
        assert!(words.has(1, hash("box")) && !words.has(0, hash("box")));
    }

    #[test]
    fn cosines_are_one_for_the_same_text_and_zero_for_a_strange_one() {
        let mut cosines = Cosines::default();
        cosines.extend(&[grams("convert currency"), grams("paint a picture")]);
        let scores = cosines.score(&grams("convert currency"));
        assert!((scores[0] - 1.0).abs() < 1e-4 && scores[1] < 0.1, "{scores:?}");
        assert!(cosines.score(&grams("currencyconverter"))[0] > 0.1, "a compound meets its parts");
        assert_eq!(cosines.score(&grams("")), [0.0, 0.0]);
    }

    #[test]
    fn bayes_prefers_the_route_that_speaks_like_the_query() {
        let mut bayes = Bayes::default();
        let texts = |all: &[&str]| all.iter().map(|text| terms(text)).collect::<Vec<_>>();
        bayes.extend(&[texts(&["book a table", "reserve a table for two"]), texts(&["book a flight", "fly to rome"])]);
        assert_eq!(best(&bayes.score(&terms("a flight to paris"))), 1);
        assert_eq!(best(&bayes.score(&terms("table please"))), 0);
        let strange = bayes.score(&terms("xyzzy"));
        assert_eq!(strange[0], strange[1], "nothing known, nothing said");
    }
}
