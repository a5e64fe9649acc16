//! What searches pass around: candidates of a channel, hydrated chunks, and hits that prove themselves.

use super::document::{Chunk, Document, named_enum};
use crate::base::{ChunkId, Lsn};

named_enum!(
    /// A way of finding chunks.
    Channel {
        /// Vector similarity of embeddings.
        Dense = "dense",
        /// BM25 over words and identifiers.
        Lexical = "lexical",
        /// The knowledge graph: what belongs with what the others found, or with what the question names.
        Graph = "graph",
    }
);

/// A chunk that a channel proposes, with that channel's own score (higher is better).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// The chunk.
    pub chunk: ChunkId,
    /// The channel's score; comparable only within one answer of one channel.
    pub score: f32,
}

/// A chunk read back from the catalogue, with its document and the log position of the version it belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct Hydrated {
    /// The document, as it is now.
    pub document: std::sync::Arc<Document>,
    /// The chunk.
    pub chunk: std::sync::Arc<Chunk>,
    /// When the version was committed.
    pub lsn: Lsn,
}

impl Hydrated {
    /// The citation `uri@sha256#Lfirst-Llast`.
    pub fn citation(&self) -> String {
        let Self { document, chunk, .. } = self;
        format!("{}@{}#L{}-L{}", document.uri, document.content, chunk.lines.first, chunk.lines.last)
    }
}

/// What one channel said of a chunk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Proposal {
    /// Which channel.
    pub channel: Channel,
    /// Its own score.
    pub score: f32,
    /// Place in its list, from 1.
    pub rank: u32,
}

/// One named addend of a score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScorePart {
    /// Which signal.
    pub name: &'static str,
    /// What it added (or took).
    pub value: f32,
}

named_enum!(
    /// Whether the source still holds what was indexed.
    Freshness {
        /// It does.
        Fresh = "fresh",
        /// It changed or went away.
        Stale = "stale",
        /// The source can't be looked at cheaply.
        Unknown = "unknown",
    }
);

/// First line of every context that is handed out, by which a file or memory that holds one is recognised.
pub const CONTEXT_MARK: &str = "<!-- hivemem context -->\n";

/// A result of a search.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// What was found.
    pub found: Hydrated,
    /// The sum of `parts`.
    pub score: f32,
    /// The addends, largest first.
    pub parts: Vec<ScorePart>,
    /// The channels that proposed it.
    pub channels: Vec<Proposal>,
    /// Whether the source changed since.
    pub freshness: Freshness,
}

impl Hit {
    /// See [`Hydrated::citation`].
    pub fn citation(&self) -> String {
        self.found.citation()
    }
}
