//! Thin client of the hivemem memory server: generated stubs and a typed wrapper over them.
//!
//! It links no index and no model; whatever needs one happens on the server.
//!
//! ```no_run
//! use hivemem_client::{Client, ClientOptions, proto};
//!
//! # async fn example() -> Result<(), hivemem_client::ClientError> {
//! let client = Client::connect("http://127.0.0.1:7411", ClientOptions::default()).await?;
//! let request = proto::SearchRequest { query: "where is the lease renewed".into(), ..Default::default() };
//! for hit in client.search(request).await?.hits {
//!     println!("{:.3} {}", hit.score, hit.citation);
//! }
//! # Ok(())
//! # }
//! ```

mod backup;
mod batch;
mod client;
mod data;
mod error;
mod graph;
mod progress;
mod router;
#[cfg(feature = "swarm")]
pub mod swarm;
mod swarm_calls;

pub use backup::BackupStream;
pub use client::{Client, ClientOptions};
pub use data::DataStream;
pub use error::{ClientError, Detail, ErrorKind};
pub use progress::ProgressStream;
pub use swarm_calls::{RunWatch, StateStream};

/// Largest message, both ways, in bytes; the server has the same limit.
pub const MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The generated protocol, `hivemem.v1`.
pub mod proto {
    #![allow(missing_docs, clippy::all, clippy::pedantic)]
    tonic::include_proto!("hivemem.v1");

    /// The well-known types that messages hold.
    pub use prost_types::{Duration, Timestamp};

    /// The encoded descriptors of the protocol, for server reflection.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hivemem_descriptor.bin"));
}
