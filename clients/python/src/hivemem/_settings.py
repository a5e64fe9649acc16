"""How a client presents itself and how long it tries: what the sync and the async client share about connections."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import grpc

from hivemem._pack import MESSAGE_BYTES_MAX
from hivemem.errors import HivememError, InternalError, InvalidArgument, Unavailable

DEFAULT_ADDRESS = "http://127.0.0.1:7411"

CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    # The library's own pause after a refused connection is a second and doubles up to two minutes: it would outlast the
    # retries here.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # Retries are made here, where their number and the deadline of all of them are known.
    ("grpc.enable_retries", 0),
)


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a call is sent again while the server is unavailable, and after which pauses.

    Every write carries an idempotency key or a sequence number, so that sending it again does it once.
    """

    attempts: int = 5
    """Tries in all; 1: never again."""
    first_s: float = 0.1
    """The pause after the first failure, in seconds; each later one is twice as long."""
    max_s: float = 2.0
    """The longest pause, in seconds."""

    def pauses(self, chance: Callable[[], float] = random.random) -> Iterator[float]:
        """The pauses in seconds; each is shortened by up to a half, so that callers don't come back all at once."""
        pause = self.first_s
        for _ in range(self.attempts - 1):
            yield pause * (1.0 - chance() / 2)
            pause = min(pause * 2, self.max_s)


@dataclass(frozen=True, slots=True)
class Settings:
    """What every call of a client needs."""

    namespace: str
    timeout_s: float | None
    retry: Retry


@dataclass(frozen=True, slots=True)
class Target:
    """Where the server is, and how it is talked to."""

    address: str
    """As it was given; for errors."""
    authority: str
    """HOST:PORT."""
    credentials: grpc.ChannelCredentials | None
    """None: without TLS."""
    metadata: tuple[tuple[str, str], ...] = field(repr=False)


def target_of(
    address: str,
    token: str | None,
    root_certificates: bytes | None,
    credentials: grpc.ChannelCredentials | None,
) -> Target:
    """Reads an address: `http://HOST:PORT`, `https://HOST:PORT` (TLS) or `HOST:PORT`.

    Raises InvalidArgument for another one, or a token that a header can't carry.
    """
    scheme, found, authority = address.partition("://")
    if not found:
        scheme, authority = "http", address
    authority = authority.rstrip("/")
    if scheme not in ("http", "https") or not authority or "/" in authority:
        raise InvalidArgument(f"server address {address!r} is broken: give http://HOST:PORT or https://HOST:PORT")
    if scheme == "https" and credentials is None:
        credentials = grpc.ssl_channel_credentials(root_certificates=root_certificates)
    if scheme == "http" and (credentials is not None or root_certificates is not None):
        raise InvalidArgument(f"server address {address!r} is without TLS, but certificates are given: use https://")
    if token is not None and not (token.isascii() and token.isprintable() and token):
        raise InvalidArgument("the token is empty or has characters that an HTTP header can't carry")
    metadata = () if token is None else (("authorization", f"Bearer {token}"),)
    return Target(address, authority, credentials, metadata)


class Attempts:
    """The tries of one call: how much time the next one has, and whether there is one."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        """Time counts from here."""
        self._clock = clock
        self._end = None if settings.timeout_s is None else clock() + settings.timeout_s
        self._pauses = settings.retry.pauses()

    def remaining_s(self) -> float | None:
        """Seconds that are left of the deadline of all tries; None: no deadline."""
        return None if self._end is None else max(self._end - self._clock(), 0.001)

    def pause_after(self, error: HivememError) -> float:
        """Seconds to wait before the next try. Raises `error` if there is none."""
        if not isinstance(error, Unavailable):
            raise error
        pause = next(self._pauses, None)
        if pause is None:
            raise error
        pause = max(pause, error.retry_after_s or 0.0)
        remaining = self.remaining_s()
        if remaining is not None and pause >= remaining:
            raise error
        return pause


def no_report() -> HivememError:
    """The error of an ingest that ended without its report."""
    return InternalError("the server ended the ingest without a report; look at its log")
