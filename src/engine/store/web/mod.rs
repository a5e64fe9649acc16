//! Web pages as sources: one page (`https://…`), or a site from its first page on (`site:https://…`).
//!
//! A site is what is reached from that page, within its origin and below its folder. Pages are kept in the cache folder, so
//! another sync asks whether they changed and reads those that did; the hash of a page is its mark. A page that somebody
//! names is fetched as a browser would; robots.txt is heeded by crawls. What has no text is a single object of the HTTP
//! store.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use url::{Host, Url};

use super::credentials::Credentials;
use super::fetch::Fetcher;
use super::git::address::{Address, looks_like_repository};
use super::globs::Globs;
use super::{About, LeftOut, ListOptions, Listing, Object, Range, Reading, Stat, Store, Ways, cache, over_limit};
use crate::base::Timestamp;
use crate::base::error::{Error, Kind, Result};
use crate::base::limits::{
    CRAWL_DELAY_DEFAULT, CRAWL_DEPTH_DEFAULT, CRAWL_DEPTH_MAX, CRAWL_PAGES_DEFAULT, CRAWL_PAGES_MAX,
    WEB_CACHE_BYTES_MAX,
};

mod address;
mod crawl;
mod page;
mod shelf;
mod sitemap;
mod visit;

use crawl::Bounds;
use shelf::{Entry, Shelf};
use visit::{Visit, Visitor};

/// What begins the address of a site.
pub const SITE: &str = "site:";

/// See the module's documentation.
#[derive(Clone)]
pub struct WebStore {
    visitor: Visitor,
    /// For what is no page.
    http: Arc<dyn Store>,
    cache: PathBuf,
    /// Least delay between two requests of a crawl to another machine.
    delay_min: Duration,
    /// Where pages are repositories.
    github: Option<String>,
}

impl WebStore {
    /// Beginnings of the addresses that it serves.
    pub const BEGINNINGS: &'static [&'static str] = &[SITE, "http://", "https://"];

    /// Keeps pages in `cache`; what is no page is read by `http`.
    pub fn new(
        fetcher: Fetcher,
        credentials: Credentials,
        http: Arc<dyn Store>,
        cache: PathBuf,
        delay_min: Duration,
    ) -> Self {
        let shelf = Shelf::new(cache.clone());
        Self { visitor: Visitor { fetcher, credentials, shelf, named: None }, http, cache, delay_min, github: None }
    }

    /// Takes the pages of repositories below `web`, such as `https://github.com/OWNER/NAME`, for what they show.
    #[must_use]
    pub fn beside_github(self, web: &str) -> Self {
        Self { github: Some(format!("{}/", web.trim_end_matches('/'))), ..self }
    }

    /// The repository whose first page an address is.
    fn repository(&self, address: &str) -> Option<String> {
        let name = address.strip_prefix(self.github.as_deref()?)?.trim_end_matches('/');
        let (owner, rest) = name.split_once('/')?;
        let is_name =
            |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        (is_name(owner) && is_name(rest)).then(|| format!("github://{owner}/{rest}"))
    }

    fn bounds(&self, start: &Url, options: &ListOptions) -> Result<Bounds> {
        let asked = &options.crawl;
        let depth = asked.depth.unwrap_or(CRAWL_DEPTH_DEFAULT);
        if depth > CRAWL_DEPTH_MAX {
            return Err(Error::limit("depth", format!("depth is {depth}, the limit is {CRAWL_DEPTH_MAX}")));
        }
        let pages = asked.pages_max.unwrap_or(CRAWL_PAGES_DEFAULT);
        if pages == 0 || pages > CRAWL_PAGES_MAX {
            return Err(Error::limit("pages_max", format!("pages_max is {pages}, it must be 1 to {CRAWL_PAGES_MAX}")));
        }
        // Nobody is bothered by a server on the same machine.
        let least = if is_loopback(start) { Duration::ZERO } else { self.delay_min };
        let usual = if is_loopback(start) { Duration::ZERO } else { CRAWL_DELAY_DEFAULT };
        Ok(Bounds {
            depth,
            pages_max: pages as usize,
            delay: asked.delay.unwrap_or(usual).max(least),
            found: options.found.clone(),
        })
    }

    fn crawl(&self, start: &Url, options: &ListOptions) -> Result<Listing> {
        let (globs, bounds) = (Globs::new(options)?, self.bounds(start, options)?);
        cache::keep_within(&self.cache, WEB_CACHE_BYTES_MAX, &self.cache);
        let crawled = self.visitor.fetcher.wait(|| crawl::crawl(&self.visitor, start, bounds))?;
        let mut listing = Listing { left_out: crawled.left_out, ..Listing::default() };
        for (known, (asked, entry)) in crawled.pages {
            if known != asked {
                self.visitor.shelf.refer(&known, &asked);
            }
            let object = object(known, &entry);
            if !globs.excludes(&object.path) && globs.includes(&object.path) {
                listing.objects.push(object);
            }
        }
        listing.objects.sort_by(|a, b| a.path.cmp(&b.path).then_with(|| a.uri.cmp(&b.uri)));
        listing.left_out.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(listing)
    }

    /// One page now.
    fn visit(&self, uri: &str) -> Result<(Url, Visit)> {
        let url = address::parse(uri)?;
        let visited = self.visitor.fetcher.wait(|| self.visitor.visit(&url, &|_| true))?;
        Ok((url, visited))
    }

    /// A page that somebody named. It is known by the address that they gave: whatever it is called elsewhere, they meant this.
    fn page(&self, source: &str, options: &ListOptions) -> Result<Listing> {
        let globs = Globs::new(options)?;
        match self.visit(source)? {
            (url, Visit::Page(entry)) => {
                let object = object(url.into(), &entry);
                let asked = !globs.excludes(&object.path) && globs.includes(&object.path);
                Ok(Listing { objects: Some(object).filter(|_| asked).into_iter().collect(), ..Listing::default() })
            }
            (url, Visit::Gone) => Err(Error::not_found(format!("{url} is not there: check the address"))),
            (url, Visit::Elsewhere(to)) => {
                Err(Error::new(Kind::Unavailable, format!("{url} leads to {to}, which can't be followed")))
            }
            (url, Visit::NoText) => self.http.list(url.as_str(), options),
        }
    }

    /// The pages of a site at these addresses, without following their links.
    fn pages_at(&self, uris: &BTreeSet<String>, options: &ListOptions) -> Result<Listing> {
        let (globs, mut listing) = (Globs::new(options)?, Listing::default());
        for uri in uris {
            match self.visit(uri) {
                Ok((_, Visit::Page(entry))) if !entry.page.no_index => {
                    let object = object(uri.clone(), &entry);
                    if !globs.excludes(&object.path) && globs.includes(&object.path) {
                        listing.objects.push(object);
                    }
                }
                Ok(_) => {}
                Err(_) => {
                    listing.left_out.push(LeftOut {
                        path: uri.clone(),
                        reason: "not readable".to_owned(),
                        failed: true,
                    });
                }
            }
        }
        Ok(listing)
    }
}

impl Store for WebStore {
    fn meant(&self, address: &str) -> Result<String> {
        if looks_like_repository(address) {
            return Ok(Address::parse(address)?.uri());
        }
        Ok(self.repository(address).unwrap_or_else(|| address.to_owned()))
    }

    fn resolve(&self, address: &str) -> Result<String> {
        let meant = self.meant(address)?;
        if meant != address {
            return Ok(meant);
        }
        let (site, page) = address.strip_prefix(SITE).map_or(("", address), |page| (SITE, page));
        let url = address::parse(page)?;
        self.visitor.fetcher.check(&url)?;
        Ok(format!("{site}{url}"))
    }

    fn list(&self, source: &str, options: &ListOptions) -> Result<Listing> {
        match source.strip_prefix(SITE) {
            Some(start) => self.crawl(&address::parse(start)?, options),
            None => self.page(source, options),
        }
    }

    fn list_at(&self, source: &str, options: &ListOptions, uris: &BTreeSet<String>) -> Result<Listing> {
        if !source.starts_with(SITE) {
            return if uris.contains(source) { self.page(source, options) } else { Ok(Listing::default()) };
        }
        self.pages_at(uris, options)
    }

    fn read(&self, object: &Object, bytes_max: u64) -> Result<Vec<u8>> {
        let kept = || self.visitor.shelf.get(&object.uri);
        // As it was listed; if it is kept no longer, as it is now.
        let same = |(entry, _): &(Entry, Vec<u8>)| object.mark.as_ref().is_some_and(|mark| *mark == entry.hash);
        let found = match kept().filter(same) {
            Some(found) => Some(found),
            None => match self.visit(&object.uri)?.1 {
                Visit::Page(_) => kept(),
                Visit::NoText => return self.http.read(object, bytes_max),
                Visit::Gone | Visit::Elsewhere(_) => None,
            },
        };
        let (_, body) = found.ok_or_else(|| Error::not_found(format!("{} is no longer there", object.uri)))?;
        if body.len() as u64 > bytes_max {
            return Err(over_limit(&object.uri, body.len() as u64, bytes_max));
        }
        Ok(body)
    }

    fn stat(&self, uri: &str) -> Result<Option<Stat>> {
        // Of a site its first page.
        let uri = uri.strip_prefix(SITE).unwrap_or(uri);
        let visit = match self.visit(uri) {
            // Too large to be taken for a page; it may be streamed all the same.
            Err(error) if error.kind() == Kind::Limit => return self.http.stat(uri),
            visited => visited?.1,
        };
        match visit {
            Visit::Page(entry) => {
                let Object { bytes, modified_at, mark, .. } = object(uri.to_owned(), &entry);
                Ok(Some(Stat { bytes, modified_at, mark }))
            }
            Visit::Gone | Visit::Elsewhere(_) => Ok(None),
            Visit::NoText => self.http.stat(uri),
        }
    }

    fn open(&self, uri: &str, range: Range) -> Result<Reading> {
        self.http.open(uri.strip_prefix(SITE).unwrap_or(uri), range)
    }

    fn about(&self, object: &Object) -> Result<About> {
        let Some((entry, _)) = self.visitor.shelf.get(&object.uri) else { return Ok(About::default()) };
        let known = |name: &str, value: Option<String>| Some((name.to_owned(), value?));
        let metadata = [
            known("fetched_from", Some(entry.url).filter(|url| *url != object.uri)),
            known("content_type", Some(entry.media_type).filter(|kind| !kind.is_empty())),
        ];
        Ok(About { metadata: metadata.into_iter().flatten().collect::<BTreeMap<_, _>>(), ..About::default() })
    }

    fn under(&self, uri: &str, credential: &str) -> Result<Arc<dyn Store>> {
        let page = uri.strip_prefix(SITE).unwrap_or(uri);
        // Said at once if there is none, or it is not for this.
        self.visitor.credentials.named("http", credential, address::parse(page)?.as_str())?;
        let visitor = Visitor { named: Some(credential.to_owned()), ..self.visitor.clone() };
        Ok(Arc::new(Self { visitor, http: self.http.under(page, credential)?, ..self.clone() }))
    }

    fn ways(&self, uri: &str, ttl: Duration) -> Result<Ways> {
        self.http.ways(uri.strip_prefix(SITE).unwrap_or(uri), ttl)
    }
}

fn object(uri: String, entry: &Entry) -> Object {
    let path = Url::parse(&uri).map(|url| address::path_of(&url, &entry.media_type)).unwrap_or_default();
    let modified = entry.last_modified.as_deref().and_then(|text| httpdate::parse_http_date(text).ok());
    Object {
        path,
        uri,
        bytes: entry.bytes,
        modified_at: modified.map(Timestamp::from_system),
        mark: Some(entry.hash.clone()),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
