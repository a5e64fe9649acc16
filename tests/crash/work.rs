//! What the clients do while the server is killed: one syncs a tree of files that changes, one writes and forgets
//! memories and documents, one builds the indexes anew. Each stops at its first error and leaves what was in flight in the ledger.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hivemem_client::proto::forget_request::Selector;
use hivemem_client::proto::{
    ForgetRequest, IngestReport, IngestSourceRequest, InputDocument, PutDocumentsRequest, RememberRequest, SearchFilter,
};
use hivemem_client::{Client, ClientError, ErrorKind};
use tempfile::TempDir;

use crate::ledger::Ledger;
use crate::random::{Chance, Words, text};

/// Says that the server was killed on purpose: from then on errors are expected.
pub type Killed = Arc<AtomicBool>;

/// Whether a call was acknowledged. An error without a kill is a failure of the server.
fn acknowledged<T>(what: &str, reply: Result<T, ClientError>, killed: &Killed) -> Option<T> {
    match reply {
        Ok(reply) => Some(reply),
        Err(_) if killed.load(Ordering::SeqCst) => None,
        Err(error) => panic!("{what} failed while nobody killed the server: {error}"),
    }
}

fn forget(selector: Selector) -> ForgetRequest {
    ForgetRequest { selector: Some(selector), ..ForgetRequest::default() }
}

/// Builds one index after the other anew until the server is gone.
pub async fn rebuild(client: Client, chance: &mut Chance, killed: &Killed) {
    loop {
        tokio::time::sleep(Duration::from_millis(chance.below(400))).await;
        let projection = chance.pick(&["vector".to_owned(), "lexical".to_owned()]).clone();
        match client.rebuild(&projection, |_| {}).await {
            // One may be under way since the start: another model, or what was cut off.
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            reply => {
                if acknowledged("rebuild", reply, killed).is_none() {
                    return;
                }
            }
        }
        if killed.load(Ordering::SeqCst) {
            return;
        }
    }
}

/// A tree of files that is synced again and again.
pub struct Files {
    root: TempDir,
    path: PathBuf,
    disk: BTreeMap<PathBuf, String>,
    pub ledger: Ledger,
    words: Words,
    named: u64,
    /// A sync was in flight at the last kill.
    pub interrupted: bool,
}

impl Files {
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().canonicalize().unwrap();
        let (disk, words) = Default::default();
        Self { root, path, disk, words, ledger: Ledger::new("default"), named: 0, interrupted: false }
    }

    pub fn source(&self) -> String {
        self.root.path().display().to_string()
    }

    fn uri(path: &Path) -> String {
        format!("file://{}", path.display())
    }

    /// Adds, changes, renames and deletes some files.
    fn change(&mut self, chance: &mut Chance) {
        for _ in 0..=chance.below(5) {
            let some =
                (!self.disk.is_empty()).then(|| chance.pick(&self.disk.keys().cloned().collect::<Vec<_>>()).clone());
            match (chance.below(6), some) {
                (0, Some(path)) => {
                    std::fs::remove_file(&path).unwrap();
                    self.disk.remove(&path);
                }
                (1, Some(path)) => {
                    let to = self.new_path(chance);
                    std::fs::rename(&path, &to).unwrap();
                    let word = self.disk.remove(&path).unwrap();
                    self.disk.insert(to, word);
                }
                (2 | 3, Some(path)) => self.write(path, chance),
                _ if self.disk.len() < 40 => {
                    let path = self.new_path(chance);
                    self.write(path, chance);
                }
                _ => {}
            }
        }
    }

    fn new_path(&mut self, chance: &mut Chance) -> PathBuf {
        self.named += 1;
        let folder = self.path.join(["docs", "notes"][chance.below(2) as usize]);
        std::fs::create_dir_all(&folder).unwrap();
        folder.join(format!("{}.md", self.named))
    }

    fn write(&mut self, path: PathBuf, chance: &mut Chance) {
        let word = self.words.fresh();
        std::fs::write(&path, text(chance, &word, 4)).unwrap();
        self.disk.insert(path, word);
    }

    /// Works until the server is gone.
    pub async fn work(&mut self, client: Client, chance: &mut Chance, killed: &Killed) {
        while self.step(&client, chance, killed).await.is_some() {}
    }

    async fn step(&mut self, client: &Client, chance: &mut Chance, killed: &Killed) -> Option<()> {
        let known = self.ledger.names();
        if known.is_empty() || !chance.once_in(5) {
            self.change(chance);
            return self.sync(client, chance, killed).await.map(|_| ());
        }
        let name = chance.pick(&known).clone();
        let folder = format!("file://{}/docs/", self.path.display());
        let below = |name: &String| name.starts_with(&folder);
        let (selector, gone) = match chance.below(4) {
            0 => (Selector::UriPrefix(folder.clone()), known.into_iter().filter(below).collect()),
            1 => {
                let filter = SearchFilter { paths: vec!["docs/**".into()], ..SearchFilter::default() };
                (Selector::Filter(filter), known.into_iter().filter(below).collect())
            }
            2 => (Selector::Source(self.source()), known),
            _ => (Selector::Uri(name.clone()), vec![name]),
        };
        self.ledger.begin_removal(&gone);
        let reply = acknowledged("forget", client.forget(forget(selector)).await, killed)?;
        assert_eq!(reply.removed, gone.len() as u64);
        self.ledger.settle_removal(&gone);
        Some(())
    }

    /// One sync of the tree as it is.
    async fn sync(&mut self, client: &Client, chance: &mut Chance, killed: &Killed) -> Option<IngestReport> {
        let mut names = self.ledger.names();
        names.extend(self.disk.keys().map(|path| Self::uri(path)));
        let version = |files: &Self, name: &str| files.disk.get(Path::new(&name["file://".len()..])).cloned();
        for name in &names {
            let version = version(self, name);
            self.ledger.begin(name, version);
        }
        self.interrupted = true;
        let request = IngestSourceRequest {
            source: self.source(),
            no_wait: chance.once_in(2),
            verify: chance.once_in(4),
            ..IngestSourceRequest::default()
        };
        let reply = async { client.ingest_source(request).await?.finish(|_| {}).await };
        let report = acknowledged("ingest", reply.await, killed)?;
        self.interrupted = false;
        for name in &names {
            let version = version(self, name);
            self.ledger.settle(name, version);
        }
        Some(report)
    }

    /// Repeats an ingest that was cut off: it does the rest and nothing else. To be called when the ledger is checked.
    pub async fn resume(&mut self, client: &Client, chance: &mut Chance) {
        let there: BTreeMap<String, String> =
            self.ledger.documents().map(|(name, word)| (name.to_owned(), word.to_owned())).collect();
        let due: BTreeMap<String, String> =
            self.disk.iter().map(|(path, word)| (Self::uri(path), word.clone())).collect();
        let report = self.sync(client, chance, &Killed::default()).await.unwrap();
        let added = due.keys().filter(|name| !there.contains_key(*name)).count() as u64;
        let removed = there.keys().filter(|name| !due.contains_key(*name)).count() as u64;
        let unchanged = due.iter().filter(|(name, word)| there.get(*name) == Some(word)).count() as u64;
        let updated = due.len() as u64 - added - unchanged;
        assert_eq!(
            (report.added, report.updated, report.removed, report.unchanged),
            (added, updated, removed, unchanged),
            "an ingest that was cut off did not do exactly the rest"
        );
        assert_eq!(report.failed.len() + report.skipped.len(), 0, "{report:?}");
    }
}

/// Memories and documents that a client sends, in several namespaces.
pub struct Notes {
    pub ledgers: Vec<Ledger>,
    /// Word → tag of a memory, its address once it is known, and its text.
    memories: BTreeMap<String, Memory>,
    words: Words,
}

#[derive(Clone)]
struct Memory {
    tag: String,
    uri: Option<String>,
    text: String,
}

/// Namespaces at most: a count of each is part of every check.
const NAMESPACES_MAX: usize = 12;

impl Notes {
    pub fn new() -> Self {
        Self { ledgers: vec![Ledger::new("notes")], memories: BTreeMap::new(), words: Words::default() }
    }

    /// Works until the server is gone.
    pub async fn work(&mut self, client: Client, chance: &mut Chance, killed: &Killed) {
        while self.step(&client, chance, killed).await.is_some() {}
    }

    async fn step(&mut self, client: &Client, chance: &mut Chance, killed: &Killed) -> Option<()> {
        if self.ledgers.len() < NAMESPACES_MAX && chance.once_in(12) {
            // The first write of a namespace makes its shard of the vector index.
            self.ledgers.push(Ledger::new(&format!("room-{}", self.ledgers.len())));
            let last = self.ledgers.len() - 1;
            return self.remember(last, client, chance, killed).await;
        }
        let at = if chance.once_in(3) { chance.below(self.ledgers.len() as u64) as usize } else { 0 };
        match chance.below(10) {
            0..4 => self.remember(at, client, chance, killed).await,
            4..7 => self.put(at, client, chance, killed).await,
            _ => self.forget(at, client, chance, killed).await,
        }
    }

    async fn remember(&mut self, at: usize, client: &Client, chance: &mut Chance, killed: &Killed) -> Option<()> {
        let ledger = &mut self.ledgers[at];
        let known: Vec<String> = ledger.names().into_iter().filter(|name| self.memories.contains_key(name)).collect();
        let again = !known.is_empty() && chance.once_in(4);
        let word = if again { chance.pick(&known).clone() } else { self.words.fresh() };
        let memory = self.memories.entry(word.clone()).or_insert_with(|| Memory {
            tag: format!("t{}", chance.below(4)),
            uri: None,
            text: text(chance, &word, 2),
        });
        ledger.begin(&word, Some(word.clone()));
        let request = RememberRequest {
            text: memory.text.clone(),
            tags: vec![memory.tag.clone()],
            idempotency_key: if chance.once_in(2) { format!("{word} {}", chance.next()) } else { String::new() },
            ..RememberRequest::default()
        };
        let client = client.with_namespace(&ledger.namespace);
        let reply = acknowledged("remember", client.remember(request).await, killed)?;
        assert!(reply.created != again && reply.echoes.is_empty() && reply.repeats.is_empty(), "{reply:?}");
        memory.uri = Some(reply.uri);
        ledger.settle(&word, Some(word.clone()));
        Some(())
    }

    async fn put(&mut self, at: usize, client: &Client, chance: &mut Chance, killed: &Killed) -> Option<()> {
        let mut documents = BTreeMap::new();
        for _ in 0..=chance.below(4) {
            documents.insert(format!("inline:doc/{}", chance.below(12)), self.words.fresh());
        }
        let ledger = &mut self.ledgers[at];
        let inputs: Vec<InputDocument> = documents
            .iter()
            .map(|(uri, word)| InputDocument {
                uri: uri.clone(),
                content: text(chance, word, 3).into_bytes(),
                media_type: "text/markdown".to_owned(),
                ..InputDocument::default()
            })
            .collect();
        documents.iter().for_each(|(uri, word)| ledger.begin(uri, Some(word.clone())));
        let head = PutDocumentsRequest {
            namespace: ledger.namespace.clone(),
            no_wait: chance.once_in(2),
            ..PutDocumentsRequest::default()
        };
        let reply = async { client.put_documents(head, inputs).await?.finish(|_| {}).await };
        acknowledged("put", reply.await, killed)?;
        documents.iter().for_each(|(uri, word)| ledger.settle(uri, Some(word.clone())));
        Some(())
    }

    async fn forget(&mut self, at: usize, client: &Client, chance: &mut Chance, killed: &Killed) -> Option<()> {
        let ledger = &mut self.ledgers[at];
        let names = ledger.names();
        if names.is_empty() {
            return Some(());
        }
        let name = chance.pick(&names).clone();
        let tag = format!("t{}", chance.below(4));
        let tagged = |name: &String| self.memories.get(name).is_some_and(|memory| memory.tag == tag);
        let is_memory = |name: &String| self.memories.contains_key(name);
        let (selector, gone) = match chance.below(8) {
            0 => (Selector::Tag(tag.clone()), names.into_iter().filter(tagged).collect()),
            1 => {
                let (tags, kinds) = (vec![tag.clone()], vec!["memory".to_owned()]);
                let filter = SearchFilter { tags, kinds, ..SearchFilter::default() };
                (Selector::Filter(filter), names.into_iter().filter(tagged).collect())
            }
            2 if !names.iter().all(is_memory) => {
                (Selector::Source("inline:".into()), names.into_iter().filter(|name| !is_memory(name)).collect())
            }
            _ => match self.memories.get(&name) {
                None => (Selector::Uri(name.clone()), vec![name]),
                Some(Memory { uri: Some(uri), .. }) => (Selector::Uri(uri.clone()), vec![name]),
                Some(_) => return Some(()),
            },
        };
        ledger.begin_removal(&gone);
        let client = client.with_namespace(&ledger.namespace);
        let request = client.forget(forget(selector)).await;
        let reply = acknowledged("forget", request, killed)?;
        assert_eq!(reply.removed, gone.len() as u64, "{:?} instead of {gone:?}", reply.uris);
        ledger.settle_removal(&gone);
        Some(())
    }
}
