//! Makes text of HTML.

use std::cell::RefCell;

use htmd::element_handler::{HandlerResult, Handlers};
use htmd::{Element, HtmlToMarkdown};

/// Tags nested deeper than this are not given to the converter, which recurses: it would end the thread's stack.
const HTML_DEPTH_MAX: usize = 256;

thread_local! {
    static CONVERTER: RefCell<Option<HtmlToMarkdown>> = const { RefCell::new(None) };
    static LINKING_CONVERTER: RefCell<Option<HtmlToMarkdown>> = const { RefCell::new(None) };
}

/// HTML as Markdown: without scripts, styles and navigation, and with links reduced to their texts, because addresses
/// cost tokens and say little.
pub fn html_to_markdown(html: &str) -> String {
    convert(html, |html| CONVERTER.with_borrow_mut(|slot| slot.get_or_insert_with(|| converter(false)).convert(html)))
}

/// The same with the addresses of links kept.
pub fn html_to_linked_markdown(html: &str) -> String {
    let markdown = convert(html, |html| {
        LINKING_CONVERTER.with_borrow_mut(|slot| slot.get_or_insert_with(|| converter(true)).convert(html))
    });
    with_plain_names(&markdown)
}

/// Markdown whose names are spelt as people search for them: `read_file` for `read\_file`. Within a word an underscore
/// means nothing, so that the escape can go; code keeps its backslashes.
pub fn with_plain_names(markdown: &str) -> String {
    let mut out = String::with_capacity(markdown.len());
    let (mut in_code, mut ticks) = (false, 0);
    for (at, c) in markdown.char_indices() {
        let escaped = markdown[..at].ends_with('\\');
        if c == '`' && !escaped {
            // Runs of any length open and close; whatever is between two of them is code.
            ticks += 1;
        } else if ticks > 0 {
            (in_code, ticks) = (!in_code, 0);
        }
        let before = out.chars().next_back().is_some_and(char::is_alphanumeric);
        let rest = &markdown[at + c.len_utf8()..];
        let after = rest.strip_prefix('_').and_then(|rest| rest.chars().next()).is_some_and(char::is_alphanumeric);
        if c == '\\' && !in_code && before && after {
            continue;
        }
        out.push(c);
    }
    out
}

fn convert(html: &str, converter: impl FnOnce(&str) -> std::io::Result<String>) -> String {
    if is_too_deep(html) {
        return without_tags(html);
    }
    match converter(html) {
        Ok(markdown) if !markdown.trim().is_empty() => markdown,
        _ => without_tags(html),
    }
}

/// Whether tags nest deeper than what recurses through them may be given.
pub fn is_too_deep(html: &str) -> bool {
    depth_of(html) > HTML_DEPTH_MAX
}

fn converter(links: bool) -> HtmlToMarkdown {
    let inner = |handlers: &dyn Handlers, element: Element<'_>| -> Option<HandlerResult> {
        Some(handlers.walk_children(element.node))
    };
    let dropped = [
        "script",
        "style",
        "nav",
        "noscript",
        "svg",
        "iframe",
        "template",
        "img",
        "button",
        "form",
        "footer",
        "title",
        "rustdoc-toolbar",
        "rustdoc-topbar",
    ];
    let builder = HtmlToMarkdown::builder().skip_tags(dropped.to_vec());
    if links { builder.build() } else { builder.add_handler(vec!["a"], inner).build() }
}

/// How deep tags nest at most, roughly: end tags that may be left out are not counted.
fn depth_of(html: &str) -> usize {
    const FLAT: &[&str] = &[
        "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr", "p",
        "li", "td", "tr", "th", "dt", "dd", "option", "thead", "tbody", "tfoot", "colgroup", "body", "html", "head",
    ];
    let (mut depth, mut deepest) = (0_usize, 0_usize);
    let bytes = html.as_bytes();
    for (at, _) in html.match_indices('<') {
        let closing = bytes.get(at + 1) == Some(&b'/');
        let rest = &bytes[(at + 1 + usize::from(closing)).min(bytes.len())..];
        let length = rest.iter().take(32).take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'-').count();
        let name = &rest[..length];
        if name.is_empty() || FLAT.iter().any(|flat| name.eq_ignore_ascii_case(flat.as_bytes())) {
            continue;
        }
        depth = if closing { depth.saturating_sub(1) } else { depth + 1 };
        deepest = deepest.max(depth);
    }
    deepest
}

/// The text between the tags, for HTML that is too broken to convert.
fn without_tags(html: &str) -> String {
    let mut out = String::with_capacity(html.len() / 2);
    let mut rest = html;
    while let Some(open) = rest.find('<') {
        out.push_str(&rest[..open]);
        out.push(' ');
        rest = rest[open..].find('>').map_or("", |close| &rest[open + close + 1..]);
    }
    out.push_str(rest);
    out
}
