import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from hivemem._proto import ingest_pb2 as _ingest_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DataObject(_message.Message):
    __slots__ = ("uri", "name", "description", "kind", "media_type", "schema", "owner", "tags", "cost_class", "credential", "bytes", "content_hash", "modified_at", "metadata")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    URI_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    COST_CLASS_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    CONTENT_HASH_FIELD_NUMBER: _ClassVar[int]
    MODIFIED_AT_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    uri: str
    name: str
    description: str
    kind: str
    media_type: str
    schema: str
    owner: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    cost_class: str
    credential: str
    bytes: int
    content_hash: str
    modified_at: _timestamp_pb2.Timestamp
    metadata: _containers.ScalarMap[str, str]
    def __init__(self, uri: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., kind: _Optional[str] = ..., media_type: _Optional[str] = ..., schema: _Optional[str] = ..., owner: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., cost_class: _Optional[str] = ..., credential: _Optional[str] = ..., bytes: _Optional[int] = ..., content_hash: _Optional[str] = ..., modified_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., metadata: _Optional[_Mapping[str, str]] = ...) -> None: ...

class RegisterDataRequest(_message.Message):
    __slots__ = ("namespace", "objects", "idempotency_key", "contents")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    OBJECTS_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    CONTENTS_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    objects: _containers.RepeatedCompositeFieldContainer[DataObject]
    idempotency_key: str
    contents: bool
    def __init__(self, namespace: _Optional[str] = ..., objects: _Optional[_Iterable[_Union[DataObject, _Mapping]]] = ..., idempotency_key: _Optional[str] = ..., contents: bool = ...) -> None: ...

class RegisterDataResponse(_message.Message):
    __slots__ = ("added", "updated", "unchanged", "rejected", "issues")
    ADDED_FIELD_NUMBER: _ClassVar[int]
    UPDATED_FIELD_NUMBER: _ClassVar[int]
    UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    ISSUES_FIELD_NUMBER: _ClassVar[int]
    added: int
    updated: int
    unchanged: int
    rejected: int
    issues: _containers.RepeatedCompositeFieldContainer[DataIssue]
    def __init__(self, added: _Optional[int] = ..., updated: _Optional[int] = ..., unchanged: _Optional[int] = ..., rejected: _Optional[int] = ..., issues: _Optional[_Iterable[_Union[DataIssue, _Mapping]]] = ...) -> None: ...

class DataIssue(_message.Message):
    __slots__ = ("uri", "reason")
    URI_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    uri: str
    reason: str
    def __init__(self, uri: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class UnregisterDataRequest(_message.Message):
    __slots__ = ("namespace", "uris", "prefix", "idempotency_key")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    URIS_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    uris: _containers.RepeatedScalarFieldContainer[str]
    prefix: str
    idempotency_key: str
    def __init__(self, namespace: _Optional[str] = ..., uris: _Optional[_Iterable[str]] = ..., prefix: _Optional[str] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class UnregisterDataResponse(_message.Message):
    __slots__ = ("removed",)
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    removed: int
    def __init__(self, removed: _Optional[int] = ...) -> None: ...

class DataFilter(_message.Message):
    __slots__ = ("kinds", "stores", "tags", "owners", "indexed")
    KINDS_FIELD_NUMBER: _ClassVar[int]
    STORES_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    OWNERS_FIELD_NUMBER: _ClassVar[int]
    INDEXED_FIELD_NUMBER: _ClassVar[int]
    kinds: _containers.RepeatedScalarFieldContainer[str]
    stores: _containers.RepeatedScalarFieldContainer[str]
    tags: _containers.RepeatedScalarFieldContainer[str]
    owners: _containers.RepeatedScalarFieldContainer[str]
    indexed: bool
    def __init__(self, kinds: _Optional[_Iterable[str]] = ..., stores: _Optional[_Iterable[str]] = ..., tags: _Optional[_Iterable[str]] = ..., owners: _Optional[_Iterable[str]] = ..., indexed: bool = ...) -> None: ...

class ListDataRequest(_message.Message):
    __slots__ = ("namespace", "prefix", "filter", "tree", "page_size", "page_token")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    TREE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    prefix: str
    filter: DataFilter
    tree: bool
    page_size: int
    page_token: str
    def __init__(self, namespace: _Optional[str] = ..., prefix: _Optional[str] = ..., filter: _Optional[_Union[DataFilter, _Mapping]] = ..., tree: bool = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListDataResponse(_message.Message):
    __slots__ = ("entries", "folders", "next_page_token")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    FOLDERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[DataEntry]
    folders: _containers.RepeatedCompositeFieldContainer[DataFolder]
    next_page_token: str
    def __init__(self, entries: _Optional[_Iterable[_Union[DataEntry, _Mapping]]] = ..., folders: _Optional[_Iterable[_Union[DataFolder, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DataFolder(_message.Message):
    __slots__ = ("uri", "objects", "at_least")
    URI_FIELD_NUMBER: _ClassVar[int]
    OBJECTS_FIELD_NUMBER: _ClassVar[int]
    AT_LEAST_FIELD_NUMBER: _ClassVar[int]
    uri: str
    objects: int
    at_least: bool
    def __init__(self, uri: _Optional[str] = ..., objects: _Optional[int] = ..., at_least: bool = ...) -> None: ...

class DataEntry(_message.Message):
    __slots__ = ("uri", "name", "kind", "store", "media_type", "bytes", "indexed", "registered", "modified_at", "description")
    URI_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    INDEXED_FIELD_NUMBER: _ClassVar[int]
    REGISTERED_FIELD_NUMBER: _ClassVar[int]
    MODIFIED_AT_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    uri: str
    name: str
    kind: str
    store: str
    media_type: str
    bytes: int
    indexed: bool
    registered: bool
    modified_at: _timestamp_pb2.Timestamp
    description: str
    def __init__(self, uri: _Optional[str] = ..., name: _Optional[str] = ..., kind: _Optional[str] = ..., store: _Optional[str] = ..., media_type: _Optional[str] = ..., bytes: _Optional[int] = ..., indexed: bool = ..., registered: bool = ..., modified_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., description: _Optional[str] = ...) -> None: ...

class StatDataRequest(_message.Message):
    __slots__ = ("namespace", "uri", "offline")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    OFFLINE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    uri: str
    offline: bool
    def __init__(self, namespace: _Optional[str] = ..., uri: _Optional[str] = ..., offline: bool = ...) -> None: ...

class StatDataResponse(_message.Message):
    __slots__ = ("object", "store", "registered", "indexed", "freshness", "freshness_reason", "document_id", "source", "chunks", "tokens", "indexed_at", "indexed_hash", "versions", "uses", "documents", "documents_total")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    REGISTERED_FIELD_NUMBER: _ClassVar[int]
    INDEXED_FIELD_NUMBER: _ClassVar[int]
    FRESHNESS_FIELD_NUMBER: _ClassVar[int]
    FRESHNESS_REASON_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    INDEXED_AT_FIELD_NUMBER: _ClassVar[int]
    INDEXED_HASH_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    USES_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    object: DataObject
    store: str
    registered: bool
    indexed: bool
    freshness: str
    freshness_reason: str
    document_id: str
    source: str
    chunks: int
    tokens: int
    indexed_at: _timestamp_pb2.Timestamp
    indexed_hash: str
    versions: _containers.RepeatedCompositeFieldContainer[DataVersion]
    uses: _containers.RepeatedCompositeFieldContainer[DataUse]
    documents: _containers.RepeatedScalarFieldContainer[str]
    documents_total: int
    def __init__(self, object: _Optional[_Union[DataObject, _Mapping]] = ..., store: _Optional[str] = ..., registered: bool = ..., indexed: bool = ..., freshness: _Optional[str] = ..., freshness_reason: _Optional[str] = ..., document_id: _Optional[str] = ..., source: _Optional[str] = ..., chunks: _Optional[int] = ..., tokens: _Optional[int] = ..., indexed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., indexed_hash: _Optional[str] = ..., versions: _Optional[_Iterable[_Union[DataVersion, _Mapping]]] = ..., uses: _Optional[_Iterable[_Union[DataUse, _Mapping]]] = ..., documents: _Optional[_Iterable[str]] = ..., documents_total: _Optional[int] = ...) -> None: ...

class DataVersion(_message.Message):
    __slots__ = ("version", "bytes", "modified_at")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    MODIFIED_AT_FIELD_NUMBER: _ClassVar[int]
    version: str
    bytes: int
    modified_at: _timestamp_pb2.Timestamp
    def __init__(self, version: _Optional[str] = ..., bytes: _Optional[int] = ..., modified_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class DataUse(_message.Message):
    __slots__ = ("action", "user", "at", "bytes")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    action: str
    user: str
    at: _timestamp_pb2.Timestamp
    bytes: int
    def __init__(self, action: _Optional[str] = ..., user: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., bytes: _Optional[int] = ...) -> None: ...

class LocateDataRequest(_message.Message):
    __slots__ = ("namespace", "uri", "presign_ttl")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    PRESIGN_TTL_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    uri: str
    presign_ttl: _duration_pb2.Duration
    def __init__(self, namespace: _Optional[str] = ..., uri: _Optional[str] = ..., presign_ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class LocateDataResponse(_message.Message):
    __slots__ = ("uri", "store", "recipes")
    URI_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    RECIPES_FIELD_NUMBER: _ClassVar[int]
    uri: str
    store: str
    recipes: _containers.RepeatedCompositeFieldContainer[DataRecipe]
    def __init__(self, uri: _Optional[str] = ..., store: _Optional[str] = ..., recipes: _Optional[_Iterable[_Union[DataRecipe, _Mapping]]] = ...) -> None: ...

class DataRecipe(_message.Message):
    __slots__ = ("form", "text", "needs", "valid_until")
    FORM_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    NEEDS_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    form: str
    text: str
    needs: str
    valid_until: _timestamp_pb2.Timestamp
    def __init__(self, form: _Optional[str] = ..., text: _Optional[str] = ..., needs: _Optional[str] = ..., valid_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class FetchDataRequest(_message.Message):
    __slots__ = ("namespace", "uri", "offset", "length", "expect_hash", "user")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    EXPECT_HASH_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    uri: str
    offset: int
    length: int
    expect_hash: str
    user: str
    def __init__(self, namespace: _Optional[str] = ..., uri: _Optional[str] = ..., offset: _Optional[int] = ..., length: _Optional[int] = ..., expect_hash: _Optional[str] = ..., user: _Optional[str] = ...) -> None: ...

class FetchDataResponse(_message.Message):
    __slots__ = ("media_type", "bytes_total", "version", "data", "content_hash")
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    BYTES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    CONTENT_HASH_FIELD_NUMBER: _ClassVar[int]
    media_type: str
    bytes_total: int
    version: str
    data: bytes
    content_hash: str
    def __init__(self, media_type: _Optional[str] = ..., bytes_total: _Optional[int] = ..., version: _Optional[str] = ..., data: _Optional[bytes] = ..., content_hash: _Optional[str] = ...) -> None: ...

class VerifyDataRequest(_message.Message):
    __slots__ = ("namespace", "uri", "read")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    uri: str
    read: bool
    def __init__(self, namespace: _Optional[str] = ..., uri: _Optional[str] = ..., read: bool = ...) -> None: ...

class VerifyDataResponse(_message.Message):
    __slots__ = ("exists", "verdict", "reason", "elapsed", "bytes", "version", "modified_at", "content_hash")
    EXISTS_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MODIFIED_AT_FIELD_NUMBER: _ClassVar[int]
    CONTENT_HASH_FIELD_NUMBER: _ClassVar[int]
    exists: bool
    verdict: str
    reason: str
    elapsed: _duration_pb2.Duration
    bytes: int
    version: str
    modified_at: _timestamp_pb2.Timestamp
    content_hash: str
    def __init__(self, exists: bool = ..., verdict: _Optional[str] = ..., reason: _Optional[str] = ..., elapsed: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., bytes: _Optional[int] = ..., version: _Optional[str] = ..., modified_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., content_hash: _Optional[str] = ...) -> None: ...

class SearchDataRequest(_message.Message):
    __slots__ = ("namespace", "query", "filter", "k")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    query: str
    filter: DataFilter
    k: int
    def __init__(self, namespace: _Optional[str] = ..., query: _Optional[str] = ..., filter: _Optional[_Union[DataFilter, _Mapping]] = ..., k: _Optional[int] = ...) -> None: ...

class SearchDataResponse(_message.Message):
    __slots__ = ("hits",)
    HITS_FIELD_NUMBER: _ClassVar[int]
    hits: _containers.RepeatedCompositeFieldContainer[DataHit]
    def __init__(self, hits: _Optional[_Iterable[_Union[DataHit, _Mapping]]] = ...) -> None: ...

class DataHit(_message.Message):
    __slots__ = ("entry", "score", "reasons", "plan")
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    entry: DataEntry
    score: float
    reasons: _containers.RepeatedScalarFieldContainer[str]
    plan: FetchPlan
    def __init__(self, entry: _Optional[_Union[DataEntry, _Mapping]] = ..., score: _Optional[float] = ..., reasons: _Optional[_Iterable[str]] = ..., plan: _Optional[_Union[FetchPlan, _Mapping]] = ...) -> None: ...

class FetchPlan(_message.Message):
    __slots__ = ("uri", "steps", "bytes", "documents", "estimated", "cost_class", "credential", "obstacle")
    URI_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_FIELD_NUMBER: _ClassVar[int]
    COST_CLASS_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    OBSTACLE_FIELD_NUMBER: _ClassVar[int]
    uri: str
    steps: str
    bytes: int
    documents: int
    estimated: _duration_pb2.Duration
    cost_class: str
    credential: str
    obstacle: str
    def __init__(self, uri: _Optional[str] = ..., steps: _Optional[str] = ..., bytes: _Optional[int] = ..., documents: _Optional[int] = ..., estimated: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., cost_class: _Optional[str] = ..., credential: _Optional[str] = ..., obstacle: _Optional[str] = ...) -> None: ...

class FetchAndIngestRequest(_message.Message):
    __slots__ = ("namespace", "uri", "include", "exclude", "tags", "no_wait", "idempotency_key", "user")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    NO_WAIT_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    uri: str
    include: _containers.RepeatedScalarFieldContainer[str]
    exclude: _containers.RepeatedScalarFieldContainer[str]
    tags: _containers.RepeatedScalarFieldContainer[str]
    no_wait: bool
    idempotency_key: str
    user: str
    def __init__(self, namespace: _Optional[str] = ..., uri: _Optional[str] = ..., include: _Optional[_Iterable[str]] = ..., exclude: _Optional[_Iterable[str]] = ..., tags: _Optional[_Iterable[str]] = ..., no_wait: bool = ..., idempotency_key: _Optional[str] = ..., user: _Optional[str] = ...) -> None: ...
