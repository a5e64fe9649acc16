"""What the Ingest service takes and tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document to store."""

    uri: str
    """Its address; writing the same one again replaces the document. Without a scheme it is put under the source."""
    content: bytes
    """At most 4 MiB."""
    title: str = ""
    media_type: str = ""
    """Decided from URI and content if empty. `text/x-memory` marks a memory."""
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    modified_at: datetime | None = None
    """Needs a time zone."""


class IngestPhase(str, Enum):
    """Where an ingest is."""

    UNSPECIFIED = "unspecified"
    LISTING = "listing"
    READING = "reading"
    EMBEDDING = "embedding"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileIssue:
    """A file that was skipped or failed, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestReport:
    """What an ingest came to."""

    source: str
    files: int
    bytes: int
    chunks: int
    added: int
    updated: int
    unchanged: int
    removed: int
    embedded: int
    embeddings_cached: int
    lsn: int
    """Log position."""
    elapsed: timedelta
    skipped: tuple[FileIssue, ...]
    failed: tuple[FileIssue, ...]
    skipped_by_reason: Mapping[str, int]
    """Also of those beyond the listed ones."""
    failed_by_reason: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestProgress:
    """How far an ingest is."""

    phase: IngestPhase
    files_total: int
    files_done: int
    bytes_done: int
    chunks: int
    chunks_to_embed: int
    chunks_embedded: int
    acknowledged: bool
    """Set once: everything so far is durable and lexically searchable."""
    eta: timedelta | None
    report: IngestReport | None
    """In the last message of a sync."""
    problem: str
    """Of a followed source: why it can't be followed as it should at the moment. Everything else is empty then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What became of a memory."""

    uri: str
    document_id: str
    created: bool
    """False if this very memory was stored already, or if it is an echo."""
    lsn: int
    repeats: str
    """Address of the memory that it nearly repeats; answers show one of them."""
    echoes: tuple[str, ...]
    """If the text consists of what is stored already: citations of that. Then nothing was stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What was removed."""

    removed: int
    uris: tuple[str, ...]
    """The first thousand."""
    lsn: int
    pending: tuple[str, ...]
    """Projections that had not dropped it yet; no search returns it all the same."""
