//! Removal: one logged operation, followed by every projection; what is gone from the catalogue can't be returned even
//! before they caught up.

use super::Engines;
use super::access::Grant;
use super::apply::Projector;
use crate::base::Lsn;
use crate::base::error::Result;
use crate::engine::catalog::Selector;

/// What was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    /// Addresses of the removed documents.
    pub uris: Vec<String>,
    /// Position of the removal.
    pub lsn: Lsn,
}

/// Removes what `selector` names.
///
/// # Errors
/// Those of the catalogue. Removing nothing is not an error.
pub async fn forget(engines: &Engines, projector: &Projector, grant: &Grant, selector: &Selector) -> Result<Forgotten> {
    let (outcome, uris) = engines.catalog.remove(grant.namespace(), selector).await?;
    if outcome.removed > 0 {
        projector.wake();
        projector.wait_lexical(outcome.lsn).await?;
    }
    Ok(Forgotten { uris, lsn: outcome.lsn })
}
