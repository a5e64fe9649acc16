//! The only place that speaks protobuf: requests in, flow calls, replies out.
//!
//! One file per service; `convert` maps data, `status` maps errors. Nothing here decides anything.

use std::sync::Arc;

use tonic::metadata::MetadataMap;

use crate::base::error::{Error, Result};
use crate::flow::Engines;
use crate::flow::access::{Access, Grant};
use crate::flow::apply::Projector;
use crate::flow::data_view::locate::Reach;
use crate::flow::route::Routing;
use crate::flow::runs::Runs;
use crate::flow::watch::Watching;

mod admin;
mod calls;
mod care;
mod convert;
mod data;
mod graph;
mod idempotency;
mod ingest;
mod retrieval;
mod router;
mod status;
mod swarm;

pub use hivemem_client::proto;
pub use idempotency::Replies;

/// What every service needs.
#[derive(Debug, Clone)]
pub struct Context {
    /// The engines.
    pub engines: Engines,
    /// The followers of the log.
    pub projector: Arc<Projector>,
    /// Who chooses tools.
    pub routing: Arc<Routing>,
    /// The runs of swarms.
    pub runs: Arc<Runs>,
    /// The sources that are followed.
    pub watching: Arc<Watching>,
    /// Who may do what.
    pub access: Access,
    /// Replies by idempotency key.
    pub replies: Arc<Replies>,
    /// How callers reach this server.
    pub reach: Arc<Reach>,
    /// The data directory, for counting its size.
    pub data_dir: Arc<std::path::PathBuf>,
}

impl Context {
    /// The grant for the caller of a request.
    fn grant(&self, metadata: &MetadataMap, namespace: &str) -> Result<Grant> {
        self.access.authorize(token(metadata), namespace)
    }
}

/// Does `work` to its end even if the caller goes away meanwhile: its change may be committed already, and the followers
/// must hear of it and the reply be kept for the caller's next try.
async fn detached<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    tokio::spawn(work).await.map_err(|cause| Error::internal("a request ended early").caused_by(cause))?
}

/// The bearer token of a request.
fn token(metadata: &MetadataMap) -> Option<&str> {
    let value = metadata.get("authorization")?.to_str().ok()?;
    value.strip_prefix("Bearer ").or(Some(value))
}

/// All services of the protocol with health and reflection.
///
/// # Errors
/// If the embedded descriptors can't be decoded, which is a broken build.
pub async fn routes(context: Context) -> Result<tonic::service::Routes> {
    use proto::admin_server::AdminServer;
    use proto::data_view_server::DataViewServer;
    use proto::graph_server::GraphServer;
    use proto::ingest_server::IngestServer;
    use proto::retrieval_server::RetrievalServer;
    use proto::router_server::RouterServer;
    use proto::swarm_server::SwarmServer;

    use crate::base::limits::MESSAGE_BYTES_MAX;

    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<IngestServer<ingest::Service>>().await;
    reporter.set_serving::<RetrievalServer<retrieval::Service>>().await;
    reporter.set_serving::<GraphServer<graph::Service>>().await;
    reporter.set_serving::<RouterServer<router::Service>>().await;
    reporter.set_serving::<SwarmServer<swarm::Service>>().await;
    reporter.set_serving::<DataViewServer<data::Service>>().await;
    reporter.set_serving::<AdminServer<admin::Service>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(|cause| Error::internal("the protocol's descriptors are damaged").caused_by(cause))?;
    let mut routes = tonic::service::Routes::builder();
    routes
        .add_service(health)
        .add_service(reflection)
        .add_service(
            IngestServer::new(ingest::Service::new(context.clone()))
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX),
        )
        .add_service(
            RetrievalServer::new(retrieval::Service::new(context.clone()))
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX),
        )
        .add_service(
            GraphServer::new(graph::Service::new(context.clone())).max_encoding_message_size(MESSAGE_BYTES_MAX),
        )
        .add_service(
            RouterServer::new(router::Service::new(context.clone()))
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX),
        )
        .add_service(
            SwarmServer::new(swarm::Service::new(context.clone()))
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX),
        )
        .add_service(
            DataViewServer::new(data::Service::new(context.clone()))
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX),
        )
        .add_service(AdminServer::new(admin::Service::new(context)));
    Ok(routes.routes())
}
