//! Arguments of `hivemem swarm …`.

use clap::{Subcommand, ValueEnum};
use hivemem_client::proto::RunStatus;

use crate::base::limits::{RUN_LIST_DEFAULT, RUN_LIST_MAX};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum SwarmCommand {
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
