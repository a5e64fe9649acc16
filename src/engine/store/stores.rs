//! All stores of a server behind one: which of them has an address is told by how it begins.
//!
//! What no store claims and has no scheme is a path of the server's machine. Not a store of its own: it holds no bytes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::{About, ListOptions, Listing, Object, Partners, Range, Reading, Stat, Store, Ways};
use crate::base::error::{Error, Result};

/// Stores by the beginnings of the addresses that they serve. Cheap to clone.
#[derive(Clone)]
pub struct Stores {
    local: Arc<dyn Store>,
    /// The longest beginning first.
    others: Vec<(String, Arc<dyn Store>)>,
}

impl Stores {
    /// With `local` for paths and `file://`.
    pub fn new(local: Arc<dyn Store>) -> Self {
        Self { local, others: Vec::new() }
    }

    /// Adds a store for addresses that begin with one of `beginnings`, such as `s3://` or `https://github.com/`. The
    /// longest beginning that fits an address decides; of equal ones the one added last.
    #[must_use]
    pub fn with(mut self, beginnings: &[&str], store: Arc<dyn Store>) -> Self {
        self.others.splice(0..0, beginnings.iter().map(|beginning| ((*beginning).to_owned(), Arc::clone(&store))));
        self.others.sort_by_key(|(beginning, _)| std::cmp::Reverse(beginning.len()));
        self
    }

    /// The store of an address.
    ///
    /// # Errors
    /// Invalid for a scheme that no store has, naming those that there are.
    pub fn of(&self, address: &str) -> Result<&Arc<dyn Store>> {
        // Schemes and hosts are the same in any case; of a path no store claims a part.
        let begins = |beginning: &String| {
            address.get(..beginning.len()).is_some_and(|start| start.eq_ignore_ascii_case(beginning))
        };
        match self.others.iter().find(|(beginning, _)| begins(beginning)) {
            Some((_, store)) => Ok(store),
            None if address.split_once("://").is_none_or(|(scheme, _)| scheme == "file") => Ok(&self.local),
            None => {
                let mut known: Vec<&str> = self.others.iter().map(|(beginning, _)| beginning.as_str()).collect();
                known.push("file://");
                known.sort_unstable();
                known.dedup();
                let message =
                    format!("{address:?} is no address that this server can read: it knows {}", known.join(", "));
                Err(Error::invalid("source", message))
            }
        }
    }
}

impl Store for Stores {
    fn meant(&self, address: &str) -> Result<String> {
        self.of(address)?.meant(address)
    }

    fn resolve(&self, address: &str) -> Result<String> {
        self.of(address)?.resolve(address)
    }

    fn list(&self, source: &str, options: &ListOptions) -> Result<Listing> {
        self.of(source)?.list(source, options)
    }

    fn list_at(&self, source: &str, options: &ListOptions, uris: &BTreeSet<String>) -> Result<Listing> {
        self.of(source)?.list_at(source, options, uris)
    }

    fn read(&self, object: &Object, bytes_max: u64) -> Result<Vec<u8>> {
        self.of(&object.uri)?.read(object, bytes_max)
    }

    fn stat(&self, uri: &str) -> Result<Option<Stat>> {
        self.of(uri)?.stat(uri)
    }

    fn holds(&self, uri: &str) -> Result<Option<bool>> {
        self.of(uri)?.holds(uri)
    }

    fn version(&self, source: &str) -> Result<Option<String>> {
        self.of(source)?.version(source)
    }

    fn open(&self, uri: &str, range: Range) -> Result<Reading> {
        self.of(uri)?.open(uri, range)
    }

    fn about(&self, object: &Object) -> Result<About> {
        self.of(&object.uri)?.about(object)
    }

    fn partners(&self, source: &str) -> Result<Option<Partners>> {
        self.of(source)?.partners(source)
    }

    fn under(&self, uri: &str, credential: &str) -> Result<Arc<dyn Store>> {
        self.of(uri)?.under(uri, credential)
    }

    fn ways(&self, uri: &str, ttl: Duration) -> Result<Ways> {
        self.of(uri)?.ways(uri, ttl)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers with its name.
    struct Named(&'static str);

    impl Store for Named {
        fn resolve(&self, _: &str) -> Result<String> {
            Ok(self.0.to_owned())
        }
        fn list(&self, _: &str, _: &ListOptions) -> Result<Listing> {
            Ok(Listing::default())
        }
        fn list_at(&self, _: &str, _: &ListOptions, _: &BTreeSet<String>) -> Result<Listing> {
            Ok(Listing::default())
        }
        fn read(&self, _: &Object, _: u64) -> Result<Vec<u8>> {
            Ok(self.0.as_bytes().to_vec())
        }
        fn stat(&self, _: &str) -> Result<Option<Stat>> {
            Ok(None)
        }
    }

    #[test]
    fn the_longest_beginning_decides_and_paths_are_local() {
        let stores = Stores::new(Arc::new(Named("local")))
            .with(&["s3://", "https://"], Arc::new(Named("cloud")))
            .with(&["https://github.com/"], Arc::new(Named("github")));
        for (address, store) in [
            ("/a/b", "local"),
            ("file:///a", "local"),
            ("s3://b/k", "cloud"),
            ("HTTPS://example.org/x", "cloud"),
            ("https://github.com/o/r", "github"),
            ("https://github.community/", "cloud"),
        ] {
            assert_eq!(stores.resolve(address).unwrap(), store, "{address}");
        }
        let object = Object { uri: "s3://b/k".to_owned(), ..Object::default() };
        assert_eq!(stores.read(&object, 9).unwrap(), b"cloud");
        let error = stores.resolve("ftp://h/x").unwrap_err();
        assert!(error.message().contains("ftp://h/x") && error.message().contains("s3://"), "{error}");
        assert!(stores.open("s3://b/k", Range::default()).unwrap_err().message().contains("s3://b/k"));
    }
}
