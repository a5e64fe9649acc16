//! The one door through which async code reaches blocking or CPU-bound work.
//!
//! Anything above about 500 µs goes through [`Door::run`]; the number of jobs inside is bounded, so a burst queues
//! here, where it can be seen and cancelled, instead of in an unbounded thread pool.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Semaphore, oneshot};

use super::error::{Error, Kind, Result};

/// How much a background thread leaves to the others: at 10 it gets about a tenth of a core that somebody else wants, and
/// all of it otherwise. Only Linux has that by the thread; elsewhere background threads are like all others.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// A bounded pool of blocking jobs. Cheap to clone; clones share the bound.
#[derive(Debug, Clone)]
pub struct Door {
    slots: Arc<Semaphore>,
    background: Option<Arc<Mutex<Crew>>>,
}

impl Door {
    /// A door that lets `jobs_max` jobs run at a time.
    pub fn new(jobs_max: usize) -> Self {
        Self { slots: Arc::new(Semaphore::new(jobs_max.max(1))), background: None }
    }

    /// A door for long work that nobody waits for by the millisecond. Its threads give way to all others: searches must not
    /// queue behind an ingest.
    pub fn background(jobs_max: usize) -> Self {
        let crew = Crew::new(jobs_max.max(1));
        Self { background: Some(Arc::new(Mutex::new(crew))), ..Self::new(jobs_max) }
    }

    /// Lets nobody in any more.
    #[cfg(test)]
    pub fn shut(&self) {
        self.slots.close();
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
        if let Some(crew) = &self.background {
            let (send, receive) = oneshot::channel();
            let job = Box::new(move || {
                let _ = send.send(work());
            });
            crew.lock().unwrap_or_else(PoisonError::into_inner).run(job)?;
            return receive.await.map_err(|cause| Error::internal("a background job ended early").caused_by(cause))?;
        }
        let work = tokio::task::spawn_blocking(work);
        work.await.map_err(|cause| Error::internal("a blocking job ended early").caused_by(cause))?
    }

    /// Runs `job` on the calling thread once a slot is free; the runtime's other tasks go on elsewhere meanwhile. For the steps of
    /// a search: handing one to another thread and its outcome back costs two wake-ups, some 100 µs where cores sleep, and most
    /// of the steps take less. What the calling task does at the same time (`join!`) waits, and so does its deadline: not for
    /// anything long.
    ///
    /// # Errors
    /// Those of [`Self::run`].
    pub async fn run_here<T>(&self, job: impl FnOnce() -> Result<T>) -> Result<T> {
        let _slot =
            self.slots.acquire().await.map_err(|_| Error::new(Kind::Unavailable, "the server is shutting down"))?;
        let guarded = || {
            catch_unwind(AssertUnwindSafe(job)).unwrap_or_else(|_| Err(Error::internal("a blocking job ended early")))
        };
        match Handle::current().runtime_flavor() {
            RuntimeFlavor::CurrentThread => guarded(),
            _ => tokio::task::block_in_place(guarded),
        }
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// The threads behind a background door. They are not of the runtime's pool: who lowers a thread's priority may not raise it
/// again. They stay as long as the door does: allocators keep memory by the thread, and ever new threads would each leave some.
#[derive(Debug)]
struct Crew {
    hand: mpsc::Sender<Job>,
    take: Arc<Mutex<mpsc::Receiver<Job>>>,
    threads: usize,
    threads_max: usize,
}

impl Crew {
    fn new(threads_max: usize) -> Self {
        let (hand, take) = mpsc::channel();
        Self { hand, take: Arc::new(Mutex::new(take)), threads: 0, threads_max }
    }

    /// Gives `job` to whichever thread is free; there is one more with each job until all are there.
    fn run(&mut self, job: Job) -> Result<()> {
        if self.threads < self.threads_max {
            let take = Arc::clone(&self.take);
            let begun = std::thread::Builder::new().name("background".to_owned()).spawn(move || work_off(&take));
            begun.map_err(|cause| Error::new(Kind::Unavailable, "no thread can be started").caused_by(cause))?;
            self.threads += 1;
        }
        self.hand.send(job).map_err(|_| Error::internal("the background threads are gone"))
    }
}

/// Does what is handed until nobody is left to hand anything.
fn work_off(take: &Mutex<mpsc::Receiver<Job>>) {
    #[cfg(target_os = "linux")]
    if let Err(cause) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%cause, "a background thread keeps its priority");
    }
    loop {
        let next = take.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        // Who waits for it is told by what the job held being dropped.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
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

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_job_in_place_stays_on_its_thread_and_holds_nobody_up() {
        let door = Door::new(1);
        let (send, receive) = mpsc::channel();
        let other = tokio::spawn(async move { send.send(7) });
        let here = std::thread::current().id();
        // The only worker is in here: somebody else has to run the other task.
        let (heard, thread) = door
            .run_here(|| Ok((receive.recv_timeout(std::time::Duration::from_secs(10)), std::thread::current().id())))
            .await
            .unwrap();
        assert_eq!((heard, thread), (Ok(7), here));
        other.await.unwrap().unwrap();
        assert_eq!(door.run_here::<()>(|| panic!("on purpose")).await.unwrap_err().kind(), Kind::Internal);
        assert!(door.run_here(|| Ok(7)).await.is_ok(), "its slot is free again");
    }

    #[tokio::test]
    async fn a_runtime_of_one_thread_runs_it_too() {
        assert_eq!(Door::new(1).run_here(|| Ok(7)).await.unwrap(), 7);
    }
}
