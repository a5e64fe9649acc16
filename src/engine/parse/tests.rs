//! The invariants of parsing over ugly and random inputs, and what pieces look like per kind of document.

use proptest::prelude::*;

use super::*;
use crate::base::tokens::TokenCounter;

/// Reads and cuts.
fn parse(
    path: &str,
    bytes: &[u8],
    media: &Media,
    sizes: ChunkSizes,
    counter: &dyn TokenCounter,
) -> Result<Parsed, Skip> {
    arrange(path, read(bytes, media)?, media, sizes, counter)
}

/// Words and single punctuation marks; words longer than eight bytes count as several.
struct Words;

impl TokenCounter for Words {
    fn count(&self, text: &str) -> usize {
        self.starts(text).len()
    }

    fn starts(&self, text: &str) -> Vec<u32> {
        let mut starts = Vec::new();
        let mut word: Option<usize> = None;
        for (at, c) in text.char_indices() {
            if c.is_alphanumeric() {
                let begun = *word.get_or_insert(at);
                if at == begun || at - begun >= 8 {
                    word = Some(at);
                    starts.push(u32::try_from(at).unwrap());
                }
            } else {
                word = None;
                if !c.is_whitespace() {
                    starts.push(u32::try_from(at).unwrap());
                }
            }
        }
        starts
    }
}

/// Whatever stands between spaces is one token, as WordPiece makes one unknown word of it.
struct Spaced;

impl TokenCounter for Spaced {
    fn count(&self, text: &str) -> usize {
        text.split_whitespace().count()
    }

    fn starts(&self, text: &str) -> Vec<u32> {
        let base = text.as_ptr().addr();
        text.split_whitespace().map(|word| u32::try_from(word.as_ptr().addr() - base).unwrap()).collect()
    }
}

const SIZES: ChunkSizes = ChunkSizes { tokens_max: 64, header_tokens_max: 24 };

fn parsed(path: &str, text: &str) -> Parsed {
    parsed_in(path, text, SIZES, &Words)
}

fn parsed_in(path: &str, text: &str, sizes: ChunkSizes, counter: &dyn TokenCounter) -> Parsed {
    let media = media::detect(path, text.as_bytes()).unwrap_or_else(|skip| panic!("{path} skipped: {skip}"));
    let parsed = parse(path, text.as_bytes(), &media, sizes, counter).unwrap();
    check(&parsed, sizes, counter);
    parsed
}

/// Everything that [`parse`] promises about pieces.
fn check(parsed: &Parsed, sizes: ChunkSizes, counter: &dyn TokenCounter) {
    let text = &parsed.text;
    let (mut covered, mut line) = (0, 1);
    for piece in &parsed.pieces {
        let (start, end) = (piece.span.start as usize, piece.span.end as usize);
        let own = text.get(start..end).unwrap_or_else(|| panic!("{start}..{end} is not on character boundaries"));
        assert!(start >= covered, "{start} before {covered}");
        assert!(text[covered..start].trim().is_empty(), "lost {:?}", &text[covered..start]);
        assert!(!own.trim().is_empty(), "blank piece at {start}");
        let one = own.trim().chars().count() == 1;
        assert!(piece.tokens as usize <= sizes.tokens_max || one, "{} tokens in {own:?}", piece.tokens);
        assert_eq!(piece.tokens as usize, counter.count(own), "tokens of {own:?}");
        let newlines = |range: std::ops::Range<usize>| text[range].matches('\n').count() as u32;
        let first = line + newlines(covered..start);
        let last = first + newlines(start..end).saturating_sub(u32::from(own.ends_with('\n')));
        assert_eq!((piece.lines.first, piece.lines.last), (first, last), "{own:?}");
        line = last;
        covered = end;
    }
    assert!(text[covered..].trim().is_empty(), "lost the end {:?}", &text[covered..]);
}

fn texts(parsed: &Parsed) -> Vec<&str> {
    let slice = |piece: &Piece| &parsed.text[piece.span.start as usize..piece.span.end as usize];
    parsed.pieces.iter().map(slice).collect()
}

fn crumbs(parsed: &Parsed) -> Vec<&str> {
    parsed.pieces.iter().map(|piece| piece.breadcrumb.as_str()).collect()
}

/// `count` words of filler.
fn words(count: usize) -> String {
    (0..count).map(|at| format!("word{at} ")).collect()
}

const PATHS: &[&str] = &[
    "a.rs", "a.py", "a.js", "a.ts", "a.tsx", "a.go", "a.java", "a.c", "a.cpp", "a.rb", "a.sh", "a.kt", "a.md", "a.rst",
    "a.adoc", "a.org", "a.html", "a.txt", "a.json", "a.toml", "a.csv", "a.ipynb",
];

fn ugly() -> Vec<String> {
    let mut all = vec![
        "x".to_owned(),
        "\u{feff}x".to_owned(),
        "fn a() {}\r\n\r\n\r\nfn b() {}\r\n".to_owned(),
        "\tdef a():\n        pass\n    \tdef b():\n\treturn\n".repeat(40),
        "日本語の文章。これは二番目の文です。".repeat(100),
        "e\u{301}\u{301}\u{301}👩‍👩‍👧‍👦🇩🇪 ".repeat(300),
        "```\nnever closed\n".to_owned() + &words(300),
        "# A\n## B\n# C\n".repeat(50),
        "<div><p>".repeat(50) + &words(100),
        "/* never closed ".to_owned() + &words(200),
        "\"\"\"".to_owned() + &words(200),
        "'".repeat(500),
        "\u{0c}\u{0b}\u{85}\u{2028}x\u{2029}\u{a0}y".repeat(30),
        "\rcarriage\rreturns\ronly\r".repeat(60),
        "=====\nTitle\n=====\n\n".repeat(30),
        ":::::\n".repeat(100),
        format!("{}x{}", " ".repeat(5000), "\n".repeat(5000)),
    ];
    for open in ["(", "[", "{", "<", "<b>", "((a,", "- ", "> ", "if x {", "def f():\n ", "{\"a\":", "* * ", "#", "x=("]
    {
        all.push(open.repeat(300));
    }
    all
}

#[test]
fn pieces_keep_their_promises_for_ugly_inputs_of_every_kind() {
    for text in ugly() {
        for path in PATHS {
            for (counter, tokens_max) in [(&Words as &dyn TokenCounter, 1), (&Words, 7), (&Spaced, 64)] {
                let Ok(media) = media::detect(path, text.as_bytes()) else { continue };
                let sizes = ChunkSizes { tokens_max, ..SIZES };
                match parse(path, text.as_bytes(), &media, sizes, counter) {
                    Ok(parsed) => check(&parsed, sizes, counter),
                    // What is no notebook or table is no text either.
                    Err(Skip::Damaged(_)) if Format::by_path(path).is_some() => {}
                    Err(skip) => assert_eq!(skip, Skip::Empty, "{path}"),
                }
            }
        }
    }
}

#[test]
fn deep_nesting_and_giant_lines_neither_overflow_nor_stall() {
    for path in ["a.rs", "a.py", "a.js", "a.c", "a.md", "a.html", "a.txt", "a.json"] {
        for text in ["(".repeat(100_000), "[".repeat(10_000), "> ".repeat(50_000), "<div>".repeat(20_000)] {
            let media = Media { kind: kind_of(path), ..media::detect(path, b"x").unwrap() };
            let sizes = ChunkSizes { tokens_max: 200, header_tokens_max: 20 };
            let parsed = parse(path, text.as_bytes(), &media, sizes, &Words);
            if let Ok(parsed) = parsed {
                check(&parsed, sizes, &Words);
            }
        }
    }
    for (unit, bytes) in
        [("x", 1_000_000), ("word ", 1_000_000), ("日本", 200_000), ("a.b(c); ", 200_000), ("e\u{301}", 200_000)]
    {
        let text = unit.repeat(bytes / unit.len());
        let sizes = ChunkSizes { tokens_max: 200, header_tokens_max: 20 };
        let parsed = parsed_in("a.txt", &text, sizes, &Spaced);
        assert!(parsed.pieces.iter().all(|piece| piece.span.bytes() <= 16 * 200), "chunks of a giant word stay small");
    }
}

fn kind_of(path: &str) -> DocumentKind {
    media::detect(path, b"x").unwrap().kind
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn pieces_keep_their_promises_for_random_text(
        lines in prop::collection::vec(
            prop_oneof![
                "[ \\t]{0,8}[a-z(){}\\[\\]<>:;=#*/\"'`.,!|@&-]{0,40}",
                "\\PC{0,60}",
                Just(String::new()),
                "#{1,4} [a-z]{1,10}",
                "[ ]{0,8}(def|fn|class|func|if|impl|struct|const|export function|public class) [a-zA-Z]{1,8}[(){:]{0,3}",
                "[-*>] [a-z ]{0,30}",
                "```[a-z]{0,4}",
            ],
            0..60,
        ),
        crlf in any::<bool>(),
        path in prop::sample::select(PATHS),
        tokens_max in 1_usize..80,
        spaced in any::<bool>(),
    ) {
        let text = lines.join(if crlf { "\r\n" } else { "\n" });
        let counter: &dyn TokenCounter = if spaced { &Spaced } else { &Words };
        let sizes = ChunkSizes { tokens_max, header_tokens_max: 16 };
        if let Ok(media) = media::detect(path, text.as_bytes()) {
            match parse(path, text.as_bytes(), &media, sizes, counter) {
                Ok(parsed) => check(&parsed, sizes, counter),
                Err(Skip::Damaged(_)) if Format::by_path(path).is_some() => {}
                Err(skip) => prop_assert_eq!(skip, Skip::Empty),
            }
        }
    }

    #[test]
    fn a_header_is_never_longer_than_allowed(
        path in "[a-z/._]{0,60}",
        title in proptest::option::of("\\PC{0,40}"),
        breadcrumb in "[a-zA-Z> ]{0,80}",
        tokens_max in 0_usize..30,
    ) {
        let text = header(&path, title.as_deref(), &breadcrumb, tokens_max, &Words);
        prop_assert!(Words.count(&text) <= tokens_max, "{text:?}");
    }
}

#[test]
fn a_method_of_a_large_impl_stands_under_it_with_its_comment_and_attributes() {
    let body = "        let value = compute(first, second);\n".repeat(4);
    let method = |name: &str| {
        format!("    /// Does {name}.\n    #[inline]\n    pub fn {name}(&self) -> u32 {{\n{body}        0\n    }}\n\n")
    };
    let text = format!(
        "use std::fmt;\n\n/// A server.\npub struct Server {{\n    port: u16,\n}}\n\nimpl fmt::Display for Server {{\n{}{}{}}}\n\nfn free() {{}}\n",
        method("first"),
        method("second"),
        method("third"),
    );
    let parsed = parsed("src/server.rs", &text);
    let second = parsed.pieces.iter().find(|piece| piece.symbols.contains(&"second".to_owned())).unwrap();
    let own = &parsed.text[second.span.start as usize..second.span.end as usize];
    assert!(own.starts_with("    /// Does second.\n    #[inline]\n    pub fn second"), "{own}");
    assert!(own.ends_with("0\n    }"), "{own}");
    assert_eq!(second.breadcrumb, "impl fmt::Display for Server > fn second");
    assert_eq!(second.outline, "pub fn second(&self) -> u32");
    let head = &parsed.pieces[0];
    assert_eq!(head.symbols, ["Server"]);
    assert_eq!(head.outline, "pub struct Server");
    assert_eq!(head.breadcrumb, "struct Server");
}

#[test]
fn an_oversize_function_is_cut_between_statements_into_even_parts() {
    let text = format!("fn long(input: &str) {{\n{}}}\n", "    call(input, 1);\n".repeat(20));
    let parsed = parsed("a.rs", &text);
    assert_eq!(parsed.pieces.len(), 3, "{:#?}", texts(&parsed));
    for (piece, own) in parsed.pieces.iter().zip(texts(&parsed)) {
        assert_eq!(piece.breadcrumb, "fn long");
        assert!(own.ends_with([';', '}']), "{own}");
        assert!(piece.tokens > 30, "{own}");
    }
    assert_eq!(parsed.pieces[0].symbols, ["long"]);
    assert!(parsed.pieces[1].symbols.is_empty(), "defined once");
}

#[test]
fn functions_inside_of_an_oversize_function_are_found_and_its_variables_are_not() {
    let fill = "    call(input, 1);\n".repeat(12);
    let text = format!("function outer() {{\n  const LIMIT = 3;\n{fill}  const inner = () => {{ go(); }};\n{fill}}}\n");
    let parsed = parsed("a.js", &text);
    let symbols: Vec<_> = parsed.pieces.iter().flat_map(|piece| piece.symbols.clone()).collect();
    assert_eq!(symbols, ["outer", "inner"]);
}

#[test]
fn the_last_line_of_a_file_leans_on_what_is_before() {
    let text = format!("class A {{\n{}}}\n\nmodule.exports = A\n", "  go() { return run(1, 2, 3); }\n".repeat(5));
    let parsed = parsed("a.js", &text);
    assert!(texts(&parsed).last().unwrap().lines().count() > 1, "{:#?}", texts(&parsed));
}

#[test]
fn a_heading_and_a_fence_stay_with_a_code_block_that_has_to_be_cut() {
    let code = "let value = compute(first, second);\n".repeat(20);
    let parsed = parsed("a.md", &format!("# T\n\n{}\n\n## Use\n\n```rust\n{code}```\n\nend\n", words(30)));
    let own = texts(&parsed);
    assert!(own.iter().any(|own| own.starts_with("## Use\n\n```rust\nlet value")), "{own:#?}");
    assert!(own.iter().any(|own| own.contains(";\n```")), "{own:#?}");
}

#[test]
fn a_long_doc_comment_is_cut_at_its_paragraphs_and_its_end_stays_with_the_item() {
    let paragraph = "/// one two three four five six seven eight nine ten\n".repeat(3);
    let text = format!(
        "{paragraph}///\n/// # Part\n///\n{paragraph}///\n{paragraph}fn documented() {{}}\n\nfn other() {{}}\n"
    );
    let parsed = parsed("a.rs", &text);
    let own = texts(&parsed);
    assert!(own.iter().any(|own| own.starts_with("/// # Part")), "{own:#?}");
    let last = parsed.pieces.iter().find(|piece| piece.symbols.contains(&"documented".to_owned())).unwrap();
    assert!(last.lines.last - last.lines.first >= 3, "{own:#?}");
    assert!(
        crumbs(&parsed)[..parsed.pieces.len() - 1].iter().all(|crumb| *crumb == "fn documented"),
        "{:?}",
        crumbs(&parsed)
    );
}

#[test]
fn small_neighbours_share_a_chunk_and_large_ones_do_not() {
    let small = (0..3).map(|at| format!("def small{at}():\n    return {at}\n\n")).collect::<String>();
    let large = format!("def large():\n{}", "    step(one, two)\n".repeat(8));
    let parsed = parsed("a.py", &format!("{small}{large}\n\n{}", large.replace("large", "larger")));
    let symbols: Vec<_> = parsed.pieces.iter().map(|piece| piece.symbols.join(",")).collect();
    assert_eq!(symbols, ["small0,small1,small2", "large", "larger"]);
}

#[test]
fn sections_of_markdown_are_not_glued_unless_tiny() {
    let text = format!(
        "# Guide\n\nIntro.\n\n## Install\n\n{}\n\n### Linux\n\n{}\n\n## Use\n\n{}\n",
        words(20),
        words(20),
        words(20)
    );
    let parsed = parsed("README.md", &text);
    assert_eq!(parsed.title.as_deref(), Some("Guide"));
    assert_eq!(crumbs(&parsed), ["Guide", "Guide > Use"], "{:#?}", texts(&parsed));
    assert_eq!(parsed.pieces[0].outline, "Guide\nInstall\nLinux");
    let tiny: String = (0..4).map(|at| format!("## S{at}\n\nok\n\n")).collect();
    let parsed = parsed_in("README.md", &tiny, SIZES, &Words);
    assert!(parsed.pieces.len() < 4, "{:#?}", texts(&parsed));
}

#[test]
fn code_in_markdown_is_not_a_heading_and_stays_whole_if_it_fits() {
    let text = format!("# T\n\n{}\n\n```sh\n# not a heading\nrun it\n```\n\n{}\n", words(30), words(30));
    let parsed = parsed("a.md", &text);
    assert!(
        texts(&parsed).iter().any(|own| own.contains("```sh\n# not a heading\nrun it\n```")),
        "{:#?}",
        texts(&parsed)
    );
    assert!(crumbs(&parsed).iter().all(|crumb| *crumb == "T"), "{:?}", crumbs(&parsed));
}

#[test]
fn front_matter_setext_rst_asciidoc_and_org_have_titles_and_sections() {
    for (path, text, title, crumb) in [
        ("a.md", "---\ntitle: \"From front\"\n---\n\n# H\n\ntext\n", "From front", ""),
        ("a.md", "Setext *title*\n===\n\ntext\n\nSub\n---\n\nmore\n", "Setext title", "Setext title"),
        ("a.rst", "=====\nTitle\n=====\n\nintro\n\nPart\n----\n\nbody\n", "Title", "Title"),
        ("a.rst", "Title\n=====\n\nintro :ref:`x`\n\nPart\n----\n\nbody\n", "Title", "Title"),
        ("a.adoc", "= Title\n\nintro\n\n== Part\n\nbody\n", "Title", "Title"),
        ("a.org", "* Title\n\nintro\n\n** Part\n\nbody\n", "Title", "Title"),
    ] {
        let parsed = parsed(path, text);
        assert_eq!(parsed.title.as_deref(), Some(title), "{text}");
        assert_eq!(parsed.pieces[0].breadcrumb, crumb, "{text}");
    }
}

#[test]
fn html_becomes_markdown_without_scripts_and_navigation() {
    let text = "<html><head><title>t</title><style>p{}</style><script>var x;</script></head><body><nav>menu</nav>\
                <h1>Title</h1><p>Hello <a href=\"http://x/y\">world</a></p><h2>Part</h2><ul><li>one</li></ul></body></html>";
    let parsed = parsed("a.html", text);
    assert_eq!(parsed.title.as_deref(), Some("Title"));
    assert!(parsed.text.contains("Hello world"), "{}", parsed.text);
    for gone in ["menu", "var x", "p{}", "http://x", "<p>"] {
        assert!(!parsed.text.contains(gone), "{gone} in {}", parsed.text);
    }
}

#[test]
fn code_without_a_grammar_is_cut_at_its_outermost_lines() {
    let class = |name: &str| format!("class {name} {{\n{}}}\n\n", "    fun go(a: Int) = a + 1\n".repeat(3));
    let parsed = parsed("a.kt", &format!("{}{}{}", class("A"), class("B"), class("C")));
    assert!(texts(&parsed).iter().all(|own| own.starts_with("class ") && own.ends_with('}')), "{:#?}", texts(&parsed));
}

#[test]
fn a_header_keeps_what_is_most_specific() {
    let of = |tokens_max| header("a/b/c/file.rs", Some("The Title"), "impl Server > fn run", tokens_max, &Words);
    assert_eq!(of(100), "a/b/c/file.rs\nThe Title\nimpl Server > fn run");
    assert_eq!(of(13), "c/file.rs\nThe Title\nimpl Server > fn run");
    assert_eq!(of(8), "file.rs\nimpl Server > fn run");
    assert_eq!(of(5), "file.rs\nfn run");
    assert_eq!(of(2), "fn run");
    assert_eq!(of(1), "fn");
    assert_eq!(of(0), "");
    assert_eq!(header("README.md", Some("Guide"), "Guide > Install", 100, &Words), "README.md\nGuide > Install");
}
