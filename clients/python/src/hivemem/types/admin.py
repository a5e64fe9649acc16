"""Counts and states of the server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionStats:
    """A projection (index) and how far it follows the log."""

    name: str
    applied_lsn: int
    entries: int
    indexed_entries: int
    manifest: str
    problem: str
    """Why it can't follow the log, if it can't."""
    generation: int
    """From 1."""
    next_lsn: int | None
    """Position of the next generation, if one is being built."""
    next_problem: str
    """Why its building can't go on, if it can't."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStats:
    """The embedding model."""

    name: str
    revision: str
    dimension: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStats:
    """A source and whether it is followed."""

    id: str
    uri: str
    watched: bool
    problem: str
    syncing: bool
    """An ingest is changing it, or was when the server ended: that goes on after the start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Counts of a namespace, and states of the server."""

    version: str
    namespace: str
    documents: int
    chunks: int
    bytes: int
    tokens: int
    chunks_without_vector: int
    lsn: int
    """Log position of the whole server."""
    projections: tuple[ProjectionStats, ...]
    model: ModelStats
    sources: tuple[SourceStats, ...]
    resident_bytes: int
    """Of the server's process; 0 where the system doesn't tell."""
    disk_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildProgress:
    """How far an index is that is built anew."""

    projection: str
    applied_lsn: int
    lsn: int
    done: bool
    """In the last message: the new index serves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreDifference:
    """Something that one store has and another has not."""

    missing: bool
    """Otherwise it is there and should not be."""
    namespace: str
    document_id: str
    chunk_id: str
    uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCheck:
    """One store compared with the ground state."""

    name: str
    """catalogue, log, embeddings, lexical or vector."""
    expected: int
    found: int
    missing: int
    surplus: int
    first: tuple[StoreDifference, ...]
    """The first 20."""
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FsckReport:
    """Whether all stores hold the same."""

    clean: bool
    repaired: bool
    lsn: int
    stores: tuple[StoreCheck, ...]
    """As they were found."""
    left: tuple[StoreCheck, ...]
    """As they are after a repair; empty where there was none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """What compacting gave back."""

    disk_bytes_before: int
    disk_bytes_after: int
    log_entries: int
    """Log entries dropped."""
