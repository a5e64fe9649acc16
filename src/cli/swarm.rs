//! `hivemem swarm …`: runs as the server keeps them. The tree that `show` prints is drawn in `tree`; `run` and `resume` work on one.

use hivemem_client::proto::{
    AnswerQuestionRequest, CancelRunRequest, ListQuestionsRequest, ListRunsRequest, Question, ReadEventsRequest, Run,
    RunEvent, RunStatus,
};
use hivemem_client::{Client, ErrorKind};
use serde_json::{Value, json};

use super::args::{Global, SwarmCommand};
use super::failure::Failure;
use super::output;
use super::render;
use super::session::Session;

mod live;
mod run;
mod tree;

use tree::Tree;

/// Events that are fetched at a time.
const PAGE: u32 = 1_000;

/// How often a state is asked for again that changed while it was read.
const READS_MAX: usize = 5;

/// Runs `hivemem swarm …`.
pub(super) async fn swarm(command: SwarmCommand, global: &Global) -> Result<(), Failure> {
    let session = Session::open(global).await?;
    let outcome = dispatch(&session.client, command, global.json).await;
    session.close(outcome).await
}

async fn dispatch(client: &Client, command: SwarmCommand, as_json: bool) -> Result<(), Failure> {
    match command {
        SwarmCommand::Run { goal, limits, work } => run::start(client, &goal, &limits, work, as_json).await,
        SwarmCommand::Resume { run, work } => run::resume(client, &run, work, as_json).await,
        SwarmCommand::Ls { statuses, limit, after } => {
            let request = ListRunsRequest {
                statuses: statuses.into_iter().map(super::args::Status::wire).collect(),
                page_size: limit,
                page_token: after.unwrap_or_default(),
                ..ListRunsRequest::default()
            };
            list(client, request, as_json).await
        }
        SwarmCommand::Show { run, events } => show(client, &run, events, as_json).await,
        SwarmCommand::Answer { run, node, text } => {
            let request = AnswerQuestionRequest { run, node, answer: text, ..AnswerQuestionRequest::default() };
            let question = client.answer_question(request).await?.question.unwrap_or_default();
            if as_json {
                return output::print_json(&question_json(&question));
            }
            output::print(&format!("answered {}: {}", question.node, render::printable(&question.text)))
        }
        SwarmCommand::Cancel { run } => {
            let request = CancelRunRequest { run, ..CancelRunRequest::default() };
            let run = client.cancel_run(request).await?.run.unwrap_or_default();
            if as_json {
                return output::print_json(&run_json(&run));
            }
            let what = match run.status() {
                RunStatus::Open => format!("asked {} to end it", render::printable(&run.holder)),
                _ => "it has ended".to_owned(),
            };
            output::print(&format!("{}: {what}", run.id))
        }
    }
}

/// A status as people type it.
fn status_name(run: &Run) -> &'static str {
    match run.status() {
        RunStatus::Unspecified => "unknown",
        RunStatus::Open => "open",
        RunStatus::Succeeded => "succeeded",
        RunStatus::Failed => "failed",
        RunStatus::Cancelled => "cancelled",
    }
}

/// A JSON text as JSON, so that scripts need not parse it twice.
fn value(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or(Value::Null)
}

fn time(at: Option<&hivemem_client::proto::Timestamp>) -> Value {
    let seconds = |at: &hivemem_client::proto::Timestamp| at.seconds as f64 + f64::from(at.nanos) / 1e9;
    at.map_or(Value::Null, |at| json!(seconds(at)))
}

fn run_json(run: &Run) -> Value {
    json!({
        "id": run.id, "goal": run.goal, "status": status_name(run), "created_at": time(run.created_at.as_ref()),
        "updated_at": time(run.updated_at.as_ref()), "events": run.last_sequence, "nodes": run.nodes,
        "nodes_finished": run.nodes_finished, "open_questions": run.open_questions,
        "prompt_tokens": run.prompt_tokens, "completion_tokens": run.completion_tokens, "holder": run.holder,
        "cancel_requested": run.cancel_requested, "result": value(&run.result), "settings": value(&run.settings),
    })
}

fn question_json(question: &Question) -> Value {
    json!({
        "run": question.run, "node": question.node, "text": question.text, "choices": question.choices,
        "answer": question.answer, "answered": question.answered, "asked_at": time(question.asked_at.as_ref()),
    })
}

async fn list(client: &Client, request: ListRunsRequest, as_json: bool) -> Result<(), Failure> {
    let page = client.list_runs(request).await?;
    if as_json {
        let runs: Vec<Value> = page.runs.iter().map(run_json).collect();
        return output::print_json(&json!({"runs": runs, "next": page.next_page_token}));
    }
    let mut text = String::new();
    for run in &page.runs {
        text.push_str(&render::cut(&summary(run), output::columns()));
        text.push('\n');
    }
    if !page.next_page_token.is_empty() {
        output::note(format!("there is more: --after {}", page.next_page_token));
    }
    output::print(&text)
}

/// One line about a run.
fn summary(run: &Run) -> String {
    let mut line = format!("{}  {}  {}/{} nodes", run.id, status_name(run), run.nodes_finished, run.nodes);
    let tokens = run.prompt_tokens + run.completion_tokens;
    if tokens > 0 {
        line.push_str(&format!("  {} tokens", render::count(tokens)));
    }
    if run.open_questions > 0 {
        line.push_str(&format!("  {}", render::plural(run.open_questions, "question")));
    }
    if !run.holder.is_empty() {
        line.push_str(&format!("  held by {}", run.holder));
    }
    format!("{line}  {}", run.goal.lines().next().unwrap_or_default())
}

/// The whole history, or what is left of it.
async fn history(client: &Client, run: &str) -> Result<(Vec<RunEvent>, u64), Failure> {
    let (mut events, mut from) = (Vec::new(), 0);
    loop {
        let request = ReadEventsRequest {
            run: run.to_owned(),
            from_sequence: from,
            page_size: PAGE,
            ..ReadEventsRequest::default()
        };
        let page = client.read_events(request).await?;
        events.extend(page.events);
        from = page.next_sequence;
        if from == 0 {
            return Ok((events, page.compacted_through));
        }
    }
}

async fn open_questions(client: &Client, run: &str) -> Result<Vec<Question>, Failure> {
    let (mut questions, mut token) = (Vec::new(), String::new());
    loop {
        let request =
            ListQuestionsRequest { run: run.to_owned(), page_token: token, ..ListQuestionsRequest::default() };
        let page = client.list_questions(request).await?;
        questions.extend(page.questions);
        token = page.next_page_token;
        if token.is_empty() {
            return Ok(questions);
        }
    }
}

async fn show(client: &Client, run: &str, with_events: bool, as_json: bool) -> Result<(), Failure> {
    let mut tries = 1;
    let state = loop {
        match client.read_state(run).await?.whole().await {
            // Somebody is at work on it.
            Err(error) if error.kind() == ErrorKind::Unavailable && tries < READS_MAX => tries += 1,
            other => break other?,
        }
    };
    let held = state.run.clone().unwrap_or_default();
    let (events, compacted_through) = history(client, run).await?;
    let questions = open_questions(client, run).await?;
    let tree = Tree::new(&state.nodes, &events);
    if as_json {
        let asked: Vec<Value> = questions.iter().map(question_json).collect();
        let mut shown = run_json(&held);
        shown["tree"] = tree.json();
        shown["queue"] = json!(state.queue);
        shown["questions"] = json!(asked);
        shown["compacted_through"] = json!(compacted_through);
        if with_events {
            shown["history"] = events.iter().map(tree::event_json).collect();
        }
        return output::print_json(&shown);
    }
    let mut text = format!("{}\n", render::cut(&summary(&held), output::columns()));
    if compacted_through > 0 {
        text.push_str(&format!("(the history up to event {compacted_through} was compacted)\n"));
    }
    text.push_str(&tree.text(with_events, output::columns()));
    if !held.result.is_empty() {
        text.push_str(&format!("result: {}\n", render::cut(&held.result, output::columns())));
    }
    for question in &questions {
        let choices =
            if question.choices.is_empty() { String::new() } else { format!(" ({})", question.choices.join(", ")) };
        let line = format!("{} asks: {}{choices}", question.node, question.text);
        text.push_str(&format!("{}\n", render::cut(&line, output::columns())));
    }
    if !questions.is_empty() {
        output::note(format!("answer with: hivemem swarm answer {run} NODE TEXT"));
    }
    output::print(&text)
}
