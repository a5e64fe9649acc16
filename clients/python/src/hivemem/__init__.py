"""Client of the hivemem memory server, sync and async.

    with hivemem.Client("http://127.0.0.1:7411") as client:
        for hit in client.search("where is the lease renewed").hits:
            print(f"{hit.score:.3f} {hit.citation}")

`hivemem.types` holds what goes in and comes out, `hivemem.errors` what can go wrong, `hivemem.swarm` (extra `swarm`) runs
agent swarms on top.
"""

from hivemem._pack import MESSAGE_BYTES_MAX
from hivemem._settings import Retry
from hivemem.aio import AsyncClient, AsyncIngestStream, AsyncStream
from hivemem.client import Client, IngestStream, Stream
from hivemem.errors import (
    Conflict,
    ConnectFailed,
    DeadlineExceeded,
    Denied,
    Detail,
    HivememError,
    InternalError,
    InvalidArgument,
    LimitExceeded,
    NotFound,
    PreconditionFailed,
    Unavailable,
    Unsupported,
)
from hivemem.types import DataFilter, DataObject, Document, Node, RunEvent, RunStatus, SearchFilter

__all__ = [
    "MESSAGE_BYTES_MAX",
    "AsyncClient",
    "AsyncIngestStream",
    "AsyncStream",
    "Client",
    "Conflict",
    "ConnectFailed",
    "DataFilter",
    "DataObject",
    "DeadlineExceeded",
    "Denied",
    "Detail",
    "Document",
    "HivememError",
    "IngestStream",
    "InternalError",
    "InvalidArgument",
    "LimitExceeded",
    "Node",
    "NotFound",
    "PreconditionFailed",
    "Retry",
    "RunEvent",
    "RunStatus",
    "SearchFilter",
    "Stream",
    "Unavailable",
    "Unsupported",
]
