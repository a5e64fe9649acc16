//! What searches pass around: candidates of a channel, hydrated chunks, and hits that prove themselves.

use super::document::{Chunk, Document, Lines, Pages, named_enum};
use crate::base::error::{Error, Result};
use crate::base::{ChunkId, ContentHash, Lsn};

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
    /// See [`cite`].
    pub fn citation(&self) -> String {
        let Self { document, chunk, .. } = self;
        cite(&document.uri, &document.content, chunk.lines, chunk.pages)
    }
}

/// The citation `uri@sha256#Lfirst-Llast`, with `&page=12` or `&page=12-13` for what has pages: nobody sees the lines of a PDF. The
/// word is that of RFC 8118, which opens a PDF there.
pub fn cite(uri: &str, content: &ContentHash, lines: Lines, pages: Option<Pages>) -> String {
    let page = pages.map_or_else(String::new, |pages| format!("&page={pages}"));
    format!("{uri}@{content}#L{}-L{}{page}", lines.first, lines.last)
}

/// What a citation says: lines of one version of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Citation {
    /// Address of the document.
    pub uri: String,
    /// Its version.
    pub content: ContentHash,
    /// The lines.
    pub lines: Lines,
}

impl Citation {
    /// Reads `uri@sha256#Lfirst-Llast`; what pages it names follows from the lines.
    ///
    /// # Errors
    /// Invalid, naming the field `held`.
    pub fn parse(text: &str) -> Result<Self> {
        let read = || {
            let (place, lines) = text.rsplit_once("#L")?;
            let lines = lines.split_once("&page=").map_or(lines, |(lines, _)| lines);
            let (first, last) = lines.split_once("-L")?;
            let (uri, content) = place.rsplit_once('@')?;
            let lines = Lines { first: first.parse().ok()?, last: last.parse().ok()? };
            Some(Self { uri: uri.to_owned(), content: ContentHash::parse(content)?, lines })
        };
        read().ok_or_else(|| {
            Error::invalid("held", format!("{text:.200?} is no citation, which is uri@sha256#Lfirst-Llast"))
        })
    }

    /// Whether all of a chunk lies within.
    pub fn covers(&self, found: &Hydrated) -> bool {
        let lines = found.chunk.lines;
        self.lines.first <= lines.first
            && lines.last <= self.lines.last
            && self.content == found.document.content
            && self.uri == found.document.uri
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_citation_is_read_back_whatever_its_address_holds() {
        let content = ContentHash::of(b"x");
        for uri in ["file:///a/b.rs", "https://user@host/x#L1-L2", "memory:1"] {
            let lines = Lines { first: 3, last: 14 };
            for pages in [None, Some(Pages { first: 2, last: 2 }), Some(Pages { first: 2, last: 3 })] {
                let read = Citation::parse(&cite(uri, &content, lines, pages)).unwrap();
                assert_eq!(read, Citation { uri: uri.to_owned(), content, lines });
            }
        }
        let broken = ["", "file:///a", "a@b#L1-L2", &format!("a@{content}#L1"), &format!("a@{content}#Lx-L2")];
        for bad in broken {
            assert_eq!(Citation::parse(bad).unwrap_err().field(), Some("held"), "{bad}");
        }
    }
}
