//! Node types: what they promise, where they are found, and `exec_function`, the one way to run one.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};

use jsonschema::Validator;
use serde_json::{Value, json};

use super::backend::Backend;
use super::llm::cut;
use super::node::{Blueprint, NodeError, NodeResult, Outcome, Spawn, named};
use super::script::ScriptKind;
use super::settings::DEPTH_MAX;
use super::step::Step;
use crate::error::{ClientError, ErrorKind};
use crate::proto;

/// Most of one problem that is told: the library quotes the whole value.
const PROBLEM_BYTES: usize = 300;

/// A node type: predefined logic around at most one model call, or none.
#[tonic::async_trait]
pub trait NodeType: Send + Sync + 'static {
    /// What it does, for people, models and the router.
    fn description(&self) -> &str;

    /// JSON Schema of its data.
    fn schema(&self) -> Value {
        json!({"type": "object"})
    }

    /// Goals that it is for, as people say them.
    fn utterances(&self) -> Vec<String> {
        Vec::new()
    }

    /// Its entry in the catalogue, so that goals are routed to it; `None` for one that is a step of others, or that comes from
    /// there.
    fn node(&self, name: &str) -> Option<proto::Node> {
        let utterances = self.utterances();
        (!utterances.is_empty()).then(|| proto::Node {
            name: name.to_owned(),
            description: self.description().to_owned(),
            kind: "llm".to_owned(),
            // Its logic is in this program, so that no other takes it for a prompt.
            language: "rust".to_owned(),
            arguments: self.schema().to_string(),
            utterances,
            folder: "swarm".to_owned(),
            ..proto::Node::default()
        })
    }

    /// What a context is gathered for before it runs; `None` for one that calls no model.
    fn task(&self, data: &Value) -> Option<String> {
        let _ = data;
        None
    }

    /// The first execution, and the next after an error or an answer.
    async fn execute(&self, step: &Arc<Step>) -> NodeResult;

    /// Goes on when all children are done. The default comes to what they came to, and fails with them.
    async fn resume(&self, step: &Arc<Step>) -> NodeResult {
        combine(step)
    }
}

/// The children's outputs: the one there is, or a list.
///
/// # Errors
/// The first child's that failed.
pub fn combine(step: &Step) -> NodeResult {
    let mut outputs = Vec::with_capacity(step.children.len());
    for child in &step.children {
        match &child.result {
            Ok(output) => outputs.push(output.clone()),
            Err(error) => {
                return Err(NodeError::fatal(format!("child {} ({}) failed: {error}", child.number, child.node_type)));
            }
        }
    }
    Ok(Outcome::Finish(if outputs.len() == 1 { outputs.swap_remove(0) } else { Value::Array(outputs) }))
}

/// A node type that is a function of this program.
struct Function<F> {
    description: String,
    schema: Value,
    function: F,
}

#[tonic::async_trait]
impl<F, R> NodeType for Function<F>
where
    F: Fn(Arc<Step>) -> R + Send + Sync + 'static,
    R: Future<Output = NodeResult> + Send,
{
    fn description(&self) -> &str {
        &self.description
    }

    fn schema(&self) -> Value {
        self.schema.clone()
    }

    async fn execute(&self, step: &Arc<Step>) -> NodeResult {
        (self.function)(Arc::clone(step)).await
    }
}

/// A node type with its schema made ready.
pub(super) struct Known {
    pub kind: Arc<dyn NodeType>,
    validator: Validator,
    /// It was found in the catalogue, which may have another one by now.
    catalogued: bool,
}

impl Known {
    fn new(name: &str, kind: Arc<dyn NodeType>, catalogued: bool) -> Result<Self, NodeError> {
        if !named(name) {
            return Err(NodeError::fatal(format!(
                "{name:.40?} can't name a node type: it is too long or no plain text"
            )));
        }
        let validator = jsonschema::validator_for(&kind.schema())
            .map_err(|cause| NodeError::fatal(format!("the schema of {name} can't be used: {cause}")))?;
        Ok(Self { kind, validator, catalogued })
    }

    /// Checks `data` against the schema; says all that is wrong with it.
    pub fn check(&self, name: &str, data: &Value) -> Result<(), NodeError> {
        let problems = problems(&self.validator, data);
        if problems.is_empty() { Ok(()) } else { Err(NodeError::again(format!("data of {name}: {problems}"))) }
    }
}

/// What is wrong with `value`, the first few; empty: nothing.
pub(super) fn problems(validator: &Validator, value: &Value) -> String {
    let shown = validator.iter_errors(value).take(5).map(|error| {
        let text = match error.instance_path().to_string() {
            path if path.is_empty() => error.to_string(),
            path => format!("{path}: {error}"),
        };
        if text.len() > PROBLEM_BYTES { format!("{} …", cut(&text, PROBLEM_BYTES)) } else { text }
    });
    shown.collect::<Vec<_>>().join("; ")
}

/// The node types that a run knows: those registered here, and those of the server's catalogue once they were asked for.
#[derive(Clone, Default)]
pub struct NodeTypes {
    known: Arc<RwLock<HashMap<String, Arc<Known>>>>,
}

impl NodeTypes {
    /// None at all.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The built-in ones.
    pub fn builtin() -> Self {
        let this = Self::default();
        super::builtin::register(&this);
        this
    }

    /// Adds a node type, or replaces the one of that name.
    ///
    /// # Errors
    /// For a schema that is none, and for a name of more than 256 bytes or with control characters.
    pub fn add(&self, name: &str, kind: Arc<dyn NodeType>) -> Result<(), NodeError> {
        self.insert(name, Known::new(name, kind, false)?);
        Ok(())
    }

    fn insert(&self, name: &str, known: Known) -> Arc<Known> {
        let known = Arc::new(known);
        let mut all = self.known.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(name.to_owned(), Arc::clone(&known));
        known
    }

    /// Adds a function of this program.
    ///
    /// # Errors
    /// For a schema that is none.
    pub fn add_function<F, R>(&self, name: &str, description: &str, schema: Value, function: F) -> Result<(), NodeError>
    where
        F: Fn(Arc<Step>) -> R + Send + Sync + 'static,
        R: Future<Output = NodeResult> + Send + 'static,
    {
        self.add(name, Arc::new(Function { description: description.to_owned(), schema, function }))
    }

    /// Adds what a `node_scripts.json` describes: `{type: {language, description, script, …}}`. Returns the names.
    ///
    /// # Errors
    /// For a file that is not understood, naming the entry.
    pub fn add_scripts(&self, text: &str) -> Result<Vec<String>, NodeError> {
        let scripts = super::script::parse(text)?;
        let names = scripts.iter().map(|(name, _)| name.clone()).collect();
        for (name, script) in scripts {
            self.add(&name, Arc::new(script))?;
        }
        Ok(names)
    }

    /// Forgets one of the catalogue, so that it is asked again.
    pub(super) fn forget(&self, name: &str) {
        let mut all = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if all.get(name).is_some_and(|known| known.catalogued) {
            all.remove(name);
        }
    }

    /// Whether it is registered here, whatever the catalogue says.
    pub(super) fn is_own(&self, name: &str) -> bool {
        self.get(name).is_some_and(|known| !known.catalogued)
    }

    /// What the catalogue has to know of them, by name.
    pub fn describe(&self) -> Vec<proto::Node> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut nodes: Vec<proto::Node> = known.iter().filter_map(|(name, known)| known.kind.node(name)).collect();
        nodes.sort_by(|one, other| one.name.cmp(&other.name));
        nodes
    }

    fn get(&self, name: &str) -> Option<Arc<Known>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// The type of that name, from here or from the server's catalogue; within, why there is none that can be run here.
    ///
    /// # Errors
    /// Of a server that can't tell.
    pub(super) async fn find(
        &self,
        backend: &dyn Backend,
        name: &str,
    ) -> Result<Result<Arc<Known>, NodeError>, ClientError> {
        if let Some(known) = self.get(name) {
            return Ok(Ok(known));
        }
        let made = match backend.get_node(name).await {
            Ok(Some(node)) => ScriptKind::from_node(node).and_then(|kind| Known::new(name, Arc::new(kind), true)),
            Ok(None) => Err(NodeError::again(format!("there is no node type {name:?}"))),
            // What the server takes for no name at all names nothing.
            Err(error) if error.kind() == ErrorKind::Invalid => {
                Err(NodeError::again(format!("there is no node type {name:.200?}")))
            }
            Err(error) => return Err(error),
        };
        Ok(made.map(|known| self.insert(name, known)))
    }

    /// The type of that name, for a node that can't do without it.
    pub(super) async fn resolve(&self, step: &Step, name: &str) -> Result<Arc<Known>, NodeError> {
        self.find(step.backend(), name).await.map_err(|cause| NodeError::again(cause.to_string()))?
    }

    /// Runs the node type `name` over `data` at the place of `step`, its data checked first. Every execution of a node and every
    /// call of a function goes through here.
    ///
    /// # Errors
    /// For an unknown type, data that does not fit its schema, and whatever it fails with.
    pub async fn exec_function(&self, step: &Arc<Step>, name: &str, data: &Value) -> NodeResult {
        let known = self.resolve(step, name).await?;
        known.check(name, data)?;
        let own = step.node_type == name && *step.data == *data;
        let step = if own { Arc::clone(step) } else { Arc::new(step.inner(name, data.clone())) };
        if step.children.is_empty() { known.kind.execute(&step).await } else { known.kind.resume(&step).await }
    }

    /// Checks what a node wants to spawn: known types, data that fits, within the limits of one node.
    pub(super) async fn check_spawn(&self, step: &Step, spawn: &Spawn) -> Result<(), NodeError> {
        let count = spawn.children.len() + spawn.then.len();
        let settings = step.settings();
        if count == 0 {
            return Err(NodeError::again("no children: a node that has nothing to spawn has to finish"));
        }
        if count > settings.fan_out_max {
            let most = settings.fan_out_max;
            return Err(NodeError::again(format!("{count} children, the limit is {most} (fan_out_max): group them")));
        }
        let most = settings.depth_max.min(DEPTH_MAX);
        if step.depth() + 1 > most {
            return Err(NodeError::fatal(format!("the tree is {most} deep already, which is the limit (depth_max)")));
        }
        for Blueprint { node_type, data } in spawn.children.iter().chain(&spawn.then) {
            self.resolve(step, node_type).await?.check(node_type, data)?;
        }
        Ok(())
    }
}
