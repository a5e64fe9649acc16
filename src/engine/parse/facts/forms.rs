//! The shapes of nodes that are looked at one by one, by number: comparing names of kinds at every step would cost more than
//! the steps.

macro_rules! forms {
    ($($variant:ident = [$($kind:literal),+],)+) => {
        /// What a node looks like; kinds of several grammars that are read alike are one.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Form {
            $($variant,)+
            /// Nothing that is looked at.
            Other,
        }

        impl Form {
            /// The form of a kind.
            pub fn of(kind: &str) -> Self {
                match kind {
                    $($($kind)|+ => Self::$variant,)+
                    _ => Self::Other,
                }
            }
        }
    };
}

forms! {
    AccessibilityModifier = ["accessibility_modifier"],
    ArrowFunction = ["arrow_function"],
    AsExpression = ["as_expression"],
    AsPattern = ["as_pattern"],
    AsPatternTarget = ["as_pattern_target"],
    Assignment = ["assignment", "assignment_expression"],
    Attribute = ["attribute"],
    Call = ["call_expression", "call", "method_invocation"],
    CatchClause = ["catch_clause"],
    Declaration = ["declaration"],
    DefaultParameter = ["default_parameter"],
    ExpressionList = ["expression_list"],
    Field = ["field_declaration", "public_field_definition", "field_definition"],
    FieldAccess = ["field_access"],
    FieldExpression = ["field_expression"],
    ForExpression = ["for_expression"],
    ForRangeLoop = ["for_range_loop"],
    FunctionDeclarator = ["function_declarator"],
    GenericFunction = ["generic_function"],
    Identifier = ["identifier"],
    Inner = ["try_expression", "await_expression", "parenthesized_expression", "await", "non_null_expression"],
    LambdaExpression = ["lambda_expression"],
    Literal = ["string", "string_literal", "template_string", "concatenated_string", "integer_literal", "list", "dictionary", "set", "tuple", "array", "object", "list_comprehension", "interpreted_string_literal", "number", "float_literal", "char_literal", "array_expression", "regex"],
    MatchArm = ["match_arm"],
    MatchPattern = ["match_pattern"],
    Me = ["self", "this"],
    MemberExpression = ["member_expression"],
    MutPattern = ["mut_pattern"],
    NewExpression = ["new_expression"],
    OptionalParameter = ["optional_parameter"],
    OptionalParameterDeclaration = ["optional_parameter_declaration"],
    Parameter = ["parameter"],
    ParameterDeclaration = ["parameter_declaration"],
    Parameters = ["closure_parameters", "inferred_parameters", "lambda_parameters", "parameters", "formal_parameters"],
    PointerExpression = ["pointer_expression"],
    QualifiedIdentifier = ["qualified_identifier"],
    RefPattern = ["ref_pattern"],
    ReferenceExpression = ["reference_expression"],
    RequiredParameter = ["required_parameter"],
    RestPattern = ["rest_pattern"],
    ScopedIdentifier = ["scoped_identifier"],
    SelectorExpression = ["selector_expression"],
    ShortVarDeclaration = ["short_var_declaration"],
    ShorthandFieldIdentifier = ["shorthand_field_identifier"],
    ShorthandPropertyIdentifierPattern = ["shorthand_property_identifier_pattern"],
    StructExpression = ["struct_expression"],
    Subscript = ["subscript"],
    Super = ["super"],
    TemplateFunction = ["template_function"],
    TypeIdentifier = ["type_identifier"],
    Typed = ["object_creation_expression", "composite_literal", "type_assertion_expression", "cast_expression", "type_cast_expression"],
    TypedDefaultParameter = ["typed_default_parameter"],
    TypedParameter = ["typed_parameter"],
    UnaryExpression = ["unary_expression"],
    VariableDeclarator = ["variable_declarator"],
}
