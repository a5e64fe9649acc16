//! PDF as text in pages.
//!
//! A hostile file can make the library panic, recurse or take its time. Panics are caught here; for the rest a server
//! reads PDFs in a process of its own ([`super::apart`]).

use std::panic::{AssertUnwindSafe, catch_unwind};

use pdf_oxide::PdfDocument;
use pdf_oxide::optional_content::decode_pdf_text_string;

use super::{Extracted, Format, PAGES_WITHOUT_TEXT, clipped, counted};
use crate::base::limits::{DOCUMENT_BYTES_MAX, PAGES_MAX};
use crate::engine::parse::Skip;

/// Longest title.
const TITLE_BYTES_MAX: usize = 300;

/// Reads one.
pub(super) fn read(bytes: &[u8]) -> Result<Extracted, Skip> {
    let damaged = Skip::Damaged(Format::Pdf);
    guarded(|| {
        let document = PdfDocument::from_bytes(bytes.to_vec()).map_err(|_| damaged)?;
        // Many files are locked against changes only: whoever has no password may read them.
        if document.is_encrypted() && !document.authenticate(b"").unwrap_or(false) {
            return Err(Skip::Encrypted(Format::Pdf));
        }
        read_pages(&document)
    })
    .unwrap_or(Err(damaged))
}

/// `None` if it panicked. The library is given nothing that outlives the call.
fn guarded<T>(read: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(read)).ok()
}

fn read_pages(document: &PdfDocument) -> Result<Extracted, Skip> {
    let damaged = Skip::Damaged(Format::Pdf);
    let count = document.page_count().map_err(|_| damaged)?;
    if count > PAGES_MAX {
        return Err(Skip::TooManyPages);
    }
    let mut extracted = Extracted { title: title(document), ..Extracted::default() };
    let (mut pictured, mut failed) = (Vec::new(), Vec::new());
    for page in 0..count {
        let text = guarded(|| document.extract_text(page)).and_then(Result::ok);
        if !extracted.text.is_empty() {
            extracted.text.push_str("\n\n");
        }
        extracted.pages.push(extracted.text.len());
        match text {
            None => failed.push(page + 1),
            Some(text) if text.trim().is_empty() => {
                // A page that was left blank lacks nothing.
                let pictures = guarded(|| document.page_image_handles(page).is_ok_and(|found| !found.is_empty()));
                if pictures.unwrap_or(true) {
                    pictured.push(page + 1);
                }
            }
            Some(text) => extracted.text.push_str(text.trim()),
        }
        if extracted.text.len() as u64 > DOCUMENT_BYTES_MAX {
            return Err(Skip::TextTooLarge);
        }
    }
    if extracted.text.trim().is_empty() {
        return Err(match (failed.is_empty(), pictured.is_empty()) {
            (false, _) => damaged,
            (true, false) => Skip::Scanned,
            (true, true) => Skip::Empty,
        });
    }
    extracted.note("pages", count);
    for (name, pages) in [(PAGES_WITHOUT_TEXT, pictured), ("pages_damaged", failed)] {
        if !pages.is_empty() {
            extracted.note(name, format!("{} of {}: {}", counted(pages.len()), counted(count), ranges(&pages)));
        }
    }
    Ok(extracted)
}

/// The title that the document's information names, unless a program put a file name there.
fn title(document: &PdfDocument) -> Option<String> {
    let named = guarded(|| {
        let info = document.resolve_object(document.trailer().as_dict()?.get("Info")?).ok()?;
        let title = document.resolve_object(info.as_dict()?.get("Title")?).ok()?;
        Some(decode_pdf_text_string(title.as_string()?))
    });
    let title = clipped(&named??, TITLE_BYTES_MAX);
    let is_file_name = !title.contains(' ') && title.contains('.');
    let is_nothing = title.is_empty() || title.eq_ignore_ascii_case("untitled");
    (!is_file_name && !is_nothing).then_some(title)
}

/// `[1, 2, 3, 7]` as `1-3, 7`.
fn ranges(pages: &[usize]) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for &page in pages {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == page => *last = page,
            _ => runs.push((page, page)),
        }
    }
    let shown =
        runs.iter().map(|&(first, last)| if first == last { format!("{first}") } else { format!("{first}-{last}") });
    clipped(&shown.collect::<Vec<_>>().join(", "), TITLE_BYTES_MAX)
}
