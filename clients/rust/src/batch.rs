//! Packs documents into messages of a put stream that stay under the limits of one message.

use std::pin::Pin;
use std::sync::PoisonError;
use std::task::{Context, Poll};

use prost::Message;
use tokio_stream::Stream;

use crate::MESSAGE_BYTES_MAX;
use crate::error::{ClientError, ErrorKind};
use crate::progress::SendFault;
use crate::proto::{InputDocument, PutDocumentsRequest};

/// Documents in one message; the server's limit.
const BATCH_DOCUMENTS_MAX: usize = 512;

/// A batch is sent once it holds this many bytes, so that the server works while the next one is packed.
const BATCH_BYTES_TARGET: usize = 1024 * 1024;

/// Envelope around documents in a message: namespace, source, key, and a tag and length before each document.
const ENVELOPE_BYTES: usize = 16 * 1024;

/// Largest encoded document that fits in a message.
const DOCUMENT_BYTES_MAX: usize = MESSAGE_BYTES_MAX - ENVELOPE_BYTES;

/// The request stream of a put: the head alone counts in the first message, then documents in batches.
pub(crate) struct Batches<S> {
    documents: S,
    /// Namespace, source and flags; taken by the first message, so that an empty put still says where.
    head: Option<PutDocumentsRequest>,
    batch: Vec<InputDocument>,
    batch_bytes: usize,
    ended: bool,
    fault: SendFault,
}

impl<S: Stream<Item = InputDocument> + Unpin> Batches<S> {
    pub(crate) fn new(head: PutDocumentsRequest, documents: S, fault: SendFault) -> Self {
        Self { documents, head: Some(head), batch: Vec::new(), batch_bytes: 0, ended: false, fault }
    }

    fn take(&mut self) -> Option<PutDocumentsRequest> {
        let head = self.head.take();
        if head.is_none() && self.batch.is_empty() {
            return None;
        }
        self.batch_bytes = 0;
        Some(PutDocumentsRequest { documents: std::mem::take(&mut self.batch), ..head.unwrap_or_default() })
    }

    /// Takes one document in. Returns a batch that had no room left for it, or that it made full.
    fn push(&mut self, document: InputDocument) -> Option<PutDocumentsRequest> {
        let bytes = document.encoded_len();
        if bytes > DOCUMENT_BYTES_MAX {
            let message = format!(
                "document {} takes {bytes} bytes on the wire and a message holds {DOCUMENT_BYTES_MAX}; split it or leave \
                 it out (the documents before it are stored)",
                document.uri
            );
            *self.fault.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(ClientError::local(ErrorKind::Limit, message));
            self.ended = true;
            return self.take();
        }
        let spilled = if self.batch_bytes + bytes > DOCUMENT_BYTES_MAX { self.take() } else { None };
        self.batch.push(document);
        self.batch_bytes += bytes;
        let full = self.batch.len() >= BATCH_DOCUMENTS_MAX || self.batch_bytes >= BATCH_BYTES_TARGET;
        match spilled {
            None if full => self.take(),
            other => other,
        }
    }
}

impl<S: Stream<Item = InputDocument> + Unpin> Stream for Batches<S> {
    type Item = PutDocumentsRequest;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while !self.ended {
            match Pin::new(&mut self.documents).poll_next(cx) {
                // A slow source must not hold back what it has given: the server can work on it meanwhile.
                Poll::Pending if self.batch.is_empty() => return Poll::Pending,
                Poll::Pending => return Poll::Ready(self.take()),
                Poll::Ready(None) => self.ended = true,
                Poll::Ready(Some(document)) => {
                    if let Some(request) = self.push(document) {
                        return Poll::Ready(Some(request));
                    }
                }
            }
        }
        Poll::Ready(self.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_stream::StreamExt;

    fn document(number: usize, bytes: usize) -> InputDocument {
        InputDocument { uri: format!("test:{number}"), content: vec![b'a'; bytes], ..Default::default() }
    }

    async fn batches(documents: Vec<InputDocument>) -> (Vec<PutDocumentsRequest>, Option<ClientError>) {
        let fault = SendFault::default();
        let head = PutDocumentsRequest { namespace: "ns".into(), ..Default::default() };
        let sent = Batches::new(head, tokio_stream::iter(documents), fault.clone()).collect().await;
        (sent, fault.lock().unwrap().take())
    }

    #[tokio::test]
    async fn every_document_is_sent_once_in_order_and_no_message_is_too_large() {
        for bytes in [10, 5_000, 3_000_000, 5_000_000] {
            let count = if bytes > 100_000 { 5 } else { 1_500 };
            let (sent, fault) = batches((0..count).map(|number| document(number, bytes)).collect()).await;
            assert!(fault.is_none());
            assert!(sent.iter().all(|request| request.encoded_len() <= MESSAGE_BYTES_MAX));
            assert!(sent.iter().all(|request| request.documents.len() <= BATCH_DOCUMENTS_MAX));
            let uris: Vec<_> = sent.iter().flat_map(|request| &request.documents).map(|d| d.uri.clone()).collect();
            assert_eq!(uris, (0..count).map(|number| format!("test:{number}")).collect::<Vec<_>>());
            assert_eq!(sent[0].namespace, "ns");
            assert!(sent[1..].iter().all(|request| request.namespace.is_empty()));
        }
    }

    #[tokio::test]
    async fn an_empty_put_still_names_its_namespace() {
        let (sent, fault) = batches(Vec::new()).await;
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].namespace, "ns");
        assert!(fault.is_none());
    }

    #[tokio::test]
    async fn a_document_over_the_message_limit_is_a_named_fault_after_the_ones_before_it() {
        let (sent, fault) = batches(vec![document(0, 10), document(1, MESSAGE_BYTES_MAX), document(2, 10)]).await;
        assert_eq!(sent.iter().map(|request| request.documents.len()).sum::<usize>(), 1);
        let fault = fault.unwrap();
        assert_eq!(fault.kind(), ErrorKind::Limit);
        assert!(fault.message().contains("test:1"), "{fault}");
    }
}
