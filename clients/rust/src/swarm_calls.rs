//! The calls of `hivemem.v1.Swarm`: runs, their histories, questions. What runs them is in the module `swarm`.

use tonic::{Request, Streaming};

use crate::client::{Client, Result, done};
use crate::error::ClientError;
use crate::proto::{
    AcquireRunRequest, AcquireRunResponse, AnswerQuestionRequest, AnswerQuestionResponse, AppendEventsRequest,
    AppendEventsResponse, CancelRunRequest, CancelRunResponse, CompactRunRequest, CompactRunResponse, CreateRunRequest,
    CreateRunResponse, DeleteRunRequest, DeleteRunResponse, GetRunRequest, GetRunResponse, ListQuestionsRequest,
    ListQuestionsResponse, ListRunsRequest, ListRunsResponse, ReadEventsRequest, ReadEventsResponse, ReadStateRequest,
    ReadStateResponse, ReleaseRunRequest, ReleaseRunResponse, RenewRunRequest, RenewRunResponse, WatchRunRequest,
    WatchRunResponse,
};

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident($request:ty) -> $response:ty;)+) => {
        impl Client {
            $($(#[$doc])*
            ///
            /// # Errors
            /// The server's: [`NotFound`](crate::ErrorKind::NotFound) for an unknown run,
            /// [`Conflict`](crate::ErrorKind::Conflict) with code `ABORTED` where the lease is another's.
            pub async fn $name(&self, mut request: $request) -> Result<$response> {
                self.fill(&mut request.namespace);
                done(self.swarm.clone().$name(self.timed(request)).await)
            })+
        }
    };
}

calls! {
    /// Makes a run that nobody holds yet.
    create_run(CreateRunRequest) -> CreateRunResponse;
    /// Runs, newest first, in pages.
    list_runs(ListRunsRequest) -> ListRunsResponse;
    /// One run.
    get_run(GetRunRequest) -> GetRunResponse;
    /// Takes the lease of a run.
    acquire_run(AcquireRunRequest) -> AcquireRunResponse;
    /// Keeps the lease for another while.
    renew_run(RenewRunRequest) -> RenewRunResponse;
    /// Gives the lease up.
    release_run(ReleaseRunRequest) -> ReleaseRunResponse;
    /// Appends to the history, all or none. Safe to send again.
    append_events(AppendEventsRequest) -> AppendEventsResponse;
    /// A page of the history.
    read_events(ReadEventsRequest) -> ReadEventsResponse;
    /// Questions that wait for an answer, oldest first, in pages.
    list_questions(ListQuestionsRequest) -> ListQuestionsResponse;
    /// Answers a question. Safe to send again.
    answer_question(AnswerQuestionRequest) -> AnswerQuestionResponse;
    /// Asks for the end of a run.
    cancel_run(CancelRunRequest) -> CancelRunResponse;
    /// Replaces the history by the state that it comes down to.
    compact_run(CompactRunRequest) -> CompactRunResponse;
    /// Removes a run.
    delete_run(DeleteRunRequest) -> DeleteRunResponse;
}

impl Client {
    /// What a history comes down to, in pieces. The first one holds the run, the last one the queue.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for an unknown run; errors on the way come through the stream.
    pub async fn read_state(&self, run: &str) -> Result<StateStream> {
        let request = ReadStateRequest { namespace: self.namespace().to_owned(), run: run.to_owned() };
        done(self.swarm.clone().read_state(self.timed(request)).await).map(StateStream)
    }

    /// The history of a run from a number on, then what comes, until it ends. No deadline; drop the stream to stop.
    ///
    /// # Errors
    /// [`Precondition`](crate::ErrorKind::Precondition) if the number was compacted away; errors on the way come through the
    /// stream.
    pub async fn watch_run(&self, mut request: WatchRunRequest) -> Result<RunWatch> {
        self.fill(&mut request.namespace);
        done(self.swarm.clone().watch_run(Request::new(request)).await).map(RunWatch)
    }
}

/// The state of a run as it arrives.
#[derive(Debug)]
pub struct StateStream(Streaming<ReadStateResponse>);

impl StateStream {
    /// The next piece, or none at the end.
    ///
    /// # Errors
    /// The server's, such as [`Unavailable`](crate::ErrorKind::Unavailable) if the run went on meanwhile: read it again.
    pub async fn next_piece(&mut self) -> std::result::Result<Option<ReadStateResponse>, ClientError> {
        Ok(self.0.message().await?)
    }

    /// All pieces as one.
    ///
    /// # Errors
    /// As [`Self::next_piece`].
    pub async fn whole(mut self) -> std::result::Result<ReadStateResponse, ClientError> {
        let mut whole = ReadStateResponse::default();
        while let Some(piece) = self.next_piece().await? {
            whole.run = whole.run.or(piece.run);
            whole.nodes.extend(piece.nodes);
            whole.queue.extend(piece.queue);
        }
        Ok(whole)
    }
}

/// What happens to a run, as it happens.
#[derive(Debug)]
pub struct RunWatch(Streaming<WatchRunResponse>);

impl RunWatch {
    /// The next change, or none once the run has ended.
    ///
    /// # Errors
    /// The server's, such as [`Unavailable`](crate::ErrorKind::Unavailable) when it stops: watch again from the next number.
    pub async fn next_change(&mut self) -> std::result::Result<Option<WatchRunResponse>, ClientError> {
        Ok(self.0.message().await?)
    }
}
