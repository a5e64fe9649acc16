//! What an ingest does and reports.

use std::collections::BTreeSet;

use hivemem_client::proto::{IngestProgress, IngestSourceRequest, SearchFilter, SearchMode, ingest_progress::Phase};

use crate::support::{Server, repository, tree};

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_is_counted_searchable_and_unchanged_the_second_time() {
    let (server, repo) = (Server::start().await, repository());
    let first = server.ingest(repo.path()).await;
    assert_eq!((first.files, first.added, first.unchanged), (5, 5, 0));
    assert!(first.chunks >= 5 && first.embedded == first.chunks, "{first:?}");
    let before = server.client.stats().await.unwrap();

    let second = server.ingest(repo.path()).await;
    assert_eq!((second.added, second.updated, second.unchanged, second.embedded), (0, 0, 5, 0));
    let after = server.client.stats().await.unwrap();
    assert_eq!((before.documents, before.chunks, before.lsn), (after.documents, after.chunks, after.lsn));
    let entries = |stats: &hivemem_client::proto::StatsResponse| -> Vec<u64> {
        stats.projections.iter().map(|projection| projection.entries).collect()
    };
    assert_eq!(entries(&after), [after.chunks, after.chunks], "each index holds each chunk once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_replaces_and_a_removed_file_is_retired() {
    let (server, repo) = (Server::start().await, repository());
    server.ingest(repo.path()).await;
    std::fs::write(repo.path().join("src/retry.rs"), "/// Never tries again.\npub fn give_up() {}\n").unwrap();
    std::fs::remove_file(repo.path().join("client.py")).unwrap();
    let report = server.ingest(repo.path()).await;
    assert_eq!((report.updated, report.removed, report.unchanged), (1, 1, 3), "{report:?}");
    for mode in [SearchMode::Dense, SearchMode::Lexical, SearchMode::Hybrid] {
        let hits = server.search_with("exponential_backoff send_request", mode, SearchFilter::default()).await;
        assert!(
            hits.iter().all(|hit| !hit.text.contains("exponential_backoff") && hit.path != "client.py"),
            "{mode:?}"
        );
        assert!(!server.search_with("give_up", mode, SearchFilter::default()).await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_moved_or_renamed_is_not_embedded_again() {
    let (server, repo) = (Server::start().await, repository());
    server.ingest(repo.path()).await;
    std::fs::rename(repo.path().join("src"), repo.path().join("library")).unwrap();
    std::fs::rename(repo.path().join("client.py"), repo.path().join("caller.py")).unwrap();
    let report = server.ingest(repo.path()).await;
    assert!(report.added >= 3 && report.added == report.removed, "{report:?}");
    assert!(report.embedded == 0 && report.chunks >= report.added, "{report:?}");
    let hits = server.search_with("exponential_backoff", SearchMode::Dense, SearchFilter::default()).await;
    assert_eq!(hits[0].path, "library/retry.rs");
    let fsck = server.client.fsck(false).await.unwrap();
    assert!(fsck.clean, "{fsck:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_is_not_mounted_removes_nothing_unless_that_is_meant() {
    let mount_point = tempfile::tempdir().unwrap();
    let (server, repo, away) = (Server::start().await, repository(), tempfile::tempdir().unwrap());
    let stored = server.ingest(repo.path()).await.added;
    std::fs::rename(repo.path(), away.path().join("volume")).unwrap();
    std::fs::rename(mount_point.path(), repo.path()).unwrap();
    let request = IngestSourceRequest { source: repo.path().display().to_string(), ..Default::default() };
    let refused = server.try_ingest(request.clone()).await.unwrap_err();
    assert!(refused.message().contains("--verify") && refused.message().contains("mounted"), "{refused}");
    assert!(!server.search("exponential_backoff").await.hits.is_empty());
    let report = server.try_ingest(IngestSourceRequest { verify: true, ..request }).await.unwrap();
    assert_eq!(report.removed, stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_file_of_a_folder_goes_like_any_other() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    std::fs::write(folder.path().join("only.md"), "The lighthouse keeper counts gulls.").unwrap();
    server.ingest(folder.path()).await;
    std::fs::remove_file(folder.path().join("only.md")).unwrap();
    assert_eq!(server.ingest(folder.path()).await.removed, 1);
    assert!(server.search("lighthouse keeper").await.hits.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_tells_when_words_are_searchable_and_how_far_vectors_are() {
    let (server, repo) = (Server::start().await, repository());
    let request = IngestSourceRequest { source: repo.path().display().to_string(), ..Default::default() };
    let mut seen: Vec<IngestProgress> = Vec::new();
    let stream = server.client.ingest_source(request).await.unwrap();
    let report = stream.finish(|progress| seen.push(progress.clone())).await.unwrap();
    assert!(seen.iter().any(|progress| progress.acknowledged && progress.phase() == Phase::Embedding));
    let last = seen.last().unwrap();
    assert_eq!((last.chunks_embedded, last.chunks), (report.chunks, report.chunks));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_out_is_listed_with_its_reason() {
    let server = Server::start().await;
    let mut minified = b"function a(){".to_vec();
    minified.extend(b"var b=1;c(b);".repeat(2_000));
    minified.extend(b"}");
    let repo = tree(&[
        ("kept.md", b"# Kept\n\nThis stays.\n"),
        ("image.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0"),
        ("latin1.txt", b"caf\xe9 au lait, d\xe9j\xe0 vu\n"),
        ("nul.txt", b"abc\0def\n"),
        ("empty.txt", b""),
        ("blank.txt", b"  \n\t\n"),
        ("big.txt", &b"word ".repeat(1_000_000)),
        ("app.min.js", &minified),
        ("Cargo.lock", b"# This file is automatically @generated by Cargo.\nversion = 4\n"),
        ("node_modules/x/index.js", b"module.exports = 1;\n"),
        (".gitignore", b"ignored.md\n"),
        ("ignored.md", b"# Ignored\n"),
    ]);
    let report = server.ingest(repo.path()).await;
    assert_eq!(report.added, 1, "{report:?}");
    let skipped: BTreeSet<&str> = report.skipped.iter().map(|issue| issue.path.as_str()).collect();
    for path in ["image.png", "latin1.txt", "nul.txt", "empty.txt", "blank.txt", "big.txt", "app.min.js", "Cargo.lock"]
    {
        assert!(skipped.contains(path), "{path} is not listed: {skipped:?}");
    }
    let counted: u64 = report.skipped_by_reason.values().sum();
    assert_eq!(counted, report.skipped.len() as u64);
    assert!(report.skipped.iter().all(|issue| !issue.reason.is_empty()));
    assert!(report.skipped.iter().all(|issue| issue.path != "kept.md" && issue.path != "ignored.md"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_left_out_is_not_read_again_until_it_changes() {
    let (server, repo) =
        (Server::start().await, tree(&[("nul.txt", b"abc\0def\n"), ("kept.md", b"# Kept\n\nstays\n")]));
    let at = |seconds: u64| std::time::SystemTime::now() - std::time::Duration::from_secs(seconds);
    // Old enough for times to be trusted.
    let set_time = |name: &str, seconds| {
        let file = std::fs::File::options().write(true).open(repo.path().join(name)).unwrap();
        file.set_modified(at(seconds)).unwrap();
    };
    set_time("nul.txt", 500);
    set_time("kept.md", 500);
    let reason = |report: &hivemem_client::proto::IngestReport| {
        let found: Vec<_> = report.skipped.iter().map(|issue| (issue.path.clone(), issue.reason.clone())).collect();
        assert_eq!(found.len(), 1, "{report:?}");
        found[0].clone()
    };
    let first = server.ingest(repo.path()).await;
    assert_eq!((first.added, first.bytes), (1, 22));
    let again = server.ingest(repo.path()).await;
    assert_eq!((reason(&again), again.bytes), (reason(&first), 0), "told again, not read again");
    let request = IngestSourceRequest { source: repo.path().display().to_string(), verify: true, ..Default::default() };
    assert_eq!(server.try_ingest(request).await.unwrap().bytes, 22);
    std::fs::write(repo.path().join("nul.txt"), "abc and def\n").unwrap();
    set_time("nul.txt", 400);
    let changed = server.ingest(repo.path()).await;
    assert_eq!((changed.added, changed.skipped.len()), (1, 0), "{changed:?}");
    server.stop().await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn links_out_of_the_root_and_loops_are_not_followed() {
    let outside = tree(&[("secret.md", b"# Secret\n\nxylophone\n")]);
    let (server, repo) = (Server::start().await, tree(&[("a/inside.md", b"# Inside\n\nplain text\n")]));
    std::os::unix::fs::symlink(outside.path(), repo.path().join("out")).unwrap();
    std::os::unix::fs::symlink("..", repo.path().join("a/loop")).unwrap();
    let report = server.ingest(repo.path()).await;
    assert_eq!(report.added, 1, "{report:?}");
    assert!(server.search("xylophone").await.hits.iter().all(|hit| !hit.text.contains("xylophone")));
    assert!(report.skipped.iter().any(|issue| issue.path == "out"), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn globs_choose_files() {
    let (server, repo) = (Server::start().await, repository());
    let request = IngestSourceRequest {
        source: repo.path().display().to_string(),
        include: vec!["**/*.rs".to_owned()],
        exclude: vec!["tests/**".to_owned()],
        ..Default::default()
    };
    let report = server.try_ingest(request.clone()).await.unwrap();
    assert_eq!(report.added, 2, "{report:?}");
    server.ingest(repo.path()).await;
    std::fs::remove_file(repo.path().join("client.py")).unwrap();
    let narrowed = server.try_ingest(request).await.unwrap();
    assert_eq!((narrowed.removed, server.client.stats().await.unwrap().documents), (1, 4), "only what is gone goes");
}

#[tokio::test(flavor = "multi_thread")]
async fn ingests_of_one_source_at_the_same_time_do_the_work_once() {
    let (server, repo) = (Server::start().await, repository());
    let request = IngestSourceRequest { source: repo.path().display().to_string(), ..Default::default() };
    let at_once: Vec<_> = (0..6).map(|_| server.try_ingest(request.clone())).collect();
    let reports = futures::future::join_all(at_once).await;
    for report in reports.into_iter().map(Result::unwrap) {
        // One that waits takes over the report of an equal one, whichever of both did the work.
        assert_eq!((report.files, report.added + report.unchanged, report.updated), (5, 5, 0), "{report:?}");
    }
    let stats = server.client.stats().await.unwrap();
    assert_eq!((stats.documents, stats.projections[0].entries), (5, stats.chunks));
    server.stop().await;
}
