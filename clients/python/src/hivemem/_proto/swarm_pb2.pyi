import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RunStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RUN_STATUS_UNSPECIFIED: _ClassVar[RunStatus]
    RUN_STATUS_OPEN: _ClassVar[RunStatus]
    RUN_STATUS_SUCCEEDED: _ClassVar[RunStatus]
    RUN_STATUS_FAILED: _ClassVar[RunStatus]
    RUN_STATUS_CANCELLED: _ClassVar[RunStatus]

class NodePhase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NODE_PHASE_UNSPECIFIED: _ClassVar[NodePhase]
    NODE_PHASE_QUEUED: _ClassVar[NodePhase]
    NODE_PHASE_RUNNING: _ClassVar[NodePhase]
    NODE_PHASE_WAITING: _ClassVar[NodePhase]
    NODE_PHASE_ASKING: _ClassVar[NodePhase]
    NODE_PHASE_FINISHED: _ClassVar[NodePhase]
    NODE_PHASE_FAILED: _ClassVar[NodePhase]
RUN_STATUS_UNSPECIFIED: RunStatus
RUN_STATUS_OPEN: RunStatus
RUN_STATUS_SUCCEEDED: RunStatus
RUN_STATUS_FAILED: RunStatus
RUN_STATUS_CANCELLED: RunStatus
NODE_PHASE_UNSPECIFIED: NodePhase
NODE_PHASE_QUEUED: NodePhase
NODE_PHASE_RUNNING: NodePhase
NODE_PHASE_WAITING: NodePhase
NODE_PHASE_ASKING: NodePhase
NODE_PHASE_FINISHED: NodePhase
NODE_PHASE_FAILED: NodePhase

class Run(_message.Message):
    __slots__ = ("id", "goal", "status", "created_at", "updated_at", "last_sequence", "nodes", "nodes_finished", "open_questions", "prompt_tokens", "completion_tokens", "holder", "lease_until", "cancel_requested", "result", "settings")
    ID_FIELD_NUMBER: _ClassVar[int]
    GOAL_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    NODES_FINISHED_FIELD_NUMBER: _ClassVar[int]
    OPEN_QUESTIONS_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_TOKENS_FIELD_NUMBER: _ClassVar[int]
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    LEASE_UNTIL_FIELD_NUMBER: _ClassVar[int]
    CANCEL_REQUESTED_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    id: str
    goal: str
    status: RunStatus
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    last_sequence: int
    nodes: int
    nodes_finished: int
    open_questions: int
    prompt_tokens: int
    completion_tokens: int
    holder: str
    lease_until: _timestamp_pb2.Timestamp
    cancel_requested: bool
    result: str
    settings: str
    def __init__(self, id: _Optional[str] = ..., goal: _Optional[str] = ..., status: _Optional[_Union[RunStatus, str]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_sequence: _Optional[int] = ..., nodes: _Optional[int] = ..., nodes_finished: _Optional[int] = ..., open_questions: _Optional[int] = ..., prompt_tokens: _Optional[int] = ..., completion_tokens: _Optional[int] = ..., holder: _Optional[str] = ..., lease_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., cancel_requested: bool = ..., result: _Optional[str] = ..., settings: _Optional[str] = ...) -> None: ...

class CreateRunRequest(_message.Message):
    __slots__ = ("namespace", "goal", "settings", "idempotency_key")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    GOAL_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    goal: str
    settings: str
    idempotency_key: str
    def __init__(self, namespace: _Optional[str] = ..., goal: _Optional[str] = ..., settings: _Optional[str] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class CreateRunResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: Run
    def __init__(self, run: _Optional[_Union[Run, _Mapping]] = ...) -> None: ...

class ListRunsRequest(_message.Message):
    __slots__ = ("namespace", "statuses", "page_size", "page_token")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    statuses: _containers.RepeatedScalarFieldContainer[RunStatus]
    page_size: int
    page_token: str
    def __init__(self, namespace: _Optional[str] = ..., statuses: _Optional[_Iterable[_Union[RunStatus, str]]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListRunsResponse(_message.Message):
    __slots__ = ("runs", "next_page_token")
    RUNS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedCompositeFieldContainer[Run]
    next_page_token: str
    def __init__(self, runs: _Optional[_Iterable[_Union[Run, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetRunRequest(_message.Message):
    __slots__ = ("namespace", "run")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    run: str
    def __init__(self, namespace: _Optional[str] = ..., run: _Optional[str] = ...) -> None: ...

class GetRunResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: Run
    def __init__(self, run: _Optional[_Union[Run, _Mapping]] = ...) -> None: ...

class AcquireRunRequest(_message.Message):
    __slots__ = ("namespace", "run", "holder", "ttl")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    run: str
    holder: str
    ttl: _duration_pb2.Duration
    def __init__(self, namespace: _Optional[str] = ..., run: _Optional[str] = ..., holder: _Optional[str] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class AcquireRunResponse(_message.Message):
    __slots__ = ("fence", "lease_until", "run")
    FENCE_FIELD_NUMBER: _ClassVar[int]
    LEASE_UNTIL_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    fence: int
    lease_until: _timestamp_pb2.Timestamp
    run: Run
    def __init__(self, fence: _Optional[int] = ..., lease_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., run: _Optional[_Union[Run, _Mapping]] = ...) -> None: ...

class RenewRunRequest(_message.Message):
    __slots__ = ("namespace", "run", "fence", "ttl")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    run: str
    fence: int
    ttl: _duration_pb2.Duration
    def __init__(self, namespace: _Optional[str] = ..., run: _Optional[str] = ..., fence: _Optional[int] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class RenewRunResponse(_message.Message):
    __slots__ = ("lease_until", "cancel_requested")
    LEASE_UNTIL_FIELD_NUMBER: _ClassVar[int]
    CANCEL_REQUESTED_FIELD_NUMBER: _ClassVar[int]
    lease_until: _timestamp_pb2.Timestamp
    cancel_requested: bool
    def __init__(self, lease_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., cancel_requested: bool = ...) -> None: ...

class ReleaseRunRequest(_message.Message):
    __slots__ = ("namespace", "run", "fence")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    run: str
    fence: int
    def __init__(self, namespace: _Optional[str] = ..., run: _Optional[str] = ..., fence: _Optional[int] = ...) -> None: ...

class ReleaseRunResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RunEvent(_message.Message):
    __slots__ = ("sequence", "kind", "node", "node_type", "data", "output", "attempt", "waits", "key", "status", "prompt_tokens", "completion_tokens", "at")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[RunEvent.Kind]
        KIND_CREATE_NODE: _ClassVar[RunEvent.Kind]
        KIND_RUN_NODE: _ClassVar[RunEvent.Kind]
        KIND_NODE_OUTPUT: _ClassVar[RunEvent.Kind]
        KIND_NODE_ERROR: _ClassVar[RunEvent.Kind]
        KIND_DELETE_NODE: _ClassVar[RunEvent.Kind]
        KIND_QUESTION: _ClassVar[RunEvent.Kind]
        KIND_ANSWER: _ClassVar[RunEvent.Kind]
        KIND_RECEIPT: _ClassVar[RunEvent.Kind]
        KIND_END_RUN: _ClassVar[RunEvent.Kind]
    KIND_UNSPECIFIED: RunEvent.Kind
    KIND_CREATE_NODE: RunEvent.Kind
    KIND_RUN_NODE: RunEvent.Kind
    KIND_NODE_OUTPUT: RunEvent.Kind
    KIND_NODE_ERROR: RunEvent.Kind
    KIND_DELETE_NODE: RunEvent.Kind
    KIND_QUESTION: RunEvent.Kind
    KIND_ANSWER: RunEvent.Kind
    KIND_RECEIPT: RunEvent.Kind
    KIND_END_RUN: RunEvent.Kind
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    NODE_TYPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    WAITS_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_TOKENS_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    kind: RunEvent.Kind
    node: str
    node_type: str
    data: str
    output: str
    attempt: int
    waits: bool
    key: str
    status: RunStatus
    prompt_tokens: int
    completion_tokens: int
    at: _timestamp_pb2.Timestamp
    def __init__(self, sequence: _Optional[int] = ..., kind: _Optional[_Union[RunEvent.Kind, str]] = ..., node: _Optional[str] = ..., node_type: _Optional[str] = ..., data: _Optional[str] = ..., output: _Optional[str] = ..., attempt: _Optional[int] = ..., waits: bool = ..., key: _Optional[str] = ..., status: _Optional[_Union[RunStatus, str]] = ..., prompt_tokens: _Optional[int] = ..., completion_tokens: _Optional[int] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class AppendEventsRequest(_message.Message):
    __slots__ = ("namespace", "run", "fence", "events")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    run: str
    fence: int
    events: _containers.RepeatedCompositeFieldContainer[RunEvent]
    def __init__(self, namespace: _Optional[str] = ..., run: _Optional[str] = ..., fence: _Optional[int] = ..., events: _Optional[_Iterable[_Union[RunEvent, _Mapping]]] = ...) -> None: ...

class AppendEventsResponse(_message.Message):
    __slots__ = ("last_sequence", "appended", "duplicates")
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    APPENDED_FIELD_NUMBER: _ClassVar[int]
    DUPLICATES_FIELD_NUMBER: _ClassVar[int]
    last_sequence: int
    appended: int
    duplicates: int
    def __init__(self, last_sequence: _Optional[int] = ..., appended: _Optional[int] = ..., duplicates: _Optional[int] = ...) -> None: ...

class ReadStateRequest(_message.Message):
    __slots__ = ("namespace", "run")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    run: str
    def __init__(self, namespace: _Optional[str] = ..., run: _Optional[str] = ...) -> None: ...

class RunNode(_message.Message):
    __slots__ = ("node", "node_type", "data", "output", "phase", "attempts", "children", "children_finished", "receipts", "question", "answer", "answered", "failures", "context")
    NODE_FIELD_NUMBER: _ClassVar[int]
    NODE_TYPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    CHILDREN_FIELD_NUMBER: _ClassVar[int]
    CHILDREN_FINISHED_FIELD_NUMBER: _ClassVar[int]
    RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    node: str
    node_type: str
    data: str
    output: str
    phase: NodePhase
    attempts: int
    children: int
    children_finished: int
    receipts: _containers.RepeatedCompositeFieldContainer[RunReceipt]
    question: str
    answer: str
    answered: bool
    failures: int
    context: str
    def __init__(self, node: _Optional[str] = ..., node_type: _Optional[str] = ..., data: _Optional[str] = ..., output: _Optional[str] = ..., phase: _Optional[_Union[NodePhase, str]] = ..., attempts: _Optional[int] = ..., children: _Optional[int] = ..., children_finished: _Optional[int] = ..., receipts: _Optional[_Iterable[_Union[RunReceipt, _Mapping]]] = ..., question: _Optional[str] = ..., answer: _Optional[str] = ..., answered: bool = ..., failures: _Optional[int] = ..., context: _Optional[str] = ...) -> None: ...

class RunReceipt(_message.Message):
    __slots__ = ("key", "receipt")
    KEY_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    key: str
    receipt: str
    def __init__(self, key: _Optional[str] = ..., receipt: _Optional[str] = ...) -> None: ...

class ReadStateResponse(_message.Message):
    __slots__ = ("run", "nodes", "queue")
    RUN_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    run: Run
    nodes: _containers.RepeatedCompositeFieldContainer[RunNode]
    queue: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, run: _Optional[_Union[Run, _Mapping]] = ..., nodes: _Optional[_Iterable[_Union[RunNode, _Mapping]]] = ..., queue: _Optional[_Iterable[str]] = ...) -> None: ...

class ReadEventsRequest(_message.Message):
    __slots__ = ("namespace", "run", "from_sequence", "page_size")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    FROM_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    run: str
    from_sequence: int
    page_size: int
    def __init__(self, namespace: _Optional[str] = ..., run: _Optional[str] = ..., from_sequence: _Optional[int] = ..., page_size: _Optional[int] = ...) -> None: ...

class ReadEventsResponse(_message.Message):
    __slots__ = ("events", "next_sequence", "compacted_through")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    COMPACTED_THROUGH_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[RunEvent]
    next_sequence: int
    compacted_through: int
    def __init__(self, events: _Optional[_Iterable[_Union[RunEvent, _Mapping]]] = ..., next_sequence: _Optional[int] = ..., compacted_through: _Optional[int] = ...) -> None: ...

class WatchRunRequest(_message.Message):
    __slots__ = ("namespace", "run", "from_sequence")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    FROM_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    run: str
    from_sequence: int
    def __init__(self, namespace: _Optional[str] = ..., run: _Optional[str] = ..., from_sequence: _Optional[int] = ...) -> None: ...

class WatchRunResponse(_message.Message):
    __slots__ = ("event", "answered", "cancel_requested")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_FIELD_NUMBER: _ClassVar[int]
    CANCEL_REQUESTED_FIELD_NUMBER: _ClassVar[int]
    event: RunEvent
    answered: Question
    cancel_requested: bool
    def __init__(self, event: _Optional[_Union[RunEvent, _Mapping]] = ..., answered: _Optional[_Union[Question, _Mapping]] = ..., cancel_requested: bool = ...) -> None: ...

class Question(_message.Message):
    __slots__ = ("run", "node", "text", "choices", "asked_at", "answer", "answered_at", "answered")
    RUN_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    CHOICES_FIELD_NUMBER: _ClassVar[int]
    ASKED_AT_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_AT_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_FIELD_NUMBER: _ClassVar[int]
    run: str
    node: str
    text: str
    choices: _containers.RepeatedScalarFieldContainer[str]
    asked_at: _timestamp_pb2.Timestamp
    answer: str
    answered_at: _timestamp_pb2.Timestamp
    answered: bool
    def __init__(self, run: _Optional[str] = ..., node: _Optional[str] = ..., text: _Optional[str] = ..., choices: _Optional[_Iterable[str]] = ..., asked_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., answer: _Optional[str] = ..., answered_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., answered: bool = ...) -> None: ...

class ListQuestionsRequest(_message.Message):
    __slots__ = ("namespace", "run", "page_size", "page_token")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    run: str
    page_size: int
    page_token: str
    def __init__(self, namespace: _Optional[str] = ..., run: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListQuestionsResponse(_message.Message):
    __slots__ = ("questions", "next_page_token")
    QUESTIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    questions: _containers.RepeatedCompositeFieldContainer[Question]
    next_page_token: str
    def __init__(self, questions: _Optional[_Iterable[_Union[Question, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class AnswerQuestionRequest(_message.Message):
    __slots__ = ("namespace", "run", "node", "answer")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    run: str
    node: str
    answer: str
    def __init__(self, namespace: _Optional[str] = ..., run: _Optional[str] = ..., node: _Optional[str] = ..., answer: _Optional[str] = ...) -> None: ...

class AnswerQuestionResponse(_message.Message):
    __slots__ = ("question",)
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    question: Question
    def __init__(self, question: _Optional[_Union[Question, _Mapping]] = ...) -> None: ...

class CancelRunRequest(_message.Message):
    __slots__ = ("namespace", "run")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    run: str
    def __init__(self, namespace: _Optional[str] = ..., run: _Optional[str] = ...) -> None: ...

class CancelRunResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: Run
    def __init__(self, run: _Optional[_Union[Run, _Mapping]] = ...) -> None: ...

class CompactRunRequest(_message.Message):
    __slots__ = ("namespace", "run")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    run: str
    def __init__(self, namespace: _Optional[str] = ..., run: _Optional[str] = ...) -> None: ...

class CompactRunResponse(_message.Message):
    __slots__ = ("events_removed", "bytes_removed")
    EVENTS_REMOVED_FIELD_NUMBER: _ClassVar[int]
    BYTES_REMOVED_FIELD_NUMBER: _ClassVar[int]
    events_removed: int
    bytes_removed: int
    def __init__(self, events_removed: _Optional[int] = ..., bytes_removed: _Optional[int] = ...) -> None: ...

class DeleteRunRequest(_message.Message):
    __slots__ = ("namespace", "run", "idempotency_key")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    run: str
    idempotency_key: str
    def __init__(self, namespace: _Optional[str] = ..., run: _Optional[str] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class DeleteRunResponse(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: int
    def __init__(self, events: _Optional[int] = ...) -> None: ...
