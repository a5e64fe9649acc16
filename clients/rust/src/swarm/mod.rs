//! The thin runtime of a swarm: a loop over a tree of nodes whose history the server keeps.
//!
//! A node is a type and its data. It is executed, and what it comes to decides what happens: it finishes, it spawns children and
//! resumes when they are done, or it asks people. Everything that happens is an event, written before and after each execution, so
//! a run that is killed at any moment resumes from where it was. Start reading at [`Swarm`]; [`tree`] has the rules of the
//! lifecycle, [`kind`] what a node type is, [`step`] what it may use.
//!
//! It decides nothing about memory or routing: those are calls of the server.

pub mod backend;
mod builtin;
mod context;
mod error;
mod execute;
mod journal;
mod kind;
mod llm;
mod memory;
mod node;
mod observe;
mod openai;
mod runtime;
mod script;
mod server;
mod settings;
mod step;
mod tree;

pub use backend::{Backend, Change, RunSnapshot};
pub use context::Pack;
pub use error::SwarmError;
pub use kind::{NodeType, NodeTypes, combine};
pub use llm::{Message, Model, OnText, Reply};
pub use memory::MemoryBackend;
pub use node::{Blueprint, Child, NodeError, NodeResult, Outcome, Question, Spawn, Usage};
pub use observe::{Observer, Unobserved};
pub use openai::OpenAi;
pub use runtime::{RunEnd, Swarm};
pub use server::ServerBackend;
pub use settings::{ScriptSettings, Settings};
pub use step::{Step, as_text};
