//! Files that change together, as their documents state it from the history of their repository.
//!
//! A partner is named by its whole path within the source, and it is either there or not: nothing is guessed.

use super::choose::Target;
use super::{Graph, Held, Used};
use crate::model::{EdgeKind, Reference};

impl Graph {
    /// The file that a reference to a partner means; its weight is how sure the edge is.
    pub(super) fn partner(&self, held: &Held, used: &Used) -> Vec<Target> {
        let path = self.names.text(used.name);
        let Some(file) = self.names.find(file_name(path)) else { return Vec::new() };
        let named = self.stems.get(&file).map(Vec::as_slice).unwrap_or_default();
        let there = named.iter().filter_map(|slot| self.held(*slot));
        let meant = there.filter(|other| other.source == held.source && &*other.path == path);
        // Two documents of one path are rare; by address, so that the order of ingests says nothing.
        let first = meant.min_by(|a, b| a.uri.cmp(&b.uri));
        first.map(|other| (other.node, f32::from(used.weight) / 100.0)).into_iter().collect()
    }
}

/// How much a reference to a partner weighs, in percent; 0 for others.
pub(super) fn weight(reference: &Reference) -> u8 {
    if reference.kind == EdgeKind::ChangesWith { reference.at.min(100) as u8 } else { 0 }
}

/// The last part of a path: the name that a partner is looked up by.
pub(super) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
