from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StatsRequest(_message.Message):
    __slots__ = ("namespace",)
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    def __init__(self, namespace: _Optional[str] = ...) -> None: ...

class StatsResponse(_message.Message):
    __slots__ = ("version", "namespace", "documents", "chunks", "bytes", "tokens", "chunks_without_vector", "lsn", "projections", "model", "sources", "resident_bytes", "disk_bytes")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_WITHOUT_VECTOR_FIELD_NUMBER: _ClassVar[int]
    LSN_FIELD_NUMBER: _ClassVar[int]
    PROJECTIONS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    RESIDENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    DISK_BYTES_FIELD_NUMBER: _ClassVar[int]
    version: str
    namespace: str
    documents: int
    chunks: int
    bytes: int
    tokens: int
    chunks_without_vector: int
    lsn: int
    projections: _containers.RepeatedCompositeFieldContainer[ProjectionStats]
    model: ModelStats
    sources: _containers.RepeatedCompositeFieldContainer[SourceStats]
    resident_bytes: int
    disk_bytes: int
    def __init__(self, version: _Optional[str] = ..., namespace: _Optional[str] = ..., documents: _Optional[int] = ..., chunks: _Optional[int] = ..., bytes: _Optional[int] = ..., tokens: _Optional[int] = ..., chunks_without_vector: _Optional[int] = ..., lsn: _Optional[int] = ..., projections: _Optional[_Iterable[_Union[ProjectionStats, _Mapping]]] = ..., model: _Optional[_Union[ModelStats, _Mapping]] = ..., sources: _Optional[_Iterable[_Union[SourceStats, _Mapping]]] = ..., resident_bytes: _Optional[int] = ..., disk_bytes: _Optional[int] = ...) -> None: ...

class ProjectionStats(_message.Message):
    __slots__ = ("name", "applied_lsn", "entries", "indexed_entries", "manifest", "problem", "generation", "next_lsn", "next_problem")
    NAME_FIELD_NUMBER: _ClassVar[int]
    APPLIED_LSN_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    INDEXED_ENTRIES_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    NEXT_LSN_FIELD_NUMBER: _ClassVar[int]
    NEXT_PROBLEM_FIELD_NUMBER: _ClassVar[int]
    name: str
    applied_lsn: int
    entries: int
    indexed_entries: int
    manifest: str
    problem: str
    generation: int
    next_lsn: int
    next_problem: str
    def __init__(self, name: _Optional[str] = ..., applied_lsn: _Optional[int] = ..., entries: _Optional[int] = ..., indexed_entries: _Optional[int] = ..., manifest: _Optional[str] = ..., problem: _Optional[str] = ..., generation: _Optional[int] = ..., next_lsn: _Optional[int] = ..., next_problem: _Optional[str] = ...) -> None: ...

class RebuildRequest(_message.Message):
    __slots__ = ("projection",)
    PROJECTION_FIELD_NUMBER: _ClassVar[int]
    projection: str
    def __init__(self, projection: _Optional[str] = ...) -> None: ...

class RebuildProgress(_message.Message):
    __slots__ = ("projection", "applied_lsn", "lsn", "done")
    PROJECTION_FIELD_NUMBER: _ClassVar[int]
    APPLIED_LSN_FIELD_NUMBER: _ClassVar[int]
    LSN_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    projection: str
    applied_lsn: int
    lsn: int
    done: bool
    def __init__(self, projection: _Optional[str] = ..., applied_lsn: _Optional[int] = ..., lsn: _Optional[int] = ..., done: bool = ...) -> None: ...

class ModelStats(_message.Message):
    __slots__ = ("name", "revision", "dimension")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    revision: str
    dimension: int
    def __init__(self, name: _Optional[str] = ..., revision: _Optional[str] = ..., dimension: _Optional[int] = ...) -> None: ...

class SourceStats(_message.Message):
    __slots__ = ("id", "uri", "watched", "problem", "syncing")
    ID_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    WATCHED_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    SYNCING_FIELD_NUMBER: _ClassVar[int]
    id: str
    uri: str
    watched: bool
    problem: str
    syncing: bool
    def __init__(self, id: _Optional[str] = ..., uri: _Optional[str] = ..., watched: bool = ..., problem: _Optional[str] = ..., syncing: bool = ...) -> None: ...

class CreateNamespaceRequest(_message.Message):
    __slots__ = ("namespace", "idempotency_key")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    idempotency_key: str
    def __init__(self, namespace: _Optional[str] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class CreateNamespaceResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListNamespacesRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListNamespacesResponse(_message.Message):
    __slots__ = ("namespaces", "next_page_token")
    NAMESPACES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    namespaces: _containers.RepeatedScalarFieldContainer[str]
    next_page_token: str
    def __init__(self, namespaces: _Optional[_Iterable[str]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class FsckRequest(_message.Message):
    __slots__ = ("repair",)
    REPAIR_FIELD_NUMBER: _ClassVar[int]
    repair: bool
    def __init__(self, repair: bool = ...) -> None: ...

class FsckResponse(_message.Message):
    __slots__ = ("clean", "repaired", "lsn", "stores", "left")
    CLEAN_FIELD_NUMBER: _ClassVar[int]
    REPAIRED_FIELD_NUMBER: _ClassVar[int]
    LSN_FIELD_NUMBER: _ClassVar[int]
    STORES_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    clean: bool
    repaired: bool
    lsn: int
    stores: _containers.RepeatedCompositeFieldContainer[StoreCheck]
    left: _containers.RepeatedCompositeFieldContainer[StoreCheck]
    def __init__(self, clean: bool = ..., repaired: bool = ..., lsn: _Optional[int] = ..., stores: _Optional[_Iterable[_Union[StoreCheck, _Mapping]]] = ..., left: _Optional[_Iterable[_Union[StoreCheck, _Mapping]]] = ...) -> None: ...

class StoreCheck(_message.Message):
    __slots__ = ("name", "expected", "found", "missing", "surplus", "first", "problems")
    NAME_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    FOUND_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    SURPLUS_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    name: str
    expected: int
    found: int
    missing: int
    surplus: int
    first: _containers.RepeatedCompositeFieldContainer[StoreDifference]
    problems: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., expected: _Optional[int] = ..., found: _Optional[int] = ..., missing: _Optional[int] = ..., surplus: _Optional[int] = ..., first: _Optional[_Iterable[_Union[StoreDifference, _Mapping]]] = ..., problems: _Optional[_Iterable[str]] = ...) -> None: ...

class StoreDifference(_message.Message):
    __slots__ = ("missing", "namespace", "document_id", "chunk_id", "uri")
    MISSING_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    CHUNK_ID_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    missing: bool
    namespace: str
    document_id: str
    chunk_id: str
    uri: str
    def __init__(self, missing: bool = ..., namespace: _Optional[str] = ..., document_id: _Optional[str] = ..., chunk_id: _Optional[str] = ..., uri: _Optional[str] = ...) -> None: ...

class CompactRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CompactResponse(_message.Message):
    __slots__ = ("disk_bytes_before", "disk_bytes_after", "log_entries")
    DISK_BYTES_BEFORE_FIELD_NUMBER: _ClassVar[int]
    DISK_BYTES_AFTER_FIELD_NUMBER: _ClassVar[int]
    LOG_ENTRIES_FIELD_NUMBER: _ClassVar[int]
    disk_bytes_before: int
    disk_bytes_after: int
    log_entries: int
    def __init__(self, disk_bytes_before: _Optional[int] = ..., disk_bytes_after: _Optional[int] = ..., log_entries: _Optional[int] = ...) -> None: ...

class BackupRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class BackupChunk(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...
