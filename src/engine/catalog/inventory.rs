//! The part of the ground state that the data view works on: registered objects, how all data is listed, who used what.
//!
//! # Contract
//! - **Atomicity**: each change is one transaction.
//! - **Durability**: what returned `Ok` survives a kill of the process.
//! - **Idempotency**: registering what is stored already changes nothing, but that what was seen since counts no longer.
//! - **Order**: listings go by the bytes of addresses. A page begins after an address, so neither changes in between nor the
//!   depth of a page make an entry come twice, be left out, or cost more.
//! - **One view**: an address that is registered and ingested is one entry. Documents that only describe data (cards) are none.
//! - **Bounded**: a call reads a bounded number of rows. Where a filter lets few pass, a page may be short or empty and still
//!   name where to go on; the end is where it names nothing.
//! - **Walls**: every call takes a namespace and neither returns nor changes anything of another.

use async_trait::async_trait;

use crate::base::error::Result;
use crate::base::{ContentHash, Timestamp};
use crate::engine::catalog::registry::Registered;
use crate::model::{DataEntry, DataFilter, DataObject, DataUse, Namespace};

/// An object as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Registration {
    /// What was registered, with the size and time that were seen since; its hash is the registered one, else the one that was
    /// seen.
    pub object: DataObject,
    /// The hash that was registered; none if nobody said one.
    pub registered_content: Option<ContentHash>,
    /// The store's mark of the version that was seen last.
    pub mark: Option<String>,
    /// When it was registered, or changed.
    pub registered_at: Timestamp,
}

/// What was seen of an object at its store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Size.
    pub bytes: Option<u64>,
    /// Hash, if it was read.
    pub content: Option<ContentHash>,
    /// Mark.
    pub mark: Option<String>,
    /// Time.
    pub modified_at: Option<Timestamp>,
}

/// Part of a listing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// Entries by address.
    pub entries: Vec<DataEntry>,
    /// The address after which it goes on; `None` at the end.
    pub after: Option<String>,
}

/// One folder of a level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// What everything in it begins with.
    pub uri: String,
    /// Entries in it, as far as they were counted.
    pub objects: u64,
    /// Whether there are more.
    pub at_least: bool,
}

/// Part of one level of the tree.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Level {
    /// Folders by address. Filters do not count for them.
    pub folders: Vec<Folder>,
    /// What lies on this level itself, and folders that are registered as such.
    pub page: Page,
}

/// What is known of the documents that came from an address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ingested {
    /// Address of the source of the document with this very address.
    pub source: Option<String>,
    /// Its chunks.
    pub chunks: u64,
    /// Its tokens.
    pub tokens: u64,
    /// Documents at or below it, the first of them.
    pub documents: Vec<String>,
    /// How many there are.
    pub documents_total: u64,
}

/// See the module's contract.
#[async_trait]
pub trait Inventory: Send + Sync {
    /// Stores objects, in one transaction; tells of each in order what it did. Of an address that comes twice the last counts.
    async fn register_objects(
        &self,
        namespace: &Namespace,
        objects: Vec<DataObject>,
        now: Timestamp,
    ) -> Result<Vec<Registered>>;

    /// Removes the objects with these addresses; gives those that were there.
    async fn unregister_objects(&self, namespace: &Namespace, uris: &[String]) -> Result<Vec<String>>;

    /// Removes at most `limit` objects whose address begins with `prefix`; gives them. None: there are none left.
    async fn unregister_below(&self, namespace: &Namespace, prefix: &str, limit: usize) -> Result<Vec<String>>;

    /// What is registered under an address.
    async fn object(&self, namespace: &Namespace, uri: &str) -> Result<Option<Registration>>;

    /// Name of the credential of the nearest address at or above this one that was registered with one. Bounded: what lies
    /// hundreds of levels above is not asked.
    async fn credential_above(&self, namespace: &Namespace, uri: &str) -> Result<Option<String>>;

    /// Notes what was seen of a registered object; nothing of an address that is not registered. It takes nothing from what
    /// was registered, and counts until that is done anew.
    async fn note_seen(&self, namespace: &Namespace, uri: &str, seen: &Seen) -> Result<()>;

    /// All data whose address begins with `prefix`, from after the address `after`: at most `limit` entries.
    async fn list_data(
        &self,
        namespace: &Namespace,
        prefix: &str,
        filter: &DataFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page>;

    /// One level of it: what follows `prefix` up to the next slash (of the empty prefix: the schemes). At most `limit` folders
    /// and entries together, from after the address `after`; entries below folders are counted up to `counted`.
    async fn list_level(
        &self,
        namespace: &Namespace,
        prefix: &str,
        filter: &DataFilter,
        after: Option<&str>,
        limit: usize,
        counted: u64,
    ) -> Result<Level>;

    /// Registered objects with `words` in name, description, schema or tags, best first with their scores: those with all of
    /// them, then those with some. At most 500, and of words that thousands of objects have not all are looked at.
    async fn search_objects(
        &self,
        namespace: &Namespace,
        words: &[String],
        limit: usize,
    ) -> Result<Vec<(DataObject, f32)>>;

    /// Documents that are not registered with `words` in title, path or address, as objects of which only that is known, best
    /// first with their scores. Bounded as [`Self::search_objects`] is; documents that only describe data are not found.
    async fn search_documents(
        &self,
        namespace: &Namespace,
        words: &[String],
        limit: usize,
    ) -> Result<Vec<(DataObject, f32)>>;

    /// What came of an address: of the document itself, and the first `limit` of those at or below it.
    async fn ingested(&self, namespace: &Namespace, uri: &str, limit: usize) -> Result<Ingested>;

    /// Which of these addresses documents have.
    async fn are_ingested(&self, namespace: &Namespace, uris: &[String]) -> Result<Vec<String>>;

    /// Which of these addresses documents have, lie below, or came from.
    async fn hold_documents(&self, namespace: &Namespace, uris: &[String]) -> Result<Vec<String>>;

    /// Notes a use, and drops the oldest of the address beyond `kept`.
    async fn record_use(&self, namespace: &Namespace, uri: &str, entry: &DataUse, kept: usize) -> Result<()>;

    /// Uses of an address, newest first.
    async fn uses(&self, namespace: &Namespace, uri: &str) -> Result<Vec<DataUse>>;
}
