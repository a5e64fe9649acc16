//! One server per test, and short ways to say what a test is about.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use hivemem::server::{LocalServer, ServeOptions};
use hivemem_client::proto::{
    GatherContextRequest, GatherContextResponse, Hit, IngestReport, IngestSourceRequest, InputDocument,
    PutDocumentsRequest, SearchFilter, SearchMode, SearchRequest, SearchResponse,
};
use hivemem_client::{Client, ClientError, ClientOptions};
use tempfile::TempDir;

/// A server with its data directory; stopped by [`Server::stop`] or left to the end of the process.
pub struct Server {
    pub client: Client,
    pub data: TempDir,
    local: LocalServer,
}

impl Server {
    pub async fn start() -> Self {
        Self::open(tempfile::tempdir().unwrap()).await
    }

    pub async fn open(data: TempDir) -> Self {
        Self::open_with(data, ServeOptions::default()).await
    }

    pub async fn open_with(data: TempDir, options: ServeOptions) -> Self {
        let options = ServeOptions { data_dir: Some(data.path().to_owned()), ..options };
        let local = LocalServer::start(options).await.unwrap();
        let client = Client::from_channel(local.channel().await.unwrap(), ClientOptions::default()).unwrap();
        Self { client, data, local }
    }

    /// Stops it and removes its data; without this the data may go first, which the engines complain about.
    pub async fn stop(self) {
        let Self { client, data, local } = self;
        drop(client);
        stopped(local).await;
        drop(data);
    }

    /// Stops it and keeps its data.
    pub async fn close(self) -> TempDir {
        let Self { client, data, local } = self;
        drop(client);
        stopped(local).await;
        data
    }

    /// Stops it and opens the same directory again.
    pub async fn restart(self) -> Self {
        Self::open(self.close().await).await
    }

    /// Stops it and gives its data directory.
    pub async fn into_data(self) -> TempDir {
        let Self { client, data, local } = self;
        drop(client);
        local.stop().await.unwrap();
        data
    }

    /// The bytes of a backup.
    pub async fn backup(&self) -> Vec<u8> {
        let mut pieces = self.client.backup().await.unwrap();
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.next_piece().await.unwrap() {
            bytes.extend(piece);
        }
        bytes
    }

    pub async fn ingest(&self, source: &Path) -> IngestReport {
        self.try_ingest(IngestSourceRequest { source: source.display().to_string(), ..Default::default() })
            .await
            .unwrap()
    }

    pub async fn try_ingest(&self, request: IngestSourceRequest) -> Result<IngestReport, ClientError> {
        self.client.ingest_source(request).await?.finish(|_| {}).await
    }

    pub async fn put(&self, documents: &[(&str, &str)]) -> IngestReport {
        let documents: Vec<InputDocument> = documents
            .iter()
            .map(|(uri, text)| InputDocument {
                uri: (*uri).to_owned(),
                content: text.as_bytes().to_vec(),
                ..InputDocument::default()
            })
            .collect();
        self.client
            .put_documents(PutDocumentsRequest::default(), documents)
            .await
            .unwrap()
            .finish(|_| {})
            .await
            .unwrap()
    }

    /// Waits until every projection reflects all that is stored.
    pub async fn settled(&self) {
        for _ in 0..400 {
            let stats = self.client.stats().await.unwrap();
            if stats.projections.iter().all(|projection| projection.applied_lsn == stats.lsn) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        panic!("the projections do not follow: {:?}", self.client.stats().await);
    }

    pub async fn search(&self, query: &str) -> SearchResponse {
        self.try_search(SearchRequest { query: query.to_owned(), ..SearchRequest::default() }).await.unwrap()
    }

    pub async fn search_with(&self, query: &str, mode: SearchMode, filter: SearchFilter) -> Vec<Hit> {
        let request = SearchRequest {
            query: query.to_owned(),
            mode: mode.into(),
            filter: Some(filter),
            ..SearchRequest::default()
        };
        self.try_search(request).await.unwrap().hits
    }

    pub async fn try_search(&self, request: SearchRequest) -> Result<SearchResponse, ClientError> {
        self.client.search(request).await
    }

    pub async fn context(&self, task: &str, budget: u32) -> GatherContextResponse {
        let request = GatherContextRequest {
            task: task.to_owned(),
            budget_tokens: Some(budget),
            ..GatherContextRequest::default()
        };
        self.client.gather_context(request).await.unwrap()
    }
}

async fn stopped(local: LocalServer) {
    let stopped = tokio::time::timeout(std::time::Duration::from_secs(60), local.stop()).await;
    stopped.expect("the server does not stop").unwrap();
}

/// Writes files below a fresh directory.
pub fn tree(files: &[(&str, &[u8])]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, bytes) in files {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    dir
}

/// A small repository with code, tests and documentation.
pub fn repository() -> TempDir {
    tree(&[
        (
            "src/pool.rs",
            b"//! Connection pooling.\n\n/// Keeps idle connections for reuse and bounds how many are open.\npub struct ConnectionPool {\n    idle: Vec<Connection>,\n    limit: usize,\n}\n\nimpl ConnectionPool {\n    /// Hands out an idle connection or opens a new one.\n    pub fn acquire(&mut self) -> Option<Connection> {\n        self.idle.pop()\n    }\n}\n",
        ),
        (
            "src/retry.rs",
            b"/// Waits longer after each failed attempt, with jitter.\npub fn exponential_backoff(attempt: u32) -> u64 {\n    let base = 2_u64.pow(attempt);\n    base * 100\n}\n",
        ),
        (
            "tests/pool_test.rs",
            b"#[test]\nfn pool_hands_out_idle_connections() {\n    let mut pool = ConnectionPool::default();\n    assert!(pool.acquire().is_none());\n}\n",
        ),
        (
            "docs/guide.md",
            b"# Guide\n\n## Installing\n\nRun the installer and follow the steps.\n\n## Timeouts\n\nEvery request has a deadline of thirty seconds unless you set another one.\n",
        ),
        ("client.py", b"class HttpClient:\n    \"\"\"Sends requests over pooled connections.\"\"\"\n\n    def send_request(self, url):\n        return self.pool.acquire().get(url)\n"),
    ])
}

/// The binary as a server of its own; ends with the value.
pub struct Process(std::process::Child, String);

impl Process {
    pub fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    pub fn start_with(data: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_hivemem"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}")).to_owned();
        Self(child, url)
    }

    /// `http://HOST:PORT`.
    pub fn url(&self) -> &str {
        &self.1
    }

    pub fn run(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hivemem"));
        command.args(["--server", &self.1]).args(arguments).output().unwrap()
    }

    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let output = self.run(&[&["--json"], arguments].concat());
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
