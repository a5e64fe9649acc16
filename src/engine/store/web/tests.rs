//! Pages and crawls against a site in process: links, a sitemap, robots.txt, redirects, 304, 429, slow and broken answers, a
//! trap.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use tempfile::TempDir;

use super::*;
use crate::engine::store::guard::Guard;
use crate::engine::store::http::HttpStore;
use crate::engine::store::line::Line;
use crate::engine::store::{Crawl, credentials};

/// A site and what was asked of it.
#[derive(Default)]
struct Site {
    asked: Mutex<Vec<String>>,
    busy_left: AtomicUsize,
    changed: AtomicBool,
    robots_down: AtomicBool,
    hub_down: AtomicBool,
    map_down: AtomicBool,
}

impl Site {
    fn times(&self, path: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| *asked == path).count()
    }

    async fn start(self: &Arc<Self>) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(Arc::clone(self));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        base
    }
}

fn html(body: String) -> Response {
    ([("content-type", "text/html; charset=utf-8")], format!("<html><body>{body}</body></html>")).into_response()
}

async fn answer(State(site): State<Arc<Site>>, request: Request) -> Response {
    let path = request.uri().path_and_query().unwrap().to_string();
    site.asked.lock().unwrap().push(path.clone());
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    if let Some(day) = path.strip_prefix("/calendar/") {
        let day: u32 = day.replace('/', "").parse().unwrap_or(0);
        return html(format!("<p>day {day}</p><a href='/calendar/{}/{}'>next</a>", (day + 1) / 30, day + 1));
    }
    match path.as_str() {
        "/robots.txt" if site.robots_down.load(Ordering::SeqCst) => StatusCode::BAD_GATEWAY.into_response(),
        "/hub/" => html("<a href='/hub/list'>list</a> <a href='/hub/none'>none</a>".to_owned()),
        "/hub/list" if site.hub_down.load(Ordering::SeqCst) => {
            (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "0")]).into_response()
        }
        "/hub/list" => html("<a href='/hub/leaf'>leaf</a>".to_owned()),
        "/hub/leaf" => html("<p>leaf</p>".to_owned()),
        "/map.xml" if site.map_down.load(Ordering::SeqCst) => {
            (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "0")]).into_response()
        }
        "/members" if header("authorization").as_deref() == Some("Basic Ym90Omh1bnRlcjI=") => {
            html("<p>for members</p>".to_owned())
        }
        "/members" => StatusCode::UNAUTHORIZED.into_response(),
        "/large.txt" => {
            let piece = axum::body::Bytes::from(vec![b'x'; 1024 * 1024]);
            let pieces = futures::stream::repeat(piece).take(40).map(Ok::<_, std::io::Error>);
            Response::builder()
                .header("content-type", "text/plain")
                .header("content-length", 40 * 1024 * 1024)
                .body(Body::from_stream(pieces))
                .unwrap()
        }
        "/robots.txt" => "User-agent: *\nDisallow: /private/\nSitemap: /maps.xml\n".into_response(),
        "/maps.xml" => "<sitemapindex><sitemap><loc>MAP</loc></sitemap></sitemapindex>"
            .replace("MAP", &format!("http://{}/map.xml", header("host").unwrap()))
            .into_response(),
        "/map.xml" => format!("<urlset><url><loc>http://{}/island</loc></url></urlset>", header("host").unwrap()).into_response(),
        "/" => html(
            "<a href='/a'>a</a> <a href='/b?utm_source=x#top'>b</a> <a href='/private/x'>secret</a> <a href='/moved'>m</a>\
             <a href='/away'>away</a> <a href='/inside'>in</a> <a href='/gone'>gone</a> <a href='/broken'>broken</a>\
             <a href='/busy'>busy</a> <a href='/huge'>huge</a> <a href='/logo.png'>logo</a> <a href='/binary'>binary</a>\
             <a rel=nofollow href='/unfollowed'>u</a> <a href='/twin'>twin</a> <a href='/hidden'>h</a>\
             <a href='https://other.example/x'>other</a> <a href='/latin'>latin</a>"
                .to_owned(),
        ),
        "/a" => {
            let tag = if site.changed.load(Ordering::SeqCst) { "\"2\"" } else { "\"1\"" };
            if header("if-none-match").as_deref() == Some(tag) {
                return StatusCode::NOT_MODIFIED.into_response();
            }
            let mut page = html(format!("<p>page a, version {tag}</p><a href='/a/deep'>deep</a>"));
            page.headers_mut().insert("etag", tag.parse().unwrap());
            page
        }
        "/b" | "/island" | "/a/deep" | "/new" => html(format!("<p>this is {path}</p>")),
        "/latin" => ([("content-type", "text/html; charset=iso-8859-1")], b"<p>caf\xe9</p>".to_vec()).into_response(),
        "/twin" => html("<link rel=canonical href='/b'><p>this is /b</p>".to_owned()),
        "/hidden" => html("<meta name=robots content=noindex><a href='/new'>new</a>".to_owned()),
        "/moved" => (StatusCode::MOVED_PERMANENTLY, [("location", "/new")]).into_response(),
        "/away" => (StatusCode::FOUND, [("location", "http://other.example/")]).into_response(),
        "/inside" => (StatusCode::FOUND, [("location", "http://10.0.0.1/")]).into_response(),
        "/loop" => (StatusCode::FOUND, [("location", "/loop")]).into_response(),
        "/busy" if site.busy_left.load(Ordering::SeqCst) > 0 => {
            site.busy_left.fetch_sub(1, Ordering::SeqCst);
            (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "0")]).into_response()
        }
        "/busy" => html("<p>no longer busy</p>".to_owned()),
        "/huge" => {
            let piece = axum::body::Bytes::from(vec![b'x'; 1024 * 1024]);
            let pieces = futures::stream::repeat(piece).take(64).map(Ok::<_, std::io::Error>);
            Response::builder().header("content-type", "text/html").body(Body::from_stream(pieces)).unwrap()
        }
        "/broken" => {
            let pieces = futures::stream::iter([Ok("<p>half"), Err(std::io::Error::other("cut"))]);
            Response::builder().header("content-type", "text/html").header("content-length", "100").body(Body::from_stream(pieces)).unwrap()
        }
        "/binary" => ([("content-type", "application/octet-stream")], vec![0_u8; 8]).into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn store() -> (WebStore, TempDir) {
    store_with(Credentials::default())
}

fn store_with(credentials: Credentials) -> (WebStore, TempDir) {
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (guard, runtime) = (Guard::new(false, &["127.0.0.1".to_owned()]), tokio::runtime::Handle::current());
    let cache = tempfile::tempdir().unwrap();
    let http = HttpStore::new(guard.clone(), credentials.clone(), Line::new(runtime.clone(), Duration::from_secs(10)))
        .unwrap();
    let fetcher = Fetcher::new(guard, runtime).unwrap();
    (WebStore::new(fetcher, credentials, Arc::new(http), cache.path().to_owned(), Duration::ZERO), cache)
}

async fn list(store: &WebStore, source: &str, crawl: Crawl) -> Result<Listing> {
    let (store, source) = (store.clone(), source.to_owned());
    let options = ListOptions { crawl, ..ListOptions::default() };
    tokio::task::spawn_blocking(move || store.list(&store.resolve(&source)?, &options)).await.unwrap()
}

async fn text(store: &WebStore, object: &Object) -> String {
    let (store, object) = (store.clone(), object.clone());
    let bytes = tokio::task::spawn_blocking(move || store.read(&object, 1_000_000)).await.unwrap().unwrap();
    String::from_utf8(bytes).unwrap()
}

fn paths(listing: &Listing) -> Vec<&str> {
    listing.objects.iter().map(|object| object.path.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_is_what_its_links_and_sitemap_lead_to_and_the_rest_is_named() {
    let site = Arc::new(Site { busy_left: AtomicUsize::new(2), ..Site::default() });
    let base = site.start().await;
    let (store, _cache) = store();
    let listing = list(&store, &format!("site:{base}/"), Crawl::default()).await.unwrap();
    assert_eq!(
        paths(&listing),
        ["a.html", "a/deep.html", "b.html", "busy.html", "index.html", "island.html", "latin.html", "new.html"]
    );
    let left: BTreeMap<String, (&str, bool)> = listing
        .left_out
        .iter()
        .map(|left| (left.path.replace(&base, ""), (left.reason.as_str(), left.failed)))
        .collect();
    let expected = BTreeMap::from([
        ("/private/x".to_owned(), ("robots.txt forbids it", false)),
        ("/away".to_owned(), ("redirect out of the site", false)),
        ("/inside".to_owned(), ("redirect out of the site", false)),
        ("/gone".to_owned(), ("not there (404)", false)),
        ("/broken".to_owned(), ("not readable", true)),
        ("/huge".to_owned(), ("larger than the limit", true)),
        ("/binary".to_owned(), ("type without text", false)),
        ("/hidden".to_owned(), ("page that asks not to be kept (noindex)", false)),
        (String::new(), ("parts of the site could not be read: nothing of it is removed", true)),
    ]);
    assert_eq!(left, expected);
    for never in ["/private/x", "/logo.png", "/unfollowed"] {
        assert_eq!(site.times(never), 0, "{never}");
    }
    let of = |path: &str| listing.objects.iter().find(|object| object.path == path).unwrap();
    assert_eq!(of("new.html").uri, format!("{base}/new"), "a page is known by where its redirects end");
    assert_eq!(text(&store, of("latin.html")).await, "<p>café</p>");
    let before = site.asked.lock().unwrap().len();
    assert!(text(&store, of("new.html")).await.contains("this is /new"));
    assert_eq!(site.asked.lock().unwrap().len(), before, "what was crawled is not asked for again");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_crawl_asks_what_changed_and_marks_tell() {
    let site = Arc::new(Site::default());
    let base = site.start().await;
    let (store, _cache) = store();
    let source = format!("site:{base}/");
    let mark =
        |listing: &Listing, path: &str| listing.objects.iter().find(|object| object.path == path).unwrap().mark.clone();
    let first = list(&store, &source, Crawl::default()).await.unwrap();
    let again = list(&store, &source, Crawl::default()).await.unwrap();
    assert_eq!(again.objects, first.objects, "links of pages that did not change are followed all the same");
    site.changed.store(true, Ordering::SeqCst);
    let changed = list(&store, &source, Crawl::default()).await.unwrap();
    assert_ne!(mark(&changed, "a.html"), mark(&first, "a.html"));
    assert_eq!(mark(&changed, "b.html"), mark(&first, "b.html"));
    let uri = format!("{base}/a");
    let (one, asked) = (store.clone(), uri.clone());
    let stat = tokio::task::spawn_blocking(move || one.stat(&asked)).await.unwrap().unwrap().unwrap();
    assert_eq!(stat.mark, mark(&changed, "a.html"));
    let (one, at) = (store.clone(), BTreeSet::from([uri]));
    let listing =
        tokio::task::spawn_blocking(move || one.list_at(&source, &ListOptions::default(), &at)).await.unwrap();
    assert_eq!(paths(&listing.unwrap()), ["a.html"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn depth_pages_and_patterns_bound_a_crawl_and_what_lies_beyond_is_spared() {
    let site = Arc::new(Site::default());
    let base = site.start().await;
    let (store, _cache) = store();
    let source = format!("site:{base}/");
    let shallow = list(&store, &source, Crawl { depth: Some(0), ..Crawl::default() }).await.unwrap();
    assert_eq!(paths(&shallow), ["index.html"]);
    let spared = |listing: &Listing| listing.left_out.iter().any(|left| left.path.is_empty() && left.failed);
    assert!(spared(&shallow), "{shallow:?}");
    let few = list(&store, &source, Crawl { pages_max: Some(3), ..Crawl::default() }).await.unwrap();
    assert!(few.objects.len() <= 3 && spared(&few));
    let calendar = format!("site:{base}/calendar/0/0");
    let trap = list(&store, &calendar, Crawl { depth: Some(100), ..Crawl::default() }).await.unwrap();
    assert!(trap.objects.len() <= 101, "{}", trap.objects.len());
    let over = list(&store, &source, Crawl { pages_max: Some(u32::MAX), ..Crawl::default() }).await.unwrap_err();
    assert_eq!(over.kind(), Kind::Limit);
    let began = std::time::Instant::now();
    let slow = Crawl { pages_max: Some(3), delay: Some(Duration::from_millis(100)), ..Crawl::default() };
    list(&store, &source, slow).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(300), "requests keep their distance");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_page_is_fetched_as_asked_and_errors_are_named() {
    let site = Arc::new(Site::default());
    let base = site.start().await;
    let (store, _cache) = store();
    let page = list(&store, &format!("{base}/private/../twin#part"), Crawl::default()).await.unwrap();
    assert_eq!(page.objects[0].uri, format!("{base}/twin"), "it is known by the address that was given");
    for (path, kind, said) in [
        ("/none", Kind::NotFound, "not there"),
        ("/inside", Kind::Denied, "10.0.0.1"),
        ("/loop", Kind::Unavailable, "redirects"),
        ("/broken", Kind::Unavailable, "/broken"),
        ("/huge", Kind::Limit, "more than"),
    ] {
        let error = list(&store, &format!("{base}{path}"), Crawl::default()).await.unwrap_err();
        assert!(error.kind() == kind && error.message().contains(said), "{path}: {error}");
    }
    let error = list(&store, "http://10.1.2.3/", Crawl::default()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Denied);
    let error = list(&store, &format!("site:{base}/private/x"), Crawl::default()).await.unwrap_err();
    assert!(error.message().contains("robots.txt"), "{error}");
    site.robots_down.store(true, Ordering::SeqCst);
    let error = list(&store, &format!("site:{base}/"), Crawl::default()).await.unwrap_err();
    assert!(error.kind() == Kind::Unavailable && error.message().contains("robots.txt"), "{error}");
    assert_eq!(store.resolve("https://h.example/o/r.git@v1#docs").unwrap(), "git+https://h.example/o/r.git@v1#docs");
    let store = store.beside_github("https://github.com");
    assert_eq!(store.resolve("https://github.com/o/r/").unwrap(), "github://o/r");
    assert_eq!(store.resolve("https://github.com/o/r/wiki").unwrap(), "https://github.com/o/r/wiki");
    assert_eq!(store.meant("https://github.com/o/r").unwrap(), "github://o/r");
    assert_eq!(store.meant("https://h.example/o/r.git").unwrap(), "git+https://h.example/o/r.git");
    assert_eq!(store.meant("site:https://h.example/").unwrap(), "site:https://h.example/");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_read_spares_all_that_is_stored() {
    let site = Arc::new(Site::default());
    let base = site.start().await;
    let (store, _cache) = store();
    let source = format!("site:{base}/hub/");
    let spared = |listing: &Listing| listing.left_out.iter().any(|left| left.path.is_empty() && left.failed);
    let whole = list(&store, &source, Crawl::default()).await.unwrap();
    assert_eq!(paths(&whole), ["hub/index.html", "hub/leaf.html", "hub/list.html"]);
    assert!(!spared(&whole), "a page that is not there is no failure: {:?}", whole.left_out);
    site.hub_down.store(true, Ordering::SeqCst);
    let half = list(&store, &source, Crawl::default()).await.unwrap();
    assert_eq!(paths(&half), ["hub/index.html"], "nobody asked for the leaf");
    assert!(spared(&half), "{:?}", half.left_out);
    site.hub_down.store(false, Ordering::SeqCst);
    site.map_down.store(true, Ordering::SeqCst);
    let without = list(&store, &source, Crawl::default()).await.unwrap();
    let map = without.left_out.iter().find(|left| left.path == format!("{base}/map.xml"));
    assert!(map.is_some_and(|left| left.failed) && spared(&without), "{:?}", without.left_out);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_take_a_user_and_password_and_a_named_credential_stays_with_its_prefixes() {
    let site = Arc::new(Site::default());
    let base = site.start().await;
    let credential = |name: &str, prefixes: Vec<String>| credentials::Credential {
        name: name.to_owned(),
        kind: "http".to_owned(),
        prefixes,
        settings: BTreeMap::from([("user".to_owned(), "bot".to_owned())]),
        secrets: BTreeMap::from([("password".to_owned(), credentials::Secret::new("hunter2"))]),
    };
    let page = format!("{base}/members");
    let (found, _cache) = store_with(Credentials::new(vec![credential("wiki", vec![page.clone()])]));
    assert_eq!(paths(&list(&found, &page, Crawl::default()).await.unwrap()), ["members.html"]);
    let others = vec!["http://other.example/".to_owned()];
    let (other, _cache) = store_with(Credentials::new(vec![credential("wiki", others), credential("all", Vec::new())]));
    for (name, address) in [("wiki", page.clone()), ("all", page.clone()), ("wiki", format!("site:{page}"))] {
        let error = other.under(&address, name).map(|_| ()).unwrap_err();
        assert!(error.field() == Some("credential") && error.message().contains("prefixes"), "{error}");
    }
    assert_eq!(site.times("/members"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_is_too_large_for_a_page_can_be_looked_at() {
    let site = Arc::new(Site::default());
    let base = site.start().await;
    let (store, _cache) = store();
    let uri = format!("{base}/large.txt");
    let asked = uri.clone();
    let looker = store.clone();
    let stat = tokio::task::spawn_blocking(move || looker.stat(&asked)).await.unwrap().unwrap().unwrap();
    assert_eq!(stat.bytes, 40 * 1024 * 1024);
    assert_eq!(list(&store, &uri, Crawl::default()).await.unwrap_err().kind(), Kind::Limit);
}
