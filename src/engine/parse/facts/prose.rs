//! Facts of prose: sections, links, and the code that is named. Proper names are read by [`super::super::entities`].

use std::borrow::Cow;
use std::ops::Range;

use pulldown_cmark::{Event, LinkType, Options, Parser, Tag, TagEnd};

use super::super::layout::Heading;
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

/// Directives of reStructuredText whose argument is a name in code.
const NAMING: &[&str] = &["class", "function", "method", "module", "attribute", "exception", "data", "decorator"];

/// Directives whose argument is a path.
const INCLUDING: &[&str] = &["include", "literalinclude", "image", "figure"];

/// The facts of a prose document with these headings.
pub fn of_prose(text: &str, headings: &[Heading], markup: Markup) -> Facts {
    let mut reader = Reader { text, headings, nodes: Vec::new(), sheet: Sheet::new(text) };
    reader.sections();
    match markup {
        Markup::Markdown => reader.markdown(),
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

    fn markdown(&mut self) {
        let options = Options::ENABLE_TABLES
            | Options::ENABLE_FOOTNOTES
            | Options::ENABLE_STRIKETHROUGH
            | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS
            | Options::ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS
            | Options::ENABLE_WIKILINKS;
        let text = self.text;
        let (mut code, mut quiet) = (false, 0_usize);
        for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
            match event {
                Event::Code(_) => {
                    if let Some((scope, name)) = marks::named(text[range.clone()].trim_matches('`')) {
                        self.mention(range.start, scope, name);
                    }
                }
                Event::Start(Tag::CodeBlock(_)) => code = true,
                Event::End(TagEnd::CodeBlock) => code = false,
                Event::Start(Tag::MetadataBlock(_) | Tag::Heading { .. }) => quiet += 1,
                Event::End(TagEnd::MetadataBlock(_) | TagEnd::Heading(_)) => quiet = quiet.saturating_sub(1),
                Event::Start(Tag::Link { link_type, dest_url, .. }) => {
                    let wiki = matches!(link_type, LinkType::WikiLink { .. });
                    self.link(range.start, &dest_url, wiki);
                }
                Event::Text(_) if code => {
                    let block = &text[range.clone()];
                    marks::in_block(block, |at, scope, name| self.mention(range.start + at, scope, name));
                }
                Event::Text(_) if quiet == 0 => self.words(range),
                _ => {}
            }
        }
    }

    /// A link to another document, or to a place in this one. Addresses elsewhere lead out of every source.
    fn link(&mut self, at: usize, target: &str, wiki: bool) {
        if !wiki && (target.contains("://") || target.starts_with("mailto:") || target.starts_with("//")) {
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
                    self.link(start, target, false);
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
            self.link(at, argument, false);
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
                self.link(start + open, target, false);
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
