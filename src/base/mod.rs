//! The lowest floor: errors, ids, limits, clock, and the door to blocking work.
//!
//! Nothing here knows what a document is. Every other floor may use this one.

pub mod archive;
pub mod blocking;
pub mod clock;
pub mod error;
pub mod files;
pub mod ids;
pub mod keyed;
pub mod limits;
pub mod memory;
pub mod tokens;

pub use clock::{Clock, Timestamp};
pub use error::{Error, Kind, Result};
pub use ids::{ChunkId, ContentHash, DocumentId, EmbedKey, Hashing, Lsn, NodeId, RunId, SourceId};
