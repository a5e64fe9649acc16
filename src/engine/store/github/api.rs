//! GitHub's REST API, as far as issues, pull requests and their comments need it: pages, conditional requests, rate limits.

use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, IF_NONE_MATCH};
use serde::Deserialize;
use url::Url;

use super::super::credentials::Secret;
use super::super::fetch::{Fetcher, Got, Wanted};
use crate::base::error::{Error, Kind, Result};

/// Largest page: a hundred comments of 64 KiB and what is around them.
const PAGE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Pages of one list; a hundred entries each.
const PAGES_MAX: usize = 2_000;
/// Longest wait for the rate limit to be filled again; what takes longer is left to the next sync.
const LIMIT_WAIT_MAX: Duration = Duration::from_secs(60);

/// An issue or pull request, as the API sends it.
#[derive(Debug, Deserialize)]
pub(super) struct Issue {
    pub number: u64,
    pub title: String,
    pub body: Option<String>,
    pub state: String,
    pub user: Option<User>,
    #[serde(default)]
    pub labels: Vec<Label>,
    pub created_at: String,
    pub updated_at: String,
    pub pull_request: Option<Pull>,
}

/// What an issue has that is a pull request.
#[derive(Debug, Deserialize)]
pub(super) struct Pull {
    pub merged_at: Option<String>,
}

impl Issue {
    /// Open, closed or, of a pull request, merged: the API calls that closed.
    pub fn outcome(&self) -> &str {
        let merged = self.pull_request.as_ref().is_some_and(|pull| pull.merged_at.is_some());
        if merged { "merged" } else { &self.state }
    }
}

/// Who wrote something.
#[derive(Debug, Deserialize)]
pub(super) struct User {
    pub login: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Label {
    pub name: String,
}

/// A comment, or one on a line of a pull request.
#[derive(Debug, Deserialize)]
pub(super) struct Comment {
    pub id: u64,
    pub body: Option<String>,
    pub user: Option<User>,
    pub created_at: String,
    pub updated_at: String,
    pub issue_url: Option<String>,
    pub pull_request_url: Option<String>,
    pub path: Option<String>,
}

impl Comment {
    /// The number of what it belongs to.
    pub fn thread(&self) -> Option<u64> {
        let url = self.issue_url.as_ref().or(self.pull_request_url.as_ref())?;
        url.rsplit('/').next()?.parse().ok()
    }
}

/// Asks the API of one server.
pub(super) struct Api<'a> {
    pub fetcher: &'a Fetcher,
    pub base: &'a Url,
    pub token: Option<Secret>,
}

impl Api<'_> {
    /// Hands the pages of a list, oldest change first, to `each`. With `etag`, which the first page had the last time, an
    /// unchanged list costs one request that counts for no limit. Gives the new etag.
    ///
    /// # Errors
    /// Denied or Not found as the API says; Unavailable for a rate limit that is not filled soon; those of `each`.
    pub async fn pages<T: for<'de> Deserialize<'de>>(
        &self,
        path: &str,
        since: Option<&str>,
        etag: Option<&str>,
        mut each: impl FnMut(Vec<T>) -> Result<()>,
    ) -> Result<Option<String>> {
        let mut url = self.list(path, since)?;
        let mut first = etag.map(str::to_owned);
        for page in 0..PAGES_MAX {
            let got = self.get(&url, first.take()).await?;
            if got.status == 304 {
                return Ok(etag.map(str::to_owned));
            }
            let entries: Vec<T> = serde_json::from_slice(&got.body).map_err(|cause| {
                Error::new(Kind::Unavailable, format!("{url} is no list that this server can read")).caused_by(cause)
            })?;
            each(entries)?;
            match next(&got) {
                // Never to another host: the token goes along.
                Some(next) if next.origin() == url.origin() => url = next,
                // Only a list of one page is known by its first page.
                _ => return Ok(got.header("etag").filter(|_| page == 0).map(str::to_owned)),
            }
        }
        Err(Error::limit("pages", format!("{url} has more than {PAGES_MAX} pages: sync again to go on")))
    }

    fn list(&self, path: &str, since: Option<&str>) -> Result<Url> {
        let base = self.base.as_str().trim_end_matches('/');
        let mut url = Url::parse(&format!("{base}/{path}"))
            .map_err(|cause| Error::internal("an address of the API that is none").caused_by(cause))?;
        url.query_pairs_mut()
            .append_pair("state", "all")
            .append_pair("sort", "updated")
            .append_pair("direction", "asc")
            .append_pair("per_page", "100")
            .extend_pairs(since.map(|since| ("since", since)));
        Ok(url)
    }

    async fn get(&self, url: &Url, etag: Option<String>) -> Result<Got> {
        let mut wanted = Wanted::new(url.clone(), PAGE_BYTES_MAX).with(ACCEPT, "application/vnd.github+json");
        if let Some(token) = &self.token {
            wanted = wanted.with(AUTHORIZATION, format!("Bearer {}", token.expose()));
        }
        wanted.headers.extend(etag.map(|etag| (IF_NONE_MATCH, etag)));
        let got = self.fetcher.get(&wanted).await?;
        let Some(wait) = limited(&got) else { return check(got) };
        if wait > LIMIT_WAIT_MAX {
            return Err(limit_reached(wait));
        }
        tokio::time::sleep(wait).await;
        let got = self.fetcher.get(&wanted).await?;
        match limited(&got) {
            Some(wait) => Err(limit_reached(wait)),
            None => check(got),
        }
    }
}

/// How long the rate limit keeps this server out, if it does.
fn limited(got: &Got) -> Option<Duration> {
    if !matches!(got.status, 403 | 429) {
        return None;
    }
    let number = |name: &str| got.header(name).and_then(|text| text.parse::<u64>().ok());
    if let Some(seconds) = number("retry-after") {
        return Some(Duration::from_secs(seconds));
    }
    if number("x-ratelimit-remaining") != Some(0) {
        return None;
    }
    // By the server's own clock.
    let now = got.header("date").and_then(|text| httpdate::parse_http_date(text).ok());
    let now = now.and_then(|now| now.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or_default();
    Some(Duration::from_secs(number("x-ratelimit-reset")?.saturating_sub(now.as_secs()) + 1))
}

fn limit_reached(wait: Duration) -> Error {
    let message = format!(
        "GitHub's rate limit is used up for {} s: sync again then, or give the server a credential of kind github",
        wait.as_secs()
    );
    Error::new(Kind::Unavailable, message)
}

fn check(got: Got) -> Result<Got> {
    let url = &got.url;
    match got.status {
        200..300 | 304 => Ok(got),
        401 | 403 => {
            let message =
                format!("{url} is not shown to this server: it needs a credential of kind github that may see it");
            Err(Error::new(Kind::Denied, message))
        }
        404 | 410 => Err(Error::not_found(format!("{url} does not exist, or only for those who may see it"))),
        status => Err(Error::new(Kind::Unavailable, format!("{url} answers with status {status}"))),
    }
}

/// The next page, by the `Link` header (RFC 8288).
fn next(got: &Got) -> Option<Url> {
    let links = got.header("link")?;
    let next = links.split(',').find(|link| link.contains("rel=\"next\""))?;
    got.url.join(next.split_once('<')?.1.split_once('>')?.0).ok()
}
