"""Limits of a run, and its end: nothing goes over them, and what would is an error of its node and not the end of the work."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from fake import Fake
from fold import Kind
from swarms import leaf, leaves, swarm_of

from hivemem import AsyncClient, RunStatus
from hivemem.swarm import Blueprint, Settings, Step, node_type, parallel, plan
from hivemem.swarm.journal import Journal
from hivemem.swarm.settings import Stored
from hivemem.types import EventKind


@pytest.mark.parametrize("by", ["cancel", "timeout"])
async def test_nothing_is_written_after_the_end_whoever_settles_meanwhile(
    fake: Fake, fake_client: AsyncClient, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ending, started = asyncio.Event(), asyncio.Event()
    send = Journal._send

    async def slowly(self: Journal, batch: Any) -> None:
        if any(event.kind is EventKind.END_RUN for event in batch):
            ending.set()
            await asyncio.sleep(0.2)
        await send(self, batch)

    @node_type("ends")
    async def ends(step: Step) -> Any:
        started.set()
        await ending.wait()
        return 1

    @node_type("both")
    async def both(step: Step) -> Any:
        return parallel(Blueprint("ends"), Blueprint("ends"))

    monkeypatch.setattr(Journal, "_send", slowly)
    settings = Settings(lease_ms=1_000, run_timeout_ms=200 if by == "timeout" else 0)
    working = asyncio.create_task(swarm_of(fake_client, ends, both, settings=settings).run("x", Blueprint("both")))
    await asyncio.wait_for(started.wait(), 5)
    (run,) = fake.swarm.runs
    if by == "cancel":
        await fake_client.cancel_run(run)
    end = await asyncio.wait_for(working, 10)
    assert ending.is_set()
    assert end.status is (RunStatus.CANCELLED if by == "cancel" else RunStatus.FAILED)
    assert (await fake_client.get_run(run)).status is end.status
    assert [event.kind for event in fake.swarm.runs[run].fold.events][-1] == 9


async def test_nodes_that_spawn_at_the_same_time_keep_to_the_limit_together(fake: Fake, fake_client: AsyncClient) -> None:
    entered = 0

    @node_type("spawner")
    async def spawner(step: Step) -> Any:
        nonlocal entered
        entered += 1
        while entered < 3:
            await asyncio.sleep(0)
        return parallel(*leaves(1, 2))

    @node_type("root")
    async def root(step: Step) -> Any:
        return parallel(*[Blueprint("spawner")] * 3)

    @root.resume
    async def _(step: Step) -> Any:
        return [child.error or child.output for child in step.children]

    swarm = swarm_of(fake_client, leaf, spawner, root, settings=Settings(nodes_max=6, backoff_ms=1))
    end = await swarm.run("x", Blueprint("root"))
    over = "with its children the run would have more than 6 nodes (nodes_max)"
    assert sorted(end.output, key=str) == [[2, 4], over, over]
    assert end.nodes == len(fake.swarm.runs[end.run].fold.nodes) == 6


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (Blueprint("leaf", {"n": "x"}), "data of leaf: /n: 'x' is not of type 'integer'"),
        (Blueprint("leaf", {}), "data of leaf: 'n' is a required property"),
        (Blueprint("nobody"), "it spawns a 'nobody': there is no node type 'nobody'"),
    ],
)
async def test_children_with_wrong_data_are_an_error_of_the_node_that_would_spawn_them(
    fake: Fake, fake_client: AsyncClient, wrong: Blueprint, says: str
) -> None:
    @node_type("thinks_again")
    async def thinks_again(step: Step) -> Any:
        return plan(*leaves(1), wrong) if step.attempt < step.data else plan(*leaves(1, 2))

    swarm = swarm_of(fake_client, leaf, thinks_again, settings=Settings(attempts_max=2, backoff_ms=1))
    end = await swarm.run("x", Blueprint("thinks_again", 2))
    assert (end.status, end.output, end.nodes) == (RunStatus.SUCCEEDED, [2, 4], 3), "it may spawn others another time"
    assert [event.output for event in fake.swarm.runs[end.run].fold.events if event.kind == Kind.KIND_NODE_ERROR] == [
        json.dumps({"error": says}, separators=(",", ":"))
    ]
    end = await swarm.run("x", Blueprint("thinks_again", 9))
    assert (end.status, end.output, end.nodes) == (RunStatus.FAILED, {"error": says}, 1), "no child is made, right ones neither"


async def test_a_task_that_is_long_has_a_context_of_its_beginning(fake: Fake, fake_client: AsyncClient) -> None:
    @node_type("reads", context=True)
    async def reads(step: Step) -> Any:
        await step.gather_context("x" + step.task)
        return len(step.task)

    end = await swarm_of(fake_client, reads).run("x", Blueprint("reads", {"task": "ä" * 40_000}))
    assert (end.status, end.output) == (RunStatus.SUCCEEDED, 40_000)
    assert [request.task for request in fake.memory.contexts] == ["ä" * 4_096, "x" + "ä" * 4_095]


@pytest.mark.parametrize("text", ["x" * 2_000_000, "half of a pair: \ud800", ""])
async def test_an_error_says_as_much_as_an_event_takes(fake_client: AsyncClient, text: str) -> None:
    @node_type("bad")
    async def bad(step: Step) -> Any:
        raise ValueError(text)

    end = await swarm_of(fake_client, bad).run("x", Blueprint("bad"))
    assert end.status is RunStatus.FAILED
    said = end.output["error"]
    assert said.startswith(("ValueError: xxx", "ValueError: half of a pair: ?", "ValueError: no reason given"))
    assert len(said.encode()) < 9_000


def test_limits_that_the_server_would_refuse_are_refused_before_there_is_a_run() -> None:
    for name, most in (("depth_max", 63), ("nodes_max", 100_000), ("fan_out_max", 700), ("node_bytes_max", 983_040)):
        assert getattr(Settings(**{name: most}), name) == most
        with pytest.raises(ValueError, match=f"{name} is {most + 1}, it can be {most} at most"):
            Settings(**{name: most + 1})
    # One that was made elsewhere goes on under the server's limit, and is not taken for a run without a root.
    held = Stored.from_json('{"root": {"type": "leaf"}, "limits": {"depth_max": 100, "seed": 1}}', Settings())
    assert (held.root, held.limits.depth_max) == (Blueprint("leaf"), 63)
