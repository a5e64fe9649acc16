//! Arguments of `hivemem swarm …`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use hivemem_client::proto::RunStatus;

use crate::base::limits::{RUN_LIST_DEFAULT, RUN_LIST_MAX};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum SwarmCommand {
    /// Run a goal to its end: the tree is shown while it grows, and questions are asked at the prompt
    Run {
        /// What is to be reached
        goal: String,
        #[command(flatten)]
        limits: RunLimits,
        #[command(flatten)]
        work: WorkArgs,
    },
    /// Go on with a run whose process is gone
    Resume {
        /// Its id
        run: String,
        #[command(flatten)]
        work: WorkArgs,
    },
    /// Runs, newest first
    Ls {
        /// Only those that stand so (repeatable)
        #[arg(long = "status", value_enum, value_name = "STATUS")]
        statuses: Vec<Status>,
        /// Entries of a page
        #[arg(short = 'n', long, value_name = "N", default_value_t = RUN_LIST_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=i64::from(RUN_LIST_MAX)))]
        limit: u32,
        /// Where the last page ended
        #[arg(long, value_name = "TOKEN")]
        after: Option<String>,
    },
    /// A run with its history as a tree, and its open questions
    Show {
        /// Its id
        run: String,
        /// Every event, not only a line for each node
        #[arg(long)]
        events: bool,
    },
    /// Answer a question that a node asks
    Answer {
        /// Its run
        run: String,
        /// Its place in the tree, such as 0.2.1
        node: String,
        /// The answer
        #[arg(value_name = "TEXT", allow_hyphen_values = true)]
        text: String,
    },
    /// Ask for the end of a run
    Cancel {
        /// Its id
        run: String,
    },
}

/// Limits that a run keeps for its life.
#[derive(Debug, Args)]
pub(in crate::cli) struct RunLimits {
    /// Nodes of the run
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub budget: u64,
    /// Tokens of all model calls, in and out; 0: no limit
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub tokens: u64,
    /// Executions at the same time
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub parallel: usize,
    /// Deepest node
    #[arg(long, value_name = "N", default_value_t = 12)]
    pub depth: usize,
    /// Time of the run, such as 30m
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub time: Option<Duration>,
    /// Have what is written reviewed by another node
    #[arg(long)]
    pub review: bool,
    /// Neither gather contexts nor remember outputs
    #[arg(long)]
    pub no_memory: bool,
}

/// What this process lends to a run.
#[derive(Debug, Args)]
pub(in crate::cli) struct WorkArgs {
    /// Node types of a node_scripts.json (repeatable)
    #[arg(long = "script", value_name = "FILE")]
    pub scripts: Vec<PathBuf>,
    /// Let scripts and code of models run on this machine, each in a process of its own
    #[arg(long)]
    pub allow_scripts: bool,
    /// Let them use the network
    #[arg(long, requires = "allow_scripts")]
    pub allow_network: bool,
    /// Command that runs scripts of a language, such as "python=uv run python" (repeatable)
    #[arg(long = "interpreter", value_name = "LANG=CMD", value_parser = interpreter)]
    pub interpreters: Vec<(String, Vec<String>)>,
    /// Ask before each node is executed; each resume says again whether to
    #[arg(long)]
    pub approve: bool,
    /// Folder for files of runs
    #[arg(long, value_name = "DIR", default_value = "hivemem-runs")]
    pub work_dir: PathBuf,
    /// Endpoint of OpenAI's chat protocol, such as http://127.0.0.1:11434/v1
    #[arg(long, value_name = "URL", env = "HIVEMEM_LLM_BASE_URL")]
    pub llm_url: Option<String>,
    /// Its model
    #[arg(long, value_name = "NAME", env = "HIVEMEM_LLM_MODEL", default_value = "default")]
    pub llm_model: String,
    /// Its key
    #[arg(long, value_name = "KEY", env = "HIVEMEM_LLM_API_KEY", hide_env_values = true, default_value = "")]
    pub llm_key: String,
    /// Longest model call
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, default_value = "5m")]
    pub llm_timeout: Duration,
}

/// Reads `LANG=CMD`; the words of the command stand apart by spaces.
fn interpreter(text: &str) -> Result<(String, Vec<String>), String> {
    let (language, command) = text.split_once('=').unwrap_or_default();
    let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
    let language = language.trim().to_lowercase();
    if language.is_empty() || words.is_empty() {
        return Err("it has to be a language and a command, such as lua=lua5.4".to_owned());
    }
    Ok((language, words))
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Status {
    /// It has work left
    Open,
    /// It did what was wanted
    Succeeded,
    /// It did not
    Failed,
    /// Somebody ended it
    Cancelled,
}

impl Status {
    /// As the protocol numbers it.
    pub fn wire(self) -> i32 {
        let status = match self {
            Self::Open => RunStatus::Open,
            Self::Succeeded => RunStatus::Succeeded,
            Self::Failed => RunStatus::Failed,
            Self::Cancelled => RunStatus::Cancelled,
        };
        status as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interpreter_is_a_language_and_the_words_of_a_command() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
        assert_eq!(interpreter("Lua=lua5.4"), Ok(("lua".to_owned(), words(&["lua5.4"]))));
        assert_eq!(interpreter("python=env A=1 python3"), Ok(("python".to_owned(), words(&["env", "A=1", "python3"]))));
        for bad in ["", "lua", "lua=", "=lua", "lua= "] {
            assert!(interpreter(bad).is_err(), "{bad:?}");
        }
    }
}
