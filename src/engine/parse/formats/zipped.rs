//! ZIP archives: which document one holds, its markup unpacked within bounds, and sites as archives of HTML.
//!
//! Nothing else unpacks a document's archive: the libraries that read DOCX and EPUB are given an archive that is already
//! unpacked here, so that a bomb is met with one set of limits.

use std::io::{Cursor, Read, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::{Extracted, Format};
use crate::base::limits::{
    ARCHIVE_ENTRIES_MAX, ARCHIVE_MARKUP_BYTES_MAX, ARCHIVE_RATIO_FLOOR_BYTES, ARCHIVE_RATIO_MAX, DOCUMENT_BYTES_MAX,
};
use crate::engine::parse::{Skip, text};

/// One unpacked entry.
struct Entry {
    name: String,
    bytes: Vec<u8>,
}

/// What an archive holds, by the names of its entries.
pub(super) fn format_of(bytes: &[u8]) -> Option<Format> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).ok()?;
    let (mut html, mut container) = (false, false);
    for at in 0..archive.len().min(ARCHIVE_ENTRIES_MAX) {
        let entry = archive.by_index_raw(at).ok()?;
        let name = entry.name().ok()?;
        match &*name {
            "word/document.xml" => return Some(Format::Docx),
            "META-INF/container.xml" => container = true,
            other => html |= is_html(other),
        }
    }
    match (container, html) {
        (true, _) => Some(Format::Epub),
        (false, true) => Some(Format::Site),
        (false, false) => None,
    }
}

fn extension(name: &str) -> String {
    name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default()
}

fn is_html(name: &str) -> bool {
    matches!(extension(name).as_str(), "html" | "htm" | "xhtml")
}

fn is_markup(name: &str) -> bool {
    is_html(name) || name == "mimetype" || matches!(extension(name).as_str(), "xml" | "rels" | "opf" | "ncx")
}

/// The entries that `wanted` names, unpacked.
fn unpack(format: Format, bytes: &[u8], wanted: fn(&str) -> bool) -> Result<Vec<Entry>, Skip> {
    let damaged = Skip::Damaged(format);
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|_| damaged)?;
    if archive.len() > ARCHIVE_ENTRIES_MAX {
        return Err(Skip::Expands);
    }
    let mut entries = Vec::new();
    let mut total = 0;
    for at in 0..archive.len() {
        let (name, packed) = {
            let raw = archive.by_index_raw(at).map_err(|_| damaged)?;
            let name = raw.name().map_err(|_| damaged)?.into_owned();
            if raw.is_dir() || !wanted(&name) {
                continue;
            }
            if raw.encrypted() {
                return Err(Skip::Encrypted(format));
            }
            (name, raw.compressed_size())
        };
        let entry = archive.by_index(at).map_err(|_| damaged)?;
        // What an archive says of its sizes may be a lie: count what really comes out.
        let ratio = packed.saturating_mul(ARCHIVE_RATIO_MAX).max(ARCHIVE_RATIO_FLOOR_BYTES);
        let room = (ARCHIVE_MARKUP_BYTES_MAX - total).min(ratio);
        let mut unpacked = Vec::new();
        entry.take(room + 1).read_to_end(&mut unpacked).map_err(|_| damaged)?;
        if unpacked.len() as u64 > room {
            return Err(Skip::Expands);
        }
        total += unpacked.len() as u64;
        entries.push(Entry { name, bytes: unpacked });
    }
    Ok(entries)
}

/// The archive with nothing but its markup, stored as it is.
pub(super) fn markup_only(format: Format, bytes: &[u8]) -> Result<Vec<u8>, Skip> {
    let damaged = |_| Skip::Damaged(format);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for entry in unpack(format, bytes, is_markup)? {
        writer.start_file(entry.name, stored).map_err(damaged)?;
        writer.write_all(&entry.bytes).map_err(|_| Skip::Damaged(format))?;
    }
    Ok(writer.finish().map_err(damaged)?.into_inner())
}

/// The pages of a site, the one nearest to its root first.
pub(super) fn read_site(bytes: &[u8]) -> Result<Extracted, Skip> {
    let mut entries = unpack(Format::Site, bytes, is_html)?;
    let place = |entry: &Entry| {
        let name = entry.name.to_ascii_lowercase();
        let file = name.rsplit('/').next().unwrap_or_default().to_owned();
        (name.matches('/').count(), !file.starts_with("index."), name)
    };
    entries.sort_by_cached_key(place);
    let mut out = String::new();
    let mut unreadable = 0;
    for entry in &entries {
        let Ok(html) = std::str::from_utf8(&entry.bytes) else {
            unreadable += 1;
            continue;
        };
        push_part(&mut out, &entry.name, &text::html_to_markdown(html));
        if out.len() as u64 > DOCUMENT_BYTES_MAX {
            return Err(Skip::TextTooLarge);
        }
    }
    let mut extracted = Extracted::markdown(out);
    extracted.note("files", entries.len());
    if unreadable > 0 {
        extracted.note("files_not_utf8", unreadable);
    }
    Ok(extracted)
}

/// Adds a part of a book or site; one that has no heading of its own gets its `name` as heading.
pub(super) fn push_part(out: &mut String, name: &str, markdown: &str) {
    let markdown = text::with_plain_names(markdown.trim());
    if markdown.is_empty() {
        return;
    }
    if !out.is_empty() {
        out.push_str("\n\n");
    }
    let begins = markdown.lines().take(PART_HEAD_LINES).any(|line| line.starts_with("# "));
    if !begins {
        out.push_str(&format!("# {name}\n\n"));
    }
    out.push_str(&markdown);
    out.push('\n');
}

/// Lines in which a part's own first heading counts as its title.
const PART_HEAD_LINES: usize = 20;
