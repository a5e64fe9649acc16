//! Calls of the data view: what there is, ingested or not, where it lies, and its bytes.

use prost::Message;
use tonic::{Request, Streaming};

use crate::MESSAGE_BYTES_MAX;
use crate::client::{Client, Result, done};
use crate::error::{ClientError, ErrorKind};
use crate::progress::ProgressStream;
use crate::proto::{
    DataObject, FetchAndIngestRequest, FetchDataRequest, FetchDataResponse, ListDataRequest, ListDataResponse,
    LocateDataRequest, LocateDataResponse, RegisterDataRequest, RegisterDataResponse, SearchDataRequest,
    SearchDataResponse, StatDataRequest, StatDataResponse, UnregisterDataRequest, UnregisterDataResponse,
    VerifyDataRequest, VerifyDataResponse,
};

/// Objects in one message, the server's limit.
const BATCH_OBJECTS: usize = 1_000;

/// A message is full once it holds this many bytes.
const BATCH_BYTES: usize = 1024 * 1024;

/// The bytes of an object as they arrive. Dropping it ends the call.
#[derive(Debug)]
pub struct DataStream {
    pieces: Streaming<FetchDataResponse>,
}

impl DataStream {
    /// The next piece, or none at the end. The first one says size and media type, the last one of a whole object its hash.
    ///
    /// # Errors
    /// The server's, such as a store that broke off; what came before is right, and can be read on from.
    pub async fn next_piece(&mut self) -> Result<Option<FetchDataResponse>> {
        Ok(self.pieces.message().await?)
    }
}

impl Client {
    /// Registers objects. `head` gives namespace and idempotency key. No deadline.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`] for an object that fits in no message; the server's. A bad object is no error: it is in the reply.
    pub async fn register_data(
        &self,
        head: RegisterDataRequest,
        objects: Vec<DataObject>,
    ) -> Result<RegisterDataResponse> {
        let mut messages = vec![RegisterDataRequest { objects: Vec::new(), ..head }];
        self.fill(&mut messages[0].namespace);
        let mut bytes = 0;
        for object in objects {
            let size = object.encoded_len();
            if size > MESSAGE_BYTES_MAX / 2 {
                let message = format!("object {:.80} takes {size} bytes, which fits in no message", object.uri);
                return Err(ClientError::local(ErrorKind::Limit, message));
            }
            let full = |last: &RegisterDataRequest| last.objects.len() >= BATCH_OBJECTS || bytes + size > BATCH_BYTES;
            if messages.last().is_none_or(full) {
                messages.push(RegisterDataRequest::default());
                bytes = 0;
            }
            bytes += size;
            if let Some(last) = messages.last_mut() {
                last.objects.push(object);
            }
        }
        done(self.data.clone().register_data(Request::new(tokio_stream::iter(messages))).await)
    }

    /// Takes objects out of the view. What was ingested of them stays.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if nothing is named; the server's.
    pub async fn unregister_data(&self, mut request: UnregisterDataRequest) -> Result<UnregisterDataResponse> {
        self.fill(&mut request.namespace);
        done(self.data.clone().unregister_data(self.timed(request)).await)
    }

    /// A page of all data, as a flat list or one level of the tree.
    ///
    /// # Errors
    /// The server's, such as a page token of another listing.
    pub async fn list_data(&self, mut request: ListDataRequest) -> Result<ListDataResponse> {
        self.fill(&mut request.namespace);
        done(self.data.clone().list_data(self.timed(request)).await)
    }

    /// What is known of one object.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for what nobody ingested or registered.
    pub async fn stat_data(&self, mut request: StatDataRequest) -> Result<StatDataResponse> {
        self.fill(&mut request.namespace);
        done(self.data.clone().stat_data(self.timed(request)).await)
    }

    /// Exact, executable ways to get an object.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for what nobody ingested or registered.
    pub async fn locate_data(&self, mut request: LocateDataRequest) -> Result<LocateDataResponse> {
        self.fill(&mut request.namespace);
        done(self.data.clone().locate_data(self.timed(request)).await)
    }

    /// The bytes of an object, or a range of them, from wherever it lies. No deadline; drop the stream to cancel.
    ///
    /// # Errors
    /// Those of the call's start, such as [`ErrorKind::NotFound`]; errors on the way come through the stream.
    pub async fn fetch_data(&self, mut request: FetchDataRequest) -> Result<DataStream> {
        self.fill(&mut request.namespace);
        Ok(DataStream { pieces: self.data.clone().fetch_data(Request::new(request)).await?.into_inner() })
    }

    /// Looks whether an object is still there and the same. No deadline: it may be read as a whole.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for what nobody ingested or registered. An object that is gone is no error.
    pub async fn verify_data(&self, mut request: VerifyDataRequest) -> Result<VerifyDataResponse> {
        self.fill(&mut request.namespace);
        done(self.data.clone().verify_data(Request::new(request)).await)
    }

    /// Finds objects by name, description, schema and tags, ingested documents by name and path. What isn't ingested comes with a plan.
    ///
    /// # Errors
    /// The server's, such as an empty query.
    pub async fn search_data(&self, mut request: SearchDataRequest) -> Result<SearchDataResponse> {
        self.fill(&mut request.namespace);
        done(self.data.clone().search_data(self.timed(request)).await)
    }

    /// Fetches and ingests an object or all below an address. No deadline; if the stream is dropped the work goes on.
    ///
    /// # Errors
    /// Those of the call's start; errors on the way come through the stream.
    pub async fn fetch_and_ingest(&self, mut request: FetchAndIngestRequest) -> Result<ProgressStream> {
        self.fill(&mut request.namespace);
        let response = self.data.clone().fetch_and_ingest(Request::new(request)).await?;
        Ok(ProgressStream::new(response.into_inner(), None))
    }
}
