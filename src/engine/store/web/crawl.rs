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

use super::super::fetch::Wanted;
use super::super::{Found, LeftOut};
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
    /// Pages and sitemaps that are there but could not be read this time.
    unread: usize,
}

/// Crawls the site that `start` is the first page of.
///
/// # Errors
/// What keeps the first page from being read; Denied if robots.txt forbids it.
pub(super) async fn crawl(visitor: &Visitor, start: &Url, bounds: Bounds) -> Result<Crawled> {
    let (robot, sitemaps) = robots(visitor, start).await?;
    let delay = bounds.delay.max(heeded(robot.as_ref().and_then(|robot| robot.delay)));
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
        unread: 0,
    };
    if !crawl.is_allowed(start) {
        let message = format!("{start} may not be crawled: the site's robots.txt forbids it");
        return Err(Error::new(Kind::Denied, message));
    }
    crawl.run(start, sitemaps).await?;
    Ok(crawl.end())
}

impl Crawl<'_> {
    async fn run(&mut self, start: &Url, (sitemaps, named): (Vec<Url>, bool)) -> Result<()> {
        let began = Instant::now();
        self.seen.insert(start.clone());
        let mut level = vec![start.clone()];
        let mut listed = self.sitemaps(sitemaps, named).await;
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
                self.unread += 1;
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

    /// The pages that the site's sitemaps name; one that can't be read is no reason not to crawl, but said.
    ///
    /// `named` says whether robots.txt names them, or the usual place is tried.
    async fn sitemaps(&mut self, first: Vec<Url>, named: bool) -> Vec<Url> {
        let (mut pages, mut queue, mut read) = (Vec::new(), VecDeque::from(first), BTreeSet::new());
        while let Some(url) = queue.pop_front() {
            if !self.scope.is_same_site(&url) || read.contains(&url) {
                continue;
            }
            if read.len() >= SITEMAPS_MAX {
                self.unread += 1;
                self.leave_out(&url, "too many sitemaps", true);
                continue;
            }
            read.insert(url.clone());
            self.wait_turn().await;
            let same_site = |next: &Url| self.scope.is_same_site(next);
            let wanted = Wanted { follow: &same_site, ..Wanted::new(url.clone(), SITEMAP_BYTES_MAX) };
            let found = match self.visitor.fetcher.get(&wanted).await {
                Ok(got) if got.is_success() => sitemap::read(&got.body),
                Ok(got) if is_absent(got.status, !named && read.len() == 1) => continue,
                _ => Err("sitemap that can't be read"),
            };
            match found {
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
                Err(reason) => {
                    self.unread += 1;
                    self.leave_out(&url, reason, true);
                }
            }
        }
        pages
    }

    /// What was found. What lies beyond the limits spares all that is stored, since nobody looked whether it is there; so
    /// does what could not be read, since it may lead to pages that nothing else leads to, and pages are stored under other
    /// addresses than they were asked for at.
    fn end(mut self) -> Crawled {
        let mut spare = |reason: String| {
            self.found.left_out.push(LeftOut { path: String::new(), reason, failed: true });
        };
        if self.beyond > 0 {
            spare(format!("limit of {} pages and {} links reached", self.bounds.pages_max, self.bounds.depth));
        }
        if self.unread > 0 {
            spare("parts of the site could not be read: nothing of it is removed".to_owned());
        }
        self.found
    }
}

/// The delay that a robots.txt asks for, as far as it is heeded.
fn heeded(seconds: Option<f32>) -> Duration {
    // Any number may stand there; what is no length of time is none that was asked for.
    let seconds = seconds.filter(|seconds| *seconds > 0.0).unwrap_or(0.0);
    Duration::from_secs_f32(seconds.min(CRAWL_DELAY_MAX.as_secs_f32()))
}

/// Whether a status says that there is no such sitemap. Of the one that nobody named but many sites have, a refusal or a
/// redirect out of the site says no more: that is how some servers answer for what they do not have.
fn is_absent(status: u16, guessed: bool) -> bool {
    matches!(status, 404 | 410) || (guessed && matches!(status, 300..=403))
}

/// The rules of a site's robots.txt and the sitemaps that it names, as RFC 9309 says: none if there is no file, and nothing
/// is allowed while it can't be read.
///
/// With the sitemaps comes whether the file names them; else it is where they usually are.
async fn robots(visitor: &Visitor, start: &Url) -> Result<(Option<Robot>, (Vec<Url>, bool))> {
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
        return Ok((None, (vec![usual], false)));
    }
    // What is no robots.txt, such as a page that says so, has no rules.
    let robot = Robot::new(ROBOT, &got.body).ok();
    let named = robot.iter().flat_map(|robot| &robot.sitemaps).filter_map(|sitemap| url.join(sitemap.trim()).ok());
    let sitemaps: Vec<Url> = named.collect();
    let sitemaps = if sitemaps.is_empty() { (vec![usual], false) } else { (sitemaps, true) };
    Ok((robot, sitemaps))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_may_stand_for_a_delay() {
        for (asked, seconds) in [
            (None, 0),
            (Some(2.0), 2),
            (Some(1e30), 30),
            (Some(f32::INFINITY), 30),
            (Some(f32::NAN), 0),
            (Some(-1.0), 0),
        ] {
            assert_eq!(heeded(asked), Duration::from_secs(seconds), "{asked:?}");
        }
    }
}
