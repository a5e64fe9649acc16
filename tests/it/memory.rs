//! Memories: said twice, nearly said twice, handed out and coming back, and running out.

use std::time::Duration;

use hivemem_client::proto::forget_request::Selector;
use hivemem_client::proto::{
    ForgetRequest, IngestSourceRequest, InputDocument, PutDocumentsRequest, RememberRequest, SearchFilter, SearchMode,
};
use hivemem_client::{Client, ErrorKind};

use crate::support::{Server, repository, tree};

const NOTE: &str =
    "Deploys of the gateway are frozen from Friday noon until Monday morning, because nobody is on call.";

fn memory(text: &str) -> RememberRequest {
    RememberRequest { text: text.to_owned(), ..RememberRequest::default() }
}

fn forget(selector: Selector) -> ForgetRequest {
    ForgetRequest { selector: Some(selector), ..ForgetRequest::default() }
}

const MODES: [SearchMode; 3] = [SearchMode::Hybrid, SearchMode::Dense, SearchMode::Lexical];

#[tokio::test(flavor = "multi_thread")]
async fn near_repetitions_are_linked_and_answered_once_but_other_figures_are_another_statement() {
    let server = Server::start().await;
    let client = &server.client;
    let first = client.remember(memory(NOTE)).await.unwrap();
    let second = client.remember(memory(&NOTE.to_uppercase().replace(',', ""))).await.unwrap();
    assert!(second.created && second.repeats == first.uri, "{second:?}");
    let third = client.remember(memory("Deploys of the gateway are frozen until 17 May.")).await.unwrap();
    let fourth = client.remember(memory("Deploys of the gateway are frozen until 18 May.")).await.unwrap();
    assert!(third.repeats.is_empty() && fourth.repeats.is_empty(), "a new date is news");
    server.settled().await;
    for mode in MODES {
        let hits = server.search_with("when are deploys of the gateway frozen", mode, SearchFilter::default()).await;
        let long = hits.iter().filter(|hit| hit.text.to_lowercase().contains("on call")).count();
        assert_eq!((long, hits.len()), (1, 3), "{mode:?}");
    }
    // Either may be forgotten; the other one answers then.
    client.forget(forget(Selector::Uri(first.uri))).await.unwrap();
    let hits = server.search("deploys frozen on call").await.hits;
    assert!(hits.iter().any(|hit| hit.uri == second.uri), "{hits:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_retrieval_handed_out_is_not_stored_again() {
    let (server, repo) = (Server::start().await, repository());
    let guide = repo.path().join("docs/handbook.md");
    let text = "# Handbook\n\nThe connection pool hands out idle connections first and opens a new one only when none is \
                idle and the bound on open connections is not reached; whoever asks beyond the bound waits in a queue \
                that is served in order of arrival, and gives up at its deadline.\n";
    std::fs::write(&guide, text).unwrap();
    server.ingest(repo.path()).await;
    let before = server.client.stats().await.unwrap().documents;

    let context = server.context("how does the connection pool hand out connections", 2_000).await.text;
    let without_mark = context.lines().skip(1).collect::<Vec<_>>().join("\n");
    for text in [&context, &without_mark] {
        let echo = server.client.remember(memory(text)).await.unwrap();
        assert!(!echo.created && echo.echoes.iter().any(|from| from.contains("docs/handbook.md@")), "{echo:?}");
    }
    std::fs::write(repo.path().join("prompt.log.md"), &context).unwrap();
    let report = server.ingest(repo.path()).await;
    assert_eq!(report.skipped_by_reason.get("context that was handed out"), Some(&1), "{report:?}");
    assert_eq!(server.client.stats().await.unwrap().documents, before);

    // What an agent makes of it is its own.
    let own =
        "I read the handbook: the pool queues callers beyond its bound, so raising the bound would hide the leak.";
    assert!(server.client.remember(memory(own)).await.unwrap().created);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn provenance_can_be_filtered_seen_and_forgotten() {
    let server = Server::start().await;
    let output = RememberRequest {
        kind: "output".into(),
        run: "r-7".into(),
        node: "plan".into(),
        trust: "external".into(),
        ..memory("The plan has three steps: read the schema, write the migration, run it twice.")
    };
    server.client.remember(output).await.unwrap();
    server.client.remember(memory("The migration ran on the replica without errors.")).await.unwrap();
    let of_run = SearchFilter { tags: vec!["run:r-7".into()], ..SearchFilter::default() };
    let hits = server.search_with("migration", SearchMode::Hybrid, of_run.clone()).await;
    assert_eq!(hits.len(), 1);
    assert_eq!((hits[0].trust.as_str(), hits[0].metadata["node"].as_str()), ("external", "plan"));
    assert_eq!(hits[0].metadata["kind"], "output");
    let forgotten = server.client.forget(forget(Selector::Filter(of_run))).await.unwrap();
    assert_eq!((forgotten.removed, forgotten.pending), (1, Vec::new()));
    let nothing = server.client.forget(forget(Selector::Filter(SearchFilter::default()))).await.unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::Invalid);
    let bad = RememberRequest { trust: "blind".into(), ..memory("x y z") };
    assert!(server.client.remember(bad).await.unwrap_err().to_string().contains("local, agent, external"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_forgets_exactly_what_passes_it() {
    let (server, repo) = (Server::start().await, repository());
    server.ingest(repo.path()).await;
    let filter = SearchFilter { paths: vec!["src/**".into()], languages: vec!["rust".into()], ..Default::default() };
    let forgotten = server.client.forget(forget(Selector::Filter(filter))).await.unwrap();
    let mut paths: Vec<&str> = forgotten.uris.iter().map(|uri| uri.rsplit('/').next().unwrap()).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["pool.rs", "retry.rs"]);
    assert_eq!(server.client.stats().await.unwrap().documents, 3);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_to_live_ends_at_once_for_answers_and_soon_for_the_stores() {
    let server = Server::start().await;
    let ttl = Some(hivemem_client::proto::Duration { seconds: 1, nanos: 0 });
    server.client.remember(RememberRequest { ttl, ..memory("the standup moves to ten o'clock today") }).await.unwrap();
    server.client.remember(memory("the standup is usually at nine")).await.unwrap();
    assert_eq!(server.search("when is the standup").await.hits.len(), 2);
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    server.settled().await;
    for mode in MODES {
        let hits = server.search_with("when is the standup", mode, SearchFilter::default()).await;
        assert_eq!(hits.len(), 1, "{mode:?}");
    }
    // The sweep runs at every start.
    let server = server.restart().await;
    for _ in 0..100 {
        if server.client.stats().await.unwrap().documents == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(server.client.stats().await.unwrap().documents, 1);
    let never = Some(hivemem_client::proto::Duration { seconds: -5, nanos: 0 });
    let error = server.client.remember(RememberRequest { ttl: never, ..memory("x") }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    server.stop().await;
}

async fn remembered(client: &Client, text: &str, key: &str) -> Result<String, ErrorKind> {
    let request = RememberRequest { idempotency_key: key.to_owned(), ..memory(text) };
    client.remember(request).await.map(|reply| reply.uri).map_err(|error| error.kind())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_a_known_key_is_answered_with_the_first_reply() {
    let server = Server::start().await;
    let first = remembered(&server.client, "the cache is warm", "k1").await.unwrap();
    assert_eq!(remembered(&server.client, "the cache is cold", "k1").await, Err(ErrorKind::Conflict));
    server.client.forget(forget(Selector::Uri(first.clone()))).await.unwrap();
    assert_eq!(remembered(&server.client, "the cache is warm", "k1").await, Ok(first), "answered, not done again");
    assert_eq!(server.client.stats().await.unwrap().documents, 0);

    let repo = tree(&[("a.md", b"# A\n\nfirst\n")]);
    let request = IngestSourceRequest {
        source: repo.path().display().to_string(),
        idempotency_key: "k2".into(),
        ..Default::default()
    };
    let report = server.try_ingest(request.clone()).await.unwrap();
    std::fs::write(repo.path().join("b.md"), "# B\n\nsecond\n").unwrap();
    assert_eq!(server.try_ingest(request.clone()).await.unwrap(), report);
    let again = IngestSourceRequest { idempotency_key: "k3".into(), ..request };
    assert_eq!(server.try_ingest(again).await.unwrap().added, 1);

    let put = async |text: &str| {
        let first = PutDocumentsRequest { idempotency_key: "k5".into(), ..PutDocumentsRequest::default() };
        let document = InputDocument { uri: "note".into(), content: text.into(), ..InputDocument::default() };
        server.client.put_documents(first, vec![document]).await?.finish(|_| {}).await
    };
    let report = put("first words").await.unwrap();
    assert_eq!(put("first words").await.unwrap(), report);
    assert_eq!(put("other words").await.unwrap_err().kind(), ErrorKind::Conflict, "not acknowledged and dropped");

    // The same key at the same time: done once, answered twice.
    let at_once = tokio::join!(
        remembered(&server.client, "two agents, one thought", "k4"),
        remembered(&server.client, "two agents, one thought", "k4"),
    );
    assert!(at_once.0.is_ok() && at_once.0 == at_once.1);
    let error = server.client.create_namespace("default").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    server.stop().await;
}
