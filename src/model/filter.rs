//! What a search is restricted to.

use super::document::DocumentKind;
use super::namespace::Namespace;
use crate::base::{DocumentId, SourceId, Timestamp};

/// A conjunction: a chunk passes when its document meets every part that is set. Within one list any value will do.
///
/// `namespace` is not optional: an engine cannot be asked without one.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// The wall.
    pub namespace: Namespace,
    /// Documents allowed; set by the flow that resolves path globs through the catalogue.
    pub documents: Option<Vec<DocumentId>>,
    /// Sources allowed.
    pub sources: Vec<SourceId>,
    /// Languages allowed.
    pub languages: Vec<String>,
    /// Kinds allowed.
    pub kinds: Vec<DocumentKind>,
    /// Tags, any of which must be there.
    pub tags: Vec<String>,
    /// Modified at or after.
    pub modified_from: Option<Timestamp>,
    /// Modified before.
    pub modified_until: Option<Timestamp>,
}

impl Filter {
    /// Everything in `namespace`.
    pub fn all(namespace: Namespace) -> Self {
        Self {
            namespace,
            documents: None,
            sources: Vec::new(),
            languages: Vec::new(),
            kinds: Vec::new(),
            tags: Vec::new(),
            modified_from: None,
            modified_until: None,
        }
    }
}
