//! The engines: each a trait with its contract in prose, its backends, one conformance suite and one strict fake.
//!
//! Sibling engines never import each other; what joins them is in `flow/`, and which backend is used is decided in
//! `server/wire.rs` alone.

pub mod catalog;
pub mod embed;
pub mod graph;
pub mod lexical;
pub mod parse;
pub mod store;
pub mod tokens;
pub mod vector;
