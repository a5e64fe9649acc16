//! Routing end to end: the real model, the real catalogue, the command line.

use hivemem_client::ErrorKind;
use hivemem_client::proto::{
    AddExamplesRequest, ImportNodesRequest, ListNodesRequest, Node, RecordOutcomeRequest, RegisterNodesRequest,
    RemoveNodesRequest, RouteBatchRequest, RouteRequest, RouteResponse,
};

use crate::support::Server;

fn node(name: &str, description: &str, utterances: &[&str]) -> Node {
    Node {
        name: name.to_owned(),
        description: description.to_owned(),
        utterances: utterances.iter().map(|text| (*text).to_owned()).collect(),
        arguments: r#"{"type":"object","properties":{"input":{"type":"string"}}}"#.to_owned(),
        ..Node::default()
    }
}

fn tools() -> Vec<Node> {
    vec![
        node("break_down_goal", "Splits a large goal into smaller ones that can be worked on one by one", &[]),
        node("write_text", "Writes prose: an essay, a letter, a summary", &["draft an email to the team"]),
        node("write_python", "Writes and runs a Python program", &["code a script that parses csv files"]),
        node("convert_currency", "Converts an amount of money from one currency to another", &[]),
        node("get_weather", "Tells the weather forecast for a place", &["will it rain tomorrow"]),
    ]
}

async fn register(server: &Server) {
    let head = RegisterNodesRequest { wait: true, ..RegisterNodesRequest::default() };
    let report = server.client.register_nodes(head, tools()).await.unwrap();
    assert_eq!((report.added, report.rejected), (5, 0), "{report:?}");
}

async fn route(server: &Server, goal: &str) -> RouteResponse {
    let request = RouteRequest { goal: goal.to_owned(), budget_tokens: Some(500), ..RouteRequest::default() };
    server.client.route(request).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn goals_find_their_tool_or_none_and_what_they_teach_outlives_a_restart() {
    let server = Server::start().await;
    register(&server).await;
    let reply = route(&server, "How much is 100 dollars in euros?").await;
    assert_eq!(reply.candidates[0].name, "convert_currency");
    assert!(reply.decision != "none" && !reply.candidates[0].schema.is_empty(), "{reply:?}");
    let reply = route(&server, "Is there going to be snow in Oslo this weekend?").await;
    assert_eq!(reply.candidates[0].name, "get_weather");
    let reply = route(&server, "sequence the genome of a fruit fly").await;
    assert_eq!((reply.decision.as_str(), reply.advice.as_str()), ("none", "build_tool"), "{reply:?}");
    for several in [
        "Convert 20 pounds into yen. Then tell me what the weather in Tokyo is like.",
        "Convert 20 pounds into yen and tell me what the weather in Tokyo is like",
    ] {
        let reply = route(&server, several).await;
        let mut needed = reply.set.clone();
        needed.sort();
        assert_eq!(needed, ["convert_currency", "get_weather"], "{reply:?}");
        assert_eq!(reply.decision, "route");
    }

    let outcome = RecordOutcomeRequest {
        goal: "turn the quarterly numbers into a chart".to_owned(),
        chosen: "write_text".to_owned(),
        correction: "write_python".to_owned(),
        idempotency_key: "k".to_owned(),
        ..RecordOutcomeRequest::default()
    };
    server.client.record_outcome(outcome.clone()).await.unwrap();
    server.client.record_outcome(outcome).await.unwrap();
    let server = server.restart().await;
    let reply = route(&server, "turn the quarterly numbers into a chart").await;
    assert_eq!(reply.candidates[0].name, "write_python");
    let report = server.client.report_routing().await.unwrap();
    assert_eq!(report.records[0].failed, 1, "a repeated request counts once");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_keeps_to_its_namespace_and_says_what_is_wrong() {
    let server = Server::start().await;
    register(&server).await;
    server.client.create_namespace("other").await.unwrap();
    let other = server.client.with_namespace("other");
    assert_eq!(other.list_nodes(ListNodesRequest::default()).await.unwrap().total, 0);
    assert_eq!(other.get_node("write_text").await.unwrap_err().kind(), ErrorKind::NotFound);
    let gone = RemoveNodesRequest { names: vec!["write_text".to_owned()], ..RemoveNodesRequest::default() };
    assert_eq!(other.remove_nodes(gone).await.unwrap().removed, 0);
    let example = |name: &str| AddExamplesRequest {
        name: name.to_owned(),
        examples: vec!["compose a poem".to_owned()],
        ..AddExamplesRequest::default()
    };
    assert_eq!(other.add_examples(example("write_text")).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(server.client.add_examples(example("write_text")).await.unwrap().added, 1);
    let batch = RouteBatchRequest {
        goals: vec!["compose a poem".to_owned(), "rain in Rome".to_owned()],
        ..RouteBatchRequest::default()
    };
    let decisions = server.client.route_batch(batch.clone()).await.unwrap().decisions;
    let first: Vec<&str> = decisions.iter().map(|decision| decision.candidates[0].name.as_str()).collect();
    assert_eq!(first, ["write_text", "get_weather"]);
    assert!(other.route_batch(batch).await.unwrap().decisions.iter().all(|decision| decision.candidates.is_empty()));
    let refused = server.client.route(RouteRequest::default()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    let import = |content: &str| ImportNodesRequest {
        file_name: "node_scripts.json".to_owned(),
        content: content.as_bytes().to_vec(),
        ..ImportNodesRequest::default()
    };
    let file =
        r#"{"ask_user": {"language": "python", "description": "Asks the user a question", "script": "x"}, "bad": 1}"#;
    let report = server.client.import_nodes(import(file)).await.unwrap();
    assert_eq!((report.added, report.rejected), (1, 1), "{report:?}");
    assert_eq!(server.client.import_nodes(import("nonsense")).await.unwrap_err().kind(), ErrorKind::Invalid);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_compaction_and_backup_leave_routing_whole() {
    let server = Server::start().await;
    register(&server).await;
    let report = server.client.fsck(false).await.unwrap();
    assert!(report.stores.iter().all(|store| store.missing == 0 && store.surplus == 0), "{report:?}");
    server.client.fsck(true).await.unwrap();
    server.client.compact().await.unwrap();
    let server = server.restart().await;
    assert_eq!(route(&server, "will it rain tomorrow").await.candidates[0].name, "get_weather");
    server.stop().await;
}
