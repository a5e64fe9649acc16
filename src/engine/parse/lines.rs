//! Places to cut in text that has nothing but lines: prose, data, code without a grammar, code in Markdown, comments.

use std::ops::Range;

use super::layout::{Break, Layout};

/// Deepest indentation that makes levels of its own, in steps of two columns.
const INDENT_LEVELS_MAX: usize = 40;

/// Lays out prose without markup: paragraphs are told by blank lines.
pub fn plain(text: &str) -> Layout {
    let mut breaks = vec![Break::start()];
    let mut after_blank = false;
    each_line(text, 0..text.len(), |at, line| {
        let blank = line.trim_ascii().is_empty();
        if after_blank && !blank {
            breaks.push(Break::plain(at, u8::from(matches!(line.first(), Some(b' ' | b'\t')))));
        }
        after_blank = blank;
    });
    Layout { breaks, ..Layout::default() }
}

/// Lays out prose in pages, which begin at `pages`: a chunk runs across a page only if both parts of it are tiny.
pub fn paged(text: &str, pages: &[usize]) -> Layout {
    let mut layout = plain(text);
    for cut in &mut layout.breaks {
        cut.level += 1;
    }
    let starts = pages.iter().map(|&at| Break { hard: true, ..Break::plain(at, 0) });
    layout.breaks.extend(starts);
    layout.breaks.sort_by_key(|cut| (cut.at, cut.level));
    layout.breaks.dedup_by_key(|cut| cut.at);
    Layout { pages: pages.to_vec(), ..layout }
}

/// Lays out text with structure but without a grammar.
pub fn indented(text: &str) -> Layout {
    let mut breaks = vec![Break::start()];
    by_indentation(text, 0..text.len(), 0, |cut| breaks.push(cut));
    Layout { breaks, ..Layout::default() }
}

/// Breaks between the lines of `range`, the first line apart, at levels from `base` on: the less a line is indented,
/// the better it is to cut before it, and better still after a blank line.
pub fn by_indentation(text: &str, range: Range<usize>, base: u8, mut found: impl FnMut(Break)) {
    let start = range.start;
    let mut after_blank = false;
    let mut after_comment = false;
    each_line(text, range, |at, line| {
        let content = line.trim_ascii_start();
        let Some(&first) = content.first() else {
            after_blank = true;
            after_comment = false;
            return;
        };
        let columns: usize = line[..line.len() - content.len()].iter().map(|&c| if c == b'\t' { 4 } else { 1 }).sum();
        // A closing line belongs to what it closes, and the line after a comment to the comment.
        let closes = matches!(first, b'}' | b']' | b')') || content.starts_with(b"</") || content.starts_with(b"end");
        if at > start && !closes && (after_blank || !after_comment) {
            let level = 2 * (columns / 2).min(INDENT_LEVELS_MAX) + usize::from(!after_blank);
            found(Break::plain(at, base.saturating_add(u8::try_from(level).unwrap_or(u8::MAX))));
        }
        after_blank = false;
        after_comment = [&b"//"[..], b"--", b"# ", b"/*"].iter().any(|open| content.starts_with(open))
            || matches!(first, b';' | b'*' | b'@');
    });
}

/// Breaks between the lines of a comment or a long string, the first line apart, at levels from `base` on: before
/// headings, then after blank lines, then anywhere.
pub fn in_comment(text: &str, range: Range<usize>, base: u8, mut found: impl FnMut(usize, u8)) {
    const MARKS: &[&str] = &["///", "//!", "//", "/**", "*", "##", "#", ";;", "--"];
    let start = range.start;
    let mut after_blank = false;
    each_line(text, range, |at, line| {
        let line = line.trim_ascii();
        let mark = MARKS.iter().find(|mark| line.starts_with(mark.as_bytes())).map_or(0, |mark| mark.len());
        let content = line[mark..].trim_ascii();
        if content.is_empty() {
            after_blank = true;
            return;
        }
        if at > start {
            let heading = mark > 1 && content.starts_with(b"#") && after_blank;
            let level = if heading { 0 } else { 2 - u8::from(after_blank) };
            found(at, base.saturating_add(level));
        }
        after_blank = false;
    });
}

fn each_line(text: &str, range: Range<usize>, mut visit: impl FnMut(usize, &[u8])) {
    let mut at = range.start;
    for line in text.as_bytes()[range].split_inclusive(|&byte| byte == b'\n') {
        visit(at, line);
        at += line.len();
    }
}
