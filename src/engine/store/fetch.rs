//! HTTP for connectors: one GET with redirects looked at one by one, a bounded body, and patience with busy servers.
//!
//! Every address goes through the [`Guard`], redirects included. Nothing is cached here, and nothing is known of what the
//! bodies mean.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use tokio::runtime::Handle;
use url::Url;

use super::guard::{Guard, Refused};
use crate::base::clock::{Clock as _, SystemClock, Timestamp};
use crate::base::error::{Error, Kind, Result};

/// Redirects followed for one address.
const REDIRECTS_MAX: usize = 8;
/// How long one answer may take in all: 32 MiB at 1 MiB/s and some patience.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);
/// How often a request is sent that a busy or broken server did not answer.
const TRIES: u32 = 3;
/// First pause between two tries; the next one is four times as long.
const PAUSE: Duration = Duration::from_millis(200);
/// Longest pause that a server's Retry-After is followed for; more is told to whoever waits.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// A maker of requests. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Fetcher {
    client: reqwest::Client,
    guard: Guard,
    runtime: Handle,
}

/// An answer with its whole body.
#[derive(Debug, Clone)]
pub struct Got {
    /// Status code, of the last answer if there were redirects.
    pub status: u16,
    /// Where it came from after redirects.
    pub url: Url,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, decompressed.
    pub body: Vec<u8>,
}

impl Got {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether it is an answer to go by.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// What is asked for.
pub struct Wanted<'a> {
    /// Address.
    pub url: Url,
    /// Headers; `authorization` goes to the first host only.
    pub headers: Vec<(HeaderName, String)>,
    /// Largest body.
    pub bytes_max: u64,
    /// Whether a redirect to this address is followed; else the redirect itself is the answer.
    pub follow: &'a (dyn Fn(&Url) -> bool + Sync),
    /// Whether a body of these headers is read; else it is left where it is and the answer has none.
    pub read: &'a (dyn Fn(&HeaderMap) -> bool + Sync),
}

impl Wanted<'_> {
    /// A plain request for `url`.
    pub fn new(url: Url, bytes_max: u64) -> Self {
        Self { url, headers: Vec::new(), bytes_max, follow: &|_| true, read: &|_| true }
    }

    /// With one more header.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl Fetcher {
    /// One that speaks to whom `guard` allows, on `runtime`.
    ///
    /// # Errors
    /// Precondition if no client can be made.
    pub fn new(guard: Guard, runtime: Handle) -> Result<Self> {
        let client = guard.build(guard.builder().redirect(reqwest::redirect::Policy::none()))?;
        Ok(Self { client, guard, runtime })
    }

    /// Runs what `work` makes from a thread that may block. It is made on the runtime, too: timers begin when they are made.
    pub fn wait<F: Future>(&self, work: impl FnOnce() -> F) -> F::Output {
        let _context = self.runtime.enter();
        self.runtime.block_on(work())
    }

    /// The client, for requests that are no GET. It follows no redirects.
    pub fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// Whether an address may be spoken to, as far as it shows.
    ///
    /// # Errors
    /// Denied.
    pub fn check(&self, url: &Url) -> Result<()> {
        self.guard.check(url).map_err(Error::from)
    }

    /// Sends a request until it is answered or [`TRIES`] are over: a busy server is given the time that it asks for.
    ///
    /// # Errors
    /// As [`Self::once`]; Unavailable for a server that stays busy.
    pub async fn get(&self, wanted: &Wanted<'_>) -> Result<Got> {
        let mut pause = PAUSE;
        for left in (0..TRIES).rev() {
            let outcome = self.once(wanted).await;
            let asked = match &outcome {
                Ok(got) if matches!(got.status, 429 | 503) => retry_after(&got.headers),
                Ok(got) if matches!(got.status, 500 | 502 | 504) => None,
                Err(error) if error.kind() == Kind::Unavailable => None,
                _ => return outcome,
            };
            let wait = asked.unwrap_or(pause);
            if left == 0 || wait > PAUSE_MAX {
                return outcome;
            }
            tokio::time::sleep(wait).await;
            pause *= 4;
        }
        Err(Error::internal("a request was never sent"))
    }

    /// Sends a request once, following redirects.
    ///
    /// # Errors
    /// Denied for a host that may not be spoken to; Limit for a body over the limit; Unavailable for a server that can't be
    /// reached, is silent for too long or breaks off.
    pub async fn once(&self, wanted: &Wanted<'_>) -> Result<Got> {
        let answer = tokio::time::timeout(ANSWER_TIME_MAX, self.hops(wanted)).await;
        let late = |_| {
            let seconds = ANSWER_TIME_MAX.as_secs();
            Error::new(Kind::Unavailable, format!("{} took more than {seconds} s to answer", wanted.url))
        };
        answer.map_err(late)?
    }

    async fn hops(&self, wanted: &Wanted<'_>) -> Result<Got> {
        let mut url = wanted.url.clone();
        for _ in 0..=REDIRECTS_MAX {
            self.check(&url)?;
            let mut request = self.client.get(url.clone());
            for (name, value) in &wanted.headers {
                // A secret is for the host that it was meant for.
                if *name != AUTHORIZATION || url.origin() == wanted.url.origin() {
                    request = request.header(name, secret(name, value)?);
                }
            }
            let response = request.send().await.map_err(|cause| failure(&url, cause))?;
            let next = redirect(&response, &url).filter(|next| (wanted.follow)(next));
            match next {
                Some(next) => url = next,
                None => return self.body(wanted, url, response).await,
            }
        }
        Err(Error::new(Kind::Unavailable, format!("{} leads through more than {REDIRECTS_MAX} redirects", wanted.url)))
    }

    async fn body(&self, wanted: &Wanted<'_>, url: Url, mut response: reqwest::Response) -> Result<Got> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = Vec::new();
        let too_large = || Error::limit("bytes", format!("{url} has more than {} bytes", wanted.bytes_max));
        if (wanted.read)(&headers) {
            if response.content_length().is_some_and(|bytes| bytes > wanted.bytes_max) {
                return Err(too_large());
            }
            // It is decompressed as it comes, so a small one that becomes huge ends here, too.
            while let Some(piece) = response.chunk().await.map_err(|cause| failure(&url, cause))? {
                if (body.len() + piece.len()) as u64 > wanted.bytes_max {
                    return Err(too_large());
                }
                body.extend_from_slice(&piece);
            }
        }
        Ok(Got { status, url, headers, body })
    }
}

fn secret(name: &HeaderName, value: &str) -> Result<HeaderValue> {
    let mut header = HeaderValue::from_str(value)
        .map_err(|_| Error::new(Kind::Precondition, format!("the value for the header {name} can't be sent")))?;
    header.set_sensitive(*name == AUTHORIZATION);
    Ok(header)
}

/// Where an answer sends to. From https only https is followed.
pub fn redirect(response: &reqwest::Response, from: &Url) -> Option<Url> {
    let moved = matches!(
        response.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    let to = response.headers().get(LOCATION).filter(|_| moved)?.to_str().ok()?;
    let next = from.join(to).ok()?;
    (from.scheme() != "https" || next.scheme() == "https").then_some(next)
}

/// The pause that a server asks for, in seconds or as a date.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let until = || Timestamp::from_system(httpdate::parse_http_date(text).ok()?).since(SystemClock.now());
    text.parse().ok().map(Duration::from_secs).or_else(until)
}

/// What became of a request that got no whole answer.
pub fn failure(url: &Url, cause: reqwest::Error) -> Error {
    if let Some(refused) = Refused::among(&cause) {
        return Error::new(Kind::Denied, refused.to_string());
    }
    let what = if cause.is_timeout() {
        "does not answer in time"
    } else if cause.is_connect() {
        "can't be reached"
    } else if cause.is_body() || cause.is_decode() {
        "broke off in the middle of its answer"
    } else {
        "did not answer"
    };
    Error::new(Kind::Unavailable, format!("{url} {what}")).caused_by(cause.without_url())
}
