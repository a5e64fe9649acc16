//! Node types that are scripts: of a `node_scripts.json`, or of the server's catalogue. How they are run is in [`launch`].

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::kind::{NodeType, combine};
use super::node::{NodeError, NodeResult, Outcome};
use super::step::Step;
use crate::proto;

pub(super) mod launch;
mod sandbox;

/// Languages of programs that register node types whose logic stays with them.
const OTHER_PROGRAMS: [&str; 2] = ["python", "rust"];

/// A node type whose logic is a script, or a prompt where the catalogue has no code.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ScriptKind {
    #[serde(default)]
    description: String,
    #[serde(default)]
    language: String,
    #[serde(default, alias = "code")]
    script: String,
    /// JSON Schema of its data.
    #[serde(default = "any_object", alias = "parameters")]
    arguments: Value,
    /// It changes something outside: it is run once in the life of the run.
    #[serde(default)]
    effect: bool,
    /// It wants to be run again when its children are done.
    #[serde(default)]
    resumes: bool,
    /// What it prints is its answer and nothing else, as tools do; not an outcome.
    #[serde(default)]
    tool: bool,
    #[serde(default)]
    utterances: Vec<String>,
    /// It comes from the catalogue, which knows it better.
    #[serde(skip)]
    catalogued: bool,
}

fn any_object() -> Value {
    json!({"type": "object"})
}

/// Reads a `node_scripts.json`. Fields that mean nothing here are skipped: other programs have theirs in it.
pub(super) fn parse(text: &str) -> Result<Vec<(String, ScriptKind)>, NodeError> {
    let entries: BTreeMap<String, Value> = serde_json::from_str(text)
        .map_err(|cause| NodeError::fatal(format!("node scripts are a JSON object by node type: {cause}")))?;
    let read = |(name, entry): (String, Value)| {
        let kind: ScriptKind = serde_json::from_value(entry)
            .map_err(|cause| NodeError::fatal(format!("node script {name:?}: {cause}")))?;
        if kind.script.trim().is_empty() || kind.language.is_empty() {
            return Err(NodeError::fatal(format!("node script {name:?} needs a language and a script")));
        }
        Ok((name, kind))
    };
    entries.into_iter().map(read).collect()
}

impl ScriptKind {
    /// A node of the server's catalogue. One with code is a tool; one without is a prompt if that is what it was registered as. The
    /// code of all others is somewhere else, and a model must not make up what they would have said.
    ///
    /// # Errors
    /// For one that can't be run here, and for a schema that is none.
    pub fn from_node(node: proto::Node) -> Result<Self, NodeError> {
        let elsewhere = OTHER_PROGRAMS.contains(&node.language.to_lowercase().as_str());
        if node.code.trim().is_empty() && (node.kind != "llm" || elsewhere) {
            let (name, language) = (&node.name, &node.language);
            let kind = if node.kind.is_empty() { "function" } else { &node.kind };
            let whose = if elsewhere { format!(" of a program in {language}") } else { String::new() };
            let message =
                format!("{name} can't be run here: it is a {kind}{whose}, and the catalogue has no code of it");
            return Err(NodeError::fatal(message));
        }
        let arguments = match node.arguments.as_str() {
            "" => any_object(),
            text => serde_json::from_str(text)
                .map_err(|cause| NodeError::fatal(format!("the schema of {} is not JSON: {cause}", node.name)))?,
        };
        let says = |field: &str, value: &str| node.metadata.get(field).is_some_and(|held| held == value);
        let (tool, effect, resumes) = (!says("outcome", "node"), says("effect", "true"), says("resumes", "true"));
        Ok(Self {
            description: node.description,
            language: node.language,
            script: node.code,
            arguments,
            effect,
            resumes,
            catalogued: true,
            tool,
            utterances: node.utterances,
        })
    }

    async fn run(&self, step: &Arc<Step>) -> NodeResult {
        if self.script.trim().is_empty() {
            let role = format!("Your task, as it is described: {}", self.description);
            return Ok(Outcome::Finish(json!(step.ask_text(&role, &step.data.to_string()).await?)));
        }
        let input = if self.tool { (*step.data).clone() } else { input_of(step) };
        let called = async {
            let ran = launch::run(step, &self.language, &self.script, &input).await?;
            ran.json()
        };
        let output = if self.effect {
            // The resumption of a node is another effect than its first execution, and a script that asks has had none yet: with
            // the answer it is run again.
            let asks = |output: &Value| !self.tool && output.get("question").is_some();
            step.effect_unless(asks, &format!("script {}", step.children.len()), |_| called).await?
        } else {
            called.await?
        };
        if self.tool { Ok(Outcome::Finish(output)) } else { Outcome::from_json(output) }
    }
}

/// What a script reads.
fn input_of(step: &Step) -> Value {
    let children: Vec<Value> = step.children.iter().map(|child| child.to_json()).collect();
    let context: Vec<&str> = step.packs.iter().map(|pack| pack.text.as_str()).collect();
    json!({
        "type": step.node_type,
        "data": *step.data,
        "node": step.path,
        "attempt": step.attempt,
        "answer": step.answer,
        "children": children,
        "keep": step.keep,
        "context": context.join("\n\n"),
    })
}

#[tonic::async_trait]
impl NodeType for ScriptKind {
    fn description(&self) -> &str {
        &self.description
    }

    fn schema(&self) -> Value {
        self.arguments.clone()
    }

    fn utterances(&self) -> Vec<String> {
        match self.utterances.as_slice() {
            [] if !self.description.is_empty() => vec![self.description.clone()],
            said => said.to_vec(),
        }
    }

    fn node(&self, name: &str) -> Option<proto::Node> {
        let says = |field: &str, value: &str| (field.to_owned(), value.to_owned());
        let mut metadata = BTreeMap::from([says("outcome", if self.tool { "tool" } else { "node" })]);
        metadata.extend(self.effect.then(|| says("effect", "true")));
        metadata.extend(self.resumes.then(|| says("resumes", "true")));
        (!self.catalogued).then(|| proto::Node {
            name: name.to_owned(),
            description: self.description.clone(),
            kind: "script".to_owned(),
            language: self.language.clone(),
            code: self.script.clone(),
            arguments: self.arguments.to_string(),
            utterances: self.utterances(),
            folder: "swarm".to_owned(),
            metadata,
            ..proto::Node::default()
        })
    }

    fn task(&self, data: &Value) -> Option<String> {
        self.script.trim().is_empty().then(|| format!("{}\n{data}", self.description))
    }

    async fn execute(&self, step: &Arc<Step>) -> NodeResult {
        self.run(step).await
    }

    async fn resume(&self, step: &Arc<Step>) -> NodeResult {
        if self.resumes { self.run(step).await } else { combine(step) }
    }
}
