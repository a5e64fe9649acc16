//! Checks that all stores hold the same, and mends what differs from the ground state.
//!
//! Everything is compared at one log position: the followers are waited for, and where writes go on meanwhile only what
//! differs again and again counts. What is wrong in a projection is mended the ordinary way: the documents concerned are
//! logged again, and the followers bring them over as they bring over any other.

use std::collections::{BTreeMap, BTreeSet};

use super::Engines;
use super::access::Custodian;
use super::apply::Projector;
use crate::base::error::Result;
use crate::base::{ChunkId, DocumentId, Lsn};
use crate::model::{HeldChunk, Namespace};

mod compare;
mod graphs;
mod ground;

use compare::{Findings, Index};

/// Differences of a store that a report lists; the rest is only counted.
pub const LISTED_MAX: usize = 20;

/// Rounds of mending. The first one does it; the second takes single points that no document leads to.
const ROUNDS_MAX: usize = 3;

/// Documents of one addition to the log.
const RELOG_DOCUMENTS: usize = 10_000;

/// One thing that a store holds and should not, or should and does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Whether it is missing; otherwise it is there and should not be.
    pub missing: bool,
    /// Whose.
    pub namespace: Namespace,
    /// The document.
    pub document: DocumentId,
    /// The chunk; none where the document as a whole is concerned.
    pub chunk: Option<ChunkId>,
    /// The document's address, if the catalogue knows it.
    pub uri: Option<String>,
}

/// What the check of one store found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoreReport {
    /// catalogue, log, embeddings, lexical, vector or graph.
    pub name: &'static str,
    /// What it should hold.
    pub expected: u64,
    /// What it holds.
    pub found: u64,
    /// How much of what it should hold is missing.
    pub missing: u64,
    /// How much it holds that it should not.
    pub surplus: u64,
    /// The first differences.
    pub first: Vec<Difference>,
    /// What has no id: damaged files, wrong counters.
    pub problems: Vec<String>,
}

impl StoreReport {
    /// Whether nothing is wrong with it.
    pub fn is_clean(&self) -> bool {
        self.missing == 0 && self.surplus == 0 && self.problems.is_empty()
    }
}

/// What a check of all stores found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Log position at which they were compared.
    pub lsn: Lsn,
    /// Each store.
    pub stores: Vec<StoreReport>,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.stores.iter().all(StoreReport::is_clean)
    }
}

/// What was found, and after a repair what is left of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Before anything was changed.
    pub found: Report,
    /// Afterwards; none if nothing was to be mended, or it was not asked for.
    pub left: Option<Report>,
}

impl Outcome {
    /// Whether all is well in the end.
    pub fn is_clean(&self) -> bool {
        self.left.as_ref().unwrap_or(&self.found).is_clean()
    }
}

/// Documents to look at again, by namespace.
type Affected = BTreeMap<Namespace, BTreeSet<DocumentId>>;

/// A report with what a repair needs beside it.
struct Check {
    report: Report,
    affected: Affected,
    /// Surplus points of the vector index.
    strays: Vec<HeldChunk>,
    /// Whether the catalogue has something to compute again.
    ground: bool,
}

/// Compares all stores.
///
/// # Errors
/// Unavailable while a follower is stuck; those of the engines.
pub async fn fsck(engines: &Engines, projector: &Projector, _custodian: &Custodian) -> Result<Report> {
    Ok(check(engines, projector).await?.report)
}

/// Compares all stores, mends what differs, and compares again.
///
/// # Errors
/// As [`fsck`]. What was mended before stays mended.
pub async fn repair(engines: &Engines, projector: &Projector, _custodian: &Custodian) -> Result<Outcome> {
    let mut check = check(engines, projector).await?;
    let mut outcome = Outcome { found: check.report.clone(), left: None };
    for round in 0..ROUNDS_MAX {
        if check.report.is_clean() {
            break;
        }
        mend(engines, projector, &check, round > 0).await?;
        check = self::check(engines, projector).await?;
        outcome.left = Some(check.report.clone());
    }
    Ok(outcome)
}

async fn check(engines: &Engines, projector: &Projector) -> Result<Check> {
    let lsn = settle(engines, projector).await?;
    let mut affected = Affected::new();
    let (mut stores, ground) = ground::check(engines, projector, &mut affected).await?;
    // On damaged ground nothing can be said about what stands on it.
    let readable = stores.iter().all(|store| store.name != "catalogue" || !ground.damaged);
    let mut strays = Vec::new();
    for index in [Index::Lexical, Index::Vector].into_iter().filter(|_| readable) {
        let Findings { report, differences } = compare::compare(engines, projector, index).await?;
        stores.push(report);
        for (namespace, difference) in differences {
            if index == Index::Vector && !difference.missing {
                strays.push(difference.held);
            }
            affected.entry(namespace).or_default().insert(difference.held.document);
        }
    }
    if readable {
        stores.push(graphs::check(engines, &mut affected).await?);
    }
    Ok(Check { report: Report { lsn, stores }, affected, strays, ground: ground.mendable })
}

/// Waits until both followers are where the log ends now, and says where that is.
async fn settle(engines: &Engines, projector: &Projector) -> Result<Lsn> {
    let head = engines.catalog.head().await?;
    projector.wake();
    projector.wait_lexical(head).await?;
    projector.wait_vector(head).await?;
    Ok(head)
}

/// Mends what `check` found. `again`: the documents were logged before, and that was not enough.
async fn mend(engines: &Engines, projector: &Projector, check: &Check, again: bool) -> Result<()> {
    if check.ground {
        engines.catalog.mend().await?;
    }
    let known: BTreeSet<Namespace> = engines.catalog.namespaces().await?.into_iter().collect();
    for (namespace, documents) in &check.affected {
        let documents: Vec<DocumentId> = documents.iter().copied().collect();
        if known.contains(namespace) {
            for documents in documents.chunks(RELOG_DOCUMENTS) {
                engines.catalog.relog(namespace, documents).await?;
            }
        } else {
            remove_foreign(engines, namespace, &documents, known.first()).await?;
        }
    }
    // Points that name no document, or another one than the index deletes them by.
    let lost = |held: &&HeldChunk| again || held.document.as_u128() == 0;
    let lost: Vec<ChunkId> = check.strays.iter().filter(lost).map(|held| held.chunk).collect();
    if !lost.is_empty() {
        engines.vectors().delete_chunks(&lost).await?;
        engines.vectors().flush().await?;
    }
    settle(engines, projector).await.map(|_| ())
}

/// Takes documents of a namespace that does not exist out of both indexes. The log can't name such a namespace, so this
/// goes past it; an entry about the same id in another namespace then makes the lexical follower commit.
async fn remove_foreign(
    engines: &Engines,
    namespace: &Namespace,
    documents: &[DocumentId],
    known: Option<&Namespace>,
) -> Result<()> {
    engines.vectors().delete_documents(namespace, documents).await?;
    engines.vectors().flush().await?;
    engines.lexical().delete_documents(namespace, documents).await?;
    match known {
        Some(known) => engines.catalog.relog(known, &documents[..documents.len().min(1)]).await.map(|_| ()),
        // Without a namespace there is no log either, and the follower sleeps.
        None => engines.lexical().commit(engines.lexical().applied()).await,
    }
}

#[cfg(test)]
mod tests;
