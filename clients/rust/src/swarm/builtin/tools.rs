//! New tools: a model writes the code, another node its tests, a third runs them; what passes is registered and routed to.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{said, texts};
use crate::proto::Node;
use crate::swarm::kind::NodeType;
use crate::swarm::llm::cut;
use crate::swarm::node::{NodeError, NodeResult, Outcome};
use crate::swarm::script::launch;
use crate::swarm::step::Step;

/// Makes a tool for a goal.
pub(super) struct CreateTool;

/// Writes test cases of a tool, without its author.
pub(super) struct WriteTests;

/// Runs them.
pub(super) struct RunTests;

fn tool_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "pattern": "^[a-z][a-z0-9_]{2,63}$"},
            "description": {"type": "string", "minLength": 1},
            "arguments": {"type": "object"},
            "returns": {"type": "string"},
            "language": {"type": "string", "minLength": 1},
            "code": {"type": "string", "minLength": 1},
            "utterances": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["name", "description", "arguments", "language", "code"],
    })
}

/// Metadata of a tool: the run that made it and may replace it.
const MADE_BY: &str = "run";

const TOOL_ROLE: &str = "Write a tool: a small program that reads its arguments as one JSON object on stdin and prints its result as \
     one JSON value on stdout, nothing else. `arguments` is the JSON Schema of that object. It is general enough to be used again.";

#[tonic::async_trait]
impl NodeType for CreateTool {
    fn description(&self) -> &str {
        "Makes a new tool for a kind of goal that no other serves: code, tests, and its entry in the catalogue."
    }

    fn schema(&self) -> Value {
        texts(&["goal"], &["language"])
    }

    fn utterances(&self) -> Vec<String> {
        said(&["make a tool for this", "create a function that the swarm can use again", "build a new capability"])
    }

    fn task(&self, data: &Value) -> Option<String> {
        data["goal"].as_str().map(str::to_owned)
    }

    async fn execute(&self, step: &Arc<Step>) -> NodeResult {
        let languages: Vec<&str> = step.settings().scripts.interpreters.keys().map(String::as_str).collect();
        let language = match step.text("language") {
            "" => format!("one of {}", languages.join(", ")),
            language => language.to_owned(),
        };
        let task = format!("The tool is for goals like this one: {}\nLanguage: {language}", step.text("goal"));
        let tool = design(step, TOOL_ROLE, &task).await?;
        let data = json!({"goal": step.text("goal"), "tool": described(&tool)});
        Ok(Outcome::keeping("write_tests", data, json!({"tool": tool, "round": 0})))
    }

    async fn resume(&self, step: &Arc<Step>) -> NodeResult {
        let last = step.last_output()?;
        let mut keep = step.keep.clone();
        if step.children.last().is_some_and(|child| child.node_type == "write_tests") {
            keep["tests"] = last["tests"].clone();
            return Ok(Outcome::keeping("run_tests", json!({"tool": keep["tool"], "tests": keep["tests"]}), keep));
        }
        let failed = last["failed"].as_array().cloned().unwrap_or_default();
        if failed.is_empty() {
            return save(step).await;
        }
        let round = keep["round"].as_u64().unwrap_or_default() + 1;
        if round > u64::from(step.settings().rounds_max) {
            return Err(NodeError::fatal(format!("the tool fails its tests after {round} rounds: {}", json!(failed))));
        }
        let task =
            format!("Goal: {}\n\nTool:\n{}\n\nFailed tests:\n{}", step.text("goal"), keep["tool"], json!(failed));
        let role = format!("{TOOL_ROLE}\nThe tool below fails tests: write it anew so that it passes. Keep its name.");
        let tool = design(step, &role, &task).await?;
        let data = json!({"tool": tool, "tests": keep["tests"]});
        (keep["tool"], keep["round"]) = (tool, json!(round));
        Ok(Outcome::keeping("run_tests", data, keep))
    }
}

/// A tool that can be saved; what is wrong with one is told, as often as replies are repaired.
async fn design(step: &Arc<Step>, role: &str, task: &str) -> Result<Value, NodeError> {
    let mut told = String::new();
    for _ in 0..=step.settings().repairs_max {
        let tool = step.ask_json(role, &format!("{task}{told}"), &tool_schema()).await?;
        match usable(step, &tool).await? {
            None => return Ok(tool),
            Some(problem) => told = format!("\n\nThe last tool can't be used: {problem}"),
        }
    }
    Err(NodeError::again(format!("no usable tool was written.{told}")))
}

/// Why a tool can't be saved. A schema that is none would only show when the tool is used, and a name that something else has
/// would replace that for everyone.
async fn usable(step: &Step, tool: &Value) -> Result<Option<String>, NodeError> {
    if let Err(cause) = jsonschema::validator_for(&tool["arguments"]) {
        return Ok(Some(format!("its arguments are no JSON Schema: {}", cut(&cause.to_string(), 300))));
    }
    let name = tool["name"].as_str().unwrap_or_default();
    let held = step.backend().get_node(name).await.map_err(|cause| NodeError::again(cause.to_string()))?;
    let foreign = held.is_some_and(|held| held.metadata.get(MADE_BY).is_none_or(|run| run != step.run()));
    let taken = foreign || step.scope.types.is_own(name);
    Ok(taken.then(|| format!("the name {name} is taken by another node type, choose one that nothing has yet")))
}

/// What the author of tests sees: what it promises, not how it is done.
fn described(tool: &Value) -> Value {
    json!({
        "name": tool["name"], "description": tool["description"], "arguments": tool["arguments"], "returns": tool["returns"],
    })
}

async fn save(step: &Arc<Step>) -> NodeResult {
    let (tool, tests) = (&step.keep["tool"], &step.keep["tests"]);
    // Somebody may have taken the name while it was tested.
    if let Some(problem) = usable(step, tool).await? {
        return Err(NodeError::fatal(format!("the tool was not registered: {problem}")));
    }
    let text = |field: &str| tool[field].as_str().unwrap_or_default().to_owned();
    let strings =
        |value: &Value| value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    let mut utterances: Vec<String> = strings(&tool["utterances"]);
    utterances.push(step.text("goal").to_owned());
    let node = Node {
        name: text("name"),
        description: text("description"),
        kind: "script".to_owned(),
        language: text("language"),
        code: text("code"),
        arguments: tool["arguments"].to_string(),
        returns: text("returns"),
        test_cases: tests.as_array().into_iter().flatten().map(Value::to_string).collect(),
        utterances,
        folder: "swarm/tools".to_owned(),
        metadata: [(MADE_BY.to_owned(), step.run().to_owned())].into(),
        ..Node::default()
    };
    let receipt = step
        .effect("create_tool", |key| async move {
            let name = node.name.clone();
            let reply = step.backend().register_nodes(vec![node], &key).await;
            let reply = reply.map_err(|cause| NodeError::again(cause.to_string()))?;
            match reply.issues.first() {
                Some(issue) => Err(NodeError::fatal(format!("{name} was not registered: {}", issue.reason))),
                None => Ok(json!({"tool": name})),
            }
        })
        .await?;
    Ok(Outcome::Finish(receipt))
}

#[tonic::async_trait]
impl NodeType for WriteTests {
    fn description(&self) -> &str {
        "Writes test cases of a tool from what it promises."
    }

    fn schema(&self) -> Value {
        let fields = json!({"goal": {"type": "string"}, "tool": {"type": "object"}});
        json!({"type": "object", "properties": fields, "required": ["goal", "tool"]})
    }

    fn task(&self, data: &Value) -> Option<String> {
        data["goal"].as_str().map(str::to_owned)
    }

    async fn execute(&self, step: &Arc<Step>) -> NodeResult {
        let mut arguments = step.data["tool"]["arguments"].clone();
        rebase(&mut arguments, "#/properties/tests/items/properties/arguments");
        let case = json!({
            "type": "object",
            "properties": {"arguments": arguments, "expected": {}},
            "required": ["arguments", "expected"],
        });
        let schema = json!({
            "type": "object",
            "properties": {"tests": {"type": "array", "minItems": 1, "maxItems": 8, "items": case}},
            "required": ["tests"],
        });
        let role = "Write three to eight test cases of the tool, edge cases among them: arguments, and the exact JSON value that it \
                    has to print for them.";
        Ok(Outcome::Finish(step.ask_json(role, &step.data["tool"].to_string(), &schema).await?))
    }
}

/// Lets references within a schema, which count from its root, be found where it stands at `place` of another.
fn rebase(schema: &mut Value, place: &str) {
    match schema {
        // Its references count from here wherever it stands.
        Value::Object(fields) if fields.contains_key("$id") => {}
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(to) if name == "$ref" && (to == "#" || to.starts_with("#/")) => {
                        *to = format!("{place}{}", &to[1..]);
                    }
                    other => rebase(other, place),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rebase(item, place)),
        _ => {}
    }
}

#[tonic::async_trait]
impl NodeType for RunTests {
    fn description(&self) -> &str {
        "Runs the test cases of a tool."
    }

    fn schema(&self) -> Value {
        let fields = json!({"tool": {"type": "object"}, "tests": {"type": "array"}});
        json!({"type": "object", "properties": fields, "required": ["tool", "tests"]})
    }

    async fn execute(&self, step: &Arc<Step>) -> NodeResult {
        let tool = &step.data["tool"];
        let (language, code) =
            (tool["language"].as_str().unwrap_or_default(), tool["code"].as_str().unwrap_or_default());
        let mut failed = Vec::new();
        let mut passed = 0;
        for test in step.data["tests"].as_array().into_iter().flatten() {
            let ran = launch::run(step, language, code, &test["arguments"]).await;
            match ran.and_then(|ran| ran.json()) {
                Ok(value) if value == test["expected"] => passed += 1,
                Ok(value) => failed.push(json!({"test": test, "printed": value})),
                // Not allowed at all is no fault of the tool.
                Err(error) if !error.retry => return Err(error),
                Err(error) => failed.push(json!({"test": test, "error": error.message})),
            }
        }
        Ok(Outcome::Finish(json!({"passed": passed, "failed": failed})))
    }
}
