//! Tokenizers by their `tokenizer.json`, as most open models have one, from the `tokenizers` crate.

use std::path::Path;
use std::sync::Arc;

use tokenizers::Tokenizer;

use crate::base::error::{Error, Kind, Result};
use crate::base::tokens::TokenCounter;

struct File(Tokenizer);

impl TokenCounter for File {
    fn count(&self, text: &str) -> usize {
        // What it can't encode has at most as many tokens as bytes.
        self.0.encode_fast(text, false).map_or(text.len(), |encoding| encoding.len())
    }

    fn starts(&self, text: &str) -> Vec<u32> {
        match self.0.encode(text, false) {
            Ok(encoding) => encoding.get_offsets().iter().map(|(start, _)| *start as u32).collect(),
            Err(_) => (0..text.len() as u32).collect(),
        }
    }
}

/// Loads one. Its truncation and padding are left out: they would hide how long a text is.
///
/// # Errors
/// Precondition if it can't be read or is none.
pub(super) fn load(path: &Path) -> Result<Arc<dyn TokenCounter>> {
    let message = || format!("cannot load {}: it must be a tokenizer.json as Hugging Face writes it", path.display());
    let mut tokenizer =
        Tokenizer::from_file(path).map_err(|cause| Error::new(Kind::Precondition, message()).caused_by(cause))?;
    tokenizer.with_padding(None);
    // Only switching it on can fail.
    let _ = tokenizer.with_truncation(None);
    Ok(Arc::new(File(tokenizer)))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Cuts words by a regular expression, as models like Llama do, and knows four pieces; truncates at two tokens.
    pub const SYLLABLES: &str = r#"{
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0},
        "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "hel|lo|wor|ld"}, "behavior": "Removed", "invert": true},
        "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": {"hel": 0, "lo": 1, "wor": 2, "ld": 3, "?": 4}, "unk_token": "?"}
    }"#;

    #[test]
    fn texts_are_counted_to_their_ends_and_starts_are_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokenizer.json");
        let spaced = SYLLABLES.replace("wor|ld", "wor|ld|ß");
        std::fs::write(&path, spaced).unwrap();
        let counter = load(&path).unwrap();
        assert_eq!(counter.count("helloworld"), 4, "truncation would say 2");
        assert_eq!(counter.starts("ßlold"), [0, 2, 4]);
    }
}
