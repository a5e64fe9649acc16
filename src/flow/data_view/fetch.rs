//! The bytes of an object, from wherever it lies, in pieces.
//!
//! Bounded: a piece being read and two on their way, whatever the size of the object. Read through to the end the bytes are
//! hashed, and a hash that was asked for or registered has to be theirs; so has one that was only noted by an earlier look,
//! as long as nothing says that this is another version.

use tokio::sync::mpsc;

use super::{Known, address, check_user, is_folder, is_inline, note_use, store_of};
use crate::base::error::{Error, Kind, Result};
use crate::base::{ContentHash, Hashing};
use crate::engine::catalog::inventory::Registration;
use crate::engine::store::{PIECE_BYTES_MAX, Pieces, Range, Reading, Stat};
use crate::flow::Engines;
use crate::flow::access::Grant;
use crate::model::Document;

/// Pieces on their way.
const PIECES_AHEAD: usize = 2;

/// What is to be fetched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// Its address.
    pub uri: String,
    /// Which bytes.
    pub range: Range,
    /// What its content has to be.
    pub expected: Option<ContentHash>,
    /// Who fetches.
    pub user: String,
}

/// An object on its way.
#[derive(Debug)]
pub struct Fetching {
    /// The version.
    pub stat: Stat,
    /// What it is, as far as anybody says; empty: not known.
    pub media_type: String,
    /// Its bytes. The last piece of a whole object has its hash.
    pub pieces: mpsc::Receiver<Result<Piece>>,
}

/// Some bytes of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Piece {
    /// The bytes; empty only where there are none at all, or the hash alone is left to be told.
    pub data: Vec<u8>,
    /// The hash of all of them, at the end of a whole object.
    pub content: Option<ContentHash>,
}

/// Begins to fetch. Goes on while the pieces are taken, and ends when the receiver is dropped.
///
/// # Errors
/// Invalid for a range beyond the end, or a hash that is asked of a part; NotFound, Denied, Precondition or Unavailable as
/// the store answers. What fails on the way comes with the pieces.
pub async fn fetch(engines: &Engines, grant: &Grant, request: Request) -> Result<Fetching> {
    let uri = address(&request.uri)?;
    check_user(&request.user)?;
    let range = request.range;
    if request.expected.is_some() && range != Range::default() {
        let message = "a hash is of the whole object: leave out offset and length, or expect_hash";
        return Err(Error::invalid("expect_hash", message));
    }
    let known = Known::of(engines, grant, &uri).await?;
    let reading = open(engines, grant, &known, &uri, range).await?;
    let registered = known.registration.as_ref();
    let (owners, noted) = match registered {
        Some(held) if held.registered_content.is_some() => (held.registered_content, None),
        Some(held) => (None, held.object.content.filter(|_| is_noted_version(held, &reading.stat))),
        None => (None, None),
    };
    let said = registered.map(|held| held.object.media_type.clone()).filter(|said| !said.is_empty());
    let said = said.or_else(|| known.document.as_ref().map(|document| document.media_type.clone()));
    let whole =
        range.offset == 0 && range.length.is_none_or(|length| length >= reading.stat.bytes && reading.stat.bytes > 0);
    let (send, pieces) = mpsc::channel(PIECES_AHEAD);
    let (stat, media_type) = (reading.stat.clone(), said.or(reading.media_type.clone()).unwrap_or_default());
    let job = Job {
        engines: engines.clone(),
        grant: grant.clone(),
        counts: !known.is_nothing(),
        expected: request.expected,
        registered: owners,
        noted,
        user: request.user,
        uri,
        whole,
    };
    tokio::spawn(job.run(reading, send));
    Ok(Fetching { stat, media_type, pieces })
}

/// Whether what is there is, as far as it shows, the version that was seen last. Of another nothing is known.
pub(super) fn is_noted_version(held: &Registration, stat: &Stat) -> bool {
    match (&held.mark, &stat.mark) {
        (Some(noted), Some(now)) => noted == now,
        (None, None) => held.object.bytes == Some(stat.bytes) && held.object.modified_at == stat.modified_at,
        _ => false,
    }
}

/// Opens an object at its store, or among what the catalogue itself holds.
pub(super) async fn open(engines: &Engines, grant: &Grant, known: &Known, uri: &str, range: Range) -> Result<Reading> {
    if is_inline(uri) {
        let gone = || Error::not_found(format!("{uri} is not there: nothing was stored under it"));
        return held(engines, grant, known.document.as_ref().ok_or_else(gone)?, range).await;
    }
    if is_folder(uri) {
        let message = format!("{uri} is a folder, which has no bytes of its own: list it and fetch what is in it");
        return Err(Error::invalid("uri", message));
    }
    let store = store_of(engines, uri, known.credential()).await?;
    let address = uri.to_owned();
    engines.far.run(move || store.open(&address, range)).await
}

/// A document that was sent, put together from its chunks. Its bytes were not kept, so only what comes out the same is given.
async fn held(engines: &Engines, grant: &Grant, document: &Document, range: Range) -> Result<Reading> {
    let chunks = engines.catalog.document_chunks(grant.namespace(), &[document.id]).await?;
    let mut text = String::new();
    for found in &chunks {
        let start = found.chunk.span.start as usize;
        // Between chunks only blank space is left out, nearly always line ends.
        text.extend(std::iter::repeat_n('\n', start.saturating_sub(text.len())));
        text.truncate(start);
        text.push_str(&found.chunk.text);
    }
    text.extend(std::iter::repeat_n('\n', (document.bytes as usize).saturating_sub(text.len())));
    if ContentHash::of(text.as_bytes()) != document.content {
        let message = format!("the bytes of {} were not kept, only its passages: find those by search", document.uri);
        return Err(Error::new(Kind::Precondition, message));
    }
    let whole = text.len() as u64;
    if range.offset > 0 && range.offset >= whole {
        let message =
            format!("{} has {whole} bytes, none at offset {}: start before its end", document.uri, range.offset);
        return Err(Error::invalid("offset", message));
    }
    let rest = whole - range.offset;
    let length = range.length.map_or(rest, |length| length.min(rest));
    let bytes = text.into_bytes().drain(range.offset as usize..(range.offset + length) as usize).collect();
    let stat = Stat { bytes: whole, modified_at: document.modified_at, mark: None };
    Ok(Reading { stat, media_type: Some(document.media_type.clone()), pieces: Box::new(Held { bytes, at: 0 }) })
}

/// Bytes in memory.
struct Held {
    bytes: Vec<u8>,
    at: usize,
}

impl Pieces for Held {
    fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let end = (self.at + PIECE_BYTES_MAX).min(self.bytes.len());
        let piece = self.bytes[self.at..end].to_vec();
        self.at = end;
        Ok((!piece.is_empty()).then_some(piece))
    }
}

/// One fetch.
struct Job {
    engines: Engines,
    grant: Grant,
    uri: String,
    user: String,
    whole: bool,
    expected: Option<ContentHash>,
    registered: Option<ContentHash>,
    noted: Option<ContentHash>,
    /// Whether there is a place to note the use in.
    counts: bool,
}

impl Job {
    async fn run(self, reading: Reading, send: mpsc::Sender<Result<Piece>>) {
        let mut read = 0;
        if let Err(error) = self.pass_on(reading, &send, &mut read).await {
            let _ = send.send(Err(error)).await;
        }
        if self.counts
            && let Err(error) = note_use(&self.engines, &self.grant, &self.uri, "fetch", &self.user, read).await
        {
            tracing::warn!(error = %error.chain(), "a use could not be noted");
        }
    }

    /// Passes all pieces on; the last of a whole object once its hash is known to be right.
    async fn pass_on(&self, reading: Reading, send: &mpsc::Sender<Result<Piece>>, read: &mut u64) -> Result<()> {
        let mut hashing = self.whole.then(Hashing::default);
        let mut pieces = reading.pieces;
        let mut held: Option<Vec<u8>> = None;
        loop {
            let step = self.engines.far.run(move || {
                let piece = pieces.next()?;
                if let (Some(hashing), Some(piece)) = (&mut hashing, &piece) {
                    hashing.add(piece);
                }
                Ok((pieces, hashing, piece))
            });
            let next;
            (pieces, hashing, next) = step.await?;
            let last = next.is_none();
            let content = hashing.as_ref().filter(|_| last).map(|hashing| hashing.clone().done());
            if let Some(content) = content {
                self.check(content)?;
            }
            // One is held back, so that the last one carries the hash.
            if let Some(data) = held.take().or_else(|| last.then(Vec::new)) {
                *read += data.len() as u64;
                if send.send(Ok(Piece { data, content })).await.is_err() {
                    return Ok(());
                }
            }
            if last {
                return Ok(());
            }
            held = next;
        }
    }

    fn check(&self, content: ContentHash) -> Result<()> {
        let noted = "what it had when it was verified, in the same version; register it again if the new one is meant";
        let wanted = [(self.expected, "asked for"), (self.registered, "registered"), (self.noted, noted)];
        let wrong = wanted.into_iter().find(|(hash, _)| hash.is_some_and(|hash| hash != content));
        match wrong {
            Some((Some(hash), whose)) => Err(Error::new(
                Kind::Precondition,
                format!("{} has the SHA-256 {content}, and {hash} is {whose}: it changed, or is damaged", self.uri),
            )),
            _ => Ok(()),
        }
    }
}
