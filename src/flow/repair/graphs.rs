//! The knowledge graphs, document by document: each is loaded for it.

use std::collections::BTreeSet;

use super::{Affected, Difference, LISTED_MAX, StoreReport};
use crate::base::DocumentId;
use crate::base::error::Result;
use crate::flow::Engines;

/// Looks at a graph between which and the log nothing may have been written.
const LOOKS_MAX: usize = 6;

/// Compares the graphs with the catalogue; notes in `affected` the documents that have to be logged again. A graph that is written to
/// all the time is left out: it is loaded anew at the next start anyway.
pub(super) async fn check(engines: &Engines, affected: &mut Affected) -> Result<StoreReport> {
    let mut report = StoreReport { name: "graph", ..StoreReport::default() };
    for namespace in engines.catalog.namespaces().await? {
        let loaded = engines.graphs.get(engines, &namespace).await?;
        for _ in 0..LOOKS_MAX {
            engines.graphs.follow(engines).await?;
            let head = engines.catalog.head().await?;
            let all = engines.catalog.documents_where(&namespace, &|_, _| true, usize::MAX).await?;
            let there: BTreeSet<DocumentId> = all.into_iter().collect();
            let held: BTreeSet<DocumentId> = loaded.read().all_documents().collect();
            if loaded.applied() != head || engines.catalog.head().await? != head {
                continue;
            }
            report.expected += there.len() as u64;
            report.found += held.len() as u64;
            for document in there.symmetric_difference(&held) {
                let missing = there.contains(document);
                if missing {
                    report.missing += 1
                } else {
                    report.surplus += 1
                }
                affected.entry(namespace.clone()).or_default().insert(*document);
                if report.first.len() < LISTED_MAX {
                    let uri = engines.catalog.uris(&namespace, &[*document]).await?.remove(document);
                    let (namespace, document) = (namespace.clone(), *document);
                    report.first.push(Difference { missing, namespace, document, chunk: None, uri });
                }
            }
            break;
        }
    }
    Ok(report)
}
