//! Keeps sources in step with what they come from: which ones are followed, who begins and ends that, and who hears of
//! it. One task for each source does the following ([`follow`]).
//!
//! Following adds nothing to how a source is synced: each sync is an ingest like any other, and takes its turn with those
//! that somebody asks for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;

use super::Engines;
use super::access::Grant;
use super::apply::Projector;
use super::ingest::{self, ProgressSink, Report, Request, order};
use super::recall;
use crate::base::SourceId;
use crate::base::error::{Error, Kind, Result};
use crate::engine::catalog::Standing;
use crate::engine::store::watch::Watcher;
use crate::model::Namespace;

mod follow;

#[cfg(test)]
mod tests;

pub use follow::Pace;
use follow::{Follower, Start};

/// News that wait for a listener that does not keep up; it misses the older ones.
const NEWS_MAX: usize = 64;

/// What is told of a followed source.
#[derive(Debug, Clone)]
pub enum News {
    /// A sync that changed something, and how long it took.
    Synced(Arc<Report>, Duration),
    /// Why it can't be followed as it should at the moment.
    Problem(String),
    /// The server stops, nothing follows. An end on request has no message: the channel closes.
    Stopping,
}

/// What a caller wants of following.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// Sync, and leave it at that: followed or not as before.
    AsBefore,
    /// Sync, then follow.
    Begin,
    /// Stop following, then sync.
    End,
}

/// Whether the system tells of changes in a source; of the others their version is asked for now and then.
fn is_local(uri: &str) -> bool {
    uri.starts_with("file://")
}

/// What a source's task, its callers and its listeners share.
struct Followed {
    grant: Grant,
    /// What each sync is asked for, but for the part to look at.
    request: Request,
    problem: Mutex<Option<String>>,
    news: broadcast::Sender<News>,
    end: watch::Sender<bool>,
}

struct Entry {
    followed: Arc<Followed>,
    task: JoinHandle<()>,
}

impl Entry {
    /// Ends the task after the sync that it may be in: one that was cut off might still write.
    async fn end(self) {
        self.followed.end.send_replace(true);
        if let Err(cause) = self.task.await {
            tracing::error!(source = self.followed.request.source, error = %cause, "following a source ended badly");
        }
    }
}

type Key = (Namespace, SourceId);

/// All followed sources of a server.
pub struct Watching {
    engines: Engines,
    projector: Arc<Projector>,
    watcher: Arc<dyn Watcher>,
    pace: Pace,
    entries: Mutex<HashMap<Key, Entry>>,
    stop: watch::Sender<bool>,
}

impl std::fmt::Debug for Watching {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watching").field("pace", &self.pace).finish_non_exhaustive()
    }
}

impl Watching {
    /// Goes on following what was followed when the server stopped, in the background. A server that lives for one command
    /// takes nothing up and leaves nothing to be taken up.
    ///
    /// # Errors
    /// Those of the catalogue.
    pub async fn start(
        engines: Engines,
        projector: Arc<Projector>,
        watcher: Arc<dyn Watcher>,
        pace: Pace,
    ) -> Result<Arc<Self>> {
        let (entries, stop) = (Mutex::default(), watch::channel(false).0);
        let watching = Arc::new(Self { engines, projector, watcher, pace, entries, stop });
        let lasting = watching.engines.lasting;
        let stored = if lasting { watching.engines.catalog.standing(Standing::Watch).await? } else { Vec::new() };
        for (namespace, source, options) in stored {
            match order::read(&source.uri, &options) {
                Ok(request) => {
                    watching.enter(source.id, followed(Grant::standing(namespace), request), Start::Afresh).await;
                }
                Err(error) => tracing::error!(
                    source = source.uri,
                    error = %error.chain(),
                    "a source is not followed any more: ingest it with --watch again"
                ),
            }
        }
        Ok(watching)
    }

    /// Syncs a source, and begins or ends following it. Following goes on when the caller goes away; the receiver tells
    /// of later syncs.
    ///
    /// # Errors
    /// Those of [`ingest::ingest`]; a source that could not be synced is not followed.
    pub async fn ingest(
        &self,
        grant: &Grant,
        request: &Request,
        follow: Follow,
        progress: &ProgressSink,
    ) -> Result<(Report, Option<broadcast::Receiver<News>>)> {
        if follow == Follow::End {
            self.end(grant, &request.source).await?;
        }
        if follow != Follow::Begin {
            return Ok((ingest::ingest(&self.engines, &self.projector, grant, request, progress).await?, None));
        }
        let uri = self.resolve(&request.source).await?;
        if !is_local(&uri) && self.version(&uri, request).await?.is_none() {
            let message = format!(
                "{uri} can't be followed, only folders of the server's machine and git repositories can: sync it now and \
                 then, what did not change is not read again"
            );
            return Err(Error::invalid("watch", message));
        }
        let source = SourceId::derive(grant.namespace().as_str(), &uri);
        let sync = ingest::ingest(&self.engines, &self.projector, grant, request, progress);
        let lasting = Request { source: uri, no_wait: true, verify: false, at: None, ..request.clone() };
        let followed = followed(grant.clone(), lasting);
        // Before the first listing, so that no change falls between them.
        let mut watch = None;
        let opened = follow::open(&self.engines, &self.watcher, self.pace, &followed, &mut watch);
        let problem = opened.await.err();
        let report = sync.await?;
        if self.engines.lasting {
            let order = order::written(&followed.request)?;
            self.engines.catalog.set_standing(grant.namespace(), source, Standing::Watch, Some(&order)).await?;
        }
        let news = followed.news.subscribe();
        self.enter(source, followed, Start::Synced { watch, problem }).await;
        Ok((report, Some(news)))
    }

    async fn resolve(&self, address: &str) -> Result<String> {
        let (store, address) = (Arc::clone(&self.engines.store), address.to_owned());
        self.engines.far.run(move || store.resolve(&address)).await
    }

    async fn version(&self, uri: &str, request: &Request) -> Result<Option<String>> {
        let store = follow::store_of(&self.engines, uri, request.credential.clone()).await?;
        let uri = uri.to_owned();
        self.engines.far.run(move || store.version(&uri)).await
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a source's task in the place of the one that it may have.
    async fn enter(&self, source: SourceId, followed: Arc<Followed>, start: Start) {
        let key = (followed.grant.namespace().clone(), source);
        let follower = Follower::new(
            self.engines.clone(),
            Arc::clone(&self.projector),
            Arc::clone(&self.watcher),
            self.pace,
            Arc::clone(&followed),
            start,
        );
        let task = tokio::spawn(follower.run(self.stop.subscribe()));
        let before = self.entries().insert(key, Entry { followed, task });
        if let Some(before) = before {
            before.end().await;
        }
    }

    /// Stops following a source, now and after a restart. No error if it is not followed.
    ///
    /// # Errors
    /// Those of the catalogue.
    pub async fn end(&self, grant: &Grant, address: &str) -> Result<()> {
        let known = self.engines.catalog.sources(grant.namespace()).await?;
        let source = match recall::known_source(&self.engines, &known, address).await {
            Ok(source) => source,
            Err(error) if error.kind() == Kind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        self.engines.catalog.set_standing(grant.namespace(), source, Standing::Watch, None).await?;
        let entry = self.entries().remove(&(grant.namespace().clone(), source));
        if let Some(entry) = entry {
            entry.end().await;
        }
        Ok(())
    }

    /// The followed sources of a namespace, each with the problem that it has.
    ///
    /// # Errors
    /// Those of the catalogue.
    pub async fn states(&self, grant: &Grant) -> Result<HashMap<SourceId, Option<String>>> {
        let stored = self.engines.catalog.standing(Standing::Watch).await?;
        let mut states: HashMap<SourceId, Option<String>> = stored
            .into_iter()
            .filter(|(namespace, ..)| namespace == grant.namespace())
            .map(|(_, source, _)| (source.id, None))
            .collect();
        let live = self.entries();
        let here = live.iter().filter(|((namespace, _), _)| namespace == grant.namespace());
        states.extend(here.map(|((_, source), entry)| (*source, entry.followed.problem())));
        Ok(states)
    }

    /// Ends all following and tells the listeners.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Stops, and waits until all tasks ended.
    ///
    /// # Errors
    /// Internal if one panicked.
    pub async fn close(&self) -> Result<()> {
        self.stop();
        let entries: Vec<Entry> = self.entries().drain().map(|(_, entry)| entry).collect();
        for entry in entries {
            entry.task.await.map_err(|cause| Error::internal("following a source ended early").caused_by(cause))?;
        }
        Ok(())
    }
}

impl Followed {
    fn problem(&self) -> Option<String> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn followed(grant: Grant, request: Request) -> Arc<Followed> {
    let (news, end) = (broadcast::channel(NEWS_MAX).0, watch::channel(false).0);
    Arc::new(Followed { grant, request, problem: Mutex::new(None), news, end })
}
