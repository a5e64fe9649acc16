//! Public functions of a source file with their documentation: Python and Rust. Nothing is run or imported.

use tree_sitter::{Node, Parser};

/// A function that others may call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Its documentation; may be empty.
    pub doc: String,
    /// Arguments with their types as written.
    pub arguments: Vec<(String, String)>,
    /// Type of its result as written.
    pub returns: String,
    /// Its source.
    pub code: String,
}

/// Functions at the top of the file that are public, in order. `extension` is `py` or `rs`; of others there are none.
pub fn public_functions(extension: &str, text: &str) -> Vec<Function> {
    let language = match extension {
        "py" => tree_sitter_python::LANGUAGE.into(),
        "rs" => tree_sitter_rust::LANGUAGE.into(),
        _ => return Vec::new(),
    };
    let mut parser = Parser::new();
    if parser.set_language(&language).is_err() {
        return Vec::new();
    }
    let Some(tree) = parser.parse(text, None) else { return Vec::new() };
    let root = tree.root_node();
    let mut cursor = root.walk();
    let items: Vec<Node<'_>> = root.named_children(&mut cursor).collect();
    match extension {
        "py" => items.into_iter().filter_map(|item| python(item, text)).collect(),
        _ => items.into_iter().filter_map(|item| rust(item, text)).collect(),
    }
}

fn source<'t>(node: Node<'_>, text: &'t str) -> &'t str {
    text.get(node.byte_range()).unwrap_or_default()
}

fn field<'t>(node: Node<'_>, name: &str, text: &'t str) -> &'t str {
    node.child_by_field_name(name).map_or("", |child| source(child, text))
}

fn python(item: Node<'_>, text: &str) -> Option<Function> {
    let function = match item.kind() {
        "function_definition" => item,
        "decorated_definition" => {
            item.child_by_field_name("definition").filter(|inner| inner.kind() == "function_definition")?
        }
        _ => return None,
    };
    let name = field(function, "name", text);
    if name.is_empty() || name.starts_with('_') {
        return None;
    }
    let first = function.child_by_field_name("body")?.named_child(0);
    let doc = first
        .filter(|first| first.kind() == "expression_statement")
        .and_then(|first| first.named_child(0))
        .filter(|string| string.kind() == "string")
        .map_or_else(String::new, |string| docstring(source(string, text)));
    let mut arguments = Vec::new();
    if let Some(parameters) = function.child_by_field_name("parameters") {
        let mut cursor = parameters.walk();
        for parameter in parameters.named_children(&mut cursor) {
            let (name, about) = match parameter.kind() {
                "identifier" => (source(parameter, text), ""),
                "typed_parameter" => {
                    (parameter.named_child(0).map_or("", |name| source(name, text)), field(parameter, "type", text))
                }
                "default_parameter" | "typed_default_parameter" => {
                    (field(parameter, "name", text), field(parameter, "type", text))
                }
                _ => continue,
            };
            arguments.push((name.to_owned(), about.to_owned()));
        }
    }
    Some(Function {
        name: name.to_owned(),
        doc,
        arguments,
        returns: field(function, "return_type", text).to_owned(),
        code: source(item, text).to_owned(),
    })
}

/// The text of a Python string literal, its lines without their common indent.
fn docstring(literal: &str) -> String {
    let text = literal.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let text = ["\"\"\"", "'''", "\"", "'"]
        .iter()
        .find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(text);
    text.trim().lines().map(str::trim).collect::<Vec<_>>().join("\n")
}

fn rust(item: Node<'_>, text: &str) -> Option<Function> {
    if item.kind() != "function_item" {
        return None;
    }
    let mut cursor = item.walk();
    item.named_children(&mut cursor)
        .find(|child| child.kind() == "visibility_modifier" && source(*child, text) == "pub")?;
    let mut lines = Vec::new();
    let mut before = item.prev_sibling();
    while let Some(comment) = before {
        let said = source(comment, text);
        match (comment.kind(), said.strip_prefix("///")) {
            ("line_comment", Some(line)) => lines.push(line.trim().to_owned()),
            ("attribute_item", _) => {}
            _ => break,
        }
        before = comment.prev_sibling();
    }
    lines.reverse();
    let mut arguments = Vec::new();
    if let Some(parameters) = item.child_by_field_name("parameters") {
        let mut cursor = parameters.walk();
        for parameter in parameters.named_children(&mut cursor).filter(|parameter| parameter.kind() == "parameter") {
            arguments.push((field(parameter, "pattern", text).to_owned(), field(parameter, "type", text).to_owned()));
        }
    }
    Some(Function {
        name: field(item, "name", text).to_owned(),
        doc: lines.join("\n").trim().to_owned(),
        arguments,
        returns: field(item, "return_type", text).to_owned(),
        code: source(item, text).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_source_gives_what_can_be_read() {
        let found = public_functions("py", "def ok(x):\n    return x\n\ndef broken(:\n");
        assert_eq!(found.first().map(|function| function.name.as_str()), Some("ok"));
        assert!(public_functions("go", "func F() {}").is_empty());
        assert!(public_functions("rs", "pub(crate) fn f() {}").is_empty());
    }
}
