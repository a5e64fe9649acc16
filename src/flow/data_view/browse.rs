//! Pages of all data, as a flat list or one level of the tree at a time.

use crate::base::error::{Error, Result};
use crate::base::limits::{DATA_COUNTED_MAX, DATA_PAGE_DEFAULT, DATA_PAGE_MAX, URI_BYTES_MAX};
use crate::engine::catalog::inventory::Level;
use crate::engine::store::uri::{file_uri, path_of_uri};
use crate::flow::Engines;
use crate::flow::access::Grant;
use crate::model::DataFilter;

/// What is to be listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// What addresses begin with; empty: everything.
    pub prefix: String,
    /// Which entries.
    pub filter: DataFilter,
    /// One level of folders instead of a flat list. Filters do not count for folders.
    pub tree: bool,
    /// Entries of a page; 0: [`DATA_PAGE_DEFAULT`].
    pub page_size: u32,
    /// From the page before.
    pub page_token: String,
}

/// A page, and the token for the next one; empty at the end.
///
/// # Errors
/// Invalid for a bad prefix or token, over a limit for the page; those of the catalogue.
pub async fn list(engines: &Engines, grant: &Grant, request: &Request) -> Result<(Level, String)> {
    if request.page_size > DATA_PAGE_MAX {
        let message = format!("a page of {} entries is asked for, the limit is {DATA_PAGE_MAX}", request.page_size);
        return Err(Error::limit("page_size", message));
    }
    let limit = if request.page_size == 0 { DATA_PAGE_DEFAULT } else { request.page_size } as usize;
    let prefix = prefix(&request.prefix, request.tree)?;
    let after = token(&request.page_token, &prefix)?;
    let (namespace, filter, after) = (grant.namespace(), &request.filter, after.as_deref());
    let inventory = &engines.inventory;
    let level = if request.tree {
        inventory.list_level(namespace, &prefix, filter, after, limit, DATA_COUNTED_MAX).await?
    } else {
        let page = inventory.list_data(namespace, &prefix, filter, after, limit).await?;
        Level { page, ..Level::default() }
    };
    let next = level.page.after.as_deref().map(in_hex).unwrap_or_default();
    Ok((level, next))
}

/// The prefix as addresses are spelled; of a tree it ends with a folder.
fn prefix(text: &str, tree: bool) -> Result<String> {
    if text.len() > URI_BYTES_MAX || text.contains(char::is_control) {
        let message = format!("prefix {text:.80?} has control characters or more than {URI_BYTES_MAX} bytes");
        return Err(Error::invalid("prefix", message));
    }
    let local = if text.starts_with('/') { Some(text.into()) } else { path_of_uri(text) };
    let mut prefix = local.map_or_else(|| text.to_owned(), |path| file_uri(&path));
    if tree && !prefix.is_empty() && !prefix.ends_with(['/', ':']) {
        prefix.push('/');
    }
    Ok(prefix)
}

fn in_hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn token(token: &str, prefix: &str) -> Result<Option<String>> {
    if token.is_empty() {
        return Ok(None);
    }
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = token.as_bytes().chunks(2).map(byte).collect();
    let after = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let after = after.filter(|after| token.len().is_multiple_of(2) && after.starts_with(prefix));
    let wrong = || Error::invalid("page_token", "the page token is not one of this listing: begin anew without one");
    after.ok_or_else(wrong).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_of_its_listing_and_comes_back() {
        let made = in_hex("s3://b/é");
        assert_eq!(token(&made, "s3://").unwrap().as_deref(), Some("s3://b/é"));
        for (wrong, prefix) in [("0", ""), ("zz", ""), ("ff", ""), (made.as_str(), "gs://"), ("é", "")] {
            assert_eq!(token(wrong, prefix).unwrap_err().field(), Some("page_token"), "{wrong}");
        }
        assert_eq!(prefix("/a b", true).unwrap(), "file:///a%20b/");
        assert_eq!(prefix("file:///a", false).unwrap(), "file:///a");
        assert_eq!(prefix("memory:", true).unwrap(), "memory:");
    }
}
