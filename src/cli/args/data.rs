//! The arguments of `hivemem data`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::base::limits::{DATA_K_DEFAULT, DATA_K_MAX, DATA_PAGE_DEFAULT, DATA_PAGE_MAX};

/// Addresses are URIs such as s3://bucket/key, or paths on the server's machine; relative ones count from here.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum DataCommand {
    /// One level of all data, ingested or not; a flat list with --flat
    Ls {
        /// What addresses begin with; without it everything
        #[arg(value_name = "PREFIX")]
        prefix: Option<String>,
        /// All addresses below it instead of folders
        #[arg(long)]
        flat: bool,
        #[command(flatten)]
        filter: DataFilterArgs,
        /// Entries of a page
        #[arg(short = 'n', long, value_name = "N", default_value_t = DATA_PAGE_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=i64::from(DATA_PAGE_MAX)))]
        limit: u32,
        /// Where the last page ended
        #[arg(long, value_name = "TOKEN")]
        after: Option<String>,
    },
    /// What is known of an object: what and where it is, whether it is indexed and fresh, who used it
    Stat {
        /// Its address
        uri: String,
        /// Don't look at the object itself
        #[arg(long)]
        offline: bool,
    },
    /// Ways to get an object, each to be run as it stands
    Locate {
        /// Its address
        uri: String,
        /// How long presigned URLs are to be good for, such as 15m
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
        ttl: Option<Duration>,
        /// Only this way: grpc, cli, python, rust, presigned_url or native
        #[arg(long, value_name = "FORM")]
        form: Option<String>,
    },
    /// Read an object, to stdout or a file; a file that broke off is read on from there
    Get {
        /// Its address
        uri: String,
        /// File to write; without it stdout
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// First byte
        #[arg(long, value_name = "N", default_value_t = 0)]
        offset: u64,
        /// Bytes; without it all that follow
        #[arg(long, value_name = "N")]
        length: Option<u64>,
        /// Fail if the content is another than this
        #[arg(long, value_name = "SHA256")]
        expect_hash: Option<String>,
        /// Who reads it, for the record
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
    },
    /// Tell of data that need not be ingested
    Register(Box<RegisterArgs>),
    /// Look whether an object is still there and the same
    Verify {
        /// Its address
        uri: String,
        /// Read all of it and compare its hash
        #[arg(long)]
        read: bool,
    },
    /// Find objects by name, description, schema and tags
    Search {
        /// Words
        query: String,
        #[command(flatten)]
        filter: DataFilterArgs,
        /// Hits
        #[arg(short = 'k', value_name = "N", default_value_t = DATA_K_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=i64::from(DATA_K_MAX)))]
        k: u32,
    },
    /// Take objects out of the view; what was ingested of them stays
    Rm {
        /// Their addresses
        #[arg(value_name = "URI", required_unless_present = "prefix")]
        uris: Vec<String>,
        /// All at or below this address
        #[arg(long, value_name = "PREFIX")]
        prefix: Option<String>,
    },
    /// Fetch an object, or all below an address, and ingest it
    Fetch {
        /// Its address
        uri: String,
        /// Only paths that match (repeatable)
        #[arg(long, value_name = "GLOB")]
        include: Vec<String>,
        /// No paths that match (repeatable)
        #[arg(long, value_name = "GLOB")]
        exclude: Vec<String>,
        /// Tag for every document (repeatable)
        #[arg(long = "tag", value_name = "TAG")]
        tags: Vec<String>,
        /// Return once lexically searchable; vectors follow
        #[arg(long)]
        no_wait: bool,
        /// Who asks, for the record
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
    },
}

/// Which entries.
#[derive(Debug, Args)]
pub(in crate::cli) struct DataFilterArgs {
    /// Only this kind: object, prefix, bucket, table, database, api, repository, page (repeatable)
    #[arg(long = "kind", value_name = "KIND")]
    pub kinds: Vec<String>,
    /// Only in this store: local, s3, gs, az, http, git, inline, sql (repeatable)
    #[arg(long = "store", value_name = "STORE")]
    pub stores: Vec<String>,
    /// Only with this tag (repeatable)
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// Only of this owner (repeatable)
    #[arg(long = "owner", value_name = "OWNER")]
    pub owners: Vec<String>,
    /// Only what was ingested
    #[arg(long)]
    pub indexed: bool,
    /// Only what was not
    #[arg(long, conflicts_with = "indexed")]
    pub not_indexed: bool,
}

/// One object by options, or many from a file.
#[derive(Debug, Args)]
pub(in crate::cli) struct RegisterArgs {
    /// Its address; one that ends in a slash stands for all below it
    #[arg(value_name = "URI", required_unless_present = "file")]
    pub uri: Option<String>,
    /// Objects as JSON lines with the fields of the options here, and metadata; `-` reads stdin
    #[arg(long, value_name = "FILE", conflicts_with = "uri")]
    pub file: Option<PathBuf>,
    /// List what it holds and register that as well: files of a folder, keys of a bucket, tables of a database
    #[arg(long)]
    pub contents: bool,
    /// Name; without it the last part of the address
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// object, prefix, bucket, table, database, api, repository or page
    #[arg(long, value_name = "KIND")]
    pub kind: Option<String>,
    /// Media type
    #[arg(long, value_name = "TYPE")]
    pub media_type: Option<String>,
    /// Columns, JSON Schema, or whatever says what is in it
    #[arg(long, value_name = "TEXT")]
    pub schema: Option<String>,
    /// Whose it is
    #[arg(long, value_name = "OWNER")]
    pub owner: Option<String>,
    /// Tag (repeatable)
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// free, cheap, costly or restricted
    #[arg(long, value_name = "CLASS")]
    pub cost_class: Option<String>,
    /// Name of credentials in the server's configuration
    #[arg(long, value_name = "NAME")]
    pub credential: Option<String>,
    /// Its size in bytes, for plans; the store is not asked
    #[arg(long, value_name = "N")]
    pub bytes: Option<u64>,
    /// SHA-256 of its content
    #[arg(long, value_name = "SHA256")]
    pub content_hash: Option<String>,
}
