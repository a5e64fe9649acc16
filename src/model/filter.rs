//! What a search is restricted to.

use super::document::{Document, DocumentKind};
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
    /// Whether `document`, which is of the namespace, meets every part.
    pub fn admits(&self, document: &Document) -> bool {
        let any = |empty: bool, found: bool| empty || found;
        let from = self.modified_from.is_none_or(|from| document.modified_at.is_some_and(|at| at >= from));
        let until = self.modified_until.is_none_or(|until| document.modified_at.is_some_and(|at| at < until));
        let language = document.language.as_ref().is_some_and(|language| self.languages.contains(language));
        self.documents.as_ref().is_none_or(|ids| ids.contains(&document.id))
            && any(self.sources.is_empty(), self.sources.contains(&document.source))
            && any(self.languages.is_empty(), language)
            && any(self.kinds.is_empty(), self.kinds.contains(&document.kind))
            && any(self.tags.is_empty(), document.tags.iter().any(|tag| self.tags.contains(tag)))
            && from
            && until
    }

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
