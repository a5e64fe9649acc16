//! From scored queries to what is printed: means, percentiles, JSON objects, a table.

use serde_json::{Value, json};

use super::super::render;
use crate::rank::metrics::{RankScores, SpanScores, mean_ranks, mean_spans, percentile};

/// How well one query was answered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Measure {
    /// By the ranking of documents or targets.
    Ranked(RankScores),
    /// By characters.
    Spans(SpanScores),
}

/// One query that was asked and scored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scored {
    /// How well it was answered.
    pub measure: Measure,
    /// How long the answer took at the client, in milliseconds.
    pub ms: f64,
    /// Reported apart.
    pub adversarial: bool,
}

/// A set, conversation or tree that was measured.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    /// Its name.
    pub name: String,
    /// Its queries.
    pub scored: Vec<Scored>,
    /// Seconds from the first document sent until all vectors were there.
    pub ingest_s: f64,
}

/// The figures of a part or of all.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Summary {
    set: String,
    queries: usize,
    ranked: Option<RankScores>,
    spans: Option<SpanScores>,
    p50_ms: f64,
    p95_ms: f64,
    ingest_s: f64,
    adversarial: Option<(usize, RankScores)>,
}

/// How the last line comes out of several parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overall {
    /// The mean over all queries.
    Queries,
    /// The mean over the parts' means.
    Parts,
}

fn ranks<'a>(scored: impl IntoIterator<Item = &'a Scored>) -> Vec<RankScores> {
    let rank = |scored: &Scored| match scored.measure {
        Measure::Ranked(scores) => Some(scores),
        Measure::Spans(_) => None,
    };
    scored.into_iter().filter_map(rank).collect()
}

impl Summary {
    fn of<'a>(set: &str, scored: impl Iterator<Item = &'a Scored>, ingest_s: f64) -> Self {
        let (adversarial, main): (Vec<&Scored>, Vec<&Scored>) = scored.partition(|scored| scored.adversarial);
        let ms: Vec<f64> = main.iter().map(|scored| scored.ms).collect();
        let ranked = ranks(main.iter().copied());
        let span = |scored: &&Scored| match scored.measure {
            Measure::Spans(scores) => Some(scores),
            Measure::Ranked(_) => None,
        };
        let spans: Vec<SpanScores> = main.iter().filter_map(span).collect();
        Self {
            set: set.to_owned(),
            queries: main.len(),
            ranked: (!ranked.is_empty()).then(|| mean_ranks(&ranked)),
            spans: (!spans.is_empty()).then(|| mean_spans(&spans)),
            p50_ms: percentile(&ms, 0.5),
            p95_ms: percentile(&ms, 0.95),
            ingest_s,
            adversarial: (!adversarial.is_empty())
                .then(|| (adversarial.len(), mean_ranks(&ranks(adversarial.iter().copied())))),
        }
    }

    /// The figures of one part.
    pub fn of_part(part: &Part) -> Self {
        Self::of(&part.name, part.scored.iter(), part.ingest_s)
    }

    /// The figures of all parts together; `None` for a single part, whose own say it all.
    pub fn of_all(parts: &[Part], overall: Overall) -> Option<Self> {
        if parts.len() < 2 {
            return None;
        }
        let ingest_s = parts.iter().map(|part| part.ingest_s).sum();
        let pooled = Self::of("all", parts.iter().flat_map(|part| &part.scored), ingest_s);
        Some(match overall {
            Overall::Queries => pooled,
            Overall::Parts => {
                let means: Vec<RankScores> = parts.iter().filter_map(|part| Self::of_part(part).ranked).collect();
                Self { ranked: Some(mean_ranks(&means)), ..pooled }
            }
        })
    }

    /// The object of the contract.
    pub fn json(&self) -> Value {
        let mut value = json!({
            "set": self.set,
            "queries": self.queries,
            "p50_ms": round(self.p50_ms, 3),
            "p95_ms": round(self.p95_ms, 3),
            "ingest_s": round(self.ingest_s, 3),
        });
        if let Some(scores) = &self.ranked {
            set_ranks(&mut value, scores);
        }
        if let Some(scores) = &self.spans {
            value["span_recall@5"] = json!(round(scores.recall_5, 6));
            value["span_precision@5"] = json!(round(scores.precision_5, 6));
            value["span_iou@5"] = json!(round(scores.iou_5, 6));
        }
        if let Some((queries, scores)) = &self.adversarial {
            let mut apart = json!({"queries": queries});
            set_ranks(&mut apart, scores);
            value["adversarial"] = apart;
        }
        value
    }
}

fn set_ranks(value: &mut Value, scores: &RankScores) {
    for (name, score) in rank_columns(scores) {
        value[name] = json!(round(score, 6));
    }
}

fn rank_columns(scores: &RankScores) -> [(&'static str, f64); 5] {
    [
        ("ndcg@10", scores.ndcg_10),
        ("recall@5", scores.recall_5),
        ("recall@10", scores.recall_10),
        ("all_recall@10", scores.all_recall_10),
        ("mrr@10", scores.mrr_10),
    ]
}

fn span_columns(scores: &SpanScores) -> [(&'static str, f64); 3] {
    [("span_recall@5", scores.recall_5), ("span_precision@5", scores.precision_5), ("span_iou@5", scores.iou_5)]
}

fn round(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

/// All summaries as one table; adversarial queries get a row of their own.
pub(super) fn table(summaries: &[Summary]) -> String {
    let some_ranked = summaries.iter().any(|summary| summary.ranked.is_some());
    let some_spans = summaries.iter().any(|summary| summary.spans.is_some());
    let mut head = vec!["set", "queries"];
    if some_ranked {
        head.extend(rank_columns(&RankScores::default()).map(|(name, _)| name));
    }
    if some_spans {
        head.extend(span_columns(&SpanScores::default()).map(|(name, _)| name));
    }
    head.extend(["p50_ms", "p95_ms", "ingest_s"]);
    let scores = |ranked: Option<RankScores>, spans: Option<SpanScores>| {
        let ranked = ranked.map_or(vec!["-".to_owned(); 5], |scores| shown(&rank_columns(&scores)));
        let spans = spans.map_or(vec!["-".to_owned(); 3], |scores| shown(&span_columns(&scores)));
        [if some_ranked { ranked } else { Vec::new() }, if some_spans { spans } else { Vec::new() }].concat()
    };
    let mut rows = Vec::new();
    for summary in summaries {
        let name = vec![summary.set.clone(), summary.queries.to_string()];
        let times = vec![
            format!("{:.1}", summary.p50_ms),
            format!("{:.1}", summary.p95_ms),
            format!("{:.1}", summary.ingest_s),
        ];
        rows.push([name, scores(summary.ranked, summary.spans), times].concat());
        if let Some((queries, apart)) = summary.adversarial {
            let name = vec![format!("{} (adversarial)", summary.set), queries.to_string()];
            rows.push([name, scores(Some(apart), None), vec!["-".to_owned(); 3]].concat());
        }
    }
    let head: Vec<String> = head.into_iter().map(str::to_owned).collect();
    render::table(&head, &rows)
}

fn shown(columns: &[(&'static str, f64)]) -> Vec<String> {
    columns.iter().map(|(_, value)| format!("{value:.4}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scored(ndcg_10: f64, ms: f64, adversarial: bool) -> Scored {
        Scored { measure: Measure::Ranked(RankScores { ndcg_10, ..RankScores::default() }), ms, adversarial }
    }

    fn part(name: &str, ndcgs: &[f64]) -> Part {
        let scored = ndcgs.iter().enumerate().map(|(index, ndcg)| scored(*ndcg, index as f64 + 1.0, false)).collect();
        Part { name: name.to_owned(), scored, ingest_s: 2.0 }
    }

    #[test]
    fn all_is_the_mean_over_queries_or_over_parts() {
        let parts = [part("a", &[1.0, 1.0, 1.0]), part("b", &[0.0])];
        let over_queries = Summary::of_all(&parts, Overall::Queries).unwrap().json();
        assert_eq!((&over_queries["set"], &over_queries["queries"]), (&json!("all"), &json!(4)));
        assert_eq!(over_queries["ndcg@10"], json!(0.75));
        assert_eq!(over_queries["ingest_s"], json!(4.0));
        assert_eq!(Summary::of_all(&parts, Overall::Parts).unwrap().json()["ndcg@10"], json!(0.5));
        assert!(Summary::of_all(&parts[..1], Overall::Queries).is_none());
    }

    #[test]
    fn adversarial_queries_stay_out_of_the_main_figures() {
        let mut mixed = part("conv", &[1.0, 0.5]);
        mixed.scored.push(scored(0.0, 900.0, true));
        let value = Summary::of_part(&mixed).json();
        assert_eq!((&value["queries"], &value["ndcg@10"], &value["p95_ms"]), (&json!(2), &json!(0.75), &json!(2.0)));
        assert_eq!((&value["adversarial"]["queries"], &value["adversarial"]["ndcg@10"]), (&json!(1), &json!(0.0)));
    }

    #[test]
    fn the_object_has_the_names_of_the_contract() {
        let value = Summary::of_part(&part("a", &[1.0])).json();
        for name in [
            "set",
            "queries",
            "ndcg@10",
            "recall@5",
            "recall@10",
            "all_recall@10",
            "mrr@10",
            "p50_ms",
            "p95_ms",
            "ingest_s",
        ] {
            assert!(value.get(name).is_some(), "{name} is missing in {value}");
        }
        assert!(value.get("adversarial").is_none() && value.get("span_recall@5").is_none());
    }

    #[test]
    fn the_table_has_a_row_for_each_and_dashes_where_a_measure_does_not_apply() {
        let by_spans = Part {
            name: "chunking".into(),
            scored: vec![Scored {
                measure: Measure::Spans(SpanScores { recall_5: 0.9, precision_5: 0.1, iou_5: 0.1 }),
                ms: 1.0,
                adversarial: false,
            }],
            ingest_s: 1.0,
        };
        let value = Summary::of_part(&by_spans).json();
        assert_eq!((&value["span_recall@5"], value.get("ndcg@10")), (&json!(0.9), None));
        let text = table(&[Summary::of_part(&part("a", &[0.25])), Summary::of_part(&by_spans)]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].contains("ndcg@10") && lines[0].contains("span_iou@5"), "{text}");
        assert!(lines[1].contains("0.2500") && lines[1].contains('-'), "{text}");
        assert!(lines[2].contains("0.9000"), "{text}");
    }
}
