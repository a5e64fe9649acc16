//! `hivemem.v1.Ingest`. Long calls run in a task of their own: if the caller goes away, the work still ends well.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::calls::Reply;
use super::idempotency::Identity;
use super::proto::{self, forget_request::Selector as WireSelector, ingest_progress, ingest_server::Ingest};
use super::status::status;
use super::{Context, convert};
use crate::base::error::{Error, Kind};
use crate::base::limits::PUT_BATCH_DOCUMENTS_MAX;
use crate::base::{DocumentId, Result};
use crate::engine::store::{Crawl, ListOptions};
use crate::flow::access::Grant;
use crate::flow::ingest::{Phase, Progress, ProgressSink, Report};
use crate::flow::memory::Memory;
use crate::flow::put::{InputDocument, Put};
use crate::flow::watch::{Follow, News};
use crate::flow::{forget, ingest, memory, preview, put};

/// The service.
#[derive(Debug)]
pub struct Service {
    context: Context,
}

impl Service {
    /// Over these engines.
    pub fn new(context: Context) -> Self {
        Self { context }
    }
}

pub(super) type Progressed = std::result::Result<proto::IngestProgress, Status>;

/// What a long call ends with: its report, and what comes after it if a source is followed.
pub(super) type Done = (Report, Option<broadcast::Receiver<News>>);

/// Forwards progress to the caller while `work` runs, then its report, then news for as long as there may be some.
pub(super) fn stream<F>(
    context: Context,
    grant: Grant,
    identity: Identity,
    work: impl FnOnce(Context, Grant, ProgressSink) -> F + Send + 'static,
) -> Response<ReceiverStream<Progressed>>
where
    F: Future<Output = Result<Done>> + Send + 'static,
{
    let (replies, receiver) = mpsc::channel::<Progressed>(64);
    tokio::spawn(async move {
        let began = Instant::now();
        let (sink, mut progress) = mpsc::channel(64);
        let work = tokio::spawn(async move {
            let (engines, asked) = (context.engines.clone(), grant.clone());
            let known = Arc::clone(&context.replies);
            let mut news = None;
            let work = async {
                let (report, after) = work(context, grant, sink).await?;
                news = after;
                Ok(convert::report(report, began.elapsed()))
            };
            let report = known.once(&engines, &asked, &identity, work).await?;
            Ok((report, news))
        });
        let mut tracker = Tracker { embedding_since: None };
        while let Some(progress) = progress.recv().await {
            // A caller that went away or does not read must not stop the work.
            let _ = replies.try_send(Ok(tracker.message(&progress)));
        }
        let (reply, news) = match work.await {
            Ok(Ok((report, news))) => (Ok(last(report)), news),
            Ok(Err(error)) => (Err(status(&error)), None),
            Err(cause) => (Err(status(&Error::internal("the ingest ended early").caused_by(cause))), None),
        };
        if replies.send(reply).await.is_ok()
            && let Some(news) = news
        {
            pass_on(news, &replies).await;
        }
    });
    Response::new(ReceiverStream::new(receiver))
}

/// Passes news of a followed source on until the following ends or the caller goes away.
async fn pass_on(mut news: broadcast::Receiver<News>, replies: &mpsc::Sender<Progressed>) {
    loop {
        let message = tokio::select! {
            () = replies.closed() => return,
            message = news.recv() => message,
        };
        let reply = match message {
            Ok(News::Synced(report, took)) => Ok(last(convert::report(Arc::unwrap_or_clone(report), took))),
            Ok(News::Problem(problem)) => Ok(proto::IngestProgress { problem, ..proto::IngestProgress::default() }),
            Ok(News::Stopping) => {
                let message = "the server is shutting down; it goes on following the source when it runs again";
                Err(status(&Error::new(Kind::Unavailable, message)))
            }
            Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return,
        };
        // A caller that does not read misses some; it must not keep the server from stopping.
        let ends = reply.is_err();
        let _ = replies.try_send(reply);
        if ends {
            return;
        }
    }
}

/// Turns progress into messages, with the time that the rest will take.
struct Tracker {
    embedding_since: Option<Instant>,
}

impl Tracker {
    fn message(&mut self, progress: &Progress) -> proto::IngestProgress {
        let (phase, eta) = match progress.phase {
            Phase::Listing => (ingest_progress::Phase::Listing, None),
            Phase::Reading => (ingest_progress::Phase::Reading, None),
            Phase::Embedding => {
                let since = *self.embedding_since.get_or_insert_with(Instant::now);
                (ingest_progress::Phase::Embedding, eta(since.elapsed(), progress.chunks_embedded, progress.chunks))
            }
        };
        proto::IngestProgress {
            phase: phase.into(),
            files_total: progress.files_total,
            files_done: progress.files_done,
            bytes_done: progress.bytes_done,
            chunks: progress.chunks,
            chunks_to_embed: progress.chunks,
            chunks_embedded: progress.chunks_embedded,
            acknowledged: progress.phase == Phase::Embedding,
            eta: eta.map(convert::duration),
            report: None,
            problem: String::new(),
        }
    }
}

/// Time for the rest at the speed so far.
fn eta(elapsed: Duration, done: u64, total: u64) -> Option<Duration> {
    (done > 0).then(|| elapsed.mul_f64(total.saturating_sub(done) as f64 / done as f64))
}

fn last(report: proto::IngestReport) -> proto::IngestProgress {
    proto::IngestProgress {
        phase: ingest_progress::Phase::Done.into(),
        files_total: report.files,
        files_done: report.files,
        bytes_done: report.bytes,
        chunks: report.chunks,
        chunks_to_embed: report.chunks,
        chunks_embedded: report.embedded + report.embeddings_cached,
        acknowledged: true,
        eta: None,
        report: Some(report),
        problem: String::new(),
    }
}

fn input(document: proto::InputDocument) -> InputDocument {
    InputDocument {
        uri: document.uri,
        title: Some(document.title).filter(|title| !title.is_empty()),
        content: document.content,
        media_type: document.media_type,
        tags: document.tags,
        metadata: document.metadata,
        modified_at: document.modified_at.as_ref().map(convert::from_timestamp),
        ..InputDocument::default()
    }
}

/// Stores a whole stream of messages.
async fn put_all(
    context: Context,
    grant: Grant,
    first: proto::PutDocumentsRequest,
    mut rest: Streaming<proto::PutDocumentsRequest>,
    sink: ProgressSink,
) -> Result<Done> {
    let wait = !first.no_wait;
    let mut put = Put::begin(&context.engines, &context.projector, &grant, &first.source).await?;
    let mut message = Some(first);
    while let Some(batch) = message {
        if batch.documents.len() > PUT_BATCH_DOCUMENTS_MAX {
            return Err(Error::limit(
                "documents",
                format!(
                    "{} documents in one message, the limit is {PUT_BATCH_DOCUMENTS_MAX}: send more messages",
                    batch.documents.len()
                ),
            ));
        }
        put.add(batch.documents.into_iter().map(input).collect(), &sink).await?;
        message = rest.message().await.map_err(|cause| {
            Error::new(Kind::Deadline, "the stream of documents broke off; what was sent before is stored")
                .caused_by(cause)
        })?;
    }
    put.acknowledge().await?;
    Ok((put.finish(wait, &sink).await?, None))
}

fn follow(request: &proto::IngestSourceRequest) -> Result<Follow> {
    match (request.watch, request.no_watch) {
        (false, false) => Ok(Follow::AsBefore),
        (true, false) => Ok(Follow::Begin),
        (false, true) => Ok(Follow::End),
        (true, true) => Err(Error::invalid("no_watch", "watch and no_watch exclude each other: set one of them")),
    }
}

/// The bounds of a crawl.
fn crawl(request: &proto::IngestSourceRequest) -> Result<Crawl> {
    let delay = request.delay.as_ref().map(convert::from_duration).transpose()?;
    Ok(Crawl { depth: request.depth, pages_max: request.pages_max, delay })
}

fn wanted(selector: Option<WireSelector>) -> Result<forget::Request> {
    let missing = || {
        Error::invalid("selector", "nothing is selected: give a uri, uri_prefix, source, document_id, tag or filter")
    };
    Ok(match selector.ok_or_else(missing)? {
        WireSelector::Uri(uri) => forget::Request::Uri(uri),
        WireSelector::UriPrefix(prefix) => forget::Request::UriPrefix(prefix),
        WireSelector::Tag(tag) => forget::Request::Tag(tag),
        WireSelector::DocumentId(id) => forget::Request::Document(
            DocumentId::parse(&id)
                .ok_or_else(|| Error::invalid("document_id", format!("{id:?} is not a document id (a UUID)")))?,
        ),
        WireSelector::Source(source) => forget::Request::Source(source),
        WireSelector::Filter(filter) => forget::Request::Filter(convert::filter(Some(filter))),
    })
}

#[tonic::async_trait]
impl Ingest for Service {
    type IngestSourceStream = ReceiverStream<Progressed>;
    type PutDocumentsStream = ReceiverStream<Progressed>;

    async fn ingest_source(
        &self,
        request: Request<proto::IngestSourceRequest>,
    ) -> std::result::Result<Response<Self::IngestSourceStream>, Status> {
        let (metadata, _, request) = request.into_parts();
        let begun = || {
            let grant = self.context.grant(&metadata, &request.namespace)?;
            put::check_tags(&request.tags)?;
            let follow = follow(&request)?;
            let crawl = crawl(&request)?;
            Ok((grant, (follow, crawl), Identity::new("IngestSource", &request.idempotency_key, &request)?))
        };
        let (grant, (follow, crawl), identity) = begun().map_err(|error: Error| status(&error))?;
        Ok(stream(self.context.clone(), grant, identity, move |context, grant, sink| async move {
            let wanted = ingest::Request {
                source: request.source,
                options: ListOptions {
                    include: request.include,
                    exclude: request.exclude,
                    crawl,
                    ..ListOptions::default()
                },
                tags: request.tags,
                no_wait: request.no_wait,
                verify: request.verify,
                at: None,
                credential: Some(request.credential).filter(|name| !name.is_empty()),
            };
            if request.dry_run {
                return Ok((preview::preview(&context.engines, &grant, &wanted, &sink).await?, None));
            }
            context.watching.ingest(&grant, &wanted, follow, &sink).await
        }))
    }

    async fn put_documents(
        &self,
        request: Request<Streaming<proto::PutDocumentsRequest>>,
    ) -> std::result::Result<Response<Self::PutDocumentsStream>, Status> {
        let (metadata, _, mut messages) = request.into_parts();
        let first = messages.message().await?;
        let nothing = || Error::invalid("documents", "the stream of documents is empty");
        let first = first.ok_or_else(|| status(&nothing()))?;
        let begun = || {
            // What follows is not part of the identity: it is not here yet.
            let grant = self.context.grant(&metadata, &first.namespace)?;
            Ok((grant, Identity::new("PutDocuments", &first.idempotency_key, &first)?))
        };
        let (grant, identity) = begun().map_err(|error: Error| status(&error))?;
        Ok(stream(self.context.clone(), grant, identity, move |context, grant, sink| {
            put_all(context, grant, first, messages, sink)
        }))
    }

    async fn remember(&self, request: Request<proto::RememberRequest>) -> Reply<proto::RememberResponse> {
        let work = |context: Context, grant: Grant, request: proto::RememberRequest| async move {
            let memory = Memory {
                text: request.text,
                title: Some(request.title).filter(|title| !title.is_empty()),
                kind: request.kind,
                tags: request.tags,
                metadata: request.metadata,
                run: request.run,
                node: request.node,
                trust: request.trust,
                ttl: request.ttl.as_ref().map(convert::from_duration).transpose()?,
            };
            let remembered = memory::remember(&context.engines, &context.projector, &grant, memory).await?;
            Ok(proto::RememberResponse {
                uri: remembered.uri,
                document_id: remembered.document.to_string(),
                created: remembered.created,
                lsn: remembered.lsn.0,
                repeats: remembered.repeats.unwrap_or_default(),
                echoes: remembered.echoes,
            })
        };
        self.context.change(request, work).await
    }

    async fn forget(&self, request: Request<proto::ForgetRequest>) -> Reply<proto::ForgetResponse> {
        let work = |context: Context, grant: Grant, request: proto::ForgetRequest| async move {
            let wanted = wanted(request.selector)?;
            if let forget::Request::Source(source) = &wanted {
                // First, or the next change would bring back what is forgotten.
                context.watching.end(&grant, source).await?;
            }
            let forgotten = forget::forget(&context.engines, &context.projector, &grant, wanted).await?;
            Ok(proto::ForgetResponse {
                removed: forgotten.uris.len() as u64,
                uris: forgotten.uris.into_iter().take(1_000).collect(),
                lsn: forgotten.lsn.0,
                pending: forgotten.pending.into_iter().map(str::to_owned).collect(),
            })
        };
        self.context.change(request, work).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::store::local::LocalStore;
    use crate::engine::store::local_watch::LocalWatcher;
    use crate::flow::testing::Rig;
    use crate::flow::watch::{Pace, Watching};

    async fn service(rig: &Rig) -> Service {
        let watcher = Arc::new(LocalWatcher::new(LocalStore::default(), "".as_ref()));
        let (engines, projector) = (rig.engines.clone(), Arc::clone(&rig.projector));
        let watching = Watching::start(engines, projector, watcher, Pace::default()).await.unwrap();
        Service::new(Context {
            watching,
            routing: crate::flow::route::Routing::new(rig.engines.clone()),
            runs: crate::flow::runs::Runs::new(rig.engines.clone(), Default::default()),
            engines: rig.engines.clone(),
            projector: Arc::clone(&rig.projector),
            access: Default::default(),
            replies: Arc::default(),
            data_dir: Arc::default(),
            reach: Arc::default(),
        })
    }

    fn request<T>(message: T) -> Request<T> {
        Request::new(message)
    }

    fn memory() -> proto::RememberRequest {
        proto::RememberRequest {
            namespace: "ns".to_owned(),
            text: "the caller of this left early".to_owned(),
            idempotency_key: "k".to_owned(),
            ..proto::RememberRequest::default()
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_caller_that_leaves_in_the_middle_loses_neither_its_change_nor_its_reply() {
        let rig = Rig::new().await;
        let service = Arc::new(service(&rig).await);
        let gate = rig.faults.hold("catalog.write");
        let (asked, server) = (memory(), Arc::clone(&service));
        let call = tokio::spawn(async move { server.remember(request(asked)).await });
        gate.reached().await;
        call.abort();
        let _ = call.await;
        gate.open();
        rig.settled().await;
        let again = service.remember(request(memory())).await.unwrap().into_inner();
        assert!(again.created, "the first reply was kept");
        assert_eq!(rig.engines.lexical().count().await.unwrap(), 1);

        let forget = || proto::ForgetRequest {
            namespace: "ns".to_owned(),
            idempotency_key: "f".to_owned(),
            selector: Some(WireSelector::UriPrefix("memory:".to_owned())),
        };
        let gate = rig.faults.hold("catalog.remove");
        let server = Arc::clone(&service);
        let call = tokio::spawn(async move { server.forget(request(forget())).await });
        gate.reached().await;
        call.abort();
        let _ = call.await;
        gate.open();
        rig.settled().await;
        assert_eq!(service.forget(request(forget())).await.unwrap().into_inner().removed, 1);
        assert_eq!(rig.engines.lexical().count().await.unwrap(), 0);
    }
}
