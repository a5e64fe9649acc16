"""What can go wrong with a call: one exception class per kind of failure, with the details that the server attached.

Decide by the class, not by the text. The classes are those of the Rust client's `ErrorKind`. What fails before anything is
sent (an argument that can't be encoded) is an ordinary `TypeError` or `ValueError`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

_STATUS_HEADER = "grpc-status-details-bin"


@dataclass(frozen=True, slots=True)
class Detail:
    """One detail of an error: a request field, limit or precondition, and what is wrong with it."""

    subject: str
    description: str


class HivememError(Exception):
    """A failed call. Every error of this package that is about a call is one of the subclasses."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        details: Iterable[Detail] = (),
        retry_after_s: float | None = None,
    ) -> None:
        """`code` is empty where the call never reached a server."""
        super().__init__(message)
        self.message = message
        """The server's message alone; `str(error)` adds details and code."""
        self.code = code
        """Name of the gRPC code, such as `INVALID_ARGUMENT`; empty if the call never reached a server."""
        self.details = tuple(details)
        """Field violations, limits and preconditions that the server named (`google.rpc` error details)."""
        self.retry_after_s = retry_after_s
        """How long the server asks to wait before the next try, in seconds, if it said."""

    def __str__(self) -> str:
        """One line: the message, the details that it does not say already, the code."""
        text = self.message
        for detail in self.details:
            said = not detail.description or detail.description in self.message
            named = not detail.subject or detail.subject in re.split(r"[^\w.]+", self.message)
            if said and not named:
                text += f" ({detail.subject})"
            elif not said:
                text += f"; {detail.subject}: {detail.description}" if detail.subject else f"; {detail.description}"
        return f"{text} [{self.code}]" if self.code else text


class InvalidArgument(HivememError):
    """The request is wrong; sending it again cannot help. `details` names the fields."""


class LimitExceeded(HivememError):
    """Over a limit that the message names."""


class NotFound(HivememError):
    """What was asked for does not exist."""


class Conflict(HivememError):
    """It exists already, or is held by another owner."""


class Denied(HivememError):
    """The token is missing or does not allow this."""


class PreconditionFailed(HivememError):
    """The server is not in a state in which this can work; an operator has to act."""


class Unavailable(HivememError):
    """The server, or a part of it, is down or busy; trying later can help."""


class ConnectFailed(Unavailable):
    """Nobody answers at the address."""


class DeadlineExceeded(HivememError):
    """The deadline passed, or the call was cancelled. A write may have been done all the same."""


class Unsupported(HivememError):
    """The server does not know this method: it is older than this package."""


class InternalError(HivememError):
    """Stored data is damaged, or the server has a bug."""


_CLASSES: dict[str, type[HivememError]] = {
    "INVALID_ARGUMENT": InvalidArgument,
    "OUT_OF_RANGE": LimitExceeded,
    "RESOURCE_EXHAUSTED": LimitExceeded,
    "NOT_FOUND": NotFound,
    "ALREADY_EXISTS": Conflict,
    "ABORTED": Conflict,
    "PERMISSION_DENIED": Denied,
    "UNAUTHENTICATED": Denied,
    "FAILED_PRECONDITION": PreconditionFailed,
    "UNAVAILABLE": Unavailable,
    "DEADLINE_EXCEEDED": DeadlineExceeded,
    "CANCELLED": DeadlineExceeded,
    "UNIMPLEMENTED": Unsupported,
}

# The library says it in words only.
_NOBODY_THERE = re.compile(r"failed to connect to all addresses|connection refused|name resolution|dns resolution", re.I)


class _Failed(Protocol):
    """What the errors of the sync and the async half of the gRPC library have in common."""

    def code(self) -> grpc.StatusCode: ...
    def details(self) -> str | None: ...
    def trailing_metadata(self) -> Any: ...


def from_rpc(error: grpc.RpcError, address: str) -> HivememError:
    """The exception for what the gRPC library raised."""
    failed: _Failed = error
    code = failed.code().name
    message = failed.details() or f"the server gave no reason ({code.lower().replace('_', ' ')})"
    if code == "UNAVAILABLE" and _NOBODY_THERE.search(message):
        return ConnectFailed(f"no server answers at {address} ({message})")
    details, retry_after_s = _read_details(failed.trailing_metadata())
    kind = _CLASSES.get(code, InternalError)
    return kind(message, code=code, details=details, retry_after_s=retry_after_s)


def _read_details(trailers: Any) -> tuple[list[Detail], float | None]:
    details: list[Detail] = []
    retry_after_s: float | None = None
    try:
        packed = next((value for key, value in trailers or () if key == _STATUS_HEADER), b"")
        status = status_pb2.Status.FromString(packed if isinstance(packed, bytes) else packed.encode("latin-1"))
        for entry in status.details:
            if entry.Is(error_details_pb2.BadRequest.DESCRIPTOR):
                bad = error_details_pb2.BadRequest.FromString(entry.value)
                details += [Detail(violation.field, violation.description) for violation in bad.field_violations]
            elif entry.Is(error_details_pb2.QuotaFailure.DESCRIPTOR):
                quota = error_details_pb2.QuotaFailure.FromString(entry.value)
                details += [Detail(violation.subject, violation.description) for violation in quota.violations]
            elif entry.Is(error_details_pb2.PreconditionFailure.DESCRIPTOR):
                failure = error_details_pb2.PreconditionFailure.FromString(entry.value)
                details += [Detail(violation.subject, violation.description) for violation in failure.violations]
            elif entry.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
                info = error_details_pb2.RetryInfo.FromString(entry.value)
                retry_after_s = info.retry_delay.ToTimedelta().total_seconds()
    except DecodeError:
        # Details only explain; the error itself is known without them.
        return details, retry_after_s
    return details, retry_after_s
