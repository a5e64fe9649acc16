//! Learning in the background: the linear head, how sure is sure, and which routes are confused.
//!
//! A fit works on a copy and is exchanged for the table in use when it is done; what was registered meanwhile is taken over.
//! Decisions never wait for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::table::{Asked, Item, OWN_TEXTS, TOGETHER, Table};
use crate::base::NodeId;
use crate::model::Node;
use crate::rank::routing::calibration::{Calibration, Trial};
use crate::rank::routing::rows::Rows;

/// One example in so many is held out, and one route in so many with all its examples.
const FOLD: usize = 5;
/// See [`FOLD`].
const ROUTE_FOLD: usize = 8;

/// Examples that are held out at most: the quantiles of 2,000 are known to a third of a percent.
const TRIALS_MAX: usize = 2_000;

/// Texts kept of each confused pair.
const SAMPLES_MAX: usize = 3;

/// Two routes of which one is taken for the other.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Confusion {
    /// Held-out examples of the first that went to the second.
    pub count: u32,
    /// Some of them.
    pub samples: Vec<String>,
}

/// By right and chosen route.
pub type Confusions = BTreeMap<(NodeId, NodeId), Confusion>;

/// Makes a table anew from `items`, with a fitted head and what held-out examples taught.
pub fn fitted(dimension: usize, items: &[Item], go_on: impl Fn() -> bool) -> (Table, Confusions) {
    let (calibration, confusions) = calibrate(dimension, items, &go_on);
    let mut table = Table::of(dimension, items);
    table.fit(&go_on);
    table.calibration = calibration;
    (table, confusions)
}

fn calibrate(dimension: usize, items: &[Item], go_on: &impl Fn() -> bool) -> (Calibration, Confusions) {
    let mut kept = Vec::with_capacity(items.len());
    let mut held_out: Vec<(NodeId, bool, &str, Vec<f32>)> = Vec::new();
    // With few routes each one that is left out changes the task too much.
    let leave_routes_out = items.len() >= 2 * ROUTE_FOLD;
    for (number, item) in items.iter().enumerate() {
        let away = leave_routes_out && number % ROUTE_FOLD == ROUTE_FOLD / 2;
        let texts: Vec<&str> = item.node.utterances().collect();
        let examples = || texts.iter().copied().enumerate();
        let out = |at: usize| away || (texts.len() >= 2 && (at + number).is_multiple_of(FOLD));
        held_out.extend(
            examples()
                .filter(|(at, _)| (at + number).is_multiple_of(FOLD) && out(*at))
                .map(|(at, text)| (item.node.id, away, text, item.vectors.get(OWN_TEXTS + at))),
        );
        if !away {
            let stay: Vec<(usize, &str)> = examples().filter(|(at, _)| !out(*at)).collect();
            kept.push(with_examples(item, &stay));
        }
    }
    if held_out.is_empty() {
        return (Calibration::default(), Confusions::new());
    }
    let every = held_out.len().div_ceil(TRIALS_MAX);
    let mut table = Table::of(dimension, &kept);
    table.fit(go_on);
    let allowed: Vec<u32> = (0..kept.len() as u32).collect();
    let (mut trials, mut confusions) = (Vec::new(), Confusions::new());
    let tried: Vec<_> = held_out.into_iter().step_by(every).collect();
    let ranked = tried.chunks(TOGETHER).take_while(|_| go_on()).flat_map(|tried| {
        let goals = tried.iter().map(|(_, _, text, vector)| (Asked::new(text, vector.clone()), Vec::new()));
        table.rank(&goals.collect::<Vec<_>>(), &allowed)
    });
    for (&(id, away, text, _), ranking) in tried.iter().zip(ranked) {
        let Some(best) = ranking.scored.first() else { continue };
        let truth = ranking.scored.iter().find(|scored| table.find(id) == Some(scored.entry));
        let chosen = table.entries()[best.entry as usize].node.id;
        trials.push(Trial {
            nearness: ranking.nearness,
            best: best.share,
            truth: (!away).then(|| truth.map_or(0.0, |scored| scored.share)),
            right: chosen == id,
        });
        if chosen != id && !away {
            let confusion = confusions.entry((id, chosen)).or_default();
            confusion.count += 1;
            if confusion.samples.len() < SAMPLES_MAX {
                confusion.samples.push(text.to_owned());
            }
        }
    }
    (Calibration::learn(&trials), confusions)
}

/// The item with only these examples.
fn with_examples(item: &Item, stay: &[(usize, &str)]) -> Item {
    let mut node = Node::clone(&item.node);
    node.spec.utterances = stay.iter().map(|(_, text)| (*text).to_owned()).collect();
    node.examples.clear();
    let mut vectors = Rows::with_capacity(item.vectors.dimension(), OWN_TEXTS + stay.len());
    let rows = (0..OWN_TEXTS).chain(stay.iter().map(|(at, _)| OWN_TEXTS + at));
    rows.for_each(|row| vectors.push(&item.vectors.get(row)));
    Item { node: Arc::new(node), vectors: Arc::new(vectors) }
}
