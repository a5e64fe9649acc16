//! `hivemem mcp`: what an agent needs most of a hivemem server, as MCP tools over stdio.
//!
//! A thin layer over the client. What a tool says is for a model to read: contexts and hits as text, the rest as JSON. A call that
//! fails is answered with the reason, so that the model can try something else.

use std::fmt::Write as _;

use hivemem_client::Client;
use hivemem_client::proto::forget_request::Selector;
use hivemem_client::proto::{
    ForgetRequest, GatherContextRequest, LocateDataRequest, NeighborsRequest, RememberRequest, RouteRequest,
    SearchDataRequest, SearchFilter, SearchRequest, TreeRequest,
};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation, JsonObject, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt as _};
use serde::Deserialize;
use serde_json::{Value, json};

use super::args::Global;
use super::failure::Failure;
use super::session::Session;
use super::{data, graph, nodes};

const ABOUT: &str = "The memory of an agent swarm. Call `context` with the task before you work on it: it packs the code and \
                     documents that matter into a token budget, each with its citation. `search` finds single passages, \
                     `neighbors` and `tree` show what belongs together, `route` names the tool for a goal, `find_data` and \
                     `locate_data` know all data, ingested or not. `remember` what others should know.";

/// Serves until its input ends.
pub(super) async fn serve(global: &Global) -> Result<(), Failure> {
    let session = Session::open(global).await?;
    let tools = Tools { client: session.client.clone() };
    let failed = |cause: String| Failure::failed(format!("MCP over stdio ended: {cause}"));
    let served = async {
        let running = tools.serve(rmcp::transport::stdio()).await.map_err(|cause| failed(cause.to_string()))?;
        running.waiting().await.map_err(|cause| failed(cause.to_string()))?;
        Ok(())
    };
    let outcome = served.await;
    session.close(outcome).await
}

struct Tools {
    client: Client,
}

impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("hivemem", env!("CARGO_PKG_VERSION")))
            .with_instructions(ABOUT)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(TOOLS.iter().map(described).collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let said = match call(&self.client, &request.name, request.arguments.unwrap_or_default()).await {
            Ok(text) => CallToolResult::success(vec![ContentBlock::text(text)]),
            Err(failure) => CallToolResult::error(vec![ContentBlock::text(failure.to_string())]),
        };
        Ok(said.into())
    }
}

/// Name, what it does, its arguments as properties of a JSON Schema, and those that must be given.
type Described = (&'static str, &'static str, fn() -> Value, &'static [&'static str]);

const TOOLS: [Described; 9] = [
    (
        "context",
        "Gathers the code, documents and memories that matter for a task within a token budget, with citations. Call it before \
         you work on something.",
        || {
            json!({
                "task": text("What you are about to do"),
                "budget_tokens": number("Most tokens of the answer; 4000 where absent"),
                "paths": texts("Only paths that match one of these globs, such as src/**/*.rs"),
                "map": {"type": "boolean", "description": "A map of the repository by signatures instead of evidence"},
            })
        },
        &["task"],
    ),
    (
        "search",
        "Finds passages of code, documents and memories by meaning, words and names; the best first, with citations.",
        || {
            json!({
                "query": text("A question, a phrase or the name of a symbol"),
                "k": number("Passages wanted; 10 where absent"),
                "paths": texts("Only paths that match one of these globs"),
                "languages": texts("Only these languages, such as rust"),
                "kinds": texts("Only these kinds: code, markdown, html, text, data, memory"),
            })
        },
        &["query"],
    ),
    (
        "remember",
        "Stores a fact, a decision or a result, so that it is found later. Said twice it is kept once.",
        || {
            json!({
                "text": text("What to remember, understandable by itself"),
                "title": text("A short title"),
                "tags": texts("Labels"),
                "ttl_days": number("Forget it after so many days; for ever where absent"),
            })
        },
        &["text"],
    ),
    (
        "forget",
        "Deletes a memory or another document by its URI.",
        || json!({"uri": text("As `remember` and `search` tell it")}),
        &["uri"],
    ),
    (
        "route",
        "Names the tool or node type for a goal among all that are registered, with its schema; says so if none serves.",
        || {
            json!({
                "goal": text("What is to be done"),
                "context": text("What is going on"),
                "k": number("Candidates wanted; 5 where absent"),
            })
        },
        &["goal"],
    ),
    (
        "tree",
        "Shows folders and files with what they define.",
        || json!({"path": text("A folder; everything where absent"), "depth": number("Levels; 2 where absent")}),
        &[],
    ),
    (
        "neighbors",
        "Shows what a symbol, file or entity is connected with: callers, callees, types, tests, pages that mention it.",
        || {
            json!({
                "node": text("A name such as Server::run, or an address"),
                "kinds": texts("Only these kinds of edges, such as calls"),
                "depth": number("Steps, up to 3; 1 where absent"),
            })
        },
        &["node"],
    ),
    (
        "find_data",
        "Finds data by name, description and schema: files, buckets, tables, repositories, ingested or not, with a plan for \
         what is not.",
        || json!({"query": text("What is looked for"), "k": number("Entries wanted; 10 where absent")}),
        &["query"],
    ),
    (
        "locate_data",
        "Tells exact ways to get an object: calls, command lines, snippets, signed URLs.",
        || json!({"uri": text("Its address")}),
        &["uri"],
    ),
];

fn text(about: &str) -> Value {
    json!({"type": "string", "description": about})
}

fn texts(about: &str) -> Value {
    json!({"type": "array", "items": {"type": "string"}, "description": about})
}

fn number(about: &str) -> Value {
    json!({"type": "integer", "minimum": 1, "description": about})
}

fn described((name, about, properties, required): &Described) -> Tool {
    let mut schema = JsonObject::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), properties());
    schema.insert("required".to_owned(), json!(required));
    schema.insert("additionalProperties".to_owned(), json!(false));
    Tool::new(*name, *about, schema)
}

/// The arguments of any tool; each reads its own. Which may be given is checked by name first.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Arguments {
    task: String,
    query: String,
    text: String,
    goal: String,
    node: String,
    uri: String,
    path: String,
    title: String,
    context: String,
    paths: Vec<String>,
    languages: Vec<String>,
    kinds: Vec<String>,
    tags: Vec<String>,
    map: bool,
    k: Option<u32>,
    depth: Option<u32>,
    budget_tokens: Option<u32>,
    ttl_days: Option<u32>,
}

/// Reads arguments by the schema of their tool.
fn read(name: &str, given: JsonObject) -> Result<Arguments, Failure> {
    let known = || TOOLS.iter().map(|tool| tool.0).collect::<Vec<_>>().join(", ");
    let tool = TOOLS.iter().find(|tool| tool.0 == name);
    let (_, _, properties, required) =
        tool.ok_or_else(|| Failure::usage(format!("there is no tool {name:.80?}; there are {}", known())))?;
    let properties = properties();
    if let Some(strange) = given.keys().find(|key| properties.get(key.as_str()).is_none()) {
        return Err(Failure::usage(format!("{name} takes no argument {strange:.80?}")));
    }
    if let Some(missing) = required.iter().find(|key| !given.contains_key(**key)) {
        return Err(Failure::usage(format!("{name} needs the argument {missing:?}")));
    }
    serde_json::from_value(Value::Object(given))
        .map_err(|cause| Failure::usage(format!("the arguments of {name} are not as its schema wants them: {cause}")))
}

async fn call(client: &Client, name: &str, given: JsonObject) -> Result<String, Failure> {
    let asked = read(name, given)?;
    let filter = SearchFilter {
        paths: asked.paths,
        languages: asked.languages,
        kinds: asked.kinds.clone(),
        ..SearchFilter::default()
    };
    match name {
        "context" => {
            let request = GatherContextRequest {
                task: asked.task,
                budget_tokens: asked.budget_tokens,
                filter: Some(filter),
                map: asked.map,
                ..GatherContextRequest::default()
            };
            Ok(client.gather_context(request).await?.text)
        }
        "search" => {
            let (query, k) = (asked.query, asked.k);
            let request = SearchRequest { query, k, filter: Some(filter), ..SearchRequest::default() };
            Ok(hits(&client.search(request).await?.hits))
        }
        "remember" => {
            let days = |days: u32| hivemem_client::proto::Duration { seconds: i64::from(days) * 86_400, nanos: 0 };
            let request = RememberRequest {
                text: asked.text,
                title: asked.title,
                tags: asked.tags,
                ttl: asked.ttl_days.map(days),
                ..RememberRequest::default()
            };
            let reply = client.remember(request).await?;
            let value =
                json!({"uri": reply.uri, "new": reply.created, "repeats": reply.repeats, "echoes": reply.echoes});
            Ok(value.to_string())
        }
        "forget" => {
            let request = ForgetRequest { selector: Some(Selector::Uri(asked.uri)), ..ForgetRequest::default() };
            Ok(json!({"removed": client.forget(request).await?.removed}).to_string())
        }
        "route" => {
            let request = RouteRequest {
                goal: asked.goal,
                context: asked.context,
                k: Some(asked.k.unwrap_or(5)),
                budget_tokens: Some(2_000),
                ..RouteRequest::default()
            };
            Ok(nodes::decision_json(&client.route(request).await?).to_string())
        }
        "tree" => {
            let request =
                TreeRequest { path: asked.path, depth: asked.depth.unwrap_or(2), limit: 200, ..TreeRequest::default() };
            Ok(graph::tree_text(&client.tree(request).await?))
        }
        "neighbors" => {
            let request = NeighborsRequest {
                node: asked.node,
                kinds: asked.kinds,
                depth: asked.depth.unwrap_or(1),
                limit: 50,
                ..NeighborsRequest::default()
            };
            Ok(graph::neighbors_text(&client.neighbors(request).await?))
        }
        "find_data" => {
            let request = SearchDataRequest { query: asked.query, k: asked.k, ..SearchDataRequest::default() };
            Ok(data::hits_json(&client.search_data(request).await?.hits).to_string())
        }
        _ => {
            let located =
                client.locate_data(LocateDataRequest { uri: asked.uri, ..LocateDataRequest::default() }).await?;
            Ok(data::recipes_text(&located.recipes.iter().collect::<Vec<_>>()))
        }
    }
}

/// Passages, each under its citation.
fn hits(hits: &[hivemem_client::proto::Hit]) -> String {
    let mut text = String::new();
    for hit in hits {
        let _ = writeln!(text, "### {}", hit.citation);
        if !hit.breadcrumb.is_empty() {
            let _ = writeln!(text, "[{}]", hit.breadcrumb);
        }
        let _ = writeln!(text, "{}\n", hit.text.trim_end());
    }
    if text.is_empty() { "nothing found".to_owned() } else { text }
}
