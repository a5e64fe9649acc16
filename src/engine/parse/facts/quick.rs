//! A quick hash for the many small lookups of the walk. The seed differs from process to process, so that no document can
//! be made to collide; the limits of a document bound what is left of the harm.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;

/// A map that hashes quickly.
pub type Map<K, V> = HashMap<K, V, Seeded>;
/// A set that hashes quickly.
pub type Set<K> = HashSet<K, Seeded>;

static SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0_u8));

/// Makes [`Quick`] with the seed of this process.
#[derive(Debug, Clone, Copy)]
pub struct Seeded(u64);

impl Default for Seeded {
    fn default() -> Self {
        Self(*SEED)
    }
}

impl BuildHasher for Seeded {
    type Hasher = Quick;

    fn build_hasher(&self) -> Quick {
        Quick(self.0)
    }
}

/// Multiplies and folds, word by word.
#[derive(Debug)]
pub struct Quick(u64);

impl Quick {
    fn add(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (product >> 64) as u64 ^ product as u64;
    }
}

impl Hasher for Quick {
    fn write(&mut self, bytes: &[u8]) {
        let length = bytes.len() as u64;
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.add(u64::from_le_bytes(*word));
        }
        // Two reads that may overlap are quicker than one of a length that nobody knows beforehand.
        let last = match (bytes.last_chunk::<8>(), rest.first_chunk::<4>(), rest.last_chunk::<4>(), rest) {
            (_, _, _, []) => 0,
            (Some(last), ..) => u64::from_le_bytes(*last),
            (_, Some(first), Some(last), _) => {
                u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32
            }
            (.., [first, ..]) => {
                let (middle, last) = (rest[rest.len() / 2], rest[rest.len() - 1]);
                u64::from(*first) | u64::from(middle) << 8 | u64::from(last) << 16
            }
        };
        self.add(last ^ length << 56);
    }

    fn write_u8(&mut self, byte: u8) {
        self.add(u64::from(byte) | 1 << 32);
    }

    fn write_u32(&mut self, word: u32) {
        self.add(u64::from(word) | 1 << 40);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hash_apart() {
        let mut seen = HashSet::new();
        for number in 0..100_000 {
            assert!(seen.insert(Seeded::default().hash_one(format!("name_{number}"))), "{number}");
        }
        assert_ne!(Seeded::default().hash_one(("a", "bc")), Seeded::default().hash_one(("ab", "c")));
    }
}
