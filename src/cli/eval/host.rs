//! Where a set is measured: a server in this process over a fresh data directory, or a given one with a fresh namespace.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use hivemem_client::proto::{Hit, IngestReport, SearchRequest};
use hivemem_client::{Client, ClientError, ErrorKind, ProgressStream};
use serde_json::Value;
use tempfile::TempDir;

use crate::server::ServeOptions;

use super::super::args::{EvalArgs, Global};
use super::super::failure::Failure;
use super::super::output::note;
use super::super::progress::IngestBar;
use super::super::render;
use super::super::session::{Session, options};

/// A server to measure.
pub(super) struct Host {
    session: Session,
    /// Removed when dropped.
    scratch: Option<TempDir>,
    /// Makes the names of namespaces unique on a server that others use too.
    prefix: String,
}

impl Host {
    /// Opens one for the set `name`; `several` sets in one run each get a data directory of their own.
    pub async fn open(args: &EvalArgs, global: &Global, name: &str, several: bool) -> Result<Self, Failure> {
        let temp = || {
            let made = tempfile::Builder::new().prefix("hivemem-eval-").tempdir();
            made.map_err(|cause| Failure::failed(format!("no temporary directory can be made: {cause}")))
        };
        if global.server_explicit {
            // The directory only lends its random name.
            let unique = temp()?;
            let unique = unique.path().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            // Without a data directory of its own the session never starts a server.
            let session = Session::open(&Global { data_dir: None, ..global.clone() }).await?;
            note(format!("measuring the server at {}; namespaces {unique}/… stay there", global.server));
            return Ok(Self { session, scratch: None, prefix: format!("{unique}/") });
        }
        let (data_dir, scratch) = match &args.keep {
            Some(dir) => (fresh(if several { dir.join(name) } else { dir.clone() })?, None),
            None => {
                let scratch = temp()?;
                (scratch.path().to_owned(), Some(scratch))
            }
        };
        let serve = ServeOptions {
            config: args.config.clone(),
            data_dir: Some(data_dir),
            one_command: true,
            program: crate::cli::this_program(),
            ..ServeOptions::default()
        };
        let session = Session::start(serve, options(global)).await?;
        Ok(Self { session, scratch, prefix: String::new() })
    }

    /// A client for the namespace of a part, which is created.
    pub async fn namespace(&self, part: &str) -> Result<Client, Failure> {
        let allowed = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
        let name: String = part.chars().map(allowed).take(64).collect();
        let name = format!("{}{name}", self.prefix);
        match self.session.client.create_namespace(&name).await {
            Ok(()) => {}
            // A server may make the default one by itself.
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => return Err(error.into()),
        }
        Ok(self.session.client.with_namespace(&name))
    }

    /// Stops the server and removes its data directory unless it is kept.
    pub async fn close<T>(self, outcome: Result<T, Failure>) -> Result<T, Failure> {
        let outcome = self.session.close(outcome).await;
        if let Some(scratch) = self.scratch {
            let path = scratch.path().to_owned();
            if let Err(cause) = scratch.close() {
                note(format!("warning: {} can't be removed: {cause}", path.display()));
            }
        }
        outcome
    }
}

/// A data directory that holds nothing yet: what is in it already would be measured too.
fn fresh(dir: PathBuf) -> Result<PathBuf, Failure> {
    std::fs::create_dir_all(&dir)
        .map_err(|cause| Failure::usage(format!("--keep {} can't be made: {cause}", dir.display())))?;
    let used = std::fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_some());
    if used {
        return Err(Failure::usage(format!("--keep {} is not empty; name a new directory", dir.display())));
    }
    Ok(dir)
}

/// Follows an ingest until its vectors are done. Returns seconds and report, and says what was left out.
pub(super) async fn follow(
    name: &str,
    began: Instant,
    started: Result<ProgressStream, ClientError>,
) -> Result<(f64, IngestReport), Failure> {
    let mut bar = IngestBar::new(name);
    let outcome = match started {
        Ok(progress) => progress.finish(|progress| bar.observe(progress)).await,
        Err(error) => Err(error),
    };
    bar.clear();
    let report = outcome.map_err(|error| Failure::from(error).about(name))?;
    for (what, by_reason) in [("skipped", &report.skipped_by_reason), ("failed", &report.failed_by_reason)] {
        for (reason, number) in by_reason {
            note(format!("{name}: {} {what}: {reason}", render::plural(*number, "document")));
        }
    }
    Ok((began.elapsed().as_secs_f64(), report))
}

/// Asks queries and remembers whether any answer was less than whole.
#[derive(Debug, Default)]
pub(super) struct Asker {
    degraded: Option<(usize, String)>,
}

impl Asker {
    /// Asks one query. Returns the hits and how long it took at the client, in milliseconds.
    pub async fn ask(&mut self, client: &Client, id: &str, request: SearchRequest) -> Result<(Vec<Hit>, f64), Failure> {
        let began = Instant::now();
        let outcome = client.search(request).await;
        let ms = began.elapsed().as_secs_f64() * 1e3;
        let response = outcome.map_err(|error| Failure::failed(error.to_string()).about(format!("query {id}")))?;
        if let Some(warning) = render::degraded(response.completeness.as_ref()) {
            let (count, _) = self.degraded.get_or_insert((0, warning));
            *count += 1;
        }
        Ok((response.hits, ms))
    }

    /// Says what was degraded: such figures are not those of the server as it should be.
    pub fn report(&self, name: &str) {
        if let Some((count, first)) = &self.degraded {
            note(format!("{name}: {} degraded, the first one: {first}", render::plural(*count as u64, "answer")));
        }
    }
}

/// Where what was returned is written, if anywhere.
pub(super) struct ResultsFile(Option<(PathBuf, BufWriter<File>)>);

impl ResultsFile {
    /// Creates the file.
    pub fn create(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(Self(None)) };
        let file = File::create(path)
            .map_err(|cause| Failure::usage(format!("--results {} can't be written: {cause}", path.display())))?;
        Ok(Self(Some((path.to_owned(), BufWriter::new(file)))))
    }

    /// Writes one line.
    pub fn write(&mut self, line: &Value) -> Result<(), Failure> {
        let Some((path, file)) = &mut self.0 else { return Ok(()) };
        writeln!(file, "{line}").map_err(|cause| cannot_write(path, &cause))
    }

    /// Makes sure that all of it is written.
    pub fn finish(mut self) -> Result<(), Failure> {
        let Some((path, file)) = &mut self.0 else { return Ok(()) };
        file.flush().map_err(|cause| cannot_write(path, &cause))
    }
}

fn cannot_write(path: &Path, cause: &std::io::Error) -> Failure {
    Failure::failed(format!("{} can't be written: {cause}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_directory_has_to_be_new_or_empty() {
        let dir = tempfile::tempdir().unwrap();
        assert!(fresh(dir.path().join("new/deep")).is_ok());
        assert!(fresh(dir.path().join("new/deep")).is_ok());
        assert_eq!(fresh(dir.path().join("new")).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn results_are_json_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.jsonl");
        let mut results = ResultsFile::create(Some(&path)).unwrap();
        results.write(&serde_json::json!({"id": "q"})).unwrap();
        results.write(&serde_json::json!({"id": "r"})).unwrap();
        results.finish().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"id\":\"q\"}\n{\"id\":\"r\"}\n");
        assert_eq!(ResultsFile::create(Some(dir.path())).err().unwrap().exit_code(), 2);
    }
}
