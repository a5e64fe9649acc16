//! One file with a description, a payload and a checksum over both, written and read as a stream.
//!
//! Layout, numbers little-endian: magic (8 bytes), format version (u32), length of the header (u32), length of the payload
//! (u64), header, payload, SHA-256 over everything before it (32 bytes). What the header says is not known here.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::{Context, Error, Kind, Result};

/// First bytes of every archive; the last one ends a text for tools that would print it.
pub const MAGIC: [u8; 8] = *b"HIVEMEM\x1a";

/// The format written, and the newest one read.
pub const FORMAT_VERSION: u32 = 1;

/// Longest header: a page of JSON is a tenth of it.
const HEADER_BYTES_MAX: usize = 64 * 1024;

const PREFIX_BYTES: usize = 24;
const CHECKSUM_BYTES: usize = 32;

/// Bytes read at a time.
pub const PIECE_BYTES: usize = 1024 * 1024;

/// Makes an archive piece by piece: [`Sealer::begin`], the payload through [`Sealer::add`], then [`Sealer::end`].
#[derive(Debug)]
pub struct Sealer {
    digest: Sha256,
}

impl Sealer {
    /// The first bytes of an archive with this header, whose payload will have `payload_bytes`.
    pub fn begin(header: &[u8], payload_bytes: u64) -> (Self, Vec<u8>) {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes.extend_from_slice(&(header.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&payload_bytes.to_le_bytes());
        bytes.extend_from_slice(header);
        (Self { digest: Sha256::new_with_prefix(&bytes) }, bytes)
    }

    /// Takes a piece of the payload into the checksum.
    pub fn add(&mut self, piece: &[u8]) {
        self.digest.update(piece);
    }

    /// The last bytes.
    pub fn end(self) -> Vec<u8> {
        self.digest.finalize().to_vec()
    }
}

/// An archive whose first bytes and length are sound. Its checksum is only known once all of it was read.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    file: File,
    digest: Sha256,
    header: Vec<u8>,
    payload_bytes: u64,
}

impl Archive {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// NotFound or Precondition if it can't be opened, Corrupt if it is no archive or not all of one, Precondition if its
    /// format is newer than this version.
    pub fn open(path: &Path) -> Result<Self> {
        let what = || format!("cannot read {}", path.display());
        let mut file = File::open(path).map_err(|cause| {
            let missing = cause.kind() == std::io::ErrorKind::NotFound;
            Error::new(if missing { Kind::NotFound } else { Kind::Precondition }, what()).caused_by(cause)
        })?;
        let length = file.metadata().context(Kind::Precondition, what)?.len();
        let foreign = || Error::new(Kind::Corrupt, format!("{} is not a backup of hivemem", path.display()));
        let mut prefix = [0; PREFIX_BYTES];
        file.read_exact(&mut prefix).map_err(|_| foreign())?;
        let Prefix { format, header_bytes, payload_bytes } = Prefix::read(&prefix).ok_or_else(foreign)?;
        if format > FORMAT_VERSION {
            let message = format!(
                "{} has backup format {format}, this hivemem reads up to {FORMAT_VERSION}: update hivemem",
                path.display()
            );
            return Err(Error::new(Kind::Precondition, message));
        }
        let expected = (PREFIX_BYTES + CHECKSUM_BYTES) as u64;
        let expected = expected.saturating_add(header_bytes).saturating_add(payload_bytes);
        if header_bytes > HEADER_BYTES_MAX as u64 || length != expected {
            let message = format!(
                "{} is damaged: it has {length} bytes and should have {expected}; use another backup",
                path.display()
            );
            return Err(Error::new(Kind::Corrupt, message));
        }
        let mut header = vec![0; header_bytes as usize];
        file.read_exact(&mut header).context(Kind::Internal, what)?;
        let digest = Sha256::new_with_prefix(prefix).chain_update(&header);
        Ok(Self { path: path.to_owned(), file, digest, header, payload_bytes })
    }

    /// What [`Sealer::begin`] was given.
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// Length of the payload.
    pub fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }

    /// Copies the payload to `target` and compares the checksum. What was written is worth nothing if this fails.
    ///
    /// Blocks; call it through the door or where nothing else runs.
    ///
    /// # Errors
    /// Corrupt if the archive was altered; Internal if reading or writing fails.
    pub fn unpack(mut self, target: &mut impl Write) -> Result<()> {
        let what = || format!("cannot copy what {} holds: check the space on the disk", self.path.display());
        let mut buffer = vec![0; PIECE_BYTES];
        let mut left = self.payload_bytes;
        while left > 0 {
            let wanted = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            self.file.read_exact(&mut buffer[..wanted]).context(Kind::Internal, what)?;
            self.digest.update(&buffer[..wanted]);
            target.write_all(&buffer[..wanted]).context(Kind::Internal, what)?;
            left -= wanted as u64;
        }
        let mut checksum = [0; CHECKSUM_BYTES];
        self.file.read_exact(&mut checksum).context(Kind::Internal, what)?;
        if self.digest.finalize().as_slice() != checksum {
            let message = format!(
                "{} is damaged: its checksum does not fit what it holds; use another backup",
                self.path.display()
            );
            return Err(Error::new(Kind::Corrupt, message));
        }
        Ok(())
    }
}

/// The numbers at the start.
struct Prefix {
    format: u32,
    header_bytes: u64,
    payload_bytes: u64,
}

impl Prefix {
    /// `None` where the magic is another.
    fn read(bytes: &[u8; PREFIX_BYTES]) -> Option<Self> {
        let rest = bytes.strip_prefix(&MAGIC)?;
        let (format, rest) = rest.split_first_chunk()?;
        let (header_bytes, rest) = rest.split_first_chunk()?;
        let (payload_bytes, _) = rest.split_first_chunk()?;
        Some(Self {
            format: u32::from_le_bytes(*format),
            header_bytes: u64::from(u32::from_le_bytes(*header_bytes)),
            payload_bytes: u64::from_le_bytes(*payload_bytes),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(header: &[u8], payload: &[u8]) -> Vec<u8> {
        let (mut sealer, mut bytes) = Sealer::begin(header, payload.len() as u64);
        for piece in payload.chunks(7) {
            sealer.add(piece);
            bytes.extend_from_slice(piece);
        }
        bytes.extend(sealer.end());
        bytes
    }

    fn read(bytes: &[u8]) -> Result<(Vec<u8>, Vec<u8>)> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, bytes).unwrap();
        let archive = Archive::open(&path)?;
        let (header, mut payload) = (archive.header().to_vec(), Vec::new());
        archive.unpack(&mut payload)?;
        Ok((header, payload))
    }

    #[test]
    fn what_was_sealed_comes_back() {
        for payload in [Vec::new(), vec![7; 100], vec![1; PIECE_BYTES + 1]] {
            assert_eq!(read(&archive(b"{}", &payload)).unwrap(), (b"{}".to_vec(), payload));
        }
    }

    #[test]
    fn every_altered_byte_and_every_other_length_is_noticed() {
        let sound = archive(b"{\"a\":1}", b"some payload of a few bytes");
        for at in 0..sound.len() {
            let mut altered = sound.clone();
            altered[at] ^= 1;
            assert!(read(&altered).is_err(), "byte {at}");
            assert!(read(&sound[..at]).is_err(), "{at} bytes");
        }
        let longer: Vec<u8> = sound.iter().copied().chain([0]).collect();
        assert_eq!(read(&longer).unwrap_err().kind(), Kind::Corrupt);
    }

    #[test]
    fn a_newer_format_is_told_from_damage() {
        let mut newer = archive(b"{}", b"payload");
        newer[8] = 2;
        let error = read(&newer).unwrap_err();
        assert_eq!(error.kind(), Kind::Precondition);
        assert!(error.message().contains("update hivemem"), "{error}");
    }
}
