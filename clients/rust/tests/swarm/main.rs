//! The swarm from outside: a model behind real HTTP that says what a test tells it to, and scripts that misbehave.

// Helpers of tests may panic as tests may; clippy only knows those inside `#[test]`.
#![allow(clippy::unwrap_used)]

mod endpoint;
mod model;
mod scripts;
mod tools;
mod world;
