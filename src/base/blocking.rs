//! The one door through which async code reaches blocking or CPU-bound work.
//!
//! Anything above about 500 µs goes through [`Door::run`]; the number of jobs inside is bounded, so a burst queues
//! here, where it can be seen and cancelled, instead of in an unbounded thread pool.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::error::{Error, Kind, Result};

/// How much a background thread leaves to the others: at 10 it gets about a tenth of a core that somebody else wants, and
/// all of it otherwise. Only Linux has that by the thread; elsewhere background threads are like all others.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// A bounded pool of blocking jobs. Cheap to clone; clones share the bound.
#[derive(Debug, Clone)]
pub struct Door {
    slots: Arc<Semaphore>,
    background: bool,
}

impl Door {
    /// A door that lets `jobs_max` jobs run at a time.
    pub fn new(jobs_max: usize) -> Self {
        Self { slots: Arc::new(Semaphore::new(jobs_max.max(1))), background: false }
    }

    /// A door for long work that nobody waits for by the millisecond. Each of its jobs has a thread of its own, which
    /// gives way to all others: searches must not queue behind an ingest.
    pub fn background(jobs_max: usize) -> Self {
        Self { background: true, ..Self::new(jobs_max) }
    }

    /// Runs `job` on a blocking thread once a slot is free. A job that has begun runs to its end even if the caller
    /// goes away.
    ///
    /// # Errors
    /// What the job returns; [`Kind::Internal`] if it panicked; [`Kind::Unavailable`] at shutdown.
    pub async fn run<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T> + Send + 'static,
    {
        let slot = Arc::clone(&self.slots)
            .acquire_owned()
            .await
            .map_err(|_| Error::new(Kind::Unavailable, "the server is shutting down"))?;
        let work = move || {
            let result = job();
            drop(slot);
            result
        };
        if self.background {
            return in_background(work).await;
        }
        let work = tokio::task::spawn_blocking(work);
        work.await.map_err(|cause| Error::internal("a blocking job ended early").caused_by(cause))?
    }
}

/// Runs `work` on a new thread of low priority. Not on one of the pool: who lowers a thread's priority may not raise it again.
async fn in_background<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let (send, receive) = tokio::sync::oneshot::channel();
    let begun = std::thread::Builder::new().name("background".to_owned()).spawn(move || {
        #[cfg(target_os = "linux")]
        if let Err(cause) = rustix::process::setpriority_process(None, NICENESS) {
            tracing::debug!(%cause, "a background thread keeps its priority");
        }
        let _ = send.send(work());
    });
    begun.map_err(|cause| Error::new(Kind::Unavailable, "no thread can be started").caused_by(cause))?;
    receive.await.map_err(|cause| Error::internal("a background job ended early").caused_by(cause))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn jobs_in_the_background_give_way_return_and_may_panic() {
        let door = Door::background(2);
        let name = door.run(|| Ok(std::thread::current().name().map(str::to_owned))).await.unwrap();
        assert_eq!(name.as_deref(), Some("background"));
        #[cfg(target_os = "linux")]
        {
            let priority = || Ok(rustix::process::getpriority_process(None).unwrap_or_default());
            assert_eq!(door.run(priority).await.unwrap(), NICENESS);
            assert_ne!(Door::new(1).run(priority).await.unwrap(), NICENESS, "the pool's threads stay as they are");
        }
        let error = door.run::<(), _>(|| panic!("on purpose")).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Internal);
        assert!(door.run(|| Ok(7)).await.is_ok(), "its slot is free again");
    }
}
