//! Everything that there is, ingested or not, wherever it lies: registered, listed, described, located, fetched, verified,
//! found, and ingested when it is needed.
//!
//! What is listed is what the catalogue knows: registered objects and ingested documents. A store is only asked about an
//! object that somebody asks for. Credentials are named, never shown.

use std::sync::Arc;

use super::Engines;
use super::access::Grant;
use crate::base::error::{Error, Kind, Result};
use crate::base::limits::{DATA_LABEL_BYTES_MAX, URI_BYTES_MAX};
use crate::engine::catalog::inventory::Registration;
use crate::engine::store::uri::{file_uri, path_of_uri};
use crate::engine::store::{Stat, Store};
use crate::model::data::CARD;
use crate::model::{DataKind, DataUse, Document, StoreKind};

pub mod browse;
pub mod contents;
pub mod fetch;
pub mod locate;
pub mod plan;
pub mod register;
pub mod search;
pub mod stat;
pub mod verify;

#[cfg(test)]
mod store_tests;
#[cfg(test)]
mod tests;

/// What the catalogue knows of one address.
#[derive(Debug, Default)]
struct Known {
    registration: Option<Registration>,
    document: Option<Document>,
    /// Name of the credential that it, or else what it lies in, was registered with.
    credential: Option<String>,
}

impl Known {
    /// Looks an address up.
    async fn of(engines: &Engines, grant: &Grant, uri: &str) -> Result<Self> {
        let namespace = grant.namespace();
        let (registration, document) = tokio::try_join!(
            engines.inventory.object(namespace, uri),
            engines.catalog.document_by_uri(namespace, uri)
        )?;
        let own = registration.as_ref().map(|held| held.object.credential.clone()).filter(|name| !name.is_empty());
        let credential = match own {
            Some(name) => Some(name),
            None => engines.inventory.credential_above(namespace, uri).await?,
        };
        Ok(Self { registration, document, credential })
    }

    fn is_nothing(&self) -> bool {
        self.registration.is_none() && self.document.is_none()
    }

    /// Name of the credential to read it with.
    fn credential(&self) -> Option<&str> {
        self.credential.as_deref()
    }

    /// Whether the address is of one object with bytes of its own, as far as that shows; else of what holds others.
    fn is_single(&self, uri: &str) -> bool {
        let kind = self.registration.as_ref().map_or(DataKind::Object, |held| held.object.kind);
        let holds = matches!(kind, DataKind::Prefix | DataKind::Bucket | DataKind::Database | DataKind::Repository);
        match StoreKind::of_uri(uri) {
            _ if self.document.is_some() => true,
            StoreKind::Http => true,
            _ if holds || is_folder(uri) => false,
            // Files of a repository and tables of a database are named behind a `#`, threads on GitHub by their number.
            StoreKind::Git | StoreKind::Sql => uri.contains('#') || is_thread(uri),
            _ => true,
        }
    }
}

/// Whether an address is that of an issue or pull request.
fn is_thread(uri: &str) -> bool {
    let number = uri.strip_prefix("github://").and_then(|rest| rest.split('/').nth(3));
    number.is_some_and(|number| number.chars().all(|c| c.is_ascii_digit()))
}

/// An address as it is kept: a path of the server's machine becomes a `file://` URI, spelled in the one way that listings do.
///
/// # Errors
/// Invalid if it can't be the address of anything.
pub fn address(text: &str) -> Result<String> {
    let wrong = |why: String| Error::invalid("uri", format!("{text:.80?} is no address of data: {why}"));
    if text.len() > URI_BYTES_MAX {
        return Err(Error::limit("uri", format!("the address has {} bytes, the limit is {URI_BYTES_MAX}", text.len())));
    }
    if text.is_empty() || text.contains(char::is_control) {
        return Err(wrong("it is empty or has control characters".to_owned()));
    }
    if text.starts_with(CARD) {
        return Err(wrong(format!("what begins with {CARD} describes data, take the address behind it")));
    }
    let local = if text.starts_with('/') { Some(text.into()) } else { path_of_uri(text) };
    if let Some(path) = local {
        return Ok(file_uri(&path));
    }
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.chars().all(sound) || scheme == "file" {
        return Err(wrong("give a scheme, such as s3:// or https://, or an absolute path".to_owned()));
    }
    // The address itself is not shown: it is just what must not be seen.
    let authority = text.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or(rest));
    if authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':')) {
        let message = "the address holds a password: put it into [credentials] of the configuration and name that";
        return Err(Error::invalid("uri", message));
    }
    Ok(text.to_owned())
}

/// Whether an address stands for all that lies below it. On the web it is a page like any other.
fn is_folder(uri: &str) -> bool {
    uri.ends_with('/') && StoreKind::of_uri(uri) != StoreKind::Http
}

/// The store that reads an address, with the credential that it was registered with.
async fn store_of(engines: &Engines, uri: &str, credential: Option<&str>) -> Result<Arc<dyn Store>> {
    let store = Arc::clone(&engines.store);
    let Some(name) = credential.map(str::to_owned) else { return Ok(store) };
    let uri = uri.to_owned();
    engines.far.run(move || store.under(&uri, &name)).await
}

/// What is at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
enum There {
    /// One object.
    Object(Stat),
    /// Something that holds objects.
    Holder,
    /// Nothing.
    Nothing,
    /// Only a listing of it all could tell.
    Untold,
}

/// Asks the store what is at an address.
async fn look(engines: &Engines, known: &Known, uri: &str) -> Result<There> {
    let store = store_of(engines, uri, known.credential()).await?;
    let (uri, single, indexed) = (uri.to_owned(), known.is_single(uri), known.document.is_some());
    let looked = engines.far.run(move || {
        if single {
            match store.stat(&uri) {
                Ok(Some(stat)) => return Ok(There::Object(stat)),
                Ok(None) => {}
                Err(error) if error.kind() == Kind::NotFound => {}
                Err(error) => return Err(error),
            }
            // A folder in the place of a document is not that document.
            if indexed {
                return Ok(There::Nothing);
            }
        }
        Ok(match store.holds(&uri)? {
            Some(true) => There::Holder,
            Some(false) => There::Nothing,
            None if single => There::Nothing,
            None => There::Untold,
        })
    });
    looked.await
}

/// Whether bytes at an address are the catalogue's own, with no store behind them.
fn is_inline(uri: &str) -> bool {
    StoreKind::of_uri(uri) == StoreKind::Inline
}

/// The error for an address that nobody ingested or registered.
fn unknown(uri: &str) -> Error {
    Error::not_found(format!("nothing is known of {uri}: register or ingest it first, or look for it with `data ls`"))
}

/// Checks who says to use an object.
fn check_user(user: &str) -> Result<()> {
    if user.len() > DATA_LABEL_BYTES_MAX || user.contains(char::is_control) {
        let message = format!("user {user:.40?} is longer than {DATA_LABEL_BYTES_MAX} bytes or has control characters");
        return Err(Error::invalid("user", message));
    }
    Ok(())
}

/// Notes that an object that is known was used. What is not known has no place for it.
async fn note_use(engines: &Engines, grant: &Grant, uri: &str, action: &str, user: &str, bytes: u64) -> Result<()> {
    let entry = DataUse { action: action.to_owned(), user: user.to_owned(), at: engines.clock.now(), bytes };
    let kept = crate::base::limits::DATA_USES_KEPT;
    engines.inventory.record_use(grant.namespace(), uri, &entry, kept).await
}
