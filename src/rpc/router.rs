//! `hivemem.v1.Router`.

use tonic::{Request, Streaming};

use super::calls::Reply;
use super::proto::{self, router_server::Router};
use super::{Context, convert};
use crate::base::error::{Error, Kind, Result};
use crate::base::limits::{NODE_BATCH_MAX, NODE_LIST_DEFAULT, ROUTE_K_DEFAULT};
use crate::flow::access::Grant;
use crate::flow::route::browse::{self, Listed};
use crate::flow::route::decide::{self, Decision};
use crate::flow::route::imports;
use crate::flow::route::learn::Told;
use crate::flow::route::register::{Offered, Report};
use crate::model::{NodeSpec, ToolKind};

/// Entries of each list of a report.
const REPORTED_MAX: usize = 50;

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

fn kinds(names: &[String]) -> Result<Vec<ToolKind>> {
    names.iter().map(|name| ToolKind::parse(name)).collect()
}

/// A node with its name, under which a bad kind is reported.
fn offered(node: proto::Node) -> Offered {
    (node.name.clone(), spec(node))
}

fn spec(node: proto::Node) -> Result<NodeSpec> {
    Ok(NodeSpec {
        kind: ToolKind::parse(&node.kind)?,
        name: node.name,
        description: node.description,
        language: node.language,
        code: node.code,
        arguments: node.arguments,
        returns: node.returns,
        test_cases: node.test_cases,
        dependencies: node.dependencies,
        utterances: node.utterances,
        tags: node.tags,
        permissions: node.permissions,
        folder: node.folder,
        metadata: node.metadata,
    })
}

fn node(spec: NodeSpec) -> proto::Node {
    proto::Node {
        kind: spec.kind.as_str().to_owned(),
        name: spec.name,
        description: spec.description,
        language: spec.language,
        code: spec.code,
        arguments: spec.arguments,
        returns: spec.returns,
        test_cases: spec.test_cases,
        dependencies: spec.dependencies,
        utterances: spec.utterances,
        tags: spec.tags,
        permissions: spec.permissions,
        folder: spec.folder,
        metadata: spec.metadata,
    }
}

/// Stores a whole stream of messages.
async fn register_all(
    context: &Context,
    grant: &Grant,
    first: proto::RegisterNodesRequest,
    mut rest: Streaming<proto::RegisterNodesRequest>,
) -> Result<proto::RegisterNodesResponse> {
    let (wait, mut report) = (first.wait, Report::default());
    let mut message = Some(first);
    while let Some(batch) = message {
        if batch.nodes.len() > NODE_BATCH_MAX {
            let count = batch.nodes.len();
            let text = format!("{count} nodes in one message, the limit is {NODE_BATCH_MAX}: send more messages");
            return Err(Error::limit("nodes", text));
        }
        if !batch.nodes.is_empty() {
            context.routing.register(grant, batch.nodes.into_iter().map(offered).collect(), &mut report).await?;
        }
        message = rest.message().await.map_err(|cause| {
            Error::new(Kind::Deadline, "the stream of nodes broke off; what was sent before is stored").caused_by(cause)
        })?;
    }
    if wait {
        context.routing.settled(grant).await?;
    }
    Ok(registered(report))
}

fn registered(report: Report) -> proto::RegisterNodesResponse {
    let issue = |(name, reason): (String, String)| proto::NodeIssue { name, reason };
    proto::RegisterNodesResponse {
        added: report.added,
        updated: report.updated,
        unchanged: report.unchanged,
        rejected: report.rejected,
        issues: report.issues.into_iter().map(issue).collect(),
    }
}

fn wanted(common: proto::RouteRequest, goals: Vec<String>) -> Result<decide::Request> {
    Ok(decide::Request {
        goals,
        context: common.context,
        kinds: kinds(&common.kinds)?,
        tags: common.tags,
        permissions: common.permissions,
        k: common.k.unwrap_or(ROUTE_K_DEFAULT),
        budget_tokens: common.budget_tokens,
        model: common.model,
    })
}

fn decided(decision: Decision) -> proto::RouteResponse {
    let candidate = |candidate: decide::Candidate| {
        let (example, example_similarity) = candidate.example.unwrap_or_default();
        proto::RouteCandidate {
            name: candidate.name,
            kind: candidate.kind.as_str().to_owned(),
            version: candidate.version,
            summary: candidate.summary,
            probability: candidate.probability,
            words: candidate.words,
            example,
            example_similarity,
            past: candidate.past,
            schema: candidate.schema.unwrap_or_default(),
        }
    };
    proto::RouteResponse {
        decision: decision.verdict.as_str().to_owned(),
        candidates: decision.candidates.into_iter().map(candidate).collect(),
        set: decision.set,
        advice: decision.advice.map_or("", decide::Advice::as_str).to_owned(),
        in_scope: decision.in_scope,
    }
}

#[tonic::async_trait]
impl Router for Service {
    async fn register_nodes(
        &self,
        request: Request<Streaming<proto::RegisterNodesRequest>>,
    ) -> Reply<proto::RegisterNodesResponse> {
        let work = |context: Context, grant: Grant, first, rest| async move {
            register_all(&context, &grant, first, rest).await
        };
        self.context.change_by_stream(request, "nodes", work).await
    }

    async fn import_nodes(&self, request: Request<proto::ImportNodesRequest>) -> Reply<proto::RegisterNodesResponse> {
        let work = |context: Context, grant: Grant, request: proto::ImportNodesRequest| async move {
            let (format, name, content) = (request.format, request.file_name, request.content);
            let entries = context.engines.door.run(move || imports::read(&format, &name, &content)).await?;
            let (mut report, mut entries) = (Report::default(), entries.into_iter().peekable());
            while entries.peek().is_some() {
                let batch = entries.by_ref().take(NODE_BATCH_MAX).map(|entry| {
                    let name = entry.as_ref().map_or_else(|_| String::new(), |spec| spec.name.clone());
                    let spec = entry.map(|mut spec| {
                        if spec.folder.is_empty() {
                            spec.folder.clone_from(&request.folder);
                        }
                        spec
                    });
                    (name, spec)
                });
                context.routing.register(&grant, batch.collect(), &mut report).await?;
            }
            if request.wait {
                context.routing.settled(&grant).await?;
            }
            Ok(registered(report))
        };
        self.context.change(request, work).await
    }

    async fn list_nodes(&self, request: Request<proto::ListNodesRequest>) -> Reply<proto::ListNodesResponse> {
        let work = |grant: Grant, request: proto::ListNodesRequest| async move {
            let wanted = browse::Request {
                folder: request.folder,
                tags: request.tags,
                kinds: kinds(&request.kinds)?,
                limit: if request.page_size == 0 { NODE_LIST_DEFAULT } else { request.page_size },
                after: request.page_token,
            };
            let page = self.context.routing.list(&grant, &wanted).await?;
            let mut reply = proto::ListNodesResponse {
                total: page.total,
                next_page_token: page.next,
                ..proto::ListNodesResponse::default()
            };
            for entry in page.entries {
                match entry {
                    Listed::Folder(path, nodes) => reply.folders.push(proto::NodeFolder { path, nodes }),
                    Listed::Node(name, kind, summary) => {
                        reply.nodes.push(proto::NodeSummary { name, kind: kind.as_str().to_owned(), summary });
                    }
                }
            }
            Ok(reply)
        };
        self.context.answer(request, work).await
    }

    async fn get_node(&self, request: Request<proto::GetNodeRequest>) -> Reply<proto::GetNodeResponse> {
        let work = |grant: Grant, request: proto::GetNodeRequest| async move {
            let shown = self.context.routing.show(&grant, &request.name).await?;
            let (id, current, examples) = match shown.node {
                Some(held) => (held.id.to_string(), Some(node(held.spec)), held.examples),
                None => Default::default(),
            };
            let versions = shown.versions.into_iter().map(|version| proto::NodeVersion {
                version: version.version,
                registered_at: Some(convert::timestamp(version.registered_at)),
                node: Some(node(version.spec)),
            });
            Ok(proto::GetNodeResponse { id, node: current, examples, versions: versions.collect() })
        };
        self.context.answer(request, work).await
    }

    async fn remove_nodes(&self, request: Request<proto::RemoveNodesRequest>) -> Reply<proto::RemoveNodesResponse> {
        let work = |context: Context, grant: Grant, request: proto::RemoveNodesRequest| async move {
            let removed = context.routing.remove(&grant, &request.names).await?;
            Ok(proto::RemoveNodesResponse { removed })
        };
        self.context.change(request, work).await
    }

    async fn add_examples(&self, request: Request<proto::AddExamplesRequest>) -> Reply<proto::AddExamplesResponse> {
        let work = |context: Context, grant: Grant, request: proto::AddExamplesRequest| async move {
            let added = context.routing.add_examples(&grant, &request.name, &request.examples).await?;
            Ok(proto::AddExamplesResponse { added })
        };
        self.context.change(request, work).await
    }

    async fn route(&self, request: Request<proto::RouteRequest>) -> Reply<proto::RouteResponse> {
        let work = |grant: Grant, mut request: proto::RouteRequest| async move {
            let goal = std::mem::take(&mut request.goal);
            let mut decisions = self.context.routing.route(&grant, wanted(request, vec![goal])?).await?;
            Ok(decided(decisions.pop().unwrap_or_default()))
        };
        self.context.answer(request, work).await
    }

    async fn route_batch(&self, request: Request<proto::RouteBatchRequest>) -> Reply<proto::RouteBatchResponse> {
        let work = |grant: Grant, request: proto::RouteBatchRequest| async move {
            let wanted = wanted(request.common.unwrap_or_default(), request.goals)?;
            let decisions = self.context.routing.route(&grant, wanted).await?;
            Ok(proto::RouteBatchResponse { decisions: decisions.into_iter().map(decided).collect() })
        };
        self.context.answer(request, work).await
    }

    async fn record_outcome(
        &self,
        request: Request<proto::RecordOutcomeRequest>,
    ) -> Reply<proto::RecordOutcomeResponse> {
        let work = |context: Context, grant: Grant, request: proto::RecordOutcomeRequest| async move {
            let told = Told {
                goal: request.goal,
                chosen: request.chosen,
                succeeded: request.succeeded,
                cost: request.cost,
                correction: request.correction,
            };
            context.routing.record(&grant, &told).await?;
            Ok(proto::RecordOutcomeResponse {})
        };
        self.context.change(request, work).await
    }

    async fn report_routing(
        &self,
        request: Request<proto::ReportRoutingRequest>,
    ) -> Reply<proto::ReportRoutingResponse> {
        let work = |grant: Grant, _: proto::ReportRoutingRequest| async move {
            let report = self.context.routing.report(&grant, REPORTED_MAX).await?;
            let confused = report.confused.into_iter().map(|pair| proto::ConfusedNodes {
                right: pair.right,
                chosen: pair.chosen,
                count: pair.count,
                samples: pair.samples,
            });
            let records = report.records.into_iter().map(|record| proto::NodeRecord {
                name: record.name,
                succeeded: record.succeeded,
                failed: record.failed,
                mean_cost: record.mean_cost,
            });
            Ok(proto::ReportRoutingResponse {
                nodes: report.nodes,
                trials: report.trials,
                settled: report.settled,
                confused: confused.collect(),
                records: records.collect(),
            })
        };
        self.context.answer(request, work).await
    }
}
