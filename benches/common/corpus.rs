//! Real texts: the sources of crates in cargo's registry folder, listed and parsed as the server does it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use hivemem::base::tokens::TokenCounter;
use hivemem::base::{Clock, ContentHash, SourceId, clock::SystemClock};
use hivemem::engine::parse::{ChunkSizes, media};
use hivemem::engine::store::local::LocalStore;
use hivemem::engine::store::{ListOptions, Object, Store};
use hivemem::flow::build::{self, Facts};
use hivemem::model::{DocumentWrite, Namespace, Trust};

/// The sizes of the default configuration.
pub static SIZES: LazyLock<ChunkSizes> = LazyLock::new(|| {
    let config: toml::Table = include_str!("../../config/default.toml").parse().expect("the default configuration");
    let size = |key: &str| config["chunks"][key].as_integer().and_then(|size| usize::try_from(size).ok());
    let [tokens_max, header_tokens_max] = ["tokens_max", "header_tokens_max"].map(|key| size(key).expect("a size"));
    ChunkSizes { tokens_max, header_tokens_max }
});

/// Crates unpacked by cargo, by name; empty if there are none.
pub fn crates() -> Vec<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    let registries = home.and_then(|home| std::fs::read_dir(home.join("registry/src")).ok());
    let folders = |path: PathBuf| std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let registries = registries.into_iter().flatten().flatten().map(|entry| entry.path());
    let mut crates: Vec<PathBuf> = registries.flat_map(folders).filter(|path| path.is_dir()).collect();
    crates.sort();
    crates
}

/// The newest unpacked version of the first of `names` that is there. A name ends where the version begins: `tokio-1.`.
pub fn find(names: &[&str]) -> Option<PathBuf> {
    let crates = crates();
    let named = |name: &&str| {
        crates.iter().rev().find(|path| path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(*name)))
    };
    let found = names.iter().find_map(named).cloned();
    if found.is_none() {
        println!("skipped: none of {names:?} is unpacked in cargo's registry folder; `cargo fetch` gets them");
    }
    found
}

/// A crate as a source of the server.
pub struct Corpus {
    /// Its URI.
    pub uri: String,
    /// Its files with their bytes, without those that are skipped.
    pub files: Vec<(Object, Vec<u8>)>,
}

impl Corpus {
    /// Reads the files below `root` that the server would ingest.
    pub fn read(root: &Path) -> Self {
        let store = LocalStore::default();
        let uri = store.resolve(root.to_str().expect("a path in UTF-8")).expect("a readable folder");
        let listing = store.list(&uri, &ListOptions::default()).expect("a readable folder");
        let read = |object: Object| {
            let bytes = store.read(&object, hivemem::base::limits::DOCUMENT_BYTES_MAX).ok()?;
            media::detect(&object.path, &bytes).is_ok().then_some((object, bytes))
        };
        Self { files: listing.objects.into_iter().filter_map(read).collect(), uri }
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }

    /// Parses and chunks one of its files.
    pub fn parse(&self, (object, bytes): &(Object, Vec<u8>), counter: &dyn TokenCounter) -> Option<DocumentWrite> {
        let media = media::detect(&object.path, bytes).ok()?;
        let facts = Facts {
            namespace: Namespace::new(super::NAMESPACE).expect("a valid name"),
            source: SourceId::derive(super::NAMESPACE, &self.uri),
            uri: object.uri.clone(),
            path: object.path.clone(),
            title: None,
            modified_at: object.modified_at,
            mark: None,
            tags: Vec::new(),
            metadata: BTreeMap::new(),
            trust: Trust::Local,
            expires_at: None,
            repeats: None,
            indexed_at: SystemClock.now(),
        };
        build::document(facts, &media, bytes, ContentHash::of(bytes), *SIZES, counter).ok()
    }
}
