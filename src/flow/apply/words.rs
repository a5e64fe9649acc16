//! The follower that feeds a lexical index.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::{Follow, LOOK_AGAIN_AFTER, Progress, Projector, READ_DOCUMENTS_MAX, Role, all_ids, next_stretch};
use crate::base::error::{Error, Result};
use crate::base::{DocumentId, Lsn};
use crate::engine::lexical::LexicalDocument;
use crate::flow::Engines;
use crate::flow::rebuild::{self, Words};

/// Longest time that written words stay invisible while nobody waits for them.
const COMMIT_AFTER: Duration = Duration::from_millis(500);
/// Steps between two commits of a busy index; each commit makes a segment that has to be merged later.
const COMMIT_STEPS: usize = 16;

pub(super) struct Follower {
    engines: Engines,
    words: Arc<Words>,
    role: Role,
    at: Lsn,
    steps: usize,
    since: Option<Instant>,
}

impl Follower {
    /// Feeds `words` from where they stand.
    pub(super) fn new(engines: &Engines, words: Arc<Words>, role: Role) -> Self {
        let at = words.index.applied();
        Self { engines: engines.clone(), words, role, at, steps: 0, since: None }
    }
}

#[async_trait]
impl Follow for Follower {
    const WHAT: &'static str = "lexical";

    async fn step(&mut self, projector: &Arc<Projector>) -> Result<Progress> {
        if self.role == Role::Serving && !self.engines.words.holds(&self.words) {
            return Ok(Progress::Replaced);
        }
        let Some((end, named)) = next_stretch(&self.engines, self.at).await? else {
            return self.rest(projector).await;
        };
        let mut gone = named.clone();
        for ids in all_ids(&named).chunks(READ_DOCUMENTS_MAX) {
            let held = self.engines.catalog.project(ids).await?;
            for held in &held {
                gone.entry(held.namespace.clone()).or_default().remove(&held.write.document.id);
            }
            let documents = held.into_iter().map(|held| LexicalDocument {
                namespace: held.namespace,
                document: Arc::new(held.write.document),
                chunks: held.write.chunks,
            });
            self.words.index.replace(documents.collect()).await?;
        }
        for (namespace, ids) in gone {
            let ids: Vec<DocumentId> = ids.into_iter().collect();
            self.words.index.delete_documents(&namespace, &ids).await?;
        }
        self.at = end;
        self.steps += 1;
        self.since.get_or_insert_with(Instant::now);
        if self.steps >= COMMIT_STEPS {
            self.commit(projector).await?;
        }
        Ok(Progress::Moved)
    }

    fn failed(&mut self, projector: &Projector, error: &Error) {
        projector.state.send_modify(|state| match self.role {
            Role::Serving => state.lexical_problem = Some(error.to_string()),
            Role::Building => state.next_problem = Some(error.to_string()),
        });
        self.at = self.words.index.applied();
        (self.steps, self.since) = (0, None);
    }

    async fn end(&mut self, projector: &Projector) -> Result<()> {
        self.commit(projector).await
    }
}

impl Follower {
    /// At the end of the log: commit if somebody waits or enough time went by.
    async fn rest(&mut self, projector: &Arc<Projector>) -> Result<Progress> {
        if self.role == Role::Building {
            self.commit(projector).await?;
            let took_over = rebuild::words_take_over(&self.engines, projector, &self.words).await?;
            self.role = if took_over { Role::Serving } else { Role::Building };
            return Ok(Progress::Moved);
        }
        let Some(since) = self.since else {
            // After a failure there may be nothing left to apply, but still the problem to take back.
            self.commit(projector).await?;
            return Ok(Progress::Idle(LOOK_AGAIN_AFTER));
        };
        let waited_for = *projector.wanted.borrow() > self.words.index.applied();
        let age = since.elapsed();
        if waited_for || age >= COMMIT_AFTER {
            self.commit(projector).await?;
            return Ok(Progress::Moved);
        }
        Ok(Progress::Idle(COMMIT_AFTER - age))
    }

    async fn commit(&mut self, projector: &Projector) -> Result<()> {
        if self.since.is_some() {
            self.words.index.commit(self.at).await?;
            (self.steps, self.since) = (0, None);
        }
        let applied = self.words.index.applied();
        projector.state.send_if_modified(|state| match self.role {
            Role::Serving => {
                let news = state.lexical != applied || state.lexical_problem.is_some();
                (state.lexical, state.lexical_problem) = (applied, None);
                news
            }
            Role::Building => {
                (state.lexical_next, state.next_problem) = (Some(applied), None);
                true
            }
        });
        Ok(())
    }
}
