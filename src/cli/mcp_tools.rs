//! What tools an MCP server offers: talks to it over stdio or HTTP, asks `tools/list`, and ends it.
//!
//! A command runs here, with the rights of the person who typed it, and never on the hivemem server. It gets a limited time
//! and a limited number of bytes; whatever it says is data.

use std::process::Stdio;
use std::time::Duration;

use rmcp::model::PaginatedRequestParams;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{IntoTransport, StreamableHttpClientTransport};
use rmcp::{RoleClient, ServiceExt as _};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use super::failure::Failure;

/// Time for all of it: `npx` may have to fetch a package first.
const TIME_MAX: Duration = Duration::from_secs(60);

/// Pages of a tool list.
const PAGES_MAX: usize = 100;

/// Bytes of all that a command says, or of one reply over HTTP: some 20,000 tools.
const BYTES_MAX: usize = 32 * 1024 * 1024;

/// Bearer token for a server that is reached over HTTP.
const TOKEN: &str = "HIVEMEM_MCP_TOKEN";

/// The tools as `{"tools": […]}` of a server: a URL, or a command to start it with.
pub(super) async fn list(server: &str) -> Result<Value, Failure> {
    list_within(server, TIME_MAX).await
}

async fn list_within(server: &str, time: Duration) -> Result<Value, Failure> {
    let is_url = server.starts_with("http://") || server.starts_with("https://");
    let listed = async { if is_url { over_http(server).await } else { over_stdio(server).await } };
    let silent = || format!("it did not list its tools within {} s", time.as_secs());
    let listed = tokio::time::timeout(time, listed).await.unwrap_or_else(|_| Err(Failure::failed(silent())));
    listed.map_err(|failure| failure.about(format!("MCP server {server}")))
}

async fn over_http(url: &str) -> Result<Value, Failure> {
    // Another one may be there already; either will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = StreamableHttpClientTransportConfig::with_uri(url)
        .max_json_response_size(BYTES_MAX)
        .max_sse_event_size(BYTES_MAX);
    if let Ok(token) = std::env::var(TOKEN) {
        config = config.auth_header(token);
    }
    tools(StreamableHttpClientTransport::from_config(config)).await
}

async fn over_stdio(command: &str) -> Result<Value, Failure> {
    let mut words = command.split_whitespace();
    let program =
        words.next().ok_or_else(|| Failure::usage("mcp: needs a command or URL, such as mcp:'npx server'"))?;
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // One that hangs does not end by itself.
        .kill_on_drop(true)
        .spawn()
        .map_err(|cause| Failure::failed(format!("it can't be started: {cause}")))?;
    let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Failure::failed("it has no stdin or stdout"));
    };
    let listed = tools((stdout.take(BYTES_MAX as u64), stdin)).await;
    let _ = child.kill().await;
    listed
}

async fn tools<T, E, A>(transport: T) -> Result<Value, Failure>
where
    T: IntoTransport<RoleClient, E, A>,
    E: std::error::Error + Send + Sync + 'static,
{
    let client = ().serve(transport).await;
    let client = client.map_err(|cause| Failure::failed(format!("it did not answer initialize: {cause}")))?;
    let mut tools: Vec<Value> = Vec::new();
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let page = client.list_tools(Some(PaginatedRequestParams::default().with_cursor(cursor))).await;
        let page = page.map_err(|cause| Failure::failed(format!("it did not answer tools/list: {cause}")))?;
        for tool in &page.tools {
            tools.push(serde_json::to_value(tool).map_err(|cause| Failure::failed(cause.to_string()))?);
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            let _ = client.cancel().await;
            return Ok(json!({"tools": tools}));
        }
    }
    Err(Failure::failed(format!("it lists its tools in more than {PAGES_MAX} pages")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server as a shell script.
    fn server(script: &str) -> (tempfile::TempDir, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("server.sh");
        std::fs::write(&path, script).unwrap();
        let command = format!("sh {}", path.display());
        (dir, command)
    }

    /// Says hello as revision 2025-06-18 wants it, with noise before.
    const HELLO: &str = "read a\necho starting up\n\
        echo '{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{\"protocolVersion\":\"2025-06-18\",\"capabilities\":{\"tools\":{}},\
        \"serverInfo\":{\"name\":\"s\",\"version\":\"1\"}}}'\nread b\nread c\n";

    #[tokio::test]
    async fn tools_come_in_pages_and_noise_is_passed_over() {
        let page = |id: u32, name: &str, next: &str| {
            let tool = format!(
                "{{\"name\":\"{name}\",\"description\":\"does {name}\",\"inputSchema\":{{\"type\":\"object\"}}}}"
            );
            format!("echo '{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"tools\":[{tool}]{next}}}}}'\n")
        };
        let (first, last) = (page(1, "a", ",\"nextCursor\":\"x\""), page(2, "b", ""));
        let (_dir, command) = server(&format!("{HELLO}{first}read d\n{last}sleep 60\n"));
        let found = list_within(&command, Duration::from_secs(20)).await.unwrap();
        let names: Vec<&str> =
            found["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(found["tools"][0]["inputSchema"]["type"], "object");
    }

    #[tokio::test]
    async fn one_that_hangs_or_dies_is_an_error_in_time() {
        let (_dir, hangs) = server("read a\nsleep 60\n");
        let began = std::time::Instant::now();
        let failure = list_within(&hangs, Duration::from_secs(1)).await.unwrap_err();
        assert!(failure.to_string().contains("within 1 s") && began.elapsed() < Duration::from_secs(10), "{failure}");
        let (_dir, dies) = server(&format!("{HELLO}exit 3\n"));
        let failure = list_within(&dies, Duration::from_secs(20)).await.unwrap_err();
        assert!(failure.to_string().contains("did not answer tools/list"), "{failure}");
        let failure = list_within("/nowhere/at-all", Duration::from_secs(5)).await.unwrap_err();
        assert!(failure.to_string().contains("can't be started"), "{failure}");
        let refusal =
            "read a\necho '{\"jsonrpc\":\"2.0\",\"id\":0,\"error\":{\"code\":-1,\"message\":\"not you\"}}'\nsleep 60\n";
        let (_dir, refuses) = server(refusal);
        let failure = list_within(&refuses, Duration::from_secs(20)).await.unwrap_err();
        assert!(failure.to_string().contains("not you"), "{failure}");
        let failure = list_within("http://127.0.0.1:9/mcp", Duration::from_secs(20)).await.unwrap_err();
        assert!(failure.to_string().contains("did not answer initialize"), "{failure}");
    }

    /// A server of the streamable HTTP transport, which answers in JSON.
    async fn http_server() -> String {
        use axum::response::IntoResponse as _;
        let answer = |axum::Json(asked): axum::Json<Value>| async move {
            let result = match asked["method"].as_str() {
                Some("initialize") => {
                    json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                        "serverInfo": {"name": "s", "version": "1"}})
                }
                Some("tools/list") => json!({"tools": [{"name": "far", "inputSchema": {"type": "object"}}]}),
                _ => return axum::http::StatusCode::ACCEPTED.into_response(),
            };
            axum::Json(json!({"jsonrpc": "2.0", "id": asked["id"], "result": result})).into_response()
        };
        let routes = axum::Router::new().route("/mcp", axum::routing::post(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        url
    }

    #[tokio::test]
    async fn a_server_is_asked_over_http_too() {
        let found = list_within(&http_server().await, Duration::from_secs(20)).await.unwrap();
        assert_eq!(found["tools"][0]["name"], "far");
    }
}
