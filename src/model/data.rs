//! Data that exists, ingested or not: what is registered of it, and how it is listed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::document::named_enum;
use crate::base::{ContentHash, Timestamp};

named_enum!(
    /// What an address leads to.
    DataKind {
        /// One file or blob.
        Object = "object",
        /// What begins with it.
        Prefix = "prefix",
        /// A whole bucket.
        Bucket = "bucket",
        /// A table of a database.
        Table = "table",
        /// A database.
        Database = "database",
        /// Something that answers calls.
        Api = "api",
        /// A repository of code.
        Repository = "repository",
        /// A page of the web.
        Page = "page",
    }
);

named_enum!(
    /// What getting it costs, as its owner says.
    CostClass {
        /// Nothing worth a thought.
        Free = "free",
        /// A little.
        Cheap = "cheap",
        /// Enough to think twice.
        Costly = "costly",
        /// To be asked for.
        Restricted = "restricted",
    }
);

named_enum!(
    /// Where an address leads, read off it.
    StoreKind {
        /// A disk of the server's machine.
        Local = "local",
        /// S3 and what speaks like it.
        S3 = "s3",
        /// Google Cloud Storage.
        Gs = "gs",
        /// Azure Blob.
        Az = "az",
        /// The web.
        Http = "http",
        /// A git repository.
        Git = "git",
        /// The catalogue itself: documents that were sent, memories.
        Inline = "inline",
        /// A database.
        Sql = "sql",
    }
);

impl StoreKind {
    /// Of an address. What is not known is what somebody sent under a name of their own.
    pub fn of_uri(uri: &str) -> Self {
        match uri.split_once(':').map_or("", |(scheme, _)| scheme).to_ascii_lowercase().as_str() {
            "file" => Self::Local,
            "s3" => Self::S3,
            "gs" => Self::Gs,
            "az" => Self::Az,
            "http" | "https" | "site" => Self::Http,
            "git" | "github" | "ssh" => Self::Git,
            scheme if scheme.starts_with("git+") => Self::Git,
            "postgres" | "postgresql" | "mysql" | "sqlite" | "sql" => Self::Sql,
            _ => Self::Inline,
        }
    }
}

/// What is registered under one address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataObject {
    /// Full address; one that ends in a slash stands for all below it.
    pub uri: String,
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What it is.
    pub kind: DataKind,
    /// IANA media type; empty: not known.
    pub media_type: String,
    /// What says what is in it: columns, a JSON Schema.
    pub schema: String,
    /// Whose it is.
    pub owner: String,
    /// Labels, sorted, without duplicates.
    pub tags: Vec<String>,
    /// What getting it costs.
    pub cost: CostClass,
    /// Name of the credential that it is read with; empty: the one that its address finds.
    pub credential: String,
    /// Size, if it is known.
    pub bytes: Option<u64>,
    /// SHA-256, if it is known.
    #[serde(skip)]
    pub content: Option<ContentHash>,
    /// When it was last changed, if that is known.
    #[serde(skip)]
    pub modified_at: Option<Timestamp>,
    /// Free key-value data.
    pub metadata: BTreeMap<String, String>,
}

impl DataObject {
    /// An object of which nothing but its address is known.
    pub fn at(uri: &str) -> Self {
        Self {
            uri: uri.to_owned(),
            name: name_of(uri).to_owned(),
            description: String::new(),
            kind: DataKind::Object,
            media_type: String::new(),
            schema: String::new(),
            owner: String::new(),
            tags: Vec::new(),
            cost: CostClass::Free,
            credential: String::new(),
            bytes: None,
            content: None,
            modified_at: None,
            metadata: BTreeMap::new(),
        }
    }

    /// Whether it says more of itself than its address does.
    pub fn is_described(&self) -> bool {
        !self.description.is_empty() || !self.schema.is_empty()
    }
}

/// The last part of an address, the one that people call it by.
pub fn name_of(uri: &str) -> &str {
    // What stands after the mark is a place within a page of the web, and the thing itself elsewhere: a table, a file of a repository.
    let (address, within) = uri.split_once('#').unwrap_or((uri, ""));
    let is_whole = within.is_empty() || StoreKind::of_uri(uri) == StoreKind::Http;
    let path = if is_whole { address.split('?').next().unwrap_or(address) } else { within }.trim_end_matches('/');
    path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(uri)
}

/// Levels above an address that are asked for a credential: more than any store's keys have in earnest.
const LEVELS_ASKED: usize = 256;

/// An address, and those of what it lies in: folders with and without their slash, a repository or database before its `#`, a
/// repository before its ref.
pub fn at_or_above(uri: &str) -> Vec<&str> {
    let path = uri.find("://").map_or(0, |at| at + 3);
    let ends = uri.char_indices().filter(|(at, c)| *at >= path && matches!(c, '/' | '#' | '?' | '@'));
    let above = ends.rev().take(LEVELS_ASKED).flat_map(|(at, c)| {
        let folder = (c == '/').then(|| &uri[..=at]);
        folder.into_iter().chain([&uri[..at]])
    });
    [uri].into_iter().chain(above).chain([&uri[..path]]).filter(|uri| !uri.is_empty()).collect()
}

/// One line of a listing.
#[derive(Debug, Clone, PartialEq)]
pub struct DataEntry {
    /// Full address.
    pub uri: String,
    /// Name.
    pub name: String,
    /// What it is.
    pub kind: DataKind,
    /// Media type; empty: not known.
    pub media_type: String,
    /// Size, if it is known.
    pub bytes: Option<u64>,
    /// Whether it was ingested.
    pub indexed: bool,
    /// Whether it was registered.
    pub registered: bool,
    /// When it was last changed.
    pub modified_at: Option<Timestamp>,
    /// First line of its description.
    pub description: String,
}

/// Which entries are asked for. All parts that are set must hold; within a list one is enough.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DataFilter {
    /// What it is.
    pub kinds: Vec<DataKind>,
    /// Where it is.
    pub stores: Vec<StoreKind>,
    /// Its labels.
    pub tags: Vec<String>,
    /// Whose it is.
    pub owners: Vec<String>,
    /// Whether it was ingested.
    pub indexed: Option<bool>,
}

impl DataFilter {
    /// Whether nothing is asked for in particular.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether an entry passes. `tags` and `owner` are those of its registration and its document together.
    pub fn admits(&self, entry: &DataEntry, tags: &[String], owner: &str) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&entry.kind))
            && (self.stores.is_empty() || self.stores.contains(&StoreKind::of_uri(&entry.uri)))
            && (self.tags.is_empty() || tags.iter().any(|tag| self.tags.contains(tag)))
            && (self.owners.is_empty() || self.owners.iter().any(|wanted| wanted == owner))
            && self.indexed.is_none_or(|indexed| indexed == entry.indexed)
    }
}

/// That somebody used an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataUse {
    /// `fetch`, `ingest` or `verify`.
    pub action: String,
    /// Who says to have done it.
    pub user: String,
    /// When.
    pub at: Timestamp,
    /// Bytes that were read.
    pub bytes: u64,
}

/// Address of the document that describes `uri`. Never that of a document with the content of `uri`.
pub fn card_uri(uri: &str) -> String {
    format!("{CARD}{uri}")
}

/// What addresses of such documents begin with.
pub const CARD: &str = "view:";

/// What a card's address is about.
pub fn uri_of_card(uri: &str) -> Option<&str> {
    uri.strip_prefix(CARD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_lies_in_what_it_begins_with() {
        assert_eq!(at_or_above("s3://b/k/x"), ["s3://b/k/x", "s3://b/k/", "s3://b/k", "s3://b/", "s3://b", "s3://"]);
        let above = at_or_above("git+https://h/r@main#a");
        assert!(above.contains(&"git+https://h/r@main") && above.contains(&"git+https://h/r"), "{above:?}");
        assert_eq!(at_or_above("note:1"), ["note:1"]);
        assert!(at_or_above(&format!("s3://{}", "/".repeat(4_000))).len() < 1_000);
    }

    #[test]
    fn an_address_tells_its_store_and_its_name() {
        for (uri, store, name) in [
            ("file:///a/b.txt", "local", "b.txt"),
            ("s3://bucket/", "s3", "bucket"),
            ("https://h/a/x.csv?v=1#top", "http", "x.csv"),
            ("site:https://h/docs/", "http", "docs"),
            ("git+https://h/o/r", "git", "r"),
            ("git+https://h/o/r#docs/guide.md", "git", "guide.md"),
            ("sqlite:///d/shop.db#orders", "sql", "orders"),
            ("postgres://db/shop/orders", "sql", "orders"),
            ("memory:77", "inline", "memory:77"),
        ] {
            assert_eq!((StoreKind::of_uri(uri).as_str(), name_of(uri)), (store, name), "{uri}");
        }
        assert_eq!(uri_of_card(&card_uri("s3://b/k")), Some("s3://b/k"));
    }
}
