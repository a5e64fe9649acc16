//! From definitions to nodes: kind, parent, owner, what they give back; and the scopes that they open.

use std::borrow::Cow;

use tree_sitter::Node;

use super::super::grammar::{Class, Definition, NameRule};
use super::super::language::Grammar;
use super::super::syntax::{Symbol, first_sentence};
use super::acts::Part;
use super::sheet::{Said, clip};
use super::walk::{Implementation, Members, Scope, Walk, span_in};
use super::{tested, types};
use crate::model::{EdgeKind, NodeKind};

impl<'a> Walk<'a> {
    /// Makes a node of a definition, and a scope for what is inside.
    pub fn define(&mut self, node: Node<'_>) {
        let Class::Definition(definition) = self.rules.class(node.kind_id()) else { return };
        let Some(symbol) = self.symbol_of(definition, node) else { return };
        if definition.name == NameRule::Impl {
            return self.implement(node);
        }
        let scope = self.scope();
        if !symbol.defines {
            return;
        }
        let name = self.text_at(symbol.name_at..symbol.name_at + symbol.name.len());
        let name_end = symbol.name_at + name.len();
        if self.grammar == Grammar::Rust && symbol.kind == "module" && self.acts.part(node, Part::Body).is_none() {
            // The module is the other document; here it is only brought in.
            self.pass_over(symbol.name_at..name_end);
            return self.say(EdgeKind::Imports, symbol.name_at, "self", name);
        }
        let kind = self.kind_of(&symbol, node);
        let made = self.sheet.define(kind, &symbol.name, symbol.span.clone(), scope.node);
        self.settle(made, symbol.span.start);
        self.pass_over(symbol.name_at..name_end);
        let is_type = matches!(kind, NodeKind::Type | NodeKind::Interface);
        let own = symbol.owner.as_ref().map(|owner| self.owner_slice(node, owner, symbol.name_at));
        if let Some(made) = made {
            let own = own.unwrap_or_default();
            if self.grammar == Grammar::Cpp && !own.is_empty() {
                self.pass_over(span_in(self.text, own).start..name_end);
            }
            self.complete(made, &symbol, own);
            if is_type {
                self.types.entry((scope.node, name)).or_insert(made);
            }
            if scope.local {
                self.known.insert(name.into());
            }
        }
        let is_function = matches!(kind, NodeKind::Function | NodeKind::Method);
        if kind == NodeKind::Constant {
            return;
        }
        self.enter(Scope {
            end: node.end_byte(),
            node: made.or(scope.node),
            owner: if is_type { name } else { own.unwrap_or(scope.owner) },
            base: if is_type { "" } else { scope.base },
            members: if is_type { Members::Inside } else { Members::Free },
            local: is_function || scope.local && !is_type,
            mark: 0,
        });
        // These lists are of a kind that other lists are of, too.
        let listed = match self.grammar {
            Grammar::Python => Part::Superclasses,
            Grammar::Rust if kind == NodeKind::Interface => Part::Bounds,
            _ => return,
        };
        if is_type && let Some(list) = self.acts.part(node, listed) {
            self.extends(list, EdgeKind::Inherits);
        }
    }

    /// The symbol that was found for `node`, or one of its own if nobody looked there.
    fn symbol_of(&mut self, definition: Definition, node: Node<'_>) -> Option<Cow<'a, Symbol>> {
        let range = node.byte_range();
        while self.symbols.get(self.next).is_some_and(|symbol| symbol.name_at < range.start) {
            self.next += 1;
        }
        if let Some(symbol) = self.symbols.get(self.next)
            && symbol.name_at < range.end
            && symbol.span.end == range.end
        {
            self.next += 1;
            return Some(Cow::Borrowed(symbol));
        }
        // Inside of functions only functions and types are of interest.
        let variable = matches!(definition.kind, "constant" | "variable" | "prototype" | "macro");
        if variable && definition.name != NameRule::Variable || definition.name == NameRule::Assignment {
            return None;
        }
        self.names.symbol(definition, node, false).map(Cow::Owned)
    }

    /// The owner as a part of the text: it is written before the name.
    fn owner_slice(&self, node: Node<'_>, owner: &str, name_at: usize) -> &'a str {
        let head = self.text.get(node.start_byte()..name_at).unwrap_or_default();
        let last = owner.rsplit("::").next().unwrap_or(owner);
        let found = head.rfind(owner).map(|at| (at, owner)).or_else(|| head.rfind(last).map(|at| (at, last)));
        found.map_or("", |(at, text)| {
            let start = node.start_byte() + at;
            types::head(self.text_at(start..start + text.len()), self.grammar).unwrap_or_default()
        })
    }

    fn complete(&mut self, made: u32, symbol: &Symbol, own: &'a str) {
        let scope = self.scope();
        let text = self.text;
        let owner = if own.is_empty() && scope.members == Members::Outside { scope.owner } else { own };
        let lead = text.get(symbol.span.start..symbol.name_at).unwrap_or_default();
        let inherited = self.test || scope.node.is_some_and(|parent| self.sheet.node(parent).test);
        let doc = symbol.doc.clone().and_then(|range| text.get(range));
        if !owner.is_empty() {
            self.owned.push((made, owner));
        }
        let node = self.sheet.node_mut(made);
        node.signature.clone_from(&symbol.signature);
        node.doc = doc.and_then(first_sentence).unwrap_or_default();
        owner.clone_into(&mut node.owner);
        node.test = inherited || tested::is_test(self.grammar, lead, &node.name, node.kind);
        if self.grammar == Grammar::Python
            && let Some(range) = symbol.doc.clone().filter(|range| range.start > symbol.name_at)
        {
            self.comment(range, Some(made));
        }
    }

    fn kind_of(&self, symbol: &Symbol, node: Node<'_>) -> NodeKind {
        let part = |part| self.acts.part(node, part);
        match symbol.kind {
            "trait" | "interface" | "concept" => NodeKind::Interface,
            "type" if part(Part::Type).is_some_and(|of| of.kind() == "interface_type") => NodeKind::Interface,
            "class" if part(Part::Superclasses).is_some_and(|bases| self.name_of(bases).contains("Protocol")) => {
                NodeKind::Interface
            }
            "struct" | "enum" | "union" | "class" | "record" | "type" | "annotation" => NodeKind::Type,
            "module" | "namespace" => NodeKind::Module,
            "constant" | "variable" => NodeKind::Constant,
            "macro" => NodeKind::Macro,
            _ if symbol.owner.is_some() || self.scope().members != Members::Free => NodeKind::Method,
            _ => NodeKind::Function,
        }
    }

    /// Goes into an `impl`, which is no node: what stands in it belongs to its type.
    fn implement(&mut self, node: Node<'_>) {
        let part = |part| self.acts.part(node, part).map(|part| self.name_of(part));
        let head = |text: Option<&'a str>| text.and_then(|text| types::head(text, self.grammar));
        let (target, of) = (head(part(Part::Type)), head(part(Part::Trait)));
        // `impl<T> Trait for T` gives its methods to the trait.
        let variables = part(Part::TypeParameters).unwrap_or_default();
        let blanket = target.is_some_and(|target| {
            let named = |word: &str| word.split(':').next().is_some_and(|word| word.trim() == target);
            variables.trim_matches(['<', '>']).split(',').any(named)
        });
        let target = if blanket { None } else { target };
        let owner = target.or(of).unwrap_or_default();
        self.settle(None, usize::MAX);
        if let (Some(target), Some(of)) = (target, of)
            && let Some(at) = self.acts.part(node, Part::Trait)
        {
            let (scope, name) = types::split(of);
            let around = self.scope().node;
            self.implementations.push(Implementation { owner: target, around, scope, name, at: at.start_byte() });
            let end = at.start_byte() + of.len();
            self.pass_over(at.start_byte()..end);
        }
        if let (Some(target), Some(at)) = (target, self.acts.part(node, Part::Type)) {
            self.pass_over(at.start_byte()..at.start_byte() + target.len());
        }
        let scope = self.scope();
        self.enter(Scope { end: node.end_byte(), owner, base: "", members: Members::Outside, ..scope });
    }

    /// The string that a Python module opens with.
    pub fn read_module_doc(&mut self, root: Node<'_>) {
        if self.grammar != Grammar::Python {
            return;
        }
        let string = root.named_child(0).filter(|first| first.kind() == "expression_statement");
        if let Some(string) = string.and_then(|first| first.named_child(0)).filter(|inner| inner.kind() == "string") {
            self.comment(string.byte_range(), None);
        }
    }

    /// Notes the types that functions of this document give, where they say it.
    pub fn read_returns(&mut self) {
        for symbol in self.symbols {
            let parent = symbol.parent.map(|parent| &self.symbols[parent]);
            let given = given(self.grammar, symbol).and_then(|text| types::head(text, self.grammar));
            let Some(given) = given else { continue };
            let around = parent.filter(|parent| !matches!(parent.kind, "module" | "namespace" | "function" | "method"));
            let owner = symbol.owner.as_deref().or(around.map(|parent| parent.name.as_str())).unwrap_or_default();
            let given = if matches!(given, "Self" | "this") { owner } else { given };
            let known = self.returns.entry((owner, symbol.name.as_str())).or_insert(Some(given));
            if *known != Some(given) {
                *known = None;
            }
        }
    }

    /// Says that what the walk is in extends or implements the types that `node` lists; whether to look inside.
    pub fn extends(&mut self, node: Node<'_>, kind: EdgeKind) -> bool {
        let list = node.named_child(0).filter(|child| child.kind() == "type_list").unwrap_or(node);
        for child in list.named_children(&mut list.walk()) {
            // The clauses of TypeScript are met by themselves.
            let is_name = !matches!(
                child.kind(),
                "keyword_argument"
                    | "type_arguments"
                    | "access_specifier"
                    | "extends_clause"
                    | "implements_clause"
                    | "lifetime"
                    | "removed_trait_bound"
                    | "comment"
            );
            if is_name {
                self.extend(child, kind);
            }
        }
        true
    }

    pub fn extend(&mut self, child: Node<'_>, kind: EdgeKind) {
        let Some(head) = types::head(self.name_of(child), self.grammar) else { return };
        let (scope, name) = types::split(head);
        if self.is_ignored(name) && scope.is_empty() {
            return;
        }
        let at = child.start_byte();
        self.pass_over(at..at + head.len());
        let from = self.scope().node;
        self.sheet.say(at + head.len() - name.len(), Said::plain(kind, from, scope, name));
        if let Some(inside) = self.scopes.last_mut().filter(|scope| scope.members == Members::Inside)
            && inside.base.is_empty()
        {
            inside.base = clip(head);
        }
    }
}

/// The type that a function's signature says it gives, as written.
fn given(grammar: Grammar, symbol: &Symbol) -> Option<&str> {
    if !matches!(symbol.kind, "function" | "method" | "prototype") {
        return None;
    }
    let signature = symbol.signature.as_str();
    match grammar {
        Grammar::Rust => signature.rsplit_once("-> ").map(|(_, given)| given.split(" where").next().unwrap_or(given)),
        Grammar::Python => signature.rsplit_once("-> ").map(|(_, given)| given),
        Grammar::TypeScript | Grammar::Tsx => signature.rsplit_once("): ").map(|(_, given)| given),
        Grammar::Go => {
            let (parameters, last) = signature.rsplit_once(')')?;
            let last = last.trim();
            if !last.is_empty() {
                return Some(last);
            }
            // `func f(a int) (*T, error)`
            let (_, results) = parameters.rsplit_once(") (")?;
            Some(results.split(',').next().unwrap_or(results))
        }
        Grammar::Java | Grammar::C | Grammar::Cpp => {
            let at = signature.find(&format!("{}(", symbol.name))?;
            let before = signature[..at].trim_end().trim_end_matches(['*', '&', ' ']);
            let generic = before.find('<').unwrap_or(before.len());
            Some(before[..generic].rfind(' ').map_or(before, |space| &before[space + 1..]))
        }
        _ => None,
    }
}
