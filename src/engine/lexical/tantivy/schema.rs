//! The fields of the tantivy index, and how a chunk becomes an entry.
//!
//! Ranking reads one field, `body`: text, headings, symbols and path in the simple form of BM25F, see
//! [`weighted`]. The chunk's text is not stored, it is in the catalogue.

use tantivy::schema::{
    BytesOptions, FAST, Field, INDEXED, IndexRecordOption, NumericOptions, STRING, Schema, TextFieldIndexing,
    TextOptions,
};
use tantivy::{Index, TantivyDocument, Term};

use super::super::analyzer::{Analyzer, needs_mark, weighted};
use crate::base::{ChunkId, DocumentId};
use crate::model::{Chunk, Document, Namespace};

/// Version of the fields and of what is written into them; part of the manifest.
pub const SCHEMA_VERSION: u32 = 1;

/// How often a term of the document's path counts: names of files and folders say what a chunk is about, and code-search
/// queries name them (nDCG@10 .776 with 3 on 422 queries over 21 repositories).
const PATH_WEIGHT: u8 = 3;

/// How often a term of a name defined in the chunk counts, beside its occurrence in the text itself.
const SYMBOL_WEIGHT: u8 = 2;

/// How often a term of the title and the breadcrumb counts.
const HEADING_WEIGHT: u8 = 1;

/// Name under which the analyser is registered.
const ANALYZER: &str = "hivemem";

/// Handles of all fields.
#[derive(Debug, Clone, Copy)]
pub struct Fields {
    /// Everything that ranks, as terms with frequencies.
    pub body: Field,
    /// Defined names in lower case, whole, and the last component of those that are paths. Nothing asks for them by now; stored
    /// indexes have them, and without them would have to be built anew.
    pub symbol_name: Field,
    /// Namespace.
    pub namespace: Field,
    /// Document id, then the namespace: deleting by it cannot reach over the wall.
    pub document: Field,
    /// Source id.
    pub source: Field,
    /// Programming language.
    pub language: Field,
    /// Document kind.
    pub kind: Field,
    /// Tags.
    pub tag: Field,
    /// Modification time in microseconds, absent if unknown.
    pub modified: Field,
    /// Upper and lower half of the chunk id.
    pub chunk: [Field; 2],
    /// Upper and lower half of the document id, for filters by very many documents.
    pub document_halves: [Field; 2],
}

/// Names of the fast fields, which readers ask for by name.
pub const MODIFIED: &str = "modified";
/// See [`MODIFIED`].
pub const CHUNK: [&str; 2] = ["chunk_high", "chunk_low"];
/// See [`MODIFIED`].
pub const DOCUMENT: [&str; 2] = ["document_high", "document_low"];

/// The schema and the handles of its fields.
pub fn build() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let ranked = TextFieldIndexing::default().set_tokenizer(ANALYZER).set_index_option(IndexRecordOption::WithFreqs);
    let names = TextFieldIndexing::default().set_tokenizer("raw").set_index_option(IndexRecordOption::Basic);
    let number = NumericOptions::default() | FAST;
    let key = BytesOptions::default() | INDEXED;
    let fields = Fields {
        body: schema.add_text_field("body", TextOptions::default().set_indexing_options(ranked)),
        symbol_name: schema.add_text_field("symbol_name", TextOptions::default().set_indexing_options(names)),
        namespace: schema.add_text_field("namespace", STRING),
        document: schema.add_bytes_field("document", key.clone()),
        source: schema.add_bytes_field("source", key),
        language: schema.add_text_field("language", STRING),
        kind: schema.add_text_field("kind", STRING),
        tag: schema.add_text_field("tag", STRING),
        modified: schema.add_i64_field(MODIFIED, number.clone()),
        chunk: CHUNK.map(|name| schema.add_u64_field(name, number.clone())),
        document_halves: DOCUMENT.map(|name| schema.add_u64_field(name, number.clone())),
    };
    (schema.build(), fields)
}

/// Registers the analyser with an index that was opened or made.
pub fn register(index: &Index) {
    index.tokenizers().register(ANALYZER, Analyzer);
}

/// The term that all chunks of a document share.
pub fn document_term(fields: &Fields, namespace: &Namespace, document: DocumentId) -> Term {
    let mut key = document.as_bytes().to_vec();
    key.extend_from_slice(namespace.as_str().as_bytes());
    Term::from_field_bytes(fields.document, &key)
}

/// A name as it is compared in `symbol_name`.
pub fn symbol_key(name: &str) -> String {
    name.to_lowercase()
}

/// The last component of a name that is a path (`Server::run`, `os.path.join`, `Array#map`), if it is one.
pub fn last_component(name: &str) -> Option<&str> {
    name.rsplit(['.', ':', '#', '/', '>']).next().filter(|last| !last.is_empty() && last.len() < name.len())
}

/// The entry of one chunk.
pub fn entry(fields: &Fields, namespace: &Namespace, document: &Document, chunk: &Chunk) -> TantivyDocument {
    let mut entry = TantivyDocument::with_capacity(chunk.text.len() + 512);
    if needs_mark(&chunk.text) {
        entry.add_text(fields.body, weighted(1, &chunk.text));
    } else {
        entry.add_text(fields.body, &chunk.text);
    }
    entry.add_text(fields.body, weighted(PATH_WEIGHT, &document.path));
    let title = document.title.as_deref().unwrap_or_default();
    let heading = if chunk.breadcrumb.contains(title) { String::new() } else { format!("{title}\n") };
    entry.add_text(fields.body, weighted(HEADING_WEIGHT, &(heading + &chunk.breadcrumb)));
    if !chunk.symbols.is_empty() {
        entry.add_text(fields.body, weighted(SYMBOL_WEIGHT, &chunk.symbols.join("\n")));
    }
    for symbol in &chunk.symbols {
        let key = symbol_key(symbol);
        if let Some(last) = last_component(&key) {
            entry.add_text(fields.symbol_name, last);
        }
        entry.add_text(fields.symbol_name, &key);
    }
    entry.add_text(fields.namespace, namespace.as_str());
    entry.add_bytes(fields.document, document_term(fields, namespace, document.id).serialized_value_bytes());
    entry.add_bytes(fields.source, document.source.as_bytes());
    if let Some(language) = &document.language {
        entry.add_text(fields.language, language);
    }
    entry.add_text(fields.kind, document.kind.as_str());
    for tag in &document.tags {
        entry.add_text(fields.tag, tag);
    }
    if let Some(modified) = document.modified_at {
        entry.add_i64(fields.modified, modified.0);
    }
    for (field, half) in fields.chunk.into_iter().zip(halves(chunk.id.as_u128())) {
        entry.add_u64(field, half);
    }
    for (field, half) in fields.document_halves.into_iter().zip(halves(document.id.as_u128())) {
        entry.add_u64(field, half);
    }
    entry
}

/// Upper and lower half of an id.
pub fn halves(id: u128) -> [u64; 2] {
    [(id >> 64) as u64, id as u64]
}

/// The chunk id of its halves.
pub fn chunk_of(halves: [u64; 2]) -> ChunkId {
    ChunkId::from_u128(u128::from(halves[0]) << 64 | u128::from(halves[1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_component_of_a_path_is_found() {
        for (name, expected) in [
            ("Server::run", Some("run")),
            ("os.path.join", Some("join")),
            ("Array#map", Some("map")),
            ("run", None),
            ("odd::", None),
        ] {
            assert_eq!(last_component(name), expected, "{name}");
        }
    }

    #[test]
    fn halves_come_together_again() {
        let id = 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210;
        assert_eq!(chunk_of(halves(id)).as_u128(), id);
    }
}
