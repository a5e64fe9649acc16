//! Lower case and plain letters for text outside ASCII.
//!
//! Latin letters lose their accents so that `café` and `cafe` meet; letters of other scripts keep everything but their
//! case, since there a mark makes another letter.

use std::cell::RefCell;

use tantivy::tokenizer::{AsciiFoldingFilter, RawTokenizer, TextAnalyzer};

thread_local! {
    static FOLDER: RefCell<TextAnalyzer> =
        RefCell::new(TextAnalyzer::builder(RawTokenizer::default()).filter(AsciiFoldingFilter).build());
}

/// Appends `word`, folded and in lower case, to `out`.
pub fn push_folded(word: &str, out: &mut String) {
    FOLDER.with_borrow_mut(|folder| {
        let mut stream = folder.token_stream(word);
        let folded = if stream.advance() { stream.token().text.as_str() } else { word };
        let mut last_latin = false;
        for c in folded.chars() {
            // A combining accent on a Latin letter is the decomposed spelling of what the filter folds.
            if last_latin && matches!(c, '\u{300}'..='\u{36f}') {
                continue;
            }
            last_latin = c.is_ascii();
            out.extend(c.to_lowercase());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latin_loses_accents_and_other_scripts_keep_theirs() {
        for (word, expected) in [("Éclair", "eclair"), ("E\u{301}clair", "eclair"), ("Йод", "йод"), ("ΣΟΦΌΣ", "σοφόσ")]
        {
            let mut out = String::new();
            push_folded(word, &mut out);
            assert_eq!(out, expected);
        }
    }
}
