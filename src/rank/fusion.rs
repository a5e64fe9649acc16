//! Joins the lists of several channels into one score per chunk.
//!
//! A convex combination of normalised scores keeps how far apart the candidates are, which reciprocal rank fusion throws
//! away; on every labelled set tried it beat RRF (Bruch, Gai, Ingber 2023, "An Analysis of Fusion Functions for Hybrid
//! Retrieval"). Each channel's scores are scaled to 0…1 over the head of its own list; a chunk below the head, or one that a
//! channel did not propose, gets 0 from it.

use std::collections::HashMap;

use crate::base::ChunkId;
use crate::model::{Candidate, Channel, Proposal};

/// One channel's answer.
#[derive(Debug, Clone)]
pub struct Ranked {
    /// Which channel.
    pub channel: Channel,
    /// Its candidates, best first.
    pub candidates: Vec<Candidate>,
}

/// How much each channel counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shares {
    /// Share of vector similarity.
    pub dense: f32,
    /// Share of BM25.
    pub lexical: f32,
}

impl Shares {
    fn of(&self, channel: Channel) -> f32 {
        match channel {
            Channel::Dense => self.dense,
            Channel::Lexical => self.lexical,
            // It adds to what the others say, see `linking`.
            Channel::Graph => 0.0,
        }
    }
}

/// A chunk with what each channel said of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Fused {
    /// The chunk.
    pub chunk: ChunkId,
    /// Weighted sum of the normalised scores.
    pub score: f32,
    /// Per channel that proposed it: what it said, and its addend to `score`.
    pub channels: Vec<(Proposal, f32)>,
}

/// Fuses, best first; ties by chunk id.
pub fn fuse(lists: &[Ranked], shares: &Shares) -> Vec<Fused> {
    let mut fused: HashMap<ChunkId, Fused> = HashMap::new();
    for list in lists {
        let scale = Scale::of(&list.candidates);
        for (rank, candidate) in (1..).zip(&list.candidates) {
            let share = shares.of(list.channel) * scale.apply(candidate.score);
            let entry = fused.entry(candidate.chunk).or_insert_with(|| Fused {
                chunk: candidate.chunk,
                score: 0.0,
                channels: Vec::with_capacity(lists.len()),
            });
            entry.score += share;
            entry.channels.push((Proposal { channel: list.channel, score: candidate.score, rank }, share));
        }
    }
    let mut fused: Vec<Fused> = fused.into_values().collect();
    fused.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.chunk.cmp(&b.chunk)));
    fused
}

/// Candidates that the scale is taken from. The tail of a list is noise, and where it ends is an accident of the limit;
/// on the labelled sets 50 was as good as 100 everywhere and better where questions have several answers.
const HEAD: usize = 50;

/// Min-max scaling over the head of one list.
struct Scale {
    low: f32,
    range: f32,
}

impl Scale {
    fn of(candidates: &[Candidate]) -> Self {
        let scores = || candidates.iter().take(HEAD).map(|candidate| candidate.score);
        let high = scores().fold(f32::NEG_INFINITY, f32::max);
        let low = scores().fold(f32::INFINITY, f32::min);
        Self { low, range: high - low }
    }

    /// A list of equal scores has no order to keep: all of them count in full.
    fn apply(&self, score: f32) -> f32 {
        if self.range > f32::EPSILON { ((score - self.low) / self.range).max(0.0) } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u128) -> ChunkId {
        ChunkId::from_u128(n)
    }

    const SHARES: Shares = Shares { dense: 0.6, lexical: 0.4 };

    fn list(channel: Channel, scores: &[(u128, f32)]) -> Ranked {
        let candidates = scores.iter().map(|&(n, score)| Candidate { chunk: id(n), score }).collect();
        Ranked { channel, candidates }
    }

    #[test]
    fn scores_are_scaled_per_channel_and_added_by_weight() {
        let lists =
            [list(Channel::Dense, &[(1, 0.9), (2, 0.5), (3, 0.1)]), list(Channel::Lexical, &[(2, 30.0), (4, 10.0)])];
        let fused = fuse(&lists, &SHARES);
        let scores: Vec<(u128, f32)> = fused.iter().map(|f| (f.chunk.as_u128(), f.score)).collect();
        assert_eq!(scores.iter().map(|s| s.0).collect::<Vec<_>>(), [2, 1, 3, 4]);
        assert!((scores[0].1 - (0.6 * 0.5 + 0.4)).abs() < 1e-6);
        assert!((scores[1].1 - 0.6).abs() < 1e-6);
        for f in &fused {
            assert!((f.score - f.channels.iter().map(|c| c.1).sum::<f32>()).abs() < 1e-6, "the addends are the score");
        }
    }

    #[test]
    fn the_tail_of_a_list_adds_nothing_and_takes_nothing() {
        let scores: Vec<(u128, f32)> = (0..80).map(|n| (n, 100.0 - n as f32)).collect();
        let fused = fuse(&[list(Channel::Dense, &scores)], &SHARES);
        assert!(fused.iter().filter(|f| f.score > 0.0).count() == HEAD - 1);
        assert!(fused.iter().all(|f| f.score >= 0.0));
    }

    #[test]
    fn a_single_or_level_list_counts_in_full_and_empty_lists_are_harmless() {
        let fused = fuse(&[list(Channel::Dense, &[]), list(Channel::Lexical, &[(7, 3.0), (5, 3.0)])], &SHARES);
        assert_eq!(fused.iter().map(|f| (f.chunk.as_u128(), f.score)).collect::<Vec<_>>(), [(5, 0.4), (7, 0.4)]);
    }
}
