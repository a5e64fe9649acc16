//! Counts: what the server holds and how far its projections are. Computed from the data, never from a stored flag.

use super::Engines;
use super::access::Grant;
use super::apply::{Projections, Projector};
use crate::base::Lsn;
use crate::base::error::Result;
use crate::engine::catalog::{NamespaceStats, Source};
use crate::engine::vector::VectorStats;

/// See the fields.
#[derive(Debug, Clone)]
pub struct Census {
    /// The namespace's documents and chunks.
    pub namespace: NamespaceStats,
    /// Its sources.
    pub sources: Vec<Source>,
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
    Ok(Census {
        namespace: engines.catalog.stats(grant.namespace(), &model).await?,
        sources: engines.catalog.sources(grant.namespace()).await?,
        head: engines.catalog.head().await?,
        projections: projector.state(),
        vectors: engines.vectors().stats().await?,
        lexical: engines.lexical().count().await?,
    })
}
