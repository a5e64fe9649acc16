//! What belongs together: the graph in searches and contexts, and its service.

use hivemem_client::ErrorKind;
use hivemem_client::proto::forget_request::Selector;
use hivemem_client::proto::{
    ForgetRequest, InputDocument, LinkRequest, NeighborsRequest, OutlineRequest, PathRequest, PutDocumentsRequest,
    RelatedRequest, ResolveRequest, SearchMode, SearchRequest, TreeRequest, UnlinkRequest,
};

use crate::support::{Server, repository, tree};

/// Pages about made-up things, of which two answer a question together.
async fn pages(server: &Server) {
    let pages = [
        ("Zorvex Instruments", "Zorvex Instruments makes balances. The company was founded by Mira Kellanova in 1953."),
        ("Mira Kellanova", "Mira Kellanova (1921-1999) was an engineer. She grew up in the harbour town of Velsund."),
        ("Balance (instrument)", "A balance compares two masses. Laboratories use balances that are made with care."),
        ("Harbour towns", "Harbour towns grew where ships could land. Many engineers were born in a town like that."),
        ("Founding a company", "A company is founded by an entry in the register. Its founder signs, wherever born."),
    ];
    let documents: Vec<InputDocument> = pages
        .iter()
        .enumerate()
        .map(|(n, (title, text))| InputDocument {
            uri: format!("page:{n}"),
            title: (*title).to_owned(),
            content: text.as_bytes().to_vec(),
            ..InputDocument::default()
        })
        .collect();
    let put = server.client.put_documents(PutDocumentsRequest::default(), documents).await.unwrap();
    put.finish(|_| {}).await.unwrap();
}

const QUESTION: &str = "In which town did the founder of Zorvex Instruments grow up?";

#[tokio::test(flavor = "multi_thread")]
async fn a_question_of_two_hops_finds_both_passages() {
    let server = Server::start().await;
    pages(&server).await;
    let uris = |hits: &[hivemem_client::proto::Hit]| hits.iter().map(|hit| hit.uri.clone()).collect::<Vec<_>>();
    let request = SearchRequest { query: QUESTION.into(), explain: true, ..SearchRequest::default() };
    let answer = server.try_search(request).await.unwrap();
    assert!(answer.completeness.unwrap().complete);
    let mut first = uris(&answer.hits)[..2].to_vec();
    first.sort();
    assert_eq!(first, ["page:0", "page:1"]);
    let second = answer.hits.iter().find(|hit| hit.uri == "page:1").unwrap();
    assert!(second.parts.iter().any(|part| part.name == "linked" && part.value > 0.0), "{:?}", second.parts);
    let sum: f32 = second.parts.iter().map(|part| part.value).sum();
    assert!((sum - second.score).abs() < 1e-4);

    let graph = server.search_with(QUESTION, SearchMode::Graph, Default::default()).await;
    assert!(uris(&graph)[..2].contains(&"page:1".to_owned()), "{:?}", uris(&graph));

    // Gone is gone, in the graph as well, and after a restart.
    let forget = ForgetRequest { selector: Some(Selector::Uri("page:1".into())), ..ForgetRequest::default() };
    let forgotten = server.client.forget(forget).await.unwrap();
    assert!(forgotten.pending.is_empty(), "{:?}", forgotten.pending);
    assert!(!uris(&server.search(QUESTION).await.hits).contains(&"page:1".to_owned()));
    let server = server.restart().await;
    server.settled().await;
    assert!(!uris(&server.search(QUESTION).await.hits).contains(&"page:1".to_owned()));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_holds_for_what_only_the_graph_finds() {
    let server = Server::start().await;
    pages(&server).await;
    let secret = InputDocument {
        uri: "page:secret".into(),
        title: "Mira Kellanova".into(),
        content: b"Of Mira Kellanova it is told that she grew up elsewhere.".to_vec(),
        tags: vec!["secret".into()],
        ..InputDocument::default()
    };
    let put = server.client.put_documents(PutDocumentsRequest::default(), vec![secret]).await.unwrap();
    put.finish(|_| {}).await.unwrap();
    let filter = hivemem_client::proto::SearchFilter { tags: vec!["secret".into()], ..Default::default() };
    for mode in [SearchMode::Hybrid, SearchMode::Graph] {
        let hits = server.search_with(QUESTION, mode, filter.clone()).await;
        let found = !hits.is_empty() && hits.iter().all(|hit| hit.uri == "page:secret");
        assert!(found, "{mode:?}: {hits:?}");
    }
    let other = server.client.with_namespace("other");
    other.create_namespace("other").await.unwrap();
    let related = other.related(RelatedRequest { nodes: vec!["entity:mira kellanova".into()], ..Default::default() });
    assert_eq!(related.await.unwrap_err().kind(), ErrorKind::NotFound, "a namespace is a wall");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tree_counts_and_limits_say_what_they_left_out() {
    let (server, repo) = (Server::start().await, repository());
    server.ingest(repo.path()).await;
    let tree = server.client.tree(TreeRequest { depth: 3, ..Default::default() }).await.unwrap();
    let names: Vec<(u32, &str, u32)> =
        tree.entries.iter().map(|entry| (entry.depth, entry.name.as_str(), entry.files)).collect();
    assert_eq!(names[0].2, 5, "{names:?}");
    assert_eq!(names[1..4], [(1, "docs", 1), (2, "guide.md", 1), (1, "src", 2)]);
    assert_eq!(tree.entries[3].languages["rust"], 2);
    let few = server.client.tree(TreeRequest { depth: 3, limit: 2, ..Default::default() }).await.unwrap();
    assert_eq!((few.entries.len(), few.left_out), (2, 7));
    let part = server.client.tree(TreeRequest { path: "src".into(), ..Default::default() }).await.unwrap();
    assert_eq!(part.entries.iter().map(|entry| &*entry.name).collect::<Vec<_>>(), ["src", "pool.rs", "retry.rs"]);
    for (request, kind) in [
        (TreeRequest { path: "nowhere".into(), ..Default::default() }, ErrorKind::NotFound),
        (TreeRequest { depth: 99, ..Default::default() }, ErrorKind::Limit),
        (TreeRequest { limit: 1_000_000, ..Default::default() }, ErrorKind::Limit),
    ] {
        assert_eq!(server.client.tree(request).await.unwrap_err().kind(), kind);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_with_odd_names_has_its_tree() {
    let server = Server::start().await;
    let dir = tree(&[("my notes/50% #1.md", b"# Odd\n\nAn odd name.\n"), ("my notes/plain.md", b"# Plain\n\nText.\n")]);
    server.ingest(dir.path()).await;
    let uri = format!("file://{}", dir.path().canonicalize().unwrap().display());
    let all = server.client.tree(TreeRequest { depth: 3, ..Default::default() }).await.unwrap();
    let shown: Vec<(&str, u32)> = all.entries.iter().map(|entry| (entry.address.as_str(), entry.files)).collect();
    assert_eq!(shown[..2], [(&*format!("{uri}/"), 2), (&*format!("{uri}/my%20notes/"), 2)]);
    let part = TreeRequest { path: format!("{uri}/my%20notes"), ..Default::default() };
    assert_eq!(server.client.tree(part).await.unwrap().entries.len(), 3);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_that_go_in_circles_leave_the_tree_as_it_is() {
    let (server, repo) = (Server::start().await, repository());
    server.ingest(repo.path()).await;
    let all = server.client.tree(TreeRequest { depth: 3, ..Default::default() }).await.unwrap().entries;
    let root = all[0].address.clone();
    let whole = TreeRequest { path: root.clone(), depth: 3, ..Default::default() };
    let before = server.client.tree(whole.clone()).await.unwrap().entries;
    for (from, to) in [(format!("{root}src/"), root.clone()), (root.clone(), root.clone())] {
        let link = LinkRequest { from, to, kind: "contains".into(), ..Default::default() };
        server.client.link(link).await.unwrap();
    }
    assert_eq!(server.client.tree(whole).await.unwrap().entries, before);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_graph_alone_answers_about_code_and_finds_odd_headings() {
    let server = Server::start().await;
    let headings =
        b"# Notes\n\n## C# basics\n\nOf types.\n\n## std::vector\n\nGrows.\n\n## ~/.config\n\nOf settings.\n";
    let pool = b"/// Hands out connections.\npub fn acquire_connection() {}\n\npub fn drain() {\n    acquire_connection();\n}\n";
    let repo = tree(&[("src/pool.rs", pool.as_slice()), ("notes.md", headings.as_slice())]);
    server.ingest(repo.path()).await;
    let found = server.search_with("acquire_connection", SearchMode::Graph, Default::default()).await;
    assert!(found.iter().any(|hit| hit.path == "src/pool.rs"), "{found:?}");
    let outline = OutlineRequest { node: "notes.md".into(), ..Default::default() };
    let entries = server.client.outline(outline).await.unwrap().entries;
    let names: Vec<String> = entries.iter().filter_map(|entry| Some(entry.node.as_ref()?.address.clone())).collect();
    assert!(names.len() >= 3, "{names:?}");
    for address in names {
        let around = NeighborsRequest { node: address.clone(), ..Default::default() };
        let node = server.client.neighbors(around).await.unwrap().node.unwrap();
        assert_eq!(node.address, address, "an address that is told leads back");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_are_made_found_and_taken_back() {
    let server = Server::start().await;
    let repo = tree(&[("a.md", b"# Alpha\n\nAbout alpha.\n"), ("b.md", b"# Beta\n\nAbout beta.\n")]);
    server.ingest(repo.path()).await;
    let wanted = LinkRequest {
        from: "a.md".into(),
        to: "b.md".into(),
        note: "the second part of it".into(),
        idempotency_key: "one".into(),
        ..Default::default()
    };
    let made = server.client.link(wanted.clone()).await.unwrap();
    assert!(made.created);
    assert_eq!(server.client.link(wanted).await.unwrap(), made, "the same key, the same reply");
    let around = NeighborsRequest { node: "b.md".into(), kinds: vec!["related".into()], ..Default::default() };
    let found = server.client.neighbors(around.clone()).await.unwrap();
    assert_eq!(found.edges.len(), 1, "{found:?}");
    assert_eq!((&*found.edges[0].note, &*found.nodes[0].name), ("the second part of it", "a.md"));
    let way = PathRequest { from: "a.md".into(), to: "b.md".into(), ..Default::default() };
    assert_eq!(server.client.path(way).await.unwrap().edges[0].kind, "related");
    assert!(server.search("second part").await.hits.iter().any(|hit| hit.uri == found.edges[0].origin));

    // It holds over a new version of what it joins, and over a restart.
    std::fs::write(repo.path().join("b.md"), "# Beta\n\nAbout beta, newly.\n").unwrap();
    server.ingest(repo.path()).await;
    let server = server.restart().await;
    assert_eq!(server.client.neighbors(around.clone()).await.unwrap().edges.len(), 1);

    let back = UnlinkRequest { from: "a.md".into(), to: "b.md".into(), ..Default::default() };
    assert_eq!(server.client.unlink(back).await.unwrap().removed, [found.edges[0].origin.clone()]);
    assert!(server.client.neighbors(around).await.unwrap().edges.is_empty());
    let no_link = UnlinkRequest { origin: format!("file://{}/a.md", repo.path().display()), ..Default::default() };
    assert_eq!(
        server.client.unlink(no_link).await.unwrap_err().kind(),
        ErrorKind::NotFound,
        "documents are safe from it"
    );
    let nowhere = LinkRequest { from: "a.md".into(), to: "c.md".into(), ..Default::default() };
    assert_eq!(server.client.link(nowhere).await.unwrap_err().kind(), ErrorKind::NotFound);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_answered_says_why() {
    let (server, repo) = (Server::start().await, repository());
    server.ingest(repo.path()).await;
    let client = &server.client;
    let deep = NeighborsRequest { node: "src/pool.rs".into(), depth: 9, ..Default::default() };
    let error = client.neighbors(deep).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert!(error.to_string().contains("1 to 3"), "{error}");
    let kind = NeighborsRequest { node: "src/pool.rs".into(), kinds: vec!["eats".into()], ..Default::default() };
    assert!(client.neighbors(kind).await.unwrap_err().to_string().contains("calls"));
    let unknown = OutlineRequest { node: "no such thing".into(), ..Default::default() };
    assert_eq!(client.outline(unknown).await.unwrap_err().kind(), ErrorKind::NotFound);
    let none = ResolveRequest { name: "no such thing".into(), ..Default::default() };
    assert!(client.resolve(none).await.unwrap().nodes.is_empty(), "asking is no error");
    let nothing = RelatedRequest::default();
    assert_eq!(client.related(nothing).await.unwrap_err().kind(), ErrorKind::Invalid);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_prose_names_is_around_its_section_and_leads_from_page_to_page() {
    let server = Server::start().await;
    pages(&server).await;
    let folder = tree(&[("history.md", b"# Firms\n\nOf Zorvex Instruments little is left.\n")]);
    server.ingest(folder.path()).await;
    let around = NeighborsRequest { node: "entity:zorvex instruments".into(), ..Default::default() };
    let found = server.client.neighbors(around).await.unwrap();
    let from: Vec<(&str, &str)> =
        found.edges.iter().map(|edge| (edge.kind.as_str(), edge.from.rsplit('/').next().unwrap())).collect();
    for expected in [("about", "page:0"), ("mentions", "history.md#Firms")] {
        assert!(from.contains(&expected), "{expected:?} is not in {from:?}");
    }
    assert!(found.edges.iter().all(|edge| !edge.from.contains("#bytes=")), "no bare passages: {from:?}");
    let way = PathRequest {
        from: "page:0".into(),
        to: "page:1".into(),
        kinds: vec!["mentions".into(), "about".into()],
        ..Default::default()
    };
    let way = server.client.path(way).await.unwrap();
    let names: Vec<&str> = way.nodes.iter().map(|node| node.address.as_str()).collect();
    assert_eq!(names, ["page:0", "entity:mira kellanova", "page:1"]);
    server.stop().await;
}

/// A crate of two files with a test and a page about it.
fn crate_with_docs() -> tempfile::TempDir {
    tree(&[
        (
            "src/engine.rs",
            b"/// Starts cold.\npub struct Engine { heat: u32 }\n\nimpl Engine {\n    /// Warms the engine up to its working heat.\n    pub fn warm_up(&mut self) -> bool {\n        ignite(self);\n        self.heat > 90\n    }\n}\n\n/// Lights the flame.\nfn ignite(engine: &mut Engine) {\n    engine.heat += 100;\n}\n",
        ),
        (
            "src/drive.rs",
            b"use crate::engine::Engine;\n\n/// Drives off once warm.\npub fn drive_off(mut engine: Engine) -> bool {\n    engine.warm_up()\n}\n",
        ),
        (
            "tests/drive_test.rs",
            b"use car::engine::Engine;\n\n#[test]\nfn a_cold_engine_warms_up() {\n    let mut engine = Engine { heat: 0 };\n    assert!(engine.warm_up());\n}\n",
        ),
        ("docs/winter.md", b"# Winter\n\nBefore you leave, call `Engine::warm_up` and wait for it.\n"),
        ("docs/summer.md", b"# Summer\n\nOpen the windows.\n"),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn code_knows_who_calls_it_what_it_uses_its_tests_and_its_page() {
    let (server, repo) = (Server::start().await, crate_with_docs());
    server.ingest(repo.path()).await;
    let around = NeighborsRequest { node: "Engine::warm_up".into(), ..Default::default() };
    let found = server.client.neighbors(around).await.unwrap();
    let told: Vec<(String, String)> = found
        .edges
        .iter()
        .map(|edge| {
            let own = &found.node.as_ref().unwrap().address;
            let other = if edge.from == *own { &edge.to } else { &edge.from };
            (edge.kind.clone(), other.rsplit('/').next().unwrap().to_owned())
        })
        .collect();
    for (kind, other) in [
        ("calls", "engine.rs#ignite"),
        ("calls", "drive.rs#drive_off"),
        ("calls", "drive_test.rs#a_cold_engine_warms_up"),
        ("mentions", "winter.md#Winter"),
    ] {
        assert!(told.contains(&(kind.to_owned(), other.to_owned())), "{kind} {other} is not in {told:?}");
    }
    let tests = NeighborsRequest { node: "Engine::warm_up".into(), kinds: vec!["tests".into()], ..Default::default() };
    let tests = server.client.neighbors(tests).await.unwrap().nodes;
    let names: Vec<&str> = tests.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["a_cold_engine_warms_up"], "what calls it from a test tests it");
    let node = found.node.unwrap();
    assert_eq!(node.doc, "Warms the engine up to its working heat.");
    assert!(node.signature.contains("fn warm_up(&mut self) -> bool"), "{}", node.signature);
    let outline = OutlineRequest { node: "src/engine.rs".into(), ..Default::default() };
    let outline = server.client.outline(outline).await.unwrap();
    let names: Vec<String> = outline.entries.into_iter().map(|entry| entry.node.unwrap().name).collect();
    assert_eq!(names, ["Engine", "warm_up", "ignite"]);
    let outline = OutlineRequest { node: "src/engine.rs".into(), limit: 1, ..Default::default() };
    let outline = server.client.outline(outline).await.unwrap();
    let names: Vec<String> = outline.entries.into_iter().map(|entry| entry.node.unwrap().name).collect();
    assert_eq!((names, outline.left_out), (vec!["Engine".to_owned()], 2), "what stands deepest is left out");

    let pack = server.context("change how Engine::warm_up works", 600).await;
    assert!(pack.tokens <= 600);
    for path in ["src/engine.rs", "src/drive.rs", "tests/drive_test.rs", "docs/winter.md"] {
        assert!(pack.items.iter().any(|item| item.path == path), "{path} is not in {}", pack.text);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_map_fits_its_budget_and_shows_what_matters_first() {
    let (server, repo) = (Server::start().await, crate_with_docs());
    server.ingest(repo.path()).await;
    let ask = async |task: &str, budget: u32, paths: &[&str]| {
        let filter = hivemem_client::proto::SearchFilter {
            paths: paths.iter().map(ToString::to_string).collect(),
            ..Default::default()
        };
        let request = hivemem_client::proto::GatherContextRequest {
            task: task.into(),
            budget_tokens: Some(budget),
            map: true,
            filter: Some(filter),
            ..Default::default()
        };
        server.client.gather_context(request).await.unwrap()
    };
    let whole = ask("", 1_000, &[]).await;
    for line in ["src/drive.rs", "pub struct Engine", "fn warm_up(&mut self) -> bool", "fn ignite"] {
        assert!(whole.text.contains(line), "{line} is not in {}", whole.text);
    }
    let small = ask("", 25, &[]).await;
    assert!(small.tokens <= 25 && small.text.contains("Engine"), "{}", small.text);
    let docs = ask("", 1_000, &["docs/**"]).await;
    assert_eq!(docs.text, "docs/summer.md\n  1: Summer\ndocs/winter.md\n  1: Winter\n", "documents have headings");
    let part = ask("driving off", 1_000, &["src/drive.rs"]).await;
    assert!(part.text.contains("drive_off") && !part.text.contains("warm_up"), "{}", part.text);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_graph_is_checked_with_the_other_stores_and_loaded_anew() {
    let (server, repo) = (Server::start().await, crate_with_docs());
    server.ingest(repo.path()).await;
    server.settled().await;
    server.client.tree(TreeRequest::default()).await.unwrap();
    let report = server.client.fsck(false).await.unwrap();
    let graph = report.stores.iter().find(|store| store.name == "graph").unwrap();
    assert_eq!((graph.expected, graph.found, graph.missing, graph.surplus), (5, 5, 0, 0));
    server.client.rebuild("graph", |_| {}).await.unwrap();
    let around = NeighborsRequest { node: "Engine::warm_up".into(), ..Default::default() };
    assert!(!server.client.neighbors(around).await.unwrap().edges.is_empty());
    server.stop().await;
}
