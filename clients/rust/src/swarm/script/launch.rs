//! Runs code in a process of its own: JSON in, bytes out, within limits, and with everything it started gone afterwards.
//!
//! The limits keep a mistake from taking the machine along; they are no wall against an attacker who knows the kernel. What the
//! kernel did not allow is said with each run.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::timeout;
use uuid::Uuid;

use super::sandbox::{self, Group};
use crate::swarm::llm::cut;
use crate::swarm::node::NodeError;
use crate::swarm::settings::ScriptSettings;
use crate::swarm::step::Step;

/// Most bytes of stderr that are kept; the rest is read and dropped.
const STDERR_BYTES: u64 = 16 * 1024;

/// What a script left.
#[derive(Debug)]
pub(in crate::swarm) struct Ran {
    pub stdout: String,
    pub stderr: String,
    /// `None` if a signal ended it.
    pub code: Option<i32>,
}

impl Ran {
    /// The one JSON value that was printed, by a script that succeeded.
    pub fn json(&self) -> Result<Value, NodeError> {
        if self.code != Some(0) {
            return Err(NodeError::again(format!("the script {}: {}", self.ended(), tail(&self.stderr))));
        }
        serde_json::from_str(&self.stdout).map_err(|cause| {
            NodeError::again(format!("the script printed no JSON ({cause}): {:?}", cut(&self.stdout, 200)))
        })
    }

    fn ended(&self) -> String {
        self.code.map_or_else(|| "was killed".to_owned(), |code| format!("ended with {code}"))
    }
}

/// The last lines, where the reason stands.
fn tail(text: &str) -> &str {
    let text = text.trim();
    &text[text.ceil_char_boundary(text.len().saturating_sub(600))..]
}

/// Runs `code` with `input` on stdin, in the folder of the run. It ends with this process, however that ends.
///
/// # Errors
/// Where scripts are not enabled or the language is not known; where it takes too long or prints too much.
pub(in crate::swarm) async fn run(step: &Step, language: &str, code: &str, input: &Value) -> Result<Ran, NodeError> {
    let settings = &step.settings().scripts;
    if !settings.enabled {
        let message = "scripts are not allowed in this run: whoever starts it has to say so (--allow-scripts)";
        return Err(NodeError::fatal(message));
    }
    let language = language.to_lowercase();
    let Some(interpreter) = settings.interpreters.get(&language).filter(|words| !words.is_empty()) else {
        let known: Vec<&str> = settings.interpreters.keys().map(String::as_str).collect();
        let message = format!("no interpreter for {language:?}; there are: {}", known.join(", "));
        return Err(NodeError::fatal(message));
    };
    let place = Place::make(&step.work_dir(), code, input).await?;
    let sandbox = sandbox::probe().await;
    if let Some(missing) = sandbox.missing(settings) {
        step.note(missing);
    }
    let mut command = Command::new("sh");
    command.args(sandbox.words(settings, &place.input)).args(interpreter).arg(&place.script);
    let ran = supervise(command, settings, &place.dir).await;
    place.clear().await;
    ran
}

async fn supervise(mut command: Command, settings: &ScriptSettings, dir: &Path) -> Result<Ran, NodeError> {
    let failed = |what: &str, cause: std::io::Error| NodeError::again(format!("the script {what}: {cause}"));
    let mut child = command
        .current_dir(dir)
        .env_clear()
        .env("PATH", &settings.path)
        .env("LANG", "C.UTF-8")
        .env("HOME", dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|cause| failed("can't be started", cause))?;
    // Killed with all its kin when this is dropped, however that comes.
    let group = Group::new(child.id());
    // Its end is how those who wait beside the script hear of ours.
    let _alive = child.stdin.take();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let most = settings.output_bytes;
    let wall = Duration::from_millis(settings.wall_ms);
    let whole = async {
        // The first to fail ends it: a script that floods would go on forever on its other output.
        let stdout = async {
            let read = all(stdout, most).await.map_err(|cause| failed("could not be read", cause))?;
            let over = || NodeError::again(format!("the script printed more than {most} bytes, which is the limit"));
            read.ok_or_else(over)
        };
        let (stdout, stderr) = tokio::try_join!(stdout, async { Ok(some(stderr).await) })?;
        let status = child.wait().await.map_err(|cause| failed("was lost", cause))?;
        Ok(Ran { stdout, stderr, code: status.code() })
    };
    let ran = timeout(wall, whole)
        .await
        .unwrap_or_else(|_| Err(NodeError::again(format!("the script ran longer than {} ms", settings.wall_ms))));
    drop(group);
    ran
}

/// Everything, or `None` once it is more than `most`.
async fn all(reader: Option<impl AsyncRead + Unpin>, most: u64) -> std::io::Result<Option<String>> {
    let mut bytes = Vec::new();
    if let Some(reader) = reader {
        reader.take(most + 1).read_to_end(&mut bytes).await?;
    }
    Ok((bytes.len() as u64 <= most).then(|| String::from_utf8_lossy(&bytes).into_owned()))
}

/// The last bytes of whatever comes.
async fn some(reader: Option<impl AsyncRead + Unpin>) -> String {
    let mut kept = Vec::new();
    if let Some(mut reader) = reader {
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = reader.read(&mut piece).await {
            kept.extend_from_slice(&piece[..count]);
            let over = kept.len().saturating_sub(STDERR_BYTES as usize);
            kept.drain(..over);
        }
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// The folder of the run with one script in it.
struct Place {
    dir: PathBuf,
    script: PathBuf,
    /// What it reads.
    input: PathBuf,
}

impl Place {
    async fn make(dir: &Path, code: &str, input: &Value) -> Result<Self, NodeError> {
        let failed = |path: &Path, cause| NodeError::again(format!("{} can't be written: {cause}", path.display()));
        tokio::fs::create_dir_all(dir).await.map_err(|cause| failed(dir, cause))?;
        let dir = tokio::fs::canonicalize(dir).await.map_err(|cause| failed(dir, cause))?;
        let script = dir.join(format!(".script-{}", Uuid::now_v7()));
        let place = Self { input: script.with_extension("json"), script, dir };
        for (path, content) in [(&place.script, code), (&place.input, &*input.to_string())] {
            if let Err(cause) = tokio::fs::write(path, content).await {
                place.clear().await;
                return Err(failed(path, cause));
            }
        }
        Ok(place)
    }

    async fn clear(&self) {
        for path in [&self.script, &self.input] {
            // What is left is a small file in the run's own folder.
            let _ = tokio::fs::remove_file(path).await;
        }
    }
}
