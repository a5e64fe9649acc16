//! Wrong or hostile input gets one clear error, and the server goes on.

use hivemem::base::Kind;
use hivemem::server::{LocalServer, ServeOptions};
use hivemem_client::proto::{
    GatherContextRequest, IngestSourceRequest, InputDocument, PutDocumentsRequest, RememberRequest, SearchFilter,
    SearchRequest,
};
use hivemem_client::{ClientError, ErrorKind};

use crate::support::{Server, repository, tree};

fn search(query: &str) -> SearchRequest {
    SearchRequest { query: query.to_owned(), ..SearchRequest::default() }
}

/// The message must name each of `words`.
fn says(error: &ClientError, words: &[&str]) {
    for word in words {
        assert!(error.message().contains(word), "{:?} does not say {word:?}", error.message());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_cannot_work_are_refused_with_the_reason() {
    let (server, repo) = (Server::start().await, repository());
    server.ingest(repo.path()).await;

    says(&server.try_search(search("")).await.unwrap_err(), &["query is empty"]);
    says(&server.try_search(search(" \n ")).await.unwrap_err(), &["query is empty"]);
    says(&server.try_search(search(&"x ".repeat(500_000))).await.unwrap_err(), &["1000000 bytes", "limit"]);
    says(&server.try_search(SearchRequest { k: Some(0), ..search("a") }).await.unwrap_err(), &["k is 0", "1 to 1000"]);
    says(&server.try_search(SearchRequest { k: Some(1001), ..search("a") }).await.unwrap_err(), &["k is 1001"]);
    says(&server.try_search(SearchRequest { mode: 99, ..search("a") }).await.unwrap_err(), &["mode 99", "hybrid"]);
    let filter = |filter| SearchRequest { filter: Some(filter), ..search("a") };
    let kinds = SearchFilter { kinds: vec!["film".into()], ..Default::default() };
    says(&server.try_search(filter(kinds)).await.unwrap_err(), &["film", "markdown"]);
    let paths = SearchFilter { paths: vec!["a[".into()], ..Default::default() };
    says(&server.try_search(filter(paths)).await.unwrap_err(), &["a[", "glob"]);
    let sources = SearchFilter { sources: vec!["/nowhere".into()], ..Default::default() };
    says(&server.try_search(filter(sources)).await.unwrap_err(), &["/nowhere"]);
    let unknown = server.client.with_namespace("nobody").search(search("a")).await.unwrap_err();
    says(&unknown, &["nobody", "does not exist"]);
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    says(&server.client.with_namespace("no spaces").search(search("a")).await.unwrap_err(), &["no spaces"]);

    let context = |budget, model: &str| GatherContextRequest {
        task: "a".into(),
        budget_tokens: Some(budget),
        model: model.into(),
        ..Default::default()
    };
    says(&server.client.gather_context(context(0, "")).await.unwrap_err(), &["budget is 0"]);
    says(&server.client.gather_context(context(9, "martian")).await.unwrap_err(), &["martian", "o200k_base"]);
    says(&server.client.remember(RememberRequest::default()).await.unwrap_err(), &["no text"]);

    assert!(!server.search("pool").await.hits.is_empty(), "the server goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_server_knows_its_default_namespace() {
    let server = Server::start().await;
    let answer = server.try_search(search("anything")).await.unwrap();
    assert!(answer.hits.is_empty() && answer.completeness.unwrap().complete);
    assert_eq!(server.client.stats().await.unwrap().documents, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn ugly_queries_are_answered() {
    let (server, repo) = (Server::start().await, repository());
    server.ingest(repo.path()).await;
    let long = "acquire ".repeat(3_500);
    for query in
        ["\0", "a\0b", "\u{202e}txet", "👩‍👩‍👧‍👦", "漢字かな", "\"unclosed", "+-&&||!(){}[]^~*?:\\/", "AND OR NOT", &long]
    {
        server.try_search(search(query)).await.unwrap_or_else(|error| panic!("{query:.20?}: {error}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_that_are_not_there_or_empty() {
    let server = Server::start().await;
    let ingest = |source: &str| server.try_ingest(IngestSourceRequest { source: source.into(), ..Default::default() });
    says(&ingest("/no/such/folder").await.unwrap_err(), &["/no/such/folder", "does not exist"]);
    assert!(ingest("").await.is_err());
    let empty = tree(&[]);
    let report = ingest(&empty.path().display().to_string()).await.unwrap();
    assert_eq!((report.files, report.added), (0, 0));
    let globs = IngestSourceRequest {
        source: empty.path().display().to_string(),
        include: vec!["a[".into()],
        ..Default::default()
    };
    says(&server.try_ingest(globs).await.unwrap_err(), &["a["]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_document_does_not_stop_the_others() {
    let server = Server::start().await;
    let document = |uri: &str, content: &[u8]| InputDocument {
        uri: uri.into(),
        content: content.to_vec(),
        ..InputDocument::default()
    };
    let documents = vec![document("good", b"plain words"), document("bad", b"\xff\xfe\0"), document("empty", b" ")];
    let stream = server.client.put_documents(PutDocumentsRequest::default(), documents).await.unwrap();
    let report = stream.finish(|_| {}).await.unwrap();
    assert_eq!((report.added, report.skipped.len()), (1, 2), "{report:?}");
    let huge = vec![document("huge", &vec![b'a'; 5_000_000])];
    let stream = server.client.put_documents(PutDocumentsRequest::default(), huge).await;
    let refused = match stream {
        Ok(stream) => stream.finish(|_| {}).await.unwrap_err(),
        Err(error) => error,
    };
    says(&refused, &["huge", "limit"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_has_one_owner_and_a_bad_configuration_does_not_start() {
    let server = Server::start().await;
    let options =
        |config| ServeOptions { config, data_dir: Some(server.data.path().to_owned()), ..ServeOptions::default() };
    let held = LocalServer::start(options(None)).await.unwrap_err();
    assert_eq!(held.kind(), Kind::Conflict);
    assert!(held.message().contains(&format!("process {}", std::process::id())), "{held}");

    let files = tree(&[
        ("bad.toml", b"[embedder]\nmodle_dir = \"x\"\n"),
        ("gone.toml", b"[embedder]\nmodel_dir = \"/gone\"\n"),
    ]);
    let other = tempfile::tempdir().unwrap();
    let start = |name: &str| {
        LocalServer::start(ServeOptions {
            config: Some(files.path().join(name)),
            data_dir: Some(other.path().to_owned()),
            ..ServeOptions::default()
        })
    };
    let error = start("bad.toml").await.unwrap_err();
    assert!(error.message().contains("bad.toml") && error.message().contains("modle_dir"), "{error}");
    let error = start("gone.toml").await.unwrap_err();
    assert!(error.message().contains("/gone") && error.message().contains("make setup"), "{error}");
    assert!(start("missing.toml").await.unwrap_err().message().contains("missing.toml"));
    let listen = ServeOptions { listen: Some("nonsense".to_owned()), ..options(None) };
    let error = LocalServer::start(listen).await.unwrap_err();
    assert!(error.message().contains("--listen is \"nonsense\""), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_with_something_else_in_it_is_no_data_directory() {
    let folder = tree(&[("thesis.txt", b"years of work\n")]);
    let options = ServeOptions { data_dir: Some(folder.path().to_owned()), ..ServeOptions::default() };
    let error = LocalServer::start(options).await.unwrap_err();
    assert!(error.message().contains("thesis.txt") && error.message().contains("--data-dir"), "{error}");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing was written");
}
