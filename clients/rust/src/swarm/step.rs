//! One execution of a node, and what it may use: its data, its context, the model, functions, receipts.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::backend::Backend;
use super::context::{Pack, key};
use super::journal::Journal;
use super::kind::NodeTypes;
use super::llm::{self, Message, Model};
use super::node::{Child, NAME_BYTES_MAX, NodeError, NodeResult, Outcome, Usage, depth_of, fits, named};
use super::observe::Observer;
use super::settings::{Settings, VALUE_BYTES_MAX};
use super::tree::event;
use crate::proto::RunEvent;
use crate::proto::run_event::Kind;

/// Most notes of one execution, and most bytes of each.
const NOTES_MAX: usize = 20;
const NOTE_BYTES: usize = 500;

/// What all executions of a run share.
pub(super) struct Scope {
    pub run: String,
    pub backend: Arc<dyn Backend>,
    pub model: Option<Arc<dyn Model>>,
    pub types: NodeTypes,
    pub settings: Settings,
    pub observer: Arc<dyn Observer>,
    pub journal: Arc<Journal>,
    /// Tokens of the whole run.
    pub tokens: AtomicU64,
}

/// See the module.
pub struct Step {
    /// Place in the tree.
    pub path: String,
    /// The type that is executed.
    pub node_type: String,
    /// What it works on; fits the type's schema.
    pub data: Arc<Value>,
    /// From 1. One that only asked for an approval counts.
    pub attempt: u32,
    /// What people said, if the node has asked.
    pub answer: Option<String>,
    /// All children so far, in order; they are done.
    pub children: Vec<Child>,
    /// What the node kept when it spawned them.
    pub keep: Value,
    /// Before the names of effects: which function carries them out; empty for the node itself.
    pub(super) function: String,
    /// Its context, those of the nodes above first.
    pub(super) packs: Vec<Arc<Pack>>,
    pub(super) scope: Arc<Scope>,
    pub(super) held: Arc<Held>,
}

/// What an execution adds up, whichever function of it was called.
#[derive(Default)]
pub(super) struct Held {
    pub receipts: Mutex<BTreeMap<String, Value>>,
    /// Events of receipts of which it is not known that they were written.
    pub unwritten: Mutex<Vec<RunEvent>>,
    pub usage: Mutex<Usage>,
    pub notes: Mutex<Vec<String>>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Step {
    /// The same place, for a function that is called from here. Its effects are told apart by what it is called with, so that they
    /// are found again after a resume.
    pub(super) fn inner(&self, name: &str, data: Value) -> Self {
        let mut sorted = data.clone();
        sorted.sort_all_objects();
        let called = key(&format!("{}{name} {sorted}", self.function));
        Self {
            function: format!("{} {called} ", llm::cut(name, NAME_BYTES_MAX / 4)),
            path: self.path.clone(),
            node_type: name.to_owned(),
            data: Arc::new(data),
            attempt: self.attempt,
            answer: None,
            children: Vec::new(),
            keep: Value::Null,
            packs: self.packs.clone(),
            scope: Arc::clone(&self.scope),
            held: Arc::clone(&self.held),
        }
    }

    /// Id of the run.
    pub fn run(&self) -> &str {
        &self.scope.run
    }

    /// Most tokens of a context.
    pub fn context_tokens(&self) -> u32 {
        self.scope.settings.context_tokens
    }

    /// The server.
    pub fn backend(&self) -> &dyn Backend {
        self.scope.backend.as_ref()
    }

    /// Limits of the run.
    pub fn settings(&self) -> &Settings {
        &self.scope.settings
    }

    /// Steps from the root.
    pub fn depth(&self) -> usize {
        depth_of(&self.path)
    }

    /// A text of the node's data; empty if there is none.
    pub fn text(&self, field: &str) -> &str {
        self.data[field].as_str().unwrap_or_default()
    }

    /// Folder of the run for its scripts and files.
    pub fn work_dir(&self) -> PathBuf {
        self.scope.settings.scripts.work_dir.join(&self.scope.run)
    }

    /// Says something that people should find in the history.
    pub fn note(&self, text: impl Into<String>) {
        let mut notes = lock(&self.held.notes);
        if notes.len() < NOTES_MAX {
            notes.push(llm::cut(&text.into(), NOTE_BYTES).to_owned());
        }
    }

    /// The last child, if all of them went well.
    ///
    /// # Errors
    /// Its error.
    pub fn last_output(&self) -> Result<&Value, NodeError> {
        let failed = || NodeError::fatal("there is no child");
        let last = self.children.last().ok_or_else(failed)?;
        last.result.as_ref().map_err(|error| NodeError::fatal(format!("{} failed: {error}", last.node_type)))
    }

    /// Calls a function: a node type that finishes at once.
    ///
    /// # Errors
    /// As [`NodeTypes::exec_function`], and for one that would spawn or ask.
    pub async fn exec_function(self: &Arc<Self>, name: &str, arguments: &Value) -> Result<Value, NodeError> {
        let types = &self.scope.types;
        // Boxed: a function may call another.
        let called: std::pin::Pin<Box<dyn Future<Output = NodeResult> + Send + '_>> =
            Box::pin(types.exec_function(self, name, arguments));
        match called.await? {
            Outcome::Finish(value) => Ok(value),
            _ => Err(NodeError::fatal(format!("{name} does not finish at once: spawn it instead of calling it"))),
        }
    }

    /// Carries out an effect once in the life of the run, crashes included: asks for its receipt before, writes it after. Between
    /// the two a crash repeats it, so it should come to the same when it is done twice; `key` (a stable idempotency key) helps.
    ///
    /// Within a node `name` says which effect it is, within a function that a node calls also what the function was called with: the
    /// same call twice is one effect.
    ///
    /// # Errors
    /// Those of the effect; for a name that can't be one; for a receipt that is too large or can't be written.
    pub async fn effect<F, R>(&self, name: &str, effect: F) -> Result<Value, NodeError>
    where
        F: FnOnce(String) -> R + Send,
        R: Future<Output = Result<Value, NodeError>> + Send,
    {
        self.effect_unless(|_| false, name, effect).await
    }

    /// As [`Self::effect`], but what comes to something that is `no_receipt` is carried out again the next time.
    pub(super) async fn effect_unless<F, R>(
        &self,
        no_receipt: impl Fn(&Value) -> bool + Send,
        name: &str,
        effect: F,
    ) -> Result<Value, NodeError>
    where
        F: FnOnce(String) -> R + Send,
        R: Future<Output = Result<Value, NodeError>> + Send,
    {
        let name = format!("{}{name}", self.function);
        if !named(&name) {
            return Err(NodeError::fatal(format!("{name:.40?} can't name an effect: it is too long or no plain text")));
        }
        if let Some(receipt) = lock(&self.held.receipts).get(&name).filter(|receipt| !no_receipt(receipt)) {
            return Ok(receipt.clone());
        }
        let receipt = effect(key(&format!("swarm/{}/{}/effect/{name}", self.scope.run, self.path))).await?;
        if no_receipt(&receipt) {
            return Ok(receipt);
        }
        // Once more it would do the same again.
        fits(VALUE_BYTES_MAX, "one event", &format!("the receipt of {name}"), &receipt)
            .map_err(|error| NodeError::fatal(error.message))?;
        let said = RunEvent { key: name.clone(), output: receipt.to_string(), ..event(Kind::Receipt, &self.path) };
        // Held before it is written: a node that runs out of time meanwhile must not do it again.
        lock(&self.held.receipts).insert(name.clone(), receipt.clone());
        lock(&self.held.unwritten).push(said.clone());
        let written = self.scope.journal.append(vec![said]).await;
        written.map_err(|_| NodeError::again(format!("the receipt of {name} was not written")))?;
        lock(&self.held.unwritten).retain(|event| event.key != name);
        Ok(receipt)
    }

    /// Asks the model for a text. `role` says what it is to do, `task` with what.
    ///
    /// # Errors
    /// Of the endpoint; a budget that is used up.
    pub async fn ask_text(&self, role: &str, task: &str) -> Result<String, NodeError> {
        let (model, messages) = self.prompt(role, task)?;
        llm::text(model, messages, &|usage| self.spend(usage), &|text| self.scope.observer.text(&self.path, text)).await
    }

    /// Asks the model for a value of `schema`, and again while the reply is none.
    ///
    /// # Errors
    /// Of the endpoint; a budget that is used up; a model that does not manage.
    pub async fn ask_json(&self, role: &str, task: &str, schema: &Value) -> Result<Value, NodeError> {
        let (model, messages) = self.prompt(role, task)?;
        let repairs = self.scope.settings.repairs_max;
        let said = |text: &str| self.scope.observer.text(&self.path, text);
        llm::structured(model, messages, schema, repairs, &|usage| self.spend(usage), &said).await
    }

    /// What stands first stays the same from call to call, for endpoints with a prompt cache.
    fn prompt(&self, role: &str, task: &str) -> Result<(&dyn Model, Vec<Message>), NodeError> {
        let model = self.scope.model.as_deref().ok_or_else(|| {
            NodeError::fatal(format!("{} needs a model and the run has none: name an endpoint", self.node_type))
        })?;
        let most = self.scope.settings.tokens_max;
        if most > 0 && self.scope.tokens.load(Ordering::Relaxed) >= most {
            return Err(NodeError::fatal(format!("the run has used its {most} tokens (tokens_max)")));
        }
        let mut prompt = String::new();
        for pack in self.packs.iter().filter(|pack| !pack.text.is_empty()) {
            prompt.push_str(&format!("<context>\n{}\n</context>\n\n", pack.text));
        }
        // The nodes at the top plan for the others, so they know what there is; the ones below have their task.
        if self.depth() <= 1 {
            prompt.push_str(llm::ABOUT_THE_SWARM);
        }
        prompt.push_str(role);
        prompt.push_str("\n\n");
        prompt.push_str(task);
        Ok((model, vec![Message::system(llm::SYSTEM), Message::user(prompt)]))
    }

    fn spend(&self, usage: Usage) {
        *lock(&self.held.usage) += usage;
        self.scope.tokens.fetch_add(usage.prompt_tokens + usage.completion_tokens, Ordering::Relaxed);
    }
}

/// A value as people read it: a string without quotes, the one text of an object, JSON otherwise.
pub fn as_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Object(fields) if fields.len() == 1 => fields.values().map(as_text).collect(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    }
}
