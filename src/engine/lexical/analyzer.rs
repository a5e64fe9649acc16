//! How text becomes terms: words by their stems, identifiers by their parts and as a whole.
//!
//! Documents and queries go through the same analysis. `read_to_end`, `readToEnd` and `read-to-end` all give `read`,
//! `to`, `end` and the joined form `readtoend`, so that every spelling of a name meets every other; the joined form is
//! stemmed like a word so that `file_name` and `fileName` also meet the plain word `filename`. Scripts that write no
//! spaces are cut into overlapping pairs of characters. This module knows nothing of an index.

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

use super::fold::push_folded;
use super::stem::push_stem;

/// Version of this analysis; part of the index's manifest, since documents and queries must be cut alike.
pub const ANALYZER_VERSION: u32 = 1;

/// Longest term. What is longer and has no separators inside is an encoded blob that nobody searches for.
pub const TERM_BYTES_MAX: usize = 64;

/// A stretch with more changes between letters and digits than this is a hash or an encoded blob: kept whole only.
const ALTERNATIONS_MAX: usize = 4;

/// Most weight a stretch of text can be given; see [`weighted`].
pub const WEIGHT_MAX: u8 = 8;

/// Stemmed words, parts and joined forms of `text`, in order, with repeats: what is matched between query and document.
pub fn terms(text: &str) -> Vec<String> {
    let mut terms = Vec::with_capacity(text.len() / 6);
    let mut cutter = Cutter::new(text);
    while cutter.next_run() {
        terms.extend(cutter.terms().map(str::to_owned));
    }
    terms
}

/// Names in `text` that look like identifiers, in order, without repeats, as they are spelled: those in backticks, those
/// called like `this()`, and those with `_`, `::`, `.` or capitals inside.
pub fn identifiers(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut add = |name: &str| {
        if !name.is_empty() && name.len() <= 2 * TERM_BYTES_MAX && !found.iter().any(|known| known == name) {
            found.push(name.to_owned());
        }
    };
    for (i, stretch) in text.split('`').enumerate() {
        let quoted = i % 2 == 1;
        let name = stretch.trim().trim_end_matches("()");
        if quoted && !name.is_empty() && name.chars().all(is_name_char) {
            add(name.trim_matches(|c: char| matches!(c, '.' | ':')));
        } else {
            names_in(stretch, &mut add);
        }
    }
    found
}

fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | ':')
}

fn names_in(text: &str, add: &mut impl FnMut(&str)) {
    let mut rest = text;
    while let Some(start) = rest.find(is_name_char) {
        let run = &rest[start..];
        let end = run.find(|c| !is_name_char(c)).unwrap_or(run.len());
        let (name, after) = run.split_at(end);
        rest = after;
        let name = name.trim_matches(|c: char| matches!(c, '.' | ':'));
        let called = after.starts_with('(') && !after.starts_with("(s)");
        if looks_like_identifier(name) || (called && name.starts_with(|c: char| c.is_alphabetic())) {
            add(name);
        }
    }
}

fn looks_like_identifier(name: &str) -> bool {
    if !name.chars().any(char::is_alphabetic) {
        return false;
    }
    let long_part = || name.split(['.', ':']).any(|part| part.chars().count() > 1);
    let dotted = name.contains('.') && long_part();
    let lower = name.chars().any(char::is_lowercase);
    let inner_capital = name.chars().skip(1).any(char::is_uppercase) && lower && !is_plural_acronym(name.as_bytes());
    name.contains('_') || name.contains("::") || dotted || inner_capital
}

/// `URLs`, `IDs`: capitals with one `s`, which is a word and not an identifier.
fn is_plural_acronym(name: &[u8]) -> bool {
    match name.split_last() {
        Some((b's', capitals)) => capitals.len() >= 2 && capitals.iter().all(u8::is_ascii_uppercase),
        _ => false,
    }
}

/// Marks `text` so that each of its terms counts `weight` times when it is indexed.
///
/// The simple form of BM25F (Robertson, Zaragoza, Taylor 2004) adds weighted term frequencies of several fields before
/// saturation; repeating the terms in one field is the same sum and needs one posting list per term.
pub fn weighted(weight: u8, text: &str) -> String {
    debug_assert!((1..=WEIGHT_MAX).contains(&weight));
    let mut marked = String::with_capacity(text.len() + 1);
    marked.push(char::from(weight.clamp(1, WEIGHT_MAX)));
    marked.push_str(text);
    marked
}

/// Whether `text` begins with what [`weighted`] writes and so needs a mark of its own to be read as it is.
pub fn needs_mark(text: &str) -> bool {
    matches!(text.as_bytes().first(), Some(1..=WEIGHT_MAX))
}

/// The tokenizer that the index uses for documents.
#[derive(Debug, Clone, Default)]
pub struct Analyzer;

impl Tokenizer for Analyzer {
    type TokenStream<'a> = Terms<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Terms<'a> {
        let (weight, text) = if needs_mark(text) { (text.as_bytes()[0], &text[1..]) } else { (1, text) };
        Terms { cutter: Cutter::new(text), weight, repeats: 0, at: 0, token: Token { position: 0, ..Token::default() } }
    }
}

/// The terms of one text as tantivy reads them. Offsets are not kept: nothing is highlighted from this index.
pub struct Terms<'a> {
    cutter: Cutter<'a>,
    weight: u8,
    repeats: u8,
    at: usize,
    token: Token,
}

impl TokenStream for Terms<'_> {
    fn advance(&mut self) -> bool {
        self.token.position = self.token.position.wrapping_add(1);
        if self.repeats > 1 {
            self.repeats -= 1;
            return true;
        }
        while self.at >= self.cutter.ends.len() {
            if !self.cutter.next_run() {
                return false;
            }
            self.at = 0;
        }
        self.token.text.clear();
        self.token.text.push_str(self.cutter.term(self.at));
        self.at += 1;
        self.repeats = self.weight;
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

/// What an ASCII byte is to the cutter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Other,
    Lower,
    Upper,
    Digit,
    /// `_` and `-`: they join a name when letters or digits stand on both sides.
    Joiner,
    /// First byte of a character outside ASCII.
    Wide,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Other; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'a'..=b'z' => Class::Lower,
            b'A'..=b'Z' => Class::Upper,
            b'0'..=b'9' => Class::Digit,
            b'_' | b'-' => Class::Joiner,
            128..=255 => Class::Wide,
            _ => Class::Other,
        };
        byte += 1;
    }
    classes
};

/// Cuts a text run by run (a word or a whole identifier) into terms, into a buffer that it uses again.
struct Cutter<'a> {
    text: &'a str,
    at: usize,
    /// Terms of the current run, one after the other, and where each ends.
    buffer: String,
    ends: Vec<usize>,
    /// Pieces of the current run between joiners, and parts of a piece, as byte ranges of the text.
    pieces: Vec<(usize, usize)>,
    parts: Vec<(usize, usize)>,
    joined: String,
    lowered: String,
}

impl<'a> Cutter<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            buffer: String::new(),
            ends: Vec::new(),
            pieces: Vec::new(),
            parts: Vec::new(),
            joined: String::new(),
            lowered: String::new(),
        }
    }

    fn term(&self, i: usize) -> &str {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.buffer[start..self.ends[i]]
    }

    fn terms(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len()).map(|i| self.term(i))
    }

    /// Reads the next run; false at the end of the text. A run may give no terms.
    fn next_run(&mut self) -> bool {
        self.buffer.clear();
        self.ends.clear();
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            match CLASSES[byte as usize] {
                Class::Other | Class::Joiner => self.at += 1,
                Class::Wide => match self.text[self.at..].chars().next() {
                    Some(c) if is_unspaced(c) => {
                        self.pairs();
                        return true;
                    }
                    Some(c) if is_word_char(c) => break,
                    c => self.at += c.map_or(1, char::len_utf8),
                },
                _ => break,
            }
        }
        if self.at >= bytes.len() {
            return false;
        }
        if self.is_contraction() {
            self.at = self.end_of_letters();
            return true;
        }
        let ascii = self.find_pieces();
        self.cut(ascii);
        true
    }

    /// Whether the text here is the tail of "don't", "user's", "we'll": no term of its own.
    fn is_contraction(&self) -> bool {
        let bytes = self.text.as_bytes();
        let before = &self.text[..self.at];
        let quoted = before.strip_suffix('\'').or_else(|| before.strip_suffix('\u{2019}'));
        quoted.is_some_and(|word| word.ends_with(|c: char| c.is_alphabetic()))
            && bytes[self.at].is_ascii_lowercase()
            && self.end_of_letters() - self.at <= 2
    }

    fn end_of_letters(&self) -> usize {
        let rest = &self.text.as_bytes()[self.at..];
        self.at + rest.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(rest.len())
    }

    /// Finds the pieces of the run that starts here and moves behind it; returns whether it is all ASCII.
    fn find_pieces(&mut self) -> bool {
        let bytes = self.text.as_bytes();
        self.pieces.clear();
        let (mut start, mut at, mut ascii) = (self.at, self.at, true);
        loop {
            match bytes.get(at).map_or(Class::Other, |&byte| CLASSES[byte as usize]) {
                Class::Lower | Class::Upper | Class::Digit => at += 1,
                Class::Wide => match self.text[at..].chars().next() {
                    Some(c) if is_word_char(c) && !is_unspaced(c) => {
                        ascii = false;
                        at += c.len_utf8();
                    }
                    _ => break,
                },
                Class::Joiner => {
                    let next = at + 1 + bytes[at + 1..].iter().take_while(|&&byte| byte == b'_').count();
                    if !bytes.get(next).is_some_and(u8::is_ascii_alphanumeric) {
                        break;
                    }
                    self.pieces.push((start, at));
                    (start, at) = (next, next);
                }
                Class::Other => break,
            }
        }
        self.pieces.push((start, at));
        self.at = at;
        ascii
    }

    /// Turns the pieces into terms: every part, and the joined form if there are several.
    fn cut(&mut self, ascii: bool) {
        self.parts.clear();
        for &(start, end) in &self.pieces {
            if end - start > TERM_BYTES_MAX {
                continue;
            }
            if ascii {
                split_ascii(self.text.as_bytes(), start, end, &mut self.parts);
            } else {
                split_wide(self.text, start, end, &mut self.parts);
            }
        }
        self.joined.clear();
        for i in 0..self.parts.len() {
            let (start, end) = self.parts[i];
            self.lowered.clear();
            if ascii {
                self.lowered.push_str(&self.text[start..end]);
                self.lowered.make_ascii_lowercase();
            } else {
                push_folded(&self.text[start..end], &mut self.lowered);
            }
            push_stem(&self.lowered, &mut self.buffer);
            if self.buffer.len() > self.ends.last().copied().unwrap_or(0) {
                self.ends.push(self.buffer.len());
            }
            if self.joined.len() <= TERM_BYTES_MAX {
                self.joined.push_str(&self.lowered);
            }
        }
        if self.parts.len() > 1 && self.joined.len() <= TERM_BYTES_MAX {
            push_stem(&self.joined, &mut self.buffer);
            self.ends.push(self.buffer.len());
        }
    }

    /// Cuts the stretch of unspaced script that starts here into overlapping pairs; one character alone is a term.
    fn pairs(&mut self) {
        let rest = &self.text[self.at..];
        let end = rest.find(|c| !is_unspaced(c)).unwrap_or(rest.len());
        let run = &rest[..end];
        let mut starts = run.char_indices().map(|(at, _)| at).chain([end]);
        let (first, second) = (starts.next(), starts.next());
        if let (Some(mut start), Some(mut middle)) = (first, second) {
            let single = middle == end;
            for stop in starts {
                self.buffer.push_str(&run[start..stop]);
                self.ends.push(self.buffer.len());
                (start, middle) = (middle, stop);
            }
            if single {
                self.buffer.push_str(&run[start..middle]);
                self.ends.push(self.buffer.len());
            }
        }
        self.at += end;
    }
}

/// Parts of the ASCII piece `start..end`: at `aB`, before the last capital of `ABc`, and between letters and digits.
fn split_ascii(bytes: &[u8], start: usize, end: usize, parts: &mut Vec<(usize, usize)>) {
    if is_plural_acronym(&bytes[start..end]) {
        parts.push((start, end));
        return;
    }
    let (first, before) = (parts.len(), CLASSES[bytes[start] as usize]);
    let (mut part, mut last, mut alternations) = (start, before, 0);
    for at in start + 1..end {
        let class = CLASSES[bytes[at] as usize];
        let digit_border = (class == Class::Digit) != (last == Class::Digit);
        let hump = class == Class::Upper && last == Class::Lower;
        let acronym_end = class == Class::Lower && last == Class::Upper && at - part > 1;
        if digit_border || hump {
            parts.push((part, at));
            part = at;
        } else if acronym_end {
            parts.push((part, at - 1));
            part = at - 1;
        }
        alternations += usize::from(digit_border);
        last = class;
    }
    if alternations > ALTERNATIONS_MAX {
        parts.truncate(first);
        part = start;
    }
    parts.push((part, end));
}

/// The same for a piece with characters outside ASCII, by their Unicode case; digits stay with their letters.
fn split_wide(text: &str, start: usize, end: usize, parts: &mut Vec<(usize, usize)>) {
    let (mut part, mut lower_before) = (start, false);
    for (offset, c) in text[start..end].char_indices() {
        if c.is_uppercase() && lower_before {
            parts.push((part, start + offset));
            part = start + offset;
        }
        lower_before = c.is_lowercase();
    }
    parts.push((part, end));
}

/// Letters, digits, and the marks that stand inside words: combining accents, viramas and joiners, which Unicode does
/// not count as alphabetic.
fn is_word_char(c: char) -> bool {
    c.is_alphanumeric()
        || matches!(
            c,
            '\u{300}'
                ..='\u{36f}'
                    | '\u{94d}'
                    | '\u{9cd}'
                    | '\u{a4d}'
                    | '\u{acd}'
                    | '\u{b4d}'
                    | '\u{bcd}'
                    | '\u{c4d}'
                    | '\u{ccd}'
                    | '\u{d4d}'
                    | '\u{200c}'
                    | '\u{200d}'
        )
}

/// Scripts written without spaces between words, and Hangul, whose words carry their particles: Thai, Lao, Myanmar,
/// Khmer, kana, Han, Hangul.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
        | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}'
        | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9f}' | '\u{20000}'..='\u{323af}')
        && c != '\u{30fb}'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(text: &str) -> String {
        terms(text).join(" ")
    }

    #[test]
    fn identifiers_give_their_parts_and_their_joined_form() {
        for (text, expected) in [
            ("read_to_end", "read to end readtoend"),
            ("readToEnd", "read to end readtoend"),
            ("ReadToEnd", "read to end readtoend"),
            ("--read-to-end", "read to end readtoend"),
            ("HTTPServer", "http server httpserver"),
            ("parseHTTP2Frame", "pars http 2 frame parsehttp2frame"),
            ("std::io::Read", "std io read"),
            ("os.path.join(a/b)", "os path join a b"),
            ("sha256", "sha 256 sha256"),
            ("__init__", "init"),
            ("MAX_SIZE", "max size maxsiz"),
            ("URLs IDs", "url id"),
            ("x->y a - b", "x y a b"),
            ("a3f5b2c9d0e1", "a3f5b2c9d0e1"),
        ] {
            assert_eq!(cut(text), expected, "{text}");
        }
    }

    #[test]
    fn all_spellings_of_a_name_meet() {
        for spelling in ["fileName", "file_name", "FILE_NAME", "file-name", "FileName", "filename"] {
            assert_eq!(terms(spelling).last().unwrap(), "filenam", "{spelling}");
        }
    }

    #[test]
    fn words_are_stemmed_and_folded() {
        assert_eq!(cut("The user's connections don't close"), "the user connect don close");
        assert_eq!(cut("Café naïve Übung Straße ＡＢＣ"), "cafe naiv ubung strass abc");
        assert_eq!(cut("cafe\u{301}"), "cafe");
        assert_eq!(cut("'a 'static it’s"), "a static it");
    }

    #[test]
    fn other_scripts_are_kept_and_unspaced_ones_are_paired() {
        assert_eq!(cut("Быстрая лиса"), "быстрая лиса");
        assert_eq!(cut("東京都 猫"), "東京 京都 猫");
        assert_eq!(cut("日本語text"), "日本 本語 text");
        assert_eq!(cut("हिन्दी"), "हिन्दी");
    }

    #[test]
    fn blobs_are_dropped_but_long_names_keep_their_parts() {
        assert!(terms(&"aGVsbG8".repeat(20)).is_empty());
        let long = "this_is_the_name_of_a_test_that_says_what_it_expects_of_the_thing_it_is_testing_and_of_more";
        assert_eq!(terms(long).len(), long.split('_').count(), "no joined form above the limit");
        assert!(terms(&"é".repeat(40)).is_empty());
    }

    #[test]
    fn weights_repeat_terms() {
        let count = |text: &str| {
            let mut analyzer = Analyzer;
            let (mut n, mut stream) = (0, analyzer.token_stream(text));
            while stream.advance() {
                n += 1;
            }
            n
        };
        assert_eq!(count("read_to_end"), 4);
        assert_eq!(count(&weighted(3, "read_to_end")), 12);
        assert_eq!(count(&weighted(1, "\u{3}read_to_end")), 4, "only the first mark counts");
        assert_eq!(count(""), 0);
    }

    #[test]
    fn names_in_a_query_are_recognised() {
        let found = identifiers(
            "how does `spawn` or tokio::spawn differ from spawn_blocking() and JoinHandle, e.g. in mod.rs? see os.path. \
             URLs and HTTP are words, 3.14 a number; call flush() or function(s)",
        );
        let expected = ["spawn", "tokio::spawn", "spawn_blocking", "JoinHandle", "mod.rs", "os.path", "flush"];
        assert_eq!(found, expected);
        assert_eq!(identifiers("``` `` ` `a b_c` x"), ["b_c"]);
    }

    proptest! {
        #[test]
        fn any_text_is_cut_without_panic_into_bounded_terms(text in "\\PC*|[a-zA-Z0-9_'\\- é東京\u{301}]{0,80}") {
            for term in terms(&text) {
                prop_assert!(!term.is_empty() && term.len() <= 3 * TERM_BYTES_MAX, "{term:?}");
            }
            identifiers(&text);
        }

        #[test]
        fn spaces_around_a_text_change_nothing(text in "[a-zA-Z0-9_é ]{0,60}") {
            prop_assert_eq!(terms(&text), terms(&format!("  {text}\n")));
        }
    }
}
