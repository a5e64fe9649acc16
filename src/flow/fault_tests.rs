//! Engines that fail: each failure is an error of the right kind or a degraded answer, nothing acknowledged is lost, and
//! everything catches up by itself once the fault is gone.

use std::sync::Arc;
use std::time::Duration;

use super::forget::{self, Request};
use super::memory::{self, Memory};
use super::recall::Mode;
use super::testing::{How, Rig, START};
use crate::base::error::Kind;
use crate::base::{Result, Timestamp};
use crate::model::Channel;

const OLD: Timestamp = Timestamp(START.0 - 60_000_000);

async fn remember(rig: &Rig, text: &str) -> Result<memory::Remembered> {
    let memory = Memory { text: text.to_owned(), ..Memory::default() };
    memory::remember(&rig.engines, &rig.projector, &rig.grant, memory).await
}

async fn forget_uri(rig: &Rig, uri: &str) -> Result<forget::Forgotten> {
    forget::forget(&rig.engines, &rig.projector, &rig.grant, Request::Uri(uri.to_owned())).await
}

/// The words of `texts` are found in every mode, and nothing is said to be missing.
#[track_caller]
fn complete(found: &(Vec<String>, Vec<String>), uris: &[&str]) {
    assert_eq!(found.0, uris);
    assert!(found.1.is_empty(), "{:?} is missing", found.1);
}

/// Points and lexical entries are the chunks of the catalogue, each once.
async fn even(rig: &Rig) {
    rig.settled().await;
    let stats = rig.engines.catalog.stats(rig.grant.namespace(), &rig.engines.embedder.model().key()).await.unwrap();
    let (points, words) =
        (rig.engines.vectors().stats().await.unwrap().points, rig.engines.lexical().count().await.unwrap());
    assert_eq!((points, words, stats.chunks_without_vector), (stats.chunks, stats.chunks, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_that_fails_gives_its_own_kind_and_what_was_there_stays() {
    let methods = [
        "catalog.create_namespace",
        "catalog.ensure_source",
        "catalog.source_documents",
        "catalog.write",
        "catalog.head",
        "store.resolve",
        "store.list",
    ];
    for method in methods {
        for kind in [Kind::Unavailable, Kind::Precondition, Kind::Corrupt] {
            let rig = Rig::new().await;
            rig.tree.write("a.txt", "alpha", OLD);
            rig.ingest().await.unwrap();
            rig.tree.write("b.txt", "beta", OLD);
            rig.faults.once(method, How::Fails(kind));
            let failed = rig.ingest().await.unwrap_err();
            assert_eq!(failed.kind(), kind, "{method}: {failed}");
            assert!(failed.message().contains("failed on demand"), "{failed}");
            rig.faults.clear();
            assert_eq!(rig.finds("alpha", Mode::Lexical).await.0, ["file:///tree/a.txt"]);
            rig.ingest().await.unwrap();
            complete(&rig.finds("alpha beta", Mode::Hybrid).await, &["file:///tree/a.txt", "file:///tree/b.txt"]);
            even(&rig).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_keeps_its_old_version_and_is_named() {
    let rig = Rig::new().await;
    rig.tree.write("a.txt", "alpha", OLD);
    rig.ingest().await.unwrap();
    rig.tree.write("a.txt", "omega now", OLD);
    rig.faults.once("store.read", How::Fails(Kind::Unavailable));
    let report = rig.ingest().await.unwrap();
    assert_eq!(report.failed.listed.first().map(|issue| issue.path.as_str()), Some("a.txt"));
    complete(&rig.finds("alpha", Mode::Lexical).await, &["file:///tree/a.txt"]);
    rig.ingest().await.unwrap();
    complete(&rig.finds("omega", Mode::Lexical).await, &["file:///tree/a.txt"]);
    complete(&rig.finds("alpha", Mode::Lexical).await, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_was_lost_is_followed_all_the_same() {
    let rig = Rig::new().await;
    rig.put(&[("a", "alpha")]).await.unwrap();
    rig.faults.once("catalog.write", How::Torn);
    rig.put(&[("b", "beta")]).await.unwrap_err();
    // Nobody calls again: the followers have to find out by themselves.
    even(&rig).await;
    complete(&rig.finds("beta", Mode::Lexical).await, &["inline:b"]);
    rig.faults.once("catalog.remove", How::Torn);
    forget_uri(&rig, "inline:b").await.unwrap_err();
    even(&rig).await;
    let again = rig.put(&[("b", "beta")]).await.unwrap();
    assert_eq!(again.outcome.added, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingest_that_fails_after_a_removal_leaves_no_removal_unfollowed() {
    let rig = Rig::new().await;
    rig.tree.write("a.txt", "alpha", OLD);
    rig.ingest().await.unwrap();
    rig.settled().await;
    // Not a text any more, so it is retired, in the batch in which the new file is written, which fails.
    rig.tree.write("a.txt", "\0\0\0", OLD);
    rig.tree.write("b.txt", "beta", OLD);
    rig.faults.once("catalog.write", How::Fails(Kind::Unavailable));
    rig.ingest().await.unwrap_err();
    even(&rig).await;
    assert_eq!(rig.engines.lexical().count().await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_text_index_that_fails_degrades_answers_and_catches_up() {
    for method in ["lexical.replace", "lexical.commit"] {
        for how in [How::Fails(Kind::Internal), How::Torn] {
            let rig = Rig::new().await;
            rig.put(&[("a", "alpha")]).await.unwrap();
            rig.faults.always(method, how);
            let failed = rig.put(&[("b", "beta")]).await.unwrap_err();
            assert_eq!(failed.kind(), Kind::Unavailable, "{method}");
            assert!(failed.message().starts_with("everything is stored"), "{failed}");
            rig.projector.wait_vector(rig.engines.catalog.head().await.unwrap()).await.unwrap();
            let (found, missing) = rig.finds("beta", Mode::Hybrid).await;
            assert!(found.contains(&"inline:b".to_owned()), "the vectors have it: {found:?}");
            if rig.lexical_lags().await {
                assert_eq!(missing, [Channel::Lexical.as_str()]);
            }
            rig.faults.clear();
            even(&rig).await;
            complete(&rig.finds("beta", Mode::Lexical).await, &["inline:b"]);
            assert_eq!(rig.put(&[("b", "beta")]).await.unwrap().outcome.unchanged, 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vector_side_that_fails_degrades_answers_and_catches_up() {
    let methods = [
        "vectors.upsert",
        "vectors.delete_documents",
        "vectors.flush",
        "embedder.embed",
        "catalog.cached_vectors",
        "catalog.cache_vectors",
        "catalog.set_checkpoint",
    ];
    for method in methods {
        for how in [How::Fails(Kind::Unavailable), How::Torn] {
            let rig = Rig::new().await;
            rig.put(&[("a", "alpha")]).await.unwrap();
            rig.settled().await;
            rig.faults.always(method, how);
            // Acknowledged, since words can be searched; the vectors come later.
            let input = rig.input("b", "beta", &[]);
            rig.put_all(vec![input], false).await.unwrap();
            rig.stuck(|state| state.vector_problem.is_some()).await;
            let (found, missing) = rig.finds("beta", Mode::Hybrid).await;
            assert!(found.contains(&"inline:b".to_owned()), "the words have it: {found:?}");
            // Vectors that only are not durable yet can be searched between two attempts.
            if !["vectors.flush", "catalog.set_checkpoint"].contains(&method) {
                assert_eq!(missing, [Channel::Dense.as_str()], "{method}");
                let failed = rig.put(&[("c", "gamma")]).await.unwrap_err();
                assert_eq!(failed.kind(), Kind::Unavailable);
            }
            rig.faults.clear();
            even(&rig).await;
            complete(&rig.finds("beta", Mode::Lexical).await, &["inline:b"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_fails_is_named_and_alone_it_is_an_error() {
    let rig = Rig::new().await;
    rig.put(&[("a", "alpha")]).await.unwrap();
    for (method, part, mode) in [
        ("embedder.embed_query", "dense", Mode::Dense),
        ("vectors.search", "dense", Mode::Dense),
        ("lexical.search", "lexical", Mode::Lexical),
    ] {
        rig.faults.always(method, How::Fails(Kind::Unavailable));
        let (found, missing) = rig.finds("alpha", Mode::Hybrid).await;
        assert_eq!((found, missing), (vec!["inline:a".to_owned()], vec![part.to_owned()]), "{method}");
        assert_eq!(rig.search("alpha", mode).await.unwrap_err().kind(), Kind::Unavailable, "{method}");
        rig.faults.clear();
    }
    complete(&rig.finds("alpha", Mode::Hybrid).await, &["inline:a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_passed_leaves_no_trace() {
    // Both are met while there is nothing to apply, so no later success of applying takes the mark away.
    for method in ["catalog.read_log", "vectors.optimize"] {
        let rig = Rig::new().await;
        rig.put(&[("a", "alpha")]).await.unwrap();
        rig.settled().await;
        rig.faults.always(method, How::Fails(Kind::Unavailable));
        rig.projector.wake();
        let both = method == "catalog.read_log";
        rig.stuck(|state| state.vector_problem.is_some() && (state.lexical_problem.is_some() || !both)).await;
        rig.faults.clear();
        even(&rig).await;
        rig.put(&[("b", "beta")]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_replay_took_out_of_an_index_is_not_said_to_be_in_it() {
    let rig = Rig::new().await;
    rig.put(&[("a", "alpha")]).await.unwrap();
    rig.settled().await;
    // The flush fails, so the follower goes back and removes what it is about to write again; then that fails too.
    rig.faults.once("vectors.flush", How::Fails(Kind::Internal));
    rig.faults.after("vectors.upsert", 1, How::Fails(Kind::Internal));
    let input = rig.input("b", "beta", &[]);
    rig.put_all(vec![input], false).await.unwrap();
    rig.stuck(|_| !rig.faults.pending("vectors.upsert")).await;
    rig.faults.always("vectors.upsert", How::Fails(Kind::Internal));
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (found, missing) = rig.finds("beta", Mode::Dense).await;
    assert!(found.contains(&"inline:b".to_owned()) || missing == ["dense"], "{found:?}, {missing:?}");
    rig.faults.clear();
    even(&rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forgetting_succeeds_where_an_index_cannot_follow_and_says_so() {
    for (method, pending) in [("lexical.commit", "lexical"), ("vectors.delete_documents", "vector")] {
        let rig = Rig::new().await;
        rig.put(&[("a", "alpha")]).await.unwrap();
        rig.settled().await;
        rig.faults.always(method, How::Fails(Kind::Internal));
        let forgotten = forget_uri(&rig, "inline:a").await.unwrap();
        assert_eq!((forgotten.uris, forgotten.pending), (vec!["inline:a".to_owned()], vec![pending]));
        for mode in [Mode::Hybrid, Mode::Dense, Mode::Lexical] {
            assert!(rig.finds("alpha", mode).await.0.is_empty(), "{method}: it is back in {mode:?}");
        }
        rig.faults.clear();
        even(&rig).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_whose_words_cannot_be_compared_is_refused_and_not_half_stored() {
    let rig = Rig::new().await;
    rig.put(&[("a", "alpha")]).await.unwrap();
    rig.faults.once("lexical.search", How::Fails(Kind::Unavailable));
    assert_eq!(remember(&rig, "a new fact").await.unwrap_err().kind(), Kind::Unavailable);
    assert!(remember(&rig, "a new fact").await.unwrap().created);
    rig.faults.once("catalog.write", How::Torn);
    remember(&rig, "another fact entirely").await.unwrap_err();
    assert!(!remember(&rig, "another fact entirely").await.unwrap().created, "it was stored by the lost answer");
    even(&rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_replays_of_one_ingest_leave_the_same_counts_everywhere() {
    let mut rig = Rig::new().await;
    for file in 0..20 {
        rig.tree.write(&format!("{file}.md"), &format!("# File {file}\n\n{}", "some words of it. ".repeat(20)), OLD);
    }
    rig.ingest().await.unwrap();
    let mut counts = Vec::new();
    for replay in 0..10 {
        match replay % 4 {
            0 => {}
            // As if nothing were known of sizes and times, of positions, or of the newest changes of the indexes.
            1 => rig.tree.files().values_mut().for_each(|(_, at)| at.0 += 1),
            2 => rig.engines.catalog.set_checkpoint("vector", crate::base::Lsn(0), "a manifest").await.unwrap(),
            _ => rig.crash().await,
        }
        if replay % 4 == 2 {
            rig.restart().await;
        }
        rig.ingest().await.unwrap();
        even(&rig).await;
        let stats = rig.engines.catalog.stats(rig.grant.namespace(), "fake").await.unwrap();
        let head = rig.engines.catalog.head().await.unwrap();
        counts.push((stats.documents, stats.chunks, head, rig.embedder.embedded()));
    }
    counts.dedup();
    assert_eq!(counts.len(), 1, "{counts:?}");
    assert_eq!(counts[0].0, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_syncs_of_one_source_do_not_undo_each_other() {
    let rig = Arc::new(Rig::new().await);
    rig.tree.write("a.txt", "alpha", OLD);
    rig.ingest().await.unwrap();
    // The first has listed the tree and has yet to look at what is stored.
    let gate = rig.faults.hold("catalog.ensure_source");
    let first = tokio::spawn({
        let rig = Arc::clone(&rig);
        async move { rig.ingest().await }
    });
    gate.reached().await;
    rig.tree.write("b.txt", "beta", OLD);
    let mut second = tokio::spawn({
        let rig = Arc::clone(&rig);
        async move { rig.ingest().await }
    });
    // Long enough for it to end if nothing holds it back.
    let early = tokio::time::timeout(Duration::from_millis(300), &mut second).await.is_ok();
    gate.open();
    first.await.unwrap().unwrap();
    if !early {
        assert_eq!(second.await.unwrap().unwrap().outcome.added, 1);
    }
    complete(&rig.finds("alpha beta", Mode::Lexical).await, &["file:///tree/a.txt", "file:///tree/b.txt"]);
}
