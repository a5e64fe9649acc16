//! `[credentials.NAME]` of the configuration: checked when it is read, so that a misspelled key is found before it is needed.

use std::collections::BTreeMap;

use super::environment::Environment;
use crate::base::error::{Error, Kind, Result};
use crate::engine::store::credentials::{Credential, Credentials, KINDS, SECRETS, SETTINGS, Secret};

/// All of them.
///
/// # Errors
/// Precondition, naming the key that is wrong and never its value.
pub(super) fn read(tables: BTreeMap<String, toml::Table>, environment: &Environment) -> Result<Credentials> {
    let read = tables.into_iter().map(|(name, table)| one(name, table, environment));
    read.collect::<Result<Vec<Credential>>>().map(Credentials::new)
}

fn one(name: String, table: toml::Table, environment: &Environment) -> Result<Credential> {
    let bad = |key: &str, what: &str| {
        Error::new(Kind::Precondition, format!("bad configuration: credentials.{name}.{key} {what}"))
    };
    let mut credential = Credential {
        name: name.clone(),
        kind: String::new(),
        prefixes: Vec::new(),
        settings: BTreeMap::new(),
        secrets: BTreeMap::new(),
    };
    for (key, value) in table {
        if key == "prefixes" {
            credential.prefixes =
                value.try_into().map_err(|_| bad("prefixes", "is no list of addresses, such as [\"s3://bucket/\"]"))?;
            continue;
        }
        let toml::Value::String(text) = value else { return Err(bad(&key, "is no text in quotes")) };
        if key == "kind" {
            if !KINDS.contains(&text.as_str()) {
                return Err(bad("kind", &format!("is {text:?}, it must be one of {}", KINDS.join(", "))));
            }
            credential.kind = text;
        } else if SETTINGS.contains(&key.as_str()) {
            credential.settings.insert(key, text);
        } else if SECRETS.contains(&key.as_str()) {
            credential.secrets.insert(key, Secret::new(text));
        } else if let Some(secret) = key.strip_suffix("_env").filter(|secret| SECRETS.contains(secret)) {
            let held = environment.named(&text);
            let held = held.ok_or_else(|| bad(&key, &format!("names {text}, which is not set in the environment")))?;
            credential.secrets.insert(secret.to_owned(), Secret::new(held));
        } else {
            let known = [SETTINGS, SECRETS].concat().join(", ");
            return Err(bad(
                &key,
                &format!("is not known; there are kind, prefixes, {known}, and each secret with _env"),
            ));
        }
    }
    if credential.kind.is_empty() {
        return Err(bad("kind", &format!("is missing; it must be one of {}", KINDS.join(", "))));
    }
    if credential.kind == "s3"
        && credential.secret("access_key_id").is_some() != credential.secret("secret_access_key").is_some()
    {
        return Err(bad("access_key_id", "and secret_access_key go together: give both"));
    }
    Ok(credential)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Credentials> {
        let given = [("KEY".to_owned(), "hunter2".to_owned())].into();
        read(toml::from_str(text).unwrap(), &Environment { given, ..Environment::default() })
    }

    #[test]
    fn secrets_come_from_the_file_or_the_environment() {
        let all = parsed(
            "[lake]\nkind = \"s3\"\nprefixes = [\"s3://lake/\"]\nregion = \"eu\"\naccess_key_id = \"id\"\n\
             secret_access_key_env = \"KEY\"\n",
        );
        let held = all.unwrap().of_uri("s3", "s3://lake/x").unwrap();
        assert_eq!((held.setting("region"), held.secret("secret_access_key")), (Some("eu"), Some("hunter2")));
        assert!(!format!("{held:?}").contains("hunter2"));
    }

    #[test]
    fn what_is_wrong_is_named_and_its_value_is_not() {
        for (text, what) in [
            ("[a]\nregion = \"x\"", "credentials.a.kind is missing"),
            ("[a]\nkind = \"ftp\"", "ftp"),
            ("[a]\nkind = \"s3\"\nsecret = \"hunter2\"", "credentials.a.secret is not known"),
            ("[a]\nkind = \"http\"\ntoken_env = \"HIVEMEM_NO_SUCH_VARIABLE\"", "HIVEMEM_NO_SUCH_VARIABLE"),
            ("[a]\nkind = \"http\"\ntoken = 7", "credentials.a.token is no text"),
            ("[a]\nkind = \"s3\"\naccess_key_id = \"hunter2\"", "go together"),
            ("[a]\nkind = \"s3\"\nprefixes = \"s3://x/\"", "credentials.a.prefixes"),
        ] {
            let error = parsed(text).unwrap_err();
            assert!(error.message().contains(what) && !error.message().contains("hunter2"), "{text:?} gave {error}");
        }
    }
}
