//! Bytes to text, structure and chunks. Pure: no input or output, no clock.
//!
//! `media` says what a file is or why it is skipped, `text` and `formats` make text of it; `syntax` (by way of `language`, `grammar`
//! and `names`), `headings` and `lines` find where it may be cut and what those places are called (`layout`); `chunk`
//! cuts; `facts` says what the graph is to know.

use std::collections::BTreeMap;

use crate::base::tokens::{TokenCounter, TokenMap};
use crate::model::{DocumentKind, Facts, Lines, Pages, Role, Span};

pub mod aliases;
pub mod chunk;
pub mod entities;
pub mod facts;
pub mod formats;
pub mod functions;
pub mod grammar;
pub mod headings;
pub mod language;
pub mod layout;
pub mod lines;
pub mod media;
pub mod names;
mod path_rules;
pub mod syntax;
pub mod text;

use tree_sitter::Tree;

use facts::Markup;
use formats::{Extracted, Format};
use language::Grammar;
use layout::Layout;

/// Version of everything in this module that shapes chunks; part of the manifests, so that a change re-chunks.
pub const CHUNKER_VERSION: u32 = 2;

/// What a file is, decided from its name and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// What it is.
    pub kind: DocumentKind,
    /// What part it plays.
    pub role: Role,
    /// IANA media type.
    pub media_type: &'static str,
    /// Language, for code.
    pub language: Option<&'static str>,
}

/// Why a file is not ingested. The text form is counted and shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Skip {
    /// Not text.
    Binary,
    /// Bytes that are not UTF-8.
    Encoding,
    /// Over the limit for one document.
    TooLarge,
    /// Over the limit for a file whose text is extracted.
    PackedTooLarge,
    /// Settings or data over the limit for them.
    DataTooLarge,
    /// Its text is over the limit for one document.
    TextTooLarge,
    /// A PDF with more pages than are read.
    TooManyPages,
    /// An archive that unpacks to more than is read.
    Expands,
    /// A PDF of pictures.
    Scanned,
    /// Took longer to read than a document may.
    TooSlow,
    /// The process that was to read it can't be started.
    Unreadable,
    /// Locked by a password.
    Encrypted(Format),
    /// Not a whole document of its format.
    Damaged(Format),
    /// Minified or otherwise machine-packed.
    Minified,
    /// Written by a program (lock files, generated code, data dumps).
    Generated,
    /// Somebody else's code inside this tree.
    Vendored,
    /// Nothing but white space.
    Empty,
    /// A context that was handed out by retrieval.
    Echo,
}

/// A parsed document.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// Title or first heading.
    pub title: Option<String>,
    /// The text that spans refer to: the bytes decoded, or what was extracted from them.
    pub text: String,
    /// Pieces in order of start; see [`Piece`].
    pub pieces: Vec<Piece>,
    /// What it says of the graph.
    pub facts: Facts,
    /// See [`Extracted::notes`].
    pub notes: BTreeMap<String, String>,
}

/// A chunk before it has ids.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// Bytes of [`Parsed::text`].
    pub span: Span,
    /// The same as lines of [`Parsed::text`].
    pub lines: Lines,
    /// See [`Chunk::pages`].
    pub pages: Option<Pages>,
    /// Tokens of the span's text.
    pub tokens: u32,
    /// See [`Chunk::breadcrumb`].
    pub breadcrumb: String,
    /// See [`Chunk::symbols`].
    pub symbols: Vec<String>,
    /// See [`Chunk::outline`].
    pub outline: String,
}

/// Sizes of chunks in the embedder's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkSizes {
    /// Most tokens in a chunk's own text.
    pub tokens_max: usize,
    /// Most tokens of the header (path, headings, symbols) that is embedded before it.
    pub header_tokens_max: usize,
}

/// Cuts a text that was read by [`read`] into chunks.
///
/// Pieces are in order and don't overlap, begin and end at characters, hold at most [`ChunkSizes::tokens_max`] tokens
/// (a single character apart), aren't blank, and together hold every character of the text that isn't white space.
///
/// # Errors
/// The reason to skip it.
pub fn arrange(
    path: &str,
    mut read: Extracted,
    media: &Media,
    sizes: ChunkSizes,
    counter: &dyn TokenCounter,
) -> Result<Parsed, Skip> {
    if read.text.trim_start().is_empty() {
        return Err(Skip::Empty);
    }
    let map = TokenMap::new(counter, &read.text);
    let (mut layout, tree) = lay_out(path, &read, media, sizes.tokens_max, &map);
    let title = read.title.take().or(layout.title.take());
    let pieces = chunk::cut(&read.text, &layout, sizes.tokens_max, &map, counter);
    let facts = facts_of(&read.text, media, &layout, tree.as_ref());
    Ok(Parsed { title, text: read.text, pieces, facts, notes: read.notes })
}

/// The text of a document.
///
/// # Errors
/// The reason to skip it.
pub fn read(bytes: &[u8], media: &Media) -> Result<Extracted, Skip> {
    if let Some(format) = Format::of_media_type(media.media_type)
        && let Some(extracted) = formats::extract(format, bytes)?
    {
        return Ok(extracted);
    }
    let source = media::text_of(bytes)?;
    let text = match media.kind {
        DocumentKind::Html => text::html_to_markdown(source),
        _ => source.to_owned(),
    };
    Ok(Extracted { text, ..Extracted::default() })
}

fn lay_out(
    path: &str,
    read: &Extracted,
    media: &Media,
    tokens_max: usize,
    map: &TokenMap,
) -> (Layout, Option<(Grammar, Tree)>) {
    let text = read.text.as_str();
    let layout = match media.kind {
        _ if !read.pages.is_empty() => lines::paged(text, &read.pages),
        _ if read.markdown => headings::markdown(text),
        DocumentKind::Code => {
            let grammar = media.language.and_then(|language| Grammar::of(language, path));
            let oversize = |start, end| map.count(start, end) > tokens_max;
            let found = grammar.and_then(|grammar| Some((grammar, syntax::analyse(text, grammar, &oversize)?)));
            if let Some((grammar, found)) = found {
                let layout = Layout { breaks: found.breaks, symbols: found.symbols, ..Layout::default() };
                return (layout, Some((grammar, found.tree)));
            }
            lines::indented(text)
        }
        DocumentKind::Markdown => match media.media_type {
            "text/x-rst" => headings::rst(text),
            "text/asciidoc" => headings::marked(text, '='),
            "text/org" => headings::marked(text, '*'),
            _ => headings::markdown(text),
        },
        DocumentKind::Html | DocumentKind::Memory => headings::markdown(text),
        DocumentKind::Data => lines::indented(text),
        DocumentKind::Text => lines::plain(text),
    };
    (layout, None)
}

/// What the document says of the graph, from the same tree and headings that it is cut by.
fn facts_of(text: &str, media: &Media, layout: &Layout, tree: Option<&(Grammar, Tree)>) -> Facts {
    match tree {
        Some((grammar, tree)) => {
            let test = media.role == Role::Test;
            facts::of_code(&facts::Code { text, grammar: *grammar, tree, symbols: &layout.symbols, test })
        }
        None if media.kind == DocumentKind::Code => {
            // Code that no parser could make anything of, or that none is there for.
            let known = media.language.is_some_and(|language| Grammar::of(language, "").is_some());
            Facts { partial: known, ..Facts::default() }
        }
        None => match (media.kind, media.media_type) {
            (DocumentKind::Data, _) => Facts::default(),
            (DocumentKind::Markdown, "text/x-rst") => facts::of_prose(text, layout, Markup::Rst),
            (DocumentKind::Markdown, "text/asciidoc" | "text/org") | (DocumentKind::Text, _) => {
                facts::of_prose(text, layout, Markup::Plain)
            }
            _ => facts::of_prose(text, layout, Markup::Markdown),
        },
    }
}

/// What is embedded before a chunk's text: path, title and breadcrumb, a line each, cut to `tokens_max`.
///
/// What is most specific stays longest: the last breadcrumb, then the file name, the other breadcrumbs from the inside
/// out, the title, and the directories from the inside out.
pub fn header(
    path: &str,
    title: Option<&str>,
    breadcrumb: &str,
    tokens_max: usize,
    counter: &dyn TokenCounter,
) -> String {
    let directories: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let crumbs: Vec<&str> = breadcrumb.split(" > ").filter(|part| !part.is_empty()).collect();
    let title = title.map(str::trim).filter(|title| !title.is_empty() && !breadcrumb.starts_with(*title));
    let join = |directories: &[&str], title: Option<&str>, crumbs: &[&str]| {
        let lines = [directories.join("/"), title.unwrap_or_default().to_owned(), crumbs.join(" > ")];
        lines.into_iter().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
    };
    let (mut first_directory, mut first_crumb, mut shown_title) = (0, 0, title);
    loop {
        let text = join(&directories[first_directory..], shown_title, &crumbs[first_crumb..]);
        if counter.count(&text) <= tokens_max {
            return text;
        }
        if first_directory + 1 < directories.len() {
            first_directory += 1;
        } else if shown_title.is_some() && !crumbs.is_empty() {
            shown_title = None;
        } else if first_crumb + 1 < crumbs.len() {
            first_crumb += 1;
        } else if first_directory < directories.len() && first_crumb < crumbs.len() {
            first_directory += 1;
        } else {
            return clip(&text, tokens_max, counter);
        }
    }
}

/// The longest run of whole words from the start of `text` within `tokens_max`.
fn clip(text: &str, tokens_max: usize, counter: &dyn TokenCounter) -> String {
    let map = TokenMap::new(counter, text);
    let mut end = text.floor_char_boundary(map.reach(0, tokens_max).unwrap_or(text.len()));
    while end > 0 && counter.count(&text[..end]) > tokens_max {
        end = text.floor_char_boundary(end - 1);
    }
    text[..end].trim_end().to_owned()
}

#[cfg(test)]
mod tests;
