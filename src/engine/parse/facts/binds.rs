//! Names that are bound on the way: parameters, variables, patterns and fields, with their types where these show.

use tree_sitter::Node;

use super::super::language::Grammar;
use super::acts::Part;
use super::forms::Form;
use super::locals::Binding;
use super::types;
use super::walk::{Members, Walk};

/// Nodes of a pattern that are looked at; one that binds more is a table.
const PATTERN_NODES_MAX: usize = 64;

/// Steps down a C declarator.
const DECLARATOR_DEPTH_MAX: usize = 16;

/// What a name is bound to: a type, or else the call that gave it.
#[derive(Debug, Clone, Default)]
struct Of<'a> {
    r#type: Option<&'a str>,
    made: Option<String>,
}

impl<'a> From<Option<&'a str>> for Of<'a> {
    fn from(r#type: Option<&'a str>) -> Self {
        Self { r#type, made: None }
    }
}

impl<'a> Walk<'a> {
    /// What is known of `value`.
    fn of_value(&self, value: Option<Node<'_>>) -> Of<'a> {
        let Some(value) = value else { return Of::default() };
        let r#type = self.type_of(value);
        let made = if r#type.is_none() { self.origin(value) } else { None };
        Of { r#type, made }
    }

    /// Reads a node that binds names; whether to look inside.
    pub fn bind(&mut self, node: Node<'_>) -> bool {
        match self.acts.form(node) {
            Form::Field => self.bind_field(node),
            Form::Parameters => {
                self.bind_parameters(node);
            }
            Form::Assignment => self.bind_assignment(node),
            Form::VariableDeclarator if self.required(node) => {}
            Form::ArrowFunction | Form::CatchClause => {
                self.bind_pattern(self.acts.part(node, Part::Parameter), Of::default())
            }
            Form::LambdaExpression => self.bind_lambda(node),
            Form::AsPattern => {
                let of = self.of_value(node.named_child(0));
                self.bind_pattern(self.acts.part(node, Part::Alias), of);
            }
            Form::ShortVarDeclaration => {
                let of = self.of_value(self.acts.part(node, Part::Right));
                self.bind_pattern(self.acts.part(node, Part::Left), of);
            }
            Form::Declaration
            | Form::ParameterDeclaration
            | Form::OptionalParameterDeclaration
            | Form::ForRangeLoop
                if matches!(self.grammar, Grammar::C | Grammar::Cpp) =>
            {
                self.bind_declarator(node);
            }
            _ => self.bind_typed(node),
        }
        true
    }

    /// A name or pattern with a type or a value beside it.
    fn bind_typed(&mut self, node: Node<'_>) {
        let part = |part| self.acts.part(node, part);
        let value = part(Part::Value).filter(|_| !matches!(self.acts.form(node), Form::MatchArm | Form::ForExpression));
        // Java and C keep the value in the declarator.
        let inner = part(Part::Declarator);
        let value = value.or_else(|| inner.and_then(|inner| self.acts.part(inner, Part::Value)));
        let of = match self.annotated(node).filter(|of| *of != "var") {
            Some(of) => Some(of).into(),
            None => self.of_value(value),
        };
        let pattern = part(Part::Pattern).or_else(|| part(Part::Left)).or_else(|| part(Part::Name));
        let pattern = pattern.or_else(|| inner.and_then(|inner| self.acts.part(inner, Part::Name)));
        self.bind_pattern(pattern, of);
    }

    /// The type that is written beside a name.
    fn annotated(&self, node: Node<'_>) -> Option<&'a str> {
        let written = self.acts.part(node, Part::Type)?;
        match types::head(self.name_of(written), self.grammar)? {
            "Self" => Some(self.scope().owner),
            of => Some(of),
        }
    }

    fn bind_parameters(&mut self, list: Node<'_>) {
        let mut first = true;
        for parameter in list.named_children(&mut list.walk()).take(PATTERN_NODES_MAX) {
            let name = || self.acts.part(parameter, Part::Name).or_else(|| self.acts.part(parameter, Part::Pattern));
            let of = self.annotated(parameter);
            match self.acts.form(parameter) {
                // Rust's are met by themselves.
                Form::Parameter => {}
                Form::Identifier => {
                    let name = self.name_of(parameter);
                    let own = first && matches!(name, "self" | "cls") && self.grammar == Grammar::Python;
                    let owner = Some(self.scope().owner).filter(|owner| own && !owner.is_empty());
                    self.bind_name(name, owner.into());
                }
                Form::TypedParameter => self.bind_pattern(parameter.named_child(0), of.into()),
                Form::RequiredParameter | Form::OptionalParameter => {
                    self.bind_pattern(name(), of.into());
                    let property =
                        parameter.named_child(0).filter(|child| self.acts.form(*child) == Form::AccessibilityModifier);
                    if let (Some(_), Some(name), Some(of)) = (property, name(), of) {
                        let (owner, name) = (self.scope().owner, self.name_of(name));
                        self.locals.set_field(owner, name, of);
                    }
                }
                Form::DefaultParameter | Form::TypedDefaultParameter => self.bind_pattern(name(), of.into()),
                _ => self.bind_pattern(Some(parameter), Of::default()),
            }
            first = false;
        }
    }

    fn bind_lambda(&mut self, node: Node<'_>) {
        if let Some(parameters) =
            self.acts.part(node, Part::Parameters).filter(|list| self.acts.form(*list) != Form::Parameters)
        {
            self.bind_pattern(Some(parameters), Of::default());
        }
    }

    /// Binds the names in a pattern; the type is that of the only one.
    fn bind_pattern(&mut self, pattern: Option<Node<'_>>, of: Of<'a>) {
        let Some(pattern) = pattern else { return };
        if matches!(self.acts.form(pattern), Form::Identifier | Form::TypeIdentifier) {
            return self.bind_name(self.name_of(pattern), of);
        }
        let transparent = matches!(
            self.acts.form(pattern),
            Form::MutPattern
                | Form::RefPattern
                | Form::AsPatternTarget
                | Form::ExpressionList
                | Form::MatchPattern
                | Form::RestPattern
        );
        let alone = transparent && pattern.named_child_count() == 1;
        // Of several results the first is what was asked for: `conn, err := …`.
        let first = self.acts.form(pattern) == Form::ExpressionList;
        let mut of = if alone || first { of } else { Of::default() };
        let mut cursor = pattern.walk();
        let mut more = cursor.goto_first_child();
        let mut depth = usize::from(more);
        for _ in 0..PATTERN_NODES_MAX {
            if !more {
                break;
            }
            let node = cursor.node();
            if matches!(
                self.acts.form(node),
                Form::Identifier | Form::ShorthandFieldIdentifier | Form::ShorthandPropertyIdentifierPattern
            ) {
                let name = self.name_of(node);
                // A name in capitals in a pattern is compared with, not bound.
                if self.grammar != Grammar::Rust || name.starts_with(|c: char| c.is_lowercase() || c == '_') {
                    self.bind_name(name, std::mem::take(&mut of));
                }
            }
            let value = matches!(
                self.acts.form(node),
                Form::Attribute
                    | Form::Subscript
                    | Form::MemberExpression
                    | Form::SelectorExpression
                    | Form::FieldExpression
            );
            if !value && cursor.goto_first_child() {
                depth += 1;
                continue;
            }
            while !cursor.goto_next_sibling() {
                depth = depth.saturating_sub(1);
                if depth == 0 || !cursor.goto_parent() {
                    more = false;
                    break;
                }
            }
        }
    }

    fn bind_name(&mut self, name: &'a str, of: Of<'a>) {
        let scope = self.scope();
        if scope.members == Members::Inside {
            // A variable of a class is a field of its instances.
            if let Some(of) = of.r#type {
                self.locals.set_field(scope.owner, name, of);
            }
            return;
        }
        if !name.is_empty() && name != "_" {
            self.locals.bind(name, Binding { r#type: of.r#type, made: of.made, local: scope.local });
        }
    }

    fn bind_assignment(&mut self, node: Node<'_>) {
        let Some(left) = self.acts.part(node, Part::Left) else { return };
        let of = match self.annotated(node) {
            Some(of) => Some(of).into(),
            None => self.of_value(self.acts.part(node, Part::Right)),
        };
        match self.acts.form(left) {
            Form::Attribute | Form::MemberExpression => {
                let on = self.acts.part(left, Part::Object).map(|on| self.name_of(on));
                let name = self.acts.part(left, Part::Attribute).or_else(|| self.acts.part(left, Part::Property));
                let owner = self.scope().owner;
                if let (Some("self" | "this" | "cls"), Some(name), Some(of)) = (on, name, of.r#type) {
                    self.locals.set_field(owner, self.name_of(name), of);
                }
            }
            // JavaScript declares before it assigns; only a new type is news.
            _ if self.grammar != Grammar::Python && of.r#type.is_none() => {}
            _ => self.bind_pattern(Some(left), of),
        }
    }

    fn bind_field(&mut self, node: Node<'_>) {
        let part = |part| self.acts.part(node, part);
        let mut name = part(Part::Name).or_else(|| part(Part::Property)).or_else(|| part(Part::Declarator));
        for _ in 0..DECLARATOR_DEPTH_MAX {
            let Some(inner) = name else { break };
            let next = self.acts.part(inner, Part::Declarator).or_else(|| self.acts.part(inner, Part::Name));
            match next {
                Some(next) => name = Some(next),
                None => break,
            }
        }
        let of = self.annotated(node).or_else(|| part(Part::Value).and_then(|value| self.type_of(value)));
        let Some(of) = of else { return };
        let owner = self.scope().owner;
        match name {
            Some(name) => {
                if matches!(self.acts.form(name), Form::Identifier) {
                    self.pass_over(name.byte_range());
                }
                self.locals.set_field(owner, self.name_of(name), of);
            }
            // Go's embedding: what the field has, the type has.
            None if self.grammar == Grammar::Go => {
                if let Some(of) = part(Part::Type) {
                    self.extend(of, crate::model::EdgeKind::Inherits);
                }
            }
            None => {}
        }
    }

    /// C's declarations: the type first, the name somewhere in the declarator.
    fn bind_declarator(&mut self, node: Node<'_>) {
        let mut at = self.acts.part(node, Part::Declarator);
        let mut value = None;
        for _ in 0..DECLARATOR_DEPTH_MAX {
            let Some(declarator) = at else { return };
            match self.acts.form(declarator) {
                Form::Identifier => break,
                // A prototype binds nothing.
                Form::FunctionDeclarator | Form::QualifiedIdentifier => return,
                _ => {
                    value = value.or(self.acts.part(declarator, Part::Value));
                    at = self.acts.part(declarator, Part::Declarator).or_else(|| declarator.named_child(0));
                }
            }
        }
        let of = match self.annotated(node).filter(|of| *of != "auto") {
            Some(of) => Some(of).into(),
            None => self.of_value(value),
        };
        let Some(name) = at.filter(|at| self.acts.form(*at) == Form::Identifier) else { return };
        self.bind_name(self.name_of(name), of);
    }
}
