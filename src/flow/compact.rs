//! Gives space back: by itself after much was removed and nobody writes, or at once when asked.
//!
//! What is removed is gone from every answer at once, but its bytes stay where they were: in free pages of the database,
//! in segments of the indexes beside what is still valid, in entries of the log. Both indexes rewrite a segment by
//! themselves once a good part of it is deleted; the rest is done here.

use std::sync::Arc;
use std::time::Duration;

use super::Engines;
use super::access::Custodian;
use super::apply::Projector;
use crate::base::Lsn;
use crate::base::error::Result;

/// How often to look, and how long nothing must have been written.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Free bytes of the catalogue that are left alone: later writes use them.
const FREE_BYTES_MIN: u64 = 1024 * 1024;

/// Share of free bytes, as a divisor, from which they are given back.
const FREE_RATIO: u64 = 5;

/// Log entries from which the log is shortened: about 400 KiB.
const LOG_ENTRIES_MIN: u64 = 10_000;

/// Points up to which the vector index is rewritten at once when the server stops: they need no graph, so it takes less
/// than a second.
const POINTS_SMALL: u64 = 10_000;

/// What a compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Compacted {
    /// Log entries that nothing needs any more.
    pub log_entries: u64,
    /// Free bytes of the catalogue before.
    pub free_bytes: u64,
    /// Whether the lexical index was rewritten in part.
    pub lexical: bool,
    /// Whether the vector index was.
    pub vector: bool,
}

/// Removes every byte of what was removed from the stores that it lay in, as far as the engines can.
///
/// # Errors
/// Those of the engines; what was done before stays done.
pub async fn compact(engines: &Engines, projector: &Projector, _custodian: &Custodian) -> Result<Compacted> {
    let head = engines.catalog.head().await?;
    projector.wake();
    projector.wait_lexical(head).await?;
    projector.wait_vector(head).await?;
    engines.graphs.follow(engines).await?;
    let (vectors, words) = (engines.vectors(), engines.lexical());
    let vector = vectors.compact().await?;
    vectors.flush().await?;
    projector.wait_vector_kept(head).await?;
    let lexical = words.compact().await?;
    Ok(Compacted { lexical, vector, ..compact_catalog(engines, projector).await? })
}

async fn compact_catalog(engines: &Engines, projector: &Projector) -> Result<Compacted> {
    let log_entries = engines.catalog.prune_log(durable(engines, projector)).await?;
    let (_, free_bytes) = engines.catalog.space().await?;
    engines.catalog.compact().await?;
    Ok(Compacted { log_entries, free_bytes, ..Compacted::default() })
}

/// The position that both indexes keep even if the process ends now, and that all loaded graphs have read up to. 0 while an index
/// is being built: it may have been given a document whose removal it still has to read of.
pub(super) fn durable(engines: &Engines, projector: &Projector) -> Lsn {
    let state = projector.state();
    if state.lexical_next.is_some() || state.vector_next.is_some() {
        return Lsn(0);
    }
    let graphs = engines.graphs.loaded().into_iter().map(|(_, loaded)| loaded.applied());
    graphs.fold(state.vector_kept.min(engines.lexical().applied()), Lsn::min)
}

/// Compacts whenever it is worth it and nobody writes, until the server stops.
pub async fn keep(engines: Engines, projector: Arc<Projector>) {
    let mut keeper = Keeper { seen: Lsn(0), looked_at: None, pruned: Lsn(0) };
    loop {
        tokio::select! {
            () = projector.stopped() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        if let Err(error) = keeper.look(&engines, &projector).await {
            tracing::warn!(error = %error.chain(), "space cannot be given back; the next attempt is in a while");
        }
    }
}

/// What [`keep`] remembers.
struct Keeper {
    /// Where the log ended at the last look.
    seen: Lsn,
    /// Where it ended when the space was looked at.
    looked_at: Option<Lsn>,
    /// Where it ended when it was shortened.
    pruned: Lsn,
}

impl Keeper {
    async fn look(&mut self, engines: &Engines, projector: &Projector) -> Result<()> {
        let head = engines.catalog.head().await?;
        let quiet = std::mem::replace(&mut self.seen, head) == head && durable(engines, projector) == head;
        if !quiet || self.looked_at == Some(head) {
            return Ok(());
        }
        if worth_it(engines).await? || head.0.saturating_sub(self.pruned.0) >= LOG_ENTRIES_MIN {
            let done = compact_catalog(engines, projector).await?;
            self.pruned = head;
            tracing::info!(log_entries = done.log_entries, bytes = done.free_bytes, "gave space back");
        }
        self.looked_at = Some(head);
        Ok(())
    }
}

/// Whether enough of the catalogue is free.
async fn worth_it(engines: &Engines) -> Result<bool> {
    let (bytes, free) = engines.catalog.space().await?;
    Ok(free >= FREE_BYTES_MIN && free >= bytes / FREE_RATIO)
}

/// Compacts what takes little time: for a server that is about to stop, since one that only runs for a single command
/// never has a quiet time.
///
/// # Errors
/// Those of the engines.
pub async fn on_close(engines: &Engines, projector: &Projector) -> Result<()> {
    let vectors = engines.vectors();
    if vectors.stats().await?.points <= POINTS_SMALL && vectors.optimize().await? {
        vectors.flush().await?;
    }
    if worth_it(engines).await? {
        compact_catalog(engines, projector).await?;
    }
    Ok(())
}
