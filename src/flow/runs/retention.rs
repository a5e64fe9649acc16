//! What time makes due: ended runs lose their history and then all, and a run that was to end without a holder ends.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::Runs;
use crate::base::Timestamp;
use crate::base::error::Result;
use crate::engine::catalog::runs::{Chore, Due};
use crate::flow::access::Grant;

/// How often runs are looked at. Nobody waits for it.
const SWEEP_EVERY: Duration = Duration::from_secs(20);

/// Runs that one look takes on: each is a transaction.
const SWEEP_MAX: u32 = 100;

/// How long ended runs are kept. `None`: for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// With their history.
    pub compact_after: Option<Duration>,
    /// At all.
    pub remove_after: Option<Duration>,
}

impl Runs {
    /// Does what is due, again and again, until [`Runs::stop`].
    pub async fn sweep_forever(self: Arc<Self>) {
        let mut stop = self.stop.subscribe();
        loop {
            if let Err(error) = self.sweep().await {
                tracing::warn!(error = %error.chain(), "ended runs could not be cleared; tried again soon");
            }
            tokio::select! {
                () = tokio::time::sleep(SWEEP_EVERY) => {}
                _ = stop.wait_for(|stopped| *stopped) => return,
            }
        }
    }

    /// Does what is due now; gives the number of runs that it was about.
    ///
    /// # Errors
    /// Those of the catalogue.
    pub async fn sweep(&self) -> Result<u64> {
        let now = self.now();
        let before = |after: Option<Duration>| after.map(|after| Timestamp(now.0 - after.as_micros() as i64));
        let due =
            Due { now, compact: before(self.retention.compact_after), remove: before(self.retention.remove_after) };
        let mut chores = self.engines.runs.due_runs(due, SWEEP_MAX).await?;
        // What is removed need not be compacted first.
        chores.sort_by_key(|(.., chore)| std::cmp::Reverse(*chore));
        let (mut done, mut count) = (HashSet::new(), 0);
        for (namespace, run, chore) in chores {
            if !done.insert(run) {
                continue;
            }
            let grant = Grant::standing(namespace);
            let outcome = match chore {
                Chore::End => self.cancel(&grant, run).await.map(|_| ()),
                Chore::Compact => self.compact(&grant, run).await.map(|_| ()),
                Chore::Remove => self.delete(&grant, run).await.map(|_| ()),
            };
            match outcome {
                Ok(()) => count += 1,
                // One that somebody is at meanwhile must not keep the others.
                Err(error) => tracing::warn!(%run, error = %error.chain(), "an ended run could not be cleared"),
            }
        }
        Ok(count)
    }
}
