//! Where bytes come from: listing and reading sources.
//!
//! # Contract
//! - `list` yields each readable object once, in a stable order, and reports what it leaves out with the reason.
//! - `list_at` yields what `list` would of the given URIs and of all below them, and nothing else.
//! - `read` returns at most `bytes_max` bytes and fails with a limit error above that.
//! - Nothing outside the source's root is ever read: links that leave it are reported, not followed.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::base::Timestamp;
use crate::base::error::Result;

pub mod local;
pub mod local_watch;
pub mod uri;
pub mod watch;

/// One object of a source.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Where it is on disk.
    pub location: PathBuf,
    /// Relative to the root, `/` between parts.
    pub path: String,
    /// Full address.
    pub uri: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Modification time.
    pub modified_at: Option<Timestamp>,
}

/// Something left out of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Relative path.
    pub path: String,
    /// Why, as a short stable phrase (`link out of the root`, `not readable`).
    pub reason: String,
    /// Whether it is an error (unreadable) rather than a choice.
    pub failed: bool,
}

/// What to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// Globs that a path must match one of; empty: all.
    pub include: Vec<String>,
    /// Globs that a path must not match.
    pub exclude: Vec<String>,
}

/// A listing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Listing {
    /// Readable objects by path.
    pub objects: Vec<Object>,
    /// What was left out.
    pub left_out: Vec<LeftOut>,
}

/// See the module's contract. Blocking; call it through the door.
pub trait Store: Send + Sync {
    /// The canonical URI of the source that `address` names.
    fn resolve(&self, address: &str) -> Result<String>;

    /// Lists a source by its canonical URI.
    fn list(&self, source: &str, options: &ListOptions) -> Result<Listing>;

    /// Lists what lies at or below some URIs of a source, by the rules of [`Store::list`] and without looking at the
    /// rest.
    fn list_at(&self, source: &str, options: &ListOptions, uris: &BTreeSet<String>) -> Result<Listing>;

    /// Reads one object.
    fn read(&self, object: &Object, bytes_max: u64) -> Result<Vec<u8>>;

    /// Size and modification time now; `None` if it is gone.
    fn stat(&self, uri: &str) -> Result<Option<(u64, Option<Timestamp>)>>;
}
