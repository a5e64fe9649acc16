//! The arguments of `hivemem tree` and `hivemem graph`.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Args)]
pub(in crate::cli) struct TreeArgs {
    /// Folder or file: a path, its end, or an address; all sources if left out
    #[arg(value_name = "PATH", default_value = "")]
    pub path: String,
    /// Levels below it
    #[arg(long, short, value_name = "N", default_value_t = 2)]
    pub depth: u32,
    /// Most entries
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub limit: u32,
}

/// Names of nodes: an address as the commands print it, or a name as people write it: `Server::run`, `src/lib.rs`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum GraphCommand {
    /// What is around a node: callers, callees, members, what mentions it
    Neighbors(NeighborsArgs),
    /// How two nodes are connected
    Path {
        /// Where to start
        from: String,
        /// Where to end
        to: String,
        /// Most steps
        #[arg(long, short, value_name = "N", default_value_t = 6)]
        depth: u32,
        /// Only edges of this kind, such as calls (repeatable)
        #[arg(long, value_name = "KIND")]
        kind: Vec<String>,
    },
    /// What belongs with some nodes
    Related {
        /// Nodes to start from
        #[arg(required = true, value_name = "NODE")]
        nodes: Vec<String>,
        /// Most nodes
        #[arg(long, short = 'k', value_name = "N", default_value_t = 20)]
        limit: u32,
        /// Only nodes of this kind, such as function (repeatable)
        #[arg(long, value_name = "KIND")]
        kind: Vec<String>,
    },
    /// What a document defines, with signatures
    Outline {
        /// Document, or anything in it
        node: String,
        /// Most definitions, outer ones first
        #[arg(long, short = 'k', value_name = "N", default_value_t = 500)]
        limit: u32,
    },
    /// Nodes that a name may mean
    Resolve {
        /// Name, path or address
        name: String,
        /// Most nodes
        #[arg(long, short = 'k', value_name = "N", default_value_t = 10)]
        limit: u32,
    },
    /// Say that two nodes belong together
    Link(LinkArgs),
    /// Take links back: one by its origin, or those between two nodes
    Unlink {
        /// Address of the memory that holds the link; or the node it goes out from
        from: String,
        /// The node at its other end
        to: Option<String>,
        /// Only links of this kind
        #[arg(long, value_name = "KIND")]
        kind: Option<String>,
    },
}

/// Which way edges are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Way {
    /// What it calls, uses, contains
    Out,
    /// What calls, uses, contains it
    In,
    /// Both
    Both,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct NeighborsArgs {
    /// The node
    pub node: String,
    /// Steps, up to 3
    #[arg(long, short, value_name = "N", default_value_t = 1)]
    pub depth: u32,
    /// Which way edges are followed
    #[arg(long, value_enum, default_value_t = Way::Both)]
    pub direction: Way,
    /// Only edges of this kind, such as calls (repeatable)
    #[arg(long, value_name = "KIND")]
    pub kind: Vec<String>,
    /// Most nodes
    #[arg(long, short = 'k', value_name = "N", default_value_t = 50)]
    pub limit: u32,
    /// Only edges at least this sure, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub sure: f32,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct LinkArgs {
    /// The node it goes out from
    pub from: String,
    /// The node at its other end
    pub to: String,
    /// Kind of edge, such as uses or same_as
    #[arg(long, value_name = "KIND", default_value = "related")]
    pub kind: String,
    /// Why; it can be searched for
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub note: String,
    /// Label (repeatable)
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// The run that says so
    #[arg(long, value_name = "RUN", default_value = "")]
    pub run: String,
    /// Its node, if it is one
    #[arg(long, value_name = "NODE", default_value = "")]
    pub node: String,
    /// Time to live, such as 7d
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub ttl: Option<Duration>,
    /// Key under which the reply is kept, so that the same call again does nothing
    #[arg(long, value_name = "KEY", default_value = "")]
    pub key: String,
}
