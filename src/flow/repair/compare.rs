//! One projection against the catalogue, chunk by chunk.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::time::Duration;

use super::{Difference, LISTED_MAX, StoreReport, settle};
use crate::base::DocumentId;
use crate::base::error::Result;
use crate::flow::Engines;
use crate::flow::apply::Projector;
use crate::model::{HeldChunk, Namespace};

/// Looks at what differs before it is believed, while writes go on.
const LOOKS_MAX: usize = 6;
/// Looks in a row between which nothing was written that settle it. One is not enough: an index that rewrites its segments
/// may show a point twice or not at all for a moment.
const QUIET_LOOKS: usize = 2;
/// Pause between them.
const PAUSE: Duration = Duration::from_millis(250);

/// Which projection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Index {
    Lexical,
    Vector,
}

impl Index {
    fn name(self) -> &'static str {
        match self {
            Self::Lexical => "lexical",
            Self::Vector => "vector",
        }
    }

    async fn namespaces(self, engines: &Engines) -> Result<Vec<Namespace>> {
        match self {
            Self::Lexical => engines.lexical().namespaces().await,
            Self::Vector => engines.vectors().namespaces().await,
        }
    }

    async fn held(
        self,
        engines: &Engines,
        namespace: &Namespace,
        documents: Option<&[DocumentId]>,
    ) -> Result<Vec<HeldChunk>> {
        match self {
            Self::Lexical => engines.lexical().held(namespace, documents).await,
            Self::Vector => engines.vectors().held(namespace, documents).await,
        }
    }
}

/// A chunk that is in only one of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Differing {
    pub(super) held: HeldChunk,
    /// Whether the projection lacks it.
    pub(super) missing: bool,
}

/// What a comparison found.
pub(super) struct Findings {
    pub(super) report: StoreReport,
    pub(super) differences: Vec<(Namespace, Differing)>,
}

/// Compares namespace by namespace, so that only one of them is in memory at a time.
pub(super) async fn compare(engines: &Engines, projector: &Projector, index: Index) -> Result<Findings> {
    let mut report = StoreReport { name: index.name(), ..StoreReport::default() };
    let mut differences = Vec::new();
    let mut namespaces: BTreeSet<Namespace> = engines.catalog.namespaces().await?.into_iter().collect();
    namespaces.extend(index.namespaces(engines).await?);
    for namespace in namespaces {
        let expected = engines.catalog.held(&namespace, None).await?;
        report.expected += expected.len() as u64;
        let suspects = differing(expected, index.held(engines, &namespace, None).await?);
        let confirmed = confirm(engines, projector, index, &namespace, suspects).await?;
        let free = LISTED_MAX.saturating_sub(report.first.len());
        report.first.extend(describe(engines, &namespace, &confirmed[..confirmed.len().min(free)]).await?);
        for differing in confirmed {
            *(if differing.missing { &mut report.missing } else { &mut report.surplus }) += 1;
            differences.push((namespace.clone(), differing));
        }
    }
    // Not counted a second time: writes that came in between would make the figures contradict each other.
    report.found = report.expected - report.missing.min(report.expected) + report.surplus;
    Ok(Findings { report, differences })
}

/// Of `suspects` those that differ whenever they are looked at, up to the second look between which nothing was written.
async fn confirm(
    engines: &Engines,
    projector: &Projector,
    index: Index,
    namespace: &Namespace,
    mut suspects: Vec<Differing>,
) -> Result<Vec<Differing>> {
    let mut quiet = 0;
    for _ in 0..LOOKS_MAX {
        if suspects.is_empty() {
            break;
        }
        let head = settle(engines, projector).await?;
        let documents: BTreeSet<DocumentId> = suspects.iter().map(|suspect| suspect.held.document).collect();
        let documents: Vec<DocumentId> = documents.into_iter().collect();
        let expected = engines.catalog.held(namespace, Some(&documents)).await?;
        let found = index.held(engines, namespace, Some(&documents)).await?;
        let again: BTreeSet<Differing> = differing(expected, found).into_iter().collect();
        // What names no document can't be asked for by document, and is wrong at any time.
        suspects.retain(|suspect| suspect.held.document.as_u128() == 0 || again.contains(suspect));
        quiet = if engines.catalog.head().await? == head { quiet + 1 } else { 0 };
        if quiet == QUIET_LOOKS {
            break;
        }
        if !suspects.is_empty() {
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(suspects)
}

/// What is in one list and not in the other, as often as it is there.
pub(super) fn differing(mut expected: Vec<HeldChunk>, mut found: Vec<HeldChunk>) -> Vec<Differing> {
    expected.sort_unstable();
    found.sort_unstable();
    let (mut expected, mut found) = (expected.into_iter().peekable(), found.into_iter().peekable());
    let mut differing = Vec::new();
    loop {
        let order = match (expected.peek(), found.peek()) {
            (None, None) => return differing,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(expected), Some(found)) => expected.cmp(found),
        };
        if order.is_eq() {
            expected.next();
            found.next();
            continue;
        }
        let missing = order.is_lt();
        let held = if missing { expected.next() } else { found.next() };
        differing.extend(held.map(|held| Differing { held, missing }));
    }
}

async fn describe(engines: &Engines, namespace: &Namespace, differing: &[Differing]) -> Result<Vec<Difference>> {
    let documents: Vec<DocumentId> = differing.iter().map(|one| one.held.document).collect();
    let uris = engines.catalog.uris(namespace, &documents).await?;
    let described = differing.iter().map(|one| Difference {
        missing: one.missing,
        namespace: namespace.clone(),
        document: one.held.document,
        chunk: Some(one.held.chunk),
        uri: uris.get(&one.held.document).cloned(),
    });
    Ok(described.collect())
}
