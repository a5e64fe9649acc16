//! Web pages: the part that somebody wrote for readers, without menus and banners, as Markdown; and where the page links to.
//!
//! For pages that were fetched. HTML files in a repository are read whole ([`super::super::text`]): they are documents, and
//! what a rule about menus drops of them can't be found again.

use dom_smoothie::{Config, Readability};
use url::Url;

use super::{Extracted, clipped};
use crate::base::limits::{PAGE_ELEMENTS_MAX, PAGE_LINKS_MAX, URI_BYTES_MAX};
use crate::engine::parse::text;

/// Longest title.
const TITLE_BYTES_MAX: usize = 300;

/// What is left is trusted to be the main part if it is at least this share of all the text in the elements that are
/// marked as such, or in the body.
const MAIN_SHARE_PERCENT: usize = 25;

/// Marks beside a heading that link to it; they are no part of its text.
const ANCHORS: &str = "a.headerlink, a.anchor, a.anchor-link, a.heading-anchor, a.hash-link, a[aria-hidden=true]";

/// A fetched page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Its title, without the name of the site where that can be told.
    pub title: Option<String>,
    /// The address that it gives itself, absolute and without a fragment.
    pub canonical: Option<String>,
    /// Its main part: a document of kind Markdown.
    pub markdown: String,
    /// Where it links to: absolute addresses of http and https without fragments, each once, in order. Links that ask not
    /// to be followed are left out.
    pub links: Vec<String>,
    /// It asks not to be indexed (`robots` of its own).
    pub no_index: bool,
}

/// The main part of the page that was fetched from `url`, as the text of a document.
pub fn read(html: &str, url: &str) -> Extracted {
    let page = page(html, url);
    Extracted { title: page.title, ..Extracted::markdown(page.markdown) }
}

/// Reads the page that was fetched from `url`. Scripts are dropped, not run. A page that nothing can be made of has no
/// Markdown.
pub fn page(html: &str, url: &str) -> Page {
    let address = Url::parse(url).ok();
    if text::is_too_deep(html) {
        return Page { markdown: text::html_to_linked_markdown(html), ..Page::default() };
    }
    let config = Config {
        keep_classes: true,
        disable_json_ld: true,
        max_elements_to_parse: PAGE_ELEMENTS_MAX,
        ..Config::default()
    };
    let given = address.as_ref().map(Url::as_str);
    let Ok(mut reader) = Readability::new(html, given, Some(config)) else {
        return Page { markdown: text::html_to_linked_markdown(html), ..Page::default() };
    };
    let robots = robots(&reader);
    let base = base(&reader, address);
    let mut page = Page {
        canonical: canonical(&reader, base.as_ref()),
        links: if robots.contains("nofollow") { Vec::new() } else { links(&reader, base.as_ref()) },
        no_index: robots.contains("noindex"),
        ..Page::default()
    };
    reader.doc.select(ANCHORS).remove();
    let whole = whole(&reader);
    let heading = heading(&reader);
    let whole_title = reader.doc.select_single("title").text().to_string();
    let article = reader.parse().ok();
    let title = article.as_ref().map(|article| article.title.to_string()).filter(|title| !title.trim().is_empty());
    page.title = Some(clipped(&title.unwrap_or(whole_title), TITLE_BYTES_MAX)).filter(|title| !title.is_empty());
    page.title = page.title.map(|title| if named_by(&title, &heading) { heading } else { title });
    let main = article.map(|article| text::html_to_linked_markdown(&article.content)).unwrap_or_default();
    let enough = words(&main) * 100 >= words(&whole) * MAIN_SHARE_PERCENT;
    let body = if enough && !main.trim().is_empty() { main } else { whole };
    page.markdown = with_title(body.trim(), page.title.as_deref());
    page
}

/// All that the page has to read: its `main` or `article`, if it has one, else its body.
fn whole(reader: &Readability) -> String {
    let marked = ["main", "[role=main]", "article"].map(|name| reader.doc.select_single(name));
    let html = match marked.into_iter().find(|found| found.exists() && !found.text().trim().is_empty()) {
        Some(found) => found.inner_html(),
        None => reader.doc.select_single("body").inner_html(),
    };
    text::html_to_linked_markdown(&html)
}

/// The heading of the main part, or the only one of the page.
fn heading(reader: &Readability) -> String {
    let marked = reader.doc.select("article h1, main h1, [role=main] h1");
    let all = if marked.exists() { marked } else { reader.doc.select("h1") };
    if all.length() == 1 { clipped(&all.text(), TITLE_BYTES_MAX) } else { String::new() }
}

/// Whether a title is a heading with the name of the site behind it.
fn named_by(title: &str, heading: &str) -> bool {
    let rest = title.strip_prefix(heading).filter(|_| !heading.is_empty()).map(str::trim_start);
    rest.is_some_and(|rest| rest.starts_with(['|', '-', '–', '—', '·', '•', ':', '»', '/']))
}

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

/// A page says its title once: as its first heading.
fn with_title(markdown: &str, title: Option<&str>) -> String {
    let (first, rest) = markdown.split_once('\n').unwrap_or((markdown, ""));
    match title {
        // What finds the main part makes second headings of first ones.
        Some(title) if first.starts_with('#') && first.trim_start_matches('#').trim() == title => {
            format!("# {title}\n{rest}\n")
        }
        Some(title) if !first.starts_with("# ") && !markdown.is_empty() => format!("# {title}\n\n{markdown}\n"),
        _ => format!("{markdown}\n"),
    }
}

fn robots(reader: &Readability) -> String {
    let found = reader.doc.select("meta[name=robots], meta[name=ROBOTS]");
    found.iter().filter_map(|meta| meta.attr("content")).map(|content| content.to_ascii_lowercase()).collect()
}

/// What relative addresses are relative to.
fn base(reader: &Readability, address: Option<Url>) -> Option<Url> {
    let given = reader.doc.select_single("base[href]").attr("href");
    match (address, given) {
        (Some(address), Some(given)) => Some(address.join(&given).unwrap_or(address)),
        (address, _) => address,
    }
}

fn canonical(reader: &Readability, base: Option<&Url>) -> Option<String> {
    let found = reader.doc.select_single("link[rel=canonical][href]").attr("href");
    absolute(&found?, base)
}

fn links(reader: &Readability, base: Option<&Url>) -> Vec<String> {
    let mut seen = rustc_hash::FxHashSet::default();
    let followed = reader.doc.select("a[href], area[href]");
    followed
        .iter()
        .filter(|link| !link.attr("rel").is_some_and(|rel| rel.split_ascii_whitespace().any(|word| word == "nofollow")))
        .filter_map(|link| absolute(&link.attr("href")?, base))
        .filter(|link| seen.insert(link.clone()))
        .take(PAGE_LINKS_MAX)
        .collect()
}

/// An address of the web, without its fragment.
fn absolute(href: &str, base: Option<&Url>) -> Option<String> {
    let href = href.trim();
    let mut url = match base {
        Some(base) => base.join(href).ok()?,
        None => Url::parse(href).ok()?,
    };
    url.set_fragment(None);
    let usable = matches!(url.scheme(), "http" | "https") && url.as_str().len() <= URI_BYTES_MAX;
    usable.then(|| url.to_string())
}
