//! What came of a decision: outcomes, corrections, and which routes are confused.

use std::sync::PoisonError;

use super::register::unknown;
use super::table::Past;
use super::{Routing, decide};
use crate::base::error::{Error, Result};
use crate::base::limits::OUTCOMES_KEPT;
use crate::base::{EmbedKey, NodeId};
use crate::flow::access::Grant;
use crate::model::Outcome;

/// An outcome as it is told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Told {
    /// The goal, as it was routed.
    pub goal: String,
    /// Name of the node that was chosen; empty: the decision was that there is none.
    pub chosen: String,
    /// Whether it did what was wanted.
    pub succeeded: bool,
    /// What it cost, in the caller's unit.
    pub cost: f64,
    /// Name of the node that would have been right; empty: nobody said.
    pub correction: String,
}

/// Two routes that are confused.
#[derive(Debug, Clone, PartialEq)]
pub struct Confused {
    /// The right one.
    pub right: String,
    /// The one that was chosen.
    pub chosen: String,
    /// How often, among held-out examples.
    pub count: u32,
    /// Goals that were confused.
    pub samples: Vec<String>,
}

/// How a node did.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its name.
    pub name: String,
    /// Times that it succeeded.
    pub succeeded: u64,
    /// Times that it failed.
    pub failed: u64,
    /// What it cost on average.
    pub mean_cost: f64,
}

/// What a namespace's routing has learned.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Live nodes.
    pub nodes: u64,
    /// Held-out examples that the thresholds come from; 0: the defaults serve.
    pub trials: u64,
    /// Whether everything registered is learned from.
    pub settled: bool,
    /// The worst pairs first.
    pub confused: Vec<Confused>,
    /// Nodes with outcomes, the most failures first.
    pub records: Vec<Record>,
}

impl Routing {
    /// Stores what came of a goal. It counts for goals like it from now on; a correction becomes an example of the node that
    /// is right.
    ///
    /// # Errors
    /// NotFound for an unknown node; invalid for an empty goal, a cost that is no number, or where neither a node was chosen nor
    /// one would have been right.
    pub async fn record(&self, grant: &Grant, told: &Told) -> Result<()> {
        decide::check_goal(&told.goal)?;
        if !told.cost.is_finite() {
            return Err(Error::invalid("cost", "the cost has to be a finite number"));
        }
        if told.chosen.is_empty() {
            return self.record_none(grant, told).await;
        }
        let namespace = grant.namespace();
        let space = self.space(grant).await?;
        let id = |name: &str| {
            let id = NodeId::derive(namespace.as_str(), name);
            space.read().find(id).map(|_| id).ok_or_else(|| unknown(name))
        };
        let chosen = id(&told.chosen)?;
        let correction = if told.correction.is_empty() { None } else { Some(id(&told.correction)?) };
        let outcome = Outcome {
            goal: told.goal.clone(),
            chosen,
            succeeded: told.succeeded,
            cost: told.cost,
            correction,
            at: self.engines.clock.now(),
        };
        // What can fail comes first, and nothing after the outcome is stored: told once more, it would count twice. An example
        // does not.
        if !told.correction.is_empty() {
            self.add_examples(grant, &told.correction, std::slice::from_ref(&told.goal)).await?;
        }
        let (space, _turn) = self.turn(grant).await?;
        let (mut vectors, fresh) = self.embedded(vec![told.goal.clone()]).await?;
        let key = EmbedKey::of(&told.goal);
        self.engines.registry.record_outcome(namespace, &outcome, key, OUTCOMES_KEPT).await?;
        let vector = vectors.pop().unwrap_or_default();
        let past = Past { vector: vector.into(), succeeded: told.succeeded, cost: told.cost };
        space.write().note(chosen, past, OUTCOMES_KEPT);
        if let Err(error) = self.cache(fresh).await {
            tracing::warn!(error = %error.chain(), "the vector of a goal is not cached: it is made again when it is needed");
        }
        Ok(())
    }

    /// A decision for none of the nodes, where one would have been right: there is nobody to blame, only an example to learn from.
    async fn record_none(&self, grant: &Grant, told: &Told) -> Result<()> {
        if told.correction.is_empty() || told.succeeded {
            let message = "no node was chosen: name it, or say in `correction` which one would have been right";
            return Err(Error::invalid("chosen", message));
        }
        self.add_examples(grant, &told.correction, std::slice::from_ref(&told.goal)).await.map(|_| ())
    }

    /// What was learned, with the worst `limit` of each list.
    ///
    /// # Errors
    /// Those of the engines.
    pub async fn report(&self, grant: &Grant, limit: usize) -> Result<Report> {
        let space = self.space(grant).await?;
        let table = space.read();
        let name = |id: NodeId| table.find(id).map(|entry| table.entries()[entry as usize].node.spec.name.clone());
        let confusions = space.confusions.lock().unwrap_or_else(PoisonError::into_inner);
        let mut confused: Vec<Confused> = confusions
            .iter()
            .filter_map(|((right, chosen), confusion)| {
                let (right, chosen) = (name(*right)?, name(*chosen)?);
                Some(Confused { right, chosen, count: confusion.count, samples: confusion.samples.clone() })
            })
            .collect();
        confused.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.right.cmp(&b.right)));
        confused.truncate(limit);
        let mut records: Vec<Record> = table
            .entries()
            .iter()
            .filter(|entry| entry.live && !entry.past.is_empty())
            .map(|entry| {
                let succeeded = entry.past.iter().filter(|past| past.succeeded).count() as u64;
                let failed = entry.past.len() as u64 - succeeded;
                let mean_cost = entry.past.iter().map(|past| past.cost).sum::<f64>() / entry.past.len() as f64;
                Record { name: entry.node.spec.name.clone(), succeeded, failed, mean_cost }
            })
            .collect();
        records.sort_by(|a, b| b.failed.cmp(&a.failed).then_with(|| a.name.cmp(&b.name)));
        records.truncate(limit);
        Ok(Report {
            nodes: table.live() as u64,
            trials: table.calibration.trials as u64,
            settled: space.learned.borrow().through >= *space.changes.borrow(),
            confused,
            records,
        })
    }
}
