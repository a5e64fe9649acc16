//! What tools an MCP server offers: starts its command, asks `tools/list` over stdio, and ends it.
//!
//! The command runs here, with the rights of the person who typed it, and never on the hivemem server. It gets a limited time
//! and a limited number of bytes; whatever it says is data. Model Context Protocol, revision 2025-06-18, stdio transport.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout, Command};

use super::failure::Failure;

/// Time for all of it: `npx` may have to fetch a package first.
const TIME_MAX: Duration = Duration::from_secs(60);

/// Pages of a tool list.
const PAGES_MAX: usize = 100;

/// Bytes of one message.
const MESSAGE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// The tools as `{"tools": […]}`.
pub(super) async fn list(command: &str) -> Result<Value, Failure> {
    list_within(command, TIME_MAX).await
}

async fn list_within(command: &str, time: Duration) -> Result<Value, Failure> {
    let mut words = command.split_whitespace();
    let program = words.next().ok_or_else(|| Failure::usage("mcp: needs a command, such as mcp:'npx server'"))?;
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|cause| Failure::failed(format!("the MCP server {program} can't be started: {cause}")))?;
    let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Failure::failed(format!("the MCP server {program} has no stdin or stdout")));
    };
    let mut talk = Talk { stdin, stdout: BufReader::new(stdout), next: 0 };
    let tools = tokio::time::timeout(time, talk.tools()).await;
    // Ended here so that nothing of it is left; one that hangs would not end by itself.
    let _ = child.kill().await;
    let silent = || format!("the MCP server {program} did not list its tools within {} s", time.as_secs());
    tools.map_err(|_| Failure::failed(silent()))?.map_err(|failure| failure.about(format!("MCP server {program}")))
}

/// A conversation in JSON-RPC, one message a line.
struct Talk {
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    next: u64,
}

impl Talk {
    async fn tools(&mut self) -> Result<Value, Failure> {
        let client = json!({"name": "hivemem", "version": env!("CARGO_PKG_VERSION")});
        let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client});
        self.ask("initialize", hello).await?;
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await?;
        let mut tools: Vec<Value> = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let page = self.ask("tools/list", cursor.map_or(json!({}), |cursor| json!({"cursor": cursor}))).await?;
            tools.extend(page.get("tools").and_then(Value::as_array).cloned().unwrap_or_default());
            cursor = page.get("nextCursor").and_then(Value::as_str).map(str::to_owned);
            if cursor.is_none() {
                return Ok(json!({"tools": tools}));
            }
        }
        Err(Failure::failed(format!("it lists its tools in more than {PAGES_MAX} pages")))
    }

    async fn send(&mut self, message: &Value) -> Result<(), Failure> {
        let line = format!("{message}\n");
        let sent = async {
            self.stdin.write_all(line.as_bytes()).await?;
            self.stdin.flush().await
        };
        sent.await.map_err(|cause| Failure::failed(format!("it does not listen: {cause}")))
    }

    /// Asks and waits for the reply to just that; notifications and questions of the server are passed over.
    async fn ask(&mut self, method: &str, params: Value) -> Result<Value, Failure> {
        self.next += 1;
        let id = self.next;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})).await?;
        loop {
            let mut line = Vec::new();
            let mut limited = (&mut self.stdout).take(MESSAGE_BYTES_MAX);
            let read = limited.read_until(b'\n', &mut line).await;
            let read = read.map_err(|cause| Failure::failed(format!("it can't be read: {cause}")))?;
            if read == 0 {
                return Err(Failure::failed(format!("it ended before it answered {method}")));
            }
            if read as u64 == MESSAGE_BYTES_MAX {
                return Err(Failure::failed(format!("its answer to {method} is over {MESSAGE_BYTES_MAX} bytes")));
            }
            // Servers that log to stdout are common; what is no message is passed over.
            let Ok(message) = serde_json::from_slice::<Value>(&line) else { continue };
            if message.get("id").and_then(Value::as_u64) != Some(id) {
                continue;
            }
            if let Some(error) = message.get("error") {
                return Err(Failure::failed(format!("it refused {method}: {error}")));
            }
            return Ok(message.get("result").cloned().unwrap_or(Value::Null));
        }
    }
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

    const REPLIES: &str =
        "read a\necho starting up\necho '{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}'\nread b\nread c\n";

    #[tokio::test]
    async fn tools_come_in_pages_and_noise_is_passed_over() {
        let (_dir, command) = server(&format!(
            "{REPLIES}echo '{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}}'\n\
             echo '{{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{{\"tools\":[{{\"name\":\"a\"}}],\"nextCursor\":\"x\"}}}}'\n\
             read d\necho '{{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{{\"tools\":[{{\"name\":\"b\"}}]}}}}'\nsleep 60\n"
        ));
        let tools = list_within(&command, Duration::from_secs(20)).await.unwrap();
        assert_eq!(tools, json!({"tools": [{"name": "a"}, {"name": "b"}]}));
    }

    #[tokio::test]
    async fn one_that_hangs_or_dies_is_an_error_in_time() {
        let (_dir, hangs) = server("read a\nsleep 60\n");
        let began = std::time::Instant::now();
        let failure = list_within(&hangs, Duration::from_secs(1)).await.unwrap_err();
        assert!(failure.to_string().contains("within 1 s") && began.elapsed() < Duration::from_secs(10), "{failure}");
        let (_dir, dies) = server(&format!("{REPLIES}exit 3\n"));
        let failure = list_within(&dies, Duration::from_secs(20)).await.unwrap_err();
        assert!(failure.to_string().contains("ended before it answered tools/list"), "{failure}");
        let failure = list_within("/nowhere/at-all", Duration::from_secs(5)).await.unwrap_err();
        assert!(failure.to_string().contains("can't be started"), "{failure}");
        let (_dir, refuses) = server(
            "read a\necho '{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-1,\"message\":\"no\"}}'\nsleep 60\n",
        );
        assert!(list_within(&refuses, Duration::from_secs(20)).await.unwrap_err().to_string().contains("refused"));
    }
}
