//! What a crawl needs of a page: its links, the address that it wants to be known by, and what it asks of robots.
//!
//! Only tags are read, by the tokenizer of html5ever; scripts are never run, and text is for parsing to find.

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};
use serde::{Deserialize, Serialize};
use url::Url;

use super::address::normal;

/// Links taken from one page; a page of more is a list of everything.
const LINKS_MAX: usize = 5_000;

/// See the module's documentation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Page {
    /// Addresses that it leads to, in order, each once.
    pub links: Vec<String>,
    /// The address that it says it should be known by.
    pub canonical: Option<String>,
    /// It asks not to be kept.
    pub no_index: bool,
    /// It asks that its links are not followed.
    pub no_follow: bool,
}

impl Page {
    /// Reads a page that came from `url`; `robots` is what the answer's `X-Robots-Tag` says.
    pub fn read(url: &Url, html: &str, robots: &str) -> Self {
        let sink = Tags { base: RefCell::new(url.clone()), page: RefCell::default() };
        let tokenizer = Tokenizer::new(sink, TokenizerOpts::default());
        let input = BufferQueue::default();
        input.push_back(StrTendril::from_slice(html));
        // A script ends a step of the tokenizer, whose input goes on behind it.
        while !input.is_empty() {
            let _ = tokenizer.feed(&input);
        }
        tokenizer.end();
        let mut page = tokenizer.sink.page.into_inner();
        page.heed(robots);
        if page.no_follow {
            page.links.clear();
        }
        page
    }

    /// What a robots directive asks for.
    fn heed(&mut self, content: &str) {
        for word in content.split([',', ' ', ':']).map(|word| word.trim().to_ascii_lowercase()) {
            self.no_index |= matches!(word.as_str(), "noindex" | "none");
            self.no_follow |= matches!(word.as_str(), "nofollow" | "none");
        }
    }
}

struct Tags {
    base: RefCell<Url>,
    page: RefCell<Page>,
}

impl TokenSink for Tags {
    type Handle = ();

    fn process_token(&self, token: Token, _: u64) -> TokenSinkResult<()> {
        if let Token::TagToken(tag) = token
            && tag.kind == TagKind::StartTag
        {
            self.tag(&tag);
            return match &*tag.name {
                "script" => TokenSinkResult::RawData(html5ever::tokenizer::states::RawKind::ScriptData),
                "style" | "noframes" | "iframe" | "xmp" => {
                    TokenSinkResult::RawData(html5ever::tokenizer::states::RawKind::Rawtext)
                }
                "title" | "textarea" => TokenSinkResult::RawData(html5ever::tokenizer::states::RawKind::Rcdata),
                _ => TokenSinkResult::Continue,
            };
        }
        TokenSinkResult::Continue
    }
}

impl Tags {
    fn tag(&self, tag: &Tag) {
        let value = |name: &str| {
            tag.attrs
                .iter()
                .find(|attribute| &*attribute.name.local == name)
                .map(|attribute| attribute.value.to_string())
        };
        let is = |value: Option<String>, word: &str| {
            value.is_some_and(|value| value.split_ascii_whitespace().any(|part| part.eq_ignore_ascii_case(word)))
        };
        let to = |name: &str| value(name).and_then(|href| self.base.borrow().join(href.trim()).ok());
        let mut page = self.page.borrow_mut();
        match &*tag.name {
            "base" => {
                if let Some(base) = to("href") {
                    *self.base.borrow_mut() = base;
                }
            }
            "meta"
                if value("name")
                    .is_some_and(|name| matches!(name.to_ascii_lowercase().as_str(), "robots" | "hivemem")) =>
            {
                page.heed(&value("content").unwrap_or_default());
            }
            "link" if is(value("rel"), "canonical") => page.canonical = to("href").map(|url| normal(url).into()),
            "link" if !is(value("rel"), "next") => {}
            "a" | "area" | "link" => {
                let Some(url) = to("href").filter(|url| matches!(url.scheme(), "http" | "https")) else { return };
                let link: String = normal(url).into();
                if !is(value("rel"), "nofollow") && page.links.len() < LINKS_MAX && !page.links.contains(&link) {
                    page.links.push(link);
                }
            }
            "iframe" | "frame" => {
                if let Some(url) = to("src").filter(|url| matches!(url.scheme(), "http" | "https")) {
                    page.links.push(normal(url).into());
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(html: &str, robots: &str) -> Page {
        Page::read(&Url::parse("https://h/docs/a.html").unwrap(), html, robots)
    }

    #[test]
    fn links_are_those_of_tags_in_their_base() {
        let page = read(
            "<link rel=canonical href='/docs/a'><a href='b.html#x'>b</a><a href=b.html>again</a>\
             <a rel='noopener nofollow' href=c>c</a><a href='mailto:x@y'>m</a><a href='javascript:alert(1)'>j</a>\
             <script>document.write('<a href=/from-script>')</script><!-- <a href=/comment> -->\
             <base href='/other/'><a href='d?b=2&amp;a=1'>d</a><title><a href=/title></title><area href=//else.where/e>",
            "",
        );
        let links = ["https://h/docs/b.html", "https://h/other/d?a=1&b=2", "https://else.where/e"];
        assert_eq!(page.links, links);
        assert_eq!(page.canonical.as_deref(), Some("https://h/docs/a"));
        assert!(!page.no_index && !page.no_follow);
    }

    #[test]
    fn what_a_page_asks_of_robots_is_heeded() {
        let page = read("<meta name=Robots content='noindex, NOFOLLOW'><a href=b>b</a>", "");
        assert!(page.no_index && page.no_follow && page.links.is_empty());
        assert!(read("<a href=b>", "none").no_index && read("", "hivemem: noindex").no_index);
        assert!(!read("<meta name=description content=noindex>", "").no_index);
    }

    #[test]
    fn half_a_page_gives_what_it_has() {
        assert_eq!(read("<a href=b>b</a><a href='c", "").links, ["https://h/docs/b"]);
        assert!(read("", "").links.is_empty());
    }
}
