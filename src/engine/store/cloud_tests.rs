//! Buckets: a real S3 server in process, and one that is made to count and to fail.

use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use tokio::runtime::Handle;

use super::super::credentials::Secret;
use super::super::testing::{http, s3, s3_credential, tls};
use super::*;
use crate::base::blocking::Door;

fn store(guard: Guard, credentials: Vec<Credential>) -> CloudStore {
    tls();
    CloudStore::new(guard, Credentials::new(credentials), Line::new(Handle::current(), Duration::from_secs(20)))
}

/// Stores block, so they are used as the flows do.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    Door::new(1).run(work).await
}

fn loopback() -> Guard {
    Guard::new(false, &["127.0.0.1".to_owned()])
}

fn bucket(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, bytes) in files {
        let path = dir.path().join("data").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    dir
}

fn read_all(mut reading: Reading) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(piece) = reading.pieces.next()? {
        bytes.extend(piece);
    }
    Ok(bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_listed_read_and_streamed_by_range() {
    let big: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let dir = bucket(&[("docs/a b.md", b"# A"), ("docs/sub/b.md", b"# B"), ("docsx/c.md", b"c"), ("big.bin", &big)]);
    let address = s3(dir.path()).await;
    let store = store(loopback(), vec![s3_credential(address, "test-secret")]);
    blocking(move || {
        let source = store.resolve("s3://data/docs/")?;
        assert_eq!(source, "s3://data/docs/");
        let listing = store.list(&source, &ListOptions::default())?;
        let paths: Vec<&str> = listing.objects.iter().map(|object| object.path.as_str()).collect();
        assert_eq!(paths, ["a b.md", "sub/b.md"]);
        assert_eq!(listing.objects[0].uri, "s3://data/docs/a b.md");
        assert_eq!(store.read(&listing.objects[0], 10)?, b"# A");
        assert_eq!(store.read(&listing.objects[0], 2).unwrap_err().kind(), Kind::Limit);
        let only = ListOptions { exclude: vec!["sub".to_owned()], ..ListOptions::default() };
        assert_eq!(store.list("s3://data/", &only)?.objects.len(), 3);
        let one = store.list("s3://data/docs/sub/b.md", &ListOptions::default())?;
        assert_eq!((one.objects.len(), one.objects[0].path.as_str()), (1, "b.md"));
        let at = BTreeSet::from(["s3://data/docs/sub/".to_owned(), "s3://elsewhere/x".to_owned()]);
        assert_eq!(store.list_at(&source, &ListOptions::default(), &at)?.objects.len(), 1);
        assert_eq!(store.stat("s3://data/docs/sub/b.md")?.unwrap().bytes, 3);
        assert_eq!(store.stat("s3://data/none")?, None);
        assert_eq!(store.list("s3://data/none", &ListOptions::default()).unwrap_err().kind(), Kind::NotFound);
        let open = |range| read_all(store.open("s3://data/big.bin", range)?);
        assert_eq!(open(Range::default())?, big);
        assert_eq!(open(Range { offset: 7, length: Some(2_000_000) })?, big[7..2_000_007]);
        assert_eq!(open(Range { offset: 2_999_999, length: Some(50) })?, big[2_999_999..]);
        assert_eq!(open(Range { offset: 3_000_000, length: None }).unwrap_err().field(), Some("offset"));
        assert_eq!(store.open("s3://data/none", Range::default()).unwrap_err().kind(), Kind::NotFound);
        for wrong in ["s3://", "s3:///x", "s3://b/../x", "s3://b//x", "ftp://b/x"] {
            assert_eq!(store.stat(wrong).unwrap_err().kind(), Kind::Invalid, "{wrong}");
        }
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_url_works_without_keys_and_wrong_keys_and_private_hosts_are_named() {
    let dir = bucket(&[("a.txt", b"signed")]);
    let address = s3(dir.path()).await;
    let good = store(loopback(), vec![s3_credential(address, "test-secret")]);
    let ways = blocking(move || good.ways("s3://data/a.txt", Duration::from_secs(60))).await.unwrap();
    assert_eq!(ways.credential.as_deref(), Some("lake"));
    assert_eq!(ways.native.unwrap(), format!("aws s3 cp s3://data/a.txt - --endpoint-url http://{address}"));
    let url = ways.presigned.unwrap();
    assert!(!url.contains("test-secret"));
    let text = loopback().client().unwrap().get(url).send().await.unwrap().text().await.unwrap();
    assert_eq!(text, "signed");

    let bad = store(loopback(), vec![s3_credential(address, "wrong")]);
    let error = blocking(move || bad.stat("s3://data/a.txt")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Precondition, "{}", error.chain());
    assert!(error.message().contains("credentials") && !error.chain().contains("wrong\""), "{}", error.chain());

    let walled = store(Guard::default(), vec![s3_credential(address, "test-secret")]);
    let began = std::time::Instant::now();
    let error = blocking(move || walled.stat("s3://data/a.txt")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Denied, "{}", error.chain());
    assert!(error.message().contains("127.0.0.1") && error.message().contains("network.allow_hosts"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(2), "a refusal is not tried again");

    let named = store(loopback(), vec![Credential { prefixes: Vec::new(), ..s3_credential(address, "test-secret") }]);
    blocking(move || {
        assert!(named.under("s3://data/a.txt", "lake")?.stat("s3://data/a.txt")?.is_some());
        let unknown = named.under("s3://data/a.txt", "nobody")?.stat("s3://data/a.txt").unwrap_err();
        assert_eq!((unknown.kind(), unknown.field()), (Kind::Invalid, Some("credential")));
        Ok(())
    })
    .await
    .unwrap();
}

/// A bucket of `count` keys that exists only as its listing.
fn page(request: &Request, count: usize) -> Response<Body> {
    let query = request.uri().query().unwrap_or_default();
    let from = query.split('&').find_map(|pair| pair.strip_prefix("continuation-token=")?.parse().ok()).unwrap_or(0);
    let until = (from + 1_000).min(count);
    let mut xml = String::from("<?xml version=\"1.0\"?><ListBucketResult><Name>b</Name>");
    for n in from..until {
        xml.push_str(&format!(
            "<Contents><Key>k/{n:07}.txt</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified>\
             <ETag>&quot;e{n}&quot;</ETag><Size>5</Size></Contents>"
        ));
    }
    if until < count {
        xml.push_str(&format!("<NextContinuationToken>{until}</NextContinuationToken>"));
    }
    xml.push_str("</ListBucketResult>");
    Response::new(Body::from(xml))
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_unchanged_objects_cost_ten_list_calls_and_a_million_a_named_limit() {
    let (address, seen) = http(|request| async move { page(&request, 10_000) }).await;
    let cloud = store(loopback(), vec![s3_credential(address, "test-secret")]);
    let listing = blocking(move || cloud.list("s3://b/k/", &ListOptions::default())).await.unwrap();
    assert_eq!(listing.objects.len(), 10_000);
    assert_eq!(listing.objects[3].mark.as_deref(), Some("\"e3\""));
    assert_eq!(seen.lock().unwrap().len(), 10);

    let (address, _) = http(|request| async move { page(&request, 1_000_000) }).await;
    let cloud = store(loopback(), vec![s3_credential(address, "test-secret")]);
    let wide = cloud.clone();
    let error = blocking(move || wide.list("s3://b/", &ListOptions::default())).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Limit);
    assert!(error.message().contains("s3://b/") && error.message().contains("longer prefix"), "{error}");
    let only = ListOptions { include: vec!["k/000000*.txt".to_owned()], ..ListOptions::default() };
    let narrow = blocking(move || cloud.list("s3://b/", &only)).await.unwrap();
    assert_eq!(narrow.objects.len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_busy_is_tried_again_and_a_changed_object_is_not_mixed() {
    let busy = Arc::new(AtomicBool::new(true));
    let first = Arc::clone(&busy);
    let (address, _) = http(move |request| {
        let busy = first.swap(false, Ordering::SeqCst);
        async move {
            let status = if busy { 503 } else { 200 };
            let head = request.method() == "HEAD";
            let etag = if head { "\"one\"" } else { "\"two\"" };
            Response::builder()
                .status(status)
                .header("etag", etag)
                .header("last-modified", "Mon, 01 Jan 2024 00:00:00 GMT")
                .header("content-length", "5")
                .body(if head { Body::empty() } else { Body::from("hello") })
                .unwrap()
        }
    })
    .await;
    let cloud = store(loopback(), vec![s3_credential(address, "test-secret")]);
    blocking(move || {
        assert_eq!(cloud.stat("s3://b/k")?.unwrap().mark.as_deref(), Some("\"one\""));
        assert_eq!(cloud.open("s3://b/k", Range::default()).unwrap_err().kind(), Kind::Conflict);
        let object = Object { uri: "s3://b/k".into(), mark: Some("\"one\"".into()), ..Object::default() };
        assert_eq!(cloud.read(&object, 9).unwrap_err().kind(), Kind::Conflict);
        Ok(())
    })
    .await
    .unwrap();
    assert!(!busy.load(Ordering::SeqCst));
}

/// A page with these keys and sizes.
fn page_of(keys: &[(&str, u64)]) -> Response<Body> {
    let mut xml = String::from("<?xml version=\"1.0\"?><ListBucketResult><Name>b</Name>");
    for (key, size) in keys {
        xml.push_str(&format!(
            "<Contents><Key>{key}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified>\
             <ETag>&quot;e&quot;</ETag><Size>{size}</Size></Contents>"
        ));
    }
    Response::new(Body::from(xml + "</ListBucketResult>"))
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_keys_are_reported_and_the_rest_is_listed_and_marks_of_folders_are_nothing() {
    let keys: &[(&str, u64)] = &[
        ("docs/", 0),
        ("docs/a.md", 3),
        ("docs/b//c.md", 3),
        ("docs/d/./e.md", 3),
        ("docs/empty", 0),
        ("docs/empty/", 0),
        ("docs/empty/f &amp; g.md", 3),
        ("docs/h&#1;i.md", 3),
        ("docs/j/", 7),
    ];
    let (address, _) = http(move |_| async move { page_of(keys) }).await;
    let cloud = store(loopback(), vec![s3_credential(address, "test-secret")]);
    let (listing, narrow, whole) = blocking(move || {
        let only = ListOptions { include: vec!["b/**".to_owned()], ..ListOptions::default() };
        Ok((
            cloud.list("s3://b/docs/", &ListOptions::default())?,
            cloud.list("s3://b/docs/", &only)?,
            cloud.list("s3://b/", &ListOptions::default())?,
        ))
    })
    .await
    .unwrap();
    let paths = |listing: &Listing| listing.objects.iter().map(|object| object.path.clone()).collect::<Vec<_>>();
    assert_eq!(paths(&listing), ["a.md", "empty", "empty/f & g.md"]);
    assert_eq!(listing.objects[1].uri, "s3://b/docs/empty", "an empty object is an object");
    let left: Vec<_> = listing.left_out.iter().map(|left| (left.path.as_str(), left.reason.as_str())).collect();
    assert_eq!(
        left,
        [
            ("b//c.md", "empty or relative parts in the key"),
            ("d/./e.md", "empty or relative parts in the key"),
            ("h\\u{1}i.md", "control characters in the key"),
            ("j/", "slash at the end of the key"),
        ]
    );
    assert!(listing.left_out.iter().all(|left| left.failed));
    assert_eq!((narrow.objects.len(), narrow.left_out.len()), (0, 1), "globs hold for odd keys, too");
    assert_eq!(paths(&whole), ["docs/a.md", "docs/empty", "docs/empty/f & g.md"]);
}

/// A container of Azure with one blob, as the service answers: etags have quotes in headers and none in listings.
fn container(request: &Request) -> Response<Body> {
    let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
    if query.contains("comp=list") {
        return Response::new(Body::from(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ContainerName=\"docs\"><Blobs><Blob>\
             <Name>a b.md</Name><Properties><Last-Modified>Mon, 01 Jan 2024 00:00:00 GMT</Last-Modified>\
             <Etag>0x8DC</Etag><Content-Length>5</Content-Length><Content-Type>text/markdown</Content-Type></Properties>\
             </Blob></Blobs><NextMarker/></EnumerationResults>",
        ));
    }
    let matches = request.headers().get("if-match").is_none_or(|etag| etag == "\"0x8DC\"");
    let status = match (path, matches) {
        ("/account/docs/a%20b.md", true) => 200,
        (_, true) => 404,
        (_, false) => 412,
    };
    Response::builder()
        .status(status)
        .header("etag", "\"0x8DC\"")
        .header("last-modified", "Mon, 01 Jan 2024 00:00:00 GMT")
        .header("content-length", "5")
        .body(if request.method() == "HEAD" { Body::empty() } else { Body::from("hello") })
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_of_azure_is_read_by_the_etags_of_its_listing() {
    let (address, _) = http(|request| async move { container(&request) }).await;
    let settings = [("account", "account".to_owned()), ("endpoint", format!("http://{address}/account"))];
    let credential = Credential {
        name: "team".to_owned(),
        kind: "az".to_owned(),
        prefixes: vec!["az://docs/".to_owned()],
        settings: settings.into_iter().map(|(key, text)| (key.to_owned(), text)).collect(),
        secrets: [("account_key".to_owned(), Secret::new("a2V5"))].into(),
    };
    let cloud = store(loopback(), vec![credential]);
    blocking(move || {
        let listing = cloud.list("az://docs/", &ListOptions::default())?;
        let object = &listing.objects[0];
        assert_eq!(object.uri, "az://docs/a b.md");
        assert_eq!(cloud.read(object, 9)?, b"hello");
        assert_eq!(cloud.stat(&object.uri)?.unwrap().mark, object.mark, "a look and a listing agree");
        assert_eq!(read_all(cloud.open(&object.uri, Range::default())?)?, b"hello");
        let changed = Object { mark: Some("\"0x8DD\"".into()), ..object.clone() };
        assert_eq!(cloud.read(&changed, 9).unwrap_err().kind(), Kind::Conflict);
        Ok(())
    })
    .await
    .unwrap();
}
