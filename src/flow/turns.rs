//! Two syncs of one source never run at the same time, and equal ones that wait for their turn are done once.

use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use super::ingest::{Report, Request};
use crate::base::error::{Error, Kind, Result};
use crate::base::keyed::Keyed;
use crate::model::Namespace;

/// A source of a namespace.
type Place = (Namespace, String);

/// What the first of those who wait will have done.
type Shared = watch::Receiver<Option<std::result::Result<Report, (Kind, String)>>>;

/// The turns of all sources.
#[derive(Debug, Clone, Default)]
pub struct Turns {
    places: Keyed<Place, Turn>,
}

#[derive(Debug, Default)]
struct Turn {
    running: tokio::sync::Mutex<()>,
    /// The sync that begins when the running one ends. It will see everything that changed before now, so an equal one
    /// need not follow it.
    waiting: Mutex<Option<(Request, Shared)>>,
}

impl Turns {
    /// Runs `work` when it is the turn of `request`, or takes the outcome of an equal one that has not begun yet.
    ///
    /// # Errors
    /// Those of the work.
    pub async fn take<F>(&self, place: Place, request: &Request, work: impl FnOnce() -> F) -> Result<Report>
    where
        F: Future<Output = Result<Report>>,
    {
        let turn = self.places.get(place);
        let (publish, outcome) = watch::channel(None);
        let equal = {
            let mut waiting = turn.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            match &*waiting {
                // One whose caller went away before its turn is not waited for.
                Some((wanted, shared)) if wanted == request && shared.has_changed().is_ok() => Some(shared.clone()),
                _ => {
                    *waiting = Some((request.clone(), outcome));
                    None
                }
            }
        };
        // Where the caller of that one goes away in the middle, it is done here after all.
        if let Some(mut shared) = equal
            && let Ok(outcome) = shared.wait_for(Option::is_some).await
            && let Some(outcome) = outcome.clone()
        {
            return outcome.map_err(|(kind, message)| Error::new(kind, message));
        }
        let _mine = turn.running.lock().await;
        {
            let mut waiting = turn.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            // Whoever comes from now on may have seen changes that this run does not see.
            if waiting.as_ref().is_some_and(|(_, shared)| shared.same_channel(&publish.subscribe())) {
                *waiting = None;
            }
        }
        let done = work().await;
        let told = done.as_ref().map(Clone::clone).map_err(|error| (error.kind(), error.message().to_owned()));
        publish.send_replace(Some(told));
        done
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    fn place() -> Place {
        (Namespace::new("a").unwrap(), "file:///repo".to_owned())
    }

    async fn slow(runs: &AtomicUsize, at_once: &AtomicUsize) -> Result<Report> {
        assert_eq!(at_once.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
        tokio::time::sleep(Duration::from_millis(20)).await;
        at_once.fetch_sub(1, Ordering::SeqCst);
        let files = runs.fetch_add(1, Ordering::SeqCst) as u64;
        Ok(Report { files, ..Report::default() })
    }

    #[tokio::test]
    async fn equal_requests_that_wait_share_one_run() {
        let (turns, runs, at_once) = (Turns::default(), AtomicUsize::new(0), AtomicUsize::new(0));
        let same = Request { source: "/repo".to_owned(), ..Request::default() };
        let other = Request { verify: true, ..same.clone() };
        let run = |request: Request| {
            let (turns, runs, at_once) = (turns.clone(), &runs, &at_once);
            async move { turns.take(place(), &request, || slow(runs, at_once)).await.unwrap().files }
        };
        let first = run(same.clone());
        let rest = async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            futures::future::join_all([run(same.clone()), run(same.clone()), run(same.clone())]).await
        };
        let (first, rest) = tokio::join!(first, rest);
        assert_eq!((first, rest), (0, vec![1; 3]), "those that came while it ran share the next one");
        tokio::join!(run(same.clone()), run(other));
        assert_eq!(runs.load(Ordering::SeqCst), 4, "another request has a run of its own");
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_takes_nobody_with_it() {
        let (turns, runs, at_once) = (Turns::default(), AtomicUsize::new(0), AtomicUsize::new(0));
        let request = Request::default();
        let run = || turns.take(place(), &request, || slow(&runs, &at_once));
        let running = run();
        let waiting = async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            // Gives up while it waits for its turn.
            let _ = tokio::time::timeout(Duration::from_millis(5), run()).await;
        };
        let last = async {
            tokio::time::sleep(Duration::from_millis(8)).await;
            run().await
        };
        let (first, (), last) = tokio::join!(running, waiting, last);
        assert!(first.is_ok() && last.is_ok());
    }

    #[tokio::test]
    async fn a_failure_is_shared_with_its_kind() {
        let turns = Turns::default();
        let request = Request::default();
        let fail = || async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            Err(Error::not_found("the folder is gone"))
        };
        let run = || turns.take(place(), &request, fail);
        let (a, b, c) = tokio::join!(run(), run(), run());
        for error in [a, b, c].map(|outcome| outcome.unwrap_err()) {
            assert_eq!((error.kind(), error.message()), (Kind::NotFound, "the folder is gone"));
        }
    }
}
