//! Single objects at `http://` and `https://` addresses: looked at, read, and streamed by range.
//!
//! One address is a source of one object. Following links is not for here.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use reqwest::header::{self, HeaderMap};
use reqwest::{Method, Response, StatusCode};
use url::Url;

use super::credentials::{Credential, Credentials};
use super::fetch::retry_after;
use super::globs::Globs;
use super::guard::{Guard, Refused};
use super::line::{Line, StreamPieces};
use super::{ListOptions, Listing, Object, Range, Reading, Stat, Store, Ways, beyond_end, over_limit, shell_word};
use crate::base::Timestamp;
use crate::base::error::{Error, Kind, Result};

/// Tries of a request that a server puts off or a connection that does not come about.
const TRIES_MAX: u32 = 4;

/// Pause before the second try; twice as long before each further one.
const PAUSE_MIN: Duration = Duration::from_millis(200);

/// Longest pause that a server may ask for (`Retry-After`); beyond it the request fails and says so.
const PAUSE_MAX: Duration = Duration::from_secs(20);

/// See the module's documentation. Cheap to clone.
#[derive(Clone)]
pub struct HttpStore {
    guard: Guard,
    client: reqwest::Client,
    credentials: Credentials,
    line: Line,
    /// The credential that was asked for by name.
    named: Option<String>,
}

impl HttpStore {
    /// Reads over `line` what `guard` lets through, with the keys among `credentials`.
    ///
    /// # Errors
    /// Those of making a client.
    pub fn new(guard: Guard, credentials: Credentials, line: Line) -> Result<Self> {
        // Sizes, ranges and etags are of the bytes as they are sent; unpacking them on the way would break all three.
        let client = guard.build(guard.builder().no_gzip().no_brotli().no_deflate())?;
        Ok(Self { guard, client, credentials, line, named: None })
    }

    /// Beginnings of the addresses that it serves.
    pub const BEGINNINGS: &'static [&'static str] = &["http://", "https://"];

    fn url(&self, address: &str) -> Result<Url> {
        let mut url = Url::parse(address)
            .map_err(|cause| Error::invalid("uri", format!("{address:?} is no URL")).caused_by(cause))?;
        self.guard.check(&url)?;
        // A place within a page is no object of its own; a name and password belong in the configuration.
        url.set_fragment(None);
        if !url.username().is_empty() || url.password().is_some() {
            let message = format!(
                "the URL of {} holds a name or password: put them into [credentials]",
                url.host_str().unwrap_or("?")
            );
            return Err(Error::invalid("uri", message));
        }
        Ok(url)
    }

    fn credential(&self, url: &Url) -> Result<Option<Arc<Credential>>> {
        match &self.named {
            Some(name) => self.credentials.named("http", name, url.as_str()).map(Some),
            None => Ok(self.credentials.of_uri("http", url.as_str())),
        }
    }

    /// Sends a request, again where the server puts it off; gives the answer whatever its status.
    async fn send(&self, method: Method, url: &Url, range: Range, mark: Option<&str>) -> Result<Response> {
        let credential = self.credential(url)?;
        let mut pause = PAUSE_MIN;
        for attempt in 1.. {
            let mut request = self.client.request(method.clone(), url.clone());
            request = request.header(header::ACCEPT_ENCODING, "identity");
            if let Some(range) = range_header(range) {
                request = request.header(header::RANGE, range);
            }
            if let Some(mark) = mark {
                request = request.header(header::IF_MATCH, mark);
            }
            if let Some(credential) = &credential {
                request = credential.sign(request);
            }
            let answer = request.send().await;
            let again = match &answer {
                Ok(answer) => is_put_off(answer.status()),
                Err(error) => Refused::among(error).is_none() && (error.is_connect() || error.is_timeout()),
            };
            let asked = answer.as_ref().ok().and_then(|answer| retry_after(answer.headers()));
            if !again || attempt >= TRIES_MAX || asked.is_some_and(|asked| asked > PAUSE_MAX) {
                return answer.map_err(|error| unreachable(url, error));
            }
            tokio::time::sleep(asked.unwrap_or(pause)).await;
            pause *= 2;
        }
        Err(Error::internal("a request was neither sent nor given up"))
    }

    async fn head(&self, url: &Url) -> Result<Option<Stat>> {
        let answer = self.send(Method::HEAD, url, Range::default(), None).await?;
        let answer = match answer.status() {
            // Some servers know only GET; the first byte tells the rest.
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED | StatusCode::FORBIDDEN => {
                self.send(Method::GET, url, Range { offset: 0, length: Some(1) }, None).await?
            }
            _ => answer,
        };
        match answer.status() {
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(None),
            StatusCode::RANGE_NOT_SATISFIABLE => Ok(Some(Stat { bytes: 0, ..stat_of(&answer) })),
            status if status.is_success() => Ok(Some(stat_of(&answer))),
            status => Err(refusal(url, status, &answer)),
        }
    }
}

fn range_header(range: Range) -> Option<String> {
    match range {
        Range { offset: 0, length: None } => None,
        Range { offset, length: None } => Some(format!("bytes={offset}-")),
        Range { offset, length: Some(length) } => {
            Some(format!("bytes={offset}-{}", offset.saturating_add(length.max(1)) - 1))
        }
    }
}

fn is_put_off(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// What an answer says of the object, whole or in part.
fn stat_of(answer: &Response) -> Stat {
    let headers = answer.headers();
    let whole = match answer.status() {
        StatusCode::PARTIAL_CONTENT => {
            text(headers, header::CONTENT_RANGE).and_then(|range| range.rsplit('/').next()?.parse().ok())
        }
        // Not the client's own count, which knows nothing of the answer to HEAD.
        _ => text(headers, header::CONTENT_LENGTH).and_then(|length| length.parse().ok()),
    };
    let modified = text(headers, header::LAST_MODIFIED).and_then(|at| httpdate::parse_http_date(at).ok());
    // A weak etag says "as good as", not "the same bytes".
    let mark = text(headers, header::ETAG).filter(|mark| !mark.starts_with("W/")).map(str::to_owned);
    Stat { bytes: whole.unwrap_or(0), modified_at: modified.map(Timestamp::from_system), mark }
}

fn unreachable(url: &Url, error: reqwest::Error) -> Error {
    if let Some(refused) = Refused::among(&error) {
        return Error::new(Kind::Denied, format!("{url}: {refused}"));
    }
    let what = if error.is_timeout() { "does not answer in time" } else { "can't be reached" };
    Error::new(Kind::Unavailable, format!("{url} {what}: check the address, or try again later"))
        .caused_by(error.without_url())
}

/// The error for a status that is no success.
fn refusal(url: &Url, status: StatusCode, answer: &Response) -> Error {
    let code = status.as_u16();
    match code {
        404 | 410 => Error::not_found(format!("{url} is not there (HTTP {code}): check the address")),
        401 | 403 | 407 => Error::new(
            Kind::Precondition,
            format!(
                "{url} wants other credentials (HTTP {code}): add some of kind http with this prefix to the configuration"
            ),
        ),
        412 => Error::new(Kind::Conflict, format!("{url} changed since it was looked at: read it again")),
        429 | 502 | 503 | 504 => {
            let wait = retry_after(answer.headers()).map_or(String::new(), |wait| format!(" in {} s", wait.as_secs()));
            Error::new(Kind::Unavailable, format!("{url} puts readers off (HTTP {code}): try again{wait}"))
        }
        _ => Error::new(Kind::Unavailable, format!("{url} can't be read: the server says HTTP {code}")),
    }
}

impl Store for HttpStore {
    fn resolve(&self, address: &str) -> Result<String> {
        Ok(self.url(address)?.into())
    }

    fn list(&self, source: &str, options: &ListOptions) -> Result<Listing> {
        let (url, globs) = (self.url(source)?, Globs::new(options)?);
        let path = format!("{}{}", url.host_str().unwrap_or_default(), url.path());
        let mut listing = Listing::default();
        if globs.excludes(&path) || !globs.includes(&path) {
            return Ok(listing);
        }
        let stat = self.line.wait(&format!("looking at {url}"), self.head(&url))?;
        let gone = || Error::not_found(format!("{url} is not there: check the address"));
        let Stat { bytes, modified_at, mark } = stat.ok_or_else(gone)?;
        listing.objects.push(Object { path, uri: url.into(), bytes, modified_at, mark });
        Ok(listing)
    }

    fn list_at(&self, source: &str, options: &ListOptions, uris: &BTreeSet<String>) -> Result<Listing> {
        if uris.contains(source) { self.list(source, options) } else { Ok(Listing::default()) }
    }

    fn read(&self, object: &Object, bytes_max: u64) -> Result<Vec<u8>> {
        let mut reading = self.open(&object.uri, Range::default())?;
        if reading.stat.bytes > bytes_max {
            return Err(over_limit(&object.uri, reading.stat.bytes, bytes_max));
        }
        if object.mark.is_some() && reading.stat.mark != object.mark {
            let message = format!("{} changed since it was listed: sync it again", object.uri);
            return Err(Error::new(Kind::Conflict, message));
        }
        let mut bytes = Vec::new();
        while let Some(piece) = reading.pieces.next()? {
            bytes.extend(piece);
            if bytes.len() as u64 > bytes_max {
                return Err(over_limit(&object.uri, bytes.len() as u64, bytes_max));
            }
        }
        Ok(bytes)
    }

    fn stat(&self, uri: &str) -> Result<Option<Stat>> {
        let url = self.url(uri)?;
        self.line.wait(&format!("looking at {url}"), self.head(&url))
    }

    fn open(&self, uri: &str, range: Range) -> Result<Reading> {
        let url = self.url(uri)?;
        let asked = self.send(Method::GET, &url, range, None);
        let answer = self.line.wait(&format!("opening {url}"), asked)?;
        let mut stat = stat_of(&answer);
        let (left, skip) = match answer.status() {
            StatusCode::PARTIAL_CONTENT => {
                let begins = text(answer.headers(), header::CONTENT_RANGE).and_then(first_of_range);
                if begins != Some(range.offset) {
                    let message = format!("{url} sends another range than the one asked for: read it as a whole");
                    return Err(Error::new(Kind::Unavailable, message));
                }
                (expected(stat.bytes, range), 0)
            }
            // The server knows no ranges: what comes before is passed over.
            StatusCode::OK if stat.bytes > 0 && range.offset > 0 && range.offset >= stat.bytes => {
                return Err(beyond_end(uri, range.offset, stat.bytes));
            }
            StatusCode::OK => (expected(stat.bytes, range), range.offset),
            StatusCode::RANGE_NOT_SATISFIABLE => {
                let whole = text(answer.headers(), header::CONTENT_RANGE);
                let whole: Option<u64> = whole.and_then(|range| range.strip_prefix("bytes */")?.parse().ok());
                if (whole, range.offset) != (Some(0), 0) {
                    return Err(beyond_end(uri, range.offset, whole.unwrap_or(range.offset)));
                }
                // An empty object has no range at all; what the answer holds is only what it says of that.
                stat.bytes = 0;
                (Some(0), 0)
            }
            status => return Err(refusal(&url, status, &answer)),
        };
        let media_type = text(answer.headers(), header::CONTENT_TYPE).filter(|_| answer.status().is_success());
        let media_type = media_type.map(str::to_owned);
        let about = url.clone();
        let parts = answer.bytes_stream().map_err(move |error| broken_off(&about, error)).boxed();
        let (line, uri) = (self.line.clone(), url.into());
        let pieces = Box::new(StreamPieces { line, uri, parts, left, exact: stat.bytes > 0, skip, rest: Vec::new() });
        Ok(Reading { stat, media_type, pieces })
    }

    fn under(&self, _uri: &str, credential: &str) -> Result<Arc<dyn Store>> {
        Ok(Arc::new(Self { named: Some(credential.to_owned()), ..self.clone() }))
    }

    fn ways(&self, uri: &str, _ttl: Duration) -> Result<Ways> {
        let url = self.url(uri)?;
        let credential = self.credential(&url)?.map(|credential| credential.name.clone());
        Ok(Ways { native: Some(format!("curl -fsSL {}", shell_word(url.as_str()))), credential, presigned: None })
    }
}

/// Bytes that an answer has to bring, as far as the size of the whole is known.
fn expected(whole: u64, range: Range) -> Option<u64> {
    if whole == 0 {
        return range.length;
    }
    let rest = whole.saturating_sub(range.offset);
    Some(range.length.map_or(rest, |length| length.min(rest)))
}

/// The first byte of `bytes FIRST-LAST/WHOLE`.
fn first_of_range(range: &str) -> Option<u64> {
    range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

fn broken_off(url: &Url, error: reqwest::Error) -> Error {
    Error::new(Kind::Unavailable, format!("{url} broke off before its end: read on from where it did"))
        .caused_by(error.without_url())
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
