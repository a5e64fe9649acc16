//! Ranking: BM25 over the terms of a query, the best `limit` chunks of all segments.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};

use tantivy::columnar::Column;
use tantivy::query::{BooleanQuery, BoostQuery, EnableScoring, Occur, Query, TermQuery, Weight};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocId, DocSet, Score, Searcher, SegmentReader, TERMINATED, Term};

use super::filter::{Bits, Compiled, Pass};
use super::schema::{CHUNK, Fields, chunk_of};
use crate::base::ChunkId;
use crate::engine::lexical::analyzer;
use crate::model::Candidate;

/// Terms of one query. Of a pasted stack trace those that say most are kept; the rest costs time and changes little.
const TERMS_MAX: usize = 64;

/// BM25's k3, which bounds what a term repeated in the query gains (Robertson and Walker, Okapi at TREC-3 to 8).
const K3: f32 = 8.0;

/// A filter that lets at most one entry in so many through is followed entry by entry; pruning would find nothing to
/// prune, since the threshold rises only with entries that pass.
const SELECTIVE_RATIO: usize = 50;

/// One term of a query, with its weight.
struct Weighted {
    term: Term,
    boost: f32,
}

/// The best `limit` chunks by BM25 of the words of `text`.
///
/// # Errors
/// What tantivy reports.
pub fn by_text(
    searcher: &Searcher,
    fields: &Fields,
    text: &str,
    filter: &Compiled<'_>,
    limit: usize,
) -> tantivy::Result<Vec<Candidate>> {
    let terms = select_terms(searcher, fields.body, analyzer::terms(text))?;
    top(searcher, &terms, IndexRecordOption::WithFreqs, filter, limit)
}

/// Counts repeats, drops what the index does not have, and keeps the [`TERMS_MAX`] terms that weigh most.
fn select_terms(searcher: &Searcher, field: Field, words: Vec<String>) -> tantivy::Result<Vec<Weighted>> {
    let mut counts: HashMap<String, u32> = HashMap::with_capacity(words.len());
    for word in words {
        *counts.entry(word).or_default() += 1;
    }
    let entries: u64 = searcher.segment_readers().iter().map(|segment| u64::from(segment.max_doc())).sum();
    let mut terms = Vec::with_capacity(counts.len());
    for (word, count) in counts {
        let term = Term::from_field_text(field, &word);
        let frequency = searcher.doc_freq(&term)?;
        if frequency > 0 {
            let count = count as f32;
            let boost = (K3 + 1.0) * count / (K3 + count);
            let idf = (1.0 + (entries as f32 - frequency as f32 + 0.5) / (frequency as f32 + 0.5)).ln();
            terms.push((boost * idf, Weighted { term, boost }));
        }
    }
    // The order decides the order of summation, so it must not depend on the hash map.
    terms.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.term.cmp(&b.1.term)));
    terms.truncate(TERMS_MAX);
    Ok(terms.into_iter().map(|(_, term)| term).collect())
}

fn top(
    searcher: &Searcher,
    terms: &[Weighted],
    record: IndexRecordOption,
    filter: &Compiled<'_>,
    limit: usize,
) -> tantivy::Result<Vec<Candidate>> {
    if terms.is_empty() || limit == 0 {
        return Ok(Vec::new());
    }
    let scoring = EnableScoring::enabled_from_searcher(searcher);
    let query_of = |term: &Weighted| -> Box<dyn Query> {
        let query = Box::new(TermQuery::new(term.term.clone(), record));
        if term.boost == 1.0 { query } else { Box::new(BoostQuery::new(query, term.boost)) }
    };
    let weight = match terms {
        [term] => query_of(term).weight(scoring)?,
        _ => BooleanQuery::new(terms.iter().map(|term| (Occur::Should, query_of(term))).collect()).weight(scoring)?,
    };
    // Large segments first: they raise the threshold for the small ones.
    let mut segments: Vec<&SegmentReader> = searcher.segment_readers().iter().collect();
    segments.sort_by_key(|segment| std::cmp::Reverse(segment.max_doc()));
    let mut best = Best::new(limit);
    for segment in segments {
        match filter.pass(segment)? {
            Pass::None => {}
            Pass::All => collect(weight.as_ref(), segment, None, &mut best)?,
            Pass::Some(bits, count) if count * SELECTIVE_RATIO <= segment.max_doc() as usize => {
                let weights: Vec<Box<dyn Weight>> =
                    terms.iter().map(|term| query_of(term).weight(scoring)).collect::<tantivy::Result<_>>()?;
                collect_selected(&weights, segment, &bits, &mut best)?;
            }
            Pass::Some(bits, _) => collect(weight.as_ref(), segment, Some(&bits), &mut best)?,
        }
    }
    Ok(best.into_candidates())
}

/// Ranks a segment with block-max pruning; the filter is asked only about entries above the threshold.
fn collect(weight: &dyn Weight, segment: &SegmentReader, pass: Option<&Bits>, best: &mut Best) -> tantivy::Result<()> {
    let chunks = Chunks::open(segment)?;
    let alive = segment.alive_bitset();
    weight.for_each_pruning(best.threshold(), segment, &mut |doc, score| {
        if pass.is_none_or(|pass| pass.contains(doc)) && alive.is_none_or(|alive| alive.is_alive(doc)) {
            best.offer(chunks.get(doc), score);
        }
        best.threshold()
    })
}

/// Ranks the few entries of a segment that pass, one by one.
fn collect_selected(
    weights: &[Box<dyn Weight>],
    segment: &SegmentReader,
    pass: &Bits,
    best: &mut Best,
) -> tantivy::Result<()> {
    let chunks = Chunks::open(segment)?;
    let alive = segment.alive_bitset();
    let mut scorers = Vec::with_capacity(weights.len());
    for weight in weights {
        scorers.push(weight.scorer(segment, 1.0)?);
    }
    for doc in pass.iter().filter(|&doc| alive.is_none_or(|alive| alive.is_alive(doc))) {
        let mut score = 0.0;
        let mut found = false;
        for scorer in &mut scorers {
            if scorer.doc() < doc {
                scorer.seek(doc);
            }
            if scorer.doc() == doc {
                score += scorer.score();
                found = true;
            }
        }
        if found {
            best.offer(chunks.get(doc), score);
        }
        scorers.retain(|scorer| scorer.doc() != TERMINATED);
        if scorers.is_empty() {
            break;
        }
    }
    Ok(())
}

/// Chunk ids of a segment's entries.
struct Chunks([Column<u64>; 2]);

impl Chunks {
    fn open(segment: &SegmentReader) -> tantivy::Result<Self> {
        Ok(Self([segment.fast_fields().u64(CHUNK[0])?, segment.fast_fields().u64(CHUNK[1])?]))
    }

    fn get(&self, doc: DocId) -> ChunkId {
        // Every entry has both; see `schema::entry`.
        chunk_of([0, 1].map(|half: usize| self.0[half].first(doc).unwrap_or_default()))
    }
}

/// The best chunks so far, the worst on top.
struct Best {
    limit: usize,
    heap: BinaryHeap<Ranked>,
}

/// Greater is worse: lower score, then greater chunk id.
struct Ranked {
    score: Score,
    chunk: ChunkId,
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then_with(|| self.chunk.cmp(&other.chunk))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}

impl Best {
    fn new(limit: usize) -> Self {
        Self { limit, heap: BinaryHeap::with_capacity(limit.min(4_096) + 1) }
    }

    /// Only scores above it matter. It lies just below the worst score kept, so that a tie is settled by chunk id.
    fn threshold(&self) -> Score {
        match self.heap.peek() {
            Some(worst) if self.heap.len() >= self.limit => worst.score.next_down(),
            _ => Score::MIN,
        }
    }

    fn offer(&mut self, chunk: ChunkId, score: Score) {
        self.heap.push(Ranked { score, chunk });
        if self.heap.len() > self.limit {
            self.heap.pop();
        }
    }

    fn into_candidates(self) -> Vec<Candidate> {
        let sorted = self.heap.into_sorted_vec();
        sorted.into_iter().map(|ranked| Candidate { chunk: ranked.chunk, score: ranked.score }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_at_the_limit_are_settled_by_chunk_id() {
        let mut best = Best::new(2);
        for (id, score) in [(5, 1.0), (3, 1.0), (9, 2.0), (4, 1.0), (8, 0.5)] {
            if score > best.threshold() {
                best.offer(ChunkId::from_u128(id), score);
            }
        }
        let found: Vec<_> = best.into_candidates().iter().map(|c| (c.chunk.as_u128(), c.score)).collect();
        assert_eq!(found, [(9, 2.0), (3, 1.0)]);
    }
}
