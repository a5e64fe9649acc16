//! The name of a tenant's wall.

use std::fmt;

use crate::base::error::{Error, Result};
use crate::base::limits::NAME_BYTES_MAX;

/// A valid namespace name: letters, digits, `-`, `_`, `.` and `/`, not empty, at most [`NAME_BYTES_MAX`] bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Namespace(String);

impl Namespace {
    /// The one meant where none is named. It always exists.
    pub const DEFAULT: &str = "default";

    /// Checks `name`.
    ///
    /// # Errors
    /// Invalid, naming the field `namespace`.
    pub fn new(name: &str) -> Result<Self> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(allowed) {
            return Err(Error::invalid(
                "namespace",
                format!(
                    "namespace {name:?} is not a valid name: use 1 to {NAME_BYTES_MAX} letters, digits, '-', '_', '.' or '/'"
                ),
            ));
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
