//! The follower that feeds a vector index.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::{Follow, LOOK_AGAIN_AFTER, Progress, Projector, READ_DOCUMENTS_MAX, Role, all_ids, next_stretch, stopping};
use crate::base::error::{Error, Result};
use crate::base::limits::APPLY_CHUNKS_MAX;
use crate::base::{DocumentId, EmbedKey, Lsn};
use crate::engine::catalog::{Catalog, ProjectedDocument};
use crate::engine::vector::VectorPoint;
use crate::flow::rebuild::{self, Space};
use crate::flow::{Engines, build};

/// Longest time that vectors stay unflushed; a crash repeats that much upserting, from the cache.
const FLUSH_AFTER: Duration = Duration::from_secs(5);
/// Quiet time before the approximate index is built.
const OPTIMIZE_AFTER: Duration = Duration::from_secs(2);
/// Points that were replaced or removed since the last building, from which the index is built though it is not quiet: a
/// server that is written to all the time would otherwise keep every vector that it ever had. At least this many, and no
/// fewer than there are live ones, so that a building is paid for by as many changes as it has points to build.
const DEAD_POINTS_MIN: u64 = 5_000;

/// The position that `space` has applied durably.
///
/// # Errors
/// Those of the catalogue.
pub(super) async fn position(catalog: &dyn Catalog, space: &Space) -> Result<Lsn> {
    Ok(match catalog.checkpoint(&space.checkpoint()).await? {
        Some((applied, manifest)) if manifest == space.manifest() => applied,
        _ => Lsn(0),
    })
}

pub(super) struct Follower {
    engines: Engines,
    space: Arc<Space>,
    role: Role,
    /// Its model may answer.
    admitted: bool,
    at: Lsn,
    flushed: Lsn,
    since: Option<Instant>,
    quiet_since: Option<Instant>,
    /// Nothing was applied since the approximate index was built.
    optimized: bool,
    /// Points stored since the approximate index was built.
    stored: u64,
    /// Points that there were then.
    points_then: u64,
}

impl Follower {
    /// Feeds `space` from `at`.
    pub(super) fn new(engines: &Engines, space: Arc<Space>, at: Lsn, role: Role) -> Self {
        let engines = engines.clone();
        let (since, quiet_since, optimized, stored, points_then) = (None, None, false, 0, 0);
        let admitted = role == Role::Serving;
        Self { engines, space, role, admitted, at, flushed: at, since, quiet_since, optimized, stored, points_then }
    }
}

#[async_trait]
impl Follow for Follower {
    const WHAT: &'static str = "vector";

    async fn step(&mut self, projector: &Arc<Projector>) -> Result<Progress> {
        if self.role == Role::Serving && !self.engines.space.holds(&self.space) {
            return Ok(Progress::Replaced);
        }
        if !self.admitted {
            if !rebuild::admits(&self.engines, projector, &self.space).await? {
                return Ok(Progress::Replaced);
            }
            self.admitted = true;
        }
        let Some((end, named)) = next_stretch(&self.engines, self.at).await? else {
            return self.rest(projector).await;
        };
        (self.quiet_since, self.optimized) = (None, false);
        for (namespace, ids) in &named {
            let ids: Vec<DocumentId> = ids.iter().copied().collect();
            self.space.vectors.delete_documents(namespace, &ids).await?;
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
        if since.elapsed() >= FLUSH_AFTER {
            self.flush().await?;
            self.sweep().await?;
        }
        self.tell(projector);
        Ok(Progress::Moved)
    }

    fn failed(&mut self, projector: &Projector, error: &Error) {
        self.at = self.flushed;
        // What is applied again is taken out first, so nothing after this position is certain to be found.
        projector.state.send_modify(|state| match self.role {
            Role::Serving => (state.vector, state.vector_problem) = (self.at, Some(error.to_string())),
            Role::Building => state.next_problem = Some(error.to_string()),
        });
    }

    async fn end(&mut self, _projector: &Projector) -> Result<()> {
        self.flush().await
    }
}

impl Follower {
    fn tell(&self, projector: &Projector) {
        projector.state.send_if_modified(|state| {
            let kept = self.role == Role::Serving && state.vector_kept != self.flushed;
            if kept {
                state.vector_kept = self.flushed;
            }
            let (position, problem) = match self.role {
                Role::Serving => (&mut state.vector, &mut state.vector_problem),
                Role::Building => (state.vector_next.get_or_insert_default(), &mut state.next_problem),
            };
            let news = kept || *position != self.at || problem.is_some();
            (*position, *problem) = (self.at, None);
            news
        });
    }

    /// Gives every chunk of `documents` its vector, from the cache or the model, and stores the points.
    async fn upsert(&mut self, projector: &Projector, documents: Vec<ProjectedDocument>) -> Result<()> {
        let embedder = &self.space.embedder;
        let model = embedder.model().key();
        let counter = embedder.counter();
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
            let vectors = embedder.embed(slice).await?;
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
        self.stored += points.len() as u64;
        self.space.vectors.upsert(points).await
    }

    /// Builds the index, which drops what is dead in it, once there is much of that.
    async fn sweep(&mut self) -> Result<()> {
        let points = self.space.vectors.stats().await?.points;
        let dead = self.stored.saturating_sub(points.saturating_sub(self.points_then));
        if dead >= DEAD_POINTS_MIN.max(points) {
            self.optimize().await?;
        }
        Ok(())
    }

    async fn optimize(&mut self) -> Result<()> {
        if self.space.vectors.optimize().await? {
            self.space.vectors.flush().await?;
        }
        self.points_then = self.space.vectors.stats().await?.points;
        self.stored = 0;
        Ok(())
    }

    /// At the end of the log: flush, take over, or after some quiet build the approximate index.
    async fn rest(&mut self, projector: &Arc<Projector>) -> Result<Progress> {
        self.flush().await?;
        self.tell(projector);
        if self.role == Role::Building {
            // With the graph in place, so that searches do not become slower for a while.
            self.optimize().await?;
            let took_over = rebuild::space_takes_over(&self.engines, projector, &self.space, self.at).await?;
            self.role = if took_over { Role::Serving } else { Role::Building };
            return Ok(Progress::Moved);
        }
        if self.optimized {
            return Ok(Progress::Idle(LOOK_AGAIN_AFTER));
        }
        let quiet = self.quiet_since.get_or_insert_with(Instant::now).elapsed();
        if quiet < OPTIMIZE_AFTER {
            return Ok(Progress::Idle(OPTIMIZE_AFTER - quiet));
        }
        self.optimize().await?;
        self.optimized = true;
        Ok(Progress::Moved)
    }

    async fn flush(&mut self) -> Result<()> {
        if self.since.take().is_some() {
            self.space.vectors.flush().await?;
            self.engines.catalog.set_checkpoint(&self.space.checkpoint(), self.at, &self.space.manifest()).await?;
            self.flushed = self.at;
        }
        Ok(())
    }
}
