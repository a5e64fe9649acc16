//! Where a node stands in the tree of its run: `0`, `0.2`, `0.2.1`.

use std::fmt;

use crate::base::error::{Error, Result};
use crate::base::limits::{RUN_DEPTH_MAX, RUN_NODES_MAX};

/// The numbers of the ways down from the root, which is `0`. In the order of the tree: a parent comes before its children, these
/// by number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodePath(Vec<u32>);

impl NodePath {
    /// The one node that has no parent.
    pub fn root() -> Self {
        Self(vec![0])
    }

    /// Reads `0.2.1`.
    ///
    /// # Errors
    /// Invalid, naming the field `node`, for anything that [`fmt::Display`] would not write, and below another root than 0.
    pub fn parse(text: &str) -> Result<Self> {
        let steps: Option<Vec<u32>> = text.split('.').take(RUN_DEPTH_MAX + 1).map(step).collect();
        steps.and_then(Self::from_steps).ok_or_else(|| {
            Error::invalid(
                "node",
                format!(
                    "{text:.60?} is no place in a run: it begins with 0 and goes on with the number of a child, such as \
                     0.2.1, at most {RUN_DEPTH_MAX} deep"
                ),
            )
        })
    }

    /// The place at the end of these numbers; `None` if there can't be one.
    pub fn from_steps(steps: Vec<u32>) -> Option<Self> {
        let sound = steps.first() == Some(&0) && steps.len() <= RUN_DEPTH_MAX;
        let sound = sound && steps.iter().all(|step| u64::from(*step) < RUN_NODES_MAX);
        sound.then_some(Self(steps))
    }

    /// The numbers from the root down.
    pub fn steps(&self) -> &[u32] {
        &self.0
    }

    /// The node that this one is a child of; the root has none.
    pub fn parent(&self) -> Option<Self> {
        let (_, above) = self.0.split_last()?;
        (!above.is_empty()).then(|| Self(above.to_vec()))
    }

    /// Its number among the children of its parent.
    pub fn number(&self) -> u32 {
        self.0.last().copied().unwrap_or_default()
    }

    /// Its child of this number.
    #[must_use]
    pub fn child(&self, number: u32) -> Self {
        let mut steps = self.0.clone();
        steps.push(number);
        Self(steps)
    }

    /// The nodes from the root down to this one, itself included.
    pub fn line(&self) -> impl Iterator<Item = Self> {
        (1..=self.0.len()).map(|depth| Self(self.0[..depth].to_vec()))
    }

    /// Steps from the root.
    pub fn depth(&self) -> usize {
        self.0.len() - 1
    }
}

/// One number as it is written: no sign, no leading zero.
fn step(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

impl fmt::Display for NodePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            step.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_is_written_in_one_way_is_read() {
        let deep = vec!["0"; RUN_DEPTH_MAX + 1].join(".");
        for bad in ["", "1", "0.", ".0", "0.01", "0.-1", "0.+1", "00", "0.x", "0.4294967296", "0.100000", &deep] {
            let error = NodePath::parse(bad).unwrap_err();
            assert_eq!(error.field(), Some("node"), "{bad}");
        }
        let path = NodePath::parse("0.12.3").unwrap();
        assert_eq!((path.to_string().as_str(), path.number(), path.depth()), ("0.12.3", 3, 2));
        assert_eq!(path.parent().unwrap().to_string(), "0.12");
        assert_eq!(NodePath::root().parent(), None);
        let line: Vec<String> = path.line().map(|path| path.to_string()).collect();
        assert_eq!(line, ["0", "0.12", "0.12.3"]);
    }

    proptest! {
        #[test]
        fn every_place_is_read_back_and_stands_after_its_parent(steps in prop::collection::vec(0..99_999_u32, 0..20)) {
            let steps: Vec<u32> = std::iter::once(0).chain(steps).collect();
            let path = NodePath::from_steps(steps).unwrap();
            prop_assert_eq!(&NodePath::parse(&path.to_string()).unwrap(), &path);
            if let Some(parent) = path.parent() {
                prop_assert!(parent < path && parent.child(path.number()) == path);
            }
        }
    }
}
