//! Symbols of source code, and where it may be cut, from one tree-sitter parse and one walk with a cursor.
//!
//! The walk looks only at the levels where definitions stand (the file, modules, classes) and goes deeper where an
//! item is larger than a chunk, so it costs little next to the parse. It keeps its own stack: nesting can't overflow
//! the thread's. What a node kind means in a language is in [`super::grammar`].

use std::cell::{Cell, RefCell};
use std::ops::{ControlFlow, Range};

use tree_sitter::{Node, ParseOptions, Parser, Tree, TreeCursor};

use super::grammar::{Class, Definition, NameRule, Rules};
use super::language::Grammar;
use super::layout::Break;
use super::lines;
use super::names::Names;

/// Deepest nesting that the walk follows. Real code stays under 40; beyond this, lines are as good.
const DEPTH_MAX: usize = 200;

/// Longest signature, in bytes.
pub const SIGNATURE_BYTES_MAX: usize = 200;

/// A parse is given up after so many steps (of 100 operations of tree-sitter each) and one more per so many bytes, but
/// never more than [`PARSE_STEPS_MAX`]. Among 30,000 real files the worst took one per 18 bytes, most one per 100 to
/// 300, and none over 30,000; inputs that defeat error recovery would take minutes.
const PARSE_STEPS_MIN: usize = 1_000;
/// See [`PARSE_STEPS_MIN`].
const PARSE_BYTES_PER_STEP: usize = 12;
/// See [`PARSE_STEPS_MIN`].
const PARSE_STEPS_MAX: usize = 60_000;

/// Bytes that tree-sitter is given at a time.
const READ_BYTES: usize = 4 * 1024;

/// A parse is given up, too, after so many reads and so many more per block: an external scanner that reads to the end
/// of the text for every token makes the parse quadratic without more steps.
const PARSE_READS_MIN: usize = 1_024;
/// See [`PARSE_READS_MIN`].
const PARSE_READS_PER_BLOCK: usize = 16;

/// A definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbol {
    /// Its name, without qualification; for an `impl` the type it is for.
    pub name: String,
    /// `function`, `class`, `constant`, …
    pub kind: &'static str,
    /// How it reads in a breadcrumb: `fn run`, `impl Server`, `class Foo`.
    pub label: String,
    /// Bytes of the definition with its doc comment, attributes and decorators.
    pub span: Range<usize>,
    /// Where its name stands; the definition line for cutting purposes.
    pub name_at: usize,
    /// The enclosing definition, as an index into [`Syntax::symbols`].
    pub parent: Option<usize>,
    /// The type that the definition itself says it belongs to: a receiver's, the class in `Foo::bar`.
    pub owner: Option<String>,
    /// The definition up to its body, white space collapsed, at most [`SIGNATURE_BYTES_MAX`] bytes.
    pub signature: String,
    /// Bytes of the doc comment, as written.
    pub doc: Option<Range<usize>>,
    /// Whether it brings a name into being (an `impl` doesn't).
    pub defines: bool,
}

/// What the walk found, and the tree that it walked.
#[derive(Debug)]
pub struct Syntax {
    /// Definitions in the order of their starts, outer before inner.
    pub symbols: Vec<Symbol>,
    /// Places to cut, ascending.
    pub breaks: Vec<Break>,
    /// The tree, for those who look for more.
    pub tree: Tree,
}

thread_local! {
    static PARSERS: RefCell<[Option<Parser>; Grammar::ALL.len()]> = const { RefCell::new([const { None }; Grammar::ALL.len()]) };
}

/// Parses `text`; `None` if tree-sitter gives up on it.
fn tree_of(text: &str, grammar: Grammar) -> Option<Tree> {
    PARSERS.with_borrow_mut(|parsers| {
        let slot = &mut parsers[grammar as usize];
        if slot.is_none() {
            let mut parser = Parser::new();
            parser.set_language(&grammar.language()).ok()?;
            *slot = Some(parser);
        }
        let parser = slot.as_mut()?;
        let masked = ascii_only(text, grammar);
        let bytes = masked.as_deref().unwrap_or(text.as_bytes());
        let steps_max = (PARSE_STEPS_MIN + bytes.len() / PARSE_BYTES_PER_STEP).min(PARSE_STEPS_MAX);
        let reads_max = PARSE_READS_MIN + PARSE_READS_PER_BLOCK * (bytes.len() / READ_BYTES);
        let reads = Cell::new(0_usize);
        let mut steps = 0;
        let mut progress = |_: &tree_sitter::ParseState| {
            steps += 1;
            if steps > steps_max || reads.get() > reads_max {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        // Handed out in blocks, so that a scanner that looks far ahead for every token shows in the number of reads.
        let mut read = |at: usize, _| {
            reads.set(reads.get() + 1);
            let end = if reads.get() > reads_max { at } else { bytes.len().min(at + READ_BYTES) };
            bytes.get(at..end).unwrap_or_default()
        };
        let options = ParseOptions::new().progress_callback(&mut progress);
        let tree = parser.parse_with_options(&mut read, None, Some(options));
        if tree.is_none() {
            parser.reset();
        }
        tree
    })
}

/// `text` with a `_` for each byte outside of ASCII, where a grammar can't be given others: after `{` the scanner of
/// tree-sitter-bash looks every character up in C's table of 256, and for those far behind its end the process dies.
fn ascii_only(text: &str, grammar: Grammar) -> Option<Vec<u8>> {
    let unsafe_to_scan = grammar == Grammar::Bash && !text.is_ascii();
    unsafe_to_scan.then(|| text.bytes().map(|byte| if byte.is_ascii() { byte } else { b'_' }).collect())
}

/// Finds the definitions of `text` and the places to cut it. `oversize` says whether a byte range needs cutting.
/// `None` if the text can't be parsed within reason.
pub fn analyse(text: &str, grammar: Grammar, oversize: &dyn Fn(usize, usize) -> bool) -> Option<Syntax> {
    let tree = tree_of(text, grammar)?;
    let rules = Rules::of(grammar);
    let names = Names { text, rules };
    let mut walk = Walk { text, rules, names, oversize, symbols: Vec::new(), breaks: vec![Break::start()] };
    walk.run(&mut tree.walk());
    Some(Syntax { symbols: walk.symbols, breaks: walk.breaks, tree })
}

/// Comments and attributes that wait for the item they belong to.
#[derive(Debug, Clone, Copy)]
struct Lead {
    start: usize,
    end: usize,
    /// Attributes stay with the item whatever stands between.
    sticky: bool,
}

/// A coat (`export`, decorators, `template<…>`) whose start and comment the item inside takes over.
#[derive(Debug, Clone, Copy)]
struct Coat {
    start: usize,
    doc: Option<(usize, usize)>,
}

/// One level of the walk.
#[derive(Clone, Copy)]
struct Frame {
    level: u8,
    parent: Option<usize>,
    /// End of the enclosing definition: a chunk that starts inside shouldn't run past it.
    scope_end: usize,
    lead: Option<Lead>,
    coat: Option<Coat>,
    /// No item of this level was seen yet.
    fresh: bool,
    /// This is inside of a function, whose variables are nobody's business.
    local: bool,
    /// Parts of a definition's head stand here: no place to cut.
    quiet: bool,
    /// End of the item before.
    last_end: usize,
}

impl Frame {
    /// A frame for what stands inside of an item of this one, which begins at `start`.
    fn inside(&self, start: usize) -> Self {
        Self { fresh: true, quiet: false, lead: None, coat: None, last_end: start, ..*self }
    }

    fn deeper(mut self) -> Self {
        self.level = self.level.saturating_add(1);
        self
    }
}

struct Walk<'a> {
    text: &'a str,
    rules: &'static Rules,
    names: Names<'a>,
    oversize: &'a dyn Fn(usize, usize) -> bool,
    symbols: Vec<Symbol>,
    breaks: Vec<Break>,
}

impl Walk<'_> {
    fn run(&mut self, cursor: &mut TreeCursor<'_>) {
        let mut frames = vec![Frame {
            level: 0,
            parent: None,
            scope_end: usize::MAX,
            lead: None,
            coat: None,
            fresh: false,
            local: false,
            quiet: false,
            last_end: 0,
        }];
        if !cursor.goto_first_child() {
            return;
        }
        loop {
            let inner = frames.last_mut().and_then(|frame| self.visit(frame, cursor.node()));
            if let Some(inner) = inner.filter(|_| frames.len() < DEPTH_MAX)
                && cursor.goto_first_child()
            {
                frames.push(inner);
                continue;
            }
            while !cursor.goto_next_sibling() {
                // Comments at the end of a body stand alone.
                if let Some(mut frame) = frames.pop() {
                    self.release(&mut frame);
                }
                if frames.is_empty() || !cursor.goto_parent() {
                    return;
                }
            }
        }
    }

    /// Records what `node` is; the frame for its children if they are to be looked at.
    fn visit(&mut self, frame: &mut Frame, node: Node<'_>) -> Option<Frame> {
        let (start, end) = (node.start_byte(), node.end_byte());
        if start == end {
            return None;
        }
        match self.rules.class(node.kind_id()) {
            Class::Comment => self.gather(frame, start, end, false),
            Class::Attribute => self.gather(frame, start, end, true),
            Class::Body => return Some(frame.inside(start)),
            Class::Scope => {
                self.open(frame, node);
                frame.last_end = end;
                return Some(frame.inside(start));
            }
            Class::Wrapper => return Some(self.open_coat(frame, node)),
            // TypeScript's `namespace x {}` is an expression to its grammar.
            Class::Definition(Definition { name: NameRule::Assignment, .. })
                if self.is_container(node.named_child(0)) =>
            {
                return Some(self.open_coat(frame, node));
            }
            Class::Definition(definition) => return self.define(frame, node, definition),
            Class::Other => {
                if node.is_named() {
                    self.open(frame, node);
                }
                frame.last_end = end;
                if node.named_child_count() == 0 || is_string(node.kind()) {
                    self.cut_lines(frame, start..end, frame.scope_end);
                    return None;
                }
                return (self.oversize)(start, end).then(|| frame.inside(start).deeper());
            }
        }
        None
    }

    fn is_container(&self, node: Option<Node<'_>>) -> bool {
        node.is_some_and(|node| {
            matches!(self.rules.class(node.kind_id()), Class::Definition(Definition { container: true, .. }))
        })
    }

    /// The frame for what stands in the coat `node`.
    fn open_coat(&mut self, frame: &mut Frame, node: Node<'_>) -> Frame {
        let start = node.start_byte();
        let lead = self.open(frame, node);
        frame.last_end = node.end_byte();
        let mut inner = frame.inside(start);
        if node.named_child_count() > 1 && self.rules.grammar == Grammar::Go {
            // A group in parentheses: each member begins for itself.
            return inner.deeper();
        }
        let doc = lead.map(|lead| (lead.start, lead.end));
        inner.coat = Some(Coat { start: lead.map_or(start, |lead| lead.start), doc });
        inner.quiet = true;
        inner
    }

    fn define(&mut self, frame: &mut Frame, node: Node<'_>, definition: Definition) -> Option<Frame> {
        let (start, end) = (node.start_byte(), node.end_byte());
        let lead = self.open(frame, node);
        let coat = frame.coat.take();
        frame.last_end = end;
        let mut inner = frame.inside(start).deeper();
        inner.quiet = true;
        inner.local |= !definition.container;
        let symbol = self.names.symbol(definition, node, frame.parent.is_none());
        let symbol = symbol.filter(|found| !(frame.local && matches!(found.kind, "constant" | "variable")));
        if let Some(mut symbol) = symbol {
            let own = lead.map(|lead| (lead.start, lead.end));
            let doc = own.or(coat.and_then(|coat| coat.doc)).map(|(start, end)| start..end);
            let from = lead.map_or(start, |lead| lead.start);
            symbol.span = coat.map_or(from, |coat| coat.start.min(from))..end;
            symbol.parent = frame.parent;
            symbol.doc = symbol.doc.or(doc);
            inner.parent = Some(self.symbols.len());
            inner.scope_end = end;
            self.symbols.push(symbol);
        }
        (definition.container || (self.oversize)(start, end)).then_some(inner)
    }

    /// Adds a comment or attribute to those that wait.
    fn gather(&mut self, frame: &mut Frame, start: usize, end: usize, sticky: bool) {
        // A comment behind code on the same line belongs to that code.
        let behind = frame.last_end > 0 && !self.text[frame.last_end.min(start)..start].contains('\n');
        if !sticky && frame.lead.is_none() && behind {
            frame.last_end = end;
            return;
        }
        // Some grammars count the line's end into the comment.
        let end = start + self.text[start..end].trim_end().len();
        match &mut frame.lead {
            Some(lead) if lead.sticky || !is_blank_between(self.text, lead.end, start) => {
                lead.end = end;
                lead.sticky |= sticky;
            }
            _ => {
                self.release(frame);
                frame.lead = Some(Lead { start, end, sticky });
            }
        }
    }

    /// Lets what waits stand alone.
    fn release(&mut self, frame: &mut Frame) {
        if let Some(lead) = frame.lead.take() {
            self.cut(frame, lead.start);
            self.cut_lines(frame, lead.start..lead.end, frame.scope_end);
            frame.fresh = false;
        }
    }

    /// Begins the item `node`; what waited for it, if it is near enough.
    fn open(&mut self, frame: &mut Frame, node: Node<'_>) -> Option<Lead> {
        let start = node.start_byte();
        if frame.lead.is_some_and(|lead| !lead.sticky && is_blank_between(self.text, lead.end, start)) {
            self.release(frame);
        }
        let lead = frame.lead.take();
        self.cut(frame, lead.map_or(start, |lead| lead.start));
        if let Some(lead) = lead {
            self.cut_lines(frame, lead.start..lead.end, node.end_byte());
        }
        frame.fresh = false;
        lead
    }

    /// Places to cut inside of a comment or string that is larger than a chunk.
    fn cut_lines(&mut self, frame: &Frame, range: Range<usize>, scope_end: usize) {
        if !(self.oversize)(range.start, range.end) {
            return;
        }
        let breaks = &mut self.breaks;
        lines::in_comment(self.text, range, frame.level.saturating_add(1), |at, level| {
            if breaks.last().is_none_or(|last| last.at < at) {
                breaks.push(Break { scope_end, ..Break::plain(at, level) });
            }
        });
    }

    /// A place to cut at the start of the line of `at`, unless something else stands before it there.
    fn cut(&mut self, frame: &Frame, at: usize) {
        if frame.quiet {
            return;
        }
        let indent = self.text.as_bytes()[..at].iter().rev().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let line = at - indent;
        let clear = line == 0 || self.text.as_bytes()[line - 1] == b'\n';
        let later = self.breaks.last().is_none_or(|last| last.at < line);
        if clear && later {
            // A container's head stays with its first member: that cut is as deep as one inside the member.
            let level = frame.level.saturating_add(u8::from(frame.fresh));
            let scope_end = frame.scope_end;
            self.breaks.push(Break { at: line, level, scope_end, hard: false, glued: frame.fresh, markup: false });
        }
    }
}

/// Whether a node of this kind is text inside, whatever the grammar makes of it.
fn is_string(kind: &str) -> bool {
    kind.contains("string") || matches!(kind, "heredoc_body" | "preproc_arg" | "content")
}

/// Whether there is an empty line between the two offsets.
fn is_blank_between(text: &str, from: usize, to: usize) -> bool {
    from < to && text.as_bytes()[from..to].iter().filter(|&&byte| byte == b'\n').count() > 1
}

/// The first sentence of a doc comment, without its marks; `None` if there is nothing in it.
pub fn first_sentence(doc: &str) -> Option<String> {
    let mut sentence = String::new();
    for line in doc.lines() {
        let line = line.trim();
        if line.starts_with("#[") || line.starts_with('@') {
            continue;
        }
        let line = line
            .trim_start_matches(['/', '*', '!', '#', '"', '\'', ';', '-'])
            .trim_end_matches(['*', '/', '"', '\''])
            .trim();
        if line.is_empty() {
            if sentence.is_empty() {
                continue;
            }
            break;
        }
        if !sentence.is_empty() {
            sentence.push(' ');
        }
        sentence.push_str(line);
        if let Some(stop) = sentence.find(". ").or_else(|| sentence.ends_with('.').then(|| sentence.len() - 1)) {
            sentence.truncate(stop + 1);
            break;
        }
        if sentence.len() > 2 * SIGNATURE_BYTES_MAX {
            sentence.truncate(sentence.floor_char_boundary(2 * SIGNATURE_BYTES_MAX));
            break;
        }
    }
    (!sentence.is_empty()).then_some(sentence)
}

#[cfg(test)]
#[path = "syntax_tests.rs"]
mod tests;
