//! Objects that were read before and left out: what lies in a bucket beside its documents is not fetched with every sync.

use std::collections::HashMap;

use super::super::Engines;
use super::version::{Version, trusted};
use crate::base::SourceId;
use crate::base::error::Result;
use crate::engine::catalog::{DocumentState, Skipped};
use crate::engine::store::Object;
use crate::model::Namespace;

/// What is known of a source's skipped objects, during one sync.
pub(in crate::flow) struct Known<'a> {
    engines: &'a Engines,
    namespace: &'a Namespace,
    source: SourceId,
    by_uri: HashMap<String, Skipped>,
}

impl<'a> Known<'a> {
    /// Reads it.
    pub(in crate::flow) async fn read(
        engines: &'a Engines,
        namespace: &'a Namespace,
        source: SourceId,
    ) -> Result<Self> {
        let known = engines.catalog.skipped(namespace, source).await?;
        let by_uri = known.into_iter().map(|skipped| (skipped.uri.clone(), skipped)).collect();
        Ok(Self { engines, namespace, source, by_uri })
    }

    /// Why this version of an object is skipped, if that is known. Asked once for each; what was not asked for or changed are the
    /// others.
    pub(in crate::flow) fn reason(&mut self, object: &Object, recipe: &str) -> Option<String> {
        let known = self.by_uri.get(&object.uri)?;
        trusted(object, &Version::of_skipped(known), recipe)
            .then(|| self.by_uri.remove(&object.uri))
            .flatten()
            .map(|known| known.reason)
    }

    /// Takes back what was noted of the others: they changed or are gone. Where only a part of the source was listed, of those
    /// in `among`.
    pub(super) async fn forget_others(self, among: Option<&Vec<(Object, Option<DocumentState>)>>) -> Result<()> {
        let over: Vec<String> = match among {
            None => self.by_uri.into_keys().collect(),
            Some(looked_at) => {
                let uris = looked_at.iter().map(|(object, _)| &object.uri);
                uris.filter(|uri| self.by_uri.contains_key(*uri)).cloned().collect()
            }
        };
        if over.is_empty() {
            return Ok(());
        }
        self.engines.catalog.note_skipped(self.namespace, self.source, &[], &over).await
    }
}
