//! Graphs over a catalogue in memory: which of them stay, what their folders are called, and how far a path may lead.

use super::*;
use crate::base::ContentHash;
use crate::engine::graph::Overlay;
use crate::flow::access::{Access, Grant};
use crate::flow::apply::Projector;
use crate::flow::compact;
use crate::flow::put::{InputDocument, Put};
use crate::flow::rebuild::NoWorkshop;
use crate::flow::testing;
use crate::model::{Facts, Role};

fn grant(namespace: &str) -> Grant {
    Access::default().authorize(None, namespace).unwrap()
}

async fn put(engines: &Engines, projector: &Projector, namespace: &str, documents: &[(String, String)]) {
    let (sink, _progress) = tokio::sync::mpsc::channel(1);
    let grant = grant(namespace);
    let mut put = Put::begin(engines, projector, &grant, "").await.unwrap();
    let input = |(uri, text): &(String, String)| InputDocument {
        uri: uri.clone(),
        content: text.as_bytes().to_vec(),
        ..InputDocument::default()
    };
    put.add(documents.iter().map(input).collect(), &sink).await.unwrap();
    put.acknowledge().await.unwrap();
    put.finish(true, &sink).await.unwrap();
}

fn notes(names: std::ops::Range<usize>) -> Vec<(String, String)> {
    names.map(|n| (format!("notes/{n}.md"), format!("# Note {n}\n\nSomething about number {n}.\n"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_keeps_what_a_loaded_graph_has_not_read() {
    let rig = testing::Rig::new().await;
    rig.put(&[("notes/a.md", "# Alpha\n\nAbout alpha.\n")]).await.unwrap();
    rig.settled().await;
    // Graphs that no follower knows stand for ones that it has not come to.
    let behind = Engines { graphs: Arc::default(), ..rig.engines.clone() };
    let loaded = behind.graphs.get(&behind, rig.grant.namespace()).await.unwrap();
    let read = loaded.applied();
    rig.put(&[("notes/a.md", "# Beta\n\nAbout beta.\n")]).await.unwrap();
    rig.settled().await;
    assert!(compact::durable(&rig.engines, &rig.projector) > read);
    assert_eq!(compact::durable(&behind, &rig.projector), read);
    behind.graphs.follow(&behind).await.unwrap();
    assert!(compact::durable(&behind, &rig.projector) > read);
}

#[tokio::test(flavor = "multi_thread")]
async fn graphs_that_grow_with_the_log_keep_to_the_limit_too() {
    let engines = testing::engines().await;
    let projector = Projector::start(&engines, Arc::new(NoWorkshop)).await.unwrap();
    for namespace in ["old", "new"] {
        put(&engines, &projector, namespace, &notes(0..3)).await;
    }
    let mut graphs = Graphs::default();
    let mut edges = 0;
    for namespace in ["old", "new"] {
        let loaded = graphs.get(&engines, grant(namespace).namespace()).await.unwrap();
        edges += loaded.read().edges();
    }
    graphs.edges_max = edges;
    graphs.follow(&engines).await.unwrap();
    let names = |graphs: &Graphs| {
        let mut names: Vec<String> = graphs.loaded().iter().map(|(namespace, _)| namespace.to_string()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&graphs), ["new", "old"], "just enough room");
    put(&engines, &projector, "new", &notes(3..9)).await;
    graphs.follow(&engines).await.unwrap();
    assert_eq!(names(&graphs), ["new"]);
    projector.finish().await.unwrap();
}

fn page(name: &str, overlay: Option<(&str, EdgeKind, &str)>) -> GraphDocument {
    let uri = format!("page:{name}");
    let address = |name: &str| format!("page:{name}");
    GraphDocument {
        id: DocumentId::derive("ns", &uri),
        source: SourceId::derive("ns", "page:"),
        uri,
        // No path, no folder that leads everywhere.
        path: String::new(),
        language: None,
        role: Role::Main,
        prose: true,
        memory: false,
        title: None,
        content: ContentHash::of(name.as_bytes()),
        chunks: Vec::new(),
        labels: Vec::new(),
        overlay: overlay.map(|(from, kind, to)| {
            let (from, to) = (address(from), address(to));
            Overlay { from, to, kind, note: String::new() }
        }),
        facts: Facts::default(),
    }
}

#[test]
fn a_path_within_the_steps_is_found_though_a_surer_way_takes_more() {
    let surer = [("start", "one"), ("one", "two"), ("two", "gate")].map(|(a, b)| (a, EdgeKind::SameAs, b));
    let shorter = [("start", "by"), ("by", "gate")].map(|(a, b)| (a, EdgeKind::MadeBy, b));
    let last = [("gate", EdgeKind::SameAs, "end")];
    let links: Vec<_> = surer.into_iter().chain(shorter).chain(last).collect();
    let mut graph = Graph::default();
    let names = ["start", "one", "two", "by", "gate", "end"];
    graph.put(names.iter().map(|name| page(name, None)).collect());
    graph.put(links.iter().map(|link| page(&format!("{}-{}", link.0, link.2), Some(*link))).collect());
    let at = |name: &str| graph.find(&format!("page:{name}")).unwrap();
    let way = |depth| {
        let (chain, truncated) = walk::shortest(&graph, at("start"), at("end"), depth, &[]);
        assert!(!truncated);
        chain.iter().map(|edge| graph.address(edge.other).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(way(4), ["page:one", "page:two", "page:gate", "page:end"], "the surest where there is room");
    assert_eq!(way(3), ["page:by", "page:gate", "page:end"]);
    assert_eq!(way(2), [""; 0]);
}

#[test]
fn a_search_that_skipped_edges_does_not_say_that_there_is_no_path() {
    let mut graph = Graph::default();
    let made = |n: usize| {
        let labels = vec![(EdgeKind::MadeBy, NodeKind::Run, "hub".to_owned())];
        GraphDocument { labels, ..page(&format!("leaf{n}"), None) }
    };
    graph.put((0..2_100).map(made).chain([page("alone", None)]).collect());
    let at = |address: &str| graph.find(address).unwrap();
    let (chain, truncated) = walk::shortest(&graph, at("run:hub"), at("page:alone"), 3, &[]);
    assert!(chain.is_empty() && truncated);
}
