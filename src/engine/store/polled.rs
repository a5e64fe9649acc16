//! Following a source that tells nobody of changes, but is quick to say which version it is at: it is asked now and then.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::Store;
use super::watch::{Changed, Watch};
use crate::base::blocking::Door;
use crate::base::error::{Error, Result};

/// A watch by looking at [`Store::version`].
pub struct Polled {
    store: Arc<dyn Store>,
    source: String,
    every: Duration,
    door: Door,
    state: Mutex<State>,
}

struct State {
    version: Option<String>,
    changed: bool,
    /// When to ask next. Kept here, so that who gives up waiting does not begin to wait anew.
    next: Instant,
}

impl Polled {
    /// Asks for the version of `source` in `store` at this interval, through `door`.
    pub fn new(store: Arc<dyn Store>, source: String, every: Duration, door: Door) -> Self {
        let state = State { version: None, changed: false, next: Instant::now() + every };
        Self { store, source, every, door, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Watch for Polled {
    fn cover(&self, changed: &Changed) -> Result<()> {
        if *changed != Changed::Everything {
            return Ok(());
        }
        let version = self.store.version(&self.source)?;
        if version.is_none() {
            return Err(Error::invalid("watch", format!("{} does not say which version it is at", self.source)));
        }
        self.state().version = version;
        Ok(())
    }

    async fn changed(&self) {
        loop {
            let next = self.state().next;
            tokio::time::sleep_until(next).await;
            let (store, source) = (Arc::clone(&self.store), self.source.clone());
            let version = self.door.run(move || store.version(&source)).await;
            let mut state = self.state();
            state.next = Instant::now() + self.every;
            // What can't be asked is for the sync to find and to tell.
            if version.as_ref().map_or(true, |version| *version != state.version) {
                state.changed = true;
                return;
            }
        }
    }

    fn take(&self) -> Changed {
        match std::mem::take(&mut self.state().changed) {
            true => Changed::Everything,
            false => Changed::At([].into()),
        }
    }

    fn is_attached(&self) -> bool {
        true
    }

    fn is_unsettled(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::super::{ListOptions, Listing, Object, Stat};
    use super::*;

    /// A source that has a version, until that is 9: then it can't be asked.
    #[derive(Default)]
    struct Versioned(AtomicU64);

    impl Store for Versioned {
        fn resolve(&self, address: &str) -> Result<String> {
            Ok(address.to_owned())
        }

        fn list(&self, _: &str, _: &ListOptions) -> Result<Listing> {
            Ok(Listing::default())
        }

        fn list_at(&self, _: &str, _: &ListOptions, _: &BTreeSet<String>) -> Result<Listing> {
            Ok(Listing::default())
        }

        fn read(&self, _: &Object, _: u64) -> Result<Vec<u8>> {
            Err(Error::not_found("nothing is here"))
        }

        fn stat(&self, _: &str) -> Result<Option<Stat>> {
            Ok(None)
        }

        fn version(&self, _: &str) -> Result<Option<String>> {
            match self.0.load(Ordering::Relaxed) {
                9 => Err(Error::not_found("the source is gone")),
                version => Ok(Some(version.to_string())),
            }
        }
    }

    #[tokio::test]
    async fn another_version_is_told_once_however_often_the_wait_was_given_up() {
        let store = Arc::new(Versioned::default());
        let every = Duration::from_millis(60);
        let watch = Polled::new(Arc::clone(&store) as Arc<dyn Store>, "r".to_owned(), every, Door::new(1));
        watch.cover(&Changed::Everything).unwrap();
        let waited = async |times: u32| tokio::time::timeout(every * times / 4, watch.changed()).await;
        assert!(waited(12).await.is_err() && watch.take().is_nothing(), "the same version is no change");
        for version in [1, 9] {
            store.0.store(version, Ordering::Relaxed);
            let mut given_up = 0;
            while waited(1).await.is_err() {
                given_up += 1;
                assert!(given_up < 200, "waits that are given up add up");
            }
            assert_eq!(watch.take(), Changed::Everything);
            assert!(watch.take().is_nothing());
            let covered = watch.cover(&Changed::Everything);
            assert_eq!(covered.is_err(), version == 9, "what can't be asked is told to who looks at all of it");
        }
    }
}
