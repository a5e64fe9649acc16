//! What the server does, one module per verb, over engine traits only.
//!
//! `data_view` shows everything that there is, ingested or not, and gets at it. `ingest` and `put` bring documents to the ground state, `apply` carries them on to the projections, `recall` finds,
//! `context` packs, `route` chooses tools, `runs` keeps the histories of swarms, `own_docs` holds what the server says of itself, `forget` removes, `watch` follows sources, `census` counts, `repair` compares the stores and mends them,
//! `rebuild` makes indexes anew, `gate` judges a new model, `compact` gives space back, `backup` copies it all to one file. None of them names a
//! backend; each takes a [`access::Grant`], or a [`access::Custodian`] for the whole server.

use std::sync::Arc;

use crate::base::Clock;
use crate::base::blocking::Door;
use crate::engine::catalog::{Catalog, Inventory, Registry, Runs};
use crate::engine::embed::Embedder;
use crate::engine::lexical::LexicalIndex;
use crate::engine::parse::formats::apart::Reader;
use crate::engine::parse::formats::{FORMATS_VERSION, Format};
use crate::engine::parse::{CHUNKER_VERSION, ChunkSizes};
use crate::engine::store::Store;
use crate::engine::tokens;
use crate::engine::vector::VectorIndex;
use facts::FACTS_VERSION;
use rebuild::{Space, Words};
use slot::Slot;

pub mod access;
pub mod apply;
pub mod backup;
pub mod build;
pub mod census;
pub mod compact;
pub mod context;
pub mod data_view;
pub mod facts;
#[cfg(test)]
mod fault_tests;
pub mod forget;
pub mod freshness;
pub mod gate;
#[cfg(test)]
mod history_tests;
pub mod ingest;
pub mod memory;
pub mod own_docs;
pub mod preview;
pub mod put;
pub mod rebuild;
pub mod recall;
pub mod relate;
pub mod repair;
pub mod route;
pub mod runs;
pub mod slot;
#[cfg(test)]
pub(crate) mod testing;
pub mod turns;
pub mod watch;

/// The engines that flows work on, chosen once at start.
#[derive(Clone)]
pub struct Engines {
    /// Ground state.
    pub catalog: Arc<dyn Catalog>,
    /// Its part that routing works on.
    pub registry: Arc<dyn Registry>,
    /// Its part that swarms work on.
    pub runs: Arc<dyn Runs>,
    /// Its part that the data view works on.
    pub inventory: Arc<dyn Inventory>,
    /// Projection: vectors, with the embedder for questions to them.
    pub space: Arc<Slot<Space>>,
    /// Projection: words.
    pub words: Arc<Slot<Words>>,
    /// The configured embedder, whose tokenizer sizes chunks. The space that serves may still be of another one.
    pub embedder: Arc<dyn Embedder>,
    /// What counts tokens for other models.
    pub counters: Arc<tokens::Counters>,
    /// Whose turn it is to sync a source.
    pub turns: turns::Turns,
    /// Projection: the knowledge graphs that are loaded.
    pub graphs: Arc<relate::Graphs>,
    /// Held while a rebuild begins or ends.
    pub rebuilding: Arc<tokio::sync::Mutex<()>>,
    /// Where bytes come from.
    pub store: Arc<dyn Store>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Blocking work that somebody waits for: listing, looking at files, packing.
    pub door: Door,
    /// Blocking work that may wait for a network: asking stores and reading from them. Apart from the other, so that a store
    /// that is slow to answer holds up nobody else.
    pub far: Door,
    /// Blocking work that gives way to searches: reading and parsing what is ingested.
    pub background: Door,
    /// Where documents are read that may be hostile.
    pub reader: Reader,
    /// Sizes of chunks.
    pub sizes: ChunkSizes,
    /// Whether the server outlives one command: then the next one goes on with what this one is in the middle of.
    pub lasting: bool,
}

impl std::fmt::Debug for Engines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engines").field("model", self.embedder.model()).finish_non_exhaustive()
    }
}

impl Engines {
    /// The vector index that serves now.
    pub fn vectors(&self) -> Arc<dyn VectorIndex> {
        Arc::clone(&self.space.get().vectors)
    }

    /// The lexical index that serves now.
    pub fn lexical(&self) -> Arc<dyn LexicalIndex> {
        Arc::clone(&self.words.get().index)
    }

    /// What counts tokens for a model by name; empty: for OpenAI's current ones.
    ///
    /// # Errors
    /// Invalid for a model that nobody knows.
    pub fn counter_for(&self, model: &str) -> crate::base::Result<tokens::Named> {
        self.counters.of(model, (&self.embedder.model().name, self.embedder.counter()))
    }

    /// Everything beside the bytes that shapes a document's chunks; a stored document with another recipe is parsed
    /// again though its bytes are the same.
    pub fn recipes(&self, tags: &[String]) -> Recipes {
        let plain = format!(
            "chunker {CHUNKER_VERSION}, facts {FACTS_VERSION}, {}+{} tokens of {}, tags {}",
            self.sizes.tokens_max,
            self.sizes.header_tokens_max,
            self.embedder.model().name,
            tags.join(",")
        );
        Recipes { extracted: format!("{plain}, formats {FORMATS_VERSION}"), plain }
    }
}

/// The recipes of one source: a change to how text is extracted leaves alone what is text already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipes {
    plain: String,
    extracted: String,
}

impl Recipes {
    /// The recipe of the document at `path`.
    pub fn of(&self, path: &str) -> &str {
        if Format::by_path(path).is_some() { &self.extracted } else { &self.plain }
    }

    /// One recipe for documents that are written together.
    pub fn of_all<'p>(&self, mut paths: impl Iterator<Item = &'p str>) -> &str {
        if paths.any(|path| Format::by_path(path).is_some()) { &self.extracted } else { &self.plain }
    }
}
