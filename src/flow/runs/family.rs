//! What the nodes around a node remembered: those above it and itself, and the children of these that have finished. What goes on
//! below its siblings is no business of it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::base::error::Result;
use crate::base::{DocumentId, RunId};
use crate::flow::Engines;
use crate::flow::access::Grant;
use crate::flow::freshness;
use crate::flow::recall::{self, FilterRequest};
use crate::model::run::{NodePath, NodePhase};
use crate::model::{Freshness, Hit, ScorePart};

/// Finished children of one node that are looked at, the latest of them.
const CHILDREN_MAX: u32 = 200;

/// Memories that count, the newest of them. At 300 tokens each they fill a context of 20,000.
const MEMORIES_MAX: u32 = 64;

/// What a memory of the run adds to a score, as a share of the best hit's: enough to stand in full beside it, too little to stand
/// before what the task is about.
const WORTH: f32 = 0.6;

/// What is left of that with each step up the tree.
const FURTHER: f32 = 0.8;

/// Name of the addend.
const PART: &str = "run";

/// The nodes whose memories count for `node` (none: for whoever started the run).
async fn family(engines: &Engines, grant: &Grant, run: RunId, node: Option<&NodePath>) -> Result<Vec<NodePath>> {
    let line: Vec<NodePath> = node.map(|node| node.line().collect()).unwrap_or_default();
    let held = engines.runs.run_nodes(grant.namespace(), run, &line).await?;
    let mut beside: Vec<NodePath> = Vec::new();
    if node.is_none() {
        beside.push(NodePath::root());
    }
    for (above, state) in &held {
        let first = state.children.saturating_sub(CHILDREN_MAX);
        beside.extend((first..state.children).map(|number| above.child(number)));
    }
    beside.retain(|node| !line.contains(node));
    let beside = engines.runs.run_nodes(grant.namespace(), run, &beside).await?;
    let finished = beside.into_iter().filter(|(_, state)| state.phase == NodePhase::Finished).map(|(node, _)| node);
    Ok(line.into_iter().chain(finished).collect())
}

/// Steps up from `node` to the nearest node that `other` is, or is a child of.
fn distance(node: Option<&NodePath>, other: &NodePath) -> usize {
    let Some(node) = node else { return 0 };
    let common = node.steps().iter().zip(other.steps()).take_while(|(a, b)| a == b).count();
    node.steps().len() - common
}

/// Adds what the family of a node remembered to `hits`, which are best first and stay so: those that were found gain by it, the
/// others come to them.
///
/// # Errors
/// Not found for a run that is not there; those of the catalogue.
pub async fn add_memories(
    engines: &Engines,
    grant: &Grant,
    filter: &FilterRequest,
    (run, node): (RunId, Option<&NodePath>),
    hits: &mut Vec<Hit>,
) -> Result<()> {
    let family = family(engines, grant, run, node).await?;
    let memories = engines.runs.run_memories(grant.namespace(), run, &family, MEMORIES_MAX).await?;
    if memories.is_empty() {
        return Ok(());
    }
    let best = hits.first().map_or(1.0, |hit| hit.score).max(f32::EPSILON);
    let worth = |other: &NodePath| best * WORTH * FURTHER.powi(distance(node, other) as i32);
    let worths: HashMap<DocumentId, f32> = memories.iter().map(|(node, document)| (*document, worth(node))).collect();
    for hit in hits.iter_mut() {
        if let Some(value) = worths.get(&hit.found.document.id) {
            hit.parts.push(ScorePart { name: PART, value: *value });
            hit.score += value;
        }
    }
    let documents: Vec<DocumentId> = memories.iter().map(|(_, document)| *document).collect();
    let filter = recall::resolve_filter(engines, grant, filter).await?;
    let now = engines.clock.now();
    let mut found = engines.catalog.document_chunks(grant.namespace(), &documents).await?;
    found.retain(|found| {
        let document = &found.document;
        let known = hits.iter().any(|hit| hit.found.chunk.id == found.chunk.id);
        let repeated = document.repeats.is_some_and(|other| worths.contains_key(&other));
        !known && !repeated && document.expires_at.is_none_or(|at| at > now) && filter.admits(document)
    });
    let verdicts = freshness::look(engines, found.iter().map(|found| Arc::clone(&found.document)).collect()).await?;
    for found in found {
        let value = worths.get(&found.document.id).copied().unwrap_or_default();
        let freshness = verdicts.get(&found.document.id).copied().unwrap_or(Freshness::Unknown);
        let parts = vec![ScorePart { name: PART, value }];
        hits.push(Hit { found, score: value, parts, channels: Vec::new(), freshness });
    }
    hits.sort_by(|a, b| b.score.total_cmp(&a.score));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearer_in_the_tree_the_more_it_counts() {
        let at = |text: &str| NodePath::parse(text).unwrap();
        let node = at("0.1.2");
        let steps: Vec<usize> =
            ["0.1.2", "0.1.2.0", "0.1", "0.1.0", "0", "0.3"].map(|other| distance(Some(&node), &at(other))).to_vec();
        assert_eq!(steps, [0, 0, 1, 1, 2, 2]);
        assert_eq!(distance(None, &at("0")), 0);
    }
}
