//! hivemem: the memory of an agent swarm.
//!
//! One server that ingests repositories and documents, finds the evidence for a task, and packs it into a context of an
//! exact token budget. The floors, from the bottom: [`base`], [`model`], [`engine`] and [`rank`], [`flow`], `rpc`,
//! `server` and `cli`; imports go down only. `ARCHITECTURE.md` tells the whole story.

pub mod base;
pub mod cli;
pub mod engine;
pub mod flow;
pub mod model;
pub mod rank;
pub mod rpc;
pub mod server;
