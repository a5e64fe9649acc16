//! What the node kinds of each grammar mean to the walk in [`super::syntax`], one table per language.

use std::sync::LazyLock;

use super::language::Grammar;

/// What the walk does with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A statement or anything else: an item without a name.
    Other,
    /// Waits for the item after it.
    Comment,
    /// Belongs to the item after it, whatever stands between.
    Attribute,
    /// Holds the members of what it stands in.
    Body,
    /// Invisible: what is inside counts as standing outside (`#ifdef`, `if TYPE_CHECKING`, `extern "C"`).
    Scope,
    /// One item in a coat (`export`, decorators, `template<…>`): the item inside starts where the coat does.
    Wrapper,
    /// A definition.
    Definition(Definition),
}

/// How a kind of definition is named and shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Definition {
    /// `function`, `class`, …
    pub kind: &'static str,
    /// Word before the name in breadcrumbs.
    pub word: &'static str,
    /// Whether it has members that are definitions in their own right.
    pub container: bool,
    /// Where the name is found.
    pub name: NameRule,
}

/// Where a definition's name is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameRule {
    /// In the field `name`.
    Field,
    /// In the field `name`, if there is a body too (C's `struct x;` defines nothing).
    FieldWithBody,
    /// In the field `name`, if there is a value too (an include guard has none).
    FieldWithValue,
    /// Rust's `impl`: the type, and the trait if there is one.
    Impl,
    /// C's declarators.
    Declarator,
    /// C's declarators, if they declare a function or bring a value.
    Prototype,
    /// Go's methods, which name their type in the receiver.
    Receiver,
    /// JavaScript's `const x = …`.
    Variable,
    /// An assignment that makes a constant or an export.
    Assignment,
}

const fn define(kind: &'static str, word: &'static str, name: NameRule) -> Class {
    Class::Definition(Definition { kind, word, container: false, name })
}

const fn contain(kind: &'static str, word: &'static str, name: NameRule) -> Class {
    Class::Definition(Definition { kind, word, container: true, name })
}

use Class::{Attribute, Body, Comment, Scope, Wrapper};
use NameRule::{Assignment, Declarator, Field, FieldWithBody, FieldWithValue, Impl, Prototype, Receiver, Variable};

type Table = &'static [(&'static str, Class)];

const RUST: Table = &[
    ("line_comment", Comment),
    ("block_comment", Comment),
    ("attribute_item", Attribute),
    ("declaration_list", Body),
    ("field_declaration_list", Body),
    ("enum_variant_list", Body),
    ("foreign_mod_item", Scope),
    ("function_item", define("function", "fn", Field)),
    ("function_signature_item", define("function", "fn", Field)),
    ("struct_item", define("struct", "struct", Field)),
    ("enum_item", define("enum", "enum", Field)),
    ("union_item", define("union", "union", Field)),
    ("trait_item", contain("trait", "trait", Field)),
    ("impl_item", contain("impl", "impl", Impl)),
    ("mod_item", contain("module", "mod", Field)),
    ("const_item", define("constant", "const", Field)),
    ("static_item", define("constant", "static", Field)),
    ("type_item", define("type", "type", Field)),
    ("macro_definition", define("macro", "macro_rules!", Field)),
];

const PYTHON: Table = &[
    ("comment", Comment),
    ("decorator", Attribute),
    ("block", Body),
    ("if_statement", Scope),
    ("elif_clause", Scope),
    ("else_clause", Scope),
    ("try_statement", Scope),
    ("except_clause", Scope),
    ("finally_clause", Scope),
    ("with_statement", Scope),
    ("decorated_definition", Wrapper),
    ("function_definition", define("function", "def", Field)),
    ("class_definition", contain("class", "class", Field)),
    ("expression_statement", define("constant", "", Assignment)),
    ("type_alias_statement", define("type", "type", Field)),
];

const JAVASCRIPT: Table = &[
    ("comment", Comment),
    ("decorator", Attribute),
    ("class_body", Body),
    ("export_statement", Wrapper),
    ("function_declaration", define("function", "function", Field)),
    ("generator_function_declaration", define("function", "function", Field)),
    ("class_declaration", contain("class", "class", Field)),
    ("method_definition", define("method", "method", Field)),
    ("lexical_declaration", define("constant", "const", Variable)),
    ("variable_declaration", define("constant", "const", Variable)),
    ("expression_statement", define("function", "function", Assignment)),
    // Only the TypeScript grammars have the rest.
    ("ambient_declaration", Wrapper),
    ("statement_block", Body),
    ("interface_body", Body),
    ("enum_body", Body),
    ("object_type", Body),
    ("abstract_class_declaration", contain("class", "class", Field)),
    ("interface_declaration", define("interface", "interface", Field)),
    ("type_alias_declaration", define("type", "type", Field)),
    ("enum_declaration", define("enum", "enum", Field)),
    ("function_signature", define("function", "function", Field)),
    ("abstract_method_signature", define("method", "method", Field)),
    ("internal_module", contain("module", "namespace", Field)),
    ("module", contain("module", "module", Field)),
];

const GO: Table = &[
    ("comment", Comment),
    ("function_declaration", define("function", "func", Field)),
    ("method_declaration", define("method", "func", Receiver)),
    ("type_declaration", Wrapper),
    ("const_declaration", Wrapper),
    ("var_declaration", Wrapper),
    ("var_spec_list", Body),
    ("field_declaration_list", Body),
    ("block", Body),
    ("statement_list", Body),
    ("type_spec", define("type", "type", Field)),
    ("type_alias", define("type", "type", Field)),
    ("const_spec", define("constant", "const", Field)),
    ("var_spec", define("variable", "var", Field)),
];

const JAVA: Table = &[
    ("line_comment", Comment),
    ("block_comment", Comment),
    ("class_body", Body),
    ("interface_body", Body),
    ("enum_body", Body),
    ("enum_body_declarations", Body),
    ("annotation_type_body", Body),
    ("constructor_body", Body),
    ("block", Body),
    ("class_declaration", contain("class", "class", Field)),
    ("interface_declaration", contain("interface", "interface", Field)),
    ("enum_declaration", contain("enum", "enum", Field)),
    ("record_declaration", contain("record", "record", Field)),
    ("annotation_type_declaration", contain("annotation", "@interface", Field)),
    ("method_declaration", define("method", "method", Field)),
    ("constructor_declaration", define("method", "constructor", Field)),
    ("compact_constructor_declaration", define("method", "constructor", Field)),
    ("field_declaration", define("constant", "field", Declarator)),
    ("constant_declaration", define("constant", "field", Declarator)),
];

const C: Table = &[
    ("comment", Comment),
    ("declaration_list", Body),
    ("field_declaration_list", Body),
    ("enumerator_list", Body),
    ("preproc_ifdef", Scope),
    ("preproc_if", Scope),
    ("preproc_else", Scope),
    ("preproc_elif", Scope),
    ("linkage_specification", Scope),
    ("function_definition", define("function", "function", Declarator)),
    ("declaration", define("prototype", "function", Prototype)),
    ("type_definition", define("type", "typedef", Declarator)),
    ("struct_specifier", define("struct", "struct", FieldWithBody)),
    ("union_specifier", define("union", "union", FieldWithBody)),
    ("enum_specifier", define("enum", "enum", FieldWithBody)),
    ("preproc_def", define("macro", "#define", FieldWithValue)),
    ("preproc_function_def", define("macro", "#define", Field)),
];

/// What C++ adds to C or sees otherwise.
const CPP: Table = &[
    ("template_declaration", Wrapper),
    ("field_declaration", define("prototype", "function", Prototype)),
    ("struct_specifier", contain("struct", "struct", FieldWithBody)),
    ("class_specifier", contain("class", "class", FieldWithBody)),
    ("namespace_definition", contain("namespace", "namespace", Field)),
    ("alias_declaration", define("type", "using", Field)),
    ("concept_definition", define("concept", "concept", Field)),
];

const RUBY: Table = &[
    ("comment", Comment),
    ("body_statement", Body),
    ("singleton_class", Scope),
    ("method", define("method", "def", Field)),
    ("singleton_method", define("method", "def self.", Field)),
    ("class", contain("class", "class", Field)),
    ("module", contain("module", "module", Field)),
    ("assignment", define("constant", "", Assignment)),
];

const BASH: Table = &[
    ("comment", Comment),
    ("if_statement", Scope),
    ("else_clause", Scope),
    ("elif_clause", Scope),
    ("function_definition", define("function", "function", Field)),
];

/// A grammar's kinds and fields by number.
#[derive(Debug)]
pub struct Rules {
    /// Which grammar.
    pub grammar: Grammar,
    classes: Vec<Class>,
    /// Numbers of the fields that names are read from.
    pub fields: Fields,
}

/// Field numbers; `None` where a grammar lacks the field.
#[derive(Debug)]
#[allow(missing_docs, reason = "each is the field of that name")]
pub struct Fields {
    pub name: Option<u16>,
    pub body: Option<u16>,
    pub r#type: Option<u16>,
    pub r#trait: Option<u16>,
    pub value: Option<u16>,
    pub declarator: Option<u16>,
    pub receiver: Option<u16>,
    pub scope: Option<u16>,
    pub left: Option<u16>,
    pub right: Option<u16>,
}

static RULES: [LazyLock<Rules>; Grammar::ALL.len()] = [
    LazyLock::new(|| Rules::new(Grammar::Bash)),
    LazyLock::new(|| Rules::new(Grammar::C)),
    LazyLock::new(|| Rules::new(Grammar::Cpp)),
    LazyLock::new(|| Rules::new(Grammar::Go)),
    LazyLock::new(|| Rules::new(Grammar::Java)),
    LazyLock::new(|| Rules::new(Grammar::JavaScript)),
    LazyLock::new(|| Rules::new(Grammar::Python)),
    LazyLock::new(|| Rules::new(Grammar::Ruby)),
    LazyLock::new(|| Rules::new(Grammar::Rust)),
    LazyLock::new(|| Rules::new(Grammar::TypeScript)),
    LazyLock::new(|| Rules::new(Grammar::Tsx)),
];

impl Rules {
    /// The rules of `grammar`, made once.
    pub fn of(grammar: Grammar) -> &'static Self {
        &RULES[grammar as usize]
    }

    /// What to do with a node of kind `kind`.
    pub fn class(&self, kind: u16) -> Class {
        // The error kind is past the table: what the parser could still make out inside is looked at.
        self.classes.get(kind as usize).copied().unwrap_or(Class::Scope)
    }

    fn new(grammar: Grammar) -> Self {
        let tables: &[Table] = match grammar {
            Grammar::Bash => &[BASH],
            Grammar::C => &[C],
            Grammar::Cpp => &[CPP, C],
            Grammar::Go => &[GO],
            Grammar::Java => &[JAVA],
            Grammar::JavaScript | Grammar::TypeScript | Grammar::Tsx => &[JAVASCRIPT],
            Grammar::Python => &[PYTHON],
            Grammar::Ruby => &[RUBY],
            Grammar::Rust => &[RUST],
        };
        let language = grammar.language();
        let class = |id: u16| {
            let kind = language.node_kind_for_id(id).filter(|_| language.node_kind_is_named(id));
            let rule = kind.and_then(|kind| tables.iter().flat_map(|table| table.iter()).find(|rule| rule.0 == kind));
            rule.map_or(Class::Other, |rule| rule.1)
        };
        let kinds = u16::try_from(language.node_kind_count()).unwrap_or(u16::MAX);
        let field = |name: &str| language.field_id_for_name(name).map(|id| id.get());
        Self {
            grammar,
            classes: (0..kinds).map(class).collect(),
            fields: Fields {
                name: field("name"),
                body: field("body"),
                r#type: field("type"),
                r#trait: field("trait"),
                value: field("value"),
                declarator: field("declarator"),
                receiver: field("receiver"),
                scope: field("scope"),
                left: field("left"),
                right: field("right"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_in_the_tables_exists_in_its_grammar() {
        for (grammars, table) in [
            (&[Grammar::Rust][..], RUST),
            (&[Grammar::Python], PYTHON),
            (&[Grammar::JavaScript, Grammar::TypeScript], JAVASCRIPT),
            (&[Grammar::Go], GO),
            (&[Grammar::Java], JAVA),
            (&[Grammar::C], C),
            (&[Grammar::Cpp], CPP),
            (&[Grammar::Ruby], RUBY),
            (&[Grammar::Bash], BASH),
        ] {
            for (kind, _) in table {
                let known = grammars.iter().any(|grammar| grammar.language().id_for_node_kind(kind, true) != 0);
                assert!(known, "{grammars:?} has no {kind}");
            }
        }
    }

    #[test]
    fn rules_stand_at_their_grammars_place() {
        for grammar in Grammar::ALL {
            assert_eq!(Rules::of(grammar).grammar, grammar);
        }
    }
}
