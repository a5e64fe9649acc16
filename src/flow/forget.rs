//! Removal: one logged operation, followed by every projection; what is gone from the catalogue can't be returned even
//! before they caught up. By hand, and by itself when a time to live ends.

use std::sync::Arc;
use std::time::Duration;

use super::Engines;
use super::access::Grant;
use super::apply::Projector;
use super::recall::{self, FilterRequest};
use crate::base::error::{Error, Result};
use crate::base::limits::{FORGET_WAIT_MAX, REPLIES_KEPT};
use crate::base::{DocumentId, Lsn, Timestamp};
use crate::engine::catalog::Selector;

/// How often expired memories and old replies are looked for. What expired is no answer from then on anyway.
const SWEEP_EVERY: Duration = Duration::from_secs(20);

/// What is to be removed, as a caller says it.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// The document with this address.
    Uri(String),
    /// Every document whose address begins with this.
    UriPrefix(String),
    /// Everything of a source, by address or path.
    Source(String),
    /// One document by id.
    Document(DocumentId),
    /// Every document with this tag.
    Tag(String),
    /// Every document that passes.
    Filter(FilterRequest),
}

/// What was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    /// Addresses of the removed documents.
    pub uris: Vec<String>,
    /// Position of the removal.
    pub lsn: Lsn,
    /// Projections that had not followed yet after [`FORGET_WAIT_MAX`].
    pub pending: Vec<&'static str>,
}

/// Removes what `request` names. Removing nothing is not an error.
///
/// # Errors
/// Invalid for an empty prefix or filter; not found for a source that nothing was ingested from; those of a filter and of the
/// catalogue.
pub async fn forget(engines: &Engines, projector: &Projector, grant: &Grant, request: Request) -> Result<Forgotten> {
    let selector = selector(engines, grant, request).await?;
    let (outcome, uris) = engines.catalog.remove(grant.namespace(), &selector).await?;
    let mut forgotten = Forgotten { uris, lsn: outcome.lsn, pending: Vec::new() };
    if outcome.removed > 0 {
        projector.wake();
        // It is gone from the answers already; an index that cannot follow now does so later.
        let (words, vectors, graphs) = tokio::join!(
            tokio::time::timeout(FORGET_WAIT_MAX, projector.wait_lexical(outcome.lsn)),
            tokio::time::timeout(FORGET_WAIT_MAX, projector.wait_vector(outcome.lsn)),
            tokio::time::timeout(FORGET_WAIT_MAX, engines.graphs.follow(engines)),
        );
        let graphs = graphs.map(|followed| followed.map(|_| ()));
        for (projection, followed) in [("lexical", words), ("vector", vectors), ("graph", graphs)] {
            if !matches!(followed, Ok(Ok(()))) {
                forgotten.pending.push(projection);
            }
        }
    }
    Ok(forgotten)
}

async fn selector(engines: &Engines, grant: &Grant, request: Request) -> Result<Selector> {
    Ok(match request {
        Request::Uri(uri) => Selector::Uri(uri),
        Request::UriPrefix(prefix) if prefix.is_empty() => {
            return Err(Error::invalid(
                "uri_prefix",
                "an empty prefix would select everything: give at least a scheme",
            ));
        }
        Request::UriPrefix(prefix) => Selector::UriPrefix(prefix),
        Request::Tag(tag) => Selector::Tag(tag),
        Request::Document(id) => Selector::Documents(vec![id]),
        Request::Source(source) => {
            let known = engines.catalog.sources(grant.namespace()).await?;
            Selector::Source(recall::known_source(engines, &known, &source).await?)
        }
        Request::Filter(filter) if filter == FilterRequest::default() => {
            return Err(Error::invalid(
                "filter",
                "an empty filter would select everything: set at least one part of it",
            ));
        }
        Request::Filter(filter) => {
            recall::require_namespace(engines, grant).await?;
            Selector::Filter(Box::new(recall::resolve_filter(engines, grant, &filter).await?))
        }
    })
}

/// Removes what expired, and replies that are kept no longer, until the server stops.
pub async fn sweep_forever(engines: Engines, projector: Arc<Projector>) {
    loop {
        if let Err(error) = sweep(&engines, &projector).await {
            tracing::warn!(error = %error.chain(), "expired memories could not be removed; tried again soon");
        }
        tokio::select! {
            () = tokio::time::sleep(SWEEP_EVERY) => {}
            () = projector.stopped() => return,
        }
    }
}

/// Removes what expired by now, in every namespace; gives the number of documents.
///
/// # Errors
/// Those of the catalogue.
pub async fn sweep(engines: &Engines, projector: &Projector) -> Result<u64> {
    let now = engines.clock.now();
    let mut removed = 0;
    for namespace in engines.catalog.namespaces().await? {
        removed += engines.catalog.remove(&namespace, &Selector::ExpiredBy(now)).await?.0.removed;
    }
    if removed > 0 {
        projector.wake();
        tracing::info!(removed, "removed what had expired");
    }
    engines.catalog.drop_replies(Timestamp(now.0 - REPLIES_KEPT.as_micros() as i64)).await?;
    Ok(removed)
}
