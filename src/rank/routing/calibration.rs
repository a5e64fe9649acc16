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

/// Least nearness of a goal that is taken on where nothing was learned: a cosine of 0.27 with the nearest route and no word in
/// common. Unrelated short texts reach about 0.2 with the default model.
const NEARNESS_DEFAULT: f32 = 2.7;

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
    /// Of the logistic map from nearness to the probability that a goal has a route here: constant, and per logit.
    pub scope: [f32; 2],
    /// Exponent that makes a share among the routes the probability that the candidate is right.
    pub exponent: f32,
    /// Held-out goals that it comes from; 0: the defaults.
    pub trials: usize,
}

impl Default for Calibration {
    fn default() -> Self {
        Self {
            nearness_min: NEARNESS_DEFAULT,
            set_from: 0.2,
            scope: [-NEARNESS_DEFAULT, 1.0],
            exponent: 1.0,
            trials: 0,
        }
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
            scope: platt(trials),
            exponent: exponent(&inside),
            trials: trials.len(),
        }
    }

    /// The probability that a goal of this nearness has a route here.
    pub fn in_scope(&self, nearness: f32) -> f32 {
        let [constant, slope] = self.scope;
        1.0 / (1.0 + (-(constant + slope * nearness)).exp())
    }

    /// The probability that a candidate with this share among the routes is right for a goal of this nearness.
    pub fn probability(&self, nearness: f32, share: f32) -> f32 {
        self.in_scope(nearness) * share.clamp(0.0, 1.0).powf(self.exponent)
    }
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

/// Platt's scaling ("Probabilistic outputs for support vector machines", 1999): a logistic regression of whether a goal has a
/// route on its nearness, by Newton's method. The pull towards the default keeps it finite where both kinds are apart, and leaves
/// the default where no route was left out.
fn platt(trials: &[Trial]) -> [f32; 2] {
    let middle = trials.iter().map(|trial| f64::from(trial.nearness)).sum::<f64>() / trials.len().max(1) as f64;
    let outside = trials.iter().filter(|trial| trial.truth.is_none()).count().max(1) as f64;
    let inside = (trials.len() as f64 - outside).max(1.0);
    // Both kinds weigh the same: how many routes are left out says nothing of how many goals will have none.
    let (mut constant, mut slope) = (0.0_f64, 1.0_f64);
    for _ in 0..50 {
        let (mut by_constant, mut by_slope) = (0.0, PULL * (slope - 1.0));
        let (mut cc, mut cs, mut ss) = (1e-6, 0.0, PULL);
        for trial in trials {
            let (x, weight) =
                (f64::from(trial.nearness) - middle, if trial.truth.is_some() { 0.5 / inside } else { 0.5 / outside });
            let probability = 1.0 / (1.0 + (-(constant + slope * x)).exp());
            let error = weight * (probability - if trial.truth.is_some() { 1.0 } else { 0.0 });
            let bend = weight * probability * (1.0 - probability);
            (by_constant, by_slope) = (by_constant + error, by_slope + error * x);
            (cc, cs, ss) = (cc + bend, cs + bend * x, ss + bend * x * x);
        }
        let determinant = (cc * ss - cs * cs).max(1e-12);
        constant -= ((ss * by_constant - cs * by_slope) / determinant).clamp(-2.0, 2.0);
        slope -= ((cc * by_slope - cs * by_constant) / determinant).clamp(-0.5, 0.5);
    }
    // A nearer goal can't be less likely to have a route; too little data may say so.
    let slope = slope.max(0.05);
    [(constant - slope * middle) as f32, slope as f32]
}

/// Weight of that pull beside the mean loss.
const PULL: f64 = 0.01;

/// The exponent of the best log loss, looked for on a grid: below 1 where shares are spread over routes that serve as well.
fn exponent(inside: &[&Trial]) -> f32 {
    let loss = |exponent: f32| -> f32 {
        let one = |trial: &&Trial| {
            let probability = trial.best.powf(exponent).clamp(0.001, 0.999);
            if trial.right { -probability.ln() } else { -(1.0 - probability).ln() }
        };
        inside.iter().map(one).sum()
    };
    let grid = (1..=40).map(|step| step as f32 / 20.0);
    grid.min_by(|a, b| loss(*a).total_cmp(&loss(*b))).unwrap_or(1.0)
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
