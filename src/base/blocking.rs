//! The one door through which async code reaches blocking or CPU-bound work.
//!
//! Anything above about 500 µs goes through [`Door::run`]; the number of jobs inside is bounded, so a burst queues
//! here, where it can be seen and cancelled, instead of in an unbounded thread pool.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::error::{Error, Kind, Result};

/// A bounded pool of blocking jobs. Cheap to clone; clones share the bound.
#[derive(Debug, Clone)]
pub struct Door {
    slots: Arc<Semaphore>,
}

impl Door {
    /// A door that lets `jobs_max` jobs run at a time.
    pub fn new(jobs_max: usize) -> Self {
        Self { slots: Arc::new(Semaphore::new(jobs_max.max(1))) }
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
        let work = tokio::task::spawn_blocking(move || {
            let result = job();
            drop(slot);
            result
        });
        work.await.map_err(|cause| Error::internal("a blocking job ended early").caused_by(cause))?
    }
}
