//! Objects of stores that read them only as a whole, handed out in pieces like those of the others.
//!
//! The whole of one is in memory while it is read: what is large needs a store that streams.

use super::{Object, PIECE_BYTES_MAX, Pieces, Range, Reading, Store, beyond_end, over_limit};
use crate::base::error::{Error, Kind, Result};

/// Opens an object by reading all of it; at most `bytes_max` bytes.
///
/// # Errors
/// See [`Store::open`].
pub(super) fn open<S: Store + ?Sized>(store: &S, uri: &str, range: Range, bytes_max: u64) -> Result<Reading> {
    let gone = || Error::not_found(format!("{uri} is not there: check the address"));
    let stat = store.stat(uri)?.ok_or_else(gone)?;
    if stat.bytes > bytes_max {
        return Err(over_limit(uri, stat.bytes, bytes_max));
    }
    if stat.bytes > 0 && range.offset >= stat.bytes {
        return Err(beyond_end(uri, range.offset, stat.bytes));
    }
    let path = uri.rsplit(['/', '#']).next().unwrap_or(uri).to_owned();
    let object =
        Object { path, uri: uri.to_owned(), bytes: stat.bytes, modified_at: stat.modified_at, mark: stat.mark.clone() };
    let mut bytes = store.read(&object, bytes_max)?;
    // What was read may be newer than what was looked at, and is given out as what the look said.
    if (stat.bytes > 0 && bytes.len() as u64 != stat.bytes) || store.stat(uri)?.as_ref() != Some(&stat) {
        return Err(Error::new(Kind::Conflict, format!("{uri} changed while it was read: read it again")));
    }
    let whole = bytes.len() as u64;
    if range.offset > 0 && range.offset >= whole {
        return Err(beyond_end(uri, range.offset, whole));
    }
    let end = range.length.map_or(whole, |length| range.offset.saturating_add(length).min(whole));
    bytes.truncate(usize::try_from(end).unwrap_or(usize::MAX));
    let at = usize::try_from(range.offset).unwrap_or(usize::MAX);
    Ok(Reading { stat, media_type: None, pieces: Box::new(Whole { bytes, at }) })
}

/// Bytes in memory, from one of them on.
struct Whole {
    bytes: Vec<u8>,
    at: usize,
}

impl Pieces for Whole {
    fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let begin = self.at.min(self.bytes.len());
        let end = begin.saturating_add(PIECE_BYTES_MAX).min(self.bytes.len());
        self.at = end;
        Ok((begin < end).then(|| self.bytes[begin..end].to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::super::{ListOptions, Listing, Stat};
    use super::*;

    /// One object, with or without another version while it is read.
    struct One {
        bytes: Vec<u8>,
        changes: bool,
        read: AtomicBool,
    }

    impl One {
        fn of(bytes: &[u8]) -> Self {
            Self { bytes: bytes.to_vec(), changes: false, read: AtomicBool::default() }
        }
    }

    impl Store for One {
        fn resolve(&self, address: &str) -> Result<String> {
            Ok(address.to_owned())
        }
        fn list(&self, _: &str, _: &ListOptions) -> Result<Listing> {
            Ok(Listing::default())
        }
        fn list_at(&self, _: &str, _: &ListOptions, _: &BTreeSet<String>) -> Result<Listing> {
            Ok(Listing::default())
        }
        fn read(&self, _: &Object, _: u64) -> Result<Vec<u8>> {
            self.read.store(true, Ordering::SeqCst);
            Ok(self.bytes.clone())
        }
        fn stat(&self, uri: &str) -> Result<Option<Stat>> {
            let mark = if self.changes && self.read.load(Ordering::SeqCst) { "2" } else { "1" };
            let stat = Stat { bytes: self.bytes.len() as u64, modified_at: None, mark: Some(mark.to_owned()) };
            Ok(Some(stat).filter(|_| uri == "one"))
        }
    }

    fn pieces(store: &One, offset: u64, length: Option<u64>) -> Result<Vec<Vec<u8>>> {
        let (mut reading, mut pieces) = (store.open("one", Range { offset, length })?, Vec::new());
        while let Some(piece) = reading.pieces.next()? {
            pieces.push(piece);
        }
        Ok(pieces)
    }

    #[test]
    fn what_is_read_as_a_whole_comes_in_pieces_by_range() {
        let large: Vec<u8> = (0..2 * PIECE_BYTES_MAX + 3).map(|n| (n % 251) as u8).collect();
        let store = One::of(&large);
        let lengths: Vec<usize> = pieces(&store, 0, None).unwrap().iter().map(Vec::len).collect();
        assert_eq!(lengths, [PIECE_BYTES_MAX, PIECE_BYTES_MAX, 3]);
        assert_eq!(pieces(&store, 0, None).unwrap().concat(), large);
        assert_eq!(pieces(&store, 5, Some(9)).unwrap().concat(), large[5..14]);
        assert_eq!(pieces(&store, large.len() as u64 - 1, Some(u64::MAX)).unwrap().concat(), large[large.len() - 1..]);
        assert_eq!(pieces(&store, large.len() as u64, None).unwrap_err().field(), Some("offset"));
        assert!(pieces(&One::of(b""), 0, Some(9)).unwrap().is_empty());
        assert_eq!(pieces(&One::of(b""), 1, None).unwrap_err().field(), Some("offset"));
        assert_eq!(store.open("none", Range::default()).unwrap_err().kind(), Kind::NotFound);
        assert_eq!(open(&store, "one", Range::default(), 9).unwrap_err().kind(), Kind::Limit);
    }

    #[test]
    fn another_version_is_never_given_out() {
        let store = One { changes: true, ..One::of(b"text") };
        assert_eq!(pieces(&store, 0, None).unwrap_err().kind(), Kind::Conflict);
    }
}
