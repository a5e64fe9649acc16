"""The shapes of calls. What a call sends and how its reply is read is said once, for the sync and the async client alike.

A function in `hivemem.calls` makes one of these values from a namespace and plain arguments; `hivemem.client` and `hivemem.aio`
each know how to carry one out. `Method` is the table's entry: path and types of one method of the protocol.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from google.protobuf.message import Message

Q = TypeVar("Q", bound=Message)
A = TypeVar("A", bound=Message)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Method(Generic[Q, A]):
    """One method of the protocol."""

    path: str
    request: type[Q]
    reply: type[A]


@dataclass(frozen=True, slots=True)
class Unary(Generic[T]):
    """One request, one reply. Sent again while the server is unavailable, so it has to bear that."""

    method: Method[Any, Any]
    request: Message
    read: Callable[[Any], T]
    long: bool = False
    """Without a deadline, and sent once: it may take minutes."""


@dataclass(frozen=True, slots=True)
class Gathered(Generic[T]):
    """One request, replies in pieces, one result. Sent again like a unary call."""

    method: Method[Any, Any]
    request: Message
    read: Callable[[Sequence[Any]], T]


@dataclass(frozen=True, slots=True)
class Streamed(Generic[T]):
    """One request, a stream of replies. Without a deadline, and sent once."""

    method: Method[Any, Any]
    request: Message
    read: Callable[[Any], T]


class Packer(Protocol):
    """Packs what is sent into messages that stay under the limit of one message."""

    def push(self, item: Any) -> Message | None:
        """Takes one in. Returns a message that is full."""

    def flush(self) -> Message | None:
        """The last message, if there is one."""


@dataclass(frozen=True, slots=True)
class Sent(Generic[T]):
    """A stream of requests, one reply. Without a deadline, and sent once."""

    method: Method[Any, Any]
    items: Iterable[Any] | AsyncIterable[Any]
    packer: Packer
    read: Callable[[Any], T]


@dataclass(frozen=True, slots=True)
class Exchanged(Generic[T]):
    """A stream of requests and a stream of replies. Without a deadline, and sent once."""

    method: Method[Any, Any]
    items: Iterable[Any] | AsyncIterable[Any]
    packer: Packer
    read: Callable[[Any], T]


@dataclass(frozen=True, slots=True)
class Paged(Generic[T]):
    """A unary call repeated for all pages: the items, and how to ask for the next page."""

    first: Unary[Any]
    items: Callable[[Any], Iterable[T]]
    after: Callable[[Any], Unary[Any] | None]
    """The call for the page after this one; None after the last."""
