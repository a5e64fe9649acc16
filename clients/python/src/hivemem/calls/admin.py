"""The calls of `hivemem.v1.Admin`."""

from __future__ import annotations

from typing import Literal

from hivemem._call import Method, Paged, Streamed, Unary
from hivemem._convert import reader
from hivemem._proto import admin_pb2 as pb
from hivemem.calls._common import key_or_new
from hivemem.types import Compacted, FsckReport, RebuildProgress, Stats

_STATS = Method("/hivemem.v1.Admin/Stats", pb.StatsRequest, pb.StatsResponse)
_CREATE_NAMESPACE = Method("/hivemem.v1.Admin/CreateNamespace", pb.CreateNamespaceRequest, pb.CreateNamespaceResponse)
_LIST_NAMESPACES = Method("/hivemem.v1.Admin/ListNamespaces", pb.ListNamespacesRequest, pb.ListNamespacesResponse)
_REBUILD = Method("/hivemem.v1.Admin/Rebuild", pb.RebuildRequest, pb.RebuildProgress)
_FSCK = Method("/hivemem.v1.Admin/Fsck", pb.FsckRequest, pb.FsckResponse)
_COMPACT = Method("/hivemem.v1.Admin/Compact", pb.CompactRequest, pb.CompactResponse)
_BACKUP = Method("/hivemem.v1.Admin/Backup", pb.BackupRequest, pb.BackupChunk)


def stats(namespace: str) -> Unary[Stats]:
    """Counts and states of the client's namespace and of the server. Raises NotFound for an unknown namespace."""
    return Unary(_STATS, pb.StatsRequest(namespace=namespace), reader(Stats))


def create_namespace(_: str, name: str, *, idempotency_key: str | None = None) -> Unary[None]:
    """Creates a namespace. Raises Conflict if it exists, InvalidArgument for a name that can't be one."""
    request = pb.CreateNamespaceRequest(namespace=name, idempotency_key=key_or_new(idempotency_key))
    return Unary(_CREATE_NAMESPACE, request, _nothing)


def list_namespaces(_: str) -> Paged[str]:
    """All namespaces that the token may see, by name; fetched page by page."""

    def page(token: str) -> Unary[pb.ListNamespacesResponse]:
        return Unary(_LIST_NAMESPACES, pb.ListNamespacesRequest(page_token=token), lambda reply: reply)

    def after(last: pb.ListNamespacesResponse) -> Unary[pb.ListNamespacesResponse] | None:
        return page(last.next_page_token) if last.next_page_token else None

    return Paged(page(""), lambda reply: reply.namespaces, after)


def rebuild(_: str, projection: Literal["vector", "lexical", "graph"]) -> Streamed[RebuildProgress]:
    """Builds an index anew beside the one that serves; the last message says `done`. Goes on if the caller leaves.

    No deadline. Raises Conflict if one is being built already, InvalidArgument for another name.
    """
    return Streamed(_REBUILD, pb.RebuildRequest(projection=projection), reader(RebuildProgress))


def fsck(_: str, *, repair: bool = False) -> Unary[FsckReport]:
    """Compares all stores of the server, of all namespaces, and mends what differs if `repair`.

    Differences are not an error. No deadline: it may take minutes.
    """
    return Unary(_FSCK, pb.FsckRequest(repair=repair), reader(FsckReport), long=True)


def compact(_: str) -> Unary[Compacted]:
    """Gives the space of what was removed back to the file system. No deadline: it may take minutes."""
    return Unary(_COMPACT, pb.CompactRequest(), reader(Compacted), long=True)


def backup(_: str) -> Streamed[bytes]:
    """Everything that the server holds, as the pieces of a backup file; it holds all texts in the clear. No deadline.

    What came before an error is of no use: whether the file is whole can only be told from its checksum, at its end.
    """
    return Streamed(_BACKUP, pb.BackupRequest(), _bytes)


def _nothing(_: pb.CreateNamespaceResponse) -> None:
    return None


def _bytes(chunk: pb.BackupChunk) -> bytes:
    return chunk.data
