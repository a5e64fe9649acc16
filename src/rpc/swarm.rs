//! `hivemem.v1.Swarm`.

use std::pin::Pin;
use std::time::Duration;

use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use super::calls::Reply;
use super::proto::{self, run_event, swarm_server::Swarm, watch_run_response};
use super::status::status;
use super::{Context, convert};
use crate::base::RunId;
use crate::base::Timestamp;
use crate::base::error::{Error, Result};
use crate::base::limits::{RUN_EVENTS_PAGE_DEFAULT, RUN_LIST_DEFAULT};
use crate::engine::catalog::runs::{HeldNode, StatePage};
use crate::flow::access::Grant;
use crate::flow::runs::watch::Change;
use crate::model::run::QuestionText;
use crate::model::{Event, EventKind, NodePath, NodePhase, Question, Run, RunStatus};

/// The service.
#[derive(Debug)]
pub struct Service {
    context: Context,
}

type Replies<T> = Pin<Box<dyn Stream<Item = std::result::Result<T, Status>> + Send>>;

impl Service {
    /// Over these engines.
    pub fn new(context: Context) -> Self {
        Self { context }
    }

    /// The caller's grant and the run that it names.
    fn open(&self, metadata: &MetadataMap, namespace: &str, run: &str) -> Result<(Grant, RunId)> {
        Ok((self.context.grant(metadata, namespace)?, convert::run_id(run)?))
    }

    fn now(&self) -> Timestamp {
        self.context.engines.clock.now()
    }
}

fn wire_status(status: RunStatus) -> i32 {
    let status = match status {
        RunStatus::Open => proto::RunStatus::Open,
        RunStatus::Succeeded => proto::RunStatus::Succeeded,
        RunStatus::Failed => proto::RunStatus::Failed,
        RunStatus::Cancelled => proto::RunStatus::Cancelled,
    };
    status.into()
}

fn run_status(field: &'static str, value: i32) -> Result<Option<RunStatus>> {
    match proto::RunStatus::try_from(value) {
        Ok(proto::RunStatus::Unspecified) => Ok(None),
        Ok(proto::RunStatus::Open) => Ok(Some(RunStatus::Open)),
        Ok(proto::RunStatus::Succeeded) => Ok(Some(RunStatus::Succeeded)),
        Ok(proto::RunStatus::Failed) => Ok(Some(RunStatus::Failed)),
        Ok(proto::RunStatus::Cancelled) => Ok(Some(RunStatus::Cancelled)),
        Err(_) => Err(Error::invalid(field, format!("status {value} is not known"))),
    }
}

/// A run as it is at `now`: a lease that ran out is nobody's.
fn run(run: Run, now: Timestamp) -> proto::Run {
    let holder = run.holder_at(now).map(str::to_owned);
    proto::Run {
        id: run.id.to_string(),
        status: wire_status(run.tally.status),
        created_at: Some(convert::timestamp(run.created_at)),
        updated_at: Some(convert::timestamp(run.updated_at)),
        last_sequence: run.tally.last_sequence,
        nodes: run.tally.nodes,
        nodes_finished: run.tally.nodes_finished,
        open_questions: run.tally.open_questions,
        prompt_tokens: run.tally.prompt_tokens,
        completion_tokens: run.tally.completion_tokens,
        lease_until: holder.is_some().then(|| convert::timestamp(run.lease_until)),
        holder: holder.unwrap_or_default(),
        cancel_requested: run.cancel_requested,
        result: run.result,
        settings: run.settings,
        goal: run.goal,
    }
}

fn kind(value: i32) -> Option<EventKind> {
    use run_event::Kind;
    Some(match Kind::try_from(value).ok()? {
        Kind::Unspecified => return None,
        Kind::CreateNode => EventKind::CreateNode,
        Kind::RunNode => EventKind::RunNode,
        Kind::NodeOutput => EventKind::NodeOutput,
        Kind::NodeError => EventKind::NodeError,
        Kind::DeleteNode => EventKind::DeleteNode,
        Kind::Question => EventKind::Question,
        Kind::Answer => EventKind::Answer,
        Kind::Receipt => EventKind::Receipt,
        Kind::EndRun => EventKind::EndRun,
    })
}

fn wire_kind(kind: EventKind) -> i32 {
    use run_event::Kind;
    let kind = match kind {
        EventKind::CreateNode => Kind::CreateNode,
        EventKind::RunNode => Kind::RunNode,
        EventKind::NodeOutput => Kind::NodeOutput,
        EventKind::NodeError => Kind::NodeError,
        EventKind::DeleteNode => Kind::DeleteNode,
        EventKind::Question => Kind::Question,
        EventKind::Answer => Kind::Answer,
        EventKind::Receipt => Kind::Receipt,
        EventKind::EndRun => Kind::EndRun,
    };
    kind.into()
}

fn event(wire: proto::RunEvent) -> Result<Event> {
    let number = wire.sequence;
    let unknown = || Error::invalid("events", format!("event {number} is of kind {}, which is not known", wire.kind));
    Ok(Event {
        sequence: number,
        kind: kind(wire.kind).ok_or_else(unknown)?,
        node: if wire.node.is_empty() { None } else { Some(NodePath::parse(&wire.node)?) },
        status: run_status("events", wire.status)?,
        node_type: wire.node_type,
        data: wire.data,
        output: wire.output,
        attempt: wire.attempt,
        waits: wire.waits,
        key: wire.key,
        prompt_tokens: wire.prompt_tokens,
        completion_tokens: wire.completion_tokens,
        at: Timestamp::default(),
    })
}

fn wire_event(event: Event) -> proto::RunEvent {
    proto::RunEvent {
        sequence: event.sequence,
        kind: wire_kind(event.kind),
        node: event.node.map(|node| node.to_string()).unwrap_or_default(),
        node_type: event.node_type,
        data: event.data,
        output: event.output,
        attempt: event.attempt,
        waits: event.waits,
        key: event.key,
        status: event.status.map(wire_status).unwrap_or_default(),
        prompt_tokens: event.prompt_tokens,
        completion_tokens: event.completion_tokens,
        at: Some(convert::timestamp(event.at)),
    }
}

fn question(question: Question) -> proto::Question {
    let QuestionText { text, choices } = QuestionText::parse(&question.asked.data);
    let (answer, answered_at) = question.asked.answer.unzip();
    proto::Question {
        run: question.run.to_string(),
        node: question.node.to_string(),
        text,
        choices,
        asked_at: Some(convert::timestamp(question.asked.at)),
        answered: answer.is_some(),
        answer: answer.unwrap_or_default(),
        answered_at: answered_at.map(convert::timestamp),
    }
}

fn node(held: HeldNode) -> proto::RunNode {
    let phase = match held.state.phase {
        NodePhase::Queued => proto::NodePhase::Queued,
        NodePhase::Running => proto::NodePhase::Running,
        NodePhase::Waiting => proto::NodePhase::Waiting,
        NodePhase::Asking => proto::NodePhase::Asking,
        NodePhase::Finished => proto::NodePhase::Finished,
        NodePhase::Failed => proto::NodePhase::Failed,
    };
    let asked = held.question.map(question).unwrap_or_default();
    proto::RunNode {
        node: held.node.to_string(),
        node_type: held.state.node_type,
        data: held.data,
        output: held.output,
        phase: phase.into(),
        attempts: held.state.attempts,
        children: held.state.children,
        children_finished: held.state.children_finished,
        receipts: held.receipts.into_iter().map(|(key, receipt)| proto::RunReceipt { key, receipt }).collect(),
        question: asked.text,
        answer: asked.answer,
        answered: asked.answered,
        failures: held.state.failures,
        context: held.context,
    }
}

fn change(change: Change) -> proto::WatchRunResponse {
    use watch_run_response::Change as Wire;
    let change = match change {
        Change::Event(event) => Wire::Event(wire_event(*event)),
        Change::Answered(asked) => Wire::Answered(question(asked)),
        Change::CancelRequested => Wire::CancelRequested(true),
    };
    proto::WatchRunResponse { change: Some(change) }
}

fn ttl(ttl: Option<prost_types::Duration>) -> Result<Option<Duration>> {
    ttl.as_ref().map(convert::from_duration).transpose()
}

fn or_default(size: u32, default: u32) -> u32 {
    if size == 0 { default } else { size }
}

#[tonic::async_trait]
impl Swarm for Service {
    type ReadStateStream = Replies<proto::ReadStateResponse>;
    type WatchRunStream = Replies<proto::WatchRunResponse>;

    async fn create_run(&self, request: Request<proto::CreateRunRequest>) -> Reply<proto::CreateRunResponse> {
        let work = |context: Context, grant: Grant, request: proto::CreateRunRequest| async move {
            let made = context.runs.create(&grant, request.goal, request.settings).await?;
            Ok(proto::CreateRunResponse { run: Some(run(made, context.engines.clock.now())) })
        };
        self.context.change(request, work).await
    }

    async fn list_runs(&self, request: Request<proto::ListRunsRequest>) -> Reply<proto::ListRunsResponse> {
        let work = |grant: Grant, request: proto::ListRunsRequest| async move {
            let statuses = request.statuses.iter().map(|status| run_status("statuses", *status));
            let statuses: Vec<RunStatus> = statuses.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
            let size = or_default(request.page_size, RUN_LIST_DEFAULT);
            let (runs, next) = self.context.runs.list(&grant, &statuses, &request.page_token, size).await?;
            let runs = runs.into_iter().map(|held| run(held, self.now())).collect();
            Ok(proto::ListRunsResponse { runs, next_page_token: next })
        };
        self.context.answer(request, work).await
    }

    async fn get_run(&self, request: Request<proto::GetRunRequest>) -> Reply<proto::GetRunResponse> {
        let work = |grant: Grant, request: proto::GetRunRequest| async move {
            let id = convert::run_id(&request.run)?;
            Ok(proto::GetRunResponse { run: Some(run(self.context.runs.get(&grant, id).await?, self.now())) })
        };
        self.context.answer(request, work).await
    }

    async fn acquire_run(&self, request: Request<proto::AcquireRunRequest>) -> Reply<proto::AcquireRunResponse> {
        let work = |grant: Grant, request: proto::AcquireRunRequest| async move {
            let id = convert::run_id(&request.run)?;
            let held = self.context.runs.acquire(&grant, id, &request.holder, ttl(request.ttl)?).await?;
            Ok(proto::AcquireRunResponse {
                fence: held.fence,
                lease_until: Some(convert::timestamp(held.lease_until)),
                run: Some(run(held, self.now())),
            })
        };
        self.context.answer(request, work).await
    }

    async fn renew_run(&self, request: Request<proto::RenewRunRequest>) -> Reply<proto::RenewRunResponse> {
        let work = |grant: Grant, request: proto::RenewRunRequest| async move {
            let id = convert::run_id(&request.run)?;
            let held = self.context.runs.renew(&grant, id, request.fence, ttl(request.ttl)?).await?;
            Ok(proto::RenewRunResponse {
                lease_until: Some(convert::timestamp(held.lease_until)),
                cancel_requested: held.cancel_requested,
            })
        };
        self.context.answer(request, work).await
    }

    async fn release_run(&self, request: Request<proto::ReleaseRunRequest>) -> Reply<proto::ReleaseRunResponse> {
        let work = |grant: Grant, request: proto::ReleaseRunRequest| async move {
            let id = convert::run_id(&request.run)?;
            self.context.runs.release(&grant, id, request.fence).await?;
            Ok(proto::ReleaseRunResponse {})
        };
        self.context.answer(request, work).await
    }

    async fn append_events(&self, request: Request<proto::AppendEventsRequest>) -> Reply<proto::AppendEventsResponse> {
        // To its end though the caller leaves, or those who watch would not hear of it.
        let work = |context: Context, grant: Grant, request: proto::AppendEventsRequest| async move {
            let id = convert::run_id(&request.run)?;
            let events = request.events.into_iter().map(event).collect::<Result<Vec<Event>>>()?;
            let done = context.runs.append(&grant, id, request.fence, events).await?;
            Ok(proto::AppendEventsResponse {
                last_sequence: done.run.tally.last_sequence,
                appended: done.appended,
                duplicates: done.duplicates,
            })
        };
        self.context.change(request, work).await
    }

    async fn read_state(&self, request: Request<proto::ReadStateRequest>) -> Reply<Self::ReadStateStream> {
        let (metadata, _, request) = request.into_parts();
        let pieces = async {
            let (grant, id) = self.open(&metadata, &request.namespace, &request.run)?;
            self.context.runs.state(&grant, id).await
        };
        let (pieces, now, mut first) = (pieces.await.map_err(|error| status(&error))?, self.now(), true);
        let pieces = ReceiverStream::new(pieces).map(move |piece| {
            let StatePage { run: held, nodes, queue } = piece.map_err(|error| status(&error))?;
            let queue = queue.unwrap_or_default();
            Ok(proto::ReadStateResponse {
                run: std::mem::take(&mut first).then(|| run(held, now)),
                nodes: nodes.into_iter().map(node).collect(),
                queue: queue.iter().map(ToString::to_string).collect(),
            })
        });
        Ok(Response::new(Box::pin(pieces)))
    }

    async fn read_events(&self, request: Request<proto::ReadEventsRequest>) -> Reply<proto::ReadEventsResponse> {
        let work = |grant: Grant, request: proto::ReadEventsRequest| async move {
            let id = convert::run_id(&request.run)?;
            let size = or_default(request.page_size, RUN_EVENTS_PAGE_DEFAULT);
            let page = self.context.runs.read(&grant, id, request.from_sequence, size).await?;
            Ok(proto::ReadEventsResponse {
                events: page.events.into_iter().map(wire_event).collect(),
                next_sequence: page.next.unwrap_or_default(),
                compacted_through: page.run.compacted_through,
            })
        };
        self.context.answer(request, work).await
    }

    async fn watch_run(&self, request: Request<proto::WatchRunRequest>) -> Reply<Self::WatchRunStream> {
        let (metadata, _, request) = request.into_parts();
        let changes = async {
            let (grant, id) = self.open(&metadata, &request.namespace, &request.run)?;
            self.context.runs.watch(&grant, id, request.from_sequence).await
        };
        let changes = ReceiverStream::new(changes.await.map_err(|error| status(&error))?);
        Ok(Response::new(Box::pin(changes.map(|told| told.map(change).map_err(|error| status(&error))))))
    }

    async fn list_questions(
        &self,
        request: Request<proto::ListQuestionsRequest>,
    ) -> Reply<proto::ListQuestionsResponse> {
        let work = |grant: Grant, request: proto::ListQuestionsRequest| async move {
            let id = if request.run.is_empty() { None } else { Some(convert::run_id(&request.run)?) };
            let size = or_default(request.page_size, RUN_LIST_DEFAULT);
            let (questions, next) = self.context.runs.questions(&grant, id, &request.page_token, size).await?;
            let questions = questions.into_iter().map(question).collect();
            Ok(proto::ListQuestionsResponse { questions, next_page_token: next })
        };
        self.context.answer(request, work).await
    }

    async fn answer_question(
        &self,
        request: Request<proto::AnswerQuestionRequest>,
    ) -> Reply<proto::AnswerQuestionResponse> {
        let work = |context: Context, grant: Grant, request: proto::AnswerQuestionRequest| async move {
            let id = convert::run_id(&request.run)?;
            let node = NodePath::parse(&request.node)?;
            let asked = context.runs.answer(&grant, id, &node, &request.answer).await?;
            Ok(proto::AnswerQuestionResponse { question: Some(question(asked)) })
        };
        self.context.change(request, work).await
    }

    async fn cancel_run(&self, request: Request<proto::CancelRunRequest>) -> Reply<proto::CancelRunResponse> {
        let work = |context: Context, grant: Grant, request: proto::CancelRunRequest| async move {
            let id = convert::run_id(&request.run)?;
            let now = context.engines.clock.now();
            let held = context.runs.cancel(&grant, id).await?;
            Ok(proto::CancelRunResponse { run: Some(run(held, now)) })
        };
        self.context.change(request, work).await
    }

    async fn compact_run(&self, request: Request<proto::CompactRunRequest>) -> Reply<proto::CompactRunResponse> {
        let work = |grant: Grant, request: proto::CompactRunRequest| async move {
            let id = convert::run_id(&request.run)?;
            let done = self.context.runs.compact(&grant, id).await?;
            Ok(proto::CompactRunResponse { events_removed: done.events, bytes_removed: done.bytes })
        };
        self.context.answer(request, work).await
    }

    async fn delete_run(&self, request: Request<proto::DeleteRunRequest>) -> Reply<proto::DeleteRunResponse> {
        let work = |context: Context, grant: Grant, request: proto::DeleteRunRequest| async move {
            let id = convert::run_id(&request.run)?;
            Ok(proto::DeleteRunResponse { events: context.runs.delete(&grant, id).await? })
        };
        self.context.change(request, work).await
    }
}
