"""A process in which a swarm works on a run with the built-in types, to be killed: ADDRESS NAMESPACE RUN MODEL FOLDER."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from scripted import allowed

import hivemem
from hivemem.swarm import OpenAi, Swarm, builtin


async def main(address: str, namespace: str, run: str, model: str, folder: str) -> None:
    async with hivemem.AsyncClient(address, namespace=namespace) as client, OpenAi(model, "scripted") as asked:
        await Swarm(client, builtin.TYPES, model=asked, settings=allowed(Path(folder))).resume(run)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:6]))
