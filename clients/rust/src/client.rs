//! The typed client: one method per call of `hivemem.v1`, with namespace, token, limits and deadlines filled in.

use std::sync::Arc;
use std::time::Duration;

use tokio_stream::{Stream, StreamExt};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

use crate::MESSAGE_BYTES_MAX;
use crate::backup::BackupStream;
use crate::batch::Batches;
use crate::error::{ClientError, ErrorKind};
use crate::progress::{ProgressStream, SendFault};
use crate::proto::admin_client::AdminClient;
use crate::proto::data_view_client::DataViewClient;
use crate::proto::graph_client::GraphClient;
use crate::proto::ingest_client::IngestClient;
use crate::proto::retrieval_client::RetrievalClient;
use crate::proto::router_client::RouterClient;
use crate::proto::swarm_client::SwarmClient;
use crate::proto::{
    BackupRequest, CompactRequest, CompactResponse, CreateNamespaceRequest, ForgetRequest, ForgetResponse, FsckRequest,
    FsckResponse, GatherContextRequest, GatherContextResponse, IngestSourceRequest, InputDocument,
    ListNamespacesRequest, PutDocumentsRequest, RebuildProgress, RebuildRequest, RememberRequest, RememberResponse,
    SearchRequest, SearchResponse, StatsRequest, StatsResponse,
};

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How a client presents itself.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Bearer token, if the server asks for one.
    pub token: Option<String>,
    /// Used wherever a request names no namespace.
    pub namespace: String,
    /// Deadline of every call but those that may take long: the two ingest streams, registering nodes, fsck, compact and backup.
    pub timeout: Duration,
}

impl Default for ClientOptions {
    /// No token, namespace `default`, 60 seconds.
    fn default() -> Self {
        Self { token: None, namespace: "default".to_owned(), timeout: Duration::from_secs(60) }
    }
}

/// A connection to a server. Clones share it and are cheap; all methods may run side by side.
#[derive(Debug, Clone)]
pub struct Client {
    ingest: IngestClient<Transport>,
    retrieval: RetrievalClient<Transport>,
    pub(crate) graph: GraphClient<Transport>,
    pub(crate) router: RouterClient<Transport>,
    pub(crate) swarm: SwarmClient<Transport>,
    pub(crate) data: DataViewClient<Transport>,
    admin: AdminClient<Transport>,
    namespace: Arc<str>,
    timeout: Duration,
}

pub(crate) type Transport = InterceptedService<Channel, Bearer>;
pub(crate) type Result<T> = std::result::Result<T, ClientError>;

/// Adds the token to each request.
#[derive(Debug, Clone)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> std::result::Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

impl Client {
    /// Connects to the server at `url`, such as `http://127.0.0.1:7411`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if `url` or the token can't be used, [`ErrorKind::Connect`] if nobody answers there within
    /// five seconds.
    pub async fn connect(url: &str, options: ClientOptions) -> Result<Self> {
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|cause| {
            ClientError::local(ErrorKind::Invalid, format!("server URL {url:?} is broken: {cause}"))
        })?;
        if endpoint.uri().scheme_str() != Some("http") {
            let message = format!("server URL {url:?} has to start with http://, TLS is for a proxy in front");
            return Err(ClientError::local(ErrorKind::Invalid, message));
        }
        let channel = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_adaptive_window(true)
            .connect()
            .await
            .map_err(|cause| ClientError::connect(url, cause))?;
        Self::from_channel(channel, options)
    }

    /// A client over a channel that is open already, such as one within this process.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if the token has characters that a header can't carry.
    pub fn from_channel(channel: Channel, options: ClientOptions) -> Result<Self> {
        let bearer = options.token.as_deref().map(bearer_value).transpose()?;
        let transport = InterceptedService::new(channel, Bearer(bearer));
        Ok(Self {
            ingest: IngestClient::new(transport.clone())
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX),
            retrieval: RetrievalClient::new(transport.clone())
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX),
            graph: GraphClient::new(transport.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX),
            router: RouterClient::new(transport.clone())
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX),
            swarm: SwarmClient::new(transport.clone())
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX),
            data: DataViewClient::new(transport.clone())
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX),
            admin: AdminClient::new(transport)
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX),
            namespace: options.namespace.into(),
            timeout: options.timeout,
        })
    }

    /// The same connection with another namespace as the default.
    #[must_use]
    pub fn with_namespace(&self, namespace: &str) -> Self {
        Self { namespace: namespace.into(), ..self.clone() }
    }

    /// The namespace used where a request names none.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Syncs a directory or file that the server can read. No deadline; drop the stream to cancel. With `watch` the stream
    /// stays open for the reports of later syncs; dropping it leaves the server following.
    ///
    /// # Errors
    /// Those of the call's start; errors on the way come through the stream.
    pub async fn ingest_source(&self, mut request: IngestSourceRequest) -> Result<ProgressStream> {
        self.fill(&mut request.namespace);
        let response = self.ingest.clone().ingest_source(Request::new(request)).await?;
        Ok(ProgressStream::new(response.into_inner(), None))
    }

    /// Sends documents in batches below the message limit. `head` gives namespace, source, `no_wait` and the idempotency
    /// key; documents that it holds are sent first. No deadline; drop the stream to cancel.
    ///
    /// # Errors
    /// Those of the call's start; errors on the way come through the stream, among them [`ErrorKind::Limit`] for a
    /// document that fits in no message.
    pub async fn put_documents<D>(&self, head: PutDocumentsRequest, documents: D) -> Result<ProgressStream>
    where
        D: IntoIterator<Item = InputDocument>,
        D::IntoIter: Send + Unpin + 'static,
    {
        self.put_document_stream(head, tokio_stream::iter(documents)).await
    }

    /// [`Self::put_documents`] for documents that arrive over time.
    ///
    /// # Errors
    /// As there.
    pub async fn put_document_stream<S>(&self, mut head: PutDocumentsRequest, documents: S) -> Result<ProgressStream>
    where
        S: Stream<Item = InputDocument> + Send + Unpin + 'static,
    {
        self.fill(&mut head.namespace);
        let first = tokio_stream::iter(std::mem::take(&mut head.documents));
        let fault = SendFault::default();
        let batches = Batches::new(head, first.chain(documents), fault.clone());
        let response = self.ingest.clone().put_documents(Request::new(batches)).await?;
        Ok(ProgressStream::new(response.into_inner(), Some(fault)))
    }

    /// Stores one memory.
    ///
    /// # Errors
    /// The server's, such as an empty or over-long text.
    pub async fn remember(&self, mut request: RememberRequest) -> Result<RememberResponse> {
        self.fill(&mut request.namespace);
        done(self.ingest.clone().remember(self.timed(request)).await)
    }

    /// Removes the documents that the selector names; none is not an error.
    ///
    /// # Errors
    /// The server's, such as a missing selector.
    pub async fn forget(&self, mut request: ForgetRequest) -> Result<ForgetResponse> {
        self.fill(&mut request.namespace);
        done(self.ingest.clone().forget(self.timed(request)).await)
    }

    /// Searches. A degraded answer is not an error: look at its `completeness`.
    ///
    /// # Errors
    /// The server's, such as an empty query, `k` of 0 or over 1000, or an unknown namespace.
    pub async fn search(&self, mut request: SearchRequest) -> Result<SearchResponse> {
        self.fill(&mut request.namespace);
        done(self.retrieval.clone().search(self.timed(request)).await)
    }

    /// Gathers a context for a task within a token budget.
    ///
    /// # Errors
    /// The server's, such as an unknown model or a budget over the limit.
    pub async fn gather_context(&self, mut request: GatherContextRequest) -> Result<GatherContextResponse> {
        self.fill(&mut request.namespace);
        done(self.retrieval.clone().gather_context(self.timed(request)).await)
    }

    /// Counts and states of the default namespace and of the server.
    ///
    /// # Errors
    /// The server's, such as an unknown namespace.
    pub async fn stats(&self) -> Result<StatsResponse> {
        let request = StatsRequest { namespace: self.namespace.to_string() };
        done(self.admin.clone().stats(self.timed(request)).await)
    }

    /// Creates a namespace.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a name that can't be one, [`ErrorKind::Conflict`] if it exists.
    pub async fn create_namespace(&self, namespace: &str) -> Result<()> {
        let request = CreateNamespaceRequest { namespace: namespace.to_owned(), ..CreateNamespaceRequest::default() };
        done(self.admin.clone().create_namespace(self.timed(request)).await).map(|_| ())
    }

    /// All namespaces that the token may see, by name; fetches every page.
    ///
    /// # Errors
    /// The server's.
    pub async fn list_namespaces(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = ListNamespacesRequest { page_size: 0, page_token };
            let page = done(self.admin.clone().list_namespaces(self.timed(request)).await)?;
            names.extend(page.namespaces);
            if page.next_page_token.is_empty() {
                return Ok(names);
            }
            page_token = page.next_page_token;
        }
    }

    /// Builds `projection` (`vector`, `lexical` or `graph`) anew beside the one that serves, and waits until it serves. No deadline.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if one is being built already, [`ErrorKind::Invalid`] for another name.
    pub async fn rebuild(&self, projection: &str, mut observe: impl FnMut(&RebuildProgress)) -> Result<()> {
        let request = RebuildRequest { projection: projection.to_owned() };
        let mut progress = done(self.admin.clone().rebuild(Request::new(request)).await)?;
        while let Some(message) = progress.message().await? {
            observe(&message);
        }
        Ok(())
    }

    /// Compares all stores of the server, of all namespaces, and mends what differs if `repair`. No deadline.
    ///
    /// # Errors
    /// The server's, such as an index that cannot follow the log. Differences are not an error.
    pub async fn fsck(&self, repair: bool) -> Result<FsckResponse> {
        done(self.admin.clone().fsck(Request::new(FsckRequest { repair })).await)
    }

    /// Gives the space of what was removed back to the file system. No deadline.
    ///
    /// # Errors
    /// The server's.
    pub async fn compact(&self) -> Result<CompactResponse> {
        done(self.admin.clone().compact(Request::new(CompactRequest {})).await)
    }

    /// Copies everything the server holds, as the bytes of a backup file. It holds all texts in the clear. No deadline;
    /// drop the stream to cancel.
    ///
    /// # Errors
    /// Those of the call's start; errors on the way come through the stream.
    pub async fn backup(&self) -> Result<BackupStream> {
        let response = self.admin.clone().backup(Request::new(BackupRequest {})).await?;
        Ok(BackupStream::new(response.into_inner()))
    }

    pub(crate) fn fill(&self, namespace: &mut String) {
        if namespace.is_empty() {
            self.namespace.as_ref().clone_into(namespace);
        }
    }

    pub(crate) fn timed<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(self.timeout);
        request
    }
}

fn bearer_value(token: &str) -> Result<MetadataValue<Ascii>> {
    let mut value = MetadataValue::try_from(format!("Bearer {token}")).map_err(|_| {
        ClientError::local(ErrorKind::Invalid, "the token has characters that an HTTP header can't carry")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

pub(crate) fn done<T>(result: std::result::Result<Response<T>, Status>) -> Result<T> {
    result.map(Response::into_inner).map_err(ClientError::from)
}
