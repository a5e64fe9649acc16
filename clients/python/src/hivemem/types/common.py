"""What several services share: completeness, places in documents, filters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingPart:
    """A part that an answer lacks, and why."""

    part: str
    """A channel (`dense`, `lexical`) or a projection that lags."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Completeness:
    """How an answer came about. Empty and complete means that everything was searched and nothing was found."""

    complete: bool
    missing: tuple[MissingPart, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Half-open byte range and the lines that it covers (from 1, both ends included)."""

    byte_start: int
    byte_end: int
    line_first: int
    line_last: int
    page_first: int = 0
    """Pages as they lie in the file, from 1, both ends included; 0: it has none."""
    page_last: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchFilter:
    """All parts that are set must hold; within one, one value is enough. Moments need a time zone."""

    paths: tuple[str, ...] = ()
    """Globs over paths and URIs, such as `src/**/*.rs`."""
    languages: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    """code, markdown, html, text, data, memory."""
    sources: tuple[str, ...] = ()
    """Source URIs, or paths as given to an ingest."""
    tags: tuple[str, ...] = ()
    modified_from: datetime | None = None
    modified_until: datetime | None = None
