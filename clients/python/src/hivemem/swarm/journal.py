"""The history of one run, written by its one holder.

It numbers events, repeats what a server that was gone did not take, and keeps the lease. Once something was refused, nothing more
is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from hivemem.aio import AsyncClient
from hivemem.errors import Conflict, DeadlineExceeded, HivememError, PreconditionFailed, Unavailable
from hivemem.types import RunEvent

# First and longest wait before a call is repeated.
_PAUSE_S = 0.05
_PAUSE_S_MAX = 2.0

# Of one append: below the server's limit of 1000 events and 8 MiB.
_EVENTS_MAX = 500
_BYTES_MAX = 2 * 1024 * 1024


class LeaseLost(Exception):
    """Another process works on this run; the message names it. The run itself goes on there."""


def passes(error: HivememError) -> bool:
    """Whether the same call may well succeed later."""
    return isinstance(error, (Unavailable, DeadlineExceeded))


class Journal:
    """See the module. Only one task may append at a time."""

    def __init__(self, client: AsyncClient, run: str, *, fence: int, last: int, patience_s: float) -> None:
        """`last` is the number of the last event that there is."""
        self._client = client
        self._run = run
        self._fence = fence
        self._last = last
        self._patience_s = patience_s
        self._broken = False

    @property
    def last(self) -> int:
        """Number of the last event."""
        return self._last

    async def append(self, groups: Sequence[Sequence[RunEvent]]) -> list[RunEvent]:
        """Writes events in their order, those of a group all or none, and returns them with their numbers.

        Raises LeaseLost, or what the server said once patience is over. Then nothing may follow: it is unknown what the
        server has.
        """
        if self._broken:
            raise PreconditionFailed("the run has stopped: an earlier event was not written")
        written: list[RunEvent] = []
        self._broken = True
        for batch in _batches(groups):
            numbered = [replace(event, sequence=self._last + number) for number, event in enumerate(batch, 1)]
            await self._send(numbered)
            self._last += len(numbered)
            written += numbered
        self._broken = False
        return written

    async def _send(self, batch: Sequence[RunEvent]) -> None:
        loop = asyncio.get_running_loop()
        end, pause_s = loop.time() + self._patience_s, _PAUSE_S
        while True:
            try:
                await self._client.append_events(self._run, batch, fence=self._fence)
                return
            except Conflict as error:
                if error.code == "ABORTED":
                    raise LeaseLost(error.message) from error
                raise
            except HivememError as error:
                if not passes(error) or loop.time() >= end:
                    raise
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _PAUSE_S_MAX)

    async def keep(self, ttl_s: float, cancelled: Callable[[], None]) -> None:
        """Renews the lease at a third of its length, so that two lost calls cost nothing, until it is lost: raises LeaseLost.

        A server that is gone can give it to nobody else, so that alone stops nothing.
        """
        while True:
            await asyncio.sleep(ttl_s / 3)
            try:
                renewed = await self._client.renew_run(self._run, fence=self._fence, ttl=timedelta(seconds=ttl_s))
            except HivememError as error:
                if passes(error):
                    continue
                raise LeaseLost(error.message) from error
            if renewed.cancel_requested:
                cancelled()

    async def release(self) -> None:
        """Gives the lease up, as far as that can be said: it runs out by itself."""
        try:
            await self._client.with_timeout(2.0).release_run(self._run, fence=self._fence)
        except HivememError:
            return


def _batches(groups: Sequence[Sequence[RunEvent]]) -> Iterator[list[RunEvent]]:
    batch: list[RunEvent] = []
    size = 0
    for group in groups:
        bytes_ = sum(len(event.data.encode()) + len(event.output.encode()) for event in group)
        if batch and (len(batch) + len(group) > _EVENTS_MAX or size + bytes_ > _BYTES_MAX):
            yield batch
            batch, size = [], 0
        batch += group
        size += bytes_
    if batch:
        yield batch
