//! Smart HTTP of git over the guarded client: gix speaks the protocol, this sends its requests and bounds the answers.
//!
//! Requests are small (they name commits), so they are collected and sent when the answer is first read.

use std::io::{BufRead, Cursor, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use gix_transport::client::blocking_io::http::{GetResponse, Http, PostBodyDataKind, PostResponse};
use reqwest::header::HeaderMap;
use url::{Origin, Url};

use super::super::credentials::Secret;
use super::super::fetch::{Fetcher, failure, redirect};
use crate::base::error::{Error, Kind};

/// Redirects of the first request.
const REDIRECTS_MAX: usize = 4;

/// Bytes that may still be received, shared by the requests of one fetch.
pub(super) type Budget = Arc<Mutex<u64>>;

/// The message of an answer over the budget, by which it is known again.
pub(super) const OVER_BUDGET: &str = "the repository is larger than the limit";

/// Sends the requests of one fetch.
pub(super) struct Wire {
    fetcher: Fetcher,
    /// User and password for the repository's host.
    login: Option<(String, Secret)>,
    /// Scheme, host and port that the login is for.
    home: Option<Origin>,
    /// Where the first request was sent on to.
    base: Option<String>,
    budget: Budget,
}

impl Wire {
    /// For the repository at `url`; what is received counts against `budget`.
    pub fn new(fetcher: Fetcher, url: &str, login: Option<(String, Secret)>, budget: Budget) -> Self {
        Self { fetcher, login, home: origin(url), base: None, budget }
    }

    fn exchange(&self, url: &str, base_url: &str, headers: impl IntoIterator<Item = impl AsRef<str>>) -> Exchange {
        let tail = url.strip_prefix(base_url).unwrap_or_default();
        let effective = self.base.as_ref().map_or_else(|| url.to_owned(), |base| format!("{base}{tail}"));
        // Not after a redirect to another host, which gix takes for the repository's own from then on.
        let login = self.login.clone().filter(|_| self.home.is_some() && origin(&effective) == self.home);
        Exchange {
            fetcher: self.fetcher.clone(),
            url: effective,
            headers: headers.into_iter().map(|line| line.as_ref().to_owned()).collect(),
            login,
            body: Vec::new(),
            answer: None,
            budget: Arc::clone(&self.budget),
        }
    }
}

fn origin(url: &str) -> Option<Origin> {
    Url::parse(url).map(|url| url.origin()).ok()
}

impl Http for Wire {
    type Headers = Lines;
    type ResponseBody = Body;
    type PostBody = Request;

    fn get(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> gix::Result<GetResponse<Lines, Body>> {
        let mut exchange = self.exchange(url, base_url, headers);
        exchange.send(false).map_err(gix::Error::from_error)?;
        let tail = url.strip_prefix(base_url).unwrap_or_default();
        self.base = exchange.url.strip_suffix(tail).map(str::to_owned);
        let shared = Arc::new(Mutex::new(exchange));
        Ok(GetResponse { headers: Lines::new(&shared), body: Body::new(&shared) })
    }

    fn post(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
        _: PostBodyDataKind,
    ) -> gix::Result<PostResponse<Lines, Body, Request>> {
        let shared = Arc::new(Mutex::new(self.exchange(url, base_url, headers)));
        Ok(PostResponse {
            post_body: Request(Arc::clone(&shared)),
            headers: Lines::new(&shared),
            body: Body::new(&shared),
        })
    }

    fn configure(&mut self, _: &dyn std::any::Any) -> gix::Result {
        Ok(())
    }

    fn redirected_base_url(&self) -> Option<String> {
        self.base.clone()
    }
}

/// One request and its answer.
pub(super) struct Exchange {
    fetcher: Fetcher,
    url: String,
    headers: Vec<String>,
    login: Option<(String, Secret)>,
    body: Vec<u8>,
    answer: Option<reqwest::Response>,
    budget: Budget,
}

type Shared = Arc<Mutex<Exchange>>;

impl Exchange {
    /// Sends it if that was not done; with `post` as a POST of what was collected.
    fn send(&mut self, post: bool) -> std::io::Result<()> {
        if self.answer.is_some() {
            return Ok(());
        }
        let mut url = Url::parse(&self.url).map_err(std::io::Error::other)?;
        let first = url.clone();
        for _ in 0..=REDIRECTS_MAX {
            self.fetcher.check(&url).map_err(std::io::Error::other)?;
            let client = self.fetcher.client();
            let mut request =
                if post { client.post(url.clone()).body(self.body.clone()) } else { client.get(url.clone()) };
            for (name, value) in self.headers.iter().filter_map(|line| line.split_once(": ")) {
                request = request.header(name, value);
            }
            if let Some((user, password)) = self.login.as_ref().filter(|_| url.origin() == first.origin()) {
                request = request.basic_auth(user, Some(password.expose()));
            }
            let answer = self.fetcher.wait(|| request.send());
            let answer = answer.map_err(|cause| std::io::Error::other(failure(&url, cause)))?;
            // git sends requests on once, before anything is posted.
            match redirect(&answer, &url).filter(|_| !post) {
                Some(next) => url = next,
                None => {
                    check_status(&url, answer.status().as_u16())?;
                    self.url = url.into();
                    self.answer = Some(answer);
                    return Ok(());
                }
            }
        }
        Err(std::io::Error::other(format!("{} leads through more than {REDIRECTS_MAX} redirects", self.url)))
    }

    /// The next bytes of the answer; empty at its end.
    fn piece(&mut self) -> std::io::Result<Vec<u8>> {
        self.send(true)?;
        let Some(answer) = self.answer.as_mut() else { return Ok(Vec::new()) };
        let url = answer.url().clone();
        let piece = self.fetcher.wait(|| answer.chunk());
        let piece = piece.map_err(|cause| std::io::Error::other(failure(&url, cause)))?.unwrap_or_default();
        let mut left = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        *left = left.checked_sub(piece.len() as u64).ok_or_else(|| std::io::Error::other(OVER_BUDGET))?;
        Ok(piece.into())
    }

    fn header_lines(&mut self) -> std::io::Result<Vec<u8>> {
        self.send(true)?;
        let none = HeaderMap::new();
        let headers = self.answer.as_ref().map_or(&none, reqwest::Response::headers);
        let line = |(name, value): (&reqwest::header::HeaderName, &reqwest::header::HeaderValue)| {
            Some(format!("{name}: {}\n", value.to_str().ok()?))
        };
        Ok(headers.iter().filter_map(line).collect::<String>().into_bytes())
    }
}

fn check_status(url: &Url, status: u16) -> std::io::Result<()> {
    let error = match status {
        200..300 => return Ok(()),
        401 | 403 => Error::new(
            Kind::Denied,
            format!("{url} asks for a login: give the server a credential of kind git for this address"),
        ),
        404 => Error::not_found(format!("{url} does not exist, or is only shown to those who log in")),
        _ => Error::new(Kind::Unavailable, format!("{url} answers with status {status}")),
    };
    Err(std::io::Error::other(error))
}

/// Collects the body of a request.
pub(super) struct Request(Shared);

impl Write for Request {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).body.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The headers of an answer, a line each.
pub(super) struct Lines {
    shared: Shared,
    lines: Option<Cursor<Vec<u8>>>,
}

impl Lines {
    fn new(shared: &Shared) -> Self {
        Self { shared: Arc::clone(shared), lines: None }
    }

    fn lines(&mut self) -> std::io::Result<&mut Cursor<Vec<u8>>> {
        if self.lines.is_none() {
            let lines = self.shared.lock().unwrap_or_else(PoisonError::into_inner).header_lines()?;
            self.lines = Some(Cursor::new(lines));
        }
        self.lines.as_mut().ok_or_else(|| std::io::Error::other("an answer without headers"))
    }
}

impl Read for Lines {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.lines()?.read(into)
    }
}

impl BufRead for Lines {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.lines()?.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        if let Some(lines) = &mut self.lines {
            lines.consume(bytes);
        }
    }
}

/// The body of an answer.
pub(super) struct Body {
    shared: Shared,
    piece: Cursor<Vec<u8>>,
}

impl Body {
    fn new(shared: &Shared) -> Self {
        Self { shared: Arc::clone(shared), piece: Cursor::default() }
    }
}

impl Read for Body {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let bytes = self.fill_buf()?;
        let read = bytes.len().min(into.len());
        into[..read].copy_from_slice(&bytes[..read]);
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Body {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.piece.position() >= self.piece.get_ref().len() as u64 {
            self.piece = Cursor::new(self.shared.lock().unwrap_or_else(PoisonError::into_inner).piece()?);
        }
        self.piece.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.piece.consume(bytes);
    }
}
