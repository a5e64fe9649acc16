//! Which entries of one segment a filter lets through.
//!
//! A filter clause inside a tantivy query switches its block-max pruning off, so filters are worked out first, as a set
//! of entries, and the ranking looks into that set.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use tantivy::index::SegmentId;
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocId, DocSet, SegmentReader, TERMINATED, Term};

use super::schema::{DOCUMENT, Fields, MODIFIED, document_term, halves};
use crate::base::DocumentId;
use crate::model::{Filter, Namespace};

/// Up to so many documents are looked up one by one in the term dictionary (about 2 µs each and segment); for more it is
/// quicker to compare every entry's document with a hash set.
const DOCUMENTS_LOOKED_UP_MAX: usize = 2_000;

/// A term that at least one entry in so many has, such as a namespace, has its set kept: working it out again costs 4 µs per
/// thousand entries, of every query.
const FREQUENT_RATIO: u32 = 32;

/// Sets kept, at an eighth of a byte per entry of their segment.
const SETS_MAX: usize = 64;

/// A filter in the engine's terms.
pub struct Compiled<'a> {
    known: &'a Sets,
    /// Conjunction of disjunctions of exact terms.
    clauses: Vec<Vec<Term>>,
    /// Documents allowed, if they are too many for a clause.
    documents: Option<HashSet<[u64; 2]>>,
    /// Half-open range of modification times.
    modified: Option<(i64, i64)>,
}

/// The entries of a segment that pass.
pub enum Pass {
    /// All of them.
    All,
    /// These, and how many they are.
    Some(Arc<Bits>, usize),
    /// None of them.
    None,
}

impl<'a> Compiled<'a> {
    /// Compiles `filter`.
    pub fn new(fields: &Fields, filter: &Filter, known: &'a Sets) -> Self {
        let mut clauses = vec![vec![Term::from_field_text(fields.namespace, filter.namespace.as_str())]];
        let mut any_of = |terms: Vec<Term>| {
            if !terms.is_empty() {
                clauses.push(terms);
            }
        };
        any_of(filter.sources.iter().map(|id| Term::from_field_bytes(fields.source, id.as_bytes())).collect());
        any_of(texts(fields.language, filter.languages.iter().map(String::as_str)));
        any_of(texts(fields.kind, filter.kinds.iter().map(|kind| kind.as_str())));
        any_of(texts(fields.tag, filter.tags.iter().map(String::as_str)));
        let mut documents = None;
        if let Some(ids) = &filter.documents {
            if ids.len() <= DOCUMENTS_LOOKED_UP_MAX {
                clauses.push(document_terms(fields, &filter.namespace, ids));
            } else {
                documents = Some(ids.iter().map(|id| halves(id.as_u128())).collect());
            }
        }
        let bounded = filter.modified_from.is_some() || filter.modified_until.is_some();
        let from = filter.modified_from.map_or(i64::MIN, |time| time.0);
        let until = filter.modified_until.map_or(i64::MAX, |time| time.0);
        Self { known, clauses, documents, modified: bounded.then_some((from, until)) }
    }

    /// The entries of `segment` that pass.
    ///
    /// # Errors
    /// What tantivy reports.
    pub fn pass(&self, segment: &SegmentReader) -> tantivy::Result<Pass> {
        let mut set: Option<Arc<Bits>> = None;
        let mut narrow = |bits: Arc<Bits>| match &mut set {
            Some(set) => Arc::make_mut(set).intersect(&bits),
            None => set = Some(bits),
        };
        for clause in &self.clauses {
            if let Some(bits) = self.known.any_term(segment, clause)? {
                narrow(bits);
            }
        }
        if let Some((from, until)) = self.modified {
            narrow(Arc::new(modified_within(segment, from, until)?));
        }
        if let Some(documents) = &self.documents {
            let set = set.get_or_insert_with(|| Arc::new(Bits::full(segment.max_doc())));
            keep_documents(segment, documents, Arc::make_mut(set))?;
        }
        Ok(match set {
            None => Pass::All,
            Some(set) => match set.count() {
                0 => Pass::None,
                n if n == segment.max_doc() as usize => Pass::All,
                n => Pass::Some(set, n),
            },
        })
    }
}

fn texts<'a>(field: Field, values: impl Iterator<Item = &'a str>) -> Vec<Term> {
    values.map(|value| Term::from_field_text(field, value)).collect()
}

fn document_terms(fields: &Fields, namespace: &Namespace, ids: &[DocumentId]) -> Vec<Term> {
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    sorted.into_iter().map(|id| document_term(fields, namespace, id)).collect()
}

/// Sets of entries that were worked out before: a segment never changes, what is deleted of it is told apart.
#[derive(Default)]
pub struct Sets(Mutex<HashMap<(SegmentId, Term), Arc<Bits>>>);

impl Sets {
    /// Entries that have any of `terms`; `None` where one of them is in every entry.
    fn any_term(&self, segment: &SegmentReader, terms: &[Term]) -> tantivy::Result<Option<Arc<Bits>>> {
        let held = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = <&[Term; 1]>::try_from(terms).ok().map(|[term]| (segment.segment_id(), term.clone()));
        if let Some(bits) = key.as_ref().and_then(|key| held().get(key).cloned()) {
            return Ok(Some(bits));
        }
        let mut bits = Bits::empty(segment.max_doc());
        let mut frequency = 0;
        for term in terms {
            let inverted = segment.inverted_index(term.field())?;
            let Some(info) = inverted.get_term_info(term)? else { continue };
            if info.doc_freq == segment.max_doc() {
                return Ok(None);
            }
            frequency = info.doc_freq;
            let mut postings = inverted.read_postings_from_terminfo(&info, IndexRecordOption::Basic)?;
            let mut doc = postings.doc();
            while doc != TERMINATED {
                bits.insert(doc);
                doc = postings.advance();
            }
        }
        let bits = Arc::new(bits);
        if let Some(key) = key.filter(|_| frequency >= segment.max_doc() / FREQUENT_RATIO) {
            let mut held = held();
            if held.len() >= SETS_MAX {
                // Most are of segments that were merged since.
                held.clear();
            }
            held.insert(key, Arc::clone(&bits));
        }
        Ok(Some(bits))
    }
}

fn modified_within(segment: &SegmentReader, from: i64, until: i64) -> tantivy::Result<Bits> {
    let mut bits = Bits::empty(segment.max_doc());
    if from < until {
        let mut found = Vec::new();
        let column = segment.fast_fields().i64(MODIFIED)?;
        // `until - 1` cannot overflow: `from < until`.
        column.get_docids_for_value_range(from..=until - 1, 0..segment.max_doc(), &mut found);
        found.into_iter().for_each(|doc| bits.insert(doc));
    }
    Ok(bits)
}

fn keep_documents(segment: &SegmentReader, documents: &HashSet<[u64; 2]>, set: &mut Bits) -> tantivy::Result<()> {
    let columns = [segment.fast_fields().u64(DOCUMENT[0])?, segment.fast_fields().u64(DOCUMENT[1])?];
    set.retain(|doc| match (columns[0].first(doc), columns[1].first(doc)) {
        (Some(high), Some(low)) => documents.contains(&[high, low]),
        _ => false,
    });
    Ok(())
}

/// A set of entries of one segment.
#[derive(Clone)]
pub struct Bits {
    words: Vec<u64>,
}

impl Bits {
    fn empty(size: u32) -> Self {
        Self { words: vec![0; size.div_ceil(64) as usize] }
    }

    fn full(size: u32) -> Self {
        let mut bits = Self { words: vec![u64::MAX; size.div_ceil(64) as usize] };
        if let (Some(last), rest @ 1..) = (bits.words.last_mut(), size % 64) {
            *last = (1 << rest) - 1;
        }
        bits
    }

    fn insert(&mut self, doc: DocId) {
        self.words[doc as usize / 64] |= 1 << (doc % 64);
    }

    /// Whether `doc` is in the set.
    pub fn contains(&self, doc: DocId) -> bool {
        self.words[doc as usize / 64] & 1 << (doc % 64) != 0
    }

    fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    fn intersect(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= other);
    }

    fn retain(&mut self, keep: impl Fn(DocId) -> bool) {
        for (i, word) in self.words.iter_mut().enumerate() {
            let mut rest = *word;
            while rest != 0 {
                let bit = rest.trailing_zeros();
                rest &= rest - 1;
                if !keep(i as u32 * 64 + bit) {
                    *word &= !(1 << bit);
                }
            }
        }
    }

    /// The entries in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = DocId> + '_ {
        self.words.iter().enumerate().flat_map(|(i, &word)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros())?;
                rest &= rest - 1;
                Some(i as u32 * 64 + bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_behave_like_a_set() {
        for size in [0, 1, 63, 64, 65, 200] {
            let full = Bits::full(size);
            assert_eq!(full.count(), size as usize);
            assert!(full.iter().eq(0..size));
        }
        let mut bits = Bits::empty(130);
        [129, 3, 64].into_iter().for_each(|doc| bits.insert(doc));
        assert_eq!(bits.iter().collect::<Vec<_>>(), [3, 64, 129]);
        bits.retain(|doc| doc != 64);
        assert!(bits.contains(129) && !bits.contains(64));
        let mut other = Bits::full(130);
        other.intersect(&bits);
        assert_eq!(other.count(), 2);
    }
}
