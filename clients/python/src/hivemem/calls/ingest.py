"""The calls of `hivemem.v1.Ingest`."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from datetime import timedelta

from hivemem._call import Exchanged, Method, Streamed, Unary
from hivemem._convert import reader, to_message
from hivemem._pack import ItemPacker
from hivemem._proto import common_pb2
from hivemem._proto import ingest_pb2 as pb
from hivemem.calls._common import key_or_new, message_or_none
from hivemem.types import Document, Forgotten, IngestProgress, Remembered, SearchFilter

_INGEST_SOURCE = Method("/hivemem.v1.Ingest/IngestSource", pb.IngestSourceRequest, pb.IngestProgress)
_PUT_DOCUMENTS = Method("/hivemem.v1.Ingest/PutDocuments", pb.PutDocumentsRequest, pb.IngestProgress)
_REMEMBER = Method("/hivemem.v1.Ingest/Remember", pb.RememberRequest, pb.RememberResponse)
_FORGET = Method("/hivemem.v1.Ingest/Forget", pb.ForgetRequest, pb.ForgetResponse)

_BATCH_DOCUMENTS_MAX = 512
# Documents in one message; the server's limit.


def ingest_source(
    namespace: str,
    source: str,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    tags: Sequence[str] = (),
    wait: bool = True,
    verify: bool = False,
    watch: bool | None = None,
    dry_run: bool = False,
    credential: str = "",
    depth: int | None = None,
    pages_max: int | None = None,
    delay: timedelta | None = None,
    idempotency_key: str | None = None,
) -> Streamed[IngestProgress]:
    """Syncs a directory or file that the server can read: changed documents are stored, gone ones retired.

    `source` is a path on the server's machine, or an address that it can read (file, s3, gs, az, http, https);
    `include` and `exclude` are globs relative to it. Without `wait` the
    report comes once everything is lexically searchable, before the vectors. `verify` reads every file, whatever its size
    and time say. `watch=True` follows the source from then on and keeps the stream open for the reports of later syncs;
    `watch=False` stops following it. `dry_run` only reports what would be done; `credential` names credentials in the
    server's configuration. Of a site (`site:https://…`) `depth` is the most links between its first page and another (10),
    `pages_max` the most pages (1000), `delay` the least time between two requests (1 s; none to the server's own machine).
    No deadline; leaving the stream cancels the call, not what is stored.

    Raises NotFound for a source that isn't there, Denied outside the allowed folders, LimitExceeded, InvalidArgument.
    """
    request = pb.IngestSourceRequest(
        namespace=namespace,
        source=source,
        include=include,
        exclude=exclude,
        tags=tags,
        no_wait=not wait,
        verify=verify,
        idempotency_key=key_or_new(idempotency_key),
        watch=watch is True,
        no_watch=watch is False,
        dry_run=dry_run,
        credential=credential,
        depth=depth,
        pages_max=pages_max,
        delay=delay,
    )
    return Streamed(_INGEST_SOURCE, request, reader(IngestProgress))


def put_documents(
    namespace: str,
    documents: Iterable[Document] | AsyncIterable[Document],
    *,
    source: str = "",
    wait: bool = True,
    idempotency_key: str | None = None,
) -> Exchanged[IngestProgress]:
    """Stores documents, sent in batches below the message limit.

    `source` groups them for filters and `forget`; empty: `inline:`. The async client also takes an async iterable. Without
    `wait` the report comes once everything is lexically searchable. No deadline.

    Raises LimitExceeded for a document of more than 4 MiB (those before it are stored), InvalidArgument for a bad URI, and
    whatever the iterable raises.
    """
    head = pb.PutDocumentsRequest(
        namespace=namespace, source=source, no_wait=not wait, idempotency_key=key_or_new(idempotency_key)
    )
    packer = ItemPacker(
        head,
        "documents",
        _BATCH_DOCUMENTS_MAX,
        encode=lambda document: to_message(document, pb.InputDocument),
        name=lambda document: f"document {document.uri}",
    )
    return Exchanged(_PUT_DOCUMENTS, documents, packer, reader(IngestProgress))


def remember(
    namespace: str,
    text: str,
    *,
    kind: str = "",
    title: str = "",
    tags: Sequence[str] = (),
    metadata: Mapping[str, str] | None = None,
    run: str = "",
    node: str = "",
    trust: str = "",
    ttl: timedelta | None = None,
    idempotency_key: str | None = None,
) -> Unary[Remembered]:
    """Stores one memory.

    `kind` is fact, note, output, … (default note), `trust` local, agent or external (default agent); `run` and `node` say
    where it comes from. It is forgotten after `ttl`; None: never.

    Raises InvalidArgument for an empty text, LimitExceeded for one that is too long.
    """
    request = pb.RememberRequest(
        namespace=namespace,
        text=text,
        tags=tags,
        metadata=metadata,
        title=title,
        idempotency_key=key_or_new(idempotency_key),
        kind=kind,
        run=run,
        node=node,
        trust=trust,
        ttl=ttl,
    )
    return Unary(_REMEMBER, request, reader(Remembered))


def forget(
    namespace: str,
    *,
    uri: str | None = None,
    uri_prefix: str | None = None,
    source: str | None = None,
    document_id: str | None = None,
    tag: str | None = None,
    filter: SearchFilter | None = None,
    idempotency_key: str | None = None,
) -> Unary[Forgotten]:
    """Removes the documents that the selector names; give exactly one. None found is not an error.

    Raises InvalidArgument for a selector that is missing or empty, ValueError for more than one.
    """
    given = [part for part in (uri, uri_prefix, source, document_id, tag, filter) if part is not None]
    if len(given) > 1:
        raise ValueError("give one of uri, uri_prefix, source, document_id, tag and filter, not several")
    request = pb.ForgetRequest(
        namespace=namespace,
        uri=uri,
        uri_prefix=uri_prefix,
        source=source,
        document_id=document_id,
        tag=tag,
        filter=message_or_none(filter, common_pb2.SearchFilter),
        idempotency_key=key_or_new(idempotency_key),
    )
    return Unary(_FORGET, request, reader(Forgotten))
