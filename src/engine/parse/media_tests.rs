//! What files are taken for, by name and content, and what is left out.

use super::*;
use crate::base::limits::{
    ARCHIVE_ENTRIES_MAX, ARCHIVE_MARKUP_BYTES_MAX, ARCHIVE_RATIO_MAX, DOCUMENT_BYTES_MAX, PACKED_BYTES_MAX, PAGES_MAX,
    READING_TIME_MAX,
};
use crate::model::Role;

fn kind(path: &str, text: &str) -> (DocumentKind, Option<&'static str>) {
    let media = detect(path, text.as_bytes()).unwrap_or_else(|skip| panic!("{path} skipped: {skip}"));
    (media.kind, media.language)
}

fn role_of(path: &str) -> Role {
    detect(path, b"x").unwrap_or_else(|skip| panic!("{path} skipped: {skip}")).role
}

fn skip(path: &str, bytes: &[u8]) -> Option<Skip> {
    detect(path, bytes).err()
}

#[test]
fn kinds_and_languages_by_name() {
    use DocumentKind::{Code, Data, Html, Markdown, Text};
    for (path, expected) in [
        ("src/lib.rs", (Code, Some("rust"))),
        ("A.PY", (Code, Some("python"))),
        ("a/b.tsx", (Code, Some("typescript"))),
        ("Dockerfile.dev", (Code, Some("dockerfile"))),
        ("Makefile", (Code, Some("make"))),
        ("CMakeLists.txt", (Code, Some("cmake"))),
        ("x.kt", (Code, Some("kotlin"))),
        ("README.md", (Markdown, None)),
        ("docs/index.rst", (Markdown, None)),
        ("a.html", (Html, None)),
        ("Cargo.toml", (Data, None)),
        (".gitignore", (Data, None)),
        ("a.csv", (Data, None)),
        ("LICENSE", (Text, None)),
        ("LICENSE-MIT", (Text, None)),
        ("LICENSE.md", (Text, None)),
        ("COPYING", (Text, None)),
        ("license.rs", (Code, Some("rust"))),
        ("notes", (Text, None)),
        ("robots.txt", (Text, None)),
    ] {
        assert_eq!(kind(path, "x\n"), expected, "{path}");
    }
}

#[test]
fn content_decides_where_the_name_does_not() {
    assert_eq!(kind("bin/run", "#!/usr/bin/env python3\nprint()\n").1, Some("python"));
    assert_eq!(kind("a.h", "#pragma once\nint f(void);\n").1, Some("c"));
    assert_eq!(kind("a.h", "#pragma once\nnamespace x {\nclass A {};\n}\n").1, Some("cpp"));
}

#[test]
fn roles_by_path() {
    for (role, paths) in [
        (
            Role::Main,
            &["src/lib.rs", "src/latest/v1/a.ts", "mini/a.ts", "src/contest.py", "attest.go", "src/testing.rs"][..],
        ),
        (
            Role::Test,
            &[
                "tests/a.rs",
                "src/a_test.go",
                "a/test_x.py",
                "x.spec.ts",
                "x.test.tsx",
                "a/__tests__/b.js",
                "testdata/a.json",
                "fixtures/a.py",
                "benches/b.rs",
                "src/tests.rs",
                "conftest.py",
                "src/main/java/AppTest.java",
                "spec/models/user_spec.rb",
            ],
        ),
        (Role::Example, &["examples/a.rs", "demo/x.py", "example_test.go", "pkg/example_x_test.go"]),
        (Role::Legacy, &["src/legacy/a.rs", "pkg/compat.py", "deprecated/x.go", "old/a.c"]),
        (Role::Generated, &["index.d.ts", "a_pb2.py", "api/x.pb.go", "stubs/a.pyi", "src/generated/a.rs"]),
    ] {
        for path in paths {
            assert_eq!(role_of(path), role, "{path}");
        }
    }
}

#[test]
fn what_is_not_text_is_left_out() {
    assert_eq!(skip("a.txt", b"a\0b"), Some(Skip::Binary));
    assert_eq!(skip("a.dat", b"PK\x03\x04 and nothing"), Some(Skip::Binary));
    assert_eq!(skip("a.png", b"not really"), Some(Skip::Binary));
    assert_eq!(skip("a.txt", b"caf\xe9"), Some(Skip::Encoding));
    assert_eq!(skip("a.txt", b"\xff\xfea\0b\0"), Some(Skip::Encoding));
    for blank in [&b""[..], b" \n\t\r\n", b"\xef\xbb\xbf", "\u{a0}\u{2003}\n".as_bytes()] {
        assert_eq!(skip("a.rs", blank), Some(Skip::Empty));
    }
    assert_eq!(text_of(b"\xef\xbb\xbfx"), Ok("x"));
}

#[test]
fn copies_bundles_locks_and_dumps_are_left_out() {
    for path in ["node_modules/a/i.js", "vendor/x.go", "a/third_party/b.c", ".git/config", "target/debug/build/out.rs"]
    {
        assert_eq!(skip(path, b"x"), Some(Skip::Vendored), "{path}");
    }
    for path in ["src/target/mod.rs", "vendor.rs", "targets/a.rs", "src/build/mod.rs", "target.rs"] {
        assert_eq!(skip(path, b"x"), None, "{path}");
    }
    for path in ["Cargo.lock", "web/package-lock.json", "go.sum", "a.js.map"] {
        assert_eq!(skip(path, b"x"), Some(Skip::Generated), "{path}");
    }
    assert_eq!(skip("a.min.js", b"x"), Some(Skip::Minified));
    let packed = "var a=1;".repeat(1000);
    assert_eq!(skip("a.js", packed.as_bytes()), Some(Skip::Minified));
    assert_eq!(skip("a.txt", packed.as_bytes()), None, "long lines are fine in prose");
    let dump = "a,b,c\n".repeat(60_000);
    assert_eq!(skip("a.yaml", dump.as_bytes()), Some(Skip::DataTooLarge));
    assert_eq!(skip("a.csv", dump.as_bytes()), None, "of tables only the columns and some rows are taken");
    assert_eq!(skip("a.txt", dump.as_bytes()), None);
    let size = DOCUMENT_BYTES_MAX + 1;
    assert_eq!(Skip::TooLarge.as_str(), format!("larger than {} MiB", DOCUMENT_BYTES_MAX >> 20));
    assert_eq!(skip_by_path("a.txt", size), Some(Skip::TooLarge));
    assert_eq!(skip_by_path("a.txt", DOCUMENT_BYTES_MAX), None);
    assert_eq!(skip_by_path("a.pdf", size), None);
    assert_eq!(skip_by_path("a.pdf", PACKED_BYTES_MAX + 1), Some(Skip::PackedTooLarge));
}

#[test]
fn generators_leave_their_mark_in_a_comment_of_the_first_lines() {
    let licence = "// Copyright\n".repeat(20);
    for text in [
        "// @generated by rust-bindgen\nfn a() {}\n".to_owned(),
        format!("{licence}// Code generated by protoc-gen-go. DO NOT EDIT.\npackage a\n"),
        "# This file is automatically generated by x.\na = 1\n".to_owned(),
        "/*\n * DO NOT EDIT\n */\nint a;\n".to_owned(),
    ] {
        assert_eq!(skip("a.rs", text.as_bytes()), Some(Skip::Generated), "{text}");
    }
    for text in [
        "//! Looks for \"@generated\" in files.\n",
        "let mark = \"@generated\";\n",
        "// Tests of automatically generated impls.\n",
        "// Generated code is parsed here.\n",
    ] {
        assert_eq!(skip("a.rs", text.as_bytes()), None, "{text}");
    }
    let late = format!("{}// do not edit\n", "fn a() {}\n".repeat(30));
    assert_eq!(skip("a.rs", late.as_bytes()), None);
    assert_eq!(skip("README.md", b"<!-- DO NOT EDIT: made by cargo-readme -->\n# A\n"), None);
}

#[test]
fn every_reason_has_a_phrase_of_its_own() {
    let all = Skip::all();
    let phrases: std::collections::HashSet<_> = all.iter().map(|skip| skip.as_str()).collect();
    assert_eq!(phrases.len(), all.len());
}

#[test]
fn phrases_say_the_limits_that_are_kept() {
    for (skip, limit) in [
        (Skip::PackedTooLarge, format!("{} MiB", PACKED_BYTES_MAX >> 20)),
        (Skip::TextTooLarge, format!("{} MiB", DOCUMENT_BYTES_MAX >> 20)),
        (Skip::TooSlow, format!("{} s", READING_TIME_MAX.as_secs())),
        (Skip::TooManyPages, format!("{PAGES_MAX} pages")),
        (Skip::Expands, format!("{} MiB", ARCHIVE_MARKUP_BYTES_MAX >> 20)),
        (Skip::Expands, format!("{ARCHIVE_ENTRIES_MAX} entries")),
        (Skip::Expands, format!("{ARCHIVE_RATIO_MAX} times")),
    ] {
        assert!(skip.as_str().contains(&limit), "{skip} does not say {limit}");
    }
}
