//! What travels over a real socket besides the calls of the client: plain HTTP, gRPC-Web, health, reflection, tokens, MCP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use hivemem_client::{Client, ClientOptions, ErrorKind};
use serde_json::json;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::support::Process;

/// The answer to one HTTP/1.1 request, as text.
fn http(process: &Process, head: &str, body: &[u8]) -> String {
    let address = process.url().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let length = body.len();
    write!(stream, "{head}\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n").unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn plain_paths_answer_http_1_and_browsers_may_call() {
    let data = tempfile::tempdir().unwrap();
    let process = Process::start(data.path());
    let healthy = http(&process, "GET /healthz HTTP/1.1", b"");
    assert!(healthy.starts_with("HTTP/1.1 200") && healthy.ends_with("ok\n"), "{healthy}");
    let metrics = http(&process, "GET /metrics HTTP/1.1", b"");
    assert!(metrics.starts_with("HTTP/1.1 200") && metrics.contains("# TYPE hivemem_log_head gauge\n"), "{metrics}");

    // An empty message of five bytes: not compressed, of length nought.
    let call = "POST /hivemem.v1.Admin/Stats HTTP/1.1\r\ncontent-type: application/grpc-web+proto";
    let stats = http(&process, call, &[0; 5]);
    assert!(stats.starts_with("HTTP/1.1 200") && stats.contains("grpc-status:0"), "{stats}");
}

/// What a process says to a line, both JSON.
struct Mcp {
    child: std::process::Child,
    answers: BufReader<std::process::ChildStdout>,
    number: u64,
}

impl Mcp {
    fn start(data: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_hivemem"))
            .args(["mcp", "--server", "http://127.0.0.1:1", "--data-dir"])
            .arg(data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, answers, number: 0 }
    }

    fn say(&mut self, message: &serde_json::Value) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{message}").unwrap();
    }

    fn ask(&mut self, method: &str, params: serde_json::Value) -> serde_json::Value {
        self.number += 1;
        self.say(&json!({"jsonrpc": "2.0", "id": self.number, "method": method, "params": params}));
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let answer: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["id"], self.number, "{answer}");
        answer["result"].clone()
    }

    /// Whether a call failed, and what it said.
    fn call(&mut self, tool: &str, arguments: serde_json::Value) -> (bool, String) {
        let said = self.ask("tools/call", json!({"name": tool, "arguments": arguments}));
        (said["isError"] == true, said["content"][0]["text"].as_str().unwrap().to_owned())
    }
}

#[test]
fn agents_use_the_memory_as_tools_over_stdio() {
    let data = tempfile::tempdir().unwrap();
    let mut mcp = Mcp::start(data.path());
    let hello = mcp.ask(
        "initialize",
        json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}),
    );
    assert_eq!(hello["serverInfo"]["name"], "hivemem", "{hello}");
    mcp.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    let listed = mcp.ask("tools/list", json!({}));
    let names: Vec<&str> =
        listed["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    for tool in ["context", "search", "remember", "route", "tree", "neighbors", "find_data", "locate_data"] {
        assert!(names.contains(&tool), "{tool} is not among {names:?}");
    }

    let note = "Deploys of the gateway are frozen from Friday noon until Monday morning.";
    let (failed, said) = mcp.call("remember", json!({"text": note, "tags": ["process"]}));
    assert!(!failed && said.contains("\"new\":true"), "{said}");
    for tool in ["search", "context"] {
        let field = if tool == "search" { "query" } else { "task" };
        let (failed, said) = mcp.call(tool, json!({field: "when can the gateway be deployed"}));
        assert!(!failed && said.contains(note), "{tool}: {said}");
    }
    let (failed, said) = mcp.call("route", json!({"goal": "send a mail"}));
    assert!(!failed && said.contains("\"decision\":\"none\""), "{said}");
    for (tool, arguments, says) in [
        ("search", json!({"query": "x", "limit": 3}), "limit"),
        ("search", json!({}), "query"),
        ("search", json!({"query": "x", "k": "many"}), "schema"),
        ("search", json!({"query": "x", "k": 100_000}), "k is 100000"),
        ("fly", json!({}), "remember"),
        ("locate_data", json!({"uri": "s3://b/nothing"}), "s3://b/nothing"),
    ] {
        let (failed, said) = mcp.call(tool, arguments);
        assert!(failed && said.contains(says), "{tool}: {said}");
    }
    drop(mcp.child.stdin.take());
    assert!(mcp.child.wait().unwrap().success(), "it ends with its input");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_reflection_tell_of_the_services() {
    let data = tempfile::tempdir().unwrap();
    let process = Process::start(data.path());
    let channel = Channel::from_shared(process.url().to_owned()).unwrap().connect().await.unwrap();
    let asked = HealthCheckRequest { service: "hivemem.v1.Retrieval".to_owned() };
    let health = HealthClient::new(channel.clone()).check(asked).await.unwrap().into_inner();
    assert_eq!(health.status().as_str_name(), "SERVING");

    let asked = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..ServerReflectionRequest::default()
    };
    let mut reflection = ServerReflectionClient::new(channel);
    let answers = reflection.server_reflection_info(tokio_stream::once(asked)).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(listed) = answer else { panic!("{answer:?}") };
    let names: Vec<&str> = listed.service.iter().map(|service| service.name.as_str()).collect();
    for service in ["Ingest", "Retrieval", "Graph", "Router", "Swarm", "DataView", "Admin"] {
        assert!(names.contains(&format!("hivemem.v1.{service}").as_str()), "{service} is not among {names:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_on_the_command_line_is_asked_of_callers() {
    let data = tempfile::tempdir().unwrap();
    let process = Process::start_with(data.path(), &["--token", "secret"]);
    let stats = async |token: Option<&str>| {
        let options = ClientOptions { token: token.map(str::to_owned), ..ClientOptions::default() };
        Client::connect(process.url(), options).await.unwrap().stats().await
    };
    for token in [None, Some("secreT")] {
        let refused = stats(token).await.unwrap_err();
        assert!(refused.kind() == ErrorKind::Denied && refused.message().contains("--token"), "{refused}");
    }
    assert_eq!(stats(Some("secret")).await.unwrap().documents, 0, "nothing is stored in a fresh server");
}
