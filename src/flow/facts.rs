//! What a document says of the graph, from what parsing found and what analysis makes of its words. Pure.

use crate::engine::lexical::analyzer;
use crate::engine::parse::{aliases, entities};
use crate::model::graph::term_hash;
use crate::model::{Chunk, Document, DocumentKind, Facts};

/// Version of everything that shapes facts; part of a document's recipe, so that a change reads sources again.
pub const FACTS_VERSION: u32 = 3;

/// Adds to `facts`, which are those of the syntax, what the prose of `document` names.
pub fn of(document: &Document, chunks: &[Chunk], text: &str, mut facts: Facts) -> Facts {
    if !is_prose(document.kind) {
        return facts;
    }
    let title = document.title.as_deref().unwrap_or_default();
    let ends: Vec<u64> = chunks.iter().map(|chunk| chunk.span.end).collect();
    facts.mentions = entities::mentions(title, text, &ends);
    facts.aliases = aliases::aliases(text);
    facts.titles = entities::title_keys(title);
    let of_title = analyzer::terms(title);
    facts.terms = chunks.iter().map(|chunk| hashes(of_title.iter().chain(&analyzer::terms(&chunk.text)))).collect();
    facts
}

/// Whether documents of this kind are prose to the graph.
pub fn is_prose(kind: DocumentKind) -> bool {
    !matches!(kind, DocumentKind::Code | DocumentKind::Data)
}

/// Hashes of terms, ascending, each once.
pub fn hashes<'a>(terms: impl Iterator<Item = &'a String>) -> Vec<u32> {
    let mut hashes: Vec<u32> = terms.map(|term| term_hash(term)).collect();
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}
