"""The calls of `hivemem.v1.Graph`. Wherever a node is asked for, a name as people write it does as well as an address."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal

from hivemem._call import Method, Unary
from hivemem._convert import number_of, reader
from hivemem._proto import graph_pb2 as pb
from hivemem.calls._common import key_or_new
from hivemem.types import GraphPath, Linked, Neighbors, Outline, Related, Resolved, Tree, Unlinked

_TREE = Method("/hivemem.v1.Graph/Tree", pb.TreeRequest, pb.TreeResponse)
_OUTLINE = Method("/hivemem.v1.Graph/Outline", pb.OutlineRequest, pb.OutlineResponse)
_NEIGHBORS = Method("/hivemem.v1.Graph/Neighbors", pb.NeighborsRequest, pb.NeighborsResponse)
_PATH = Method("/hivemem.v1.Graph/Path", pb.PathRequest, pb.PathResponse)
_RELATED = Method("/hivemem.v1.Graph/Related", pb.RelatedRequest, pb.RelatedResponse)
_LINK = Method("/hivemem.v1.Graph/Link", pb.LinkRequest, pb.LinkResponse)
_UNLINK = Method("/hivemem.v1.Graph/Unlink", pb.UnlinkRequest, pb.UnlinkResponse)
_RESOLVE = Method("/hivemem.v1.Graph/Resolve", pb.ResolveRequest, pb.ResolveResponse)


def tree(namespace: str, path: str = "", *, depth: int = 0, limit: int = 0) -> Unary[Tree]:
    """The folder tree below `path` (empty: all sources), with counts, languages and a line for each file.

    `depth` are levels (0: 2), `limit` entries (0: 500). Raises NotFound for a folder that isn't there, LimitExceeded.
    """
    request = pb.TreeRequest(namespace=namespace, path=path, depth=depth, limit=limit)
    return Unary(_TREE, request, reader(Tree))


def outline(namespace: str, node: str, *, limit: int = 0) -> Unary[Outline]:
    """What a document defines, with signatures: at most `limit` definitions (0: 500), outer ones before those inside of them.

    Raises NotFound for a document that isn't there, LimitExceeded.
    """
    return Unary(_OUTLINE, pb.OutlineRequest(namespace=namespace, node=node, limit=limit), reader(Outline))


def neighbors(
    namespace: str,
    node: str,
    *,
    kinds: Sequence[str] = (),
    direction: Literal["out", "in", "both"] = "both",
    depth: int = 0,
    limit: int = 0,
    confidence_min: float = 0.0,
) -> Unary[Neighbors]:
    """The nodes around a node, nearest first, along edges of these `kinds` (none: all).

    `depth` are steps (0: 1), `limit` nodes (0: 50). Raises NotFound for a name that nothing has, LimitExceeded.
    """
    request = pb.NeighborsRequest(
        namespace=namespace,
        node=node,
        kinds=kinds,
        direction=pb.Direction.Name(number_of(pb.Direction.DESCRIPTOR, direction)),
        depth=depth,
        limit=limit,
        confidence_min=confidence_min,
    )
    return Unary(_NEIGHBORS, request, reader(Neighbors))


def path(namespace: str, from_: str, to: str, *, depth: int = 0, kinds: Sequence[str] = ()) -> Unary[GraphPath]:
    """How two nodes are connected, in at most `depth` steps (0: 6) along edges of these `kinds` (none: all).

    No way is not an error. Raises NotFound for a name that nothing has, LimitExceeded.
    """
    request = pb.PathRequest(namespace=namespace, to=to, depth=depth, kinds=kinds)
    setattr(request, "from", from_)
    return Unary(_PATH, request, reader(GraphPath))


def related(namespace: str, *nodes: str, limit: int = 0, kinds: Sequence[str] = ()) -> Unary[Related]:
    """What belongs with some nodes, by a random walk from them: at most `limit` nodes (0: 20) of these `kinds`.

    Raises NotFound for a name that nothing has, LimitExceeded.
    """
    request = pb.RelatedRequest(namespace=namespace, nodes=nodes, limit=limit, kinds=kinds)
    return Unary(_RELATED, request, reader(Related))


def link(
    namespace: str,
    from_: str,
    to: str,
    *,
    kind: str = "",
    note: str = "",
    tags: Sequence[str] = (),
    run: str = "",
    node: str = "",
    ttl: timedelta | None = None,
    idempotency_key: str | None = None,
) -> Unary[Linked]:
    """Says that two nodes belong together. It is a memory: it can be searched for, expires after `ttl`, is forgotten like one.

    Raises NotFound if one of them isn't there, InvalidArgument for an unknown kind of edge.
    """
    request = pb.LinkRequest(
        namespace=namespace,
        idempotency_key=key_or_new(idempotency_key),
        to=to,
        kind=kind,
        note=note,
        tags=tags,
        run=run,
        node=node,
        ttl=ttl,
    )
    setattr(request, "from", from_)
    return Unary(_LINK, request, reader(Linked))


def unlink(
    namespace: str,
    *,
    origin: str = "",
    from_: str = "",
    to: str = "",
    kind: str = "",
    idempotency_key: str | None = None,
) -> Unary[Unlinked]:
    """Takes links back: the one that the memory `origin` holds, or all between two ends, or those of one kind.

    Raises InvalidArgument if neither an origin nor two ends are given.
    """
    request = pb.UnlinkRequest(namespace=namespace, idempotency_key=key_or_new(idempotency_key), origin=origin, to=to, kind=kind)
    setattr(request, "from", from_)
    return Unary(_UNLINK, request, reader(Unlinked))


def resolve(namespace: str, name: str, *, limit: int = 0) -> Unary[Resolved]:
    """The nodes that a name may mean, best first: at most `limit` (0: 10). None is not an error."""
    request = pb.ResolveRequest(namespace=namespace, name=name, limit=limit)
    return Unary(_RESOLVE, request, reader(Resolved))
