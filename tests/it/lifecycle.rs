//! Restarting, and losing projections.

use hivemem_client::proto::{SearchFilter, SearchMode};

use crate::support::{Server, repository};

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
