//! Measuring a routing set: each route is registered as one node, goals are routed one by one, those without a label are
//! out of scope.

use std::time::Instant;

use hivemem_client::Client;
use hivemem_client::proto::{Node, RegisterNodesRequest, RouteRequest};
use serde_json::{Value, json};

use super::super::args::RoutingArgs;
use super::super::failure::Failure;
use super::super::output;
use super::super::progress::query_bar;
use super::super::render;
use super::host::{Host, ResultsFile};
use crate::rank::metrics::{K, RankScores, auroc, mean_ranks, percentile, rank_documents};
use crate::server::sets::{self, Query, Route, RoutingSet};

/// What became of one goal.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Routed {
    /// Its ranking against what it wants; `None` if it is out of scope.
    scores: Option<RankScores>,
    /// Whether the first candidate is wanted.
    right: bool,
    /// Whether the server took it on.
    taken: bool,
    /// Probability that it has a route at all.
    in_scope: f64,
    ms: f64,
}

/// Runs the command.
pub(super) async fn run(args: RoutingArgs, global: &super::Global) -> Result<(), Failure> {
    let loaded = args.eval.sets.iter().map(|dir| sets::read_routing(dir)).collect::<Result<Vec<RoutingSet>, _>>()?;
    let mut results = ResultsFile::create(args.eval.results.as_deref())?;
    let (mut all, mut seconds, mut lines) = (Vec::new(), 0.0, Vec::new());
    for (dir, set) in args.eval.sets.iter().zip(loaded) {
        let host = Host::open(&args.eval, global, &sets::set_name(dir), args.eval.sets.len() > 1).await?;
        let outcome = measure(&host, set, &args, &mut results).await;
        let (name, routed, ingest_s) = host.close(outcome).await?;
        lines.push(summary(&name, &routed, ingest_s));
        seconds += ingest_s;
        if global.json {
            output::print_json(&lines[lines.len() - 1])?;
        }
        all.extend(routed);
    }
    if lines.len() > 1 {
        lines.push(summary("all", &all, seconds));
        if global.json {
            output::print_json(&lines[lines.len() - 1])?;
        }
    }
    results.finish()?;
    if global.json { Ok(()) } else { output::print(&table(&lines)) }
}

fn node(route: Route, with_utterances: bool) -> Node {
    Node {
        name: route.id,
        description: route.description,
        folder: route.path,
        utterances: if with_utterances { route.utterances } else { Vec::new() },
        ..Node::default()
    }
}

async fn measure(
    host: &Host,
    set: RoutingSet,
    args: &RoutingArgs,
    results: &mut ResultsFile,
) -> Result<(String, Vec<Routed>, f64), Failure> {
    let client = host.namespace(&set.name).await?;
    let nodes: Vec<Node> = set.routes.into_iter().map(|route| node(route, !args.no_utterances)).collect();
    let began = Instant::now();
    let head = RegisterNodesRequest { wait: true, ..RegisterNodesRequest::default() };
    let report = client.register_nodes(head, nodes).await.map_err(|error| Failure::from(error).about(&set.name))?;
    let ingest_s = began.elapsed().as_secs_f64();
    for issue in &report.issues {
        output::note(format!("{}: route {} is left out: {}", set.name, issue.name, issue.reason));
    }
    let queries = &set.queries[..set.queries.len().min(args.eval.limit.unwrap_or(usize::MAX))];
    let bar = query_bar(&set.name, queries.len());
    let mut routed = Vec::with_capacity(queries.len());
    for query in queries {
        let (one, line) = ask(&client, query).await?;
        results.write(&line)?;
        routed.push(one);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok((set.name, routed, ingest_s))
}

async fn ask(client: &Client, query: &Query) -> Result<(Routed, Value), Failure> {
    let request = RouteRequest { goal: query.text.clone(), k: Some(K as u32), ..RouteRequest::default() };
    let began = Instant::now();
    let outcome = client.route(request).await;
    let ms = began.elapsed().as_secs_f64() * 1e3;
    let reply = outcome.map_err(|error| Failure::failed(error.to_string()).about(format!("query {}", query.id)))?;
    let names: Vec<&str> = reply.candidates.iter().map(|candidate| candidate.name.as_str()).collect();
    let returned: Vec<Value> = reply
        .candidates
        .iter()
        .map(|candidate| json!({"id": candidate.name, "probability": render::float(candidate.probability)}))
        .collect();
    let in_scope = query.gains.values().any(|gain| *gain > 0);
    let right = names.first().is_some_and(|name| query.gains.get(*name).is_some_and(|gain| *gain > 0));
    let routed = Routed {
        scores: in_scope.then(|| rank_documents(&names, &query.gains)),
        right,
        taken: reply.decision != "none",
        in_scope: f64::from(reply.in_scope),
        ms,
    };
    Ok((
        routed,
        json!({"id": query.id, "decision": reply.decision, "in_scope": render::float(reply.in_scope), "results": returned}),
    ))
}

/// The object of the contract. Measures that a set can't give are null.
fn summary(set: &str, routed: &[Routed], ingest_s: f64) -> Value {
    let inside: Vec<&Routed> = routed.iter().filter(|one| one.scores.is_some()).collect();
    let outside: Vec<&Routed> = routed.iter().filter(|one| one.scores.is_none()).collect();
    let scores: Vec<RankScores> = inside.iter().filter_map(|one| one.scores).collect();
    let share = |ones: &[&Routed], of: fn(&Routed) -> bool| {
        (!ones.is_empty()).then(|| round(ones.iter().filter(|one| of(one)).count() as f64 / ones.len() as f64))
    };
    let ranked = |value: fn(&RankScores) -> f64| (!scores.is_empty()).then(|| round(value(&mean_ranks(&scores))));
    let ms: Vec<f64> = routed.iter().map(|one| one.ms).collect();
    let probabilities = |ones: &[&Routed]| ones.iter().map(|one| one.in_scope).collect::<Vec<_>>();
    json!({
        "set": set,
        "queries": routed.len(),
        "accuracy@1": share(&inside, |one| one.right),
        "recall@5": ranked(|scores| scores.recall_5),
        "recall@10": ranked(|scores| scores.recall_10),
        "ndcg@10": ranked(|scores| scores.ndcg_10),
        "oos_auroc": auroc(&probabilities(&inside), &probabilities(&outside)).map(round),
        "oos_recall": share(&outside, |one| !one.taken),
        "in_scope_accuracy": share(&inside, |one| one.right && one.taken),
        "p50_ms": round(percentile(&ms, 0.5)),
        "p95_ms": round(percentile(&ms, 0.95)),
        "ingest_s": round(ingest_s),
    })
}

fn round(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

fn table(lines: &[Value]) -> String {
    const COLUMNS: [&str; 12] = [
        "set",
        "queries",
        "accuracy@1",
        "recall@5",
        "recall@10",
        "ndcg@10",
        "oos_auroc",
        "oos_recall",
        "in_scope_accuracy",
        "p50_ms",
        "p95_ms",
        "ingest_s",
    ];
    let shown = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    let rows: Vec<Vec<String>> =
        lines.iter().map(|line| COLUMNS.iter().map(|column| shown(&line[column])).collect()).collect();
    render::table(&COLUMNS.map(str::to_owned), &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routed(wanted: bool, right: bool, taken: bool, in_scope: f64) -> Routed {
        let scores = wanted.then(|| RankScores { recall_5: 1.0, ..RankScores::default() });
        Routed { scores, right, taken, in_scope, ms: 2.0 }
    }

    #[test]
    fn the_object_has_the_names_and_meanings_of_the_contract() {
        let all = [
            routed(true, true, true, 0.9),
            routed(true, true, false, 0.4),
            routed(true, false, true, 0.6),
            routed(false, false, false, 0.1),
            routed(false, false, true, 0.5),
        ];
        let line = summary("s", &all, 1.5);
        assert_eq!((&line["set"], &line["queries"]), (&json!("s"), &json!(5)));
        assert_eq!((&line["accuracy@1"], &line["in_scope_accuracy"]), (&json!(0.6667), &json!(0.3333)));
        assert_eq!((&line["oos_recall"], &line["oos_auroc"]), (&json!(0.5), &json!(0.8333)));
        assert_eq!((&line["recall@5"], &line["p50_ms"]), (&json!(1.0), &json!(2.0)));
        for name in ["recall@10", "ndcg@10", "p95_ms"] {
            assert!(line[name].is_number(), "{name} is missing in {line}");
        }
        assert_eq!(summary("s", &all[..1], 1.0)["oos_auroc"], Value::Null);
        assert!(table(&[line]).contains("0.8333"));
    }
}
