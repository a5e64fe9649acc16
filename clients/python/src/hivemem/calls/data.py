"""The calls of `hivemem.v1.DataView`."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Sequence
from datetime import timedelta

from hivemem._call import Gathered, Method, Paged, Sent, Streamed, Unary
from hivemem._convert import from_message, reader, to_message
from hivemem._pack import ItemPacker
from hivemem._proto import data_pb2 as pb
from hivemem._proto import ingest_pb2
from hivemem.calls._common import key_or_new, message_or_none
from hivemem.types import (
    DataEntry,
    DataFilter,
    DataHit,
    DataLocation,
    DataObject,
    DataPage,
    DataPiece,
    DataRegistered,
    DataStat,
    DataVerified,
    IngestProgress,
)

_REGISTER_DATA = Method("/hivemem.v1.DataView/RegisterData", pb.RegisterDataRequest, pb.RegisterDataResponse)
_UNREGISTER_DATA = Method("/hivemem.v1.DataView/UnregisterData", pb.UnregisterDataRequest, pb.UnregisterDataResponse)
_LIST_DATA = Method("/hivemem.v1.DataView/ListData", pb.ListDataRequest, pb.ListDataResponse)
_STAT_DATA = Method("/hivemem.v1.DataView/StatData", pb.StatDataRequest, pb.StatDataResponse)
_LOCATE_DATA = Method("/hivemem.v1.DataView/LocateData", pb.LocateDataRequest, pb.LocateDataResponse)
_FETCH_DATA = Method("/hivemem.v1.DataView/FetchData", pb.FetchDataRequest, pb.FetchDataResponse)
_VERIFY_DATA = Method("/hivemem.v1.DataView/VerifyData", pb.VerifyDataRequest, pb.VerifyDataResponse)
_SEARCH_DATA = Method("/hivemem.v1.DataView/SearchData", pb.SearchDataRequest, pb.SearchDataResponse)
_FETCH_AND_INGEST = Method("/hivemem.v1.DataView/FetchAndIngest", pb.FetchAndIngestRequest, ingest_pb2.IngestProgress)

_BATCH_OBJECTS_MAX = 1000
# Objects in one message; the server's limit.


def register_data(
    namespace: str,
    objects: Iterable[DataObject] | AsyncIterable[DataObject],
    *,
    contents: bool = False,
    idempotency_key: str | None = None,
) -> Sent[DataRegistered]:
    """Registers data that need not be ingested. A bad entry is no error: it is in the reply. No deadline.

    `contents` lists what folders, prefixes, buckets, repositories and databases among them hold, and registers that as well;
    what was listed there before and is gone is taken out.
    """
    head = pb.RegisterDataRequest(namespace=namespace, contents=contents, idempotency_key=key_or_new(idempotency_key))
    packer = ItemPacker(
        head,
        "objects",
        _BATCH_OBJECTS_MAX,
        encode=lambda item: to_message(item, pb.DataObject),
        name=lambda item: f"data object {item.uri}",
    )
    return Sent(_REGISTER_DATA, objects, packer, reader(DataRegistered))


def unregister_data(namespace: str, *uris: str, prefix: str = "", idempotency_key: str | None = None) -> Unary[int]:
    """Unregisters these objects, or all at or below `prefix`, and says how many there were."""
    request = pb.UnregisterDataRequest(namespace=namespace, uris=uris, prefix=prefix, idempotency_key=key_or_new(idempotency_key))
    return Unary(_UNREGISTER_DATA, request, _removed)


def list_data(
    namespace: str,
    prefix: str = "",
    *,
    filter: DataFilter | None = None,
    tree: bool = False,
    page_size: int = 0,
    page_token: str = "",
) -> Unary[DataPage]:
    """A page of all data below `prefix` (empty: everything), ingested and registered alike.

    `tree` gives one level of folders instead of a flat list. At most `page_size` entries, 1 to 1000 (0: 100).
    """
    request = pb.ListDataRequest(
        namespace=namespace,
        prefix=prefix,
        filter=message_or_none(filter, pb.DataFilter),
        tree=tree,
        page_size=page_size,
        page_token=page_token,
    )
    return Unary(_LIST_DATA, request, reader(DataPage))


def iter_data(namespace: str, prefix: str = "", *, filter: DataFilter | None = None) -> Paged[DataEntry]:
    """All data below `prefix` as a flat list, fetched page by page."""

    def page(token: str) -> Unary[DataPage]:
        return list_data(namespace, prefix, filter=filter, page_size=1000, page_token=token)

    def after(last: DataPage) -> Unary[DataPage] | None:
        return page(last.next_page_token) if last.next_page_token else None

    return Paged(page(""), lambda found: found.entries, after)


def stat_data(namespace: str, uri: str, *, offline: bool = False) -> Unary[DataStat]:
    """What is known of one object. `offline` does not look at the object itself.

    Raises NotFound for an object that nobody ingested or registered.
    """
    return Unary(_STAT_DATA, pb.StatDataRequest(namespace=namespace, uri=uri, offline=offline), reader(DataStat))


def locate_data(namespace: str, uri: str, *, presign_ttl: timedelta | None = None) -> Unary[DataLocation]:
    """Exact, executable ways to get an object. Presigned URLs are good for `presign_ttl` (None: 1 h).

    Raises NotFound for an object that nobody ingested or registered.
    """
    request = pb.LocateDataRequest(namespace=namespace, uri=uri, presign_ttl=presign_ttl)
    return Unary(_LOCATE_DATA, request, reader(DataLocation))


def fetch_data(
    namespace: str,
    uri: str,
    *,
    offset: int = 0,
    length: int | None = None,
    expect_hash: str = "",
    user: str = "",
) -> Streamed[DataPiece]:
    """The bytes of an object from `offset` on, `length` of them (None: to the end), in pieces, from wherever it lies.

    `user` says who fetches. No deadline. Raises NotFound, PreconditionFailed if the content is another than the SHA-256
    `expect_hash` (of the whole object, so not together with a range), Unavailable where the store can't be reached.
    """
    return Streamed(_FETCH_DATA, _fetch_request(namespace, uri, offset, length, expect_hash, user), reader(DataPiece))


def read_data(
    namespace: str,
    uri: str,
    *,
    offset: int = 0,
    length: int | None = None,
    expect_hash: str = "",
    user: str = "",
) -> Gathered[bytes]:
    """The bytes of `fetch_data` in one, held in memory, within the client's deadline. Errors as there."""
    return Gathered(_FETCH_DATA, _fetch_request(namespace, uri, offset, length, expect_hash, user), _joined)


def verify_data(namespace: str, uri: str, *, read: bool = False) -> Unary[DataVerified]:
    """Looks whether an object is still there and the same; `read` compares its hash, not only size and time."""
    return Unary(_VERIFY_DATA, pb.VerifyDataRequest(namespace=namespace, uri=uri, read=read), reader(DataVerified))


def search_data(
    namespace: str, query: str, *, filter: DataFilter | None = None, k: int | None = None
) -> Unary[tuple[DataHit, ...]]:
    """Finds objects by name, description, schema and tags, ingested documents by name and path: `k` of them, 1 to 100 (None: 10).

    What isn't ingested comes with a plan and its cost. Raises InvalidArgument for an empty query.
    """
    request = pb.SearchDataRequest(namespace=namespace, query=query, filter=message_or_none(filter, pb.DataFilter), k=k)
    return Unary(_SEARCH_DATA, request, _hits)


def fetch_and_ingest(
    namespace: str,
    uri: str,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    tags: Sequence[str] = (),
    wait: bool = True,
    user: str = "",
    idempotency_key: str | None = None,
) -> Streamed[IngestProgress]:
    """Fetches an object from wherever it lies and ingests it. `wait`, globs and progress as in `ingest_source`."""
    request = pb.FetchAndIngestRequest(
        namespace=namespace,
        uri=uri,
        include=include,
        exclude=exclude,
        tags=tags,
        no_wait=not wait,
        idempotency_key=key_or_new(idempotency_key),
        user=user,
    )
    return Streamed(_FETCH_AND_INGEST, request, reader(IngestProgress))


def _fetch_request(namespace: str, uri: str, offset: int, length: int | None, expect_hash: str, user: str) -> pb.FetchDataRequest:
    return pb.FetchDataRequest(namespace=namespace, uri=uri, offset=offset, length=length, expect_hash=expect_hash, user=user)


def _removed(reply: pb.UnregisterDataResponse) -> int:
    return reply.removed


def _joined(pieces: Sequence[pb.FetchDataResponse]) -> bytes:
    return b"".join(piece.data for piece in pieces)


def _hits(reply: pb.SearchDataResponse) -> tuple[DataHit, ...]:
    return tuple(from_message(DataHit, hit) for hit in reply.hits)
