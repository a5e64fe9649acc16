//! What answers when a data directory is opened, and what is to be built beside it.

use std::sync::Arc;

use super::{Projection, Record, Space, Words, Workshop, space};
use crate::base::error::{Error, Kind, Result};
use crate::engine::catalog::Catalog;
use crate::engine::embed::Embedder;
use crate::engine::parse::ChunkSizes;

/// What serves at a start, and what is to be built beside it.
pub struct Opened {
    /// Lexical index that serves.
    pub words: Words,
    /// Vector space that serves.
    pub space: Space,
    /// One whose building was begun.
    pub words_next: Option<Words>,
    /// One whose building was begun, or is called for by another configured model.
    pub space_next: Option<Space>,
    /// Why the configured model is not built for.
    pub refused: Option<String>,
}

/// Where the model comes from that the serving vectors were made by; none if there are no vectors yet.
///
/// # Errors
/// Those of the catalogue.
pub async fn serving_source(catalog: &dyn Catalog) -> Result<Option<String>> {
    Ok(Record::read(catalog, Projection::Vector.serving()).await?.map(|record| record.source))
}

/// Opens the serving generations and those that are being built. `embedder` is the configured one, `sizes` those of chunks.
/// Without `may_change` no other model is changed to, and what was begun of such a change stays as it is.
///
/// # Errors
/// Those of the catalogue and of the indexes; precondition if the model may not change and is another one.
pub async fn open(
    catalog: &dyn Catalog,
    workshop: &dyn Workshop,
    embedder: &Arc<dyn Embedder>,
    sizes: ChunkSizes,
    may_change: bool,
) -> Result<Opened> {
    let (words, words_next) = open_words(catalog, workshop).await?;
    let Spaces { space, next: space_next, refused } = match may_change {
        true => open_spaces(catalog, workshop, embedder, sizes).await?,
        false => keep_spaces(catalog, workshop, embedder, sizes).await?,
    };
    Ok(Opened { words, space, words_next, space_next, refused })
}

async fn open_words(catalog: &dyn Catalog, workshop: &dyn Workshop) -> Result<(Words, Option<Words>)> {
    let kind = Projection::Lexical;
    let serving = Record::read(catalog, kind.serving()).await?;
    let generation = serving.map_or(1, |record| record.generation);
    let next = Record::read(catalog, kind.next()).await?.map(|record| record.generation);
    let next = next.filter(|next| *next > generation);
    let kept: Vec<u64> = [generation].into_iter().chain(next).collect();
    workshop.keep_only(kind, &kept).await?;
    let words = Words { generation, index: workshop.words(generation).await? };
    let next = match next {
        Some(generation) => Some(Words { generation, index: workshop.words(generation).await? }),
        None => None,
    };
    Ok((words, next))
}

struct Spaces {
    space: Space,
    next: Option<Space>,
    refused: Option<String>,
}

async fn open_spaces(
    catalog: &dyn Catalog,
    workshop: &dyn Workshop,
    embedder: &Arc<dyn Embedder>,
    sizes: ChunkSizes,
) -> Result<Spaces> {
    let kind = Projection::Vector;
    let wanted = embedder.model().key();
    let serving = Record::read(catalog, kind.serving()).await?;
    let begun = Record::read(catalog, kind.next()).await?;
    let last = [&serving, &begun].into_iter().flatten().map(|record| record.generation).max().unwrap_or(0);
    let old = match &serving {
        Some(record) if record.model == wanted => Some((record.generation, Arc::clone(embedder))),
        Some(record) => old_model(workshop, record).await.map(|old| (record.generation, old)),
        None => None,
    };
    let Some((generation, model)) = old else {
        // The first start, or a model that is gone: there is nothing to answer from meanwhile.
        let record = Record { generation: last + 1, model: wanted, source: workshop.source() };
        record.write(catalog, kind.serving()).await?;
        workshop.keep_only(kind, &[record.generation]).await?;
        let space = space(catalog, workshop, record.generation, embedder).await?;
        return Ok(Spaces { space, next: None, refused: None });
    };
    let changes = model.model().key() != wanted;
    let refused = match workshop.gate().filter(|_| changes) {
        Some(gate) => {
            let kept = gate.kept(catalog, sizes, &*model, &**embedder).await?;
            kept.and_then(|verdict| gate.refusal(&verdict))
        }
        None => None,
    };
    if let Some(why) = &refused {
        tracing::warn!("{why}");
        catalog.drop_checkpoint(kind.next()).await?;
    }
    let begun = begun.filter(|record| record.generation > generation && record.model == wanted);
    let next = match begun.filter(|_| refused.is_none()) {
        Some(record) => Some(record.generation),
        None if changes && refused.is_none() => {
            let record = Record { generation: last + 1, model: wanted, source: workshop.source() };
            record.write(catalog, kind.next()).await?;
            Some(record.generation)
        }
        None => None,
    };
    let kept: Vec<u64> = [generation].into_iter().chain(next).collect();
    workshop.keep_only(kind, &kept).await?;
    let serving = space(catalog, workshop, generation, &model).await?;
    let next = match next {
        Some(generation) => Some(space(catalog, workshop, generation, embedder).await?),
        None => None,
    };
    Ok(Spaces { space: serving, next, refused })
}

/// [`open_spaces`] where the model may not change.
async fn keep_spaces(
    catalog: &dyn Catalog,
    workshop: &dyn Workshop,
    embedder: &Arc<dyn Embedder>,
    sizes: ChunkSizes,
) -> Result<Spaces> {
    let kind = Projection::Vector;
    let Some(serving) = Record::read(catalog, kind.serving()).await? else {
        return open_spaces(catalog, workshop, embedder, sizes).await;
    };
    let key = embedder.model().key();
    if serving.model != key {
        let message = format!(
            "the vectors were made by {}, and {key} is there now: serve the data directory with the configuration that it is \
             to have",
            serving.model
        );
        return Err(Error::new(Kind::Precondition, message));
    }
    let begun = Record::read(catalog, kind.next()).await?.filter(|begun| begun.generation > serving.generation);
    let kept: Vec<u64> =
        std::iter::once(serving.generation).chain(begun.iter().map(|begun| begun.generation)).collect();
    workshop.keep_only(kind, &kept).await?;
    let answers = space(catalog, workshop, serving.generation, embedder).await?;
    let next = match begun.filter(|begun| begun.model == key) {
        Some(begun) => Some(space(catalog, workshop, begun.generation, embedder).await?),
        None => None,
    };
    Ok(Spaces { space: answers, next, refused: None })
}

/// The model that the serving vectors were made by, if it can still be had.
async fn old_model(workshop: &dyn Workshop, record: &Record) -> Option<Arc<dyn Embedder>> {
    let loaded = workshop.embedder(&record.source).await;
    let found = match &loaded {
        Ok(old) if old.model().key() == record.model => return loaded.ok(),
        Ok(other) => format!("{} is there now", other.model().key()),
        Err(error) => error.chain(),
    };
    tracing::warn!(
        model = record.model,
        found,
        "the model that the vectors were made by is gone: search by vectors is incomplete until those of the new one are made"
    );
    None
}
