//! What stands before a name, in parts, whatever the language separates them by.

/// Where a scope starts to be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// Anywhere.
    Free,
    /// The type around: `self`, `Self`, `this`, `cls`.
    Own,
    /// What the type around inherits: `super` in most languages.
    Base,
    /// The root of the crate or package: Rust's `crate`.
    Root,
    /// So many folders (or modules) above: 0 is the one that the file is in.
    Above(usize),
}

/// A scope in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scope<'a> {
    pub start: Start,
    pub parts: Vec<&'a str>,
}

impl<'a> Scope<'a> {
    /// Splits `text` as `language` writes it.
    pub fn of(text: &'a str, language: &str) -> Self {
        let (start, rest) = match language {
            "rust" => rust(text),
            "python" => dotted(text),
            "javascript" | "typescript" if text.starts_with('.') => slashed(text),
            "c" | "cpp" if text.starts_with('.') => slashed(text),
            _ if text.starts_with("./") || text.starts_with("../") || matches!(text, "." | "..") => slashed(text),
            _ => (Start::Free, text),
        };
        let mut parts: Vec<&str> =
            rest.split([':', '.', '/', '\\', '>']).map(clean).filter(|part| !part.is_empty()).collect();
        if start != Start::Free {
            return Self { start, parts };
        }
        let start = match parts.first() {
            Some(&("self" | "Self" | "this" | "cls" | "static")) => Start::Own,
            Some(&("super" | "base" | "parent")) => Start::Base,
            _ => Start::Free,
        };
        if start != Start::Free {
            parts.remove(0);
        }
        Self { start, parts }
    }

    /// The last part, which is most often a type, module or receiver.
    pub fn last(&self) -> Option<&'a str> {
        self.parts.last().copied()
    }
}

/// A part without what is no name: pointers, calls, type arguments.
fn clean(part: &str) -> &str {
    let part = part.trim_matches(|c: char| matches!(c, ' ' | '-' | '&' | '*' | '"' | '\''));
    let end = part.find(['(', '<', '[', '{', '!', '?']).unwrap_or(part.len());
    part[..end].trim()
}

fn rust(text: &str) -> (Start, &str) {
    if let Some(rest) = text.strip_prefix("crate").filter(|rest| rest.is_empty() || rest.starts_with("::")) {
        return (Start::Root, rest);
    }
    let (mut above, mut rest) = (0, text);
    while let Some(after) = rest.strip_prefix("super").filter(|after| after.is_empty() || after.starts_with("::")) {
        above += 1;
        rest = after.trim_start_matches(':');
    }
    if above > 0 {
        return (Start::Above(above), rest);
    }
    match text.strip_prefix("self::") {
        Some(rest) => (Start::Above(0), rest),
        None => (Start::Free, text),
    }
}

/// Python: one dot is the package of the file, each further one the package above.
fn dotted(text: &str) -> (Start, &str) {
    let rest = text.trim_start_matches('.');
    match text.len() - rest.len() {
        0 => (Start::Free, text),
        dots => (Start::Above(dots - 1), rest),
    }
}

fn slashed(text: &str) -> (Start, &str) {
    let (mut above, mut rest) = (0, text);
    loop {
        if let Some(after) = rest.strip_prefix("../") {
            (above, rest) = (above + 1, after);
        } else if let Some(after) = rest.strip_prefix("./") {
            rest = after;
        } else if rest == ".." {
            return (Start::Above(above + 1), "");
        } else {
            return (Start::Above(above), if rest == "." { "" } else { rest });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_come_apart_as_their_language_writes_them() {
        let check = |text: &str, language: &str, start: Start, parts: &[&str]| {
            assert_eq!(Scope::of(text, language), Scope { start, parts: parts.to_vec() }, "{text}");
        };
        check("crate::base::ids", "rust", Start::Root, &["base", "ids"]);
        check("super::super::model", "rust", Start::Above(2), &["model"]);
        check("crates::x", "rust", Start::Free, &["crates", "x"]);
        check("self", "rust", Start::Own, &[]);
        check("Vec::<u8>", "rust", Start::Free, &["Vec"]);
        check("..pkg.mod", "python", Start::Above(1), &["pkg", "mod"]);
        check(".", "python", Start::Above(0), &[]);
        check("self.client", "python", Start::Own, &["client"]);
        check("../lib/x", "typescript", Start::Above(1), &["lib", "x"]);
        check("./a/b", "markdown", Start::Above(0), &["a", "b"]);
        check("std", "cpp", Start::Free, &["std"]);
        check("this->pool", "cpp", Start::Own, &["pool"]);
        check("java.util", "java", Start::Free, &["java", "util"]);
        check("super", "java", Start::Base, &[]);
    }
}
