//! Whether an object is still there and the same.

use std::time::{Duration, Instant};

use super::stat::compare;
use super::{Known, There, address, fetch, is_inline, look, note_use, unknown};
use crate::base::error::Result;
use crate::base::{ContentHash, Hashing};
use crate::engine::catalog::inventory::{Registration, Seen};
use crate::engine::store::{Range, Stat};
use crate::flow::Engines;
use crate::flow::access::Grant;

/// What a look showed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it is there.
    pub exists: bool,
    /// `unchanged`, `changed`, or `unknown` where there is nothing to compare with.
    pub verdict: &'static str,
    /// Why.
    pub reason: String,
    /// How long it took to look, or to read it.
    pub elapsed: Duration,
    /// The version that is there.
    pub stat: Stat,
    /// Its hash, if it was read.
    pub content: Option<ContentHash>,
}

/// Looks at an object, and reads it if `read`. Of what holds objects only whether it is there is said.
///
/// # Errors
/// NotFound for an address that nobody ingested or registered; those of the store that say nothing about the object, such as
/// a refused credential.
pub async fn verify(engines: &Engines, grant: &Grant, uri: &str, read: bool) -> Result<Verdict> {
    let uri = address(uri)?;
    let known = Known::of(engines, grant, &uri).await?;
    // A folder that was ingested is known by what lies below it.
    if known.is_nothing() && engines.inventory.ingested(grant.namespace(), &uri, 1).await?.documents_total == 0 {
        return Err(unknown(&uri));
    }
    let began = Instant::now();
    let there = if is_inline(&uri) { There::Object(inline(&known)) } else { look(engines, &known, &uri).await? };
    let without_stat = |exists, verdict, reason: &str| Verdict {
        exists,
        verdict,
        reason: reason.to_owned(),
        elapsed: began.elapsed(),
        ..Verdict::default()
    };
    let stat = match there {
        There::Object(stat) => stat,
        There::Nothing => return Ok(without_stat(false, "changed", "it is gone from its store")),
        There::Holder => {
            note_use(engines, grant, &uri, "verify", "", 0).await?;
            return Ok(without_stat(true, "unknown", "it is there; verify what is in it one by one"));
        }
        There::Untold => {
            let reason = "only a listing of it all could tell whether it is there: verify what is in it one by one";
            return Ok(without_stat(true, "unknown", reason));
        }
    };
    let (content, bytes) = if read { hash(engines, grant, &known, &uri).await? } else { (None, 0) };
    let elapsed = began.elapsed();
    let (verdict, reason) = judge(&known, &stat, content);
    if is_worth_noting(&known, verdict, content.is_some()) {
        // What differs stays noted as it was registered: whoever registered it has to say that the new one is meant.
        let size = Some(stat.bytes).filter(|bytes| *bytes > 0);
        let seen = Seen { bytes: size, content, mark: stat.mark.clone(), modified_at: stat.modified_at };
        engines.inventory.note_seen(grant.namespace(), &uri, &seen).await?;
    }
    note_use(engines, grant, &uri, "verify", "", bytes).await?;
    Ok(Verdict { exists: true, verdict, reason: reason.to_owned(), elapsed, stat, content })
}

/// Whether what was seen may stand for the object from now on. A look that could not tell must not: with its size and time
/// noted, the next one would find nothing changed.
fn is_worth_noting(known: &Known, verdict: &str, read: bool) -> bool {
    let Some(held) = &known.registration else { return false };
    let first = held.mark.is_none() && held.object.modified_at.is_none() && known.document.is_none();
    verdict == "unchanged" || (verdict == "unknown" && (read || first))
}

fn inline(known: &Known) -> Stat {
    let document = known.document.as_ref();
    Stat {
        bytes: document.map_or(0, |document| document.bytes),
        modified_at: document.and_then(|document| document.modified_at),
        mark: None,
    }
}

/// Reads all of it; gives its hash and how much that was.
async fn hash(engines: &Engines, grant: &Grant, known: &Known, uri: &str) -> Result<(Option<ContentHash>, u64)> {
    let mut pieces = fetch::open(engines, grant, known, uri, Range::default()).await?.pieces;
    let (mut hashing, mut bytes) = (Hashing::default(), 0);
    loop {
        let step = engines.far.run(move || {
            let piece = pieces.next()?;
            let read = piece.as_ref().map(|piece| {
                hashing.add(piece);
                piece.len() as u64
            });
            Ok((pieces, hashing, read))
        });
        let read;
        (pieces, hashing, read) = step.await?;
        match read {
            Some(read) => bytes += read,
            None => return Ok((Some(hashing.done()), bytes)),
        }
    }
}

/// Compares with what is known, the surest evidence first.
fn judge(known: &Known, stat: &Stat, content: Option<ContentHash>) -> (&'static str, &'static str) {
    let registered = known.registration.as_ref();
    let hash = registered.and_then(|held| held.object.content);
    let hash = hash.or_else(|| known.document.as_ref().map(|document| document.content));
    match (content, hash) {
        (Some(now), Some(before)) if now == before => return ("unchanged", "read, and the hash is the same"),
        (Some(_), Some(_)) => return ("changed", "read, and the hash is another"),
        (Some(_), None) => return ("unknown", "read and its hash noted: there was none to compare with"),
        (None, _) => {}
    }
    let by_registration = registered.and_then(|held| seen_before(held, stat));
    let by_document = known.document.as_ref().map(|document| match compare(document, stat) {
        ("fresh", why) => ("unchanged", why),
        ("stale", why) => ("changed", why),
        (_, why) => ("unknown", why),
    });
    by_registration.or(by_document).unwrap_or(("unknown", "there is nothing to compare with: verify it by reading"))
}

/// What an earlier look, or the registration itself, says about a version.
fn seen_before(held: &Registration, stat: &Stat) -> Option<(&'static str, &'static str)> {
    if let (Some(before), Some(now)) = (&held.mark, &stat.mark) {
        return Some(match before == now {
            true => ("unchanged", "the store gives it the same mark"),
            false => ("changed", "the store gives it another mark"),
        });
    }
    let object = &held.object;
    if object.bytes.is_some_and(|bytes| stat.bytes > 0 && bytes != stat.bytes) {
        return Some(("changed", "another size"));
    }
    match (object.bytes, object.modified_at, stat.modified_at) {
        (Some(_), Some(before), Some(now)) if before == now => Some(("unchanged", "the same size and time")),
        (_, Some(before), Some(now)) if before != now => Some(("unknown", "another time: verify it by reading")),
        _ => None,
    }
}
