//! A server of OpenAI's chat protocol that answers by a script.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hivemem_client::swarm::OpenAi;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the endpoint answers.
pub enum Reply {
    /// The model says this, in two pieces.
    Says(String),
    /// HTTP status, headers, body.
    Raw(u16, &'static str, &'static str),
    /// The connection stays open and nothing comes.
    Hangs,
}

/// A server of OpenAI's chat protocol. Requests are kept.
pub struct Endpoint {
    pub url: String,
    requests: Arc<Mutex<Vec<Value>>>,
}

impl Endpoint {
    pub async fn start(script: impl Fn(&Value, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<Value>>> = Arc::default();
        let (script, kept) = (Arc::new(script), Arc::clone(&requests));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, kept) = (Arc::clone(&script), Arc::clone(&kept));
                tokio::spawn(async move {
                    let _ = serve(stream, &*script, &kept).await;
                });
            }
        });
        Self { url, requests }
    }

    pub fn model(&self) -> Arc<OpenAi> {
        Arc::new(OpenAi::new(&self.url, "scripted", "key", Duration::from_secs(10)).unwrap())
    }

    pub fn requests(&self) -> Vec<Value> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    script: &(impl Fn(&Value, usize) -> Reply + ?Sized),
    kept: &Mutex<Vec<Value>>,
) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let body = loop {
        let mut piece = [0; 8192];
        let count = stream.read(&mut piece).await?;
        if count == 0 {
            return Ok(());
        }
        bytes.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
        if body.len() >= length.unwrap().parse().unwrap() {
            break body.to_owned();
        }
    };
    let request: Value = serde_json::from_str(&body).unwrap();
    let number = {
        let mut kept = kept.lock().unwrap();
        kept.push(request.clone());
        kept.len() - 1
    };
    let (status, headers, body) = match script(&request, number) {
        Reply::Says(text) => (200, "content-type: text/event-stream\r\n".to_owned(), streamed(&text)),
        Reply::Raw(status, headers, body) => (status, headers.to_owned(), body.to_owned()),
        Reply::Hangs => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            return Ok(());
        }
    };
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

fn streamed(text: &str) -> String {
    let (first, second) = text.split_at(text.floor_char_boundary(text.len() / 2));
    let piece = |text: &str| json!({"choices": [{"index": 0, "delta": {"content": text}}]});
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 10}});
    format!("data: {}\n\ndata: {}\n\ndata: {usage}\n\ndata: [DONE]\n\n", piece(first), piece(second))
}

pub fn says(text: impl ToString) -> Reply {
    Reply::Says(text.to_string())
}

pub fn prompt(request: &Value) -> &str {
    request["messages"][1]["content"].as_str().unwrap()
}
