//! Deprecated: the first job queue, kept until the night shift's workers are moved over. Use `src/queue.rs`.

use std::collections::VecDeque;

#[derive(Debug, Clone)]
pub struct Job {
    pub id: u64,
    pub priority: u8,
    pub payload: String,
}

/// A plain list without visibility timeout: a job that was taken is gone if its worker dies.
#[derive(Default)]
pub struct JobQueue {
    jobs: VecDeque<Job>,
    dead: Vec<Job>,
}

impl JobQueue {
    pub fn push(&mut self, id: u64, priority: u8, payload: String) {
        let at = self.jobs.iter().position(|job| job.priority < priority).unwrap_or(self.jobs.len());
        self.jobs.insert(at, Job { id, priority, payload });
    }

    /// Takes the most urgent job.
    pub fn pop(&mut self) -> Option<Job> {
        self.jobs.pop_front()
    }

    /// Gives up on a job and keeps it among the dead letters.
    pub fn bury(&mut self, job: Job) {
        self.dead.push(job);
    }

    pub fn dead_letters(&self) -> &[Job] {
        &self.dead
    }
}
