//! The [`Backend`] that is a hivemem server.

use std::time::Duration;

use tokio::sync::mpsc;

use super::backend::{Backend, Change, Result, RunSnapshot};
use crate::client::{Client, Transport, done};
use crate::error::{ClientError, ErrorKind};
use crate::proto::swarm_client::SwarmClient;
use crate::proto::watch_run_response::Change as WireChange;
use crate::proto::{
    AcquireRunRequest, AnswerQuestionRequest, AppendEventsRequest, CreateRunRequest, GatherContextRequest,
    GatherContextResponse, Node, ReadStateRequest, RecordOutcomeRequest, RegisterNodesRequest, RegisterNodesResponse,
    ReleaseRunRequest, RememberRequest, RenewRunRequest, RouteRequest, RouteResponse, Run, RunEvent, WatchRunRequest,
};

/// See [`Backend`].
#[derive(Debug, Clone)]
pub struct ServerBackend(Client);

impl ServerBackend {
    /// Over a connection, in its namespace.
    pub fn new(client: Client) -> Self {
        Self(client)
    }

    fn swarm(&self) -> SwarmClient<Transport> {
        self.0.swarm.clone()
    }

    fn namespace(&self) -> String {
        self.0.namespace().to_owned()
    }
}

fn no_run() -> ClientError {
    ClientError::local(ErrorKind::Internal, "the server's reply holds no run")
}

fn duration(ttl: Duration) -> prost_types::Duration {
    prost_types::Duration { seconds: ttl.as_secs() as i64, nanos: ttl.subsec_nanos() as i32 }
}

#[tonic::async_trait]
impl Backend for ServerBackend {
    async fn create_run(&self, goal: &str, settings: &str, key: &str) -> Result<Run> {
        let request = CreateRunRequest {
            namespace: self.namespace(),
            goal: goal.to_owned(),
            settings: settings.to_owned(),
            idempotency_key: key.to_owned(),
        };
        done(self.swarm().create_run(self.0.timed(request)).await)?.run.ok_or_else(no_run)
    }

    async fn acquire_run(&self, run: &str, holder: &str, ttl: Duration) -> Result<(u64, Run)> {
        let request = AcquireRunRequest {
            namespace: self.namespace(),
            run: run.to_owned(),
            holder: holder.to_owned(),
            ttl: Some(duration(ttl)),
        };
        let reply = done(self.swarm().acquire_run(self.0.timed(request)).await)?;
        Ok((reply.fence, reply.run.ok_or_else(no_run)?))
    }

    async fn renew_run(&self, run: &str, fence: u64, ttl: Duration) -> Result<bool> {
        let request =
            RenewRunRequest { namespace: self.namespace(), run: run.to_owned(), fence, ttl: Some(duration(ttl)) };
        Ok(done(self.swarm().renew_run(self.0.timed(request)).await)?.cancel_requested)
    }

    async fn release_run(&self, run: &str, fence: u64) -> Result<()> {
        let request = ReleaseRunRequest { namespace: self.namespace(), run: run.to_owned(), fence };
        done(self.swarm().release_run(self.0.timed(request)).await).map(|_| ())
    }

    async fn append_events(&self, run: &str, fence: u64, events: Vec<RunEvent>) -> Result<()> {
        let request = AppendEventsRequest { namespace: self.namespace(), run: run.to_owned(), fence, events };
        done(self.swarm().append_events(self.0.timed(request)).await).map(|_| ())
    }

    async fn read_state(&self, run: &str) -> Result<RunSnapshot> {
        let request = ReadStateRequest { namespace: self.namespace(), run: run.to_owned() };
        let mut pieces = done(self.swarm().read_state(self.0.timed(request)).await)?;
        let mut snapshot = RunSnapshot::default();
        while let Some(piece) = pieces.message().await? {
            snapshot.run = piece.run.unwrap_or(snapshot.run);
            snapshot.nodes.extend(piece.nodes);
            snapshot.queue.extend(piece.queue);
        }
        Ok(snapshot)
    }

    async fn watch_run(&self, run: &str, from: u64) -> Result<mpsc::Receiver<Change>> {
        let request = WatchRunRequest { namespace: self.namespace(), run: run.to_owned(), from_sequence: from };
        let mut changes = done(self.swarm().watch_run(tonic::Request::new(request)).await)?;
        let (sender, receiver) = mpsc::channel(64);
        tokio::spawn(async move {
            // A broken stream ends the channel; the holder listens anew.
            while let Some(message) = tokio::select! {
                () = sender.closed() => None,
                message = changes.message() => message.ok().flatten(),
            } {
                let change = match message.change {
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
        let request = AnswerQuestionRequest {
            namespace: self.namespace(),
            run: run.to_owned(),
            node: node.to_owned(),
            answer: answer.to_owned(),
        };
        done(self.swarm().answer_question(self.0.timed(request)).await).map(|_| ())
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
}
