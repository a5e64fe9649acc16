//! Keeps the knowledge graphs that are loaded up with the log, so that those who ask find little left to do.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Follow, LOOK_AGAIN_AFTER, Progress, Projector};
use crate::base::error::{Error, Result};
use crate::flow::Engines;

/// Has no position of its own: each graph knows how far it is, and nothing of it is kept on the disk.
pub(super) struct Follower {
    engines: Engines,
}

impl Follower {
    pub fn new(engines: &Engines) -> Self {
        Self { engines: engines.clone() }
    }
}

#[async_trait]
impl Follow for Follower {
    const WHAT: &'static str = "graph";

    async fn step(&mut self, _: &Arc<Projector>) -> Result<Progress> {
        let moved = self.engines.graphs.follow(&self.engines).await?;
        Ok(if moved { Progress::Moved } else { Progress::Idle(LOOK_AGAIN_AFTER) })
    }

    fn failed(&mut self, _: &Projector, _: &Error) {}

    async fn end(&mut self, _: &Projector) -> Result<()> {
        Ok(())
    }
}
