//! What the path of a file alone says: its part in a repository, and whether it is somebody else's, generated or binary.

use crate::model::Role;

/// Directories of tests and what they need.
const TEST_DIRS: &[&str] = &[
    "test",
    "tests",
    "__tests__",
    "testdata",
    "test_data",
    "test-data",
    "fixtures",
    "fixture",
    "bench",
    "benches",
    "benchmark",
    "benchmarks",
    "spec",
    "specs",
    "__mocks__",
    "__snapshots__",
    "snapshots",
    "e2e",
    "testing_data",
];

/// Extensions of formats that are never text.
const BINARY_EXTENSIONS: &[&str] = &[
    "png",
    "jpg",
    "jpeg",
    "gif",
    "webp",
    "ico",
    "bmp",
    "tiff",
    "avif",
    "pdf",
    "zip",
    "gz",
    "tgz",
    "bz2",
    "xz",
    "zst",
    "7z",
    "rar",
    "tar",
    "jar",
    "war",
    "class",
    "o",
    "a",
    "so",
    "dylib",
    "dll",
    "exe",
    "bin",
    "wasm",
    "pyc",
    "pyo",
    "whl",
    "rlib",
    "rmeta",
    "woff",
    "woff2",
    "ttf",
    "otf",
    "eot",
    "mp3",
    "mp4",
    "mov",
    "avi",
    "webm",
    "ogg",
    "wav",
    "flac",
    "sqlite",
    "sqlite3",
    "db",
    "parquet",
    "arrow",
    "feather",
    "npy",
    "npz",
    "pkl",
    "pickle",
    "pt",
    "pth",
    "onnx",
    "safetensors",
    "gguf",
    "h5",
    "hdf5",
    "docx",
    "xlsx",
    "pptx",
    "psd",
    "dmg",
    "iso",
    "deb",
    "rpm",
    "mo",
    "crate",
    "lockb",
    "keystore",
    "jks",
    "p12",
    "der",
];

/// A path taken apart, in lower case.
pub(super) struct Name {
    /// Directories from the root down.
    pub(super) dirs: Vec<String>,
    /// The last part.
    pub(super) file: String,
}

impl Name {
    pub(super) fn of(path: &str) -> Self {
        let lower = path.to_lowercase();
        let mut parts: Vec<String> =
            lower.split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect();
        let file = parts.pop().unwrap_or_default();
        Self { dirs: parts, file }
    }

    pub(super) fn extension(&self) -> Option<&str> {
        match self.file.rsplit_once('.') {
            Some((stem, extension)) if !stem.is_empty() && !extension.is_empty() => Some(extension),
            _ => None,
        }
    }

    /// The file name up to its last dot.
    pub(super) fn stem(&self) -> &str {
        match self.file.rsplit_once('.') {
            Some((stem, _)) if !stem.is_empty() => stem,
            _ => &self.file,
        }
    }

    pub(super) fn has_dir(&self, names: &[&str]) -> bool {
        self.dirs.iter().any(|dir| names.contains(&dir.as_str()))
    }

    pub(super) fn ends_with(&self, suffixes: &[&str]) -> bool {
        suffixes.iter().any(|suffix| self.file.ends_with(suffix))
    }
}

/// The part that a file plays in its repository.
pub(super) fn role(name: &Name) -> Role {
    let stem = name.stem();
    let test_end = ["_test", "_tests", ".test", ".tests", ".spec", "_spec", "-test", "-spec", ".stories"];
    let java_test = || name.extension() == Some("java") && (stem.ends_with("test") || stem.ends_with("tests"));
    let example = || {
        name.has_dir(&[
            "example",
            "examples",
            "demo",
            "demos",
            "sample",
            "samples",
            "tutorial",
            "tutorials",
            "cookbook",
        ]) || stem.starts_with("example_")
            || stem == "example"
    };
    if stem.starts_with("example_") && stem.ends_with("_test") {
        // Go's testable examples are documentation.
        Role::Example
    } else if name.has_dir(TEST_DIRS)
        || test_end.iter().any(|end| stem.ends_with(end))
        || stem.starts_with("test_")
        || matches!(stem, "test" | "tests" | "conftest" | "testutil" | "test-utils" | "testutils")
        || java_test()
    {
        Role::Test
    } else if example() {
        Role::Example
    } else if name.has_dir(&["legacy", "compat", "deprecated", "old", "obsolete", "attic", "archived"])
        || matches!(stem, "legacy" | "compat" | "_compat" | "deprecated" | "_deprecated" | "obsolete")
    {
        Role::Legacy
    } else if name.ends_with(&[
        ".d.ts",
        ".d.mts",
        ".d.cts",
        ".pyi",
        "_pb2.py",
        "_pb2_grpc.py",
        ".pb.go",
        ".pb.rs",
        ".g.dart",
    ]) || name.ends_with(&[
        ".pb.h",
        ".pb.cc",
        "_generated.go",
        ".generated.ts",
        ".gen.go",
        ".g.cs",
        ".designer.cs",
    ]) || name.has_dir(&["generated", "__generated__", "autogen"])
    {
        Role::Generated
    } else {
        Role::Main
    }
}

pub(super) fn is_vendored(name: &Name) -> bool {
    const DIRS: &[&str] = &[
        "node_modules",
        "vendor",
        "third_party",
        "third-party",
        "thirdparty",
        "bower_components",
        "site-packages",
        "dist-packages",
        ".git",
        ".hg",
        ".svn",
        ".venv",
        "venv",
        "__pycache__",
        ".tox",
        ".nox",
        ".eggs",
        ".yarn",
        ".gradle",
        ".terraform",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        "jspm_packages",
        "vendored",
        "_vendor",
    ];
    // `target` is an ordinary word too: only cargo's and Maven's own layout counts.
    const BUILT: &[&str] =
        &["debug", "release", "doc", "package", "tmp", "criterion", "classes", "test-classes", "generated-sources"];
    if name.has_dir(DIRS) {
        return true;
    }
    let below = |at: usize| name.dirs.get(at + 1).unwrap_or(&name.file).as_str();
    name.dirs.iter().enumerate().any(|(at, dir)| dir == "target" && BUILT.contains(&below(at)))
}

pub(super) fn is_generated_name(name: &Name) -> bool {
    const LOCKS: &[&str] = &[
        "package-lock.json",
        "npm-shrinkwrap.json",
        "yarn.lock",
        "pnpm-lock.yaml",
        "bun.lock",
        "deno.lock",
        "cargo.lock",
        "poetry.lock",
        "pdm.lock",
        "uv.lock",
        "pipfile.lock",
        "gemfile.lock",
        "composer.lock",
        "go.sum",
        "flake.lock",
        "mix.lock",
        "podfile.lock",
        "pubspec.lock",
        "packages.lock.json",
        "gradle.lockfile",
        "package.resolved",
        "cargo.toml.orig",
        ".cargo_vcs_info.json",
        "pixi.lock",
        "conda-lock.yml",
        "go.work.sum",
    ];
    LOCKS.contains(&name.file.as_str())
        || name.ends_with(&[".js.map", ".css.map", ".mjs.map", ".ts.map", ".tsbuildinfo"])
}

/// Names of formats that are never text, so that they need not be read.
pub(super) fn is_binary_name(name: &Name) -> bool {
    name.extension().is_some_and(|extension| BINARY_EXTENSIONS.contains(&extension))
}

pub(super) fn is_licence(name: &Name) -> bool {
    let stem = name.file.split(['.', '-', '_']).next().unwrap_or_default();
    let plain = matches!(name.extension(), None | Some("txt" | "md" | "mit" | "apache" | "bsd" | "rst"))
        || name.file.starts_with("license-");
    plain && matches!(stem, "license" | "licence" | "copying" | "copyright" | "notice" | "unlicense" | "patents")
}
