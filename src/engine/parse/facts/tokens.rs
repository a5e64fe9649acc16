//! The arguments of Rust's macros, which its grammar leaves as tokens. They are read as text: a name is known by what stands
//! around it.

use std::ops::Range;

use super::walk::{Walk, is_telling, span_in};
use crate::base::limits::FACT_NAME_BYTES_MAX;
use crate::model::EdgeKind;

/// Words before a name that is defined.
const DEFINING: [&str; 8] = ["fn", "mod", "struct", "enum", "trait", "type", "const", "static"];

impl<'a> Walk<'a> {
    /// Reads the names between the tokens at `range`; strings, comments and numbers are passed by.
    pub fn tokens(&mut self, range: Range<usize>) {
        let bytes = self.text.as_bytes();
        let mut at = range.start;
        while at < range.end {
            let end = match bytes[at] {
                b'"' => string_end(bytes, at),
                b'\'' => quote_end(bytes, at),
                b'/' if bytes[at..].starts_with(b"//") => line_end(bytes, at),
                b'/' if bytes[at..].starts_with(b"/*") => comment_end(self.text, at),
                b'0'..=b'9' => word_end(bytes, at),
                byte if is_word(byte) => self.word(at..word_end(bytes, at).min(range.end)),
                _ => at + 1,
            };
            at = end;
        }
    }

    /// A word between tokens: a name, or what a string or character begins with. Where it ends.
    fn word(&mut self, range: Range<usize>) -> usize {
        let (bytes, end) = (self.text.as_bytes(), range.end);
        match (&bytes[range.clone()], bytes.get(end)) {
            (b"r" | b"br" | b"cr", Some(b'"' | b'#')) => return raw_string_end(self.text, end),
            (b"b" | b"c", Some(b'"')) => return string_end(bytes, end),
            (b"b", Some(b'\'')) => return quote_end(bytes, end),
            _ => {}
        }
        // Not a variable of the macro.
        if range.start == 0 || bytes[range.start - 1] != b'$' {
            self.token(range);
        }
        end
    }

    /// A name between the tokens of a macro: what stands around it says what it is.
    fn token(&mut self, range: Range<usize>) {
        let name = self.text_at(range.clone());
        let before = self.text[..range.start].trim_end_matches(' ');
        let after = behind_generics(&self.text[range.end..]);
        if after.starts_with("::") || name == "Self" {
            return;
        }
        let lead = path_before(self.text, before.len());
        if let Some(word) = DEFINING.iter().find(|word| lead == **word && !before.ends_with([':', '.'])) {
            // Items in a macro's arguments are no nodes; but a module in there is another file all the same.
            if *word == "mod" && after.starts_with(';') {
                self.imported(range.start, "self", name, None);
            }
            return;
        }
        let (path, value) = match (before.ends_with("::"), before.ends_with('.')) {
            (true, _) => (lead.trim_end_matches(':').rsplit('.').next().unwrap_or_default(), false),
            (false, true) => (lead.trim_end_matches('.'), true),
            _ => ("", false),
        };
        let called = after.starts_with('(');
        if value {
            if called {
                let scope = self.token_receiver(path);
                self.call_on(range.start, scope, name);
            }
            return;
        }
        let scope: &'a str = if path == "Self" { self.scope().owner } else { self.text_at(span_in(self.text, path)) };
        let ignored = path.is_empty() && self.is_ignored(name);
        if ignored || self.is_built_in(path) {
            return;
        }
        if called || after.starts_with("!(") {
            self.say(EdgeKind::Calls, range.start, scope, name);
        } else if !path.is_empty() || self.known.contains(name) || is_telling(name) {
            self.say(EdgeKind::Uses, range.start, scope, name);
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

fn word_end(bytes: &[u8], at: usize) -> usize {
    at + bytes[at..].iter().take_while(|byte| is_word(**byte)).count()
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| at + end)
}

fn comment_end(text: &str, at: usize) -> usize {
    text[at..].find("*/").map_or(text.len(), |end| at + end + 2)
}

/// The end of a string whose quotation mark is at `at`.
fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while end < bytes.len() && bytes[end] != b'"' {
        end += if bytes[end] == b'\\' { 2 } else { 1 };
    }
    end + 1
}

/// The end of a raw string whose first `#` or quotation mark is at `at`; of a raw name just the `#`.
fn raw_string_end(text: &str, at: usize) -> usize {
    let hashes = text[at..].bytes().take_while(|byte| *byte == b'#').count();
    let Some(inner) = text[at + hashes..].strip_prefix('"') else { return at + hashes };
    let close = format!("\"{}", "#".repeat(hashes));
    let start = at + hashes + 1;
    inner.find(&close).map_or(text.len(), |end| start + end + close.len())
}

/// The end of a character, or of the mark of a lifetime with its name.
fn quote_end(bytes: &[u8], at: usize) -> usize {
    if bytes.get(at + 1) == Some(&b'\\') {
        // What is escaped may be a quotation mark itself.
        let behind = bytes.get(at + 3..).unwrap_or_default();
        return behind.iter().position(|byte| *byte == b'\'').map_or(bytes.len(), |close| at + 4 + close);
    }
    let end = at + 1 + bytes[at + 1..].iter().take_while(|byte| is_word(**byte)).count();
    match bytes.get(end) {
        Some(b'\'') if end > at + 1 => end + 1,
        // A sign between the marks.
        Some(_) if end == at + 1 && bytes.get(at + 2) == Some(&b'\'') => at + 3,
        _ => end,
    }
}

/// The names joined by `::` or dots that end at `end`, generics before the last `::` left out.
pub(super) fn path_before(text: &str, end: usize) -> &str {
    let before = &text[..end];
    let near = &before[before.floor_char_boundary(end.saturating_sub(FACT_NAME_BYTES_MAX))..];
    let near = near.strip_suffix(">::").and_then(|near| near.rfind('<').map(|open| &near[..open])).unwrap_or(near);
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '.');
    near[near.trim_end_matches(is_part).len()..].trim_start_matches(['.', ':'])
}

/// What follows after `::<…>`, if that comes first.
fn behind_generics(text: &str) -> &str {
    let generics = text.strip_prefix("::<").and_then(|inner| {
        let near = &inner[..inner.floor_char_boundary(FACT_NAME_BYTES_MAX)];
        near.find('>').map(|close| &inner[close + 1..])
    });
    generics.unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_name_is_passed_by_whole() {
        let rest =
            |text: &'static str, end: fn(&[u8], usize) -> usize| &text[end(text.as_bytes(), 0).min(text.len())..];
        assert_eq!(rest(r#""a\"b" c"#, string_end), " c");
        assert_eq!(rest(r"'\'' c", quote_end), " c");
        assert_eq!(rest(r"'\u{41}' c", quote_end), " c");
        assert_eq!(rest("'x' c", quote_end), " c");
        assert_eq!(rest("'(' c", quote_end), " c");
        assert_eq!(rest("'static c", quote_end), " c");
        assert_eq!(rest("\"open", string_end), "");
        assert_eq!(&"##\"a\"#b\"## c"[raw_string_end("##\"a\"#b\"## c", 0)..], " c");
        assert_eq!(raw_string_end("#type", 0), 1);
        assert_eq!(raw_string_end("#\"open", 0), 6);
    }

    #[test]
    fn a_path_ends_where_it_is_asked_for() {
        assert_eq!(path_before("x = a::b::", 10), "a::b::");
        assert_eq!(path_before("(self.a.", 8), "self.a.");
        assert_eq!(path_before("Vec::<u8>::", 11), "Vec::");
        assert_eq!(behind_generics("::<A>(x)"), "(x)");
        assert_eq!(behind_generics("(x)"), "(x)");
    }
}
