//! One execution from its context to its outcome: gathers, says that it begins, runs the node type, checks and remembers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use super::context::{self, Pack};
use super::kind::Known;
use super::node::{NodeError, NodeResult, Outcome, Usage, fits};
use super::step::{Step, lock};
use super::tree::event;
use crate::proto::RunEvent;
use crate::proto::run_event::Kind;

/// Most bytes of data of the children that one outcome spawns: they go into one message, which has 8 MiB.
const SPAWN_BYTES_MAX: usize = 2 * 1024 * 1024;

/// What an execution leaves behind.
pub(super) struct Done {
    pub outcome: NodeResult,
    pub usage: Usage,
    pub notes: Vec<String>,
    pub receipts: BTreeMap<String, Value>,
    pub pack: Option<Arc<Pack>>,
}

impl Done {
    pub fn failed(error: NodeError) -> Self {
        Self { outcome: Err(error), usage: Usage::default(), notes: Vec::new(), receipts: BTreeMap::new(), pack: None }
    }
}

/// Executes one node. Never fails itself: what goes wrong is in the outcome.
pub(super) async fn execute(mut step: Step) -> Done {
    let scope = Arc::clone(&step.scope);
    let most = Duration::from_millis(scope.settings.node_timeout_ms);
    let prepared = timeout(most, prepare(&mut step)).await.unwrap_or_else(|_| Err(late(most)));
    let (known, pack) = match prepared {
        Ok((known, pack)) => (Ok(known), pack),
        Err(error) => (Err(error), None),
    };
    let data = pack.as_deref().map(|pack| context::said(pack, &step.packs)).unwrap_or_default();
    let begins =
        RunEvent { attempt: step.attempt, data, node_type: step.node_type.clone(), ..event(Kind::RunNode, &step.path) };
    if scope.journal.append(vec![begins]).await.is_err() {
        return Done::failed(NodeError::again("the run has stopped"));
    }
    step.packs.extend(pack.clone());
    let step = Arc::new(step);
    let outcome = match known {
        Ok(_) => timeout(most, perform(&step)).await.unwrap_or_else(|_| Err(late(most))),
        Err(error) => Err(error),
    };
    let held = &step.held;
    // Of effects whose node ran out of time; to write a receipt twice does no harm.
    let unwritten = std::mem::take(&mut *lock(&held.unwritten));
    if scope.journal.append(unwritten).await.is_err() {
        return Done::failed(NodeError::again("the run has stopped"));
    }
    Done {
        outcome,
        usage: *lock(&held.usage),
        notes: std::mem::take(&mut *lock(&held.notes)),
        receipts: std::mem::take(&mut *lock(&held.receipts)),
        pack,
    }
}

fn late(most: Duration) -> NodeError {
    NodeError::again(format!("the node took longer than {} ms (node_timeout_ms)", most.as_millis()))
}

/// Finds the type and gathers the context.
async fn prepare(step: &mut Step) -> Result<(Arc<Known>, Option<Arc<Pack>>), NodeError> {
    let scope = Arc::clone(&step.scope);
    let known = scope.types.resolve(step, &step.node_type).await?;
    let task = known.kind.task(&step.data).filter(|_| scope.settings.memory);
    let pack = match task {
        Some(task) => Some(Arc::new(context::gather(&scope, &step.path, task, &step.packs).await?)),
        None => None,
    };
    Ok((known, pack))
}

async fn perform(step: &Arc<Step>) -> NodeResult {
    let scope = &step.scope;
    let outcome = scope.types.exec_function(step, &step.node_type, &step.data).await?;
    let fits = |what: &str, value: &Value| fits(scope.settings.node_bytes_max, "node_bytes_max", what, value);
    match &outcome {
        Outcome::Finish(output) => {
            fits("the output", output)?;
            if scope.settings.memory
                && let Some(note) = context::remember(scope, (&step.path, &step.node_type), output).await
            {
                step.note(note);
            }
        }
        Outcome::Spawn(spawn) => {
            scope.types.check_spawn(step, spawn).await?;
            fits("what is kept with the plan", &json!([spawn.keep, spawn.then]))?;
            let mut bytes = 0;
            for child in &spawn.children {
                bytes += fits("a child's data", &child.data)?;
            }
            if bytes > SPAWN_BYTES_MAX {
                let message = format!("the children's data has {bytes} bytes, the limit is {SPAWN_BYTES_MAX} together");
                return Err(NodeError::again(message));
            }
        }
        Outcome::Ask(question) if question.text.trim().is_empty() => {
            return Err(NodeError::again("the question has no text"));
        }
        Outcome::Ask(question) => {
            fits("the question", &json!(question))?;
        }
    }
    Ok(outcome)
}
