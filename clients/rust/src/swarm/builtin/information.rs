//! What is known already, what the web says, and what only people know.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{said, texts};
use crate::proto::GatherContextRequest;
use crate::swarm::kind::NodeType;
use crate::swarm::llm::cut;
use crate::swarm::node::{NodeError, NodeResult, Outcome, Question};
use crate::swarm::step::Step;

/// Namespace in which a server keeps its own documentation.
const OWN_DOCS: &str = "hivemem-docs";

/// Most bytes of a page that are put before a model.
const PAGE_BYTES: usize = 32 * 1024;

/// Answers from memory.
pub(super) struct RetrieveInfo;

/// Reads a web page.
pub(super) struct BrowseWeb;

/// Asks a person.
pub(super) struct AskUser;

#[tonic::async_trait]
impl NodeType for RetrieveInfo {
    fn description(&self) -> &str {
        "Answers a question from memory: code, documents, earlier outputs."
    }

    fn schema(&self) -> Value {
        let mut schema = texts(&["question"], &[]);
        let about = "hivemem: ask the documentation of the system that the swarm works in.";
        schema["properties"]["about"] = json!({"type": "string", "enum": ["", "hivemem"], "description": about});
        schema
    }

    fn utterances(&self) -> Vec<String> {
        said(&["look up what we know about this", "find the documentation of this function", "where is this defined"])
    }

    fn task(&self, data: &Value) -> Option<String> {
        data["question"].as_str().map(str::to_owned)
    }

    async fn execute(&self, step: &Arc<Step>) -> NodeResult {
        let role = "Answer the question from the context alone. Say what the context does not tell.";
        let question = step.text("question");
        let task = match step.text("about") {
            "hivemem" => format!("<context>\n{}\n</context>\n\n{question}", own_docs(step, question).await?),
            _ => question.to_owned(),
        };
        let answer = step.ask_text(role, &task).await?;
        let sources: Vec<&String> = step.packs.last().map(|pack| pack.citations.iter().collect()).unwrap_or_default();
        Ok(Outcome::Finish(json!({"answer": answer, "sources": sources})))
    }
}

/// What the server's own documentation says to a question.
async fn own_docs(step: &Step, question: &str) -> Result<String, NodeError> {
    let request = GatherContextRequest {
        namespace: OWN_DOCS.to_owned(),
        task: question.to_owned(),
        budget_tokens: Some(step.context_tokens()),
        ..GatherContextRequest::default()
    };
    let gathered = step.backend().gather_context(request).await;
    gathered.map(|pack| pack.text).map_err(|cause| NodeError::again(format!("no documentation was found: {cause}")))
}

#[tonic::async_trait]
impl NodeType for BrowseWeb {
    fn description(&self) -> &str {
        "Reads a web page and answers a question from it."
    }

    fn schema(&self) -> Value {
        texts(&["url"], &["question"])
    }

    fn utterances(&self) -> Vec<String> {
        said(&["open this web page", "look it up on the internet", "read the documentation at this address"])
    }

    fn task(&self, data: &Value) -> Option<String> {
        data["question"].as_str().filter(|question| !question.is_empty()).map(str::to_owned)
    }

    async fn execute(&self, step: &Arc<Step>) -> NodeResult {
        let url = step.text("url");
        let page = step.backend().fetch_page(url, step.text("question")).await.map_err(|cause| match cause.kind() {
            crate::ErrorKind::Unavailable | crate::ErrorKind::Deadline => NodeError::again(cause.to_string()),
            _ => NodeError::fatal(cause.to_string()),
        })?;
        let page = cut(&page, PAGE_BYTES);
        let output = match step.text("question") {
            "" => page.to_owned(),
            question => {
                let task = format!("<context>\n{page}\n</context>\n\nQuestion: {question}");
                step.ask_text("Answer the question from the page alone.", &task).await?
            }
        };
        Ok(Outcome::Finish(json!({"url": url, "text": output})))
    }
}

#[tonic::async_trait]
impl NodeType for AskUser {
    fn description(&self) -> &str {
        "Asks a person what only a person can know or decide."
    }

    fn schema(&self) -> Value {
        let mut schema = texts(&["question"], &[]);
        schema["properties"]["choices"] = json!({"type": "array", "items": {"type": "string"}});
        schema
    }

    fn utterances(&self) -> Vec<String> {
        said(&["ask me which one to take", "get approval before going on", "I need to decide that myself"])
    }

    async fn execute(&self, step: &Arc<Step>) -> NodeResult {
        if let Some(answer) = &step.answer {
            return Ok(Outcome::Finish(json!(answer)));
        }
        let choices = step.data["choices"].as_array().into_iter().flatten();
        let choices = choices.filter_map(Value::as_str).map(str::to_owned).collect();
        Ok(Outcome::Ask(Question { text: step.text("question").to_owned(), choices }))
    }
}
