//! The table of languages: how a file name or an interpreter names one, and which of them have a grammar.
//!
//! Code in a language without a grammar is still code: it is cut along indentation and blank lines.

/// A tree-sitter grammar. A language can have two (TypeScript with and without JSX).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Grammar {
    Bash,
    C,
    Cpp,
    Go,
    Java,
    JavaScript,
    Python,
    Ruby,
    Rust,
    TypeScript,
    Tsx,
}

impl Grammar {
    /// All of them; the position of each is its discriminant.
    pub const ALL: [Self; 11] = [
        Self::Bash,
        Self::C,
        Self::Cpp,
        Self::Go,
        Self::Java,
        Self::JavaScript,
        Self::Python,
        Self::Ruby,
        Self::Rust,
        Self::TypeScript,
        Self::Tsx,
    ];

    /// The grammar of `language` for a file at `path`.
    pub fn of(language: &str, path: &str) -> Option<Self> {
        Some(match language {
            "bash" => Self::Bash,
            "c" => Self::C,
            "cpp" => Self::Cpp,
            "go" => Self::Go,
            "java" => Self::Java,
            "javascript" => Self::JavaScript,
            "python" => Self::Python,
            "ruby" => Self::Ruby,
            "rust" => Self::Rust,
            // `<T>x` is a cast in one and an element in the other.
            "typescript" if path.ends_with(".tsx") => Self::Tsx,
            "typescript" => Self::TypeScript,
            _ => return None,
        })
    }

    /// The compiled grammar.
    pub fn language(self) -> tree_sitter::Language {
        match self {
            Self::Bash => tree_sitter_bash::LANGUAGE,
            Self::C => tree_sitter_c::LANGUAGE,
            Self::Cpp => tree_sitter_cpp::LANGUAGE,
            Self::Go => tree_sitter_go::LANGUAGE,
            Self::Java => tree_sitter_java::LANGUAGE,
            Self::JavaScript => tree_sitter_javascript::LANGUAGE,
            Self::Python => tree_sitter_python::LANGUAGE,
            Self::Ruby => tree_sitter_ruby::LANGUAGE,
            Self::Rust => tree_sitter_rust::LANGUAGE,
            Self::TypeScript => tree_sitter_typescript::LANGUAGE_TYPESCRIPT,
            Self::Tsx => tree_sitter_typescript::LANGUAGE_TSX,
        }
        .into()
    }
}

/// A programming language.
#[derive(Debug, PartialEq, Eq)]
pub struct Language {
    /// Lower case, as it is stored and filtered by.
    pub name: &'static str,
    /// IANA media type, or the usual unregistered one.
    pub media_type: &'static str,
    /// File name extensions, lower case, without the dot.
    extensions: &'static [&'static str],
    /// Whole file names, lower case.
    file_names: &'static [&'static str],
    /// Interpreters in a `#!` line, without version digits.
    interpreters: &'static [&'static str],
}

const fn language(
    name: &'static str,
    media_type: &'static str,
    extensions: &'static [&'static str],
    file_names: &'static [&'static str],
    interpreters: &'static [&'static str],
) -> Language {
    Language { name, media_type, extensions, file_names, interpreters }
}

/// Every language that is known by name; those with a grammar first.
static LANGUAGES: &[Language] = &[
    language("rust", "text/x-rust", &["rs"], &[], &["rust-script"]),
    language(
        "python",
        "text/x-python",
        &["py", "pyi", "pyw", "pyx", "pxd", "bzl", "star"],
        &["sconstruct", "wscript", "build.bazel", "workspace.bazel", "tiltfile"],
        &["python", "pypy", "uv"],
    ),
    language(
        "javascript",
        "text/javascript",
        &["js", "mjs", "cjs", "jsx", "es6"],
        &["jakefile"],
        &["node", "nodejs", "bun"],
    ),
    language("typescript", "text/x-typescript", &["ts", "tsx", "mts", "cts"], &[], &["deno", "ts-node", "tsx"]),
    language("go", "text/x-go", &["go"], &[], &[]),
    language("java", "text/x-java", &["java"], &[], &[]),
    language("c", "text/x-c", &["c", "h"], &[], &[]),
    language(
        "cpp",
        "text/x-c++",
        &["cc", "cpp", "cxx", "c++", "hpp", "hh", "hxx", "h++", "ipp", "inl", "tcc", "cu", "cuh", "ino"],
        &[],
        &[],
    ),
    language(
        "ruby",
        "text/x-ruby",
        &["rb", "rake", "gemspec", "ru", "podspec"],
        &["rakefile", "gemfile", "vagrantfile", "podfile", "fastfile", "brewfile"],
        &["ruby"],
    ),
    language(
        "bash",
        "text/x-shellscript",
        &["sh", "bash", "zsh", "ksh", "bats", "ebuild", "envrc"],
        &["pkgbuild", ".bashrc", ".profile", ".bash_profile", ".zshrc"],
        &["sh", "bash", "zsh", "dash", "ksh", "ash"],
    ),
    language("kotlin", "text/x-kotlin", &["kt", "kts"], &[], &[]),
    language("swift", "text/x-swift", &["swift"], &[], &["swift"]),
    language("csharp", "text/x-csharp", &["cs", "csx"], &[], &[]),
    language("fsharp", "text/x-fsharp", &["fs", "fsi", "fsx"], &[], &[]),
    language("visualbasic", "text/x-vb", &["vb", "bas", "vbs"], &[], &[]),
    language("php", "text/x-php", &["php", "phtml"], &[], &["php"]),
    language("scala", "text/x-scala", &["scala", "sc", "sbt"], &[], &[]),
    language("groovy", "text/x-groovy", &["groovy", "gradle"], &["jenkinsfile"], &["groovy"]),
    language("lua", "text/x-lua", &["lua"], &[], &["lua", "luajit"]),
    language("perl", "text/x-perl", &["pl", "pm", "t"], &[], &["perl"]),
    language("r", "text/x-r", &["r"], &[".rprofile"], &["rscript"]),
    language("julia", "text/x-julia", &["jl"], &[], &["julia"]),
    language("haskell", "text/x-haskell", &["hs", "lhs"], &[], &["runhaskell"]),
    language("elixir", "text/x-elixir", &["ex", "exs"], &[], &["elixir"]),
    language("erlang", "text/x-erlang", &["erl", "hrl"], &[], &["escript"]),
    language("clojure", "text/x-clojure", &["clj", "cljs", "cljc", "edn"], &[], &[]),
    language("dart", "text/x-dart", &["dart"], &[], &["dart"]),
    language("zig", "text/x-zig", &["zig"], &[], &[]),
    language("nim", "text/x-nim", &["nim", "nims"], &[], &[]),
    language("ocaml", "text/x-ocaml", &["ml", "mli"], &[], &["ocaml"]),
    language("lisp", "text/x-common-lisp", &["lisp", "el", "scm", "ss", "rkt"], &[], &[]),
    language("objectivec", "text/x-objectivec", &["m", "mm"], &[], &[]),
    language("powershell", "text/x-powershell", &["ps1", "psm1", "psd1"], &[], &["pwsh"]),
    language("batch", "text/x-batch", &["bat", "cmd"], &[], &[]),
    language("fish", "text/x-fish", &["fish"], &[], &["fish"]),
    language("awk", "text/x-awk", &["awk"], &[], &["awk", "gawk"]),
    language("tcl", "text/x-tcl", &["tcl"], &[], &["tclsh", "wish", "expect"]),
    language("vim", "text/x-vim", &["vim"], &[".vimrc"], &[]),
    language("sql", "application/sql", &["sql", "ddl", "psql"], &[], &[]),
    language("graphql", "application/graphql", &["graphql", "gql"], &[], &[]),
    language("protobuf", "text/x-protobuf", &["proto"], &[], &[]),
    language("thrift", "text/x-thrift", &["thrift"], &[], &[]),
    language("capnp", "text/x-capnp", &["capnp"], &[], &[]),
    language("flatbuffers", "text/x-flatbuffers", &["fbs"], &[], &[]),
    language("css", "text/css", &["css", "scss", "sass", "less", "styl"], &[], &[]),
    language("vue", "text/x-vue", &["vue"], &[], &[]),
    language("svelte", "text/x-svelte", &["svelte", "astro"], &[], &[]),
    language(
        "make",
        "text/x-makefile",
        &["mk", "mak"],
        &["makefile", "gnumakefile", "makefile.am", "makefile.in"],
        &["make"],
    ),
    language("just", "text/x-just", &["just"], &["justfile"], &["just"]),
    language("cmake", "text/x-cmake", &["cmake"], &["cmakelists.txt"], &[]),
    language("meson", "text/x-meson", &[], &["meson.build", "meson_options.txt"], &[]),
    language("dockerfile", "text/x-dockerfile", &["dockerfile"], &["dockerfile", "containerfile"], &[]),
    language("hcl", "text/x-hcl", &["tf", "hcl", "tfvars"], &[], &[]),
    language("nix", "text/x-nix", &["nix"], &[], &[]),
    language("autoconf", "text/x-m4", &["m4", "ac"], &[], &[]),
    language("assembly", "text/x-asm", &["s", "asm"], &[], &[]),
    language("fortran", "text/x-fortran", &["f", "f90", "f95", "f03", "for"], &[], &[]),
    language("pascal", "text/x-pascal", &["pas", "pp", "dpr"], &[], &[]),
    language("ada", "text/x-ada", &["adb", "ads"], &[], &[]),
    language("d", "text/x-d", &["d"], &[], &[]),
    language("verilog", "text/x-verilog", &["v", "sv", "svh"], &[], &[]),
    language("vhdl", "text/x-vhdl", &["vhd", "vhdl"], &[], &[]),
    language("solidity", "text/x-solidity", &["sol"], &[], &[]),
    language("shader", "text/x-glsl", &["glsl", "vert", "frag", "comp", "wgsl", "hlsl", "metal"], &[], &[]),
    language("webassembly", "text/x-wat", &["wat", "wast"], &[], &[]),
    language("rego", "text/x-rego", &["rego"], &[], &[]),
    language("cue", "text/x-cue", &["cue"], &[], &[]),
    language("jsonnet", "text/x-jsonnet", &["jsonnet", "libsonnet"], &[], &[]),
    language("cobol", "text/x-cobol", &["cob", "cbl"], &[], &[]),
    language("coffeescript", "text/x-coffeescript", &["coffee"], &[], &["coffee"]),
    language(
        "jinja",
        "text/x-jinja",
        &["j2", "jinja", "jinja2", "tmpl", "gotmpl", "hbs", "mustache", "ejs", "erb"],
        &[],
        &[],
    ),
];

/// The language that a file name speaks for; `name` and `extension` in lower case.
pub fn by_file_name(name: &str, extension: Option<&str>) -> Option<&'static Language> {
    let whole = LANGUAGES.iter().find(|language| language.file_names.contains(&name));
    let extended = || extension.and_then(|ext| LANGUAGES.iter().find(|language| language.extensions.contains(&ext)));
    // Dockerfile.dev, Makefile.linux
    let stemmed = || {
        let stem =
            name.split('.').next().filter(|stem| matches!(*stem, "dockerfile" | "containerfile" | "makefile"))?;
        LANGUAGES.iter().find(|language| language.file_names.contains(&stem))
    };
    whole.or_else(extended).or_else(stemmed)
}

/// The language of a script by its first line, which starts with `#!`.
pub fn by_shebang(line: &str) -> Option<&'static Language> {
    let command = line.strip_prefix("#!")?;
    let mut words = command.split_whitespace().map(|word| word.rsplit('/').next().unwrap_or(word));
    let first = words.next()?;
    let program =
        if first == "env" { words.find(|word| !word.starts_with('-') && !word.contains('='))? } else { first };
    let program = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.').to_ascii_lowercase();
    LANGUAGES.iter().find(|language| language.interpreters.contains(&program.as_str()))
}

/// Language of a text that has no name to go by, such as a function pasted into a memory, by its first line of code. Only
/// openings that prose does not have are recognised.
pub fn by_content(text: &str) -> Option<&'static Language> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("//"))?;
    let word = line.split([' ', '(']).next().unwrap_or_default();
    let call = line.contains('(');
    let block = line.ends_with('{') || line.ends_with(';');
    let name = match word {
        "def" | "async" if call && !block && line.contains("def ") => "python",
        "class" if line.ends_with(':') => "python",
        "#include" => "cpp",
        "package" if !line.contains(['.', ' ']) || line.split(' ').count() == 2 && text.contains("func ") => "go",
        "func" if call && block => "go",
        "fn" | "impl" | "pub" if block || call && line.contains("fn ") => "rust",
        "function" | "export" | "async" if call && block => "javascript",
        "public" | "private" | "protected" if block => "java",
        _ if line.starts_with('@') && !line.contains(' ') && text.contains("\ndef ") => "python",
        _ => return None,
    };
    by_name(name)
}

/// The language called `name`.
pub fn by_name(name: &str) -> Option<&'static Language> {
    LANGUAGES.iter().find(|language| language.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_extensions_and_interpreters_belong_to_one_language_each() {
        let mut seen = std::collections::HashSet::new();
        for language in LANGUAGES {
            assert!(seen.insert(("name", language.name)), "{} twice", language.name);
            for (what, list) in
                [("ext", language.extensions), ("file", language.file_names), ("program", language.interpreters)]
            {
                for entry in list {
                    assert!(seen.insert((what, entry)), "{what} {entry} twice");
                    assert_eq!(*entry, entry.to_ascii_lowercase());
                }
            }
        }
    }

    #[test]
    fn every_grammar_loads_and_stands_at_its_own_place() {
        for (at, grammar) in Grammar::ALL.into_iter().enumerate() {
            assert_eq!(grammar as usize, at);
            assert!(tree_sitter::Parser::new().set_language(&grammar.language()).is_ok(), "{grammar:?}");
        }
        assert_eq!(Grammar::of("typescript", "a/b.tsx"), Some(Grammar::Tsx));
        assert_eq!(Grammar::of("kotlin", "a.kt"), None);
    }

    #[test]
    fn scripts_are_known_by_their_first_line() {
        let of = |line| by_shebang(line).map(|language| language.name);
        assert_eq!(of("#!/bin/sh -e"), Some("bash"));
        assert_eq!(of("#!/usr/bin/env python3.12"), Some("python"));
        assert_eq!(of("#!/usr/bin/env -S A=1 node --harmony"), Some("javascript"));
        assert_eq!(of("#! /usr/bin/perl -w"), Some("perl"));
        assert_eq!(of("#!/opt/unheard-of"), None);
        assert_eq!(of("# not one"), None);
    }
}
