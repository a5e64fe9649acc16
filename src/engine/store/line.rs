//! The way from a blocking store to the network: a runtime to wait on, a bound on requests at a time, a deadline for each.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::{PIECE_BYTES_MAX, Pieces};
use crate::base::error::{Error, Kind, Result};

/// Requests of one store at a time. More than a few per host only wait there; 32 keep a long line full.
const REQUESTS_MAX: usize = 32;

/// A piece is handed on from this size, so that a slow line shows progress and a quick one is not cut to crumbs.
const PIECE_BYTES_ENOUGH: usize = 256 * 1024;

/// See the module's documentation. Cheap to clone; clones share the bound.
#[derive(Debug, Clone)]
pub struct Line {
    runtime: Handle,
    slots: Arc<Semaphore>,
    /// For one request, its retries included; for a stream, from one part to the next.
    deadline: Duration,
}

impl Line {
    /// Waits on `runtime`; no wait is longer than `deadline`.
    pub fn new(runtime: Handle, deadline: Duration) -> Self {
        Self { runtime, slots: Arc::new(Semaphore::new(REQUESTS_MAX)), deadline }
    }

    /// Waits for one request. `what` completes "… took longer than".
    ///
    /// # Errors
    /// Those of the request; Unavailable if it takes too long.
    pub fn wait<T>(&self, what: &str, request: impl Future<Output = Result<T>>) -> Result<T> {
        self.runtime.block_on(async {
            let _slot = self.slots.acquire().await;
            self.within(what, request).await?
        })
    }

    /// Hands all items of a stream to `each` until it fails.
    ///
    /// # Errors
    /// Those of the stream and of `each`; Unavailable if the next item takes too long.
    pub fn drain<T>(
        &self,
        what: &str,
        mut items: BoxStream<'_, Result<T>>,
        mut each: impl FnMut(T) -> Result<()>,
    ) -> Result<()> {
        self.runtime.block_on(async {
            let _slot = self.slots.acquire().await;
            while let Some(item) = self.within(what, items.next()).await? {
                each(item?)?;
            }
            Ok(())
        })
    }

    async fn within<T>(&self, what: &str, work: impl Future<Output = T>) -> Result<T> {
        tokio::time::timeout(self.deadline, work).await.map_err(|_| {
            let seconds = self.deadline.as_secs();
            Error::new(Kind::Unavailable, format!("{what} took longer than {seconds} s: try again later"))
        })
    }
}

/// Bytes that come over the network.
pub(super) struct StreamPieces<B> {
    pub line: Line,
    pub uri: String,
    pub parts: BoxStream<'static, Result<B>>,
    /// Bytes still to come; `None`: until the stream ends.
    pub left: Option<u64>,
    /// Whether all of `left` has to come, or is only the most that is wanted.
    pub exact: bool,
    /// Bytes to be passed over first, from a server that does not know ranges.
    pub skip: u64,
    /// What is left of a part that was larger than a piece.
    pub rest: Vec<u8>,
}

impl<B: AsRef<[u8]> + Send + 'static> StreamPieces<B> {
    /// How many of `part` are asked for, after what is to be skipped.
    fn wanted<'a>(&mut self, part: &'a [u8]) -> &'a [u8] {
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(part.len());
        self.skip -= skipped as u64;
        let part = &part[skipped..];
        match &mut self.left {
            None => part,
            Some(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(part.len());
                *left -= taken as u64;
                &part[..taken]
            }
        }
    }
}

impl<B: AsRef<[u8]> + Send + 'static> Pieces for StreamPieces<B> {
    fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let mut piece = std::mem::take(&mut self.rest);
        let (line, what) = (self.line.clone(), format!("reading {}", self.uri));
        line.runtime.block_on(async {
            while piece.len() < PIECE_BYTES_ENOUGH && self.left != Some(0) {
                match line.within(&what, self.parts.next()).await? {
                    Some(part) => piece.extend_from_slice(self.wanted(part?.as_ref())),
                    None if self.exact && (self.left.is_some() || self.skip > 0) => {
                        let message = format!("{} broke off before its end: read on from where it did", self.uri);
                        return Err(Error::new(Kind::Unavailable, message));
                    }
                    None => break,
                }
            }
            Ok(())
        })?;
        if piece.len() > PIECE_BYTES_MAX {
            self.rest = piece.split_off(PIECE_BYTES_MAX);
        }
        Ok((!piece.is_empty()).then_some(piece))
    }
}
