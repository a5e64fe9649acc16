//! `hivemem.v1.Admin`.

use tonic::{Request, Response, Status};

use super::Context;
use super::idempotency::Identity;
use super::proto::{self, admin_server::Admin};
use super::status::status;
use crate::base::error::{Error, Kind};
use crate::base::files;
use crate::flow::census;

/// Names on a page that does not say how many.
const PAGE_DEFAULT: usize = 1_000;

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
        let model = self.context.engines.embedder.model();
        let projection =
            |name: &str, applied: u64, entries, indexed_entries, problem: Option<String>| proto::ProjectionStats {
                name: name.to_owned(),
                applied_lsn: applied,
                entries,
                indexed_entries,
                manifest: String::new(),
                problem: problem.unwrap_or_default(),
            };
        let state = census.projections;
        Ok(Response::new(proto::StatsResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            namespace: grant.namespace().to_string(),
            documents: census.namespace.documents,
            chunks: census.namespace.chunks,
            bytes: census.namespace.bytes,
            tokens: census.namespace.tokens,
            chunks_without_vector: census.namespace.chunks_without_vector,
            lsn: census.head.0,
            projections: vec![
                projection("lexical", state.lexical.0, census.lexical, census.lexical, state.lexical_problem),
                projection(
                    "vector",
                    state.vector.0,
                    census.vectors.points,
                    census.vectors.indexed_points,
                    state.vector_problem,
                ),
            ],
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
}
