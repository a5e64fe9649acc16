//! Plain data that all floors share; what must hold of it is checked where it is made.
//!
//! No input or output happens here, and nothing here knows an engine.

pub mod data;
pub mod document;
pub mod filter;
pub mod graph;
pub mod hit;
pub mod namespace;
pub mod node_type;
pub mod oplog;
pub mod run;

pub use data::{CostClass, DataEntry, DataFilter, DataKind, DataObject, DataUse, StoreKind};
pub use document::{Chunk, Document, DocumentKind, DocumentWrite, Lines, Pages, Role, Span, Trust};
pub use filter::Filter;
pub use graph::{Alias, EdgeKind, FactNode, Facts, Mention, NodeKind, Reference};
pub use hit::{CONTEXT_MARK, Candidate, Channel, Citation, Freshness, Hit, Hydrated, Proposal, ScorePart, cite};
pub use namespace::Namespace;
pub use node_type::{Node, NodeSpec, Outcome, ToolKind};
pub use oplog::{HeldChunk, LogEntry, Operation};
pub use run::{Event, EventKind, NewRun, NodePath, NodePhase, Question, Run, RunState, RunStatus};
