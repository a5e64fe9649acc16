//! Goals: which node serves one, how one is split, how results become one. Break down, but not too much: a goal is tried by a
//! node first, and split where none serves, where trying failed, or where the model says that it must be.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{said, texts};
use crate::proto::{RecordOutcomeRequest, RouteRequest, RouteResponse};
use crate::swarm::kind::{Known, NodeType};
use crate::swarm::node::{Blueprint, NodeError, NodeResult, Outcome, Spawn};
use crate::swarm::step::{Step, as_text};

/// Always there to choose from, whatever the router says.
const ALWAYS: [&str; 6] =
    ["write_text", "write_code", "retrieve_info", "create_tool", "break_down_goal", "ask_user_for_help"];

/// Routes a goal to the node that serves it.
pub(super) struct RouteGoal;

#[tonic::async_trait]
impl NodeType for RouteGoal {
    fn description(&self) -> &str {
        "Finds the node type that serves a goal, and has it done."
    }

    fn schema(&self) -> Value {
        texts(&["goal"], &["part_of"])
    }

    fn task(&self, data: &Value) -> Option<String> {
        data["goal"].as_str().map(str::to_owned)
    }

    async fn execute(&self, step: &Arc<Step>) -> NodeResult {
        let request = RouteRequest {
            goal: step.text("goal").to_owned(),
            context: step.text("part_of").to_owned(),
            budget_tokens: Some(2_000),
            ..RouteRequest::default()
        };
        let route = step.backend().route(request).await.map_err(|cause| NodeError::again(cause.to_string()))?;
        // One node that takes the goal as it is needs no model to say so.
        if route.decision == "route"
            && let [chosen] = route.set.as_slice()
            && let Some(data) = plain_data(&route, chosen, step.text("goal"))
            && runnable(step, chosen).await?.is_some()
        {
            return Ok(delegate(chosen, data));
        }
        let names: Vec<&str> = match route.decision.as_str() {
            "none" => Vec::new(),
            _ => route.set.iter().map(String::as_str).collect(),
        };
        let hint = if route.advice.is_empty() { String::new() } else { format!("\nThe router says: {}", route.advice) };
        choose(step, &route, &names, &hint).await
    }

    async fn resume(&self, step: &Arc<Step>) -> NodeResult {
        let Some(child) = step.children.last() else { return Err(NodeError::fatal("there is no child")) };
        tell(step, &child.node_type, child.result.is_ok()).await;
        let goal = step.text("goal");
        match &child.result {
            // A new tool was made for this goal, so it is what does it.
            Ok(output) if child.node_type == "create_tool" => {
                let tool = output["tool"].as_str().unwrap_or_default().to_owned();
                step.scope.types.forget(&tool);
                choose(step, &RouteResponse::default(), &[&tool], "\nThe tool was made for this goal: use it.").await
            }
            Ok(output) => Ok(Outcome::Finish(output.clone())),
            Err(error) if child.node_type == "break_down_goal" => Err(NodeError::fatal(error.clone())),
            Err(error) => Ok(delegate("break_down_goal", json!({"goal": goal, "why": error}))),
        }
    }
}

fn delegate(name: &str, data: Value) -> Outcome {
    Outcome::child(name, data)
}

/// The type of that name, if it can be run here: the catalogue also has tools whose code is somewhere else.
async fn runnable(step: &Step, name: &str) -> Result<Option<Arc<Known>>, NodeError> {
    let found = step.scope.types.find(step.backend(), name).await;
    found.map(Result::ok).map_err(|cause| NodeError::again(cause.to_string()))
}

/// The data of a type that wants one text, which is then the goal; `None` if it wants more.
fn plain_data(route: &RouteResponse, name: &str, goal: &str) -> Option<Value> {
    let candidate = route.candidates.iter().find(|candidate| candidate.name == name)?;
    let schema: Value = serde_json::from_str(&candidate.schema).ok()?;
    let field = match schema["required"].as_array()?.as_slice() {
        [one] => one.as_str()?,
        _ => return None,
    };
    let takes_goal = ["goal", "task", "question"].contains(&field) && schema["properties"][field]["type"] == "string";
    takes_goal.then(|| json!({field: goal}))
}

/// Has the model choose among those of `names` that can be run here (and what is always there, unless there is just one) and fill
/// in the data.
async fn choose(step: &Arc<Step>, route: &RouteResponse, names: &[&str], hint: &str) -> NodeResult {
    let mut offered = Vec::new();
    let mut task = format!("Goal: {}{hint}\n\nNode types to choose from:\n", step.text("goal"));
    let more = ALWAYS.iter().filter(|name| !names.contains(name));
    for (at, name) in names.iter().chain(more).copied().enumerate() {
        if at == names.len() && offered.len() == 1 {
            break;
        }
        let Some(known) = runnable(step, name).await? else { continue };
        let summary = route.candidates.iter().find(|candidate| candidate.name == name);
        let summary = summary.map_or(known.kind.description(), |candidate| candidate.summary.as_str());
        task.push_str(&format!("- {name}: {summary} Data: {}\n", known.kind.schema()));
        offered.push(name);
    }
    if offered.is_empty() {
        return Err(NodeError::fatal("there is no node type to choose from: this swarm knows none of its own"));
    }
    let schema = json!({
        "type": "object",
        "properties": {"type": {"type": "string", "enum": offered}, "data": {"type": "object"}},
        "required": ["type", "data"],
    });
    let role = "Choose the one node type that reaches the goal, with its data. Prefer one that does it at once; choose \
                break_down_goal only if no single node can do it.";
    let mut told = String::new();
    for _ in 0..=step.settings().repairs_max {
        let chosen = step.ask_json(role, &format!("{task}{told}"), &schema).await?;
        let (name, data) = (chosen["type"].as_str().unwrap_or_default(), chosen["data"].clone());
        match step.scope.types.resolve(step, name).await?.check(name, &data) {
            Ok(()) => return Ok(delegate(name, data)),
            Err(problem) => told = format!("\nThe last choice can't be used: {problem}"),
        }
    }
    Err(NodeError::again(format!("no usable choice was made.{told}")))
}

/// The router learns what came of it. It is advice: a server that does not take it stops nothing.
async fn tell(step: &Step, chosen: &str, succeeded: bool) {
    let request = RecordOutcomeRequest {
        goal: step.text("goal").to_owned(),
        chosen: chosen.to_owned(),
        succeeded,
        idempotency_key: super::super::context::key(&format!(
            "swarm/{}/{}/outcome/{}",
            step.run(),
            step.path,
            step.children.len()
        )),
        ..RecordOutcomeRequest::default()
    };
    let _ = step.backend().record_outcome(request).await;
}

/// Splits a goal into steps.
pub(super) struct BreakDownGoal;

#[tonic::async_trait]
impl NodeType for BreakDownGoal {
    fn description(&self) -> &str {
        "Splits a goal that is too large for one node into steps, and combines what they come to."
    }

    fn schema(&self) -> Value {
        texts(&["goal"], &["why"])
    }

    fn utterances(&self) -> Vec<String> {
        said(&["plan a large project", "do several different things one after the other", "build a whole application"])
    }

    fn task(&self, data: &Value) -> Option<String> {
        data["goal"].as_str().map(str::to_owned)
    }

    async fn execute(&self, step: &Arc<Step>) -> NodeResult {
        let most = step.settings().fan_out_max.min(12);
        let schema = json!({
            "type": "object",
            "properties": {
                "order": {"type": "string", "enum": ["parallel", "sequential"]},
                "steps": {"type": "array", "minItems": 1, "maxItems": most, "items": {"type": "string", "minLength": 1}},
            },
            "required": ["order", "steps"],
        });
        let role = format!(
            "Split the goal into as few steps as will do, at most {most}. Each is a goal that can be reached by someone who sees \
             only it and the context. Steps that need the results of others are sequential."
        );
        let goal = step.text("goal");
        let task = match step.text("why") {
            "" => format!("Goal: {goal}"),
            why => format!("Goal: {goal}\nDoing it at once failed: {why}"),
        };
        let plan = step.ask_json(&role, &task, &schema).await?;
        let steps = plan["steps"].as_array().cloned().unwrap_or_default();
        let steps: Vec<Blueprint> =
            steps.iter().map(|step| Blueprint::new("route_goal", json!({"goal": step, "part_of": goal}))).collect();
        Ok(if plan["order"] == "sequential" { Outcome::plan(steps) } else { Outcome::parallel(steps) })
    }

    async fn resume(&self, step: &Arc<Step>) -> NodeResult {
        // A review of the whole, or the step that made it one, is the last child.
        let last = step.last_output()?;
        if step.children.last().is_some_and(|child| child.node_type == "finish") {
            return Ok(Outcome::Finish(last.clone()));
        }
        let failed = step.children.iter().filter_map(|child| child.result.as_ref().err()).next();
        if let Some(error) = failed {
            return Err(NodeError::fatal(format!("a step failed: {error}")));
        }
        let results: Vec<Value> = step.children.iter().map(|child| child.to_json()).collect();
        if results.len() == 1 {
            return Ok(Outcome::Finish(last.clone()));
        }
        let data = json!({"goal": step.text("goal"), "results": results});
        Ok(Outcome::Spawn(Spawn { children: vec![Blueprint::new("finish", data)], ..Spawn::default() }))
    }
}

/// Makes one answer of the results of several nodes.
pub(super) struct Finish;

#[tonic::async_trait]
impl NodeType for Finish {
    fn description(&self) -> &str {
        "Combines results of several nodes into the one answer to a goal."
    }

    fn schema(&self) -> Value {
        json!({
            "type": "object",
            "properties": {"goal": {"type": "string"}, "results": {"type": "array"}},
            "required": ["goal", "results"],
        })
    }

    fn task(&self, data: &Value) -> Option<String> {
        data["goal"].as_str().map(str::to_owned)
    }

    async fn execute(&self, step: &Arc<Step>) -> NodeResult {
        let mut task = format!("Goal: {}\n\nResults of the steps:\n", step.text("goal"));
        for result in step.data["results"].as_array().into_iter().flatten() {
            task.push_str(&format!("--- {}\n{}\n", result["number"], as_text(&result["output"])));
        }
        let role =
            "Write the answer to the goal from the results of its steps. Leave nothing out that the goal asks for.";
        Ok(Outcome::Finish(json!(step.ask_text(role, &task).await?)))
    }
}
