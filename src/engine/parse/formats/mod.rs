//! Documents that are not plain text: which format they have, and what of them is text.
//!
//! Spans, lines and citations refer to the extracted text; the content hash stays that of the bytes. Reading the
//! formats themselves is left to libraries; what is here says what to ask them for, bounds it, and lays out the answer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::path_rules::Name;
use super::{Media, Skip, media};
use crate::base::limits::{DOCUMENT_BYTES_MAX, PACKED_BYTES_MAX};
use crate::model::{DocumentKind, Role};

pub mod apart;
mod columns;
mod docx;
mod epub;
mod json;
mod notebook;
pub mod page;
mod pdf;
mod table;
mod zipped;

#[cfg(test)]
mod tests;

/// Version of everything in this module that shapes text. Part of the recipe of documents in these formats only, so
/// that a change reads them again and leaves all others alone.
pub const FORMATS_VERSION: u32 = 1;

/// Name of the note that says which pages of a document hold nothing but pictures.
pub const PAGES_WITHOUT_TEXT: &str = "pages_without_text";

/// A format whose text has to be extracted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Format {
    /// Pages of text.
    Pdf,
    /// Word processing as ZIP of XML.
    Docx,
    /// A book as ZIP of XHTML.
    Epub,
    /// A site as ZIP of HTML. Of files called `.zip` only those whose name says so are looked into.
    Site,
    /// Cells of prose and code with outputs.
    Notebook,
    /// Rows of columns, with any of the usual separators.
    Csv,
    /// Rows of columns between tabs.
    Tsv,
    /// One value.
    Json,
    /// One value a line.
    JsonLines,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Pdf,
        Self::Docx,
        Self::Epub,
        Self::Site,
        Self::Notebook,
        Self::Csv,
        Self::Tsv,
        Self::Json,
        Self::JsonLines,
    ];

    /// IANA media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            Self::Epub => "application/epub+zip",
            Self::Site => "application/zip",
            Self::Notebook => "application/x-ipynb+json",
            Self::Csv => "text/csv",
            Self::Tsv => "text/tab-separated-values",
            Self::Json => "application/json",
            Self::JsonLines => "application/jsonl",
        }
    }

    /// The inverse of [`Self::media_type`].
    pub fn of_media_type(media_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.media_type() == media_type)
    }

    /// What a file of this name claims to be.
    pub fn by_path(path: &str) -> Option<Self> {
        Self::by_name(&Name::of(path))
    }

    pub(super) fn by_name(name: &Name) -> Option<Self> {
        Some(match name.extension()? {
            "pdf" => Self::Pdf,
            "docx" => Self::Docx,
            "epub" => Self::Epub,
            "zip" if is_named_site(name) => Self::Site,
            "ipynb" => Self::Notebook,
            "csv" => Self::Csv,
            "tsv" | "tab" => Self::Tsv,
            "json" | "geojson" => Self::Json,
            "jsonl" | "ndjson" => Self::JsonLines,
            _ => return None,
        })
    }

    /// What bytes are, if they are packed; the name decides only where they don't say. `Ok(None)`: not packed.
    ///
    /// # Errors
    /// Packed in a way that nobody reads.
    pub(super) fn by_content(name: &Name, bytes: &[u8]) -> Result<Option<Self>, Skip> {
        let named = Self::by_name(name).filter(|format| format.is_packed());
        if bytes.starts_with(b"%PDF-") {
            return Ok(Some(Self::Pdf));
        }
        if !bytes.starts_with(b"PK\x03\x04") {
            // Broken or locked ones are told apart when they are read. A text that is called `.zip` is neither.
            return Ok(named.filter(|&format| format != Self::Site));
        }
        match zipped::format_of(bytes) {
            Some(format) => Ok(Some(format)),
            None => match named {
                Some(format @ (Self::Docx | Self::Epub)) => Ok(Some(format)),
                _ => Err(Skip::Binary),
            },
        }
    }

    /// Whether its bytes are not text themselves.
    pub fn is_packed(self) -> bool {
        matches!(self, Self::Pdf | Self::Docx | Self::Epub | Self::Site)
    }

    /// How its text is treated.
    pub fn kind(self) -> DocumentKind {
        match self {
            Self::Pdf => DocumentKind::Text,
            Self::Docx | Self::Epub | Self::Notebook => DocumentKind::Markdown,
            Self::Site => DocumentKind::Html,
            Self::Csv | Self::Tsv | Self::Json | Self::JsonLines => DocumentKind::Data,
        }
    }

    pub(super) fn media(self, role: Role) -> Media {
        Media { kind: self.kind(), role, media_type: self.media_type(), language: None }
    }

    /// Its name in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pdf => "PDF",
            Self::Docx => "DOCX",
            Self::Epub => "EPUB",
            Self::Site => "ZIP",
            Self::Notebook => "notebook",
            Self::Csv => "CSV",
            Self::Tsv => "TSV",
            Self::Json => "JSON",
            Self::JsonLines => "JSON Lines",
        }
    }
}

/// Words in the name of an archive that say that it holds pages to read.
const SITE_WORDS: &[&str] = &[
    "html",
    "htmlzip",
    "doc",
    "docs",
    "documentation",
    "site",
    "website",
    "book",
    "guide",
    "handbook",
    "help",
    "manual",
    "wiki",
];

/// Whether an archive's name says that it holds pages. Others are data or programs, and large: they are not opened, let
/// alone at each sync, to see that.
fn is_named_site(name: &Name) -> bool {
    name.stem().split(|c: char| !c.is_alphanumeric()).any(|word| SITE_WORDS.contains(&word))
}

/// Most bytes that a file of this name may have to be read.
pub fn bytes_max(path: &str) -> u64 {
    if Format::by_path(path).is_some() { PACKED_BYTES_MAX } else { DOCUMENT_BYTES_MAX }
}

/// The text of a document, and what is known of it beside.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Extracted {
    /// What spans refer to.
    pub text: String,
    /// Whether the text is Markdown that was made here, whatever kind the document is.
    pub markdown: bool,
    /// The title that the format keeps.
    pub title: Option<String>,
    /// Where pages begin in `text`, ascending; empty: it has none.
    pub pages: Vec<usize>,
    /// What a reader should know: pages without text, rows that are not shown.
    pub notes: BTreeMap<String, String>,
}

impl Extracted {
    fn markdown(text: String) -> Self {
        Self { text, markdown: true, ..Self::default() }
    }

    fn note(&mut self, name: &str, value: impl ToString) {
        self.notes.insert(name.to_owned(), value.to_string());
    }
}

/// The text of `bytes`; `None` where the bytes are already the text to index.
///
/// # Errors
/// The reason to skip it.
pub fn extract(format: Format, bytes: &[u8]) -> Result<Option<Extracted>, Skip> {
    let extracted = match format {
        Format::Pdf => pdf::read(bytes)?,
        Format::Docx => docx::read(bytes)?,
        Format::Epub => epub::read(bytes)?,
        Format::Site => zipped::read_site(bytes)?,
        Format::Notebook => notebook::read(media::text_of(bytes)?)?,
        Format::Csv => table::read(media::text_of(bytes)?, None)?,
        Format::Tsv => table::read(media::text_of(bytes)?, Some(b'\t'))?,
        Format::Json | Format::JsonLines => match json::read(media::text_of(bytes)?, format)? {
            Some(extracted) => extracted,
            None => return Ok(None),
        },
    };
    if extracted.text.len() as u64 > DOCUMENT_BYTES_MAX {
        return Err(Skip::TextTooLarge);
    }
    if extracted.text.trim_start().is_empty() { Err(Skip::Empty) } else { Ok(Some(extracted)) }
}

/// `text` on one line and no longer than `bytes_max`, with an ellipsis where it was cut.
fn clipped(text: &str, bytes_max: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.len() <= bytes_max {
        return line;
    }
    format!("{}…", line[..line.floor_char_boundary(bytes_max)].trim_end())
}

/// `1204` as `1,204`.
fn counted(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
