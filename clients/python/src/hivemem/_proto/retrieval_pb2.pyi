import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from hivemem._proto import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SearchMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SEARCH_MODE_UNSPECIFIED: _ClassVar[SearchMode]
    SEARCH_MODE_HYBRID: _ClassVar[SearchMode]
    SEARCH_MODE_DENSE: _ClassVar[SearchMode]
    SEARCH_MODE_LEXICAL: _ClassVar[SearchMode]
    SEARCH_MODE_GRAPH: _ClassVar[SearchMode]
SEARCH_MODE_UNSPECIFIED: SearchMode
SEARCH_MODE_HYBRID: SearchMode
SEARCH_MODE_DENSE: SearchMode
SEARCH_MODE_LEXICAL: SearchMode
SEARCH_MODE_GRAPH: SearchMode

class SearchRequest(_message.Message):
    __slots__ = ("namespace", "query", "k", "mode", "filter", "explain", "per_document_max", "require_fresh")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    PER_DOCUMENT_MAX_FIELD_NUMBER: _ClassVar[int]
    REQUIRE_FRESH_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    query: str
    k: int
    mode: SearchMode
    filter: _common_pb2.SearchFilter
    explain: bool
    per_document_max: int
    require_fresh: bool
    def __init__(self, namespace: _Optional[str] = ..., query: _Optional[str] = ..., k: _Optional[int] = ..., mode: _Optional[_Union[SearchMode, str]] = ..., filter: _Optional[_Union[_common_pb2.SearchFilter, _Mapping]] = ..., explain: bool = ..., per_document_max: _Optional[int] = ..., require_fresh: bool = ...) -> None: ...

class SearchResponse(_message.Message):
    __slots__ = ("hits", "completeness", "lsn", "timings")
    HITS_FIELD_NUMBER: _ClassVar[int]
    COMPLETENESS_FIELD_NUMBER: _ClassVar[int]
    LSN_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    hits: _containers.RepeatedCompositeFieldContainer[Hit]
    completeness: _common_pb2.Completeness
    lsn: int
    timings: Timings
    def __init__(self, hits: _Optional[_Iterable[_Union[Hit, _Mapping]]] = ..., completeness: _Optional[_Union[_common_pb2.Completeness, _Mapping]] = ..., lsn: _Optional[int] = ..., timings: _Optional[_Union[Timings, _Mapping]] = ...) -> None: ...

class Timings(_message.Message):
    __slots__ = ("embed_us", "dense_us", "lexical_us", "hydrate_us", "total_us", "graph_us")
    EMBED_US_FIELD_NUMBER: _ClassVar[int]
    DENSE_US_FIELD_NUMBER: _ClassVar[int]
    LEXICAL_US_FIELD_NUMBER: _ClassVar[int]
    HYDRATE_US_FIELD_NUMBER: _ClassVar[int]
    TOTAL_US_FIELD_NUMBER: _ClassVar[int]
    GRAPH_US_FIELD_NUMBER: _ClassVar[int]
    embed_us: int
    dense_us: int
    lexical_us: int
    hydrate_us: int
    total_us: int
    graph_us: int
    def __init__(self, embed_us: _Optional[int] = ..., dense_us: _Optional[int] = ..., lexical_us: _Optional[int] = ..., hydrate_us: _Optional[int] = ..., total_us: _Optional[int] = ..., graph_us: _Optional[int] = ...) -> None: ...

class Hit(_message.Message):
    __slots__ = ("chunk_id", "document_id", "uri", "path", "location", "sha256", "citation", "score", "parts", "channels", "text", "title", "breadcrumb", "symbols", "language", "kind", "tags", "indexed_at", "freshness", "trust", "metadata", "repeats", "expires_at")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CHUNK_ID_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    CITATION_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    BREADCRUMB_FIELD_NUMBER: _ClassVar[int]
    SYMBOLS_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    INDEXED_AT_FIELD_NUMBER: _ClassVar[int]
    FRESHNESS_FIELD_NUMBER: _ClassVar[int]
    TRUST_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    REPEATS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    chunk_id: str
    document_id: str
    uri: str
    path: str
    location: _common_pb2.Location
    sha256: str
    citation: str
    score: float
    parts: _containers.RepeatedCompositeFieldContainer[ScorePart]
    channels: _containers.RepeatedCompositeFieldContainer[ChannelScore]
    text: str
    title: str
    breadcrumb: str
    symbols: _containers.RepeatedScalarFieldContainer[str]
    language: str
    kind: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    indexed_at: _timestamp_pb2.Timestamp
    freshness: str
    trust: str
    metadata: _containers.ScalarMap[str, str]
    repeats: str
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, chunk_id: _Optional[str] = ..., document_id: _Optional[str] = ..., uri: _Optional[str] = ..., path: _Optional[str] = ..., location: _Optional[_Union[_common_pb2.Location, _Mapping]] = ..., sha256: _Optional[str] = ..., citation: _Optional[str] = ..., score: _Optional[float] = ..., parts: _Optional[_Iterable[_Union[ScorePart, _Mapping]]] = ..., channels: _Optional[_Iterable[_Union[ChannelScore, _Mapping]]] = ..., text: _Optional[str] = ..., title: _Optional[str] = ..., breadcrumb: _Optional[str] = ..., symbols: _Optional[_Iterable[str]] = ..., language: _Optional[str] = ..., kind: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., indexed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., freshness: _Optional[str] = ..., trust: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ..., repeats: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ScorePart(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: float
    def __init__(self, name: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...

class ChannelScore(_message.Message):
    __slots__ = ("channel", "score", "rank")
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    channel: str
    score: float
    rank: int
    def __init__(self, channel: _Optional[str] = ..., score: _Optional[float] = ..., rank: _Optional[int] = ...) -> None: ...

class GatherContextRequest(_message.Message):
    __slots__ = ("namespace", "task", "budget_tokens", "model", "filter", "require_fresh", "map", "run", "node", "held")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    BUDGET_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    REQUIRE_FRESH_FIELD_NUMBER: _ClassVar[int]
    MAP_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    task: str
    budget_tokens: int
    model: str
    filter: _common_pb2.SearchFilter
    require_fresh: bool
    map: bool
    run: str
    node: str
    held: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, namespace: _Optional[str] = ..., task: _Optional[str] = ..., budget_tokens: _Optional[int] = ..., model: _Optional[str] = ..., filter: _Optional[_Union[_common_pb2.SearchFilter, _Mapping]] = ..., require_fresh: bool = ..., map: bool = ..., run: _Optional[str] = ..., node: _Optional[str] = ..., held: _Optional[_Iterable[str]] = ...) -> None: ...

class GatherContextResponse(_message.Message):
    __slots__ = ("text", "tokens", "budget_tokens", "tokenizer", "items", "trace", "completeness", "lsn")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    BUDGET_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TOKENIZER_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    TRACE_FIELD_NUMBER: _ClassVar[int]
    COMPLETENESS_FIELD_NUMBER: _ClassVar[int]
    LSN_FIELD_NUMBER: _ClassVar[int]
    text: str
    tokens: int
    budget_tokens: int
    tokenizer: str
    items: _containers.RepeatedCompositeFieldContainer[ContextItem]
    trace: _containers.RepeatedCompositeFieldContainer[TraceStep]
    completeness: _common_pb2.Completeness
    lsn: int
    def __init__(self, text: _Optional[str] = ..., tokens: _Optional[int] = ..., budget_tokens: _Optional[int] = ..., tokenizer: _Optional[str] = ..., items: _Optional[_Iterable[_Union[ContextItem, _Mapping]]] = ..., trace: _Optional[_Iterable[_Union[TraceStep, _Mapping]]] = ..., completeness: _Optional[_Union[_common_pb2.Completeness, _Mapping]] = ..., lsn: _Optional[int] = ...) -> None: ...

class ContextItem(_message.Message):
    __slots__ = ("citation", "uri", "path", "location", "form", "tokens", "score", "chunk_ids", "text_start", "text_end")
    class Form(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        FORM_UNSPECIFIED: _ClassVar[ContextItem.Form]
        FORM_FULL: _ClassVar[ContextItem.Form]
        FORM_OUTLINE: _ClassVar[ContextItem.Form]
    FORM_UNSPECIFIED: ContextItem.Form
    FORM_FULL: ContextItem.Form
    FORM_OUTLINE: ContextItem.Form
    CITATION_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    FORM_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    CHUNK_IDS_FIELD_NUMBER: _ClassVar[int]
    TEXT_START_FIELD_NUMBER: _ClassVar[int]
    TEXT_END_FIELD_NUMBER: _ClassVar[int]
    citation: str
    uri: str
    path: str
    location: _common_pb2.Location
    form: ContextItem.Form
    tokens: int
    score: float
    chunk_ids: _containers.RepeatedScalarFieldContainer[str]
    text_start: int
    text_end: int
    def __init__(self, citation: _Optional[str] = ..., uri: _Optional[str] = ..., path: _Optional[str] = ..., location: _Optional[_Union[_common_pb2.Location, _Mapping]] = ..., form: _Optional[_Union[ContextItem.Form, str]] = ..., tokens: _Optional[int] = ..., score: _Optional[float] = ..., chunk_ids: _Optional[_Iterable[str]] = ..., text_start: _Optional[int] = ..., text_end: _Optional[int] = ...) -> None: ...

class TraceStep(_message.Message):
    __slots__ = ("chunk_id", "decision", "score", "tokens")
    CHUNK_ID_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    chunk_id: str
    decision: str
    score: float
    tokens: int
    def __init__(self, chunk_id: _Optional[str] = ..., decision: _Optional[str] = ..., score: _Optional[float] = ..., tokens: _Optional[int] = ...) -> None: ...
