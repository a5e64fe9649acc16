//! Quality as a test: a fixed corpus, queries with the files that answer them, and figures that a change must not lower.
//!
//! It measures what a user gets: the public API, default settings, documents ranked by their best chunk. It does not
//! replace `hivemem eval` on large labelled sets: a corpus this small shows that something broke, not which of two good
//! rankers is better.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use hivemem_client::proto::{SearchMode, SearchRequest};
use serde::Deserialize;

use crate::support::Server;

/// What a figure may lose before the test fails: one query that slips from the first place to the second costs 0.007.
const TOLERANCE: f64 = 0.01;

/// Ranks that count for nDCG.
const K: usize = 10;

#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Figures {
    ndcg_at_10: f64,
    recall_at_5: f64,
}

struct Query {
    text: String,
    relevant: Vec<String>,
}

/// One query's answer in one mode.
struct Answer {
    figures: Figures,
    first: Vec<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/quality")
}

fn queries() -> Vec<Query> {
    let text = std::fs::read_to_string(folder().join("queries.tsv")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let mut fields = line.split('\t').map(str::to_owned);
            let query = Query { text: fields.next().unwrap(), relevant: fields.collect() };
            assert!(!query.relevant.is_empty(), "{:?} has no relevant file", query.text);
            for path in &query.relevant {
                assert!(folder().join("corpus").join(path).is_file(), "{path} of {:?} is not there", query.text);
            }
            query
        })
        .collect()
}

/// nDCG@10 with equal gains and recall@5 of a ranking without repetitions.
fn figures(ranking: &[String], relevant: &[String]) -> Figures {
    let discount = |index: usize| 1.0 / (index as f64 + 2.0).log2();
    let places = |k: usize| ranking.iter().take(k).enumerate().filter(|(_, path)| relevant.contains(path));
    let gained = places(K).fold(0.0, |sum, (index, _)| sum + discount(index));
    let ideal: f64 = (0..relevant.len().min(K)).map(discount).sum();
    Figures { ndcg_at_10: gained / ideal, recall_at_5: places(5).count() as f64 / relevant.len() as f64 }
}

async fn answer(server: &Server, query: &Query, mode: SearchMode) -> Answer {
    let request = SearchRequest {
        query: query.text.clone(),
        mode: mode.into(),
        k: Some(K as u32),
        per_document_max: 1,
        ..SearchRequest::default()
    };
    let response = server.try_search(request).await.unwrap();
    assert!(response.completeness.is_some_and(|completeness| completeness.complete), "{:?}", query.text);
    let ranking: Vec<String> = response.hits.into_iter().map(|hit| hit.path).collect();
    Answer { figures: figures(&ranking, &query.relevant), first: ranking.into_iter().take(3).collect() }
}

fn mean(answers: &[Answer]) -> Figures {
    let sum = |of: fn(&Figures) -> f64| answers.iter().map(|answer| of(&answer.figures)).sum::<f64>();
    let n = answers.len() as f64;
    Figures { ndcg_at_10: sum(|f| f.ndcg_at_10) / n, recall_at_5: sum(|f| f.recall_at_5) / n }
}

/// Every query that is not answered perfectly, so that a person sees what fell.
fn losses(queries: &[Query], answers: &[Answer]) -> String {
    let mut out = String::new();
    for (query, answer) in queries.iter().zip(answers).filter(|(_, answer)| answer.figures.ndcg_at_10 < 1.0) {
        let Figures { ndcg_at_10, recall_at_5 } = answer.figures;
        let _ = writeln!(out, "  {ndcg_at_10:.3} {recall_at_5:.2}  {:?}", query.text);
        let _ = writeln!(out, "      wants {}; got {}", query.relevant.join(", "), answer.first.join(", "));
    }
    out
}

/// What is below its bound, in words.
fn shortfalls(name: &str, got: Figures, bound: Figures, why: &str) -> Vec<String> {
    [("ndcg@10", got.ndcg_at_10, bound.ndcg_at_10), ("recall@5", got.recall_at_5, bound.recall_at_5)]
        .into_iter()
        .filter(|(_, got, bound)| *got < bound - TOLERANCE)
        .map(|(figure, got, bound)| format!("{name}: {figure} is {got:.4}, {why} {bound:.4}"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_figure_falls_below_its_golden_value() {
    let golden: BTreeMap<String, Figures> =
        toml::from_str(&std::fs::read_to_string(folder().join("golden.toml")).unwrap()).unwrap();
    let (server, queries) = (Server::start().await, queries());
    let report = server.ingest(&folder().join("corpus")).await;
    assert!(report.skipped.is_empty() && report.failed.is_empty(), "{report:?}");

    let mut reached = BTreeMap::new();
    let mut complaints = Vec::new();
    for (name, mode) in [("hybrid", SearchMode::Hybrid), ("dense", SearchMode::Dense), ("lexical", SearchMode::Lexical)]
    {
        let mut answers = Vec::with_capacity(queries.len());
        for query in &queries {
            answers.push(answer(&server, query, mode).await);
        }
        let figures = mean(&answers);
        // Shown when the test fails, or with --nocapture.
        println!("[{name}]\nndcg_at_10 = {:.4}\nrecall_at_5 = {:.4}", figures.ndcg_at_10, figures.recall_at_5);
        println!("{}", losses(&queries, &answers));
        complaints.extend(shortfalls(name, figures, golden[name], "the golden value is"));
        reached.insert(name, figures);
    }
    server.stop().await;
    for channel in ["dense", "lexical"] {
        complaints.extend(shortfalls("hybrid", reached["hybrid"], reached[channel], &format!("{channel} alone has")));
    }
    assert!(complaints.is_empty(), "quality fell (losses per query above):\n{}", complaints.join("\n"));
}

#[test]
fn figures_follow_their_definitions() {
    let paths = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let near = |a: f64, b: f64| (a - b).abs() < 1e-4;
    assert_eq!(figures(&paths(&["a", "b"]), &paths(&["b", "a"])), Figures { ndcg_at_10: 1.0, recall_at_5: 1.0 });
    assert_eq!(figures(&paths(&["x"]), &paths(&["a"])), Figures::default());
    // 1 / log2 3 for the second place; with two wanted the ideal is 1 + 1 / log2 3.
    assert!(near(figures(&paths(&["x", "a"]), &paths(&["a"])).ndcg_at_10, 0.63093));
    let sixth = figures(&paths(&["a", "v", "w", "x", "y", "b"]), &paths(&["a", "b"]));
    assert!(near(sixth.ndcg_at_10, 1.35621 / 1.63093) && near(sixth.recall_at_5, 0.5), "{sixth:?}");
}

#[test]
fn a_loss_beyond_the_tolerance_is_named() {
    let bound = Figures { ndcg_at_10: 0.9, recall_at_5: 0.9 };
    let slightly = Figures { ndcg_at_10: 0.895, recall_at_5: 1.0 };
    assert!(shortfalls("hybrid", slightly, bound, "the golden value is").is_empty());
    let fallen = Figures { ndcg_at_10: 0.88, recall_at_5: 0.9 };
    let said = shortfalls("hybrid", fallen, bound, "the golden value is");
    assert_eq!(said, ["hybrid: ndcg@10 is 0.8800, the golden value is 0.9000"]);
}
