//! Pages as they were last fetched, in the cache folder: for conditional requests, for their links, and for reading what a
//! crawl has just seen without asking for it again.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::cache;
use super::page::Page;
use crate::base::ContentHash;

/// What is known of a fetched page.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Where it came from after redirects.
    pub url: String,
    /// `ETag`, as it was sent.
    pub etag: Option<String>,
    /// `Last-Modified`, as it was sent.
    pub last_modified: Option<String>,
    /// Type without parameters, lower case.
    pub media_type: String,
    /// SHA-256 of the body: the mark.
    pub hash: String,
    /// Size of the body.
    pub bytes: u64,
    /// Links and wishes, of HTML.
    pub page: Page,
}

/// Either a page, or the address under which it was fetched.
#[derive(Serialize, Deserialize)]
enum Kept {
    Page(Entry),
    See(String),
}

/// See the module's documentation. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Shelf {
    folder: PathBuf,
}

impl Shelf {
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The file for an address; the first letters of its name make a folder, so that none holds too many.
    fn path(&self, address: &str) -> PathBuf {
        let name = cache::name(address);
        self.folder.join(&name[..2]).join(&name[2..])
    }

    /// Keeps a page under the address that was asked for. Best effort: what is not kept is fetched again.
    pub fn put(&self, address: &str, entry: &Entry, body: &[u8]) {
        self.write(address, &Kept::Page(entry.clone()), body);
    }

    /// Makes a page findable by the address that it is known by.
    pub fn refer(&self, known: &str, address: &str) {
        self.write(known, &Kept::See(address.to_owned()), b"");
    }

    fn write(&self, address: &str, kept: &Kept, body: &[u8]) {
        let path = self.path(address);
        let Ok(mut bytes) = serde_json::to_vec(kept) else { return };
        bytes.push(b'\n');
        bytes.extend_from_slice(body);
        // Whole or not at all for whoever reads meanwhile. Not forced to the disk: what a crash leaves is checked when it is
        // read, and a page can be fetched again.
        let unfinished = path.with_extension("new");
        let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        let written = folder
            .and_then(|()| std::fs::write(&unfinished, &bytes))
            .and_then(|()| std::fs::rename(&unfinished, &path));
        if let Err(cause) = written {
            tracing::debug!(%address, %cause, "a page is not kept");
        }
    }

    /// What is kept of an address, and its body.
    pub fn get(&self, address: &str) -> Option<(Entry, Vec<u8>)> {
        let found = match read(&self.path(address))? {
            (Kept::See(other), _) => read(&self.path(&other))?,
            found => found,
        };
        match found {
            (Kept::Page(entry), body) if ContentHash::of(&body).to_string() == entry.hash => Some((entry, body)),
            _ => None,
        }
    }
}

fn read(path: &Path) -> Option<(Kept, Vec<u8>)> {
    let mut bytes = std::fs::read(path).ok()?;
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let kept = serde_json::from_slice(&bytes[..end]).ok()?;
    bytes.drain(..=end);
    Some((kept, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_come_back_by_both_addresses_and_damage_is_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(dir.path().to_owned());
        let entry = Entry { hash: ContentHash::of(b"a\nb").to_string(), bytes: 3, ..Entry::default() };
        shelf.put("https://h/a", &entry, b"a\nb");
        shelf.refer("https://h/b", "https://h/a");
        assert_eq!(shelf.get("https://h/a").unwrap(), (entry.clone(), b"a\nb".to_vec()));
        assert_eq!(shelf.get("https://h/b").unwrap().0, entry);
        shelf.put("https://h/d", &entry, b"a");
        assert_eq!(shelf.get("https://h/d"), None, "half of it is nothing");
        shelf.refer("https://h/a", "https://h/b");
        assert_eq!(shelf.get("https://h/a"), None, "two that refer to each other lead nowhere");
        std::fs::write(shelf.path("https://h/c"), "{half").ok();
        assert_eq!(shelf.get("https://h/c"), None);
    }
}
