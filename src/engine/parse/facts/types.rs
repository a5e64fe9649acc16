//! Types as they are written, reduced to the name that a method would be looked up by.

use super::super::language::Grammar;

/// Types that stand for what they hold when a method is called on them: pointers, cells, and what is waited for or
/// may be missing.
const TRANSPARENT: &[&str] = &[
    "Annotated",
    "Arc",
    "Awaitable",
    "Box",
    "Cell",
    "ClassVar",
    "Cow",
    "Final",
    "LazyLock",
    "Mutex",
    "MutexGuard",
    "OnceCell",
    "OnceLock",
    "Option",
    "Optional",
    "Pin",
    "Promise",
    "Rc",
    "Readonly",
    "Ref",
    "RefCell",
    "RefMut",
    "Result",
    "RwLock",
    "Type",
    "shared_ptr",
    "type",
    "unique_ptr",
    "weak_ptr",
];

/// Words and signs before a type that say nothing of its name.
const LEADS: &[&str] = &[
    "&",
    "*",
    ":",
    "->",
    "...",
    "?",
    "mut ",
    "dyn ",
    "impl ",
    "const ",
    "static ",
    "struct ",
    "enum ",
    "union ",
    "class ",
    "final ",
    "readonly ",
    "unsafe ",
    "volatile ",
    "typename ",
    "async ",
];

/// Layers that are taken off a type at most.
const LAYERS_MAX: usize = 8;

/// The name of the type written as `text`, qualified if it is so there, without pointers, generics and what only
/// wraps it; `None` if it has no name (a tuple, an array, a function).
pub fn head(text: &str, grammar: Grammar) -> Option<&str> {
    let mut rest = text;
    for _ in 0..LAYERS_MAX {
        rest = stripped(rest, grammar);
        let open = rest.find(['<', '[']).unwrap_or(rest.len());
        let bar = rest.find([',', '|', '(', '{', '+']).unwrap_or(rest.len());
        let base = rest[..open.min(bar)].trim_end();
        if bar < open && rest[bar..].starts_with('|') {
            // Of a type or nothing the type counts.
            rest = if matches!(base, "None" | "null" | "undefined") { &rest[bar + 1..] } else { base };
            continue;
        }
        let last = base.rsplit([':', '.']).next().unwrap_or(base);
        if open < bar && TRANSPARENT.contains(&last) {
            let inner = &rest[open + 1..];
            rest = inner;
            continue;
        }
        // Both `*const T` and C's `T *`.
        let base = base.trim_end_matches(['*', '&', ' ', ';', '"', '\'', '>', ']', '?']);
        let base =
            if matches!(grammar, Grammar::C | Grammar::Cpp) { base.rsplit(' ').next().unwrap_or(base) } else { base };
        return is_path(base).then_some(base);
    }
    None
}

/// `text` without the signs and words that stand before a type's name.
fn stripped(text: &str, grammar: Grammar) -> &str {
    let mut rest = text.trim_start();
    loop {
        let before = rest;
        // Most types are names, and no word before one begins so.
        if rest.starts_with(|c: char| c.is_ascii_uppercase()) {
            return rest;
        }
        if grammar == Grammar::Rust {
            rest = without_lifetime(rest);
        } else {
            // A type may be named in a string.
            rest = rest.trim_start_matches(['"', '\'']);
        }
        for lead in LEADS {
            rest = rest.strip_prefix(lead).unwrap_or(rest).trim_start();
        }
        if rest == before {
            return rest;
        }
    }
}

fn without_lifetime(text: &str) -> &str {
    let Some(lifetime) = text.strip_prefix('\'') else { return text };
    match lifetime.find(|c: char| !c.is_alphanumeric() && c != '_') {
        Some(end) => lifetime[end..].trim_start_matches([' ', ',', '>']),
        None => text,
    }
}

/// Whether `text` is a name or names joined by `.` or `::`.
pub fn is_path(text: &str) -> bool {
    if text.is_ascii() {
        return is_ascii_path(text.as_bytes());
    }
    let mut starts = true;
    for c in text.chars() {
        let joins = matches!(c, '.' | ':');
        if !(joins || c == '_' || c == '$' || c.is_alphanumeric()) || starts && c.is_numeric() {
            return false;
        }
        starts = joins;
    }
    !starts
}

fn is_ascii_path(text: &[u8]) -> bool {
    let mut starts = true;
    for byte in text {
        let joins = matches!(byte, b'.' | b':');
        if !(joins || *byte == b'$' || is_word_byte(*byte)) || starts && byte.is_ascii_digit() {
            return false;
        }
        starts = joins;
    }
    !starts
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The last part of a path, and what stands before it.
pub fn split(path: &str) -> (&str, &str) {
    match path.rfind([':', '.']) {
        Some(at) => (path[..at].trim_end_matches([':', '.']), &path[at + 1..]),
        None => ("", path),
    }
}

/// Whether a name is written as types are: `Server`, `HTTPServer`, but not `MAX` or `server`.
pub fn is_type_like(name: &str) -> bool {
    let name = name.trim_start_matches('_');
    name.starts_with(char::is_uppercase) && (name.chars().any(char::is_lowercase) || name.chars().count() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_known_by_what_it_wraps() {
        let rust = |text| head(text, Grammar::Rust);
        assert_eq!(rust("&'a mut Server<T>"), Some("Server"));
        assert_eq!(rust("Arc<Mutex<crate::net::Pool>>"), Some("crate::net::Pool"));
        assert_eq!(rust("Result<Server, Error>"), Some("Server"));
        assert_eq!(rust("Option<&'a dyn Store>"), Some("Store"));
        assert_eq!(rust("impl Future<Output = u8> + Send"), Some("Future"));
        assert_eq!(rust("std::sync::MutexGuard<'_, State>"), Some("State"));
        assert_eq!(rust("(A, B)"), None);
        assert_eq!(rust("[u8; 4]"), None);
        let python = |text| head(text, Grammar::Python);
        assert_eq!(python("typing.Optional[\"Client\"]"), Some("Client"));
        assert_eq!(python("Client | None"), Some("Client"));
        assert_eq!(python("None | a.Client"), Some("a.Client"));
        assert_eq!(python("list[Client]"), Some("list"));
        assert_eq!(head(": Promise<Session | undefined>", Grammar::TypeScript), Some("Session"));
        assert_eq!(head("*http.Client", Grammar::Go), Some("http.Client"));
        assert_eq!(head("const struct foo *", Grammar::C), Some("foo"));
        assert_eq!(head("std::unique_ptr<Engine>", Grammar::Cpp), Some("Engine"));
        assert_eq!(rust(""), None);
        let long = ["&", "Box<", "'a "].map(|part| part.repeat(10_000));
        assert!(long.iter().all(|text| head(text, Grammar::Rust).is_none()));
    }

    #[test]
    fn paths_split_at_their_last_part() {
        assert_eq!(split("a::b::C"), ("a::b", "C"));
        assert_eq!(split("os.path"), ("os", "path"));
        assert_eq!(split("x"), ("", "x"));
        assert!(is_path("größe.Länge") && !is_path("a b") && !is_path("1a") && !is_path("a.") && !is_path(""));
        assert!(is_type_like("_Pool") && is_type_like("T") && !is_type_like("MAX") && !is_type_like("max"));
    }
}
