import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from hivemem._proto import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class IngestSourceRequest(_message.Message):
    __slots__ = ("namespace", "source", "include", "exclude", "tags", "no_wait", "verify", "idempotency_key", "watch", "no_watch")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    NO_WAIT_FIELD_NUMBER: _ClassVar[int]
    VERIFY_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    WATCH_FIELD_NUMBER: _ClassVar[int]
    NO_WATCH_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    source: str
    include: _containers.RepeatedScalarFieldContainer[str]
    exclude: _containers.RepeatedScalarFieldContainer[str]
    tags: _containers.RepeatedScalarFieldContainer[str]
    no_wait: bool
    verify: bool
    idempotency_key: str
    watch: bool
    no_watch: bool
    def __init__(self, namespace: _Optional[str] = ..., source: _Optional[str] = ..., include: _Optional[_Iterable[str]] = ..., exclude: _Optional[_Iterable[str]] = ..., tags: _Optional[_Iterable[str]] = ..., no_wait: bool = ..., verify: bool = ..., idempotency_key: _Optional[str] = ..., watch: bool = ..., no_watch: bool = ...) -> None: ...

class PutDocumentsRequest(_message.Message):
    __slots__ = ("namespace", "source", "documents", "no_wait", "idempotency_key")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    NO_WAIT_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    source: str
    documents: _containers.RepeatedCompositeFieldContainer[InputDocument]
    no_wait: bool
    idempotency_key: str
    def __init__(self, namespace: _Optional[str] = ..., source: _Optional[str] = ..., documents: _Optional[_Iterable[_Union[InputDocument, _Mapping]]] = ..., no_wait: bool = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class InputDocument(_message.Message):
    __slots__ = ("uri", "title", "content", "media_type", "tags", "metadata", "modified_at")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    URI_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    MODIFIED_AT_FIELD_NUMBER: _ClassVar[int]
    uri: str
    title: str
    content: bytes
    media_type: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    metadata: _containers.ScalarMap[str, str]
    modified_at: _timestamp_pb2.Timestamp
    def __init__(self, uri: _Optional[str] = ..., title: _Optional[str] = ..., content: _Optional[bytes] = ..., media_type: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., metadata: _Optional[_Mapping[str, str]] = ..., modified_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class IngestProgress(_message.Message):
    __slots__ = ("phase", "files_total", "files_done", "bytes_done", "chunks", "chunks_to_embed", "chunks_embedded", "acknowledged", "eta", "report", "problem")
    class Phase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        PHASE_UNSPECIFIED: _ClassVar[IngestProgress.Phase]
        PHASE_LISTING: _ClassVar[IngestProgress.Phase]
        PHASE_READING: _ClassVar[IngestProgress.Phase]
        PHASE_EMBEDDING: _ClassVar[IngestProgress.Phase]
        PHASE_DONE: _ClassVar[IngestProgress.Phase]
    PHASE_UNSPECIFIED: IngestProgress.Phase
    PHASE_LISTING: IngestProgress.Phase
    PHASE_READING: IngestProgress.Phase
    PHASE_EMBEDDING: IngestProgress.Phase
    PHASE_DONE: IngestProgress.Phase
    PHASE_FIELD_NUMBER: _ClassVar[int]
    FILES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    FILES_DONE_FIELD_NUMBER: _ClassVar[int]
    BYTES_DONE_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_TO_EMBED_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_EMBEDDED_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    ETA_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    phase: IngestProgress.Phase
    files_total: int
    files_done: int
    bytes_done: int
    chunks: int
    chunks_to_embed: int
    chunks_embedded: int
    acknowledged: bool
    eta: _duration_pb2.Duration
    report: IngestReport
    problem: str
    def __init__(self, phase: _Optional[_Union[IngestProgress.Phase, str]] = ..., files_total: _Optional[int] = ..., files_done: _Optional[int] = ..., bytes_done: _Optional[int] = ..., chunks: _Optional[int] = ..., chunks_to_embed: _Optional[int] = ..., chunks_embedded: _Optional[int] = ..., acknowledged: bool = ..., eta: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., report: _Optional[_Union[IngestReport, _Mapping]] = ..., problem: _Optional[str] = ...) -> None: ...

class IngestReport(_message.Message):
    __slots__ = ("source", "files", "bytes", "chunks", "added", "updated", "unchanged", "removed", "embedded", "embeddings_cached", "lsn", "elapsed", "skipped", "failed", "skipped_by_reason", "failed_by_reason")
    class SkippedByReasonEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class FailedByReasonEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    ADDED_FIELD_NUMBER: _ClassVar[int]
    UPDATED_FIELD_NUMBER: _ClassVar[int]
    UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    EMBEDDED_FIELD_NUMBER: _ClassVar[int]
    EMBEDDINGS_CACHED_FIELD_NUMBER: _ClassVar[int]
    LSN_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_BY_REASON_FIELD_NUMBER: _ClassVar[int]
    FAILED_BY_REASON_FIELD_NUMBER: _ClassVar[int]
    source: str
    files: int
    bytes: int
    chunks: int
    added: int
    updated: int
    unchanged: int
    removed: int
    embedded: int
    embeddings_cached: int
    lsn: int
    elapsed: _duration_pb2.Duration
    skipped: _containers.RepeatedCompositeFieldContainer[FileIssue]
    failed: _containers.RepeatedCompositeFieldContainer[FileIssue]
    skipped_by_reason: _containers.ScalarMap[str, int]
    failed_by_reason: _containers.ScalarMap[str, int]
    def __init__(self, source: _Optional[str] = ..., files: _Optional[int] = ..., bytes: _Optional[int] = ..., chunks: _Optional[int] = ..., added: _Optional[int] = ..., updated: _Optional[int] = ..., unchanged: _Optional[int] = ..., removed: _Optional[int] = ..., embedded: _Optional[int] = ..., embeddings_cached: _Optional[int] = ..., lsn: _Optional[int] = ..., elapsed: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., skipped: _Optional[_Iterable[_Union[FileIssue, _Mapping]]] = ..., failed: _Optional[_Iterable[_Union[FileIssue, _Mapping]]] = ..., skipped_by_reason: _Optional[_Mapping[str, int]] = ..., failed_by_reason: _Optional[_Mapping[str, int]] = ...) -> None: ...

class FileIssue(_message.Message):
    __slots__ = ("path", "reason")
    PATH_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    path: str
    reason: str
    def __init__(self, path: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class RememberRequest(_message.Message):
    __slots__ = ("namespace", "text", "tags", "metadata", "title", "idempotency_key", "kind", "run", "node", "trust", "ttl")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    TRUST_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    text: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    metadata: _containers.ScalarMap[str, str]
    title: str
    idempotency_key: str
    kind: str
    run: str
    node: str
    trust: str
    ttl: _duration_pb2.Duration
    def __init__(self, namespace: _Optional[str] = ..., text: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., metadata: _Optional[_Mapping[str, str]] = ..., title: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., kind: _Optional[str] = ..., run: _Optional[str] = ..., node: _Optional[str] = ..., trust: _Optional[str] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class RememberResponse(_message.Message):
    __slots__ = ("uri", "document_id", "created", "lsn", "repeats", "echoes")
    URI_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    LSN_FIELD_NUMBER: _ClassVar[int]
    REPEATS_FIELD_NUMBER: _ClassVar[int]
    ECHOES_FIELD_NUMBER: _ClassVar[int]
    uri: str
    document_id: str
    created: bool
    lsn: int
    repeats: str
    echoes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, uri: _Optional[str] = ..., document_id: _Optional[str] = ..., created: bool = ..., lsn: _Optional[int] = ..., repeats: _Optional[str] = ..., echoes: _Optional[_Iterable[str]] = ...) -> None: ...

class ForgetRequest(_message.Message):
    __slots__ = ("namespace", "uri", "uri_prefix", "source", "document_id", "tag", "filter", "idempotency_key")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    URI_PREFIX_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    uri: str
    uri_prefix: str
    source: str
    document_id: str
    tag: str
    filter: _common_pb2.SearchFilter
    idempotency_key: str
    def __init__(self, namespace: _Optional[str] = ..., uri: _Optional[str] = ..., uri_prefix: _Optional[str] = ..., source: _Optional[str] = ..., document_id: _Optional[str] = ..., tag: _Optional[str] = ..., filter: _Optional[_Union[_common_pb2.SearchFilter, _Mapping]] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class ForgetResponse(_message.Message):
    __slots__ = ("removed", "uris", "lsn", "pending")
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    URIS_FIELD_NUMBER: _ClassVar[int]
    LSN_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    removed: int
    uris: _containers.RepeatedScalarFieldContainer[str]
    lsn: int
    pending: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, removed: _Optional[int] = ..., uris: _Optional[_Iterable[str]] = ..., lsn: _Optional[int] = ..., pending: _Optional[_Iterable[str]] = ...) -> None: ...
