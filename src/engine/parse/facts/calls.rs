//! Calls and other uses of names: what is called, and on what.

use std::borrow::Cow;

use tree_sitter::Node;

use super::super::language::Grammar;
use super::acts::Part;
use super::builtins::is_common_method;
use super::forms::Form;
use super::locals::Binding;
use super::tokens::path_before;
use super::types;
use super::values::Receiver;
use super::walk::{Later, Walk};
use crate::model::EdgeKind;

/// Names in a path that is read at once; a longer one is looked into piece by piece.
const PATH_PARTS_MAX: usize = 12;

/// Attributes and decorators of a definition that are read.
const MARKS_MAX: usize = 32;

/// What is called.
struct Callee<'a> {
    scope: Scoped<'a>,
    name: &'a str,
    at: usize,
}

enum Scoped<'a> {
    Plain(&'a str),
    On(Receiver<'a>),
}

impl<'a> Walk<'a> {
    /// Reads a call; whether to look inside.
    pub fn call(&mut self, node: Node<'_>) -> bool {
        match self.grammar {
            Grammar::Java => self.java_call(node),
            _ => {
                if self.acts.form(node) == Form::NewExpression {
                    let made = self.acts.part(node, Part::Constructor).or_else(|| self.acts.part(node, Part::Type));
                    if let Some(made) = made {
                        self.construct(made);
                    }
                } else if let Some(function) = self.acts.part(node, Part::Function) {
                    if function.byte_range() == self.marked {
                        return true;
                    }
                    if self.is_import_call(function) {
                        return self.import_call(node);
                    }
                    self.called(function);
                }
            }
        }
        true
    }

    fn called(&mut self, function: Node<'_>) {
        let Some(callee) = self.callee(function) else { return };
        self.pass_over(callee.at..callee.at + callee.name.len());
        match callee.scope {
            Scoped::Plain(scope) => {
                if scope.is_empty() && self.is_ignored(callee.name) {
                    return;
                }
                if !scope.is_empty() || self.acts.form(function) != Form::Identifier {
                    self.pass_over(function.byte_range());
                }
                let outer = types::split(scope).1;
                if !self.is_built_in(outer) {
                    self.say(EdgeKind::Calls, callee.at, scope, callee.name);
                }
            }
            Scoped::On(receiver) => self.call_on(callee.at, receiver, callee.name),
        }
    }

    /// Says that `name` is called on `receiver`.
    pub fn call_on(&mut self, at: usize, receiver: Receiver<'a>, name: &'a str) {
        let scope: Cow<'a, str> = match receiver {
            Receiver::BuiltIn => return,
            Receiver::Type(of) if self.is_built_in(of) => return,
            Receiver::Type(of) => of.into(),
            Receiver::Module(path) => {
                let root = path.split(['.', ':']).next().unwrap_or(path);
                if is_common_method(self.grammar, name) && !self.known.contains(root) {
                    return;
                }
                path.into()
            }
            Receiver::Value(_) if is_common_method(self.grammar, name) && !self.known.contains(name) => return,
            Receiver::Value(written) => written,
            Receiver::Field { owner, field, written } => {
                if self.later.len() < crate::base::limits::FACT_REFERENCES_MAX {
                    let from = self.scope().node;
                    self.later.push(Later { at, from, owner, field, name, written });
                }
                return;
            }
        };
        self.say(EdgeKind::Calls, at, scope, name);
    }

    /// Says that a constructor is called.
    fn construct(&mut self, made: Node<'_>) {
        let Some(head) = types::head(self.name_of(made), self.grammar) else { return };
        let (scope, name) = types::split(head);
        let at = made.start_byte();
        self.pass_over(at..at + head.len());
        if !(scope.is_empty() && self.is_ignored(name)) {
            self.say(EdgeKind::Calls, at + head.len() - name.len(), scope, name);
        }
    }

    fn java_call(&mut self, node: Node<'_>) {
        if let Some(made) = self.acts.part(node, Part::Type) {
            return self.construct(made);
        }
        let Some(name) = self.acts.part(node, Part::Name) else { return };
        self.pass_over(name.byte_range());
        let (at, text) = (name.start_byte(), self.name_of(name));
        match self.acts.part(node, Part::Object) {
            Some(object) => {
                let receiver = self.receiver(object);
                self.call_on(at, receiver, text);
            }
            None => self.say(EdgeKind::Calls, at, "", text),
        }
    }

    /// The name in the place of a function, and what it is looked up in.
    fn callee(&mut self, function: Node<'_>) -> Option<Callee<'a>> {
        let mut at = function;
        for _ in 0..PATH_PARTS_MAX {
            let inner = match self.acts.form(at) {
                Form::GenericFunction => self.acts.part(at, Part::Function),
                Form::TemplateFunction => self.acts.part(at, Part::Name),
                Form::Inner => at.named_child(0),
                _ => break,
            };
            at = inner?;
        }
        let (on, name) = match self.acts.form(at) {
            Form::Identifier => {
                let name = self.name_of(at);
                return Some(Callee { scope: Scoped::Plain(""), name, at: at.start_byte() });
            }
            Form::ScopedIdentifier | Form::QualifiedIdentifier => return self.path_callee(at),
            Form::FieldExpression => {
                let on = self.acts.part(at, Part::Value).or_else(|| self.acts.part(at, Part::Argument));
                (on?, self.acts.part(at, Part::Field)?)
            }
            Form::Attribute => (self.acts.part(at, Part::Object)?, self.acts.part(at, Part::Attribute)?),
            Form::MemberExpression => (self.acts.part(at, Part::Object)?, self.acts.part(at, Part::Property)?),
            Form::SelectorExpression => (self.acts.part(at, Part::Operand)?, self.acts.part(at, Part::Field)?),
            _ => return None,
        };
        let receiver = self.receiver(on);
        if self.is_plain_chain(on) {
            // Read with the call.
            self.pass_over(at.byte_range());
        }
        Some(Callee { scope: Scoped::On(receiver), name: self.name_of(name), at: name.start_byte() })
    }

    fn path_callee(&mut self, path: Node<'_>) -> Option<Callee<'a>> {
        let text = self.name_of(path);
        let end = path.end_byte();
        let (scope, name) = self.path_parts(text)?;
        self.pass_over(path.byte_range());
        Some(Callee { scope: Scoped::Plain(scope), name, at: end - name.len() })
    }

    /// The scope and last name of a path as written, without generics, with `Self` resolved.
    pub fn path_parts(&self, text: &'a str) -> Option<(&'a str, &'a str)> {
        let text =
            if text.ends_with('>') { text.split('<').next().unwrap_or(text).trim_end_matches(':') } else { text };
        let colon = text.rfind(':')?;
        let (scope, name) = (text[..colon].strip_suffix(':')?, text[colon + 1..].trim());
        let scope = scope.strip_prefix('<').map_or(scope, |inner| inner.split(" as ").next().unwrap_or(inner));
        let open = scope.find('<').unwrap_or(scope.len());
        let scope = scope[..open].trim_end_matches(':').trim();
        let scope = if scope == "Self" { self.scope().owner } else { scope };
        (types::is_path(name) && (scope.is_empty() || types::is_path(scope))).then_some((scope, name))
    }

    /// Reads names joined by `::` or dots; whether to look inside.
    pub fn path(&mut self, node: Node<'_>) -> bool {
        let range = node.byte_range();
        let at = range.start;
        match self.grammar {
            Grammar::Rust | Grammar::Cpp | Grammar::C => {
                let text = self.name_of(node);
                let Some((scope, name)) = self.path_parts(text) else { return true };
                let outer = scope.rsplit("::").next().unwrap_or(scope);
                if !scope.is_empty() && self.is_built_in(outer) {
                    return false;
                }
                // What is in angle brackets is looked at by itself.
                let whole = !text.contains('<');
                self.say(EdgeKind::Uses, range.end - name.len(), scope, name);
                !whole
            }
            _ => {
                if !self.is_plain_chain(node) {
                    // The name behind the dot is nothing without the value before it.
                    let name = self.acts.part(node, Part::Attribute).or_else(|| self.acts.part(node, Part::Field));
                    if let Some(name) = name {
                        self.pass_over(name.byte_range());
                    }
                    return true;
                }
                let text = self.name_of(node);
                let (scope, name) = types::split(text);
                let root = text.split('.').next().unwrap_or(text);
                let local = self.locals.is_local(root);
                let of_self = matches!(root, "self" | "cls" | "this" | "super");
                let known =
                    self.known.contains(root) || types::is_type_like(name) || root.starts_with(char::is_uppercase);
                if !local && !of_self && known && !self.is_built_in(root) {
                    self.say(EdgeKind::Uses, at, scope, name);
                }
                false
            }
        }
    }

    /// Whether `node` is a name, or names joined by dots, and short enough to be read at once.
    pub fn is_plain_chain(&self, node: Node<'_>) -> bool {
        let text = self.name_of(node);
        types::is_path(text) && text.split('.').count() <= PATH_PARTS_MAX
    }

    /// Reads a call of a macro of Rust; whether to look inside.
    pub fn r#macro(&mut self, node: Node<'_>) -> bool {
        let Some(name) = self.acts.part(node, Part::Macro) else { return true };
        self.pass_over(name.byte_range());
        let text = self.name_of(name);
        let (scope, last) = self.path_parts(text).unwrap_or(("", text));
        if !(scope.is_empty() && self.is_ignored(last)) {
            self.say(EdgeKind::Calls, name.end_byte() - last.len(), scope, last);
        }
        true
    }

    /// Reads a decorator, attribute or annotation; whether to look inside.
    pub fn mark(&mut self, node: Node<'_>) -> bool {
        if self.grammar == Grammar::Rust {
            self.rust_attribute(node);
            return false;
        }
        let named = self.acts.part(node, Part::Name).or_else(|| node.named_child(0));
        let named = named.map(|named| self.acts.part(named, Part::Function).unwrap_or(named));
        let Some(named) = named.filter(|named| self.is_plain_chain(*named)) else { return true };
        self.pass_over(named.byte_range());
        let (scope, name) = types::split(self.name_of(named));
        if !(scope.is_empty() && self.is_ignored(name)) {
            self.wait(named.start_byte(), scope.into(), name);
        }
        // A call in a decorator calls what the decorator names: that was said.
        self.marked = named.byte_range();
        true
    }

    fn rust_attribute(&mut self, node: Node<'_>) {
        let Some(attribute) = node.named_child(0) else { return };
        let Some(path) = attribute.named_child(0) else { return };
        let text = self.name_of(path);
        let (scope, name) = self.path_parts(text).unwrap_or(("", text));
        if !(scope.is_empty() && self.is_ignored(name)) {
            self.wait(path.start_byte(), scope.into(), name);
        }
        if name != "derive" {
            return;
        }
        let Some(derived) = self.acts.part(attribute, Part::Arguments) else { return };
        for child in derived.named_children(&mut derived.walk()).take(MARKS_MAX) {
            let name = self.name_of(child);
            let last = !self.text[child.end_byte()..].starts_with("::");
            if self.acts.form(child) == Form::Identifier && last && !self.is_ignored(name) {
                let scope = path_before(self.text, child.start_byte());
                self.wait(child.start_byte(), scope.trim_end_matches(':').into(), name);
            }
        }
    }

    /// Binds a type variable; whether to look inside.
    pub fn type_variable(&mut self, node: Node<'_>) -> bool {
        let named = self.acts.part(node, Part::Name);
        let named = named.or_else(|| {
            node.named_children(&mut node.walk())
                .find(|child| matches!(self.acts.form(*child), Form::TypeIdentifier | Form::Identifier))
        });
        if let Some(named) = named {
            let name = self.name_of(named);
            self.locals.bind(name, Binding { r#type: None, made: None, local: true });
        }
        true
    }
}
