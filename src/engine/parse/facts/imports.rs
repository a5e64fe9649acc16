//! Imports of Rust, Python, Go, Java and C; those of JavaScript are in [`super::modules`].

use std::borrow::Cow;
use std::ops::Range;

use tree_sitter::Node;

use super::super::language::Grammar;
use super::acts::Part;
use super::sheet::Said;
use super::types;
use super::walk::Walk;
use crate::model::EdgeKind;

/// Longest path of an import.
const PATH_BYTES_MAX: usize = 160;

/// Names of one declaration; a longer list is generated.
const NAMES_MAX: usize = 2_000;

impl<'a> Walk<'a> {
    /// Reads an import; whether to look inside.
    pub fn import(&mut self, node: Node<'_>) -> bool {
        match self.grammar {
            Grammar::Rust => self.rust_import(node),
            Grammar::Python => self.python_import(node),
            Grammar::Go => self.go_import(node),
            Grammar::Java => self.java_import(node),
            Grammar::C | Grammar::Cpp => self.c_import(node),
            _ => return self.module_import(node),
        }
        false
    }

    /// Says an import, and that its name is known here.
    pub fn imported(
        &mut self,
        at: usize,
        scope: impl Into<Cow<'a, str>>,
        name: impl Into<Cow<'a, str>>,
        alias: Option<&'a str>,
    ) {
        let (scope, name) = (scope.into(), name.into());
        if name.is_empty() || scope.len() > PATH_BYTES_MAX {
            return;
        }
        let from = self.scope().node;
        let alias = alias.filter(|alias| *alias != name);
        self.known.insert(alias.map_or_else(|| name.clone(), Cow::Borrowed));
        self.sheet.say(at, Said { alias, ..Said::plain(EdgeKind::Imports, from, scope, name) });
    }

    /// `use a::{b, c as d}`: a tree, read with a list of what is still to be read and the path before it.
    fn rust_import(&mut self, node: Node<'_>) {
        if node.kind() == "extern_crate_declaration" {
            let part = |part| self.acts.part(node, part).map(|part| self.name_of(part));
            let name = part(Part::Name).unwrap_or_default();
            return self.imported(node.start_byte(), "", name, part(Part::Alias));
        }
        let Some(argument) = self.acts.part(node, Part::Argument) else { return };
        let mut open: Vec<(Node<'_>, Cow<'a, str>)> = vec![(argument, "".into())];
        let mut names = 0;
        while let Some((node, before)) = open.pop() {
            names += 1;
            if names > NAMES_MAX {
                return self.sheet.cut_short();
            }
            match node.kind() {
                "scoped_use_list" => {
                    let path = self.acts.part(node, Part::Path).map(|path| self.spaceless(path)).unwrap_or_default();
                    let path = joined(&before, path);
                    if let Some(list) = node.named_children(&mut node.walk()).find(|child| child.kind() == "use_list") {
                        open.extend(list.named_children(&mut list.walk()).map(|child| (child, path.clone())));
                    }
                }
                "use_list" => open.extend(node.named_children(&mut node.walk()).map(|child| (child, before.clone()))),
                "use_wildcard" => {
                    let path = node.named_child(0).map(|path| self.spaceless(path)).unwrap_or_default();
                    let path = joined(&before, path);
                    self.imported(node.start_byte(), path, "*", None);
                }
                "use_as_clause" => {
                    let alias = self.acts.part(node, Part::Alias);
                    // `as _` brings a trait without a name.
                    let alias = alias.map(|alias| self.name_of(alias)).unwrap_or("_");
                    if let Some(path) = self.acts.part(node, Part::Path) {
                        self.rust_leaf(path, &before, Some(alias));
                    }
                }
                "identifier" | "scoped_identifier" | "self" | "crate" | "super" => self.rust_leaf(node, &before, None),
                _ => {}
            }
        }
    }

    fn rust_leaf(&mut self, node: Node<'_>, before: &str, alias: Option<&'a str>) {
        let path = self.spaceless(node);
        let at = node.end_byte() - types::split(path).1.len();
        if path == "self" && !before.is_empty() {
            let (scope, name) = types::split(before);
            return self.imported(at, scope.to_owned(), name.to_owned(), alias);
        }
        let (inner, name) = types::split(path);
        self.imported(at, joined(before, inner), name, alias);
    }

    fn spaceless(&self, node: Node<'_>) -> &'a str {
        let text = self.name_of(node);
        if text.contains(char::is_whitespace) { "" } else { text.trim_start_matches("::") }
    }

    fn python_import(&mut self, node: Node<'_>) {
        let module = self.acts.part(node, Part::ModuleName);
        let scope = module.map(|module| self.name_of(module)).unwrap_or_default();
        if node.named_children(&mut node.walk()).any(|child| child.kind() == "wildcard_import") {
            return self.imported(node.start_byte(), scope, "*", None);
        }
        let behind = module.map_or(node.start_byte(), |module| module.end_byte());
        let mut names = 0;
        for child in node.named_children(&mut node.walk()).filter(|child| child.start_byte() >= behind) {
            names += 1;
            if names > NAMES_MAX {
                return self.sheet.cut_short();
            }
            let (named, alias) = match child.kind() {
                "aliased_import" => (self.acts.part(child, Part::Name), self.acts.part(child, Part::Alias)),
                "dotted_name" => (Some(child), None),
                _ => continue,
            };
            let Some(named) = named else { continue };
            let (path, alias) = (self.name_of(named), alias.map(|alias| self.name_of(alias)));
            if module.is_some() {
                self.imported(named.start_byte(), scope, path, alias);
                continue;
            }
            let (outer, name) = types::split(path);
            // `import a.b` makes `a.b` known by that name.
            let alias = alias.or(Some(path));
            self.imported(named.end_byte() - name.len(), outer, name, alias);
            self.known.insert(path.split('.').next().unwrap_or(path).into());
        }
    }

    fn go_import(&mut self, node: Node<'_>) {
        let Some(path) = self.acts.part(node, Part::Path) else { return };
        let text = self.name_of(path).trim_matches(['"', '`']);
        let (scope, name) = text.rsplit_once('/').unwrap_or(("", text));
        match self.acts.part(node, Part::Name).map(|alias| self.name_of(alias)) {
            Some(".") => self.imported(path.start_byte(), text, "*", None),
            alias => self.imported(path.start_byte(), scope, name, alias),
        }
    }

    fn java_import(&mut self, node: Node<'_>) {
        let Some(path) = node.named_child(0) else { return };
        let text = self.name_of(path);
        if node.named_children(&mut node.walk()).any(|child| child.kind() == "asterisk") {
            return self.imported(path.start_byte(), text, "*", None);
        }
        let (scope, name) = types::split(text);
        self.imported(path.end_byte() - name.len(), scope, name, None);
    }

    fn c_import(&mut self, node: Node<'_>) {
        match node.kind() {
            "preproc_include" => {
                let Some(path) = self.acts.part(node, Part::Path) else { return };
                let text = self.name_of(path);
                let inner = text.trim_matches(['"', '<', '>']);
                let (folder, name) = inner.rsplit_once('/').unwrap_or(("", inner));
                // In quotes it is looked for beside the file first.
                let scope: Cow<'a, str> = match (text.starts_with('"'), folder.is_empty()) {
                    (true, true) => ".".into(),
                    (true, false) => format!("./{folder}").into(),
                    (false, _) => folder.into(),
                };
                self.imported(path.start_byte(), scope, name, None);
            }
            "namespace_alias_definition" => {
                let alias = self.acts.part(node, Part::Name).map(|alias| self.name_of(alias));
                let target = node.named_children(&mut node.walk()).last().map(|target| self.name_of(target));
                let (scope, name) = types::split(target.unwrap_or_default());
                self.imported(node.start_byte(), scope, name, alias);
            }
            _ => {
                let Some(named) = node.named_child(0) else { return };
                let text = self.name_of(named);
                let whole = self.text_at(Range { start: node.start_byte(), end: named.start_byte() });
                let (scope, name) = types::split(text);
                if whole.contains("namespace") {
                    self.imported(named.start_byte(), text, "*", None);
                } else {
                    self.imported(named.start_byte(), scope, name, None);
                }
            }
        }
    }
}

/// `before::path`.
fn joined<'a>(before: &str, path: &'a str) -> Cow<'a, str> {
    match (before.is_empty(), path.is_empty()) {
        (true, _) => path.into(),
        (_, true) => before.to_owned().into(),
        _ => format!("{before}::{path}").into(),
    }
}
