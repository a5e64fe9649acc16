//! Leases under a clock that the test turns.

use std::time::{Duration, Instant};

use scheduler::lease::{LEASE_DURATION, LeaseError, LeaseTable};

#[test]
fn a_job_has_one_owner_at_a_time() {
    let (mut table, now) = (LeaseTable::default(), Instant::now());
    table.acquire(7, "anna", now).unwrap();
    let refused = table.acquire(7, "ben", now).unwrap_err();
    assert_eq!(refused, LeaseError::HeldByAnother { worker: "anna".into() });
}

#[test]
fn renew_lease_pushes_the_end_out() {
    let (mut table, now) = (LeaseTable::default(), Instant::now());
    let lease = table.acquire(7, "anna", now).unwrap();
    let later = now + Duration::from_secs(20);
    let end = table.renew_lease(7, lease.fencing_token, later).unwrap();
    assert_eq!(end, later + LEASE_DURATION);
}

#[test]
fn renew_lease_fails_after_it_expired() {
    let (mut table, now) = (LeaseTable::default(), Instant::now());
    let lease = table.acquire(7, "anna", now).unwrap();
    let late = now + LEASE_DURATION + Duration::from_secs(1);
    assert_eq!(table.renew_lease(7, lease.fencing_token, late), Err(LeaseError::Expired));
}

#[test]
fn reap_expired_returns_silent_jobs_once() {
    let (mut table, now) = (LeaseTable::default(), Instant::now());
    table.acquire(7, "anna", now).unwrap();
    let late = now + LEASE_DURATION;
    assert_eq!(table.reap_expired(late), [7]);
    assert!(table.reap_expired(late).is_empty());
}
