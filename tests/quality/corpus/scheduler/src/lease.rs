//! Leases: who works on which job, and until when.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long a worker owns a job before it has to speak up again.
pub const LEASE_DURATION: Duration = Duration::from_secs(30);

/// One worker's claim on one job.
#[derive(Debug, Clone)]
pub struct Lease {
    pub job: u64,
    pub worker: String,
    /// Grows with every new owner, so that a slow old owner's writes can be told apart.
    pub fencing_token: u64,
    expires_at: Instant,
}

#[derive(Debug, PartialEq, Eq)]
pub enum LeaseError {
    HeldByAnother { worker: String },
    Expired,
    Unknown,
}

/// All leases of one scheduler.
#[derive(Default)]
pub struct LeaseTable {
    leases: HashMap<u64, Lease>,
    next_token: u64,
}

impl LeaseTable {
    /// Gives `job` to `worker` unless somebody else still holds it.
    pub fn acquire(&mut self, job: u64, worker: &str, now: Instant) -> Result<Lease, LeaseError> {
        if let Some(held) = self.leases.get(&job) {
            if held.expires_at > now && held.worker != worker {
                return Err(LeaseError::HeldByAnother { worker: held.worker.clone() });
            }
        }
        self.next_token += 1;
        let lease = Lease {
            job,
            worker: worker.to_owned(),
            fencing_token: self.next_token,
            expires_at: now + LEASE_DURATION,
        };
        self.leases.insert(job, lease.clone());
        Ok(lease)
    }

    /// A heartbeat: pushes the end of a lease out. Fails once it has run out.
    pub fn renew_lease(&mut self, job: u64, fencing_token: u64, now: Instant) -> Result<Instant, LeaseError> {
        let lease = self.leases.get_mut(&job).ok_or(LeaseError::Unknown)?;
        if lease.fencing_token != fencing_token {
            return Err(LeaseError::HeldByAnother { worker: lease.worker.clone() });
        }
        if lease.expires_at <= now {
            return Err(LeaseError::Expired);
        }
        lease.expires_at = now + LEASE_DURATION;
        Ok(lease.expires_at)
    }

    /// Jobs whose owners have gone silent; they can be handed to someone else.
    pub fn reap_expired(&mut self, now: Instant) -> Vec<u64> {
        let gone: Vec<u64> = self.leases.values().filter(|lease| lease.expires_at <= now).map(|lease| lease.job).collect();
        for job in &gone {
            self.leases.remove(job);
        }
        gone
    }
}
