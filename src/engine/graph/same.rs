//! Names of the same thing: an abbreviation and what it stands for, a stage name and the other one.
//!
//! A document that says so lays an edge between the two entities, as long as it says so. A name that stands for several things
//! leads to none of them: which one is meant depends on the text, and a wrong way is worse than none.

use std::collections::hash_map::Entry;

use petgraph::stable_graph::NodeIndex;
use petgraph::visit::EdgeRef;

use super::put::structure;
use super::{Graph, Held};
use crate::model::{EdgeKind, Facts, NodeKind};

impl Graph {
    pub(super) fn place_aliases(&mut self, held: &mut Held, facts: &Facts) {
        for alias in &facts.aliases {
            let ends = [&alias.name, &alias.of].map(|name| self.thing(NodeKind::Entity, name));
            let passage = held.passage_at(alias.at.min(u64::from(u32::MAX)) as u32).unwrap_or(held.node);
            for entity in ends {
                // What it says of them it surely names, which is also what keeps them in the graph.
                let known = self.graph.find_edge(passage, entity).and_then(|edge| self.graph.edge_weight_mut(edge));
                match known {
                    Some(known) => known.confidence = u8::MAX,
                    None => _ = self.graph.add_edge(passage, entity, structure(EdgeKind::Mentions)),
                }
            }
            self.graph.add_edge(ends[0], ends[1], structure(EdgeKind::SameAs));
            self.aliased.entry(ends[0]).or_default().push(ends[1]);
            self.aliased.entry(ends[1]).or_default().push(ends[0]);
            held.aliases.push((ends[0], ends[1]));
            self.know_title(&alias.name);
        }
    }

    pub(super) fn leave_aliases(&mut self, held: &Held) {
        for (name, of) in &held.aliases {
            let mut edges = self.graph.edges_connecting(*name, *of);
            let edge = edges.find(|edge| edge.weight().kind == EdgeKind::SameAs).map(|edge| edge.id());
            if let Some(edge) = edge {
                self.graph.remove_edge(edge);
            }
            self.forget_other(*name, *of);
            self.forget_other(*of, *name);
        }
    }

    /// The other name of an entity, if there is exactly one that it and nothing else has.
    pub(super) fn same(&self, entity: NodeIndex<u32>) -> Option<NodeIndex<u32>> {
        let other = self.only_other(entity)?;
        (self.only_other(other)? == entity).then_some(other)
    }

    fn forget_other(&mut self, entity: NodeIndex<u32>, other: NodeIndex<u32>) {
        let Entry::Occupied(mut others) = self.aliased.entry(entity) else { return };
        if let Some(at) = others.get().iter().position(|one| *one == other) {
            others.get_mut().swap_remove(at);
        }
        if others.get().is_empty() {
            others.remove();
        }
    }

    fn only_other(&self, entity: NodeIndex<u32>) -> Option<NodeIndex<u32>> {
        let (first, rest) = self.aliased.get(&entity)?.split_first()?;
        rest.iter().all(|other| other == first).then_some(*first)
    }
}
