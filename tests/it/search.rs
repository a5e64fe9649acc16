//! What a search finds and proves.

use hivemem_client::ErrorKind;
use hivemem_client::proto::{
    ForgetRequest, Hit, RememberRequest, SearchFilter, SearchMode, SearchRequest, forget_request::Selector,
};
use sha2::{Digest, Sha256};

use crate::support::{Server, repository};

#[tokio::test(flavor = "multi_thread")]
async fn each_mode_finds_and_every_hit_proves_itself() {
    let (server, repo) = (Server::start().await, repository());
    server.ingest(repo.path()).await;
    for mode in [SearchMode::Hybrid, SearchMode::Dense, SearchMode::Lexical] {
        let hits = server.search_with("how long to wait between retries backoff", mode, SearchFilter::default()).await;
        assert_eq!(hits[0].path, "src/retry.rs", "{mode:?}");
    }
    let answer = server.search("connection pool").await;
    assert!(answer.completeness.unwrap().complete);
    assert_eq!(answer.hits[0].path, "src/pool.rs", "the definition comes before its test");
    for hit in &answer.hits {
        let file = std::fs::read(repo.path().join(&hit.path)).unwrap();
        let location = hit.location.unwrap();
        assert_eq!(hit.text.as_bytes(), &file[location.byte_start as usize..location.byte_end as usize]);
        let lines_before = file[..location.byte_start as usize].iter().filter(|&&byte| byte == b'\n').count() as u32;
        assert_eq!(location.line_first, lines_before + 1);
        let sha: String = Sha256::digest(&file).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hit.sha256, sha);
        assert_eq!(hit.citation, format!("{}@{sha}#L{}-L{}", hit.uri, location.line_first, location.line_last));
        assert_eq!((hit.freshness.as_str(), hit.trust.as_str()), ("fresh", "local"));
        assert!(!hit.channels.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_names_addends_that_make_the_score() {
    let (server, repo) = (Server::start().await, repository());
    server.ingest(repo.path()).await;
    let request = SearchRequest { query: "ConnectionPool".into(), explain: true, ..Default::default() };
    let hits = server.try_search(request).await.unwrap().hits;
    assert!(hits[0].parts.iter().any(|part| part.name == "definition"), "{:?}", hits[0].parts);
    for hit in hits {
        let sum: f32 = hit.parts.iter().map(|part| part.value).sum();
        assert!((sum - hit.score).abs() < 1e-4, "{} is not the sum of {:?}", hit.score, hit.parts);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_are_exact() {
    let (server, repo) = (Server::start().await, repository());
    server.ingest(repo.path()).await;
    server.put(&[("note", "pool connections request retry timeouts")]).await;
    let paths = |filter: SearchFilter, mode| {
        let server = &server;
        async move {
            let hits = server.search_with("pool connections request retry timeouts", mode, filter).await;
            let mut paths: Vec<String> =
                hits.into_iter().map(|hit| if hit.path.is_empty() { hit.uri } else { hit.path }).collect();
            paths.sort();
            paths.dedup();
            paths
        }
    };
    let one = |value: &str| vec![value.to_owned()];
    for mode in [SearchMode::Hybrid, SearchMode::Dense, SearchMode::Lexical] {
        let got = paths(SearchFilter { paths: one("src/**"), ..Default::default() }, mode).await;
        assert_eq!(got, ["src/pool.rs", "src/retry.rs"], "{mode:?}");
        assert_eq!(paths(SearchFilter { languages: one("Python"), ..Default::default() }, mode).await, ["client.py"]);
        assert_eq!(paths(SearchFilter { kinds: one("markdown"), ..Default::default() }, mode).await, ["docs/guide.md"]);
        let source = repo.path().display().to_string();
        assert!(
            !paths(SearchFilter { sources: vec![source], ..Default::default() }, mode)
                .await
                .iter()
                .any(|p| p.contains("note"))
        );
        assert!(paths(SearchFilter { paths: one("nothing/**"), ..Default::default() }, mode).await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_source_makes_its_hits_stale() {
    let (server, repo) = (Server::start().await, repository());
    server.ingest(repo.path()).await;
    std::fs::write(repo.path().join("docs/guide.md"), "# Guide\n\nrewritten\n").unwrap();
    let hits = server.search("deadline of a request").await.hits;
    let guide = hits.iter().find(|hit| hit.path == "docs/guide.md").unwrap();
    assert_eq!(guide.freshness, "stale");
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_are_walls() {
    let server = Server::start().await;
    let (a, b) = (server.client.with_namespace("team-a"), server.client.with_namespace("team-b"));
    let memory = |text: &str| RememberRequest { text: text.into(), ..Default::default() };
    a.remember(memory("the launch code is heliotrope")).await.unwrap();
    b.remember(memory("the canteen opens at noon")).await.unwrap();
    for mode in [SearchMode::Hybrid, SearchMode::Dense, SearchMode::Lexical] {
        let query = SearchRequest { query: "launch code heliotrope".into(), mode: mode.into(), ..Default::default() };
        let hits = b.search(query).await.unwrap().hits;
        assert!(hits.iter().all(|hit| !hit.text.contains("heliotrope")), "{mode:?}");
    }
    let all_of_b = ForgetRequest { selector: Some(Selector::UriPrefix("memory:".into())), ..Default::default() };
    assert_eq!(b.forget(all_of_b).await.unwrap().removed, 1);
    let query = SearchRequest { query: "launch code".into(), ..Default::default() };
    assert_eq!(a.search(query).await.unwrap().hits.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_is_stored_once_and_forgotten_whole() {
    let server = Server::start().await;
    let memory = RememberRequest { text: "Ada prefers tea".into(), tags: vec!["drinks".into()], ..Default::default() };
    let first = server.client.remember(memory.clone()).await.unwrap();
    let again = server.client.remember(memory).await.unwrap();
    assert!(first.created && !again.created);
    assert_eq!(first.uri, again.uri);
    let lexical = server.search_with("tea", SearchMode::Lexical, SearchFilter::default()).await;
    assert_eq!(lexical.len(), 1, "searchable by words when remember returns");
    assert_eq!((lexical[0].kind.as_str(), lexical[0].trust.as_str()), ("memory", "agent"));
    let gone = ForgetRequest { selector: Some(Selector::Tag("drinks".into())), ..Default::default() };
    let forgotten = server.client.forget(gone).await.unwrap();
    assert_eq!(forgotten.uris, [first.uri]);
    for mode in [SearchMode::Hybrid, SearchMode::Dense, SearchMode::Lexical] {
        assert!(server.search_with("tea", mode, SearchFilter::default()).await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_wants_fresh_evidence_gets_what_the_source_holds_now() {
    let (server, repo) = (Server::start().await, repository());
    server.ingest(repo.path()).await;
    let guide = repo.path().join("docs/guide.md");
    let text = std::fs::read_to_string(&guide).unwrap();
    // Written again, not changed: the time is another, the bytes are not.
    std::fs::write(&guide, &text).unwrap();
    let fresh =
        |hits: &[Hit]| hits.iter().filter(|hit| hit.path == "docs/guide.md").all(|hit| hit.freshness == "fresh");
    let query = |text: &str, mode: SearchMode, require_fresh| SearchRequest {
        query: text.into(),
        mode: mode.into(),
        require_fresh,
        ..Default::default()
    };
    assert!(fresh(&server.search("deadline of a request").await.hits));

    for (round, mode) in [SearchMode::Lexical, SearchMode::Dense, SearchMode::Hybrid].into_iter().enumerate() {
        let changed = text.replace("thirty seconds", &format!("ninety{round} wombats"));
        std::fs::write(&guide, &changed).unwrap();
        server.settled().await;
        let hits = server.try_search(query("deadline of every request", mode, false)).await.unwrap().hits;
        assert!(hits.iter().any(|hit| hit.path == "docs/guide.md" && hit.freshness == "stale"), "{mode:?}");
        let hits = server.try_search(query("deadline of every request", mode, true)).await.unwrap().hits;
        assert!(
            fresh(&hits) && hits.iter().any(|hit| hit.text.contains(&format!("ninety{round}"))),
            "{mode:?} {hits:?}"
        );
    }
    std::fs::remove_file(&guide).unwrap();
    let hits = server.try_search(query("deadline of every request", SearchMode::Hybrid, true)).await.unwrap().hits;
    assert!(hits.iter().all(|hit| hit.path != "docs/guide.md"), "what is gone is no evidence");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_gone_is_searched_filtered_and_forgotten_by_its_path() {
    let (server, gone, there) = (Server::start().await, repository(), repository());
    server.ingest(gone.path()).await;
    server.ingest(there.path()).await;
    let path = gone.path().display().to_string();
    drop(gone);
    std::fs::write(there.path().join("docs/guide.md"), "# Guide\n\nEvery request has a deadline of ninety wombats.\n")
        .unwrap();

    // One hit can't be read again; the others are, and the answer comes.
    let query = SearchRequest { query: "deadline of every request".into(), require_fresh: true, ..Default::default() };
    let hits = server.try_search(query).await.unwrap().hits;
    let guides: Vec<(bool, &str)> = hits
        .iter()
        .filter(|hit| hit.path == "docs/guide.md")
        .map(|hit| (hit.text.contains("wombats"), hit.freshness.as_str()))
        .collect();
    assert!(guides.contains(&(true, "fresh")) && guides.contains(&(false, "stale")), "{guides:?}");

    let filter = SearchFilter { sources: vec![path.clone()], ..Default::default() };
    assert!(!server.search_with("deadline", SearchMode::Lexical, filter).await.is_empty());
    let forget = |source: &str| ForgetRequest { selector: Some(Selector::Source(source.into())), ..Default::default() };
    let unknown = server.client.forget(forget("/no/such/source")).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound, "a typo is told");
    assert!(unknown.to_string().contains("/no/such/source"), "{unknown}");
    assert_eq!(server.client.forget(forget(&format!("{path}/"))).await.unwrap().removed, 5);
    let uri = format!("file://{}", there.path().canonicalize().unwrap().display());
    assert_eq!(
        server.client.forget(forget(&format!("{uri}/"))).await.unwrap().removed,
        5,
        "an address in another spelling"
    );
    assert_eq!(server.client.stats().await.unwrap().documents, 0);
    server.stop().await;
}
