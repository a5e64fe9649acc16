//! The operation log that projections follow.

use super::document::named_enum;
use super::namespace::Namespace;
use crate::base::{DocumentId, Lsn};

named_enum!(
    /// What happened to a document.
    Operation {
        /// A version was written; its chunks replace all earlier ones.
        Put = "put",
        /// It was removed.
        Delete = "delete",
    }
);

/// One entry: which document changed. What it holds now is read from the catalogue, so applying an entry twice, or an
/// old entry after a newer one, ends in the same state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Position.
    pub lsn: Lsn,
    /// Whose.
    pub namespace: Namespace,
    /// Which document.
    pub document: DocumentId,
    /// What happened.
    pub operation: Operation,
}
