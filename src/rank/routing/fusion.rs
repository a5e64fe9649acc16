//! Joining what the channels say of the same routes into one score.
//!
//! With examples the linear head leads: its log probability and that of naive Bayes add up as in a product of experts
//! (Hinton, "Training products of experts", 2002), and the scaled channels break near ties. Without examples scaled vectors and
//! words are averaged as search does it, and naive Bayes has as much say as there is text to learn a route's language from: little
//! where descriptions are a few words. In between both are blended by how much of the candidates' evidence is examples. The
//! weights are round numbers, the same for every catalogue.

use super::head::SCALE;

/// What the channels say of one goal, one value a route each.
#[derive(Debug, Clone, Default)]
pub struct Channels {
    /// Cosine with the route's own texts: name, description, schema.
    pub meaning: Vec<f32>,
    /// Logits of the linear head.
    pub head: Vec<f32>,
    /// BM25 over the route's own texts.
    pub words: Vec<f32>,
    /// BM25 over its examples.
    pub examples: Vec<f32>,
    /// Cosine of character n-grams with its name and description.
    pub grams: Vec<f32>,
    /// Naive Bayes over its examples and description.
    pub bayes: Vec<f32>,
}

/// Values of a channel that its scale is taken from: the head of the list, where the decision lies.
const SCALED_BY: usize = 50;

/// Weights of naive Bayes and of the scaled channels beside the head's log probability, where there are examples.
const BAYES: f32 = 0.7;
const EXAMPLES: f32 = 0.3;
const GRAMS: f32 = 0.2;
const MEANING: f32 = 0.2;

/// Weight of words and n-grams together where there are no examples: half for long descriptions, less for short ones, whose few
/// words a goal hits by chance: ½ · L / (L + 8) at L terms on average.
const WORDS_MAX: f32 = 0.5;
const WORDS_LENGTH: f32 = 8.0;
/// How that weight is shared out.
const WORDS_SHARE: f32 = 0.7;

/// Weight of naive Bayes beside them: w · L² / (L² + 32²) at L terms on average. Pairs of words are most of what it adds, and those
/// of a dozen words tell nothing.
const BAYES_TOLD_MAX: f32 = 0.3;
/// See [`BAYES_TOLD_MAX`].
const BAYES_LENGTH: f32 = 32.0;

/// Weight of what the parts of a goal say, beside the whole.
const PARTS: f32 = 0.4;

/// What word scores add to the logit that tells how near a goal is: a BM25 score of 10 is a good match, worth a cosine
/// of 0.1.
const NEAR_WORDS: f32 = 0.1;

/// Mean and deviation of the best values of a channel.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Scale {
    mean: f32,
    deviation: f32,
}

impl Scale {
    fn of(values: &[f32]) -> Self {
        let best: Vec<f32> = top(values, SCALED_BY).into_iter().map(|(value, _)| value).collect();
        let count = best.len().max(1) as f32;
        let mean = best.iter().sum::<f32>() / count;
        let variance = best.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / count;
        Self { mean, deviation: variance.sqrt() + 1e-6 }
    }

    fn apply(self, value: f32) -> f32 {
        (value - self.mean) / self.deviation
    }
}

/// log Σ exp.
pub fn log_sum_exp(values: &[f32]) -> f32 {
    let top = values.iter().copied().fold(f32::MIN, f32::max);
    // What is so far below adds nothing that an f32 could hold, and the exponentials are what costs.
    top + values.iter().filter(|value| top - **value < 20.0).map(|value| (value - top).exp()).sum::<f32>().ln()
}

/// The best values with their numbers, in no order; among equals the first. One pass: what is worse than the worst of a full
/// list is dropped at once.
fn top(values: &[f32], count: usize) -> Vec<(f32, u32)> {
    let by = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    let mut kept: Vec<(f32, u32)> = Vec::with_capacity(2 * count.max(1));
    let mut worst = None;
    for (number, value) in (0_u32..).zip(values) {
        if worst.is_some_and(|worst| *value <= worst) {
            continue;
        }
        kept.push((*value, number));
        if kept.len() == 2 * count.max(1) {
            kept.select_nth_unstable_by(count, by);
            kept.truncate(count);
            worst = kept.iter().map(|(value, _)| *value).min_by(f32::total_cmp);
        }
    }
    if kept.len() > count {
        kept.select_nth_unstable_by(count, by);
        kept.truncate(count);
    }
    kept
}

/// Their numbers alone.
fn best(values: &[f32], count: usize) -> Vec<u32> {
    top(values, count).into_iter().map(|(_, number)| number).collect()
}

impl Channels {
    /// Numbers of the routes that some channel has among its `each` best, in order, without repeats.
    pub fn candidates(&self, each: usize) -> Vec<u32> {
        let mut found = Vec::with_capacity(4 * each);
        for values in [&self.meaning, &self.head, &self.words, &self.examples] {
            found.extend(best(values, each));
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Numbers of the routes that the head puts first, in no order.
    pub fn nearest(&self, count: usize) -> Vec<u32> {
        best(&self.head, count)
    }

    /// How near the goal is to anything here, in logits: what "none of these" is decided by. Not normalised, so that it
    /// falls where all routes are far. With examples it is the head's, else that of the nearest text: a head without examples
    /// sums up what is far, which grows with the number of routes.
    pub fn nearness(&self, evidence: f32) -> f32 {
        let top = |values: &[f32]| values.iter().copied().fold(0.0, f32::max);
        let shown = log_sum_exp(&self.head) + NEAR_WORDS * top(&self.examples);
        let told = SCALE * top(&self.meaning) + NEAR_WORDS * top(&self.words);
        evidence * shown + (1.0 - evidence) * told
    }

    /// The joint score of each of `routes`. `evidence` is 0 where no candidate has examples and nears 1 where all have many;
    /// `length` is the mean number of terms of a route's own texts.
    pub fn fuse(&self, routes: &[u32], evidence: f32, length: f32) -> Vec<f32> {
        let (meaning, words) = (Scale::of(&self.meaning), Scale::of(&self.words));
        let (examples, grams) = (Scale::of(&self.examples), Scale::of(&self.grams));
        let order = Scale::of(&self.bayes);
        let (head, bayes) = (log_sum_exp(&self.head), log_sum_exp(&self.bayes));
        let lexical = WORDS_MAX * length / (length + WORDS_LENGTH);
        let told_order = BAYES_TOLD_MAX * length.powi(2) / (length.powi(2) + BAYES_LENGTH.powi(2));
        let joined = |route: &u32| {
            let at = *route as usize;
            let meant = meaning.apply(self.meaning[at]);
            let grams = grams.apply(self.grams[at]);
            let shown = self.head[at] - head
                + BAYES * (self.bayes[at] - bayes)
                + EXAMPLES * examples.apply(self.examples[at])
                + GRAMS * grams
                + MEANING * meant;
            let told = lexical * (WORDS_SHARE * words.apply(self.words[at]) + (1.0 - WORDS_SHARE) * grams)
                + (1.0 - lexical) * meant
                + told_order * order.apply(self.bayes[at]);
            evidence * shown + (1.0 - evidence) * told
        };
        routes.iter().map(joined).collect()
    }
}

/// Probabilities that add up to one.
pub fn softmax(scores: &[f32]) -> Vec<f32> {
    let top = scores.iter().copied().fold(f32::MIN, f32::max);
    let raised: Vec<f32> = scores.iter().map(|score| (score - top).exp()).collect();
    let total: f32 = raised.iter().sum();
    raised.into_iter().map(|value| value / total).collect()
}

/// The scores of a part of a goal, read in the light of the whole: alone it may lack what it is about.
pub fn in_light_of(whole: &[f32], part: &[f32]) -> Vec<f32> {
    whole.iter().zip(part).map(|(whole, part)| (whole + part) / 2.0).collect()
}

/// Joins the scores of a goal and of its parts: the probability by the whole, and the best probability by a part read in the light
/// of the whole. A goal that needs three tools so ranks three different ones first, not three variants of one.
pub fn join_parts(whole: &[f32], parts: &[Vec<f32>]) -> Vec<f32> {
    let mut joined = softmax(whole);
    if parts.is_empty() {
        return joined;
    }
    let mut best = vec![0.0_f32; whole.len()];
    for part in parts {
        best.iter_mut().zip(softmax(&in_light_of(whole, part))).for_each(|(best, value)| *best = best.max(value));
    }
    joined.iter_mut().zip(best).for_each(|(joined, best)| *joined += PARTS * (best - *joined));
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channels(meaning: &[f32], head: &[f32], words: &[f32]) -> Channels {
        Channels {
            meaning: meaning.to_vec(),
            head: head.to_vec(),
            words: words.to_vec(),
            examples: words.to_vec(),
            grams: words.to_vec(),
            bayes: head.to_vec(),
        }
    }

    #[test]
    fn examples_decide_where_there_are_some_and_texts_where_there_are_none() {
        let asked = channels(&[0.9, 0.1, 0.2], &[1.0, 9.0, 1.0], &[0.0, 0.0, 0.0]);
        let best = |evidence: f32| {
            let scores = asked.fuse(&[0, 1, 2], evidence, 20.0);
            (0..3).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap()
        };
        assert_eq!((best(0.0), best(1.0)), (0, 1));
    }

    #[test]
    fn the_language_of_descriptions_counts_where_they_are_long() {
        let mut asked = channels(&[0.50, 0.48, 0.10], &[0.0; 3], &[1.0, 1.0, 0.0]);
        asked.bayes = vec![-9.0, -1.0, -9.0];
        let first_wins = |length: f32| {
            let scores = asked.fuse(&[0, 1, 2], 0.0, length);
            scores[0] > scores[1]
        };
        assert!(first_wins(5.0) && !first_wins(60.0));
    }

    #[test]
    fn nearness_falls_where_every_route_is_far() {
        let near = channels(&[0.9, 0.1], &[9.0, 1.0], &[6.0, 0.0]);
        let far = channels(&[0.2, 0.1], &[2.0, 1.0], &[0.0, 0.0]);
        assert!(near.nearness(1.0) > far.nearness(1.0) + 5.0);
    }

    #[test]
    fn candidates_come_from_every_channel() {
        let asked = channels(&[0.9, 0.1, 0.0, 0.0], &[0.0, 5.0, 0.0, 0.0], &[0.0, 0.0, 0.0, 3.0]);
        assert_eq!(asked.candidates(1), [0, 1, 3]);
        assert_eq!(Channels::default().candidates(5), [0_u32; 0]);
    }

    #[test]
    fn parts_bring_up_the_route_that_each_needs() {
        let whole = [3.0, 2.9, 1.0, 0.0];
        let joined = join_parts(&whole, &[vec![4.0, 1.0, 0.0, 0.0], vec![0.0, 0.0, 6.0, 0.0]]);
        assert!(joined[0] > joined[1] && joined[2] > joined[1], "{joined:?}");
        assert!((softmax(&whole).iter().sum::<f32>() - 1.0).abs() < 1e-5);
        assert_eq!(join_parts(&whole, &[]), softmax(&whole));
    }
}
