//! Percentiles by plain loops, and result lines that carry their target.

use std::time::{Duration, Instant};

/// Durations of one thing, in milliseconds.
#[derive(Debug, Clone, Default)]
pub struct Sample(Vec<f64>);

impl Sample {
    /// Runs `work` and keeps its time.
    pub fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let result = work();
        self.push(began.elapsed());
        result
    }

    /// Keeps a duration.
    pub fn push(&mut self, duration: Duration) {
        self.0.push(duration.as_secs_f64() * 1e3);
    }

    /// Keeps a duration of so many microseconds.
    pub fn push_us(&mut self, us: u64) {
        self.0.push(us as f64 / 1e3);
    }

    /// The value below which a share of `q` lies (nearest rank).
    pub fn quantile(&self, q: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (q * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
    }

    /// The median.
    pub fn p50(&self) -> f64 {
        self.quantile(0.5)
    }

    /// Prints the percentiles beside the target, if there is one.
    pub fn print(&self, what: &str, target: &str) {
        let figures = format!("p50 {:7.2} ms  p95 {:7.2} ms  n {}", self.p50(), self.quantile(0.95), self.0.len());
        line(what, &figures, target);
    }
}

/// Prints one result.
pub fn line(what: &str, figures: &str, target: &str) {
    let target = if target.is_empty() { String::new() } else { format!("  (target {target})") };
    println!("  {what:<44} {figures}{target}");
}

/// Prints the heading of a section.
pub fn heading(text: &str) {
    println!("\n== {text}");
}

/// Bytes as mebibytes.
pub fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1024.0 / 1024.0
}
