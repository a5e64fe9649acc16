//! `hivemem stats` and `hivemem namespace`.

use std::fmt::Write as _;

use hivemem_client::proto::{ProjectionStats, StatsResponse};
use serde_json::{Value, json};

use super::args::{Global, NamespaceCommand};
use super::failure::Failure;
use super::output;
use super::render::{bytes, count, printable, table};
use super::session::Session;

/// Shows counts and states.
pub(super) async fn run(global: &Global) -> Result<(), Failure> {
    let session = Session::open(global).await?;
    let outcome = session.client.stats().await.map_err(Failure::from);
    let stats = session.close(outcome).await?;
    if global.json { output::print_json(&stats_json(&stats)) } else { output::print(&stats_text(&stats)) }
}

/// Creates or lists namespaces.
pub(super) async fn namespace(command: NamespaceCommand, global: &Global) -> Result<(), Failure> {
    let session = Session::open(global).await?;
    match command {
        NamespaceCommand::Create { name } => {
            let outcome = session.client.create_namespace(&name).await.map_err(Failure::from);
            session.close(outcome).await?;
            if global.json {
                return output::print_json(&json!({"namespace": name}));
            }
            output::print(&format!("created namespace {name}"))
        }
        NamespaceCommand::Ls => {
            let outcome = session.client.list_namespaces().await.map_err(Failure::from);
            let names = session.close(outcome).await?;
            if global.json {
                return output::print_json(&json!({"namespaces": names}));
            }
            output::print(&names.join("\n"))
        }
    }
}

fn stats_json(stats: &StatsResponse) -> Value {
    let model = stats.model.clone().unwrap_or_default();
    let projections: Vec<Value> = stats
        .projections
        .iter()
        .map(|projection| {
            json!({
                "name": projection.name,
                "applied_lsn": projection.applied_lsn,
                "entries": projection.entries,
                "indexed_entries": projection.indexed_entries,
                "manifest": projection.manifest,
                "problem": projection.problem,
                "generation": projection.generation,
                "next_lsn": projection.next_lsn,
                "next_problem": projection.next_problem,
            })
        })
        .collect();
    let sources: Vec<Value> = stats
        .sources
        .iter()
        .map(|source| json!({"id": source.id, "uri": source.uri, "watched": source.watched, "syncing": source.syncing, "problem": source.problem}))
        .collect();
    json!({
        "version": stats.version,
        "namespace": stats.namespace,
        "documents": stats.documents,
        "chunks": stats.chunks,
        "bytes": stats.bytes,
        "tokens": stats.tokens,
        "chunks_without_vector": stats.chunks_without_vector,
        "lsn": stats.lsn,
        "projections": projections,
        "model": {"name": model.name, "revision": model.revision, "dimension": model.dimension},
        "sources": sources,
        "resident_bytes": stats.resident_bytes,
        "disk_bytes": stats.disk_bytes,
    })
}

fn stats_text(stats: &StatsResponse) -> String {
    let model = stats.model.clone().unwrap_or_default();
    let waiting = match stats.chunks_without_vector {
        0 => "all with vectors".to_owned(),
        waiting => format!("{} still without a vector", count(waiting)),
    };
    let mut out = String::new();
    let _ = writeln!(out, "namespace  {}", stats.namespace);
    let _ =
        writeln!(out, "documents  {} ({}, {} tokens)", count(stats.documents), bytes(stats.bytes), count(stats.tokens));
    let _ = writeln!(out, "chunks     {} ({waiting})", count(stats.chunks));
    for source in &stats.sources {
        let watched = if source.watched { "  (watched)" } else { "" };
        let syncing = if source.syncing { "  (being ingested)" } else { "" };
        let _ = writeln!(out, "source     {}{watched}{syncing}", printable(&source.uri));
        if !source.problem.is_empty() {
            let _ = writeln!(out, "           {}", printable(&source.problem));
        }
    }
    let _ = writeln!(out, "server     {} at lsn {}", stats.version, stats.lsn);
    let _ = writeln!(out, "model      {} {} ({} dimensions)", model.name, model.revision, model.dimension);
    if stats.resident_bytes > 0 {
        let _ = writeln!(out, "memory     {}", bytes(stats.resident_bytes));
    }
    let _ = writeln!(out, "disk       {}", bytes(stats.disk_bytes));
    if !stats.projections.is_empty() {
        let head = ["projection", "lsn", "entries", "indexed", "state"].map(str::to_owned);
        let rows: Vec<Vec<String>> = stats
            .projections
            .iter()
            .map(|projection| {
                let state = match (projection.problem.as_str(), stats.lsn.saturating_sub(projection.applied_lsn)) {
                    ("", 0) => "current".to_owned(),
                    ("", behind) => format!("{} behind", count(behind)),
                    (problem, _) => printable(problem),
                };
                let state = format!("{state}{}", building(projection));
                let entries =
                    [projection.applied_lsn.to_string(), count(projection.entries), count(projection.indexed_entries)];
                [vec![projection.name.clone()], entries.to_vec(), vec![state]].concat()
            })
            .collect();
        let _ = write!(out, "\n{}", table(&head, &rows));
    }
    out
}

/// What is being built to take a projection's place.
fn building(projection: &ProjectionStats) -> String {
    match (projection.next_lsn, projection.next_problem.as_str()) {
        (None, _) => String::new(),
        (Some(lsn), "") => format!("; the next one is being built, at lsn {lsn}"),
        (Some(lsn), problem) => format!("; the next one is being built and stuck at lsn {lsn}: {}", printable(problem)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hivemem_client::proto::{ModelStats, SourceStats};

    fn stats() -> StatsResponse {
        let projection = |name: &str, applied_lsn, problem: &str| ProjectionStats {
            name: name.into(),
            applied_lsn,
            problem: problem.into(),
            ..Default::default()
        };
        let source = |uri: &str, watched, problem: &str| SourceStats {
            uri: uri.into(),
            watched,
            problem: problem.into(),
            ..Default::default()
        };
        StatsResponse {
            namespace: "default".into(),
            documents: 1_200,
            chunks: 5_000,
            chunks_without_vector: 40,
            lsn: 9,
            projections: vec![
                projection("lexical", 9, ""),
                projection("vector", 7, ""),
                projection("graph", 1, "disk full"),
            ],
            sources: vec![
                source("file:///still", false, ""),
                source("file:///followed", true, ""),
                source("file:///gone", true, "/gone does not exist"),
            ],
            model: Some(ModelStats { name: "minilm".into(), revision: "int8".into(), dimension: 384 }),
            ..Default::default()
        }
    }

    #[test]
    fn the_table_says_what_lags_and_why() {
        let text = stats_text(&stats());
        assert!(text.contains("documents  1,200"), "{text}");
        assert!(text.contains("40 still without a vector"), "{text}");
        assert!(text.contains("file:///still\n") && text.contains("file:///followed  (watched)\n"), "{text}");
        for state in ["current", "2 behind", "disk full", "/gone does not exist"] {
            assert!(text.contains(state), "{state} is missing in\n{text}");
        }
    }

    #[test]
    fn what_is_being_built_is_shown_until_it_serves() {
        let mut stats = stats();
        assert!(!stats_text(&stats).contains("being built"));
        stats.projections[0].next_lsn = Some(4);
        stats.projections[1].next_lsn = Some(0);
        stats.projections[1].next_problem = "disk full".into();
        let text = stats_text(&stats);
        assert!(text.contains("current; the next one is being built, at lsn 4"), "{text}");
        assert!(text.contains("2 behind; the next one is being built and stuck at lsn 0: disk full"), "{text}");
        assert_eq!(stats_json(&stats)["projections"][1]["next_problem"], "disk full");
    }

    #[test]
    fn the_json_has_every_figure() {
        let value = stats_json(&stats());
        assert_eq!(value["documents"], 1_200);
        assert_eq!(value["model"]["dimension"], 384);
        assert_eq!(value["projections"][2]["problem"], "disk full");
        assert_eq!((&value["sources"][0]["watched"], &value["sources"][1]["watched"]), (&json!(false), &json!(true)));
    }
}
