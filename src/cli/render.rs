//! Turning replies into text and JSON. Pure: nothing here reads or writes anything.

use std::fmt::Write as _;
use std::ops::Range;
use std::time::SystemTime;

use hivemem_client::proto::{ChannelScore, Completeness, Hit, Timestamp};
use serde_json::{Value, json};

/// Lines of a snippet.
const SNIPPET_LINES: usize = 4;

/// Indent of a snippet.
const INDENT: &str = "    ";

/// Text that a terminal shows as it is: tabs become spaces, control characters (which could steer the terminal) dots.
pub(super) fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '\t' => out.push_str("    "),
            c if c.is_control() => out.push('·'),
            c => out.push(c),
        }
        out
    })
}

/// One line, cut to `columns` terminal columns.
pub(super) fn cut(line: &str, columns: usize) -> String {
    console::truncate_str(&printable(line), columns.max(1), "…").into_owned()
}

/// `1234567` as `1,234,567`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Bytes in binary units.
pub(super) fn bytes(number: u64) -> String {
    indicatif::BinaryBytes(number).to_string()
}

/// `1 file`, `2 files`.
pub(super) fn plural(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// A time as RFC 3339, null where there is none.
pub(super) fn time_json(at: &Option<Timestamp>) -> Value {
    let at = at.and_then(|at| SystemTime::try_from(at).ok());
    json!(at.map(|at| humantime::format_rfc3339_seconds(at).to_string()))
}

/// A 32-bit float as JSON without the digits that only the widening makes.
pub(super) fn float(value: f32) -> Value {
    json!((f64::from(value) * 1e6).round() / 1e6)
}

/// The few lines of a chunk that say most about the query: the window with most of its words, the first one at a tie.
/// What all of them are indented by is taken off.
pub(super) fn snippet(text: &str, query: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let shown = &lines[best_window(&lines, query)];
    let indent = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let common = shown.iter().map(|line| indent(line)).min().unwrap_or(0);
    shown.iter().map(|line| line[common..].to_owned()).collect()
}

fn best_window(lines: &[&str], query: &str) -> Range<usize> {
    if lines.len() <= SNIPPET_LINES {
        return 0..lines.len();
    }
    let query = query.to_lowercase();
    let words: Vec<&str> =
        query.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| word.len() > 2).collect();
    let lowered: Vec<String> = lines.iter().map(|line| line.to_lowercase()).collect();
    let found = |start: usize| {
        let window = &lowered[start..start + SNIPPET_LINES];
        words.iter().filter(|word| window.iter().any(|line| line.contains(**word))).count()
    };
    let starts = 0..=lines.len() - SNIPPET_LINES;
    // Of equal ones `max_by_key` takes the last, so it goes backwards.
    let best = starts.rev().max_by_key(|start| found(*start)).unwrap_or(0);
    best..best + SNIPPET_LINES
}

/// A hit's place: its path within its source and lines; its URI where it has no path or another of `hits` has the same one.
fn place(hit: &Hit, hits: &[Hit]) -> String {
    let shared = || hits.iter().any(|other| other.path == hit.path && other.uri != hit.uri);
    let path = if hit.path.is_empty() || shared() { &hit.uri } else { &hit.path };
    match &hit.location {
        Some(location) => format!("{path}:{}-{}", location.line_first, location.line_last),
        None => path.clone(),
    }
}

/// `dense#2`: the channel and its rank there; a server that doesn't say the rank leaves it 0.
fn channel_text(channel: &ChannelScore) -> String {
    if channel.rank == 0 { channel.channel.clone() } else { format!("{}#{}", channel.channel, channel.rank) }
}

/// All hits for a terminal of that many columns.
pub(super) fn hits(hits: &[Hit], query: &str, explain: bool, columns: usize) -> String {
    let mut out = String::new();
    for hit in hits {
        let channels: Vec<String> = hit.channels.iter().map(channel_text).collect();
        let mut line = format!("{}  {:.4}  {}", place(hit, hits), hit.score, channels.join(" "));
        let name = if hit.breadcrumb.is_empty() { hit.symbols.join(", ") } else { hit.breadcrumb.clone() };
        if !name.is_empty() {
            let _ = write!(line, "  [{name}]");
        }
        if hit.freshness == "stale" {
            line.push_str("  (source has changed since)");
        }
        let _ = writeln!(out, "{}", cut(&line, columns));
        if explain {
            let parts: Vec<String> = hit.parts.iter().map(|part| format!("{} {:+.4}", part.name, part.value)).collect();
            let _ = writeln!(out, "{INDENT}= {}", parts.join("  "));
            for channel in &hit.channels {
                let _ = writeln!(out, "{INDENT}  {} scored {:.4}", channel_text(channel), channel.score);
            }
        }
        for line in snippet(&hit.text, query) {
            let _ = writeln!(out, "{INDENT}{}", cut(&line, columns.saturating_sub(INDENT.len())));
        }
        out.push('\n');
    }
    out
}

/// The number of a page; null for what has none.
pub(super) fn page(number: u32) -> Value {
    json!((number > 0).then_some(number))
}

/// One hit as JSON.
pub(super) fn hit_json(hit: &Hit, query: &str, explain: bool) -> Value {
    let location = hit.location.unwrap_or_default();
    let channels: Vec<Value> = hit
        .channels
        .iter()
        .map(|channel| json!({"channel": channel.channel, "score": float(channel.score), "rank": channel.rank}))
        .collect();
    let mut value = json!({
        "uri": hit.uri,
        "path": hit.path,
        "line_first": location.line_first,
        "line_last": location.line_last,
        "page_first": page(location.page_first),
        "page_last": page(location.page_last),
        "byte_start": location.byte_start,
        "byte_end": location.byte_end,
        "score": float(hit.score),
        "channels": channels,
        "snippet": snippet(&hit.text, query).join("\n"),
        "text": hit.text,
        "citation": hit.citation,
        "title": hit.title,
        "breadcrumb": hit.breadcrumb,
        "symbols": hit.symbols,
        "language": hit.language,
        "kind": hit.kind,
        "tags": hit.tags,
        "metadata": hit.metadata,
        "freshness": hit.freshness,
        "trust": hit.trust,
        "sha256": hit.sha256,
        "indexed_at": time_json(&hit.indexed_at),
        "expires_at": time_json(&hit.expires_at),
        "repeats": hit.repeats,
        "chunk_id": hit.chunk_id,
        "document_id": hit.document_id,
    });
    if explain {
        let parts: Vec<Value> =
            hit.parts.iter().map(|part| json!({"name": part.name, "value": float(part.value)})).collect();
        value["parts"] = Value::Array(parts);
    }
    value
}

/// The two fields that say whether an answer is whole.
pub(super) fn completeness_json(completeness: Option<&Completeness>) -> (bool, Vec<Value>) {
    let Some(completeness) = completeness else { return (true, Vec::new()) };
    let missing = completeness.missing.iter().map(|part| json!({"part": part.part, "reason": part.reason})).collect();
    (completeness.complete, missing)
}

/// What to say about an answer that is not whole; `None` if it is.
pub(super) fn degraded(completeness: Option<&Completeness>) -> Option<String> {
    let completeness = completeness.filter(|completeness| !completeness.complete)?;
    let missing: Vec<String> =
        completeness.missing.iter().map(|part| format!("{} is missing ({})", part.part, part.reason)).collect();
    Some(format!(
        "warning: degraded answer: {}",
        if missing.is_empty() { "no reason given".into() } else { missing.join("; ") }
    ))
}

/// Rows under a head, the first column left-aligned, the others right-aligned.
pub(super) fn table(head: &[String], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.chain(head.get(column)).map(|cell| console::measure_text_width(cell)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut out = String::new();
    for row in std::iter::once(head).chain(rows.iter().map(Vec::as_slice)) {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let pad =
                " ".repeat(widths.get(column).copied().unwrap_or(0).saturating_sub(console::measure_text_width(cell)));
            let gap = if column == 0 { "" } else { "  " };
            let _ = if column == 0 { write!(line, "{cell}{pad}") } else { write!(line, "{gap}{pad}{cell}") };
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use hivemem_client::proto::{Location, MissingPart, ScorePart};

    fn hit() -> Hit {
        Hit {
            uri: "file:///r/src/lease.rs".into(),
            path: "src/lease.rs".into(),
            location: Some(Location { byte_start: 0, byte_end: 9, line_first: 3, line_last: 9, ..Location::default() }),
            score: 0.8,
            channels: vec![ChannelScore { channel: "dense".into(), score: 0.5, rank: 2 }],
            parts: vec![ScorePart { name: "dense".into(), value: 0.5 }, ScorePart { name: "test".into(), value: -0.1 }],
            text: "fn a() {}\nfn b() {}\n\nfn c() {}\nfn d() {}\nfn renew_lease() {}\n\tlet x\u{1b}[31m = 1;".into(),
            breadcrumb: "Lease > renew".into(),
            ..Hit::default()
        }
    }

    #[test]
    fn a_hit_shows_place_score_channels_name_and_the_lines_that_match() {
        let text = hits(&[hit()], "renew lease", false, 80);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "src/lease.rs:3-9  0.8000  dense#2  [Lease > renew]");
        assert_eq!(lines[1], "    fn b() {}");
        assert_eq!(lines[4], "    fn renew_lease() {}");
        assert_eq!(lines.len(), 6);
    }

    #[test]
    fn a_snippet_loses_its_common_indent_and_prefers_the_first_of_equal_windows() {
        assert_eq!(snippet("    a\n      b\n\n    c", "x"), ["a", "  b", "c"]);
        let text = "one\ntwo\nthree\nfour\nfive\nsix lease\nseven\neight";
        assert_eq!(snippet(text, "the lease"), ["three", "four", "five", "six lease"]);
        assert_eq!(snippet(text, "zebra")[0], "one");
        assert!(snippet("", "x").is_empty());
    }

    #[test]
    fn explain_shows_every_addend() {
        let text = hits(&[hit()], "", true, 80);
        assert!(text.contains("= dense +0.5000  test -0.1000"), "{text}");
        assert_eq!(hit_json(&hit(), "", true)["parts"].as_array().unwrap().len(), 2);
        assert!(hit_json(&hit(), "", false).get("parts").is_none());
    }

    #[test]
    fn long_lines_are_cut_and_control_characters_never_reach_the_terminal() {
        let long = Hit { text: format!("x\u{1b}[2J{}", "y".repeat(500)), ..hit() };
        let text = hits(&[long], "", false, 40);
        assert!(text.lines().all(|line| console::measure_text_width(line) <= 40), "{text}");
        assert!(!text.contains('\u{1b}'));
        assert!(text.contains('…'));
    }

    #[test]
    fn json_keeps_the_fields_scripts_rely_on() {
        let value = hit_json(&hit(), "q", false);
        assert_eq!(value["path"], "src/lease.rs");
        assert_eq!((&value["line_first"], &value["line_last"]), (&json!(3), &json!(9)));
        assert_eq!(value["score"].to_string(), "0.8");
        assert_eq!(value["channels"][0]["channel"], "dense");
    }

    #[test]
    fn only_an_answer_that_is_not_whole_is_announced() {
        let whole = Completeness { complete: true, missing: Vec::new() };
        assert_eq!(degraded(Some(&whole)), None);
        let part = MissingPart { part: "dense".into(), reason: "no model".into() };
        let degraded_answer = Completeness { complete: false, missing: vec![part] };
        assert_eq!(degraded(Some(&degraded_answer)).unwrap(), "warning: degraded answer: dense is missing (no model)");
        assert_eq!(completeness_json(Some(&degraded_answer)).1, [json!({"part": "dense", "reason": "no model"})]);
    }

    #[test]
    fn numbers_and_tables_line_up() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(plural(1, "file"), "1 file");
        let head = ["set".to_owned(), "n".to_owned()];
        let rows = [vec!["a".to_owned(), "10".to_owned()], vec!["long".to_owned(), "7".to_owned()]];
        assert_eq!(table(&head, &rows), "set    n\na     10\nlong   7\n");
    }
}
