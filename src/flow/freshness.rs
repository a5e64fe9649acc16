//! Whether a source still holds what was indexed, and reading it again where it does not.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::Engines;
use super::access::Grant;
use super::apply::Projector;
use super::ingest;
use super::recall::Mode;
use crate::base::error::{Error, Kind, Result};
use crate::base::{ContentHash, DocumentId, SourceId};
use crate::engine::parse::formats;
use crate::engine::store::{Object, Stat, Store};
use crate::model::{Document, Freshness};

/// Beginnings of addresses that lie on this machine: a look costs little there. What is elsewhere is not asked for each hit.
const NEAR: [&str; 3] = ["file://", "git+file://", "sqlite:"];

/// Looks at the source of each document: the store's mark, or size and time, and the bytes only where the time changed and the size
/// did not.
///
/// # Errors
/// Internal if the look could not be taken; a source that can't be looked at is [`Freshness::Unknown`].
pub async fn look(engines: &Engines, documents: Vec<Arc<Document>>) -> Result<HashMap<DocumentId, Freshness>> {
    if documents.is_empty() {
        return Ok(HashMap::new());
    }
    let store = &*engines.store;
    let looked = engines.door.run_here(|| {
        let mut verdicts = HashMap::new();
        for document in documents {
            verdicts.entry(document.id).or_insert_with(|| verdict(store, &document));
        }
        Ok(verdicts)
    });
    looked.await.map_err(|error| match error.kind() {
        Kind::Internal => error,
        _ => Error::internal("cannot look at sources").caused_by(error),
    })
}

fn verdict(store: &dyn Store, document: &Document) -> Freshness {
    if !NEAR.iter().any(|beginning| document.uri.starts_with(beginning)) {
        return Freshness::Unknown;
    }
    match store.stat(&document.uri) {
        Ok(Some(Stat { mark: Some(now), .. })) if document.mark.is_some() => {
            if document.mark == Some(now) {
                Freshness::Fresh
            } else {
                Freshness::Stale
            }
        }
        Ok(Some(stat)) if stat.bytes == document.bytes && stat.modified_at == document.modified_at => Freshness::Fresh,
        // Copies, checkouts and editors change the time of a file without changing the file.
        Ok(Some(Stat { bytes, modified_at, mark })) if bytes == document.bytes => {
            let (uri, path) = (document.uri.clone(), document.path.clone());
            let bytes_max = formats::bytes_max(&path);
            match store.read(&Object { path, uri, bytes, modified_at, mark }, bytes_max) {
                Ok(content) if ContentHash::of(&content) == document.content => Freshness::Fresh,
                Ok(_) => Freshness::Stale,
                Err(_) => Freshness::Unknown,
            }
        }
        Ok(_) => Freshness::Stale,
        Err(_) => Freshness::Unknown,
    }
}

/// Syncs `documents` with their sources and waits until searches of `mode` see what they hold now. What is of a source that can't
/// be read, as where its folder is gone, stays stale.
///
/// # Errors
/// Those of the catalogue; unavailable if an index can't follow.
pub async fn refresh(
    engines: &Engines,
    projector: &Projector,
    grant: &Grant,
    documents: &[Arc<Document>],
    mode: Mode,
) -> Result<()> {
    let sources = engines.catalog.sources(grant.namespace()).await?;
    // Labels are given by the sync, so what shares a source and its labels is synced together.
    let mut groups: BTreeMap<(SourceId, Vec<String>), BTreeSet<String>> = BTreeMap::new();
    for document in documents {
        groups.entry((document.source, document.tags.clone())).or_default().insert(document.uri.clone());
    }
    for ((source, tags), uris) in groups {
        let Some(source) = sources.iter().find(|known| known.id == source) else { continue };
        let request = ingest::Request {
            source: source.uri.clone(),
            tags,
            no_wait: true,
            at: Some(uris),
            ..ingest::Request::default()
        };
        let (sink, _progress) = tokio::sync::mpsc::channel(1);
        let report = match ingest::ingest(engines, projector, grant, &request, &sink).await {
            Ok(report) => report,
            Err(error) => {
                tracing::warn!(source = source.uri, error = %error.chain(), "what changed there can't be read again");
                continue;
            }
        };
        if mode != Mode::Lexical {
            projector.wait_vector(report.outcome.lsn).await?;
        }
    }
    Ok(())
}
