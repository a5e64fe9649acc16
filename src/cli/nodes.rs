//! `hivemem nodes …`, `hivemem route` and `hivemem outcome`.

use std::path::Path;

use hivemem_client::Client;
use hivemem_client::proto::{
    AddExamplesRequest, ImportNodesRequest, ListNodesRequest, RecordOutcomeRequest, RegisterNodesResponse,
    RemoveNodesRequest, RouteCandidate, RouteRequest, RouteResponse,
};
use serde_json::{Value, json};

use crate::base::limits::MESSAGE_BYTES_MAX;

use super::args::{Global, NodesCommand, OutcomeArgs, RouteArgs};
use super::failure::Failure;
use super::mcp_tools;
use super::output;
use super::render;
use super::session::Session;

/// Runs `hivemem nodes …`.
pub(super) async fn nodes(command: NodesCommand, global: &Global) -> Result<(), Failure> {
    // Before anything is opened: a file that is not there or a tool server that hangs needs no server.
    let import = match &command {
        NodesCommand::Import { source, folder, key } => Some(read(source, folder, key).await?),
        _ => None,
    };
    let session = Session::open(global).await?;
    let outcome = run(&session.client, command, import, global.json).await;
    session.close(outcome).await
}

async fn run(
    client: &Client,
    command: NodesCommand,
    import: Option<ImportNodesRequest>,
    as_json: bool,
) -> Result<(), Failure> {
    match command {
        NodesCommand::Import { .. } => imported(client.import_nodes(import.unwrap_or_default()).await?, as_json),
        NodesCommand::Ls { folder, tags, kinds, limit, after } => {
            let request = ListNodesRequest {
                folder: folder.unwrap_or_default(),
                tags,
                kinds,
                page_size: limit,
                page_token: after.unwrap_or_default(),
                ..ListNodesRequest::default()
            };
            list(client, request, as_json).await
        }
        NodesCommand::Show { name } => show(client, &name, as_json).await,
        NodesCommand::Rm { names } => {
            let removed =
                client.remove_nodes(RemoveNodesRequest { names, ..RemoveNodesRequest::default() }).await?.removed;
            if as_json {
                output::print_json(&json!({"removed": removed}))
            } else {
                output::print(&format!("removed {}", render::plural(removed, "node")))
            }
        }
        NodesCommand::AddExample { name, examples } => {
            let request = AddExamplesRequest { name, examples, ..AddExamplesRequest::default() };
            let added = client.add_examples(request).await?.added;
            if as_json {
                output::print_json(&json!({"added": added}))
            } else {
                output::print(&format!("added {}", render::plural(added, "example")))
            }
        }
        NodesCommand::Report => report(client, as_json).await,
    }
}

/// What is to be imported: the bytes of a file, or what an MCP server says of its tools.
async fn read(source: &str, folder: &Option<String>, key: &Option<String>) -> Result<ImportNodesRequest, Failure> {
    let (format, content, name) = if let Some(command) = source.strip_prefix("mcp:") {
        ("mcp", mcp_tools::list(command).await?.to_string().into_bytes(), command.to_owned())
    } else {
        let (format, path) = source.strip_prefix("openapi:").map_or(("", source), |path| ("openapi", path));
        let content =
            tokio::fs::read(path).await.map_err(|cause| Failure::failed(format!("{path} can't be read: {cause}")))?;
        let name =
            Path::new(path).file_name().map_or_else(|| path.to_owned(), |name| name.to_string_lossy().into_owned());
        (format, content, name)
    };
    if content.len() >= MESSAGE_BYTES_MAX {
        let (bytes, most) = (render::bytes(content.len() as u64), render::bytes(MESSAGE_BYTES_MAX as u64));
        return Err(Failure::failed(format!(
            "{source} has {bytes}, the limit is {most}: split it and import the parts"
        )));
    }
    Ok(ImportNodesRequest {
        format: format.to_owned(),
        file_name: name,
        content,
        folder: folder.clone().unwrap_or_default(),
        idempotency_key: key.clone().unwrap_or_default(),
        ..ImportNodesRequest::default()
    })
}

fn imported(reply: RegisterNodesResponse, as_json: bool) -> Result<(), Failure> {
    if as_json {
        let issues: Vec<Value> =
            reply.issues.iter().map(|issue| json!({"name": issue.name, "reason": issue.reason})).collect();
        output::print_json(&json!({
            "added": reply.added,
            "updated": reply.updated,
            "unchanged": reply.unchanged,
            "rejected": reply.rejected,
            "issues": issues,
        }))?;
    } else {
        for issue in &reply.issues {
            output::note(format!("rejected {}: {}", render::printable(&issue.name), render::printable(&issue.reason)));
        }
        let (added, updated, unchanged, rejected) = (reply.added, reply.updated, reply.unchanged, reply.rejected);
        output::print(&format!("{added} added, {updated} updated, {unchanged} unchanged, {rejected} rejected"))?;
    }
    let stored = reply.added + reply.updated + reply.unchanged;
    if stored == 0 && reply.rejected > 0 { Err(Failure::failed("no entry could be registered")) } else { Ok(()) }
}

async fn list(client: &Client, request: ListNodesRequest, as_json: bool) -> Result<(), Failure> {
    let page = client.list_nodes(request).await?;
    if as_json {
        let folders: Vec<Value> =
            page.folders.iter().map(|folder| json!({"path": folder.path, "nodes": folder.nodes})).collect();
        let nodes: Vec<Value> = page
            .nodes
            .iter()
            .map(|node| json!({"name": node.name, "kind": node.kind, "summary": node.summary}))
            .collect();
        return output::print_json(&json!({
            "folders": folders,
            "nodes": nodes,
            "total": page.total,
            "next": page.next_page_token,
        }));
    }
    let mut text = String::new();
    for folder in &page.folders {
        text.push_str(&format!("{}/  {}\n", render::printable(&folder.path), render::plural(folder.nodes, "node")));
    }
    for node in &page.nodes {
        text.push_str(&render::cut(&format!("{}  [{}]  {}", node.name, node.kind, node.summary), output::columns()));
        text.push('\n');
    }
    if !page.next_page_token.is_empty() {
        output::note(format!("there is more: --after {:?}", page.next_page_token));
    }
    output::print(&text)
}

async fn show(client: &Client, name: &str, as_json: bool) -> Result<(), Failure> {
    let shown = client.get_node(name).await?;
    let serving = shown.node.is_some();
    let Some(node) = shown.node.or_else(|| shown.versions.first().and_then(|version| version.node.clone())) else {
        return Err(Failure::failed(format!("{name} has no version")));
    };
    let arguments: Value = serde_json::from_str(&node.arguments).unwrap_or(Value::Null);
    let versions: Vec<u32> = shown.versions.iter().map(|version| version.version).collect();
    let value = json!({
        "id": shown.id, "name": node.name, "kind": node.kind, "description": node.description,
        "language": node.language, "code": node.code, "arguments": arguments, "returns": node.returns,
        "test_cases": node.test_cases, "dependencies": node.dependencies, "utterances": node.utterances,
        "examples": shown.examples, "tags": node.tags, "permissions": node.permissions, "folder": node.folder,
        "metadata": node.metadata, "versions": versions, "serving": serving,
    });
    if as_json {
        return output::print_json(&value);
    }
    let mut text = String::new();
    for (field, value) in value.as_object().into_iter().flatten() {
        let shown = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if !matches!(shown.as_str(), "" | "[]" | "{}" | "null") {
            let lines: Vec<String> = shown.lines().map(render::printable).collect();
            text.push_str(&format!("{field}: {}\n", lines.join("\n    ")));
        }
    }
    output::print(&text)
}

async fn report(client: &Client, as_json: bool) -> Result<(), Failure> {
    let report = client.report_routing().await?;
    let confused: Vec<Value> = report
        .confused
        .iter()
        .map(|pair| json!({"right": pair.right, "chosen": pair.chosen, "count": pair.count, "samples": pair.samples}))
        .collect();
    if as_json {
        let records: Vec<Value> = report
            .records
            .iter()
            .map(|record| json!({
                "name": record.name, "succeeded": record.succeeded, "failed": record.failed, "mean_cost": record.mean_cost,
            }))
            .collect();
        return output::print_json(&json!({
            "nodes": report.nodes, "trials": report.trials, "settled": report.settled,
            "confused": confused, "outcomes": records,
        }));
    }
    let state = if report.settled { "" } else { ", still learning" };
    let mut text = format!(
        "{}, {} held out{state}\n",
        render::plural(report.nodes, "node"),
        render::plural(report.trials, "example")
    );
    for pair in &report.confused {
        text.push_str(&format!("{} is taken for {}, {} times\n", pair.right, pair.chosen, pair.count));
        for sample in &pair.samples {
            text.push_str(&format!("    add examples like: {}\n", render::cut(sample, output::columns())));
        }
    }
    for record in &report.records {
        let cost = if record.mean_cost == 0.0 { String::new() } else { format!(", {:.3} each", record.mean_cost) };
        text.push_str(&format!("{}: {} succeeded, {} failed{cost}\n", record.name, record.succeeded, record.failed));
    }
    output::print(&text)
}

/// Runs `hivemem route`.
pub(super) async fn route(args: RouteArgs, global: &Global) -> Result<(), Failure> {
    let session = Session::open(global).await?;
    let request = RouteRequest {
        goal: args.goal,
        context: args.context.unwrap_or_default(),
        kinds: args.kinds,
        tags: args.tags,
        permissions: args.permissions,
        k: Some(args.k),
        budget_tokens: args.budget,
        model: args.model,
        ..RouteRequest::default()
    };
    let outcome = session.client.route(request).await.map_err(Failure::from);
    let reply = session.close(outcome).await?;
    if global.json {
        return output::print_json(&decision_json(&reply));
    }
    let mut text = match reply.decision.as_str() {
        "none" => format!("none of these: {}\n", reply.advice.replace('_', " ")),
        decision => format!("{decision}: {}\n", reply.set.join(", ")),
    };
    for candidate in &reply.candidates {
        let line =
            format!("{:.3}  {}  [{}]  {}", candidate.probability, candidate.name, candidate.kind, candidate.summary);
        text.push_str(&render::cut(&line, output::columns()));
        text.push('\n');
        for reason in reasons(candidate) {
            text.push_str(&format!("       {}\n", render::cut(&reason, output::columns())));
        }
    }
    output::print(&text)
}

/// A decision with its candidates.
pub(super) fn decision_json(reply: &RouteResponse) -> Value {
    let candidates: Vec<Value> = reply.candidates.iter().map(candidate_json).collect();
    json!({
        "decision": reply.decision,
        "set": reply.set,
        "advice": reply.advice,
        "in_scope": render::float(reply.in_scope),
        "candidates": candidates,
    })
}

fn candidate_json(candidate: &RouteCandidate) -> Value {
    let mut value = json!({
        "name": candidate.name,
        "kind": candidate.kind,
        "version": candidate.version,
        "summary": candidate.summary,
        "probability": render::float(candidate.probability),
        "words": candidate.words,
        "past": render::float(candidate.past),
    });
    if !candidate.example.is_empty() {
        value["example"] = json!(candidate.example);
        value["example_similarity"] = render::float(candidate.example_similarity);
    }
    if !candidate.schema.is_empty() {
        value["schema"] = serde_json::from_str(&candidate.schema).unwrap_or(Value::Null);
    }
    value
}

/// Why a candidate is one.
fn reasons(candidate: &RouteCandidate) -> Vec<String> {
    let mut reasons = Vec::new();
    if !candidate.words.is_empty() {
        reasons.push(format!("words: {}", candidate.words.join(", ")));
    }
    if !candidate.example.is_empty() {
        reasons.push(format!("like ({:.2}): {}", candidate.example_similarity, candidate.example));
    }
    if candidate.past < -0.05 {
        reasons.push(format!("failed with such goals before ({:.2})", candidate.past));
    }
    reasons
}

/// Runs `hivemem outcome`.
pub(super) async fn outcome(args: OutcomeArgs, global: &Global) -> Result<(), Failure> {
    let session = Session::open(global).await?;
    let request = RecordOutcomeRequest {
        goal: args.goal,
        succeeded: !args.failed && args.chosen.is_some(),
        chosen: args.chosen.unwrap_or_default(),
        cost: args.cost,
        correction: args.correction.unwrap_or_default(),
        idempotency_key: args.key.unwrap_or_default(),
        ..RecordOutcomeRequest::default()
    };
    let outcome = session.client.record_outcome(request).await.map_err(Failure::from);
    session.close(outcome).await?;
    if global.json { output::print_json(&json!({"recorded": true})) } else { output::print("recorded") }
}
