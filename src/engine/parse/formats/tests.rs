//! What is made of each format, and of files that are broken, locked or hostile. The PDFs below `fixtures/` were made with
//! reportlab; the archives are put together here.

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;

use super::page::page;
use super::*;
use crate::base::limits::{TABLE_COLUMNS_MAX, TABLE_ROWS_SAMPLED};
use crate::base::tokens::TokenCounter;
use crate::engine::parse::{self, ChunkSizes, Parsed, media};

/// A word is a token.
struct Words;

impl TokenCounter for Words {
    fn count(&self, text: &str) -> usize {
        text.split_whitespace().count()
    }

    fn starts(&self, text: &str) -> Vec<u32> {
        let base = text.as_ptr().addr();
        text.split_whitespace().map(|word| u32::try_from(word.as_ptr().addr() - base).unwrap()).collect()
    }
}

const LEDGER: &[u8] = include_bytes!("fixtures/ledger.pdf");

fn read(path: &str, bytes: &[u8]) -> Result<Parsed, Skip> {
    let media = media::detect(path, bytes)?;
    let sizes = ChunkSizes { tokens_max: 60, header_tokens_max: 24 };
    parse::arrange(path, parse::read(bytes, &media)?, &media, sizes, &Words)
}

fn text(path: &str, bytes: &[u8]) -> String {
    read(path, bytes).unwrap_or_else(|skip| panic!("{path} skipped: {skip}")).text
}

/// Each chunk's breadcrumb and text.
fn chunks(parsed: &Parsed) -> Vec<(&str, &str)> {
    let slice = |piece: &crate::engine::parse::Piece| piece.span.start as usize..piece.span.end as usize;
    parsed.pieces.iter().map(|piece| (piece.breadcrumb.as_str(), &parsed.text[slice(piece)])).collect()
}

fn zip(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(content.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

const CONTENT_TYPES: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Default Extension="xml" ContentType="application/xml"/>
<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/>
<Override PartName="/word/styles.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.styles+xml"/>
<Override PartName="/word/numbering.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.numbering+xml"/>
<Override PartName="/docProps/core.xml" ContentType="application/vnd.openxmlformats-package.core-properties+xml"/>
</Types>"#;

const RELATIONS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/>
<Relationship Id="r2" Type="http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties" Target="docProps/core.xml"/>
</Relationships>"#;

const DOCUMENT_RELATIONS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles" Target="styles.xml"/>
<Relationship Id="r2" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/numbering" Target="numbering.xml"/>
</Relationships>"#;

const STYLES: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<w:styles xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">
<w:style w:type="paragraph" w:styleId="Heading1"><w:name w:val="heading 1"/><w:pPr><w:outlineLvl w:val="0"/></w:pPr></w:style>
<w:style w:type="paragraph" w:styleId="Heading2"><w:name w:val="heading 2"/><w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style>
</w:styles>"#;

const NUMBERING: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<w:numbering xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">
<w:abstractNum w:abstractNumId="0"><w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="bullet"/><w:lvlText w:val="•"/></w:lvl></w:abstractNum>
<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num>
</w:numbering>"#;

const CORE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Survey of wells</dc:title></cp:coreProperties>"#;

fn docx(body: &str) -> Vec<u8> {
    let document = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>{body}</w:body></w:document>"#
    );
    zip(&[
        ("[Content_Types].xml", CONTENT_TYPES),
        ("_rels/.rels", RELATIONS),
        ("word/_rels/document.xml.rels", DOCUMENT_RELATIONS),
        ("word/document.xml", &document),
        ("word/styles.xml", STYLES),
        ("word/numbering.xml", NUMBERING),
        ("docProps/core.xml", CORE),
    ])
}

fn paragraph(properties: &str, text: &str) -> String {
    format!("<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>")
}

fn survey() -> Vec<u8> {
    let cell = |text: &str| format!("<w:tc>{}</w:tc>", paragraph("", text));
    let row = |one: &str, two: &str| format!("<w:tr>{}{}</w:tr>", cell(one), cell(two));
    let bullet = r#"<w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr>"#;
    docx(
        &[
            paragraph(r#"<w:pStyle w:val="Heading1"/>"#, "Wells"),
            paragraph("", "Seven wells were measured."),
            paragraph(r#"<w:pStyle w:val="Heading2"/>"#, "Depths"),
            format!("<w:tbl>{}{}</w:tbl>", row("well", "depth"), row("north", "41 m")),
            paragraph(bullet, "rope"),
            paragraph(bullet, "bucket"),
        ]
        .concat(),
    )
}

fn epub() -> Vec<u8> {
    let container = r#"<?xml version="1.0"?><container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>"#;
    let package = r#"<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:identifier id="id">x</dc:identifier><dc:title>Tides</dc:title><dc:language>en</dc:language></metadata><manifest><item id="b" href="b.xhtml" media-type="application/xhtml+xml"/><item id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest><spine><itemref idref="b"/><itemref idref="a"/></spine></package>"#;
    let chapter = |title: &str, text: &str| {
        format!(
            r#"<html xmlns="http://www.w3.org/1999/xhtml"><head><title>x</title></head><body><h1>{title}</h1><p>{text}</p></body></html>"#
        )
    };
    zip(&[
        ("mimetype", "application/epub+zip"),
        ("META-INF/container.xml", container),
        ("OEBPS/book.opf", package),
        ("OEBPS/a.xhtml", &chapter("Neap", "The moon is at its quarters.")),
        ("OEBPS/b.xhtml", &chapter("Spring", "Sun and moon pull together.")),
    ])
}

#[test]
fn a_chunk_of_a_pdf_names_its_page() {
    let parsed = read("ledger.pdf", LEDGER).unwrap();
    assert_eq!(parsed.title.as_deref(), Some("The keeper's ledger"));
    let chunks = chunks(&parsed);
    for (page, says) in [(1, "forty ships"), (2, "fog horn"), (4, "harbour master")] {
        let (crumb, _) = chunks.iter().find(|(_, text)| text.contains(says)).unwrap();
        assert!(crumb.ends_with(&format!("page {page}")), "{says}: {crumb}");
    }
    for piece in &parsed.pieces {
        let pages = piece.pages.unwrap();
        assert!(piece.breadcrumb.ends_with(&pages.to_string()), "{pages} {}", piece.breadcrumb);
    }
    assert!(parsed.pieces.iter().all(|piece| piece.symbols.is_empty()));
}

#[test]
fn tiny_pages_share_a_chunk_that_names_them_all() {
    let text = "One.\n\nTwo.\n\nThree.";
    let layout = crate::engine::parse::lines::paged(text, &[0, 6, 12]);
    let map = crate::base::tokens::TokenMap::new(&Words, text);
    let pieces = crate::engine::parse::chunk::cut(text, &layout, 60, &map, &Words);
    assert_eq!(pieces.iter().map(|piece| piece.breadcrumb.as_str()).collect::<Vec<_>>(), ["pages 1-3"]);
}

#[test]
fn pages_without_text_are_told_and_the_rest_is_kept() {
    let parsed = read("ledger.pdf", LEDGER).unwrap();
    assert_eq!(parsed.notes.get("pages").map(String::as_str), Some("4"));
    assert_eq!(parsed.notes.get(PAGES_WITHOUT_TEXT).map(String::as_str), Some("1 of 4: 3"));
    assert_eq!(read("scan.pdf", include_bytes!("fixtures/scan.pdf")), Err(Skip::Scanned));
}

#[test]
fn a_pdf_is_known_by_its_bytes_and_a_password_is_named() {
    assert!(text("download", LEDGER).contains("forty ships"));
    assert_eq!(read("locked.pdf", include_bytes!("fixtures/locked.pdf")), Err(Skip::Encrypted(Format::Pdf)));
    let open = text("open.pdf", include_bytes!("fixtures/open.pdf"));
    assert!(open.contains("forty ships"), "a file that anybody may open is read");
    assert_eq!(read("note.pdf", b"not a PDF at all"), Err(Skip::Damaged(Format::Pdf)));
}

#[test]
fn half_a_pdf_gives_what_is_there_or_says_that_it_is_damaged() {
    for end in (0..LEDGER.len()).step_by(97) {
        match read("ledger.pdf", &LEDGER[..end]) {
            Ok(parsed) => assert!(!parsed.text.trim().is_empty()),
            Err(skip) => {
                assert!(matches!(skip, Skip::Empty | Skip::Damaged(Format::Pdf) | Skip::Scanned), "{end}: {skip}")
            }
        }
    }
}

#[test]
fn bytes_that_are_flipped_in_a_pdf_end_in_text_or_in_a_reason() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    for _ in 0..200 {
        let mut bytes = LEDGER.to_vec();
        for _ in 0..8 {
            let at = random() % bytes.len();
            bytes[at] = random() as u8;
        }
        let _ = read("ledger.pdf", &bytes);
    }
}

#[test]
fn headings_tables_and_lists_of_a_docx_are_kept() {
    let parsed = read("wells.docx", &survey()).unwrap();
    assert_eq!(parsed.title.as_deref(), Some("Survey of wells"));
    for part in ["# Wells", "## Depths", "| well | depth |", "| north | 41 m |", "- rope", "- bucket"] {
        assert!(parsed.text.contains(part), "no {part:?} in:\n{}", parsed.text);
    }
    let all = chunks(&parsed);
    let depths = all.iter().find(|(_, text)| text.contains("41 m")).unwrap();
    assert!(depths.0.starts_with("Wells"), "{depths:?}");
}

#[test]
fn a_docx_that_is_cut_or_locked_is_named() {
    let whole = survey();
    for end in [30, whole.len() / 2, whole.len() - 10] {
        assert_eq!(read("wells.docx", &whole[..end]), Err(Skip::Damaged(Format::Docx)), "{end}");
    }
    assert_eq!(text("wells.docx", &docx("<w:p><w:r><w:t>never closed")), "never closed", "what is there is read");
    let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let locked = [&b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"[..], &[0; 512], &name].concat();
    assert_eq!(read("wells.docx", &locked), Err(Skip::Encrypted(Format::Docx)));
    assert_eq!(read("copy", &whole).unwrap().text, read("wells.docx", &whole).unwrap().text, "known by its bytes");
}

#[test]
fn deep_docx_does_not_end_the_stack() {
    let open = "<w:tbl><w:tr><w:tc>".repeat(20_000);
    let close = "</w:tc></w:tr></w:tbl>".repeat(20_000);
    let _ = read("deep.docx", &docx(&format!("{open}<w:p><w:r><w:t>deep</w:t></w:r></w:p>{close}")));
}

#[test]
fn chapters_of_an_epub_come_in_the_order_of_its_spine() {
    let parsed = read("tides.epub", &epub()).unwrap();
    assert_eq!(parsed.title.as_deref(), Some("Tides"));
    let (spring, neap) = (parsed.text.find("# Spring").unwrap(), parsed.text.find("# Neap").unwrap());
    assert!(spring < neap, "{}", parsed.text);
    let bytes = epub();
    assert_eq!(read("tides.epub", &bytes[..bytes.len() / 2]), Err(Skip::Damaged(Format::Epub)));
    let no_package = zip(&[("mimetype", "application/epub+zip"), ("META-INF/container.xml", "<container/>")]);
    assert_eq!(read("x.epub", &no_package), Err(Skip::Damaged(Format::Epub)));
}

#[test]
fn a_site_is_read_from_its_root_down_and_other_archives_are_not() {
    let site = zip(&[
        ("guide/setup.html", "<h1>Setup</h1><p>Turn the crank twice.</p>"),
        ("style.css", "body { color: red }"),
        ("index.html", "<p>Welcome to the mill.</p>"),
    ]);
    let parsed = read("docs.zip", &site).unwrap();
    let (welcome, setup) = (parsed.text.find("Welcome").unwrap(), parsed.text.find("# Setup").unwrap());
    assert!(welcome < setup && parsed.text.starts_with("# index.html"), "{}", parsed.text);
    assert!(!parsed.text.contains("color"));
    assert_eq!(text("download", &site), parsed.text, "known by its bytes");
    assert_eq!(read("docs.zip", &zip(&[("a.bin", "x")])), Err(Skip::Binary));
    for (name, is_opened) in
        [("v3.13-docs-html.zip", true), ("Manual.zip", true), ("data.zip", false), ("docker.zip", false)]
    {
        assert_eq!(media::skip_by_path(name, 1 << 20).is_none(), is_opened, "{name}");
    }
    assert_eq!(read("a.xlsx", &zip(&[("xl/workbook.xml", "<x/>")])), Err(Skip::Binary));
}

#[test]
fn bombs_are_met_before_they_go_off() {
    let zeros = "0".repeat(40 << 20);
    assert_eq!(read("bomb-html.zip", &zip(&[("a.html", &zeros)])), Err(Skip::Expands));
    let body = format!("<w:p><w:r><w:t>{zeros}</w:t></w:r></w:p>");
    assert_eq!(read("bomb.docx", &docx(&body)), Err(Skip::Expands));
    // Many that are each within the ratio's floor.
    let page = "0".repeat(1 << 20);
    let names: Vec<String> = (0..40).map(|at| format!("{at}.html")).collect();
    let entries: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), page.as_str())).collect();
    assert_eq!(read("many-docs.zip", &zip(&entries)), Err(Skip::Expands));
    assert!(Skip::Expands.as_str().contains("expands beyond"));
}

#[test]
fn cells_of_a_notebook_keep_their_code_and_the_head_of_their_outputs() {
    let long: Vec<String> = (0..100).map(|at| format!("row {at}\\n")).collect();
    let notebook = format!(
        r##"{{"nbformat": 4, "metadata": {{"kernelspec": {{"language": "julia"}}}}, "cells": [
        {{"cell_type": "markdown", "source": ["# Tides\n", "Measured at *noon*."]}},
        {{"cell_type": "code", "source": "height(3)", "outputs": [
            {{"output_type": "stream", "name": "stdout", "text": "{}"}},
            {{"output_type": "display_data", "data": {{"image/png": "iVBORw0KGgo="}}}}]}},
        {{"cell_type": "code", "source": ["oops()"], "outputs": [
            {{"output_type": "error", "ename": "UndefVarError", "evalue": "oops not defined", "traceback": ["\u001b[31m…"]}}]}},
        {{"cell_type": "code", "source": []}}]}}"##,
        long.concat()
    );
    let parsed = read("tides.ipynb", notebook.as_bytes()).unwrap();
    assert_eq!(parsed.title.as_deref(), Some("Tides"));
    let text = parsed.text;
    assert!(text.contains("# Tides\nMeasured") && text.contains("```julia\nheight(3)\n```"), "{text}");
    assert!(text.contains("row 0\n") && !text.contains("row 50") && text.contains('…'), "{text}");
    assert!(text.contains("UndefVarError: oops not defined"), "{text}");
    assert!(!text.contains("iVBOR"), "{text}");
}

#[test]
fn notebooks_of_old_versions_are_read_and_half_a_notebook_is_named() {
    let old = r##"{"nbformat": 3, "worksheets": [{"cells": [
        {"cell_type": "heading", "level": 2, "source": ["Old"]},
        {"cell_type": "code", "language": "python", "input": ["1 + 1"], "outputs": [{"output_type": "pyout", "text": ["2"]}]}]}]}"##;
    let text = text("old.ipynb", old.as_bytes());
    assert!(text.contains("## Old") && text.contains("1 + 1") && text.contains("\n2\n"), "{text}");
    for broken in [&old[..old.len() / 2], "{}", "[]", "text"] {
        assert_eq!(read("old.ipynb", broken.as_bytes()), Err(Skip::Damaged(Format::Notebook)), "{broken}");
    }
}

#[test]
fn a_table_is_told_by_its_columns_and_some_rows() {
    let mut csv = String::from("id;station;height;since;open\n");
    for at in 0..1_204 {
        let station = ["north", "south", "\"east; pier\""][at % 3];
        csv.push_str(&format!("{at};{station};{}.5;2001-02-{:02};{}\n", at % 7, at % 28 + 1, at % 2 == 0));
    }
    let parsed = read("stations.csv", csv.as_bytes()).unwrap();
    for part in [
        "Table of 1,204 rows and 5 columns.",
        "- id: integer, 0 to 1203",
        "- station: text, one of north; south; east; pier",
        "- height: number, 0.5 to 6.5",
        "- since: date, 2001-02-01 to 2001-02-28",
        "- open: true or false",
        "## 10 of 1,204 rows",
        "id,station,height,since,open\n0,north,0.5,2001-02-01,true",
    ] {
        assert!(parsed.text.contains(part), "no {part:?} in:\n{}", parsed.text);
    }
    assert!(parsed.text.len() < 1_500, "{}", parsed.text.len());
    assert_eq!(parsed.notes.get("rows").map(String::as_str), Some("1204"));
    assert_eq!(parsed.notes.get("rows_shown"), Some(&TABLE_ROWS_SAMPLED.to_string()));
    let chunks = chunks(&parsed);
    assert!(chunks.iter().any(|(crumb, text)| *crumb == "10 of 1,204 rows" && text.contains("north")), "{chunks:?}");
}

#[test]
fn a_short_table_is_shown_whole_and_a_ragged_one_is_survived() {
    let short = text("a.tsv", b"name\tport\nada\t80\ngrace, r\t443\n");
    assert!(short.contains("## Rows") && short.contains("ada,80\n\"grace, r\",443"), "{short}");
    let no_names = text("a.csv", b"1,2\n3,4\n");
    assert!(no_names.contains("Table of 2 rows") && no_names.contains("- column 1: integer, 1 to 3"), "{no_names}");
    let ragged = text("a.csv", b"a,b\n1\n1,2,3,4\n\"never closed\n1,2\n");
    assert!(ragged.contains("4 columns"), "{ragged}");
    let wide = "x,".repeat(100_000);
    let wide = read("wide.csv", wide.as_bytes()).unwrap();
    assert!(wide.text.lines().filter(|line| line.starts_with("- ")).count() <= TABLE_COLUMNS_MAX);
}

#[test]
fn a_long_list_of_json_is_told_by_its_fields() {
    let item = |at: usize| {
        format!(
            r#"{{"id": {at}, "name": "n{at}", "at": {{"lat": {at}.5}}, "tags": ["a", "b"]{}}}"#,
            if at.is_multiple_of(2) { ", \"even\": true" } else { "" }
        )
    };
    let items: Vec<String> = (0..300).map(item).collect();
    let list = format!("[{}]", items.join(",\n"));
    let lines = items.join("\n");
    for (path, json, opening) in [("a.json", &list, "List of 300 values."), ("a.jsonl", &lines, "300 lines of JSON.")] {
        let parsed = read(path, json.as_bytes()).unwrap();
        for part in [
            opening,
            "- id: integer, 0 to 299",
            "- name: text, e.g. n0; n1; n2",
            "- at.lat: number, 0.5 to 299.5",
            "- tags[]: text, one of a; b",
            "- even: true or false; in 150 of 300",
            r#"{"id": 0, "name": "n0""#,
        ] {
            assert!(parsed.text.contains(part), "{path}: no {part:?} in:\n{}", parsed.text);
        }
        assert!(parsed.text.len() < 3_000, "{path}");
        assert_eq!(parsed.notes.get("rows").map(String::as_str), Some("300"), "{path}");
    }
}

#[test]
fn small_json_is_its_own_text_and_large_json_must_be_whole() {
    for small in [r#"{"name": "x", "version": "1.0"}"#, "// settings\n{\"a\": 1,}", "[1, 2"] {
        assert_eq!(text("package.json", small.as_bytes()), small);
    }
    let ids: Vec<String> = (0..40_000).map(|at| format!("\"user-{at}\": {{\"age\": {}}}", at % 90)).collect();
    let large = format!("{{{}}}", ids.join(","));
    let described = text("users.json", large.as_bytes());
    assert!(described.contains("- *: 39,936 more fields") && described.len() < 8_000, "{}", described.len());
    assert_eq!(read("users.json", &large.as_bytes()[..large.len() / 2]), Err(Skip::Damaged(Format::Json)));
    let _ = read("deep.json", "[".repeat(1 << 20).as_bytes());
    let mostly_broken = "{\n".repeat(100);
    assert_eq!(read("a.jsonl", mostly_broken.as_bytes()), Err(Skip::Damaged(Format::JsonLines)));
}

const UGLY: &str = r##"<!doctype html><html><head><title>Winding a clock | Clock Blog</title>
<link rel="canonical" href="/clock?utm=0#top"><meta name="robots" content="index, noindex">
<script>document.write('<p>written by a script</p>')</script><style>p { color: red }</style></head>
<body><div class="cookie-banner" role="dialog">We value your privacy. <button>Accept all</button></div>
<nav><ul><li><a href="/">Home</a></li><li><a href="/shop">Shop</a></li></ul></nav>
<div class="sidebar"><h3>Popular</h3><a href="/other#x">Ten watches you must own</a></div>
<div id="content"><article><h1>Winding a clock</h1>
<p>An eight-day clock is wound once a week, always on the same day, and never beyond the point where the spring
resists, because an overwound spring may set and then the clock loses a minute a day until it is let down.</p>
<h2 id="key">The key<a class="headerlink" href="#key">¶</a></h2>
<p>Turn the <a href="parts/key.html">key</a> clockwise with an even hand, twelve half turns for the going train and
then fourteen for the striking train, and let it come back gently against the click before you take it out.</p>
<pre><code class="language-python">for turn in range(12):
    wind(turn)
</code></pre>
<p>If the key slips, stop at once: the click spring is worn, and the mainspring will unwind through your hand, which
is how most thumbs that belong to owners of clocks are broken.</p></article></div>
<a rel="nofollow" href="/paid">Paid</a> <a href="mailto:a@b.c">Mail</a> <a href="/shop">Shop again</a>
<footer>© Clock Blog. All rights reserved.</footer></body></html>"##;

#[test]
fn of_a_page_the_main_part_is_kept() {
    let page = page(UGLY, "https://clock.example/blog/winding");
    assert_eq!(page.title.as_deref(), Some("Winding a clock"));
    assert_eq!(page.canonical.as_deref(), Some("https://clock.example/clock?utm=0"));
    assert!(page.no_index);
    for part in [
        "# Winding a clock",
        "## The key\n",
        "[key](https://clock.example/blog/parts/key.html)",
        "```python\nfor turn in range(12):\n    wind(turn)\n```",
        "most thumbs",
    ] {
        assert!(page.markdown.contains(part), "no {part:?} in:\n{}", page.markdown);
    }
    for noise in ["privacy", "Home", "Ten watches", "rights reserved", "script", "color", "¶"] {
        assert!(!page.markdown.contains(noise), "{noise:?} in:\n{}", page.markdown);
    }
    assert_eq!(page.markdown.matches("# Winding").count(), 1, "{}", page.markdown);
    let expected = ["", "shop", "other", "blog/winding", "blog/parts/key.html"];
    assert_eq!(page.links, expected.map(|path| format!("https://clock.example/{path}")));
}

#[test]
fn names_are_spelt_plainly_and_code_is_left_alone() {
    let plain = crate::engine::parse::text::with_plain_names;
    assert_eq!(plain(r"call read\_file\_at now"), "call read_file_at now");
    assert_eq!(plain(r"\_private and a\_ b"), r"\_private and a\_ b", "these would begin or end emphasis");
    assert_eq!(plain("`a\\_b` c\\_d\n```tex\na\\_b\n```\nc\\_d"), "`a\\_b` c_d\n```tex\na\\_b\n```\nc_d");
    assert_eq!(plain(r"a \` b\_c"), r"a \` b_c");
}

#[test]
fn a_page_without_an_article_is_kept_whole_and_nonsense_is_survived() {
    let links: String = (0..40).map(|at| format!("<li><a href='/f{at}'>function_{at}</a></li>")).collect();
    let index = page(&format!("<title>API</title><body><h1>Index</h1><ul>{links}</ul>"), "https://x.example/api/");
    assert!(index.markdown.contains("function_0") && index.markdown.contains("function_39"), "{}", index.markdown);
    assert_eq!(index.links.len(), 40);
    for html in ["", "<", "plain", &"<div>".repeat(100_000), &"<b><i>".repeat(5_000), "<html></html>", "\0\u{fffd}"] {
        let _ = page(html, "no address");
    }
}

/// Files with fewer words say little: one that is missing is more than a twentieth.
const REFERENCE_WORDS_MIN: usize = 50;

/// Compares the words of real PDFs with those that `pdftotext` finds: run by `make pdf-reference`, which puts `x.pdf` and
/// `x.txt` side by side into the folder that the variable names.
#[test]
fn words_of_real_pdfs_are_those_of_pdftotext() {
    let Some(folder) = std::env::var_os("HIVEMEM_REFERENCE_PDFS") else { return };
    let (mut files, mut good, mut pages, mut spent) = (0, 0, 0, std::time::Duration::ZERO);
    let (mut hits, mut all) = (0, 0);
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let Ok(reference) = std::fs::read_to_string(path.with_extension("txt")) else { continue };
        let wanted = words(&reference);
        let total: usize = wanted.values().sum();
        if path.extension().is_none_or(|extension| extension != "pdf") || total < REFERENCE_WORDS_MIN {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let begun = std::time::Instant::now();
        let found = pdf::read(&bytes);
        spent += begun.elapsed();
        let have = words(found.as_ref().map(|found| found.text.as_str()).unwrap_or_default());
        let hit: usize = wanted.iter().map(|(word, &count)| count.min(have.get(word).copied().unwrap_or(0))).sum();
        let recall = hit as f64 / total as f64;
        println!("{:6.2} % of {total} words, {}: {:?}", 100.0 * recall, path.display(), found.as_ref().err());
        (files, pages) = (files + 1, pages + found.map_or(0, |found| found.pages.len()));
        (hits, all) = (hits + hit, all + total);
        good += usize::from(recall >= 0.95);
    }
    let (recall, speed) = (100.0 * hits as f64 / all as f64, f64::from(pages as u32) / spent.as_secs_f64());
    println!("{good} of {files} files at 95 %, {recall:.2} % of {all} words, {pages} pages, {speed:.0} pages/s");
    assert!(files >= 20 && good * 100 >= files * 95, "{good} of {files}");
}

fn words(text: &str) -> std::collections::HashMap<String, usize> {
    let mut counts = std::collections::HashMap::new();
    for word in text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()) {
        *counts.entry(word.to_lowercase()).or_default() += 1;
    }
    counts
}
