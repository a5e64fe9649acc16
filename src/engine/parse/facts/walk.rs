//! The one walk over a tree of code: it makes nodes of definitions and references of the names in between.
//!
//! It goes over every node with a cursor and keeps its own stack of scopes, so nesting cannot overflow the thread's. What
//! a kind of node means is looked up by number ([`super::acts`]); most mean nothing, which is what makes it quick.
//! Names and receivers are read by the sibling files, each with its own part of `impl Walk`.

use std::borrow::Cow;
use std::ops::Range;

use tree_sitter::{Node, Tree};

use super::super::grammar::Rules;
use super::super::language::Grammar;
use super::super::names::Names;
use super::super::syntax::Symbol;
use super::acts::{Act, Acts, Part};
use super::builtins::is_builtin;
use super::locals::Locals;
use super::quick::{Map, Set};
use super::sheet::{Said, Sheet};
use super::types;
use super::{marks, tested};
use crate::base::limits::FACT_NAME_BYTES_MAX;
use crate::model::{EdgeKind, Facts};

/// A code document, parsed.
#[derive(Debug, Clone, Copy)]
pub struct Code<'a> {
    /// Its text.
    pub text: &'a str,
    /// Its grammar.
    pub grammar: Grammar,
    /// The tree of its text.
    pub tree: &'a Tree,
    /// The definitions that were found in it so far: all but those inside of functions.
    pub symbols: &'a [Symbol],
    /// Whether its path says that it is a test.
    pub test: bool,
}

/// What the walk is inside of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    /// Where it ends.
    pub end: usize,
    /// The node that references are said of.
    pub node: Option<u32>,
    /// The type whose members stand here; empty outside of types.
    pub owner: &'a str,
    /// The type that `owner` extends, as written; empty if none or unknown.
    pub base: &'a str,
    /// Whose the definitions are that stand right here.
    pub members: Members,
    /// Whether this is inside of a function.
    pub local: bool,
    /// What was bound before.
    pub mark: usize,
}

/// Whose a definition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Members {
    /// Nobody's: it is a function, not a method.
    Free,
    /// Of the node around it.
    Inside,
    /// Of a type that is not around it: those of an `impl`.
    Outside,
}

/// What was met before the definition that it belongs to.
enum Waiting<'a> {
    Comment(Range<usize>),
    Mark(usize, Cow<'a, str>, &'a str),
}

/// `impl Trait for Type`.
pub(super) struct Implementation<'a> {
    pub owner: &'a str,
    /// What it stands in.
    pub around: Option<u32>,
    pub scope: &'a str,
    pub name: &'a str,
    pub at: usize,
}

/// A call on a field whose type may be declared further down.
pub(super) struct Later<'a> {
    pub at: usize,
    pub from: Option<u32>,
    pub owner: &'a str,
    pub field: &'a str,
    pub name: &'a str,
    pub written: Cow<'a, str>,
}

pub(super) struct Walk<'a> {
    pub text: &'a str,
    pub grammar: Grammar,
    pub test: bool,
    pub rules: &'static Rules,
    pub acts: &'static Acts,
    pub names: Names<'a>,
    pub symbols: &'a [Symbol],
    /// The first of `symbols` that was not met yet.
    pub next: usize,
    pub sheet: Sheet<'a>,
    pub scopes: Vec<Scope<'a>>,
    pub locals: Locals<'a>,
    /// Names that the document defines or imports.
    pub known: Set<Cow<'a, str>>,
    /// What functions of this document give, by type and name.
    pub returns: Map<(&'a str, &'a str), Option<&'a str>>,
    /// Types by what they stand in and name, for what is said of them elsewhere in the document.
    pub types: Map<(Option<u32>, &'a str), u32>,
    pub implementations: Vec<Implementation<'a>>,
    /// Definitions that belong to a type by its name.
    pub owned: Vec<(u32, &'a str)>,
    pub later: Vec<Later<'a>>,
    waiting: Vec<Waiting<'a>>,
    /// Names that were read with what they stand in, by ascending end of the stack: the next one on top.
    done: Vec<Range<usize>>,
    /// The name that a decorator gave, which is not called once more.
    pub marked: Range<usize>,
    /// Up to here every name is a type's.
    types_end: usize,
}

/// The facts of a code document.
pub fn facts(code: &Code<'_>) -> Facts {
    let rules = Rules::of(code.grammar);
    let mut walk = Walk {
        text: code.text,
        grammar: code.grammar,
        test: code.test,
        rules,
        acts: Acts::of(code.grammar),
        names: Names { text: code.text, rules },
        symbols: code.symbols,
        next: 0,
        sheet: Sheet::new(code.text),
        scopes: vec![Scope {
            end: usize::MAX,
            node: None,
            owner: "",
            base: "",
            members: Members::Free,
            local: false,
            mark: 0,
        }],
        locals: Locals::default(),
        known: code.symbols.iter().filter(|symbol| symbol.defines).map(|symbol| symbol.name.as_str().into()).collect(),
        returns: Map::default(),
        types: Map::default(),
        implementations: Vec::new(),
        owned: Vec::new(),
        later: Vec::new(),
        waiting: Vec::new(),
        done: Vec::new(),
        marked: 0..0,
        types_end: 0,
    };
    walk.read_returns();
    walk.run(code.tree);
    walk.finish()
}

impl<'a> Walk<'a> {
    fn run(&mut self, tree: &Tree) {
        let root = tree.root_node();
        if root.has_error() {
            self.sheet.cut_short();
        }
        self.read_module_doc(root);
        let mut cursor = tree.walk();
        if !cursor.goto_first_child() {
            return;
        }
        loop {
            if self.visit(cursor.node()) && cursor.goto_first_child() {
                continue;
            }
            while !cursor.goto_next_sibling() {
                if !cursor.goto_parent() {
                    return;
                }
            }
        }
    }

    /// Reads `node`; whether to look inside.
    fn visit(&mut self, node: Node<'_>) -> bool {
        let (act, defines) = self.acts.act(node.kind_id());
        if act == Act::Token {
            return false;
        }
        if act == Act::Walk && !defines {
            // Brackets with nothing between them are many.
            let start = node.start_byte();
            let opens = matches!(self.text.as_bytes().get(start), Some(b'(' | b'{' | b'['));
            return !opens || node.end_byte() - start > 2;
        }
        let range = node.byte_range();
        self.leave(range.start);
        if range.is_empty() {
            return false;
        }
        if defines {
            self.define(node);
        } else if self.is_done(&range) {
            return false;
        }
        match act {
            Act::Walk => true,
            Act::Token => false,
            Act::Comment => {
                if marks::may_name(&self.text.as_bytes()[range.clone()]) {
                    self.waiting.push(Waiting::Comment(range));
                }
                false
            }
            Act::Import => self.import(node),
            Act::Call => self.call(node),
            Act::Macro => self.r#macro(node),
            Act::Type => {
                self.use_type(range);
                false
            }
            Act::Name => {
                self.use_name(range);
                false
            }
            Act::Path => self.path(node),
            Act::Mark => self.mark(node),
            Act::Bind => self.bind(node),
            Act::Extends => self.extends(node, EdgeKind::Inherits),
            Act::Implements => self.extends(node, EdgeKind::Implements),
            Act::Variable => self.type_variable(node),
            Act::Tokens => {
                self.tokens(range);
                false
            }
            Act::Types => {
                self.types_end = self.types_end.max(range.end);
                self.forward_reference(&range)
            }
            Act::Argument => {
                // Go's fields have no field of their own.
                if let Some(name) = self.acts.part(node, Part::Name).or_else(|| node.named_child(0)) {
                    self.pass_over(name.byte_range());
                }
                true
            }
        }
    }

    /// The scope that the walk is in.
    pub fn scope(&self) -> Scope<'a> {
        self.scopes[self.scopes.len() - 1]
    }

    /// Goes into a scope.
    pub fn enter(&mut self, scope: Scope<'a>) {
        let mark = self.locals.enter();
        self.scopes.push(Scope { mark, ..scope });
    }

    /// Leaves the scopes that end at or before `at`.
    fn leave(&mut self, at: usize) {
        while let Some(scope) = self.scopes.last().copied().filter(|scope| scope.end <= at) {
            self.settle(scope.node, usize::MAX);
            self.locals.leave(scope.mark);
            self.scopes.pop();
        }
    }

    /// Gives what waited to the definition `node`, which begins with its doc comment at `start`; what stands before that,
    /// to the scope.
    pub fn settle(&mut self, node: Option<u32>, start: usize) {
        if self.waiting.is_empty() {
            return;
        }
        let scope = self.scope().node;
        for waiting in std::mem::take(&mut self.waiting) {
            match waiting {
                Waiting::Comment(range) => {
                    let from = if range.start >= start { node } else { scope };
                    self.comment(range, from);
                }
                Waiting::Mark(at, scope_text, name) => {
                    let from = if at >= start { node } else { scope };
                    self.sheet.say(at, Said::plain(EdgeKind::Uses, from, scope_text, name));
                }
            }
        }
    }

    /// Reads the code spans in a comment.
    pub fn comment(&mut self, range: Range<usize>, from: Option<u32>) {
        let text = self.text;
        let Some(comment) = text.get(range.clone()) else { return };
        marks::in_comment(comment, |at, scope, name| {
            self.sheet.say(range.start + at, Said::plain(EdgeKind::Mentions, from, scope, name));
        });
    }

    /// Lets a decorator or attribute wait for what it stands before.
    pub fn wait(&mut self, at: usize, scope: Cow<'a, str>, name: &'a str) {
        self.waiting.push(Waiting::Mark(at, scope, name));
    }

    /// Passes over the name at `range`, which lies ahead.
    pub fn pass_over(&mut self, range: Range<usize>) {
        let place = self.done.iter().rposition(|done| done.start >= range.start).map_or(0, |place| place + 1);
        self.done.insert(place, range);
    }

    fn is_done(&mut self, range: &Range<usize>) -> bool {
        while self.done.last().is_some_and(|done| done.start < range.start) {
            self.done.pop();
        }
        self.done.last() == Some(range)
    }

    /// The text of `node`; empty where it is too long to be a name.
    pub fn name_of(&self, node: Node<'_>) -> &'a str {
        self.text_at(node.byte_range())
    }

    /// The text at `range`; empty where it is too long to be a name.
    pub fn text_at(&self, range: Range<usize>) -> &'a str {
        if range.len() > FACT_NAME_BYTES_MAX { "" } else { self.text.get(range).unwrap_or_default() }
    }

    /// Whether `name` is built in, and the document has nothing else of that name.
    pub fn is_built_in(&self, name: &str) -> bool {
        is_builtin(self.grammar, name) && !self.known.contains(name)
    }

    /// Whether `name` is of no interest: bound here, or built in.
    pub fn is_ignored(&self, name: &str) -> bool {
        self.locals.is_local(name) || self.is_built_in(name)
    }

    fn use_type(&mut self, range: Range<usize>) {
        let name = self.text_at(range.clone());
        if name == "Self" && self.grammar == Grammar::Rust || self.is_ignored(name) {
            return;
        }
        self.say(EdgeKind::Uses, range.start, "", name);
    }

    fn use_name(&mut self, range: Range<usize>) {
        let name = self.text_at(range.clone());
        let telling = self.known.contains(name) || range.start < self.types_end || is_telling(name);
        if telling && !self.is_ignored(name) {
            self.say(EdgeKind::Uses, range.start, "", name);
        }
    }

    /// In Python, a type may be named in a string.
    fn forward_reference(&mut self, range: &Range<usize>) -> bool {
        if self.grammar != Grammar::Python {
            return false;
        }
        let text = self.text_at(range.clone());
        let inner = text.trim_matches(['"', '\'']);
        if inner.len() < text.len()
            && let Some(name) = types::head(inner, self.grammar)
        {
            let (scope, name) = types::split(name);
            if !self.is_ignored(name) {
                self.say(EdgeKind::Uses, range.start, scope, name);
            }
        }
        true
    }

    /// Says a reference of the scope that the walk is in.
    pub fn say(&mut self, kind: EdgeKind, at: usize, scope: impl Into<Cow<'a, str>>, name: &'a str) {
        let from = self.scope().node;
        self.sheet.say(at, Said::plain(kind, from, scope, name));
    }

    /// Says what had to wait for the whole document.
    fn finish(mut self) -> Facts {
        self.settle(None, usize::MAX);
        for later in std::mem::take(&mut self.later) {
            let scope = self.locals.field(later.owner, later.field).map_or(later.written, Cow::Borrowed);
            if self.is_built_in(&scope) {
                continue;
            }
            self.sheet.say(later.at, Said::plain(EdgeKind::Calls, later.from, scope, later.name));
        }
        for of in std::mem::take(&mut self.implementations) {
            let from = self.types.get(&(of.around, of.owner)).copied();
            let said = Said::plain(EdgeKind::Implements, from, of.scope, of.name);
            self.sheet.say(of.at, Said { owner: if from.is_some() { "" } else { of.owner }, ..said });
        }
        for (node, owner) in std::mem::take(&mut self.owned) {
            let around = self.sheet.node(node).parent;
            // An outer node comes first, so a type that is defined further down stays a name.
            if let Some(of) = self.types.get(&(around, owner)).copied().filter(|of| *of < node) {
                let node = self.sheet.node_mut(node);
                node.parent = Some(of);
                node.owner.clear();
            }
        }
        tested::name_evidence(&mut self.sheet, self.grammar);
        self.sheet.finish()
    }
}

/// Whether a name is written as constants and types are, so that it is worth naming though nothing else is known of it.
pub(super) fn is_telling(name: &str) -> bool {
    name.len() > 1 && name.starts_with(char::is_uppercase)
}

/// Where `part`, a slice of `text`, lies in it.
pub(super) fn span_in(text: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr().saturating_sub(text.as_ptr().addr());
    start..start + part.len()
}
