//! The real server as a child process that can be killed at any moment.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hivemem_client::{Client, ClientOptions};
use tempfile::TempDir;

/// Time within which a server that is alive must do whatever is asked of it here. Long, since one that starts makes the vectors
/// of its own documentation first, and other work may have the cores meanwhile.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// One data directory and the server over it, if one runs.
pub struct Server {
    home: TempDir,
    child: Option<Child>,
    pub starts: u64,
    config: &'static str,
}

/// Configuration with the local model.
const USUAL: &str = "usual.toml";
/// Configuration with the same model under another revision, which for the server is another model.
const OTHER: &str = "other.toml";

impl Server {
    pub fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let other = crate::model::under_another_revision(home.path()).display().to_string();
        for (name, model) in [(USUAL, String::new()), (OTHER, other)] {
            // One session of the model loads faster than one per core, and there is little to embed.
            let embedder = format!("[embedder]\nsessions = 1\nquery_threads = 1\nmodel_dir = {model:?}\n");
            let config = format!("{embedder}[log]\nfilter = \"warn,qdrant_edge=error\"\n");
            std::fs::write(home.path().join(name), config).unwrap();
        }
        Self { home, child: None, starts: 0, config: USUAL }
    }

    /// From its next start on it is configured with the model that it was not configured with before.
    pub fn change_model(&mut self) {
        self.config = if self.config == USUAL { OTHER } else { USUAL };
    }

    pub fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.home.path().join("log")
    }

    /// Starts it without waiting for anything.
    pub fn launch(&mut self) -> BufReader<std::process::ChildStdout> {
        self.starts += 1;
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log()).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_hivemem"))
            .args(["serve", "--listen", "127.0.0.1:0", "--config"])
            .arg(self.home.path().join(self.config))
            .arg("--data-dir")
            .arg(self.data())
            .env_remove("HIVEMEM_TOKEN")
            .env_remove("HIVEMEM_DATA_DIR")
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        self.child = Some(child);
        said
    }

    /// Starts it and connects once it listens.
    pub async fn start(&mut self) -> Client {
        let mut said = self.launch();
        let line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            said.read_line(&mut line).unwrap();
            line
        });
        let line = tokio::time::timeout(PATIENCE, line).await.expect("the server does not start").unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap_or_else(|| {
            panic!("the server did not start again: {line:?}\n{}", self.log_tail());
        });
        let options = ClientOptions { timeout: PATIENCE, ..ClientOptions::default() };
        Client::connect(url, options).await.unwrap()
    }

    /// SIGKILL, and the end of the process.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// The end of what the servers logged.
    pub fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// Lines of the log that `is` picks.
    pub fn logged(&self, is: impl Fn(&str) -> bool) -> Vec<String> {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        log.lines().filter(|line| is(line)).map(str::to_owned).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            self.home.disable_cleanup(true);
            println!("the data is left in {}; the log ends with\n{}", self.home.path().display(), self.log_tail());
        }
    }
}

/// Folders and files below `root`, for the message of a failure.
pub fn listing(root: &Path) -> String {
    let mut names: Vec<String> = std::fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().display().to_string())
        .collect();
    names.sort();
    names.join("\n")
}
