//! Code that is named in prose: code spans, links of documentation comments, identifiers in code blocks.

use super::types;
use crate::base::limits::FACT_NAME_BYTES_MAX;

/// Words in code spans that name nothing: values and keywords.
const EMPTY_WORDS: &[&str] = &[
    "None",
    "Some",
    "Ok",
    "Err",
    "True",
    "False",
    "true",
    "false",
    "null",
    "nil",
    "undefined",
    "self",
    "Self",
    "this",
    "async",
    "await",
    "const",
    "static",
    "return",
    "while",
    "import",
    "from",
    "class",
    "struct",
    "enum",
    "impl",
    "trait",
    "unsafe",
    "where",
    "match",
    "else",
    "break",
    "continue",
    "yield",
    "lambda",
    "export",
    "default",
    "function",
    "let",
    "var",
    "pub",
    "use",
    "mod",
    "for",
    "def",
    "int",
    "str",
    "bool",
    "float",
    "string",
    "String",
    "usize",
    "Vec",
    "Option",
    "Result",
    "dict",
    "list",
    "tuple",
    "the",
    "and",
];

/// Endings of file names, so that `main.rs` is a file and `main.run` is not.
const FILE_ENDINGS: &[&str] = &[
    "rs", "py", "js", "ts", "tsx", "jsx", "go", "java", "c", "h", "cc", "cpp", "hpp", "rb", "sh", "md", "rst", "toml",
    "json", "yaml", "yml", "txt", "html", "css", "sql", "proto", "cfg", "ini", "lock", "xml",
];

/// The scope and name that a code span names: a path of a file, names joined by `::`, `.` or `#`, an identifier.
/// `None` if it is none of these.
pub fn named(span: &str) -> Option<(&str, &str)> {
    let text = span.trim().trim_start_matches(['&', '*', '@', '~', '!']);
    if text.len() > FACT_NAME_BYTES_MAX || text.len() < 2 {
        return None;
    }
    // A call, with or without arguments; generics.
    let end = text.find(['(', '<', '!', '[', '{', ' ']).unwrap_or(text.len());
    let (path, rest) = text.split_at(end);
    let called = rest.starts_with('(') || rest == "!" || rest.starts_with("!(") || rest.starts_with('<');
    if !(rest.is_empty() || called && rest.ends_with([')', '!', '>', ']'])) {
        return None;
    }
    let path = path.trim_start_matches("::").trim_start_matches("./");
    if let Some(file) = file(path) {
        return Some(file);
    }
    let (scope, name) = match path.rfind(['#', ':', '.']) {
        Some(at) => (path[..at].trim_end_matches([':', '.', '#']), &path[at + 1..]),
        None => ("", path),
    };
    let scope_ok = scope.is_empty() || scope.split('#').all(types::is_path);
    let plain = scope.is_empty() && !called;
    let empty = plain && (name.len() < 3 || EMPTY_WORDS.contains(&name));
    (scope_ok && types::is_path(name) && !empty).then_some((scope, name))
}

/// A path of a file or folder.
fn file(path: &str) -> Option<(&str, &str)> {
    let whole = path.trim_end_matches('/');
    let (folder, name) = whole.rsplit_once('/').unwrap_or(("", whole));
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let is_file = FILE_ENDINGS.contains(&ending) && name.len() > ending.len() + 1;
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '@' | '+');
    let in_folder = !folder.is_empty() && !path.starts_with("//");
    ((is_file || in_folder) && !name.is_empty() && whole.chars().all(fits)).then_some((folder, name))
}

/// Gives what a comment names, with its place: `code`, [`links`], {@link Javadoc}, :role:`targets`.
pub fn in_comment<'c>(text: &'c str, mut found: impl FnMut(usize, &'c str, &'c str)) {
    let mut at = 0;
    while let Some(open) = opening(&text.as_bytes()[at..]).map(|open| at + open) {
        let (inner, close) = match text.as_bytes()[open] {
            b'`' => {
                let ticks = text[open..].bytes().take_while(|byte| *byte == b'`').count();
                let start = open + ticks;
                if ticks > 2 {
                    // A block of code is not one name.
                    at = text[start..].find("```").map_or(text.len(), |end| start + end + ticks).min(text.len());
                    at = text.ceil_char_boundary(at);
                    continue;
                }
                let end = text[start..].find(['`', '\n']).map_or(text.len(), |end| start + end);
                (start..end, if text[end..].starts_with('`') { end + ticks } else { end })
            }
            b'[' => {
                let end = text[open..].find([']', '\n', '`']).map_or(text.len(), |end| open + end);
                let linked = text[end..].starts_with(']') && !text[end..].starts_with("](http");
                if !linked || !looks_like_code(&text[open + 1..end]) {
                    at = open + 1;
                    continue;
                }
                (open + 1..end, end)
            }
            _ => {
                let lead = ["{@link ", "{@code ", "{@linkplain "].iter().find(|lead| text[open..].starts_with(**lead));
                let Some(lead) = lead else {
                    at = open + 1;
                    continue;
                };
                let start = open + lead.len();
                let end = text[start..].find(['}', ' ', '\n']).map_or(text.len(), |end| start + end);
                (start..end, end)
            }
        };
        if let Some((scope, name)) = named(text[inner.clone()].trim_start_matches('~')) {
            found(inner.start, scope, name);
        }
        at = text.ceil_char_boundary(close.max(open + 1).min(text.len()));
    }
}

/// Whether there may be anything in a comment.
pub fn may_name(comment: &[u8]) -> bool {
    opening(comment).is_some()
}

/// The first mark that may open a name. Most blocks have none, which is found out many bytes at a time.
fn opening(bytes: &[u8]) -> Option<usize> {
    const BLOCK_BYTES: usize = 64;
    let opens = |byte: &u8| matches!(byte, b'`' | b'[' | b'{');
    let block = bytes.chunks(BLOCK_BYTES).position(|block| block.iter().fold(false, |any, byte| any | opens(byte)))?;
    let start = block * BLOCK_BYTES;
    bytes[start..].iter().position(opens).map(|at| start + at)
}

/// Whether a word can only be a name in code: it is joined, or has capitals inside, or an underscore.
pub fn looks_like_code(word: &str) -> bool {
    let inner = |c: char| c.is_uppercase();
    let mixed = word.chars().skip(1).any(inner) && word.chars().any(char::is_lowercase);
    word.contains("::") || word.contains('_') && word.len() > 2 || mixed || word.ends_with("()")
}

/// Gives what a block of code in prose names: qualified names, calls, and words that can only be names.
pub fn in_block<'c>(text: &'c str, found: impl FnMut(usize, &'c str, &'c str)) {
    in_text(text, true, found);
}

/// Gives the words of plain prose that can only be names in code.
pub fn in_words<'c>(text: &'c str, found: impl FnMut(usize, &'c str, &'c str)) {
    in_text(text, false, found);
}

fn in_text<'c>(text: &'c str, is_code: bool, mut found: impl FnMut(usize, &'c str, &'c str)) {
    let bytes = text.as_bytes();
    let is_start = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || !byte.is_ascii();
    let mut at = 0;
    while at < bytes.len() {
        if !is_start(bytes[at]) {
            at += 1;
            continue;
        }
        let start = at;
        let mut telling = false;
        while at < bytes.len()
            && (is_start(bytes[at]) || bytes[at].is_ascii_digit() || matches!(bytes[at], b':' | b'.'))
        {
            telling |= matches!(bytes[at], b'_' | b':') || at > start && bytes[at].is_ascii_uppercase();
            at += 1;
        }
        let called = is_code && bytes.get(at) == Some(&b'(') && at - start > 2;
        // Most words are just words.
        if !(telling || called) || at - start > FACT_NAME_BYTES_MAX {
            continue;
        }
        let word = text[start..at].trim_matches(|c: char| !c.is_alphanumeric() && c != '_');
        let (scope, name) = types::split(word);
        if (called || looks_like_code(word)) && types::is_path(word) && !EMPTY_WORDS.contains(&name) {
            found(start, scope, name);
        }
    }
}
