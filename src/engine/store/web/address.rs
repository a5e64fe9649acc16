//! Addresses of pages: one way to write each, what belongs to a site, and which of them look endless.

use std::collections::HashMap;

use url::Url;

use crate::base::error::{Error, Result};

/// Longest address that is followed. Browsers and servers take 2,000 for sure; longer ones hold a program's state.
const URL_BYTES_MAX: usize = 2_000;
/// Deepest path that is followed, and how often a part of it may come again: links that are relative by mistake grow both.
const PARTS_MAX: usize = 20;
/// See [`PARTS_MAX`].
const REPEATS_MAX: usize = 3;
/// Pages of one pattern with two dates or counters, such as a calendar's days, and with a query.
const NUMBERED_MAX: u32 = 200;
/// See [`NUMBERED_MAX`].
const QUERIED_MAX: u32 = 100;

/// Parameters that say who came from where, not what is shown.
const TRACKING: &[&str] = &[
    "fbclid",
    "gclid",
    "msclkid",
    "mc_cid",
    "mc_eid",
    "phpsessid",
    "jsessionid",
    "sessionid",
    "sid",
    "session_id",
    "ref_src",
];

/// Ends of addresses of what has no text.
const NO_TEXT: &[&str] = &[
    "png", "jpg", "jpeg", "gif", "webp", "avif", "svg", "ico", "bmp", "tif", "tiff", "css", "js", "mjs", "map", "woff",
    "woff2", "ttf", "otf", "eot", "mp3", "mp4", "m4a", "ogg", "wav", "webm", "avi", "mov", "mkv", "zip", "gz", "tgz",
    "bz2", "xz", "zst", "7z", "rar", "tar", "exe", "msi", "dmg", "deb", "rpm", "apk", "iso", "bin", "jar", "whl",
    "wasm", "so", "dll",
];

/// Reads a page's address; what makes no difference to the page is taken out or put in order.
///
/// # Errors
/// Invalid for what is no web address, or holds a password.
pub(super) fn parse(address: &str) -> Result<Url> {
    let bad = |why: &str| Error::invalid("source", format!("{address:?} is no web page that can be read: {why}"));
    let url = Url::parse(address).map_err(|cause| bad("it is no URL").caused_by(cause))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(bad("it has to begin with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("it holds a user or password: name a credential of the server's configuration instead"));
    }
    Ok(normal(url))
}

/// The one way to write an address: no fragment, parameters in order and without those that only track.
pub(super) fn normal(mut url: Url) -> Url {
    url.set_fragment(None);
    if let Some((path, _)) =
        url.path().split_once(";jsessionid=").map(|(path, rest)| (path.to_owned(), rest.to_owned()))
    {
        url.set_path(&path);
    }
    if url.query().is_some() {
        let tracks = |key: &str| key.starts_with("utm_") || TRACKING.contains(&key.to_ascii_lowercase().as_str());
        let mut kept: Vec<(String, String)> =
            url.query_pairs().filter(|(key, _)| !tracks(key)).map(|(key, value)| (key.into(), value.into())).collect();
        kept.sort();
        url.set_query(None);
        if !kept.is_empty() {
            url.query_pairs_mut().extend_pairs(kept);
        }
    }
    url
}

/// What a crawl stays in: the origin of its first page, at or below that page's folder.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    start: Url,
    folder: String,
}

impl Scope {
    pub fn of(start: &Url) -> Self {
        let folder = start.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        Self { start: start.clone(), folder: format!("{folder}/") }
    }

    /// Whether an address is of the same origin.
    pub fn is_same_site(&self, url: &Url) -> bool {
        url.origin() == self.start.origin()
    }

    /// Whether a page belongs to what is crawled.
    pub fn holds(&self, url: &Url) -> bool {
        self.is_same_site(url) && (url.path().starts_with(&self.folder) || url.path() == self.start.path())
    }
}

/// Whether an address looks like one of a page: not too long or deep, not going round in circles, with text at its end.
pub(super) fn is_page(url: &Url) -> bool {
    let parts: Vec<&str> = url.path().split('/').filter(|part| !part.is_empty()).collect();
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let circles = parts.iter().any(|part| {
        let times = seen.entry(part).or_default();
        *times += 1;
        *times > REPEATS_MAX
    });
    let last = parts.last().and_then(|name| name.rsplit_once('.')).map(|(_, extension)| extension.to_ascii_lowercase());
    let no_text = last.is_some_and(|extension| NO_TEXT.contains(&extension.as_str()));
    url.as_str().len() <= URL_BYTES_MAX && parts.len() <= PARTS_MAX && !circles && !no_text
}

/// How many pages of each endless-looking pattern were met.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    met: HashMap<String, u32>,
}

impl Patterns {
    /// Counts a page; the pattern if there were too many of it already.
    pub fn count(&mut self, url: &Url) -> std::result::Result<(), String> {
        let (pattern, most) = pattern(url);
        let Some(most) = most else { return Ok(()) };
        let met = self.met.entry(pattern.clone()).or_default();
        *met += 1;
        if *met > most { Err(pattern) } else { Ok(()) }
    }
}

/// An address with its numbers taken out, and how many like it are followed; `None`: all. Numbers count where they look
/// like dates or counters: in parts of nothing else, and beside a year.
fn pattern(url: &Url) -> (String, Option<u32>) {
    let (mut pattern, mut numbers) = (String::new(), 0);
    for part in url.path().split('/').skip(1) {
        pattern.push('/');
        let runs: Vec<&str> = part.split(|c: char| !c.is_ascii_digit()).filter(|run| !run.is_empty()).collect();
        let only = !runs.is_empty() && part.chars().all(|c| c.is_ascii_digit() || "-_.,".contains(c));
        if only || (runs.len() > 1 && runs.iter().any(|run| run.len() == 4)) {
            numbers += runs.len();
        }
        let mut in_number = false;
        for c in part.chars() {
            if !c.is_ascii_digit() {
                pattern.push(c);
            } else if !in_number {
                pattern.push('N');
            }
            in_number = c.is_ascii_digit();
        }
    }
    if url.query().is_some() {
        let keys: Vec<String> = url.query_pairs().map(|(key, _)| key.into()).collect();
        return (format!("{pattern}?{}", keys.join("&")), Some(QUERIED_MAX));
    }
    (pattern, (numbers > 1).then_some(NUMBERED_MAX))
}

/// The path of a page within its site, with the end that its type has: what it is called and how it is read.
pub(super) fn path_of(url: &Url, media_type: &str) -> String {
    let mut path = url.path().trim_start_matches('/').to_owned();
    if path.is_empty() || path.ends_with('/') {
        path.push_str("index");
    }
    if let Some(query) = url.query() {
        // A parameter may hold a path of its own.
        path = format!("{path}?{}", query.replace('/', "%2F"));
    }
    let ends: &[&str] = match media_type {
        "text/html" | "application/xhtml+xml" => &["html", "htm", "xhtml"],
        "text/markdown" => &["md", "markdown"],
        "text/plain" => &["txt", "md", "rst", "log", "text"],
        "application/json" => &["json"],
        "application/pdf" => &["pdf"],
        "text/csv" => &["csv"],
        "application/xml" | "text/xml" => &["xml"],
        _ => &[],
    };
    let end = path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map(|(_, end)| end.to_ascii_lowercase());
    match (ends.first(), end) {
        (Some(_), Some(end)) if ends.contains(&end.as_str()) => path,
        // Plain text may be anything by its name: a source file, a log.
        (Some(&"txt"), Some(_)) => path,
        (Some(first), _) => format!("{path}.{first}"),
        (None, _) => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        parse(text).unwrap()
    }

    #[test]
    fn what_makes_no_difference_is_taken_out() {
        for (given, normal) in [
            ("HTTP://Host.example:80/a/../b?z=1&a=2&utm_source=x#top", "http://host.example/b?a=2&z=1"),
            ("https://h/x?fbclid=1", "https://h/x"),
            ("https://h/x;jsessionid=AB12", "https://h/x"),
            ("https://h", "https://h/"),
        ] {
            assert_eq!(url(given).as_str(), normal, "{given}");
        }
        assert!(parse("https://me:secret@h/").unwrap_err().message().contains("credential"));
        assert!(parse("ftp://h/x").is_err() && parse("h/x").is_err());
    }

    #[test]
    fn a_site_is_the_folder_of_its_first_page() {
        let scope = Scope::of(&url("https://h/docs/index.html"));
        assert!(scope.holds(&url("https://h/docs/a/b")) && scope.holds(&url("https://h/docs/index.html")));
        for outside in
            ["https://h/blog", "http://h/docs/a", "https://other/docs/a", "https://h:8443/docs/a", "https://h/docsy/"]
        {
            assert!(!scope.holds(&url(outside)), "{outside}");
        }
        assert!(Scope::of(&url("https://h/")).holds(&url("https://h/any/thing")));
    }

    #[test]
    fn what_looks_endless_is_bounded() {
        assert!(is_page(&url("https://h/a/b.html")) && !is_page(&url("https://h/a/logo.PNG")));
        assert!(!is_page(&url("https://h/x/y/x/y/x/y/x/y")), "relative links gone round in circles");
        assert!(!is_page(&url(&format!("https://h/{}", "a".repeat(3_000)))));
        let mut patterns = Patterns::default();
        let followed =
            (0..1_000).filter(|day| patterns.count(&url(&format!("https://h/cal/{}/{}", day / 30, day))).is_ok());
        assert_eq!(followed.count(), NUMBERED_MAX as usize);
        assert_eq!(patterns.count(&url("https://h/cal/99/99")).unwrap_err(), "/cal/N/N");
        assert!((0..1_000).all(|page| patterns.count(&url(&format!("https://h/post/{page}"))).is_ok()));
        assert!((0..1_000).all(|page| patterns.count(&url(&format!("https://h/part{page}-1.html"))).is_ok()));
        let dated = (0..1_000).filter(|day| patterns.count(&url(&format!("https://h/on-2026-{day}"))).is_ok());
        assert_eq!(dated.count(), NUMBERED_MAX as usize);
        let followed = (0..1_000).filter(|page| patterns.count(&url(&format!("https://h/search?page={page}"))).is_ok());
        assert_eq!(followed.count(), QUERIED_MAX as usize);
    }

    #[test]
    fn pages_have_paths_by_which_they_are_read() {
        for (address, media_type, path) in [
            ("https://h/", "text/html", "index.html"),
            ("https://h/docs/", "text/html", "docs/index.html"),
            ("https://h/docs/intro", "text/html", "docs/intro.html"),
            ("https://h/docs/v1.2", "text/html", "docs/v1.2.html"),
            ("https://h/a.htm", "text/html", "a.htm"),
            ("https://h/raw/main.rs", "text/plain", "raw/main.rs"),
            ("https://h/notes", "text/plain", "notes.txt"),
            ("https://h/p?id=7", "text/html", "p?id=7.html"),
            ("https://h/x.pdf", "application/pdf", "x.pdf"),
        ] {
            assert_eq!(path_of(&url(address), media_type), path, "{address}");
        }
    }
}
