//! Every name once: nodes and references hold numbers.

use indexmap::IndexSet;

/// Number of a name; 0 is the empty one.
pub(super) type NameId = u32;

/// The empty name.
pub(super) const NONE: NameId = 0;

/// All names. One that is used no longer stays until the graph is loaded anew: names come back, and numbers stay small.
#[derive(Debug)]
pub(super) struct Names(IndexSet<Box<str>, rustc_hash::FxBuildHasher>);

impl Default for Names {
    fn default() -> Self {
        let mut names = IndexSet::default();
        names.insert("".into());
        Self(names)
    }
}

impl Names {
    /// The number of `name`, which is new if need be.
    pub fn intern(&mut self, name: &str) -> NameId {
        if let Some(known) = self.0.get_index_of(name) {
            return known as NameId;
        }
        self.0.insert_full(name.into()).0 as NameId
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The number of `name` if anything ever had it.
    pub fn find(&self, name: &str) -> Option<NameId> {
        self.0.get_index_of(name).map(|index| index as NameId)
    }

    /// The name.
    pub fn text(&self, id: NameId) -> &str {
        self.0.get_index(id as usize).map_or("", |name| name)
    }
}
