//! What a sync would do, without doing any of it.

use std::collections::HashMap;

use super::Engines;
use super::access::Grant;
use super::ingest::skipped::Known;
use super::ingest::version::{Version, trusted};
use super::ingest::{ProgressSink, Report, Request, is_spared, list, open};
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;
    use crate::base::error::{Error, Kind};
    use crate::engine::store::stores::Stores;
    use crate::engine::store::{ListOptions, Listing, Object, Stat, Store};
    use crate::flow::testing::{Tree, engines};

    /// Pages that show repositories, which are shown to who has a credential.
    struct Forge {
        is_web: bool,
        named: bool,
    }

    impl Store for Forge {
        fn meant(&self, address: &str) -> Result<String> {
            Ok(address.replace("https://forge/", "repo://"))
        }
        fn resolve(&self, address: &str) -> Result<String> {
            if self.named { Ok(address.to_owned()) } else { Err(Error::new(Kind::Denied, "it asks for a login")) }
        }
        fn list(&self, _: &str, _: &ListOptions) -> Result<Listing> {
            Ok(Listing::default())
        }
        fn list_at(&self, _: &str, _: &ListOptions, _: &BTreeSet<String>) -> Result<Listing> {
            Ok(Listing::default())
        }
        fn read(&self, object: &Object, _: u64) -> Result<Vec<u8>> {
            Err(Error::not_found(&object.uri))
        }
        fn stat(&self, _: &str) -> Result<Option<Stat>> {
            Ok(None)
        }
        fn under(&self, _: &str, credential: &str) -> Result<Arc<dyn Store>> {
            if self.is_web {
                return Err(Error::invalid("credential", format!("there is no http credential {credential:?}")));
            }
            Ok(Arc::new(Self { named: true, ..*self }))
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_page_that_shows_a_repository_is_opened_with_the_credential_of_the_repository() {
        let store = |is_web| Arc::new(Forge { is_web, named: false });
        let stores = Stores::new(Arc::new(Tree::default()));
        let stores = stores.with(&["https://"], store(true)).with(&["repo://"], store(false));
        let engines = Engines { store: Arc::new(stores), ..engines().await };
        let source = "https://forge/o/r".to_owned();
        let mut request = Request { source, credential: Some("corp".to_owned()), ..Request::default() };
        assert_eq!(open(&engines, &request).await.map(|(_, uri)| uri).unwrap(), "repo://o/r");
        request.credential = None;
        assert_eq!(open(&engines, &request).await.map(|(_, uri)| uri).unwrap_err().kind(), Kind::Denied);
    }
}
