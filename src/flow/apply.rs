//! Carries the log to the projections, in the background, from wherever each of them stands.
//!
//! Two followers run side by side so that words are searchable at once while vectors are still being made. Each reads
//! the log after its own position, looks up what the named documents hold *now*, and replaces them in its index; an
//! entry applied twice or late therefore ends in the same state. A follower that fails says so in [`Projections`],
//! waits, and tries again from its position; the other one and all searches go on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{Engines, build};
use crate::base::error::{Error, Kind, Result};
use crate::base::limits::APPLY_CHUNKS_MAX;
use crate::base::{DocumentId, EmbedKey, Lsn};
use crate::engine::catalog::ProjectedDocument;
use crate::engine::lexical::LexicalDocument;
use crate::engine::vector::VectorPoint;
use crate::model::Namespace;

/// Name of the vector projection's checkpoint.
pub const VECTOR_CHECKPOINT: &str = "vector";

/// Log entries looked at in one step. Documents average some five chunks, so this fills [`APPLY_CHUNKS_MAX`].
const STEP_ENTRIES_MAX: usize = 512;
/// Documents read at a time: at the limit for one document, 64 of them are 256 MiB; usually they are half a megabyte.
const READ_DOCUMENTS_MAX: usize = 64;
/// Longest time that written words stay invisible while nobody waits for them.
const LEXICAL_COMMIT_AFTER: Duration = Duration::from_millis(500);
/// Steps between two commits of a busy lexical index; each commit makes a segment that has to be merged later.
const LEXICAL_COMMIT_STEPS: usize = 16;
/// Longest time that vectors stay unflushed; a crash repeats that much upserting, from the cache.
const VECTOR_FLUSH_AFTER: Duration = Duration::from_secs(5);
/// Quiet time before the approximate vector index is built.
const OPTIMIZE_AFTER: Duration = Duration::from_secs(2);
/// Pause after a failure; tests fail often and have no time.
const RETRY_AFTER: Duration = if cfg!(test) { Duration::from_millis(20) } else { Duration::from_secs(1) };
/// How often a follower at rest looks at the log though nobody woke it: a write may be committed and its caller fail
/// or go away before it can tell. Costs one read of an index.
const LOOK_AGAIN_AFTER: Duration = if cfg!(test) { Duration::from_millis(100) } else { Duration::from_secs(5) };

/// How far the projections are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Projections {
    /// Position that lexical search reflects.
    pub lexical: Lsn,
    /// Position that vector search reflects.
    pub vector: Lsn,
    /// Chunks embedded since the server started.
    pub embedded: u64,
    /// Chunks whose vector came from the cache since the server started.
    pub cached: u64,
    /// Why the lexical follower is stuck, if it is.
    pub lexical_problem: Option<String>,
    /// Why the vector follower is stuck, if it is.
    pub vector_problem: Option<String>,
}

/// Handle to the followers: wakes them, waits for them, stops them.
#[derive(Debug)]
pub struct Projector {
    state: watch::Sender<Projections>,
    /// Largest position that somebody waits to see in lexical search.
    wanted: watch::Sender<Lsn>,
    wake_lexical: Notify,
    wake_vector: Notify,
    stop: watch::Sender<bool>,
}

impl Projector {
    /// Starts both followers.
    ///
    /// # Errors
    /// If the vector checkpoint can't be read.
    pub async fn start(engines: Engines, vector_manifest: String) -> Result<(Arc<Self>, Vec<JoinHandle<()>>)> {
        let vector = match engines.catalog.checkpoint(VECTOR_CHECKPOINT).await? {
            Some((applied, manifest)) if manifest == vector_manifest => applied,
            _ => Lsn(0),
        };
        let state = Projections { lexical: engines.lexical.applied(), vector, ..Projections::default() };
        let projector = Arc::new(Self {
            state: watch::channel(state).0,
            wanted: watch::channel(Lsn(0)).0,
            wake_lexical: Notify::new(),
            wake_vector: Notify::new(),
            stop: watch::channel(false).0,
        });
        let words = tokio::spawn(Arc::clone(&projector).follow_words(engines.clone()));
        let vectors = tokio::spawn(Arc::clone(&projector).follow_vectors(engines, vector_manifest));
        Ok((projector, vec![words, vectors]))
    }

    /// Tells the followers that the log grew.
    pub fn wake(&self) {
        self.wake_lexical.notify_one();
        self.wake_vector.notify_one();
    }

    /// How far they are.
    pub fn state(&self) -> Projections {
        self.state.borrow().clone()
    }

    /// Watches them.
    pub fn watch(&self) -> watch::Receiver<Projections> {
        self.state.subscribe()
    }

    /// Ends both followers after what they are doing, with a last commit and flush.
    pub fn stop(&self) {
        self.stop.send_replace(true);
        self.wake();
    }

    /// Waits until lexical search reflects `lsn`.
    ///
    /// # Errors
    /// Unavailable if the follower is stuck or the server stops.
    pub async fn wait_lexical(&self, lsn: Lsn) -> Result<()> {
        self.wanted.send_if_modified(|wanted| {
            let grows = lsn > *wanted;
            *wanted = lsn.max(*wanted);
            grows
        });
        self.wake_lexical.notify_one();
        self.wait(|state| (state.lexical >= lsn, state.lexical_problem.as_deref())).await
    }

    /// Waits until vector search reflects `lsn`.
    ///
    /// # Errors
    /// Unavailable if the follower is stuck or the server stops.
    pub async fn wait_vector(&self, lsn: Lsn) -> Result<()> {
        self.wait(|state| (state.vector >= lsn, state.vector_problem.as_deref())).await
    }

    async fn wait(&self, look: impl Fn(&Projections) -> (bool, Option<&str>)) -> Result<()> {
        let mut states = self.state.subscribe();
        let mut stop = self.stop.subscribe();
        loop {
            {
                let state = states.borrow_and_update();
                let (reached, problem) = look(&state);
                if reached {
                    return Ok(());
                }
                if let Some(problem) = problem {
                    return Err(Error::new(
                        Kind::Unavailable,
                        format!("everything is stored, but an index cannot follow: {problem}"),
                    ));
                }
            }
            tokio::select! {
                changed = states.changed() => changed.map_err(|_| stopping())?,
                _ = stop.wait_for(|stop| *stop) => return Err(stopping()),
            }
        }
    }

    /// Completes once the server stops.
    pub async fn stopped(&self) {
        let _ = self.stop.subscribe().wait_for(|stop| *stop).await;
    }

    fn stopping_now(&self) -> bool {
        *self.stop.borrow()
    }

    async fn follow_words(self: Arc<Self>, engines: Engines) {
        let mut words = Words { engines, at: Lsn(0), steps: 0, since: None };
        words.at = words.engines.lexical.applied();
        while !self.stopping_now() {
            match words.step(&self).await {
                Ok(Progress::Moved) => {}
                Ok(Progress::Idle(wait)) => {
                    let _ = tokio::time::timeout(wait, self.wake_lexical.notified()).await;
                }
                Err(_) if self.stopping_now() => break,
                Err(error) => {
                    tracing::error!(error = %error.chain(), "the lexical index cannot follow the log");
                    self.state.send_modify(|state| state.lexical_problem = Some(error.to_string()));
                    words.at = words.engines.lexical.applied();
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        }
        if let Err(error) = words.commit(&self).await {
            tracing::error!(error = %error.chain(), "the last lexical commit failed; it is repeated at the next start");
        }
    }

    async fn follow_vectors(self: Arc<Self>, engines: Engines, manifest: String) {
        let at = self.state().vector;
        let mut vectors =
            Vectors { engines, manifest, at, flushed: at, since: None, quiet_since: None, optimized: false };
        while !self.stopping_now() {
            match vectors.step(&self).await {
                Ok(Progress::Moved) => {}
                Ok(Progress::Idle(wait)) => {
                    let _ = tokio::time::timeout(wait, self.wake_vector.notified()).await;
                }
                Err(_) if self.stopping_now() => break,
                Err(error) => {
                    tracing::error!(error = %error.chain(), "the vector index cannot follow the log");
                    vectors.at = vectors.flushed;
                    // What is applied again is taken out first, so nothing after this position is certain to be found.
                    self.state.send_modify(|state| {
                        state.vector = vectors.at;
                        state.vector_problem = Some(error.to_string());
                    });
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        }
        if let Err(error) = vectors.flush().await {
            tracing::error!(error = %error.chain(), "the last vector flush failed; it is repeated at the next start");
        }
    }
}

fn stopping() -> Error {
    Error::new(Kind::Unavailable, "the server is shutting down; what was acknowledged is stored")
}

/// What a step did.
enum Progress {
    Moved,
    /// Nothing to do; look again after this long or when woken.
    Idle(Duration),
}

/// The next stretch of the log: which documents it names, by namespace, and where it ends.
async fn next_stretch(
    engines: &Engines,
    after: Lsn,
) -> Result<Option<(Lsn, BTreeMap<Namespace, BTreeSet<DocumentId>>)>> {
    let entries = engines.catalog.read_log(after, STEP_ENTRIES_MAX).await?;
    let Some(last) = entries.last() else { return Ok(None) };
    let end = last.lsn;
    let mut documents: BTreeMap<Namespace, BTreeSet<DocumentId>> = BTreeMap::new();
    for entry in entries {
        documents.entry(entry.namespace).or_default().insert(entry.document);
    }
    Ok(Some((end, documents)))
}

fn all_ids(named: &BTreeMap<Namespace, BTreeSet<DocumentId>>) -> Vec<DocumentId> {
    named.values().flatten().copied().collect()
}

/// The lexical follower.
struct Words {
    engines: Engines,
    at: Lsn,
    steps: usize,
    since: Option<Instant>,
}

impl Words {
    async fn step(&mut self, projector: &Projector) -> Result<Progress> {
        let Some((end, named)) = next_stretch(&self.engines, self.at).await? else {
            return self.rest(projector).await;
        };
        let mut gone = named.clone();
        for ids in all_ids(&named).chunks(READ_DOCUMENTS_MAX) {
            let held = self.engines.catalog.project(ids).await?;
            for held in &held {
                gone.entry(held.namespace.clone()).or_default().remove(&held.write.document.id);
            }
            let documents = held.into_iter().map(|held| LexicalDocument {
                namespace: held.namespace,
                document: Arc::new(held.write.document),
                chunks: held.write.chunks,
            });
            self.engines.lexical.replace(documents.collect()).await?;
        }
        for (namespace, ids) in gone {
            let ids: Vec<DocumentId> = ids.into_iter().collect();
            self.engines.lexical.delete_documents(&namespace, &ids).await?;
        }
        self.at = end;
        self.steps += 1;
        self.since.get_or_insert_with(Instant::now);
        if self.steps >= LEXICAL_COMMIT_STEPS {
            self.commit(projector).await?;
        }
        Ok(Progress::Moved)
    }

    /// At the end of the log: commit if somebody waits or enough time went by.
    async fn rest(&mut self, projector: &Projector) -> Result<Progress> {
        let Some(since) = self.since else {
            projector.state.send_if_modified(|state| state.lexical_problem.take().is_some());
            return Ok(Progress::Idle(LOOK_AGAIN_AFTER));
        };
        let waited_for = *projector.wanted.borrow() > self.engines.lexical.applied();
        let age = since.elapsed();
        if waited_for || age >= LEXICAL_COMMIT_AFTER {
            self.commit(projector).await?;
            return Ok(Progress::Moved);
        }
        Ok(Progress::Idle(LEXICAL_COMMIT_AFTER - age))
    }

    async fn commit(&mut self, projector: &Projector) -> Result<()> {
        if self.since.is_some() {
            self.engines.lexical.commit(self.at).await?;
            (self.steps, self.since) = (0, None);
        }
        let applied = self.engines.lexical.applied();
        projector.state.send_modify(|state| {
            state.lexical = applied;
            state.lexical_problem = None;
        });
        Ok(())
    }
}

/// The vector follower.
struct Vectors {
    engines: Engines,
    manifest: String,
    at: Lsn,
    flushed: Lsn,
    since: Option<Instant>,
    quiet_since: Option<Instant>,
    /// Nothing was applied since the approximate index was built.
    optimized: bool,
}

impl Vectors {
    async fn step(&mut self, projector: &Projector) -> Result<Progress> {
        let Some((end, named)) = next_stretch(&self.engines, self.at).await? else {
            return self.rest(projector).await;
        };
        (self.quiet_since, self.optimized) = (None, false);
        for (namespace, ids) in &named {
            let ids: Vec<DocumentId> = ids.iter().copied().collect();
            self.engines.vectors.delete_documents(namespace, &ids).await?;
        }
        let mut window = Vec::new();
        for ids in all_ids(&named).chunks(READ_DOCUMENTS_MAX) {
            window.extend(self.engines.catalog.project(ids).await?);
            if window.iter().map(|held: &ProjectedDocument| held.write.chunks.len()).sum::<usize>() >= APPLY_CHUNKS_MAX
            {
                self.upsert(projector, std::mem::take(&mut window)).await?;
            }
            if projector.stopping_now() {
                return Ok(Progress::Moved);
            }
        }
        self.upsert(projector, window).await?;
        self.at = end;
        let since = *self.since.get_or_insert_with(Instant::now);
        if since.elapsed() >= VECTOR_FLUSH_AFTER {
            self.flush().await?;
        }
        projector.state.send_modify(|state| {
            state.vector = end;
            state.vector_problem = None;
        });
        Ok(Progress::Moved)
    }

    /// Gives every chunk of `documents` its vector, from the cache or the model, and stores the points.
    async fn upsert(&self, projector: &Projector, documents: Vec<ProjectedDocument>) -> Result<()> {
        let model = self.engines.embedder.model().key();
        let counter = self.engines.embedder.counter();
        let chunks = || documents.iter().flat_map(|held| held.write.chunks.iter().map(move |chunk| (held, chunk)));
        let keys: BTreeSet<EmbedKey> = chunks().map(|(_, chunk)| chunk.embed_key).collect();
        let keys: Vec<EmbedKey> = keys.into_iter().collect();
        let mut known = self.engines.catalog.cached_vectors(&model, &keys).await?;
        let cached = known.len() as u64;
        let mut missing: BTreeMap<EmbedKey, String> = BTreeMap::new();
        for (held, chunk) in chunks().filter(|(_, chunk)| !known.contains_key(&chunk.embed_key)) {
            missing
                .entry(chunk.embed_key)
                .or_insert_with(|| build::embed_text(&held.write.document, chunk, self.engines.sizes, &*counter));
        }
        let (missing, texts): (Vec<EmbedKey>, Vec<String>) = missing.into_iter().unzip();
        projector.state.send_modify(|state| state.cached += cached);
        // In slices, so that progress is seen and a crash loses little.
        let mut texts = texts.into_iter();
        for keys in missing.chunks(APPLY_CHUNKS_MAX / 4) {
            let slice: Vec<String> = texts.by_ref().take(keys.len()).collect();
            let vectors = self.engines.embedder.embed(slice).await?;
            let fresh: Vec<(EmbedKey, Vec<f32>)> = keys.iter().copied().zip(vectors).collect();
            self.engines.catalog.cache_vectors(&model, fresh.clone()).await?;
            projector.state.send_modify(|state| state.embedded += fresh.len() as u64);
            known.extend(fresh);
            if projector.stopping_now() {
                return Err(stopping());
            }
        }
        let mut points = Vec::new();
        for held in documents {
            let document = Arc::new(held.write.document);
            for chunk in held.write.chunks {
                let vector = known.get(&chunk.embed_key).cloned();
                let vector = vector.ok_or_else(|| Error::internal("a chunk was left without a vector"))?;
                let (namespace, document) = (held.namespace.clone(), Arc::clone(&document));
                points.push(VectorPoint { chunk: chunk.id, namespace, document, vector });
            }
        }
        self.engines.vectors.upsert(points).await
    }

    /// At the end of the log: flush, and after some quiet build the approximate index.
    async fn rest(&mut self, projector: &Projector) -> Result<Progress> {
        self.flush().await?;
        if self.optimized {
            projector.state.send_if_modified(|state| state.vector_problem.take().is_some());
            return Ok(Progress::Idle(LOOK_AGAIN_AFTER));
        }
        let quiet = self.quiet_since.get_or_insert_with(Instant::now).elapsed();
        if quiet < OPTIMIZE_AFTER {
            return Ok(Progress::Idle(OPTIMIZE_AFTER - quiet));
        }
        let worked = self.engines.vectors.optimize().await?;
        if worked {
            self.engines.vectors.flush().await?;
        }
        self.optimized = true;
        Ok(Progress::Moved)
    }

    async fn flush(&mut self) -> Result<()> {
        if self.since.take().is_some() {
            self.engines.vectors.flush().await?;
            self.engines.catalog.set_checkpoint(VECTOR_CHECKPOINT, self.at, &self.manifest).await?;
            self.flushed = self.at;
        }
        Ok(())
    }
}
