//! EPUB as Markdown: the chapters in the order of the spine.

use std::io::Cursor;

use rbook::Epub;

use super::{Extracted, Format, zipped};
use crate::base::limits::DOCUMENT_BYTES_MAX;
use crate::engine::parse::{Skip, text};

/// Reads one.
pub(super) fn read(bytes: &[u8]) -> Result<Extracted, Skip> {
    let damaged = Skip::Damaged(Format::Epub);
    let plain = zipped::markup_only(Format::Epub, bytes)?;
    let book = Epub::options().skip_toc(true).read(Cursor::new(plain)).map_err(|_| damaged)?;
    let mut out = String::new();
    let mut missing = 0;
    for (at, chapter) in book.reader().enumerate() {
        let Ok(chapter) = chapter else {
            missing += 1;
            continue;
        };
        zipped::push_part(&mut out, &format!("Part {}", at + 1), &text::html_to_markdown(chapter.content()));
        if out.len() as u64 > DOCUMENT_BYTES_MAX {
            return Err(Skip::TextTooLarge);
        }
    }
    if out.is_empty() && missing > 0 {
        return Err(damaged);
    }
    let mut extracted = Extracted::markdown(out);
    extracted.title = book.metadata().title().map(|title| title.value().trim().to_owned());
    extracted.title = extracted.title.filter(|title| !title.is_empty());
    if missing > 0 {
        extracted.note("chapters_missing", missing);
    }
    Ok(extracted)
}
