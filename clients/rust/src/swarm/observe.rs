//! Who watches a run in this process: a terminal, a test.

use crate::proto::RunEvent;

/// Sees what happens, when it has happened. Calls come from many tasks and must not block.
pub trait Observer: Send + Sync + 'static {
    /// An event was written.
    fn event(&self, event: &RunEvent) {
        let _ = event;
    }

    /// A model said something more on behalf of `node`.
    fn text(&self, node: &str, text: &str) {
        let _ = (node, text);
    }

    /// Nodes that are not done.
    fn live(&self, nodes: usize) {
        let _ = nodes;
    }
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observer for Unobserved {}
