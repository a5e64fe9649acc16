"""Hits and context packs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from hivemem.types.common import Completeness, Location


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorePart:
    """One addend of a score."""

    name: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelScore:
    """Score and rank (from 1) that one channel gave."""

    channel: str
    score: float
    rank: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A passage that was found, with all that proves it."""

    chunk_id: str
    document_id: str
    uri: str
    path: str
    """Relative to the source's root."""
    location: Location
    sha256: str
    """Of the document's bytes when it was indexed, in hex."""
    citation: str
    """`uri@sha256#Lfirst-Llast`"""
    score: float
    parts: tuple[ScorePart, ...]
    channels: tuple[ChannelScore, ...]
    text: str
    title: str
    breadcrumb: str
    symbols: tuple[str, ...]
    language: str
    kind: str
    tags: tuple[str, ...]
    indexed_at: datetime | None
    freshness: str
    """fresh, stale or unknown."""
    trust: str
    """local, agent or external."""
    metadata: Mapping[str, str]
    repeats: str
    """Id of the document that this one nearly repeats, if it does."""
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Microseconds per step."""

    embed_us: int
    dense_us: int
    lexical_us: int
    hydrate_us: int
    total_us: int
    graph_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """Hits, best first. A degraded answer is not an error: look at `completeness`."""

    hits: tuple[Hit, ...]
    completeness: Completeness
    lsn: int
    """Log position that every searched projection has reached."""
    timings: Timings


class ContextForm(str, Enum):
    """How much of an item is shown."""

    UNSPECIFIED = "unspecified"
    FULL = "full"
    OUTLINE = "outline"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextItem:
    """One piece of a context pack."""

    citation: str
    uri: str
    path: str
    location: Location
    form: ContextForm
    tokens: int
    score: float
    chunk_ids: tuple[str, ...]
    text_start: int
    """Byte range of this item in the UTF-8 of the pack's text."""
    text_end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceStep:
    """One decision of the packer."""

    chunk_id: str
    decision: str
    """full, outline, merged, overlap, over_budget, …"""
    score: float
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextPack:
    """A context for a task, ready to be put before a model."""

    text: str
    tokens: int
    budget_tokens: int
    tokenizer: str
    """The encoding that counted."""
    items: tuple[ContextItem, ...]
    trace: tuple[TraceStep, ...]
    completeness: Completeness
    lsn: int

    @property
    def citations(self) -> tuple[str, ...]:
        """Of all items: what `held` of a later pack takes."""
        return tuple(item.citation for item in self.items)
