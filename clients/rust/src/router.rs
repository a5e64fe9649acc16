//! Calls of the router: registering node types and tools, and routing goals to them.

use prost::Message;
use tonic::Request;

use crate::MESSAGE_BYTES_MAX;
use crate::client::{Client, done};
use crate::error::{ClientError, ErrorKind};
use crate::proto::{
    AddExamplesRequest, AddExamplesResponse, GetNodeRequest, GetNodeResponse, ImportNodesRequest, ListNodesRequest,
    ListNodesResponse, Node, RecordOutcomeRequest, RegisterNodesRequest, RegisterNodesResponse, RemoveNodesRequest,
    RemoveNodesResponse, ReportRoutingRequest, ReportRoutingResponse, RouteBatchRequest, RouteBatchResponse,
    RouteRequest, RouteResponse,
};

/// Nodes in one message, below the server's limit of 512.
const BATCH_NODES: usize = 256;

/// A message is full once it holds this many bytes.
const BATCH_BYTES: usize = 1024 * 1024;

type Result<T> = std::result::Result<T, ClientError>;

impl Client {
    /// Registers nodes. `head` gives namespace, `wait` and the idempotency key. No deadline.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`] for a node that fits in no message; the server's. A bad node is no error: it is in the reply.
    pub async fn register_nodes(&self, head: RegisterNodesRequest, nodes: Vec<Node>) -> Result<RegisterNodesResponse> {
        let mut messages = vec![RegisterNodesRequest { nodes: Vec::new(), ..head }];
        self.fill(&mut messages[0].namespace);
        let mut bytes = 0;
        for node in nodes {
            let size = node.encoded_len();
            if size > MESSAGE_BYTES_MAX / 2 {
                let message = format!("node {:.80} takes {size} bytes, which fits in no message", node.name);
                return Err(ClientError::local(ErrorKind::Limit, message));
            }
            let full = |last: &RegisterNodesRequest| last.nodes.len() >= BATCH_NODES || bytes + size > BATCH_BYTES;
            if messages.last().is_none_or(full) {
                messages.push(RegisterNodesRequest::default());
                bytes = 0;
            }
            bytes += size;
            if let Some(last) = messages.last_mut() {
                last.nodes.push(node);
            }
        }
        done(self.router.clone().register_nodes(Request::new(tokio_stream::iter(messages))).await)
    }

    /// Registers what a file of others describes. No deadline.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a file that is not understood. A bad entry is no error: it is in the reply.
    pub async fn import_nodes(&self, mut request: ImportNodesRequest) -> Result<RegisterNodesResponse> {
        self.fill(&mut request.namespace);
        done(self.router.clone().import_nodes(Request::new(request)).await)
    }

    /// A page of one level of the catalogue's tree.
    ///
    /// # Errors
    /// The server's, such as an unknown folder.
    pub async fn list_nodes(&self, mut request: ListNodesRequest) -> Result<ListNodesResponse> {
        self.fill(&mut request.namespace);
        done(self.router.clone().list_nodes(self.timed(request)).await)
    }

    /// A node with its versions.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there never was one of that name.
    pub async fn get_node(&self, name: &str) -> Result<GetNodeResponse> {
        let request = GetNodeRequest { namespace: self.namespace().to_owned(), name: name.to_owned() };
        done(self.router.clone().get_node(self.timed(request)).await)
    }

    /// Removes nodes by name; one that is not there is no error.
    ///
    /// # Errors
    /// The server's.
    pub async fn remove_nodes(&self, mut request: RemoveNodesRequest) -> Result<RemoveNodesResponse> {
        self.fill(&mut request.namespace);
        done(self.router.clone().remove_nodes(self.timed(request)).await)
    }

    /// Adds goals that a node is for.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for an unknown node.
    pub async fn add_examples(&self, mut request: AddExamplesRequest) -> Result<AddExamplesResponse> {
        self.fill(&mut request.namespace);
        done(self.router.clone().add_examples(self.timed(request)).await)
    }

    /// Which node serves a goal, or that none does.
    ///
    /// # Errors
    /// The server's, such as an empty goal.
    pub async fn route(&self, mut request: RouteRequest) -> Result<RouteResponse> {
        self.fill(&mut request.namespace);
        done(self.router.clone().route(self.timed(request)).await)
    }

    /// [`Self::route`] for many goals in one call.
    ///
    /// # Errors
    /// The server's; one bad goal refuses all.
    pub async fn route_batch(&self, mut request: RouteBatchRequest) -> Result<RouteBatchResponse> {
        self.fill(&mut request.common.get_or_insert_default().namespace);
        done(self.router.clone().route_batch(self.timed(request)).await)
    }

    /// Tells what came of a decision.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for an unknown node.
    pub async fn record_outcome(&self, mut request: RecordOutcomeRequest) -> Result<()> {
        self.fill(&mut request.namespace);
        done(self.router.clone().record_outcome(self.timed(request)).await).map(|_| ())
    }

    /// What routing has learned: confused pairs, nodes that fail.
    ///
    /// # Errors
    /// The server's.
    pub async fn report_routing(&self) -> Result<ReportRoutingResponse> {
        let request = ReportRoutingRequest { namespace: self.namespace().to_owned() };
        done(self.router.clone().report_routing(self.timed(request)).await)
    }
}
