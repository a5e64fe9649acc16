//! Which paths of a source are asked for, the same for every store.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::{Found, ListOptions};
use crate::base::error::{Error, Result};

/// Include and exclude globs. A glob without a slash matches a name at any depth, one with a slash a path from the
/// root; what matches a directory goes for all below it.
pub(super) struct Globs {
    include: Option<GlobSet>,
    exclude: Option<GlobSet>,
    /// Counts what is found that is asked for.
    pub(super) found: Found,
}

impl Globs {
    /// Those of a listing.
    ///
    /// # Errors
    /// Invalid for one that can't be read.
    pub(super) fn new(options: &ListOptions) -> Result<Self> {
        Ok(Self {
            include: globs("include", &options.include)?,
            exclude: globs("exclude", &options.exclude)?,
            found: options.found.clone(),
        })
    }

    /// Whether a path, or the folder of this path, is left out.
    pub(super) fn excludes(&self, path: &str) -> bool {
        self.exclude.as_ref().is_some_and(|set| set.is_match(path))
    }

    /// Whether a path is among what is asked for.
    pub(super) fn includes(&self, path: &str) -> bool {
        self.include.as_ref().is_none_or(|set| set.is_match(path))
    }
}

fn globs(field: &'static str, patterns: &[String]) -> Result<Option<GlobSet>> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let invalid = |pattern: &str, why: &str| Error::invalid(field, format!("{pattern:?} is not a valid glob: {why}"));
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let trimmed = pattern.trim_end_matches('/');
        let anchored = trimmed.strip_prefix("./").or(trimmed.strip_prefix('/')).unwrap_or(trimmed);
        if anchored.is_empty() {
            return Err(invalid(pattern, "it is empty"));
        }
        let rooted = anchored.len() < trimmed.len() || anchored.contains('/');
        let own = if rooted { anchored.to_owned() } else { format!("**/{anchored}") };
        for glob in [own.clone(), format!("{own}/**")] {
            let glob = GlobBuilder::new(&glob).literal_separator(true).build();
            // The glob in globset's message is the rewritten one; the caller knows only theirs.
            set.add(glob.map_err(|cause| invalid(pattern, &cause.kind().to_string()))?);
        }
    }
    set.build().map(Some).map_err(|cause| invalid(&patterns.join(" "), &cause.kind().to_string()))
}
