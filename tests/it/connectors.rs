//! Sources that are no folders, end to end: repositories with their history, sites, databases.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hivemem::server::ServeOptions;
use hivemem_client::proto::{
    DataEntry, DataFilter, DataObject, IngestReport, IngestSourceRequest, ListDataRequest, NeighborsRequest,
    RegisterDataRequest, SearchFilter, SearchMode,
};
use hivemem_client::swarm::{Backend as _, ServerBackend};
use tempfile::TempDir;

use crate::support::{Server, tree};

fn git(dir: &Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    command.current_dir(dir).args(["-c", "user.name=A", "-c", "user.email=a@example.org"]).args(args);
    let output = command.env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", dir).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn commit(dir: &Path, files: &[(&str, &str)]) -> String {
    for (path, text) in files {
        std::fs::create_dir_all(dir.join(path).parent().unwrap()).unwrap();
        std::fs::write(dir.join(path), text).unwrap();
    }
    git(dir, &["add", "-A"]);
    git(dir, &["commit", "-q", "-m", "work"]);
    git(dir, &["rev-parse", "HEAD"])
}

async fn ingest(server: &Server, source: &str, dry_run: bool) -> IngestReport {
    let request = IngestSourceRequest { source: source.to_owned(), dry_run, ..IngestSourceRequest::default() };
    server.try_ingest(request).await.unwrap()
}

/// Partners of a file, with how strongly they change together.
async fn partners(server: &Server, node: &str) -> BTreeMap<String, f32> {
    let kinds = vec!["changes_with".to_owned()];
    let asked = NeighborsRequest { node: node.to_owned(), kinds, direction: 1, ..NeighborsRequest::default() };
    let found = server.client.neighbors(asked).await.unwrap();
    let edges =
        found.edges.into_iter().map(|edge| (edge.to.rsplit(['/', '#']).next().unwrap().to_owned(), edge.confidence));
    edges.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_is_found_cited_and_its_history_joins_files() {
    let dir = tempfile::tempdir().unwrap();
    git(dir.path(), &["init", "-q", "-b", "main"]);
    for round in 0..3 {
        let pump = format!("/// Moves water, take {round}.\npub fn pump_water() {{}}\n");
        let valve = format!("/// Stops water, take {round}.\npub fn close_valve() {{}}\n");
        commit(dir.path(), &[("src/pump.rs", &pump), ("src/valve.rs", &valve)]);
        commit(dir.path(), &[("docs/guide.md", &format!("# Guide\n\nEdition {round} says how pumps are primed.\n"))]);
    }
    let server = Server::start().await;
    let source = format!("git+file://{}", dir.path().canonicalize().unwrap().display());
    let planned = ingest(&server, &source, true).await;
    assert_eq!((planned.files, planned.added), (3, 3));
    let first = ingest(&server, &source, false).await;
    assert_eq!((first.files, first.added, first.failed.len()), (3, 3, 0), "{first:?}");
    let hits = server.search_with("how are pumps primed", SearchMode::Hybrid, SearchFilter::default()).await;
    assert_eq!(hits[0].uri, format!("{source}#docs/guide.md"));
    assert_eq!(hits[0].freshness, "fresh", "a repository of this machine is looked at");
    let joined = partners(&server, &format!("{source}#src/pump.rs")).await;
    assert_eq!(joined.keys().collect::<Vec<_>>(), ["valve.rs"], "{joined:?}");

    commit(dir.path(), &[("src/pump.rs", "/// Moves water uphill.\npub fn pump_water() {}\n")]);
    let second = ingest(&server, &source, false).await;
    assert_eq!((second.updated, second.unchanged, second.bytes), (1, 2, 47), "only what changed is read: {second:?}");

    // The same files as a checkout: the history joins them there, too.
    let checkout = dir.path().canonicalize().unwrap();
    server.ingest(&checkout).await;
    let joined = partners(&server, &format!("file://{}/src/pump.rs", checkout.display())).await;
    assert_eq!(joined.keys().collect::<Vec<_>>(), ["valve.rs"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_is_followed_is_synced_when_its_head_moves() {
    let dir = tempfile::tempdir().unwrap();
    git(dir.path(), &["init", "-q", "-b", "main"]);
    commit(dir.path(), &[("a.md", "# A\n\nfirst edition\n")]);
    let server = Server::start().await;
    let source = format!("git+file://{}", dir.path().canonicalize().unwrap().display());
    let request = IngestSourceRequest { source: source.clone(), watch: true, ..IngestSourceRequest::default() };
    let mut stream = server.client.ingest_source(request).await.unwrap();
    assert_eq!(stream.next_report(|_| {}).await.unwrap().added, 1);
    commit(dir.path(), &[("a.md", "# A\n\nsecond edition\n"), ("b.md", "# B\n\nnew\n")]);
    let next = tokio::time::timeout(Duration::from_secs(60), stream.next_report(|_| {}));
    let report = next.await.expect("no sync came").unwrap();
    assert_eq!((report.added, report.updated), (1, 1), "{report:?}");
    let sources = server.client.stats().await.unwrap().sources;
    assert!(sources[0].watched && sources[0].problem.is_empty(), "{sources:?}");
    let page = IngestSourceRequest { source: "sqlite:///no.db".into(), watch: true, ..IngestSourceRequest::default() };
    assert!(server.try_ingest(page).await.is_err());
    drop(stream);
    server.stop().await;
}

/// A site of a thousand pages in a chain of lists, which counts requests and knows what did not change.
async fn site(requests: Arc<AtomicUsize>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let app = axum::Router::new().fallback(page).with_state(requests);
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    base
}

async fn page(State(requests): State<Arc<AtomicUsize>>, request: Request) -> Response {
    requests.fetch_add(1, Ordering::SeqCst);
    let path = request.uri().path();
    let links: String = match path {
        "/docs/" => (0..10).map(|list| format!("<a href='list{list}.html'>list</a>")).collect(),
        _ => match path.strip_prefix("/docs/list").and_then(|rest| rest.strip_suffix(".html")) {
            Some(list) => (0..99).map(|page| format!("<a href='topic{list}-{page}.html'>topic</a>")).collect(),
            None if path.starts_with("/docs/topic") => String::new(),
            None => return StatusCode::NOT_FOUND.into_response(),
        },
    };
    let tag = format!("\"{path}\"");
    if request.headers().get("if-none-match").is_some_and(|given| given.as_bytes() == tag.as_bytes()) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    let text = format!(
        "<html><head><title>Page {path}</title></head><body><main><h1>{path}</h1>{links}<p>{}</p></main></body></html>",
        "All about water. ".repeat(60)
    );
    ([("content-type", "text/html".to_owned()), ("etag", tag)], text).into_response()
}

fn configured() -> (TempDir, ServeOptions) {
    let dir = tree(&[("hivemem.toml", b"[network]\nallow_hosts = [\"127.0.0.1\"]\n")]);
    let options = ServeOptions { config: Some(dir.path().join("hivemem.toml")), ..ServeOptions::default() };
    (dir, options)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_pages_are_crawled_quickly_and_then_only_asked_whether_they_changed() {
    let requests = Arc::new(AtomicUsize::new(0));
    let base = site(Arc::clone(&requests)).await;
    let (_config, options) = configured();
    let server = Server::open_with(tempfile::tempdir().unwrap(), options).await;
    let source = format!("site:{base}/docs/");
    let crawl =
        IngestSourceRequest { source: source.clone(), pages_max: Some(2_000), ..IngestSourceRequest::default() };
    let began = Instant::now();
    let dry = IngestSourceRequest { dry_run: true, ..crawl.clone() };
    let mut found = Vec::new();
    let planned = server.client.ingest_source(dry).await.unwrap();
    let planned = planned.finish(|progress| found.push(progress.files_total)).await.unwrap();
    let first = began.elapsed();
    assert!(found.is_sorted() && found.first() == Some(&0), "it is told what was found: {found:?}");
    assert_eq!((planned.files, planned.failed.len()), (1_001, 0), "{:?}", planned.failed_by_reason);
    let began = Instant::now();
    server.try_ingest(IngestSourceRequest { dry_run: true, ..crawl.clone() }).await.unwrap();
    eprintln!(
        "crawl: {:.0} pages/s; again, unchanged: {:.0} pages/s",
        1_001.0 / first.as_secs_f64(),
        1_001.0 / began.elapsed().as_secs_f64()
    );
    assert!(first < Duration::from_secs(10), "a hundred pages a second: {first:?}");

    let few = IngestSourceRequest { depth: Some(1), include: vec!["docs/list*".to_owned()], ..crawl };
    let report = server.try_ingest(few.clone()).await.unwrap();
    assert_eq!((report.files, report.added), (10, 10), "{report:?}");
    let again = server.try_ingest(few).await.unwrap();
    assert_eq!((again.unchanged, again.removed, again.bytes), (10, 0, 0));
    let single = ingest(&server, &format!("{base}/docs/topic1-1.html#part"), false).await;
    assert_eq!((single.added, single.source), (1, format!("{base}/docs/topic1-1.html")));
    let hits = server.search_with("topic1-1 water", SearchMode::Lexical, SearchFilter::default()).await;
    assert!(hits.iter().any(|hit| hit.uri == format!("{base}/docs/topic1-1.html")), "{hits:?}");
    // As a node of a swarm reads it.
    let backend = ServerBackend::new(server.client.clone());
    let read = backend.fetch_page(&format!("{base}/docs/topic2-2.html"), "what is it about").await.unwrap();
    assert!(read.contains("All about water") && read.contains("topic2-2"), "{read}");
    let gone = backend.fetch_page(&format!("{base}/nowhere.html"), "").await.unwrap_err();
    assert!(gone.to_string().contains("nowhere.html"), "{gone}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_spoken_to_is_refused_before_anything_is_sent() {
    let requests = Arc::new(AtomicUsize::new(0));
    let base = site(Arc::clone(&requests)).await;
    let server = Server::start().await;
    for source in [format!("site:{base}/docs/"), format!("{base}/docs/"), format!("git+{base}/x.git")] {
        let request = IngestSourceRequest { source: source.clone(), ..IngestSourceRequest::default() };
        let error = server.try_ingest(request).await.unwrap_err().to_string();
        assert!(error.contains("network.allow_hosts"), "{source}: {error}");
    }
    assert_eq!(requests.load(Ordering::SeqCst), 0);
    let ssh = IngestSourceRequest { source: "git@github.com:o/r.git".to_owned(), ..IngestSourceRequest::default() };
    assert!(server.try_ingest(ssh).await.unwrap_err().to_string().contains("ssh"));
    server.stop().await;
}

async fn execute(file: &Path, statements: &[&str]) {
    use sqlx::ConnectOptions as _;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    for statement in statements {
        sqlx::query(sqlx::AssertSqlSafe(*statement)).execute(&mut connection).await.unwrap();
    }
}

async fn tables(server: &Server) -> Vec<DataEntry> {
    let filter = Some(DataFilter { kinds: vec!["table".to_owned()], ..DataFilter::default() });
    let request = ListDataRequest { filter, ..ListDataRequest::default() };
    server.client.list_data(request).await.unwrap().entries
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_a_database_are_documents_and_data_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().canonicalize().unwrap().join("shop.db");
    execute(&file, &["CREATE TABLE customers (id INTEGER PRIMARY KEY, town TEXT)", "CREATE TABLE old (x)"]).await;
    let server = Server::start().await;
    let source = format!("sqlite://{}", file.display());
    let ours = DataObject {
        uri: format!("{source}#old"),
        kind: "table".into(),
        description: "Kept for the auditors".into(),
        ..DataObject::default()
    };
    server.client.register_data(RegisterDataRequest::default(), vec![ours]).await.unwrap();
    assert_eq!(ingest(&server, &source, false).await.added, 2);
    let known = tables(&server).await;
    let told: Vec<_> = known.iter().map(|entry| (entry.name.as_str(), entry.description.as_str())).collect();
    assert_eq!(told, [("customers", "Table of the SQLite database shop.db"), ("old", "Kept for the auditors")]);
    assert!(known.iter().all(|entry| entry.indexed && entry.registered && entry.store == "sql"), "{known:?}");
    let hits = server.search_with("which town a customer lives in", SearchMode::Hybrid, SearchFilter::default()).await;
    let found: BTreeSet<&str> = hits.iter().map(|hit| hit.uri.as_str()).collect();
    let documents = [format!("{source}#customers"), format!("{source}#old"), format!("view:{source}#old")];
    assert_eq!(found, documents.iter().map(String::as_str).collect(), "what was read has no card beside it");

    execute(&file, &["DROP TABLE customers", "DROP TABLE old"]).await;
    assert_eq!(ingest(&server, &source, false).await.removed, 2);
    let left: Vec<_> = tables(&server).await.into_iter().map(|entry| entry.name).collect();
    assert_eq!(left, ["old"], "what somebody else registered is theirs to take out");
    server.stop().await;
}
