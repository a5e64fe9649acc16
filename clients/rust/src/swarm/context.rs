//! What is put before a model: contexts gathered from memory, those of the nodes above first.
//!
//! A child's context leaves out what the nodes above it were given already, because that stands before it: the same text at the
//! same place, which endpoints with a prompt cache do not read again.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::llm::cut;
use super::node::NodeError;
use super::step::{Scope, as_text};
use crate::proto::{GatherContextRequest, RememberRequest};

/// Most bytes of a task that a context is gathered for: what a node has beyond that is material, and the server takes 32 KiB.
const TASK_BYTES: usize = 8 * 1024;

/// Most bytes that an event says about a context: the server takes 1 MiB, and most have some 20 KiB.
const SAID_BYTES: usize = 512 * 1024;

/// A context as it was put before a model.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Pack {
    /// Ready to be read by a model.
    pub text: String,
    /// Of what it holds.
    pub citations: Vec<String>,
    /// Tokens of the text, as the server counts.
    pub tokens: u32,
}

/// The packs of the nodes above that fit before a child's own, from the root down.
pub(super) fn prefix(above: impl Iterator<Item = Arc<Pack>>, tokens_max: u32) -> Vec<Arc<Pack>> {
    let mut left = tokens_max;
    above
        .take_while(|pack| {
            let fits = pack.tokens <= left;
            left = left.saturating_sub(pack.tokens);
            fits
        })
        .collect()
}

/// Gathers the context of `task` for the node at `path`.
pub(super) async fn gather(scope: &Scope, path: &str, task: String, prefix: &[Arc<Pack>]) -> Result<Pack, NodeError> {
    let request = GatherContextRequest {
        task: cut(&task, TASK_BYTES).to_owned(),
        budget_tokens: Some(scope.settings.context_tokens),
        run: scope.run.clone(),
        node: path.to_owned(),
        held: prefix.iter().flat_map(|pack| pack.citations.iter().cloned()).collect(),
        ..GatherContextRequest::default()
    };
    let reply = scope
        .backend
        .gather_context(request)
        .await
        .map_err(|cause| NodeError::again(format!("no context could be gathered: {cause}")))?;
    let citations = reply.items.into_iter().map(|item| item.citation).collect();
    Ok(Pack { text: reply.text, citations, tokens: reply.tokens })
}

/// Remembers what a node came to, once: an execution that a crash repeats and that comes to the same has the same key. What can't be
/// remembered (a server that is gone for a moment) is said and does not undo the work.
pub(super) async fn remember(scope: &Scope, (path, node_type): (&str, &str), output: &Value) -> Option<String> {
    let text = as_text(output);
    if text.trim().is_empty() {
        return None;
    }
    let idempotency_key = key(&format!("swarm/{}/{path}/{text}", scope.run));
    let request = RememberRequest {
        text,
        title: format!("{node_type} {path}"),
        kind: "output".to_owned(),
        run: scope.run.clone(),
        node: path.to_owned(),
        idempotency_key,
        ..RememberRequest::default()
    };
    scope.backend.remember(request).await.err().map(|cause| format!("the output was not remembered: {cause}"))
}

/// What an event says about the context of an execution: all of it, so that it stands before the nodes below after a resume too.
pub(super) fn said(pack: &Pack, prefix: &[Arc<Pack>]) -> String {
    let above: usize = prefix.iter().map(|pack| pack.citations.len()).sum();
    let mut said = json!(pack);
    said["held"] = json!(above);
    for large in ["text", "citations"] {
        if said.to_string().len() > SAID_BYTES {
            said[large].take();
        }
    }
    said.to_string()
}

/// The context that an event told of; `None` where there was none, or one too large for an event. Without its text it is none: the
/// nodes below must not leave out what does not stand before them.
pub(super) fn restored(said: &str) -> Option<Arc<Pack>> {
    serde_json::from_str(said).ok().map(Arc::new)
}

/// A short idempotency key: a place in a deep tree would be too long for one.
pub(super) fn key(name: &str) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string()
}
