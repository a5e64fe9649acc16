//! Tables of databases in the view of all data. What is ingested of a table is a description; the table itself is data that an
//! agent may want to list, locate and read, so it is registered beside the document.

use super::super::Engines;
use crate::base::error::Result;
use crate::model::{DataObject, Namespace, StoreKind};

/// Metadata by which a registration is known as made here: what somebody else says of a table is theirs to change.
const MADE_BY: (&str, &str) = ("registered_by", "ingest");

/// Registers what was read, except where somebody registered it before.
pub(super) async fn register(engines: &Engines, namespace: &Namespace, described: Vec<DataObject>) -> Result<()> {
    let mut ours = Vec::with_capacity(described.len());
    for mut object in described {
        if may_change(engines, namespace, &object.uri).await? {
            object.metadata.insert(MADE_BY.0.to_owned(), MADE_BY.1.to_owned());
            ours.push(object);
        }
    }
    if !ours.is_empty() {
        engines.inventory.register_objects(namespace, ours, engines.clock.now()).await?;
    }
    Ok(())
}

/// Takes out the tables among `uris`, which are gone from their databases.
pub(super) async fn unregister(engines: &Engines, namespace: &Namespace, uris: Vec<String>) -> Result<()> {
    let mut ours = Vec::new();
    for uri in uris.into_iter().filter(|uri| StoreKind::of_uri(uri) == StoreKind::Sql) {
        if may_change(engines, namespace, &uri).await? {
            ours.push(uri);
        }
    }
    if !ours.is_empty() {
        engines.inventory.unregister_objects(namespace, &ours).await?;
    }
    Ok(())
}

async fn may_change(engines: &Engines, namespace: &Namespace, uri: &str) -> Result<bool> {
    let known = engines.inventory.object(namespace, uri).await?;
    Ok(known.is_none_or(|known| known.object.metadata.get(MADE_BY.0).is_some_and(|by| by == MADE_BY.1)))
}
