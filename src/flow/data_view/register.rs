//! Registering data that need not be ingested, and taking it out again.
//!
//! An object that is described is also written as a small document, its card, so that an ordinary search finds it. The card
//! has an address of its own (`view:` and the object's), so it never stands in the place of the object's content.

use crate::base::DocumentId;
use crate::base::error::{Error, Result};
use crate::base::limits::{
    DATA_BATCH_MAX, DATA_DESCRIPTION_BYTES_MAX, DATA_LABEL_BYTES_MAX, DATA_METADATA_BYTES_MAX, DATA_SCHEMA_BYTES_MAX,
    PUT_BATCH_DOCUMENTS_MAX,
};
use crate::engine::catalog::Selector;
use crate::engine::catalog::registry::Registered;
use crate::flow::Engines;
use crate::flow::access::Grant;
use crate::flow::apply::Projector;
use crate::flow::put::{self, InputDocument, Put};
use crate::model::DataObject;
use crate::model::data::{CARD, card_uri, name_of};

use super::address;

/// Entries of a report that are named one by one.
const ISSUES_LISTED_MAX: usize = 100;

/// Objects that are taken out in one transaction.
const REMOVE_BATCH: usize = 5_000;

/// What came of a registration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// New ones.
    pub added: u64,
    /// Changed ones.
    pub updated: u64,
    /// Those that were there, the same.
    pub unchanged: u64,
    /// Those that can't be one.
    pub rejected: u64,
    /// Addresses of the first hundred of those, and why.
    pub issues: Vec<(String, String)>,
}

impl Report {
    /// Counts something that can't be registered.
    pub(super) fn reject(&mut self, uri: &str, why: &str) {
        self.rejected += 1;
        if self.issues.len() < ISSUES_LISTED_MAX {
            self.issues.push((shown(uri), why.to_owned()));
        }
    }
}

/// Registers one batch. What is wrong with one object is reported, and the rest is kept.
///
/// # Errors
/// Over a limit for a batch that is too long; those of the catalogue.
pub async fn register(
    engines: &Engines,
    projector: &Projector,
    grant: &Grant,
    objects: Vec<(String, Result<DataObject>)>,
    report: &mut Report,
) -> Result<()> {
    if objects.len() > DATA_BATCH_MAX {
        let message =
            format!("{} objects in one message, the limit is {DATA_BATCH_MAX}: send more messages", objects.len());
        return Err(Error::limit("objects", message));
    }
    let mut sound = Vec::with_capacity(objects.len());
    for (uri, object) in objects {
        match object.and_then(checked) {
            Ok(object) => sound.push(object),
            Err(error) => report.reject(&uri, error.message()),
        }
    }
    let now = engines.clock.now();
    engines.catalog.create_namespace(grant.namespace(), now).await?;
    let done = engines.inventory.register_objects(grant.namespace(), sound.clone(), now).await?;
    for became in done {
        match became {
            Registered::Added => report.added += 1,
            Registered::Updated => report.updated += 1,
            Registered::Unchanged => report.unchanged += 1,
        }
    }
    write_cards(engines, projector, grant, sound).await
}

/// An address in a report: one that holds a password is in it without.
fn shown(uri: &str) -> String {
    match uri.split_once("://") {
        Some((scheme, rest)) if rest.split('/').next().is_some_and(|authority| authority.contains('@')) => {
            let host = rest.split_once('@').map_or("", |(_, host)| host);
            format!("{scheme}://…@{host:.200}")
        }
        _ => format!("{uri:.200}"),
    }
}

fn checked(object: DataObject) -> Result<DataObject> {
    let mut object = DataObject { uri: address(&object.uri)?, ..object };
    if object.name.is_empty() {
        name_of(&object.uri).clone_into(&mut object.name);
    }
    let labels = [
        ("name", &object.name),
        ("owner", &object.owner),
        ("media_type", &object.media_type),
        ("credential", &object.credential),
    ];
    for (field, text) in labels {
        if text.len() > DATA_LABEL_BYTES_MAX || text.contains(char::is_control) {
            let message = format!("{field} is longer than {DATA_LABEL_BYTES_MAX} bytes or has control characters");
            return Err(Error::invalid(field, message));
        }
    }
    let over = |field: &'static str, bytes: usize, most: usize| {
        Error::limit(field, format!("{field} has {bytes} bytes, the limit is {most}"))
    };
    if object.description.len() > DATA_DESCRIPTION_BYTES_MAX {
        return Err(over("description", object.description.len(), DATA_DESCRIPTION_BYTES_MAX));
    }
    if object.schema.len() > DATA_SCHEMA_BYTES_MAX {
        return Err(over("schema", object.schema.len(), DATA_SCHEMA_BYTES_MAX));
    }
    let metadata = object.metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
    if metadata > DATA_METADATA_BYTES_MAX {
        return Err(over("metadata", metadata, DATA_METADATA_BYTES_MAX));
    }
    object.tags.sort();
    object.tags.dedup();
    put::check_tags(&object.tags)?;
    Ok(object)
}

/// Writes the cards of described objects, and takes away those of objects that are described no longer. Done for unchanged
/// ones too: a registration that broke off in the middle is made whole by the next one.
async fn write_cards(engines: &Engines, projector: &Projector, grant: &Grant, objects: Vec<DataObject>) -> Result<()> {
    let (described, plain): (Vec<_>, Vec<_>) = objects.into_iter().partition(DataObject::is_described);
    let plain: Vec<String> = plain.iter().map(|object| object.uri.clone()).collect();
    remove_cards(engines, projector, grant, &plain).await?;
    if described.is_empty() {
        return Ok(());
    }
    let (sink, _progress) = tokio::sync::mpsc::channel(1);
    let mut put = Put::begin(engines, projector, grant, CARD).await?;
    for batch in described.chunks(PUT_BATCH_DOCUMENTS_MAX) {
        put.add(batch.iter().map(card).collect(), &sink).await?;
    }
    put.acknowledge().await?;
    put.finish(false, &sink).await.map(|_| ())
}

/// What a search finds of an object that is not ingested: what it is, where it is, how to get it.
fn card(object: &DataObject) -> InputDocument {
    let mut text = format!("{}: {} at {}\n", object.name, object.kind.as_str(), object.uri);
    let mut line = |what: &str, value: &str| {
        if !value.is_empty() {
            text.push_str(&format!("{what}: {value}\n"));
        }
    };
    line("Description", &object.description);
    line("Schema", &object.schema);
    line("Owner", &object.owner);
    line("Tags", &object.tags.join(", "));
    line("Cost", object.cost.as_str());
    line("To get it", &format!("hivemem data locate {0}; to ingest it: hivemem data fetch {0}", object.uri));
    InputDocument {
        uri: card_uri(&object.uri),
        title: Some(object.name.clone()),
        content: text.into_bytes(),
        media_type: put::CARD_MEDIA_TYPE.to_owned(),
        tags: object.tags.clone(),
        metadata: [("data".to_owned(), object.uri.clone())].into(),
        ..InputDocument::default()
    }
}

async fn remove_cards(engines: &Engines, projector: &Projector, grant: &Grant, uris: &[String]) -> Result<()> {
    let cards: Vec<String> = uris.iter().map(|uri| card_uri(uri)).collect();
    let stored = engines.inventory.are_ingested(grant.namespace(), &cards).await?;
    if stored.is_empty() {
        return Ok(());
    }
    let ids = stored.iter().map(|card| DocumentId::derive(grant.namespace().as_str(), card)).collect();
    engines.catalog.remove(grant.namespace(), &Selector::Documents(ids)).await?;
    projector.wake();
    Ok(())
}

/// Takes out the objects with these addresses, and all at or below `prefix` if that is not empty; gives their number. What
/// was ingested of them stays.
///
/// # Errors
/// Invalid if nothing is named; NotFound for an unknown namespace; those of the catalogue.
pub async fn unregister(
    engines: &Engines,
    projector: &Projector,
    grant: &Grant,
    uris: &[String],
    prefix: &str,
) -> Result<u64> {
    if uris.is_empty() && prefix.is_empty() {
        return Err(Error::invalid("uris", "nothing is named: give uris or a prefix"));
    }
    let mut uris = uris.iter().map(|uri| address(uri)).collect::<Result<Vec<String>>>()?;
    let mut removed = 0;
    if !prefix.is_empty() {
        let prefix = if prefix.contains("://") && is_scheme(prefix) { prefix.to_owned() } else { address(prefix)? };
        let below = format!("{}/", prefix.trim_end_matches('/'));
        uris.push(prefix);
        loop {
            let gone = engines.inventory.unregister_below(grant.namespace(), &below, REMOVE_BATCH).await?;
            if gone.is_empty() {
                break;
            }
            removed += gone.len() as u64;
            remove_cards(engines, projector, grant, &gone).await?;
        }
    }
    for batch in uris.chunks(DATA_BATCH_MAX) {
        let gone = engines.inventory.unregister_objects(grant.namespace(), batch).await?;
        removed += gone.len() as u64;
        remove_cards(engines, projector, grant, &gone).await?;
    }
    Ok(removed)
}

/// Whether a prefix is a scheme and nothing more.
fn is_scheme(prefix: &str) -> bool {
    prefix.split_once("://").is_some_and(|(_, rest)| rest.is_empty())
}
