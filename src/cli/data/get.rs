//! `hivemem data get`: the bytes of an object to stdout or a file.
//!
//! A file is written beside its name and gets it when it is whole. What broke off is read on from there the next time, if the
//! object is still the same version: the version is part of the unfinished file's name.

use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use hivemem_client::Client;
use hivemem_client::proto::{FetchDataRequest, StatDataRequest};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::base::{ContentHash, Hashing};
use crate::cli::failure::Failure;
use crate::cli::{output, render};

/// What is to be read.
pub(super) struct Wanted {
    pub uri: String,
    pub offset: u64,
    pub length: Option<u64>,
    pub expect_hash: String,
    pub user: String,
}

impl Wanted {
    fn request(&self) -> FetchDataRequest {
        FetchDataRequest {
            uri: self.uri.clone(),
            offset: self.offset,
            length: self.length,
            expect_hash: self.expect_hash.clone(),
            user: self.user.clone(),
            ..FetchDataRequest::default()
        }
    }

    fn is_whole(&self) -> bool {
        self.offset == 0 && self.length.is_none()
    }
}

/// Runs the command.
pub(super) async fn run(client: &Client, wanted: Wanted, file: Option<PathBuf>, as_json: bool) -> Result<(), Failure> {
    match file {
        None if as_json => Err(Failure::usage("--json needs --output: the bytes themselves go to stdout")),
        None => receive(client, wanted.request(), &mut std::io::stdout(), 0).await.map(|_| ()),
        Some(file) => to_file(client, wanted, &file, as_json).await.map_err(|failure| failure.about(file.display())),
    }
}

async fn to_file(client: &Client, wanted: Wanted, file: &Path, as_json: bool) -> Result<(), Failure> {
    let failed = |cause: std::io::Error| Failure::failed(format!("cannot write: {cause}"));
    let version = version(client, &wanted).await;
    let part = unfinished(file, version.as_ref().map_or("", |version| version.name.as_str()));
    let begun = match &version {
        Some(_) => std::fs::metadata(&part).map_or(0, |there| there.len()),
        None => 0,
    };
    let mut request = wanted.request();
    let resumed = begun > 0 && wanted.is_whole();
    let mut out = if resumed {
        request.offset = begun;
        // A hash is of the whole object; it is checked here below.
        request.expect_hash.clear();
        File::options().append(true).open(&part).map_err(failed)?
    } else {
        File::create(&part).map_err(failed)?
    };
    let begin = if resumed { begun } else { 0 };
    let received = match receive(client, request, &mut out, begin).await {
        // All of it was there already, only the name was missing.
        Err(failure) if resumed && failure.to_string().contains("none at offset") => Received::default(),
        received => received?,
    };
    out.sync_all().map_err(failed)?;
    let hash = if resumed { Some(hash_of(&part).map_err(failed)?.to_string()) } else { received.hash };
    if resumed && let Some(whose) = version.and_then(|version| wrong(hash.as_deref(), &wanted, &version)) {
        std::fs::remove_file(&part).map_err(failed)?;
        return Err(Failure::failed(format!(
            "the content has another SHA-256 than the one {whose}; what was read is removed: read it from its start"
        )));
    }
    std::fs::rename(&part, file).map_err(failed)?;
    let bytes = begin + received.bytes;
    if as_json {
        return output::print_json(&json!({
            "uri": wanted.uri, "file": file.display().to_string(), "bytes": bytes, "resumed_at": begin,
            "content_hash": hash, "unfinished": part.display().to_string(),
        }));
    }
    let from = if resumed { format!(", read on from {}", render::bytes(begin)) } else { String::new() };
    output::print(&format!("{}  {}{from}", file.display(), render::bytes(bytes)))
}

/// Which hash the content of a file that was read on should have and has not, if any. The server sees only the rest of it and
/// checks nothing.
fn wrong(hash: Option<&str>, wanted: &Wanted, version: &Version) -> Option<&'static str> {
    let known = [(wanted.expect_hash.as_str(), "asked for"), (version.content_hash.as_str(), "known of it")];
    let differs = |should: &str| !should.is_empty() && hash != Some(should.to_lowercase().as_str());
    known.into_iter().find(|(should, _)| differs(should)).map(|(_, whose)| whose)
}

/// A version of an object.
struct Version {
    /// What tells it from others.
    name: String,
    /// Its hash, as far as the server knows it; else empty.
    content_hash: String,
}

/// The version of an object that there is now; none if the server can't say.
async fn version(client: &Client, wanted: &Wanted) -> Option<Version> {
    if !wanted.is_whole() {
        return None;
    }
    let request = StatDataRequest { uri: wanted.uri.clone(), ..StatDataRequest::default() };
    let stat = client.stat_data(request).await.ok()?;
    let object = stat.object?;
    let mark = stat.versions.first().map(|version| version.version.clone()).unwrap_or_default();
    let text = format!("{}\0{mark}\0{:?}\0{:?}", object.uri, object.bytes?, object.modified_at);
    let name = ContentHash::of(text.as_bytes()).to_string().chars().take(12).collect();
    Some(Version { name, content_hash: object.content_hash })
}

/// The file that is written until all is there.
fn unfinished(file: &Path, version: &str) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{version}.part"));
    file.with_file_name(name)
}

fn hash_of(file: &Path) -> std::io::Result<ContentHash> {
    let (mut file, mut hashing, mut buffer) = (File::open(file)?, Hashing::default(), vec![0; 1024 * 1024]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hashing.done()),
            read => hashing.add(&buffer[..read]),
        }
    }
}

/// What came.
#[derive(Default)]
struct Received {
    bytes: u64,
    hash: Option<String>,
}

/// Writes the pieces as they come, with a bar where somebody watches.
async fn receive(
    client: &Client,
    request: FetchDataRequest,
    out: &mut (impl Write + Send),
    begun: u64,
) -> Result<Received, Failure> {
    let length = request.length;
    let mut pieces = client.fetch_data(request).await?;
    let (mut received, mut bar) = (Received::default(), None);
    while let Some(piece) = pieces.next_piece().await? {
        let total = length.or(piece.bytes_total).unwrap_or(0);
        let bar = bar.get_or_insert_with(|| bar_of(total, begun));
        match out.write_all(&piece.data) {
            // A reader that went away (`| head`) has what it wanted.
            Err(cause) if cause.kind() == std::io::ErrorKind::BrokenPipe => return Ok(received),
            written => written.map_err(|cause| Failure::failed(format!("cannot write: {cause}")))?,
        }
        received.bytes += piece.data.len() as u64;
        bar.set_position(begun + received.bytes);
        if !piece.content_hash.is_empty() {
            received.hash = Some(piece.content_hash);
        }
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    out.flush().map_err(|cause| Failure::failed(format!("cannot write: {cause}")))?;
    Ok(received)
}

fn bar_of(total: u64, begun: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total).with_position(begun);
    let style = ProgressStyle::with_template("[{bar:24}] {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
    bar
}
