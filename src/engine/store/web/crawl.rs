//! Crawling one site: from its first page and its sitemap, level by level, within robots.txt and the limits of the request.
//!
//! A level is fetched as a whole before the next begins and links are followed in order, so that the same site gives the
//! same pages, whatever answers first.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use futures::StreamExt;
use texting_robots::Robot;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};
use url::Url;

use super::super::{Found, LeftOut};
use super::super::fetch::Wanted;
use super::address::{Patterns, Scope, is_page, normal};
use super::shelf::Entry;
use super::sitemap::{self, SITEMAP_BYTES_MAX};
use super::visit::{Visit, Visitor};
use crate::base::error::{Error, Kind, Result};

/// The name that robots.txt may call this crawler by.
const ROBOT: &str = "hivemem";
/// Requests under way at a time where there is no delay between them, and where there is one.
const AT_ONCE: usize = 8;
/// See [`AT_ONCE`].
const AT_ONCE_POLITE: usize = 2;
/// Longest delay that a robots.txt is heeded for; more would be a crawl of weeks.
const CRAWL_DELAY_MAX: Duration = Duration::from_secs(30);
/// Longest robots.txt that is read: the least that RFC 9309 asks for.
const ROBOTS_BYTES_MAX: u64 = 512 * 1024;
/// Sitemaps read of one site.
const SITEMAPS_MAX: usize = 50;
/// Longest time of a crawl.
const TIME_MAX: Duration = Duration::from_secs(3 * 3_600);

/// What a crawl may do.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    pub depth: u32,
    pub pages_max: usize,
    pub delay: Duration,
    /// Counts pages that were visited.
    pub found: Found,
}

/// What a crawl found.
#[derive(Debug, Default)]
pub(super) struct Crawled {
    /// Pages by the address that they are known by, each with the one that it was fetched from.
    pub pages: BTreeMap<String, (String, Entry)>,
    /// What was left out.
    pub left_out: Vec<LeftOut>,
}

/// A crawl under way.
pub(super) struct Crawl<'a> {
    visitor: &'a Visitor,
    scope: Scope,
    robot: Option<Robot>,
    bounds: Bounds,
    /// When the next request may be sent.
    next: Mutex<Instant>,
    seen: BTreeSet<Url>,
    patterns: Patterns,
    found: Crawled,
    visited: usize,
    /// Addresses beyond the limits.
    beyond: usize,
}

/// Crawls the site that `start` is the first page of.
///
/// # Errors
/// What keeps the first page from being read; Denied if robots.txt forbids it.
pub(super) async fn crawl(visitor: &Visitor, start: &Url, bounds: Bounds) -> Result<Crawled> {
    let (robot, sitemaps) = robots(visitor, start).await?;
    let asked = robot.as_ref().and_then(|robot| robot.delay).filter(|delay| delay.is_finite() && *delay > 0.0);
    let delay = bounds.delay.max(asked.map_or(Duration::ZERO, Duration::from_secs_f32).min(CRAWL_DELAY_MAX));
    let mut crawl = Crawl {
        visitor,
        scope: Scope::of(start),
        robot,
        bounds: Bounds { delay, ..bounds },
        next: Mutex::new(Instant::now()),
        seen: BTreeSet::new(),
        patterns: Patterns::default(),
        found: Crawled::default(),
        visited: 0,
        beyond: 0,
    };
    if !crawl.is_allowed(start) {
        let message = format!("{start} may not be crawled: the site's robots.txt forbids it");
        return Err(Error::new(Kind::Denied, message));
    }
    crawl.run(start, sitemaps).await?;
    Ok(crawl.end())
}

impl Crawl<'_> {
    async fn run(&mut self, start: &Url, sitemaps: Vec<Url>) -> Result<()> {
        let began = Instant::now();
        self.seen.insert(start.clone());
        let mut level = vec![start.clone()];
        let mut listed = self.sitemaps(sitemaps).await;
        for depth in 0..=self.bounds.depth {
            let room = self.bounds.pages_max.saturating_sub(self.visited);
            self.beyond += level.len().saturating_sub(room);
            level.truncate(room);
            if level.is_empty() || began.elapsed() > TIME_MAX {
                self.beyond += level.len();
                break;
            }
            self.visited += level.len();
            let outcomes = self.fetch(&level).await;
            if depth == 0
                && let Some(error) = outcomes.iter().find_map(|(_, outcome)| outcome.as_ref().err())
            {
                return Err(Error::new(error.kind(), error.message()));
            }
            let mut next = Vec::new();
            for (url, outcome) in outcomes {
                self.take(&url, outcome, &mut next);
            }
            if depth == 0 {
                next.append(&mut listed);
            }
            if depth == self.bounds.depth {
                self.beyond += next.len();
                break;
            }
            level = next;
        }
        Ok(())
    }

    /// Fetches a level; the outcomes in its order.
    async fn fetch(&self, level: &[Url]) -> Vec<(Url, Result<Visit>)> {
        let at_once = if self.bounds.delay.is_zero() { AT_ONCE } else { AT_ONCE_POLITE };
        let visits = level.iter().map(|url| async move {
            self.wait_turn().await;
            let within = |next: &Url| self.scope.holds(next) && self.is_allowed(next);
            let visit = self.visitor.visit(url, &within).await;
            self.bounds.found.one();
            (url.clone(), visit)
        });
        futures::stream::iter(visits).buffered(at_once).collect().await
    }

    async fn wait_turn(&self) {
        if self.bounds.delay.is_zero() {
            return;
        }
        let mine = {
            let mut next = self.next.lock().await;
            let mine = (*next).max(Instant::now());
            *next = mine + self.bounds.delay;
            mine
        };
        sleep_until(mine).await;
    }

    fn take(&mut self, url: &Url, outcome: Result<Visit>, next: &mut Vec<Url>) {
        match outcome {
            Ok(Visit::Page(entry)) => self.keep(url, *entry, next),
            // It is not there: what is stored of it goes.
            Ok(Visit::Gone) => self.leave_out(url, "not there (404)", false),
            Ok(Visit::NoText) => self.leave_out(url, "type without text", false),
            Ok(Visit::Elsewhere(to)) => {
                let to = normal(to);
                let reason = if self.scope.holds(&to) {
                    "redirect to a page that robots.txt forbids"
                } else {
                    "redirect out of the site"
                };
                self.leave_out(url, reason, false);
            }
            Err(error) => {
                let reason = match error.kind() {
                    Kind::Denied if error.message().contains("private") => "redirect to a private address",
                    Kind::Denied => "not shown to this server",
                    Kind::Limit => "larger than the limit",
                    _ => "not readable",
                };
                tracing::debug!(%url, error = %error.chain(), "a page can't be read");
                self.leave_out(url, reason, true);
            }
        }
    }

    fn keep(&mut self, url: &Url, entry: Entry, next: &mut Vec<Url>) {
        for link in entry.page.links.iter().filter_map(|link| Url::parse(link).ok()) {
            self.meet(link, next);
        }
        let landed = Url::parse(&entry.url).unwrap_or_else(|_| url.clone());
        let canonical = entry.page.canonical.as_ref().and_then(|canonical| Url::parse(canonical).ok());
        let canonical = canonical.filter(|canonical| self.scope.holds(canonical));
        if entry.page.no_index {
            return self.leave_out(url, "page that asks not to be kept (noindex)", false);
        }
        // Redirects and canonical addresses are other names of one page.
        let known = canonical.unwrap_or_else(|| landed.clone());
        self.seen.insert(landed);
        self.found.pages.entry(known.into()).or_insert_with(|| (url.to_string(), entry));
    }

    /// Takes a link into the next level if it is to be followed.
    fn meet(&mut self, url: Url, next: &mut Vec<Url>) {
        if !self.scope.holds(&url) || !is_page(&url) || !self.seen.insert(url.clone()) {
            return;
        }
        if !self.is_allowed(&url) {
            return self.leave_out(&url, "robots.txt forbids it", false);
        }
        match self.patterns.count(&url) {
            Ok(()) => next.push(url),
            Err(_) => self.leave_out(&url, "too many pages of one pattern", false),
        }
    }

    fn is_allowed(&self, url: &Url) -> bool {
        self.robot.as_ref().is_none_or(|robot| robot.allowed(url.as_str()))
    }

    fn leave_out(&mut self, url: &Url, reason: &str, failed: bool) {
        self.found.left_out.push(LeftOut { path: url.to_string(), reason: reason.to_owned(), failed });
    }

    /// The pages that the site's sitemaps name; one that can't be read is no reason not to crawl.
    async fn sitemaps(&mut self, first: Vec<Url>) -> Vec<Url> {
        let (mut pages, mut queue, mut read) = (Vec::new(), VecDeque::from(first), BTreeSet::new());
        while let Some(url) = queue.pop_front() {
            if read.len() >= SITEMAPS_MAX || !self.scope.is_same_site(&url) || !read.insert(url.clone()) {
                continue;
            }
            self.wait_turn().await;
            let same_site = |next: &Url| self.scope.is_same_site(next);
            let wanted = Wanted { follow: &same_site, ..Wanted::new(url.clone(), SITEMAP_BYTES_MAX) };
            let Ok(got) = self.visitor.fetcher.get(&wanted).await else { continue };
            if !got.is_success() {
                continue;
            }
            match sitemap::read(&got.body) {
                Ok(found) => {
                    queue.extend(found.sitemaps);
                    for page in found.pages {
                        // A site that lists a page means it: patterns do not count here.
                        if self.scope.holds(&page)
                            && is_page(&page)
                            && self.is_allowed(&page)
                            && self.seen.insert(page.clone())
                        {
                            pages.push(page);
                        }
                    }
                }
                Err(reason) => self.leave_out(&url, reason, true),
            }
        }
        pages
    }

    /// What was found; what lies beyond the limits spares all that is stored, since nobody looked whether it is there.
    fn end(mut self) -> Crawled {
        if self.beyond > 0 {
            let reason = format!("limit of {} pages and {} links reached", self.bounds.pages_max, self.bounds.depth);
            self.found.left_out.push(LeftOut { path: String::new(), reason, failed: true });
        }
        self.found
    }
}

/// The rules of a site's robots.txt and the sitemaps that it names, as RFC 9309 says: none if there is no file, and nothing
/// is allowed while it can't be read.
async fn robots(visitor: &Visitor, start: &Url) -> Result<(Option<Robot>, Vec<Url>)> {
    let at =
        |path: &str| start.join(path).map_err(|cause| Error::internal("an address without a root").caused_by(cause));
    let (url, usual) = (at("/robots.txt")?, at("/sitemap.xml")?);
    let got = visitor.fetcher.get(&Wanted::new(url.clone(), ROBOTS_BYTES_MAX)).await?;
    if got.status >= 500 || got.status == 429 {
        let message = format!(
            "{url} can't be read (HTTP {}), so nothing of the site may be crawled: try again later",
            got.status
        );
        return Err(Error::new(Kind::Unavailable, message));
    }
    if !got.is_success() {
        return Ok((None, vec![usual]));
    }
    // What is no robots.txt, such as a page that says so, has no rules.
    let robot = Robot::new(ROBOT, &got.body).ok();
    let named = robot.iter().flat_map(|robot| &robot.sitemaps).filter_map(|sitemap| url.join(sitemap.trim()).ok());
    let mut sitemaps: Vec<Url> = named.collect();
    if sitemaps.is_empty() {
        sitemaps.push(usual);
    }
    Ok((robot, sitemaps))
}
