//! Code in the folder of the run: kept there, and run there.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::{said, texts};
use crate::swarm::kind::NodeType;
use crate::swarm::node::{NodeError, NodeResult, Outcome};
use crate::swarm::script::launch;
use crate::swarm::step::Step;

/// Keeps code in a file of the run.
pub(super) struct SaveCode;

/// Runs code and reads what it prints.
pub(super) struct ExecuteCode;

#[tonic::async_trait]
impl NodeType for SaveCode {
    fn description(&self) -> &str {
        "Saves code or text as a file in the folder of the run, where later nodes find it."
    }

    fn schema(&self) -> Value {
        texts(&["path", "code"], &[])
    }

    fn utterances(&self) -> Vec<String> {
        said(&["save this code to a file", "store the script", "write the file to disk"])
    }

    async fn execute(&self, step: &Arc<Step>) -> NodeResult {
        let (path, code) = (step.text("path"), step.text("code"));
        let file = inside(&step.work_dir(), path)?;
        let receipt = step
            .effect("save_code", |_| async {
                write(&step.work_dir(), &file, code).await?;
                Ok(json!({"path": path, "bytes": code.len()}))
            })
            .await?;
        Ok(Outcome::Finish(receipt))
    }
}

/// The file `path` below `dir`, and never anywhere else.
fn inside(dir: &Path, path: &str) -> Result<PathBuf, NodeError> {
    let wanted = Path::new(path);
    let plain = wanted.components().all(|part| matches!(part, Component::Normal(_)));
    if !plain || path.is_empty() || path.contains('\0') {
        return Err(NodeError::again(format!("{path:?} is no path within the folder of the run")));
    }
    Ok(dir.join(wanted))
}

async fn write(dir: &Path, file: &Path, text: &str) -> Result<(), NodeError> {
    let failed = |cause: std::io::Error| NodeError::again(format!("{} can't be written: {cause}", file.display()));
    let folder = file.parent().unwrap_or(dir);
    tokio::fs::create_dir_all(folder).await.map_err(failed)?;
    // A script of the run may have left a link that leads out.
    let (dir, folder) = (tokio::fs::canonicalize(dir).await, tokio::fs::canonicalize(folder).await);
    let (dir, folder) = (dir.map_err(failed)?, folder.map_err(failed)?);
    let linked = tokio::fs::symlink_metadata(file).await.is_ok_and(|found| found.is_symlink());
    if !folder.starts_with(&dir) || linked {
        return Err(NodeError::fatal(format!("{} leads out of the folder of the run", file.display())));
    }
    tokio::fs::write(file, text).await.map_err(failed)
}

#[tonic::async_trait]
impl NodeType for ExecuteCode {
    fn description(&self) -> &str {
        "Runs code in a process of its own and returns what it printed."
    }

    fn schema(&self) -> Value {
        let mut schema = texts(&["language", "code"], &[]);
        schema["properties"]["input"] = json!({});
        schema["properties"]["effect"] = json!({"type": "boolean"});
        schema
    }

    fn utterances(&self) -> Vec<String> {
        said(&["run this script", "execute the code", "run the command and read the terminal output"])
    }

    async fn execute(&self, step: &Arc<Step>) -> NodeResult {
        let called = async {
            let ran = launch::run(step, step.text("language"), step.text("code"), &step.data["input"]).await?;
            // Here a failing program is a result like any other: whoever reads it decides.
            Ok(json!({"stdout": ran.stdout, "stderr": ran.stderr, "code": ran.code}))
        };
        let output = match step.data["effect"] == true {
            true => step.effect("execute_code", |_| called).await?,
            false => called.await?,
        };
        Ok(Outcome::Finish(output))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stay_in_the_folder() {
        let dir = Path::new("/runs/r");
        assert_eq!(inside(dir, "a/b.py").unwrap(), Path::new("/runs/r/a/b.py"));
        for bad in ["", "/etc/passwd", "../x", "a/../../x", "a\0b"] {
            assert!(inside(dir, bad).is_err(), "{bad:?}");
        }
    }
}
