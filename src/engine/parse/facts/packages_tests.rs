//! For tests: places in real packages with what a compiler and a language server say of them.
//!
//! `tests/graph/reference.jsonl` (made by `scripts/graph_reference.py`) names the places. The sources are looked for in cargo's registry
//! folder and in the folder that `HIVEMEM_REFERENCE_PACKAGES` names; `make graph-reference` fetches all of them. A package
//! that is not there is left out.

use std::path::PathBuf;

use serde_json::Value;

/// All places.
pub(crate) fn rows() -> Vec<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/graph/reference.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A text of a row; empty if it has none of that name.
pub(crate) fn text<'v>(row: &'v Value, key: &str) -> &'v str {
    row[key].as_str().unwrap_or_default()
}

/// A number of a row; 0 if it has none of that name.
pub(crate) fn number(row: &Value, key: &str) -> u32 {
    u32::try_from(row[key].as_u64().unwrap_or_default()).unwrap()
}

/// Name and version of the package that a row is about.
pub(crate) fn package(row: &Value) -> String {
    format!("{}-{}", text(row, "package"), text(row, "version"))
}

/// The folder with a package's sources, if it is there.
pub(crate) fn sources(package: &str) -> Option<PathBuf> {
    let fetched = std::env::var_os("HIVEMEM_REFERENCE_PACKAGES").map(|folder| PathBuf::from(folder).join(package));
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let registries = home.and_then(|home| std::fs::read_dir(home.join("registry/src")).ok());
    let unpacked = registries.into_iter().flatten().flatten().map(|registry| registry.path().join(package));
    fetched.into_iter().chain(unpacked).find(|folder| folder.is_dir())
}
