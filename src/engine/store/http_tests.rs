//! Single objects over HTTP: redirects, ranges, servers that put off, break off and lie.

use std::sync::atomic::{AtomicU32, Ordering};

use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use tokio::runtime::Handle;

use super::super::testing::{http, tls};
use super::*;
use crate::base::blocking::Door;

fn store(guard: Guard, credentials: Vec<Credential>) -> HttpStore {
    tls();
    let line = Line::new(Handle::current(), Duration::from_secs(20));
    HttpStore::new(guard, Credentials::new(credentials), line).unwrap()
}

fn loopback() -> Guard {
    Guard::new(false, &["127.0.0.1".to_owned()])
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    Door::new(1).run(work).await
}

fn read_all(mut reading: Reading) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(piece) = reading.pieces.next()? {
        bytes.extend(piece);
    }
    Ok(bytes)
}

const TEXT: &str = "0123456789";

/// A server with a file at `/file` (ranges), `/plain` (no ranges), and what goes wrong under other names.
async fn answer(request: Request, tries: Arc<AtomicU32>) -> Response<Body> {
    let range = request.headers().get("range").and_then(|range| range.to_str().ok()).unwrap_or_default().to_owned();
    let reply = Response::builder().header("last-modified", "Mon, 01 Jan 2024 00:00:00 GMT");
    let full = |reply: axum::http::response::Builder| reply.body(Body::from(TEXT)).unwrap();
    match request.uri().path() {
        "/file" => match range.strip_prefix("bytes=").and_then(|range| range.split_once('-')) {
            Some((first, last)) => {
                let first: usize = first.parse().unwrap();
                let last = last.parse().unwrap_or(9).min(9);
                if first > last {
                    return reply.status(416).header("content-range", "bytes */10").body(Body::empty()).unwrap();
                }
                reply
                    .status(206)
                    .header("content-range", format!("bytes {first}-{last}/10"))
                    .body(Body::from(&TEXT[first..=last]))
                    .unwrap()
            }
            None => full(reply.header("etag", "\"v1\"").header("content-type", "text/plain")),
        },
        "/plain" => full(reply.header("etag", "W/\"v1\"")),
        "/no-head" if request.method() == "HEAD" => reply.status(405).body(Body::empty()).unwrap(),
        "/no-head" => full(reply.status(200)),
        "/busy" if tries.fetch_add(1, Ordering::SeqCst) < 2 => {
            reply.status(429).header("retry-after", "0").body(Body::empty()).unwrap()
        }
        "/busy" => full(reply),
        "/busy-for-long" => reply.status(503).header("retry-after", "3600").body(Body::empty()).unwrap(),
        "/to-file" => reply.status(302).header("location", "/file").body(Body::empty()).unwrap(),
        "/to-private" => {
            reply.status(302).header("location", "http://169.254.169.254/latest/").body(Body::empty()).unwrap()
        }
        "/to-name" => reply.status(302).header("location", "http://127.0.0.2:1/").body(Body::empty()).unwrap(),
        "/to-itself" => reply.status(302).header("location", "/to-itself").body(Body::empty()).unwrap(),
        "/short" => {
            // The head and some of it are on their way before it breaks off.
            let cut = async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Err(std::io::Error::other("cut"))
            };
            let parts = futures::stream::iter([Ok("0123")]).chain(futures::stream::once(cut));
            reply.header("content-length", "10").body(Body::from_stream(parts)).unwrap()
        }
        "/silent" => {
            let parts = futures::stream::iter([Ok::<_, std::io::Error>("0123")]).chain(futures::stream::pending());
            reply.header("content-length", "10").body(Body::from_stream(parts)).unwrap()
        }
        "/secret" if request.headers().get("authorization").is_some_and(|held| held == "Bearer hunter2") => full(reply),
        "/secret" => reply.status(401).body(Body::empty()).unwrap(),
        _ => reply.status(404).body(Body::empty()).unwrap(),
    }
}

async fn server() -> String {
    let tries = Arc::<AtomicU32>::default();
    let (address, _) = http(move |request| answer(request, Arc::clone(&tries))).await;
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_looked_at_and_read_by_range_whatever_the_server_knows() {
    let (base, store) = (server().await, store(loopback(), Vec::new()));
    blocking(move || {
        let at = |path: &str| format!("{base}{path}");
        let stat = store.stat(&at("/file"))?.unwrap();
        assert_eq!((stat.bytes, stat.mark.as_deref()), (10, Some("\"v1\"")));
        assert_eq!(stat.modified_at, Some(Timestamp(1_704_067_200_000_000)));
        assert_eq!(store.stat(&at("/plain"))?.unwrap().mark, None, "a weak etag promises nothing of bytes");
        assert_eq!(store.stat(&at("/no-head"))?.unwrap().bytes, 10);
        assert_eq!(store.stat(&at("/none"))?, None);
        for path in ["/file", "/plain", "/to-file"] {
            let open = |offset, length| read_all(store.open(&at(path), Range { offset, length })?);
            assert_eq!(open(0, None)?, TEXT.as_bytes(), "{path}");
            assert_eq!(open(3, None)?, b"3456789", "{path}");
            assert_eq!(open(3, Some(4))?, b"3456", "{path}");
            assert_eq!(open(8, Some(99))?, b"89", "{path}");
            assert_eq!(open(10, None).unwrap_err().field(), Some("offset"), "{path}");
        }
        let listing = store.list(&at("/file"), &ListOptions::default())?;
        assert_eq!(store.read(&listing.objects[0], 10)?, TEXT.as_bytes());
        assert_eq!(store.read(&listing.objects[0], 9).unwrap_err().kind(), Kind::Limit);
        let changed = Object { mark: Some("\"v0\"".into()), ..listing.objects[0].clone() };
        assert_eq!(store.read(&changed, 10).unwrap_err().kind(), Kind::Conflict);
        assert_eq!(store.list(&at("/none"), &ListOptions::default()).unwrap_err().kind(), Kind::NotFound);
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_named() {
    let (base, store) = (server().await, store(loopback(), Vec::new()));
    blocking(move || {
        let at = |path: &str| format!("{base}{path}");
        assert_eq!(read_all(store.open(&at("/busy"), Range::default())?)?, TEXT.as_bytes(), "it is tried again");
        let error = store.stat(&at("/busy-for-long")).unwrap_err();
        assert!(error.kind() == Kind::Unavailable && error.message().contains("3600 s"), "{error}");
        for path in ["/to-private", "/to-name"] {
            let error = store.stat(&at(path)).unwrap_err();
            assert_eq!(error.kind(), Kind::Denied, "{path}: {}", error.chain());
            assert!(error.message().contains("network.allow_hosts"), "{error}");
        }
        let error = store.stat(&at("/to-itself")).unwrap_err();
        assert!(error.message().contains("redirects"), "{error}");
        let mut short = store.open(&at("/short"), Range::default())?;
        let broken = loop {
            match short.pieces.next() {
                Ok(Some(_)) => {}
                other => break other,
            }
        };
        assert!(broken.unwrap_err().message().contains("broke off"));
        let error = store.stat(&at("/secret")).unwrap_err();
        assert!(error.kind() == Kind::Precondition && error.message().contains("credentials"), "{error}");
        let error = store.stat("http://user:pass@127.0.0.1/").unwrap_err();
        assert!(!error.message().contains("pass@") && error.kind() == Kind::Invalid, "{error}");
        let error = store.stat("http://127.0.0.1:1/").unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable, "{error}");
        Ok(())
    })
    .await
    .unwrap();
    let walled =
        HttpStore::new(Guard::default(), Credentials::default(), Line::new(Handle::current(), Duration::from_secs(9)));
    let base = server().await;
    let error = blocking(move || walled?.stat(&base)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Denied, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falls_silent_is_given_up() {
    tls();
    let line = Line::new(Handle::current(), Duration::from_millis(300));
    let store = HttpStore::new(loopback(), Credentials::default(), line).unwrap();
    let base = server().await;
    let began = std::time::Instant::now();
    let error = blocking(move || read_all(store.open(&format!("{base}/silent"), Range::default())?)).await.unwrap_err();
    assert!(error.kind() == Kind::Unavailable && error.message().contains("/silent"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_goes_to_its_prefix_only() {
    let base = server().await;
    let credential = Credential {
        name: "web".into(),
        kind: "http".into(),
        prefixes: vec![format!("{base}/secret")],
        settings: Default::default(),
        secrets: [("token".to_owned(), super::super::credentials::Secret::new("hunter2"))].into(),
    };
    let store = store(loopback(), vec![credential]);
    blocking(move || {
        assert!(store.stat(&format!("{base}/secret"))?.is_some());
        assert_eq!(store.ways(&format!("{base}/secret"), Duration::ZERO)?.credential.as_deref(), Some("web"));
        assert_eq!(store.ways(&format!("{base}/file"), Duration::ZERO)?.credential, None);
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_credential_goes_to_its_prefixes_only_and_not_along_a_redirect() {
    let given = Arc::<std::sync::Mutex<Vec<(String, bool)>>>::default();
    let noted = Arc::clone(&given);
    let (elsewhere, _) = http(move |request: Request| {
        noted.lock().unwrap().push((request.uri().path().to_owned(), request.headers().contains_key("authorization")));
        async { Response::new(Body::from(TEXT)) }
    })
    .await;
    let (home, _) = http(move |request: Request| async move {
        if request.headers().get("authorization").is_none_or(|held| held != "Basic Ym90Omh1bnRlcjI=") {
            return Response::builder().status(401).body(Body::empty()).unwrap();
        }
        let to = format!("http://{elsewhere}/moved");
        Response::builder().status(302).header("location", to).body(Body::empty()).unwrap()
    })
    .await;
    let credential = Credential {
        name: "corp".into(),
        kind: "http".into(),
        prefixes: vec![format!("http://{home}/")],
        settings: [("user".to_owned(), "bot".to_owned())].into(),
        secrets: [("password".to_owned(), super::super::credentials::Secret::new("hunter2"))].into(),
    };
    let store = store(loopback(), vec![credential]);
    blocking(move || {
        let named = store.under(&format!("http://{elsewhere}/"), "corp")?;
        let errors = [
            named.stat(&format!("http://{elsewhere}/asked")).unwrap_err(),
            named.open(&format!("http://{elsewhere}/asked"), Range::default()).unwrap_err(),
            named.ways(&format!("http://{elsewhere}/asked"), Duration::ZERO).unwrap_err(),
        ];
        for error in errors {
            assert_eq!((error.kind(), error.field()), (Kind::Invalid, Some("credential")), "{error}");
            assert!(error.message().contains("prefixes"), "{error}");
        }
        assert_eq!(named.stat(&format!("http://{home}/x"))?.unwrap().bytes, 10);
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(*given.lock().unwrap(), [("/moved".to_owned(), false)], "it is sent on without the password");
}
