//! What a sync tells: how far it is, and in the end what it did and what it left out.

use std::collections::BTreeMap;

use crate::engine::catalog::WriteOutcome;

/// Files named one by one in a report; the rest is only counted.
const ISSUES_LISTED_MAX: usize = 1_000;

/// What a sync is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Listing the source.
    Listing,
    /// Reading, parsing and storing.
    Reading,
    /// Everything is stored and searchable by words; vectors are being made.
    Embedding,
}

/// Counts so far; sent often, never waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is going on.
    pub phase: Phase,
    /// Files to look at; while listing, those found so far.
    pub files_total: u64,
    /// Files looked at.
    pub files_done: u64,
    /// Bytes read.
    pub bytes_done: u64,
    /// Chunks written.
    pub chunks: u64,
    /// Chunks whose vector is made or was known, of those written.
    pub chunks_embedded: u64,
}

impl Progress {
    /// Nothing done yet.
    pub(super) fn of(phase: Phase) -> Self {
        Self { phase, files_total: 0, files_done: 0, bytes_done: 0, chunks: 0, chunks_embedded: 0 }
    }
}

/// One file that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// Its path.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// A list of issues with counts by reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Issues {
    /// The first ones.
    pub listed: Vec<Issue>,
    /// All of them, counted.
    pub by_reason: BTreeMap<String, u64>,
}

impl Issues {
    /// Adds one.
    pub fn add(&mut self, path: String, reason: String) {
        *self.by_reason.entry(reason.clone()).or_default() += 1;
        if self.listed.len() < ISSUES_LISTED_MAX {
            self.listed.push(Issue { path, reason });
        }
    }
}

/// What a sync did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Canonical URI of the source.
    pub source: String,
    /// Files looked at.
    pub files: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Chunks written.
    pub chunks: u64,
    /// What the catalogue did.
    pub outcome: WriteOutcome,
    /// Chunks embedded and taken from the cache, if it was waited for.
    pub embedded: u64,
    /// See `embedded`.
    pub cached: u64,
    /// Left out on purpose.
    pub skipped: Issues,
    /// Not readable.
    pub failed: Issues,
}
