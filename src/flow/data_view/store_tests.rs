//! The data view over stores that do not stream, that give marks, that hold folders, that want credentials.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::runtime::Handle;

use super::locate::{self, Reach, Recipe};
use super::tests::View;
use super::{contents, register, search};
use crate::base::ContentHash;
use crate::base::error::{Error, Kind, Result};
use crate::engine::store::cloud::CloudStore;
use crate::engine::store::credentials::Credentials;
use crate::engine::store::fetch::Fetcher;
use crate::engine::store::git::GitStore;
use crate::engine::store::guard::Guard;
use crate::engine::store::http::HttpStore;
use crate::engine::store::line::Line;
use crate::engine::store::local::LocalStore;
use crate::engine::store::sql::SqlStore;
use crate::engine::store::sql::sqlite::Sqlite;
use crate::engine::store::stores::Stores;
use crate::engine::store::{About, LeftOut, ListOptions, Listing, Object, Range, Stat, Store, testing as servers};
use crate::flow::{ingest, preview};
use crate::model::{DataFilter, DataKind, DataObject};

/// Objects with marks, in memory. Notes which credentials it is asked under.
#[derive(Clone, Default)]
struct Shelf {
    objects: Arc<Mutex<BTreeMap<String, (&'static str, &'static str)>>>,
    unreadable: Arc<Mutex<Vec<String>>>,
    named: Arc<Mutex<Vec<String>>>,
}

impl Shelf {
    /// Puts an object with its mark.
    fn put(&self, uri: &str, text: &'static str, mark: &'static str) {
        self.objects.lock().unwrap().insert(uri.to_owned(), (text, mark));
    }
}

impl Store for Shelf {
    fn resolve(&self, address: &str) -> Result<String> {
        Ok(address.to_owned())
    }

    fn list(&self, source: &str, _: &ListOptions) -> Result<Listing> {
        let mut listing = Listing::default();
        for (uri, (text, mark)) in self.objects.lock().unwrap().iter() {
            let Some(path) = uri.strip_prefix(source) else { continue };
            let (path, uri, mark) = (path.to_owned(), uri.clone(), Some((*mark).to_owned()));
            listing.objects.push(Object { path, uri, bytes: text.len() as u64, modified_at: None, mark });
        }
        for path in self.unreadable.lock().unwrap().iter() {
            listing.left_out.push(LeftOut { path: path.clone(), reason: "not readable".to_owned(), failed: true });
        }
        Ok(listing)
    }

    fn list_at(&self, source: &str, options: &ListOptions, uris: &BTreeSet<String>) -> Result<Listing> {
        let mut listing = self.list(source, options)?;
        listing.objects.retain(|object| uris.contains(&object.uri));
        Ok(listing)
    }

    fn read(&self, object: &Object, _: u64) -> Result<Vec<u8>> {
        let objects = self.objects.lock().unwrap();
        let (text, _) = objects.get(&object.uri).ok_or_else(|| Error::not_found(object.uri.clone()))?;
        Ok(text.as_bytes().to_vec())
    }

    fn stat(&self, uri: &str) -> Result<Option<Stat>> {
        let stat = |(text, mark): &(&str, &str)| Stat {
            bytes: text.len() as u64,
            modified_at: None,
            mark: Some((*mark).to_owned()),
        };
        Ok(self.objects.lock().unwrap().get(uri).map(stat))
    }

    fn about(&self, object: &Object) -> Result<About> {
        assert!(!object.uri.ends_with("/broken.md"), "as a parser that stumbles over a file");
        Ok(About::default())
    }

    fn under(&self, _: &str, credential: &str) -> Result<Arc<dyn Store>> {
        self.named.lock().unwrap().push(credential.to_owned());
        Ok(Arc::new(self.clone()))
    }
}

async fn on(store: impl Store + 'static) -> View {
    let mut view = View::new().await;
    view.engines.store = Arc::new(store);
    view
}

fn of_kind(uri: &str, kind: DataKind) -> DataObject {
    DataObject { kind, ..DataObject::at(uri) }
}

async fn recipes(view: &View, uri: &str) -> Vec<Recipe> {
    let reach = Reach { server: "127.0.0.1:7411".into(), token: false };
    locate::locate(&view.engines, &view.grant, uri, Duration::from_secs(60), &reach).await.unwrap().1
}

fn forms(recipes: &[Recipe]) -> Vec<&'static str> {
    recipes.iter().map(|recipe| recipe.form).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_and_files_of_repositories_are_fetched_like_any_object() {
    use sqlx::ConnectOptions;
    use sqlx::sqlite::SqliteConnectOptions;

    servers::tls();
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let git = |args: &[&str]| {
        let mut command = std::process::Command::new("git");
        command.current_dir(&root).args(["-c", "user.name=A", "-c", "user.email=a@example.org"]).args(args);
        let output = command.env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", &root).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    git(&["init", "-q", "-b", "main"]);
    std::fs::create_dir(root.join("docs")).unwrap();
    std::fs::write(root.join("docs/a.md"), "# A\n\n0123456789\n").unwrap();
    git(&["add", "-A"]);
    git(&["commit", "-q", "-m", "work"]);
    let mut shop = SqliteConnectOptions::new().filename(root.join("shop.db")).create_if_missing(true).connect().await;
    sqlx::raw_sql("CREATE TABLE orders (id INTEGER)").execute(shop.as_mut().unwrap()).await.unwrap();
    drop(shop);

    let fetcher = Fetcher::new(Guard::new(true, &[]), Handle::current()).unwrap();
    let code = GitStore::new(LocalStore::default(), fetcher, Credentials::new(Vec::new()), root.join("cache"));
    let tables = SqlStore::new(Sqlite::new(LocalStore::default()), Handle::current());
    let stores = Stores::new(Arc::new(LocalStore::default()))
        .with(GitStore::BEGINNINGS, Arc::new(code))
        .with(Sqlite::BEGINNINGS, Arc::new(tables));
    let view = on(stores).await;
    let (repository, database) =
        (format!("git+file://{}", root.display()), format!("sqlite://{}/shop.db", root.display()));
    let (file, table) = (format!("{repository}#docs/a.md"), format!("{database}#orders"));
    let (folder, none) = (format!("{repository}#docs"), format!("{repository}#none"));
    let objects = [&file, &table, &repository, &database, &folder, &none].map(|uri| DataObject::at(uri));
    view.register(objects.to_vec()).await;

    let (bytes, hash) = view.fetch(&file, Range::default(), None).await.unwrap();
    assert_eq!((bytes.as_slice(), hash), (b"# A\n\n0123456789\n".as_slice(), Some(ContentHash::of(&bytes))));
    let range = Range { offset: 5, length: Some(3) };
    assert_eq!(view.fetch(&file, range, None).await.unwrap().0, b"012");
    assert_eq!(view.fetch(&file, Range { offset: 99, length: None }, None).await.unwrap_err().field(), Some("offset"));
    let (text, _) = view.fetch(&table, Range::default(), None).await.unwrap();
    assert!(text.starts_with(b"# orders"), "{}", String::from_utf8_lossy(&text));
    assert!(view.verify(&table, true).await.content.is_some());
    for single in [&file, &table] {
        assert_eq!(forms(&recipes(&view, single).await), ["grpc", "cli", "python", "rust", "native"], "{single}");
    }
    assert_eq!(forms(&recipes(&view, &repository).await), ["native"], "it has no bytes of its own");
    for there in [&repository, &database, &folder] {
        let verdict = view.verify(there, true).await;
        assert_eq!((verdict.exists, verdict.verdict), (true, "unknown"), "{there}: {}", verdict.reason);
        assert_eq!(view.stat(there).await.unwrap().freshness, "unknown");
    }
    assert!(!view.verify(&none, false).await.exists);
    std::fs::remove_file(root.join("shop.db")).unwrap();
    assert!(!view.verify(&database, false).await.exists);
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_and_prefixes_are_there_until_they_are_gone() {
    servers::tls();
    let buckets = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(buckets.path().join("lake/p")).unwrap();
    std::fs::write(buckets.path().join("lake/p/x"), "x").unwrap();
    let address = servers::s3(buckets.path()).await;
    let credentials = Credentials::new(vec![servers::s3_credential(address, servers::KEYS.1)]);
    let line = Line::new(Handle::current(), Duration::from_secs(20));
    let cloud = CloudStore::new(Guard::new(true, &[]), credentials, line);
    let view = on(Stores::new(Arc::new(LocalStore::default())).with(CloudStore::BEGINNINGS, Arc::new(cloud))).await;
    let folder = view.dir.path().canonicalize().unwrap().join("docs");
    std::fs::create_dir(&folder).unwrap();
    let local = format!("file://{}", folder.display());
    let there = [local.clone(), format!("{local}/"), "s3://lake/p/".into(), "s3://lake/".into()];
    let gone = ["s3://lake/none/", "s3://lake/none", "file:///none/at/all/"];
    let all = there.iter().map(String::as_str).chain(gone);
    view.register(all.map(|uri| of_kind(uri, DataKind::Prefix)).collect()).await;
    for uri in &there {
        let verdict = view.verify(uri, false).await;
        assert_eq!((verdict.exists, verdict.verdict), (true, "unknown"), "{uri}: {}", verdict.reason);
        assert_eq!(view.stat(uri).await.unwrap().freshness, "unknown", "{uri}");
        assert!(recipes(&view, uri).await.iter().any(|recipe| recipe.text.contains("data ls")), "{uri}");
    }
    for uri in gone {
        let verdict = view.verify(uri, false).await;
        assert_eq!((verdict.exists, verdict.verdict), (false, "changed"), "{uri}: {}", verdict.reason);
        assert_eq!(view.stat(uri).await.unwrap().freshness, "gone", "{uri}");
    }
    std::fs::remove_dir(&folder).unwrap();
    assert!(!view.verify(&local, false).await.exists);
    // What no store can tell is not called gone.
    let view = on(Shelf::default()).await;
    view.register(vec![of_kind("s3://lake/p/", DataKind::Prefix)]).await;
    assert_eq!(view.verify("s3://lake/p/", false).await.verdict, "unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_prefix_holds_is_registered_with_it_and_goes_when_it_is_gone() {
    let shelf = Shelf::default();
    shelf.put("s3://lake/a/one.csv", "id,name", "v1");
    shelf.put("s3://lake/a/deep/two.csv", "id", "v1");
    shelf.put("s3://lake/other.csv", "x", "v1");
    let view = on(shelf.clone()).await;
    let holder =
        DataObject { owner: "ada".into(), credential: "lake".into(), ..of_kind("s3://lake/a/", DataKind::Prefix) };
    let list = async || {
        let mut report = register::Report::default();
        let holders = [holder.clone(), of_kind("https://h/", DataKind::Page)];
        contents::register(&view.engines, &view.projector, &view.grant, &holders, &mut report).await.unwrap();
        report
    };
    let held = async |uri: &str| view.engines.inventory.object(view.grant.namespace(), uri).await.unwrap();
    // One registered by hand is not the listing's to take out.
    view.register(vec![DataObject::at("s3://lake/a/promised.csv")]).await;
    let first = list().await;
    assert_eq!((first.added, first.rejected), (2, 1), "{first:?}");
    assert!(first.issues[0].0 == "https://h/" && first.issues[0].1.contains("no listing"), "{first:?}");
    let one = held("s3://lake/a/one.csv").await.unwrap().object;
    assert_eq!((one.bytes, &*one.owner, &*one.credential, &*one.name), (Some(7), "ada", "lake", "one.csv"));
    assert_eq!((list().await.unchanged, shelf.named.lock().unwrap().last().unwrap().as_str()), (2, "lake"));
    shelf.objects.lock().unwrap().remove("s3://lake/a/deep/two.csv");
    shelf.unreadable.lock().unwrap().push("a/deep".into());
    assert_eq!(list().await.rejected, 2);
    assert!(held("s3://lake/a/deep/two.csv").await.is_some(), "it may lie where nobody could look");
    shelf.unreadable.lock().unwrap().clear();
    shelf.put("s3://lake/a/one.csv", "id,name,age", "v2");
    let last = list().await;
    assert_eq!((last.updated, last.unchanged), (1, 0), "{last:?}");
    assert!(held("s3://lake/a/deep/two.csv").await.is_none() && held("s3://lake/other.csv").await.is_none());
    assert!(held("s3://lake/a/promised.csv").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registered_hash_holds_for_every_version_and_a_noted_one_for_its_own() {
    let shelf = Shelf::default();
    for uri in ["s3://b/said", "s3://b/seen"] {
        shelf.put(uri, "one", "m1");
    }
    let view = on(shelf.clone()).await;
    let said = DataObject { content: Some(ContentHash::of(b"one")), ..DataObject::at("s3://b/said") };
    view.register(vec![said, DataObject::at("s3://b/seen")]).await;
    for uri in ["s3://b/said", "s3://b/seen"] {
        view.verify(uri, true).await;
        assert!(view.fetch(uri, Range::default(), None).await.is_ok());
        shelf.put(uri, "two", "m2");
    }
    let error = view.fetch("s3://b/said", Range::default(), None).await.unwrap_err();
    assert!(error.kind() == Kind::Precondition && error.message().contains("registered"), "{error}");
    assert_eq!(view.fetch("s3://b/seen", Range::default(), None).await.unwrap().0, b"two");
    assert_eq!(view.stat("s3://b/seen").await.unwrap().object.content, None, "the hash of another version is none");
    // The same mark means the same bytes.
    shelf.put("s3://b/seen", "odd", "m1");
    let error = view.fetch("s3://b/seen", Range::default(), None).await.unwrap_err();
    assert!(error.message().contains("register it again"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_same_size_stays_unknown_until_it_is_read_or_registered_anew() {
    let view = View::new().await;
    let uri = view.file("a.txt", b"one");
    let path = view.dir.path().join("a.txt");
    let write = |text: &str, seconds: u64| {
        std::fs::write(&path, text).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    };
    write("one", 1_000_000_000);
    let object = DataObject::at(&uri);
    view.register(vec![object.clone()]).await;
    view.verify(&uri, false).await;
    assert_eq!(view.verify(&uri, false).await.verdict, "unchanged");
    write("two", 1_000_000_100);
    assert_eq!(view.verify(&uri, false).await.verdict, "unknown");
    assert_eq!(view.verify(&uri, false).await.verdict, "unknown", "nobody read it since");
    assert_eq!(view.verify(&uri, true).await.verdict, "unknown", "there is no hash yet");
    assert_eq!(view.verify(&uri, true).await.verdict, "unchanged");
    // What somebody edits can be fetched; what changed without its time showing it, only once it is registered again.
    write("three", 1_000_000_200);
    assert_eq!(view.verify(&uri, true).await.verdict, "changed");
    assert_eq!(view.fetch(&uri, Range::default(), None).await.unwrap().0, b"three");
    write("odd", 1_000_000_100);
    assert_eq!(view.fetch(&uri, Range::default(), None).await.unwrap_err().kind(), Kind::Precondition);
    assert_eq!(view.register(vec![object]).await.unchanged, 1);
    assert_eq!(view.fetch(&uri, Range::default(), None).await.unwrap().0, b"odd");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_of_a_prefix_is_that_of_all_below_it() {
    let shelf = Shelf::default();
    shelf.put("s3://b/deep/er/x", "x", "m");
    let view = on(shelf.clone()).await;
    let with = |uri: &str, name: &str| DataObject { credential: name.to_owned(), ..of_kind(uri, DataKind::Prefix) };
    let described = DataObject { description: "visits by day".into(), ..DataObject::at("s3://b/deep/er/x") };
    view.register(vec![with("s3://b/", "all"), with("s3://b/deep/", "deep"), with("s3://b/de", "other"), described])
        .await;
    view.fetch("s3://b/deep/er/x", Range::default(), None).await.unwrap();
    assert_eq!(*shelf.named.lock().unwrap(), ["deep"]);
    view.verify("s3://b/deep/er/x", false).await;
    assert!(shelf.named.lock().unwrap().iter().all(|name| name == "deep"));
    let plan = view.find("visits").await.remove(0).plan.unwrap();
    assert_eq!((plan.credential.as_str(), plan.obstacle.as_str()), ("deep", ""));
    let _ = view.fetch("s3://b/none", Range::default(), None).await;
    assert_eq!(shelf.named.lock().unwrap().last().unwrap(), "all");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_address_is_a_page_whatever_it_ends_with() {
    use axum::body::Body;
    use axum::http::Response;

    servers::tls();
    let (address, _) = servers::http(|request| async move {
        let ranged = request.headers().contains_key("range");
        match request.uri().path() {
            "/empty" if ranged => {
                let reply = Response::builder().status(416).header("content-range", "bytes */0");
                reply.header("content-type", "text/html").body(Body::from("no such range")).unwrap()
            }
            "/empty" => Response::new(Body::empty()),
            _ => Response::new(Body::from("home")),
        }
    })
    .await;
    let line = Line::new(Handle::current(), Duration::from_secs(20));
    let guard = Guard::new(true, &["127.0.0.1".to_owned()]);
    let view = on(HttpStore::new(guard, Credentials::new(Vec::new()), line).unwrap()).await;
    let (home, empty) = (format!("http://{address}/"), format!("http://{address}/empty"));
    view.register(vec![of_kind(&home, DataKind::Page), DataObject::at(&empty)]).await;
    assert_eq!(view.fetch(&home, Range::default(), None).await.unwrap().0, b"home");
    assert!(view.verify(&home, true).await.content.is_some());
    let recipes = recipes(&view, &home).await;
    let text = |form: &str| recipes.iter().find(|recipe| recipe.form == form).unwrap().text.clone();
    assert!(text("cli").contains("data get") && text("grpc").contains("FetchData"));
    assert!(text("python").contains("fetch_data") && text("rust").contains("fetch_data"));
    // An empty object has no ranges, and is no error.
    let some = Range { offset: 0, length: Some(9) };
    assert_eq!(view.fetch(&empty, some, None).await.unwrap().0, b"");
    let beyond = Range { offset: 1, length: Some(9) };
    assert_eq!(view.fetch(&empty, beyond, None).await.unwrap_err().field(), Some("offset"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_ingested_is_found_with_and_without_a_registration() {
    let shelf = Shelf::default();
    shelf.put("s3://b/guides/tides.md", "# High water\n\nTwice a day.\n", "m1");
    shelf.put("s3://b/guides/winds.md", "# Breeze\n\nFrom the sea.\n", "m2");
    let view = on(shelf).await;
    view.ingest("s3://b/guides/").await.unwrap();
    let hit = view.find("tides").await.remove(0);
    assert_eq!(
        (hit.entry.uri.as_str(), hit.entry.indexed, hit.entry.registered),
        ("s3://b/guides/tides.md", true, false)
    );
    assert!(hit.plan.is_none() && hit.reasons == ["name: tides"], "{hit:?}");
    assert_eq!(view.find("guides").await.len(), 2, "by its path");
    assert_eq!(view.find("breeze").await[0].entry.uri, "s3://b/guides/winds.md", "by its title");
    let filter = DataFilter { indexed: Some(false), ..DataFilter::default() };
    let unread = search::search(&view.engines, &view.projector, &view.grant, "tides", &filter, 5).await.unwrap();
    assert!(unread.is_empty());
    // A folder is indexed however its address ends, and a document that is registered is one hit.
    let folder = DataObject { description: "harbour handbook".into(), ..of_kind("s3://b/guides", DataKind::Prefix) };
    let other = DataObject { description: "harbour master".into(), ..of_kind("s3://b/guide", DataKind::Prefix) };
    view.register(vec![folder, other, DataObject::at("s3://b/guides/tides.md")]).await;
    let hits = view.find("harbour").await;
    let indexed = |uri: &str| hits.iter().find(|hit| hit.entry.uri == uri).map(|hit| hit.entry.indexed);
    assert_eq!((indexed("s3://b/guides"), indexed("s3://b/guide")), (Some(true), Some(false)));
    let hits = view.find("tides").await;
    let tides: Vec<_> = hits.iter().filter(|hit| hit.entry.uri == "s3://b/guides/tides.md").collect();
    assert_eq!((tides.len(), tides[0].entry.registered, tides[0].entry.indexed), (1, true, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_found_by_the_names_that_it_has_now() {
    let view = View::new().await;
    let uri = view.file("tides.md", b"# High water\n\nTwice a day.\n");
    view.ingest(&uri).await.unwrap();
    assert_eq!(view.find("water").await.len(), 1);
    view.file("tides.md", b"# Low ebb\n\nTwice a day, and longer.\n");
    view.ingest(&uri).await.unwrap();
    assert_eq!((view.find("water").await.len(), view.find("ebb").await.len()), (0, 1));
    let all = crate::engine::catalog::Selector::UriPrefix("file:///".to_owned());
    view.engines.catalog.remove(view.grant.namespace(), &all).await.unwrap();
    assert!(view.find("ebb").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parser_that_stumbles_takes_no_other_file_with_it() {
    let shelf = Shelf::default();
    shelf.put("s3://b/k/broken.md", "# Broken\n", "m1");
    shelf.put("s3://b/k/good.md", "# Good\n\nText.\n", "m2");
    let report = on(shelf).await.ingest("s3://b/k/").await.unwrap();
    assert_eq!((report.outcome.added, report.failed.by_reason.get("damaged")), (1, Some(&1)), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_spares_what_a_sync_spares() {
    let shelf = Shelf::default();
    for name in ["a/x.md", "a/y.md", "b.md", "c.md"] {
        shelf.put(&format!("s3://b/k/{name}"), "# Title\n\nText.\n", "m");
    }
    let view = on(shelf.clone()).await;
    view.ingest("s3://b/k/").await.unwrap();
    shelf.objects.lock().unwrap().retain(|uri, _| uri.ends_with("c.md"));
    shelf.unreadable.lock().unwrap().push("a".to_owned());
    let request = ingest::Request { source: "s3://b/k/".to_owned(), ..ingest::Request::default() };
    let (sink, _progress) = tokio::sync::mpsc::channel(1);
    let preview = preview::preview(&view.engines, &view.grant, &request, &sink).await.unwrap();
    assert_eq!((preview.outcome.removed, preview.outcome.unchanged), (1, 1), "what can't be read stays");
    assert_eq!(view.ingest("s3://b/k/").await.unwrap().outcome.removed, 1);
}
