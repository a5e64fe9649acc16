//! What a file is, by its name and its bytes, and what is left out and why.
//!
//! Skipping errs on the side of keeping: what is left out here can't be found later, so every rule names something
//! that nobody searches for (binaries, lock files, bundles, copies of other people's code).

use super::formats::{self, Format};
use super::path_rules::{Name, is_binary_name, is_generated_name, is_licence, is_vendored, role};
use super::{Media, Skip, language};
use crate::base::limits::DATA_BYTES_MAX;
use crate::model::{CONTEXT_MARK, DocumentKind};

/// Code whose lines are longer than this on average is packed by a machine; hand-written code is at 20 to 45.
const LINE_BYTES_MEAN_MAX: usize = 250;

/// Files shorter than this are never called minified: a one-line script may be long.
const MINIFIED_BYTES_MIN: usize = 4 * 1024;

/// How much of the start is searched for the mark of a generator.
const GENERATED_HEAD_BYTES: usize = 4 * 1024;

/// Lines of the start in which an informal mark counts; the formal one of Go counts in all of the head.
const GENERATED_HEAD_LINES: usize = 10;

impl Skip {
    /// All reasons.
    pub fn all() -> Vec<Self> {
        let mut all = vec![
            Self::Binary,
            Self::Encoding,
            Self::TooLarge,
            Self::PackedTooLarge,
            Self::DataTooLarge,
            Self::TextTooLarge,
            Self::TooManyPages,
            Self::Expands,
            Self::Scanned,
            Self::TooSlow,
            Self::Unreadable,
            Self::Minified,
            Self::Generated,
            Self::Vendored,
            Self::Empty,
            Self::Echo,
        ];
        all.extend(Format::ALL.into_iter().flat_map(|format| [Self::Encrypted(format), Self::Damaged(format)]));
        all
    }

    /// The stable phrase under which skips are counted and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Encoding => "not UTF-8",
            Self::TooLarge => "larger than 4 MiB",
            Self::PackedTooLarge => "larger than 64 MiB",
            Self::DataTooLarge => "settings or data larger than 256 KiB",
            Self::TextTooLarge => "more than 4 MiB of text",
            Self::TooManyPages => "more than 5000 pages",
            Self::Expands => "archive expands beyond 32 MiB, 20000 entries or 200 times its size",
            Self::Scanned => "scanned pages without text",
            Self::TooSlow => "takes longer than 60 s to read",
            Self::Unreadable => "no process to read it in",
            Self::Minified => "minified",
            Self::Generated => "generated",
            Self::Vendored => "vendored",
            Self::Empty => "empty",
            Self::Echo => "context that was handed out",
            Self::Encrypted(format) => match format {
                Format::Pdf => "encrypted PDF",
                Format::Docx => "encrypted DOCX",
                Format::Epub => "encrypted EPUB",
                Format::Site => "encrypted ZIP",
                Format::Notebook => "encrypted notebook",
                Format::Csv => "encrypted CSV",
                Format::Tsv => "encrypted TSV",
                Format::Json => "encrypted JSON",
                Format::JsonLines => "encrypted JSON Lines",
            },
            Self::Damaged(format) => match format {
                Format::Pdf => "damaged PDF",
                Format::Docx => "damaged DOCX",
                Format::Epub => "damaged EPUB",
                Format::Site => "damaged ZIP",
                Format::Notebook => "damaged notebook",
                Format::Csv => "damaged CSV",
                Format::Tsv => "damaged TSV",
                Format::Json => "damaged JSON",
                Format::JsonLines => "damaged JSON Lines",
            },
        }
    }

    /// Whether the document could not be read, rather than was left out by choice. It may be whole again the next time,
    /// so what is stored of it stays.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Damaged(_) | Self::TooSlow | Self::Unreadable)
    }
}

impl std::fmt::Display for Skip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Decides from path and size alone, before anything is read. `path` is relative to the source's root, so that a root
/// inside `node_modules` can be ingested by asking for it.
pub fn skip_by_path(path: &str, size: u64) -> Option<Skip> {
    let name = Name::of(path);
    if is_vendored(&name) {
        return Some(Skip::Vendored);
    }
    if size == 0 {
        return Some(Skip::Empty);
    }
    let format = Format::by_name(&name);
    if format.is_none() && is_binary_name(&name) {
        return Some(Skip::Binary);
    }
    if is_generated_name(&name) {
        return Some(Skip::Generated);
    }
    if name.ends_with(&[".min.js", ".min.css", ".min.mjs", ".min.cjs", "-min.js", ".bundle.js", ".min.html"]) {
        return Some(Skip::Minified);
    }
    if size > formats::bytes_max(path) {
        return Some(if format.is_some() { Skip::PackedTooLarge } else { Skip::TooLarge });
    }
    if size > DATA_BYTES_MAX && format.is_none() && data_type(&name).is_some() {
        return Some(Skip::DataTooLarge);
    }
    None
}

/// What the file at `path` with content `bytes` is.
///
/// # Errors
/// The reason to skip it.
pub fn detect(path: &str, bytes: &[u8]) -> Result<Media, Skip> {
    if let Some(skip) = skip_by_path(path, bytes.len() as u64) {
        return Err(skip);
    }
    let name = Name::of(path);
    if let Some(format) = Format::by_content(&name, bytes)? {
        return Ok(format.media(role(&name)));
    }
    let text = text_of(bytes)?;
    let media = classify(&name, text);
    let packed = matches!(media.kind, DocumentKind::Code) && is_packed(text);
    if packed {
        return Err(Skip::Minified);
    }
    // Generated prose (command references, API listings) is still the documentation people look for.
    if matches!(media.kind, DocumentKind::Code | DocumentKind::Data) && is_marked_generated(text) {
        return Err(Skip::Generated);
    }
    Ok(media)
}

/// The bytes as text without a byte order mark.
///
/// # Errors
/// Binary, encoding or empty.
pub fn text_of(bytes: &[u8]) -> Result<&str, Skip> {
    const MAGIC: &[&[u8]] =
        &[b"%PDF-", b"\x1f\x8b", b"PK\x03\x04", b"\x7fELF", b"\x89PNG", b"GIF8", b"\xca\xfe\xba\xbe"];
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(Skip::Encoding);
    }
    if bytes.contains(&0) || MAGIC.iter().any(|magic| bytes.starts_with(magic)) {
        return Err(Skip::Binary);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Skip::Encoding)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let begins = text.trim_start();
    if begins.is_empty() {
        return Err(Skip::Empty);
    }
    if begins.starts_with(CONTEXT_MARK.trim_end()) { Err(Skip::Echo) } else { Ok(text) }
}

fn classify(name: &Name, text: &str) -> Media {
    let role = role(name);
    let extension = name.extension();
    let media = |kind, media_type, language| Media { kind, role, media_type, language };
    if is_licence(name) {
        return media(DocumentKind::Text, "text/plain", None);
    }
    if let Some(format) = Format::by_name(name).filter(|format| !format.is_packed()) {
        return format.media(role);
    }
    if let Some(media_type) = prose_type(name) {
        return media(DocumentKind::Markdown, media_type, None);
    }
    if matches!(extension, Some("html" | "htm" | "xhtml")) {
        return media(DocumentKind::Html, "text/html", None);
    }
    let mut found = language::by_file_name(&name.file, extension);
    if found.is_none() && text.starts_with("#!") {
        found = language::by_shebang(text.lines().next().unwrap_or_default());
    }
    if found.is_none() && extension.is_none() {
        found = language::by_content(text);
    }
    if extension == Some("h") && is_cpp_header(text) {
        found = language::by_name("cpp");
    }
    // `.m` is MATLAB too, `.t` and `.v` are anything, but all of them are code of some sort.
    if let Some(language) = found {
        return media(DocumentKind::Code, language.media_type, Some(language.name));
    }
    if let Some(media_type) = data_type(name) {
        return media(DocumentKind::Data, media_type, None);
    }
    media(DocumentKind::Text, "text/plain", None)
}

fn prose_type(name: &Name) -> Option<&'static str> {
    Some(match name.extension()? {
        "md" | "markdown" | "mdown" | "mkd" | "mdx" | "qmd" | "rmd" => "text/markdown",
        "rst" | "rest" => "text/x-rst",
        "adoc" | "asciidoc" | "asc" => "text/asciidoc",
        "org" => "text/org",
        _ => return None,
    })
}

fn data_type(name: &Name) -> Option<&'static str> {
    let Some(extension) = name.extension() else {
        let rules = [".gitignore", ".gitattributes", ".editorconfig", ".dockerignore", "codeowners", ".env", ".npmrc"];
        return rules.contains(&name.file.as_str()).then_some("text/plain");
    };
    Some(match extension {
        "jsonc" | "json5" | "webmanifest" | "avsc" => "application/json",
        "toml" => "application/toml",
        "yaml" | "yml" => "application/yaml",
        "xml" | "xsd" | "xsl" | "xslt" | "plist" | "csproj" | "props" | "pom" | "rss" | "wsdl" => "application/xml",
        "svg" => "image/svg+xml",
        "ini" | "cfg" | "conf" | "properties" | "env" | "service" | "desktop" | "editorconfig" => "text/plain",
        "diff" | "patch" => "text/x-diff",
        "snap" | "lock" | "mod" | "sum" | "dat" | "fasta" => "text/plain",
        _ => return None,
    })
}

/// C++ in a `.h` file: words that C doesn't have, at the start of a line.
fn is_cpp_header(text: &str) -> bool {
    text.lines().any(|line| {
        let line = line.trim_start();
        ["class ", "namespace ", "template<", "template <", "public:", "private:", "protected:", "using namespace "]
            .iter()
            .any(|word| line.starts_with(word))
    })
}

fn is_packed(text: &str) -> bool {
    if text.len() < MINIFIED_BYTES_MIN {
        return false;
    }
    let lines = text.bytes().filter(|&byte| byte == b'\n').count() + 1;
    text.len() / lines > LINE_BYTES_MEAN_MAX
}

/// Whether the first lines carry a generator's mark in a comment.
fn is_marked_generated(text: &str) -> bool {
    const MARKS: &[&str] = &[
        "@generated",
        "do not edit",
        "file is generated",
        "file was generated",
        "file is automatically generated",
        "file was automatically generated",
        "file is auto-generated",
        "file is autogenerated",
        "automatically generated by",
        "auto-generated by",
        "autogenerated by",
        "autogenerated from",
    ];
    let head = &text[..text.floor_char_boundary(GENERATED_HEAD_BYTES)];
    head.lines().enumerate().any(|(at, line)| {
        let line = line.trim_start();
        let opens = ["//", "#", "/*", "*", "--", ";", "<!--", "%", "\"\"\"", "'"];
        let Some(comment) = opens.iter().find_map(|open| line.strip_prefix(open)) else { return false };
        if comment.starts_with(" Code generated ") && comment.contains("DO NOT EDIT") {
            return true;
        }
        if at >= GENERATED_HEAD_LINES {
            return false;
        }
        // A mark in quotes is talked about, not made.
        let comment = comment.to_lowercase();
        MARKS
            .iter()
            .any(|mark| comment.find(mark).is_some_and(|found| !comment[..found].ends_with(['"', '\'', '`', '“'])))
    })
}

#[cfg(test)]
#[path = "media_tests.rs"]
mod tests;
