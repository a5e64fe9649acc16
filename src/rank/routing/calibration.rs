//! From scores to decisions, learned from examples that were held out: how sure is sure, and when none fits.
//!
//! Nothing here is fitted to the examples that the scores were made from. The caller leaves some examples out, and some
//! routes with all they have, scores those, and hands in what came of it.

/// Share of goals that belong to a route and may be turned away, so that those that do not are.
const TURNED_AWAY: f32 = 0.03;

/// Share of goals whose set of candidates holds the right route.
const COVERED: f32 = 0.95;

/// Fewer held-out examples than this say too little: the defaults stay.
const HELD_OUT_MIN: usize = 30;

/// Least nearness of a goal that is taken on where nothing was learned: a cosine of 0.25 with the nearest route, about what
/// unrelated short texts reach with the default model.
const NEARNESS_DEFAULT: f32 = 3.5;

/// One held-out goal.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// How near it is to the routes; see `fusion::Channels::nearness`.
    pub nearness: f32,
    /// Probability of the best candidate.
    pub best: f32,
    /// Probability of the route that it belongs to; `None` if that route was left out.
    pub truth: Option<f32>,
    /// Whether the best candidate is the right one.
    pub right: bool,
}

/// What was learned from held-out goals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    /// Goals below this nearness have no route here.
    pub nearness_min: f32,
    /// Candidates from this probability on are the conformal set.
    pub set_from: f32,
    /// Of the logistic map to the probability that a candidate is right: constant, per logit of nearness, per log probability.
    pub map: [f32; 3],
    /// Held-out goals that it comes from; 0: the defaults.
    pub trials: usize,
}

impl Default for Calibration {
    fn default() -> Self {
        Self { nearness_min: NEARNESS_DEFAULT, set_from: 0.2, map: [-2.5, 0.5, 1.0], trials: 0 }
    }
}

impl Calibration {
    /// Learns from held-out goals.
    pub fn learn(trials: &[Trial]) -> Self {
        let inside: Vec<&Trial> = trials.iter().filter(|trial| trial.truth.is_some()).collect();
        if inside.len() < HELD_OUT_MIN {
            return Self::default();
        }
        let nearness: Vec<f32> = inside.iter().map(|trial| trial.nearness).collect();
        let truths: Vec<f32> = inside.iter().filter_map(|trial| trial.truth).collect();
        Self {
            nearness_min: quantile(nearness, TURNED_AWAY),
            set_from: conformal(truths),
            map: platt(trials),
            trials: trials.len(),
        }
    }

    /// The probability that a candidate of probability `share` among the routes is right for a goal of this nearness.
    pub fn probability(&self, nearness: f32, share: f32) -> f32 {
        let [constant, near, log] = self.map;
        sigmoid(constant + near * nearness + log * share.max(1e-9).ln())
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// The value that this share of the values lies below (nearest rank).
fn quantile(mut values: Vec<f32>, share: f32) -> f32 {
    values.sort_by(f32::total_cmp);
    let rank = (share * values.len() as f32).floor() as usize;
    values.get(rank.min(values.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// Split conformal prediction (Angelopoulos and Bates, "A gentle introduction to conformal prediction", 2021, section 1): with
/// the score 1 − p(right route), the ⌈(n + 1)(1 − α)⌉-th smallest bounds it for a new goal with probability 1 − α.
fn conformal(mut truths: Vec<f32>) -> f32 {
    truths.sort_by(|a, b| b.total_cmp(a));
    let rank = ((truths.len() + 1) as f32 * COVERED).ceil() as usize;
    truths.get(rank.min(truths.len()).saturating_sub(1)).copied().unwrap_or_default()
}

/// Platt's scaling ("Probabilistic outputs for support vector machines", 1999) over two features, by Newton's method with a
/// weak pull to zero so that it ends where everything is right.
fn platt(trials: &[Trial]) -> [f32; 3] {
    let mut map = [0.0_f64; 3];
    for _ in 0..25 {
        let mut slope = map.map(|value| 0.01 * value);
        let mut bend = [[0.0_f64; 3]; 3];
        (0..3).for_each(|i| bend[i][i] = 0.01);
        for trial in trials {
            let features = [1.0, f64::from(trial.nearness), f64::from(trial.best.max(1e-9).ln())];
            let value: f64 = map.iter().zip(features).map(|(weight, feature)| weight * feature).sum();
            let probability = 1.0 / (1.0 + (-value).exp());
            let error = probability - if trial.right { 1.0 } else { 0.0 };
            for i in 0..3 {
                slope[i] += error * features[i];
                for j in 0..3 {
                    bend[i][j] += probability * (1.0 - probability) * features[i] * features[j];
                }
            }
        }
        let Some(step) = solve(bend, slope) else { break };
        (0..3).for_each(|i| map[i] -= step[i].clamp(-5.0, 5.0));
    }
    // A nearer goal or a likelier candidate can't be less likely right; too little data may say so.
    [map[0] as f32, map[1].max(0.0) as f32, map[2].max(0.01) as f32]
}

/// Solves a 3 × 3 system by elimination with pivots.
fn solve(mut matrix: [[f64; 3]; 3], mut right: [f64; 3]) -> Option<[f64; 3]> {
    for column in 0..3 {
        let pivot = (column..3).max_by(|a, b| matrix[*a][column].abs().total_cmp(&matrix[*b][column].abs()))?;
        if matrix[pivot][column].abs() < 1e-12 {
            return None;
        }
        matrix.swap(column, pivot);
        right.swap(column, pivot);
        for row in 0..3 {
            if row != column {
                let factor = matrix[row][column] / matrix[column][column];
                for other in 0..3 {
                    matrix[row][other] -= factor * matrix[column][other];
                }
                right[row] -= factor * right[column];
            }
        }
    }
    Some([right[0] / matrix[0][0], right[1] / matrix[1][1], right[2] / matrix[2][2]])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn trial(nearness: f32, best: f32, truth: Option<f32>) -> Trial {
        Trial { nearness, best, truth, right: truth == Some(best) }
    }

    #[test]
    fn few_examples_leave_the_defaults() {
        assert_eq!(Calibration::learn(&[trial(9.0, 0.9, Some(0.9))]), Calibration::default());
    }

    #[test]
    fn goals_without_a_route_get_low_probabilities() {
        let mut trials: Vec<Trial> = (0..200).map(|i| trial(9.0 + (i % 7) as f32 * 0.3, 0.9, Some(0.9))).collect();
        trials.extend((0..100).map(|i| trial(4.0 + (i % 5) as f32 * 0.3, 0.5, None)));
        let learned = Calibration::learn(&trials);
        assert!(learned.nearness_min > 5.5 && learned.nearness_min <= 9.0, "{learned:?}");
        assert!(learned.probability(10.0, 0.9) > 0.9 && learned.probability(4.0, 0.5) < 0.1, "{learned:?}");
    }

    proptest! {
        #[test]
        fn the_set_covers_what_it_says(truths in prop::collection::vec(0.0_f32..1.0, 30..300)) {
            let trials: Vec<Trial> = truths.iter().map(|truth| trial(5.0, 1.0, Some(*truth))).collect();
            let from = Calibration::learn(&trials).set_from;
            let covered = truths.iter().filter(|truth| **truth >= from).count();
            // By counting: the smallest set of the form "from here on" that holds 95 % of n + 1.
            prop_assert!(covered as f32 >= 0.95 * truths.len() as f32);
            let tighter = truths.iter().filter(|truth| **truth > from).count();
            prop_assert!((tighter as f32) < 0.95 * (truths.len() + 1) as f32 + 1.0);
        }

        #[test]
        fn probabilities_rise_with_nearness_and_share(
            seed in prop::collection::vec((0.0_f32..10.0, 0.01_f32..1.0, prop::bool::ANY), 40..120),
            near in 0.0_f32..9.0, share in 0.01_f32..0.9,
        ) {
            let trials: Vec<Trial> =
                seed.iter().map(|(n, b, right)| trial(*n, *b, Some(if *right { *b } else { b / 2.0 }))).collect();
            let learned = Calibration::learn(&trials);
            let here = learned.probability(near, share);
            prop_assert!((0.0..=1.0).contains(&here));
            prop_assert!(learned.probability(near + 1.0, share) >= here && learned.probability(near, share + 0.1) >= here);
        }
    }
}
