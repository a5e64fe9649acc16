//! Holds the tree to its own rules: floors, confinement of third parties, file size, and documents that name real paths.

// Helpers of tests may panic as tests may; clippy only knows those inside `#[test]`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const LINES_MAX: usize = 500;
/// Lines of code of one function: a screen, or a little more.
const FUNCTION_LINES_MAX: usize = 80;

/// Floor → floors that it may import. Whatever is missing here may not be imported.
const FLOORS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("model", &["base"]),
    ("rank", &["base", "model"]),
    ("engine", &["base", "model"]),
    ("flow", &["base", "model", "rank", "engine"]),
    ("rpc", &["base", "model", "rank", "engine", "flow"]),
    ("server", &["base", "model", "rank", "engine", "flow", "rpc"]),
    ("cli", &["base", "rank", "server"]),
];

/// Crate → the only folders that may name it.
const CONFINED: &[(&str, &[&str])] = &[
    ("tonic", &["src/rpc", "src/server", "src/cli", "clients"]),
    ("prost", &["src/rpc", "clients"]),
    ("sqlx", &["src/engine/catalog", "src/engine/store/sql"]),
    ("gix", &["src/engine/store/git"]),
    ("gix_transport", &["src/engine/store/git"]),
    ("html5ever", &["src/engine/store/web"]),
    ("texting_robots", &["src/engine/store/web"]),
    ("tantivy", &["src/engine/lexical"]),
    ("qdrant_edge", &["src/engine/vector"]),
    ("qdrant_client", &["src/engine/vector"]),
    ("petgraph", &["src/engine/graph"]),
    ("fastembed", &["src/engine/embed"]),
    ("ort", &["src/engine/embed"]),
    ("text_splitter", &["src/engine/parse"]),
    ("tree_sitter", &["src/engine/parse"]),
    ("pdf_oxide", &["src/engine/parse/formats"]),
    ("office_oxide", &["src/engine/parse/formats"]),
    ("rbook", &["src/engine/parse/formats"]),
    ("dom_smoothie", &["src/engine/parse/formats"]),
    ("csv", &["src/engine/parse/formats"]),
    ("zip", &["src/engine/parse/formats"]),
    ("tiktoken_rs", &["src/engine/tokens"]),
    ("notify", &["src/engine/store"]),
    ("object_store", &["src/engine/store"]),
    ("reqwest", &["src/engine/store", "clients"]),
    ("rustls", &["src/engine/store", "src/server", "src/cli", "clients"]),
    ("httpdate", &["src/engine/store"]),
    ("jsonschema", &["src/flow/route", "clients/rust/src/swarm"]),
    ("serde_saphyr", &["src/flow/route"]),
    ("rmcp", &["src/cli"]),
    ("async_openai", &["clients/rust/src/swarm/openai.rs"]),
    ("axum", &["src/server"]),
    ("clap", &["src/cli", "src/main.rs"]),
];

/// Functions that read what a caller did not pass in.
const AMBIENT: &[(&str, &[&str])] = &[
    ("SystemTime::now", &["src/base/clock.rs"]),
    ("std::env::var", &["src/server", "src/cli"]),
    ("env::var", &["src/server", "src/cli", "clients/rust/build.rs", "build.rs"]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(dir) else { return found };
    for entry in entries.flatten() {
        let path = entry.path();
        // The corpus of the quality test is data.
        let skipped = path.file_name().is_none_or(|name| name == "target" || name == "corpus");
        if path.is_dir() && !skipped {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// A file's path from the root, and its code without tests and comments.
fn sources() -> Vec<(String, String)> {
    let root = root();
    let files = ["src", "clients/rust/src"].iter().flat_map(|dir| rust_files(&root.join(dir)));
    files
        .filter(|path| !is_test_file(path))
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
            let code = code.split("#[cfg(test)]\npub(crate) mod tests {").next().unwrap();
            let lines: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            (path.strip_prefix(&root).unwrap().display().to_string(), lines.join("\n"))
        })
        .collect()
}

fn is_test_file(path: &Path) -> bool {
    let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    matches!(name, "conformance" | "testing" | "tests") || name.ends_with("_tests")
}

fn report(what: &str, offences: &[String]) {
    assert!(offences.is_empty(), "{what}:\n{}", offences.join("\n"));
}

#[test]
fn imports_go_down_only() {
    let mut offences = Vec::new();
    for (path, code) in sources() {
        let Some(floor) = path.strip_prefix("src/").and_then(|rest| rest.split(['/', '.']).next()) else { continue };
        let Some((_, allowed)) = FLOORS.iter().find(|(name, _)| *name == floor) else { continue };
        for (other, _) in FLOORS.iter().filter(|(name, _)| *name != floor && !allowed.contains(name)) {
            if code.contains(&format!("crate::{other}::")) || code.contains(&format!("crate::{other};")) {
                offences.push(format!("{path} imports crate::{other}"));
            }
        }
    }
    report("imports that go up", &offences);
}

#[test]
fn sibling_engines_do_not_know_each_other() {
    let mut offences = Vec::new();
    let engines: BTreeSet<String> = std::fs::read_dir(root().join("src/engine"))
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    for (path, code) in sources() {
        let Some(rest) = path.strip_prefix("src/engine/") else { continue };
        let Some((engine, _)) = rest.split_once('/') else { continue };
        for other in engines.iter().filter(|other| *other != engine) {
            if code.contains(&format!("engine::{other}")) {
                offences.push(format!("{path} imports engine::{other}"));
            }
        }
    }
    report("engines that import a sibling", &offences);
}

#[test]
fn third_parties_stay_in_their_rooms() {
    let mut offences = Vec::new();
    for (path, code) in sources() {
        for (name, rooms) in CONFINED.iter().chain(AMBIENT) {
            let used = code.lines().any(|line| names(line, name));
            if used && !rooms.iter().any(|room| path.starts_with(room)) {
                offences.push(format!("{path} uses {name}, which belongs in {}", rooms.join(", ")));
            }
        }
    }
    report("uses outside their rooms", &offences);
}

/// Whether `line` uses `name` as a path (`name::…`, `use name;`), not as part of another word or path.
fn names(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = &line[at + name.len()..];
        let begins = !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | '.' | '"' | '/'));
        let is_function = name.contains("::");
        begins && (is_function || after.starts_with("::"))
    })
}

#[test]
fn files_and_functions_fit_their_rooms() {
    let mut offences = Vec::new();
    for (path, code) in sources() {
        let lines = code.lines().count();
        if lines > LINES_MAX {
            offences.push(format!("{path} has {lines} lines of code, the limit is {LINES_MAX}"));
        }
        for (name, lines) in functions(&code) {
            if lines > FUNCTION_LINES_MAX {
                let limit = FUNCTION_LINES_MAX;
                offences.push(format!("{path}: {name} has {lines} lines of code, the limit is {limit}"));
            }
        }
    }
    report("files and functions that want to be two", &offences);
}

/// The functions of formatted code, each with its lines: one ends at the brace that is indented as its beginning.
fn functions(code: &str) -> Vec<(&str, usize)> {
    let lines: Vec<&str> = code.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let begins = line.trim_start();
        let name = begins.split(['(', '<']).next().unwrap_or_default();
        // Words before it say how visible it is; anything else is no declaration.
        if !name.split(' ').any(|word| word == "fn") || name.contains(['=', '"', '|', ':']) {
            continue;
        }
        let indent = &line[..line.len() - begins.len()];
        let ends = |line: &str| line.strip_prefix(indent).is_some_and(|rest| rest == "}");
        // One without a body, or on one line, ends where it begins.
        if line.ends_with(['}', ';']) {
            continue;
        }
        let length = lines[at + 1..].iter().position(|line| ends(line)).map_or(0, |length| length + 2);
        found.push((name, length));
    }
    found
}

#[test]
fn functions_are_measured_from_brace_to_brace() {
    let code = "impl X {\n    pub async fn long(\n        a: u8,\n    ) {\n        if a {\n        }\n    }\n\n    fn one() {}\n}\n\nfn two() {\n}";
    let lengths: Vec<usize> = functions(code).into_iter().map(|(_, lines)| lines).collect();
    assert_eq!(lengths, [6, 2]);
}

#[test]
fn every_module_opens_with_what_it_is_for() {
    let offences: Vec<String> = ["src", "clients/rust/src", "tests", "benches"]
        .iter()
        .flat_map(|dir| rust_files(&root().join(dir)))
        .filter(|path| !std::fs::read_to_string(path).unwrap().starts_with("//!"))
        .map(|path| path.display().to_string())
        .collect();
    report("modules without an opening comment", &offences);
}

/// Whoever talks to a server needs neither an index nor a model.
#[test]
fn the_client_is_thin() {
    let tree = std::process::Command::new(env!("CARGO"))
        .args(["tree", "--locked", "-p", "hivemem-client", "--all-features", "-e", "normal", "--prefix", "none"])
        .current_dir(root())
        .output()
        .unwrap();
    let listed = String::from_utf8(tree.stdout).unwrap();
    assert!(listed.starts_with("hivemem-client "), "{}", String::from_utf8_lossy(&tree.stderr));
    let names: BTreeSet<&str> = listed.lines().filter_map(|line| line.split(' ').next()).collect();
    let heavy =
        ["tantivy", "qdrant-edge", "fastembed", "ort", "sqlx", "petgraph", "tokenizers", "tree-sitter", "hivemem"];
    let offences: Vec<String> =
        heavy.iter().filter(|name| names.contains(*name)).map(|name| (*name).to_owned()).collect();
    report("dependencies of the client", &offences);
}

/// Paths in backquotes in the documents: they must exist.
#[test]
fn documents_name_real_paths() {
    let mut offences = Vec::new();
    for document in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "benches/README.md"] {
        let Ok(text) = std::fs::read_to_string(root().join(document)) else { continue };
        for quoted in text.split('`').skip(1).step_by(2) {
            let looks_local =
                ["src/", "proto/", "tests/", "benches/", "migrations/", "config/", "scripts/", "clients/"]
                    .iter()
                    .any(|prefix| quoted.starts_with(prefix));
            let plain = !quoted.contains([' ', '*', '{', '<', '…', '\n']);
            let path = quoted.split(':').next().unwrap_or(quoted);
            if looks_local && plain && !root().join(path).exists() {
                offences.push(format!("{document} names {quoted}"));
            }
        }
    }
    report("paths that do not exist", &offences);
}
