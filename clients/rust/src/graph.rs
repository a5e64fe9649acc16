//! The calls of `hivemem.v1.Graph`.

use crate::client::{Client, Result, done};
use crate::proto::{
    LinkRequest, LinkResponse, NeighborsRequest, NeighborsResponse, OutlineRequest, OutlineResponse, PathRequest,
    PathResponse, RelatedRequest, RelatedResponse, ResolveRequest, ResolveResponse, TreeRequest, TreeResponse,
    UnlinkRequest, UnlinkResponse,
};

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident($request:ty) -> $response:ty;)+) => {
        impl Client {
            $($(#[$doc])*
            ///
            /// # Errors
            /// The server's, such as a name that nothing has, a limit, or an unknown namespace.
            pub async fn $name(&self, mut request: $request) -> Result<$response> {
                self.fill(&mut request.namespace);
                done(self.graph.clone().$name(self.timed(request)).await)
            })+
        }
    };
}

calls! {
    /// The folder tree, with counts, languages and a line for each file.
    tree(TreeRequest) -> TreeResponse;
    /// What a document defines, with signatures.
    outline(OutlineRequest) -> OutlineResponse;
    /// The nodes around a node.
    neighbors(NeighborsRequest) -> NeighborsResponse;
    /// How two nodes are connected.
    path(PathRequest) -> PathResponse;
    /// What belongs with some nodes.
    related(RelatedRequest) -> RelatedResponse;
    /// Says that two nodes belong together.
    link(LinkRequest) -> LinkResponse;
    /// Takes links back.
    unlink(UnlinkRequest) -> UnlinkResponse;
    /// The nodes that a name may mean, best first.
    resolve(ResolveRequest) -> ResolveResponse;
}
