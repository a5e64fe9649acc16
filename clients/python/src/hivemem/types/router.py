"""Node types and tools, and decisions of the router."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node type or tool that goals are routed to."""

    name: str
    """Unique in its namespace, 1 to 128 bytes."""
    description: str = ""
    kind: str = ""
    """llm, script, function, mcp_tool, api_call, data_source, agent. Default function."""
    language: str = ""
    code: str = ""
    arguments: str = ""
    """JSON Schema, as JSON."""
    returns: str = ""
    test_cases: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    """Names of what it needs."""
    utterances: tuple[str, ...] = ()
    """Goals that it is for, as people say them."""
    tags: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    """What a caller has to be allowed."""
    folder: str = ""
    """Where it stands in the catalogue, such as `finance/banking`."""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeIssue:
    """A node that was rejected, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """What became of nodes that were registered or imported."""

    added: int
    updated: int
    unchanged: int
    rejected: int
    issues: tuple[NodeIssue, ...]
    """The first hundred of those that were rejected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFolder:
    """A folder of the catalogue and how many nodes are in it and below."""

    path: str
    nodes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSummary:
    """A node in a list, with the first line of its description."""

    name: str
    kind: str
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePage:
    """A page of one level of the catalogue."""

    folders: tuple[NodeFolder, ...]
    nodes: tuple[NodeSummary, ...]
    total: int
    """Nodes at this level and below."""
    next_page_token: str
    """Empty: this is the last page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeVersion:
    """A node as it was registered at some time."""

    version: int
    registered_at: datetime | None
    node: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeHistory:
    """A node with its versions."""

    id: str
    node: Node | None
    """As it serves; None if it was removed."""
    examples: tuple[str, ...]
    """Added since, by hand or by corrections."""
    versions: tuple[NodeVersion, ...]
    """Newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteCandidate:
    """A node that may serve a goal."""

    name: str
    kind: str
    version: int
    summary: str
    probability: float
    """That it is right, calibrated on held-out examples."""
    words: tuple[str, ...]
    """Words of the goal that it has."""
    example: str
    example_similarity: float
    """Cosine with its nearest example."""
    past: float
    """What failures with goals like this one took from its score; 0: nothing."""
    schema: str
    """JSON Schema of its arguments, if it fits the budget."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteDecision:
    """Which node serves a goal, or that none does."""

    decision: str
    """route, ambiguous or none."""
    candidates: tuple[RouteCandidate, ...]
    """Best first; given even where none serves."""
    set: tuple[str, ...]
    """The node to take, or those that the parts of the goal need; if ambiguous, the right one is in it at 95 %."""
    advice: str
    """If none serves, what to do: break_down, build_tool or ask."""
    in_scope: float
    """The probability that the goal has a route here at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfusedNodes:
    """Two nodes that are taken for each other."""

    right: str
    chosen: str
    count: int
    """Held-out examples that went wrong."""
    samples: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRecord:
    """Outcomes of one node; `mean_cost` is of the costs that were told, in the callers' unit."""

    name: str
    succeeded: int
    failed: int
    mean_cost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingReport:
    """What routing has learned."""

    nodes: int
    trials: int
    """Held-out examples that thresholds come from; 0: the defaults serve."""
    settled: bool
    """Whether everything registered is learned from."""
    confused: tuple[ConfusedNodes, ...]
    records: tuple[NodeRecord, ...]
