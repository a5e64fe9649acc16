//! What all kinds of documents are made into before they are cut: places to cut, and names for places.

use std::ops::Range;

use super::facts::Mark;
use super::names::collapsed;
use super::syntax::Symbol;
use crate::model::Pages;

/// Longest breadcrumb part and outline line of a heading, in bytes.
const TITLE_BYTES_MAX: usize = 120;

/// Lines of an outline; a chunk of 300 one-line constants needs no more to be recognised.
const OUTLINE_LINES_MAX: usize = 32;

/// A definition that covers this much of a chunk names it.
const DOMINANCE_PERCENT: usize = 60;

/// A place where a document may be cut: always the start of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Break {
    /// Byte offset.
    pub at: usize,
    /// How deep it is; cuts at lower levels are better.
    pub level: u8,
    /// Where the definition ends that it stands in; a chunk that starts here shouldn't run past that.
    pub scope_end: usize,
    /// Whether a chunk shouldn't run across it from before (a section ends here).
    pub hard: bool,
    /// Whether what is before is only the head of what follows.
    pub glued: bool,
    /// Whether what follows, up to the next break, is prose with Markdown in it.
    pub markup: bool,
}

impl Break {
    /// The break at the start of every text.
    pub fn start() -> Self {
        Self::plain(0, 0)
    }

    /// A break at `at` of `level` and nothing more.
    pub fn plain(at: usize, level: u8) -> Self {
        Self { at, level, scope_end: usize::MAX, hard: false, glued: false, markup: false }
    }
}

/// A heading of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    /// Where it starts.
    pub at: usize,
    /// 1 is the highest.
    pub level: u8,
    /// Its text without markup.
    pub title: String,
}

/// A document made ready for cutting.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Layout {
    /// Ascending; the first at 0.
    pub breaks: Vec<Break>,
    /// Definitions, for code.
    pub symbols: Vec<Symbol>,
    /// Headings, for prose.
    pub headings: Vec<Heading>,
    /// Where pages begin, ascending, for what is cited by page.
    pub pages: Vec<usize>,
    /// What may name something, for Markdown.
    pub marks: Vec<Mark>,
    /// The document's title, if it has one.
    pub title: Option<String>,
}

/// The names for one chunk.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// See [`crate::model::Chunk::pages`].
    pub pages: Option<Pages>,
    /// See [`crate::model::Chunk::breadcrumb`].
    pub breadcrumb: String,
    /// See [`crate::model::Chunk::symbols`].
    pub symbols: Vec<String>,
    /// See [`crate::model::Chunk::outline`].
    pub outline: String,
}

/// Names chunk after chunk, in order of their starts.
pub struct Namer<'a> {
    layout: &'a Layout,
    /// Symbols by the place of their name.
    by_name: Vec<u32>,
    next_name: usize,
    next_heading: usize,
    /// Headings open at the end of the chunk before, outermost first.
    path: Vec<usize>,
}

impl<'a> Namer<'a> {
    /// A namer for the chunks of `layout`.
    pub fn new(layout: &'a Layout) -> Self {
        let mut by_name: Vec<u32> = (0..u32::try_from(layout.symbols.len()).unwrap_or(u32::MAX)).collect();
        by_name.sort_by_key(|&at| layout.symbols[at as usize].name_at);
        Self { layout, by_name, next_name: 0, next_heading: 0, path: Vec::new() }
    }

    /// The names for the chunk at `span`; it must not start before the last one asked for.
    pub fn place(&mut self, span: Range<usize>) -> Place {
        let mut place = if !self.layout.symbols.is_empty() {
            self.code_place(&span)
        } else if !self.layout.headings.is_empty() {
            self.prose_place(&span)
        } else {
            Place::default()
        };
        place.pages = self.pages(&span);
        if let Some(pages) = place.pages {
            let separator = if place.breadcrumb.is_empty() { "" } else { " > " };
            let word = if pages.first == pages.last { "page" } else { "pages" };
            place.breadcrumb = format!("{}{separator}{word} {pages}", place.breadcrumb);
        }
        place
    }

    fn pages(&self, span: &Range<usize>) -> Option<Pages> {
        let all = &self.layout.pages;
        let first = all.partition_point(|&page| page <= span.start);
        let last = all.partition_point(|&page| page < span.end);
        let number = |page: usize| u32::try_from(page).unwrap_or(u32::MAX);
        (first > 0).then(|| Pages { first: number(first), last: number(last) })
    }

    fn code_place(&mut self, span: &Range<usize>) -> Place {
        let all = &self.layout.symbols;
        let mut place = Place { breadcrumb: self.code_breadcrumb(span), ..Place::default() };
        let mut lines = 0;
        while let Some(symbol) = self.by_name.get(self.next_name).map(|&at| &all[at as usize]) {
            if symbol.name_at >= span.end {
                break;
            }
            self.next_name += 1;
            if symbol.defines && !place.symbols.contains(&symbol.name) {
                place.symbols.push(symbol.name.clone());
            }
            if lines < OUTLINE_LINES_MAX && !symbol.signature.is_empty() {
                push_line(&mut place.outline, &symbol.signature);
                lines += 1;
            }
        }
        place
    }

    /// The deepest definition that makes up most of the chunk, with what encloses it.
    fn code_breadcrumb(&self, span: &Range<usize>) -> String {
        let all = &self.layout.symbols;
        let enough = (span.end - span.start) * DOMINANCE_PERCENT / 100;
        let covers = |symbol: &Symbol| {
            let shared = symbol.span.end.min(span.end).saturating_sub(symbol.span.start.max(span.start));
            shared > enough
        };
        let first_inside = all.partition_point(|symbol| symbol.span.start < span.start);
        let inside = all[first_inside..].iter().take_while(|symbol| symbol.span.start < span.end);
        let mut best = inside.enumerate().filter(|(_, symbol)| covers(symbol)).map(|(at, _)| first_inside + at).last();
        if best.is_none() {
            let mut outer = first_inside.checked_sub(1);
            while let Some(at) = outer.filter(|&at| !covers(&all[at])) {
                outer = all[at].parent;
            }
            best = outer;
        }
        let mut labels = Vec::new();
        while let Some(at) = best {
            labels.push(all[at].label.as_str());
            best = all[at].parent;
        }
        labels.reverse();
        labels.join(" > ")
    }

    fn prose_place(&mut self, span: &Range<usize>) -> Place {
        let all = &self.layout.headings;
        let mut place = Place::default();
        let mut path_at_start: Option<Vec<usize>> = None;
        let mut lines = 0;
        while let Some(heading) = all.get(self.next_heading).filter(|heading| heading.at < span.end) {
            if heading.at > span.start && path_at_start.is_none() {
                path_at_start = Some(self.path.clone());
            }
            self.path.retain(|&open| all[open].level < heading.level);
            self.path.push(self.next_heading);
            self.next_heading += 1;
            if lines < OUTLINE_LINES_MAX && heading.at >= span.start {
                push_line(&mut place.outline, &collapsed(&heading.title, TITLE_BYTES_MAX));
                lines += 1;
            }
        }
        let path = path_at_start.as_ref().unwrap_or(&self.path);
        let titles: Vec<String> = path.iter().map(|&at| collapsed(&all[at].title, TITLE_BYTES_MAX)).collect();
        place.breadcrumb = titles.join(" > ");
        place
    }
}

fn push_line(text: &mut String, line: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(line);
}
