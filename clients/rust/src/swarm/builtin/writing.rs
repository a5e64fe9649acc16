//! Texts and code that a model writes, and the review by another node.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{said, texts};
use crate::swarm::kind::NodeType;
use crate::swarm::node::{NodeError, NodeResult, Outcome};
use crate::swarm::step::{Step, as_text};

/// Writes a text.
pub(super) struct WriteText;

/// Writes code.
pub(super) struct WriteCode;

/// Checks what another node wrote.
pub(super) struct Review;

#[tonic::async_trait]
impl NodeType for WriteText {
    fn description(&self) -> &str {
        "Writes a text: an answer, an explanation, documentation, a summary."
    }

    fn schema(&self) -> Value {
        texts(&["task"], &[])
    }

    fn utterances(&self) -> Vec<String> {
        said(&["write a paragraph about this", "explain how it works", "summarize the notes", "draft an e-mail"])
    }

    fn task(&self, data: &Value) -> Option<String> {
        data["task"].as_str().map(str::to_owned)
    }

    async fn execute(&self, step: &Arc<Step>) -> NodeResult {
        let text = step.ask_text("Write the text that the task asks for, and nothing else.", step.text("task")).await?;
        reviewed(step, json!(text), 0)
    }

    async fn resume(&self, step: &Arc<Step>) -> NodeResult {
        let Some((round, problems)) = verdict(step)? else { return Ok(Outcome::Finish(step.keep["work"].clone())) };
        let task = again(step, &problems);
        let text = step.ask_text("Write the text anew so that the problems are gone, and nothing else.", &task).await?;
        reviewed(step, json!(text), round)
    }
}

fn code_schema() -> Value {
    json!({
        "type": "object",
        "properties": {"language": {"type": "string", "minLength": 1}, "code": {"type": "string", "minLength": 1}},
        "required": ["language", "code"],
    })
}

#[tonic::async_trait]
impl NodeType for WriteCode {
    fn description(&self) -> &str {
        "Writes code in any language: a function, a script, a class, a fix."
    }

    fn schema(&self) -> Value {
        texts(&["task"], &["language"])
    }

    fn utterances(&self) -> Vec<String> {
        said(&["write a python function", "implement this class", "fix the bug in this code", "write a script"])
    }

    fn task(&self, data: &Value) -> Option<String> {
        data["task"].as_str().map(str::to_owned)
    }

    async fn execute(&self, step: &Arc<Step>) -> NodeResult {
        let task = match step.text("language") {
            "" => step.text("task").to_owned(),
            language => format!("{}\nLanguage: {language}", step.text("task")),
        };
        let code = step.ask_json("Write the code that the task asks for, complete.", &task, &code_schema()).await?;
        reviewed(step, code, 0)
    }

    async fn resume(&self, step: &Arc<Step>) -> NodeResult {
        let Some((round, problems)) = verdict(step)? else { return Ok(Outcome::Finish(step.keep["work"].clone())) };
        let task = again(step, &problems);
        let code = step.ask_json("Write the code anew so that the problems are gone.", &task, &code_schema()).await?;
        reviewed(step, code, round)
    }
}

/// The work is done, unless reviews are wanted: then another node looks at it first.
fn reviewed(step: &Step, work: Value, round: u64) -> NodeResult {
    if !step.settings().review {
        return Ok(Outcome::Finish(work));
    }
    let data = json!({"task": step.text("task"), "work": as_text(&work)});
    Ok(Outcome::keeping("review", data, json!({"work": work, "round": round})))
}

/// The problems that a review found, with the number of the round that mends them; `None` if the work will do.
fn verdict(step: &Step) -> Result<Option<(u64, String)>, NodeError> {
    let review = step.last_output()?;
    if review["approved"] == true {
        return Ok(None);
    }
    let problems = as_text(&review["problems"]);
    let round = step.keep["round"].as_u64().unwrap_or_default() + 1;
    if round > u64::from(step.settings().rounds_max) {
        return Err(NodeError::fatal(format!("not approved after {} rounds: {problems}", round - 1)));
    }
    Ok(Some((round, problems)))
}

fn again(step: &Step, problems: &str) -> String {
    format!(
        "Task: {}\n\nWhat was written:\n{}\n\nProblems that a review found:\n{problems}",
        step.text("task"),
        as_text(&step.keep["work"])
    )
}

#[tonic::async_trait]
impl NodeType for Review {
    fn description(&self) -> &str {
        "Checks whether work fulfils its task, and names what is wrong with it."
    }

    fn schema(&self) -> Value {
        texts(&["task", "work"], &[])
    }

    fn utterances(&self) -> Vec<String> {
        said(&["review this text", "check the code for mistakes", "is this answer right"])
    }

    fn task(&self, data: &Value) -> Option<String> {
        data["task"].as_str().map(str::to_owned)
    }

    async fn execute(&self, step: &Arc<Step>) -> NodeResult {
        let schema = json!({
            "type": "object",
            "properties": {"approved": {"type": "boolean"}, "problems": {"type": "array", "items": {"type": "string"}}},
            "required": ["approved", "problems"],
        });
        let role = "Check whether the work does what the task asks. Approve it unless something is wrong or missing that matters.";
        let task = format!("Task: {}\n\nWork:\n{}", step.text("task"), step.text("work"));
        Ok(Outcome::Finish(step.ask_json(role, &task, &schema).await?))
    }
}
