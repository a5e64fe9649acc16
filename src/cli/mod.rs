//! The command line: parses arguments, talks to a server through the thin client, prints.
//!
//! Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage. No retrieval logic
//! lives here; a command that needs some is a missing call of the protocol.

mod args;
mod backup;
mod care;
mod context;
mod data;
mod eval;
mod failure;
mod graph;
mod ingest;
mod mcp;
mod mcp_tools;
mod memory;
mod nodes;
mod output;
mod progress;
mod rebuild;
mod render;
mod search;
mod session;
mod stats;
mod swarm;

use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches};

use crate::server::{self, ServeOptions};

use args::{Cli, Command, Global};
use failure::Failure;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    // What a server starts for each PDF is no command for people, and needs no threads.
    if std::env::args().nth(1).as_deref() == Some(server::READ_COMMAND) {
        return if server::read_document().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let matches = match Cli::command().try_get_matches() {
        Ok(matches) => matches,
        // Help and version arrive here too; clap knows where each goes and its exit code.
        Err(error) => error.exit(),
    };
    // Only what stands on the command line counts as explicit: eval must not fill a server that the environment names.
    let server_explicit = matches.value_source("server") == Some(ValueSource::CommandLine);
    let mut cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    cli.global.server_explicit = server_explicit;
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Where this program lies; without it PDFs are read in process.
fn this_program() -> Option<std::path::PathBuf> {
    std::env::current_exe().ok()
}

fn run(cli: Cli) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|cause| Failure::failed(format!("threads can't be started: {cause}")))?;
    let outcome = runtime.block_on(async {
        match cli.command {
            // The server has its own way to stop: it flushes first.
            Command::Serve(args) => serve(args, cli.global).await,
            // Ctrl-C is how it ends, not what interrupts it.
            Command::Ingest(args) if args.watch => ingest::run(args, &cli.global).await,
            command => tokio::select! {
                outcome = dispatch(command, &cli.global) => outcome,
                _ = tokio::signal::ctrl_c() => Err(Failure::failed("interrupted; what was acknowledged is stored")),
            },
        }
    });
    // A blocking read that nobody waits for any more (stdin, say) must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    outcome
}

async fn serve(args: args::ServeArgs, global: Global) -> Result<(), Failure> {
    let options = ServeOptions {
        config: global.config,
        data_dir: global.data_dir,
        listen: args.listen,
        token: global.token,
        one_command: false,
        program: this_program(),
    };
    Ok(server::serve(options).await?)
}

async fn dispatch(command: Command, global: &Global) -> Result<(), Failure> {
    match command {
        Command::Serve(_) => Err(Failure::failed("serve is not a client command")),
        Command::Ingest(args) => ingest::run(args, global).await,
        Command::Remember(args) => memory::remember(args, global).await,
        Command::Forget(args) => memory::forget(args, global).await,
        Command::Search(args) => search::run(args, global).await,
        Command::Context(args) => context::run(args, global).await,
        Command::Tree(args) => graph::tree(args, global).await,
        Command::Graph { command } => graph::run(command, global).await,
        Command::Nodes { command } => nodes::nodes(command, global).await,
        Command::Route(args) => nodes::route(args, global).await,
        Command::Outcome(args) => nodes::outcome(args, global).await,
        Command::Swarm { command } => swarm::swarm(command, global).await,
        Command::Data { command } => data::run(command, global).await,
        Command::Stats => stats::run(global).await,
        Command::Rebuild(args) => rebuild::run(args, global).await,
        Command::Namespace { command } => stats::namespace(command, global).await,
        Command::Fsck(args) => care::fsck(args, global).await,
        Command::Compact => care::compact(global).await,
        Command::Backup(args) => backup::backup(args, global).await,
        Command::Restore(args) => backup::restore(args, global).await,
        Command::Mcp => mcp::serve(global).await,
        Command::Eval { command } => eval::run(command, global).await,
    }
}
