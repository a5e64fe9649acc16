//! What the server does, one module per verb, over engine traits only.
//!
//! `ingest` and `put` bring documents to the ground state, `apply` carries them on to the projections, `recall` finds,
//! `context` packs, `forget` removes, `census` counts. None of them names a backend; each takes a [`access::Grant`].

use std::sync::Arc;

use crate::base::Clock;
use crate::base::blocking::Door;
use crate::engine::catalog::Catalog;
use crate::engine::embed::Embedder;
use crate::engine::lexical::LexicalIndex;
use crate::engine::parse::{CHUNKER_VERSION, ChunkSizes};
use crate::engine::store::Store;
use crate::engine::vector::VectorIndex;

pub mod access;
pub mod apply;
pub mod build;
pub mod census;
pub mod context;
pub mod forget;
pub mod ingest;
pub mod memory;
pub mod put;
pub mod recall;
pub mod turns;

#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod history_tests;
#[cfg(test)]
pub(crate) mod testing;

/// The engines that flows work on, chosen once at start.
#[derive(Clone)]
pub struct Engines {
    /// Ground state.
    pub catalog: Arc<dyn Catalog>,
    /// Projection: vectors.
    pub vectors: Arc<dyn VectorIndex>,
    /// Projection: words.
    pub lexical: Arc<dyn LexicalIndex>,
    /// Text to vectors.
    pub embedder: Arc<dyn Embedder>,
    /// Where bytes come from.
    pub store: Arc<dyn Store>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Blocking work of the flows themselves: listing, reading, parsing.
    pub door: Door,
    /// Sizes of chunks.
    pub sizes: ChunkSizes,
    /// One sync of a source at a time.
    pub turns: turns::Turns,
}

impl std::fmt::Debug for Engines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engines").field("model", self.embedder.model()).finish_non_exhaustive()
    }
}

impl Engines {
    /// Everything beside the bytes that shapes a document's chunks; a stored document with another recipe is parsed
    /// again though its bytes are the same.
    pub fn recipe(&self, tags: &[String]) -> String {
        format!(
            "chunker {CHUNKER_VERSION}, {}+{} tokens of {}, tags {}",
            self.sizes.tokens_max,
            self.sizes.header_tokens_max,
            self.embedder.model().name,
            tags.join(",")
        )
    }
}
