//! `hivemem swarm run` and `swarm resume`: the thin runtime with a terminal in front of it. What it shows is drawn in `live`.

use std::io::IsTerminal;
use std::sync::Arc;

use hivemem_client::proto::{AnswerQuestionRequest, GetRunRequest, ListQuestionsRequest, Question, RunStatus};
use hivemem_client::swarm::{
    Blueprint, NodeError, NodeTypes, OpenAi, RunEnd, ScriptSettings, ServerBackend, Settings, Swarm, SwarmError,
    as_text,
};
use hivemem_client::{Client, ErrorKind};
use serde_json::json;
use tokio::sync::mpsc;

use super::super::args::{RunLimits, WorkArgs};
use super::super::failure::Failure;
use super::super::output;
use super::super::render;
use super::live::Live;

/// Runs `hivemem swarm run`.
pub(super) async fn start(
    client: &Client,
    goal: &str,
    limits: &RunLimits,
    work: WorkArgs,
    as_json: bool,
) -> Result<(), Failure> {
    let settings = Settings {
        nodes_max: limits.budget,
        tokens_max: limits.tokens,
        parallel: limits.parallel,
        depth_max: limits.depth,
        run_timeout_ms: limits.time.map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        review: limits.review,
        memory: !limits.no_memory,
        ..Settings::default()
    };
    let swarm = prepare(client, settings, work).await?;
    let run = swarm.create(goal, Blueprint::new("route_goal", json!({"goal": goal}))).await.map_err(failure)?;
    output::note(format!("run {run}; if it is interrupted, `hivemem swarm resume {run}` goes on with it"));
    work_on(client, swarm, &run, as_json).await
}

/// Runs `hivemem swarm resume`.
pub(super) async fn resume(client: &Client, run: &str, work: WorkArgs, as_json: bool) -> Result<(), Failure> {
    let request = GetRunRequest { run: run.to_owned(), ..GetRunRequest::default() };
    let found = client.get_run(request).await?.run.unwrap_or_default();
    if found.status() != RunStatus::Open {
        output::note(format!("run {run} has ended already"));
        let end = RunEnd {
            run: run.to_owned(),
            status: found.status(),
            output: super::value(&found.result),
            nodes: found.nodes,
            tokens: found.prompt_tokens + found.completion_tokens,
        };
        return report(&end, as_json);
    }
    let swarm = prepare(client, Settings::default(), work).await?;
    work_on(client, swarm, run, as_json).await
}

async fn prepare(client: &Client, settings: Settings, work: WorkArgs) -> Result<Swarm, Failure> {
    let types = NodeTypes::builtin();
    for file in &work.scripts {
        let shown = file.display();
        let text = tokio::fs::read_to_string(file).await;
        let text = text.map_err(|cause| Failure::failed(format!("{shown} can't be read: {cause}")))?;
        types.add_scripts(&text).map_err(|cause| Failure::usage(format!("{shown}: {cause}")))?;
    }
    let mut scripts = ScriptSettings {
        enabled: work.allow_scripts,
        network: work.allow_network,
        work_dir: work.work_dir,
        ..ScriptSettings::default()
    };
    scripts.interpreters.extend(work.interpreters);
    let settings = Settings { scripts, approve: work.approve, ..settings };
    let backend = Arc::new(ServerBackend::new(client.clone()));
    let mut swarm = Swarm::new(backend).with_types(types).with_settings(settings);
    match &work.llm_url {
        Some(url) => {
            let model = OpenAi::new(url, &work.llm_model, &work.llm_key, work.llm_timeout);
            swarm = swarm.with_model(Arc::new(model.map_err(|cause: NodeError| Failure::failed(cause.message))?));
        }
        None => output::note("no model: name an endpoint with --llm-url or HIVEMEM_LLM_BASE_URL"),
    }
    swarm.announce().await.map_err(failure)?;
    Ok(swarm)
}

async fn work_on(client: &Client, swarm: Swarm, run: &str, as_json: bool) -> Result<(), Failure> {
    let (asked, questions) = mpsc::unbounded_channel();
    for question in asked_before(client, run).await? {
        let _ = asked.send(question);
    }
    let live = Arc::new(Live::new(run, asked));
    let prompt = tokio::spawn(answer(client.clone(), Arc::clone(&live), questions));
    let end = swarm.observed_by(Arc::clone(&live) as _).resume(run).await;
    prompt.abort();
    live.clear();
    report(&end.map_err(failure)?, as_json)
}

/// Questions of an earlier life of the run, oldest first.
async fn asked_before(client: &Client, run: &str) -> Result<Vec<Question>, Failure> {
    let (mut questions, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListQuestionsRequest { run: run.to_owned(), page_token, ..ListQuestionsRequest::default() };
        let page = client.list_questions(request).await?;
        questions.extend(page.questions);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(questions);
        }
    }
}

/// Asks at the prompt what nodes ask, one after the other; where nobody sits there, says how to answer.
async fn answer(client: Client, live: Arc<Live>, mut questions: mpsc::UnboundedReceiver<Question>) {
    while let Some(question) = questions.recv().await {
        let (run, node) = (question.run.clone(), question.node.clone());
        let mut shown = format!("node {node} asks: {}", render::printable(&question.text));
        if !question.choices.is_empty() {
            shown.push_str(&format!(" [{}]", render::printable(&question.choices.join(", "))));
        }
        live.say(&shown);
        if !std::io::stdin().is_terminal() {
            live.say(&format!("answer with `hivemem swarm answer {run} {node} TEXT`"));
            continue;
        }
        loop {
            let Some(text) = live.line().await else { return };
            let (run, node) = (run.clone(), node.clone());
            let request = AnswerQuestionRequest { run, node, answer: text, ..AnswerQuestionRequest::default() };
            match client.answer_question(request).await {
                Ok(_) => break,
                Err(error) if error.kind() == ErrorKind::Invalid => live.say(error.message()),
                // Somebody else was faster, or the node is gone.
                Err(error) => {
                    live.say(error.message());
                    break;
                }
            }
        }
    }
}

fn report(end: &RunEnd, as_json: bool) -> Result<(), Failure> {
    let status = match end.status {
        RunStatus::Succeeded => "succeeded",
        RunStatus::Cancelled => "cancelled",
        _ => "failed",
    };
    if as_json {
        output::print_json(&json!({
            "run": end.run, "status": status, "output": end.output, "nodes": end.nodes, "tokens": end.tokens,
        }))?;
    } else if end.status == RunStatus::Succeeded {
        let lines: Vec<String> = as_text(&end.output).lines().map(render::printable).collect();
        output::print(&lines.join("\n"))?;
    }
    match end.status {
        RunStatus::Succeeded => Ok(()),
        _ => Err(Failure::failed(format!("run {} {status}: {}", end.run, as_text(&end.output)))),
    }
}

fn failure(error: SwarmError) -> Failure {
    match error {
        SwarmError::Server(error) => error.into(),
        other => Failure::failed(other.to_string()),
    }
}
