//! The history of one run, written by its one holder: numbers events, repeats what a server that was gone did not take, and keeps
//! the lease. Once something was refused, nothing more is written.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tokio::time::Instant;

use super::backend::Backend;
use super::error::{SwarmError, passes};
use super::observe::Observer;
use crate::proto::RunEvent;

/// First and longest wait before a call is repeated.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// What ends a run from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stop {
    No,
    /// Somebody wants it to end.
    Cancel,
    /// Another holds it; who, as the server said.
    Lost(String),
}

/// Nothing is written any more; [`Journal::fault`] has the reason.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stopped;

pub(super) struct Journal {
    backend: Arc<dyn Backend>,
    observer: Arc<dyn Observer>,
    run: String,
    fence: u64,
    patience: Duration,
    /// Number of the last event; `None` once something was refused.
    last: Arc<Mutex<Option<u64>>>,
    fault: std::sync::Mutex<Option<SwarmError>>,
}

impl Journal {
    pub fn new(
        backend: Arc<dyn Backend>,
        observer: Arc<dyn Observer>,
        run: String,
        (fence, last): (u64, u64),
        patience: Duration,
    ) -> Arc<Self> {
        let last = Arc::new(Mutex::new(Some(last)));
        Arc::new(Self { backend, observer, run, fence, patience, last, fault: std::sync::Mutex::default() })
    }

    /// Number that the next event gets.
    pub async fn next(&self) -> u64 {
        self.last.lock().await.unwrap_or_default() + 1
    }

    /// Why nothing is written any more.
    pub fn fault(&self) -> SwarmError {
        let stopped = || SwarmError::Invalid("the run has stopped: an event could not be written".to_owned());
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_else(stopped)
    }

    /// Writes events, all or none, in the order of the calls. A call that is dropped before its turn writes nothing; after that it
    /// is carried through, since nobody could say afterwards which events the server has.
    pub async fn append(self: &Arc<Self>, events: Vec<RunEvent>) -> Result<(), Stopped> {
        if events.is_empty() {
            return Ok(());
        }
        let last = Arc::clone(&self.last).lock_owned().await;
        let this = Arc::clone(self);
        tokio::spawn(async move { this.write(last, events).await }).await.unwrap_or(Err(Stopped))
    }

    async fn write(&self, mut last: OwnedMutexGuard<Option<u64>>, mut events: Vec<RunEvent>) -> Result<(), Stopped> {
        let mut number = last.take().ok_or(Stopped)?;
        for event in &mut events {
            number += 1;
            event.sequence = number;
        }
        let patience = Instant::now() + self.patience;
        let mut pause = PAUSE;
        loop {
            match self.backend.append_events(&self.run, self.fence, events.clone()).await {
                Ok(()) => break,
                Err(error) if passes(&error) && Instant::now() < patience => {}
                Err(error) => {
                    *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.into());
                    return Err(Stopped);
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        *last = Some(number);
        for event in &events {
            self.observer.event(event);
        }
        Ok(())
    }

    /// Renews the lease until it is lost, at a third of its length so that two lost calls cost nothing. A server that is gone can
    /// give it to nobody else, so that alone stops nothing.
    pub async fn keep(self: Arc<Self>, ttl: Duration, stop: watch::Sender<Stop>) {
        loop {
            tokio::time::sleep(ttl / 3).await;
            match self.backend.renew_run(&self.run, self.fence, ttl).await {
                Ok(true) => {
                    stop.send_if_modified(|stop| {
                        *stop == Stop::No && std::mem::replace(stop, Stop::Cancel) == Stop::No
                    });
                }
                Ok(false) => {}
                Err(error) if passes(&error) => {}
                Err(error) => {
                    stop.send_replace(Stop::Lost(error.message().to_owned()));
                    return;
                }
            }
        }
    }

    /// Gives the lease up, as far as that can be said: it runs out by itself.
    pub async fn release(&self) {
        let release = self.backend.release_run(&self.run, self.fence);
        let _ = tokio::time::timeout(PAUSE_MAX, release).await;
    }
}
