//! From what a request names to what is there: the store, the source's own address, and the objects in it.

use std::sync::Arc;
use std::time::Duration;

use super::super::Engines;
use super::{Phase, Progress, ProgressSink, Request};
use crate::base::error::Result;
use crate::engine::store::{Found, ListOptions, Listing, Store};

/// How often it is told what a listing has found.
const LISTING_TOLD_EVERY: Duration = Duration::from_millis(250);

/// The store that a source is read from, and the source's canonical URI.
pub(in crate::flow) async fn open(engines: &Engines, request: &Request) -> Result<(Arc<dyn Store>, String)> {
    let (store, address, credential) = (Arc::clone(&engines.store), request.source.clone(), request.credential.clone());
    let opened = engines.far.run(move || {
        // First what the address stands for: that decides whose credentials are meant.
        let address = store.meant(&address)?;
        let store = match credential {
            Some(name) => store.under(&address, &name)?,
            None => store,
        };
        let uri = store.resolve(&address)?;
        Ok((store, uri))
    });
    opened.await
}

/// Lists what a request asks for, telling how much was found.
pub(in crate::flow) async fn list(
    engines: &Engines,
    request: &Request,
    store: &Arc<dyn Store>,
    uri: &str,
    progress: &ProgressSink,
) -> Result<Listing> {
    let store = Arc::clone(store);
    // A count of its own: a request may be made again.
    let options = ListOptions { found: Found::default(), ..request.options.clone() };
    let (uri, at, found) = (uri.to_owned(), request.at.clone(), options.found.clone());
    let listing = engines.far.run(move || match at {
        Some(uris) => store.list_at(&uri, &options, &uris),
        None => store.list(&uri, &options),
    });
    tokio::pin!(listing);
    let mut ticks = tokio::time::interval(LISTING_TOLD_EVERY);
    loop {
        tokio::select! {
            listed = &mut listing => return listed,
            _ = ticks.tick() => {
                let files_total = found.count();
                let _ = progress.try_send(Progress { files_total, ..Progress::of(Phase::Listing) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::base::error::{Error, Kind};
    use crate::engine::store::stores::Stores;
    use crate::engine::store::{Object, Stat};
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
