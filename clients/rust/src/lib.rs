//! Thin client of the hivemem memory server: generated stubs and a typed wrapper over them.
//!
//! It links no index and no model; whatever needs one happens on the server.

/// The generated protocol, `hivemem.v1`.
pub mod proto {
    #![allow(missing_docs, clippy::all, clippy::pedantic)]
    tonic::include_proto!("hivemem.v1");

    /// The encoded descriptors of the protocol, for server reflection.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hivemem_descriptor.bin"));
}
