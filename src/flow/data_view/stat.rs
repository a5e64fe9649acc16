//! What is known of one object, and whether what was indexed of it still holds.

use std::sync::Arc;

use super::{Known, There, address, fetch, is_inline, look, unknown};
use crate::base::error::Result;
use crate::base::limits::DATA_DOCUMENTS_NAMED;
use crate::engine::catalog::inventory::Ingested;
use crate::engine::store::Stat;
use crate::flow::access::Grant;
use crate::flow::{Engines, freshness};
use crate::model::{DataObject, DataUse, Document, Freshness};

/// See the module's documentation.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What was registered, filled up with what the document and the store say.
    pub object: DataObject,
    /// Whether it was registered.
    pub registered: bool,
    /// The document with its content, if it was ingested.
    pub document: Option<Document>,
    /// What came from it.
    pub ingested: Ingested,
    /// `fresh`, `stale`, `gone` or `unknown`.
    pub freshness: &'static str,
    /// Why.
    pub reason: String,
    /// The version at the store, if it was looked at.
    pub version: Option<Stat>,
    /// Who used it lately.
    pub uses: Vec<DataUse>,
}

/// Looks an address up, and at the object itself unless `offline`.
///
/// # Errors
/// NotFound for an address that nobody ingested or registered; those of the catalogue. A store that fails is no error: the
/// answer says so.
pub async fn stat(engines: &Engines, grant: &Grant, uri: &str, offline: bool) -> Result<Answer> {
    let uri = address(uri)?;
    let namespace = grant.namespace();
    let known = Known::of(engines, grant, &uri).await?;
    let ingested = engines.inventory.ingested(namespace, &uri, DATA_DOCUMENTS_NAMED).await?;
    if known.is_nothing() && ingested.documents_total == 0 {
        return Err(unknown(&uri));
    }
    let uses = engines.inventory.uses(namespace, &uri).await?;
    let (freshness, reason, version) =
        if offline { ("unknown", "not looked at".to_owned(), None) } else { freshness(engines, &known, &uri).await? };
    let mut object = known.registration.as_ref().map_or_else(|| DataObject::at(&uri), |held| held.object.clone());
    if let (Some(held), Some(version)) = (&known.registration, &version)
        && !fetch::is_noted_version(held, version)
    {
        object.content = held.registered_content;
    }
    if let Some(document) = &known.document {
        object.bytes = object.bytes.or(Some(document.bytes));
        // Of what changed since, the hash is not known.
        object.content = object.content.or(Some(document.content).filter(|_| freshness != "stale"));
        object.modified_at = object.modified_at.or(document.modified_at);
        if object.media_type.is_empty() {
            object.media_type.clone_from(&document.media_type);
        }
    }
    if let Some(version) = &version {
        object.bytes = Some(version.bytes).filter(|bytes| *bytes > 0).or(object.bytes);
        object.modified_at = version.modified_at.or(object.modified_at);
    }
    let registered = known.registration.is_some();
    Ok(Answer { object, registered, document: known.document, ingested, freshness, reason, version, uses })
}

async fn freshness(engines: &Engines, known: &Known, uri: &str) -> Result<(&'static str, String, Option<Stat>)> {
    if is_inline(uri) {
        return Ok(("fresh", "the catalogue itself holds it".to_owned(), None));
    }
    let stat = match look(engines, known, uri).await {
        Ok(There::Object(stat)) => stat,
        Ok(There::Nothing) => return Ok(("gone", "the store has it no longer".to_owned(), None)),
        Ok(There::Holder) => {
            return Ok(("unknown", "it is there, and is not looked at as a whole: list it".to_owned(), None));
        }
        Ok(There::Untold) => {
            return Ok(("unknown", "only a listing of it all could tell whether it is there".to_owned(), None));
        }
        Err(error) => return Ok(("unknown", error.message().to_owned(), None)),
    };
    let Some(document) = &known.document else {
        return Ok(("unknown", "it is there, and was not ingested".to_owned(), Some(stat)));
    };
    let (verdict, why) = compare(document, &stat);
    if verdict == "unknown" && uri.starts_with("file://") {
        // Only the time differs; the bytes tell.
        let document = Arc::new(document.clone());
        let (id, verdicts) = (document.id, freshness::look(engines, vec![document]).await?);
        return Ok(match verdicts.get(&id) {
            Some(Freshness::Fresh) => ("fresh", "another time, the same content".to_owned(), Some(stat)),
            Some(Freshness::Stale) => ("stale", "another content".to_owned(), Some(stat)),
            _ => ("unknown", why.to_owned(), Some(stat)),
        });
    }
    Ok((verdict, why.to_owned(), Some(stat)))
}

/// What the look at a version says of what was indexed.
pub(super) fn compare(document: &Document, stat: &Stat) -> (&'static str, &'static str) {
    match (&document.mark, &stat.mark) {
        (Some(indexed), Some(now)) if indexed == now => return ("fresh", "the store gives it the same mark"),
        (Some(_), Some(_)) => return ("stale", "the store gives it another mark"),
        _ => {}
    }
    if stat.bytes > 0 && stat.bytes != document.bytes {
        return ("stale", "another size");
    }
    match (document.modified_at, stat.modified_at) {
        (Some(indexed), Some(now)) if indexed == now => ("fresh", "the same size and time"),
        (Some(_), Some(_)) => ("unknown", "the same size and another time: verify it by reading"),
        _ => ("unknown", "the store says neither mark nor time: verify it by reading"),
    }
}
