//! What is read off real packages against what a compiler and a language server say of them.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::super::language::Grammar;
use super::super::syntax;
use super::packages_tests::{number, package, rows, sources, text};
use super::*;
use crate::model::{EdgeKind, Facts, NodeKind};

/// Rates that may not fall, in percent: definitions, imports, calls.
const RATES_MIN: [(&str, usize); 3] = [("defines", 90), ("imports", 90), ("calls", 75)];

fn read(row: &Value) -> Option<Facts> {
    let path = sources(&package(row))?.join(text(row, "file"));
    let source = std::fs::read_to_string(&path).ok()?;
    let grammar = Grammar::of(text(row, "language"), text(row, "file"))?;
    let found = syntax::analyse(&source, grammar, &|_, _| false)?;
    Some(of_code(&Code { text: &source, grammar, tree: &found.tree, symbols: &found.symbols, test: false }))
}

/// The last two names of a path: those that say which function of which type it is.
fn tail(path: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = path.split(['.', ':']).filter(|part| !part.is_empty()).collect();
    parts.split_off(parts.len().saturating_sub(2))
}

fn qualified(facts: &Facts, at: Option<u32>) -> Vec<String> {
    let mut names = Vec::new();
    let mut at = at;
    while let Some(node) = at.map(|at| &facts.nodes[at as usize]) {
        names.push(node.name.clone());
        if !node.owner.is_empty() {
            names.push(node.owner.clone());
        }
        at = node.parent;
    }
    names.reverse();
    names
}

/// Whether a node's path and a path of the reference end alike, as far as both go.
fn is_same(facts: &Facts, at: Option<u32>, path: &str) -> bool {
    let ours = qualified(facts, at);
    let theirs = tail(path);
    ours.iter().rev().zip(theirs.iter().rev()).all(|(ours, theirs)| ours == theirs)
        && (ours.is_empty() == theirs.is_empty() || theirs.len() == 1)
}

fn agrees(facts: &Facts, row: &Value) -> bool {
    let (line, end, name) = (number(row, "line"), number(row, "end"), text(row, "name"));
    match text(row, "kind") {
        "defines" => {
            facts.nodes.iter().enumerate().any(|(at, node)| {
                let kind = match text(row, "is") {
                    "type" => matches!(node.kind, NodeKind::Type | NodeKind::Interface),
                    "method" => node.kind == NodeKind::Method,
                    "function" => node.kind == NodeKind::Function,
                    other => node.kind.as_str() == other,
                };
                let inside = node.lines.first <= line && line <= node.lines.last;
                node.name == name && kind && inside && is_same(facts, u32::try_from(at).ok(), text(row, "to"))
            }) || text(row, "is") == "module" && says(facts, EdgeKind::Imports, name, |_| true)
        }
        "imports" => {
            let whole = format!("{}.{name}", text(row, "scope"));
            let parts = |path: &str| -> Vec<String> {
                path.split(['.', ':']).filter(|part| !part.is_empty()).map(str::to_owned).collect()
            };
            says(facts, EdgeKind::Imports, name.rsplit('.').next().unwrap(), |said| {
                let ours = parts(&format!("{}.{}", said.scope, said.name));
                let alias = row["alias"].as_str().is_none_or(|alias| said.alias.as_deref() == Some(alias));
                ours == parts(&whole) && alias && said.line >= line && said.line <= end
            })
        }
        _ => {
            says(facts, EdgeKind::Calls, name, |said| said.line <= end && is_same(facts, said.from, text(row, "from")))
                || called_by_class(facts, row)
        }
    }
}

/// A call of a class is one of its constructor.
fn called_by_class(facts: &Facts, row: &Value) -> bool {
    text(row, "language") == "python"
        && says(facts, EdgeKind::Calls, text(row, "name"), |said| said.line == number(row, "line"))
}

fn says(facts: &Facts, kind: EdgeKind, name: &str, fits: impl Fn(&crate::model::Reference) -> bool) -> bool {
    facts.references.iter().any(|said| said.kind == kind && said.name == name && fits(said))
}

#[test]
fn real_packages_are_read_as_their_compilers_read_them() {
    let mut files: HashMap<(String, String), Option<Facts>> = HashMap::new();
    let mut rates: BTreeMap<(String, &str), (usize, usize)> = BTreeMap::new();
    let rows = rows();
    for row in &rows {
        let key = (text(row, "package").to_owned(), text(row, "file").to_owned());
        let Some(facts) = files.entry(key).or_insert_with(|| read(row)) else { continue };
        let kind = RATES_MIN.iter().find(|(kind, _)| *kind == text(row, "kind")).unwrap().0;
        let rate = rates.entry((text(row, "package").to_owned(), kind)).or_default();
        rate.1 += 1;
        if agrees(facts, row) {
            rate.0 += 1;
        } else if std::env::var_os("HIVEMEM_REFERENCE_SHOW").is_some() {
            println!("{row}");
        }
    }
    for ((package, kind), (agreed, all)) in &rates {
        let percent = 100 * agreed / all;
        println!("{package} {kind}: {agreed} of {all}, {percent} %");
        let (_, least) = RATES_MIN.iter().find(|(name, _)| name == kind).unwrap();
        assert!(percent >= *least, "{package} {kind}: {agreed} of {all}");
    }
}
