"""Runs of a swarm as the server keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum


class RunStatus(str, Enum):
    """Whether a run has work left, or how it ended."""

    UNSPECIFIED = "unspecified"
    OPEN = "open"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class EventKind(str, Enum):
    """What an entry of the history says."""

    UNSPECIFIED = "unspecified"
    CREATE_NODE = "create_node"
    RUN_NODE = "run_node"
    NODE_OUTPUT = "node_output"
    NODE_ERROR = "node_error"
    DELETE_NODE = "delete_node"
    QUESTION = "question"
    ANSWER = "answer"
    RECEIPT = "receipt"
    END_RUN = "end_run"


class NodePhase(str, Enum):
    """Where a node is in its life."""

    UNSPECIFIED = "unspecified"
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    ASKING = "asking"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run, as it stands."""

    id: str
    goal: str
    status: RunStatus
    created_at: datetime | None
    updated_at: datetime | None
    last_sequence: int
    """Number of the last event; 0: none yet."""
    nodes: int
    """Nodes that there are or were."""
    nodes_finished: int
    open_questions: int
    prompt_tokens: int
    completion_tokens: int
    holder: str
    """Who holds it, if somebody does."""
    lease_until: datetime | None
    cancel_requested: bool
    result: str
    """A JSON value, once it has ended."""
    settings: str
    """JSON object of the client that made it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPage:
    """A page of runs, newest first."""

    runs: tuple[Run, ...]
    next_page_token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to append to a run, until it is lost."""

    fence: int
    """Goes with every append."""
    lease_until: datetime | None
    run: Run


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRenewed:
    """A lease kept for another while."""

    lease_until: datetime | None
    cancel_requested: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvent:
    """One entry of the history. `proto/hivemem/v1/swarm.proto` says which fields count for which kind."""

    sequence: int
    """1, 2, 3 … without a gap."""
    kind: EventKind
    node: str = ""
    """Place in the tree: `0`, `0.2`, `0.2.1`."""
    node_type: str = ""
    data: str = ""
    """JSON."""
    output: str = ""
    """JSON."""
    attempt: int = 0
    waits: bool = False
    key: str = ""
    status: RunStatus = RunStatus.UNSPECIFIED
    prompt_tokens: int = 0
    completion_tokens: int = 0
    at: datetime | None = None
    """By the server's clock; what the caller says is not kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """What an append came to."""

    last_sequence: int
    appended: int
    duplicates: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReceipt:
    """That an effect was carried out."""

    key: str
    receipt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNode:
    """A node of a run, as the history comes down to it."""

    node: str
    node_type: str
    data: str
    output: str
    phase: NodePhase
    attempts: int
    """Executions begun."""
    children: int
    children_finished: int
    receipts: tuple[RunReceipt, ...]
    question: str
    answer: str
    answered: bool
    failures: int
    """Executions that failed since one ended well or asked."""
    context: str
    """Of a node that is not over: `data` of the event with which its last execution began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """What a history comes down to. Enough to go on from."""

    run: Run
    nodes: tuple[RunNode, ...]
    """By place in the tree."""
    queue: tuple[str, ...]
    """Nodes that wait to be executed, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPage:
    """A page of the history."""

    events: tuple[RunEvent, ...]
    next_sequence: int
    """0: the end."""
    compacted_through: int
    """Events up to this number were compacted away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a node asked of people."""

    run: str
    node: str
    text: str
    choices: tuple[str, ...]
    """Empty: any text will do."""
    asked_at: datetime | None
    answer: str
    answered_at: datetime | None
    answered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionPage:
    """A page of questions that wait, oldest first."""

    questions: tuple[Question, ...]
    next_page_token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunChange:
    """What happened to a run that is watched; one of the three is set."""

    event: RunEvent | None
    answered: Question | None
    """Somebody answered; the holder has not taken it up yet."""
    cancel_requested: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCompacted:
    """What compacting a run gave back."""

    events_removed: int
    bytes_removed: int
