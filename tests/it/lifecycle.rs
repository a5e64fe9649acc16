//! Restarting, and losing projections.

use std::time::Duration;

use hivemem_client::Client;
use hivemem_client::proto::{IngestSourceRequest, SearchFilter, SearchMode, SearchRequest};

use crate::support::{Process, Server, repository, tree};

#[tokio::test(flavor = "multi_thread")]
async fn an_ingest_that_a_kill_cut_off_goes_on_by_itself() {
    let data = tempfile::tempdir().unwrap();
    let files: Vec<(String, String)> = (0..1_200)
        .map(|number| (format!("{number}.md"), format!("# Page {number}\n\nWritten on day {number}.\n")))
        .chain([("drafts/none.md".to_owned(), "Left out.".to_owned())])
        .collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, text)| (path.as_str(), text.as_bytes())).collect();
    let folder = tree(&files);
    let connect = async |process: &Process| Client::connect(process.url(), Default::default()).await.unwrap();

    let process = Process::start(data.path());
    let request = IngestSourceRequest {
        source: folder.path().display().to_string(),
        exclude: vec!["drafts/**".to_owned()],
        tags: vec!["diary".to_owned()],
        ..Default::default()
    };
    let mut process = Some(process);
    let stream = connect(process.as_ref().unwrap()).await.ingest_source(request).await.unwrap();
    let mut seen = (0, 0);
    let cut_off = stream.finish(|progress| {
        if progress.files_done > 0 && process.is_some() {
            seen = (progress.files_done, progress.files_total);
            process = None;
        }
    });
    assert!(cut_off.await.is_err() && seen.0 < seen.1, "killed after {seen:?}");

    let process = Process::start(data.path());
    let client = connect(&process).await;
    let mut stats = client.stats().await.unwrap();
    for _ in 0..600 {
        if stats.sources.iter().all(|source| !source.syncing) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        stats = client.stats().await.unwrap();
    }
    assert_eq!((stats.documents, stats.sources.len()), (1_200, 1), "{:?}", stats.sources);
    let request = SearchRequest {
        query: "written on day 1199".to_owned(),
        k: Some(1),
        mode: SearchMode::Lexical.into(),
        filter: Some(SearchFilter { tags: vec!["diary".to_owned()], ..SearchFilter::default() }),
        ..SearchRequest::default()
    };
    assert_eq!(client.search(request).await.unwrap().hits[0].path, "1199.md");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_after_a_restart() {
    let (server, repo) = (Server::start().await, repository());
    server.ingest(repo.path()).await;
    let before = server.search("connection pool").await.hits;
    let server = server.restart().await;
    assert_eq!(before, server.search("connection pool").await.hits);
    let again = server.ingest(repo.path()).await;
    assert_eq!((again.unchanged, again.embedded), (5, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_projections_come_back_without_embedding_again() {
    let (server, repo) = (Server::start().await, repository());
    let chunks = server.ingest(repo.path()).await.chunks;
    let data = server.data.path().to_owned();
    let before: Vec<String> = server.search("connection pool").await.hits.into_iter().map(|hit| hit.chunk_id).collect();
    let server = {
        // Keep the directory, lose both indexes.
        let server = server.restart().await;
        std::fs::remove_dir_all(data.join("lexical")).unwrap();
        std::fs::remove_dir_all(data.join("vector")).unwrap();
        server.restart().await
    };
    let lsn = server.client.stats().await.unwrap().lsn;
    for _ in 0..200 {
        let stats = server.client.stats().await.unwrap();
        if stats.projections.iter().all(|projection| projection.applied_lsn == lsn) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let stats = server.client.stats().await.unwrap();
    assert!(stats.projections.iter().all(|projection| projection.entries == chunks), "{stats:?}");
    let after: Vec<String> = server.search("connection pool").await.hits.into_iter().map(|hit| hit.chunk_id).collect();
    assert_eq!(before, after);
    assert!(!server.search_with("pool", SearchMode::Dense, SearchFilter::default()).await.is_empty());
}
