//! The [`Backend`] that is a hivemem server.

use std::time::Duration;

use tokio::sync::mpsc;

use super::backend::{Backend, Change, Result, RunSnapshot};
use crate::client::Client;
use crate::error::{ClientError, ErrorKind};
use crate::proto::watch_run_response::Change as WireChange;
use crate::proto::{
    AcquireRunRequest, AnswerQuestionRequest, AppendEventsRequest, CreateRunRequest, FetchAndIngestRequest,
    GatherContextRequest, GatherContextResponse, Node, RecordOutcomeRequest, RegisterNodesRequest,
    RegisterNodesResponse, ReleaseRunRequest, RememberRequest, RenewRunRequest, RouteRequest, RouteResponse, Run,
    RunEvent, SearchFilter, WatchRunRequest,
};

/// Most of a page that a model is shown.
const PAGE_TOKENS: u32 = 6_000;

/// See [`Backend`].
#[derive(Debug, Clone)]
pub struct ServerBackend(Client);

impl ServerBackend {
    /// Over a connection, in its namespace.
    pub fn new(client: Client) -> Self {
        Self(client)
    }
}

fn no_run() -> ClientError {
    ClientError::local(ErrorKind::Internal, "the server's reply holds no run")
}

fn duration(ttl: Duration) -> Option<prost_types::Duration> {
    prost_types::Duration::try_from(ttl).ok()
}

#[tonic::async_trait]
impl Backend for ServerBackend {
    async fn create_run(&self, goal: &str, settings: &str, key: &str) -> Result<Run> {
        let request = CreateRunRequest {
            goal: goal.to_owned(),
            settings: settings.to_owned(),
            idempotency_key: key.to_owned(),
            ..CreateRunRequest::default()
        };
        self.0.create_run(request).await?.run.ok_or_else(no_run)
    }

    async fn acquire_run(&self, run: &str, holder: &str, ttl: Duration) -> Result<(u64, Run)> {
        let (run, holder) = (run.to_owned(), holder.to_owned());
        let request = AcquireRunRequest { run, holder, ttl: duration(ttl), ..AcquireRunRequest::default() };
        let reply = self.0.acquire_run(request).await?;
        Ok((reply.fence, reply.run.ok_or_else(no_run)?))
    }

    async fn renew_run(&self, run: &str, fence: u64, ttl: Duration) -> Result<bool> {
        let run = run.to_owned();
        let request = RenewRunRequest { run, fence, ttl: duration(ttl), ..RenewRunRequest::default() };
        Ok(self.0.renew_run(request).await?.cancel_requested)
    }

    async fn release_run(&self, run: &str, fence: u64) -> Result<()> {
        let request = ReleaseRunRequest { run: run.to_owned(), fence, ..ReleaseRunRequest::default() };
        self.0.release_run(request).await.map(|_| ())
    }

    async fn append_events(&self, run: &str, fence: u64, events: Vec<RunEvent>) -> Result<()> {
        let request = AppendEventsRequest { run: run.to_owned(), fence, events, ..AppendEventsRequest::default() };
        self.0.append_events(request).await.map(|_| ())
    }

    async fn read_state(&self, run: &str) -> Result<RunSnapshot> {
        let whole = self.0.read_state(run).await?.whole().await?;
        Ok(RunSnapshot { run: whole.run.unwrap_or_default(), nodes: whole.nodes, queue: whole.queue })
    }

    async fn watch_run(&self, run: &str, from: u64) -> Result<mpsc::Receiver<Change>> {
        let request = WatchRunRequest { run: run.to_owned(), from_sequence: from, ..WatchRunRequest::default() };
        let mut watch = self.0.watch_run(request).await?;
        let (sender, receiver) = mpsc::channel(64);
        tokio::spawn(async move {
            // A broken stream ends the channel; the holder listens anew.
            while let Some(told) = tokio::select! {
                () = sender.closed() => None,
                told = watch.next_change() => told.ok().flatten(),
            } {
                let change = match told.change {
                    Some(WireChange::Answered(asked)) => Change::Answered { node: asked.node, answer: asked.answer },
                    Some(WireChange::CancelRequested(true)) => Change::Cancel,
                    _ => continue,
                };
                if sender.send(change).await.is_err() {
                    return;
                }
            }
        });
        Ok(receiver)
    }

    async fn answer_question(&self, run: &str, node: &str, answer: &str) -> Result<()> {
        let (run, node, answer) = (run.to_owned(), node.to_owned(), answer.to_owned());
        let request = AnswerQuestionRequest { run, node, answer, ..AnswerQuestionRequest::default() };
        self.0.answer_question(request).await.map(|_| ())
    }

    async fn gather_context(&self, request: GatherContextRequest) -> Result<GatherContextResponse> {
        self.0.gather_context(request).await
    }

    async fn remember(&self, request: RememberRequest) -> Result<()> {
        self.0.remember(request).await.map(|_| ())
    }

    async fn route(&self, request: RouteRequest) -> Result<RouteResponse> {
        self.0.route(request).await
    }

    async fn get_node(&self, name: &str) -> Result<Option<Node>> {
        match self.0.get_node(name).await {
            Ok(found) => Ok(found.node),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn register_nodes(&self, nodes: Vec<Node>, key: &str) -> Result<RegisterNodesResponse> {
        let head = RegisterNodesRequest { wait: true, idempotency_key: key.to_owned(), ..Default::default() };
        self.0.register_nodes(head, nodes).await
    }

    async fn record_outcome(&self, request: RecordOutcomeRequest) -> Result<()> {
        self.0.record_outcome(request).await
    }

    /// The page becomes a document of the namespace, so later nodes find it, too.
    async fn fetch_page(&self, url: &str, question: &str) -> Result<String> {
        let request = FetchAndIngestRequest { uri: url.to_owned(), ..FetchAndIngestRequest::default() };
        let report = self.0.fetch_and_ingest(request).await?.finish(|_| {}).await?;
        if let Some(issue) = report.failed.first().or(report.skipped.first()) {
            let message = format!("{url} could not be read: {}", issue.reason);
            return Err(ClientError::local(ErrorKind::NotFound, message));
        }
        let filter = SearchFilter { sources: vec![report.source], ..SearchFilter::default() };
        let request = GatherContextRequest {
            task: if question.is_empty() { url } else { question }.to_owned(),
            budget_tokens: Some(PAGE_TOKENS),
            filter: Some(filter),
            ..GatherContextRequest::default()
        };
        Ok(self.0.gather_context(request).await?.text)
    }
}
