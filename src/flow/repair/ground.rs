//! The catalogue, the log and the embedding cache: what the ground state says of itself.

use super::{Affected, Difference, LISTED_MAX, StoreReport};
use crate::base::DocumentId;
use crate::base::error::Result;
use crate::engine::catalog::Audit;
use crate::flow::Engines;
use crate::flow::apply::Projector;
use crate::model::{HeldChunk, Namespace};

/// How the ground is.
pub(super) struct Ground {
    /// The database itself is damaged.
    pub(super) damaged: bool,
    /// Something can be computed again.
    pub(super) mendable: bool,
}

/// Checks it; notes in `affected` the documents that have to be logged again.
pub(super) async fn check(
    engines: &Engines,
    projector: &Projector,
    affected: &mut Affected,
) -> Result<(Vec<StoreReport>, Ground)> {
    // Of the model that answers: another one may be under way, or have been refused.
    let model = engines.space.get().embedder.model().key();
    let audit = engines.catalog.audit(&model, projector.state().vector).await?;
    let ground = Ground {
        damaged: !audit.damage.is_empty(),
        mendable: !audit.counters.is_empty() || audit.orphans > 0 || audit.stray_chunks > 0,
    };
    let catalogue = catalogue(engines, &audit).await?;
    if ground.damaged {
        return Ok((vec![catalogue], ground));
    }
    for (namespace, document) in &audit.unlogged {
        affected.entry(namespace.clone()).or_default().insert(*document);
    }
    for (namespace, held) in &audit.without_vector {
        affected.entry(namespace.clone()).or_default().insert(held.document);
    }
    let log = log(engines, &audit).await?;
    let embeddings = embeddings(engines, &audit).await?;
    Ok((vec![catalogue, log, embeddings], ground))
}

async fn catalogue(engines: &Engines, audit: &Audit) -> Result<StoreReport> {
    let mut problems = audit.damage.clone();
    problems.extend(audit.counters.iter().map(|fault| {
        let (namespace, counter) = (&fault.namespace, fault.counter);
        format!("{counter} of namespace {namespace}: the counter says {}, there are {}", fault.stored, fault.counted)
    }));
    if audit.stray_chunks > 0 {
        problems.push(format!("{} chunks belong to no document", audit.stray_chunks));
    }
    if !audit.broken.is_empty() {
        problems.push(format!(
            "{} documents have more or fewer chunks than were written: forget them and ingest them again",
            audit.broken.len()
        ));
    }
    Ok(StoreReport {
        name: "catalogue",
        expected: audit.documents,
        found: audit.documents,
        first: documents(engines, &audit.broken, true).await?,
        problems,
        ..StoreReport::default()
    })
}

/// Every document needs an entry, or a projection that starts over never hears of it.
async fn log(engines: &Engines, audit: &Audit) -> Result<StoreReport> {
    let missing = audit.unlogged.len() as u64;
    Ok(StoreReport {
        name: "log",
        expected: audit.documents,
        found: audit.documents - missing.min(audit.documents),
        missing,
        first: documents(engines, &audit.unlogged, true).await?,
        ..StoreReport::default()
    })
}

async fn embeddings(engines: &Engines, audit: &Audit) -> Result<StoreReport> {
    let mut first = Vec::new();
    for (namespace, HeldChunk { document, chunk }) in audit.without_vector.iter().take(LISTED_MAX) {
        let uri = engines.catalog.uris(namespace, &[*document]).await?.remove(document);
        let (namespace, document, chunk) = (namespace.clone(), *document, Some(*chunk));
        first.push(Difference { missing: true, namespace, document, chunk, uri });
    }
    Ok(StoreReport {
        name: "embeddings",
        expected: audit.vectors + audit.texts_without_vector - audit.orphans.min(audit.vectors),
        found: audit.vectors,
        missing: audit.texts_without_vector,
        surplus: audit.orphans,
        first,
        ..StoreReport::default()
    })
}

async fn documents(engines: &Engines, found: &[(Namespace, DocumentId)], missing: bool) -> Result<Vec<Difference>> {
    let mut differences = Vec::new();
    for (namespace, document) in found.iter().take(LISTED_MAX) {
        let uri = engines.catalog.uris(namespace, &[*document]).await?.remove(document);
        let (namespace, document) = (namespace.clone(), *document);
        differences.push(Difference { missing, namespace, document, chunk: None, uri });
    }
    Ok(differences)
}
