//! The measures of retrieval, as pure functions of what was returned and what was wanted.
//!
//! nDCG as trec_eval's `ndcg_cut`: gain = relevance, discount = log2(rank + 1), ideal order over all judged documents
//! (Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", 2002). Code targets follow the metric
//! of the code sets' meta.json, spans the character measures of Smith and Troynikov, "Evaluating chunking strategies for
//! retrieval", 2024, over unions of characters.

use std::collections::{HashMap, HashSet};

/// Ranks that count for most measures.
pub const K: usize = 10;

/// Chunks that count for the measures by characters.
pub const SPAN_K: usize = 5;

/// The measures of one ranking, or their means.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RankScores {
    /// Normalised discounted cumulative gain of the first ten.
    pub ndcg_10: f64,
    /// Share of the relevant ones among the first five.
    pub recall_5: f64,
    /// Share of the relevant ones among the first ten.
    pub recall_10: f64,
    /// 1 if all relevant ones are among the first ten.
    pub all_recall_10: f64,
    /// 1 / rank of the first relevant one among the first ten, else 0.
    pub mrr_10: f64,
}

/// The measures by characters of one query, or their means.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SpanScores {
    /// Wanted characters that were retrieved, of all wanted ones.
    pub recall_5: f64,
    /// Wanted characters that were retrieved, of all retrieved ones.
    pub precision_5: f64,
    /// Intersection over union.
    pub iou_5: f64,
}

/// Characters of a document, half-open.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Span {
    /// The document's id.
    pub doc: String,
    /// First character.
    pub start: usize,
    /// One past the last character.
    pub end: usize,
}

/// A retrieved chunk of a file: lines from 1, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileChunk<'a> {
    /// Path from the tree's root.
    pub path: &'a str,
    /// First line.
    pub first: u32,
    /// Last line.
    pub last: u32,
}

/// What a code query wants: a file, or lines of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Path from the tree's root.
    pub path: String,
    /// Lines from 1, both ends included; `None`: anywhere in the file.
    pub lines: Option<(u32, u32)>,
}

fn discount(rank: usize) -> f64 {
    1.0 / ((rank + 1) as f64).log2()
}

/// Scores a ranking of documents (best first) against graded gains. A document that comes again counts at its first
/// place only and takes no second one.
pub fn rank_documents(ranking: &[&str], gains: &HashMap<String, u32>) -> RankScores {
    let mut seen = HashSet::new();
    let once: Vec<&str> = ranking.iter().copied().filter(|doc| seen.insert(*doc)).collect();
    let gain = |doc: &str| f64::from(gains.get(doc).copied().unwrap_or(0));
    let dcg: f64 = once.iter().take(K).enumerate().map(|(index, doc)| gain(doc) * discount(index + 1)).sum();
    let mut wanted: Vec<f64> = gains.values().filter(|gain| **gain > 0).map(|gain| f64::from(*gain)).collect();
    wanted.sort_by(|a, b| b.total_cmp(a));
    let ideal: f64 = wanted.iter().take(K).enumerate().map(|(index, gain)| gain * discount(index + 1)).sum();
    let ranks: Vec<Option<usize>> = gains
        .iter()
        .filter(|(_, gain)| **gain > 0)
        .map(|(doc, _)| once.iter().position(|found| found == doc).map(|index| index + 1))
        .collect();
    RankScores { ndcg_10: if ideal > 0.0 { dcg / ideal } else { 0.0 }, ..by_ranks(&ranks) }
}

/// Scores ranked chunks against the targets of a code query: a target's rank is that of the first chunk that lies in its
/// file and overlaps its lines, further chunks of it get nothing, each target gains 1. Ranks are those of chunks, so a
/// second chunk of one file takes a place.
pub fn rank_targets(chunks: &[FileChunk<'_>], targets: &[Target]) -> RankScores {
    let ranks: Vec<Option<usize>> = targets
        .iter()
        .map(|target| chunks.iter().take(K).position(|chunk| covers(chunk, target)).map(|index| index + 1))
        .collect();
    // One chunk that covers two targets is one gain: otherwise a score could pass 1.
    let places: HashSet<usize> = ranks.iter().flatten().copied().collect();
    let dcg: f64 = places.iter().map(|rank| discount(*rank)).sum();
    let ideal: f64 = (1..=targets.len().min(K)).map(discount).sum();
    RankScores { ndcg_10: if ideal > 0.0 { dcg / ideal } else { 0.0 }, ..by_ranks(&ranks) }
}

fn covers(chunk: &FileChunk<'_>, target: &Target) -> bool {
    chunk.path == target.path && target.lines.is_none_or(|(first, last)| chunk.first <= last && chunk.last >= first)
}

/// All measures but nDCG, from the rank of each relevant item.
fn by_ranks(ranks: &[Option<usize>]) -> RankScores {
    if ranks.is_empty() {
        return RankScores::default();
    }
    let within = |k: usize| ranks.iter().flatten().filter(|rank| **rank <= k).count();
    let best = ranks.iter().flatten().min().copied().filter(|rank| *rank <= K);
    RankScores {
        ndcg_10: 0.0,
        recall_5: within(5) as f64 / ranks.len() as f64,
        recall_10: within(K) as f64 / ranks.len() as f64,
        all_recall_10: if within(K) == ranks.len() { 1.0 } else { 0.0 },
        mrr_10: best.map_or(0.0, |rank| 1.0 / rank as f64),
    }
}

/// Scores the first chunks of a ranking by characters. Characters that two chunks share count once.
pub fn score_spans(retrieved: &[Span], wanted: &[Span]) -> SpanScores {
    let retrieved = union(&retrieved[..retrieved.len().min(SPAN_K)]);
    let wanted = union(wanted);
    let (got, want) = (length(&retrieved), length(&wanted));
    let common = intersection(&retrieved, &wanted);
    let ratio = |a: usize, b: usize| if b == 0 { 0.0 } else { a as f64 / b as f64 };
    SpanScores {
        recall_5: ratio(common, want),
        precision_5: ratio(common, got),
        iou_5: ratio(common, got + want - common),
    }
}

/// The same characters as disjoint spans, by document and start.
fn union(spans: &[Span]) -> Vec<Span> {
    let mut sorted: Vec<Span> = spans.iter().filter(|span| span.start < span.end).cloned().collect();
    sorted.sort_by(|a, b| (&a.doc, a.start).cmp(&(&b.doc, b.start)));
    let mut merged: Vec<Span> = Vec::with_capacity(sorted.len());
    for span in sorted {
        match merged.last_mut() {
            Some(last) if last.doc == span.doc && span.start <= last.end => last.end = last.end.max(span.end),
            _ => merged.push(span),
        }
    }
    merged
}

fn length(spans: &[Span]) -> usize {
    spans.iter().map(|span| span.end - span.start).sum()
}

/// Characters that both hold; each side disjoint in itself.
fn intersection(a: &[Span], b: &[Span]) -> usize {
    let overlap = |x: &Span, y: &Span| x.end.min(y.end).saturating_sub(x.start.max(y.start));
    a.iter().flat_map(|x| b.iter().filter(|y| y.doc == x.doc).map(move |y| overlap(x, y))).sum()
}

/// The mean of each measure; zeros for none.
pub fn mean_ranks<'a>(scores: impl IntoIterator<Item = &'a RankScores>) -> RankScores {
    let (mut sum, mut n) = (RankScores::default(), 0.0);
    for score in scores {
        sum.ndcg_10 += score.ndcg_10;
        sum.recall_5 += score.recall_5;
        sum.recall_10 += score.recall_10;
        sum.all_recall_10 += score.all_recall_10;
        sum.mrr_10 += score.mrr_10;
        n += 1.0;
    }
    let n = f64::max(n, 1.0);
    RankScores {
        ndcg_10: sum.ndcg_10 / n,
        recall_5: sum.recall_5 / n,
        recall_10: sum.recall_10 / n,
        all_recall_10: sum.all_recall_10 / n,
        mrr_10: sum.mrr_10 / n,
    }
}

/// The mean of each measure; zeros for none.
pub fn mean_spans<'a>(scores: impl IntoIterator<Item = &'a SpanScores>) -> SpanScores {
    let (mut sum, mut n) = (SpanScores::default(), 0.0);
    for score in scores {
        sum.recall_5 += score.recall_5;
        sum.precision_5 += score.precision_5;
        sum.iou_5 += score.iou_5;
        n += 1.0;
    }
    let n = f64::max(n, 1.0);
    SpanScores { recall_5: sum.recall_5 / n, precision_5: sum.precision_5 / n, iou_5: sum.iou_5 / n }
}

/// The chance that a random one of `inside` lies above a random one of `outside`, ties half: the area under the receiver
/// operating characteristic (Hanley and McNeil, 1982). `None` if either is empty.
pub fn auroc(inside: &[f64], outside: &[f64]) -> Option<f64> {
    if inside.is_empty() || outside.is_empty() {
        return None;
    }
    let mut sorted = outside.to_vec();
    sorted.sort_by(f64::total_cmp);
    let won = |value: &f64| {
        let below = sorted.partition_point(|other| other < value);
        let up_to = sorted.partition_point(|other| other <= value);
        (below + up_to) as f64 / 2.0
    };
    Some(inside.iter().map(won).sum::<f64>() / (inside.len() * outside.len()) as f64)
}

/// The value below or at which that share of the values lies (nearest rank); 0 for none.
pub fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gains(pairs: &[(&str, u32)]) -> HashMap<String, u32> {
        pairs.iter().map(|(doc, gain)| ((*doc).to_owned(), *gain)).collect()
    }

    #[track_caller]
    fn near(actual: f64, expected: f64) {
        assert!((actual - expected).abs() < 1e-4, "{actual} is not {expected}");
    }

    #[test]
    fn graded_gains_as_trec_eval_counts_them() {
        // DCG = 1/1 + 3/2 (log2 4) = 2.5; ideal = 3/1 + 2/1.58496 + 1/2 = 4.76186.
        let scores = rank_documents(&["a", "x", "b"], &gains(&[("a", 1), ("b", 3), ("c", 2), ("x", 0)]));
        near(scores.ndcg_10, 0.52501);
        near(scores.recall_5, 2.0 / 3.0);
        near(scores.recall_10, 2.0 / 3.0);
        near(scores.all_recall_10, 0.0);
        near(scores.mrr_10, 1.0);
    }

    #[test]
    fn one_gold_document_at_each_place() {
        let wanted = gains(&[("g", 1)]);
        for (place, ndcg) in [(1, 1.0), (2, 0.63093), (5, 0.38685), (6, 0.35621), (10, 0.28906), (11, 0.0)] {
            let ranking: Vec<String> =
                (1..=11).map(|at| if at == place { "g".into() } else { format!("x{at}") }).collect();
            let scores = rank_documents(&ranking.iter().map(String::as_str).collect::<Vec<_>>(), &wanted);
            near(scores.ndcg_10, ndcg);
            near(scores.recall_5, if place <= 5 { 1.0 } else { 0.0 });
            near(scores.recall_10, if place <= 10 { 1.0 } else { 0.0 });
            near(scores.all_recall_10, scores.recall_10);
            near(scores.mrr_10, if place <= 10 { 1.0 / place as f64 } else { 0.0 });
        }
    }

    #[test]
    fn auroc_counts_pairs_in_order_and_ties_half() {
        near(auroc(&[0.9, 0.5], &[0.5, 0.1]).unwrap(), 3.5 / 4.0);
        near(auroc(&[1.0], &[0.0]).unwrap(), 1.0);
        assert_eq!(auroc(&[], &[0.5]), None);
    }

    #[test]
    fn a_document_that_comes_again_counts_once_and_takes_no_place() {
        let wanted = gains(&[("a", 1), ("b", 1)]);
        assert_eq!(rank_documents(&["a", "a", "a", "b"], &wanted), rank_documents(&["a", "b"], &wanted));
        near(rank_documents(&["a", "a", "b"], &wanted).ndcg_10, 1.0);
    }

    #[test]
    fn equal_gains_may_stand_in_any_order() {
        let wanted = gains(&[("a", 2), ("b", 2)]);
        near(rank_documents(&["a", "b"], &wanted).ndcg_10, 1.0);
        near(rank_documents(&["b", "a"], &wanted).ndcg_10, 1.0);
    }

    #[test]
    fn nothing_found_or_wanted_is_zero() {
        assert_eq!(rank_documents(&[], &gains(&[("a", 1)])), RankScores::default());
        assert_eq!(rank_documents(&["a"], &gains(&[("a", 0)])), RankScores::default());
        assert_eq!(rank_targets(&[], &[]), RankScores::default());
    }

    #[test]
    fn more_relevant_ones_than_places_can_still_reach_one() {
        let names: Vec<String> = (0..15).map(|n| format!("d{n}")).collect();
        let wanted: HashMap<String, u32> = names.iter().map(|name| (name.clone(), 1)).collect();
        let scores = rank_documents(&names.iter().map(String::as_str).collect::<Vec<_>>(), &wanted);
        near(scores.ndcg_10, 1.0);
        near(scores.recall_10, 10.0 / 15.0);
        near(scores.all_recall_10, 0.0);
    }

    fn chunk(path: &str, first: u32, last: u32) -> FileChunk<'_> {
        FileChunk { path, first, last }
    }

    fn target(path: &str, lines: Option<(u32, u32)>) -> Target {
        Target { path: path.to_owned(), lines }
    }

    #[test]
    fn a_code_target_ranks_by_its_first_chunk_and_chunks_take_places() {
        let chunks = [chunk("x", 1, 9), chunk("a", 1, 9), chunk("a", 10, 20), chunk("b", 1, 5)];
        let scores = rank_targets(&chunks, &[target("a", None), target("b", None)]);
        // Places 2 and 4: 1/log2 3 + 1/log2 5 = 0.63093 + 0.43068; ideal 1 + 0.63093.
        near(scores.ndcg_10, 1.06161 / 1.63093);
        near(scores.mrr_10, 0.5);
        near(scores.all_recall_10, 1.0);
    }

    #[test]
    fn lines_of_a_target_have_to_overlap_both_ends_included() {
        let chunks = [chunk("a", 1, 9), chunk("a", 20, 30), chunk("a", 9, 10)];
        near(rank_targets(&chunks, &[target("a", Some((10, 12)))]).mrr_10, 1.0 / 3.0);
        near(rank_targets(&chunks, &[target("a", Some((30, 40)))]).mrr_10, 0.5);
        near(rank_targets(&chunks, &[target("a", Some((31, 40)))]).mrr_10, 0.0);
    }

    #[test]
    fn a_chunk_that_covers_two_targets_gains_once() {
        let scores = rank_targets(&[chunk("a", 1, 50)], &[target("a", Some((1, 5))), target("a", Some((40, 45)))]);
        near(scores.ndcg_10, 1.0 / 1.63093);
        near(scores.recall_10, 1.0);
    }

    #[test]
    fn code_targets_beyond_the_tenth_chunk_do_not_count() {
        let mut chunks = vec![chunk("x", 1, 2); 10];
        chunks.push(chunk("a", 1, 2));
        assert_eq!(rank_targets(&chunks, &[target("a", None)]), RankScores::default());
    }

    fn span(doc: &str, start: usize, end: usize) -> Span {
        Span { doc: doc.to_owned(), start, end }
    }

    #[test]
    fn spans_count_characters_once() {
        // Retrieved a[0,20) after union, wanted a[10,30) and b[0,10): 10 of 30 wanted, 10 of 20 retrieved, 10 of 40.
        let scores = score_spans(&[span("a", 0, 15), span("a", 5, 20)], &[span("a", 10, 30), span("b", 0, 10)]);
        near(scores.recall_5, 1.0 / 3.0);
        near(scores.precision_5, 0.5);
        near(scores.iou_5, 0.25);
    }

    #[test]
    fn only_the_first_five_chunks_count() {
        let mut chunks: Vec<Span> = (0..5).map(|n| span("x", n * 10, n * 10 + 10)).collect();
        chunks.push(span("a", 0, 10));
        assert_eq!(score_spans(&chunks, &[span("a", 0, 10)]), SpanScores::default());
        assert_eq!(score_spans(&[], &[span("a", 0, 10)]), SpanScores::default());
    }

    #[test]
    fn spans_of_other_documents_and_empty_ones_never_match() {
        assert_eq!(score_spans(&[span("b", 0, 10)], &[span("a", 0, 10)]), SpanScores::default());
        near(score_spans(&[span("a", 3, 3), span("a", 0, 10)], &[span("a", 0, 10)]).iou_5, 1.0);
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let values: Vec<f64> = (1..=20).map(f64::from).collect();
        near(percentile(&values, 0.5), 10.0);
        near(percentile(&values, 0.95), 19.0);
        near(percentile(&[7.0], 0.95), 7.0);
        near(percentile(&[], 0.5), 0.0);
    }

    #[test]
    fn means_are_over_queries() {
        let one = RankScores { ndcg_10: 1.0, mrr_10: 0.5, ..Default::default() };
        near(mean_ranks([&one, &RankScores::default()]).ndcg_10, 0.5);
        near(mean_ranks([&one, &RankScores::default()]).mrr_10, 0.25);
        assert_eq!(mean_ranks([]), RankScores::default());
        near(mean_spans([&SpanScores { recall_5: 1.0, ..Default::default() }]).recall_5, 1.0);
    }
}
