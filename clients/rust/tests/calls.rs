//! The client against a small server in this process: what travels with each call, and what errors look like.

// Helpers of tests may panic as tests may; clippy only knows those inside `#[test]`.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hivemem_client::proto::ingest_server::{Ingest, IngestServer};
use hivemem_client::proto::retrieval_server::{Retrieval, RetrievalServer};
use hivemem_client::proto::*;
use hivemem_client::{Client, ClientOptions, ErrorKind, MESSAGE_BYTES_MAX};
use tokio::net::TcpListener;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt};

/// Records what arrives and answers just enough.
#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    authorization: String,
    timeout: String,
    namespace: String,
    batches: Vec<usize>,
    uris: Vec<String>,
}

impl Fake {
    fn note<T>(&self, request: &Request<T>) {
        let header = |name| request.metadata().get(name).map(|value| value.to_str().unwrap().to_owned());
        let mut seen = self.0.lock().unwrap();
        seen.authorization = header("authorization").unwrap_or_default();
        seen.timeout = header("grpc-timeout").unwrap_or_default();
    }
}

type Progress = ReceiverStream<Result<IngestProgress, Status>>;

#[tonic::async_trait]
impl Ingest for Fake {
    type IngestSourceStream = Progress;
    type PutDocumentsStream = Progress;

    async fn ingest_source(&self, request: Request<IngestSourceRequest>) -> Result<Response<Progress>, Status> {
        self.note(&request);
        let (sender, receiver) = tokio::sync::mpsc::channel(4);
        match request.into_inner().source.as_str() {
            "/gone" => sender.send(Err(Status::not_found("/gone does not exist"))).await.unwrap(),
            _ => sender.send(Ok(IngestProgress { files_total: 3, ..Default::default() })).await.unwrap(),
        }
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn put_documents(
        &self,
        request: Request<Streaming<PutDocumentsRequest>>,
    ) -> Result<Response<Progress>, Status> {
        self.note(&request);
        let (sender, receiver) = tokio::sync::mpsc::channel(4);
        let seen = Arc::clone(&self.0);
        let mut messages = request.into_inner();
        tokio::spawn(async move {
            while let Ok(Some(message)) = messages.message().await {
                let mut seen = seen.lock().unwrap();
                seen.batches.push(message.documents.len());
                seen.uris.extend(message.documents.into_iter().map(|document| document.uri));
                if !message.namespace.is_empty() {
                    seen.namespace = message.namespace;
                }
            }
            let files = seen.lock().unwrap().uris.len() as u64;
            let report = Some(IngestReport { files, ..Default::default() });
            let _ = sender.send(Ok(IngestProgress { report, ..Default::default() })).await;
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn remember(&self, _: Request<RememberRequest>) -> Result<Response<RememberResponse>, Status> {
        tokio::time::sleep(Duration::from_secs(30)).await;
        Err(Status::internal("too late"))
    }

    async fn forget(&self, _: Request<ForgetRequest>) -> Result<Response<ForgetResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

#[tonic::async_trait]
impl Retrieval for Fake {
    async fn search(&self, request: Request<SearchRequest>) -> Result<Response<SearchResponse>, Status> {
        self.note(&request);
        let request = request.into_inner();
        self.0.lock().unwrap().namespace.clone_from(&request.namespace);
        if request.query.is_empty() {
            let details = ErrorDetails::with_bad_request_violation("query", "give at least one word");
            return Err(Status::with_error_details(Code::InvalidArgument, "the query is empty", details));
        }
        // Larger than tonic's own limit of 4 MiB, below that of the protocol.
        let text = "x".repeat(request.k() as usize * 1024 * 1024);
        Ok(Response::new(SearchResponse { hits: vec![Hit { text, ..Default::default() }], ..Default::default() }))
    }

    async fn gather_context(
        &self,
        _: Request<GatherContextRequest>,
    ) -> Result<Response<GatherContextResponse>, Status> {
        Err(Status::unavailable("the model is loading"))
    }
}

async fn start(options: ClientOptions) -> (Fake, Client) {
    let fake = Fake::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tonic::transport::Server::builder()
        .add_service(IngestServer::new(fake.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(RetrievalServer::new(fake.clone()).max_encoding_message_size(2 * MESSAGE_BYTES_MAX));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    (fake, Client::connect(&url, options).await.unwrap())
}

fn document(number: usize, bytes: usize) -> InputDocument {
    InputDocument { uri: format!("test:{number}"), content: vec![b'a'; bytes], ..Default::default() }
}

fn query(text: &str, k: u32) -> SearchRequest {
    SearchRequest { query: text.into(), k: Some(k), ..Default::default() }
}

#[tokio::test]
async fn token_namespace_and_deadline_travel_with_a_call() {
    let options =
        ClientOptions { token: Some("s3cret".into()), namespace: "team".into(), timeout: Duration::from_secs(7) };
    let (fake, client) = start(options).await;
    client.search(query("x", 1)).await.unwrap();
    {
        let seen = fake.0.lock().unwrap();
        assert_eq!((seen.authorization.as_str(), seen.namespace.as_str()), ("Bearer s3cret", "team"));
        assert_eq!(seen.timeout, "7000000u");
    }
    client.search(SearchRequest { namespace: "other".into(), ..query("x", 1) }).await.unwrap();
    assert_eq!(fake.0.lock().unwrap().namespace, "other");
    client.with_namespace("third").search(query("x", 1)).await.unwrap();
    assert_eq!(fake.0.lock().unwrap().namespace, "third");
}

#[tokio::test]
async fn answers_up_to_the_limit_of_the_protocol_arrive_and_larger_ones_are_errors() {
    let (_fake, client) = start(ClientOptions::default()).await;
    assert_eq!(client.search(query("x", 7)).await.unwrap().hits[0].text.len(), 7 * 1024 * 1024);
    assert_eq!(client.search(query("x", 9)).await.unwrap_err().kind(), ErrorKind::Limit);
}

#[tokio::test]
async fn a_violation_comes_out_with_field_code_and_kind() {
    let (_fake, client) = start(ClientOptions::default()).await;
    let error = client.search(query("", 1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(error.to_string(), "the query is empty; query: give at least one word [INVALID_ARGUMENT]");
    let error = client.gather_context(GatherContextRequest::default()).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Unavailable, "the model is loading"));
    let error = client.forget(ForgetRequest::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn a_call_ends_at_its_deadline() {
    let (_fake, client) = start(ClientOptions { timeout: Duration::from_millis(200), ..Default::default() }).await;
    let error = client.remember(RememberRequest::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline, "{error}");
}

#[tokio::test]
async fn documents_are_put_in_batches_and_all_arrive_in_order() {
    let (fake, client) = start(ClientOptions::default()).await;
    let head = PutDocumentsRequest { documents: vec![document(0, 10)], ..Default::default() };
    let progress = client.put_documents(head, (1..1_200).map(|number| document(number, 3_000))).await.unwrap();
    assert_eq!(progress.finish(|_| {}).await.unwrap().files, 1_200);
    let seen = fake.0.lock().unwrap();
    assert_eq!(seen.uris, (0..1_200).map(|number| format!("test:{number}")).collect::<Vec<_>>());
    assert!(seen.batches.len() > 1 && seen.batches.iter().all(|batch| *batch <= 512), "{:?}", seen.batches);
    assert_eq!(seen.namespace, "default");
    assert_eq!(seen.timeout, "", "an ingest has no deadline");
}

#[tokio::test]
async fn a_document_that_fits_no_message_is_a_named_error_and_those_before_it_arrive() {
    let (fake, client) = start(ClientOptions::default()).await;
    let documents = vec![document(0, 10), document(1, MESSAGE_BYTES_MAX)];
    let progress = client.put_documents(PutDocumentsRequest::default(), documents).await.unwrap();
    let error = progress.finish(|_| {}).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert!(error.message().contains("test:1"), "{error}");
    assert_eq!(fake.0.lock().unwrap().uris, ["test:0"]);
}

#[tokio::test]
async fn an_ingest_reports_its_error_and_a_missing_report() {
    let (_fake, client) = start(ClientOptions::default()).await;
    let request = |source: &str| IngestSourceRequest { source: source.into(), ..Default::default() };
    let error = client.ingest_source(request("/gone")).await.unwrap().finish(|_| {}).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let mut files = 0;
    let progress = client.ingest_source(request("/cut-off")).await.unwrap();
    let error = progress.finish(|progress| files = progress.files_total).await.unwrap_err();
    assert_eq!((files, error.kind()), (3, ErrorKind::Internal));
}

#[tokio::test]
async fn bad_addresses_and_tokens_are_told_apart_from_silence() {
    let kind = async |url: &str, token: Option<&str>| {
        let options = ClientOptions { token: token.map(str::to_owned), ..Default::default() };
        Client::connect(url, options).await.unwrap_err().kind()
    };
    assert_eq!(kind("http://[broken", None).await, ErrorKind::Invalid);
    assert_eq!(kind("ftp://127.0.0.1:1", None).await, ErrorKind::Invalid);
    assert_eq!(kind("http://127.0.0.1:1", None).await, ErrorKind::Connect);
    let channel = tonic::transport::Endpoint::from_static("http://127.0.0.1:1").connect_lazy();
    let options = ClientOptions { token: Some("line\nbreak".into()), ..Default::default() };
    assert_eq!(Client::from_channel(channel, options).unwrap_err().kind(), ErrorKind::Invalid);
}
