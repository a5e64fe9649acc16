//! Groups within a folder that holds more nodes than anybody reads through: kept while the folder stays much the same, so that a
//! path that was shown leads to the same nodes again.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError};

use super::table::Table;
use super::{Space, texts};
use crate::base::NodeId;
use crate::rank::routing::groups::{self, Groups};

/// Nodes right in a folder from which they are shown in groups.
pub const GROUPED_FROM: usize = 500;

/// Bytes of a description that name its group: the beginning says what the node does.
const NAMED_BY_BYTES: usize = 400;

/// How a folder was grouped.
#[derive(Debug)]
pub struct Grouping {
    groups: Groups,
    names: Vec<String>,
    of: HashMap<NodeId, usize>,
}

impl Grouping {
    fn made(table: &Table, entries: &[u32]) -> Self {
        let vectors: Vec<Vec<f32>> = entries.iter().map(|entry| table.meaning(*entry)).collect();
        // As many groups as nodes in each.
        let groups = Groups::of(&vectors, (entries.len() as f64).sqrt().ceil() as usize);
        let of = groups.place(&vectors);
        let words: Vec<BTreeSet<String>> = entries
            .iter()
            .map(|entry| {
                let spec = &table.entries()[*entry as usize].node.spec;
                let cut = spec.description.floor_char_boundary(NAMED_BY_BYTES);
                texts::plain_words(&format!("{} {}", spec.name, &spec.description[..cut]))
            })
            .collect();
        let names = groups::names(&words, &of, groups.len());
        let id = |entry: &u32| table.entries()[*entry as usize].node.id;
        Self { groups, names, of: entries.iter().map(id).zip(of).collect() }
    }

    /// Whether so much came or went that other groups would be better.
    fn is_worn(&self, table: &Table, entries: &[u32]) -> bool {
        let known =
            entries.iter().filter(|entry| self.of.contains_key(&table.entries()[**entry as usize].node.id)).count();
        4 * known < 3 * entries.len() || 4 * known < 3 * self.of.len()
    }

    /// The name of the group that each of `entries` is in. What came later joins the nearest.
    pub fn names_of(&self, table: &Table, entries: &[u32]) -> Vec<&str> {
        let name = |entry: &u32| {
            let known = self.of.get(&table.entries()[*entry as usize].node.id).copied();
            let group = known.or_else(|| self.groups.place(&[table.meaning(*entry)]).first().copied());
            group.and_then(|group| self.names.get(group)).map_or("other", String::as_str)
        };
        entries.iter().map(name).collect()
    }
}

impl Space {
    /// The groups of `folder`, which has `entries` right in it. Takes some tenths of a second where they have to be made.
    pub(super) fn grouping(&self, table: &Table, folder: &str, entries: &[u32]) -> Arc<Grouping> {
        let mut all = self.groupings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(folder).filter(|known| !known.is_worn(table, entries)) {
            return Arc::clone(known);
        }
        let made = Arc::new(Grouping::made(table, entries));
        all.insert(folder.to_owned(), Arc::clone(&made));
        made
    }
}
