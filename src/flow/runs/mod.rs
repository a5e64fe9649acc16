//! Runs of a swarm as the server keeps them: who may write to one, what is appended, who watches, what people answer.
//!
//! What a history allows is said in `model::run`, what is stored in `engine::catalog::runs`; here are limits, leases by the clock,
//! and the bell that wakes watchers (`watch`). Ended runs are compacted and removed in the background (`retention`). `family` finds
//! what the nodes around a node remembered. What a node does is the client's business.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, watch as signal};

use super::Engines;
use super::access::Grant;
use crate::base::error::{Error, Kind, Result};
use crate::base::keyed::Keyed;
use crate::base::limits::{
    RUN_APPEND_EVENTS_MAX, RUN_EVENTS_PAGE_MAX, RUN_LEASE_DEFAULT, RUN_LEASE_MAX, RUN_LEASE_MIN, RUN_LIST_MAX,
    RUN_NAME_BYTES_MAX, RUN_PIECE_BYTES, RUNS_OPEN_MAX,
};
use crate::base::{RunId, Timestamp};
use crate::engine::catalog::runs::{Appended, Compacted, EventPage, StatePage};
use crate::model::run::{Event, NodePath, Question, Run, RunStatus};
use crate::model::{Namespace, NewRun};

pub mod family;
pub mod retention;
#[cfg(test)]
mod tests;
pub mod watch;

pub use retention::Retention;
use watch::Bell;

/// Pieces of a state that may be read ahead of a caller.
const PIECES_AHEAD: usize = 2;

/// The runs of all namespaces.
pub struct Runs {
    engines: Engines,
    retention: Retention,
    bells: Keyed<(Namespace, RunId), Bell>,
    /// Tells runs apart that are created in the same microsecond.
    serial: AtomicU64,
    stop: signal::Sender<bool>,
}

impl std::fmt::Debug for Runs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runs").field("retention", &self.retention).finish_non_exhaustive()
    }
}

impl Runs {
    /// Over these engines.
    pub fn new(engines: Engines, retention: Retention) -> Arc<Self> {
        let (bells, serial, stop) = (Keyed::default(), AtomicU64::default(), signal::Sender::new(false));
        Arc::new(Self { engines, retention, bells, serial, stop })
    }

    /// Ends watches and background work.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    fn now(&self) -> Timestamp {
        self.engines.clock.now()
    }

    /// Makes a run that nobody holds yet.
    ///
    /// # Errors
    /// Invalid for an empty goal or settings that are no object; over a limit.
    pub async fn create(&self, grant: &Grant, goal: String, settings: String) -> Result<Run> {
        let now = self.now();
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let new = NewRun::new(RunId::derive(grant.namespace().as_str(), now, serial), goal, settings)?;
        self.engines.catalog.create_namespace(grant.namespace(), now).await?;
        self.engines.runs.create_run(grant.namespace(), new, RUNS_OPEN_MAX, now).await
    }

    /// Runs with one of these statuses, or any, newest first; `after` is what the page before gave with it.
    ///
    /// # Errors
    /// Invalid for a page token of another making; over the limit for a page.
    pub async fn list(
        &self,
        grant: &Grant,
        statuses: &[RunStatus],
        after: &str,
        limit: u32,
    ) -> Result<(Vec<Run>, String)> {
        page_size(limit)?;
        let after = if after.is_empty() { None } else { Some(page_key(after)?) };
        let (runs, next) = self.engines.runs.runs(grant.namespace(), statuses, after, limit).await?;
        Ok((runs, next.map(|key| key.to_string()).unwrap_or_default()))
    }

    /// One run.
    ///
    /// # Errors
    /// Not found.
    pub async fn get(&self, grant: &Grant, run: RunId) -> Result<Run> {
        self.engines.runs.run(grant.namespace(), run).await
    }

    /// Takes the lease.
    ///
    /// # Errors
    /// Lease if another holds it; precondition if the run has ended; invalid for a name or a time that can't be.
    pub async fn acquire(&self, grant: &Grant, run: RunId, holder: &str, ttl: Option<Duration>) -> Result<Run> {
        if holder.trim().is_empty() || holder.len() > RUN_NAME_BYTES_MAX || holder.contains(char::is_control) {
            let message = format!(
                "holder {holder:.40?} names nobody: give 1 to {RUN_NAME_BYTES_MAX} bytes, such as host and process id"
            );
            return Err(Error::invalid("holder", message));
        }
        let now = self.now();
        self.engines.runs.acquire_run(grant.namespace(), run, holder, now, until(now, ttl)?).await
    }

    /// Keeps the lease for another while.
    ///
    /// # Errors
    /// Lease once it was lost.
    pub async fn renew(&self, grant: &Grant, run: RunId, fence: u64, ttl: Option<Duration>) -> Result<Run> {
        self.engines.runs.renew_run(grant.namespace(), run, fence, until(self.now(), ttl)?).await
    }

    /// Gives the lease up.
    ///
    /// # Errors
    /// Lease if another has it.
    pub async fn release(&self, grant: &Grant, run: RunId, fence: u64) -> Result<()> {
        self.engines.runs.release_run(grant.namespace(), run, fence).await
    }

    /// Appends to the history, all or none.
    ///
    /// # Errors
    /// Lease for an old fence; conflict for another content under a number that is taken; invalid for a gap or for what the state
    /// does not allow; over a limit.
    pub async fn append(&self, grant: &Grant, run: RunId, fence: u64, events: Vec<Event>) -> Result<Appended> {
        if events.len() > RUN_APPEND_EVENTS_MAX {
            let count = events.len();
            let message =
                format!("{count} events in one append, the limit is {RUN_APPEND_EVENTS_MAX}: append more often");
            return Err(Error::limit("events", message));
        }
        let events = events.into_iter().map(Event::checked).collect::<Result<Vec<Event>>>()?;
        if let Some(pair) = events.windows(2).find(|pair| pair[1].sequence != pair[0].sequence + 1) {
            let message =
                format!("event {} comes after event {}: send them in order", pair[1].sequence, pair[0].sequence);
            return Err(Error::invalid("events", message));
        }
        let done = self.engines.runs.append_events(grant.namespace(), run, fence, events, self.now()).await?;
        if done.appended > 0 {
            self.ring(grant, run);
        }
        Ok(done)
    }

    /// A page of the history.
    ///
    /// # Errors
    /// Over the limit for a page.
    pub async fn read(&self, grant: &Grant, run: RunId, from: u64, limit: u32) -> Result<EventPage> {
        if limit == 0 || limit > RUN_EVENTS_PAGE_MAX {
            let message = format!("page_size is {limit}, it must be 1 to {RUN_EVENTS_PAGE_MAX}");
            return Err(Error::limit("page_size", message));
        }
        self.engines.runs.events(grant.namespace(), run, from, limit, RUN_PIECE_BYTES).await
    }

    /// The state in pieces. They are all of one moment: the last number must not change between them, or an error ends them.
    ///
    /// # Errors
    /// Not found.
    pub async fn state(self: &Arc<Self>, grant: &Grant, run: RunId) -> Result<mpsc::Receiver<Result<StatePage>>> {
        let namespace = grant.namespace().clone();
        let first = self.engines.runs.state(&namespace, run, None, RUN_PIECE_BYTES).await?;
        let (pieces, receiver) = mpsc::channel(PIECES_AHEAD);
        let runs = Arc::clone(&self.engines.runs);
        tokio::spawn(async move {
            let moment = first.run.tally.last_sequence;
            let mut page = Ok(first);
            loop {
                let after = match &page {
                    Ok(piece) if piece.queue.is_none() => piece.nodes.last().map(|last| last.node.clone()),
                    _ => None,
                };
                // A caller that went away wants no more.
                if pieces.send(page).await.is_err() || after.is_none() {
                    return;
                }
                page = runs.state(&namespace, run, after.as_ref(), RUN_PIECE_BYTES).await.and_then(|piece| {
                    if piece.run.tally.last_sequence == moment { Ok(piece) } else { Err(went_on(run)) }
                });
            }
        });
        Ok(receiver)
    }

    /// Questions without an answer, of one run or of all that are open, oldest first.
    ///
    /// # Errors
    /// As [`Self::list`].
    pub async fn questions(
        &self,
        grant: &Grant,
        run: Option<RunId>,
        after: &str,
        limit: u32,
    ) -> Result<(Vec<Question>, String)> {
        page_size(limit)?;
        let after = if after.is_empty() { 0 } else { page_key(after)? };
        let (questions, next) = self.engines.runs.open_questions(grant.namespace(), run, after, limit).await?;
        Ok((questions, next.map(|key| key.to_string()).unwrap_or_default()))
    }

    /// Answers a question.
    ///
    /// # Errors
    /// Not found if the node asks nothing; conflict if it has another answer; invalid for what is not among the choices.
    pub async fn answer(&self, grant: &Grant, run: RunId, node: &NodePath, answer: &str) -> Result<Question> {
        let question = self.engines.runs.answer_question(grant.namespace(), run, node, answer, self.now()).await?;
        self.ring(grant, run);
        Ok(question)
    }

    /// Asks for an end; ends the run if nobody holds it.
    ///
    /// # Errors
    /// Precondition if it has ended otherwise.
    pub async fn cancel(&self, grant: &Grant, run: RunId) -> Result<Run> {
        let run = self.engines.runs.cancel_run(grant.namespace(), run, self.now()).await?;
        self.ring(grant, run.id);
        Ok(run)
    }

    /// Replaces the history by the state that it comes down to.
    ///
    /// # Errors
    /// Not found.
    pub async fn compact(&self, grant: &Grant, run: RunId) -> Result<Compacted> {
        self.engines.runs.compact_run(grant.namespace(), run).await
    }

    /// Removes a run that nobody holds.
    ///
    /// # Errors
    /// Lease if somebody does.
    pub async fn delete(&self, grant: &Grant, run: RunId) -> Result<u64> {
        let events = self.engines.runs.delete_run(grant.namespace(), run, self.now()).await?;
        self.ring(grant, run);
        Ok(events)
    }

    /// Wakes who watches a run.
    fn ring(&self, grant: &Grant, run: RunId) {
        self.bells.get((grant.namespace().clone(), run)).ring();
    }
}

fn went_on(run: RunId) -> Error {
    Error::new(Kind::Unavailable, format!("run {run} went on while its state was read: read it again"))
}

fn page_size(limit: u32) -> Result<()> {
    if limit == 0 || limit > RUN_LIST_MAX {
        return Err(Error::limit("page_size", format!("page_size is {limit}, it must be 1 to {RUN_LIST_MAX}")));
    }
    Ok(())
}

fn page_key(token: &str) -> Result<i64> {
    token.parse().map_err(|_| Error::invalid("page_token", format!("{token:.40?} is no token of a page before")))
}

/// When a lease that begins now ends.
fn until(now: Timestamp, ttl: Option<Duration>) -> Result<Timestamp> {
    let ttl = ttl.unwrap_or(RUN_LEASE_DEFAULT);
    if ttl < RUN_LEASE_MIN || ttl > RUN_LEASE_MAX {
        let message = format!("ttl is {ttl:?}, it must be {RUN_LEASE_MIN:?} to {RUN_LEASE_MAX:?}");
        return Err(Error::limit("ttl", message));
    }
    Ok(Timestamp(now.0 + ttl.as_micros() as i64))
}
