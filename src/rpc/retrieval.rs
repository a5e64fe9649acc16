//! `hivemem.v1.Retrieval`.

use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use super::proto::{self, SearchMode, retrieval_server::Retrieval};
use super::status::status;
use super::{Context, convert};
use crate::base::RunId;
use crate::base::error::{Error, Kind};
use crate::base::limits::{CONTEXT_TOKENS_DEFAULT, REQUEST_DEADLINE_DEFAULT, SEARCH_K_DEFAULT};
use crate::flow::context;
use crate::flow::recall::{self, Mode};
use crate::model::{Citation, NodePath};

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

fn mode(value: i32) -> Result<Mode, Error> {
    match SearchMode::try_from(value) {
        Ok(SearchMode::Unspecified | SearchMode::Hybrid) => Ok(Mode::Hybrid),
        Ok(SearchMode::Dense) => Ok(Mode::Dense),
        Ok(SearchMode::Lexical) => Ok(Mode::Lexical),
        Ok(SearchMode::Graph) => Ok(Mode::Graph),
        Err(_) => {
            Err(Error::invalid("mode", format!("mode {value} is not known: use hybrid, dense, lexical or graph")))
        }
    }
}

/// The run and the node in it that a context is for.
fn run_and_node(run: &str, node: &str) -> Result<Option<(RunId, Option<NodePath>)>, Error> {
    if run.is_empty() && !node.is_empty() {
        return Err(Error::invalid("run", format!("node {node:.40?} is given without its run: name the run too")));
    }
    if run.is_empty() {
        return Ok(None);
    }
    let node = if node.is_empty() { None } else { Some(NodePath::parse(node)?) };
    Ok(Some((convert::run_id(run)?, node)))
}

/// Gives up after the default deadline where the caller set none; one that it set is kept by the transport.
async fn in_time<T>(metadata: &MetadataMap, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    if metadata.contains_key("grpc-timeout") {
        return work.await;
    }
    tokio::time::timeout(REQUEST_DEADLINE_DEFAULT, work).await.unwrap_or_else(|_| {
        let seconds = REQUEST_DEADLINE_DEFAULT.as_secs();
        Err(Error::new(Kind::Deadline, format!("no answer within {seconds} s: try again, or set a longer deadline")))
    })
}

#[tonic::async_trait]
impl Retrieval for Service {
    async fn search(&self, request: Request<proto::SearchRequest>) -> Result<Response<proto::SearchResponse>, Status> {
        let answer = async {
            let (metadata, _, request) = request.into_parts();
            let grant = self.context.grant(&metadata, &request.namespace)?;
            let search = recall::Request {
                mode: mode(request.mode)?,
                query: request.query,
                k: request.k.unwrap_or(SEARCH_K_DEFAULT),
                filter: convert::filter(request.filter),
                per_document_max: request.per_document_max,
                require_fresh: request.require_fresh,
            };
            let work = recall::search(&self.context.engines, &self.context.projector, &grant, &search);
            let answer = in_time(&metadata, work).await?;
            Ok((answer, request.explain))
        };
        let (answer, explain) = answer.await.map_err(|error: Error| status(&error))?;
        let us = |duration: std::time::Duration| duration.as_micros() as u64;
        Ok(Response::new(proto::SearchResponse {
            completeness: Some(convert::completeness(answer.missing)),
            lsn: answer.lsn.0,
            timings: Some(proto::Timings {
                embed_us: us(answer.timings.embed),
                dense_us: us(answer.timings.dense),
                lexical_us: us(answer.timings.lexical),
                hydrate_us: us(answer.timings.hydrate),
                graph_us: us(answer.timings.graph),
                total_us: us(answer.timings.total),
            }),
            hits: answer.hits.into_iter().map(|hit| convert::hit(hit, explain)).collect(),
        }))
    }

    async fn gather_context(
        &self,
        request: Request<proto::GatherContextRequest>,
    ) -> Result<Response<proto::GatherContextResponse>, Status> {
        let gathered = async {
            let (metadata, _, request) = request.into_parts();
            let grant = self.context.grant(&metadata, &request.namespace)?;
            let budget_tokens = request.budget_tokens.unwrap_or(CONTEXT_TOKENS_DEFAULT);
            let wanted = context::Request {
                task: request.task,
                budget_tokens,
                model: request.model,
                filter: convert::filter(request.filter),
                require_fresh: request.require_fresh,
                map: request.map,
                run: run_and_node(&request.run, &request.node)?,
                held: request.held.iter().map(|citation| Citation::parse(citation)).collect::<Result<_, Error>>()?,
            };
            let work = context::gather(&self.context.engines, &self.context.projector, &grant, &wanted);
            let gathered = in_time(&metadata, work).await?;
            Ok((gathered, budget_tokens))
        };
        let (gathered, budget_tokens) = gathered.await.map_err(|error: Error| status(&error))?;
        let reply = convert::context(gathered.pack, gathered.tokenizer, budget_tokens);
        Ok(Response::new(proto::GatherContextResponse {
            completeness: Some(convert::completeness(gathered.missing)),
            lsn: gathered.lsn.0,
            ..reply
        }))
    }
}
