import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Node(_message.Message):
    __slots__ = ("name", "description", "kind", "language", "code", "arguments", "returns", "test_cases", "dependencies", "utterances", "tags", "permissions", "folder", "metadata")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    RETURNS_FIELD_NUMBER: _ClassVar[int]
    TEST_CASES_FIELD_NUMBER: _ClassVar[int]
    DEPENDENCIES_FIELD_NUMBER: _ClassVar[int]
    UTTERANCES_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    PERMISSIONS_FIELD_NUMBER: _ClassVar[int]
    FOLDER_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    kind: str
    language: str
    code: str
    arguments: str
    returns: str
    test_cases: _containers.RepeatedScalarFieldContainer[str]
    dependencies: _containers.RepeatedScalarFieldContainer[str]
    utterances: _containers.RepeatedScalarFieldContainer[str]
    tags: _containers.RepeatedScalarFieldContainer[str]
    permissions: _containers.RepeatedScalarFieldContainer[str]
    folder: str
    metadata: _containers.ScalarMap[str, str]
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., kind: _Optional[str] = ..., language: _Optional[str] = ..., code: _Optional[str] = ..., arguments: _Optional[str] = ..., returns: _Optional[str] = ..., test_cases: _Optional[_Iterable[str]] = ..., dependencies: _Optional[_Iterable[str]] = ..., utterances: _Optional[_Iterable[str]] = ..., tags: _Optional[_Iterable[str]] = ..., permissions: _Optional[_Iterable[str]] = ..., folder: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ...) -> None: ...

class RegisterNodesRequest(_message.Message):
    __slots__ = ("namespace", "nodes", "wait", "idempotency_key")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    nodes: _containers.RepeatedCompositeFieldContainer[Node]
    wait: bool
    idempotency_key: str
    def __init__(self, namespace: _Optional[str] = ..., nodes: _Optional[_Iterable[_Union[Node, _Mapping]]] = ..., wait: bool = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class ImportNodesRequest(_message.Message):
    __slots__ = ("namespace", "format", "file_name", "content", "folder", "wait", "idempotency_key")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    FILE_NAME_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    FOLDER_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    format: str
    file_name: str
    content: bytes
    folder: str
    wait: bool
    idempotency_key: str
    def __init__(self, namespace: _Optional[str] = ..., format: _Optional[str] = ..., file_name: _Optional[str] = ..., content: _Optional[bytes] = ..., folder: _Optional[str] = ..., wait: bool = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class RegisterNodesResponse(_message.Message):
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
    issues: _containers.RepeatedCompositeFieldContainer[NodeIssue]
    def __init__(self, added: _Optional[int] = ..., updated: _Optional[int] = ..., unchanged: _Optional[int] = ..., rejected: _Optional[int] = ..., issues: _Optional[_Iterable[_Union[NodeIssue, _Mapping]]] = ...) -> None: ...

class NodeIssue(_message.Message):
    __slots__ = ("name", "reason")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    reason: str
    def __init__(self, name: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ListNodesRequest(_message.Message):
    __slots__ = ("namespace", "folder", "tags", "kinds", "page_size", "page_token")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    FOLDER_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    folder: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    kinds: _containers.RepeatedScalarFieldContainer[str]
    page_size: int
    page_token: str
    def __init__(self, namespace: _Optional[str] = ..., folder: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., kinds: _Optional[_Iterable[str]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListNodesResponse(_message.Message):
    __slots__ = ("folders", "nodes", "total", "next_page_token")
    FOLDERS_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    folders: _containers.RepeatedCompositeFieldContainer[NodeFolder]
    nodes: _containers.RepeatedCompositeFieldContainer[NodeSummary]
    total: int
    next_page_token: str
    def __init__(self, folders: _Optional[_Iterable[_Union[NodeFolder, _Mapping]]] = ..., nodes: _Optional[_Iterable[_Union[NodeSummary, _Mapping]]] = ..., total: _Optional[int] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class NodeFolder(_message.Message):
    __slots__ = ("path", "nodes")
    PATH_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    path: str
    nodes: int
    def __init__(self, path: _Optional[str] = ..., nodes: _Optional[int] = ...) -> None: ...

class NodeSummary(_message.Message):
    __slots__ = ("name", "kind", "summary")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: str
    summary: str
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., summary: _Optional[str] = ...) -> None: ...

class GetNodeRequest(_message.Message):
    __slots__ = ("namespace", "name")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    name: str
    def __init__(self, namespace: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class GetNodeResponse(_message.Message):
    __slots__ = ("id", "node", "examples", "versions")
    ID_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    id: str
    node: Node
    examples: _containers.RepeatedScalarFieldContainer[str]
    versions: _containers.RepeatedCompositeFieldContainer[NodeVersion]
    def __init__(self, id: _Optional[str] = ..., node: _Optional[_Union[Node, _Mapping]] = ..., examples: _Optional[_Iterable[str]] = ..., versions: _Optional[_Iterable[_Union[NodeVersion, _Mapping]]] = ...) -> None: ...

class NodeVersion(_message.Message):
    __slots__ = ("version", "registered_at", "node")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REGISTERED_AT_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    version: int
    registered_at: _timestamp_pb2.Timestamp
    node: Node
    def __init__(self, version: _Optional[int] = ..., registered_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., node: _Optional[_Union[Node, _Mapping]] = ...) -> None: ...

class RemoveNodesRequest(_message.Message):
    __slots__ = ("namespace", "names", "idempotency_key")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    names: _containers.RepeatedScalarFieldContainer[str]
    idempotency_key: str
    def __init__(self, namespace: _Optional[str] = ..., names: _Optional[_Iterable[str]] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class RemoveNodesResponse(_message.Message):
    __slots__ = ("removed",)
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    removed: int
    def __init__(self, removed: _Optional[int] = ...) -> None: ...

class AddExamplesRequest(_message.Message):
    __slots__ = ("namespace", "name", "examples", "idempotency_key")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    name: str
    examples: _containers.RepeatedScalarFieldContainer[str]
    idempotency_key: str
    def __init__(self, namespace: _Optional[str] = ..., name: _Optional[str] = ..., examples: _Optional[_Iterable[str]] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class AddExamplesResponse(_message.Message):
    __slots__ = ("added",)
    ADDED_FIELD_NUMBER: _ClassVar[int]
    added: int
    def __init__(self, added: _Optional[int] = ...) -> None: ...

class RouteRequest(_message.Message):
    __slots__ = ("namespace", "goal", "context", "kinds", "tags", "permissions", "k", "budget_tokens", "model")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    GOAL_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    PERMISSIONS_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    BUDGET_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    goal: str
    context: str
    kinds: _containers.RepeatedScalarFieldContainer[str]
    tags: _containers.RepeatedScalarFieldContainer[str]
    permissions: _containers.RepeatedScalarFieldContainer[str]
    k: int
    budget_tokens: int
    model: str
    def __init__(self, namespace: _Optional[str] = ..., goal: _Optional[str] = ..., context: _Optional[str] = ..., kinds: _Optional[_Iterable[str]] = ..., tags: _Optional[_Iterable[str]] = ..., permissions: _Optional[_Iterable[str]] = ..., k: _Optional[int] = ..., budget_tokens: _Optional[int] = ..., model: _Optional[str] = ...) -> None: ...

class RouteResponse(_message.Message):
    __slots__ = ("decision", "candidates", "set", "advice", "in_scope")
    DECISION_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    SET_FIELD_NUMBER: _ClassVar[int]
    ADVICE_FIELD_NUMBER: _ClassVar[int]
    IN_SCOPE_FIELD_NUMBER: _ClassVar[int]
    decision: str
    candidates: _containers.RepeatedCompositeFieldContainer[RouteCandidate]
    set: _containers.RepeatedScalarFieldContainer[str]
    advice: str
    in_scope: float
    def __init__(self, decision: _Optional[str] = ..., candidates: _Optional[_Iterable[_Union[RouteCandidate, _Mapping]]] = ..., set: _Optional[_Iterable[str]] = ..., advice: _Optional[str] = ..., in_scope: _Optional[float] = ...) -> None: ...

class RouteCandidate(_message.Message):
    __slots__ = ("name", "kind", "version", "summary", "probability", "words", "example", "example_similarity", "past", "schema")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    EXAMPLE_FIELD_NUMBER: _ClassVar[int]
    EXAMPLE_SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    PAST_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: str
    version: int
    summary: str
    probability: float
    words: _containers.RepeatedScalarFieldContainer[str]
    example: str
    example_similarity: float
    past: float
    schema: str
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., version: _Optional[int] = ..., summary: _Optional[str] = ..., probability: _Optional[float] = ..., words: _Optional[_Iterable[str]] = ..., example: _Optional[str] = ..., example_similarity: _Optional[float] = ..., past: _Optional[float] = ..., schema: _Optional[str] = ...) -> None: ...

class RouteBatchRequest(_message.Message):
    __slots__ = ("common", "goals")
    COMMON_FIELD_NUMBER: _ClassVar[int]
    GOALS_FIELD_NUMBER: _ClassVar[int]
    common: RouteRequest
    goals: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, common: _Optional[_Union[RouteRequest, _Mapping]] = ..., goals: _Optional[_Iterable[str]] = ...) -> None: ...

class RouteBatchResponse(_message.Message):
    __slots__ = ("decisions",)
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    decisions: _containers.RepeatedCompositeFieldContainer[RouteResponse]
    def __init__(self, decisions: _Optional[_Iterable[_Union[RouteResponse, _Mapping]]] = ...) -> None: ...

class RecordOutcomeRequest(_message.Message):
    __slots__ = ("namespace", "goal", "chosen", "succeeded", "cost", "correction", "idempotency_key")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    GOAL_FIELD_NUMBER: _ClassVar[int]
    CHOSEN_FIELD_NUMBER: _ClassVar[int]
    SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    CORRECTION_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    goal: str
    chosen: str
    succeeded: bool
    cost: float
    correction: str
    idempotency_key: str
    def __init__(self, namespace: _Optional[str] = ..., goal: _Optional[str] = ..., chosen: _Optional[str] = ..., succeeded: bool = ..., cost: _Optional[float] = ..., correction: _Optional[str] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class RecordOutcomeResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ReportRoutingRequest(_message.Message):
    __slots__ = ("namespace",)
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    def __init__(self, namespace: _Optional[str] = ...) -> None: ...

class ReportRoutingResponse(_message.Message):
    __slots__ = ("nodes", "trials", "settled", "confused", "records")
    NODES_FIELD_NUMBER: _ClassVar[int]
    TRIALS_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    CONFUSED_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    nodes: int
    trials: int
    settled: bool
    confused: _containers.RepeatedCompositeFieldContainer[ConfusedNodes]
    records: _containers.RepeatedCompositeFieldContainer[NodeRecord]
    def __init__(self, nodes: _Optional[int] = ..., trials: _Optional[int] = ..., settled: bool = ..., confused: _Optional[_Iterable[_Union[ConfusedNodes, _Mapping]]] = ..., records: _Optional[_Iterable[_Union[NodeRecord, _Mapping]]] = ...) -> None: ...

class ConfusedNodes(_message.Message):
    __slots__ = ("right", "chosen", "count", "samples")
    RIGHT_FIELD_NUMBER: _ClassVar[int]
    CHOSEN_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    right: str
    chosen: str
    count: int
    samples: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, right: _Optional[str] = ..., chosen: _Optional[str] = ..., count: _Optional[int] = ..., samples: _Optional[_Iterable[str]] = ...) -> None: ...

class NodeRecord(_message.Message):
    __slots__ = ("name", "succeeded", "failed", "mean_cost")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    MEAN_COST_FIELD_NUMBER: _ClassVar[int]
    name: str
    succeeded: int
    failed: int
    mean_cost: float
    def __init__(self, name: _Optional[str] = ..., succeeded: _Optional[int] = ..., failed: _Optional[int] = ..., mean_cost: _Optional[float] = ...) -> None: ...
