//! Following a source: changes are found soon, bursts are followed, and following begins and ends when it should.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use hivemem_client::ProgressStream;
use hivemem_client::proto::{
    ForgetRequest, IngestReport, IngestSourceRequest, SearchFilter, SearchMode, forget_request::Selector,
};

use crate::support::{Server, repository, tree};

/// Far above what anything here takes; a test that waits this long failed.
const PATIENCE: Duration = Duration::from_secs(30);

fn request(source: &Path) -> IngestSourceRequest {
    IngestSourceRequest { source: source.display().to_string(), watch: true, ..Default::default() }
}

async fn watch(server: &Server, request: IngestSourceRequest) -> (ProgressStream, IngestReport) {
    let mut stream = server.client.ingest_source(request).await.unwrap();
    let report = stream.next_report(|_| {}).await.unwrap();
    (stream, report)
}

async fn next(stream: &mut ProgressStream) -> IngestReport {
    tokio::time::timeout(PATIENCE, stream.next_report(|_| {})).await.expect("no sync came").unwrap()
}

/// How long it takes until `word` is found (or not any more) in `path`.
async fn until(server: &Server, mode: SearchMode, word: &str, path: &str, found: bool) -> Duration {
    let began = Instant::now();
    loop {
        let hits = server.search_with(word, mode, SearchFilter::default()).await;
        if hits.iter().any(|hit| hit.path == path && hit.text.contains(word)) == found {
            return began.elapsed();
        }
        assert!(began.elapsed() < PATIENCE, "{word} in {path}, {mode:?}: expected {found}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn documents(server: &Server) -> u64 {
    server.client.stats().await.unwrap().documents
}

async fn until_documents(server: &Server, expected: u64) {
    let began = Instant::now();
    while documents(server).await != expected {
        assert!(began.elapsed() < PATIENCE, "{} documents, expected {expected}", documents(server).await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Whether each source is watched, and what is wrong with it.
async fn states(server: &Server) -> Vec<(bool, String)> {
    let stats = server.client.stats().await.unwrap();
    stats.sources.into_iter().map(|source| (source.watched, source.problem)).collect()
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_written_file_is_found_by_words_and_by_meaning_soon() {
    let (server, repo) = (Server::start().await, repository());
    let (_stream, report) = watch(&server, request(repo.path())).await;
    assert_eq!(report.added, 5);
    let mut words = Vec::new();
    let mut vectors = Vec::new();
    for word in ["zebrafish", "quokkas", "axolotl", "pangolin", "narwhal"] {
        write(repo.path(), "docs/animals.md", &format!("# Animals\n\nThe {word} lives in the enclosure.\n"));
        words.push(until(&server, SearchMode::Lexical, word, "docs/animals.md", true).await);
        // Began when words were found, so the whole time is the sum.
        vectors.push(words[words.len() - 1] + until(&server, SearchMode::Dense, word, "docs/animals.md", true).await);
    }
    words.sort();
    vectors.sort();
    println!("after a write: found by words in {words:?}, by meaning in {vectors:?}");
    // The promises are 300 ms and 2 s on a quiet machine; tests share theirs.
    assert!(words[2] < Duration::from_secs(3) && vectors[2] < Duration::from_secs(10), "{words:?} {vectors:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_folders_that_come_move_and_go_are_followed() {
    let (server, repo) = (Server::start().await, repository());
    let root = repo.path();
    let (mut stream, _) = watch(&server, request(root)).await;
    write(root, "new/deep/er/notes.md", "# Notes\n\nA periwinkle note.\n");
    until(&server, SearchMode::Lexical, "periwinkle", "new/deep/er/notes.md", true).await;
    // A folder that came is followed like the others.
    write(root, "new/deep/er/more.md", "# More\n\nA vermilion note.\n");
    until(&server, SearchMode::Lexical, "vermilion", "new/deep/er/more.md", true).await;
    std::fs::rename(root.join("new"), root.join("moved")).unwrap();
    until(&server, SearchMode::Lexical, "periwinkle", "moved/deep/er/notes.md", true).await;
    until(&server, SearchMode::Lexical, "periwinkle", "new/deep/er/notes.md", false).await;
    write(root, "moved/deep/er/more.md", "# More\n\nA chartreuse note.\n");
    until(&server, SearchMode::Lexical, "chartreuse", "moved/deep/er/more.md", true).await;
    std::fs::remove_dir_all(root.join("moved")).unwrap();
    until_documents(&server, 5).await;
    std::fs::remove_file(root.join("client.py")).unwrap();
    until_documents(&server, 4).await;
    // As editors save: a new file in the place of the old one.
    write(root, "src/.retry.rs.swp", "pub fn teal() {}\n");
    std::fs::rename(root.join("src/.retry.rs.swp"), root.join("src/retry.rs")).unwrap();
    until(&server, SearchMode::Lexical, "teal", "src/retry.rs", true).await;
    let mut sum = IngestReport::default();
    while sum.removed < 4 || sum.updated < 2 {
        let report = next(&mut stream).await;
        assert!(report.added + report.updated + report.removed > 0, "{report:?}");
        sum.removed += report.removed;
        sum.updated += report.updated;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_listing_leaves_out_stays_out() {
    let repo = tree(&[
        (".gitignore", b"*.log\nbuild/\n"),
        ("a.md", b"# A\n\nfirst\n"),
        ("build/out.md", b"# Out\n\nbuilt\n"),
        ("b.md", b"# B\n\nsecond\n"),
    ]);
    let (server, root) = (Server::start().await, repo.path());
    let (mut stream, report) = watch(&server, request(root)).await;
    assert_eq!(report.added, 2);
    for path in ["run.log", "build/new.md", "sub/build/x.md", ".hidden.md", ".hidden/x.md", ".hidden/node/x.md"] {
        write(root, path, "# No\n\nnowhere to be found\n");
    }
    write(root, "c.md", "# C\n\nthird\n");
    let report = next(&mut stream).await;
    assert_eq!((report.added, documents(&server).await), (1, 3), "{report:?}");
    // Other rules change what is there though no file of it changed.
    write(root, ".gitignore", "*.log\nb.md\n");
    until(&server, SearchMode::Lexical, "nowhere", "build/new.md", true).await;
    until(&server, SearchMode::Lexical, "second", "b.md", false).await;
    assert_eq!(documents(&server).await, 5, "a, c, build/out, build/new, sub/build/x");
    write(root, "build/later.md", "# Later\n\nfollowed from now on\n");
    until(&server, SearchMode::Lexical, "followed", "build/later.md", true).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn globs_hold_for_later_syncs() {
    let (server, repo) = (Server::start().await, repository());
    let globs = IngestSourceRequest {
        include: vec!["*.md".to_owned()],
        exclude: vec!["secret".to_owned()],
        ..request(repo.path())
    };
    let (mut stream, report) = watch(&server, globs).await;
    assert_eq!(report.added, 1);
    write(repo.path(), "secret/x.md", "# X\n\nsecret\n");
    write(repo.path(), "src/new.rs", "pub fn unseen() {}\n");
    write(repo.path(), "sub/y.md", "# Y\n\nopen\n");
    assert_eq!(next(&mut stream).await.added, 1);
    std::fs::remove_file(repo.path().join("docs/guide.md")).unwrap();
    assert_eq!(next(&mut stream).await.removed, 1);
    until(&server, SearchMode::Lexical, "open", "sub/y.md", true).await;
    assert_eq!(documents(&server).await, 1);
    server.stop().await;
}

fn git(dir: &Path, arguments: &[&str]) {
    let output = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"])
        .args(arguments)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_switch_of_thousands_of_files_is_followed() {
    const FILES: usize = 2_000;
    let (server, repo) = (Server::start().await, tree(&[("README.md", b"# Read me\n\nmain branch\n")]));
    let root = repo.path();
    git(root, &["init", "-q"]);
    git(root, &["add", "."]);
    git(root, &["commit", "-qm", "one"]);
    git(root, &["checkout", "-qb", "many"]);
    for number in 0..FILES {
        // Few texts, so that few vectors have to be made.
        let text = format!("# Note\n\nkumquat {}\n", number % 7);
        write(root, &format!("d{}/e{}/f{number}.md", number % 20, number % 100), &text);
    }
    git(root, &["add", "."]);
    git(root, &["commit", "-qm", "many"]);
    git(root, &["checkout", "-q", "main"]);
    let no_wait = IngestSourceRequest { no_wait: true, ..request(root) };
    let (mut stream, report) = watch(&server, no_wait).await;
    assert_eq!(report.added, 1);

    let began = Instant::now();
    git(root, &["checkout", "-q", "many"]);
    let (mut added, mut syncs) = (0, 0);
    while added < FILES as u64 {
        added += next(&mut stream).await.added;
        syncs += 1;
    }
    println!("a checkout with {FILES} new files: found by words after {:?}, {syncs} syncs", began.elapsed());
    assert_eq!((added, documents(&server).await), (FILES as u64, FILES as u64 + 1));

    let began = Instant::now();
    git(root, &["checkout", "-q", "main"]);
    let mut removed = 0;
    while removed < FILES as u64 {
        removed += next(&mut stream).await.removed;
    }
    println!("and back: {:?}", began.elapsed());
    assert_eq!((removed, documents(&server).await), (FILES as u64, 1));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn following_outlives_the_caller_and_the_server() {
    let (server, repo) = (Server::start().await, repository());
    let tagged = IngestSourceRequest { tags: vec!["ours".to_owned()], ..request(repo.path()) };
    let (stream, _) = watch(&server, tagged).await;
    drop(stream);
    write(repo.path(), "a.md", "# A\n\nan aubergine\n");
    until(&server, SearchMode::Lexical, "aubergine", "a.md", true).await;

    let data = server.close().await;
    write(repo.path(), "b.md", "# B\n\na rutabaga\n");
    std::fs::remove_file(repo.path().join("a.md")).unwrap();
    let server = Server::open(data).await;
    until(&server, SearchMode::Lexical, "rutabaga", "b.md", true).await;
    until(&server, SearchMode::Lexical, "aubergine", "a.md", false).await;
    write(repo.path(), "c.md", "# C\n\na kohlrabi\n");
    until(&server, SearchMode::Lexical, "kohlrabi", "c.md", true).await;
    let ours = SearchFilter { tags: vec!["ours".to_owned()], ..Default::default() };
    assert!(
        !server.search_with("kohlrabi", SearchMode::Lexical, ours).await.is_empty(),
        "with the tags of the request"
    );
    assert_eq!(states(&server).await, [(true, String::new())]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn following_ends_on_request_and_with_the_source() {
    let (server, repo) = (Server::start().await, repository());
    let other = tree(&[("x.md", b"# X\n\nsomething else\n")]);
    let (mut stream, _) = watch(&server, request(repo.path())).await;
    let (mut forgotten, _) = watch(&server, request(other.path())).await;
    let ends = IngestSourceRequest { watch: false, no_watch: true, ..request(repo.path()) };
    assert_eq!(server.try_ingest(ends.clone()).await.unwrap().unchanged, 5);
    let ended = tokio::time::timeout(PATIENCE, stream.next_report(|_| {})).await.unwrap();
    assert!(ended.is_err(), "the stream ends without another report: {ended:?}");
    server.try_ingest(ends).await.unwrap();

    let selector = Some(Selector::Source(other.path().display().to_string()));
    server.client.forget(ForgetRequest { selector, ..Default::default() }).await.unwrap();
    assert!(tokio::time::timeout(PATIENCE, forgotten.next_report(|_| {})).await.unwrap().is_err());
    assert!(states(&server).await.iter().all(|state| *state == (false, String::new())));
    write(repo.path(), "late.md", "# Late\n\ntoo late\n");
    write(other.path(), "late.md", "# Late\n\ntoo late\n");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(documents(&server).await, 5, "nobody follows any more");

    let both = IngestSourceRequest { no_watch: true, ..request(repo.path()) };
    assert!(server.try_ingest(both).await.unwrap_err().message().contains("exclude each other"));
    let gone = IngestSourceRequest { watch: false, no_watch: true, ..request(Path::new("/no/such/folder")) };
    assert!(server.try_ingest(gone).await.unwrap_err().message().contains("does not exist"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_goes_away_is_a_problem_and_keeps_what_is_stored() {
    let (server, place) = (Server::start().await, tree(&[("repo/a.md", b"# A\n\nsomething\n")]));
    let root = place.path().join("repo");
    let (mut stream, _) = watch(&server, request(&root)).await;
    std::fs::rename(&root, place.path().join("elsewhere")).unwrap();
    let began = Instant::now();
    while !states(&server).await[0].1.contains("does not exist") {
        assert!(began.elapsed() < PATIENCE, "{:?}", states(&server).await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(documents(&server).await, 1);
    std::fs::rename(place.path().join("elsewhere"), &root).unwrap();
    write(&root, "b.md", "# B\n\na tamarind\n");
    let mut problems = Vec::new();
    let report = tokio::time::timeout(PATIENCE, stream.next_report(|progress| problems.push(progress.problem.clone())));
    assert_eq!(report.await.unwrap().unwrap().added, 1);
    assert!(problems.iter().any(|problem| problem.contains("does not exist")), "{problems:?}");
    assert_eq!(states(&server).await, [(true, String::new())]);
    write(&root, "b.md", "# B\n\na persimmon\n");
    until(&server, SearchMode::Lexical, "persimmon", "b.md", true).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_file_is_followed_and_a_stopping_server_says_so() {
    let (server, place) =
        (Server::start().await, tree(&[("a.md", b"# A\n\nsomething\n"), ("b.md", b"# B\n\nother\n")]));
    let (mut stream, _) = watch(&server, request(&place.path().join("a.md"))).await;
    write(place.path(), "b.md", "# B\n\na gooseberry\n");
    write(place.path(), ".a.md.tmp", "# A\n\na mirabelle\n");
    std::fs::rename(place.path().join(".a.md.tmp"), place.path().join("a.md")).unwrap();
    assert_eq!(next(&mut stream).await.updated, 1);
    until(&server, SearchMode::Lexical, "mirabelle", "a.md", true).await;
    assert_eq!(documents(&server).await, 1);
    let stopped = tokio::spawn(server.stop());
    let ended = tokio::time::timeout(PATIENCE, stream.next_report(|_| {})).await.unwrap().unwrap_err();
    assert!(ended.message().contains("shutting down"), "{ended}");
    tokio::time::timeout(PATIENCE, stopped).await.expect("the server does not stop").unwrap();
}
