//! When to try again after a failure.

use std::time::Duration;

/// How patient a caller is.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    pub first_delay: Duration,
    pub longest_delay: Duration,
    pub attempts_max: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { first_delay: Duration::from_millis(200), longest_delay: Duration::from_secs(60), attempts_max: 8 }
    }
}

/// Whether another attempt can help at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    Transient,
    Permanent,
}

impl RetryPolicy {
    /// The pause before attempt number `attempt` (from 1), or `None` to give up.
    ///
    /// Doubles each time up to the longest delay. `random` in 0..1 spreads the pauses over the upper half, so that clients
    /// that failed together don't come back together.
    pub fn exponential_backoff(&self, attempt: u32, failure: Failure, random: f64) -> Option<Duration> {
        if failure == Failure::Permanent || attempt > self.attempts_max {
            return None;
        }
        let factor = 2_u32.saturating_pow(attempt.saturating_sub(1));
        let full = self.first_delay.saturating_mul(factor).min(self.longest_delay);
        Some(full.mul_f64(0.5 + random / 2.0))
    }
}

/// HTTP answers after which the same request may succeed later.
pub fn classify_status(status: u16) -> Failure {
    match status {
        408 | 425 | 429 | 500 | 502 | 503 | 504 => Failure::Transient,
        _ => Failure::Permanent,
    }
}
