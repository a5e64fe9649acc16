import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from hivemem._proto import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Direction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DIRECTION_UNSPECIFIED: _ClassVar[Direction]
    DIRECTION_OUT: _ClassVar[Direction]
    DIRECTION_IN: _ClassVar[Direction]
    DIRECTION_BOTH: _ClassVar[Direction]
DIRECTION_UNSPECIFIED: Direction
DIRECTION_OUT: Direction
DIRECTION_IN: Direction
DIRECTION_BOTH: Direction

class GraphNode(_message.Message):
    __slots__ = ("address", "kind", "name", "qualified", "uri", "path", "language", "line_first", "line_last", "signature", "doc", "is_test")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    QUALIFIED_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    LINE_FIRST_FIELD_NUMBER: _ClassVar[int]
    LINE_LAST_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    DOC_FIELD_NUMBER: _ClassVar[int]
    IS_TEST_FIELD_NUMBER: _ClassVar[int]
    address: str
    kind: str
    name: str
    qualified: str
    uri: str
    path: str
    language: str
    line_first: int
    line_last: int
    signature: str
    doc: str
    is_test: bool
    def __init__(self, address: _Optional[str] = ..., kind: _Optional[str] = ..., name: _Optional[str] = ..., qualified: _Optional[str] = ..., uri: _Optional[str] = ..., path: _Optional[str] = ..., language: _Optional[str] = ..., line_first: _Optional[int] = ..., line_last: _Optional[int] = ..., signature: _Optional[str] = ..., doc: _Optional[str] = ..., is_test: bool = ...) -> None: ...

class GraphEdge(_message.Message):
    __slots__ = ("to", "kind", "confidence", "line", "count", "note", "origin")
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    to: str
    kind: str
    confidence: float
    line: int
    count: int
    note: str
    origin: str
    def __init__(self, to: _Optional[str] = ..., kind: _Optional[str] = ..., confidence: _Optional[float] = ..., line: _Optional[int] = ..., count: _Optional[int] = ..., note: _Optional[str] = ..., origin: _Optional[str] = ..., **kwargs) -> None: ...

class TreeRequest(_message.Message):
    __slots__ = ("namespace", "path", "depth", "limit")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    path: str
    depth: int
    limit: int
    def __init__(self, namespace: _Optional[str] = ..., path: _Optional[str] = ..., depth: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class TreeEntry(_message.Message):
    __slots__ = ("depth", "address", "name", "is_folder", "files", "languages", "outline")
    class LanguagesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    IS_FOLDER_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    LANGUAGES_FIELD_NUMBER: _ClassVar[int]
    OUTLINE_FIELD_NUMBER: _ClassVar[int]
    depth: int
    address: str
    name: str
    is_folder: bool
    files: int
    languages: _containers.ScalarMap[str, int]
    outline: str
    def __init__(self, depth: _Optional[int] = ..., address: _Optional[str] = ..., name: _Optional[str] = ..., is_folder: bool = ..., files: _Optional[int] = ..., languages: _Optional[_Mapping[str, int]] = ..., outline: _Optional[str] = ...) -> None: ...

class TreeResponse(_message.Message):
    __slots__ = ("entries", "left_out", "completeness")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    COMPLETENESS_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[TreeEntry]
    left_out: int
    completeness: _common_pb2.Completeness
    def __init__(self, entries: _Optional[_Iterable[_Union[TreeEntry, _Mapping]]] = ..., left_out: _Optional[int] = ..., completeness: _Optional[_Union[_common_pb2.Completeness, _Mapping]] = ...) -> None: ...

class OutlineRequest(_message.Message):
    __slots__ = ("namespace", "node", "limit")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    node: str
    limit: int
    def __init__(self, namespace: _Optional[str] = ..., node: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class OutlineEntry(_message.Message):
    __slots__ = ("depth", "node")
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    depth: int
    node: GraphNode
    def __init__(self, depth: _Optional[int] = ..., node: _Optional[_Union[GraphNode, _Mapping]] = ...) -> None: ...

class OutlineResponse(_message.Message):
    __slots__ = ("document", "entries", "partial", "completeness", "left_out")
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_FIELD_NUMBER: _ClassVar[int]
    COMPLETENESS_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    document: GraphNode
    entries: _containers.RepeatedCompositeFieldContainer[OutlineEntry]
    partial: bool
    completeness: _common_pb2.Completeness
    left_out: int
    def __init__(self, document: _Optional[_Union[GraphNode, _Mapping]] = ..., entries: _Optional[_Iterable[_Union[OutlineEntry, _Mapping]]] = ..., partial: bool = ..., completeness: _Optional[_Union[_common_pb2.Completeness, _Mapping]] = ..., left_out: _Optional[int] = ...) -> None: ...

class NeighborsRequest(_message.Message):
    __slots__ = ("namespace", "node", "kinds", "direction", "depth", "limit", "confidence_min")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_MIN_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    node: str
    kinds: _containers.RepeatedScalarFieldContainer[str]
    direction: Direction
    depth: int
    limit: int
    confidence_min: float
    def __init__(self, namespace: _Optional[str] = ..., node: _Optional[str] = ..., kinds: _Optional[_Iterable[str]] = ..., direction: _Optional[_Union[Direction, str]] = ..., depth: _Optional[int] = ..., limit: _Optional[int] = ..., confidence_min: _Optional[float] = ...) -> None: ...

class NeighborsResponse(_message.Message):
    __slots__ = ("node", "nodes", "edges", "truncated", "alternatives", "completeness")
    NODE_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    EDGES_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    ALTERNATIVES_FIELD_NUMBER: _ClassVar[int]
    COMPLETENESS_FIELD_NUMBER: _ClassVar[int]
    node: GraphNode
    nodes: _containers.RepeatedCompositeFieldContainer[GraphNode]
    edges: _containers.RepeatedCompositeFieldContainer[GraphEdge]
    truncated: bool
    alternatives: _containers.RepeatedScalarFieldContainer[str]
    completeness: _common_pb2.Completeness
    def __init__(self, node: _Optional[_Union[GraphNode, _Mapping]] = ..., nodes: _Optional[_Iterable[_Union[GraphNode, _Mapping]]] = ..., edges: _Optional[_Iterable[_Union[GraphEdge, _Mapping]]] = ..., truncated: bool = ..., alternatives: _Optional[_Iterable[str]] = ..., completeness: _Optional[_Union[_common_pb2.Completeness, _Mapping]] = ...) -> None: ...

class PathRequest(_message.Message):
    __slots__ = ("namespace", "to", "depth", "kinds")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    to: str
    depth: int
    kinds: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, namespace: _Optional[str] = ..., to: _Optional[str] = ..., depth: _Optional[int] = ..., kinds: _Optional[_Iterable[str]] = ..., **kwargs) -> None: ...

class PathResponse(_message.Message):
    __slots__ = ("nodes", "edges", "truncated", "alternatives", "completeness")
    NODES_FIELD_NUMBER: _ClassVar[int]
    EDGES_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    ALTERNATIVES_FIELD_NUMBER: _ClassVar[int]
    COMPLETENESS_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[GraphNode]
    edges: _containers.RepeatedCompositeFieldContainer[GraphEdge]
    truncated: bool
    alternatives: _containers.RepeatedScalarFieldContainer[str]
    completeness: _common_pb2.Completeness
    def __init__(self, nodes: _Optional[_Iterable[_Union[GraphNode, _Mapping]]] = ..., edges: _Optional[_Iterable[_Union[GraphEdge, _Mapping]]] = ..., truncated: bool = ..., alternatives: _Optional[_Iterable[str]] = ..., completeness: _Optional[_Union[_common_pb2.Completeness, _Mapping]] = ...) -> None: ...

class RelatedRequest(_message.Message):
    __slots__ = ("namespace", "nodes", "limit", "kinds")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    nodes: _containers.RepeatedScalarFieldContainer[str]
    limit: int
    kinds: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, namespace: _Optional[str] = ..., nodes: _Optional[_Iterable[str]] = ..., limit: _Optional[int] = ..., kinds: _Optional[_Iterable[str]] = ...) -> None: ...

class RelatedNode(_message.Message):
    __slots__ = ("node", "score")
    NODE_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    node: GraphNode
    score: float
    def __init__(self, node: _Optional[_Union[GraphNode, _Mapping]] = ..., score: _Optional[float] = ...) -> None: ...

class RelatedResponse(_message.Message):
    __slots__ = ("nodes", "alternatives", "completeness", "truncated")
    NODES_FIELD_NUMBER: _ClassVar[int]
    ALTERNATIVES_FIELD_NUMBER: _ClassVar[int]
    COMPLETENESS_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[RelatedNode]
    alternatives: _containers.RepeatedScalarFieldContainer[str]
    completeness: _common_pb2.Completeness
    truncated: bool
    def __init__(self, nodes: _Optional[_Iterable[_Union[RelatedNode, _Mapping]]] = ..., alternatives: _Optional[_Iterable[str]] = ..., completeness: _Optional[_Union[_common_pb2.Completeness, _Mapping]] = ..., truncated: bool = ...) -> None: ...

class LinkRequest(_message.Message):
    __slots__ = ("namespace", "idempotency_key", "to", "kind", "note", "tags", "run", "node", "ttl")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    idempotency_key: str
    to: str
    kind: str
    note: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    run: str
    node: str
    ttl: _duration_pb2.Duration
    def __init__(self, namespace: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., to: _Optional[str] = ..., kind: _Optional[str] = ..., note: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., run: _Optional[str] = ..., node: _Optional[str] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., **kwargs) -> None: ...

class LinkResponse(_message.Message):
    __slots__ = ("edge", "created", "lsn")
    EDGE_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    LSN_FIELD_NUMBER: _ClassVar[int]
    edge: GraphEdge
    created: bool
    lsn: int
    def __init__(self, edge: _Optional[_Union[GraphEdge, _Mapping]] = ..., created: bool = ..., lsn: _Optional[int] = ...) -> None: ...

class UnlinkRequest(_message.Message):
    __slots__ = ("namespace", "idempotency_key", "origin", "to", "kind")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    idempotency_key: str
    origin: str
    to: str
    kind: str
    def __init__(self, namespace: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., origin: _Optional[str] = ..., to: _Optional[str] = ..., kind: _Optional[str] = ..., **kwargs) -> None: ...

class UnlinkResponse(_message.Message):
    __slots__ = ("removed", "lsn")
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    LSN_FIELD_NUMBER: _ClassVar[int]
    removed: _containers.RepeatedScalarFieldContainer[str]
    lsn: int
    def __init__(self, removed: _Optional[_Iterable[str]] = ..., lsn: _Optional[int] = ...) -> None: ...

class ResolveRequest(_message.Message):
    __slots__ = ("namespace", "name", "limit")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    name: str
    limit: int
    def __init__(self, namespace: _Optional[str] = ..., name: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class ResolveResponse(_message.Message):
    __slots__ = ("nodes", "truncated", "completeness")
    NODES_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    COMPLETENESS_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[GraphNode]
    truncated: bool
    completeness: _common_pb2.Completeness
    def __init__(self, nodes: _Optional[_Iterable[_Union[GraphNode, _Mapping]]] = ..., truncated: bool = ..., completeness: _Optional[_Union[_common_pb2.Completeness, _Mapping]] = ...) -> None: ...
