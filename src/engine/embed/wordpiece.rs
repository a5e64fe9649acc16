//! Fast, exact-between-words token counts: each distinct word is given to the real tokenizer once.
//!
//! BERT's tokenizer cuts at white space and punctuation before it looks at its vocabulary, so the tokens of a text are the
//! tokens of its words, whatever stands around them. A memo of word → number of pieces therefore counts at the speed
//! of a hash table. Chunking counts every byte of a repository, where the tokenizer itself would be the bottleneck.

use std::collections::HashMap;
use std::sync::RwLock;

use tokenizers::Tokenizer;

use crate::base::tokens::TokenCounter;

/// Distinct words remembered; 200,000 short words are about 12 MiB.
const MEMO_WORDS_MAX: usize = 200_000;

/// Longest word, in bytes, that is looked up whole. The tokenizer calls longer ones unknown (one token), which would let
/// a chunk of base64 grow without bound; they are counted as one token per [`LONG_WORD_BYTES_PER_TOKEN`] instead.
const WORD_BYTES_MAX: usize = 100;
const LONG_WORD_BYTES_PER_TOKEN: usize = 4;

/// Longest run of non-ASCII text that is looked up as one word; text without spaces is cut into runs of this length.
const RUN_BYTES_MAX: usize = 48;

/// Counts with a memo in front of `tokenizer`.
pub struct MemoCounter {
    tokenizer: Tokenizer,
    memo: RwLock<HashMap<Box<str>, u16>>,
}

impl std::fmt::Debug for MemoCounter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoCounter").finish_non_exhaustive()
    }
}

impl MemoCounter {
    /// A counter over `tokenizer`, whose own truncation and padding are switched off.
    pub fn new(mut tokenizer: Tokenizer) -> Self {
        tokenizer.with_padding(None);
        // Switching truncation off can't fail; only switching it on with bad parameters can.
        let _ = tokenizer.with_truncation(None);
        Self { tokenizer, memo: RwLock::new(HashMap::new()) }
    }

    /// Pieces of one word by the real tokenizer. A word that it can't encode counts by its bytes.
    fn pieces(&self, word: &str) -> u16 {
        match self.tokenizer.encode_fast(word, false) {
            Ok(encoding) => u16::try_from(encoding.len()).unwrap_or(u16::MAX),
            Err(_) => u16::try_from(word.len()).unwrap_or(u16::MAX),
        }
    }

    /// Calls `each(word start, word length, pieces)` for every word of `text`.
    fn scan(&self, text: &str, mut each: impl FnMut(usize, usize, usize)) {
        let memo = self.memo.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut fresh: HashMap<&str, u16> = HashMap::new();
        for (start, word) in Words::new(text) {
            let bytes = word.as_bytes();
            let pieces = if bytes.len() == 1 && bytes[0].is_ascii() {
                1
            } else if bytes.len() > WORD_BYTES_MAX {
                bytes.len().div_ceil(LONG_WORD_BYTES_PER_TOKEN)
            } else if let Some(&known) = memo.get(word).or_else(|| fresh.get(word)) {
                usize::from(known)
            } else {
                let pieces = self.pieces(word);
                fresh.insert(word, pieces);
                usize::from(pieces)
            };
            each(start, word.len(), pieces);
        }
        drop(memo);
        if !fresh.is_empty() {
            let mut memo = self.memo.write().unwrap_or_else(std::sync::PoisonError::into_inner);
            if memo.len() + fresh.len() > MEMO_WORDS_MAX {
                memo.clear();
            }
            memo.extend(fresh.into_iter().map(|(word, pieces)| (Box::from(word), pieces)));
        }
    }
}

impl TokenCounter for MemoCounter {
    fn count(&self, text: &str) -> usize {
        let mut total = 0;
        self.scan(text, |_, _, pieces| total += pieces);
        total
    }

    fn starts(&self, text: &str) -> Vec<u32> {
        let mut starts = Vec::with_capacity(text.len() / 4);
        self.scan(text, |start, length, pieces| {
            // Where exactly a word is cut does not matter to the contract; spread the pieces over it.
            starts.extend((0..pieces).map(|piece| (start + piece * length / pieces) as u32));
        });
        starts
    }
}

/// Splits like BERT's pre-tokenizer does for ASCII; runs that hold other characters stay together up to a length.
struct Words<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Words<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }
}

/// What a byte does to a word.
#[derive(Clone, Copy, PartialEq)]
enum Class {
    Space,
    Punctuation,
    Letter,
    Wide,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Letter; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        classes[byte] = if b >= 0x80 {
            Class::Wide
        } else if b.is_ascii_whitespace() || b.is_ascii_control() {
            Class::Space
        } else if b.is_ascii_punctuation() {
            Class::Punctuation
        } else {
            Class::Letter
        };
        byte += 1;
    }
    classes
};

impl<'a> Iterator for Words<'a> {
    type Item = (usize, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.text.as_bytes();
        let class = |at: usize| CLASSES[usize::from(bytes[at])];
        while self.at < bytes.len() && class(self.at) == Class::Space {
            self.at += 1;
        }
        let start = self.at;
        if start == bytes.len() {
            return None;
        }
        self.at += 1;
        if class(start) == Class::Punctuation {
            return Some((start, &self.text[start..self.at]));
        }
        let mut wide = class(start) == Class::Wide;
        while self.at < bytes.len() {
            match class(self.at) {
                Class::Letter => {}
                Class::Wide => wide = true,
                Class::Space | Class::Punctuation => break,
            }
            if wide && self.at - start >= RUN_BYTES_MAX && self.text.is_char_boundary(self.at) {
                break;
            }
            self.at += 1;
        }
        Some((start, &self.text[start..self.at]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::tokens::TokenMap;
    use crate::engine::embed::local::tests::model_files;

    fn counter() -> (MemoCounter, Tokenizer) {
        let mut tokenizer = Tokenizer::from_file(model_files().join("tokenizer.json")).unwrap();
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).unwrap();
        (MemoCounter::new(tokenizer.clone()), tokenizer)
    }

    #[test]
    fn counts_agree_with_the_real_tokenizer_on_code_and_prose() {
        let (memo, real) = counter();
        for text in [
            include_str!("wordpiece.rs"),
            include_str!("mod.rs"),
            "fn main() { println!(\"{}\", x_y.read_to_end()?); }",
            "Die Größe der Übung — naïve café, “quoted” text…",
        ] {
            assert_eq!(memo.count(text), real.encode(text, false).unwrap().len(), "{text:.40}");
            assert_eq!(memo.count(text), memo.starts(text).len());
        }
    }

    #[test]
    fn a_word_beyond_the_vocabulary_counts_by_its_length() {
        let (memo, _) = counter();
        assert_eq!(memo.count(&"A".repeat(1_000_000)), 250_000);
        assert!(memo.count(&"漢字".repeat(1000)) >= 1000);
    }

    proptest! {
        #[test]
        fn ascii_counts_are_exact_and_add_up(text in "[ -~\n\t]{0,200}") {
            let (memo, real) = shared();
            prop_assert_eq!(memo.count(&text), real.encode(text.as_str(), false).unwrap().len());
            let map = TokenMap::new(memo, &text);
            for (at, _) in text.match_indices(' ') {
                prop_assert_eq!(map.count(0, at), memo.count(&text[..at]));
                prop_assert_eq!(map.count(at, text.len()), memo.count(&text[at..]));
            }
        }

        #[test]
        fn starts_lie_inside_the_text_and_ascend(text in "\\PC{0,200}") {
            let (memo, _) = shared();
            let starts = memo.starts(&text);
            prop_assert!(starts.windows(2).all(|pair| pair[0] <= pair[1]));
            prop_assert!(starts.iter().all(|&at| (at as usize) < text.len().max(1)));
        }
    }

    fn shared() -> (&'static MemoCounter, &'static Tokenizer) {
        static BOTH: std::sync::OnceLock<(MemoCounter, Tokenizer)> = std::sync::OnceLock::new();
        let both = BOTH.get_or_init(counter);
        (&both.0, &both.1)
    }
}
