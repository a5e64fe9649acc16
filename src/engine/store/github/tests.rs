//! Issues and pull requests from an API in process: pages, changes since, unchanged lists, rate limits.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::*;
use crate::engine::store::git::GitStore;
use crate::engine::store::guard::Guard;
use crate::engine::store::local::LocalStore;

/// The API with 150 issues; number 7 is a pull request with a comment on a line.
#[derive(Default)]
struct Forge {
    asked: Mutex<Vec<String>>,
    limited: AtomicUsize,
    edits: AtomicUsize,
}

fn issue(number: u64, updated_at: &str) -> Value {
    let mut issue = json!({"number": number, "title": format!("Issue {number}"), "body": "It breaks.", "state": "open",
        "user": {"login": "ann"}, "labels": [{"name": "bug"}], "created_at": "2024-01-01T00:00:00Z", "updated_at": updated_at});
    if number == 7 {
        issue["pull_request"] = json!({"merged_at": "2024-02-02T00:00:00Z"});
        issue["state"] = json!("closed");
    }
    issue
}

async fn answer(State(forge): State<Arc<Forge>>, request: Request) -> Response {
    let uri = request.uri().clone();
    forge.asked.lock().unwrap().push(uri.to_string());
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    if header("authorization").as_deref() != Some("Bearer t0ken") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let asked: HashMap<String, String> =
        url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let (since, page) =
        (asked.get("since").cloned().unwrap_or_default(), asked.get("page").map_or(1, |page| page.parse().unwrap()));
    if forge.limited.load(Ordering::SeqCst) > 0 {
        forge.limited.fetch_sub(1, Ordering::SeqCst);
        let headers = [
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "1800003600"),
            ("date", "Fri, 15 Jan 2027 08:00:00 GMT"),
        ];
        return (StatusCode::FORBIDDEN, headers).into_response();
    }
    let edits = forge.edits.load(Ordering::SeqCst);
    let all: Vec<Value> = match uri.path() {
        "/api/repos/o/r/issues" => {
            let time = |number: u64| {
                if number == 3 && edits > 0 {
                    "2024-03-01T00:00:00Z".to_owned()
                } else {
                    format!("2024-02-01T00:{:02}:{:02}Z", number / 60, number % 60)
                }
            };
            let mut all: Vec<Value> = (1..=150).map(|number| issue(number, &time(number))).collect();
            all.sort_by_key(|issue| issue["updated_at"].as_str().unwrap().to_owned());
            all
        }
        "/api/repos/o/r/issues/comments" => vec![json!({"id": 1, "body": "Same here.", "user": {"login": "bob"},
            "created_at": "2024-02-02T00:00:00Z", "updated_at": "2024-02-02T00:00:00Z", "issue_url": "http://x/repos/o/r/issues/3"})],
        "/api/repos/o/r/pulls/comments" => vec![json!({"id": 2, "body": "Nit.", "user": null, "path": "src/a.rs",
            "created_at": "2024-02-02T00:00:00Z", "updated_at": "2024-02-02T00:00:00Z", "pull_request_url": "http://x/repos/o/r/pulls/7"})],
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let all: Vec<Value> =
        all.into_iter().filter(|entry| entry["updated_at"].as_str().unwrap() >= since.as_str()).collect();
    let tag = format!("\"{} {since} {edits}\"", uri.path().len());
    if header("if-none-match").as_deref() == Some(tag.as_str()) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    let shown: Vec<Value> = all.iter().skip((page - 1) * 100).take(100).cloned().collect();
    let mut reply = axum::Json(shown).into_response();
    reply.headers_mut().insert("etag", tag.parse().unwrap());
    if all.len() > page * 100 {
        let next =
            format!("<http://{}{}?page={}&since={since}>; rel=\"next\"", header("host").unwrap(), uri.path(), page + 1);
        reply.headers_mut().insert("link", next.parse().unwrap());
    }
    reply
}

async fn store(forge: &Arc<Forge>, dir: &std::path::Path) -> GithubStore {
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(answer).with_state(Arc::clone(forge));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let credential = super::super::credentials::Credential {
        name: "forge".to_owned(),
        kind: "github".to_owned(),
        prefixes: vec!["github://o/".to_owned()],
        settings: Default::default(),
        secrets: [("token".to_owned(), Secret::new("t0ken"))].into(),
    };
    let credentials = Credentials::new(vec![credential]);
    let fetcher = Fetcher::new(Guard::new(true, &[]), tokio::runtime::Handle::current()).unwrap();
    let git = GitStore::new(LocalStore::default(), fetcher.clone(), credentials.clone(), dir.join("git"));
    GithubStore::new(Arc::new(git), fetcher, credentials, (&format!("{base}/api"), &base), dir.join("github")).unwrap()
}

async fn sync(store: &GithubStore) -> (Arc<Threads>, Option<Error>) {
    let store = store.clone();
    let repository = Repository::parse("github:o/r").unwrap();
    tokio::task::spawn_blocking(move || store.sync(&repository)).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn threads_are_read_in_pages_and_then_only_what_changed() {
    let (forge, dir) = (Arc::new(Forge::default()), tempfile::tempdir().unwrap());
    let store = store(&forge, dir.path()).await;
    let (threads, failure) = sync(&store).await;
    assert!(failure.is_none(), "{failure:?}");
    assert_eq!(threads.by_number.len(), 150);
    let text = threads.by_number[&3].markdown();
    assert_eq!(
        text,
        "# Issue 3 (#3)\n\nOpen issue, opened by ann on 2024-01-01, labelled bug.\n\nIt breaks.\n\n## bob, 2024-02-02\n\nSame here.\n"
    );
    let pull = &threads.by_number[&7];
    assert!(pull.markdown().contains(" on `src/a.rs`") && pull.path() == "pulls/7.md");
    assert!(pull.markdown().contains("Merged pull request"), "the API calls it closed: {}", pull.markdown());
    let about = pull.about("https://github.com/o/r");
    assert!(about.tags.contains(&"pull-request".to_owned()) && about.tags.contains(&"label:bug".to_owned()));
    assert_eq!(about.metadata["url"], "https://github.com/o/r/pull/7");
    let count = || forge.asked.lock().unwrap().len();
    assert_eq!(count(), 4, "two pages of issues, one of each kind of comments");
    sync(&store).await;
    let before = count();
    let (same, _) = sync(&store).await;
    assert_eq!((count() - before, &same.by_number), (3, &threads.by_number), "a request for each list");
    forge.edits.fetch_add(1, Ordering::SeqCst);
    // As after a restart.
    store.held.lock().unwrap().clear();
    let (changed, _) = sync(&store).await;
    assert_eq!(changed.by_number[&3].updated_at, "2024-03-01T00:00:00Z");
    assert_eq!(changed.by_number[&3].comments.len(), 1, "comments that are known stay");
    let last = forge.asked.lock().unwrap()[before + 3].clone();
    assert!(last.contains("since=2024-02-01"), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_keeps_what_was_read_and_says_when_to_go_on() {
    let (forge, dir) = (Arc::new(Forge::default()), tempfile::tempdir().unwrap());
    let store = store(&forge, dir.path()).await;
    sync(&store).await;
    forge.limited.store(2, Ordering::SeqCst);
    let (threads, failure) = sync(&store).await;
    let failure = failure.unwrap();
    assert!(failure.kind() == Kind::Unavailable && failure.message().contains("rate limit"), "{failure}");
    assert_eq!(threads.by_number.len(), 150);
    let stranger = GithubStore { credentials: Credentials::default(), ..store };
    let (_, failure) = sync(&stranger).await;
    assert_eq!(failure.unwrap().kind(), Kind::Denied);
}

#[test]
fn repositories_are_named_in_one_way() {
    let uri = |address: &str| Repository::parse(address).map(|repository| repository.uri());
    assert_eq!(uri("github:o/r").unwrap(), "github://o/r");
    assert_eq!(uri("github://o/r.git/").unwrap(), "github://o/r");
    assert_eq!(uri("github:o/r@v1").unwrap(), "github://o/r@v1");
    for bad in ["github:o", "github:o/r/x", "github:../r", "github:o/r?x"] {
        assert!(uri(bad).is_err(), "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_credential_is_kept_to_its_repositories_and_its_threads_to_it() {
    let (forge, dir) = (Arc::new(Forge::default()), tempfile::tempdir().unwrap());
    let store = store(&forge, dir.path()).await;
    assert!(store.under("github://o/r", "forge").is_ok() && store.under("github://o/r/issues/3", "forge").is_ok());
    let error = store.under("github://other/r", "forge").map(|_| ()).unwrap_err();
    assert!(error.field() == Some("credential") && error.message().contains("prefixes"), "{error}");
    let held = store.credentials.by_name("github", "forge").unwrap();
    let anywhere = Credentials::new(vec![Credential { prefixes: Vec::new(), ..Credential::clone(&held) }]);
    let anywhere = GithubStore { credentials: anywhere, ..store.clone() };
    assert!(anywhere.under("github://other/r", "forge").is_ok(), "one without prefixes is for all of GitHub");

    sync(&store).await;
    let stranger = GithubStore { credentials: Credentials::default(), held: Arc::default(), ..store };
    let (threads, failure) = sync(&stranger).await;
    assert_eq!(
        (threads.by_number.len(), failure.unwrap().kind()),
        (0, Kind::Denied),
        "what is kept is not for everybody"
    );
}
