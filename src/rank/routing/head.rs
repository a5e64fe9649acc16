//! The linear head: a multinomial logistic regression over embeddings, one weight vector a route.
//!
//! It is fitted by stochastic gradient descent towards the maximum a posteriori under a Gaussian prior around the route's own
//! centroid (times [`SCALE`]), not around zero. So a route without a fit has its centroid for weights, which is what the
//! nearest-centroid classifier uses, and each example moves it from there as far as it carries evidence. The prior also keeps the
//! size of a logit telling how near a goal is, which is what the decision "none of these" needs and what weights fitted
//! from zero lose.
//!
//! Among many routes the softmax of an example runs over its own route and those nearest to it by centroid: the others have
//! next to no probability and nothing to learn from it.

use super::rows::Rows;

/// Logit of a goal that is a route's centroid itself. With unit vectors, neighbours at cosine 0.6 then have e⁻⁴ of its odds.
pub const SCALE: f32 = 10.0;

/// Precision of the prior: the weight of the pull back to it beside the sum over the examples.
const PRECISION: f32 = 0.1;

/// Step of the first epoch; falls to zero linearly. Unit vectors bound the curvature of the loss by ½.
const STEP: f32 = 2.0;

/// Routes that the softmax of an example runs over, beside its own.
const RIVALS: usize = 64;

/// Updates that a fit aims at, and the bounds of epochs that makes: 17,000 examples are seen 15 times, 70,000 four times.
const UPDATES: usize = 280_000;
const EPOCHS: (usize, usize) = (4, 15);

/// Dimensions that rivals are looked for in; above [`EXACT_MAX`] routes comparing all pairs in full would take longer than
/// the fit itself.
const SKETCH: usize = 64;
/// See [`SKETCH`].
const EXACT_MAX: usize = 1_500;

/// Examples of one route count as at most so many, so that one with ten thousand does not decide alone.
const MASS_MAX: f32 = 256.0;

/// One text with the route that it belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'a> {
    /// The route's number.
    pub route: u32,
    /// Where its vector is.
    pub rows: &'a Rows,
    /// Which row of those.
    pub row: usize,
    /// How much it counts.
    pub weight: f32,
}

impl Sample<'_> {
    /// Its vector, in `place`.
    fn vector<'a>(&self, place: &'a mut Vec<f32>) -> &'a [f32] {
        place.clear();
        place.extend(self.rows.values(self.row));
        place
    }
}

fn dimension(samples: &[Sample<'_>]) -> usize {
    samples.first().map_or(0, |sample| sample.rows.dimension())
}

/// Weights of routes without a fit: [`SCALE`] times the unit centroid of their samples; zeros for one without samples.
pub fn prior(samples: &[Sample<'_>], routes: usize) -> Vec<f32> {
    let dimension = dimension(samples);
    let mut weights = vec![0.0_f32; routes * dimension];
    let mut place = Vec::with_capacity(dimension);
    for sample in samples {
        let target = &mut weights[sample.route as usize * dimension..][..dimension];
        add(target, sample.vector(&mut place), sample.weight);
    }
    for weights in weights.chunks_exact_mut(dimension.max(1)) {
        let norm = weights.iter().map(|x| x * x).sum::<f32>().sqrt();
        if norm > 0.0 {
            weights.iter_mut().for_each(|x| *x *= SCALE / norm);
        }
    }
    weights
}

/// Fits the weights of all routes, as rows one after the other. The same input gives the same weights. `go_on` is asked
/// before each epoch; told to stop, the weights are as good as they are then.
pub fn fit(samples: &[Sample<'_>], routes: usize, go_on: impl Fn() -> bool) -> Vec<f32> {
    let dimension = dimension(samples);
    let prior = prior(samples, routes);
    let mut weights = prior.clone();
    if routes < 2 || samples.is_empty() {
        return weights;
    }
    let rivals = rivals(&prior, routes, dimension);
    let mut mass = vec![0.0_f32; routes];
    samples.iter().for_each(|sample| mass[sample.route as usize] += sample.weight);
    let epochs = (UPDATES / samples.len()).clamp(EPOCHS.0, EPOCHS.1);
    let mut order: Vec<u32> = (0..samples.len() as u32).collect();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut logits, mut place) = (Vec::new(), Vec::with_capacity(dimension));
    for epoch in 0..epochs {
        if !go_on() {
            break;
        }
        random.shuffle(&mut order);
        let step = STEP * (1.0 - epoch as f32 / epochs as f32);
        for &index in &order {
            let sample = samples[index as usize];
            let vector = sample.vector(&mut place);
            let share = (MASS_MAX / mass[sample.route as usize]).min(1.0);
            learn(&mut weights, &rivals, sample.route, vector, step * sample.weight * share, &mut logits);
        }
        let pull = (step * PRECISION).min(1.0);
        weights.iter_mut().zip(&prior).for_each(|(weight, prior)| *weight -= pull * (*weight - prior));
    }
    weights
}

/// One step down the gradient of the log loss of one example.
fn learn(
    weights: &mut [f32],
    rivals: &[Vec<u32>],
    route: u32,
    vector: &[f32],
    step: f32,
    logits: &mut Vec<(u32, f32)>,
) {
    let dimension = vector.len();
    logits.clear();
    for &rival in rivals[route as usize].iter().chain([&route]) {
        logits.push((rival, dot(&weights[rival as usize * dimension..][..dimension], vector)));
    }
    let top = logits.iter().map(|(_, logit)| *logit).fold(f32::MIN, f32::max);
    let total: f32 = logits.iter().map(|(_, logit)| (logit - top).exp()).sum();
    for &(rival, logit) in logits.iter() {
        let probability = (logit - top).exp() / total;
        let slope = if rival == route { probability - 1.0 } else { probability };
        // What is certain already teaches nothing and would cost most of the time.
        if slope.abs() > 1e-4 {
            add(&mut weights[rival as usize * dimension..][..dimension], vector, -step * slope);
        }
    }
}

/// For each route those nearest to it, itself left out.
fn rivals(prior: &[f32], routes: usize, dimension: usize) -> Vec<Vec<u32>> {
    if routes <= RIVALS + 1 {
        let others = |route: u32| (0..routes as u32).filter(|other| *other != route).collect();
        return (0..routes as u32).map(others).collect();
    }
    let (sketch, dimension) = if routes > EXACT_MAX && dimension > SKETCH {
        (sketched(prior, dimension), SKETCH)
    } else {
        (prior.to_vec(), dimension)
    };
    let row = |route: usize| &sketch[route * dimension..][..dimension];
    let mut near: Vec<(f32, u32)> = Vec::with_capacity(routes);
    (0..routes)
        .map(|route| {
            let mine = row(route);
            near.clear();
            near.extend((0..routes).filter(|other| *other != route).map(|other| (dot(row(other), mine), other as u32)));
            near.select_nth_unstable_by(RIVALS - 1, |a, b| b.0.total_cmp(&a.0));
            near[..RIVALS].iter().map(|(_, other)| *other).collect()
        })
        .collect()
}

/// The rows in fewer dimensions that keep their products about (random signs; Achlioptas, "Database-friendly random
/// projections", 2003).
fn sketched(rows: &[f32], dimension: usize) -> Vec<f32> {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let signs: Vec<f32> =
        (0..dimension * SKETCH).map(|_| if random.next() & (1 << 40) == 0 { 1.0 } else { -1.0 }).collect();
    let project = |row: &[f32]| -> Vec<f32> { signs.chunks_exact(dimension).map(|signs| dot(signs, row)).collect() };
    rows.chunks_exact(dimension).flat_map(project).collect()
}

fn add(target: &mut [f32], vector: &[f32], factor: f32) {
    target.iter_mut().zip(vector).for_each(|(target, value)| *target += factor * value);
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 16];
    let (a, a_rest) = a.as_chunks::<16>();
    let (b, b_rest) = b.as_chunks::<16>();
    for (a, b) in a.iter().zip(b) {
        for lane in 0..16 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

/// xorshift64* (Marsaglia, "Xorshift RNGs", 2003): a fixed sequence, so that a fit can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn shuffle(&mut self, items: &mut [u32]) {
        for last in (1..items.len()).rev() {
            items.swap(last, (self.next() % (last as u64 + 1)) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unit(mut vector: Vec<f32>) -> Vec<f32> {
        let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-6);
        vector.iter_mut().for_each(|x| *x /= norm);
        vector
    }

    fn rows(vectors: &[(u32, Vec<f32>)]) -> Rows {
        let mut rows = Rows::new(vectors[0].1.len());
        vectors.iter().for_each(|(_, vector)| rows.push(&unit(vector.clone())));
        rows
    }

    fn samples<'a>(rows: &'a Rows, vectors: &[(u32, Vec<f32>)]) -> Vec<Sample<'a>> {
        let sample = |(row, (route, _)): (usize, &(u32, Vec<f32>))| Sample { route: *route, rows, row, weight: 1.0 };
        vectors.iter().enumerate().map(sample).collect()
    }

    /// The penalised loss that the fit minimises, over all routes.
    fn loss(weights: &[f32], samples: &[Sample<'_>], routes: usize) -> f64 {
        let dimension = dimension(samples);
        let prior = prior(samples, routes);
        let data: f64 = samples
            .iter()
            .map(|sample| {
                let mut place = Vec::new();
                let vector = sample.vector(&mut place);
                let logits: Vec<f64> = (0..routes)
                    .map(|route| f64::from(dot(&weights[route * dimension..][..dimension], vector)))
                    .collect();
                let top = logits.iter().copied().fold(f64::MIN, f64::max);
                top + logits.iter().map(|logit| (logit - top).exp()).sum::<f64>().ln() - logits[sample.route as usize]
            })
            .sum();
        let pull: f64 = weights.iter().zip(&prior).map(|(w, p)| f64::from(w - p).powi(2)).sum();
        data + 0.5 * f64::from(PRECISION) * pull
    }

    #[test]
    fn what_the_centroids_confuse_is_learned() {
        // Route 0 lies on both sides of route 1, so its centroid does not tell them apart.
        let vectors: Vec<(u32, Vec<f32>)> = (0..20)
            .map(|i| {
                let noise = (i as f32 * 0.7).sin() * 0.1;
                if i % 2 == 0 { (0, vec![1.0, 0.45 + noise, 0.3]) } else { (1, vec![1.0, 0.1 + noise, 0.3]) }
            })
            .collect();
        let rows = rows(&vectors);
        let samples = samples(&rows, &vectors);
        let weights = fit(&samples, 2, || true);
        let right = samples
            .iter()
            .filter(|sample| {
                let mut place = Vec::new();
                let vector = sample.vector(&mut place);
                let logit = |route: usize| dot(&weights[route * 3..][..3], vector);
                (logit(1) > logit(0)) == (sample.route == 1)
            })
            .count();
        assert_eq!(right, samples.len());
        assert_eq!(weights, fit(&samples, 2, || true), "a fit can be repeated");
    }

    #[test]
    fn a_route_with_very_many_examples_does_not_swallow_the_others() {
        let mut vectors: Vec<(u32, Vec<f32>)> =
            (0..3_000).map(|i| (0, vec![1.0, 0.3 * (i as f32).sin(), 0.3 * (i as f32).cos()])).collect();
        vectors.push((1, vec![0.2, 1.0, 0.0]));
        vectors.push((2, vec![0.2, 0.0, 1.0]));
        let rows = rows(&vectors);
        let samples = samples(&rows, &vectors);
        let weights = fit(&samples, 3, || true);
        for row in [3_000, 3_001] {
            let vector = rows.get(row);
            let best = (0..3)
                .max_by(|a, b| dot(&weights[a * 3..][..3], &vector).total_cmp(&dot(&weights[b * 3..][..3], &vector)));
            assert_eq!(best, Some(row - 2_999));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Plain gradient descent over all routes is the oracle: the fit must come near its loss, and below the prior's.
        #[test]
        fn the_fit_comes_near_the_least_loss(
            vectors in prop::collection::vec((0_u32..4, prop::collection::vec(-1.0_f32..1.0, 6)), 8..40),
        ) {
            let rows = rows(&vectors);
        let samples = samples(&rows, &vectors);
            let fitted = loss(&fit(&samples, 4, || true), &samples, 4);
            let start = prior(&samples, 4);
            let mut exact = start.clone();
            for _ in 0..3_000 {
                let mut slope: Vec<f32> = exact.iter().zip(&start).map(|(w, p)| PRECISION * (w - p)).collect();
                for sample in &samples {
                    let mut place = Vec::new();
                    let vector = sample.vector(&mut place);
                    let logits: Vec<f32> = (0..4).map(|route| dot(&exact[route * 6..][..6], vector)).collect();
                    let top = logits.iter().copied().fold(f32::MIN, f32::max);
                    let total: f32 = logits.iter().map(|logit| (logit - top).exp()).sum();
                    for route in 0..4 {
                        let expected = if route == sample.route as usize { 1.0 } else { 0.0 };
                        let error = (logits[route] - top).exp() / total - expected;
                        add(&mut slope[route * 6..][..6], vector, error);
                    }
                }
                add(&mut exact, &slope, -0.05);
            }
            let (least, most) = (loss(&exact, &samples, 4), loss(&start, &samples, 4));
            prop_assert!(fitted <= least + 0.35 * (most - least) + 0.5, "{fitted} of {least}..{most}");
        }
    }
}
