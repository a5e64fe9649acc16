//! What the index holds, to be compared with other stores.

use std::collections::BTreeSet;

use tantivy::columnar::Column;
use tantivy::{DocId, Searcher, SegmentReader};

use super::filter::{Compiled, Pass};
use super::schema::{CHUNK, DOCUMENT, Fields, chunk_of};
use crate::base::DocumentId;
use crate::model::HeldChunk;

/// Names of the namespaces in the term dictionary; all chunks of some may be deleted.
///
/// # Errors
/// What tantivy reports.
pub fn namespaces(searcher: &Searcher, fields: &Fields) -> tantivy::Result<Vec<String>> {
    let mut names = BTreeSet::new();
    for segment in searcher.segment_readers() {
        let inverted = segment.inverted_index(fields.namespace)?;
        let mut terms = inverted.terms().stream()?;
        while terms.advance() {
            names.insert(String::from_utf8_lossy(terms.key()).into_owned());
        }
    }
    Ok(names.into_iter().collect())
}

/// The entries that pass `filter` and are not deleted.
///
/// # Errors
/// What tantivy reports.
pub fn held(searcher: &Searcher, filter: &Compiled<'_>) -> tantivy::Result<Vec<HeldChunk>> {
    let mut held = Vec::new();
    for segment in searcher.segment_readers() {
        let ids = Ids::of(segment)?;
        let mut list = |doc: DocId| {
            if !segment.is_deleted(doc) {
                held.push(ids.at(doc));
            }
        };
        match filter.pass(segment)? {
            Pass::All => (0..segment.max_doc()).for_each(list),
            Pass::Some(bits, _) => bits.iter().for_each(&mut list),
            Pass::None => {}
        }
    }
    Ok(held)
}

/// The columns that ids are put together from.
struct Ids {
    chunk: [Column<u64>; 2],
    document: [Column<u64>; 2],
}

impl Ids {
    fn of(segment: &SegmentReader) -> tantivy::Result<Self> {
        let column = |name| segment.fast_fields().u64(name);
        Ok(Self {
            chunk: [column(CHUNK[0])?, column(CHUNK[1])?],
            document: [column(DOCUMENT[0])?, column(DOCUMENT[1])?],
        })
    }

    fn at(&self, doc: DocId) -> HeldChunk {
        let halves = |columns: &[Column<u64>; 2]| columns.each_ref().map(|column| column.first(doc).unwrap_or(0));
        HeldChunk {
            document: DocumentId::from_u128(chunk_of(halves(&self.document)).as_u128()),
            chunk: chunk_of(halves(&self.chunk)),
        }
    }
}
