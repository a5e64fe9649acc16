//! Whether an object is still the version that was looked at before, without reading it.

use crate::base::Timestamp;
use crate::engine::catalog::{DocumentState, Skipped};
use crate::engine::store::Object;

/// A file whose time is this close to the time it was indexed at may have changed since without its time showing it
/// (file systems keep times by the tick, editors write twice); it is hashed instead of trusted.
const RACY_MICROS: i64 = 2_000_000;

/// A version of an object that was looked at before.
pub(in crate::flow) struct Version<'a> {
    bytes: u64,
    modified_at: Option<Timestamp>,
    mark: &'a Option<String>,
    looked_at: Timestamp,
    recipe: &'a str,
}

impl<'a> Version<'a> {
    /// The one that is stored.
    pub(in crate::flow) fn of(state: &'a DocumentState) -> Self {
        let DocumentState { bytes, modified_at, mark, indexed_at, recipe, .. } = state;
        Self { bytes: *bytes, modified_at: *modified_at, mark, looked_at: *indexed_at, recipe }
    }

    /// The one that was left out.
    pub(in crate::flow) fn of_skipped(skipped: &'a Skipped) -> Self {
        let Skipped { bytes, modified_at, mark, looked_at, recipe, .. } = skipped;
        Self { bytes: *bytes, modified_at: *modified_at, mark, looked_at: *looked_at, recipe }
    }
}

/// Whether the store's mark, or size and time where it has none, say that this version is still the object's content.
pub(in crate::flow) fn trusted(object: &Object, version: &Version<'_>, recipe: &str) -> bool {
    if object.mark.is_some() {
        return version.recipe == recipe && *version.mark == object.mark;
    }
    let Some(modified_at) = object.modified_at else { return false };
    version.recipe == recipe
        && version.bytes == object.bytes
        && version.modified_at == Some(modified_at)
        && version.looked_at.0 - modified_at.0 > RACY_MICROS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{ContentHash, DocumentId};

    #[test]
    fn a_mark_is_trusted_before_size_and_time() {
        let state = DocumentState {
            id: DocumentId::from_u128(1),
            uri: "s3://b/k".to_owned(),
            bytes: 1,
            modified_at: None,
            mark: Some("a".to_owned()),
            indexed_at: Timestamp(0),
            content: ContentHash::of(b"x"),
            recipe: "r".to_owned(),
        };
        let object = |mark: &str| Object { mark: Some(mark.to_owned()), bytes: 9, ..Object::default() };
        let known = Version::of(&state);
        assert!(trusted(&object("a"), &known, "r") && !trusted(&object("b"), &known, "r"));
        assert!(!trusted(&object("a"), &known, "another recipe"));
        assert!(!trusted(&object("a"), &Version { mark: &None, ..Version::of(&state) }, "r"));
        assert!(!trusted(&Object { bytes: 1, ..Object::default() }, &known, "r"), "no mark and no time is no evidence");
    }
}
