//! Git sources over real repositories: made by `git`, read in place and over smart HTTP (`git http-backend` behind a small
//! bridge).

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use tempfile::TempDir;

use super::*;
use crate::engine::store::credentials::Credential;
use crate::engine::store::guard::Guard;

/// A repository with some history.
struct Repository {
    dir: TempDir,
}

impl Repository {
    fn new() -> Self {
        let repository = Self { dir: tempfile::tempdir().unwrap() };
        repository.git(&["init", "-q", "-b", "main"]);
        repository
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn git(&self, args: &[&str]) -> String {
        let mut command = Command::new("git");
        command.current_dir(self.path()).args(["-c", "user.name=A", "-c", "user.email=a@example.org"]).args(args);
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", self.path());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Writes files and commits them; the commit.
    fn commit(&self, files: &[(&str, &str)]) -> String {
        for (path, text) in files {
            let path = self.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", "work"]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn address(&self) -> String {
        format!("git+file://{}", self.path().canonicalize().unwrap().display())
    }
}

/// A repository with code, a tag, another branch, a link and a hidden file.
fn sample() -> Repository {
    let repository = Repository::new();
    repository.commit(&[("src/a.rs", "fn a() {}\n"), ("docs/guide.md", "# Guide\n"), (".hidden/x", "x\n")]);
    repository.git(&["tag", "-a", "v1", "-m", "one"]);
    repository.git(&["checkout", "-q", "-b", "feature/x"]);
    repository.commit(&[("src/b.rs", "fn b() {}\n")]);
    repository.git(&["checkout", "-q", "main"]);
    std::os::unix::fs::symlink("/etc/passwd", repository.path().join("leak")).unwrap();
    repository.commit(&[("docs/guide.md", "# Guide, second edition\n")]);
    repository
}

fn store_with(cache: &Path, credentials: Credentials) -> GitStore {
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let guard = Guard::new(true, &[]);
    let fetcher = Fetcher::new(guard, tokio::runtime::Handle::current()).unwrap();
    GitStore::new(LocalStore::default(), fetcher, credentials, cache.to_owned())
}

/// What `look` finds, from a thread that may block.
async fn blocking<T: Send + 'static>(look: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(look).await.unwrap()
}

fn paths(listing: &Listing) -> Vec<&str> {
    listing.objects.iter().map(|object| object.path.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_of_this_machine_is_read_where_it_is() {
    let (repository, cache) = (sample(), tempfile::tempdir().unwrap());
    let store = store_with(cache.path(), Credentials::default());
    let source = store.resolve(&repository.address()).unwrap();
    let listing = store.list(&source, &ListOptions::default()).unwrap();
    assert_eq!(paths(&listing), ["docs/guide.md", "src/a.rs"]);
    assert_eq!(listing.left_out, [LeftOut { path: "leak".to_owned(), reason: "link".to_owned(), failed: false }]);
    let guide = &listing.objects[0];
    assert_eq!(guide.uri, format!("{source}#docs/guide.md"));
    assert_eq!(store.read(guide, 100).unwrap(), b"# Guide, second edition\n");
    assert_eq!(guide.bytes, 24);
    assert!(store.read(guide, 10).unwrap_err().message().contains("over the limit of 10"));
    let head = repository.git(&["rev-parse", "HEAD"]);
    assert_eq!(store.about(guide).unwrap().metadata["commit"], head);
    assert_eq!(store.stat(&guide.uri).unwrap().unwrap().mark, guide.mark);
    assert_eq!(store.stat(&format!("{source}#docs/none.md")).unwrap(), None);
    let only = ListOptions { include: vec!["*.rs".to_owned()], ..ListOptions::default() };
    assert_eq!(paths(&store.list(&source, &only).unwrap()), ["src/a.rs"]);
    let at = BTreeSet::from([format!("{source}#src")]);
    assert_eq!(paths(&store.list_at(&source, &ListOptions::default(), &at).unwrap()), ["src/a.rs"]);
    assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 0, "nothing is copied");
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_tags_commits_folders_and_files_can_be_named() {
    let (repository, cache) = (sample(), tempfile::tempdir().unwrap());
    let store = store_with(cache.path(), Credentials::default());
    let first = repository.git(&["rev-parse", "v1^{commit}"]);
    for (rest, expected) in [
        ("@feature/x", &["docs/guide.md", "src/a.rs", "src/b.rs"][..]),
        ("@v1", &["docs/guide.md", "src/a.rs"]),
        (&format!("@{first}"), &["docs/guide.md", "src/a.rs"]),
        ("#docs", &["guide.md"]),
        ("@feature/x#src/b.rs", &["b.rs"]),
    ] {
        let source = store.resolve(&format!("{}{rest}", repository.address())).unwrap();
        assert_eq!(paths(&store.list(&source, &ListOptions::default()).unwrap()), expected, "{rest}");
    }
    let file = store.resolve(&format!("{}@feature/x#src/b.rs", repository.address())).unwrap();
    assert_eq!(store.list(&file, &ListOptions::default()).unwrap().objects[0].uri, file);
    for (rest, said) in [("@none", "no branch, tag or commit"), ("#none", "not in the commit")] {
        let address = format!("{}{rest}", repository.address());
        let error =
            store.resolve(&address).and_then(|source| store.list(&source, &ListOptions::default())).unwrap_err();
        assert!(error.kind() == Kind::NotFound && error.message().contains(said), "{rest}: {error}");
    }
    assert_eq!(store.resolve("git+file:///no/such/repository").unwrap_err().kind(), Kind::NotFound);
    let walled = GitStore { local: LocalStore::new(vec!["/var/empty".into()]), ..store };
    assert_eq!(walled.resolve(&repository.address()).unwrap_err().kind(), Kind::Denied);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_change_together_are_found_and_large_commits_say_nothing() {
    let (repository, cache) = (Repository::new(), tempfile::tempdir().unwrap());
    let many: Vec<(String, String)> = (0..40).map(|n| (format!("many/{n}.rs"), "x\n".to_owned())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    repository.commit(&many);
    for round in 0..4 {
        let text = format!("{round}\n");
        let all: Vec<(&str, &str)> = many.iter().map(|(path, _)| (*path, text.as_str())).collect();
        repository.commit(&[("src/a.rs", &text), ("src/b.rs", &text)]);
        repository.commit(&[("src/a.rs", &format!("{round} again\n"))]);
        repository.commit(&[("docs/gone.md", &text), ("src/a.rs", &format!("{round} with a doc\n"))]);
        repository.commit(&all);
    }
    std::fs::remove_file(repository.path().join("docs/gone.md")).unwrap();
    repository.commit(&[]);
    let store = store_with(cache.path(), Credentials::default());
    let source = store.resolve(&repository.address()).unwrap();
    let partners = store.partners(&source).unwrap().unwrap();
    let of_a = &partners.by_path["src/a.rs"];
    assert_eq!(
        of_a.iter().map(|partner| (partner.path.as_str(), partner.commits)).collect::<Vec<_>>(),
        [("src/b.rs", 4)]
    );
    assert!((of_a[0].weight - 4.0 / 12.0).abs() < 0.05, "4 of 12 commits: {of_a:?}");
    assert!(!partners.by_path.keys().any(|path| path.starts_with("many/")), "{partners:?}");
    let below = store.partners(&format!("{source}#src")).unwrap().unwrap();
    assert_eq!(below.by_path["a.rs"][0].path, "b.rs");
    let checkout = LocalStore::default();
    let local = checkout.partners(&format!("{}/src", repository.path().canonicalize().unwrap().display())).unwrap();
    assert_eq!(local.unwrap(), below, "a checkout knows the same of its files");
}

/// A server of repositories: `git http-backend` behind a bridge.
struct Served {
    base: String,
    requests: Arc<AtomicUsize>,
}

#[derive(Clone)]
struct Bridge {
    root: PathBuf,
    requests: Arc<AtomicUsize>,
    /// The authorization that has to come.
    wanted: Option<&'static str>,
}

impl Served {
    /// Serves the repositories in `root`.
    async fn start(root: &Path, wanted: Option<&'static str>) -> Self {
        let requests = Arc::new(AtomicUsize::new(0));
        let bridge = Bridge { root: root.to_owned(), requests: Arc::clone(&requests), wanted };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(backend).with_state(bridge);
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { base, requests }
    }
}

async fn backend(State(bridge): State<Bridge>, request: Request) -> Response {
    bridge.requests.fetch_add(1, Ordering::SeqCst);
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 * 1024 * 1024).await.unwrap();
    if let Some(path) = parts.uri.path().strip_prefix("/moved") {
        let to = format!("{path}?{}", parts.uri.query().unwrap_or_default());
        return (StatusCode::MOVED_PERMANENTLY, [("location", to)]).into_response();
    }
    let given = parts.headers.get("authorization").and_then(|value| value.to_str().ok());
    if bridge.wanted.is_some_and(|wanted| given != Some(wanted)) {
        return (StatusCode::UNAUTHORIZED, [("www-authenticate", "Basic")]).into_response();
    }
    let (path, query) = (parts.uri.path().to_owned(), parts.uri.query().unwrap_or_default().to_owned());
    blocking(move || run_backend(&bridge.root, &parts.method, &path, &query, &parts.headers, &body)).await
}

fn run_backend(
    root: &Path,
    method: &axum::http::Method,
    path: &str,
    query: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("REQUEST_METHOD", method.as_str())
        .env("CONTENT_TYPE", header("content-type"))
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let body = body.clone();
    let writer = std::thread::spawn(move || {
        // A backend that refuses does not read it all.
        let _ = std::io::Write::write_all(&mut input, &body);
    });
    let output = child.wait_with_output().unwrap().stdout;
    writer.join().unwrap();
    let end = output.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let mut response = Response::builder();
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        let (name, value) = line.split_once(": ").unwrap();
        response = match name {
            "Status" => response.status(value.split(' ').next().unwrap().parse::<u16>().unwrap()),
            _ => response.header(name, value),
        };
    }
    response.body(output[end + 4..].to_vec().into()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_repository_is_cloned_and_a_new_commit_brings_what_it_changed() {
    let repository = sample();
    let root = repository.path().canonicalize().unwrap();
    let served = Served::start(root.parent().unwrap(), None).await;
    let address = format!("git+{}/{}/.git", served.base, root.file_name().unwrap().to_str().unwrap());
    let cache = tempfile::tempdir().unwrap();
    let store = Arc::new(store_with(cache.path(), Credentials::default()));
    let look = {
        let (store, address) = (Arc::clone(&store), address.clone());
        move || {
            let source = store.resolve(&address).unwrap();
            (store.list(&source, &ListOptions::default()).unwrap(), source)
        }
    };
    let (first, source) = blocking(look.clone()).await;
    assert_eq!(paths(&first), ["docs/guide.md", "src/a.rs"]);
    let (reader, guide) = (Arc::clone(&store), first.objects[0].clone());
    assert_eq!(blocking(move || reader.read(&guide, 100)).await.unwrap(), b"# Guide, second edition\n");
    let before = served.requests.load(Ordering::SeqCst);
    let (same, _) = blocking(look.clone()).await;
    assert_eq!(same, first);
    assert_eq!(served.requests.load(Ordering::SeqCst) - before, 2, "a handshake and a list of refs");

    let head = repository.commit(&[("src/a.rs", "fn a() { b() }\n"), ("src/c.rs", "fn c() {}\n")]);
    let (second, _) = blocking(look).await;
    assert_eq!(paths(&second), ["docs/guide.md", "src/a.rs", "src/c.rs"]);
    assert_eq!(second.objects[0].mark, first.objects[0].mark, "what did not change keeps its mark");
    assert_ne!(second.objects[1].mark, first.objects[1].mark);
    let (asked, changed) = (Arc::clone(&store), second.objects[1].clone());
    assert_eq!(blocking(move || asked.about(&changed)).await.unwrap().metadata["commit"], head);
    let (asked, branch) = (Arc::clone(&store), format!("{address}@feature/x#src"));
    let listing = blocking(move || asked.list(&branch, &ListOptions::default()).unwrap()).await;
    assert_eq!(paths(&listing), ["a.rs", "b.rs"]);
    let (asked, old) = (Arc::clone(&store), format!("{address}@v1"));
    assert_eq!(blocking(move || asked.list(&old, &ListOptions::default()).unwrap().objects.len()).await, 2);
    let (asked, bad) = (Arc::clone(&store), format!("{address}@none"));
    let error = blocking(move || asked.resolve(&bad)).await.unwrap_err();
    assert!(error.kind() == Kind::NotFound && error.message().contains("no branch or tag"), "{error}");
    assert!(source.starts_with("git+http://127.0.0.1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_logins_and_refusals_are_what_they_are() {
    let repository = sample();
    let root = repository.path().canonicalize().unwrap();
    let name = root.file_name().unwrap().to_str().unwrap().to_owned();
    let open = Served::start(root.parent().unwrap(), None).await;
    let cache = tempfile::tempdir().unwrap();
    let store = Arc::new(store_with(cache.path(), Credentials::default()));
    let (asked, moved) = (Arc::clone(&store), format!("git+{}/moved/{name}/.git", open.base));
    assert_eq!(blocking(move || asked.list(&moved, &ListOptions::default()).unwrap().objects.len()).await, 2);
    let (asked, missing) = (Arc::clone(&store), format!("git+{}/none.git", open.base));
    assert_eq!(blocking(move || asked.resolve(&missing)).await.unwrap_err().kind(), Kind::NotFound);

    // user "bot", password "hunter2"
    let closed = Served::start(root.parent().unwrap(), Some("Basic Ym90Omh1bnRlcjI=")).await;
    let address = format!("git+{}/{name}/.git", closed.base);
    let (asked, locked) = (Arc::clone(&store), address.clone());
    let error = blocking(move || asked.resolve(&locked)).await.unwrap_err();
    assert!(error.kind() == Kind::Denied && error.message().contains("credential"), "{error}");
    let credential = Credential {
        name: "forge".to_owned(),
        kind: "git".to_owned(),
        prefixes: vec![closed.base.clone()],
        settings: BTreeMap::from([("user".to_owned(), "bot".to_owned())]),
        secrets: BTreeMap::from([("token".to_owned(), Secret::new("hunter2"))]),
    };
    let store = store_with(cache.path(), Credentials::new(vec![credential]));
    assert_eq!(blocking(move || store.list(&address, &ListOptions::default()).unwrap().objects.len()).await, 2);

    let walled = Fetcher::new(Guard::default(), tokio::runtime::Handle::current()).unwrap();
    let walled = GitStore::new(LocalStore::default(), walled, Credentials::default(), cache.path().join("other"));
    let address = format!("git+{}/{name}/.git", open.base);
    let error = blocking(move || walled.resolve(&address)).await.unwrap_err();
    assert!(error.kind() == Kind::Denied && error.message().contains("private"), "{error}");
}

/// A credential of user "bot" with password "hunter2".
fn bot(prefixes: Vec<String>) -> Credentials {
    Credentials::new(vec![Credential {
        name: "forge".to_owned(),
        kind: "git".to_owned(),
        prefixes,
        settings: BTreeMap::from([("user".to_owned(), "bot".to_owned())]),
        secrets: BTreeMap::from([("token".to_owned(), Secret::new("hunter2"))]),
    }])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_stays_with_its_prefixes_and_a_private_clone_with_its_login() {
    let repository = sample();
    let root = repository.path().canonicalize().unwrap();
    let name = root.file_name().unwrap().to_str().unwrap().to_owned();
    let head = repository.git(&["rev-parse", "HEAD"]);
    let closed = Served::start(root.parent().unwrap(), Some("Basic Ym90Omh1bnRlcjI=")).await;
    let cache = tempfile::tempdir().unwrap();
    let store = Arc::new(store_with(cache.path(), bot(vec![closed.base.clone()])));

    // Named by a client, for a repository of the client's own.
    for prefixes in [vec!["https://forge.example".to_owned()], Vec::new()] {
        let other = store_with(cache.path(), bot(prefixes));
        let address = format!("git+{}/{name}/.git", closed.base);
        let error = blocking(move || other.under(&address, "forge").map(|_| ())).await.unwrap_err();
        assert!(error.field() == Some("credential") && error.message().contains("prefixes"), "{error}");
    }
    let named = Arc::new(store.with(store.credentials.by_name("git", "forge").unwrap()));
    let error = blocking(move || named.resolve("git+http://127.0.0.1:1/r.git")).await.unwrap_err();
    assert_eq!(error.field(), Some("credential"), "each repository is looked at: {error}");
    assert_eq!(closed.requests.load(Ordering::SeqCst), 0, "nothing was sent");

    let commit = format!("git+{}/{name}/.git@{head}", closed.base);
    let asked = commit.clone();
    let list = move |store: &GitStore| store.list(&asked, &ListOptions::default()).map(|listing| listing.objects.len());
    let (member, look) = (Arc::clone(&store), list.clone());
    assert_eq!(blocking(move || look(&member)).await.unwrap(), 2);
    let stranger = store_with(cache.path(), Credentials::default());
    let error = blocking(move || list(&stranger)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Denied, "what is in the cache is not for everybody: {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_not_sent_on_to_where_a_redirect_leads() {
    let repository = sample();
    let root = repository.path().canonicalize().unwrap();
    let name = root.file_name().unwrap().to_str().unwrap().to_owned();
    // The other host serves the repository and notes what it is given.
    let given = Arc::<Mutex<Vec<bool>>>::default();
    let (noted, bridge) = (
        Arc::clone(&given),
        Bridge { root: root.parent().unwrap().to_owned(), requests: Arc::default(), wanted: None },
    );
    let elsewhere = serve(Router::new().fallback(move |request: Request| {
        noted.lock().unwrap().push(request.headers().contains_key("authorization"));
        backend(State(bridge.clone()), request)
    }))
    .await;
    let target = elsewhere.clone();
    let home = serve(Router::new().fallback(move |request: Request| {
        let to = format!("{target}{}", request.uri());
        async move { (StatusCode::MOVED_PERMANENTLY, [("location", to)]).into_response() }
    }))
    .await;
    let cache = tempfile::tempdir().unwrap();
    let store = store_with(cache.path(), bot(vec![home.clone()]));
    let address = format!("git+{home}/{name}/.git");
    assert_eq!(blocking(move || store.list(&address, &ListOptions::default()).unwrap().objects.len()).await, 2);
    let given = given.lock().unwrap();
    assert!(given.len() > 2 && !given.contains(&true), "{given:?}");
}

async fn serve(app: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    base
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_for_a_commit_branch_or_head_shows_the_file() {
    let (repository, cache) = (sample(), tempfile::tempdir().unwrap());
    let store = store_with(cache.path(), Credentials::default());
    let first = repository.git(&["rev-parse", "v1^{commit}"]);
    for (rest, shown) in [
        (format!("@{first}#docs/guide.md"), "# Guide\n"),
        ("@feature/x#src/b.rs".to_owned(), "fn b() {}\n"),
        ("#docs/guide.md".to_owned(), "# Guide, second edition\n"),
    ] {
        let ways = store.ways(&format!("{}{rest}", repository.address()), Duration::ZERO).unwrap();
        let (command, dir) = (ways.native.unwrap(), tempfile::tempdir().unwrap());
        let mut shell = Command::new("sh");
        shell.args(["-c", &command]).current_dir(dir.path()).env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", dir.path());
        let output = shell.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{command}: {told}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), shown, "{command}");
    }
}
