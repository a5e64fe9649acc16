"""Node types, a model and questions for tests of the runtime."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from hivemem import AsyncClient, RunEvent
from hivemem.swarm import Blueprint, NodeType, Reply, Settings, Step, Swarm, Usage, node_type, parallel, plan

QUICK = Settings(backoff_ms=1, lease_ms=3_000, patience_ms=200)
APPROVED = replace(QUICK, approve=True)


class Scripted:
    """A model that says what it is told to, and remembers what it was asked."""

    def __init__(self, *replies: str) -> None:
        self.replies = list(replies)
        self.asked: list[Sequence[Any]] = []

    async def complete(self, messages: Any, *, schema: Any = None, on_text: Any = None) -> Reply:
        self.asked.append(list(messages))
        text = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if on_text is not None:
            on_text(text)
        return Reply(text, Usage(10, 2))


@node_type("leaf", schema={"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}})
async def leaf(step: Step) -> Any:
    """Doubles a number."""
    return step.data["n"] * 2


def leaves(*numbers: int) -> list[Blueprint]:
    return [Blueprint("leaf", {"n": number}) for number in numbers]


@node_type("fan")
async def fan(step: Step) -> Any:
    return parallel(*leaves(*range(step.data)), keep={"asked": step.data})


@fan.resume
async def _(step: Step) -> Any:
    return {"sum": sum(child.output for child in step.children), **step.keep}


@node_type("steps")
async def steps(step: Step) -> Any:
    return plan(*leaves(*step.data))


def swarm_of(client: AsyncClient, *types: NodeType, settings: Settings = QUICK, **options: Any) -> Swarm:
    return Swarm(client, types or (leaf, fan, steps), settings=settings, **options)


async def history(client: AsyncClient, run: str) -> list[RunEvent]:
    return [event async for event in client.iter_events(run)]


async def first_question(client: AsyncClient) -> Any:
    for _ in range(500):
        async for question in client.iter_questions():
            return question
        await asyncio.sleep(0.01)
    pytest.fail("nobody asks")
