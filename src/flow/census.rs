//! Counts: what the server holds and how far its projections are. Computed from the data, never from a stored flag.

use std::collections::HashSet;

use super::Engines;
use super::access::Grant;
use super::apply::{Projections, Projector};
use crate::base::error::Result;
use crate::base::{Lsn, SourceId};
use crate::engine::catalog::{NamespaceStats, Source, Standing};
use crate::engine::vector::VectorStats;

/// See the fields.
#[derive(Debug, Clone)]
pub struct Census {
    /// The namespace's documents and chunks.
    pub namespace: NamespaceStats,
    /// Its sources.
    pub sources: Vec<Source>,
    /// Those with a sync under way, or one that was cut off and goes on.
    pub syncing: HashSet<SourceId>,
    /// Newest log position.
    pub head: Lsn,
    /// How far the projections are.
    pub projections: Projections,
    /// Points of the vector index, all namespaces.
    pub vectors: VectorStats,
    /// Chunks of the lexical index, all namespaces.
    pub lexical: u64,
}

/// Counts everything for `grant`.
///
/// # Errors
/// Not found for an unknown namespace; those of the engines.
pub async fn census(engines: &Engines, projector: &Projector, grant: &Grant) -> Result<Census> {
    let model = engines.space.get().embedder.model().key();
    super::recall::require_namespace(engines, grant).await?;
    let under_way = engines.catalog.standing(Standing::Sync).await?.into_iter();
    Ok(Census {
        syncing: under_way
            .filter(|(namespace, ..)| namespace == grant.namespace())
            .map(|(_, source, _)| source.id)
            .collect(),
        namespace: engines.catalog.stats(grant.namespace(), &model).await?,
        sources: engines.catalog.sources(grant.namespace()).await?,
        head: engines.catalog.head().await?,
        projections: projector.state(),
        vectors: engines.vectors().stats().await?,
        lexical: engines.lexical().count().await?,
    })
}
