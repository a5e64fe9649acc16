//! The data view over engines in memory and real files.

use std::sync::Arc;
use std::time::Duration;

use super::fetch::{self, Fetching};
use super::locate::Reach;
use super::{browse, locate, plan, register, search, stat, verify};
use crate::base::ContentHash;
use crate::base::error::{Error, Kind, Result};
use crate::engine::store::{PIECE_BYTES_MAX, Range};
use crate::flow::access::{Access, Grant};
use crate::flow::apply::Projector;
use crate::flow::put::{InputDocument, Put};
use crate::flow::rebuild::NoWorkshop;
use crate::flow::recall::{self, Mode};
use crate::flow::{Engines, ingest, testing};
use crate::model::{DataFilter, DataObject};

pub(super) struct View {
    pub engines: Engines,
    pub projector: Arc<Projector>,
    pub grant: Grant,
    pub dir: tempfile::TempDir,
}

impl View {
    pub async fn new() -> Self {
        let engines = testing::engines().await;
        let projector = Projector::start(&engines, Arc::new(NoWorkshop)).await.unwrap();
        let grant = Access::default().authorize(None, "ns").unwrap();
        Self { engines, projector, grant, dir: tempfile::tempdir().unwrap() }
    }

    pub fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.dir.path().canonicalize().unwrap().join(name);
        std::fs::write(&path, bytes).unwrap();
        crate::engine::store::uri::file_uri(&path)
    }

    pub async fn register(&self, objects: Vec<DataObject>) -> register::Report {
        let mut report = register::Report::default();
        let objects = objects.into_iter().map(|object| (object.uri.clone(), Ok(object))).collect();
        register::register(&self.engines, &self.projector, &self.grant, objects, &mut report).await.unwrap();
        report
    }

    pub async fn fetch(
        &self,
        uri: &str,
        range: Range,
        expected: Option<ContentHash>,
    ) -> Result<(Vec<u8>, Option<ContentHash>)> {
        let request = fetch::Request { uri: uri.to_owned(), range, expected, user: "run/node".to_owned() };
        let Fetching { mut pieces, .. } = fetch::fetch(&self.engines, &self.grant, request).await?;
        let (mut bytes, mut content) = (Vec::new(), None);
        while let Some(piece) = pieces.recv().await {
            let piece = piece?;
            assert!(content.is_none(), "the hash comes last");
            bytes.extend(piece.data);
            content = piece.content;
        }
        Ok((bytes, content))
    }

    pub async fn stat(&self, uri: &str) -> Result<stat::Answer> {
        stat::stat(&self.engines, &self.grant, uri, false).await
    }

    pub async fn verify(&self, uri: &str, read: bool) -> verify::Verdict {
        verify::verify(&self.engines, &self.grant, uri, read).await.unwrap()
    }

    pub async fn ingest(&self, uri: &str) -> Result<ingest::Report> {
        let request = plan::Request { uri: uri.to_owned(), no_wait: true, ..plan::Request::default() };
        let request = plan::ingest_of(&self.engines, &self.grant, &request).await?;
        let (sink, _progress) = tokio::sync::mpsc::channel(1);
        ingest::ingest(&self.engines, &self.projector, &self.grant, &request, &sink).await
    }

    pub async fn find(&self, query: &str) -> Vec<search::Hit> {
        search::search(&self.engines, &self.projector, &self.grant, query, &DataFilter::default(), 5).await.unwrap()
    }
}

fn described(uri: &str, text: &str) -> DataObject {
    DataObject { description: text.to_owned(), ..DataObject::at(uri) }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_an_object_is_said_and_the_rest_is_kept() {
    let view = View::new().await;
    let long = described("s3://b/long", &"x".repeat(20_000));
    let wrong = ["", "no scheme", "relative/path", "view:s3://b/x", "s3://b/\u{7}", "postgres://me:hunter2@db/shop"];
    let mut objects: Vec<DataObject> = wrong.iter().map(|uri| DataObject::at(uri)).collect();
    objects.extend([long, DataObject::at("s3://b/good"), DataObject::at("/tmp/a b")]);
    let report = view.register(objects).await;
    assert_eq!((report.added, report.rejected), (2, 7), "{report:?}");
    assert!(!format!("{report:?}").contains("hunter2"));
    assert!(view.engines.inventory.object(view.grant.namespace(), "file:///tmp/a%20b").await.unwrap().is_some());
    let nothing = register::unregister(&view.engines, &view.projector, &view.grant, &[], "").await.unwrap_err();
    assert_eq!(nothing.kind(), Kind::Invalid);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_come_in_pieces_by_range_and_their_hash_is_checked() {
    let view = View::new().await;
    let content: Vec<u8> = (0..PIECE_BYTES_MAX * 3 + 7).map(|n| (n % 253) as u8).collect();
    let (uri, hash) = (view.file("big.bin", &content), ContentHash::of(&content));
    let (bytes, told) = view.fetch(&uri, Range::default(), Some(hash)).await.unwrap();
    assert_eq!((bytes == content, told), (true, Some(hash)));
    let range = Range { offset: 5, length: Some(PIECE_BYTES_MAX as u64) };
    let (bytes, told) = view.fetch(&uri, range, None).await.unwrap();
    assert_eq!((bytes == content[5..PIECE_BYTES_MAX + 5], told), (true, None));
    assert_eq!(view.fetch(&uri, range, Some(hash)).await.unwrap_err().field(), Some("expect_hash"));
    let other = Some(ContentHash::of(b"other"));
    let error = view.fetch(&uri, Range::default(), other).await.unwrap_err();
    assert!(error.kind() == Kind::Precondition && error.message().contains(&hash.to_string()), "{error}");
    let empty = view.file("empty", b"");
    assert_eq!(view.fetch(&empty, Range::default(), None).await.unwrap(), (Vec::new(), Some(ContentHash::of(b""))));
    assert_eq!(view.fetch(&format!("{uri}x"), Range::default(), None).await.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(view.fetch("file:///", Range::default(), None).await.unwrap_err().kind(), Kind::Invalid);
    // A hash that was registered has to be the content's.
    view.register(vec![DataObject { content: other, ..DataObject::at(&uri) }]).await;
    let error = view.fetch(&uri, Range::default(), None).await.unwrap_err();
    assert!(error.message().contains("registered"), "{error}");
    assert_eq!(view.fetch(&uri, range, None).await.unwrap().0.len(), PIECE_BYTES_MAX);
    assert_eq!(view.verify(&uri, true).await.verdict, "changed");
    tokio::time::sleep(Duration::from_millis(50)).await;
    let uses = view.stat(&uri).await.unwrap().uses;
    assert!(uses.iter().any(|used| used.action == "fetch" && used.user == "run/node"), "{uses:?}");
    assert_eq!(uses[0].action, "verify");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_found_by_its_words_is_ingested_by_its_plan() {
    let view = View::new().await;
    let uri = view.file("orders.md", b"# Orders\n\nEvery order has a customer and a total.\n");
    let objects = vec![
        DataObject { tags: vec!["sales".into()], ..described(&uri, "turnover by month and region") },
        described("s3://lake/visits/", "who came to the site"),
        DataObject::at("s3://lake/plain"),
    ];
    assert_eq!(view.register(objects.clone()).await.added, 3);
    assert_eq!(view.register(objects).await.unchanged, 3);
    let hit = view.find("monthly turnover").await.remove(0);
    assert_eq!((hit.entry.uri.as_str(), hit.entry.indexed), (uri.as_str(), false));
    assert!(hit.reasons.iter().any(|reason| reason.contains("turnover")), "{:?}", hit.reasons);
    let plan = hit.plan.unwrap();
    assert_eq!((plan.documents, plan.obstacle.as_str()), (Some(1), ""));
    let remote = view.find("visits").await.remove(0).plan.unwrap();
    assert!(!remote.obstacle.is_empty(), "no store in this test knows s3");
    // The card is found by the ordinary search, and is no entry of a listing.
    let request = recall::Request { query: "turnover".into(), k: 5, mode: Mode::Lexical, ..recall::Request::default() };
    let answer = recall::search(&view.engines, &view.projector, &view.grant, &request).await.unwrap();
    assert_eq!(answer.hits[0].found.document.uri, format!("view:{uri}"));
    assert!(answer.hits[0].found.chunk.text.contains("hivemem data fetch"));
    let (level, _) = browse::list(&view.engines, &view.grant, &browse::Request::default()).await.unwrap();
    assert_eq!(level.page.entries.len(), 3);

    let report = view.ingest(&uri).await.unwrap();
    assert_eq!((report.files, report.outcome.added), (1, 1));
    let known = view.stat(&uri).await.unwrap();
    assert!(known.registered && known.document.is_some() && known.ingested.chunks > 0, "{known:?}");
    assert_eq!((known.freshness, known.object.tags.as_slice()), ("fresh", ["sales".to_owned()].as_slice()));
    assert!(view.find("turnover").await[0].plan.is_none());
    std::fs::write(view.dir.path().join("orders.md"), "# Orders\n\nAnother text altogether.\n").unwrap();
    assert_eq!(view.stat(&uri).await.unwrap().freshness, "stale");
    std::fs::remove_file(view.dir.path().join("orders.md")).unwrap();
    assert_eq!(view.stat(&uri).await.unwrap().freshness, "gone");
    assert!(!view.verify(&uri, false).await.exists);

    let removed = register::unregister(&view.engines, &view.projector, &view.grant, &[], "s3://lake").await.unwrap();
    assert_eq!(removed, 2);
    assert!(view.find("visits").await.iter().all(|hit| hit.entry.uri == uri), "its card went with it");
    assert_eq!(view.stat("s3://lake/plain").await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_tells_what_changed_and_notes_what_it_saw() {
    let view = View::new().await;
    let uri = view.file("a.txt", b"one");
    view.register(vec![DataObject::at(&uri)]).await;
    assert_eq!(view.verify(&uri, false).await.verdict, "unknown");
    let read = view.verify(&uri, true).await;
    assert_eq!((read.verdict, read.content), ("unknown", Some(ContentHash::of(b"one"))));
    assert_eq!(view.verify(&uri, true).await.verdict, "unchanged");
    assert_eq!(view.verify(&uri, false).await.verdict, "unchanged");
    std::fs::write(view.dir.path().join("a.txt"), "two!").unwrap();
    assert_eq!(view.verify(&uri, false).await.verdict, "changed");
    assert_eq!(view.verify(&uri, true).await.verdict, "changed");
    let error: Error = verify::verify(&view.engines, &view.grant, "s3://b/none", false).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn ways_are_ready_to_be_run() {
    let view = View::new().await;
    let uri = view.file("it's here.txt", b"x");
    view.register(vec![DataObject::at(&uri), DataObject::at("s3://b/p/")]).await;
    let reach = Reach { server: "127.0.0.1:7411".into(), token: true };
    let locate = |uri: String| {
        let (engines, grant, reach) = (view.engines.clone(), view.grant.clone(), reach.clone());
        async move { locate::locate(&engines, &grant, &uri, Duration::from_secs(60), &reach).await }
    };
    let (_, recipes) = locate(uri.clone()).await.unwrap();
    let text = |form: &str| recipes.iter().find(|recipe| recipe.form == form).unwrap().text.clone();
    let quoted = uri.replace('\'', "'\\''");
    assert_eq!(text("cli"), format!("hivemem --server http://127.0.0.1:7411 --namespace ns data get '{quoted}'"));
    assert!(text("grpc").contains("hivemem.v1.DataView/FetchData") && text("grpc").contains("HIVEMEM_TOKEN"));
    assert!(text("python").contains("fetch_data") && text("rust").contains("fetch_data"));
    let ran = std::process::Command::new("sh").args(["-c", &text("native")]).output().unwrap();
    assert_eq!(ran.stdout, b"x");
    let (_, recipes) = locate("s3://b/p/".to_owned()).await.unwrap();
    assert!(recipes.iter().any(|recipe| recipe.form == "cli" && recipe.text.ends_with("data ls s3://b/p/")));
    assert_eq!(locate("s3://b/none".to_owned()).await.unwrap_err().kind(), Kind::NotFound);
    let long = locate::locate(&view.engines, &view.grant, &uri, Duration::from_secs(86_400 * 30), &reach).await;
    assert_eq!(long.unwrap_err().kind(), Kind::Limit);
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_were_sent_come_back_byte_for_byte_or_not_at_all() {
    let view = View::new().await;
    let text = "# One\n\nfirst part\n\n## Two\n\nsecond part with more words\n";
    let (sink, _progress) = tokio::sync::mpsc::channel(1);
    let mut put = Put::begin(&view.engines, &view.projector, &view.grant, "").await.unwrap();
    let input = |uri: &str, text: &str| InputDocument {
        uri: uri.to_owned(),
        content: text.as_bytes().to_vec(),
        media_type: "text/markdown".to_owned(),
        ..InputDocument::default()
    };
    put.add(vec![input("note:1", text), input("note:2", "a\t\n\t\t\nb\r\n\r\n")], &sink).await.unwrap();
    put.acknowledge().await.unwrap();
    let (bytes, hash) = view.fetch("note:1", Range::default(), None).await.unwrap();
    assert_eq!((String::from_utf8(bytes).unwrap().as_str(), hash), (text, Some(ContentHash::of(text.as_bytes()))));
    match view.fetch("note:2", Range::default(), None).await {
        Ok((bytes, _)) => assert_eq!(bytes, b"a\t\n\t\t\nb\r\n\r\n"),
        Err(error) => assert_eq!(error.kind(), Kind::Precondition, "{error}"),
    }
    assert_eq!(view.stat("note:1").await.unwrap().freshness, "fresh");
}

/// A bucket that serves `count` documents with etags.
fn bucket(request: &axum::extract::Request, count: usize) -> axum::http::Response<axum::body::Body> {
    use axum::body::Body;
    use axum::http::Response;

    let query = request.uri().query().unwrap_or_default();
    if !query.contains("list-type=2") {
        let number = request.uri().path().rsplit('/').next().unwrap_or_default();
        let text = format!("# Document {number}\n\nIts text is about {number}.\n");
        let reply = Response::builder().header("etag", format!("\"{number}\""));
        return reply.header("last-modified", "Mon, 01 Jan 2024 00:00:00 GMT").body(Body::from(text)).unwrap();
    }
    let from = query.split('&').find_map(|pair| pair.strip_prefix("continuation-token=")?.parse().ok()).unwrap_or(0);
    let until = (from + 1_000).min(count);
    let mut xml = String::from("<?xml version=\"1.0\"?><ListBucketResult><Name>b</Name>");
    for number in from..until {
        xml.push_str(&format!(
            "<Contents><Key>k/{number:05}.md</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified>\
             <ETag>&quot;{number:05}.md&quot;</ETag><Size>5</Size></Contents>"
        ));
    }
    if until < count {
        xml.push_str(&format!("<NextContinuationToken>{until}</NextContinuationToken>"));
    }
    Response::new(Body::from(xml + "</ListBucketResult>"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_that_did_not_change_is_listed_and_not_read_again() {
    use crate::engine::store::cloud::CloudStore;
    use crate::engine::store::credentials::Credentials;
    use crate::engine::store::guard::Guard;
    use crate::engine::store::line::Line;
    use crate::engine::store::testing as servers;

    servers::tls();
    let (address, seen) = servers::http(|request| async move { bucket(&request, 1_500) }).await;
    let mut view = View::new().await;
    let credentials = Credentials::new(vec![servers::s3_credential(address, "secret")]);
    let line = Line::new(tokio::runtime::Handle::current(), Duration::from_secs(20));
    view.engines.store = Arc::new(CloudStore::new(Guard::new(true, &[]), credentials, line));
    let first = view.ingest("s3://b/k/").await.unwrap();
    assert_eq!((first.outcome.added, first.failed.listed.len()), (1_500, 0), "{:?}", first.failed);
    assert_eq!(std::mem::take(&mut *seen.lock().unwrap()).len(), 2 + 1_500);
    let again = view.ingest("s3://b/k/").await.unwrap();
    assert_eq!((again.outcome.unchanged, again.outcome.updated), (1_500, 0));
    assert_eq!(seen.lock().unwrap().len(), 2, "two pages of a listing, and nothing else");
}
