//! `hivemem.v1.Admin`.

use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::idempotency::Identity;
use super::proto::{self, admin_server::Admin};
use super::status::status;
use super::{Context, care};
use crate::base::error::{Error, Kind};
use crate::base::files;
use crate::flow::backup::Backup;
use crate::flow::rebuild::{self, Projection};
use crate::flow::{census, compact, repair};

/// Names on a page that does not say how many.
const PAGE_DEFAULT: usize = 1_000;

/// The projection that is in memory alone.
const GRAPH: &str = "graph";

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

#[tonic::async_trait]
impl Admin for Service {
    async fn stats(&self, request: Request<proto::StatsRequest>) -> Result<Response<proto::StatsResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let counted = async {
            let grant = self.context.grant(&metadata, &request.namespace)?;
            let census = census::census(&self.context.engines, &self.context.projector, &grant).await?;
            let data_dir = std::sync::Arc::clone(&self.context.data_dir);
            let disk_bytes = self.context.engines.door.run(move || Ok(files::directory_bytes(&data_dir))).await?;
            let watched = self.context.watching.states(&grant).await?;
            Ok((census, grant, disk_bytes, watched))
        };
        let (census, grant, disk_bytes, mut watched) =
            counted.await.map_err(|error: crate::base::Error| status(&error))?;
        let serving = self.context.engines.space.get();
        let model = serving.embedder.model();
        let state = census.projections;
        let (space, words) = (self.context.engines.space.get(), self.context.engines.words.get());
        let vector = proto::ProjectionStats {
            name: Projection::Vector.as_str().to_owned(),
            applied_lsn: state.vector.0,
            entries: census.vectors.points,
            indexed_entries: census.vectors.indexed_points,
            manifest: space.manifest(),
            problem: state.vector_problem.or(state.refused).unwrap_or_default(),
            generation: space.generation,
            next_lsn: state.vector_next.map(|lsn| lsn.0),
            next_problem: state.vector_next.and(state.next_problem.clone()).unwrap_or_default(),
        };
        let lexical = proto::ProjectionStats {
            name: Projection::Lexical.as_str().to_owned(),
            applied_lsn: state.lexical.0,
            entries: census.lexical,
            indexed_entries: census.lexical,
            manifest: String::new(),
            problem: state.lexical_problem.unwrap_or_default(),
            generation: words.generation,
            next_lsn: state.lexical_next.map(|lsn| lsn.0),
            next_problem: state.lexical_next.and(state.next_problem).unwrap_or_default(),
        };
        Ok(Response::new(proto::StatsResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            namespace: grant.namespace().to_string(),
            documents: census.namespace.documents,
            chunks: census.namespace.chunks,
            bytes: census.namespace.bytes,
            tokens: census.namespace.tokens,
            chunks_without_vector: census.namespace.chunks_without_vector,
            lsn: census.head.0,
            projections: vec![lexical, vector],
            model: Some(proto::ModelStats {
                name: model.name.clone(),
                revision: model.revision.clone(),
                dimension: model.dimension as u32,
            }),
            sources: census
                .sources
                .into_iter()
                .map(|source| {
                    let state = watched.remove(&source.id);
                    proto::SourceStats {
                        id: source.id.to_string(),
                        uri: source.uri,
                        watched: state.is_some(),
                        syncing: census.syncing.contains(&source.id),
                        problem: state.flatten().unwrap_or_default(),
                    }
                })
                .collect(),
            resident_bytes: files::resident_bytes().unwrap_or(0),
            disk_bytes,
        }))
    }

    async fn create_namespace(
        &self,
        request: Request<proto::CreateNamespaceRequest>,
    ) -> Result<Response<proto::CreateNamespaceResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let engines = &self.context.engines;
        let reply = async {
            let grant = self.context.grant(&metadata, &request.namespace)?;
            let identity = Identity::new("CreateNamespace", &request.idempotency_key, &request)?;
            let work = async {
                if engines.catalog.create_namespace(grant.namespace(), engines.clock.now()).await? {
                    return Ok(proto::CreateNamespaceResponse {});
                }
                Err(Error::new(Kind::Conflict, format!("namespace {} is there already", grant.namespace())))
            };
            self.context.replies.once(engines, &grant, &identity, work).await
        };
        reply.await.map(Response::new).map_err(|error| status(&error))
    }

    async fn list_namespaces(
        &self,
        request: Request<proto::ListNamespacesRequest>,
    ) -> Result<Response<proto::ListNamespacesResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        self.context.access.check(super::token(&metadata)).map_err(|error| status(&error))?;
        let all = self.context.engines.catalog.namespaces().await.map_err(|error| status(&error))?;
        let size = if request.page_size == 0 { PAGE_DEFAULT } else { (request.page_size as usize).min(PAGE_DEFAULT) };
        let mut rest =
            all.iter().map(|namespace| namespace.as_str()).filter(|name| *name > request.page_token.as_str());
        let page: Vec<String> = rest.by_ref().take(size).map(str::to_owned).collect();
        let more = rest.next().is_some();
        let next_page_token = if more { page.last().cloned().unwrap_or_default() } else { String::new() };
        Ok(Response::new(proto::ListNamespacesResponse { namespaces: page, next_page_token }))
    }

    type RebuildStream = ReceiverStream<Result<proto::RebuildProgress, Status>>;

    async fn rebuild(&self, request: Request<proto::RebuildRequest>) -> Result<Response<Self::RebuildStream>, Status> {
        let (metadata, _, request) = request.into_parts();
        let context = self.context.clone();
        let begun = async {
            context.access.custodian(super::token(&metadata))?;
            if request.projection == GRAPH {
                // It is in memory, and an instant's work.
                context.engines.graphs.rebuild(&context.engines).await?;
                return Ok(None);
            }
            let projection = Projection::parse(&request.projection).ok_or_else(|| {
                let known = Projection::ALL.iter().map(|known| known.as_str()).chain([GRAPH]);
                let known = known.collect::<Vec<_>>().join(", ");
                let message = format!("projection {:?} can't be built: use one of {known}", request.projection);
                Error::invalid("projection", message)
            })?;
            rebuild::rebuild(&context.engines, &context.projector, projection).await?;
            Ok(Some(projection))
        };
        let projection = begun.await.map_err(|error: Error| status(&error))?;
        let (replies, receiver) = mpsc::channel(16);
        let Some(projection) = projection else {
            let head = self.context.engines.catalog.head().await.unwrap_or_default().0;
            let done =
                proto::RebuildProgress { projection: GRAPH.to_owned(), applied_lsn: head, lsn: head, done: true };
            let _ = replies.send(Ok(done)).await;
            return Ok(Response::new(ReceiverStream::new(receiver)));
        };
        tokio::spawn(async move {
            let mut states = context.projector.watch();
            let built = context.projector.wait_built();
            tokio::pin!(built);
            let reply = loop {
                let finished = tokio::select! {
                    finished = &mut built => Some(finished),
                    changed = states.changed() => if changed.is_err() { Some(Ok(())) } else { None },
                };
                let state = states.borrow_and_update().clone();
                let (serving, next) = match projection {
                    Projection::Vector => (state.vector, state.vector_next),
                    Projection::Lexical => (state.lexical, state.lexical_next),
                };
                let progress = proto::RebuildProgress {
                    projection: projection.as_str().to_owned(),
                    applied_lsn: next.unwrap_or(serving).0,
                    lsn: context.engines.catalog.head().await.unwrap_or_default().0,
                    done: next.is_none(),
                };
                match finished {
                    Some(finished) => break finished.map(|()| progress),
                    None => drop(replies.try_send(Ok(progress))),
                }
            };
            let _ = replies.send(reply.map_err(|error| status(&error))).await;
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn fsck(&self, request: Request<proto::FsckRequest>) -> Result<Response<proto::FsckResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let context = self.context.clone();
        // In a task of its own: a repair that was begun is ended, though the caller went away.
        let checked = run(async move {
            let custodian = context.access.custodian(super::token(&metadata))?;
            let (engines, projector) = (&context.engines, &context.projector);
            if request.repair {
                return repair::repair(engines, projector, &custodian).await;
            }
            Ok(repair::Outcome { found: repair::fsck(engines, projector, &custodian).await?, left: None })
        });
        checked.await.map(|outcome| Response::new(care::fsck(outcome)))
    }

    async fn compact(
        &self,
        request: Request<proto::CompactRequest>,
    ) -> Result<Response<proto::CompactResponse>, Status> {
        let (metadata, _, _) = request.into_parts();
        let context = self.context.clone();
        let compacted = run(async move {
            let custodian = context.access.custodian(super::token(&metadata))?;
            let size = async || {
                let data_dir = std::sync::Arc::clone(&context.data_dir);
                context.engines.door.run(move || Ok(files::directory_bytes(&data_dir))).await
            };
            let disk_bytes_before = size().await?;
            let done = compact::compact(&context.engines, &context.projector, &custodian).await?;
            let disk_bytes_after = size().await?;
            Ok(proto::CompactResponse { disk_bytes_before, disk_bytes_after, log_entries: done.log_entries })
        });
        compacted.await.map(Response::new)
    }

    type BackupStream = care::Pieces;

    async fn backup(&self, request: Request<proto::BackupRequest>) -> Result<Response<Self::BackupStream>, Status> {
        let (metadata, _, _) = request.into_parts();
        let engines = &self.context.engines;
        let taken = async {
            let custodian = self.context.access.custodian(super::token(&metadata))?;
            Backup::take(engines, &self.context.data_dir, &custodian).await
        };
        let backup = taken.await.map_err(|error: crate::base::Error| status(&error))?;
        tracing::info!(lsn = backup.manifest().lsn, bytes = backup.manifest().catalog_bytes, "sending a backup");
        let pieces = ReceiverStream::new(backup.send(engines)).map(care::piece as fn(_) -> _);
        Ok(Response::new(pieces))
    }
}

/// Runs `work` to its end even if the caller goes away.
async fn run<T: Send + 'static>(
    work: impl Future<Output = crate::base::Result<T>> + Send + 'static,
) -> Result<T, Status> {
    let ended = tokio::spawn(work).await;
    let outcome =
        ended.unwrap_or_else(|cause| Err(crate::base::Error::internal("the work ended early").caused_by(cause)));
    outcome.map_err(|error| status(&error))
}
