//! Prose with headings: Markdown, reStructuredText, AsciiDoc and Org as places to cut and paths of headings.

use std::ops::Range;

use pulldown_cmark::{Event, HeadingLevel, MetadataBlockKind, Options, Parser, Tag, TagEnd};

use super::facts::Marks;
use super::layout::{Break, Heading, Layout};
use super::lines;

/// Level of a cut between blocks (paragraphs, lists, code); headings have 0 to 5.
const BLOCK_LEVEL: u8 = 8;

/// Level of a cut between lines of code; blocks have up to 42.
const CODE_LEVEL: u8 = 64;

/// Deepest nesting of blocks that makes levels of its own.
const NESTING_MAX: usize = 16;

/// A section shorter than this many bytes that ends in a colon introduces what follows.
const INTRODUCTION_BYTES_MAX: usize = 400;

/// Lays out Markdown.
pub fn markdown(text: &str) -> Layout {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS
        | Options::ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS
        | Options::ENABLE_HEADING_ATTRIBUTES;
    let mut build = Builder::new(text);
    let mut depth = 0_usize;
    let mut heading: Option<Heading> = None;
    let mut in_metadata = false;
    let mut marks = Marks::default();
    for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
        marks.see(&event, &range);
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                heading = Some(Heading { at: range.start, level: number(level), title: String::new() });
            }
            Event::End(TagEnd::Heading(_)) => {
                if let Some(heading) = heading.take() {
                    // A heading in a quote or a list belongs to what it stands in.
                    if depth == 0 { build.heading(heading) } else { build.block(heading.at, depth, true) }
                }
            }
            Event::Start(Tag::MetadataBlock(kind)) => {
                in_metadata = kind == MetadataBlockKind::YamlStyle;
                build.block(range.start, depth, false);
            }
            Event::End(TagEnd::MetadataBlock(_)) => in_metadata = false,
            Event::Text(piece) if in_metadata => build.metadata(&piece),
            Event::Text(piece) | Event::Code(piece) => {
                if let Some(heading) = &mut heading {
                    heading.title.push_str(&piece);
                }
            }
            Event::SoftBreak | Event::HardBreak => {
                if let Some(heading) = &mut heading {
                    heading.title.push(' ');
                }
            }
            Event::Start(Tag::CodeBlock(_)) => {
                build.block(range.start, depth, false);
                build.code(range);
            }
            Event::Start(tag) => {
                if let Some(markup) = block_markup(&tag) {
                    build.block(range.start, depth, markup);
                    depth += usize::from(nests(&tag));
                }
            }
            Event::End(tag) => depth = depth.saturating_sub(usize::from(nests_end(&tag))),
            Event::Rule | Event::Html(_) => build.block(range.start, depth, false),
            _ => {}
        }
    }
    build.layout.marks = marks.finish();
    build.finish()
}

fn number(level: HeadingLevel) -> u8 {
    level as u8
}

/// Whether a tag is a block, and if so whether it holds prose.
fn block_markup(tag: &Tag<'_>) -> Option<bool> {
    match tag {
        Tag::Paragraph | Tag::Item | Tag::BlockQuote(_) | Tag::List(_) | Tag::FootnoteDefinition(_) => Some(true),
        Tag::HtmlBlock | Tag::Table(_) | Tag::TableRow => Some(false),
        _ => None,
    }
}

fn nests(tag: &Tag<'_>) -> bool {
    matches!(tag, Tag::Item | Tag::BlockQuote(_) | Tag::List(_) | Tag::Table(_) | Tag::FootnoteDefinition(_))
}

fn nests_end(tag: &TagEnd) -> bool {
    matches!(tag, TagEnd::Item | TagEnd::BlockQuote(_) | TagEnd::List(_) | TagEnd::Table | TagEnd::FootnoteDefinition)
}

/// Lays out reStructuredText: titles are underlined, and the order in which the underlines appear ranks them.
pub fn rst(text: &str) -> Layout {
    let mut build = Builder::new(text);
    let mut ranks: Vec<(char, bool)> = Vec::new();
    let lines = lines_of(text);
    let mut at = 0;
    while at < lines.len() {
        let (start, line) = lines[at];
        let next = lines.get(at + 1).map_or("", |next| next.1);
        let after = lines.get(at + 2).map_or("", |after| after.1);
        let over = underline(line).filter(|&mark| underline(after) == Some(mark) && is_title(next.trim_start()));
        let under = underline(next).filter(|_| is_title(line) && next.trim_end().chars().count() + 1 >= width(line));
        let (style, title, taken) = match (over, under) {
            (Some(mark), _) => ((mark, true), next, 3),
            (None, Some(mark)) => ((mark, false), line, 2),
            (None, None) => {
                build.line(start, at.checked_sub(1).map(|before| lines[before].1), line);
                at += 1;
                continue;
            }
        };
        let rank = ranks.iter().position(|&known| known == style).unwrap_or_else(|| {
            ranks.push(style);
            ranks.len() - 1
        });
        let level = u8::try_from(rank + 1).unwrap_or(6).min(6);
        build.heading(Heading { at: start, level, title: title.trim().to_owned() });
        at += taken;
    }
    build.finish()
}

/// Lays out AsciiDoc (`== Section`) or Org (`** Section`).
pub fn marked(text: &str, mark: char) -> Layout {
    let mut build = Builder::new(text);
    let mut before = None;
    let mut fenced = false;
    for (start, line) in lines_of(text) {
        let depth = line.chars().take_while(|&c| c == mark).count();
        let title = line[depth..].strip_prefix(' ').map(str::trim).filter(|title| !title.is_empty());
        fenced ^= line.starts_with("----") || line.starts_with("....");
        match title {
            Some(title) if (1..=6).contains(&depth) && !fenced => {
                let level = u8::try_from(depth).unwrap_or(6);
                build.heading(Heading { at: start, level, title: title.to_owned() });
            }
            _ => build.line(start, before, line),
        }
        before = Some(line);
    }
    build.finish()
}

fn lines_of(text: &str) -> Vec<(usize, &str)> {
    let mut at = 0;
    let with_start = |line: &'_ str| {
        let start = at;
        at += line.len();
        start
    };
    let starts: Vec<usize> = text.split_inclusive('\n').map(with_start).collect();
    starts.into_iter().zip(text.split_inclusive('\n').map(|line| line.trim_end_matches(['\n', '\r']))).collect()
}

/// The character that a line consists of, if it is a title's underline.
fn underline(line: &str) -> Option<char> {
    let line = line.trim_end();
    let mark = line.chars().next().filter(char::is_ascii_punctuation)?;
    (line.len() >= 3 && line.chars().all(|c| c == mark)).then_some(mark)
}

fn is_title(line: &str) -> bool {
    !line.trim().is_empty() && !line.starts_with([' ', '\t']) && underline(line).is_none() && line.len() < 200
}

fn width(line: &str) -> usize {
    line.trim_end().chars().count()
}

/// Gathers breaks and headings in order.
struct Builder<'t> {
    text: &'t str,
    layout: Layout,
    last_heading_level: u8,
    /// Nothing stands between the last heading and here.
    after_heading: bool,
    front_title: Option<String>,
}

impl<'t> Builder<'t> {
    fn new(text: &'t str) -> Self {
        let layout = Layout { breaks: vec![Break { markup: true, ..Break::start() }], ..Layout::default() };
        Self { text, layout, last_heading_level: 0, after_heading: false, front_title: None }
    }

    /// A section starts. It ends the one before if that is as deep or deeper: no chunk should run across.
    fn heading(&mut self, heading: Heading) {
        let hard = self.last_heading_level >= heading.level;
        let level = heading.level - 1;
        self.push(Break { hard, markup: true, ..Break::plain(heading.at, level) });
        self.last_heading_level = heading.level;
        self.after_heading = true;
        self.layout.headings.push(heading);
    }

    fn block(&mut self, at: usize, depth: usize, markup: bool) {
        let depth = u8::try_from(depth.min(NESTING_MAX)).unwrap_or(0);
        let glued = self.after_heading || self.is_introduced(at);
        let level = BLOCK_LEVEL + 2 * depth + u8::from(glued);
        self.push(Break { glued, markup, ..Break::plain(at, level) });
        self.after_heading = false;
    }

    /// The lines of a code block; the fences stay with the lines next to them.
    fn code(&mut self, range: Range<usize>) {
        let block = &self.text[range.clone()];
        let Some(first) = block.find('\n').map(|newline| range.start + newline + 1) else { return };
        let last = range.start + block.trim_end().rfind('\n').map_or(0, |newline| newline + 1);
        if first < last {
            lines::by_indentation(self.text, first..last, CODE_LEVEL, |cut| self.layout.breaks.push(cut));
        }
    }

    /// A line of a format whose blocks are told by blank lines.
    fn line(&mut self, at: usize, before: Option<&str>, line: &str) {
        let starts_block = before.is_none_or(|before| before.trim().is_empty());
        if line.trim().is_empty() || !(starts_block || self.after_heading) {
            return;
        }
        let indent = line.len() - line.trim_start().len();
        self.block(at, indent / 2, true);
    }

    /// Whether the text before `at` ends in a colon, as before a list or an example.
    fn is_introduced(&self, at: usize) -> bool {
        let Some(last) = self.layout.breaks.last() else { return false };
        at > last.at
            && at - last.at < INTRODUCTION_BYTES_MAX
            && self.text.get(last.at..at).is_some_and(|before| before.trim_end().ends_with(':'))
    }

    fn metadata(&mut self, yaml: &str) {
        let title = yaml.lines().find_map(|line| line.strip_prefix("title:"));
        let title = title.map(|title| title.trim().trim_matches(['"', '\'']).trim()).filter(|title| !title.is_empty());
        self.front_title = title.map(str::to_owned).or(self.front_title.take());
    }

    /// Adds a break at the start of the line, if nothing else stands before it there and it is new.
    fn push(&mut self, mut cut: Break) {
        let bytes = self.text.as_bytes();
        let indent = bytes[..cut.at].iter().rev().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        cut.at -= indent;
        let clear = cut.at == 0 || bytes[cut.at - 1] == b'\n';
        if let Some(last) = self.layout.breaks.last_mut()
            && last.at == cut.at
        {
            // The outer of two blocks that start together was there first; but the text's first line may be a heading.
            last.markup &= cut.markup;
            return;
        }
        if clear && self.layout.breaks.last().is_none_or(|last| last.at < cut.at) {
            self.layout.breaks.push(cut);
        }
    }

    fn finish(mut self) -> Layout {
        let first_of = |level| self.layout.headings.iter().find(|heading| heading.level == level);
        let first = first_of(1).or(self.layout.headings.first()).map(|heading| heading.title.trim().to_owned());
        self.layout.title = self.front_title.or(first).filter(|title| !title.is_empty());
        self.layout
    }
}
