//! Documents and chunks: what the catalogue holds and the indexes are made from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::graph::Facts;
use crate::base::{ChunkId, ContentHash, DocumentId, EmbedKey, SourceId, Timestamp};

/// Half-open byte range `start..end` of a document's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Span {
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
}

impl Span {
    /// Bytes in it.
    pub fn bytes(&self) -> u64 {
        self.end - self.start
    }
}

/// Lines `first..=last`, counted from 1, as people and editors count them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Lines {
    /// First line.
    pub first: u32,
    /// Last line, included.
    pub last: u32,
}

/// Pages `first..=last`, counted from 1 as they lie in the file, whatever is printed on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pages {
    /// First page.
    pub first: u32,
    /// Last page, included.
    pub last: u32,
}

impl Pages {
    /// What both cover, with what lies between.
    pub fn through(self, last: Self) -> Self {
        Self { first: self.first, last: last.last }
    }
}

impl std::fmt::Display for Pages {
    /// `12`, or `12-13`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self { first, last } if first == last => write!(f, "{first}"),
            Self { first, last } => write!(f, "{first}-{last}"),
        }
    }
}

macro_rules! named_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stored and public name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The inverse of [`Self::as_str`].
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}
pub(crate) use named_enum;

named_enum!(
    /// What a document is; decides how it is parsed and how ranking treats it.
    DocumentKind {
        /// Source code in a language that is parsed by syntax.
        Code = "code",
        /// Markdown and its like: prose with headings.
        Markdown = "markdown",
        /// HTML, kept as text.
        Html = "html",
        /// Plain prose, logs, licences.
        Text = "text",
        /// Configuration and data: TOML, YAML, JSON, CSV and the like.
        Data = "data",
        /// Something an agent or person asked to be remembered.
        Memory = "memory",
    }
);

named_enum!(
    /// What part a document plays in its repository, read off its path.
    Role {
        /// The thing itself.
        Main = "main",
        /// Tests, fixtures, benches.
        Test = "test",
        /// Examples, demos, tutorials in code.
        Example = "example",
        /// Kept for the past: legacy, compat, deprecated, vendored.
        Legacy = "legacy",
        /// Declarations and generated code.
        Generated = "generated",
    }
);

named_enum!(
    /// How far the origin of a document is trusted.
    Trust {
        /// The operator pointed the server at it.
        Local = "local",
        /// An agent or a caller of the API wrote it.
        Agent = "agent",
        /// It was fetched from elsewhere.
        External = "external",
    }
);

impl Trust {
    /// What is assumed of an address when nobody says otherwise.
    pub fn of_uri(uri: &str) -> Self {
        match uri.split_once(':').map_or("", |(scheme, _)| scheme) {
            "file" => Self::Local,
            "memory" | "inline" => Self::Agent,
            _ => Self::External,
        }
    }
}

/// One version of a document, without its chunks.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Derived from namespace and URI.
    pub id: DocumentId,
    /// Where it came from.
    pub source: SourceId,
    /// Full address, such as `file:///repo/src/lib.rs`.
    pub uri: String,
    /// Path relative to the source's root with `/` between parts; the URI itself where there is no root.
    pub path: String,
    /// What it is.
    pub kind: DocumentKind,
    /// What part it plays.
    pub role: Role,
    /// IANA media type.
    pub media_type: String,
    /// Programming language, lower case (`rust`, `python`, …), for code.
    pub language: Option<String>,
    /// Title or first heading.
    pub title: Option<String>,
    /// SHA-256 of the bytes as read.
    pub content: ContentHash,
    /// Size of the bytes as read.
    pub bytes: u64,
    /// Modification time at the source, if it has one.
    pub modified_at: Option<Timestamp>,
    /// The store's own mark of this version, such as an etag, if it has one: the same mark means the same bytes.
    pub mark: Option<String>,
    /// When this version was indexed.
    pub indexed_at: Timestamp,
    /// Labels, sorted, without duplicates.
    pub tags: Vec<String>,
    /// Free key-value data of the writer (run, node, session, …).
    pub metadata: BTreeMap<String, String>,
    /// How far its origin is trusted.
    pub trust: Trust,
    /// From then on it is no answer any more, and soon forgotten.
    pub expires_at: Option<Timestamp>,
    /// The document that it nearly repeats, which stands for both in answers.
    pub repeats: Option<DocumentId>,
}

/// One span of a document: the unit of retrieval.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// Derived from document, content hash and span.
    pub id: ChunkId,
    /// Its document.
    pub document: DocumentId,
    /// Position among the document's chunks, from 0, in order of `span.start`.
    pub ordinal: u32,
    /// Bytes of the document's text.
    pub span: Span,
    /// The same as lines.
    pub lines: Lines,
    /// The same as pages, of what has some.
    pub pages: Option<Pages>,
    /// Tokens of `text`, counted by the embedder's tokenizer, without special tokens.
    pub tokens: u32,
    /// Where it stands: headings (`Guide > Install`) or enclosing symbols (`impl Server > fn run`); may be empty.
    pub breadcrumb: String,
    /// Names defined in it, in order of appearance, without duplicates.
    pub symbols: Vec<String>,
    /// Signatures of what it defines, or the headings in it, one a line; may be empty.
    pub outline: String,
    /// The text itself: exactly the document's text at `span`.
    pub text: String,
    /// Key of the embedding cache for [`Chunk::embed_text`].
    pub embed_key: EmbedKey,
}

impl Chunk {
    /// What is embedded for a chunk: its place, then its text.
    pub fn embed_text(header: &str, text: &str) -> String {
        if header.is_empty() { text.to_owned() } else { format!("{header}\n{text}") }
    }
}

/// A document with its chunks, as it is written to the catalogue.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentWrite {
    /// The document.
    pub document: Document,
    /// All its chunks in order; may be empty for an empty document.
    pub chunks: Vec<Chunk>,
    /// What it says of the graph.
    pub facts: Facts,
}
