"""Node types that are scripts, and what is left of their processes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from swarms import QUICK, swarm_of

from hivemem import AsyncClient
from hivemem.swarm import NodeType, RunEnd, ScriptSettings, Settings, Swarm, node_scripts
from hivemem.swarm.node import Blueprint
from hivemem.swarm.sandbox import Sandbox


def allowed(folder: Path, **scripts: Any) -> Settings:
    """Settings under which scripts run, in a folder of the test."""
    return replace(QUICK, attempts_max=1, work_dir=folder, scripts=ScriptSettings(enabled=True, **scripts))


def kind_of(code: str, language: str = "sh", **fields: Any) -> NodeType:
    (kind,) = node_scripts(json.dumps({"scripted": {"language": language, "script": code, **fields}}))
    return kind


async def run_script(client: AsyncClient, settings: Settings, code: str, language: str = "sh", **fields: Any) -> RunEnd:
    swarm: Swarm = swarm_of(client, kind_of(code, language, **fields), settings=settings)
    return await asyncio.wait_for(swarm.run("a test", Blueprint("scripted", {"word": "lantern"})), 60)


def found(there: Sandbox) -> Callable[[str], Awaitable[Sandbox]]:
    """What finds that the kernel lends this."""

    async def probe(_: str) -> Sandbox:
        return there

    return probe


def sleeping(mark: str) -> int:
    """Processes that sleep for `mark` seconds."""
    wanted, found = f"sleep\0{mark}\0".encode(), 0
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += line.read_bytes() == wanted
        except OSError:
            # It has ended meanwhile.
            continue
    return found


async def until(true: Callable[[], Any], says: str) -> None:
    """Waits for it, 10 s at most."""
    end = time.monotonic() + 10
    while not true():
        if time.monotonic() > end:
            pytest.fail(says)
        await asyncio.sleep(0.02)
