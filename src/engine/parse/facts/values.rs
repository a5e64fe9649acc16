//! What a value is an instance of, as far as it is evident from where it was made.

use std::borrow::Cow;

use tree_sitter::Node;

use super::super::language::Grammar;
use super::acts::Part;
use super::builtins::is_builtin;
use super::forms::Form;
use super::types;
use super::walk::Walk;

/// Steps from a value back to where it was made.
const STEPS_MAX: usize = 8;

/// Longest receiver that is given as written.
const RECEIVER_BYTES_MAX: usize = 64;

/// What a method is called on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receiver<'a> {
    /// A value of this type, or the type itself.
    Type(&'a str),
    /// A name that is not bound here: a module, a class, a variable of the module.
    Module(&'a str),
    /// A value of unknown type, as written, with a dot.
    Value(Cow<'a, str>),
    /// A field whose type may be declared in this document.
    Field {
        /// The type that has it.
        owner: &'a str,
        /// Its name.
        field: &'a str,
        /// What to say otherwise.
        written: Cow<'a, str>,
    },
    /// A value of a type of the language.
    BuiltIn,
}

/// What is known of a value.
enum Known<'a> {
    Type(&'a str),
    BuiltIn,
    Field(&'a str, &'a str),
    Nothing,
}

impl<'a> Walk<'a> {
    /// What a method that is called on `node` is looked up in.
    pub fn receiver(&self, node: Node<'_>) -> Receiver<'a> {
        match self.known(node) {
            Known::Type(of) => Receiver::Type(of),
            Known::BuiltIn => Receiver::BuiltIn,
            Known::Field(owner, field) => match self.locals.field(owner, field) {
                Some(of) => Receiver::Type(of),
                None => Receiver::Field { owner, field, written: self.written(node) },
            },
            Known::Nothing => {
                let text = self.name_of(node);
                if let Some(made) = self.locals.get(text).and_then(|binding| binding.made.as_ref()) {
                    return Receiver::Value(made.clone().into());
                }
                let root = text.split(['.', ':']).next().unwrap_or(text);
                let value = self.grammar == Grammar::Rust && !root.starts_with(char::is_uppercase);
                let free = !self.locals.is_local(root);
                if free && !value && !matches!(root, "self" | "this") && self.is_plain_chain(node) {
                    if self.is_built_in(root) {
                        return Receiver::BuiltIn;
                    }
                    let owner = self.scope().owner;
                    let implied = matches!(self.grammar, Grammar::Java | Grammar::Cpp) && !owner.is_empty();
                    if implied && root == text && !root.starts_with(char::is_uppercase) {
                        // A field needs no `this`.
                        return Receiver::Field { owner, field: text, written: text.into() };
                    }
                    return Receiver::Module(text);
                }
                Receiver::Value(self.written(node))
            }
        }
    }

    /// The same between the tokens of a macro: `path` is what stands before the dot.
    pub fn token_receiver(&self, path: &str) -> Receiver<'a> {
        let mut parts = path.split('.');
        let (root, field, more) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        if more.is_none() && types::is_path(path) {
            let of = if root == "self" { Some(self.scope().owner) } else { self.locals.type_of(root) };
            match (of.filter(|of| !of.is_empty()), field) {
                (Some(of), None) => return Receiver::Type(of),
                (Some(of), Some(field)) => {
                    if let Some(of) = self.locals.field(of, field) {
                        return Receiver::Type(of);
                    }
                }
                _ => {}
            }
        }
        Receiver::Value(if path.len() > RECEIVER_BYTES_MAX { ".".into() } else { format!("{path}.").into() })
    }

    /// The type of the value `node`, if it is evident.
    pub fn type_of(&self, node: Node<'_>) -> Option<&'a str> {
        match self.known(node) {
            Known::Type(of) => Some(of),
            Known::Field(owner, field) => self.locals.field(owner, field),
            Known::BuiltIn | Known::Nothing => None,
        }
    }

    fn known(&self, node: Node<'_>) -> Known<'a> {
        let mut at = node;
        for _ in 0..STEPS_MAX {
            let next = match self.acts.form(at) {
                Form::Me => return self.instance(),
                Form::Identifier => {
                    let name = self.name_of(at);
                    return match self.locals.type_of(name) {
                        Some(of) => Known::Type(of),
                        None => Known::Nothing,
                    };
                }
                Form::Super => return self.base(),
                Form::Literal => return Known::BuiltIn,
                Form::StructExpression => return self.typed(self.acts.part(at, Part::Name)),
                Form::NewExpression => {
                    let made = self.acts.part(at, Part::Constructor).or_else(|| self.acts.part(at, Part::Type));
                    return self.typed(made);
                }
                Form::Typed => {
                    return self.typed(self.acts.part(at, Part::Type));
                }
                Form::AsExpression => return self.typed(at.named_child(1)),
                Form::ReferenceExpression => self.acts.part(at, Part::Value),
                Form::PointerExpression => self.acts.part(at, Part::Argument),
                Form::UnaryExpression => self.acts.part(at, Part::Operand).or_else(|| at.named_child(0)),
                Form::Inner | Form::ExpressionList => at.named_child(0),
                Form::FieldExpression
                | Form::Attribute
                | Form::MemberExpression
                | Form::SelectorExpression
                | Form::FieldAccess => {
                    return self.field_of(at);
                }
                Form::Call => match self.result_of(at) {
                    Ok(known) => return known,
                    Err(through) => through,
                },
                _ => None,
            };
            match next {
                Some(next) => at = next,
                None => return Known::Nothing,
            }
        }
        Known::Nothing
    }

    fn instance(&self) -> Known<'a> {
        let owner = self.scope().owner;
        if owner.is_empty() { Known::Nothing } else { Known::Type(owner) }
    }

    fn base(&self) -> Known<'a> {
        let base = self.scope().base;
        if base.is_empty() { Known::Nothing } else { Known::Type(base) }
    }

    fn typed(&self, node: Option<Node<'_>>) -> Known<'a> {
        let head = node.and_then(|node| types::head(self.name_of(node), self.grammar));
        match head {
            Some("Self") => self.instance(),
            Some(head) => Known::Type(head),
            None => Known::Nothing,
        }
    }

    /// A field of something whose type is known.
    fn field_of(&self, node: Node<'_>) -> Known<'a> {
        let (Some(on), Some(name)) = self.member(node) else { return Known::Nothing };
        let owner = match self.acts.form(on) {
            Form::Me => self.scope().owner,
            Form::Identifier => self.locals.type_of(self.name_of(on)).unwrap_or_default(),
            // Only one more step, so that a long chain does not cost its square.
            Form::FieldExpression
            | Form::Attribute
            | Form::MemberExpression
            | Form::SelectorExpression
            | Form::FieldAccess
                if self.is_plain_chain(on) =>
            {
                match self.field_of(on) {
                    Known::Field(owner, field) => self.locals.field(owner, field).unwrap_or_default(),
                    _ => "",
                }
            }
            _ => "",
        };
        if owner.is_empty() { Known::Nothing } else { Known::Field(owner, name) }
    }

    /// The value before a dot, and the name behind it.
    fn member<'t>(&self, node: Node<'t>) -> (Option<Node<'t>>, Option<&'a str>) {
        let part = |part| self.acts.part(node, part);
        let (on, name) = match self.acts.form(node) {
            Form::FieldExpression => (part(Part::Value).or_else(|| part(Part::Argument)), part(Part::Field)),
            Form::Attribute => (part(Part::Object), part(Part::Attribute)),
            Form::MemberExpression => (part(Part::Object), part(Part::Property)),
            Form::SelectorExpression => (part(Part::Operand), part(Part::Field)),
            Form::FieldAccess => (part(Part::Object), part(Part::Field)),
            _ => (None, None),
        };
        (on, name.map(|name| self.name_of(name)))
    }

    /// What a call gives: a type, or the node whose type it keeps.
    fn result_of<'t>(&self, call: Node<'t>) -> Result<Known<'a>, Option<Node<'t>>> {
        if self.grammar == Grammar::Java {
            let name = self.acts.part(call, Part::Name).map(|name| self.name_of(name)).unwrap_or_default();
            let own = self.acts.part(call, Part::Object).is_none_or(|object| self.acts.form(object) == Form::Me);
            return Ok(if own { self.given(self.scope().owner, name) } else { Known::Nothing });
        }
        let Some(function) = self.acts.part(call, Part::Function) else { return Err(None) };
        let text = self.name_of(function);
        match self.acts.form(function) {
            Form::Identifier => Ok(self.made_by("", text)),
            Form::ScopedIdentifier => {
                let (scope, name) = self.path_parts(text).unwrap_or_default();
                Ok(self.made_by(scope, name))
            }
            Form::FieldExpression if self.grammar == Grammar::Rust => {
                let (on, name) = self.member(function);
                let name = name.unwrap_or_default();
                if keeps_type(name) {
                    return Err(on);
                }
                Ok(on.map_or(Known::Nothing, |on| self.given_on(call, on, name)))
            }
            Form::Attribute | Form::MemberExpression | Form::SelectorExpression if types::is_path(text) => {
                let (scope, name) = types::split(text);
                if let Some(Known::Type(of)) = self.member(function).0.map(|on| self.given_on(call, on, name)) {
                    return Ok(Known::Type(of));
                }
                if self.grammar == Grammar::Python && scope == "super" {
                    return Ok(self.base());
                }
                Ok(self.made_by(scope, name).or_path(text, self.grammar, name))
            }
            Form::Attribute | Form::MemberExpression | Form::SelectorExpression => {
                let (on, name) = self.member(function);
                Ok(on.map_or(Known::Nothing, |on| self.given_on(call, on, name.unwrap_or_default())))
            }
            _ => Err(None),
        }
    }

    /// What the method `name` gives when it is called on `on`. Only calls short enough to be names are followed, so that
    /// a long chain does not cost its square.
    fn given_on(&self, call: Node<'_>, on: Node<'_>, name: &str) -> Known<'a> {
        if self.name_of(call).is_empty() {
            return Known::Nothing;
        }
        let of = match self.acts.form(on) {
            Form::Me => Some(self.scope().owner),
            Form::Identifier
                if types::is_type_like(self.name_of(on)) && self.locals.get(self.name_of(on)).is_none() =>
            {
                Some(self.name_of(on))
            }
            _ => self.type_of(on),
        };
        of.map_or(Known::Nothing, |of| self.given(of, name))
    }

    /// What the function `name` in `scope` gives: the class that it is, or the type that it belongs to or is named for.
    fn made_by(&self, scope: &'a str, name: &'a str) -> Known<'a> {
        let last = types::split(scope).1;
        match self.grammar {
            Grammar::Python if name == "super" => self.base(),
            Grammar::Python if scope.is_empty() && types::is_type_like(name) => Known::Type(name),
            Grammar::Rust if scope.is_empty() && types::is_type_like(name) => {
                if is_builtin(self.grammar, name) {
                    Known::Nothing
                } else {
                    Known::Type(name)
                }
            }
            Grammar::Rust if types::is_type_like(last) => match self.given(last, name) {
                Known::Nothing if is_constructor(name) => Known::Type(scope),
                known => known,
            },
            Grammar::Go if scope.is_empty() => match name.strip_prefix("New").filter(|made| !made.is_empty()) {
                Some(made) if !matches!(self.given("", name), Known::Type(_)) => Known::Type(made),
                _ => self.given("", name),
            },
            Grammar::Cpp if types::is_type_like(name) => Known::Type(name),
            _ if scope.is_empty() => self.given("", name),
            _ => Known::Nothing,
        }
    }

    fn given(&self, owner: &str, name: &str) -> Known<'a> {
        match self.returns.get(&(owner, name)).copied().flatten() {
            Some(of) => Known::Type(of),
            None => Known::Nothing,
        }
    }

    /// The call that made a value, as it is written for a receiver, if it was made by one.
    pub fn origin(&self, value: Node<'_>) -> Option<String> {
        let written = self.written(value);
        written.ends_with("().").then(|| written.into_owned())
    }

    /// A receiver as it stands, with a dot: arguments are left out, and what a method is called on is given by its type
    /// where that is evident.
    fn written(&self, node: Node<'_>) -> Cow<'a, str> {
        let mut at = node;
        for _ in 0..STEPS_MAX {
            let text = self.name_of(at);
            if types::is_path(text) && text.len() <= RECEIVER_BYTES_MAX {
                return format!("{text}.").into();
            }
            let inner = match self.acts.form(at) {
                Form::Inner | Form::ExpressionList => at.named_child(0),
                Form::ReferenceExpression => self.acts.part(at, Part::Value),
                _ => None,
            };
            if let Some(inner) = inner {
                at = inner;
                continue;
            }
            let Some(function) = self.acts.part(at, Part::Function) else { break };
            let (on, name) = self.member(function);
            if let (Some(on), Some(name)) = (on, name) {
                if self.grammar == Grammar::Rust && keeps_type(name) {
                    at = on;
                    continue;
                }
                if let Some(of) = self.type_of(on) {
                    return format!("{of}.{name}().").into();
                }
            }
            let function = self.name_of(function);
            if types::is_path(function) && function.len() <= RECEIVER_BYTES_MAX {
                return format!("{function}().").into();
            }
            break;
        }
        ".".into()
    }
}

impl<'a> Known<'a> {
    /// Python's `module.Class(…)` and Go's `pkg.NewType(…)`, where nothing else is known.
    fn or_path(self, path: &'a str, grammar: Grammar, name: &str) -> Self {
        match self {
            Self::Nothing if grammar == Grammar::Python && types::is_type_like(name) => Self::Type(path),
            known => known,
        }
    }
}

/// Methods of Rust whose result is called upon as what they were called on would be.
fn keeps_type(name: &str) -> bool {
    matches!(
        name,
        "unwrap"
            | "expect"
            | "clone"
            | "as_ref"
            | "as_mut"
            | "borrow"
            | "borrow_mut"
            | "lock"
            | "read"
            | "write"
            | "unwrap_or_default"
            | "to_owned"
            | "by_ref"
            | "unwrap_or_else"
            | "context"
            | "map_err"
            | "ok"
    )
}

/// Functions of a Rust type that give one, by their names.
fn is_constructor(name: &str) -> bool {
    const WHOLE: &[&str] = &["new", "default", "open", "create", "connect", "bind", "start", "load", "parse", "build"];
    WHOLE.contains(&name)
        || ["new_", "from_", "with_", "try_from", "try_new", "open_"].iter().any(|lead| name.starts_with(lead))
        || name == "from"
}
