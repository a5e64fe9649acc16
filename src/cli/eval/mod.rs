//! `hivemem eval`: quality and latency on labelled sets, through the public API and with default settings, so that what
//! it measures is what a user gets.

mod code;
mod documents;
mod host;
mod report;
mod routing;

use std::path::Path;

use super::args::{EvalArgs, EvalCommand, Global};
use super::failure::Failure;
use super::output;

use crate::server::sets::{self, CodeRepo, RetrievalSet};
use host::{Host, ResultsFile};
use report::{Overall, Part, Summary};

/// What sort of sets is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Retrieval,
    Memory,
    Code,
}

/// Runs the command.
pub(super) async fn run(command: EvalCommand, global: &Global) -> Result<(), Failure> {
    let (kind, args) = match command {
        EvalCommand::Routing(args) => {
            check(&args.eval, global)?;
            return routing::run(args, global).await;
        }
        EvalCommand::Retrieval(args) => (Kind::Retrieval, args),
        EvalCommand::Memory(args) => (Kind::Memory, args),
        EvalCommand::Code(args) => (Kind::Code, args),
    };
    check(&args, global)?;
    // All sets are read before anything is measured: a broken one should not cost the time of those before it.
    let loaded = args.sets.iter().map(|dir| Loaded::read(kind, dir)).collect::<Result<Vec<_>, _>>()?;
    let mut run =
        Run { results: ResultsFile::create(args.results.as_deref())?, parts: Vec::new(), summaries: Vec::new() };
    for (dir, loaded) in args.sets.iter().zip(loaded) {
        let host = Host::open(&args, global, &sets::set_name(dir), args.sets.len() > 1).await?;
        let outcome = run.measure(&host, kind, loaded, &args, global.json).await;
        host.close(outcome).await?;
    }
    let overall = if kind == Kind::Code { Overall::Parts } else { Overall::Queries };
    if let Some(all) = Summary::of_all(&run.parts, overall) {
        run.add(all, global.json)?;
    }
    run.results.finish()?;
    if global.json { Ok(()) } else { output::print(&report::table(&run.summaries)) }
}

fn check(args: &EvalArgs, global: &Global) -> Result<(), Failure> {
    if global.data_dir.is_some() {
        return Err(Failure::usage("eval makes a fresh data directory; use --keep DIR to keep it, not --data-dir"));
    }
    if global.server_explicit && (args.keep.is_some() || args.config.is_some()) {
        return Err(Failure::usage("--keep and --config are for the server in process; leave them or --server out"));
    }
    Ok(())
}

/// A folder of the command line, read.
enum Loaded {
    Documents(Vec<RetrievalSet>),
    Code(Vec<CodeRepo>),
}

impl Loaded {
    fn read(kind: Kind, dir: &Path) -> Result<Self, Failure> {
        Ok(match kind {
            Kind::Code => Self::Code(sets::read_code(dir)?),
            Kind::Retrieval => Self::Documents(vec![sets::read_retrieval(dir)?]),
            Kind::Memory => {
                let parts = sets::memory_parts(dir)?;
                Self::Documents(parts.iter().map(|part| sets::read_retrieval(part)).collect::<Result<_, _>>()?)
            }
        })
    }
}

/// What a run has gathered.
struct Run {
    results: ResultsFile,
    parts: Vec<Part>,
    summaries: Vec<Summary>,
}

impl Run {
    async fn measure(
        &mut self,
        host: &Host,
        kind: Kind,
        loaded: Loaded,
        args: &EvalArgs,
        as_json: bool,
    ) -> Result<(), Failure> {
        match loaded {
            Loaded::Code(repos) => {
                for repo in repos {
                    let client = host.namespace(&repo.name).await?;
                    let part = code::measure(&client, repo, args, &mut self.results).await?;
                    self.part(part, as_json)?;
                }
            }
            Loaded::Documents(sets) => {
                for set in sets {
                    let client = host.namespace(&set.name).await?;
                    let apart = kind == Kind::Memory;
                    let part = documents::measure(&client, set, args, apart, &mut self.results).await?;
                    self.part(part, as_json)?;
                }
            }
        }
        Ok(())
    }

    fn part(&mut self, part: Part, as_json: bool) -> Result<(), Failure> {
        let summary = Summary::of_part(&part);
        self.parts.push(part);
        self.add(summary, as_json)
    }

    /// JSON is printed as soon as it is known; the table needs all rows to line up.
    fn add(&mut self, summary: Summary, as_json: bool) -> Result<(), Failure> {
        if as_json {
            output::print_json(&summary.json())?;
        }
        self.summaries.push(summary);
        Ok(())
    }
}
