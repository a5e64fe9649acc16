//! Imports and exports of JavaScript and TypeScript, and their older and later forms as calls.

use tree_sitter::Node;

use super::acts::Part;
use super::types;
use super::walk::Walk;

impl<'a> Walk<'a> {
    /// Reads `import …` and `export … from …`; whether to look inside.
    pub fn module_import(&mut self, node: Node<'_>) -> bool {
        let required = node.named_child(0).filter(|child| child.kind() == "import_require_clause");
        let holder = required.unwrap_or(node);
        let Some(source) = self.acts.part(holder, Part::Source) else { return node.kind() == "export_statement" };
        let scope = self.string(source);
        let before = self.sheet.said();
        for child in node.named_children(&mut node.walk()) {
            match child.kind() {
                "import_clause" => {
                    for inner in child.named_children(&mut child.walk()) {
                        self.clause(inner, scope);
                    }
                }
                _ => self.clause(child, scope),
            }
        }
        if let Some(required) = required {
            let alias = required.named_child(0).map(|name| self.name_of(name));
            self.imported(node.start_byte(), scope, "*", alias);
        }
        if self.sheet.said() == before {
            // `import './x'` and `export * from './x'`.
            self.imported(source.start_byte(), scope, "*", None);
        }
        false
    }

    fn clause(&mut self, node: Node<'_>, scope: &'a str) {
        match node.kind() {
            "identifier" => {
                let alias = self.name_of(node);
                self.imported(node.start_byte(), scope, "default", Some(alias));
            }
            "namespace_import" | "namespace_export" => {
                let alias = node.named_child(0).map(|name| self.name_of(name));
                self.imported(node.start_byte(), scope, "*", alias);
            }
            "named_imports" | "export_clause" => {
                for specifier in node.named_children(&mut node.walk()) {
                    let part = |part| self.acts.part(specifier, part).map(|part| self.name_of(part));
                    if let Some(name) = part(Part::Name) {
                        let alias = part(Part::Alias);
                        self.imported(specifier.start_byte(), scope, name, alias);
                    }
                }
            }
            _ => {}
        }
    }

    /// Whether a function that is called is `require` or `import`.
    pub fn is_import_call(&self, function: Node<'_>) -> bool {
        match function.kind() {
            "import" => true,
            "identifier" => self.name_of(function) == "require" && self.locals.get("require").is_none(),
            _ => false,
        }
    }

    /// Reads `require('x')` or `import('x')` where nothing said before what its parts are called; whether to look inside.
    pub fn import_call(&mut self, node: Node<'_>) -> bool {
        if let Some(scope) = self.import_source(node) {
            self.imported(node.start_byte(), scope, "*", None);
        }
        true
    }

    /// What `require('x')` or `import('x')` brings, if `call` is one.
    fn import_source(&self, call: Node<'_>) -> Option<&'a str> {
        if call.kind() != "call_expression" {
            return None;
        }
        let function = self.acts.part(call, Part::Function).filter(|function| self.is_import_call(*function));
        let argument = function.and_then(|_| self.acts.part(call, Part::Arguments))?.named_child(0)?;
        (argument.kind() == "string").then(|| self.string(argument))
    }

    /// Reads `const x = require('y')`; whether it was one.
    pub fn required(&mut self, declarator: Node<'_>) -> bool {
        let Some(mut value) = self.acts.part(declarator, Part::Value) else { return false };
        if value.kind() == "await_expression" {
            let Some(inner) = value.named_child(0) else { return false };
            value = inner;
        }
        let mut member = None;
        if value.kind() == "member_expression" {
            member = self.acts.part(value, Part::Property).map(|property| self.name_of(property));
            let Some(object) = self.acts.part(value, Part::Object) else { return false };
            value = object;
        }
        let Some(scope) = self.import_source(value) else { return false };
        self.pass_over(value.byte_range());
        let Some(name) = self.acts.part(declarator, Part::Name) else { return false };
        let at = name.start_byte();
        if name.kind() == "identifier" {
            let alias = self.name_of(name);
            self.pass_over(name.byte_range());
            self.imported(at, scope, member.unwrap_or("*"), Some(alias));
            return true;
        }
        for child in name.named_children(&mut name.walk()) {
            let (name, alias) = match child.kind() {
                "shorthand_property_identifier_pattern" => (self.name_of(child), None),
                "pair_pattern" => match (child.named_child(0), self.acts.part(child, Part::Value)) {
                    (Some(name), Some(alias)) => {
                        self.pass_over(alias.byte_range());
                        (self.name_of(name), Some(self.name_of(alias)))
                    }
                    _ => continue,
                },
                _ => continue,
            };
            if types::is_path(name) {
                self.imported(child.start_byte(), scope, name, alias);
            }
        }
        true
    }

    fn string(&self, node: Node<'_>) -> &'a str {
        self.name_of(node).trim_matches(['"', '\'', '`'])
    }
}
