//! Registering what a folder, prefix, bucket, repository or database holds, object by object, from a listing and without
//! reading any of it.
//!
//! Each object carries what it was listed under. So listing that again takes out what is gone, and nothing that somebody
//! registered by hand.

use std::collections::HashSet;
use std::sync::Arc;

use super::register::{self, Report};
use super::{address, store_of};
use crate::base::error::{Error, Result};
use crate::base::limits::DATA_BATCH_MAX;
use crate::engine::store::{ListOptions, Listing, Object};
use crate::flow::Engines;
use crate::flow::access::Grant;
use crate::flow::apply::Projector;
use crate::model::{DataFilter, DataKind, DataObject, StoreKind};

/// Metadata of an object that was listed: the address of what it was listed under.
const LISTED_UNDER: &str = "listed_under";

/// Registers what each of `holders` holds, as theirs: with their owner, tags, cost and credential. One that can't be listed is
/// reported, and the rest goes on.
///
/// # Errors
/// Those of the catalogue.
pub async fn register(
    engines: &Engines,
    projector: &Projector,
    grant: &Grant,
    holders: &[DataObject],
    report: &mut Report,
) -> Result<()> {
    for holder in holders {
        match listed(engines, holder).await {
            Ok((source, listing)) => {
                let under = Under { engines, projector, grant, holder, source: &source };
                under.register(listing, report).await?;
            }
            Err(error) => report.reject(&holder.uri, error.message()),
        }
    }
    Ok(())
}

/// The canonical address of a holder, and what it holds now.
async fn listed(engines: &Engines, holder: &DataObject) -> Result<(String, Listing)> {
    let uri = address(&holder.uri)?;
    if StoreKind::of_uri(&uri) == StoreKind::Http {
        let message = "a site has no listing: ingest it, or register its pages one by one";
        return Err(Error::invalid("contents", message));
    }
    let credential = Some(holder.credential.as_str()).filter(|name| !name.is_empty());
    let store = store_of(engines, &uri, credential).await?;
    let list = move || {
        let source = store.resolve(&uri)?;
        let listing = store.list(&source, &ListOptions::default())?;
        Ok((source, listing))
    };
    engines.far.run(list).await
}

/// One holder that was listed.
struct Under<'a> {
    engines: &'a Engines,
    projector: &'a Projector,
    grant: &'a Grant,
    holder: &'a DataObject,
    source: &'a str,
}

impl Under<'_> {
    async fn register(&self, listing: Listing, report: &mut Report) -> Result<()> {
        let Listing { mut objects, left_out, .. } = listing;
        // A single object is listed as what it holds; it was registered as what it was said to be.
        objects.retain(|object| object.uri != self.source && object.uri != self.holder.uri);
        let there: HashSet<Arc<str>> = objects.iter().map(|object| object.uri.as_str().into()).collect();
        let mut objects = objects.into_iter().map(|object| self.described(object)).peekable();
        while objects.peek().is_some() {
            let batch = objects.by_ref().take(DATA_BATCH_MAX).map(|object| (object.uri.clone(), Ok(object))).collect();
            register::register(self.engines, self.projector, self.grant, batch, report).await?;
        }
        // What could not be looked at may be there still.
        let unseen: Vec<_> = left_out.into_iter().filter(|left| left.failed).collect();
        for left in &unseen {
            report.reject(&format!("{} {}", self.source, left.path), &left.reason);
        }
        if unseen.is_empty() { self.take_out(&there).await } else { Ok(()) }
    }

    fn described(&self, object: Object) -> DataObject {
        let table = StoreKind::of_uri(&object.uri) == StoreKind::Sql;
        DataObject {
            kind: if table { DataKind::Table } else { DataKind::Object },
            owner: self.holder.owner.clone(),
            tags: self.holder.tags.clone(),
            cost: self.holder.cost,
            credential: self.holder.credential.clone(),
            bytes: Some(object.bytes).filter(|bytes| *bytes > 0),
            modified_at: object.modified_at,
            metadata: [(LISTED_UNDER.to_owned(), self.source.to_owned())].into(),
            ..DataObject::at(&object.uri)
        }
    }

    /// Takes out what was listed here before and is not `there` now.
    async fn take_out(&self, there: &HashSet<Arc<str>>) -> Result<()> {
        let (inventory, namespace) = (&self.engines.inventory, self.grant.namespace());
        let mut after: Option<String> = None;
        loop {
            let any = DataFilter::default();
            let page = inventory.list_data(namespace, self.source, &any, after.as_deref(), DATA_BATCH_MAX).await?;
            let mut gone = Vec::new();
            for entry in page.entries.iter().filter(|entry| entry.registered && !there.contains(entry.uri.as_str())) {
                let held = inventory.object(namespace, &entry.uri).await?;
                let here = |object: &DataObject| object.metadata.get(LISTED_UNDER).is_some_and(|at| at == self.source);
                gone.extend(held.filter(|held| here(&held.object)).map(|held| held.object.uri));
            }
            if !gone.is_empty() {
                register::unregister(self.engines, self.projector, self.grant, &gone, "").await?;
            }
            after = page.after;
            if after.is_none() {
                return Ok(());
            }
        }
    }
}
