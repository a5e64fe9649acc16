//! Routing over gRPC among 10,000 tools with five examples each: registering, fitting, deciding, and what it takes in memory.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::time::{Duration, Instant};

use criterion::Criterion;
use hivemem_client::Client;
use hivemem_client::proto::{Node, RegisterNodesRequest, RouteBatchRequest, RouteRequest};
use tokio::runtime::Runtime;

use common::model::Model;
use common::report::{Sample, heading, line, mib};
use common::server::Server;

mod common;

const TOOLS: usize = 10_000;
const EXAMPLES: usize = 5;

/// What tools do, to what, and where: 25 × 20 × 20 of them.
const VERBS: [&str; 25] = [
    "list",
    "create",
    "delete",
    "update",
    "search",
    "compare",
    "export",
    "import",
    "validate",
    "summarise",
    "translate",
    "schedule",
    "cancel",
    "approve",
    "archive",
    "encrypt",
    "convert",
    "measure",
    "predict",
    "monitor",
    "merge",
    "split",
    "publish",
    "restore",
    "estimate",
];
const THINGS: [&str; 20] = [
    "invoices",
    "flights",
    "recipes",
    "tickets",
    "contracts",
    "sensors",
    "playlists",
    "patients",
    "parcels",
    "lessons",
    "images",
    "passwords",
    "currencies",
    "apartments",
    "vehicles",
    "experiments",
    "meetings",
    "logs",
    "crops",
    "auctions",
];
const PLACES: [&str; 20] = [
    "for a bank",
    "of an airline",
    "in a hospital",
    "at school",
    "for a farm",
    "in the warehouse",
    "of a museum",
    "for developers",
    "in the lab",
    "for lawyers",
    "of a hotel",
    "on the website",
    "for the city",
    "in the factory",
    "of a library",
    "for athletes",
    "at the harbour",
    "for musicians",
    "in the kitchen",
    "of the power grid",
];

fn tool(number: usize) -> Node {
    let (verb, thing, place) = (VERBS[number % 25], THINGS[number / 25 % 20], PLACES[number / 500 % 20]);
    let phrasings = [
        format!("{verb} the {thing} {place}"),
        format!("can you {verb} all {thing} {place} from last week"),
        format!("i need to {verb} some {thing} {place}"),
        format!("please {verb} {thing} number {number} {place}"),
        format!("how do i {verb} {thing} {place} quickly"),
    ];
    Node {
        name: format!("{verb}_{thing}_{number}"),
        description: format!(
            "Takes {thing} {place} and lets you {verb} them. Reads the records, checks every field and returns what was \
             done with a short protocol, number {number}."
        ),
        arguments: format!(
            r#"{{"type":"object","properties":{{"{thing}":{{"type":"array","description":"The {thing} to {verb}"}},"until":{{"type":"string","description":"Deadline"}}}}}}"#
        ),
        utterances: phrasings.into_iter().take(EXAMPLES).collect(),
        ..Node::default()
    }
}

fn goal(number: usize) -> String {
    let number = number * 7_919 % TOOLS;
    let (verb, thing, place) = (VERBS[number % 25], THINGS[number / 25 % 20], PLACES[number / 500 % 20]);
    format!("could somebody {verb} these {thing} {place} before noon")
}

fn main() {
    common::server::serve_if_asked();
    if Model::find().is_none() {
        return;
    }
    let runtime = Runtime::new().expect("a runtime");
    let dir = common::data_root().join("route");
    let _ = std::fs::remove_dir_all(&dir);
    let server = Server::start(&dir);
    let client = runtime.block_on(server.client());
    runtime.block_on(client.create_namespace(common::NAMESPACE)).expect("a namespace");
    // What the sessions of the model take is no part of the routes: one batch before the base is read.
    let warm: Vec<Node> = (0..256).map(tool).collect();
    let other = client.with_namespace("warm");
    runtime.block_on(other.create_namespace("warm")).expect("a namespace");
    runtime
        .block_on(other.register_nodes(RegisterNodesRequest { wait: true, ..Default::default() }, warm))
        .expect("a report");
    heading(&format!("{TOOLS} tools with {EXAMPLES} examples each"));
    let base = server.memory();
    register(&runtime, &client);
    decide(&runtime, &client, "while the fit runs");
    let fitted = Instant::now();
    runtime.block_on(settled(&client));
    line("waited for the fit after that", &format!("{:.1} s", fitted.elapsed().as_secs_f64()), "fit <= 20 s");
    decide(&runtime, &client, "at rest");
    batches(&runtime, &client);
    newcomers(&runtime, &client);
    let memory = server.memory();
    let grown = mib(memory.anonymous.saturating_sub(base.anonymous));
    line(
        "resident over the base",
        &format!("{grown:.0} MiB, at most {:.0}", mib(memory.peak - base.resident)),
        "<= 300 MB",
    );
    let mut criterion =
        Criterion::default().sample_size(40).measurement_time(Duration::from_secs(5)).configure_from_args();
    let mut number = 0;
    criterion.bench_function("route/10k", |bencher| {
        bencher.iter(|| {
            number += 1;
            runtime.block_on(client.route(RouteRequest { goal: goal(number), ..RouteRequest::default() }))
        });
    });
    criterion.final_summary();
}

fn register(runtime: &Runtime, client: &Client) {
    let nodes: Vec<Node> = (0..TOOLS).map(tool).collect();
    let began = Instant::now();
    let reply = runtime.block_on(client.register_nodes(RegisterNodesRequest::default(), nodes)).expect("a report");
    assert_eq!(reply.added as usize, TOOLS, "{:?}", reply.issues);
    line("registered and embedded", &format!("{:.1} s", began.elapsed().as_secs_f64()), "<= 90 s");
}

async fn settled(client: &Client) {
    while !client.report_routing().await.expect("a report").settled {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn decide(runtime: &Runtime, client: &Client, when: &str) {
    let mut sample = Sample::default();
    let mut right = 0;
    for number in 0..400 {
        let request = RouteRequest { goal: goal(number), ..RouteRequest::default() };
        let reply = sample.time(|| runtime.block_on(client.route(request)).expect("a decision"));
        let wanted = number * 7_919 % TOOLS;
        let name = format!("{}_{}_{wanted}", VERBS[wanted % 25], THINGS[wanted / 25 % 20]);
        right += usize::from(reply.candidates.iter().any(|candidate| candidate.name == name));
    }
    sample.print(&format!("one decision {when}"), "p50 <= 4 ms, p95 <= 10 ms");
    line("of them with the right one among five", &format!("{right} of 400"), "");
}

fn batches(runtime: &Runtime, client: &Client) {
    let goals: Vec<String> = (0..512).map(goal).collect();
    let began = Instant::now();
    for _ in 0..4 {
        let request = RouteBatchRequest { goals: goals.clone(), ..RouteBatchRequest::default() };
        runtime.block_on(client.route_batch(request)).expect("decisions");
    }
    let rate = 4.0 * 512.0 / began.elapsed().as_secs_f64();
    line("decisions in batches of 512", &format!("{rate:.0}/s"), ">= 1,000/s");
}

/// From asking to register a tool to the first decision that names it.
fn newcomers(runtime: &Runtime, client: &Client) {
    let mut sample = Sample::default();
    for number in 0..10 {
        let name = format!("newcomer_{number}");
        let description = format!("Folds paper cranes of colour number {number} out of origami paper");
        let node = Node { name: name.clone(), description, ..Node::default() };
        let goal = format!("fold an origami crane in colour number {number}");
        sample.time(|| {
            runtime.block_on(client.register_nodes(RegisterNodesRequest::default(), vec![node])).expect("a report");
            let request = RouteRequest { goal, k: Some(20), ..RouteRequest::default() };
            let reply = runtime.block_on(client.route(request)).expect("a decision");
            assert!(reply.candidates.iter().any(|candidate| candidate.name == name), "{reply:?}");
        });
    }
    sample.print("a new tool, until it is routed to", "<= 200 ms");
    runtime.block_on(settled(client));
}
