//! What is a test, and what its name says it tests.

use super::super::language::Grammar;
use super::sheet::{Said, Sheet};
use super::types::is_type_like;
use crate::model::{EdgeKind, NodeKind};

/// Whether a definition called `name` with `lead` before its name (comment, attributes, decorators, modifiers) is one.
pub fn is_test(grammar: Grammar, lead: &str, name: &str, kind: NodeKind) -> bool {
    match grammar {
        Grammar::Rust => lead.split('#').skip(1).filter_map(|mark| mark.strip_prefix('[')).any(|inner| {
            let path = inner.split([']', '(']).next().unwrap_or(inner);
            let last = path.rsplit("::").next().unwrap_or(path);
            matches!(last, "test" | "rstest" | "test_case" | "bench" | "proptest") || inner.starts_with("cfg(test)")
        }),
        Grammar::Python => match kind {
            NodeKind::Type => name.starts_with("Test") && name.len() > 4,
            _ => name.starts_with("test_") || name == "test",
        },
        Grammar::Java => ["@Test", "@ParameterizedTest", "@RepeatedTest"].iter().any(|mark| lead.contains(mark)),
        _ => false,
    }
}

/// For every test: what its name names. Prefixes and suffixes that say "test" are taken off.
pub fn name_evidence(sheet: &mut Sheet<'_>, grammar: Grammar) {
    for at in 0..sheet.count() {
        let node = sheet.node(at);
        let named = matches!(node.kind, NodeKind::Function | NodeKind::Method | NodeKind::Type);
        if !node.test || !named {
            continue;
        }
        let Some((scope, name)) = tested(&node.name, grammar) else { continue };
        let start = usize::try_from(node.span.start).unwrap_or_default();
        sheet.say(start, Said::plain(EdgeKind::Tests, Some(at), scope.to_owned(), name.to_owned()));
    }
}

/// The scope and name in the name of a test.
fn tested(name: &str, grammar: Grammar) -> Option<(&str, &str)> {
    if let Some(rest) = name.strip_prefix("test_").filter(|rest| !rest.is_empty()) {
        return Some(("", rest));
    }
    if grammar == Grammar::Go {
        let rest = ["Test", "Benchmark", "Example", "Fuzz"].iter().find_map(|lead| name.strip_prefix(lead))?;
        let (scope, name) = rest.split_once('_').unwrap_or(("", rest));
        return (!name.is_empty()).then_some((scope, name));
    }
    let lead = name.strip_prefix("Test").filter(|rest| is_type_like(rest));
    let tail = || ["Tests", "TestCase", "Test"].iter().find_map(|tail| name.strip_suffix(tail));
    lead.or_else(tail).filter(|rest| !rest.is_empty()).map(|rest| ("", rest))
}
