//! Checking, mending, compacting, and copying to one file and back.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use hivemem::server::restore;
use hivemem_client::proto::{ForgetRequest, Hit, SearchFilter, SearchMode, forget_request::Selector};
use tempfile::TempDir;

use crate::support::{Server, repository};

const MODES: [SearchMode; 3] = [SearchMode::Hybrid, SearchMode::Dense, SearchMode::Lexical];

async fn answers(server: &Server) -> Vec<Vec<Hit>> {
    let mut answers = Vec::new();
    for query in ["connection pool", "how long to wait between retries", "HttpClient", "deadline of a request"] {
        for mode in MODES {
            answers.push(server.search_with(query, mode, SearchFilter::default()).await);
        }
    }
    answers
}

async fn restored(backup: &[u8]) -> Server {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("backup");
    std::fs::write(&file, backup).unwrap();
    let data = tempfile::tempdir().unwrap();
    restore(&file, data.path()).await.unwrap();
    Server::open(data).await
}

async fn caught_up(server: &Server) {
    let began = Instant::now();
    loop {
        let stats = server.client.stats().await.unwrap();
        if stats.projections.iter().all(|projection| projection.applied_lsn == stats.lsn) {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{stats:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_clean_after_all_that_it_does() {
    let (server, repo) = (Server::start().await, repository());
    server.ingest(repo.path()).await;
    server.put(&[("note", "a note that is forgotten again")]).await;
    let uri = format!("file://{}/docs/guide.md", repo.path().canonicalize().unwrap().display());
    for selector in [Selector::Uri(uri), Selector::UriPrefix("inline:".to_owned())] {
        let request = ForgetRequest { selector: Some(selector), ..ForgetRequest::default() };
        assert_eq!(server.client.forget(request).await.unwrap().removed, 1);
    }
    std::fs::write(repo.path().join("client.py"), "class Other:\n    pass\n").unwrap();
    server.ingest(repo.path()).await;
    let server = server.restart().await;
    let report = server.client.fsck(false).await.unwrap();
    assert!(report.clean && !report.repaired && report.left.is_empty(), "{report:?}");
    assert!(report.stores.iter().all(|store| store.expected == store.found && store.found > 0), "{report:?}");
    // A server that stops may have given back the space of what was before.
    server.put(&[("note", "a note that is replaced")]).await;
    server.put(&[("note", "the note in its place")]).await;
    let compacted = server.client.compact().await.unwrap();
    assert!(compacted.disk_bytes_after <= compacted.disk_bytes_before && compacted.log_entries > 0, "{compacted:?}");
    assert!(server.client.fsck(true).await.unwrap().clean);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_server_gives_the_same_answers_without_embedding() {
    let (server, repo) = (Server::start().await, repository());
    server.ingest(repo.path()).await;
    server.put(&[("note", "pools keep connections")]).await;
    let before = answers(&server).await;
    assert!(before.iter().all(|hits| !hits.is_empty()));
    let backup = server.backup().await;
    let leftovers = std::fs::read_dir(server.data.path()).unwrap().flatten();
    assert!(leftovers.into_iter().all(|entry| !entry.file_name().to_string_lossy().contains("tmp")));
    let restored = restored(&backup).await;
    caught_up(&restored).await;
    let after = answers(&restored).await;
    assert_eq!(before, after);
    assert_eq!(restored.ingest(repo.path()).await.embedded, 0);
    assert!(restored.client.fsck(false).await.unwrap().clean);
    restored.stop().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_of_one_moment_while_writes_go_on() {
    let server = Server::start().await;
    // Each write replaces all of five documents, so that any mix of two moments shows.
    let write = async |round: usize| {
        let text = format!("round {round} of the pump");
        let documents: Vec<(&str, &str)> = ["a", "b", "c", "d", "e"].map(|name| (name, text.as_str())).to_vec();
        server.put(&documents).await;
    };
    write(0).await;
    let mut round = 0;
    for _ in 0..4 {
        let backup = server.backup();
        tokio::pin!(backup);
        let backup = loop {
            round += 1;
            tokio::select! {
                backup = &mut backup => break backup,
                () = write(round) => {}
            }
        };
        let restored = restored(&backup).await;
        caught_up(&restored).await;
        let hits = restored.search_with("pump", SearchMode::Lexical, SearchFilter::default()).await;
        let mut texts: Vec<&str> = hits.iter().map(|hit| hit.text.as_str()).collect();
        assert_eq!(texts.len(), 5);
        texts.dedup();
        assert_eq!(texts.len(), 1, "{texts:?}");
        assert!(restored.client.fsck(false).await.unwrap().clean);
        restored.stop().await;
    }
    server.stop().await;
}

fn is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).unwrap().next().is_none()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_whole_backup_is_refused_and_leaves_nothing() {
    let server = Server::start().await;
    server.put(&[("note", "a note")]).await;
    let sound = server.backup().await;
    server.stop().await;
    let dir = tempfile::tempdir().unwrap();
    let (file, data, new) = (dir.path().join("backup"), tempfile::tempdir().unwrap(), dir.path().join("new"));
    let altered = |at: usize| {
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        bytes
    };
    let middle = sound.len() / 2;
    for (what, bytes, says) in [
        ("cut", sound[..middle].to_vec(), "is damaged"),
        ("cut by one", sound[..sound.len() - 1].to_vec(), "is damaged"),
        ("grown", [sound.as_slice(), b"x"].concat(), "is damaged"),
        ("header", altered(40), "is damaged"),
        ("payload", altered(middle), "checksum"),
        ("checksum", altered(sound.len() - 1), "checksum"),
        ("newer", altered(8 + 1), "update hivemem"),
        ("other", b"certainly something else".to_vec(), "is not a backup"),
        ("empty", Vec::new(), "is not a backup"),
    ] {
        std::fs::write(&file, bytes).unwrap();
        for target in [data.path(), &new] {
            let error = restore(&file, target).await.unwrap_err();
            assert!(error.message().contains(says), "{what}: {error}");
        }
        assert!(is_empty(data.path()) && !new.exists(), "{what}");
    }
    std::fs::write(&file, &sound).unwrap();
    restore(&file, data.path()).await.unwrap();
    let error = restore(&file, data.path()).await.unwrap_err();
    assert!(error.message().contains("is not empty"), "{error}");
    assert!(restore(&dir.path().join("none"), &new).await.unwrap_err().message().contains("none"));
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_that_a_crash_left_are_removed_at_the_next_start() {
    let data = Server::start().await.into_data().await;
    for name in [".hivemem-copy-x1.tmp", ".hivemem-copy-x1.tmp-journal", ".hivemem-restore-x2.tmp"] {
        std::fs::write(data.path().join(name), "half").unwrap();
    }
    std::fs::write(data.path().join("backup-mine.tmp"), "whole").unwrap();
    let data = Server::open(data).await.into_data().await;
    let names: Vec<_> = std::fs::read_dir(data.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().contains("hivemem")), "{names:?}");
    assert!(names.iter().any(|name| name == "backup-mine.tmp"), "{names:?}");
}

/// A corpus whose texts differ in every round.
fn write_corpus(dir: &Path, round: usize) {
    for file in 0..40 {
        let mut text = format!("# File {file}\n");
        for section in 0..8 {
            text.push_str(&format!("\n## Section {section}\n\n"));
            for sentence in 0..2 {
                let seed = ((round * 40 + file) * 8 + section) * 6 + sentence;
                text.push_str(&format!("Pump {} feeds valve {} at {} bar. ", seed * 7 % 1_009, seed * 13 % 997, seed));
            }
        }
        std::fs::write(dir.join(format!("{file}.md")), text).unwrap();
    }
}

/// Blocks taken, not how long the files say they are: the vector index reserves more than it fills. What is merged away
/// while this counts is nothing.
fn disk_bytes(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => disk_bytes(&entry.path()),
        Ok(metadata) => metadata.blocks() * 512,
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

fn report_sizes(what: &str, data: &TempDir) -> u64 {
    let total = disk_bytes(data.path());
    let part = |name: &str| if data.path().join(name).exists() { disk_bytes(&data.path().join(name)) } else { 0 };
    println!("{what}: {total} bytes, lexical {}, vector {}", part("lexical"), part("vector"));
    total
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_rewrites_take_at_most_twice_the_space_of_one() {
    let corpus = tempfile::tempdir().unwrap();
    write_corpus(corpus.path(), 20);
    let server = Server::start().await;
    server.ingest(corpus.path()).await;
    report_sizes("fresh, running", &server.data);
    let data = server.into_data().await;
    let fresh = report_sizes("fresh, stopped", &data);

    let server = Server::start().await;
    for round in 0..=20 {
        write_corpus(corpus.path(), round);
        let report = server.ingest(corpus.path()).await;
        assert_eq!(report.added + report.updated, 40, "round {round}");
    }
    // It compacts by itself once it is quiet.
    let began = Instant::now();
    let mut worn_running = report_sizes("rewritten, running", &server.data);
    while worn_running > 2 * fresh && began.elapsed() < Duration::from_secs(40) {
        tokio::time::sleep(Duration::from_millis(500)).await;
        worn_running = report_sizes("rewritten, quiet", &server.data);
    }
    assert!(worn_running <= 2 * fresh, "{worn_running} bytes after 20 rewrites, {fresh} after a fresh ingest");
    let data = server.into_data().await;
    let worn = report_sizes("rewritten, stopped", &data);
    assert!(worn <= 2 * fresh, "{worn} bytes after 20 rewrites, {fresh} after a fresh ingest");
    let server = Server::open(data).await;
    let compacted = server.client.compact().await.unwrap();
    println!("{compacted:?}");
    assert!(server.client.fsck(false).await.unwrap().clean);
    let data = server.into_data().await;
    report_sizes("compacted, stopped", &data);
}

/// Each command a process of its own, none of which is ever quiet.
#[tokio::test(flavor = "multi_thread")]
async fn twenty_rewrites_by_single_commands_take_at_most_twice_the_space() {
    let corpus = tempfile::tempdir().unwrap();
    let mut sizes = Vec::new();
    let mut data = tempfile::tempdir().unwrap();
    for round in 0..=20 {
        write_corpus(corpus.path(), round);
        let server = Server::open(data).await;
        server.ingest(corpus.path()).await;
        data = server.into_data().await;
        sizes.push(disk_bytes(data.path()));
    }
    println!("{sizes:?}");
    assert!(sizes[20] <= 2 * sizes[0], "{sizes:?}");
}

fn hivemem(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hivemem"))
        .args(arguments)
        .env("HIVEMEM_SERVER", "http://127.0.0.1:1")
        .env_remove("HIVEMEM_TOKEN")
        .output()
        .unwrap()
}

fn succeed(arguments: &[&str]) -> serde_json::Value {
    let output = hivemem(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

#[test]
fn the_commands_copy_restore_check_and_compact() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (first, second, file) = (path("first"), path("second"), path("all.hivemem"));
    succeed(&["remember", "releases are cut on Tuesdays", "--data-dir", &first]);
    let backup = succeed(&["backup", &file, "--data-dir", &first, "--json"]);
    assert_eq!(backup["bytes"], std::fs::metadata(&file).unwrap().len());
    assert_eq!(backup["backup"]["lsn"], 1);
    let again = succeed(&["backup", &file, "--data-dir", &first, "--json"]);
    assert_eq!(again["backup"]["lsn"], 1, "an older backup is replaced");
    let restored = succeed(&["restore", &file, "--data-dir", &second, "--json"]);
    assert_eq!(restored["lsn"], 1);
    let report = succeed(&["fsck", "--data-dir", &second, "--json"]);
    assert_eq!((&report["clean"], report["stores"].as_array().unwrap().len()), (&true.into(), 6));
    assert!(succeed(&["compact", "--data-dir", &second, "--json"])["disk_bytes_after"].as_u64().unwrap() > 0);

    let mine = path("mine.txt");
    std::fs::write(&mine, "not a backup").unwrap();
    let refused = hivemem(&["backup", &mine, "--data-dir", &first]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(std::fs::read(&mine).unwrap(), b"not a backup");
    let refused = hivemem(&["restore", &mine, "--data-dir", &path("third")]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is not a backup"));
    assert!(!dir.path().join("third").exists());
}
