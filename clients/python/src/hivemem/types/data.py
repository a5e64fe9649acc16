"""The view of all data: objects, recipes, plans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class DataObject:
    """A piece of data, wherever it lies."""

    uri: str
    """file://, s3://, gs://, az://, http(s)://, git+…, postgres://, memory: …; ends in `/` for a prefix or bucket."""
    name: str = ""
    """Last part of the URI if empty."""
    description: str = ""
    kind: str = ""
    """object, prefix, bucket, table, database, api, repository, page. Default object."""
    media_type: str = ""
    schema: str = ""
    """Columns, JSON Schema or whatever says what is in it."""
    owner: str = ""
    tags: tuple[str, ...] = ()
    cost_class: str = ""
    """free, cheap, costly, restricted. Default free."""
    credential: str = ""
    """Name of credentials in the server's configuration; never the secret."""
    bytes: int | None = None
    content_hash: str = ""
    """SHA-256 in hex, if known."""
    modified_at: datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataIssue:
    """An object that was rejected, and why."""

    uri: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRegistered:
    """What became of objects that were registered."""

    added: int
    updated: int
    unchanged: int
    rejected: int
    issues: tuple[DataIssue, ...]
    """The first hundred of those that were rejected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFilter:
    """All parts that are set must hold; within one, one value is enough."""

    kinds: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()
    """local, s3, gs, az, http, git, inline, sql."""
    tags: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    indexed: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFolder:
    """A level of the tree; `objects` below it are counted up to a limit, `at_least` says that it was reached."""

    uri: str
    objects: int
    at_least: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DataEntry:
    """An object in a list."""

    uri: str
    name: str
    kind: str
    store: str
    media_type: str
    bytes: int | None
    indexed: bool
    registered: bool
    modified_at: datetime | None
    description: str
    """First line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPage:
    """A page of a list of data."""

    entries: tuple[DataEntry, ...]
    folders: tuple[DataFolder, ...]
    next_page_token: str
    """Empty: this is the last page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataVersion:
    """A version as the store names it."""

    version: str
    bytes: int | None
    modified_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataUse:
    """That somebody fetched, ingested or verified it."""

    action: str
    user: str
    at: datetime | None
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DataStat:
    """What is known of one object."""

    object: DataObject
    store: str
    registered: bool
    indexed: bool
    freshness: str
    """fresh, stale, gone or unknown."""
    freshness_reason: str
    document_id: str
    source: str
    chunks: int
    tokens: int
    indexed_at: datetime | None
    indexed_hash: str
    versions: tuple[DataVersion, ...]
    """Newest first, where the store keeps some."""
    uses: tuple[DataUse, ...]
    """Newest first."""
    documents: tuple[str, ...]
    """The first documents that came from a prefix, repository or archive."""
    documents_total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRecipe:
    """An exact way to get an object, to be executed as it stands."""

    form: str
    """grpc, cli, python, rust, presigned_url, native (the store's own tool)."""
    text: str
    needs: str
    """A credential by name, a running server."""
    valid_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataLocation:
    """The ways to get an object."""

    uri: str
    store: str
    recipes: tuple[DataRecipe, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPiece:
    """Some bytes of an object, in order."""

    media_type: str
    """Of the first piece."""
    bytes_total: int | None
    version: str
    data: bytes
    content_hash: str
    """Of the last piece of a whole object: its SHA-256."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataVerified:
    """Whether an object is still there and the same."""

    exists: bool
    verdict: str
    """unchanged, changed, or unknown where there is nothing to compare with."""
    reason: str
    elapsed: timedelta
    bytes: int | None
    version: str
    modified_at: datetime | None
    content_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchPlan:
    """What it would take to ingest an object."""

    uri: str
    steps: str
    bytes: int | None
    documents: int | None
    estimated: timedelta | None
    cost_class: str
    credential: str
    obstacle: str
    """Why it can't be carried out as things are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataHit:
    """An object that was found."""

    entry: DataEntry
    score: float
    reasons: tuple[str, ...]
    """Which words were found where."""
    plan: FetchPlan | None
    """Of what isn't ingested."""
