//! The environment variables that count, read once.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// See the fields.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `$XDG_DATA_HOME/hivemem` or `~/.local/share/hivemem`.
    pub data_dir: Option<PathBuf>,
    /// `$XDG_CACHE_HOME/hivemem` or `~/.cache/hivemem`.
    pub cache_dir: Option<PathBuf>,
    /// `ORT_DYLIB_PATH`.
    pub runtime: Option<PathBuf>,
    /// `HIVEMEM_TOKEN`.
    pub token: Option<String>,
    /// Variables that a test sets; looked at before those of the process.
    pub given: BTreeMap<String, String>,
}

impl Environment {
    /// Reads them.
    pub fn read() -> Self {
        let path = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = path("HOME");
        let below = |variable: &str, fallback: &str| {
            path(variable).or_else(|| home.as_ref().map(|home| home.join(fallback))).map(|dir| dir.join("hivemem"))
        };
        Self {
            data_dir: below("XDG_DATA_HOME", ".local/share"),
            cache_dir: below("XDG_CACHE_HOME", ".cache"),
            runtime: path("ORT_DYLIB_PATH"),
            token: std::env::var("HIVEMEM_TOKEN").ok().filter(|token| !token.is_empty()),
            given: BTreeMap::new(),
        }
    }

    /// The variable that the configuration names, unless it is empty.
    pub fn named(&self, variable: &str) -> Option<String> {
        let given = self.given.get(variable).cloned();
        given.or_else(|| std::env::var(variable).ok()).filter(|value| !value.is_empty())
    }
}
