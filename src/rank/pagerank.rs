//! Personalised PageRank from a set of nodes, by local forward push.
//!
//! Andersen, Chung and Lang 2006, "Local graph partitioning using PageRank vectors": residuals are pushed along edges until each is small
//! against its node's weight, so the work depends on how exact the answer shall be and not on the size of the graph.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

/// Chance that the walk goes back to where it began. A quarter keeps it within some four steps.
const RESTART: f32 = 0.25;
/// Residual, of the whole, that is not worth a push any more.
const RESIDUAL_MIN: f32 = 1e-4;
/// Most pushes of one question, whatever is left.
const PUSHES_MAX: usize = 4_000;

/// A graph as the walk sees it.
pub trait Adjacent {
    /// Where the walk can go from a node, each with its weight, which is above 0.
    fn neighbours(&self, node: u32) -> Vec<(u32, f32)>;
}

/// The share of the walk that ends at each node, for those where it is more than nothing; highest first, ties by number. And whether
/// the limit on work cut it short.
pub fn personalised(graph: &dyn Adjacent, seeds: &[(u32, f32)]) -> (Vec<(u32, f32)>, bool) {
    let total: f32 = seeds.iter().map(|(_, weight)| weight.max(0.0)).sum();
    if total <= 0.0 {
        return (Vec::new(), false);
    }
    let (mut settled, mut residual) = (FxHashMap::<u32, f32>::default(), FxHashMap::<u32, f32>::default());
    let mut queue: VecDeque<u32> = VecDeque::new();
    for (node, weight) in seeds.iter().filter(|(_, weight)| *weight > 0.0) {
        *residual.entry(*node).or_default() += weight / total;
        queue.push_back(*node);
    }
    let mut pushes = 0;
    while let Some(node) = queue.pop_front() {
        let mass = residual.insert(node, 0.0).unwrap_or_default();
        if mass < RESIDUAL_MIN {
            residual.insert(node, mass);
            continue;
        }
        if pushes >= PUSHES_MAX {
            residual.insert(node, mass);
            break;
        }
        pushes += 1;
        let neighbours = graph.neighbours(node);
        let weight: f32 = neighbours.iter().map(|(_, weight)| weight).sum();
        if weight <= 0.0 {
            *settled.entry(node).or_default() += mass;
            continue;
        }
        *settled.entry(node).or_default() += RESTART * mass;
        for (next, share) in neighbours {
            let waiting = residual.entry(next).or_default();
            let before = *waiting;
            *waiting += (1.0 - RESTART) * mass * share / weight;
            if before < RESIDUAL_MIN && *waiting >= RESIDUAL_MIN {
                queue.push_back(next);
            }
        }
    }
    // What was not worth a push stays where it is.
    for (node, mass) in residual.into_iter().filter(|(_, mass)| *mass > 0.0) {
        *settled.entry(node).or_default() += RESTART * mass;
    }
    let mut ranked: Vec<(u32, f32)> = settled.into_iter().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    (ranked, pushes >= PUSHES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Listed(Vec<Vec<(u32, f32)>>);

    impl Adjacent for Listed {
        fn neighbours(&self, node: u32) -> Vec<(u32, f32)> {
            self.0[node as usize].clone()
        }
    }

    /// The same by power iteration over the whole graph.
    fn by_iteration(graph: &Listed, seeds: &[(u32, f32)]) -> Vec<f32> {
        let count = graph.0.len();
        let total: f32 = seeds.iter().map(|(_, weight)| weight).sum();
        let mut start = vec![0.0; count];
        for (node, weight) in seeds {
            start[*node as usize] += weight / total;
        }
        let mut walking = start.clone();
        let mut ended = vec![0.0; count];
        for _ in 0..200 {
            let mut next = vec![0.0; count];
            for (node, mass) in walking.iter().enumerate() {
                let neighbours = &graph.0[node];
                let weight: f32 = neighbours.iter().map(|(_, weight)| weight).sum();
                ended[node] += if weight > 0.0 { RESTART * mass } else { *mass };
                for (to, share) in neighbours {
                    next[*to as usize] += (1.0 - RESTART) * mass * share / weight;
                }
            }
            walking = next;
        }
        ended
    }

    proptest! {
        #[test]
        fn pushing_agrees_with_iteration(
            edges in prop::collection::vec((0_u32..30, 0_u32..30, 1_u8..10), 1..120),
            seeds in prop::collection::vec((0_u32..30, 1_u8..5), 1..4),
        ) {
            let mut lists = vec![Vec::new(); 30];
            for (from, to, weight) in edges {
                lists[from as usize].push((to, f32::from(weight)));
            }
            let graph = Listed(lists);
            let seeds: Vec<(u32, f32)> = seeds.into_iter().map(|(node, weight)| (node, f32::from(weight))).collect();
            let exact = by_iteration(&graph, &seeds);
            let (pushed, cut) = personalised(&graph, &seeds);
            prop_assert!(!cut);
            for (node, score) in &pushed {
                // Each of 30 nodes may hold back a residual that is worth at most itself.
                prop_assert!((score - exact[*node as usize]).abs() < 30.0 * RESIDUAL_MIN, "{node}: {score} {exact:?}");
            }
            for (node, score) in exact.iter().enumerate() {
                let known = pushed.iter().any(|(found, _)| *found == node as u32);
                prop_assert!(known || *score < 30.0 * RESIDUAL_MIN);
            }
        }
    }

    #[test]
    fn nothing_to_start_from_ends_nowhere() {
        assert!(personalised(&Listed(vec![Vec::new()]), &[]).0.is_empty());
        assert_eq!(personalised(&Listed(vec![Vec::new()]), &[(0, 2.0)]).0, [(0, 1.0)]);
    }
}
