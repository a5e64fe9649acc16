"""What the runtime costs by itself: nodes that ask no model and gather no context, written to a server of its own over TCP.

    make build bench-python

The same run as `cargo bench --bench runs` has for the Rust client: a plan of 100 branches with 99 leaves each, then the same
killed at its last node and resumed, then 100 runs of 20 nodes at once.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hivemem import AsyncClient, RunEvent
from hivemem.swarm import Blueprint, Outcome, RunEnd, Settings, Step, Swarm, node_type, parallel, plan
from hivemem.types import EventKind

BRANCHES = 100
LEAVES = 99
RUNS = 100
RUN_LEAVES = 19
LIMITS = Settings(memory=False, nodes_max=20_000, fan_out_max=200, lease_ms=1_000)
LOOK_EVERY = 2_475
"""Leaves after which the memory of this process is looked at."""


class Held:
    """The last node does not end while this is set."""

    up = False


@node_type("leaf")
async def leaf(step: Step) -> int:
    return 1


@node_type("last")
async def last(step: Step) -> int:
    while Held.up:
        await asyncio.sleep(3_600)
    return 1


@node_type("branch")
async def branch(step: Step) -> Outcome:
    return parallel(*[Blueprint("leaf")] * LEAVES)


@node_type("few")
async def few(step: Step) -> Outcome:
    return parallel(*[Blueprint("leaf")] * RUN_LEAVES)


@node_type("large")
async def large(step: Step) -> Outcome:
    return plan(*[Blueprint("branch")] * BRANCHES, Blueprint("last"))


def line(name: str, value: str, target: str = "") -> None:
    print(f"  {name:<44} {value}" + (f"  (target {target})" if target else ""), flush=True)


@contextmanager
def server() -> Iterator[str]:
    """The address of one that lives as long as this."""
    binary = os.environ.get("HIVEMEM_BINARY", "hivemem")
    with tempfile.TemporaryDirectory() as data:
        words = [binary, "serve", "--data-dir", data, "--listen", "127.0.0.1:0"]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            if not said.startswith("listening on "):
                raise SystemExit(f"{binary} does not start: run `{' '.join(words)}` to see why")
            yield said.removeprefix("listening on ").strip()
        finally:
            process.terminate()
            process.wait(30)


def resident_mib() -> float:
    """What this process holds, from /proc."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Watch:
    """Sees the events of the large run."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.leaves = 0
        self.taken: list[str] = []

    def __call__(self, event: RunEvent) -> None:
        if event.kind is not EventKind.RUN_NODE:
            return
        if event.node_type == "last":
            self.begun.set()
        if event.node_type == "leaf":
            self.leaves += 1
            if self.leaves == 1 or self.leaves % LOOK_EVERY == 0:
                self.taken.append(f"{self.leaves}: {resident_mib():.1f} MiB")


def node_ms(began: float, nodes: int) -> str:
    return f"{(time.monotonic() - began) * 1e3 / nodes:.2f} ms"


async def measure(address: str) -> None:
    types = (leaf, last, branch, few, large)
    async with AsyncClient(address) as client:
        watch, nodes = Watch(), BRANCHES * (LEAVES + 1) + 2
        observed = Swarm(client, types, settings=LIMITS, observe=watch)
        run = await observed.create("measure", Blueprint("large"))
        Held.up, began = True, time.monotonic()
        working = asyncio.create_task(observed.resume(run))
        await asyncio.wait({working, asyncio.create_task(watch.begun.wait())}, return_when=asyncio.FIRST_COMPLETED)
        line("a node, over the server", node_ms(began, nodes), "at most 2 ms")
        line("memory of this process by executed leaves", ", ".join(watch.taken), "flat")
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)

        Held.up, began = False, time.monotonic()
        swarm = Swarm(client, types, settings=LIMITS)
        end: RunEnd = await swarm.resume(run)
        assert end.nodes == nodes, end
        line(f"resuming {nodes} nodes, to the end", f"{(time.monotonic() - began) * 1e3:.0f} ms", "at most 2000")

        began = time.monotonic()
        ends = await asyncio.gather(*(swarm.run("measure", Blueprint("few")) for _ in range(RUNS)))
        line(f"{RUNS} runs at once, a node", node_ms(began, sum(end.nodes for end in ends)))


if __name__ == "__main__":
    with server() as at:
        asyncio.run(measure(at))
