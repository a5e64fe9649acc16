//! Groups of what nobody has sorted: spherical k-means over vectors, named by the words that tell a group from the others.
//!
//! Dhillon and Modha, "Concept decompositions for large sparse text data using clustering" (2001), begun with the point that lies
//! farthest from those chosen (Gonzalez 1985), so that the same input gives the same groups. Names are the words of highest
//! class-based TF-IDF (Grootendorst, "BERTopic", 2022).

use std::collections::{BTreeMap, BTreeSet};

use ndarray::{Array2, ArrayView2, Axis};

/// Points that centres are found with; the others only join the nearest.
const SAMPLE_MAX: usize = 4_000;

/// Rounds; hardly a point moves after that.
const ROUNDS: usize = 8;

/// Words of a name.
const NAME_WORDS: usize = 3;

/// Centres of groups.
#[derive(Debug, Clone)]
pub struct Groups {
    /// One row a group, of length 1.
    centres: Array2<f32>,
}

impl Groups {
    /// At most `count` groups of unit `vectors`, which have one length and are not empty.
    pub fn of(vectors: &[Vec<f32>], count: usize) -> Self {
        let dimension = vectors.first().map_or(0, Vec::len);
        let step = vectors.len().div_ceil(SAMPLE_MAX).max(1);
        let sample: Vec<f32> = vectors.iter().step_by(step).flatten().copied().collect();
        let points = Array2::from_shape_vec((sample.len() / dimension.max(1), dimension), sample).unwrap_or_default();
        let mut groups = Self { centres: points.select(Axis(0), &far_apart(points.view(), count)) };
        for _ in 0..ROUNDS {
            let mut sums = Array2::zeros(groups.centres.dim());
            for (point, group) in points.rows().into_iter().zip(groups.nearest(points.view())) {
                sums.row_mut(group).scaled_add(1.0, &point);
            }
            for (mut centre, sum) in groups.centres.rows_mut().into_iter().zip(sums.rows()) {
                let length = sum.dot(&sum).sqrt();
                if length > 0.0 {
                    centre.assign(&(&sum / length));
                }
            }
        }
        groups
    }

    /// Number of groups.
    pub fn len(&self) -> usize {
        self.centres.nrows()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The group that each vector lies nearest to.
    pub fn place(&self, vectors: &[Vec<f32>]) -> Vec<usize> {
        let dimension = self.centres.ncols();
        let values: Vec<f32> = vectors.iter().flatten().copied().collect();
        ArrayView2::from_shape((vectors.len(), dimension), &values)
            .map(|points| self.nearest(points))
            .unwrap_or_default()
    }

    fn nearest(&self, points: ArrayView2<'_, f32>) -> Vec<usize> {
        let near = points.dot(&self.centres.t());
        let best = |row: ndarray::ArrayView1<'_, f32>| {
            row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0))).map_or(0, |(group, _)| group)
        };
        near.rows().into_iter().map(best).collect()
    }
}

/// Points each of which lies far from those before it.
fn far_apart(points: ArrayView2<'_, f32>, count: usize) -> Vec<usize> {
    let mut chosen = Vec::new();
    let mut nearest = vec![f32::NEG_INFINITY; points.nrows()];
    let mut next = (!nearest.is_empty()).then_some(0);
    while let Some(point) = next.filter(|_| chosen.len() < count) {
        chosen.push(point);
        let near = points.dot(&points.row(point));
        nearest.iter_mut().zip(&near).for_each(|(held, near)| *held = held.max(*near));
        let farthest = nearest.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1));
        // One that equals a chosen point makes no group.
        next = farthest.filter(|(_, near)| **near < 0.999).map(|(point, _)| point);
    }
    chosen
}

/// A name for each of `count` groups, no two alike, from the words of its members; `of` says which group each belongs to.
pub fn names(words: &[BTreeSet<String>], of: &[usize], count: usize) -> Vec<String> {
    let mut held: Vec<BTreeMap<&str, f32>> = vec![BTreeMap::new(); count];
    let mut everywhere: BTreeMap<&str, f32> = BTreeMap::new();
    for (words, group) in words.iter().zip(of) {
        for word in words {
            *held[*group].entry(word).or_default() += 1.0;
            *everywhere.entry(word).or_default() += 1.0;
        }
    }
    let mean = words.len() as f32 / count.max(1) as f32;
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    let name = |held: BTreeMap<&str, f32>| {
        let mut weighed: Vec<(f32, &str)> =
            held.into_iter().map(|(word, times)| (times * (1.0 + mean / everywhere[word]).ln(), word)).collect();
        weighed.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
        let best: Vec<&str> = weighed.into_iter().take(NAME_WORDS).map(|(_, word)| word).collect();
        let name = if best.is_empty() { "other".to_owned() } else { best.join("-") };
        let times = taken.entry(name.clone()).or_default();
        *times += 1;
        if *times == 1 { name } else { format!("{name}-{times}") }
    };
    held.into_iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(values: &[f32]) -> Vec<f32> {
        let length = values.iter().map(|value| value * value).sum::<f32>().sqrt();
        values.iter().map(|value| value / length).collect()
    }

    #[test]
    fn what_lies_together_is_one_group() {
        let mut vectors = Vec::new();
        for place in 0..60_u8 {
            let mut around = [0.1 * f32::from(place % 5), 0.1 * f32::from(place % 3), 0.05];
            around[usize::from(place % 3)] += 3.0;
            vectors.push(unit(&around));
        }
        let groups = Groups::of(&vectors, 3);
        assert_eq!(groups.len(), 3);
        let of = groups.place(&vectors);
        assert!((0..60).all(|place| of[place] == of[place % 3]), "{of:?}");
        assert_eq!(of[..3].iter().collect::<BTreeSet<_>>().len(), 3);
        assert_eq!(Groups::of(&vectors, 3).place(&vectors), of, "the same each time");
    }

    #[test]
    fn equal_points_are_one_group_and_none_are_none() {
        assert_eq!(Groups::of(&vec![unit(&[1.0, 0.0]); 9], 4).len(), 1);
        assert!(Groups::of(&[], 4).is_empty());
        assert!(Groups::of(&[], 4).place(&[]).is_empty());
    }

    #[test]
    fn names_tell_groups_apart() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<BTreeSet<_>>();
        let all =
            [words("get flight price"), words("get flight status"), words("get hotel price"), words("get hotel room")];
        let names = names(&all, &[0, 0, 1, 1], 2);
        assert!(names[0].starts_with("flight") && names[1].starts_with("hotel"), "{names:?}");
        let twins = super::names(&[words("a"), words("a"), BTreeSet::new()], &[0, 1, 2], 3);
        assert_eq!(twins, ["a", "a-2", "other"]);
    }
}
