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
    /// Beginnings of the addresses that it serves: without being named, and for kinds that are sent to where an address
    /// leads (`http`, `git`, `github`) also when it is.
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

    /// Whether one of its prefixes fits an address. A prefix ends where a part of the address does: `s3://data` is not for
    /// `s3://data-of-others/`.
    pub fn serves(&self, uri: &str) -> bool {
        self.reach(uri).is_some()
    }

    /// The length of its longest prefix that fits an address.
    fn reach(&self, uri: &str) -> Option<usize> {
        let fits = |prefix: &&String| {
            let rest = uri.strip_prefix(prefix.as_str());
            rest.is_some_and(|rest| rest.is_empty() || prefix.ends_with('/') || rest.starts_with(['/', '?', '#']))
        };
        self.prefixes.iter().filter(fits).map(String::len).max()
    }

    /// The error for an address that its secrets are not sent to.
    pub(super) fn refused(&self, uri: &str) -> Error {
        let name = &self.name;
        let message = format!(
            "credential {name:?} is not sent to {uri}: none of its prefixes fits; add one to [credentials.{name}] of the \
             configuration if it is meant for that"
        );
        Error::invalid("credential", message)
    }

    /// A request that says who asks: with its token, else with its user and password.
    pub(super) fn sign(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match (self.secret("token"), self.setting("user")) {
            (Some(token), _) => request.bearer_auth(token),
            (None, Some(user)) => request.basic_auth(user, self.secret("password")),
            (None, None) => request,
        }
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

    /// The one whose longest prefix fits an address, of those of `kind`; see [`Credential::serves`].
    pub fn of_uri(&self, kind: &str, uri: &str) -> Option<Arc<Credential>> {
        let fits = |held: &&Arc<Credential>| held.kind == kind && held.serves(uri);
        self.held.iter().filter(fits).max_by_key(|held| held.reach(uri)).cloned()
    }

    /// The one with this name, which has to be of `kind` and to serve the address: whoever may name a credential may name
    /// an address of their own, too, and would be sent the secret.
    ///
    /// # Errors
    /// As [`Self::by_name`]; Invalid for an address that none of its prefixes fits.
    pub fn named(&self, kind: &str, name: &str, uri: &str) -> Result<Arc<Credential>> {
        let found = self.by_name(kind, name)?;
        if found.serves(uri) { Ok(found) } else { Err(found.refused(uri)) }
    }

    /// The one with this name, which has to be of `kind`. For those who send its secrets only to where the configuration
    /// says, whatever the address; all others take [`Self::named`].
    ///
    /// # Errors
    /// Invalid, without saying which others there are: who asks may not know that.
    pub fn by_name(&self, kind: &str, name: &str) -> Result<Arc<Credential>> {
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
    use crate::base::error::Kind;

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
        assert!(all.by_name("s3", "web").is_err() && all.by_name("http", "web").is_ok());
    }

    #[test]
    fn who_names_a_credential_does_not_choose_where_its_secret_goes() {
        let all = Credentials::new(vec![
            credential("corp", "http", &["https://wiki.corp.example", "https://h.example/team/"]),
            credential("nowhere", "http", &[]),
        ]);
        for good in ["https://wiki.corp.example/", "https://wiki.corp.example?x", "https://h.example/team/a"] {
            assert_eq!(all.named("http", "corp", good).unwrap().name, "corp", "{good}");
        }
        for (name, bad) in [
            ("corp", "https://evil.example/"),
            ("corp", "https://wiki.corp.example.evil.example/"),
            ("corp", "https://wiki.corp.example@evil.example/"),
            ("corp", "https://wiki.corp.example:8443/"),
            ("corp", "http://wiki.corp.example/"),
            ("corp", "https://h.example/teams"),
            ("nowhere", "https://wiki.corp.example/"),
        ] {
            let error = all.named("http", name, bad).unwrap_err();
            assert_eq!((error.kind(), error.field()), (Kind::Invalid, Some("credential")), "{bad}");
            assert!(error.message().contains(bad) && error.message().contains("prefixes"), "{error}");
            assert!(!error.message().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let all = Credentials::new(vec![credential("a", "http", &[])]);
        assert!(!format!("{all:?} {:?}", all.by_name("http", "a")).contains("hunter2"));
        assert_eq!(all.by_name("http", "a").unwrap().secret("token"), Some("hunter2"));
        assert!(!all.by_name("http", "b").unwrap_err().to_string().contains("hunter2"));
    }
}
