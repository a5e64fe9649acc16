"""A process that works on a run, to be killed: ADDRESS NAMESPACE RUN LOG. Writes into LOG which nodes it finished."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import hivemem
from hivemem.swarm import Blueprint, LeaseLost, Settings, Step, Swarm, node_type, parallel, plan

SETTINGS = Settings(lease_ms=1_000, parallel=3, memory=False)
LOG = os.open(sys.argv[4], os.O_WRONLY | os.O_APPEND | os.O_CREAT) if len(sys.argv) > 4 else -1


def log(word: str, path: str) -> None:
    os.write(LOG, f"{word} {path}\n".encode())


@node_type("work")
async def work(step: Step) -> Any:
    async def carry_out(key: str) -> Any:
        log("effect", step.path)
        return key

    await asyncio.sleep(0.03)
    await step.effect("send", carry_out)
    await asyncio.sleep(0.03)
    log("done", step.path)
    return step.data


@node_type("group")
async def group(step: Step) -> Any:
    return parallel(*(Blueprint("work", step.data + number) for number in range(9)))


@group.resume
async def _(step: Step) -> Any:
    return sum(child.output for child in step.children)


@node_type("manager")
async def manager(step: Step) -> Any:
    return plan(*(Blueprint("group", 100 * number) for number in range(3)))


async def main(address: str, namespace: str, run: str) -> None:
    async with hivemem.AsyncClient(address, namespace=namespace) as client:
        swarm = Swarm(client, [work, group, manager], settings=SETTINGS)
        while True:
            try:
                await swarm.resume(run)
                return
            except LeaseLost:
                # Of the process that was killed: it runs out.
                await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
