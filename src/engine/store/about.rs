//! What a store knows of its objects beside their bytes: what the place says of them, and which of them belong together.

use std::collections::BTreeMap;

use crate::model::DataObject;

/// What a store says of an object that was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct About {
    /// Its title there, if that is not in its bytes.
    pub title: Option<String>,
    /// Labels that it has there.
    pub tags: Vec<String>,
    /// What else is known: commit, author, state.
    pub metadata: BTreeMap<String, String>,
    /// The data that it describes, where its own text is not that data: a table, of which only columns and a few rows are read.
    pub describes: Option<Box<DataObject>>,
}

/// An object that changes together with another.
#[derive(Debug, Clone, PartialEq)]
pub struct Partner {
    /// Its path within the source.
    pub path: String,
    /// How much of what changes one changes the other, 0 to 1.
    pub weight: f32,
    /// How often both were changed at once.
    pub commits: u32,
}

/// Which objects of a source change together, by path within it; the nearest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Partners {
    /// Partners of each path that has some.
    pub by_path: BTreeMap<String, Vec<Partner>>,
}

impl Partners {
    /// Those of the objects below a folder, named from there.
    #[must_use]
    pub fn below(&self, folder: &str) -> Self {
        if folder.is_empty() {
            return self.clone();
        }
        let inner = |path: &str| Some(path.strip_prefix(folder)?.strip_prefix('/')?.to_owned());
        let named = |partner: &Partner| Some(Partner { path: inner(&partner.path)?, ..partner.clone() });
        let of = |(path, partners): (&String, &Vec<Partner>)| {
            Some((inner(path)?, partners.iter().filter_map(named).collect()))
        };
        Self { by_path: self.by_path.iter().filter_map(of).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_sees_its_own() {
        let partner = |path: &str| Partner { path: path.to_owned(), weight: 0.5, commits: 2 };
        let all = Partners {
            by_path: BTreeMap::from([
                ("docs/a.md".to_owned(), vec![partner("docs/b.md"), partner("src/c.rs")]),
                ("docsy/x.md".to_owned(), vec![partner("docs/a.md")]),
            ]),
        };
        let below = all.below("docs");
        assert_eq!(below.by_path, BTreeMap::from([("a.md".to_owned(), vec![partner("b.md")])]));
        assert_eq!(all.below(""), all);
    }
}
