//! Watching a run: its history from a number on, and then what comes.
//!
//! What is told is read from the catalogue, in order and from where the last reading ended, so nothing is missed and nothing comes
//! twice, whatever happens meanwhile. The bell only says that there may be something to read.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch as signal};

use super::Runs;
use crate::base::RunId;
use crate::base::error::{Error, Kind, Result};
use crate::base::limits::{RUN_EVENTS_PAGE_DEFAULT, RUN_PIECE_BYTES};
use crate::flow::access::Grant;
use crate::model::Namespace;
use crate::model::run::{Event, NodePath, Question, Run, RunStatus};

/// Changes that may be read ahead of a watcher that does not keep up.
const AHEAD: usize = 256;

/// A watcher looks this often though nobody rang: a change whose maker was cut off rings no bell.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Something that happened to a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The next entry of its history.
    Event(Box<Event>),
    /// Somebody answered; no event has taken that up yet.
    Answered(Question),
    /// Somebody wants it to end.
    CancelRequested,
}

/// Rings when something happened to a run.
#[derive(Debug)]
pub(super) struct Bell(signal::Sender<u64>);

impl Default for Bell {
    fn default() -> Self {
        Self(signal::Sender::new(0))
    }
}

impl Bell {
    pub(super) fn ring(&self) {
        self.0.send_modify(|rung| *rung = rung.wrapping_add(1));
    }
}

/// What a watcher has told so far.
struct Watcher {
    namespace: Namespace,
    run: RunId,
    /// Number of the next event.
    next: u64,
    answers: HashSet<(NodePath, u64)>,
    cancel_told: bool,
    changes: mpsc::Sender<Result<Change>>,
}

impl Runs {
    /// The history from a number on (0: from what is left of it), then what comes, until the run ends or the caller goes.
    ///
    /// # Errors
    /// Not found; precondition if what was asked for was compacted away.
    pub async fn watch(
        self: &Arc<Self>,
        grant: &Grant,
        run: RunId,
        from: u64,
    ) -> Result<mpsc::Receiver<Result<Change>>> {
        let held = self.get(grant, run).await?;
        let next = if from == 0 { held.compacted_through + 1 } else { from };
        if next <= held.compacted_through {
            return Err(compacted(&held));
        }
        let (changes, receiver) = mpsc::channel(AHEAD);
        let namespace = grant.namespace().clone();
        let (answers, cancel_told) = (HashSet::new(), false);
        let watcher = Watcher { namespace, run, next, answers, cancel_told, changes: changes.clone() };
        let runs = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = runs.follow(watcher).await {
                // Who went away hears of nothing.
                let _ = changes.send(Err(error)).await;
            }
        });
        Ok(receiver)
    }

    async fn follow(&self, mut watcher: Watcher) -> Result<()> {
        let bell = self.bells.get((watcher.namespace.clone(), watcher.run));
        let (mut rings, mut stop) = (bell.0.subscribe(), self.stop.subscribe());
        loop {
            // Before reading: what happens from here on rings again.
            rings.borrow_and_update();
            let read = async { self.tell(&mut watcher).await };
            let goes_on = tokio::select! {
                goes_on = read => goes_on?,
                _ = stop.wait_for(|stopped| *stopped) => return Err(stopping()),
            };
            if !goes_on {
                return Ok(());
            }
            tokio::select! {
                _ = rings.changed() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = watcher.changes.closed() => return Ok(()),
                _ = stop.wait_for(|stopped| *stopped) => return Err(stopping()),
            }
        }
    }

    /// Tells what is new; false once there is nothing more to come.
    async fn tell(&self, watcher: &mut Watcher) -> Result<bool> {
        let runs = &self.engines.runs;
        let (namespace, id) = (watcher.namespace.clone(), watcher.run);
        let run = loop {
            let page = runs.events(&namespace, id, watcher.next, RUN_EVENTS_PAGE_DEFAULT, RUN_PIECE_BYTES).await?;
            if page.run.compacted_through >= watcher.next {
                return Err(compacted(&page.run));
            }
            for event in page.events {
                watcher.next = event.sequence + 1;
                if !watcher.send(Change::Event(Box::new(event))).await {
                    return Ok(false);
                }
            }
            if page.next.is_none() {
                break page.run;
            }
        };
        if run.tally.status != RunStatus::Open {
            return Ok(run.tally.last_sequence >= watcher.next);
        }
        for question in runs.answered_questions(&namespace, id).await? {
            if watcher.answers.insert((question.node.clone(), question.asked.sequence))
                && !watcher.send(Change::Answered(question)).await
            {
                return Ok(false);
            }
        }
        if run.cancel_requested && !watcher.cancel_told {
            watcher.cancel_told = true;
            return Ok(watcher.send(Change::CancelRequested).await);
        }
        Ok(true)
    }
}

impl Watcher {
    /// False if nobody listens any more.
    async fn send(&self, change: Change) -> bool {
        self.changes.send(Ok(change)).await.is_ok()
    }
}

fn compacted(run: &Run) -> Error {
    let (id, through) = (run.id, run.compacted_through);
    let message =
        format!("events of run {id} up to {through} were compacted: read its state and watch from {}", through + 1);
    Error::new(Kind::Precondition, message)
}

fn stopping() -> Error {
    Error::new(Kind::Unavailable, "the server is shutting down: watch again from the next number when it runs again")
}
