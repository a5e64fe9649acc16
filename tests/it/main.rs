//! End-to-end tests through the public API: a server in process over a temporary data directory, the real embedded
//! engines and the real local model (`make setup` prepares it).

// Helpers of tests may panic as tests may; clippy only knows those inside `#[test]`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bad_input;
mod care;
mod cli;
mod connectors;
mod context;
mod data;
mod graph;
mod ingest;
mod lifecycle;
mod memory;
mod model;
mod quality;
mod rebuild;
mod routing;
mod search;
mod support;
mod swarm;
mod swarm_client;
mod watch;
mod wire;
