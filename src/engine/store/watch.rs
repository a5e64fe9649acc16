//! Following a source: being told what changed in it, so that nobody has to list it over and over.
//!
//! # Contract
//! - **Nothing is lost silently**: a change in a part that is covered is told by its URI, or as [`Changed::Everything`]
//!   where it can't be named (too many, or the system dropped some). Telling too much is allowed.
//! - **Cover, then list**: a new folder is followed only from the moment that `cover` saw it. Who covers what changed and
//!   lists it afterwards sees every file: it was there for the listing, or is told as a change.
//! - **Bounded**: what waits to be taken is at most [`CHANGES_MAX`] URIs, however many changes there are.
//! - Ends when the last handle to it is dropped.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;

use super::ListOptions;
use crate::base::error::Result;

/// URIs told one by one; with more of them one listing of the whole source is quicker than many of its parts.
pub const CHANGES_MAX: usize = 256;

/// What changed since it was last taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// What lies at or below these URIs of the source; none: nothing.
    At(BTreeSet<String>),
    /// Anything: look at the whole source.
    Everything,
}

impl Changed {
    /// Whether nothing changed.
    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::At(uris) if uris.is_empty())
    }
}

/// Makes watches.
pub trait Watcher: Send + Sync {
    /// Begins to follow the source of this canonical URI; nothing of it is covered yet. Blocking.
    ///
    /// # Errors
    /// Those of opening a source; Unavailable if the system has no watch to give.
    fn watch(&self, source: &str, options: &ListOptions) -> Result<Arc<dyn Watch>>;
}

/// One source that is followed; see the module's contract.
#[async_trait]
pub trait Watch: Send + Sync {
    /// Follows what lies at or below `changed` as well. Blocking; repeating it is harmless.
    ///
    /// # Errors
    /// Those of opening a source; Unavailable if the system has not enough watches: what was covered until then stays so.
    fn cover(&self, changed: &Changed) -> Result<()>;

    /// Waits until something changed after the last call came back. Giving up the wait loses nothing.
    async fn changed(&self);

    /// Takes what changed until now.
    fn take(&self) -> Changed;

    /// Whether what is followed is still what the source's address leads to. Blocking. To be asked now and then: that a
    /// folder above the source was moved is no change of the source, and is not told.
    fn is_attached(&self) -> bool;

    /// Whether something is under way that changes many files, such as a checkout of another branch.
    fn is_unsettled(&self) -> bool;
}
