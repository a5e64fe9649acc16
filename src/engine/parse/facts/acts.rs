//! What the node kinds of each grammar mean to the walk in [`super::walk`], one table per language. What defines
//! something is in [`super::super::grammar`]; these tables are about what is used.

use std::sync::LazyLock;

use tree_sitter::Node;

use super::super::grammar::{Class, Rules};
use super::super::language::Grammar;
use super::forms::Form;

/// What the walk does with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Looks inside.
    Walk,
    /// Passes by: nothing in it is a name of anything.
    Token,
    /// Reads the code spans in it.
    Comment,
    /// Reads an import.
    Import,
    /// A call, or a constructor's.
    Call,
    /// A call of a macro.
    Macro,
    /// A name in the place of a type.
    Type,
    /// A name in the place of a value.
    Name,
    /// Names joined by `::` or a dot.
    Path,
    /// An attribute, decorator or annotation.
    Mark,
    /// Brings local names, or fields, with their types.
    Bind,
    /// Names what the enclosing type extends.
    Extends,
    /// Names what the enclosing type implements.
    Implements,
    /// A type variable.
    Variable,
    /// Text that the grammar leaves as tokens: arguments of Rust's macros.
    Tokens,
    /// Everything inside is a type.
    Types,
    /// Something with a name of its own that is no definition: a named argument, a variant.
    Argument,
}

use Act::{
    Argument, Bind, Call, Comment, Extends, Implements, Import, Macro, Mark, Name, Path, Token, Tokens, Type, Types,
    Variable,
};

type Table = &'static [(&'static str, Act)];

const RUST: Table = &[
    ("line_comment", Comment),
    ("block_comment", Comment),
    ("string_literal", Token),
    ("raw_string_literal", Token),
    ("lifetime", Token),
    ("visibility_modifier", Token),
    ("use_declaration", Import),
    ("extern_crate_declaration", Import),
    ("call_expression", Call),
    ("macro_invocation", Macro),
    ("token_tree", Tokens),
    ("token_tree_pattern", Token),
    ("type_identifier", Type),
    ("identifier", Name),
    ("scoped_identifier", Path),
    ("scoped_type_identifier", Path),
    ("attribute_item", Mark),
    ("inner_attribute_item", Token),
    ("let_declaration", Bind),
    ("let_condition", Bind),
    ("parameter", Bind),
    ("closure_parameters", Bind),
    ("for_expression", Bind),
    ("match_arm", Bind),
    ("field_declaration", Bind),
    ("enum_variant", Argument),
    ("type_parameter", Variable),
    ("const_parameter", Variable),
];

const PYTHON: Table = &[
    ("comment", Comment),
    ("import_statement", Import),
    ("import_from_statement", Import),
    ("future_import_statement", Token),
    ("call", Call),
    ("attribute", Path),
    ("identifier", Name),
    ("decorator", Mark),
    ("assignment", Bind),
    ("named_expression", Bind),
    ("parameters", Bind),
    ("lambda_parameters", Bind),
    ("for_statement", Bind),
    ("for_in_clause", Bind),
    ("as_pattern", Bind),
    ("type", Types),
    ("keyword_argument", Argument),
];

const JAVASCRIPT: Table = &[
    ("comment", Comment),
    ("string", Token),
    ("regex", Token),
    ("import_statement", Import),
    ("export_statement", Import),
    ("call_expression", Call),
    ("new_expression", Call),
    ("member_expression", Path),
    ("identifier", Name),
    ("shorthand_property_identifier", Name),
    ("decorator", Mark),
    ("variable_declarator", Bind),
    ("formal_parameters", Bind),
    ("arrow_function", Bind),
    ("for_in_statement", Bind),
    ("catch_clause", Bind),
    ("field_definition", Bind),
    ("assignment_expression", Bind),
    ("class_heritage", Extends),
    // Only the TypeScript grammars have the rest.
    ("type_identifier", Type),
    ("nested_type_identifier", Path),
    ("public_field_definition", Bind),
    ("extends_clause", Extends),
    ("extends_type_clause", Extends),
    ("implements_clause", Implements),
    ("type_parameter", Variable),
    ("import_alias", Token),
];

const GO: Table = &[
    ("comment", Comment),
    ("interpreted_string_literal", Token),
    ("raw_string_literal", Token),
    ("import_spec", Import),
    ("call_expression", Call),
    ("selector_expression", Path),
    ("identifier", Name),
    ("type_identifier", Type),
    ("qualified_type", Path),
    ("parameter_declaration", Bind),
    ("variadic_parameter_declaration", Bind),
    ("short_var_declaration", Bind),
    ("var_spec", Bind),
    ("const_spec", Bind),
    ("range_clause", Bind),
    ("field_declaration", Bind),
    ("type_elem", Extends),
    ("keyed_element", Argument),
    ("type_parameter_declaration", Variable),
];

const JAVA: Table = &[
    ("line_comment", Comment),
    ("block_comment", Comment),
    ("string_literal", Token),
    ("package_declaration", Token),
    ("import_declaration", Import),
    ("method_invocation", Call),
    ("object_creation_expression", Call),
    ("field_access", Path),
    ("scoped_type_identifier", Path),
    ("identifier", Name),
    ("type_identifier", Type),
    ("annotation", Mark),
    ("marker_annotation", Mark),
    ("formal_parameter", Bind),
    ("catch_formal_parameter", Bind),
    ("local_variable_declaration", Bind),
    ("enhanced_for_statement", Bind),
    ("resource", Bind),
    ("lambda_expression", Bind),
    ("inferred_parameters", Bind),
    ("field_declaration", Bind),
    ("enum_constant", Argument),
    ("superclass", Extends),
    ("extends_interfaces", Extends),
    ("super_interfaces", Implements),
    ("type_parameter", Variable),
];

const C: Table = &[
    ("comment", Comment),
    ("string_literal", Token),
    ("preproc_arg", Token),
    ("preproc_params", Token),
    ("preproc_include", Import),
    ("call_expression", Call),
    ("identifier", Name),
    ("type_identifier", Type),
    ("declaration", Bind),
    ("parameter_declaration", Bind),
    ("field_declaration", Bind),
    ("enumerator", Argument),
    // Only C++ has the rest.
    ("raw_string_literal", Token),
    ("using_declaration", Import),
    ("namespace_alias_definition", Import),
    ("new_expression", Call),
    ("qualified_identifier", Path),
    ("optional_parameter_declaration", Bind),
    ("for_range_loop", Bind),
    ("base_class_clause", Extends),
    ("type_parameter_declaration", Variable),
    ("optional_type_parameter_declaration", Variable),
    ("variadic_type_parameter_declaration", Variable),
];

/// Languages whose definitions are all that is taken.
const COMMENTS: Table = &[("comment", Comment)];

/// Kinds without anything inside that mean nothing here, in whatever grammar.
const TOKENS: &[&str] = &[
    "boolean_literal",
    "crate",
    "escape_sequence",
    "false",
    "field_identifier",
    "float",
    "float_literal",
    "integer",
    "integer_literal",
    "mutable_specifier",
    "namespace_identifier",
    "none",
    "null",
    "number",
    "package_identifier",
    "predefined_type",
    "primitive_type",
    "property_identifier",
    "self",
    "string_content",
    "string_end",
    "string_fragment",
    "string_start",
    "super",
    "this",
    "true",
];

/// A field of a node, by the name that grammars give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the field of that name")]
pub enum Part {
    Alias,
    Argument,
    Arguments,
    Attribute,
    Body,
    Bounds,
    Constructor,
    Declarator,
    Field,
    Function,
    Left,
    Macro,
    ModuleName,
    Name,
    Object,
    Operand,
    Parameter,
    Parameters,
    Path,
    Pattern,
    Property,
    Right,
    Source,
    Superclasses,
    Trait,
    Type,
    TypeParameters,
    Value,
}

/// The names of [`Part`], in its order.
const PARTS: [&str; 28] = [
    "alias",
    "argument",
    "arguments",
    "attribute",
    "body",
    "bounds",
    "constructor",
    "declarator",
    "field",
    "function",
    "left",
    "macro",
    "module_name",
    "name",
    "object",
    "operand",
    "parameter",
    "parameters",
    "path",
    "pattern",
    "property",
    "right",
    "source",
    "superclasses",
    "trait",
    "type",
    "type_parameters",
    "value",
];

/// A grammar's kinds by number: what to do, and whether it may define something; and its fields.
#[derive(Debug)]
pub struct Acts {
    kinds: Vec<(Act, bool)>,
    forms: Vec<Form>,
    parts: [Option<u16>; PARTS.len()],
}

static ACTS: LazyLock<Vec<Acts>> = LazyLock::new(|| Grammar::ALL.map(Acts::new).into());

impl Acts {
    /// The acts of `grammar`, made once.
    pub fn of(grammar: Grammar) -> &'static Self {
        &ACTS[grammar as usize]
    }

    /// What to do with a node of kind `kind`, and whether it may define something. What the parser could make out
    /// inside of an error is looked at.
    pub fn act(&self, kind: u16) -> (Act, bool) {
        self.kinds.get(kind as usize).copied().unwrap_or((Act::Walk, false))
    }

    /// What `node` looks like.
    pub fn form(&self, node: Node<'_>) -> Form {
        self.forms.get(node.kind_id() as usize).copied().unwrap_or(Form::Other)
    }

    /// The child of `node` that is its `part`.
    pub fn part<'t>(&self, node: Node<'t>, part: Part) -> Option<Node<'t>> {
        node.child_by_field_id(self.parts[part as usize]?)
    }

    fn new(grammar: Grammar) -> Self {
        let table = match grammar {
            Grammar::Bash | Grammar::Ruby => COMMENTS,
            Grammar::C | Grammar::Cpp => C,
            Grammar::Go => GO,
            Grammar::Java => JAVA,
            Grammar::JavaScript | Grammar::TypeScript | Grammar::Tsx => JAVASCRIPT,
            Grammar::Python => PYTHON,
            Grammar::Rust => RUST,
        };
        let language = grammar.language();
        let rules = Rules::of(grammar);
        let act = |id: u16| {
            let kind = language.node_kind_for_id(id).filter(|_| language.node_kind_is_named(id));
            let row = kind.and_then(|kind| table.iter().find(|row| row.0 == kind));
            let plain = if kind.is_none_or(|kind| TOKENS.contains(&kind)) { Act::Token } else { Act::Walk };
            (row.map_or(plain, |row| row.1), matches!(rules.class(id), Class::Definition(_)))
        };
        let kinds = u16::try_from(language.node_kind_count()).unwrap_or(u16::MAX);
        let part = |name| language.field_id_for_name(name).map(|id| id.get());
        let form = |id| language.node_kind_for_id(id).map_or(Form::Other, Form::of);
        Self { kinds: (0..kinds).map(act).collect(), forms: (0..kinds).map(form).collect(), parts: PARTS.map(part) }
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
            (&[Grammar::C, Grammar::Cpp], C),
            (&[Grammar::Ruby, Grammar::Bash], COMMENTS),
        ] {
            for (kind, _) in table {
                let known = grammars.iter().any(|grammar| grammar.language().id_for_node_kind(kind, true) != 0);
                assert!(known, "{grammars:?} has no {kind}");
            }
        }
    }

    #[test]
    fn parts_stand_in_order() {
        assert_eq!((PARTS[Part::Alias as usize], PARTS[Part::Value as usize]), ("alias", "value"));
        assert_eq!(PARTS[Part::ModuleName as usize], "module_name");
    }
}
