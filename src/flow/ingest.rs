//! Syncs a source into the ground state: list, compare, read what changed, parse in parallel, write in batches, retire
//! what is gone. The projections follow by themselves ([`super::apply`]).
//!
//! A stored version is replaced only by a new version that parsed; a file that cannot be read this time keeps the old.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;

use super::access::Grant;
use super::apply::Projector;
use super::build::{self, Facts};
use super::{Engines, Recipes};
use crate::base::error::{Error, Kind, Result};
use crate::base::limits::{BATCH_BYTES_MAX, BATCH_DOCUMENTS_MAX};
use crate::base::tokens::TokenCounter;
use crate::base::{ContentHash, DocumentId, Lsn, SourceId};
use crate::engine::catalog::{DocumentState, Selector, Skipped, WriteOutcome};
use crate::engine::parse::formats::{self, PAGES_WITHOUT_TEXT};
use crate::engine::parse::{ChunkSizes, media};
use crate::engine::store::{ListOptions, Listing, Object, Partners, Store};
use crate::model::{DataObject, DocumentKind, DocumentWrite, Namespace, Trust};

mod gone;
mod history;
pub(super) mod listing;
mod moved;
pub mod order;
mod report;
pub(super) mod skipped;
mod tables;
pub(super) mod version;

pub(super) use gone::is_spared;
use gone::{only_absent, retire};
use listing::{list, open};
use moved::Moved;
use order::UnderWay;
pub use report::{Issue, Issues, Phase, Progress, Report};
use version::{Version, trusted};

/// What to sync.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// Path or URI.
    pub source: String,
    /// What to list.
    pub options: ListOptions,
    /// Labels for every document.
    pub tags: Vec<String>,
    /// Return once lexically searchable.
    pub no_wait: bool,
    /// Hash every file.
    pub verify: bool,
    /// Look only at what lies at or below these URIs of the source; `None`: at everything.
    pub at: Option<BTreeSet<String>>,
    /// The credential to read it with; `None`: the one that its address finds.
    pub credential: Option<String>,
}

/// Where progress goes. Dropping the receiver does not stop the work.
pub type ProgressSink = mpsc::Sender<Progress>;

/// Syncs the source that `request` names, when it is its turn.
///
/// # Errors
/// Those of the store and the catalogue; single files that fail are reported instead.
pub async fn ingest(
    engines: &Engines,
    projector: &Projector,
    grant: &Grant,
    request: &Request,
    progress: &ProgressSink,
) -> Result<Report> {
    let (store, uri) = open(engines, request).await?;
    let place = (grant.namespace().clone(), uri.clone());
    let before = projector.state();
    let mut report =
        engines.turns.take(place, request, || sync(engines, projector, grant, request, (store, uri), progress)).await?;
    // Outside of the turn: the next sync need not wait for vectors.
    if !request.no_wait {
        wait_for_vectors(projector, &mut report, progress, (before.embedded, before.cached)).await?;
    }
    Ok(report)
}

/// One sync, up to the acknowledgement.
async fn sync(
    engines: &Engines,
    projector: &Projector,
    grant: &Grant,
    request: &Request,
    (store, uri): (Arc<dyn Store>, String),
    progress: &ProgressSink,
) -> Result<Report> {
    let namespace = grant.namespace();
    let listing = list(engines, request, &store, &uri, progress).await?;
    engines.catalog.create_namespace(namespace, engines.clock.now()).await?;
    let source = engines.catalog.ensure_source(namespace, &uri, engines.clock.now()).await?;
    let recipes = engines.recipes(&request.tags);
    let stored = match &request.at {
        Some(uris) => engines.catalog.source_documents_at(namespace, source.id, uris).await?,
        None => engines.catalog.source_documents(namespace, source.id).await?,
    };
    let mut stored: HashMap<String, DocumentState> =
        stored.into_iter().map(|state| (state.uri.clone(), state)).collect();

    check_mounted(&uri, request, &listing, &stored)?;
    let mut report = Report { source: uri, files: listing.objects.len() as u64, ..Report::default() };
    let mut kept = Vec::new();
    for left in listing.left_out {
        let issues = if left.failed { &mut report.failed } else { &mut report.skipped };
        kept.extend(left.failed.then(|| left.path.clone()));
        issues.add(left.path, left.reason);
    }
    let mut skipped = skipped::Known::read(engines, namespace, source.id).await?;
    let mut work = Vec::new();
    for object in listing.objects {
        let recipe = recipes.of(&object.path);
        match stored.remove(&object.uri) {
            Some(state) if !request.verify && trusted(&object, &Version::of(&state), recipe) => {
                report.outcome.unchanged += 1
            }
            state => match if request.verify { None } else { skipped.reason(&object, recipe) } {
                Some(reason) => report.skipped.add(object.path, reason),
                None => work.push((object, state)),
            },
        }
    }
    skipped.forget_others(request.at.is_some().then_some(&work)).await?;
    let partners = if work.is_empty() { None } else { history::partners(engines, &store, &report.source).await };
    let job = Job {
        partners,
        engines: engines.clone(),
        store: Arc::clone(&store),
        namespace: namespace.clone(),
        source: source.id,
        tags: request.tags.clone(),
        recipes,
        work,
        next: AtomicUsize::new(0),
    };
    let has_work = !job.work.is_empty() || !stored.is_empty();
    let looked_at = report.files - job.work.len() as u64;
    let source = source.id;
    let moved = Moved::among(&stored);
    let changing = async {
        let mut writer =
            Writer { engines, projector, namespace, source, moved, report: &mut report, progress, looked_at };
        writer.run(job).await?;
        let narrowed = !request.options.include.is_empty() || !request.options.exclude.is_empty();
        let gone = if narrowed { only_absent(engines, store, stored).await? } else { stored };
        retire(engines, namespace, gone, &kept, &mut report).await
    };
    let under_way = UnderWay::note(engines, namespace, source, request, has_work).await?;
    let changed = changing.await;
    let noted = under_way.over().await;
    changed.and(noted)?;

    projector.wake();
    report.outcome.lsn = engines.catalog.head().await?;
    projector.wait_lexical(report.outcome.lsn).await?;
    Ok(report)
}

/// Fails for a folder that had documents and has no entry at all, and had none when they were read. So looks the place of a
/// volume that is not mounted, and nobody wants its documents removed for that; who does says so by `verify`. A folder whose
/// last file was deleted changed after they were read.
fn check_mounted(
    uri: &str,
    request: &Request,
    listing: &Listing,
    stored: &HashMap<String, DocumentState>,
) -> Result<()> {
    let read_at = stored.values().map(|state| state.indexed_at).max();
    let unchanged = listing.bare_since.zip(read_at).is_some_and(|(bare_since, read_at)| bare_since < read_at);
    if !unchanged || request.at.is_some() || request.verify {
        return Ok(());
    }
    let stored = stored.len();
    let message = format!(
        "{uri} is empty, but {stored} documents of it are stored: check that it is mounted; if they are to go, run this with \
         --verify, or `hivemem forget source:{uri}`"
    );
    Err(Error::new(Kind::Precondition, message))
}

/// Waits until the vectors of everything in `report` are searchable, telling how many are made.
pub(super) async fn wait_for_vectors(
    projector: &Projector,
    report: &mut Report,
    progress: &ProgressSink,
    (embedded, cached): (u64, u64),
) -> Result<()> {
    let mut states = projector.watch();
    let lsn = report.outcome.lsn;
    let done = projector.wait_vector(lsn);
    tokio::pin!(done);
    loop {
        let finished = tokio::select! {
            finished = &mut done => Some(finished),
            changed = states.changed() => if changed.is_err() { Some(Ok(())) } else { None },
        };
        let state = states.borrow_and_update().clone();
        // Counters are the server's: with two ingests at once each sees both; the bound keeps the bar honest.
        (report.embedded, report.cached) = (state.embedded - embedded, state.cached - cached);
        let made = (report.embedded + report.cached).min(report.chunks);
        let _ = progress.try_send(Progress {
            phase: Phase::Embedding,
            files_total: report.files,
            files_done: report.files,
            bytes_done: report.bytes,
            chunks: report.chunks,
            chunks_embedded: made,
        });
        if let Some(finished) = finished {
            return finished;
        }
    }
}

/// Everything that the parsing threads share.
struct Job {
    engines: Engines,
    store: Arc<dyn Store>,
    namespace: Namespace,
    source: SourceId,
    tags: Vec<String>,
    recipes: Recipes,
    work: Vec<(Object, Option<DocumentState>)>,
    next: AtomicUsize,
    /// Which of the source's files change together.
    partners: Option<Partners>,
}

/// What became of one file.
enum Outcome {
    /// With the data that it describes, if it only describes some.
    Written(Box<DocumentWrite>, Option<Box<DataObject>>),
    /// Same bytes as stored; new size and time.
    Same(DocumentState),
    /// With the document that is stored of it, and what is to be noted so that it is not read again.
    Skipped(String, Option<DocumentId>, Option<Box<Skipped>>),
    Failed(String),
}

struct Looked {
    path: String,
    bytes: u64,
    outcome: Outcome,
}

impl Job {
    /// One parsing thread: takes files until none is left or the writer is gone.
    fn parse_all(&self, results: &mpsc::Sender<Looked>) {
        let counter = self.engines.embedder.counter();
        while let Some((object, state)) = self.work.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let (bytes, outcome) = self.look(object, state.as_ref(), &*counter);
            if results.blocking_send(Looked { path: object.path.clone(), bytes, outcome }).is_err() {
                return;
            }
        }
    }

    fn look(&self, object: &Object, state: Option<&DocumentState>, counter: &dyn TokenCounter) -> (u64, Outcome) {
        let stored = state.map(|state| state.id);
        // A size of 0 may only mean that the store doesn't know it: whether there is nothing in it shows when it is read.
        if let Some(skip) = media::skip_by_path(&object.path, object.bytes.max(1)) {
            return (0, Outcome::Skipped(skip.as_str().to_owned(), stored, None));
        }
        let bytes = match self.store.read(object, formats::bytes_max(&object.path)) {
            Ok(bytes) => bytes,
            Err(error) => return (0, Outcome::Failed(error.message().to_owned())),
        };
        let content = ContentHash::of(&bytes);
        let read = bytes.len() as u64;
        if let Some(state) =
            state.filter(|state| state.content == content && state.recipe == self.recipes.of(&object.path))
        {
            let same = DocumentState {
                bytes: read,
                modified_at: object.modified_at,
                mark: object.mark.clone(),
                indexed_at: self.engines.clock.now(),
                ..state.clone()
            };
            return (read, Outcome::Same(same));
        }
        // Parsers are fed what anybody wrote: one that gives up on a file must not take the others with it.
        let parsed =
            catch_unwind(AssertUnwindSafe(|| self.parse(object, &bytes, content, self.engines.sizes, counter)));
        let Ok(parsed) = parsed else { return (read, Outcome::Failed("damaged".to_owned())) };
        match parsed {
            Ok((write, described)) => (read, Outcome::Written(Box::new(write), described)),
            Err(skip) if skip.is_failure() => (read, Outcome::Failed(skip.as_str().to_owned())),
            Err(skip) => {
                let note = Skipped {
                    uri: object.uri.clone(),
                    bytes: object.bytes,
                    modified_at: object.modified_at,
                    mark: object.mark.clone(),
                    looked_at: self.engines.clock.now(),
                    recipe: self.recipes.of(&object.path).to_owned(),
                    reason: skip.as_str().to_owned(),
                };
                (read, Outcome::Skipped(note.reason.clone(), stored, Some(Box::new(note))))
            }
        }
    }

    fn parse(
        &self,
        object: &Object,
        bytes: &[u8],
        content: ContentHash,
        sizes: ChunkSizes,
        counter: &dyn TokenCounter,
    ) -> Result<(DocumentWrite, Option<Box<DataObject>>), crate::engine::parse::Skip> {
        let media = media::detect(&object.path, bytes)?;
        // What is not known of it now is no reason not to keep its text.
        let about = self.store.about(object).unwrap_or_default();
        let facts = Facts {
            namespace: self.namespace.clone(),
            source: self.source,
            uri: object.uri.clone(),
            path: object.path.clone(),
            title: about.title,
            modified_at: object.modified_at,
            mark: object.mark.clone(),
            tags: self.tags.iter().cloned().chain(about.tags).collect(),
            metadata: about.metadata,
            trust: Trust::of_uri(&object.uri),
            expires_at: None,
            repeats: None,
            indexed_at: self.engines.clock.now(),
        };
        let fetched = media.kind == DocumentKind::Html && object.uri.starts_with("http");
        let text = match fetched {
            true => formats::page::read(media::text_of(bytes)?, &object.uri),
            false => self.engines.reader.read(bytes, &media)?,
        };
        let of = (content, bytes.len() as u64);
        let mut write = build::document_of(facts, &media, text, of, sizes, counter)?;
        history::state(&mut write, self.partners.as_ref());
        Ok((write, about.describes))
    }
}

/// Collects what the parsing threads produce and writes it in batches.
struct Writer<'a> {
    engines: &'a Engines,
    projector: &'a Projector,
    namespace: &'a Namespace,
    source: SourceId,
    moved: Moved,
    report: &'a mut Report,
    progress: &'a ProgressSink,
    looked_at: u64,
}

impl Writer<'_> {
    async fn run(&mut self, job: Job) -> Result<()> {
        if job.work.is_empty() {
            return Ok(());
        }
        let recipes = job.recipes.clone();
        let job = Arc::new(job);
        let (send, mut results) = mpsc::channel(BATCH_DOCUMENTS_MAX);
        let threads = std::thread::available_parallelism().map_or(2, usize::from).min(job.work.len());
        let parsers: Vec<_> = (0..threads)
            .map(|_| {
                let (job, send, door) = (Arc::clone(&job), send.clone(), self.engines.background.clone());
                tokio::spawn(async move {
                    door.run(move || {
                        job.parse_all(&send);
                        Ok(())
                    })
                    .await
                })
            })
            .collect();
        drop(send);
        let mut batch = Batch::default();
        while let Some(looked) = results.recv().await {
            self.take(looked, &mut batch);
            if batch.is_full() {
                self.write(std::mem::take(&mut batch), &recipes).await?;
            }
        }
        self.write(batch, &recipes).await?;
        for parser in parsers {
            parser
                .await
                .map_err(|cause| crate::base::Error::internal("a parsing thread ended early").caused_by(cause))??;
        }
        Ok(())
    }

    fn take(&mut self, looked: Looked, batch: &mut Batch) {
        self.looked_at += 1;
        self.report.bytes += looked.bytes;
        match looked.outcome {
            Outcome::Written(write, described) => {
                batch.described.extend(described.map(|described| *described));
                if write.document.metadata.contains_key(PAGES_WITHOUT_TEXT) {
                    self.report.skipped.add(looked.path, "some pages without text".to_owned());
                }
                batch.bytes += write.document.bytes as usize;
                batch.writes.push(*write);
            }
            Outcome::Same(state) => {
                self.report.outcome.unchanged += 1;
                batch.same.push(state);
            }
            Outcome::Skipped(reason, stored, note) => {
                batch.skipped.extend(note.map(|note| *note));
                self.report.skipped.add(looked.path, reason);
                batch.retired.extend(stored);
            }
            Outcome::Failed(reason) => self.report.failed.add(looked.path, reason),
        }
        if self.looked_at.is_multiple_of(64) {
            self.tell();
        }
    }

    async fn write(&mut self, batch: Batch, recipes: &Recipes) -> Result<()> {
        let catalog = &self.engines.catalog;
        if !batch.same.is_empty() {
            catalog.touch(self.namespace, &batch.same).await?;
        }
        if !batch.retired.is_empty() {
            let (outcome, _) = catalog.remove(self.namespace, &Selector::Documents(batch.retired)).await?;
            self.report.outcome.removed += outcome.removed;
        }
        let model = self.engines.space.get().embedder.model().key();
        let vectors = self.moved.vectors(self.engines, self.namespace, &model, &batch.writes).await;
        let mut by_recipe: BTreeMap<&str, Vec<DocumentWrite>> = BTreeMap::new();
        for write in batch.writes {
            by_recipe.entry(recipes.of(&write.document.path)).or_default().push(write);
        }
        for (recipe, writes) in by_recipe {
            let chunks = writes.iter().map(|write| write.chunks.len() as u64).sum::<u64>();
            let outcome = catalog.write(self.namespace, recipe, writes).await?;
            self.report.chunks += chunks;
            add(&mut self.report.outcome, outcome);
        }
        moved::keep(self.engines, &model, vectors).await;
        self.projector.wake();
        tables::register(self.engines, self.namespace, batch.described).await?;
        if !batch.skipped.is_empty() {
            catalog.note_skipped(self.namespace, self.source, &batch.skipped, &[]).await?;
        }
        self.tell();
        Ok(())
    }

    fn tell(&self) {
        let _ = self.progress.try_send(Progress {
            files_total: self.report.files,
            files_done: self.looked_at,
            bytes_done: self.report.bytes,
            chunks: self.report.chunks,
            ..Progress::of(Phase::Reading)
        });
    }
}

/// Adds the counts of one write to a sum.
pub(super) fn add(sum: &mut WriteOutcome, outcome: WriteOutcome) {
    sum.lsn = Lsn(sum.lsn.0.max(outcome.lsn.0));
    sum.added += outcome.added;
    sum.updated += outcome.updated;
    sum.unchanged += outcome.unchanged;
    sum.removed += outcome.removed;
}

#[derive(Default)]
struct Batch {
    writes: Vec<DocumentWrite>,
    same: Vec<DocumentState>,
    retired: Vec<DocumentId>,
    described: Vec<DataObject>,
    skipped: Vec<Skipped>,
    bytes: usize,
}

impl Batch {
    fn is_full(&self) -> bool {
        self.bytes >= BATCH_BYTES_MAX || self.writes.len() + self.same.len() + self.skipped.len() >= BATCH_DOCUMENTS_MAX
    }
}
