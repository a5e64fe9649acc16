//! Which files of a source change together, stated by the documents that are written. A document whose bytes stay keeps what it
//! stated: its partners are looked at again when it is read the next time.

use std::sync::Arc;

use super::super::Engines;
use crate::engine::store::{Partners, Store};
use crate::model::{DocumentWrite, Reference};

/// The partners of all files. A history that can't be read is no reason not to read the files.
pub(super) async fn partners(engines: &Engines, store: &Arc<dyn Store>, source: &str) -> Option<Partners> {
    let (store, uri) = (Arc::clone(store), source.to_owned());
    let found = engines.background.run(move || store.partners(&uri)).await;
    found.unwrap_or_else(|error| {
        tracing::debug!(%source, error = %error.chain(), "the history of a source can't be read");
        None
    })
}

/// Lets a document state its partners.
pub(super) fn state(write: &mut DocumentWrite, partners: Option<&Partners>) {
    let own = partners.and_then(|partners| partners.by_path.get(&write.document.path));
    let stated = own.into_iter().flatten();
    let stated = stated.map(|other| Reference::changes_with(other.path.clone(), other.weight, other.commits));
    write.facts.references.extend(stated);
}
