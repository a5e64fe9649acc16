//! English stems, remembered.
//!
//! Snowball costs about 300 ns a word while text repeats few words very often, so a small direct-mapped cache per thread
//! answers nearly all of them. Not for other languages: their words are kept as they are.

use std::cell::RefCell;

use rust_stemmers::{Algorithm, Stemmer};

/// Longest word that is stemmed. English words are shorter; what is longer is an identifier or a blob.
const WORD_BYTES_MAX: usize = 23;

/// Shortest word that stemming changes.
const WORD_BYTES_MIN: usize = 3;

/// Slots of a thread's cache, a power of two: 16,384 × 48 bytes = 768 KiB, which still lies in a second-level cache.
const SLOTS: usize = 16_384;

/// One remembered word with its stem. A word length of 0 marks a free slot.
#[derive(Clone, Copy)]
struct Slot {
    word_bytes: u8,
    word: [u8; WORD_BYTES_MAX],
    stem_bytes: u8,
    stem: [u8; WORD_BYTES_MAX],
}

struct Cache {
    stemmer: Stemmer,
    slots: Vec<Slot>,
}

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::new(Cache::new());
}

/// Appends the stem of `word` to `out`. Only lower-case ASCII words have one; others are appended as they are.
pub fn push_stem(word: &str, out: &mut String) {
    let plain = (WORD_BYTES_MIN..=WORD_BYTES_MAX).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase());
    if plain {
        CACHE.with_borrow_mut(|cache| cache.push(word, out));
    } else {
        out.push_str(word);
    }
}

impl Cache {
    fn new() -> Self {
        let free = Slot { word_bytes: 0, word: [0; WORD_BYTES_MAX], stem_bytes: 0, stem: [0; WORD_BYTES_MAX] };
        Self { stemmer: Stemmer::create(Algorithm::English), slots: vec![free; SLOTS] }
    }

    fn push(&mut self, word: &str, out: &mut String) {
        let slot = &mut self.slots[slot_of(word.as_bytes())];
        if slot.word[..slot.word_bytes as usize] != *word.as_bytes() {
            let stem = self.stemmer.stem(word);
            let fits = stem.len() <= WORD_BYTES_MAX && !stem.is_empty();
            let stem = if fits { stem.as_ref() } else { word };
            slot.word_bytes = word.len() as u8;
            slot.word[..word.len()].copy_from_slice(word.as_bytes());
            slot.stem_bytes = stem.len() as u8;
            slot.stem[..stem.len()].copy_from_slice(stem.as_bytes());
        }
        match std::str::from_utf8(&slot.stem[..slot.stem_bytes as usize]) {
            Ok(stem) => out.push_str(stem),
            Err(_) => out.push_str(word),
        }
    }
}

/// FNV-1a with a final mix: words are short, so a byte at a time is as quick as anything.
fn slot_of(word: &[u8]) -> usize {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for &byte in word {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    (hash ^ (hash >> 29)) as usize & (SLOTS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stem(word: &str) -> String {
        let mut out = String::new();
        push_stem(word, &mut out);
        out
    }

    #[test]
    fn stems_are_snowballs_however_often_they_are_asked() {
        let plain = Stemmer::create(Algorithm::English);
        let words =
            ["running", "connections", "generously", "filename", "indexes", "is", "skies", "abcdefghijklmnopqrstuvw"];
        for word in words.iter().chain(words.iter()) {
            let expected = if word.len() < 3 { (*word).into() } else { plain.stem(word) };
            assert_eq!(stem(word), expected, "{word}");
        }
    }

    #[test]
    fn words_that_share_a_slot_do_not_get_each_others_stems() {
        let plain = Stemmer::create(Algorithm::English);
        for i in 0..40_000_u32 {
            let word: String =
                (0..4).map(|k| char::from(b'a' + ((i >> (k * 4)) % 16) as u8)).chain("ing".chars()).collect();
            assert_eq!(stem(&word), plain.stem(&word));
        }
    }

    #[test]
    fn what_is_no_english_word_stays() {
        for word in ["x86ing", "naïves", "übungen", "RUNNING", "an"] {
            assert_eq!(stem(word), word);
        }
    }
}
