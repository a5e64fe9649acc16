//! What a sync would do, without doing any of it.

use std::collections::HashMap;

use super::Engines;
use super::access::Grant;
use super::ingest::listing::{list, open};
use super::ingest::skipped::Known;
use super::ingest::version::{Version, trusted};
use super::ingest::{ProgressSink, Report, Request, is_spared};
use crate::base::SourceId;
use crate::base::error::Result;
use crate::engine::catalog::DocumentState;
use crate::engine::parse::media;

/// How much would be looked at and read, what is new, changed or gone. What only shows when a file is read is not in it.
///
/// # Errors
/// Those of the store and the catalogue.
pub async fn preview(engines: &Engines, grant: &Grant, request: &Request, progress: &ProgressSink) -> Result<Report> {
    let (store, uri) = open(engines, request).await?;
    let listing = list(engines, request, &store, &uri, progress).await?;
    let source = SourceId::derive(grant.namespace().as_str(), &uri);
    let stored = engines.catalog.source_documents(grant.namespace(), source).await?;
    let mut stored: HashMap<String, DocumentState> =
        stored.into_iter().map(|state| (state.uri.clone(), state)).collect();
    let recipes = engines.recipes(&request.tags);
    let mut report = Report { source: uri, files: listing.objects.len() as u64, ..Report::default() };
    let mut unreadable = Vec::new();
    for left in listing.left_out {
        unreadable.extend(left.failed.then(|| left.path.clone()));
        let issues = if left.failed { &mut report.failed } else { &mut report.skipped };
        issues.add(left.path, left.reason);
    }
    let mut skipped = Known::read(engines, grant.namespace(), source).await?;
    for object in listing.objects {
        let state = stored.remove(&object.uri);
        if let Some(skip) = media::skip_by_path(&object.path, object.bytes.max(1)) {
            report.skipped.add(object.path, skip.as_str().to_owned());
            continue;
        }
        if let Some(reason) = skipped.reason(&object, recipes.of(&object.path)).filter(|_| !request.verify) {
            report.skipped.add(object.path, reason);
            continue;
        }
        match state {
            Some(state) if !request.verify && trusted(&object, &Version::of(&state), recipes.of(&object.path)) => {
                report.outcome.unchanged += 1;
                continue;
            }
            Some(_) => report.outcome.updated += 1,
            None => report.outcome.added += 1,
        }
        report.bytes += object.bytes;
    }
    let narrowed = !request.options.include.is_empty() || !request.options.exclude.is_empty();
    // Globs don't order removal; what they hide may well be there.
    if !narrowed {
        let gone = stored.keys().filter(|uri| !is_spared(uri, &report.source, &unreadable));
        report.outcome.removed = gone.count() as u64;
    }
    Ok(report)
}
