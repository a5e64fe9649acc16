//! How much words and vectors count for a question, by what the question and the found chunks are.
//!
//! No fixed share serves everything. Prose answers in the words of the question, so BM25 carries a little more than
//! half. Code does not: between a question in plain words and a bare function lies a vocabulary gap that vectors bridge and
//! words do not, unless the code comes with a path and file name, which BM25 sees and which people name. A
//! question that spells out an identifier has no gap at all.

use std::collections::HashMap;

use super::fusion::{Ranked, Shares};
use super::signals::QueryView;
use crate::base::ChunkId;
use crate::model::{DocumentKind, Hydrated};

/// Share of words for prose, memories and data.
const PROSE: f32 = 0.53;
/// Share of words for code in a tree of named files.
const NAMED_CODE: f32 = 0.5;
/// Share of words for code without a path, asked for in plain words.
const BARE_CODE: f32 = 0.3;
/// Candidates of each channel that say what the corpus is for this question.
const WITNESSES: usize = 20;

/// The shares for one question: the mean over the best candidates of both channels, each by its kind.
pub fn shares(query: &QueryView, lists: &[Ranked], found: &HashMap<ChunkId, Hydrated>) -> Shares {
    let witnesses = lists.iter().flat_map(|list| list.candidates.iter().take(WITNESSES));
    let (mut sum, mut count) = (0.0, 0.0);
    for hydrated in witnesses.filter_map(|candidate| found.get(&candidate.chunk)) {
        sum += lexical_share(query, hydrated);
        count += 1.0;
    }
    let lexical = if count > 0.0 { sum / count } else { PROSE };
    Shares { dense: 1.0 - lexical, lexical }
}

fn lexical_share(query: &QueryView, hydrated: &Hydrated) -> f32 {
    let document = &hydrated.document;
    match document.kind {
        DocumentKind::Code if document.path.is_empty() && query.identifiers.is_empty() => BARE_CODE,
        DocumentKind::Code => NAMED_CODE,
        _ => PROSE,
    }
}
