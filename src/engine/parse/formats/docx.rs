//! DOCX as Markdown: headings, lists and tables are kept, pictures and layout are not.

use std::io::Cursor;

use office_oxide::{Document, DocumentFormat};

use super::{Extracted, Format, zipped};
use crate::engine::parse::Skip;

/// How an OLE file begins: what Office makes of a DOCX when it is given a password.
const OLE_MAGIC: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";

/// Reads one.
pub(super) fn read(bytes: &[u8]) -> Result<Extracted, Skip> {
    if bytes.starts_with(OLE_MAGIC) {
        return Err(if is_locked(bytes) { Skip::Encrypted(Format::Docx) } else { Skip::Binary });
    }
    let plain = zipped::markup_only(Format::Docx, bytes)?;
    let document = Document::from_reader(Cursor::new(plain), DocumentFormat::Docx);
    let document = document.map_err(|_| Skip::Damaged(Format::Docx))?;
    let mut extracted = Extracted::markdown(document.to_markdown());
    extracted.title = document.to_ir().metadata.title.filter(|title| !title.trim().is_empty());
    Ok(extracted)
}

/// Whether an OLE file holds an encrypted package: the name of its stream, in UTF-16.
fn is_locked(bytes: &[u8]) -> bool {
    let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    bytes.windows(name.len()).any(|window| window == name)
}
