//! Fetching one page: conditionally if it was fetched before, with redirects inside of what is asked for, as UTF-8.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use reqwest::header::{AUTHORIZATION, HeaderMap, IF_MODIFIED_SINCE, IF_NONE_MATCH};
use url::Url;

use super::super::credentials::Credentials;
use super::super::fetch::{Fetcher, Got, Wanted};
use super::address::normal;
use super::page::Page;
use super::shelf::{Entry, Shelf};
use crate::base::ContentHash;
use crate::base::error::{Error, Kind, Result};
use crate::base::limits::WEB_BYTES_MAX;

/// Types that are read beside `text/…`, `…+xml` and `…+json`.
const READABLE: &[&str] = &[
    "application/json",
    "application/xml",
    "application/pdf",
    "application/epub+zip",
    "application/x-ipynb+json",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/toml",
    "application/yaml",
    "application/x-yaml",
];

/// What became of a page.
#[derive(Debug)]
pub(super) enum Visit {
    /// It is there.
    Page(Box<Entry>),
    /// It is not there.
    Gone,
    /// It leads out of what is asked for.
    Elsewhere(Url),
    /// Nothing in it can be read.
    NoText,
}

/// Fetches pages.
#[derive(Debug, Clone)]
pub(super) struct Visitor {
    pub fetcher: Fetcher,
    pub credentials: Credentials,
    pub shelf: Shelf,
    /// The credential that was asked for by name.
    pub named: Option<String>,
}

impl Visitor {
    /// Fetches `url`, or finds that it is what it was. Redirects are followed to what `within` accepts.
    ///
    /// # Errors
    /// Denied for a host that may not be spoken to; Limit for a page that is too large; Unavailable for a server that does
    /// not answer, or answers with an error.
    pub async fn visit(&self, url: &Url, within: &(dyn Fn(&Url) -> bool + Sync)) -> Result<Visit> {
        let known = self.shelf.get(url.as_str()).map(|(entry, _)| entry);
        let mut wanted = Wanted { follow: within, read: &is_readable, ..Wanted::new(url.clone(), WEB_BYTES_MAX) };
        if let Some(known) = &known {
            let condition = [(IF_NONE_MATCH, &known.etag), (IF_MODIFIED_SINCE, &known.last_modified)];
            let condition = condition.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
            wanted.headers.extend(condition);
        }
        if let Some(login) = self.login(url) {
            wanted = wanted.with(AUTHORIZATION, login);
        }
        let got = self.fetcher.get(&wanted).await?;
        match (got.status, known) {
            (304, Some(known)) => Ok(Visit::Page(Box::new(known))),
            (200..300, _) if !is_readable(&got.headers) => Ok(Visit::NoText),
            (200..300, _) => Ok(Visit::Page(Box::new(self.keep(url, got)))),
            (404 | 410, _) => Ok(Visit::Gone),
            (300..400, _) => match got.header("location").and_then(|to| got.url.join(to).ok()) {
                Some(next) => Ok(Visit::Elsewhere(next)),
                None => Err(refusal(&got)),
            },
            _ => Err(refusal(&got)),
        }
    }

    /// What says who asks, for a page that a credential serves. A crawl may lead to others of the site, which are asked for
    /// as anybody does.
    fn login(&self, url: &Url) -> Option<String> {
        let credential = match &self.named {
            Some(name) => self.credentials.named("http", name, url.as_str()).ok()?,
            None => self.credentials.of_uri("http", url.as_str())?,
        };
        let signed = credential.sign(self.fetcher.client().get(url.clone())).build().ok()?;
        signed.headers().get(AUTHORIZATION)?.to_str().ok().map(str::to_owned)
    }

    fn keep(&self, url: &Url, got: Got) -> Entry {
        let (media_type, charset) = media_type(&got);
        let is_html = matches!(media_type.as_str(), "text/html" | "application/xhtml+xml");
        let robots = got.header("x-robots-tag").unwrap_or_default().to_owned();
        let (etag, last_modified) =
            (got.header("etag").map(str::to_owned), got.header("last-modified").map(str::to_owned));
        let is_text = media_type.starts_with("text/") || is_html;
        let body = if is_text { utf8(got.body, charset.as_deref(), is_html) } else { got.body };
        let page = if is_html {
            Page::read(&got.url, &String::from_utf8_lossy(&body), &robots)
        } else {
            Page::read(&got.url, "", &robots)
        };
        let (hash, bytes) = (ContentHash::of(&body).to_string(), body.len() as u64);
        let entry = Entry { url: normal(got.url).into(), etag, last_modified, media_type, hash, bytes, page };
        self.shelf.put(url.as_str(), &entry, &body);
        entry
    }
}

/// The type of an answer without its parameters, and its charset.
fn media_type(got: &Got) -> (String, Option<String>) {
    split_type(got.header("content-type").unwrap_or_default())
}

fn split_type(text: &str) -> (String, Option<String>) {
    let mut parts = text.split(';');
    let media_type = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    let charset = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"').to_owned())
    });
    (media_type, charset)
}

/// Whether an answer of these headers is worth its body. What does not say what it is may be anything, and is looked at.
fn is_readable(headers: &HeaderMap) -> bool {
    let text = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (media_type, _) = split_type(text);
    let no_text = matches!(media_type.as_str(), "text/css" | "text/javascript");
    media_type.is_empty()
        || (media_type.starts_with("text/") && !no_text)
        || media_type.ends_with("+xml") && media_type != "image/svg+xml"
        || media_type.ends_with("+json")
        || READABLE.contains(&media_type.as_str())
}

/// A text as UTF-8: from the charset that the server says, else the one that it says itself, else as browsers guess.
fn utf8(body: Vec<u8>, charset: Option<&str>, is_html: bool) -> Vec<u8> {
    let label = |text: &str| Encoding::for_label(text.as_bytes());
    let said = charset.and_then(label).or_else(|| Encoding::for_bom(&body).map(|(encoding, _)| encoding));
    let encoding = match said {
        Some(encoding) => encoding,
        None if std::str::from_utf8(&body).is_ok() => UTF_8,
        None => Some(&body).filter(|_| is_html).and_then(|body| label(&meta_charset(body)?)).unwrap_or(WINDOWS_1252),
    };
    if encoding == UTF_8 { body } else { encoding.decode(&body).0.into_owned().into_bytes() }
}

/// What `<meta charset=…>` says, which has to stand in the first kilobyte.
fn meta_charset(body: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(&body[..body.len().min(1_024)]).to_ascii_lowercase();
    let (_, rest) = head.split_once("charset=")?;
    let name: String = rest
        .trim_start_matches(['"', '\'', ' '])
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        .collect();
    Some(name).filter(|name| !name.is_empty())
}

fn refusal(got: &Got) -> Error {
    let (url, status) = (&got.url, got.status);
    match status {
        401 | 403 | 407 => Error::new(
            Kind::Denied,
            format!("{url} is not shown to this server (HTTP {status}): add a credential of kind http if there is one"),
        ),
        429 | 503 => Error::new(Kind::Unavailable, format!("{url} puts readers off (HTTP {status}): try again later")),
        _ => Error::new(Kind::Unavailable, format!("{url} can't be read: the server says HTTP {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_utf_8() {
        let text = |body: &[u8], charset: Option<&str>| String::from_utf8(utf8(body.to_vec(), charset, true)).unwrap();
        assert_eq!(text(b"caf\xe9", Some("ISO-8859-1")), "café");
        assert_eq!(text(b"<meta charset=\"windows-1251\">\xcf\xf0", None), "<meta charset=\"windows-1251\">Пр");
        assert_eq!(text(b"caf\xe9", None), "café", "as browsers guess");
        assert_eq!(text("größer".as_bytes(), None), "größer");
        assert_eq!(text(b"\xff\xfea\0", None), "a");
        assert_eq!(text(b"x", Some("no-such-charset")), "x");
    }

    #[test]
    fn what_has_no_text_is_not_fetched() {
        let readable = |media_type: &str| {
            is_readable(&HeaderMap::from_iter([("content-type".parse().unwrap(), media_type.parse().unwrap())]))
        };
        for media_type in ["text/html; charset=x", "TEXT/Markdown", "application/atom+xml", "application/pdf"] {
            assert!(readable(media_type), "{media_type}");
        }
        for media_type in ["image/png", "text/css", "application/zip", "image/svg+xml", "video/mp4"] {
            assert!(!readable(media_type), "{media_type}");
        }
        assert!(is_readable(&HeaderMap::new()));
        assert_eq!(split_type("text/html; Charset=\"utf-8\""), ("text/html".to_owned(), Some("utf-8".to_owned())));
    }
}
