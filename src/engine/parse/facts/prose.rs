//! Facts of prose: sections, links, and the code that is named. Proper names are read by [`super::super::entities`].

use std::borrow::Cow;
use std::ops::Range;

use pulldown_cmark::{Event, Tag, TagEnd};

use super::super::layout::{Heading, Layout};
use super::marks;
use super::sheet::{Said, Sheet};
use crate::model::{EdgeKind, Facts, NodeKind};

/// How a prose document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Markup {
    /// Markdown, or what was made Markdown.
    Markdown,
    /// reStructuredText.
    Rst,
    /// Anything else: code is in backquotes, if anywhere.
    Plain,
}

/// A stretch of Markdown that may name something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    range: Range<usize>,
    kind: MarkKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum MarkKind {
    /// A code span.
    Code,
    /// A line of a code block.
    Block,
    /// A link with its target.
    Link(String),
    /// Words.
    Words,
}

/// Gathers marks while Markdown is read for its headings, so that it is read once.
#[derive(Debug, Default)]
pub struct Marks {
    found: Vec<Mark>,
    code: bool,
    /// Inside of a heading or of metadata.
    quiet: bool,
}

impl Marks {
    /// Looks at one event of the reader.
    pub fn see(&mut self, event: &Event<'_>, range: &Range<usize>) {
        let kind = match event {
            Event::Code(_) => MarkKind::Code,
            Event::Start(Tag::Link { dest_url, .. }) => MarkKind::Link(dest_url.to_string()),
            Event::Text(_) if self.code => MarkKind::Block,
            Event::Text(_) if !self.quiet => MarkKind::Words,
            Event::Start(Tag::CodeBlock(_)) => return self.code = true,
            Event::End(TagEnd::CodeBlock) => return self.code = false,
            Event::Start(Tag::MetadataBlock(_) | Tag::Heading { .. }) => return self.quiet = true,
            Event::End(TagEnd::MetadataBlock(_) | TagEnd::Heading(_)) => return self.quiet = false,
            _ => return,
        };
        self.found.push(Mark { range: range.clone(), kind });
    }

    /// All that was found.
    pub fn finish(self) -> Vec<Mark> {
        self.found
    }
}

/// Longest target of a `[[link]]`.
const WIKI_BYTES_MAX: usize = 160;

/// Directives of reStructuredText whose argument is a name in code.
const NAMING: &[&str] = &["class", "function", "method", "module", "attribute", "exception", "data", "decorator"];

/// Directives whose argument is a path.
const INCLUDING: &[&str] = &["include", "literalinclude", "image", "figure"];

/// The facts of a prose document that was laid out so.
pub fn of_prose(text: &str, layout: &Layout, markup: Markup) -> Facts {
    let mut reader = Reader { text, headings: &layout.headings, nodes: Vec::new(), sheet: Sheet::new(text) };
    reader.sections();
    match markup {
        Markup::Markdown => reader.markdown(&layout.marks),
        Markup::Rst => reader.rst(),
        Markup::Plain => reader.plain(),
    }
    reader.sheet.finish()
}

struct Reader<'a> {
    text: &'a str,
    headings: &'a [Heading],
    /// The node of each heading.
    nodes: Vec<Option<u32>>,
    sheet: Sheet<'a>,
}

impl<'a> Reader<'a> {
    fn sections(&mut self) {
        let mut open: Vec<(u8, Option<u32>)> = Vec::new();
        let mut ends = vec![self.text.len(); self.headings.len()];
        let mut waiting: Vec<usize> = Vec::new();
        for (at, heading) in self.headings.iter().enumerate() {
            while let Some(&last) = waiting.last().filter(|&&last| self.headings[last].level >= heading.level) {
                ends[last] = heading.at;
                waiting.pop();
            }
            waiting.push(at);
        }
        for (at, heading) in self.headings.iter().enumerate() {
            while open.last().is_some_and(|(level, _)| *level >= heading.level) {
                open.pop();
            }
            let parent = open.iter().rev().find_map(|(_, node)| *node);
            let title = heading.title.split_whitespace().collect::<Vec<_>>().join(" ");
            let node = self.sheet.define(NodeKind::Section, &title, heading.at..ends[at], parent);
            open.push((heading.level, node));
            self.nodes.push(node.or(parent));
        }
    }

    /// The section that the byte `at` stands in.
    fn section(&self, at: usize) -> Option<u32> {
        let last = self.headings.partition_point(|heading| heading.at <= at).checked_sub(1)?;
        self.nodes[last]
    }

    fn mention(&mut self, at: usize, scope: &'a str, name: &'a str) {
        let from = self.section(at);
        self.sheet.say(at, Said::plain(EdgeKind::Mentions, from, scope, name));
    }

    fn markdown(&mut self, found: &[Mark]) {
        let text = self.text;
        for mark in found {
            let range = mark.range.clone();
            match &mark.kind {
                MarkKind::Code => {
                    if let Some((scope, name)) = marks::named(text[range.clone()].trim_matches('`')) {
                        self.mention(range.start, scope, name);
                    }
                }
                MarkKind::Link(target) => self.link(range.start, target),
                MarkKind::Words => self.words(range),
                MarkKind::Block => {
                    let start = range.start;
                    marks::in_block(&text[range], |at, scope, name| self.mention(start + at, scope, name));
                }
            }
        }
        self.wiki(found);
    }

    /// Links as notes have them: `[[Page]]`, `[[Page#Part|shown]]`.
    fn wiki(&mut self, found: &[Mark]) {
        let text = self.text;
        for (at, _) in text.match_indices("[[") {
            let before = found[..found.partition_point(|mark| mark.range.start <= at)].last();
            let is_code = |mark: &Mark| matches!(mark.kind, MarkKind::Code | MarkKind::Block) && at < mark.range.end;
            let inner = &text[at + 2..text.floor_char_boundary(at + 2 + WIKI_BYTES_MAX)];
            let target = inner.split_once("]]").map(|(target, _)| target.split('|').next().unwrap_or(target));
            if let Some(target) =
                target.filter(|target| !target.contains(['\n', '[', ']']) && !before.is_some_and(is_code))
            {
                self.link(at, target.trim());
            }
        }
    }

    /// A link to another document, or to a place in this one. Addresses elsewhere lead out of every source.
    fn link(&mut self, at: usize, target: &str) {
        if target.contains("://") || target.starts_with("mailto:") || target.starts_with("//") {
            return;
        }
        let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
        let path = path.split('?').next().unwrap_or(path).replace("%20", " ");
        let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        let name = if fragment.is_empty() { last } else { fragment };
        let (from, name) = (self.section(at), name.to_owned());
        self.sheet.say(at, Said::plain(EdgeKind::Links, from, Cow::Owned(path), Cow::Owned(name)));
    }

    fn rst(&mut self) {
        let text = self.text;
        let mut at = 0;
        let mut listing = false;
        for line in text.split_inclusive('\n') {
            let start = at;
            at += line.len();
            let inner = line.trim();
            let indented = line.starts_with([' ', '\t']);
            if let Some((directive, argument)) = inner.strip_prefix(".. ").and_then(|rest| rest.split_once("::")) {
                listing = directive == "toctree";
                self.directive(start, directive, argument.trim());
                continue;
            }
            listing &= indented || inner.is_empty();
            if listing {
                if !inner.is_empty() && !inner.starts_with(':') {
                    let target = inner.rsplit_once('<').map_or(inner, |(_, target)| target.trim_end_matches('>'));
                    self.link(start, target);
                }
                continue;
            }
            self.rst_inline(start, line);
            self.words(start..at);
        }
    }

    /// Reads the words of a stretch that can only be names in code, without what stands in backquotes.
    fn words(&mut self, range: Range<usize>) {
        let text = self.text;
        let (mut at, mut code) = (range.start, false);
        while at < range.end {
            let rest = &text[at..range.end];
            let ticks = rest.find('`').unwrap_or(rest.len());
            if !code {
                marks::in_words(&rest[..ticks], |offset, scope, name| self.mention(at + offset, scope, name));
            }
            code = !code;
            at += ticks + rest[ticks..].bytes().take_while(|byte| *byte == b'`').count();
        }
    }

    fn directive(&mut self, at: usize, directive: &str, argument: &'a str) {
        let word = directive.rsplit(':').next().unwrap_or(directive);
        let plain = word.strip_prefix("auto").unwrap_or(word);
        if NAMING.contains(&plain) {
            if let Some((scope, name)) = marks::named(argument) {
                self.mention(at, scope, name);
            }
        } else if INCLUDING.contains(&word) {
            self.link(at, argument);
        }
    }

    /// Roles, literals and links of one line.
    fn rst_inline(&mut self, start: usize, line: &'a str) {
        let mut at = 0;
        while let Some(open) = line[at..].find('`').map(|open| at + open) {
            let ticks = if line[open..].starts_with("``") { 2 } else { 1 };
            let inner = open + ticks;
            let Some(length) = line[inner..].find('`') else { break };
            let content = &line[inner..inner + length];
            at = (inner + length + ticks).min(line.len());
            at = line.ceil_char_boundary(at);
            let target = content.rsplit_once('<').map_or(content, |(_, target)| target.trim_end_matches('>'));
            let role = line[..open].strip_suffix(':').and_then(|before| before.rsplit([' ', ':', '(']).next());
            let is_link = line[at..].starts_with('_') && content.contains('<');
            if matches!(role, Some("doc" | "ref" | "download")) || is_link {
                self.link(start + open, target);
            } else if let Some((scope, name)) = marks::named(target.trim_start_matches('~')) {
                self.mention(start + open, scope, name);
            }
        }
    }

    fn plain(&mut self) {
        let text = self.text;
        marks::in_comment(text, |at, scope, name| {
            let last = self.headings.partition_point(|heading| heading.at <= at).checked_sub(1);
            let from = last.and_then(|last| self.nodes[last]);
            self.sheet.say(at, Said::plain(EdgeKind::Mentions, from, scope, name));
        });
        self.words(0..text.len());
    }
}
