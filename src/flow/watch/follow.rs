//! The task that follows one source: waits for changes, lets them settle, syncs what changed.
//!
//! A few changes are synced by themselves, many of them or an unknown number by a sync of the whole source. What went
//! wrong is kept as the source's problem and tried again in full after a while, so a source that can't be watched (no
//! more watches, say) is looked at from time to time instead. The task never has more to remember than "everything".

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::{Followed, News, is_local};
use crate::base::error::{Kind, Result};
use crate::engine::store::Store;
use crate::engine::store::polled::Polled;
use crate::engine::store::watch::{Changed, Watch, Watcher};
use crate::flow::Engines;
use crate::flow::apply::Projector;
use crate::flow::ingest::{self, Report, Request};

/// How quickly changes are followed.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// No change for this long: they settled.
    pub quiet: Duration,
    /// Longest wait for changes to settle; a stream of them without a pause is synced this often.
    pub longest: Duration,
    /// Longest wait while the source says that a large change is under way.
    pub unsettled: Duration,
    /// Time between two looks at a source with a problem, and at where a source without one is.
    pub retry: Duration,
}

impl Default for Pace {
    /// 60 ms of quiet join the writes of one save or one checkout, and leave most of the 300 ms within which a change is
    /// to be found by words.
    fn default() -> Self {
        Self {
            quiet: Duration::from_millis(60),
            longest: Duration::from_secs(1),
            unsettled: Duration::from_secs(10),
            retry: Duration::from_secs(10),
        }
    }
}

/// How a task begins.
pub(super) enum Start {
    /// With a sync.
    Afresh,
    /// After a sync, with the watch that was opened before it, or why there is none.
    Synced { watch: Option<Arc<dyn Watch>>, problem: Option<crate::base::Error> },
}

pub(super) struct Follower {
    engines: Engines,
    projector: Arc<Projector>,
    watcher: Arc<dyn Watcher>,
    pace: Pace,
    followed: Arc<Followed>,
    watch: Option<Arc<dyn Watch>>,
    /// Something may have been missed: the next sync is of everything.
    owes_everything: bool,
    /// Why changes are not told as they should be.
    deaf: Option<String>,
    /// When to look again if there is a problem.
    retry_at: Instant,
    /// Not before this is everything synced again: a full sync may not take more than half of the time.
    rest_until: Instant,
}

impl Follower {
    pub(super) fn new(
        engines: Engines,
        projector: Arc<Projector>,
        watcher: Arc<dyn Watcher>,
        pace: Pace,
        followed: Arc<Followed>,
        start: Start,
    ) -> Self {
        let now = Instant::now();
        let (owes_everything, watch, problem) = match start {
            Start::Afresh => (true, None, None),
            Start::Synced { watch, problem } => (false, watch, problem),
        };
        let deaf = problem.map(|error| error.to_string());
        let (retry_at, rest_until) = (if owes_everything { now } else { now + pace.retry }, now);
        let mut follower =
            Self { engines, projector, watcher, pace, followed, watch, owes_everything, deaf, retry_at, rest_until };
        follower.tell(None);
        follower
    }

    /// Follows until the server stops, which cuts a sync off, or until the following is ended, which doesn't.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let followed = Arc::clone(&self.followed);
        let mut end = followed.end.subscribe();
        let following = async {
            loop {
                let changed = tokio::select! {
                    _ = end.wait_for(|end| *end) => return,
                    changed = self.next() => changed,
                };
                self.sync(changed).await;
            }
        };
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {
                let _ = followed.news.send(News::Stopping);
            }
            () = following => {}
        }
    }

    /// Waits until there is something to sync.
    async fn next(&mut self) -> Changed {
        loop {
            tokio::select! {
                () = heard(self.watch.as_deref()) => self.settle().await,
                () = tokio::time::sleep_until(self.retry_at) => {
                    self.retry_at = Instant::now() + self.pace.retry;
                    self.owes_everything |= self.deaf.is_some() || self.is_detached().await;
                    if !self.owes_everything {
                        continue;
                    }
                }
            }
            let changed = self.watch.as_ref().map_or(Changed::Everything, |watch| watch.take());
            if self.owes_everything || changed == Changed::Everything {
                self.owes_everything = true;
                tokio::time::sleep_until(self.rest_until).await;
                // What came meanwhile is part of everything.
                if let Some(watch) = &self.watch {
                    watch.take();
                }
                return Changed::Everything;
            }
            if !changed.is_nothing() {
                return changed;
            }
        }
    }

    /// Whether the watch follows what is no longer the source. Such a watch is given up.
    async fn is_detached(&mut self) -> bool {
        let Some(watch) = self.watch.clone() else { return true };
        let attached = self.engines.door.run(move || Ok(watch.is_attached())).await;
        let detached = !attached.unwrap_or(true);
        if detached {
            self.watch = None;
        }
        detached
    }

    async fn settle(&self) {
        let began = Instant::now();
        while tokio::time::timeout(self.pace.quiet, heard(self.watch.as_deref())).await.is_ok() || self.is_unsettled() {
            let longest = if self.is_unsettled() { self.pace.unsettled } else { self.pace.longest };
            if began.elapsed() >= longest {
                return;
            }
        }
    }

    fn is_unsettled(&self) -> bool {
        self.watch.as_ref().is_some_and(|watch| watch.is_unsettled())
    }

    async fn sync(&mut self, changed: Changed) {
        let began = Instant::now();
        let opened = match &changed {
            Changed::Everything => open(&self.engines, &self.watcher, self.pace, &self.followed, &mut self.watch).await,
            Changed::At(_) => cover(&self.engines, &self.followed, self.watch.as_ref(), &changed).await,
        };
        match opened {
            Err(error) => self.deaf = Some(error.to_string()),
            Ok(()) if changed == Changed::Everything => self.deaf = None,
            Ok(()) => {}
        }
        let is_full = changed == Changed::Everything;
        let at = match changed {
            Changed::At(uris) => Some(uris),
            Changed::Everything => None,
        };
        // Of a few files it is known that they changed, whatever their size and time say.
        let request = Request { verify: at.is_some(), at, ..self.followed.request.clone() };
        let synced = self.ingest(&request).await;
        let took = began.elapsed();
        if is_full {
            self.rest_until = Instant::now() + took;
            // A source that has to be looked at again and again may cost a tenth of the time.
            self.retry_at = Instant::now() + self.pace.retry.max(took * 10);
        }
        if synced.is_err() {
            self.retry_at = Instant::now() + self.pace.retry;
            self.rest_until = self.retry_at;
        }
        match synced {
            Ok(report) => {
                self.owes_everything &= !is_full;
                self.tell(None);
                let outcome = &report.outcome;
                if outcome.added + outcome.updated + outcome.removed > 0 {
                    tracing::debug!(source = report.source, files = report.files, ?took, "synced a followed source");
                    let _ = self.followed.news.send(News::Synced(Arc::new(report), took));
                }
            }
            Err(error) => {
                self.owes_everything = true;
                tracing::debug!(source = request.source, error = %error.chain(), "a followed source was not synced");
                self.tell(Some(error.to_string()));
            }
        }
    }

    async fn ingest(&self, request: &Request) -> Result<Report> {
        // Nobody looks at the progress; a full channel is passed over.
        let (sink, _progress) = mpsc::channel(1);
        ingest::ingest(&self.engines, &self.projector, &self.followed.grant, request, &sink).await
    }

    /// Keeps and tells what is wrong now: a sync that failed, or else changes that are not told.
    fn tell(&mut self, failed: Option<String>) {
        let every = self.pace.retry.as_secs_f32();
        let now = failed.map(|why| format!("{why}; tried again every {every:.0} s")).or_else(|| {
            self.deaf.as_ref().map(|why| format!("{why}; until then all of it is looked at about every {every:.0} s"))
        });
        let before = {
            let mut problem = self.followed.problem.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *problem, now.clone())
        };
        let source = &self.followed.request.source;
        match now {
            Some(now) if before.as_ref() != Some(&now) => {
                tracing::warn!(source, problem = now, "a followed source has a problem; it is tried again");
                let _ = self.followed.news.send(News::Problem(now));
            }
            None if before.is_some() => tracing::info!(source, "a followed source is well again"),
            _ => {}
        }
    }
}

/// Waits for a change; for ever where nothing listens.
async fn heard(watch: Option<&dyn Watch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

/// Opens the watch of a source if there is none, and covers all of it. A watch that covers a part is kept, one of a source
/// that is gone is given up: it would go on following what was moved away.
pub(super) async fn open(
    engines: &Engines,
    watcher: &Arc<dyn Watcher>,
    pace: Pace,
    followed: &Followed,
    watch: &mut Option<Arc<dyn Watch>>,
) -> Result<()> {
    if watch.is_none() {
        let (watcher, request) = (Arc::clone(watcher), followed.request.clone());
        *watch = Some(if is_local(&request.source) {
            engines.door.run(move || watcher.watch(&request.source, &request.options)).await?
        } else {
            let store = store_of(engines, &request.source, request.credential).await?;
            Arc::new(Polled::new(store, request.source, pace.retry, engines.far.clone()))
        });
    }
    let covered = cover(engines, followed, watch.as_ref(), &Changed::Everything).await;
    if covered.as_ref().is_err_and(|error| error.kind() != Kind::Unavailable) {
        *watch = None;
    }
    covered
}

/// The store of a source, with the credential of this name if there is one.
pub(super) async fn store_of(engines: &Engines, source: &str, credential: Option<String>) -> Result<Arc<dyn Store>> {
    let (store, source) = (Arc::clone(&engines.store), source.to_owned());
    let Some(name) = credential else { return Ok(store) };
    engines.far.run(move || store.under(&source, &name)).await
}

async fn cover(
    engines: &Engines,
    followed: &Followed,
    watch: Option<&Arc<dyn Watch>>,
    changed: &Changed,
) -> Result<()> {
    let Some(watch) = watch.cloned() else { return Ok(()) };
    let changed = changed.clone();
    // What is far must not keep what is near waiting.
    let door = if is_local(&followed.request.source) { &engines.door } else { &engines.far };
    door.run(move || watch.cover(&changed)).await
}
