//! Building indexes anew, and changing the model, while the old ones answer.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hivemem::server::{LocalServer, ServeOptions};
use hivemem_client::proto::{ProjectionStats, SearchMode, SearchRequest};
use hivemem_client::{Client, ErrorKind};

use crate::support::{Server, repository};

async fn projection(client: &Client, name: &str) -> ProjectionStats {
    let stats = client.stats().await.unwrap();
    stats.projections.into_iter().find(|projection| projection.name == name).unwrap()
}

/// Searches until told to stop; gives how many answers there were. Panics at one that is not whole.
async fn ask_on(client: Client, mut stop: tokio::sync::watch::Receiver<bool>) -> usize {
    let mut answers = 0;
    while !*stop.borrow_and_update() {
        for mode in [SearchMode::Dense, SearchMode::Lexical] {
            let request =
                SearchRequest { query: "connection pool".into(), mode: mode.into(), ..SearchRequest::default() };
            let answer = client.search(request).await.unwrap();
            assert!(answer.completeness.unwrap().complete && !answer.hits.is_empty(), "{mode:?} after {answers}");
            answers += 1;
        }
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuilt_index_takes_over_without_a_gap_and_without_embedding() {
    let (server, repo) = (Server::start().await, repository());
    let chunks = server.ingest(repo.path()).await.chunks;
    let before = server.search("connection pool").await.hits;
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let asking = tokio::spawn(ask_on(server.client.clone(), stopping));
    for name in ["lexical", "vector"] {
        server.client.rebuild(name, |_| {}).await.unwrap();
        let built = projection(&server.client, name).await;
        assert_eq!((built.generation, built.entries, built.next_lsn), (2, chunks, None), "{name}");
    }
    stop.send(true).unwrap();
    assert!(asking.await.unwrap() > 0);
    assert_eq!(server.search("connection pool").await.hits, before);
    let folders = |name: &str| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(server.data.path().join(name)).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    for _ in 0..200 {
        if folders("vector").len() == 1 && folders("lexical").len() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!((folders("vector").len(), folders("lexical").len()), (1, 1), "the replaced ones are removed");

    // What is written after it goes to the new ones, also after a restart.
    server.put(&[("note.md", "# Note\n\nThe quokka is in the pool.\n")]).await;
    let server = server.restart().await;
    server.settled().await;
    assert_eq!(projection(&server.client, "vector").await.generation, 2);
    assert!(server.search("quokka").await.hits[0].text.contains("quokka"));
    assert_eq!(server.client.rebuild("everything", |_| {}).await.unwrap_err().kind(), ErrorKind::Invalid);
    server.stop().await;
}

/// A configuration with another model, which lies in `dir` too, and `more` about it.
fn other_model(dir: &Path, more: &str) -> PathBuf {
    let config = dir.join("config.toml");
    let model = crate::model::under_another_revision(dir).display().to_string();
    std::fs::write(&config, format!("[embedder]\nmodel_dir = {model:?}\n{more}")).unwrap();
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn one_command_keeps_to_the_model_that_made_the_vectors() {
    let files = tempfile::tempdir().unwrap();
    let config = other_model(files.path(), "");
    let configured = || ServeOptions { config: Some(config.clone()), ..ServeOptions::default() };
    let server = Server::open_with(tempfile::tempdir().unwrap(), configured()).await;
    server.put(&[("note.md", "# Note\n\nThe connection pool has seven slots.\n")]).await;
    let data = server.close().await;

    // As `hivemem search --data-dir` opens it: with the default configuration, which names another model.
    let server = Server::open_with(data, ServeOptions { one_command: true, ..ServeOptions::default() }).await;
    assert!(server.search("connection pool").await.completeness.unwrap().complete);
    let vector = projection(&server.client, "vector").await;
    assert_eq!((vector.generation, vector.entries, vector.next_lsn), (1, 1, None));
    assert_eq!(server.client.stats().await.unwrap().model.unwrap().revision, "another");
    let data = server.close().await;

    let server = Server::open_with(data, configured()).await;
    assert_eq!(projection(&server.client, "vector").await.generation, 1, "nothing is made anew");
    let data = server.close().await;

    // A model that is gone is no reason to throw its vectors away either.
    std::fs::remove_dir_all(files.path().join("model")).unwrap();
    let options = ServeOptions { data_dir: Some(data.path().to_owned()), one_command: true, ..ServeOptions::default() };
    assert!(LocalServer::start(options).await.is_err());
}

/// The same weights under another revision rank a set alike, so they pass a gate that allows no loss.
#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_as_good_passes_the_gate() {
    let files = tempfile::tempdir().unwrap();
    let set = files.path().join("labelled");
    std::fs::create_dir(&set).unwrap();
    let config = other_model(files.path(), &format!("gate = {set:?}\ngate_loss_max = 0\n"));
    let options = || ServeOptions { config: Some(config.clone()), ..ServeOptions::default() };
    let server = Server::start().await;
    server.put(&[("note.md", "# Note\n\nThe connection pool has seven slots.\n")]).await;
    let data = server.close().await;

    let wanted = ServeOptions { data_dir: Some(data.path().to_owned()), ..options() };
    let Err(refused) = LocalServer::start(wanted).await else { panic!("the set has no files") };
    let refused = refused.to_string();
    assert!(refused.contains("embedder.gate") && refused.contains("corpus.jsonl"), "{refused}");

    let corpus = r#"{"id":"pool","title":"Pool","text":"Idle connections are kept for reuse."}
{"id":"retry","title":"Retry","text":"Waits longer after each failed attempt."}
"#;
    std::fs::write(set.join("corpus.jsonl"), corpus).unwrap();
    std::fs::write(set.join("queries.jsonl"), "{\"id\":\"q\",\"text\":\"exponential backoff\"}\n").unwrap();
    std::fs::write(set.join("qrels.tsv"), "query-id\tcorpus-id\tscore\nq\tretry\t1\n").unwrap();
    let server = Server::open_with(data, options()).await;
    for _ in 0..600 {
        if server.client.stats().await.unwrap().model.unwrap().revision == "another" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(server.client.stats().await.unwrap().model.unwrap().revision, "another");
    let vector = projection(&server.client, "vector").await;
    assert_eq!((vector.generation, vector.entries, vector.problem.as_str()), (2, 1, ""));
    assert!(server.search("connection pool").await.completeness.unwrap().complete);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_model_is_built_beside_the_old_one_and_survives_interruptions() {
    let files = tempfile::tempdir().unwrap();
    let config = other_model(files.path(), "");
    let server = Server::start().await;
    let notes: Vec<(String, String)> = (0..400)
        .map(|n| (format!("n{n}.md"), format!("# Note {n}\n\nThe connection pool of shard {n} has {} slots.\n", n * 7)))
        .collect();
    let documents: Vec<(&str, &str)> = notes.iter().map(|(uri, text)| (uri.as_str(), text.as_str())).collect();
    server.put(&documents).await;
    let old = server.client.stats().await.unwrap().model.unwrap().revision;

    // Stopped in the middle again and again, it goes on where it was.
    let mut data = server.close().await;
    let mut interruptions = 0;
    let server = loop {
        let options = ServeOptions { config: Some(config.clone()), ..ServeOptions::default() };
        let server = Server::open_with(data, options).await;
        let answer = server.search("connection pool of shard 17").await;
        assert!(answer.completeness.unwrap().complete && !answer.hits.is_empty(), "the old space answers meanwhile");
        let stats = server.client.stats().await.unwrap();
        if interruptions == 4 || stats.model.as_ref().unwrap().revision == "another" {
            break server;
        }
        assert_eq!(stats.model.unwrap().revision, old);
        interruptions += 1;
        data = server.close().await;
    };
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let asking = tokio::spawn(ask_on(server.client.clone(), stopping));
    let mut stats = server.client.stats().await.unwrap();
    for _ in 0..600 {
        stats = server.client.stats().await.unwrap();
        if stats.model.as_ref().unwrap().revision == "another" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop.send(true).unwrap();
    assert!(asking.await.unwrap() > 0);
    assert_eq!(stats.model.unwrap().revision, "another");
    let built = projection(&server.client, "vector").await;
    assert_eq!((built.entries, built.next_lsn, stats.chunks_without_vector), (400, None, 0));
    assert_eq!(built.generation, 2, "interrupted, not begun again");
    server.stop().await;
}
