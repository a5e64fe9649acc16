//! The job queue: highest priority first, hidden while in progress, set aside after too many failures.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

/// Attempts before a job goes to the dead letters.
pub const MAX_ATTEMPTS: u32 = 5;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Job {
    pub priority: u8,
    /// First come, first served within one priority.
    sequence: Reverse<u64>,
    pub id: u64,
    pub attempts: u32,
    pub payload: String,
}

/// See the module's documentation.
#[derive(Default)]
pub struct JobQueue {
    ready: BinaryHeap<Job>,
    in_progress: VecDeque<(Instant, Job)>,
    dead: Vec<Job>,
    sequence: u64,
}

impl JobQueue {
    pub fn push(&mut self, id: u64, priority: u8, payload: String) {
        self.sequence += 1;
        self.ready.push(Job { priority, sequence: Reverse(self.sequence), id, attempts: 0, payload });
    }

    /// Takes the most urgent job. It stays invisible to others for `visibility_timeout`.
    pub fn pop(&mut self, visibility_timeout: Duration, now: Instant) -> Option<Job> {
        self.requeue_overdue(now);
        let mut job = self.ready.pop()?;
        job.attempts += 1;
        self.in_progress.push_back((now + visibility_timeout, job.clone()));
        Some(job)
    }

    /// The job is done and never comes back.
    pub fn acknowledge(&mut self, id: u64) -> bool {
        let before = self.in_progress.len();
        self.in_progress.retain(|(_, job)| job.id != id);
        self.in_progress.len() < before
    }

    /// Puts jobs back that nobody acknowledged in time, or buries them.
    fn requeue_overdue(&mut self, now: Instant) {
        while let Some((deadline, _)) = self.in_progress.front() {
            if *deadline > now {
                break;
            }
            let Some((_, job)) = self.in_progress.pop_front() else { break };
            if job.attempts >= MAX_ATTEMPTS {
                self.dead.push(job);
            } else {
                self.ready.push(job);
            }
        }
    }

    /// Jobs that failed too often, for a person to look at.
    pub fn dead_letters(&self) -> &[Job] {
        &self.dead
    }
}
