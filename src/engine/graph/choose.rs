//! Which of several namesakes are meant: the nearest, sharing what there is of certainty, or none.

use petgraph::stable_graph::NodeIndex;
use smallvec::SmallVec;

use super::paths::distance;
use super::{Graph, Held, Used};
use crate::model::NodeKind;

/// Targets of one reference. Overloads and platform twins are a few; more is no knowledge.
pub(super) const TARGETS_MAX: usize = 4;
/// Namesakes looked at for one reference when nothing but the name is known.
pub(super) const NAMESAKES_MAX: usize = 256;

/// A definition with how sure it is that it is meant.
pub(super) type Target = (NodeIndex<u32>, f32);

impl Graph {
    /// All that has the name, fits the use, and stands where it can be named; nothing if there are too many.
    pub(super) fn candidates(
        &self,
        held: &Held,
        used: &Used,
        fits: impl Fn(NodeIndex<u32>) -> bool,
    ) -> Vec<NodeIndex<u32>> {
        let all = self.defined.get(&used.name).map(SmallVec::as_slice).unwrap_or_default();
        if all.len() > NAMESAKES_MAX {
            return Vec::new();
        }
        let meant = |node: &NodeIndex<u32>| self.fits(*node, used.kind) && self.family(held, *node) && fits(*node);
        all.iter().copied().filter(meant).collect()
    }

    /// Where a definition stands: lists of namesakes are in the order in which they came, which must decide nothing.
    fn stands_at(&self, node: NodeIndex<u32>) -> (Option<&str>, Option<(u32, u32)>, Option<NodeKind>) {
        let own = self.graph.node_weight(node);
        (self.held_of(node).map(|held| &*held.uri), own.map(|own| own.span), own.map(|own| own.kind))
    }

    pub(super) fn by_place(&self, mut nodes: Vec<NodeIndex<u32>>) -> Vec<NodeIndex<u32>> {
        nodes.sort_by(|a, b| self.stands_at(*a).cmp(&self.stands_at(*b)));
        nodes
    }

    /// Surest first, of equal ones by place, each once.
    pub(super) fn best(&self, mut found: Vec<Target>) -> Vec<Target> {
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| self.stands_at(a.0).cmp(&self.stands_at(b.0))));
        let mut seen = std::collections::HashSet::new();
        found.retain(|(node, _)| seen.insert(*node));
        found
    }

    /// Those of the candidates that lie nearest, sharing `sure`; none if more than a few lie equally near.
    pub(super) fn nearest(&self, held: &Held, candidates: Vec<NodeIndex<u32>>, sure: f32) -> Vec<Target> {
        let far = |node: &NodeIndex<u32>| self.held_of(*node).map_or(usize::MAX, |other| distance(held, other));
        let Some(least) = candidates.iter().map(far).min() else { return Vec::new() };
        let near: Vec<NodeIndex<u32>> = candidates.iter().copied().filter(|node| far(node) == least).collect();
        if near.len() > TARGETS_MAX {
            return Vec::new();
        }
        // Others further off make it less sure.
        let sure = sure / (candidates.len() as f32 / near.len() as f32).sqrt();
        share(self.by_place(near), sure)
    }
}

/// Equal candidates share one confidence.
pub(super) fn share(nodes: Vec<NodeIndex<u32>>, sure: f32) -> Vec<Target> {
    let each = sure / nodes.len().max(1) as f32;
    nodes.into_iter().take(TARGETS_MAX).map(|node| (node, each)).collect()
}
