//! Every name once: nodes and references hold numbers.

use std::hash::BuildHasher;

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

/// Number of a name; 0 is the empty one.
pub(super) type NameId = u32;

/// The empty name.
pub(super) const NONE: NameId = 0;

/// All names, one behind the other: there are hundreds of thousands of a few bytes each, and memory of its own would take a name more
/// than its text. One that is used no longer stays until the graph is loaded anew: names come back, and numbers stay small.
#[derive(Debug)]
pub(super) struct Names {
    text: String,
    /// Where each name ends in `text`, which is where the next one begins.
    ends: Vec<u32>,
    numbers: HashTable<NameId>,
}

impl Default for Names {
    fn default() -> Self {
        let mut names = Self { text: String::new(), ends: Vec::new(), numbers: HashTable::new() };
        names.intern("");
        names
    }
}

fn hash(name: &str) -> u64 {
    FxBuildHasher.hash_one(name)
}

fn text<'a>(all: &'a str, ends: &[u32], id: NameId) -> &'a str {
    let at = id as usize;
    let start = at.checked_sub(1).and_then(|before| ends.get(before)).map_or(0, |end| *end as usize);
    ends.get(at).and_then(|end| all.get(start..*end as usize)).unwrap_or_default()
}

impl Names {
    /// The number of `name`, which is new if need be. Beyond 4 GiB of names no new one is told from the empty one.
    pub fn intern(&mut self, name: &str) -> NameId {
        if let Some(known) = self.find(name) {
            return known;
        }
        let next = u32::try_from(self.ends.len()).ok().zip(u32::try_from(self.text.len() + name.len()).ok());
        let Some((id, end)) = next else { return NONE };
        self.text.push_str(name);
        self.ends.push(end);
        let (all, ends) = (&self.text, &self.ends);
        self.numbers.insert_unique(hash(name), id, |id| hash(text(all, ends, *id)));
        id
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The number of `name` if anything ever had it.
    pub fn find(&self, name: &str) -> Option<NameId> {
        self.numbers.find(hash(name), |id| self.text(*id) == name).copied()
    }

    /// The name.
    pub fn text(&self, id: NameId) -> &str {
        text(&self.text, &self.ends, id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_number_and_keeps_it() {
        let mut names = Names::default();
        assert_eq!((names.find(""), names.text(NONE), names.find("a")), (Some(NONE), "", None));
        let given: Vec<String> = (0..5_000).map(|number| format!("näme{}", number * 7)).collect();
        let numbers: Vec<NameId> = given.iter().map(|name| names.intern(name)).collect();
        assert!(numbers.iter().copied().eq(1..=5_000));
        for (name, number) in given.iter().zip(numbers) {
            assert_eq!(
                (names.intern(name), names.find(name), names.text(number)),
                (number, Some(number), name.as_str())
            );
        }
        assert_eq!((names.len(), names.text(5_001), names.find("näme")), (5_001, "", None));
    }
}
