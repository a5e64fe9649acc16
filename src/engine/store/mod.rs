//! Where bytes come from: listing and reading sources.
//!
//! # Contract
//! - `list` yields each readable object once, in a stable order, and reports what it leaves out with the reason.
//! - `list_at` yields what `list` would of the given URIs and of all below them, and nothing else.
//! - `read` returns at most `bytes_max` bytes and fails with a limit error above that.
//! - `open` reads one object, or a range of it, in pieces of at most [`PIECE_BYTES_MAX`] bytes that follow each other
//!   without gap or overlap; at most two of them are in memory at a time. All pieces are of the version that `open` found:
//!   where the object changes meanwhile, a piece is an error and no byte of another version is given out. An offset at or
//!   beyond the end is an Invalid error, unless the object is empty and the offset 0. A store that only reads objects as a
//!   whole holds one of at most [`WHOLE_BYTES_MAX`] in memory instead; a larger one is a limit error.
//! - `holds` never says that something is gone when it only can't tell.
//! - A mark means: the same mark, the same bytes. A store that can't promise that gives none.
//! - Nothing outside the source's root is ever read: links that leave it are reported, not followed.
//! - Everything is blocking and is called through the door (`base::blocking`); a store that speaks over a network does
//!   so on a runtime that it was given, with a deadline for each request, so that no call blocks for ever.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::base::Timestamp;
use crate::base::error::{Error, Result};
use crate::base::limits::WHOLE_BYTES_MAX;

mod about;
mod cache;
pub mod cloud;
mod cloud_client;
mod cloud_keys;
pub mod credentials;
pub mod fetch;
pub mod git;
pub mod github;
mod globs;
pub mod guard;
pub mod http;
pub mod line;
pub mod local;
pub mod local_watch;
pub mod polled;
pub mod sql;
pub mod stores;
#[cfg(test)]
pub mod testing;
pub mod uri;
pub mod watch;
pub mod web;
mod whole;

pub use about::{About, Partner, Partners};

/// Largest piece of a streamed object. Big enough that a thread switch a piece is nothing beside reading it, and that four
/// of them on their way to a caller are 4 MiB.
pub const PIECE_BYTES_MAX: usize = 1024 * 1024;

/// One object of a source.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Object {
    /// Relative to the root, `/` between parts.
    pub path: String,
    /// Full address.
    pub uri: String,
    /// Size in bytes; 0 if it is not known before it is read.
    pub bytes: u64,
    /// Modification time.
    pub modified_at: Option<Timestamp>,
    /// The store's own mark of this version: an etag, a blob id. The same mark means the same bytes.
    pub mark: Option<String>,
}

/// What a store says of an object without reading it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stat {
    /// Size in bytes; 0 if it is not known before it is read.
    pub bytes: u64,
    /// Modification time.
    pub modified_at: Option<Timestamp>,
    /// See [`Object::mark`].
    pub mark: Option<String>,
}

/// Which bytes of an object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Range {
    /// The first one.
    pub offset: u64,
    /// How many; `None`: to the end. What lies beyond the end is not there and no error.
    pub length: Option<u64>,
}

/// An object that is being read; see [`Store::open`].
pub struct Reading {
    /// The version that is read.
    pub stat: Stat,
    /// What the store says it is, if it says so.
    pub media_type: Option<String>,
    /// Its bytes in order.
    pub pieces: Box<dyn Pieces>,
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reading").field("stat", &self.stat).finish_non_exhaustive()
    }
}

/// How somebody gets at an object without this server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ways {
    /// A URL that anybody may read for a while.
    pub presigned: Option<String>,
    /// A command of the store's own tool that writes the bytes to stdout.
    pub native: Option<String>,
    /// Name of the credential that the server reads it with.
    pub credential: Option<String>,
}

/// The bytes of an object in order.
pub trait Pieces: Send {
    /// The next ones: 1 to [`PIECE_BYTES_MAX`] of them; `None` at the end of the range. Blocking.
    ///
    /// # Errors
    /// Conflict if the object changed since it was opened; Unavailable if the store broke off.
    fn next(&mut self) -> Result<Option<Vec<u8>>>;
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
    /// How far to follow links, for sources that are followed by links.
    pub crawl: Crawl,
    /// Where it is told how many objects were found so far.
    pub found: Found,
}

/// How many objects a listing has found so far: one may take minutes, and somebody may watch. What is asked for is the same,
/// watched or not.
#[derive(Debug, Clone, Default)]
pub struct Found(Arc<AtomicU64>);

impl Found {
    /// Counts one more.
    pub fn one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl PartialEq for Found {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Found {}

/// Bounds of a crawl; `None`: those of [`crate::base::limits`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Crawl {
    /// Most links between the first page and another.
    pub depth: Option<u32>,
    /// Most pages.
    pub pages_max: Option<u32>,
    /// Least time between two requests.
    pub delay: Option<Duration>,
}

/// A listing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Listing {
    /// Readable objects by path.
    pub objects: Vec<Object>,
    /// What was left out.
    pub left_out: Vec<LeftOut>,
    /// Since when the source, a folder, has had no entry of any kind. `None` if it has some or the store can't tell.
    pub bare_since: Option<Timestamp>,
}

/// See the module's contract. Blocking; call it through the door.
pub trait Store: Send + Sync {
    /// The address that `address` stands for where another store serves that: a page that shows a repository is the
    /// repository. Asks nobody.
    ///
    /// # Errors
    /// Invalid for an address that can't be one.
    fn meant(&self, address: &str) -> Result<String> {
        Ok(address.to_owned())
    }

    /// The canonical URI of the source that `address` names.
    fn resolve(&self, address: &str) -> Result<String>;

    /// Lists a source by its canonical URI.
    fn list(&self, source: &str, options: &ListOptions) -> Result<Listing>;

    /// Lists what lies at or below some URIs of a source, by the rules of [`Store::list`] and without looking at the
    /// rest.
    fn list_at(&self, source: &str, options: &ListOptions, uris: &BTreeSet<String>) -> Result<Listing>;

    /// Reads one object.
    fn read(&self, object: &Object, bytes_max: u64) -> Result<Vec<u8>>;

    /// What is known of an object now; `None` if it is gone.
    fn stat(&self, uri: &str) -> Result<Option<Stat>>;

    /// What is known of an object beside its bytes, after it was listed or read.
    ///
    /// # Errors
    /// Those of a stat.
    fn about(&self, object: &Object) -> Result<About> {
        let _ = object;
        Ok(About::default())
    }

    /// Which objects of a source change together, as far as the source has a history; may take seconds the first time.
    ///
    /// # Errors
    /// Those of a listing.
    fn partners(&self, source: &str) -> Result<Option<Partners>> {
        let _ = source;
        Ok(None)
    }

    /// Whether there is anything at or below an address, whether or not it is an object; `None` if only a listing of it all
    /// could tell. Bounded: nothing is read, and at most one page listed.
    ///
    /// # Errors
    /// Those of a stat, but that nothing is there.
    fn holds(&self, uri: &str) -> Result<Option<bool>> {
        let _ = uri;
        Ok(None)
    }

    /// The version that a source is at: another one where anything in it may have changed. `None` where only a listing could
    /// tell.
    ///
    /// # Errors
    /// Those of a listing.
    fn version(&self, source: &str) -> Result<Option<String>> {
        let _ = source;
        Ok(None)
    }

    /// Opens an object for reading in pieces; however large it is, unless the store only reads objects as a whole.
    ///
    /// # Errors
    /// NotFound if it is gone, Invalid for an offset beyond its end; over a limit for what can only be read as a whole and is
    /// larger than [`WHOLE_BYTES_MAX`].
    fn open(&self, uri: &str, range: Range) -> Result<Reading> {
        whole::open(self, uri, range, WHOLE_BYTES_MAX)
    }

    /// The store that reads `uri` with the credential of this name instead of the one that its address finds.
    ///
    /// # Errors
    /// Invalid if there is no such credential, it is not to be sent there, or the store takes none; some stores say so
    /// only when they read.
    fn under(&self, uri: &str, credential: &str) -> Result<Arc<dyn Store>> {
        Err(Error::invalid("credential", format!("{uri} is read without credentials: leave out {credential:?}")))
    }

    /// How somebody else gets at an object without this server; signed URLs are good for `ttl`.
    ///
    /// # Errors
    /// Invalid for an address that can't be one.
    fn ways(&self, uri: &str, ttl: Duration) -> Result<Ways> {
        let _ = (uri, ttl);
        Ok(Ways::default())
    }
}

/// The word of a shell for `text`.
pub fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// The error for an object that is too large to be read as a whole.
pub(super) fn over_limit(uri: &str, bytes: u64, bytes_max: u64) -> Error {
    Error::limit("bytes", format!("{uri} has {bytes} bytes, over the limit of {bytes_max}"))
}

/// The error for an offset beyond the end of an object.
pub(super) fn beyond_end(uri: &str, offset: u64, bytes: u64) -> Error {
    Error::invalid("offset", format!("{uri} has {bytes} bytes, none at offset {offset}: start before its end"))
}
