//! Deterministic ids as newtypes, and content hashes.
//!
//! The same bytes under the same URI in the same namespace always get the same ids (UUID version 5, RFC 9562), so that
//! ingesting twice changes nothing and a replayed write meets itself.

use std::fmt;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::clock::Timestamp;

/// Root of every version 5 id of this project; changing it would orphan every stored id.
const ROOT: Uuid = Uuid::from_u128(0x6d1f_0a2e_5c7b_5b0e_9f64_7a1d_6869_7665);

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// Reads the 16 bytes that [`Self::as_bytes`] gave; `None` for any other length.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                Uuid::from_slice(bytes).ok().map(Self)
            }

            /// Reads the hyphenated text form.
            pub fn parse(text: &str) -> Option<Self> {
                Uuid::parse_str(text).ok().map(Self)
            }

            /// The 16 bytes, big-endian.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// The id as one number, for engines that take numbers.
            pub fn as_u128(&self) -> u128 {
                self.0.as_u128()
            }

            /// The inverse of [`Self::as_u128`].
            pub fn from_u128(value: u128) -> Self {
                Self(Uuid::from_u128(value))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

uuid_id!(
    /// A place that documents come from, such as a directory.
    SourceId
);
uuid_id!(
    /// A document: one URI in one namespace.
    DocumentId
);
uuid_id!(
    /// A chunk: one span of one version of a document.
    ChunkId
);

uuid_id!(
    /// A node type or tool: one name in one namespace.
    NodeId
);

uuid_id!(
    /// A run of a swarm.
    RunId
);

/// Joins parts with their lengths, so that ("a","bc") and ("ab","c") differ.
fn derive(kind: &str, parts: &[&[u8]]) -> Uuid {
    let mut name = Vec::with_capacity(64);
    name.extend_from_slice(kind.as_bytes());
    for part in parts {
        name.extend_from_slice(&(part.len() as u64).to_be_bytes());
        name.extend_from_slice(part);
    }
    Uuid::new_v5(&ROOT, &name)
}

impl SourceId {
    /// The id of the source `uri` in `namespace`.
    pub fn derive(namespace: &str, uri: &str) -> Self {
        Self(derive("source", &[namespace.as_bytes(), uri.as_bytes()]))
    }
}

impl DocumentId {
    /// The id of the document `uri` in `namespace`. It stays the same when the content changes.
    pub fn derive(namespace: &str, uri: &str) -> Self {
        Self(derive("document", &[namespace.as_bytes(), uri.as_bytes()]))
    }
}

impl ChunkId {
    /// The id of bytes `start..end` of the version of `document` whose content hash is `content`.
    pub fn derive(document: DocumentId, content: &ContentHash, start: u64, end: u64) -> Self {
        Self(derive("chunk", &[document.as_bytes(), &content.0, &start.to_be_bytes(), &end.to_be_bytes()]))
    }
}

impl NodeId {
    /// The id of the node `name` in `namespace`. It stays the same from version to version.
    pub fn derive(namespace: &str, name: &str) -> Self {
        Self(derive("node", &[namespace.as_bytes(), name.as_bytes()]))
    }
}

/// SHA-256 of a document's bytes, as read from its source.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentHash(pub [u8; 32]);

impl ContentHash {
    /// Hashes `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Reads what [`Self`] is shown as, 64 hex digits in any case; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let bytes = pairs.iter().map(|[high, low]| Some((digit(*high)? * 16 + digit(*low)?) as u8));
        Self::from_slice(&bytes.collect::<Option<Vec<u8>>>()?)
    }

    /// Reads 32 bytes; `None` for any other length.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

/// A [`ContentHash`] of what comes piece by piece.
#[derive(Clone, Default)]
pub struct Hashing(Sha256);

impl Hashing {
    /// Adds the next bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all of them.
    pub fn done(self) -> ContentHash {
        ContentHash(self.0.finalize().into())
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl RunId {
    /// The id of a run that begins at `at` in `namespace`; `serial` tells those of one process apart that begin together.
    pub fn derive(namespace: &str, at: Timestamp, serial: u64) -> Self {
        Self(derive("run", &[namespace.as_bytes(), &at.0.to_be_bytes(), &serial.to_be_bytes()]))
    }
}

/// Key of the embedding cache: the first 16 bytes of SHA-256 over the text that is embedded. The model is a separate column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EmbedKey(pub [u8; 16]);

impl EmbedKey {
    /// The key of `text`.
    pub fn of(text: &str) -> Self {
        let digest = Sha256::digest(text.as_bytes());
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        Self(key)
    }

    /// Reads 16 bytes; `None` for any other length.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

/// Position in the operation log: larger is later, 0 is before the first entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Lsn(pub u64);

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_read_back_from_its_text() {
        let hash = ContentHash::of(b"text");
        assert_eq!(ContentHash::parse(&hash.to_string()), Some(hash));
        assert_eq!(ContentHash::parse(&hash.to_string().to_uppercase()), Some(hash), "as other tools write it");
        for bad in ["", "00", &hash.to_string()[1..], &"é".repeat(32)] {
            assert_eq!(ContentHash::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn ids_depend_on_every_part_and_on_nothing_else() {
        let a = DocumentId::derive("ns", "file:///a");
        assert_eq!(a, DocumentId::derive("ns", "file:///a"));
        assert_ne!(a, DocumentId::derive("nsf", "ile:///a"), "the border between parts counts");
        let hash = ContentHash::of(b"text");
        let chunk = ChunkId::derive(a, &hash, 0, 4);
        assert_ne!(chunk, ChunkId::derive(a, &hash, 0, 5));
        assert_ne!(chunk, ChunkId::derive(a, &ContentHash::of(b"texu"), 0, 4));
        assert_eq!(ChunkId::from_u128(chunk.as_u128()), chunk);
    }
}
