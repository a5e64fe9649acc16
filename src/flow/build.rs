//! From bytes to a [`DocumentWrite`]: detect, parse, and give everything its deterministic id. Pure.

use std::collections::BTreeMap;

use super::facts;
use crate::base::tokens::TokenCounter;
use crate::base::{ChunkId, ContentHash, DocumentId, EmbedKey, SourceId, Timestamp};
use crate::engine::parse::formats::Extracted;
use crate::engine::parse::{self, ChunkSizes, Media, Skip};
use crate::model::{Chunk, Document, DocumentWrite, Namespace, Trust};

/// What is known of a document beside its bytes.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Whose.
    pub namespace: Namespace,
    /// Where from.
    pub source: SourceId,
    /// Full address.
    pub uri: String,
    /// Path within the source.
    pub path: String,
    /// Title, if the writer gave one.
    pub title: Option<String>,
    /// Modification time.
    pub modified_at: Option<Timestamp>,
    /// The store's mark of this version.
    pub mark: Option<String>,
    /// Labels.
    pub tags: Vec<String>,
    /// The writer's key-value data.
    pub metadata: BTreeMap<String, String>,
    /// How far its origin is trusted.
    pub trust: Trust,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// The document that it nearly repeats.
    pub repeats: Option<DocumentId>,
    /// Now.
    pub indexed_at: Timestamp,
}

/// What to embed for a chunk: its header, then its text. Recomputed by the projection from what the catalogue holds.
pub fn embed_text(document: &Document, chunk: &Chunk, sizes: ChunkSizes, counter: &dyn TokenCounter) -> String {
    // A snippet without a path opens with its own name or heading; saying that twice only pulls its vector away from the rest.
    let opens_with_it = document.path.is_empty() && chunk.ordinal == 0;
    let breadcrumb = if opens_with_it { "" } else { &chunk.breadcrumb };
    let header = parse::header(&document.path, document.title.as_deref(), breadcrumb, sizes.header_tokens_max, counter);
    Chunk::embed_text(&header, &chunk.text)
}

/// Parses `bytes` into a document with chunks.
///
/// # Errors
/// The reason to skip it.
pub fn document(
    facts: Facts,
    media: &Media,
    bytes: &[u8],
    content: ContentHash,
    sizes: ChunkSizes,
    counter: &dyn TokenCounter,
) -> Result<DocumentWrite, Skip> {
    let text = parse::read(bytes, media)?;
    document_of(facts, media, text, (content, bytes.len() as u64), sizes, counter)
}

/// The same for a text that was read already, from bytes with this hash and of this number.
///
/// # Errors
/// The reason to skip it.
pub fn document_of(
    facts: Facts,
    media: &Media,
    text: Extracted,
    (content, bytes): (ContentHash, u64),
    sizes: ChunkSizes,
    counter: &dyn TokenCounter,
) -> Result<DocumentWrite, Skip> {
    let parsed = parse::arrange(&facts.path, text, media, sizes, counter)?;
    let id = DocumentId::derive(facts.namespace.as_str(), &facts.uri);
    // What the writer says of a document stands above what its format does.
    let mut metadata = parsed.notes;
    metadata.extend(facts.metadata);
    let mut tags = facts.tags;
    tags.sort();
    tags.dedup();
    let document = Document {
        id,
        source: facts.source,
        uri: facts.uri,
        path: facts.path,
        kind: media.kind,
        role: media.role,
        media_type: media.media_type.to_owned(),
        language: media.language.map(str::to_owned),
        title: facts.title.or(parsed.title),
        content,
        bytes,
        modified_at: facts.modified_at,
        mark: facts.mark,
        indexed_at: facts.indexed_at,
        tags,
        metadata,
        trust: facts.trust,
        expires_at: facts.expires_at,
        repeats: facts.repeats,
    };
    let mut chunks = Vec::with_capacity(parsed.pieces.len());
    for (ordinal, piece) in parsed.pieces.iter().cloned().enumerate() {
        let text = parsed.text[piece.span.start as usize..piece.span.end as usize].to_owned();
        let mut chunk = Chunk {
            id: ChunkId::derive(id, &content, piece.span.start, piece.span.end),
            document: id,
            ordinal: ordinal as u32,
            span: piece.span,
            lines: piece.lines,
            pages: piece.pages,
            tokens: piece.tokens,
            breadcrumb: piece.breadcrumb,
            symbols: piece.symbols,
            outline: piece.outline,
            text,
            embed_key: EmbedKey([0; 16]),
        };
        chunk.embed_key = EmbedKey::of(&embed_text(&document, &chunk, sizes, counter));
        chunks.push(chunk);
    }
    let facts = facts::of(&document, &chunks, &parsed.text, parsed.facts);
    Ok(DocumentWrite { document, chunks, facts })
}
