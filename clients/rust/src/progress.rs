//! The progress of an ingest, as a stream and as one future.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio_stream::{Stream, StreamExt};
use tonic::Streaming;

use crate::error::{ClientError, ErrorKind};
use crate::proto::{IngestProgress, IngestReport};

/// Where the sending half of a put leaves its error; the receiving half reports it.
pub(crate) type SendFault = Arc<Mutex<Option<ClientError>>>;

/// Progress of one ingest: counts so far, at some point `acknowledged`, in the last message the report.
///
/// Dropping it cancels the call: what was acknowledged stays stored and its embedding goes on.
#[derive(Debug)]
pub struct ProgressStream {
    messages: Streaming<IngestProgress>,
    fault: Option<SendFault>,
}

impl ProgressStream {
    pub(crate) fn new(messages: Streaming<IngestProgress>, fault: Option<SendFault>) -> Self {
        Self { messages, fault }
    }

    /// Follows the ingest to its end, shows each message to `observe`, and returns the final report. Of a source that is
    /// followed (`watch`) that end is when the following ends; [`Self::next_report`] comes back after each sync.
    ///
    /// # Errors
    /// The server's error, a document that does not fit in a message, or a stream that ended without a report.
    pub async fn finish(mut self, mut observe: impl FnMut(&IngestProgress)) -> Result<IngestReport, ClientError> {
        let mut report = None;
        while let Some(progress) = self.next().await {
            let mut progress = progress?;
            observe(&progress);
            report = progress.report.take().or(report);
        }
        report.ok_or_else(no_report)
    }

    /// Follows the ingest to its next report, shows each message to `observe`. The first report ends the sync; a source
    /// that is followed (`watch`) has one more for each later sync.
    ///
    /// # Errors
    /// As [`Self::finish`].
    pub async fn next_report(&mut self, mut observe: impl FnMut(&IngestProgress)) -> Result<IngestReport, ClientError> {
        while let Some(progress) = self.next().await {
            let mut progress = progress?;
            observe(&progress);
            if let Some(report) = progress.report.take() {
                return Ok(report);
            }
        }
        Err(no_report())
    }

    fn take_fault(&self) -> Option<ClientError> {
        self.fault.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn no_report() -> ClientError {
    ClientError::local(ErrorKind::Internal, "the server ended the ingest without a report; look at its log")
}

impl Stream for ProgressStream {
    type Item = Result<IngestProgress, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = Pin::new(&mut self.messages).poll_next(cx);
        // The sender stops at its fault, so the server may well end in success: the fault still has to come out.
        if polled.is_ready()
            && let Some(fault) = self.take_fault()
        {
            return Poll::Ready(Some(Err(fault)));
        }
        polled.map(|item| item.map(|result| result.map_err(ClientError::from)))
    }
}
