//! Random histories of everything that writes, with engines that fail for a while, crashes and time that passes, held
//! against a model that is too simple to be wrong. The catalogue is the real one, in memory; the engines are the fakes.
//!
//! `PROPTEST_CASES` says how many; a failing history is printed, shrunk, and kept under `proptest-regressions`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::forget::{self, Request};
use super::ingest;
use super::memory::{self, Memory};
use super::put::InputDocument;
use super::recall::{FilterRequest, Mode};
use super::testing::{How, Rig, START, TREE};
use crate::base::error::{Kind, Result};
use crate::base::{DocumentId, Timestamp};

/// Histories of a plain run.
const CASES_DEFAULT: u32 = 64;
/// Different texts of documents, and of memories.
const TEXTS: u8 = 5;

/// A step. Small alphabets make steps meet each other.
#[derive(Debug, Clone)]
enum Step {
    /// Documents by number, with the number of their text and whether they have the tag.
    Put(Vec<(u8, u8, bool)>),
    /// Files by number that get this text or go, then a sync.
    Sync(Vec<(u8, Option<u8>)>),
    /// A memory by its text, in another spelling or not, with a time to live or not.
    Remember(u8, bool, Option<u8>),
    /// By the selector of this number.
    Forget(u8, u8),
    /// So many seconds.
    Pass(u8),
    Sweep,
    /// Followers stop and start, in good order or not.
    Restart(bool),
    /// From here to the next check a method of the projections' side fails.
    Break(usize),
    /// The next call of a method of the ground state fails, done or not.
    Stumble(bool, bool),
    /// Mend, settle and compare everything.
    Check,
}

/// What follows the ground state, and the ground state as the followers use it.
const FOLLOWING: &[&str] = &[
    "lexical.replace",
    "lexical.delete_documents",
    "lexical.commit",
    "vectors.upsert",
    "vectors.delete_documents",
    "vectors.flush",
    "embedder.embed",
    "catalog.read_log",
    "catalog.project",
    "catalog.cached_vectors",
    "catalog.cache_vectors",
    "catalog.set_checkpoint",
];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let document = (0_u8..6, 0..TEXTS, any::<bool>());
    let file = (0_u8..5, proptest::option::weighted(0.7, 0..TEXTS));
    vec(
        prop_oneof![
            4 => vec(document, 1..4).prop_map(Step::Put),
            4 => vec(file, 0..4).prop_map(Step::Sync),
            5 => (0..TEXTS, any::<bool>(), proptest::option::weighted(0.4, 1_u8..6))
                .prop_map(|(text, loud, ttl)| Step::Remember(text, loud, ttl)),
            4 => (0_u8..9, 0_u8..6).prop_map(|(how, which)| Step::Forget(how, which)),
            2 => (1_u8..6).prop_map(Step::Pass),
            1 => Just(Step::Sweep),
            2 => any::<bool>().prop_map(Step::Restart),
            2 => (0..FOLLOWING.len()).prop_map(Step::Break),
            1 => (any::<bool>(), any::<bool>()).prop_map(|(write, torn)| Step::Stumble(write, torn)),
            1 => Just(Step::Check),
        ],
        1..16,
    )
}

/// A document as the model knows it.
#[derive(Debug, Clone, PartialEq)]
struct Held {
    text: String,
    tagged: bool,
    expires_at: Option<Timestamp>,
    /// The text of the memory that it is a spelling of.
    statement: Option<u8>,
    /// It was linked to another spelling when it was stored.
    linked: bool,
}

/// A text of two or three chunks with a word that only it has.
fn text(number: u8) -> String {
    (0..70 + 20 * u32::from(number)).map(|at| format!("w{number}x{} ", at % 23)).collect::<String>() + &word(number)
}

fn word(number: u8) -> String {
    format!("textnumber{}", char::from(b'a' + number))
}

/// A memory; `loud` is a spelling that says the same.
fn statement(number: u8, loud: bool) -> String {
    let text: Vec<String> = (0..20).map(|at| format!("m{number}y{at}")).collect();
    let text = format!("{}, {}", saying(number), text.join(" "));
    if loud { text.to_uppercase().replace(',', "") } else { text }
}

fn saying(number: u8) -> String {
    format!("statement{}", char::from(b'a' + number))
}

fn file_uri(number: u8) -> String {
    format!("{TREE}/docs/{number}.txt")
}

struct History {
    rig: Rig,
    model: BTreeMap<String, Held>,
    disk: BTreeMap<u8, u8>,
    /// Writes of files so far: each gets a time of its own.
    writes: i64,
    broken: bool,
    stumbling: bool,
}

impl History {
    async fn new() -> Self {
        let rig = Rig::new().await;
        rig.engines.catalog.create_namespace(rig.grant.namespace(), START).await.unwrap();
        let (model, disk) = Default::default();
        Self { rig, model, disk, writes: 0, broken: false, stumbling: false }
    }

    fn now(&self) -> Timestamp {
        self.rig.engines.clock.now()
    }

    fn alive(&self, held: &Held) -> bool {
        held.expires_at.is_none_or(|at| at > self.now())
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Put(documents) => self.put(documents).await,
            Step::Sync(files) => self.sync(files).await,
            Step::Remember(number, loud, ttl) => self.remember(number, loud, ttl).await,
            Step::Forget(how, which) => self.forget(how, which).await,
            Step::Pass(seconds) => self.rig.clock.pass(Duration::from_secs(seconds.into())),
            Step::Sweep => {
                // A sweep that fails is repeated by the next one.
                if forget::sweep(&self.rig.engines, &self.rig.projector).await.is_err() {
                    assert!(std::mem::take(&mut self.stumbling), "nothing was made to fail");
                    forget::sweep(&self.rig.engines, &self.rig.projector).await.unwrap();
                }
                let now = self.now();
                self.model.retain(|_, held| held.expires_at.is_none_or(|at| at > now));
            }
            Step::Restart(true) => self.rig.crash().await,
            Step::Restart(false) => self.rig.restart().await,
            Step::Break(method) => {
                self.broken = true;
                self.rig.faults.always(FOLLOWING[method], How::Fails(Kind::Unavailable));
            }
            // One at a time, so that a second try is sure to succeed.
            Step::Stumble(..) if self.stumbling => {}
            Step::Stumble(write, torn) => {
                self.stumbling = true;
                let how = if torn { How::Torn } else { How::Fails(Kind::Unavailable) };
                self.rig.faults.once(if write { "catalog.write" } else { "catalog.remove" }, how);
            }
            Step::Check => self.check().await,
        }
        self.glance().await;
    }

    /// Whether a call was done at once. If not, either all is stored and an index cannot follow, which counts as done,
    /// or the ground state was made to stumble; then the caller is to call again.
    fn done<T>(&mut self, reply: &Result<T>) -> bool {
        let Err(error) = reply else { return true };
        assert_eq!(error.kind() == Kind::Internal, error.message().contains("did its work"), "{error}");
        if error.message().starts_with("everything is stored") {
            assert!(self.broken && error.kind() == Kind::Unavailable, "nothing is broken: {error}");
            return true;
        }
        assert!(std::mem::take(&mut self.stumbling), "nothing was made to fail: {error}");
        false
    }

    async fn put(&mut self, documents: Vec<(u8, u8, bool)>) {
        let inputs = || -> Vec<InputDocument> {
            let one = |(name, number, tagged): &(u8, u8, bool)| {
                let tags: &[&str] = if *tagged { &["tag"] } else { &[] };
                self.rig.input(&format!("{}/{name}.txt", name % 2), &text(*number), tags)
            };
            documents.iter().map(one).collect()
        };
        let mut reply = self.rig.put_all(inputs(), false).await;
        let inputs = inputs();
        let stumbled = !self.done(&reply);
        if stumbled {
            reply = self.rig.put_all(inputs, false).await;
            assert!(self.done(&reply));
        }
        let before = self.model.clone();
        for (name, number, tagged) in documents {
            let held = Held { text: text(number), tagged, expires_at: None, statement: None, linked: false };
            self.model.insert(format!("inline:{}/{name}.txt", name % 2), held);
        }
        if let (Ok(report), false) = (reply, stumbled) {
            let changed = self.model.iter().filter(|(uri, held)| before.get(*uri) != Some(held)).count() as u64;
            assert_eq!(report.outcome.added, (self.model.len() - before.len()) as u64);
            assert_eq!(report.outcome.added + report.outcome.updated, changed);
        }
    }

    async fn sync(&mut self, files: Vec<(u8, Option<u8>)>) {
        for (file, number) in files {
            let path = format!("docs/{file}.txt");
            self.writes += 1;
            match number {
                Some(number) => {
                    self.rig.tree.write(&path, &text(number), Timestamp(START.0 - 60_000_000 + self.writes));
                    self.disk.insert(file, number);
                }
                None => {
                    self.rig.tree.remove(&path);
                    self.disk.remove(&file);
                }
            }
        }
        // That all is gone has to be meant.
        let verify = self.disk.is_empty();
        let request =
            || ingest::Request { source: TREE.to_owned(), no_wait: true, verify, ..ingest::Request::default() };
        let mut reply = self.rig.ingest_as(request()).await;
        if !self.done(&reply) {
            reply = self.rig.ingest_as(request()).await;
            assert!(self.done(&reply));
        }
        self.model.retain(|uri, _| !uri.starts_with(TREE));
        for (&file, &number) in &self.disk {
            let held = Held { text: text(number), tagged: false, expires_at: None, statement: None, linked: false };
            self.model.insert(file_uri(file), held);
        }
        // Once more changes nothing, whatever happened before.
        let again = self.rig.ingest_as(request()).await;
        if let Ok(report) = &again {
            let outcome = report.outcome;
            let counts = (outcome.unchanged, outcome.added + outcome.updated + outcome.removed);
            assert_eq!(counts, (self.disk.len() as u64, 0));
        }
        assert!(self.done(&again));
    }

    async fn remember(&mut self, number: u8, loud: bool, ttl: Option<u8>) {
        let memory = Memory {
            text: statement(number, loud),
            tags: if number.is_multiple_of(2) { vec!["tag".to_owned()] } else { Vec::new() },
            ttl: ttl.map(|seconds| Duration::from_secs(seconds.into())),
            ..Memory::default()
        };
        let call = |memory: Memory| memory::remember(&self.rig.engines, &self.rig.projector, &self.rig.grant, memory);
        let mut reply = call(memory.clone()).await;
        let mut stumbled = false;
        if reply.as_ref().is_err_and(|error| !error.message().starts_with("everything is stored")) {
            stumbled = true;
            let again = call(memory.clone()).await;
            assert!(!self.done(&reply));
            reply = again;
        }
        assert!(self.done(&reply));
        let expires_at = ttl.map(|seconds| Timestamp(self.now().0 + i64::from(seconds) * 1_000_000));
        let spelling = statement(number, loud);
        let known =
            self.model.iter().find(|(_, held)| held.text == spelling).map(|(uri, held)| (uri.clone(), held.clone()));
        let said_before = known.as_ref().is_some_and(|(_, held)| self.alive(held));
        let other =
            self.model.values().any(|held| held.statement == Some(number) && held.text != spelling && self.alive(held));
        let uri = match (&reply, known.clone()) {
            (Ok(told), _) => {
                assert!(told.echoes.is_empty());
                if !stumbled {
                    assert_eq!(told.created, !said_before, "{told:?}, {known:?}");
                }
                // While words cannot be followed, the other spelling may not be seen.
                if !self.broken && !stumbled && !said_before {
                    assert_eq!(told.repeats.is_some(), other, "{told:?}");
                }
                told.uri.clone()
            }
            (Err(_), Some((uri, _))) => uri,
            (Err(_), None) => self.find_memory(&spelling).await,
        };
        let document = self.rig.engines.catalog.document_by_uri(self.rig.grant.namespace(), &uri).await.unwrap();
        let linked = document.unwrap().repeats.is_some();
        let tagged = number.is_multiple_of(2);
        self.model.insert(uri, Held { text: spelling, tagged, expires_at, statement: Some(number), linked });
    }

    /// The address of a memory whose acknowledgement did not come. Its text is all that is known.
    async fn find_memory(&self, text: &str) -> String {
        let all = self.rig.all_documents().await;
        let found = all.into_iter().find(|(uri, held)| uri.starts_with("memory:") && *held == squeezed(text));
        found.expect("it was said to be stored").0
    }

    async fn forget(&mut self, how: u8, which: u8) {
        let is_memory = |held: &Held| held.statement.is_some();
        let uris: Vec<String> = self.model.keys().cloned().collect();
        let some = uris.get(usize::from(which) * uris.len() / 6).cloned().unwrap_or_else(|| "inline:none".to_owned());
        let namespace = self.rig.grant.namespace().as_str();
        let filter = |filter: FilterRequest| Request::Filter(filter);
        let request = match how {
            0 | 1 => Request::Uri(some.clone()),
            2 => Request::Document(DocumentId::derive(namespace, &some)),
            3 => Request::UriPrefix(format!("inline:{}/", which % 2)),
            4 => Request::Source(["inline:", "memory:", TREE][usize::from(which % 3)].to_owned()),
            5 => Request::Tag("tag".to_owned()),
            6 => filter(FilterRequest { kinds: vec!["memory".to_owned()], ..FilterRequest::default() }),
            7 => filter(FilterRequest { paths: vec!["docs/**".to_owned()], ..FilterRequest::default() }),
            _ => {
                let (tags, kinds) = (vec!["tag".to_owned()], vec!["text".to_owned()]);
                filter(FilterRequest { tags, kinds, ..FilterRequest::default() })
            }
        };
        let gone = |(uri, held): (&String, &Held)| match how {
            0..=2 => *uri == some,
            3 => uri.starts_with(&format!("inline:{}/", which % 2)),
            4 => uri.starts_with(["inline:", "memory:", TREE][usize::from(which % 3)]),
            5 => held.tagged,
            6 => is_memory(held),
            7 => uri.starts_with(TREE),
            _ => held.tagged && !is_memory(held),
        };
        let due: Vec<String> = self.model.iter().filter(|entry| gone(*entry)).map(|(uri, _)| uri.clone()).collect();
        let call = |request| forget::forget(&self.rig.engines, &self.rig.projector, &self.rig.grant, request);
        let reply = call(request.clone()).await;
        match reply {
            Ok(forgotten) => {
                assert_eq!(forgotten.uris, due);
                assert!(self.broken || forgotten.pending.is_empty(), "{forgotten:?}");
            }
            // A source that nothing ever came from.
            Err(error) if error.kind() == Kind::NotFound => assert_eq!(due, [""; 0], "{error}"),
            Err(_) => {
                call(request).await.unwrap();
                assert!(!self.done(&reply));
            }
        }
        self.model.retain(|uri, _| !due.contains(uri));
    }

    /// What must hold at any moment: answers show the present versions only, and say so if they don't show all.
    async fn glance(&self) {
        for number in 0..TEXTS {
            let (found, missing) = self.rig.finds(&word(number), Mode::Lexical).await;
            let due = self.with_text(number);
            assert!(found.iter().all(|uri| due.contains(uri)), "{found:?} are found, {due:?} hold it");
            assert!(found.len() == due.len() || !missing.is_empty(), "{found:?} of {due:?}, and nothing is missing");
        }
    }

    fn with_text(&self, number: u8) -> BTreeSet<String> {
        let holds = |(_, held): &(&String, &Held)| held.text == text(number) && self.alive(held);
        self.model.iter().filter(holds).map(|(uri, _)| uri.clone()).collect()
    }

    /// Everything, once the followers are at the end of the log.
    async fn check(&mut self) {
        self.rig.faults.clear();
        (self.broken, self.stumbling) = (false, false);
        let head = self.rig.engines.catalog.head().await.unwrap();
        // Asks for a commit, which would come a little later by itself.
        let _ = self.rig.projector.wait_lexical(head).await;
        self.rig.settled().await;
        let stored = self.rig.all_documents().await;
        let due: BTreeMap<String, String> =
            self.model.iter().map(|(uri, held)| (uri.clone(), squeezed(&held.text))).collect();
        assert_eq!(stored, due);
        self.check_indexes().await;
        for number in 0..TEXTS {
            let due: Vec<String> = self.with_text(number).into_iter().collect();
            assert_eq!(self.rig.finds(&word(number), Mode::Lexical).await, (due, Vec::new()));
        }
        let mut spellings = BTreeMap::new();
        for number in 0..TEXTS {
            let (found, missing) = self.rig.finds(&saying(number), Mode::Lexical).await;
            let said = |(_, held): &(&String, &Held)| held.statement == Some(number) && self.alive(held);
            let due: BTreeMap<&String, &Held> = self.model.iter().filter(said).collect();
            let linked = due.len() == 2 && due.values().any(|held| held.linked);
            assert_eq!((found.len(), missing.len()), (if linked { 1 } else { due.len() }, 0), "{found:?} of {due:?}");
            assert!(found.iter().all(|uri| due.contains_key(uri)), "{found:?} of {due:?}");
            spellings.insert(number, found.len());
        }
        // With so few documents every one of them is among the nearest vectors.
        for mode in [Mode::Dense, Mode::Hybrid] {
            let (found, missing) = self.rig.finds("anything at all", mode).await;
            let documents = self.model.values().filter(|held| held.statement.is_none() && self.alive(held)).count();
            assert!(missing.is_empty() && found.iter().all(|uri| self.alive(&self.model[uri])), "{found:?}");
            assert_eq!(found.len(), documents + spellings.values().sum::<usize>(), "{mode:?}");
        }
    }

    /// Both indexes hold each chunk of the catalogue once, and every one has its vector in the cache.
    async fn check_indexes(&self) {
        let engines = &self.rig.engines;
        let stats = engines.catalog.stats(self.rig.grant.namespace(), &engines.embedder.model().key()).await.unwrap();
        assert_eq!((stats.documents, stats.chunks_without_vector), (self.model.len() as u64, 0));
        let mut chunks = self.rig.all_chunks().await;
        chunks.sort();
        assert_eq!(self.rig.vectors.chunks(), chunks);
        assert_eq!(self.rig.lexical.chunks(), chunks);
        assert_eq!(stats.chunks, chunks.len() as u64);
    }
}

/// Without the white space, which chunks may lose between them.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect()
}

impl Rig {
    async fn ingest_as(&self, request: ingest::Request) -> Result<ingest::Report> {
        let (sink, _progress) = tokio::sync::mpsc::channel(1);
        ingest::ingest(&self.engines, &self.projector, &self.grant, &request, &sink).await
    }

    async fn hydrated(&self) -> Vec<crate::model::Hydrated> {
        let all = &self.engines.catalog;
        let namespace = self.grant.namespace();
        let ids = all.documents_where(namespace, &|_, _| true, 10_000).await.unwrap();
        all.document_chunks(namespace, &ids).await.unwrap()
    }

    async fn all_chunks(&self) -> Vec<crate::base::ChunkId> {
        self.hydrated().await.into_iter().map(|found| found.chunk.id).collect()
    }

    /// Every stored document with its text, put together from its chunks.
    async fn all_documents(&self) -> BTreeMap<String, String> {
        let mut texts: BTreeMap<String, String> = BTreeMap::new();
        for found in self.hydrated().await {
            texts.entry(found.document.uri.clone()).or_default().push_str(&squeezed(&found.chunk.text));
        }
        texts
    }
}

fn config() -> ProptestConfig {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let default = ProptestConfig::default();
    ProptestConfig { cases: if asked { default.cases } else { CASES_DEFAULT }, max_shrink_time: 120_000, ..default }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_history_ends_as_the_model_says(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut history = History::new().await;
            for step in steps {
                history.step(step).await;
            }
            history.check().await;
        });
    }
}
