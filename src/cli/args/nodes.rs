//! Options of the catalogue of tools: `nodes`, `route` and `outcome`.

use clap::{Args, Subcommand};

use crate::base::limits::{NODE_LIST_DEFAULT, NODE_LIST_MAX, ROUTE_K_DEFAULT, ROUTE_K_MAX};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum NodesCommand {
    /// Register what a file or an MCP server describes
    Import {
        /// A file (node_scripts.json, functions, OpenAI tools, OpenAPI, JSON lines, .py, .rs), openapi:FILE, or mcp:COMMAND|URL
        #[arg(value_name = "FILE|openapi:FILE|mcp:COMMAND|mcp:URL")]
        source: String,
        /// Folder of the catalogue for those that name none
        #[arg(long, value_name = "FOLDER")]
        folder: Option<String>,
        /// Idempotency key: the same request with the same key is done once
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
    },
    /// One level of the catalogue
    Ls {
        /// Folder; without it the top
        #[arg(value_name = "FOLDER")]
        folder: Option<String>,
        /// Only with this tag (repeatable)
        #[arg(long = "tag", value_name = "TAG")]
        tags: Vec<String>,
        /// Only this kind: llm, script, function, mcp_tool, api_call, data_source, agent (repeatable)
        #[arg(long = "kind", value_name = "KIND")]
        kinds: Vec<String>,
        /// Entries of a page
        #[arg(short = 'n', long, value_name = "N", default_value_t = NODE_LIST_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=i64::from(NODE_LIST_MAX)))]
        limit: u32,
        /// Where the last page ended
        #[arg(long, value_name = "TOKEN")]
        after: Option<String>,
    },
    /// Everything about a node
    Show {
        /// Its name
        name: String,
    },
    /// Remove nodes
    Rm {
        /// Their names
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Add goals that a node is for
    AddExample {
        /// Its name
        name: String,
        /// Goals, as people say them
        #[arg(required = true, value_name = "GOAL")]
        examples: Vec<String>,
    },
    /// What routing has learned: confused pairs, nodes that fail
    Report,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RouteArgs {
    /// What is to be done
    #[arg(value_name = "GOAL", allow_hyphen_values = true)]
    pub goal: String,
    /// Candidates wanted
    #[arg(short, value_name = "N", default_value_t = ROUTE_K_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=i64::from(ROUTE_K_MAX)))]
    pub k: u32,
    /// What is going on
    #[arg(long, value_name = "TEXT")]
    pub context: Option<String>,
    /// Only this kind (repeatable)
    #[arg(long = "kind", value_name = "KIND")]
    pub kinds: Vec<String>,
    /// Only with this tag (repeatable)
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// What the caller is allowed (repeatable)
    #[arg(long = "permission", value_name = "NAME")]
    pub permissions: Vec<String>,
    /// Show schemas that fit in so many tokens
    #[arg(long, value_name = "TOKENS")]
    pub budget: Option<u32>,
    /// Whose tokenizer counts: an OpenAI model or encoding, a model of the server's [tokenizers], or `local`
    #[arg(long, value_name = "NAME", default_value = "")]
    pub model: String,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct OutcomeArgs {
    /// The goal, as it was routed
    #[arg(value_name = "GOAL", allow_hyphen_values = true)]
    pub goal: String,
    /// The node that was chosen; where none was, --correction says which would have been right
    #[arg(long, value_name = "NAME", required_unless_present = "correction")]
    pub chosen: Option<String>,
    /// It did not do what was wanted
    #[arg(long)]
    pub failed: bool,
    /// The node that would have been right
    #[arg(long, value_name = "NAME")]
    pub correction: Option<String>,
    /// What it cost
    #[arg(long, value_name = "NUMBER", default_value_t = 0.0)]
    pub cost: f64,
    /// Idempotency key: the same request with the same key is done once
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
}
