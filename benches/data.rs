//! The data view over gRPC: pages of 1,000,000 registered objects at any depth, levels of their tree, search among them, and
//! the bytes of a large file beside a plain read of it.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::io::{Read, Write};
use std::time::Instant;

use hivemem_client::Client;
use hivemem_client::proto::{
    DataFilter, DataObject, FetchDataRequest, ListDataRequest, RegisterDataRequest, SearchDataRequest,
};
use tokio::runtime::Runtime;

use common::report::{Sample, heading, line, mib};
use common::server::Server;

mod common;

/// Objects, unless `HIVEMEM_BENCH_OBJECTS` says otherwise.
const OBJECTS: usize = 1_000_000;
/// Pages and levels that are asked for.
const ROUNDS: usize = 200;
/// Bytes of the file, unless `HIVEMEM_BENCH_FILE_MIB` says otherwise.
const FILE_MIB: usize = 2_048;

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// The address of an object: 100 buckets of 100 folders each.
fn uri(number: usize) -> String {
    format!("s3://bucket{:02}/folder{:02}/part-{:06}.parquet", number % 100, number / 100 % 100, number)
}

async fn fill(client: &Client, count: usize) {
    let began = Instant::now();
    let mut number = 0;
    while number < count {
        let until = (number + 20_000).min(count);
        let object = |number: usize| DataObject {
            uri: uri(number),
            bytes: Some(number as u64),
            owner: format!("team{}", number % 7),
            tags: vec![format!("year{}", 2000 + number % 25)],
            ..DataObject::default()
        };
        let objects = (number..until).map(object).collect();
        let report = client.register_data(RegisterDataRequest::default(), objects).await.expect("a registration");
        assert_eq!(report.rejected, 0);
        number = until;
    }
    let rate = count as f64 / began.elapsed().as_secs_f64();
    line("registering", &format!("{rate:.0} objects/s"), "");
}

/// A token that begins after an address, as the server makes them.
fn token(uri: &str) -> String {
    uri.bytes().map(|byte| format!("{byte:02x}")).collect()
}

async fn pages(client: &Client, count: usize) {
    let mut plain = Sample::default();
    let mut filtered = Sample::default();
    for round in 0..ROUNDS {
        // Spread over the whole depth.
        let after = token(&uri(round * (count / ROUNDS)));
        let request = ListDataRequest { page_token: after, ..ListDataRequest::default() };
        let began = Instant::now();
        let page = client.list_data(request.clone()).await.expect("a page");
        plain.push(began.elapsed());
        assert!(page.entries.len() <= 100);
        let filter = Some(DataFilter { owners: vec!["team3".to_owned()], ..DataFilter::default() });
        let began = Instant::now();
        client.list_data(ListDataRequest { filter, ..request }).await.expect("a page");
        filtered.push(began.elapsed());
    }
    plain.print("a page of 100 at any depth", "p50 20 ms");
    filtered.print("the same, one owner of seven", "");
    let mut levels = Sample::default();
    for round in 0..ROUNDS {
        let prefix = match round % 3 {
            0 => String::new(),
            1 => "s3://".to_owned(),
            _ => format!("s3://bucket{:02}/", round % 100),
        };
        let request = ListDataRequest { prefix, tree: true, ..ListDataRequest::default() };
        let began = Instant::now();
        let level = client.list_data(request).await.expect("a level");
        levels.push(began.elapsed());
        assert!(!level.folders.is_empty());
    }
    levels.print("a level of the tree, up to 100 folders", "p50 20 ms");
    let mut rare = Sample::default();
    let mut common = Sample::default();
    for round in 0..20 {
        for (query, sample) in [(format!("{:06}", round * 37), &mut rare), ("parquet".to_owned(), &mut common)] {
            let began = Instant::now();
            client.search_data(SearchDataRequest { query, ..SearchDataRequest::default() }).await.expect("hits");
            sample.push(began.elapsed());
        }
    }
    rare.print("search for a rare word", "");
    common.print("search for a word that all have", "");
}

async fn fetch(client: &Client, server: &Server, mib_total: usize) {
    let dir = tempfile::tempdir_in(common::data_root()).expect("a folder");
    let path = dir.path().join("large.bin");
    let mut file = std::fs::File::create(&path).expect("a file");
    let block: Vec<u8> = (0..1024 * 1024).map(|n| (n % 251) as u8).collect();
    for _ in 0..mib_total {
        file.write_all(&block).expect("space");
    }
    file.sync_all().expect("space");
    let raw = || {
        let (mut file, mut buffer, mut bytes) =
            (std::fs::File::open(&path).expect("the file"), vec![0; 1024 * 1024], 0);
        let began = Instant::now();
        loop {
            match file.read(&mut buffer).expect("the file") {
                0 => return bytes as f64 / 1e6 / began.elapsed().as_secs_f64(),
                read => bytes += read,
            }
        }
    };
    raw();
    line("a plain read loop, from the page cache", &format!("{:.0} MB/s", raw()), "");
    let uri = format!("file://{}", path.canonicalize().expect("the file").display());
    for (what, request) in [
        ("fetch of all, hashed", FetchDataRequest { uri: uri.clone(), ..FetchDataRequest::default() }),
        ("fetch from offset 1, not hashed", FetchDataRequest { uri, offset: 1, ..FetchDataRequest::default() }),
    ] {
        let before = server.memory().resident;
        let (began, mut bytes) = (Instant::now(), 0);
        let mut pieces = client.fetch_data(request).await.expect("a fetch");
        while let Some(piece) = pieces.next_piece().await.expect("a piece") {
            bytes += piece.data.len();
        }
        let rate = bytes as f64 / 1e6 / began.elapsed().as_secs_f64();
        let memory = server.memory();
        let grown = mib(memory.resident.saturating_sub(before));
        let figures = format!("{rate:.0} MB/s, memory grew by {grown:.0} MiB, peak {:.0} MiB", mib(memory.peak));
        line(what, &figures, "500 MB/s, flat memory");
    }
}

fn main() {
    common::server::serve_if_asked();
    let runtime = Runtime::new().expect("a runtime");
    let dir = common::data_root().join("data");
    let _ = std::fs::remove_dir_all(&dir);
    let server = Server::start(&dir);
    runtime.block_on(async {
        let client = server.client().await;
        if common::wanted("fetch") {
            heading("Bytes of a large local file");
            fetch(&client, &server, setting("HIVEMEM_BENCH_FILE_MIB", FILE_MIB)).await;
        }
        if common::wanted("list") {
            let count = setting("HIVEMEM_BENCH_OBJECTS", OBJECTS);
            heading(&format!("{count} registered objects"));
            fill(&client, count).await;
            pages(&client, count).await;
        }
    });
    drop(server);
    let _ = std::fs::remove_dir_all(&dir);
}
