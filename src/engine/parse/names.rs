//! Reading a definition's name, label, signature and docstring off its node.

use tree_sitter::Node;

use super::grammar::{Definition, NameRule, Rules};
use super::language::Grammar;
use super::syntax::{SIGNATURE_BYTES_MAX, Symbol};

/// Longest name in a label, in bytes; a generic type can be as long as it likes.
const LABEL_BYTES_MAX: usize = 80;

/// Steps down a C declarator before giving up: pointers to arrays of functions are never this deep.
const DECLARATOR_DEPTH_MAX: usize = 32;

/// Reads names in one text.
pub struct Names<'a> {
    /// The text.
    pub text: &'a str,
    /// Its grammar's rules.
    pub rules: &'static Rules,
}

/// A name that was found.
struct Found<'t> {
    name: &'t str,
    at: usize,
    /// What it belongs to if that isn't the enclosing node: a receiver's type, the class in `Foo::bar`.
    owner: Option<String>,
    /// Overrides the definition's own.
    kind: Option<(&'static str, &'static str)>,
    /// Where the signature stops, if not at the field `body`.
    body: Option<usize>,
    label: Option<String>,
}

impl<'a> Names<'a> {
    /// The symbol that `node` defines; span, parent and leading comment are the caller's to fill in. `None` if it
    /// turns out to define nothing. `top` says whether it stands outside of all other definitions.
    pub fn symbol(&self, definition: Definition, node: Node<'_>, top: bool) -> Option<Symbol> {
        let found = self.find(definition.name, node, top)?;
        let (kind, word) = found.kind.unwrap_or((definition.kind, definition.word));
        let name = clipped(found.name, LABEL_BYTES_MAX);
        let space = if word.is_empty() || word.ends_with('.') { "" } else { " " };
        let own = found.label.unwrap_or_else(|| format!("{word}{space}{name}"));
        let label = found.owner.as_ref().map_or(own.clone(), |owner| format!("{owner} > {own}"));
        let body = self.field(node, self.rules.fields.body);
        // The fields of a tuple struct are as telling as a parameter list.
        let opens = body.filter(|body| body.kind() != "ordered_field_declaration_list");
        let body_at = found.body.or(opens.map(|body| body.start_byte()));
        let defines = definition.name != NameRule::Impl && !name.is_empty();
        Some(Symbol {
            name,
            kind,
            label: clipped(&label, 2 * LABEL_BYTES_MAX),
            span: node.byte_range(),
            name_at: found.at,
            parent: None,
            owner: found.owner.map(|owner| owner.replace(" > ", "::")),
            signature: self.signature(node, (kind, word), found.at, body_at),
            doc: body.and_then(|body| self.docstring(body)),
            defines,
        })
    }

    fn field<'n>(&self, node: Node<'n>, field: Option<u16>) -> Option<Node<'n>> {
        node.child_by_field_id(field?)
    }

    fn text_of(&self, node: Node<'_>) -> &'a str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }

    fn find(&self, rule: NameRule, node: Node<'_>, top: bool) -> Option<Found<'a>> {
        let fields = &self.rules.fields;
        let plain = |name: Node<'_>| Found {
            name: self.text_of(name),
            at: name.start_byte(),
            owner: None,
            kind: None,
            body: None,
            label: None,
        };
        match rule {
            NameRule::Field => match self.field(node, fields.name) {
                Some(name) => Some(plain(name)),
                // `namespace {`, `export default class {`
                None => self.field(node, fields.body).map(|_| Found {
                    name: "",
                    at: node.start_byte(),
                    owner: None,
                    kind: None,
                    body: None,
                    label: None,
                }),
            },
            NameRule::FieldWithBody => {
                self.field(node, fields.body)?;
                self.field(node, fields.name).map(plain)
            }
            NameRule::FieldWithValue => {
                self.field(node, fields.value)?;
                self.field(node, fields.name).map(plain)
            }
            NameRule::Impl => {
                let target = self.field(node, fields.r#type)?;
                let of = collapsed(self.text_of(target), LABEL_BYTES_MAX);
                let label = match self.field(node, fields.r#trait) {
                    Some(implemented) => {
                        format!("impl {} for {of}", collapsed(self.text_of(implemented), LABEL_BYTES_MAX))
                    }
                    None => format!("impl {of}"),
                };
                let text = self.text_of(target);
                let base = text.split('<').next().unwrap_or(text).trim_end();
                let name = base.rsplit([':', '&', ' ']).next().unwrap_or(base);
                Some(Found { name, label: Some(label), ..plain(target) })
            }
            NameRule::Receiver => {
                let receiver = self.field(node, fields.receiver).map(|receiver| self.text_of(receiver))?;
                let inside = receiver.trim_matches(['(', ')']);
                let of = inside.split('[').next().unwrap_or(inside).trim_end();
                let of = of.rsplit([' ', '*']).next().unwrap_or(of);
                let name = self.field(node, fields.name)?;
                Some(Found { owner: (!of.is_empty()).then(|| of.to_owned()), ..plain(name) })
            }
            NameRule::Declarator => self.declared(node, rule, top),
            NameRule::Prototype => self.declared(node, rule, top),
            NameRule::Variable => self.variable(node, top),
            NameRule::Assignment => self.assignment(node, top),
        }
    }

    /// Goes down C's declarators, and Java's `variable_declarator`, to the name.
    fn declared(&self, node: Node<'_>, rule: NameRule, top: bool) -> Option<Found<'a>> {
        let fields = &self.rules.fields;
        let mut at = self.field(node, fields.declarator)?;
        let (mut function, mut pointer, mut value) = (false, false, false);
        let mut owner: Option<String> = None;
        for _ in 0..DECLARATOR_DEPTH_MAX {
            let next = match at.kind() {
                "identifier" | "field_identifier" | "type_identifier" | "destructor_name" | "operator_name"
                | "primitive_type" => break,
                "qualified_identifier" => {
                    if let Some(scope) = self.field(at, fields.scope) {
                        let scope = collapsed(self.text_of(scope), LABEL_BYTES_MAX);
                        owner = Some(owner.map_or(scope.clone(), |outer| format!("{outer} > {scope}")));
                    }
                    self.field(at, fields.name)
                }
                "template_function" | "template_method" | "variable_declarator" => self.field(at, fields.name),
                kind => {
                    function |= kind == "function_declarator";
                    pointer |= kind == "parenthesized_declarator";
                    value |= kind == "init_declarator";
                    self.field(at, fields.declarator).or_else(|| at.named_child(0))
                }
            };
            match next {
                Some(next) => at = next,
                None => break,
            }
        }
        let name = self.text_of(at);
        let is_constant = self.rules.grammar == Grammar::Java;
        if is_constant && !is_constant_name(name) {
            return None;
        }
        let kind = match rule {
            NameRule::Prototype if function && !pointer => None,
            NameRule::Prototype if value && top => Some(("variable", "")),
            NameRule::Prototype => return None,
            _ => None,
        };
        Some(Found { name, at: at.start_byte(), owner, kind, body: None, label: None })
    }

    /// `const x = …`: a function in an arrow, or a value that stands at the top.
    fn variable(&self, node: Node<'_>, top: bool) -> Option<Found<'a>> {
        let fields = &self.rules.fields;
        let declarator = (0..node.named_child_count().min(3))
            .filter_map(|at| node.named_child(u32::try_from(at).ok()?))
            .find(|child| child.kind() == "variable_declarator")?;
        let name = self.field(declarator, fields.name).filter(|name| name.kind() == "identifier")?;
        let value = self.field(declarator, fields.value);
        let (kind, body) = match value {
            Some(value) if is_function(value) => {
                (Some(("function", "const")), self.field(value, fields.body).map(|body| body.start_byte()))
            }
            Some(value) if !top || is_import(self.text_of(value)) => return None,
            None if !top => return None,
            _ => (None, None),
        };
        Some(Found { name: self.text_of(name), at: name.start_byte(), owner: None, kind, body, label: None })
    }

    /// Python's and Ruby's constants, JavaScript's `exports.x = …` and `Foo.prototype.bar = function …`.
    fn assignment(&self, node: Node<'_>, top: bool) -> Option<Found<'a>> {
        let fields = &self.rules.fields;
        let assignment = if node.kind() == "assignment" { node } else { node.named_child(0)? };
        if !matches!(assignment.kind(), "assignment" | "assignment_expression") {
            return None;
        }
        let left = self.field(assignment, fields.left)?;
        let text = self.text_of(left);
        let found =
            |name: &'a str, at, kind, body| Found { name, at, owner: None, kind: Some(kind), body, label: None };
        match self.rules.grammar {
            Grammar::Python | Grammar::Ruby => {
                let simple = matches!(left.kind(), "identifier" | "constant");
                (simple && is_constant_name(text) || left.kind() == "constant")
                    .then(|| found(text, left.start_byte(), ("constant", ""), None))
            }
            _ => {
                let right = self.field(assignment, fields.right)?;
                let exported = text.starts_with("exports.") || text.starts_with("module.exports.");
                if !top || !(is_function(right) || exported) {
                    return None;
                }
                let name = text.rsplit('.').next().filter(|name| name.bytes().all(is_word_byte))?;
                let kind = if is_function(right) { ("function", "function") } else { ("constant", "exports") };
                let body = self.field(right, fields.body).map(|body| body.start_byte());
                Some(found(name, left.end_byte() - name.len(), kind, body))
            }
        }
    }

    /// The definition's text up to its body.
    fn signature(&self, node: Node<'_>, (kind, word): (&str, &str), name_at: usize, body_at: Option<usize>) -> String {
        let mut start = node.start_byte();
        if self.rules.grammar == Grammar::Java {
            // Annotations stand in the node, on lines of their own.
            let line = self.text[start..name_at].rfind('\n').map_or(start, |newline| start + newline + 1);
            start = line;
        }
        let mut end = body_at.filter(|&at| at > start).unwrap_or(node.end_byte());
        if self.rules.grammar == Grammar::Python {
            // A comment behind the colon stands before the body.
            let children = (0..node.child_count()).filter_map(|at| node.child(at));
            let comment = children.take_while(|child| child.start_byte() < end).find(|child| child.kind() == "comment");
            end = comment.map_or(end, |comment| comment.start_byte());
        }
        let mut head = self.text.get(start..end).unwrap_or_default();
        if body_at.is_none() && matches!(kind, "constant" | "variable" | "macro") {
            head = head.lines().next().unwrap_or_default();
        }
        if kind == "macro" && self.rules.grammar == Grammar::Rust {
            head = head.split('{').next().unwrap_or_default();
        }
        let mut head = collapsed(head, SIGNATURE_BYTES_MAX);
        if self.rules.grammar == Grammar::Go && matches!(kind, "type" | "constant" | "variable") {
            // The word stands outside, once for a whole group.
            head.insert_str(0, &format!("{word} "));
        }
        head.trim_end_matches([' ', '{', ':', ';', '=']).trim_end().to_owned()
    }

    /// Python keeps its documentation in the body.
    fn docstring(&self, body: Node<'_>) -> Option<std::ops::Range<usize>> {
        if self.rules.grammar != Grammar::Python {
            return None;
        }
        let first = body.named_child(0).filter(|first| first.kind() == "expression_statement")?;
        let string = first.named_child(0).filter(|string| string.kind() == "string")?;
        Some(string.byte_range())
    }
}

fn is_function(node: Node<'_>) -> bool {
    matches!(
        node.kind(),
        "arrow_function" | "function_expression" | "function" | "generator_function" | "class" | "class_expression"
    )
}

fn is_import(value: &str) -> bool {
    ["require(", "await import(", "import("].iter().any(|call| value.starts_with(call))
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$')
}

/// `LIKE_THIS`, as constants are written where the language has none. One letter is a type variable more often.
fn is_constant_name(name: &str) -> bool {
    name.len() > 1
        && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
        && name.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// `text` with each run of white space made one space, at most `bytes_max` bytes.
pub fn collapsed(text: &str, bytes_max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(bytes_max));
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
        if out.len() > bytes_max {
            break;
        }
    }
    out.truncate(out.floor_char_boundary(bytes_max));
    out
}

fn clipped(text: &str, bytes_max: usize) -> String {
    text[..text.floor_char_boundary(bytes_max)].to_owned()
}
