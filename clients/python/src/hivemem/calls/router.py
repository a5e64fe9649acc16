"""The calls of `hivemem.v1.Router`."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Sequence
from pathlib import Path

from hivemem._call import Method, Paged, Sent, Unary
from hivemem._convert import from_message, reader, to_message
from hivemem._pack import ItemPacker
from hivemem._proto import router_pb2 as pb
from hivemem.calls._common import key_or_new
from hivemem.types import (
    Node,
    NodeHistory,
    NodePage,
    NodeSummary,
    Registered,
    RouteDecision,
    RoutingReport,
)

_REGISTER_NODES = Method("/hivemem.v1.Router/RegisterNodes", pb.RegisterNodesRequest, pb.RegisterNodesResponse)
_IMPORT_NODES = Method("/hivemem.v1.Router/ImportNodes", pb.ImportNodesRequest, pb.RegisterNodesResponse)
_LIST_NODES = Method("/hivemem.v1.Router/ListNodes", pb.ListNodesRequest, pb.ListNodesResponse)
_GET_NODE = Method("/hivemem.v1.Router/GetNode", pb.GetNodeRequest, pb.GetNodeResponse)
_REMOVE_NODES = Method("/hivemem.v1.Router/RemoveNodes", pb.RemoveNodesRequest, pb.RemoveNodesResponse)
_ADD_EXAMPLES = Method("/hivemem.v1.Router/AddExamples", pb.AddExamplesRequest, pb.AddExamplesResponse)
_ROUTE = Method("/hivemem.v1.Router/Route", pb.RouteRequest, pb.RouteResponse)
_ROUTE_BATCH = Method("/hivemem.v1.Router/RouteBatch", pb.RouteBatchRequest, pb.RouteBatchResponse)
_RECORD_OUTCOME = Method("/hivemem.v1.Router/RecordOutcome", pb.RecordOutcomeRequest, pb.RecordOutcomeResponse)
_REPORT_ROUTING = Method("/hivemem.v1.Router/ReportRouting", pb.ReportRoutingRequest, pb.ReportRoutingResponse)

_BATCH_NODES_MAX = 256
# Nodes in one message, below the server's limit of 512.


def register_nodes(
    namespace: str,
    nodes: Iterable[Node] | AsyncIterable[Node],
    *,
    wait: bool = False,
    idempotency_key: str | None = None,
) -> Sent[Registered]:
    """Registers nodes. With `wait` it returns only when they are learned from as well, which may take some seconds.

    A bad node is no error: it is in the reply. No deadline. Raises LimitExceeded for a node that fits in no message.
    """
    head = pb.RegisterNodesRequest(namespace=namespace, wait=wait, idempotency_key=key_or_new(idempotency_key))
    packer = ItemPacker(
        head,
        "nodes",
        _BATCH_NODES_MAX,
        encode=lambda node: to_message(node, pb.Node),
        name=lambda node: f"node {node.name[:80]}",
    )
    return Sent(_REGISTER_NODES, nodes, packer, reader(Registered))


def import_nodes(
    namespace: str,
    content: bytes | str | Path,
    *,
    format: str = "",
    file_name: str = "",
    folder: str = "",
    wait: bool = False,
    idempotency_key: str | None = None,
) -> Unary[Registered]:
    """Registers what a file of others describes: node scripts, function configurations, tool lists, OpenAPI, source.

    A `Path` is read here; text and bytes are the content. `format` is mcp, openapi or json (empty: found out), `folder` is
    for nodes that name none. Nothing in it is run. No deadline.

    Raises InvalidArgument for a file that is not understood, LimitExceeded, OSError for a path that can't be read.
    """
    if isinstance(content, Path):
        file_name = file_name or content.name
        content = content.read_bytes()
    request = pb.ImportNodesRequest(
        namespace=namespace,
        format=format,
        file_name=file_name,
        content=content.encode() if isinstance(content, str) else content,
        folder=folder,
        wait=wait,
        idempotency_key=key_or_new(idempotency_key),
    )
    return Unary(_IMPORT_NODES, request, reader(Registered), long=True)


def list_nodes(
    namespace: str,
    folder: str = "",
    *,
    tags: Sequence[str] = (),
    kinds: Sequence[str] = (),
    page_size: int = 0,
    page_token: str = "",
) -> Unary[NodePage]:
    """A page of one level of the catalogue's tree (empty `folder`: the top), of at most `page_size` nodes (0: 50).

    Raises NotFound for an unknown folder, LimitExceeded for a page over 100.
    """
    request = pb.ListNodesRequest(
        namespace=namespace, folder=folder, tags=tags, kinds=kinds, page_size=page_size, page_token=page_token
    )
    return Unary(_LIST_NODES, request, reader(NodePage))


def iter_nodes(namespace: str, folder: str = "", *, tags: Sequence[str] = (), kinds: Sequence[str] = ()) -> Paged[NodeSummary]:
    """All nodes of one level of the catalogue's tree, fetched page by page. Errors as `list_nodes`."""

    def page(token: str) -> Unary[NodePage]:
        return list_nodes(namespace, folder, tags=tags, kinds=kinds, page_size=100, page_token=token)

    def after(last: NodePage) -> Unary[NodePage] | None:
        return page(last.next_page_token) if last.next_page_token else None

    return Paged(page(""), lambda found: found.nodes, after)


def get_node(namespace: str, name: str) -> Unary[NodeHistory]:
    """A node with its versions. Raises NotFound if there never was one of that name."""
    return Unary(_GET_NODE, pb.GetNodeRequest(namespace=namespace, name=name), reader(NodeHistory))


def remove_nodes(namespace: str, *names: str, idempotency_key: str | None = None) -> Unary[int]:
    """Removes nodes by name, and says how many there were; one that is not there is no error."""
    request = pb.RemoveNodesRequest(namespace=namespace, names=names, idempotency_key=key_or_new(idempotency_key))
    return Unary(_REMOVE_NODES, request, _removed)


def add_examples(namespace: str, name: str, examples: Sequence[str], *, idempotency_key: str | None = None) -> Unary[int]:
    """Adds goals that a node is for, and says how many were new. Raises NotFound for an unknown node."""
    request = pb.AddExamplesRequest(
        namespace=namespace, name=name, examples=examples, idempotency_key=key_or_new(idempotency_key)
    )
    return Unary(_ADD_EXAMPLES, request, _added)


def route(
    namespace: str,
    goal: str,
    *,
    context: str = "",
    kinds: Sequence[str] = (),
    tags: Sequence[str] = (),
    permissions: Sequence[str] = (),
    k: int | None = None,
    budget_tokens: int | None = None,
    model: str = "",
) -> Unary[RouteDecision]:
    """Which node serves a goal, or that none does.

    `context` tells senses of the goal apart. Only nodes of these `kinds` and with one of these `tags` (none: all) that ask
    for no more than `permissions`. `k` candidates, 1 to 100 (None: 5). Schemas come along as far as `budget_tokens`
    tokens of `model` hold (None: no schemas).

    Raises InvalidArgument for an empty goal, LimitExceeded.
    """
    request = _route_request(namespace, goal, context, kinds, tags, permissions, k, budget_tokens, model)
    return Unary(_ROUTE, request, reader(RouteDecision))


def route_batch(
    namespace: str,
    goals: Sequence[str],
    *,
    context: str = "",
    kinds: Sequence[str] = (),
    tags: Sequence[str] = (),
    permissions: Sequence[str] = (),
    k: int | None = None,
    budget_tokens: int | None = None,
    model: str = "",
) -> Unary[tuple[RouteDecision, ...]]:
    """`route` for 1 to 512 goals in one call, in their order. Errors as there; one bad goal refuses all."""
    common = _route_request(namespace, "", context, kinds, tags, permissions, k, budget_tokens, model)
    return Unary(_ROUTE_BATCH, pb.RouteBatchRequest(common=common, goals=goals), _decisions)


def record_outcome(
    namespace: str,
    goal: str,
    chosen: str,
    *,
    succeeded: bool,
    cost: float = 0.0,
    correction: str = "",
    idempotency_key: str | None = None,
) -> Unary[None]:
    """Tells what came of a decision. `cost` is in the caller's unit.

    `correction` names the node that would have been right; the goal becomes an example of it. `chosen` is empty where the
    decision was that there is none, and a correction says otherwise. Raises NotFound for an unknown node, InvalidArgument
    where both are empty.
    """
    request = pb.RecordOutcomeRequest(
        namespace=namespace,
        goal=goal,
        chosen=chosen,
        succeeded=succeeded,
        cost=cost,
        correction=correction,
        idempotency_key=key_or_new(idempotency_key),
    )
    return Unary(_RECORD_OUTCOME, request, _nothing)


def report_routing(namespace: str) -> Unary[RoutingReport]:
    """What routing has learned: confused pairs, nodes that fail."""
    return Unary(_REPORT_ROUTING, pb.ReportRoutingRequest(namespace=namespace), reader(RoutingReport))


def _route_request(
    namespace: str,
    goal: str,
    context: str,
    kinds: Sequence[str],
    tags: Sequence[str],
    permissions: Sequence[str],
    k: int | None,
    budget_tokens: int | None,
    model: str,
) -> pb.RouteRequest:
    return pb.RouteRequest(
        namespace=namespace,
        goal=goal,
        context=context,
        kinds=kinds,
        tags=tags,
        permissions=permissions,
        k=k,
        budget_tokens=budget_tokens,
        model=model,
    )


def _removed(reply: pb.RemoveNodesResponse) -> int:
    return reply.removed


def _added(reply: pb.AddExamplesResponse) -> int:
    return reply.added


def _decisions(reply: pb.RouteBatchResponse) -> tuple[RouteDecision, ...]:
    return tuple(from_message(RouteDecision, decision) for decision in reply.decisions)


def _nothing(_: pb.RecordOutcomeResponse) -> None:
    return None
