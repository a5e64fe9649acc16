//! The arguments of every command, as people type them.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::{Args, Parser, Subcommand, ValueEnum};
use hivemem_client::proto::SearchMode;

mod data;
mod graph;
mod nodes;
mod swarm;

pub(super) use data::{DataCommand, DataFilterArgs, RegisterArgs};
pub(super) use graph::{GraphCommand, LinkArgs, NeighborsArgs, TreeArgs, Way};
pub(super) use nodes::{NodesCommand, OutcomeArgs, RouteArgs};
pub(super) use swarm::{RunLimits, Status, SwarmCommand, WorkArgs};

use crate::base::clock::{Clock as _, SystemClock, Timestamp};
use crate::base::limits::{CONTEXT_TOKENS_MAX, SEARCH_K_MAX};

/// The memory of an agent swarm: ingests code and documents, finds the evidence for a task, packs it into a context.
#[derive(Debug, Parser)]
#[command(name = "hivemem", version, disable_help_subcommand = true)]
pub(super) struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub(super) struct Global {
    /// Server to talk to
    #[arg(long, global = true, value_name = "URL", env = "HIVEMEM_SERVER", default_value = "http://127.0.0.1:7411")]
    pub server: String,
    /// Namespace to work in
    #[arg(long, global = true, value_name = "NS", default_value = "default")]
    pub namespace: String,
    /// Access token
    #[arg(long, global = true, value_name = "TOKEN", env = "HIVEMEM_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Print JSON on stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// Configuration file (TOML) of the server, or of one that a command opens in process
    #[arg(long, global = true, value_name = "FILE", env = "HIVEMEM_CONFIG")]
    pub config: Option<PathBuf>,
    /// Data directory to serve, or to open in process where no server listens
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Whether `--server` stands on the command line.
    #[arg(skip)]
    pub server_explicit: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the server
    Serve(ServeArgs),
    /// Bring directories and files in
    Ingest(IngestArgs),
    /// Store a memory
    Remember(RememberArgs),
    /// Delete documents
    Forget(ForgetArgs),
    /// Find evidence
    Search(SearchArgs),
    /// Gather a context for a task within a token budget
    Context(ContextArgs),
    /// Show the folder tree, with what files define
    Tree(TreeArgs),
    /// Ask the knowledge graph
    Graph {
        #[command(subcommand)]
        command: GraphCommand,
    },
    /// Node types and tools: import, list, show, remove
    Nodes {
        #[command(subcommand)]
        command: NodesCommand,
    },
    /// Choose the tool for a goal, or say that none serves
    Route(RouteArgs),
    /// Tell what came of a routed goal
    Outcome(OutcomeArgs),
    /// Runs of a swarm: run, resume, list, show, answer, cancel
    Swarm {
        #[command(subcommand)]
        command: SwarmCommand,
    },
    /// All data that there is, ingested or not: list, describe, locate, read, register
    Data {
        #[command(subcommand)]
        command: DataCommand,
    },
    /// Show counts and states
    Stats,
    /// Build an index anew beside the one that serves
    Rebuild(RebuildArgs),
    /// Create and list namespaces
    Namespace {
        #[command(subcommand)]
        command: NamespaceCommand,
    },
    /// Check that all stores hold the same
    Fsck(FsckArgs),
    /// Give the space of what was removed back
    Compact,
    /// Copy everything to one file, also while the server runs; it holds all texts in the clear
    Backup(BackupArgs),
    /// Make a new data directory out of a backup
    Restore(RestoreArgs),
    /// Offer memory, context and routing to agents as MCP tools over stdio
    Mcp,
    /// Measure quality and latency on labelled sets
    Eval {
        #[command(subcommand)]
        command: EvalCommand,
    },
}

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Address to listen on, such as 127.0.0.1:7411
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct IngestArgs {
    /// Directories or files that the server can read; relative ones count from here
    ///
    /// Or an address: git+https://HOST/REPO.git[@REF][#FOLDER] or git+file://PATH, github:OWNER/NAME (code, issues and pull
    /// requests), https://PAGE, site:https://PAGE (all that it links to at and below its folder), sqlite:///FILE,
    /// postgres://HOST/DATABASE, s3://, gs://, az://.
    #[arg(required = true, value_name = "SOURCE")]
    pub sources: Vec<String>,
    /// Only paths that match, such as 'src/**/*.rs' (repeatable)
    #[arg(long, value_name = "GLOB")]
    pub include: Vec<String>,
    /// No paths that match (repeatable)
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// Tag for every document (repeatable)
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// Return once lexically searchable; vectors follow
    #[arg(long)]
    pub no_wait: bool,
    /// Read every file, whatever its size and time say; and mean it where a folder has become empty
    #[arg(long)]
    pub verify: bool,
    /// Follow changes after this sync and print each later sync, until Ctrl-C
    ///
    /// The server goes on following when this command ends, also after a restart, until --no-watch or until the source is
    /// forgotten. A server in process (--data-dir) follows for as long as the command runs. Later syncs use the globs and
    /// tags given here.
    #[arg(long)]
    pub watch: bool,
    /// Do nothing, say what would be read and how much that is
    #[arg(long, conflicts_with_all = ["watch", "no_watch"])]
    pub dry_run: bool,
    /// Name of credentials in the server's configuration to read the sources with
    #[arg(long, value_name = "NAME")]
    pub credential: Option<String>,
    /// Stop following, then sync once
    #[arg(long, conflicts_with = "watch")]
    pub no_watch: bool,
    /// Follow the links of a web page: its whole site at and below its folder, as robots.txt allows
    #[arg(long)]
    pub crawl: bool,
    /// Most links between the first page of a crawl and another (10)
    #[arg(long, value_name = "N")]
    pub depth: Option<u32>,
    /// Most pages of a crawl (1000)
    #[arg(long, value_name = "N")]
    pub pages: Option<u32>,
    /// Least time between two requests of a crawl, such as 500ms (1s; none to this machine)
    #[arg(long, value_name = "D", value_parser = humantime::parse_duration)]
    pub delay: Option<Duration>,
}

#[derive(Debug, Args)]
pub(super) struct RememberArgs {
    /// The memory; `-` reads it from stdin
    #[arg(value_name = "TEXT", allow_hyphen_values = true)]
    pub text: String,
    /// Tag (repeatable)
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// Title
    #[arg(long, value_name = "TITLE")]
    pub title: Option<String>,
    /// Forget it after this long, such as 30m, 12h or 7d
    #[arg(long, value_name = "D", value_parser = humantime::parse_duration)]
    pub ttl: Option<Duration>,
    /// What it is: fact, note, output, …
    #[arg(long, value_name = "KIND")]
    pub kind: Option<String>,
    /// Run that it comes from
    #[arg(long, value_name = "ID")]
    pub run: Option<String>,
    /// Node of that run
    #[arg(long, value_name = "ID")]
    pub node: Option<String>,
    /// How far it is trusted: local, agent or external
    #[arg(long, value_name = "LABEL")]
    pub trust: Option<String>,
    /// Idempotency key: the same request with the same key is done once
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ForgetArgs {
    /// A URI or path, or prefix:URI, source:SOURCE, tag:TAG, id:DOCUMENT
    #[arg(value_name = "SELECTOR", required_unless_present_any = ["paths", "languages", "kinds", "tags", "sources"])]
    pub selector: Option<String>,
    /// Instead of a selector: everything that passes
    #[command(flatten)]
    pub filter: FilterArgs,
}

/// An index that can be built anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Projection {
    /// Vector search
    Vector,
    /// Full-text search
    Lexical,
    /// The knowledge graphs in memory
    Graph,
}

impl Projection {
    /// Its name in the protocol.
    pub fn wire(self) -> &'static str {
        match self {
            Self::Graph => "graph",
            Self::Vector => "vector",
            Self::Lexical => "lexical",
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct RebuildArgs {
    /// Which one; without it all
    #[arg(value_enum)]
    pub projection: Option<Projection>,
}

/// Which channels answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Mode {
    /// Words and meaning together
    Hybrid,
    /// Meaning alone
    Dense,
    /// Words alone
    Lexical,
    /// What belongs with the hits of both, by the knowledge graph alone
    Graph,
}

impl Mode {
    /// As the protocol numbers it.
    pub fn wire(self) -> i32 {
        let mode = match self {
            Self::Hybrid => SearchMode::Hybrid,
            Self::Dense => SearchMode::Dense,
            Self::Lexical => SearchMode::Lexical,
            Self::Graph => SearchMode::Graph,
        };
        mode as i32
    }
}

/// What a hit has to satisfy.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct FilterArgs {
    /// Only paths that match, such as 'src/**/*.rs' (repeatable)
    #[arg(long = "path", value_name = "GLOB")]
    pub paths: Vec<String>,
    /// Only this language, such as rust (repeatable)
    #[arg(long = "lang", value_name = "LANG")]
    pub languages: Vec<String>,
    /// Only this kind: code, markdown, html, text, data, memory (repeatable)
    #[arg(long = "kind", value_name = "KIND")]
    pub kinds: Vec<String>,
    /// Only documents with this tag (repeatable)
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// Only this source, as given to ingest (repeatable)
    #[arg(long = "source", value_name = "SOURCE")]
    pub sources: Vec<String>,
    /// Only what was modified since then: 2026-11-30, 2026-11-30T12:00:00Z, or 7d for the last seven days
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub since: Option<SystemTime>,
    /// Only what was modified before then
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub until: Option<SystemTime>,
}

/// A point of time: a date, a date with time, or how long ago.
fn moment(text: &str) -> Result<SystemTime, String> {
    if let Ok(ago) = humantime::parse_duration(text) {
        let ago = i64::try_from(ago.as_micros()).map_err(|_| "that is before all time".to_owned())?;
        return Ok(Timestamp(SystemClock.now().0.saturating_sub(ago)).to_system());
    }
    let time = if text.len() == "2026-11-30".len() { format!("{text}T00:00:00Z") } else { text.to_owned() };
    humantime::parse_rfc3339_weak(&time)
        .map_err(|_| "give a date (2026-11-30), a time (2026-11-30T12:00:00Z) or how long ago (7d)".to_owned())
}

#[derive(Debug, Args)]
pub(super) struct SearchArgs {
    /// A question, a phrase, a symbol
    #[arg(value_name = "QUERY", allow_hyphen_values = true)]
    pub query: String,
    /// Hits wanted
    #[arg(short, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=i64::from(SEARCH_K_MAX)))]
    pub k: u32,
    /// Channels to ask
    #[arg(long, value_enum, default_value_t = Mode::Hybrid)]
    pub mode: Mode,
    #[command(flatten)]
    pub filter: FilterArgs,
    /// At most N hits of one document; 0: no limit
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub per_document: u32,
    /// Read sources that changed again before answering
    #[arg(long)]
    pub fresh: bool,
    /// Show what each score is made of
    #[arg(long)]
    pub explain: bool,
}

#[derive(Debug, Args)]
pub(super) struct ContextArgs {
    /// What the agent is about to do
    #[arg(
        value_name = "TASK",
        allow_hyphen_values = true,
        required_unless_present = "map",
        default_value = "",
        hide_default_value = true
    )]
    pub task: String,
    /// A map of the repository instead of evidence: signatures by file, ranked for the task if there is one
    #[arg(long)]
    pub map: bool,
    /// Most tokens of the context (the server's default where absent)
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u32).range(1..=i64::from(CONTEXT_TOKENS_MAX)))]
    pub budget: Option<u32>,
    /// Whose tokenizer counts: an OpenAI model or encoding, a model of the server's [tokenizers], or `local`
    #[arg(long, value_name = "NAME", default_value = "")]
    pub model: String,
    /// Read sources that changed again before answering
    #[arg(long)]
    pub fresh: bool,
    /// Run that it is for: what the nodes around NODE remembered counts
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    pub run: String,
    /// Place in that run, such as 0.2.1
    #[arg(long, value_name = "NODE", default_value = "", hide_default_value = true, requires = "run")]
    pub node: String,
    /// Leave out what this citation covers (repeatable)
    #[arg(long = "held", value_name = "CITATION")]
    pub held: Vec<String>,
    #[command(flatten)]
    pub filter: FilterArgs,
}

#[derive(Debug, Args)]
pub(super) struct FsckArgs {
    /// Mend what differs from the catalogue
    #[arg(long)]
    pub repair: bool,
}

#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// File to write; an older backup there is replaced once the new one is whole
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// Backup to read; --data-dir names the new or empty directory
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(super) enum NamespaceCommand {
    /// Create a namespace
    Create {
        /// Its name
        name: String,
    },
    /// List namespaces
    Ls,
}

#[derive(Debug, Subcommand)]
pub(super) enum EvalCommand {
    /// Documents for queries; by characters where a set has spans.jsonl
    Retrieval(EvalArgs),
    /// Tools for goals; goals without a label are out of scope
    Routing(RoutingArgs),
    /// Conversations, one namespace each; adversarial queries apart
    Memory(EvalArgs),
    /// Files of source trees for queries
    Code(EvalArgs),
}

/// What `eval routing` takes.
#[derive(Debug, Clone, Args)]
pub(super) struct RoutingArgs {
    #[command(flatten)]
    pub eval: EvalArgs,
    /// Register descriptions only
    #[arg(long)]
    pub no_utterances: bool,
}

/// What every eval takes.
#[derive(Debug, Clone, Args)]
pub(super) struct EvalArgs {
    /// Folders with labelled sets
    #[arg(required = true, value_name = "SETDIR")]
    pub sets: Vec<PathBuf>,
    /// Keep the data directory here (it must be new or empty)
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Write what was returned to FILE as JSON lines
    #[arg(long, value_name = "FILE")]
    pub results: Option<PathBuf>,
    /// Only the first N queries of each part, for a quick look
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Channels to ask, for experiments: the figures are for hybrid
    #[arg(long, alias = "channels", value_enum, hide = true)]
    pub mode: Option<Mode>,
    /// Most hits of one document, for experiments
    #[arg(long, value_name = "N", hide = true)]
    pub per_document: Option<u32>,
    /// Configuration of the server in process, for experiments: the figures are for defaults
    #[arg(long, value_name = "FILE", hide = true)]
    pub config: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("hivemem").chain(line.split_whitespace()))
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_stand_before_or_after_the_command() {
        for line in ["--json --namespace ns --data-dir /d stats", "stats --namespace ns --data-dir /d --json"] {
            let cli = parse(line).unwrap();
            assert_eq!(cli.global.namespace, "ns");
            assert!(cli.global.json);
            assert_eq!(cli.global.data_dir.as_deref(), Some(std::path::Path::new("/d")));
        }
    }

    #[test]
    fn an_explicit_server_is_told_from_the_default() {
        for (line, explicit) in
            [("stats", false), ("stats --server http://h:1", true), ("--server http://h:1 stats", true)]
        {
            let matches = Cli::command().get_matches_from(std::iter::once("hivemem").chain(line.split_whitespace()));
            let source = matches.value_source("server");
            assert_eq!(source == Some(clap::parser::ValueSource::CommandLine), explicit, "{line}: {source:?}");
        }
    }

    #[test]
    fn wrong_usage_is_refused_with_exit_code_2() {
        for line in [
            "",
            "nonsense",
            "ingest",
            "search",
            "search q -k 0",
            "search q -k 1001",
            "search q --mode telepathy",
            "context t --budget 0",
            "context t --budget many",
            "eval retrieval",
            "eval telepathy x",
            "namespace create",
            "nodes import",
            "nodes rm",
            "route",
            "route g -k 0",
            "outcome g",
            "swarm",
            "swarm run",
            "swarm run g --budget many",
            "swarm run g --allow-network",
            "swarm resume",
            "swarm show",
            "swarm ls --status lost",
            "swarm answer r 0",
            "remember",
            "forget",
            "backup",
            "restore",
            "fsck --mend",
        ] {
            let error = parse(line).err().unwrap_or_else(|| panic!("{line:?} was accepted"));
            assert_eq!(error.exit_code(), 2, "{line}");
        }
        assert_eq!(parse("--help").err().unwrap().exit_code(), 0);
    }

    #[test]
    fn times_are_dates_or_how_long_ago() {
        let at = |text: &str| Timestamp::from_system(moment(text).unwrap()).0 / 1_000_000;
        assert_eq!((at("2026-11-30"), at("2026-11-30T12:00:01Z")), (1_795_996_800, 1_796_040_001));
        let week = SystemClock.now().0 / 1_000_000 - at("7d");
        assert!((604_800..604_810).contains(&week), "{week}");
        assert!(moment("yesterday").unwrap_err().contains("7d") && moment("9999999999y").is_err());
    }

    #[test]
    fn search_takes_its_filters_repeatedly() {
        let Command::Search(args) =
            parse("search q -k 3 --path a --path b --lang rust --mode lexical").unwrap().command
        else {
            panic!("not a search");
        };
        assert_eq!((args.k, args.mode), (3, Mode::Lexical));
        assert_eq!(args.filter.paths, ["a", "b"]);
        assert_eq!(args.filter.languages, ["rust"]);
    }
}
