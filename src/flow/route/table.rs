//! The routes of one namespace in memory: what a goal is compared with. Built from the ground state, never the other way.
//!
//! Entries are only appended; one that is replaced or removed is marked and goes when the table is made anew, so that the
//! numbers that indexes use stay what they are.

use std::collections::HashMap;
use std::sync::Arc;

use super::texts::{self, Texts};
use crate::base::NodeId;
use crate::model::Node;
use crate::rank::routing::calibration::Calibration;
use crate::rank::routing::fusion::{self, Channels};
use crate::rank::routing::head::{self, Sample};
use crate::rank::routing::lexicon::{Bayes, Cosines, Words, grams};
use crate::rank::routing::rows::Rows;

/// Texts of a route before its examples: full, body, name.
pub const OWN_TEXTS: usize = 3;

/// How much each of them counts: the name is often a brand or an abbreviation.
const OWN_WEIGHTS: [f32; OWN_TEXTS] = [1.0, 1.0, 0.5];

/// Candidates taken from each channel before they are scored together.
const CANDIDATES: usize = 100;

/// Goals that are best ranked together: enough for a matrix product, few enough that what they score fits a cache.
pub const TOGETHER: usize = 16;

/// Candidates whose examples say how much evidence there is.
const EVIDENCE_OF: usize = 20;

/// Similarity from which an earlier goal says something about this one, and where it says all.
const ALIKE_FROM: f32 = 0.5;

/// A node with the vectors of its texts: full, body, name, then each example.
#[derive(Debug, Clone)]
pub struct Item {
    /// The node.
    pub node: Arc<Node>,
    /// See the type. Shared by every table that holds the node.
    pub vectors: Arc<Rows>,
}

/// What happened to an earlier goal.
#[derive(Debug, Clone)]
pub struct Past {
    /// The goal's vector.
    pub vector: Arc<[f32]>,
    /// Whether the node did what was wanted.
    pub succeeded: bool,
    /// What it cost.
    pub cost: f64,
}

/// One route.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The node.
    pub node: Arc<Node>,
    /// Whether it is routed to.
    pub live: bool,
    /// Whether anybody may use it. Kept here because a look at every node of a catalogue costs half a millisecond.
    pub open: bool,
    /// Its texts: full, body, name, then each example.
    vectors: Arc<Rows>,
    /// What came of it before.
    pub past: Vec<Past>,
}

impl Entry {
    fn examples(&self) -> usize {
        self.vectors.len().saturating_sub(OWN_TEXTS)
    }

    fn item(&self) -> Item {
        Item { node: Arc::clone(&self.node), vectors: Arc::clone(&self.vectors) }
    }

    /// Its texts as samples of route number `route`.
    fn samples(&self, route: u32) -> impl Iterator<Item = Sample<'_>> {
        let weight = |row: usize| OWN_WEIGHTS.get(row).copied().unwrap_or(1.0);
        (0..self.vectors.len()).map(move |row| Sample { route, rows: &self.vectors, row, weight: weight(row) })
    }
}

/// A goal or a part of one, ready to be compared.
#[derive(Debug, Clone)]
pub struct Asked {
    vector: Vec<f32>,
    words: Vec<u64>,
    speech: Vec<u64>,
    grams: Vec<u64>,
}

impl Asked {
    /// Of a text and its vector.
    pub fn new(text: &str, vector: Vec<f32>) -> Self {
        Self { vector, words: texts::words(text), speech: texts::speech(text), grams: grams(text) }
    }

    /// Its vector.
    pub fn vector(&self) -> &[f32] {
        &self.vector
    }
}

/// A candidate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Number of its entry.
    pub entry: u32,
    /// Its probability among the routes.
    pub share: f32,
    /// What earlier outcomes took from its score.
    pub past: f32,
}

/// What a table says of a goal.
#[derive(Debug, Clone, Default)]
pub struct Ranking {
    /// Best first.
    pub scored: Vec<Scored>,
    /// See `fusion::Channels::nearness`: of the goal, or of its nearest part.
    pub nearness: f32,
    /// The best entry of each part, and the part's own nearness; only of parts that by themselves mean the same as in the light
    /// of the whole goal.
    pub parts: Vec<(u32, f32)>,
}

/// See the module's documentation.
#[derive(Debug, Clone, Default)]
pub struct Table {
    entries: Vec<Entry>,
    by_id: HashMap<NodeId, u32>,
    /// One row an entry: the weighted mean of its own texts.
    meaning: Rows,
    /// One row an entry: the weights of the linear head.
    head: Rows,
    words: Words,
    examples: Words,
    grams: Cosines,
    bayes: Bayes,
    /// What was learned of sureness.
    pub calibration: Calibration,
    /// Nodes that changed since the table was made.
    pub changed: Vec<NodeId>,
}

impl Table {
    /// An empty one for vectors of this length.
    pub fn new(dimension: usize) -> Self {
        let rows = || Rows::new(dimension);
        Self { meaning: rows(), head: rows(), ..Self::default() }
    }

    /// One that holds `items`.
    pub fn of(dimension: usize, items: &[Item]) -> Self {
        let mut table = Self::new(dimension);
        table.put(items);
        table.changed.clear();
        table.words.shrink();
        table.examples.shrink();
        table.grams.shrink();
        table.bayes.shrink();
        table
    }

    /// Entries, the dead ones included.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What an entry is about: the mean of its own texts' vectors, of length 1.
    pub fn meaning(&self, entry: u32) -> Vec<f32> {
        let mut vector = self.meaning.get(entry as usize);
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
        vector.iter_mut().for_each(|value| *value /= length);
        vector
    }

    /// The live entry of a node.
    pub fn find(&self, id: NodeId) -> Option<u32> {
        self.by_id.get(&id).copied()
    }

    /// Live entries.
    pub fn live(&self) -> usize {
        self.by_id.len()
    }

    /// Adds nodes or exchanges them.
    pub fn put(&mut self, items: &[Item]) {
        let texts: Vec<Texts> = items.iter().map(|item| Texts::of(&item.node.spec)).collect();
        let described = |item: &Item| format!("{} {}", item.node.spec.name, item.node.spec.description);
        self.grams.extend(&items.iter().map(|item| grams(&described(item))).collect::<Vec<_>>());
        let spoken = |item: &Item| {
            let own = texts::speech(&item.node.spec.description);
            item.node.utterances().map(texts::speech).chain([own]).collect::<Vec<_>>()
        };
        self.bayes.extend(&items.iter().map(spoken).collect::<Vec<_>>());
        for (item, texts) in items.iter().zip(texts) {
            self.words.push(&texts::words(&format!("{} {}", item.node.spec.name, texts.full)));
            self.examples.push(&item.node.utterances().flat_map(texts::words).collect::<Vec<_>>());
            let entry = self.entries.len() as u32;
            let past = self
                .retire(item.node.id)
                .map_or_else(Vec::new, |old| std::mem::take(&mut self.entries[old as usize].past));
            self.meaning.push(&mean(&item.vectors));
            let open = item.node.spec.permissions.is_empty();
            self.entries.push(Entry {
                node: Arc::clone(&item.node),
                live: true,
                open,
                vectors: Arc::clone(&item.vectors),
                past,
            });
            self.by_id.insert(item.node.id, entry);
            let samples: Vec<Sample<'_>> = self.entries[entry as usize].samples(0).collect();
            self.head.push(&head::prior(&samples, 1));
            self.changed.push(item.node.id);
        }
    }

    /// Takes a node out.
    pub fn remove(&mut self, id: NodeId) {
        if self.retire(id).is_some() {
            self.changed.push(id);
        }
    }

    fn retire(&mut self, id: NodeId) -> Option<u32> {
        let old = self.by_id.remove(&id)?;
        self.entries[old as usize].live = false;
        Some(old)
    }

    /// Notes what came of a goal.
    pub fn note(&mut self, id: NodeId, past: Past, kept: usize) {
        if let Some(entry) = self.find(id) {
            let history = &mut self.entries[entry as usize].past;
            history.push(past);
            let surplus = history.len().saturating_sub(kept);
            history.drain(..surplus);
        }
    }

    /// Live nodes with their vectors.
    pub fn items(&self) -> Vec<Item> {
        self.entries.iter().filter(|entry| entry.live).map(Entry::item).collect()
    }

    /// Fits the linear head to everything that the table holds.
    pub fn fit(&mut self, go_on: impl Fn() -> bool) {
        let numbered = (0_u32..).zip(&self.entries);
        let samples: Vec<Sample<'_>> = numbered.flat_map(|(route, entry)| entry.samples(route)).collect();
        let weights = head::fit(&samples, self.entries.len(), go_on);
        let dimension = self.head.dimension();
        for (entry, weights) in weights.chunks_exact(dimension.max(1)).enumerate() {
            self.head.set(entry, weights);
        }
    }

    /// Takes over what changed in `old` since this table was begun from it, and all that came of goals there.
    pub fn catch_up(&mut self, old: &Self) {
        let mut changed = old.changed.clone();
        changed.sort();
        changed.dedup();
        let items: Vec<Item> =
            changed.iter().filter_map(|id| old.find(*id)).map(|entry| old.entries[entry as usize].item()).collect();
        changed.iter().filter(|id| old.find(**id).is_none()).for_each(|id| self.remove(*id));
        self.put(&items);
        self.changed.clear();
        for entry in old.entries.iter().filter(|entry| entry.live) {
            if let Some(here) = self.find(entry.node.id) {
                self.entries[here as usize].past.clone_from(&entry.past);
            }
        }
    }

    fn channels(&self, asked: &Asked, meaning: Vec<f32>, head: Vec<f32>, allowed: &[u32]) -> Channels {
        let all = allowed.len() == self.entries.len();
        let pick = |values: Vec<f32>| match all {
            true => values,
            false => allowed.iter().map(|entry| values[*entry as usize]).collect(),
        };
        Channels {
            meaning: pick(meaning),
            head: pick(head),
            words: pick(self.words.score(&asked.words)),
            examples: pick(self.examples.score(&asked.words)),
            grams: pick(self.grams.score(&asked.grams)),
            bayes: pick(self.bayes.score(&asked.speech)),
        }
    }

    /// Ranks the entries of `allowed` for each goal and its parts. The vectors of all of them are compared together.
    pub fn rank(&self, goals: &[(Asked, Vec<Asked>)], allowed: &[u32]) -> Vec<Ranking> {
        if allowed.is_empty() {
            return vec![Ranking::default(); goals.len()];
        }
        let asked = goals.iter().flat_map(|(whole, parts)| std::iter::once(whole).chain(parts));
        let vectors: Vec<&[f32]> = asked.map(Asked::vector).collect();
        let mut dense = self.meaning.dots(&vectors).into_iter().zip(self.head.dots(&vectors));
        let ranked = goals.iter().map(|(whole, parts)| {
            let said = std::iter::once(whole).chain(parts).zip(dense.by_ref());
            let said = said.map(|(asked, (meaning, head))| self.channels(asked, meaning, head, allowed)).collect();
            self.rank_one(whole, said, allowed)
        });
        ranked.collect()
    }

    /// Ranks by what the channels say of a goal and of each of its parts.
    fn rank_one(&self, whole: &Asked, said: Vec<Channels>, allowed: &[u32]) -> Ranking {
        let mut candidates: Vec<u32> = said.iter().flat_map(|channels| channels.candidates(CANDIDATES)).collect();
        candidates.sort_unstable();
        candidates.dedup();
        let taken: Vec<f32> = candidates.iter().map(|at| self.past(allowed[*at as usize], &whole.vector)).collect();
        let length = self.words.mean_length();
        let scores: Vec<(Vec<f32>, f32)> = said
            .iter()
            .map(|channels| {
                let evidence = self.evidence(channels, allowed);
                let mut scores = channels.fuse(&candidates, evidence, length);
                scores.iter_mut().zip(&taken).for_each(|(score, taken)| *score += taken);
                (scores, channels.nearness(evidence))
            })
            .collect();
        let of_parts: Vec<Vec<f32>> = scores[1..].iter().map(|(scores, _)| scores.clone()).collect();
        let shares = fusion::join_parts(&scores[0].0, &of_parts);
        let best = |scores: &[f32]| {
            let best = (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b]));
            allowed[candidates[best.unwrap_or_default()] as usize]
        };
        let sure = |part: &[f32]| best(part) == best(&fusion::in_light_of(&scores[0].0, part));
        let parts = scores[1..].iter().filter(|(part, _)| sure(part)).map(|(part, near)| (best(part), *near)).collect();
        let mut scored: Vec<Scored> = candidates
            .iter()
            .zip(shares)
            .zip(taken)
            .map(|((at, share), past)| Scored { entry: allowed[*at as usize], share, past })
            .collect();
        scored.sort_by(|a, b| b.share.total_cmp(&a.share).then(a.entry.cmp(&b.entry)));
        Ranking { scored, nearness: scores[0].1, parts }
    }

    /// How far the nearest routes have examples: 0 none, towards 1 many.
    fn evidence(&self, channels: &Channels, allowed: &[u32]) -> f32 {
        let nearest = channels.nearest(EVIDENCE_OF);
        let share = |at: &u32| {
            let examples = self.entries[allowed[*at as usize] as usize].examples() as f32;
            examples / (examples + 1.0)
        };
        nearest.iter().map(share).sum::<f32>() / nearest.len().max(1) as f32
    }

    /// What earlier outcomes of goals like this one take from the score: log of (successes + 1) / (trials + 1), each counted
    /// by how alike its goal is. Elsewhere they say nothing.
    fn past(&self, entry: u32, goal: &[f32]) -> f32 {
        let (mut successes, mut trials) = (0.0_f32, 0.0_f32);
        for past in &self.entries[entry as usize].past {
            let alike: f32 = past.vector.iter().zip(goal).map(|(a, b)| a * b).sum();
            let weight = ((alike - ALIKE_FROM) / (1.0 - ALIKE_FROM)).clamp(0.0, 1.0).powi(2);
            trials += weight;
            successes += if past.succeeded { weight } else { 0.0 };
        }
        ((successes + 1.0) / (trials + 1.0)).ln()
    }

    /// The example of an entry that is nearest to a goal, with its similarity.
    pub fn nearest_example(&self, entry: u32, goal: &[f32]) -> Option<(&str, f32)> {
        let held = &self.entries[entry as usize];
        let near = |(at, text)| (text, held.vectors.dot(OWN_TEXTS + at, goal));
        held.node.utterances().enumerate().map(near).max_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// Words of a goal that the texts or examples of an entry have.
    pub fn shared_words(&self, entry: u32, goal: &str) -> Vec<String> {
        texts::shared(goal, |term| self.words.has(entry, term) || self.examples.has(entry, term))
    }
}

/// The weighted mean of a route's own texts. Not made a unit vector again: one whose texts disagree is less sure.
fn mean(vectors: &Rows) -> Vec<f32> {
    let total: f32 = OWN_WEIGHTS.iter().sum();
    let mut mean = vec![0.0; vectors.dimension()];
    for (row, weight) in OWN_WEIGHTS.into_iter().enumerate().take(vectors.len()) {
        mean.iter_mut().zip(vectors.get(row)).for_each(|(mean, value)| *mean += weight / total * value);
    }
    mean
}
