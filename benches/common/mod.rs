//! What the benches share: real sources to read, the model as it lies in the cache, a server to talk to, and lines that
//! put a figure beside its target.

// Each bench is a program of its own and uses a part of this.
#![allow(dead_code)]

use std::path::PathBuf;

pub mod bare;
pub mod corpus;
pub mod engines;
pub mod model;
pub mod report;
pub mod server;
pub mod stock;

/// As in the binary that is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The namespace that benches work in.
pub const NAMESPACE: &str = "bench";

/// Where data is kept between runs: `bench-data` in cargo's target folder.
pub fn data_root() -> PathBuf {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    target.parent().map(|target| target.join("bench-data")).unwrap_or(target)
}

/// Whether a section runs: all do unless the command line names one, as in `cargo bench --bench ingest -- full`.
pub fn wanted(section: &str) -> bool {
    let arguments: Vec<String> = std::env::args().collect();
    let plain = |pair: &&[String]| !pair[1].starts_with('-') && (!pair[0].starts_with("--") || pair[0] == "--bench");
    arguments.windows(2).rfind(plain).is_none_or(|pair| section.contains(&pair[1]))
}
