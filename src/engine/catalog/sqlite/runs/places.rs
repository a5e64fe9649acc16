//! Places in a tree as bytes that sort like it: each number as the count of its bytes and these, big-endian. A node comes right
//! before what is below it, and what is below it begins with its bytes.

use super::super::fault::unreadable;
use crate::base::error::Result;
use crate::model::run::NodePath;

/// The bytes of a place; none for no place.
pub(super) fn encode(path: Option<&NodePath>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for step in path.map(NodePath::steps).unwrap_or_default() {
        let number = step.to_be_bytes();
        let zeros = step.leading_zeros() as usize / 8;
        bytes.push((number.len() - zeros) as u8);
        bytes.extend_from_slice(&number[zeros..]);
    }
    bytes
}

/// The inverse of [`encode`].
pub(super) fn decode(bytes: &[u8]) -> Result<Option<NodePath>> {
    let broken = || unreadable("the place of a node");
    let (mut steps, mut rest) = (Vec::new(), bytes);
    while let Some((count, after)) = rest.split_first() {
        let (number, after) = after.split_at_checked(usize::from(*count)).ok_or_else(broken)?;
        let mut step = [0; 4];
        let at = step.len().checked_sub(number.len()).ok_or_else(broken)?;
        step[at..].copy_from_slice(number);
        steps.push(u32::from_be_bytes(step));
        rest = after;
    }
    if steps.is_empty() {
        return Ok(None);
    }
    NodePath::from_steps(steps).map(Some).ok_or_else(broken)
}

/// [`decode`] where there has to be a place.
pub(super) fn place(bytes: &[u8]) -> Result<NodePath> {
    decode(bytes)?.ok_or_else(|| unreadable("the place of a node"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn paths() -> impl Strategy<Value = NodePath> {
        let step = prop_oneof![Just(0), 0..3_u32, 250..260_u32, 65_530..65_540_u32, 0..99_999_u32];
        prop::collection::vec(step, 0..6)
            .prop_map(|steps| NodePath::from_steps(std::iter::once(0).chain(steps).collect()).unwrap())
    }

    proptest! {
        #[test]
        fn bytes_are_read_back_and_sort_like_places(a in paths(), b in paths()) {
            let (x, y) = (encode(Some(&a)), encode(Some(&b)));
            prop_assert_eq!(place(&x).unwrap(), a.clone());
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        }
    }

    #[test]
    fn what_is_no_place_is_not_read() {
        assert_eq!(decode(&encode(None)).unwrap(), None);
        for broken in [&[1][..], &[5, 1, 1, 1, 1, 1], &[0, 2, 1], &[1, 1]] {
            assert!(decode(broken).is_err(), "{broken:?}");
        }
    }
}
