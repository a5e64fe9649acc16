//! OpenAI's encodings, from `tiktoken-rs`, whose vocabularies are inside the crate.

use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use lru::LruCache;
use rustc_hash::FxBuildHasher;
use tiktoken_rs::CoreBPE;
use tiktoken_rs::tokenizer::{Tokenizer, get_tokenizer};

use super::Named;
use crate::base::EmbedKey;
use crate::base::error::{Error, Result};
use crate::base::tokens::TokenCounter;

/// The encodings by name, for callers that name one instead of a model.
const ENCODINGS: [(&str, Tokenizer); 5] = [
    ("o200k_base", Tokenizer::O200kBase),
    ("o200k_harmony", Tokenizer::O200kHarmony),
    ("cl100k_base", Tokenizer::Cl100kBase),
    ("p50k_base", Tokenizer::P50kBase),
    ("r50k_base", Tokenizer::R50kBase),
];

/// The encoding used when the caller names no model: that of the current OpenAI models.
pub const DEFAULT: &str = "o200k_base";

/// Counted texts that are remembered, by their hashes: some two megabytes.
const COUNTED_MAX: NonZeroUsize = NonZeroUsize::new(16_384).unwrap();

/// How many tokens texts have that were counted lately. The same chunks come up for one task after the other, and counting them is
/// most of what packing costs.
static COUNTED: LazyLock<Mutex<Counted>> =
    LazyLock::new(|| Mutex::new(LruCache::with_hasher(COUNTED_MAX, FxBuildHasher)));
type Counted = LruCache<(Tokenizer, EmbedKey), usize, FxBuildHasher>;

struct Bpe {
    encoding: Tokenizer,
    bpe: &'static CoreBPE,
}

impl TokenCounter for Bpe {
    fn count(&self, text: &str) -> usize {
        let key = (self.encoding, EmbedKey::of(text));
        let counted = || COUNTED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&known) = counted().get(&key) {
            return known;
        }
        let tokens = self.bpe.count_ordinary(text);
        counted().put(key, tokens);
        tokens
    }

    fn starts(&self, text: &str) -> Vec<u32> {
        let mut at = 0;
        let starts = self.bpe.encode_ordinary(text).into_iter().map(|token| {
            let start = at;
            at += self.bpe.decode_bytes(&[token]).map_or(0, |bytes| bytes.len());
            start as u32
        });
        starts.collect()
    }
}

/// The encoding of an OpenAI model, or the one of that name.
fn encoding(model: &str) -> Option<Tokenizer> {
    let by_name = ENCODINGS.iter().find(|(name, _)| *name == model).map(|(_, encoding)| *encoding);
    by_name.or_else(|| get_tokenizer(model))
}

fn encoding_name(wanted: Tokenizer) -> &'static str {
    let named = ENCODINGS.iter().find(|(_, encoding)| *encoding == wanted).map(|(name, _)| *name);
    // The two that are an older one with other special tokens, which are not counted.
    named.unwrap_or(if wanted == Tokenizer::Gpt2 { "r50k_base" } else { "p50k_base" })
}

/// The encodings by name.
pub fn encodings() -> impl Iterator<Item = &'static str> {
    ENCODINGS.iter().map(|(name, _)| *name)
}

/// The counter for an OpenAI model or encoding name; none for one that nobody knows.
///
/// # Errors
/// Internal if the vocabulary is broken.
pub fn counter(model: &str) -> Result<Option<Named>> {
    let Some(encoding) = encoding(model) else { return Ok(None) };
    let bpe = tiktoken_rs::bpe_for_tokenizer(encoding)
        .map_err(|cause| Error::internal(format!("the vocabulary of {model:?} cannot be loaded")).caused_by(cause))?;
    Ok(Some(Named { name: encoding_name(encoding).to_owned(), counter: Arc::new(Bpe { encoding, bpe }) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_match_the_encoding_of_a_model() {
        let counter_of = |model| counter(model).unwrap().unwrap().counter;
        let gpt4o = counter_of("gpt-4o");
        assert_eq!(gpt4o.count("hello world"), 2);
        assert_eq!(gpt4o.count("<|endoftext|>"), counter_of("o200k_base").count("<|endoftext|>"));
        assert!(gpt4o.count("<|endoftext|>") > 1, "text is data: special tokens in it are not special");
        let text = "fn größe() -> 漢字 { 1 }";
        assert_eq!(gpt4o.starts(text).len(), gpt4o.count(text));
        assert_eq!(gpt4o.count("hello world"), 2, "as the first time");
        assert_ne!(gpt4o.count(text), counter_of("r50k_base").count(text), "what is remembered is of one encoding");
        for (model, name) in [("gpt-4o", "o200k_base"), ("gpt-4", "cl100k_base"), ("o200k_harmony", "o200k_harmony")] {
            assert_eq!(counter(model).unwrap().unwrap().name, name);
        }
        assert!(counter("no-such-model").unwrap().is_none());
    }
}
