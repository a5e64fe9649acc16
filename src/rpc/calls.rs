//! What every unary call goes through: who may, once per key, and what becomes of an error.

use prost::Message;
use tonic::{Request, Response, Status, Streaming};

use super::idempotency::Identity;
use super::proto;
use super::status::status;
use super::{Context, detached};
use crate::base::error::{Error, Result};
use crate::flow::access::Grant;

/// What a call answers.
pub(super) type Reply<T> = std::result::Result<Response<T>, Status>;

/// A message that asks something of one namespace.
pub(super) trait Asked: Message {
    fn namespace(&self) -> &str;
}

/// One that changes something: the same one may come twice. What is the same when it is done again has no key.
pub(super) trait Change: Asked {
    /// Name of the call, so that a key of another one is told from it.
    const CALL: &'static str;

    fn key(&self) -> &str;
}

macro_rules! asked {
    ($($message:ident),+ $(,)?) => {
        $(impl Asked for proto::$message {
            fn namespace(&self) -> &str {
                &self.namespace
            }
        })+
    };
}

macro_rules! changes {
    ($($call:literal = $message:ident),+ $(,)?) => {
        $(asked!($message);
        impl Change for proto::$message {
            const CALL: &'static str = $call;

            fn key(&self) -> &str {
                &self.idempotency_key
            }
        })+
    };
}

asked!(TreeRequest, OutlineRequest, NeighborsRequest, PathRequest, RelatedRequest, ResolveRequest);
asked!(ListNodesRequest, GetNodeRequest, RouteRequest, ReportRoutingRequest);

impl Asked for proto::RouteBatchRequest {
    fn namespace(&self) -> &str {
        self.common.as_ref().map_or("", |common| &common.namespace)
    }
}

changes! {
    "Link" = LinkRequest,
    "Unlink" = UnlinkRequest,
    "ImportNodes" = ImportNodesRequest,
    "RemoveNodes" = RemoveNodesRequest,
    "AddExamples" = AddExamplesRequest,
    "RecordOutcome" = RecordOutcomeRequest,
    "Remember" = RememberRequest,
    "Forget" = ForgetRequest,
}

/// Changes that are the same when they are done again.
macro_rules! repeatable {
    ($($call:literal = $message:ident),+ $(,)?) => {
        $(asked!($message);
        impl Change for proto::$message {
            const CALL: &'static str = $call;

            fn key(&self) -> &str {
                ""
            }
        })+
    };
}

asked!(ListRunsRequest, GetRunRequest, AcquireRunRequest, RenewRunRequest, ReleaseRunRequest);
asked!(ListDataRequest, StatDataRequest, LocateDataRequest, VerifyDataRequest, SearchDataRequest);
asked!(ReadEventsRequest, ListQuestionsRequest, CompactRunRequest);

changes! {
    "RegisterNodes" = RegisterNodesRequest,
    "RegisterData" = RegisterDataRequest,
    "UnregisterData" = UnregisterDataRequest,
    "CreateRun" = CreateRunRequest,
    "DeleteRun" = DeleteRunRequest,
}

repeatable! {
    "AppendEvents" = AppendEventsRequest,
    "AnswerQuestion" = AnswerQuestionRequest,
    "CancelRun" = CancelRunRequest,
}

pub(super) fn reply<T>(result: Result<T>) -> Reply<T> {
    result.map(Response::new).map_err(|error| status(&error))
}

impl Context {
    /// Answers a question; it ends when the caller goes away.
    pub(super) async fn answer<Q, T, F>(&self, request: Request<Q>, work: impl FnOnce(Grant, Q) -> F + Send) -> Reply<T>
    where
        Q: Asked,
        F: Future<Output = Result<T>> + Send,
    {
        let (metadata, _, asked) = request.into_parts();
        let answered = async { work(self.grant(&metadata, asked.namespace())?, asked).await };
        reply(answered.await)
    }

    /// Makes a change, once per idempotency key and to its end even if the caller goes away.
    pub(super) async fn change<Q, T, F>(
        &self,
        request: Request<Q>,
        work: impl FnOnce(Self, Grant, Q) -> F + Send + 'static,
    ) -> Reply<T>
    where
        Q: Change + 'static,
        T: Message + Default + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let (metadata, _, asked) = request.into_parts();
        let context = self.clone();
        let done = detached(async move {
            let grant = context.grant(&metadata, asked.namespace())?;
            if asked.key().is_empty() {
                return work(context, grant, asked).await;
            }
            let identity = Identity::new(Q::CALL, asked.key(), &asked)?;
            let work = work(context.clone(), grant.clone(), asked);
            context.replies.once(&context.engines, &grant, &identity, work).await
        });
        reply(done.await)
    }

    /// The same of a stream of messages, whose first says whose it is and is what the key stands for: what is sent after it is not
    /// here yet when the key is looked up. `what` names in an error what the stream lacks.
    pub(super) async fn change_by_stream<Q, T, F>(
        &self,
        request: Request<Streaming<Q>>,
        what: &'static str,
        work: impl FnOnce(Self, Grant, Q, Streaming<Q>) -> F + Send + 'static,
    ) -> Reply<T>
    where
        Q: Change + 'static,
        T: Message + Default + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let (metadata, _, mut messages) = request.into_parts();
        let empty = || status(&Error::invalid(what, format!("the stream of {what} is empty")));
        let first = messages.message().await?.ok_or_else(empty)?;
        let context = self.clone();
        let done = detached(async move {
            let grant = context.grant(&metadata, first.namespace())?;
            let identity = Identity::new(Q::CALL, first.key(), &first)?;
            let work = work(context.clone(), grant.clone(), first, messages);
            context.replies.once(&context.engines, &grant, &identity, work).await
        });
        reply(done.await)
    }
}
