//! The data view end to end: a bucket on a server that speaks S3, files, the command line.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use hivemem::server::ServeOptions;
use hivemem_client::proto::{
    DataFilter, DataObject, FetchAndIngestRequest, FetchDataRequest, IngestSourceRequest, ListDataRequest,
    LocateDataRequest, RegisterDataRequest, SearchDataRequest, StatDataRequest, UnregisterDataRequest,
    VerifyDataRequest,
};
use hivemem_client::{Client, ErrorKind};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tempfile::TempDir;

use crate::support::{Process, Server, tree};

/// Serves the folders in `root` as buckets.
async fn s3(root: &Path) -> SocketAddr {
    let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root).unwrap());
    service.set_auth(SimpleAuth::from_single("id", "hunter2"));
    let service = service.build();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service.clone();
            tokio::spawn(async move {
                let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

fn configured(s3: SocketAddr, allowed: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hivemem.toml");
    let text = format!(
        "[network]\nallow_hosts = [{allowed}]\n[credentials.lake]\nkind = \"s3\"\nprefixes = [\"s3://\"]\n\
         endpoint = \"http://{s3}\"\naccess_key_id = \"id\"\nsecret_access_key = \"hunter2\"\n"
    );
    std::fs::write(&file, text).unwrap();
    (dir, file)
}

async fn serve(config: &Path) -> Server {
    let options = ServeOptions { config: Some(config.to_owned()), ..ServeOptions::default() };
    Server::open_with(tempfile::tempdir().unwrap(), options).await
}

fn object(uri: &str, description: &str) -> DataObject {
    DataObject { uri: uri.to_owned(), description: description.to_owned(), ..DataObject::default() }
}

async fn register(client: &Client, objects: Vec<DataObject>) {
    let report = client.register_data(RegisterDataRequest::default(), objects).await.unwrap();
    assert_eq!(report.rejected, 0, "{report:?}");
}

async fn fetch(client: &Client, uri: &str) -> Result<Vec<u8>, hivemem_client::ClientError> {
    let request = FetchDataRequest { uri: uri.to_owned(), user: "run/node".into(), ..FetchDataRequest::default() };
    let (mut pieces, mut bytes) = (client.fetch_data(request).await?, Vec::new());
    while let Some(piece) = pieces.next_piece().await? {
        bytes.extend(piece.data);
    }
    Ok(bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_registered_found_read_and_ingested() {
    let guide = b"# Leases\n\nA lease is renewed every ten seconds while its holder lives.\n";
    let root = tree(&[("lake/docs/guide.md", guide), ("lake/docs/faq.md", b"# Questions\n\nNone so far.\n")]);
    let (_config, file) = configured(s3(root.path()).await, "\"127.0.0.1\"");
    let server = serve(&file).await;
    let client = &server.client;
    assert!(client.list_data(ListDataRequest::default()).await.unwrap().entries.is_empty());
    let one = object("s3://lake/docs/guide.md", "How leases are renewed");
    register(client, vec![one, object("s3://lake/docs/", "Handbook of the scheduler"), object("s3://lake/big", "")])
        .await;

    let request = SearchDataRequest { query: "lease renewal".into(), ..SearchDataRequest::default() };
    let hit = client.search_data(request).await.unwrap().hits.remove(0);
    assert_eq!(hit.entry.as_ref().unwrap().uri, "s3://lake/docs/guide.md");
    let plan = hit.plan.unwrap();
    assert!(plan.obstacle.is_empty() && plan.cost_class == "free", "{plan:?}");
    assert_eq!(fetch(client, "s3://lake/docs/guide.md").await.unwrap(), guide);
    assert_eq!(fetch(client, "s3://lake/big").await.unwrap_err().kind(), ErrorKind::NotFound);

    let locate = LocateDataRequest { uri: "s3://lake/docs/guide.md".into(), ..LocateDataRequest::default() };
    let recipes = client.locate_data(locate).await.unwrap().recipes;
    assert!(!format!("{recipes:?}").contains("hunter2"), "no secret is shown");
    let forms: Vec<&str> = recipes.iter().map(|recipe| recipe.form.as_str()).collect();
    assert_eq!(forms, ["grpc", "cli", "python", "rust", "presigned_url", "native"]);

    let dry = IngestSourceRequest { source: "s3://lake/docs/".into(), dry_run: true, ..Default::default() };
    let preview = server.try_ingest(dry).await.unwrap();
    assert_eq!((preview.files, preview.added), (2, 2));
    assert!(preview.bytes > guide.len() as u64);
    let ingest = FetchAndIngestRequest { uri: plan.uri, user: "me".into(), ..FetchAndIngestRequest::default() };
    let report = client.fetch_and_ingest(ingest).await.unwrap().finish(|_| {}).await.unwrap();
    assert_eq!((report.files, report.added), (1, 1));
    let found = server.search("how often is a lease renewed").await.hits;
    assert!(found.iter().any(|hit| hit.uri == "s3://lake/docs/guide.md"), "{found:?}");

    let stat = StatDataRequest { uri: "s3://lake/docs/guide.md".into(), ..StatDataRequest::default() };
    let known = client.stat_data(stat.clone()).await.unwrap();
    assert!(known.indexed && known.registered && known.store == "s3" && known.chunks > 0, "{known:?}");
    assert_eq!(known.freshness, "fresh", "{}", known.freshness_reason);
    let actions: Vec<&str> = known.uses.iter().map(|used| used.action.as_str()).collect();
    assert_eq!(actions, ["ingest", "fetch"]);
    std::fs::write(
        root.path().join("lake/docs/guide.md"),
        b"# Leases\n\nRewritten altogether, and longer.\n# More\n\n...\n",
    )
    .unwrap();
    assert_eq!(client.stat_data(stat).await.unwrap().freshness, "stale");

    let list = |prefix: &str, tree: bool| ListDataRequest { prefix: prefix.into(), tree, ..ListDataRequest::default() };
    let level = client.list_data(list("", true)).await.unwrap();
    assert_eq!((level.folders[0].uri.as_str(), level.folders[0].objects), ("s3://", 3));
    let filter = Some(DataFilter { indexed: Some(true), ..DataFilter::default() });
    let indexed = client.list_data(ListDataRequest { filter, ..list("s3://", false) }).await.unwrap().entries;
    assert_eq!(indexed.len(), 1);
    let gone = UnregisterDataRequest { prefix: "s3://lake".into(), ..UnregisterDataRequest::default() };
    assert_eq!(client.unregister_data(gone).await.unwrap().removed, 3);
    assert_eq!(client.list_data(list("s3://", false)).await.unwrap().entries.len(), 1, "what was ingested stays");
    let report = client.fsck(false).await.unwrap();
    assert!(report.stores.iter().all(|store| store.missing == 0 && store.surplus == 0), "{report:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn walls_hold_between_namespaces_and_towards_the_network() {
    let root = tree(&[("lake/a.txt", b"a")]);
    let (_config, file) = configured(s3(root.path()).await, "");
    let server = serve(&file).await;
    let error = fetch(&server.client, "s3://lake/a.txt").await.unwrap_err();
    assert!(error.to_string().contains("network.allow_hosts"), "{error}");
    let error = fetch(&server.client, "http://169.254.169.254/latest/meta-data/").await.unwrap_err();
    assert!(error.to_string().contains("169.254.169.254"), "{error}");
    register(&server.client, vec![object("s3://lake/a.txt", "mine alone")]).await;
    server.client.create_namespace("other").await.unwrap();
    let other = server.client.with_namespace("other");
    assert!(other.list_data(ListDataRequest::default()).await.unwrap().entries.is_empty());
    let search = SearchDataRequest { query: "mine".into(), ..SearchDataRequest::default() };
    assert!(other.search_data(search).await.unwrap().hits.is_empty());
    let verify = VerifyDataRequest { uri: "s3://lake/a.txt".into(), ..VerifyDataRequest::default() };
    assert_eq!(other.verify_data(verify).await.unwrap_err().kind(), ErrorKind::NotFound);
    server.stop().await;
}

#[test]
fn the_command_line_registers_shows_reads_and_reads_on() {
    let (data, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let process = Process::start(data.path());
    let content: Vec<u8> = (0..2_500_000_u32).map(|n| (n % 249) as u8).collect();
    let source = files.path().canonicalize().unwrap().join("it's big.bin");
    std::fs::write(&source, &content).unwrap();
    let (path, target) = (source.to_str().unwrap(), files.path().join("copy.bin"));
    let report = process.json(&["data", "register", path, "--description", "Numbers in order", "--tag", "test"]);
    assert_eq!(report["added"], 1);
    let stat = process.json(&["data", "stat", path]);
    assert_eq!((&stat["bytes"], &stat["store"]), (&content.len().into(), &"local".into()));
    let hits = process.json(&["data", "search", "numbers"]);
    assert_eq!(hits["hits"][0]["entry"]["uri"], stat["uri"]);
    assert_eq!(hits["hits"][0]["plan"]["bytes"], content.len(), "nobody told its size: {hits}");
    assert_eq!(process.json(&["data", "ls"])["folders"][0]["uri"], "file://");

    // The way that `locate` tells is run as it stands.
    let located = process.run(&["data", "locate", path, "--form", "cli"]);
    let recipe = String::from_utf8(located.stdout).unwrap();
    let folder = Path::new(env!("CARGO_BIN_EXE_hivemem")).parent().unwrap();
    let paths = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let ran = Command::new("sh").args(["-c", &recipe]).env("PATH", paths).output().unwrap();
    assert!(ran.stdout == content, "{recipe}: {}", String::from_utf8_lossy(&ran.stderr));

    let copy = target.to_str().unwrap();
    let got = process.json(&["data", "get", path, "--output", copy]);
    assert_eq!((&got["resumed_at"], &got["bytes"]), (&0.into(), &content.len().into()));
    assert_eq!(std::fs::read(&target).unwrap(), content);
    // What broke off lies beside the file under the version's name. It is made here by cutting the whole one.
    let part = |dir: &Path| {
        let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        names.into_iter().find(|path| path.extension().is_some_and(|end| end == "part"))
    };
    assert_eq!(part(files.path()), None);
    let version = got["unfinished"].as_str().map(str::to_owned);
    std::fs::write(version.expect("the name of the unfinished file"), &content[..1_000_000]).unwrap();
    let again =
        process.json(&["data", "get", path, "--output", copy, "--expect-hash", got["content_hash"].as_str().unwrap()]);
    assert_eq!((&again["resumed_at"], &again["bytes"]), (&1_000_000.into(), &content.len().into()));
    assert_eq!(std::fs::read(&target).unwrap(), content);
    assert_eq!(part(files.path()), None);

    // A registered hash is checked of what is read on, too.
    let (wrong, spoilt) = (files.path().join("wrong.bin"), files.path().join("spoilt.bin"));
    std::fs::write(&wrong, &content[1..]).unwrap();
    let hash = got["content_hash"].as_str().unwrap();
    process.json(&["data", "register", wrong.to_str().unwrap(), "--content-hash", hash]);
    for attempt in 0..3 {
        let got = process.run(&["data", "get", wrong.to_str().unwrap(), "--output", spoilt.to_str().unwrap()]);
        assert_eq!(got.status.code(), Some(1), "attempt {attempt}");
        assert!(!spoilt.exists());
        assert_eq!(part(files.path()).is_some(), attempt != 1, "what is wrong is removed, and not read on for ever");
    }

    let verified = process.run(&["data", "verify", path, "--read"]);
    assert!(verified.status.success());
    std::fs::write(&source, b"another").unwrap();
    assert_eq!(process.run(&["data", "verify", path]).status.code(), Some(1));
    assert_eq!(process.json(&["data", "rm", path])["removed"], 1);
    assert_eq!(process.run(&["data", "stat", path]).status.code(), Some(1));
}

#[test]
fn an_ingested_folder_is_verified_and_located_however_it_is_written() {
    let (data, files) = (tempfile::tempdir().unwrap(), tree(&[("docs/a.md", b"# A\n\ntext\n")]));
    let process = Process::start(data.path());
    let folder = files.path().canonicalize().unwrap().join("docs");
    let folder = folder.to_str().unwrap();
    assert!(process.run(&["ingest", folder]).status.success());
    for written in [folder.to_owned(), format!("{folder}/")] {
        let verdict = process.json(&["data", "verify", &written]);
        assert_eq!((&verdict["exists"], &verdict["verdict"]), (&true.into(), &"unknown".into()), "{verdict}");
        let recipe = String::from_utf8(process.run(&["data", "locate", &written, "--form", "cli"]).stdout).unwrap();
        assert!(recipe.contains("data ls"), "a folder is listed, not read: {recipe}");
    }
}

#[test]
fn a_dry_run_says_what_would_be_read_and_reads_nothing() {
    let (data, files) = (tempfile::tempdir().unwrap(), tree(&[("a.md", b"# A\n\ntext\n"), ("b.png", b"\x89PNG")]));
    let process = Process::start(data.path());
    let path = files.path().to_str().unwrap();
    let preview = process.json(&["ingest", path, "--dry-run"]);
    assert_eq!((&preview["files"], &preview["added"], &preview["skipped"]), (&2.into(), &1.into(), &1.into()));
    assert_eq!(preview["bytes"], 10);
    assert_eq!(process.json(&["data", "ls", "--flat"])["entries"].as_array().unwrap().len(), 0);
    process.json(&["ingest", path]);
    let preview = process.json(&["ingest", path, "--dry-run"]);
    assert_eq!(preview["added"], 0);
}
