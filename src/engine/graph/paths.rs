//! Which files a module path means: by the tail of their paths, nearest first.

use super::names::NameId;
use super::scope::{Scope, Start};
use super::{Graph, Held, Slot};

/// File names that stand for the folder that they lie in.
const STAND_FOR_FOLDER: [&str; 8] = ["mod", "__init__", "index", "lib", "main", "package-info", "README", "doc"];

/// Files that a Rust crate begins with.
const CRATE_FILES: [&str; 2] = ["lib.rs", "main.rs"];

/// Folders that hold sources and are no part of a module's path.
const SOURCE_FOLDERS: [&str; 4] = ["src", "lib", "source", "python"];

/// Files looked at for one path. Thousands of files have the name `utils`; the path before it tells a few apart, and
/// where it does not, none is meant for sure.
const LOOKED_AT_MAX: usize = 512;

/// A file's path as modules are named: folders and stem, without extension.
pub(super) fn module_parts(path: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    if let Some(file) = parts.pop() {
        let stem = file.split_once('.').map_or(file, |(stem, _)| if stem.is_empty() { file } else { stem });
        if !STAND_FOR_FOLDER.contains(&stem) || parts.is_empty() {
            parts.push(stem);
        }
    }
    parts
}

/// The names that a file is looked up by: what it is called as a module, and by its whole file name.
pub(super) fn stems(path: &str) -> impl Iterator<Item = &str> {
    let file = path.rsplit('/').next().unwrap_or(path);
    let module = module_parts(path).last().copied();
    [module, Some(file)].into_iter().flatten()
}

/// The names, as [`stems`] has them, of the files that a scope without parts may mean: `super`, `crate`, a dot.
pub(super) fn meant_by_place(path: &str, start: Start) -> Vec<&str> {
    match start {
        Start::Above(above) => {
            let folders = path.rsplit('/').skip(1);
            let mut names: Vec<&str> = folders.take(above + 1).collect();
            if names.len() <= above {
                names.extend(STAND_FOR_FOLDER);
            }
            names
        }
        Start::Root => CRATE_FILES.to_vec(),
        Start::Free | Start::Own | Start::Base => Vec::new(),
    }
}

impl Graph {
    /// The files that `parts`, said in `from`, may mean: nearest first, of equal distance by path. Empty if none or if
    /// nothing tells them apart.
    pub(super) fn files(&self, from: &Held, scope: &Scope<'_>) -> Vec<Slot> {
        let folder = |above: usize| {
            let mut parts: Vec<&str> = from.path.split('/').collect();
            parts.pop();
            parts.truncate(parts.len().saturating_sub(above));
            parts
        };
        match scope.start {
            Start::Free | Start::Own | Start::Base => self.by_tail(from, &scope.parts, &[]),
            Start::Root if scope.parts.is_empty() => self.crate_files(from),
            Start::Root => self.by_tail(from, &scope.parts, &crate_root(&from.path)),
            Start::Above(above) if self.names.text(from.language) == "rust" => {
                let mut parts = module_parts(&from.path);
                parts.truncate(parts.len().saturating_sub(above));
                parts.extend(&scope.parts);
                self.exact(from, &parts)
            }
            Start::Above(above) => {
                let mut parts = folder(above);
                parts.extend(&scope.parts);
                self.exact(from, &parts)
            }
        }
    }

    /// Files of the same source whose module path, or path with extension, is exactly `parts`.
    fn exact(&self, from: &Held, parts: &[&str]) -> Vec<Slot> {
        let Some(last) = parts.last().and_then(|last| self.names.find(last)) else { return self.at_root(from, parts) };
        let named = self.stems.get(&last).map(Vec::as_slice).unwrap_or_default();
        let is = |slot: &&Slot| {
            self.held(**slot).is_some_and(|held| {
                held.source == from.source
                    && (module_parts(&held.path) == parts || held.path.split('/').eq(parts.iter().copied()))
            })
        };
        let mut found: Vec<Slot> = named.iter().filter(is).copied().collect();
        self.sort_by_nearness(from, &mut found);
        found
    }

    /// The file that stands for the root folder of a source, such as `__init__.py` beside the asking one.
    fn at_root(&self, from: &Held, parts: &[&str]) -> Vec<Slot> {
        if !parts.is_empty() {
            return Vec::new();
        }
        let roots = STAND_FOR_FOLDER.iter().filter_map(|stem| self.stems.get(&self.names.find(stem)?));
        let here =
            |slot: &Slot| self.held(*slot).is_some_and(|held| held.source == from.source && !held.path.contains('/'));
        let mut found: Vec<Slot> = roots.flatten().copied().filter(here).collect();
        self.sort_by_nearness(from, &mut found);
        found
    }

    /// The files that the crate of `from` begins with.
    fn crate_files(&self, from: &Held) -> Vec<Slot> {
        let root = crate_root(&from.path);
        let begins = |path: &str| {
            let mut parts: Vec<&str> = path.split('/').collect();
            parts.pop();
            if parts.last().is_some_and(|last| *last == "src") {
                parts.pop();
            }
            parts == root
        };
        let named = CRATE_FILES.iter().filter_map(|file| self.stems.get(&self.names.find(file)?)).flatten().copied();
        let here = |slot: &Slot| self.held(*slot).is_some_and(|held| held.source == from.source && begins(&held.path));
        let mut found: Vec<Slot> = named.filter(here).collect();
        self.sort_by_nearness(from, &mut found);
        found
    }

    /// Files whose module path ends in `parts` and begins with `root`, those that match most of `parts` and lie nearest.
    fn by_tail(&self, from: &Held, parts: &[&str], root: &[&str]) -> Vec<Slot> {
        let Some(last) = parts.last().and_then(|last| self.names.find(last)) else { return Vec::new() };
        let named = self.stems.get(&last).map(Vec::as_slice).unwrap_or_default();
        if named.len() > LOOKED_AT_MAX {
            return Vec::new();
        }
        let mut best = 0;
        let mut found = Vec::new();
        for slot in named {
            let Some(held) = self.held(*slot).filter(|held| same_family(self, held.language, from.language)) else {
                continue;
            };
            let Some(matched) = matched_tail(&held.path, parts, root) else { continue };
            if matched > best {
                best = matched;
                found.clear();
            }
            if matched == best {
                found.push(*slot);
            }
        }
        self.sort_by_nearness(from, &mut found);
        found
    }

    /// Sorts by how much of the path is shared with `from`, most first; files of another source last.
    pub(super) fn sort_by_nearness(&self, from: &Held, slots: &mut [Slot]) {
        slots.sort_by_cached_key(|slot| {
            let Some(held) = self.held(*slot) else { return (usize::MAX, String::new()) };
            (distance(from, held), held.uri.to_string())
        });
    }
}

/// Steps from one file to another over the tree of folders; files of another source are far.
pub(super) fn distance(from: &Held, to: &Held) -> usize {
    if from.source != to.source {
        return 1_000;
    }
    let shared = from.path.split('/').zip(to.path.split('/')).take_while(|(a, b)| a == b).count();
    from.path.split('/').count() + to.path.split('/').count() - 2 * shared
}

/// The folders of the crate or package that a file belongs to: what is before its last `src`, or its first folder.
fn crate_root(path: &str) -> Vec<&str> {
    let parts: Vec<&str> = path.split('/').collect();
    let source = parts.iter().rposition(|part| SOURCE_FOLDERS.contains(part));
    parts[..source.unwrap_or(0)].to_vec()
}

/// How many of `parts` the module path of a file ends in, if all of those that a path can hold: the first may be the name of
/// a package, which the folders need not repeat.
fn matched_tail(path: &str, parts: &[&str], root: &[&str]) -> Option<usize> {
    let whole: Vec<&str> = path.split('/').collect();
    if !whole.starts_with(root) {
        return None;
    }
    let module: Vec<&str> = module_parts(path).into_iter().filter(|part| !SOURCE_FOLDERS.contains(part)).collect();
    let tail = |of: &[&str]| parts.iter().rev().zip(of.iter().rev()).take_while(|(a, b)| a == b).count();
    // A path with its extension, as includes and links name files.
    let matched = tail(&module).max(tail(&whole));
    let all = matched == parts.len();
    let all_but_package = matched + 1 == parts.len() && matched > 0 && root.is_empty() && module.len() == matched;
    (all || all_but_package).then_some(matched)
}

/// Whether code of one language can name code of the other.
pub(super) fn same_family(graph: &Graph, a: NameId, b: NameId) -> bool {
    let family = |language: NameId| match graph.names.text(language) {
        "c" | "cpp" => "c",
        "javascript" | "typescript" | "tsx" | "jsx" => "javascript",
        "" => "",
        other => other,
    };
    a == b || family(a) == family(b) || family(a).is_empty() || family(b).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_as_modules() {
        assert_eq!(module_parts("src/engine/parse/mod.rs"), ["src", "engine", "parse"]);
        assert_eq!(module_parts("pkg/__init__.py"), ["pkg"]);
        assert_eq!(module_parts("lib/a.test.ts"), ["lib", "a"]);
        assert_eq!(module_parts("main.rs"), ["main"]);
        assert_eq!(module_parts(".gitignore"), [".gitignore"]);
        assert_eq!(stems("a/b/mod.rs").collect::<Vec<_>>(), ["b", "mod.rs"]);
    }

    #[test]
    fn tails_match_whole_or_without_the_package() {
        let matched = |path, parts: &[&str], root: &[&str]| matched_tail(path, parts, root);
        assert_eq!(matched("src/sync/mpsc/mod.rs", &["sync", "mpsc"], &[]), Some(2));
        assert_eq!(matched("src/sync/mpsc/mod.rs", &["tokio", "sync", "mpsc"], &[]), Some(2), "the crate's own name");
        assert_eq!(matched("tokio/src/sync/mpsc.rs", &["tokio", "sync", "mpsc"], &[]), Some(3));
        assert_eq!(matched("other/deep/mpsc.rs", &["tokio", "sync", "mpsc"], &[]), None);
        assert_eq!(matched("b/src/error.rs", &["error"], &["a"]), None, "another crate's");
        assert_eq!(matched("include/net/socket.h", &["net", "socket.h"], &[]), Some(2));
    }

    #[test]
    fn a_crate_begins_before_its_sources() {
        assert_eq!(crate_root("crates/a/src/x/y.rs"), ["crates", "a"]);
        assert!(crate_root("src/lib.rs").is_empty());
        assert!(crate_root("tests/it.rs").is_empty());
    }
}
