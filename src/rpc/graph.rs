//! `hivemem.v1.Graph`.

use tonic::Request;

use super::calls::Reply;
use super::proto::{self, Direction, graph_server};
use super::{Context, convert};
use crate::base::Lsn;
use crate::base::error::{Error, Result};
use crate::engine::graph::Toward;
use crate::flow::access::Grant;
use crate::flow::recall::Missing;
use crate::flow::relate::walk::{self, Found};
use crate::flow::relate::{Edge, Node, link, tree};
use crate::model::{EdgeKind, NodeKind};

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

    /// Says if the graph is behind the log.
    async fn completeness(&self, applied: Lsn) -> Result<proto::Completeness> {
        let head = self.context.engines.catalog.head().await?;
        let behind = head.0.saturating_sub(applied.0.max(1));
        let reason = format!("{behind} changes are not in this index yet");
        let missing = (behind > 0).then(|| Missing { part: "graph".to_owned(), reason });
        Ok(convert::completeness(missing.into_iter().collect()))
    }
}

fn or(value: u32, default: u32) -> u32 {
    if value == 0 { default } else { value }
}

fn edge_kinds(names: &[String]) -> Result<Vec<EdgeKind>> {
    let known = || EdgeKind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
    let kind = |name: &String| {
        EdgeKind::parse(name)
            .ok_or_else(|| Error::invalid("kinds", format!("{name:?} is no kind of edge: use {}", known())))
    };
    names.iter().map(kind).collect()
}

/// The kind of edge of that name; none for no name.
fn one_kind(name: &str) -> Result<Option<EdgeKind>> {
    if name.is_empty() { Ok(None) } else { Ok(edge_kinds(&[name.to_owned()])?.pop()) }
}

fn node_kinds(names: &[String]) -> Result<Vec<NodeKind>> {
    let known = || NodeKind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
    let kind = |name: &String| {
        NodeKind::parse(name)
            .ok_or_else(|| Error::invalid("kinds", format!("{name:?} is no kind of node: use {}", known())))
    };
    names.iter().map(kind).collect()
}

fn node(node: Node) -> proto::GraphNode {
    let Node { view, signature, doc, .. } = node;
    proto::GraphNode {
        address: view.address,
        kind: view.kind.as_str().to_owned(),
        name: view.name,
        qualified: view.qualified,
        uri: view.uri,
        path: view.path,
        language: view.language,
        line_first: view.lines.first,
        line_last: view.lines.last,
        signature,
        doc,
        is_test: view.test,
    }
}

fn edge(edge: Edge) -> proto::GraphEdge {
    proto::GraphEdge {
        from: edge.from,
        to: edge.to,
        kind: edge.kind.as_str().to_owned(),
        confidence: edge.confidence,
        line: edge.line,
        count: edge.count,
        note: edge.note,
        origin: edge.origin,
    }
}

fn nodes(found: Vec<(Node, f32)>) -> Vec<proto::GraphNode> {
    found.into_iter().map(|(found, _)| node(found)).collect()
}

fn edges(found: Vec<Edge>) -> Vec<proto::GraphEdge> {
    found.into_iter().map(edge).collect()
}

#[tonic::async_trait]
impl graph_server::Graph for Service {
    async fn tree(&self, request: Request<proto::TreeRequest>) -> Reply<proto::TreeResponse> {
        let work = |grant: Grant, asked: proto::TreeRequest| async move {
            let (depth, limit) = (or(asked.depth, 2), or(asked.limit, 500));
            let tree = tree::tree(&self.context.engines, &grant, asked.path, depth, limit).await?;
            let entry = |entry: tree::Entry| proto::TreeEntry {
                depth: entry.depth,
                address: entry.address,
                name: entry.name,
                is_folder: entry.is_folder,
                files: entry.files,
                languages: entry.languages,
                outline: entry.outline,
            };
            Ok(proto::TreeResponse {
                entries: tree.entries.into_iter().map(entry).collect(),
                left_out: tree.left_out,
                completeness: Some(self.completeness(tree.applied).await?),
            })
        };
        self.context.answer(request, work).await
    }

    async fn outline(&self, request: Request<proto::OutlineRequest>) -> Reply<proto::OutlineResponse> {
        let work = |grant: Grant, asked: proto::OutlineRequest| async move {
            let outline = tree::outline(&self.context.engines, &grant, asked.node, or(asked.limit, 500)).await?;
            let entry = |(depth, found)| proto::OutlineEntry { depth, node: Some(node(found)) };
            Ok(proto::OutlineResponse {
                document: outline.document.map(node),
                entries: outline.entries.into_iter().map(entry).collect(),
                partial: outline.partial,
                left_out: outline.left_out,
                completeness: Some(self.completeness(outline.applied).await?),
            })
        };
        self.context.answer(request, work).await
    }

    async fn neighbors(&self, request: Request<proto::NeighborsRequest>) -> Reply<proto::NeighborsResponse> {
        let work = |grant: Grant, asked: proto::NeighborsRequest| async move {
            let around = walk::Around {
                toward: match Direction::try_from(asked.direction) {
                    Ok(Direction::Out) => Some(Toward::Out),
                    Ok(Direction::In) => Some(Toward::In),
                    Ok(Direction::Both | Direction::Unspecified) => None,
                    Err(_) => {
                        return Err(Error::invalid("direction", "the direction is not known: use out, in or both"));
                    }
                },
                kinds: edge_kinds(&asked.kinds)?,
                node: asked.node,
                depth: or(asked.depth, 1),
                limit: or(asked.limit, 50),
                confidence_min: asked.confidence_min,
            };
            let found: Found = walk::neighbours(&self.context.engines, &grant, around).await?;
            Ok(proto::NeighborsResponse {
                node: found.asked.map(node),
                nodes: nodes(found.nodes),
                edges: edges(found.edges),
                truncated: found.truncated,
                alternatives: found.alternatives,
                completeness: Some(self.completeness(found.applied).await?),
            })
        };
        self.context.answer(request, work).await
    }

    async fn path(&self, request: Request<proto::PathRequest>) -> Reply<proto::PathResponse> {
        let work = |grant: Grant, asked: proto::PathRequest| async move {
            let kinds = edge_kinds(&asked.kinds)?;
            let depth = or(asked.depth, 6);
            let found = walk::path(&self.context.engines, &grant, asked.from, asked.to, depth, kinds).await?;
            Ok(proto::PathResponse {
                nodes: nodes(found.nodes),
                edges: edges(found.edges),
                truncated: found.truncated,
                alternatives: found.alternatives,
                completeness: Some(self.completeness(found.applied).await?),
            })
        };
        self.context.answer(request, work).await
    }

    async fn related(&self, request: Request<proto::RelatedRequest>) -> Reply<proto::RelatedResponse> {
        let work = |grant: Grant, asked: proto::RelatedRequest| async move {
            let kinds = node_kinds(&asked.kinds)?;
            let limit = or(asked.limit, 20);
            let found = walk::related(&self.context.engines, &grant, asked.nodes, limit, kinds).await?;
            let related = |(found, score)| proto::RelatedNode { node: Some(node(found)), score };
            Ok(proto::RelatedResponse {
                nodes: found.nodes.into_iter().map(related).collect(),
                truncated: found.truncated,
                alternatives: found.alternatives,
                completeness: Some(self.completeness(found.applied).await?),
            })
        };
        self.context.answer(request, work).await
    }

    async fn link(&self, request: Request<proto::LinkRequest>) -> Reply<proto::LinkResponse> {
        let work = |context: Context, grant: Grant, asked: proto::LinkRequest| async move {
            let kind = one_kind(&asked.kind)?;
            let wanted = link::Link {
                kind,
                from: asked.from,
                to: asked.to,
                note: asked.note,
                tags: asked.tags,
                run: asked.run,
                node: asked.node,
                ttl: asked.ttl.as_ref().map(convert::from_duration).transpose()?,
            };
            let (made, created, lsn) = link::link(&context.engines, &context.projector, &grant, wanted).await?;
            Ok(proto::LinkResponse { edge: Some(edge(made)), created, lsn: lsn.0 })
        };
        self.context.change(request, work).await
    }

    async fn unlink(&self, request: Request<proto::UnlinkRequest>) -> Reply<proto::UnlinkResponse> {
        let work = |context: Context, grant: Grant, asked: proto::UnlinkRequest| async move {
            let kind = one_kind(&asked.kind)?;
            let ends = (!asked.from.is_empty() && !asked.to.is_empty()).then_some((asked.from, asked.to));
            let (removed, lsn) =
                link::unlink(&context.engines, &context.projector, &grant, asked.origin, ends, kind).await?;
            Ok(proto::UnlinkResponse { removed, lsn: lsn.0 })
        };
        self.context.change(request, work).await
    }

    async fn resolve(&self, request: Request<proto::ResolveRequest>) -> Reply<proto::ResolveResponse> {
        let work = |grant: Grant, asked: proto::ResolveRequest| async move {
            let found = walk::resolve(&self.context.engines, &grant, asked.name, or(asked.limit, 10)).await?;
            Ok(proto::ResolveResponse {
                nodes: nodes(found.nodes),
                truncated: found.truncated,
                completeness: Some(self.completeness(found.applied).await?),
            })
        };
        self.context.answer(request, work).await
    }
}
