//! Named keys to what is not public. They come from the operator's configuration; everybody else names them.
//!
//! A secret is never shown: not by `Debug`, not in an error, not to a caller.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::base::error::{Error, Result};

/// A text that is not for anybody's eyes.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one who sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// What one name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Its name.
    pub name: String,
    /// What it is for: `s3`, `gs`, `az`, `http`, `github`, `git`, `sql`.
    pub kind: String,
    /// Beginnings of the addresses that it serves without being named.
    pub prefixes: Vec<String>,
    /// What is no secret, by key: `endpoint`, `region`, `account`, `user`.
    pub settings: BTreeMap<String, String>,
    /// What is, by key: `access_key_id`, `secret_access_key`, `session_token`, `account_key`, `sas`, `service_account`,
    /// `token`, `password`.
    pub secrets: BTreeMap<String, Secret>,
}

impl Credential {
    /// A setting.
    pub fn setting(&self, key: &str) -> Option<&str> {
        self.settings.get(key).map(String::as_str)
    }

    /// A secret.
    pub fn secret(&self, key: &str) -> Option<&str> {
        self.secrets.get(key).map(Secret::expose)
    }
}

/// Kinds that there are.
pub const KINDS: &[&str] = &["s3", "gs", "az", "http", "github", "git", "sql"];
/// Keys that are no secret.
pub const SETTINGS: &[&str] = &["endpoint", "region", "account", "user"];
/// Keys that are.
pub const SECRETS: &[&str] = &[
    "access_key_id",
    "secret_access_key",
    "session_token",
    "account_key",
    "sas",
    "service_account",
    "token",
    "password",
];

/// All of them. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    held: Arc<Vec<Arc<Credential>>>,
}

impl Credentials {
    /// These.
    pub fn new(credentials: Vec<Credential>) -> Self {
        Self { held: Arc::new(credentials.into_iter().map(Arc::new).collect()) }
    }

    /// The one whose longest prefix fits an address, of those of `kind`. A prefix ends where a part of the address does:
    /// `s3://data` is not for `s3://data-of-others/`.
    pub fn of_uri(&self, kind: &str, uri: &str) -> Option<Arc<Credential>> {
        let reach = |prefix: &String| {
            let rest = uri.strip_prefix(prefix.as_str())?;
            (rest.is_empty() || prefix.ends_with('/') || rest.starts_with(['/', '?', '#'])).then_some(prefix.len())
        };
        let fits =
            |held: &&Arc<Credential>| held.kind == kind && held.prefixes.iter().any(|prefix| reach(prefix).is_some());
        self.held.iter().filter(fits).max_by_key(|held| held.prefixes.iter().filter_map(reach).max()).cloned()
    }

    /// The one with this name, which has to be of `kind`.
    ///
    /// # Errors
    /// Invalid, without saying which others there are: who asks may not know that.
    pub fn named(&self, kind: &str, name: &str) -> Result<Arc<Credential>> {
        let fits = |held: &&Arc<Credential>| held.name == name && held.kind == kind;
        self.held.iter().find(fits).cloned().ok_or_else(|| {
            Error::invalid(
                "credential",
                format!("this server has no {kind} credential {name:?}: add [credentials.{name}] to its configuration"),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(name: &str, kind: &str, prefixes: &[&str]) -> Credential {
        Credential {
            name: name.to_owned(),
            kind: kind.to_owned(),
            prefixes: prefixes.iter().map(|&prefix| prefix.to_owned()).collect(),
            settings: BTreeMap::new(),
            secrets: BTreeMap::from([("token".to_owned(), Secret::new("hunter2"))]),
        }
    }

    #[test]
    fn the_longest_prefix_decides_and_ends_with_a_part() {
        let all = Credentials::new(vec![
            credential("all", "s3", &["s3://data"]),
            credential("team", "s3", &["s3://other", "s3://data/team/"]),
            credential("web", "http", &["s3://data/team/x"]),
        ]);
        let name = |uri: &str| all.of_uri("s3", uri).map(|found| found.name.clone());
        assert_eq!(name("s3://data/x").as_deref(), Some("all"));
        assert_eq!(name("s3://data/team/x").as_deref(), Some("team"));
        assert_eq!(name("s3://data").as_deref(), Some("all"));
        assert_eq!(name("s3://data-of-others/x"), None);
        assert!(all.named("s3", "web").is_err() && all.named("http", "web").is_ok());
    }

    #[test]
    fn secrets_are_not_shown() {
        let all = Credentials::new(vec![credential("a", "http", &[])]);
        assert!(!format!("{all:?} {:?}", all.named("http", "a")).contains("hunter2"));
        assert_eq!(all.named("http", "a").unwrap().secret("token"), Some("hunter2"));
        assert!(!all.named("http", "b").unwrap_err().to_string().contains("hunter2"));
    }
}
