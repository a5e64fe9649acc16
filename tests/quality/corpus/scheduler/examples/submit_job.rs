//! Submits one job and works on it: push, pop, acknowledge, with a lease that is renewed on the way.

use std::time::{Duration, Instant};

use scheduler::lease::LeaseTable;
use scheduler::queue::JobQueue;
use scheduler::retry::{Failure, RetryPolicy};

fn main() {
    let mut queue = JobQueue::default();
    let mut leases = LeaseTable::default();
    queue.push(1, 9, "print the morning's delivery lists".to_owned());

    let now = Instant::now();
    let Some(job) = queue.pop(Duration::from_secs(60), now) else { return };
    let lease = leases.acquire(job.id, "example-worker", now).expect("nobody else works here");

    let policy = RetryPolicy::default();
    for attempt in 1.. {
        match work(&job.payload) {
            Ok(()) => break,
            Err(failure) => match policy.exponential_backoff(attempt, failure, 0.5) {
                Some(pause) => std::thread::sleep(pause),
                None => return,
            },
        }
        let _ = leases.renew_lease(job.id, lease.fencing_token, Instant::now());
    }
    queue.acknowledge(job.id);
}

fn work(payload: &str) -> Result<(), Failure> {
    println!("working on: {payload}");
    Ok(())
}
