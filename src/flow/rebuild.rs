//! Indexes by generation: which one serves, which one is being built beside it, and how one takes over from the other.
//!
//! A rebuild and a change of the embedding model are the same thing: a new generation is filled from the log while the old
//! one answers, and when it has caught up the catalogue records it as the serving one; from that moment it answers. The
//! vectors of a rebuild come from the cache; those of a new model are made in the background, and searches keep to the old
//! model and its vectors until all of them are there. Interrupted, the building goes on at the next start.
//!
//! Before anything is embedded with a new model it may have to pass a [`Gate`]. One that does not is given up: nothing is
//! built, the old model goes on answering, and `stats` says why. The verdict is kept, so the next start does not begin
//! again.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::Engines;
use super::apply::Projector;
use super::gate::Gate;
use crate::base::Lsn;
use crate::base::error::{Error, Kind, Result};
use crate::engine::catalog::Catalog;
use crate::engine::embed::Embedder;
use crate::engine::lexical::LexicalIndex;
use crate::engine::vector::VectorIndex;
use crate::model::document::named_enum;

mod open;

pub use open::{Opened, open, serving_source};

named_enum!(
    /// What can be built anew.
    Projection {
        /// Vector search.
        Vector = "vector",
        /// Full-text search.
        Lexical = "lexical",
    }
);

impl Projection {
    /// Name of the record of the serving generation.
    fn serving(self) -> &'static str {
        self.as_str()
    }

    /// Name of the record of the generation that is being built.
    fn next(self) -> &'static str {
        match self {
            Self::Vector => "vector.next",
            Self::Lexical => "lexical.next",
        }
    }
}

/// A lexical index and its generation.
pub struct Words {
    /// Counted from 1.
    pub generation: u64,
    /// The index.
    pub index: Arc<dyn LexicalIndex>,
}

/// A vector index with the embedder that its vectors come from: they are searched together or not at all.
pub struct Space {
    /// Counted from 1.
    pub generation: u64,
    /// Makes vectors.
    pub embedder: Arc<dyn Embedder>,
    /// Holds them.
    pub vectors: Arc<dyn VectorIndex>,
}

impl Space {
    /// Name of the record of its position.
    pub fn checkpoint(&self) -> String {
        checkpoint(self.generation)
    }

    /// What its vectors are made by.
    pub fn manifest(&self) -> String {
        let model = self.embedder.model();
        format!("{} dimension {}", model.key(), model.dimension)
    }
}

fn checkpoint(generation: u64) -> String {
    format!("vector/{generation}")
}

/// Makes indexes and loads models; the composition root knows how.
#[async_trait]
pub trait Workshop: Send + Sync {
    /// Opens or makes a generation of the lexical index.
    async fn words(&self, generation: u64) -> Result<Arc<dyn LexicalIndex>>;

    /// Opens or makes a generation of the vector index for a model; whether it is new and empty.
    async fn vectors(&self, generation: u64, embedder: &dyn Embedder) -> Result<(Arc<dyn VectorIndex>, bool)>;

    /// Loads the embedder that `source` describes, as [`Self::source`] gave it.
    async fn embedder(&self, source: &str) -> Result<Arc<dyn Embedder>>;

    /// Describes where the configured embedder comes from.
    fn source(&self) -> String;

    /// What another model has to pass before it may answer.
    fn gate(&self) -> Option<&Arc<Gate>> {
        None
    }

    /// Removes all generations of a projection but these.
    async fn keep_only(&self, projection: Projection, generations: &[u64]) -> Result<()>;
}

/// Makes nothing: for tests and benches that bring their own indexes.
#[derive(Debug, Clone, Copy)]
pub struct NoWorkshop;

impl NoWorkshop {
    fn refuse<T>() -> Result<T> {
        Err(Error::new(Kind::Precondition, "indexes can't be made here"))
    }
}

#[async_trait]
impl Workshop for NoWorkshop {
    async fn words(&self, _generation: u64) -> Result<Arc<dyn LexicalIndex>> {
        Self::refuse()
    }

    async fn vectors(&self, _generation: u64, _embedder: &dyn Embedder) -> Result<(Arc<dyn VectorIndex>, bool)> {
        Self::refuse()
    }

    async fn embedder(&self, _source: &str) -> Result<Arc<dyn Embedder>> {
        Self::refuse()
    }

    fn source(&self) -> String {
        String::new()
    }

    async fn keep_only(&self, _projection: Projection, _generations: &[u64]) -> Result<()> {
        Self::refuse()
    }
}

/// What the catalogue records of a generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    generation: u64,
    #[serde(default)]
    model: String,
    #[serde(default)]
    source: String,
}

impl Record {
    async fn read(catalog: &dyn Catalog, name: &str) -> Result<Option<Self>> {
        let Some((_, text)) = catalog.checkpoint(name).await? else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|cause| {
            Error::new(Kind::Corrupt, format!("the record {name:?} cannot be read: restore a backup")).caused_by(cause)
        })
    }

    async fn write(&self, catalog: &dyn Catalog, name: &str) -> Result<()> {
        let text =
            serde_json::to_string(self).map_err(|cause| Error::internal("cannot encode a record").caused_by(cause))?;
        catalog.set_checkpoint(name, Lsn(0), &text).await
    }
}

async fn space(
    catalog: &dyn Catalog,
    workshop: &dyn Workshop,
    generation: u64,
    embedder: &Arc<dyn Embedder>,
) -> Result<Space> {
    let (vectors, fresh) = workshop.vectors(generation, &**embedder).await?;
    let space = Space { generation, embedder: Arc::clone(embedder), vectors };
    if fresh {
        catalog.set_checkpoint(&space.checkpoint(), Lsn(0), &space.manifest()).await?;
    }
    Ok(space)
}

/// Begins to build `projection` anew in the background; [`Projector::wait_built`] waits for it.
///
/// # Errors
/// Conflict if one is being built already; those of the index.
pub async fn rebuild(engines: &Engines, projector: &Arc<Projector>, projection: Projection) -> Result<u64> {
    let _one = engines.rebuilding.lock().await;
    let state = projector.state();
    if state.lexical_next.is_some() || state.vector_next.is_some() {
        return Err(Error::new(
            Kind::Conflict,
            "an index is being built already: wait until `hivemem stats` shows none",
        ));
    }
    let (catalog, workshop) = (&*engines.catalog, projector.workshop());
    match projection {
        Projection::Lexical => {
            let generation = engines.words.get().generation + 1;
            let record = Record { generation, model: String::new(), source: String::new() };
            record.write(catalog, projection.next()).await?;
            let words = Words { generation, index: workshop.words(generation).await? };
            projector.build_words(engines, Arc::new(words));
            Ok(generation)
        }
        Projection::Vector => {
            let serving = engines.space.get();
            let generation = serving.generation + 1;
            let model = serving.embedder.model().key();
            let source = source_of(engines, workshop, &model).await?;
            Record { generation, model, source }.write(catalog, projection.next()).await?;
            let space = space(catalog, workshop, generation, &serving.embedder).await?;
            projector.build_vectors(engines, Arc::new(space)).await?;
            Ok(generation)
        }
    }
}

/// Where `model` comes from: the configured one from where it is configured, another that serves from where it came from.
async fn source_of(engines: &Engines, workshop: &dyn Workshop, model: &str) -> Result<String> {
    let configured = engines.embedder.model().key() == model;
    let serving = Record::read(&*engines.catalog, Projection::Vector.serving()).await?;
    let serving = serving.filter(|record| !configured && record.model == model);
    Ok(serving.map_or_else(|| workshop.source(), |record| record.source))
}

/// Whether the model of `space` may answer. One that may not is given up.
///
/// # Errors
/// Those of the models and of the catalogue; unavailable if the server stops.
pub(super) async fn admits(engines: &Engines, projector: &Arc<Projector>, space: &Arc<Space>) -> Result<bool> {
    let Some(gate) = projector.workshop().gate() else { return Ok(true) };
    let serving = engines.space.get();
    if serving.embedder.model().key() == space.embedder.model().key() {
        return Ok(true);
    }
    let verdict = gate.judge(engines, projector, &serving.embedder, &space.embedder).await?;
    let Some(why) = gate.refusal(&verdict) else {
        gate.log_passed(&verdict);
        return Ok(true);
    };
    tracing::warn!("{why}");
    let kind = Projection::Vector;
    engines.catalog.drop_checkpoint(kind.next()).await?;
    engines.catalog.drop_checkpoint(&space.checkpoint()).await?;
    projector.refuse(why);
    // Only when its files are gone may a rebuild take its number.
    let held = Arc::clone(projector);
    let given_up = move || held.give_up_vectors();
    retire_then(engines, projector, kind, serving.generation, Arc::clone(space), given_up);
    Ok(false)
}

/// Lets `words` answer if they reflect all that the serving index does.
///
/// # Errors
/// Those of the catalogue.
pub(super) async fn words_take_over(engines: &Engines, projector: &Arc<Projector>, words: &Arc<Words>) -> Result<bool> {
    let applied = words.index.applied();
    if applied < projector.state().lexical {
        return Ok(false);
    }
    let kind = Projection::Lexical;
    let record = Record { generation: words.generation, model: String::new(), source: String::new() };
    record.write(&*engines.catalog, kind.serving()).await?;
    let old = projector.switch(|state| {
        // The old one may have moved on since it was looked at.
        (applied >= state.lexical).then(|| {
            (state.lexical, state.lexical_next, state.next_problem) = (applied, None, None);
            engines.words.replace(Arc::clone(words))
        })
    });
    let Some(old) = old else { return Ok(false) };
    engines.catalog.drop_checkpoint(kind.next()).await?;
    retire(engines, projector, kind, words.generation, old);
    Ok(true)
}

/// Lets `space` answer if it reflects all that the serving one does.
///
/// # Errors
/// Those of the catalogue.
pub(super) async fn space_takes_over(
    engines: &Engines,
    projector: &Arc<Projector>,
    space: &Arc<Space>,
    applied: Lsn,
) -> Result<bool> {
    if applied < projector.state().vector {
        return Ok(false);
    }
    let kind = Projection::Vector;
    let model = space.embedder.model().key();
    let source = source_of(engines, projector.workshop(), &model).await?;
    let record = Record { generation: space.generation, model: model.clone(), source };
    record.write(&*engines.catalog, kind.serving()).await?;
    let old = projector.switch(|state| {
        (applied >= state.vector).then(|| {
            (state.vector, state.vector_kept) = (applied, applied);
            (state.vector_next, state.next_problem) = (None, None);
            engines.space.replace(Arc::clone(space))
        })
    });
    let Some(old) = old else { return Ok(false) };
    engines.catalog.drop_checkpoint(kind.next()).await?;
    engines.catalog.drop_checkpoint(&old.checkpoint()).await?;
    let old_model = old.embedder.model().key();
    if old_model != model {
        tracing::info!(model, "searches use the new model from now on");
        engines.catalog.drop_vectors(&old_model).await?;
    }
    retire(engines, projector, kind, space.generation, old);
    Ok(true)
}

/// How long an index that was replaced may still be read from before its files are removed under it, which only costs a
/// few failed searches.
const RETIRE_AFTER_MAX: Duration = Duration::from_secs(30);

/// Removes what was replaced once nobody reads from it any more.
fn retire<T: Send + Sync + 'static>(
    engines: &Engines,
    projector: &Arc<Projector>,
    kind: Projection,
    kept: u64,
    old: Arc<T>,
) {
    retire_then(engines, projector, kind, kept, old, || {});
}

/// Removes what is not used any more once nobody reads from it, and goes on with `then`.
fn retire_then<T: Send + Sync + 'static>(
    engines: &Engines,
    projector: &Arc<Projector>,
    kind: Projection,
    kept: u64,
    old: Arc<T>,
    then: impl FnOnce() + Send + 'static,
) {
    let (held, keeper) = (Arc::clone(projector), engines.rebuilding.clone());
    projector.wake();
    projector.keep(tokio::spawn(async move {
        let _one = keeper.lock().await;
        let unused = async {
            while Arc::strong_count(&old) > 1 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let _ = tokio::time::timeout(RETIRE_AFTER_MAX, unused).await;
        drop(old);
        if let Err(error) = held.workshop().keep_only(kind, &[kept]).await {
            tracing::warn!(error = %error.chain(), "a replaced index could not be removed; the next start tries again");
        }
        then();
    }));
}
