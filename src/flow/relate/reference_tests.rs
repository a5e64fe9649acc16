//! What references of real packages are taken to mean, against what a compiler and a language server say: the whole way from
//! source to edge.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::document;
use crate::base::{ContentHash, SourceId, Timestamp};
use crate::engine::catalog::StatedDocument;
use crate::engine::embed::Embedder;
use crate::engine::embed::fake::FakeEmbedder;
use crate::engine::graph::{Graph, NodeId, Toward};
use crate::engine::parse::facts::packages_tests::{number, package, rows, sources, text};
use crate::engine::parse::{ChunkSizes, media};
use crate::flow::build;
use crate::model::{EdgeKind, Namespace, Trust};

/// Least share of calls, and of imports whose target is in the package, that have to lead there, in percent.
const RATES_MIN: [(&str, usize); 2] = [("calls", 75), ("imports", 90)];

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// The graph of all that lies below `root`.
fn graph(root: &Path) -> Graph {
    let counter = FakeEmbedder::new(8).counter();
    let namespace = Namespace::new("default").unwrap();
    let mut paths = Vec::new();
    files(root, &mut paths);
    let mut graph = Graph::default();
    for path in paths {
        let Ok(bytes) = std::fs::read(&path) else { continue };
        let path = path.strip_prefix(root).unwrap().display().to_string();
        let Ok(media) = media::detect(&path, &bytes) else { continue };
        let facts = build::Facts {
            namespace: namespace.clone(),
            source: SourceId::derive("default", "file:///package"),
            uri: format!("file:///package/{path}"),
            path,
            title: None,
            modified_at: None,
            mark: None,
            tags: Vec::new(),
            metadata: BTreeMap::new(),
            trust: Trust::Local,
            expires_at: None,
            repeats: None,
            indexed_at: Timestamp(0),
        };
        let sizes = ChunkSizes { tokens_max: 200, header_tokens_max: 44 };
        let Ok(write) = build::document(facts, &media, &bytes, ContentHash::of(&bytes), sizes, &*counter) else {
            continue;
        };
        let chunks = write.chunks.iter().map(|chunk| chunk.span).collect();
        graph.load(vec![document(StatedDocument { document: write.document, chunks, facts: write.facts })]);
    }
    graph.settle_all();
    graph
}

/// Whether an edge of `kind` goes out at the row's place and ends where the row says.
fn leads_there(graph: &Graph, row: &Value, kind: EdgeKind) -> bool {
    let (file, _) = graph.candidates_for(text(row, "file"), 1);
    let Some(document) = file.first().and_then(|node| graph.view(*node)).and_then(|view| view.document) else {
        return false;
    };
    let mut from: Vec<NodeId> = graph.definitions(document);
    from.extend(file);
    let name = text(row, "to").rsplit(['.', ':']).next().unwrap_or_default();
    from.iter().flat_map(|node| graph.edges_at(*node, Toward::Out, usize::MAX)).any(|edge| {
        let Some(target) = graph.view(edge.other) else { return false };
        let in_file = target.path == text(row, "to_file");
        let at_line = target.lines.first <= number(row, "to_line") && number(row, "to_line") <= target.lines.last;
        // A call of a class is one of its constructor; an import of a module is one of its file.
        let named = target.name == name || target.name == text(row, "name") || target.lines.last == 0;
        edge.kind == kind && edge.line <= number(row, "end") && in_file && (at_line || target.lines.last == 0) && named
    })
}

#[test]
fn names_in_real_packages_lead_where_their_compilers_say() {
    let rows = rows();
    let mut packages: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for row in rows.iter().filter(|row| !text(row, "to_file").is_empty()) {
        packages.entry(package(row)).or_default().push(row);
    }
    for (name, rows) in packages {
        let Some(root) = sources(&name) else { continue };
        let graph = graph(&root);
        for (kind, least) in RATES_MIN {
            let rows: Vec<&&Value> = rows.iter().filter(|row| text(row, "kind") == kind).collect();
            let edge = EdgeKind::parse(kind).unwrap();
            let agreed = rows.iter().filter(|row| leads_there(&graph, row, edge)).count();
            if std::env::var_os("HIVEMEM_REFERENCE_SHOW").is_some() {
                rows.iter().filter(|row| !leads_there(&graph, row, edge)).for_each(|row| println!("{row}"));
            }
            if let Some(percent) = (100 * agreed).checked_div(rows.len()) {
                println!("{name} {kind}: {agreed} of {} lead there, {percent} %", rows.len());
                assert!(percent >= least, "{name} {kind}: {agreed} of {}", rows.len());
            }
        }
    }
}
