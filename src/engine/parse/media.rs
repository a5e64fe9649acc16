//! What a file is, by its name and its bytes, and what is left out and why.
//!
//! Skipping errs on the side of keeping: what is left out here can't be found later, so every rule names something
//! that nobody searches for (binaries, lock files, bundles, copies of other people's code).

use super::{Media, Skip, language};
use crate::base::limits::DOCUMENT_BYTES_MAX;
use crate::model::{DocumentKind, Role};

/// Data files above this are dumps, not configuration: a hand-written one of 256 KiB would have some 6,000 lines.
const DATA_BYTES_MAX: u64 = 256 * 1024;

/// Code whose lines are longer than this on average is packed by a machine; hand-written code is at 20 to 45.
const LINE_BYTES_MEAN_MAX: usize = 250;

/// Files shorter than this are never called minified: a one-line script may be long.
const MINIFIED_BYTES_MIN: usize = 4 * 1024;

/// How much of the start is searched for the mark of a generator.
const GENERATED_HEAD_BYTES: usize = 4 * 1024;

/// Lines of the start in which an informal mark counts; the formal one of Go counts in all of the head.
const GENERATED_HEAD_LINES: usize = 10;

impl Skip {
    /// All reasons.
    pub const ALL: [Self; 7] =
        [Self::Binary, Self::Encoding, Self::TooLarge, Self::Minified, Self::Generated, Self::Vendored, Self::Empty];

    /// The stable phrase under which skips are counted and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Encoding => "not UTF-8",
            Self::TooLarge => "too large",
            Self::Minified => "minified",
            Self::Generated => "generated",
            Self::Vendored => "vendored",
            Self::Empty => "empty",
        }
    }
}

impl std::fmt::Display for Skip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A path taken apart, in lower case.
struct Name {
    /// Directories from the root down.
    dirs: Vec<String>,
    /// The last part.
    file: String,
}

impl Name {
    fn of(path: &str) -> Self {
        let lower = path.to_lowercase();
        let mut parts: Vec<String> =
            lower.split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect();
        let file = parts.pop().unwrap_or_default();
        Self { dirs: parts, file }
    }

    fn extension(&self) -> Option<&str> {
        match self.file.rsplit_once('.') {
            Some((stem, extension)) if !stem.is_empty() && !extension.is_empty() => Some(extension),
            _ => None,
        }
    }

    /// The file name up to its last dot.
    fn stem(&self) -> &str {
        match self.file.rsplit_once('.') {
            Some((stem, _)) if !stem.is_empty() => stem,
            _ => &self.file,
        }
    }

    fn has_dir(&self, names: &[&str]) -> bool {
        self.dirs.iter().any(|dir| names.contains(&dir.as_str()))
    }

    fn ends_with(&self, suffixes: &[&str]) -> bool {
        suffixes.iter().any(|suffix| self.file.ends_with(suffix))
    }
}

/// Decides from path and size alone, before anything is read. `path` is relative to the source's root, so that a root
/// inside `node_modules` can be ingested by asking for it.
pub fn skip_by_path(path: &str, size: u64) -> Option<Skip> {
    let name = Name::of(path);
    if is_vendored(&name) {
        return Some(Skip::Vendored);
    }
    if size == 0 {
        return Some(Skip::Empty);
    }
    if is_binary_name(&name) {
        return Some(Skip::Binary);
    }
    if is_generated_name(&name) {
        return Some(Skip::Generated);
    }
    if name.ends_with(&[".min.js", ".min.css", ".min.mjs", ".min.cjs", "-min.js", ".bundle.js", ".min.html"]) {
        return Some(Skip::Minified);
    }
    if size > DOCUMENT_BYTES_MAX {
        return Some(Skip::TooLarge);
    }
    if size > DATA_BYTES_MAX && data_type(&name).is_some() && name.extension() != Some("ipynb") {
        return Some(Skip::Generated);
    }
    None
}

/// What the file at `path` with content `bytes` is.
///
/// # Errors
/// The reason to skip it.
pub fn detect(path: &str, bytes: &[u8]) -> Result<Media, Skip> {
    if let Some(skip) = skip_by_path(path, bytes.len() as u64) {
        return Err(skip);
    }
    let text = text_of(bytes)?;
    let name = Name::of(path);
    let media = classify(&name, text);
    let packed = matches!(media.kind, DocumentKind::Code) && is_packed(text);
    if packed {
        return Err(Skip::Minified);
    }
    // Generated prose (command references, API listings) is still the documentation people look for.
    if matches!(media.kind, DocumentKind::Code | DocumentKind::Data) && is_marked_generated(text) {
        return Err(Skip::Generated);
    }
    Ok(media)
}

/// The bytes as text without a byte order mark.
///
/// # Errors
/// Binary, encoding or empty.
pub fn text_of(bytes: &[u8]) -> Result<&str, Skip> {
    const MAGIC: &[&[u8]] =
        &[b"%PDF-", b"\x1f\x8b", b"PK\x03\x04", b"\x7fELF", b"\x89PNG", b"GIF8", b"\xca\xfe\xba\xbe"];
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(Skip::Encoding);
    }
    if bytes.contains(&0) || MAGIC.iter().any(|magic| bytes.starts_with(magic)) {
        return Err(Skip::Binary);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Skip::Encoding)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().is_empty() { Err(Skip::Empty) } else { Ok(text) }
}

fn classify(name: &Name, text: &str) -> Media {
    let role = role(name);
    let extension = name.extension();
    let media = |kind, media_type, language| Media { kind, role, media_type, language };
    if is_licence(name) {
        return media(DocumentKind::Text, "text/plain", None);
    }
    if let Some(media_type) = prose_type(name) {
        return media(DocumentKind::Markdown, media_type, None);
    }
    if matches!(extension, Some("html" | "htm" | "xhtml")) {
        return media(DocumentKind::Html, "text/html", None);
    }
    let mut found = language::by_file_name(&name.file, extension);
    if found.is_none() && text.starts_with("#!") {
        found = language::by_shebang(text.lines().next().unwrap_or_default());
    }
    if found.is_none() && extension.is_none() {
        found = language::by_content(text);
    }
    if extension == Some("h") && is_cpp_header(text) {
        found = language::by_name("cpp");
    }
    // `.m` is MATLAB too, `.t` and `.v` are anything, but all of them are code of some sort.
    if let Some(language) = found {
        return media(DocumentKind::Code, language.media_type, Some(language.name));
    }
    if let Some(media_type) = data_type(name) {
        return media(DocumentKind::Data, media_type, None);
    }
    media(DocumentKind::Text, "text/plain", None)
}

fn prose_type(name: &Name) -> Option<&'static str> {
    Some(match name.extension()? {
        "md" | "markdown" | "mdown" | "mkd" | "mdx" | "qmd" | "rmd" | "ipynb" => "text/markdown",
        "rst" | "rest" => "text/x-rst",
        "adoc" | "asciidoc" | "asc" => "text/asciidoc",
        "org" => "text/org",
        _ => return None,
    })
}

fn data_type(name: &Name) -> Option<&'static str> {
    let Some(extension) = name.extension() else {
        let rules = [".gitignore", ".gitattributes", ".editorconfig", ".dockerignore", "codeowners", ".env", ".npmrc"];
        return rules.contains(&name.file.as_str()).then_some("text/plain");
    };
    Some(match extension {
        "json" | "jsonc" | "json5" | "jsonl" | "ndjson" | "geojson" | "webmanifest" | "avsc" | "ipynb" => {
            "application/json"
        }
        "toml" => "application/toml",
        "yaml" | "yml" => "application/yaml",
        "csv" => "text/csv",
        "tsv" | "tab" => "text/tab-separated-values",
        "xml" | "xsd" | "xsl" | "xslt" | "plist" | "csproj" | "props" | "pom" | "rss" | "wsdl" => "application/xml",
        "svg" => "image/svg+xml",
        "ini" | "cfg" | "conf" | "properties" | "env" | "service" | "desktop" | "editorconfig" => "text/plain",
        "diff" | "patch" => "text/x-diff",
        "snap" | "lock" | "mod" | "sum" | "dat" | "fasta" => "text/plain",
        _ => return None,
    })
}

fn is_licence(name: &Name) -> bool {
    let stem = name.file.split(['.', '-', '_']).next().unwrap_or_default();
    let plain = matches!(name.extension(), None | Some("txt" | "md" | "mit" | "apache" | "bsd" | "rst"))
        || name.file.starts_with("license-");
    plain && matches!(stem, "license" | "licence" | "copying" | "copyright" | "notice" | "unlicense" | "patents")
}

/// C++ in a `.h` file: words that C doesn't have, at the start of a line.
fn is_cpp_header(text: &str) -> bool {
    text.lines().any(|line| {
        let line = line.trim_start();
        ["class ", "namespace ", "template<", "template <", "public:", "private:", "protected:", "using namespace "]
            .iter()
            .any(|word| line.starts_with(word))
    })
}

/// The part that a file plays in its repository.
fn role(name: &Name) -> Role {
    let stem = name.stem();
    let test_dir = [
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
    } else if name.has_dir(&test_dir)
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

fn is_vendored(name: &Name) -> bool {
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

fn is_generated_name(name: &Name) -> bool {
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
fn is_binary_name(name: &Name) -> bool {
    const EXTENSIONS: &[&str] = &[
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
    name.extension().is_some_and(|extension| EXTENSIONS.contains(&extension))
}

fn is_packed(text: &str) -> bool {
    if text.len() < MINIFIED_BYTES_MIN {
        return false;
    }
    let lines = text.bytes().filter(|&byte| byte == b'\n').count() + 1;
    text.len() / lines > LINE_BYTES_MEAN_MAX
}

/// Whether the first lines carry a generator's mark in a comment.
fn is_marked_generated(text: &str) -> bool {
    const MARKS: &[&str] = &[
        "@generated",
        "do not edit",
        "file is generated",
        "file was generated",
        "file is automatically generated",
        "file was automatically generated",
        "file is auto-generated",
        "file is autogenerated",
        "automatically generated by",
        "auto-generated by",
        "autogenerated by",
        "autogenerated from",
    ];
    let head = &text[..text.floor_char_boundary(GENERATED_HEAD_BYTES)];
    head.lines().enumerate().any(|(at, line)| {
        let line = line.trim_start();
        let opens = ["//", "#", "/*", "*", "--", ";", "<!--", "%", "\"\"\"", "'"];
        let Some(comment) = opens.iter().find_map(|open| line.strip_prefix(open)) else { return false };
        if comment.starts_with(" Code generated ") && comment.contains("DO NOT EDIT") {
            return true;
        }
        if at >= GENERATED_HEAD_LINES {
            return false;
        }
        // A mark in quotes is talked about, not made.
        let comment = comment.to_lowercase();
        MARKS
            .iter()
            .any(|mark| comment.find(mark).is_some_and(|found| !comment[..found].ends_with(['"', '\'', '`', '“'])))
    })
}
