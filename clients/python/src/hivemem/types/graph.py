"""Nodes and edges of the knowledge graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hivemem.types.common import Completeness


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphNode:
    """Something that has a place in the graph."""

    address: str
    """Its lasting name."""
    kind: str
    """folder, document, section, module, type, interface, function, method, constant, macro, entity, run or task."""
    name: str
    qualified: str
    """Its path within its document, such as `Server::run`."""
    uri: str
    path: str
    language: str
    line_first: int
    """From 1; 0 if it has no lines."""
    line_last: int
    signature: str
    doc: str
    """First sentence of its comment."""
    is_test: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphEdge:
    """That one node has to do with another."""

    from_: str
    to: str
    kind: str
    confidence: float
    """0 to 1."""
    line: int
    """The line of `from_`'s document that says it; 0 for what follows from where things stand."""
    count: int
    note: str
    """What whoever made a link said of it."""
    origin: str
    """Address of the memory that holds a link."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeEntry:
    """A folder or file of the tree."""

    depth: int
    """Levels below what was asked for: 0 for itself."""
    address: str
    name: str
    is_folder: bool
    files: int
    languages: Mapping[str, int]
    outline: str
    """What a file defines, or its title."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """The folder tree, each folder before what it holds."""

    entries: tuple[TreeEntry, ...]
    left_out: int
    """Entries that the limit left out."""
    completeness: Completeness


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlineEntry:
    """A definition, with its depth of nesting from 0."""

    depth: int
    node: GraphNode


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """What a document defines."""

    document: GraphNode
    entries: tuple[OutlineEntry, ...]
    partial: bool
    """Some of it could not be read: syntax errors, or a limit."""
    left_out: int
    """Definitions that the limit left out: those that stand deepest."""
    completeness: Completeness


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbors:
    """The nodes around a node, nearest first."""

    node: GraphNode
    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]
    truncated: bool
    alternatives: tuple[str, ...]
    """Other nodes that the name may have meant."""
    completeness: Completeness


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphPath:
    """How two nodes are connected; empty if there is no way within the limits."""

    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]
    truncated: bool
    """The limit on nodes looked at was reached first: there may be a way."""
    alternatives: tuple[str, ...]
    completeness: Completeness


@dataclass(frozen=True, slots=True, kw_only=True)
class RelatedNode:
    """A node and the share of a random walk that ends there."""

    node: GraphNode
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Related:
    """What belongs with some nodes, best first."""

    nodes: tuple[RelatedNode, ...]
    truncated: bool
    """The walk ended at a limit: what is far away is ranked less exactly."""
    alternatives: tuple[str, ...]
    completeness: Completeness


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """A link that was made, or was there already."""

    edge: GraphEdge
    created: bool
    lsn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlinked:
    """Addresses of the memories that held the links."""

    removed: tuple[str, ...]
    lsn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """The nodes that a name may mean, best first."""

    nodes: tuple[GraphNode, ...]
    truncated: bool
    completeness: Completeness
