"""People are asked before each node is executed: what they are asked, what counts as a yes, and what a resume knows of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from conftest import needs
from fake import Fake
from fold import Kind
from swarms import APPROVED, QUICK, history, leaf, swarm_of

import hivemem
from hivemem import AsyncClient, Retry, RunStatus
from hivemem.swarm import Blueprint, Settings, Step, Usage, ask, node_type, parallel
from hivemem.swarm.approval import approval_of
from hivemem.swarm.settings import Stored
from hivemem.swarm.tree import Tree
from hivemem.types import EventKind


@pytest.fixture
async def client(any_server: str) -> AsyncIterator[AsyncClient]:
    needs(any_server, lambda made: made.list_runs())
    async with AsyncClient(any_server, namespace=f"approve-{time.time_ns()}", retry=Retry(attempts=2, first_s=0.01)) as made:
        await made.remember("Red is for fire engines.")
        yield made


async def people(client: AsyncClient, run: str, *words: str) -> list[str]:
    """Answers each question, the next word each time; what was asked."""
    asked: list[str] = []
    while len(asked) < len(words):
        async for question in client.iter_questions(run):
            await client.answer_question(run, question.node, words[len(asked)])
            asked.append(question.text)
            break
        await asyncio.sleep(0.01)
    return asked


async def left_asking(client: AsyncClient, run: str, *types: Any) -> None:
    """Works on a run until somebody is asked, and is gone."""
    working = asyncio.create_task(swarm_of(client, *types, settings=APPROVED).resume(run))
    while not (await client.get_run(run)).open_questions:
        assert not working.done()
        await asyncio.sleep(0.01)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)


async def test_people_approve_each_execution_and_a_refusal_fails_the_node_with_their_words(client: AsyncClient) -> None:
    executions = 0

    @node_type("colours")
    async def colours(step: Step) -> Any:
        nonlocal executions
        executions += 1
        if executions == 1:
            raise ValueError("a repeat is not asked for")
        return step.answer or ask("Which?")

    @node_type("fork")
    async def fork(step: Step) -> Any:
        return parallel(Blueprint("colours", {"colour": "red"}))

    swarm = swarm_of(client, colours, fork, settings=APPROVED)
    run = await swarm.create("x", Blueprint("fork"))
    words = ("yes", " Yes", "blue", "ok")
    end, asked = await asyncio.wait_for(asyncio.gather(swarm.resume(run), people(client, run, *words)), 20)
    assert (end.status, end.output) == (RunStatus.SUCCEEDED, "blue")
    assert asked == [
        "May node 0 be executed: fork {}? Say yes, or why not.",
        'May node 0.0 be executed: colours {"colour":"red"}? Say yes, or why not.',
        "Which?",
        "May node 0 be executed: fork {}? Say yes, or why not.",
    ]
    events = [event for event in await history(client, run) if event.node == "0.0"]
    assert [event.kind for event in events[:4]] == [
        EventKind.CREATE_NODE,
        EventKind.RUN_NODE,
        EventKind.QUESTION,
        EventKind.ANSWER,
    ]
    assert json.loads(events[2].data) == {"text": asked[1], "choices": []}
    assert [event.data for event in events if event.kind is EventKind.ANSWER] == ['" Yes"', '"blue"']

    run = await swarm.create("x", Blueprint("fork"))
    end, _ = await asyncio.wait_for(asyncio.gather(swarm.resume(run), people(client, run, "yes", " not in red ", "yes")), 20)
    assert (end.status, end.output) == (RunStatus.FAILED, {"error": "child 0 (colours) failed: not approved: not in red"})
    assert executions == 3, "what is refused is not executed"


async def test_approvals_are_remembered_and_easily_taken_away(client: AsyncClient) -> None:
    @node_type("alone")
    async def alone(step: Step) -> Any:
        assert step.answer is None, "it asked nothing itself"
        return step.attempt

    for approve, said, wanted in (
        (True, "yes", 2),
        (True, "never", {"error": "not approved: never"}),
        # Without approvals nobody has to answer any more, but a refusal that was said counts.
        (False, None, 2),
        (False, "never", {"error": "not approved: never"}),
    ):
        run = await swarm_of(client, alone, settings=APPROVED).create("x", Blueprint("alone"))
        await left_asking(client, run, alone)
        if said is not None:
            await client.answer_question(run, "0", said)
        end = await asyncio.wait_for(swarm_of(client, alone, settings=replace(QUICK, approve=approve)).resume(run), 10)
        assert end.output == wanted, (approve, said)
        assert (await client.get_run(run)).open_questions == 0
        kinds = Counter(event.kind for event in await history(client, run))
        assert (kinds[EventKind.QUESTION], kinds[EventKind.ANSWER]) == (1, 1), "it is not asked again"


async def test_whether_people_approve_is_not_kept_with_the_run(client: AsyncClient) -> None:
    swarm = swarm_of(client, settings=APPROVED)
    run = await swarm.create("x", Blueprint("leaf", {"n": 4}))
    assert "approve" not in json.loads((await client.get_run(run)).settings)["limits"]
    assert (await asyncio.wait_for(swarm_of(client).resume(run), 10)).output == 8, "who resumes it does not want to be asked"
    run = await swarm_of(client).create("x", Blueprint("leaf", {"n": 4}))
    end, asked = await asyncio.wait_for(asyncio.gather(swarm.resume(run), people(client, run, "y")), 20)
    assert (end.output, len(asked)) == (8, 1)
    # Should it ever stand there, it does not count.
    held = Stored.from_json('{"root": {"type": "leaf"}, "limits": {"approve": true, "parallel": 2}}', Settings(approve=True))
    assert (held.limits.approve, held.limits.parallel) == (False, 2)


@pytest.mark.parametrize("answer", ["y", "yes", "ok", "okay", "approve", "approved", " YES\n", "Okay"])
def test_what_counts_as_a_yes(answer: str) -> None:
    tree = Tree()
    tree.plant(Blueprint("leaf", {"n": 1}))
    assert [event.kind for event in tree.ask_approval("0")] == [EventKind.RUN_NODE, EventKind.QUESTION]
    tree.queue.clear()
    assert [event.kind for event in tree.answer("0", answer, tree.nodes["0"].question)] == [EventKind.ANSWER]
    assert (tree.nodes["0"].approved, tree.nodes["0"].answer, list(tree.queue)) == (True, None, ["0"])


@pytest.mark.parametrize("answer", ["", "no", "yes, but not today", "yes!", "x" * 20_000])
def test_what_does_not(answer: str) -> None:
    tree = Tree()
    tree.plant(Blueprint("leaf", {"n": 1}))
    tree.ask_approval("0")
    said = tree.answer("0", answer, tree.nodes["0"].question)
    assert [event.kind for event in said] == [EventKind.ANSWER, EventKind.NODE_ERROR, EventKind.END_RUN]
    assert not said[1].waits
    error = json.loads(said[1].output)["error"]
    assert error == f"not approved: {answer}"[: 8 * 1024]
    assert tree.end is not None
    assert (tree.end.status, tree.end.output) == (RunStatus.FAILED, {"error": error})


def test_who_was_told_how_to_go_on_is_not_asked_for_and_who_spawned_is() -> None:
    tree = Tree()
    tree.plant(Blueprint("leaf"))
    tree.begin("0", None)
    tree.settle("0", ask("Which?"), Usage())
    tree.answer("0", "no", "Which?")
    node = tree.nodes["0"]
    assert (node.approved, node.answer) == (True, "no"), "an answer to the node's own question is no refusal"
    tree.fail("0", "not yet", again=True, usage=Usage())
    assert node.approved
    tree.settle("0", parallel(Blueprint("leaf")), Usage())
    assert not node.approved


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (None, "null"),
        ({"b": 1, "a": ["ä\n", "\u2028"]}, '{"b":1,"a":["ä\\n","\u2028"]}'),
        # As the Rust client writes them.
        ([1e-4, 1e-5, -1.25e-5, 1e-6, 2.5e-9, 1e-10, 1e16, 1.0], "[0.0001,0.00001,-0.0000125,1e-6,2.5e-9,1e-10,1e+16,1.0]"),
        ([1e-05, "1e-05 \\", "1e-06"], '[0.00001,"1e-05 \\\\","1e-06"]'),
        ("x" * 1_998, '"' + "x" * 1_998 + '"'),
        ("x" * 1_999, '"' + "x" * 1_999 + " …"),
        ("ä" * 1_999, '"' + "ä" * 999 + " …"),
    ],
)
def test_what_people_are_shown_of_a_node(data: Any, shown: str) -> None:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    assert approval_of("0.1", "leaf", text) == f"May node 0.1 be executed: leaf {shown}? Say yes, or why not."


async def test_an_approval_is_known_whatever_order_its_data_is_in(fake: Fake, fake_client: AsyncClient) -> None:
    executed = 0

    @node_type("alone")
    async def alone(step: Step) -> Any:
        nonlocal executed
        executed += 1

    run = await swarm_of(fake_client, alone).create("x", Blueprint("alone", {"b": 1, "a": 2}))
    await left_asking(fake_client, run, alone)
    with fake.swarm.changed:
        asked = fake.swarm.runs[run].fold.questions["0"]
        asked.data = asked.data.replace(r"{\"b\":1,\"a\":2}", r"{\"a\":2,\"b\":1}")
    await fake_client.answer_question(run, "0", "no")
    end = await asyncio.wait_for(swarm_of(fake_client, alone).resume(run), 10)
    assert (end.output, executed) == ({"error": "not approved: no"}, 0)


async def test_a_run_with_approvals_that_is_killed_at_every_step_asks_for_nothing_twice(fake: Fake) -> None:
    executed = Counter[str]()

    @node_type("two")
    async def two(step: Step) -> Any:
        executed[step.path] += 1
        return parallel(Blueprint("leaf", {"n": 1}), Blueprint("leaf", {"n": 2}))

    async def finished(kill_after: int | None) -> tuple[str, Any, int]:
        """Resumes until the end; the server is gone after so many appends of the first attempt."""
        settings = replace(APPROVED, patience_ms=0, memory=False)
        async with AsyncClient(fake.address, retry=Retry(attempts=1)) as client:
            swarm = swarm_of(client, two, leaf, settings=settings)
            run = await swarm.create("two", Blueprint("two"))
            answers = asyncio.create_task(people(client, run, "yes", "yes", "yes", "yes"))
            fake.swarm.fail_after = None if kill_after is None else fake.swarm.appends + kill_after
            kills = 0
            while True:
                try:
                    end = await asyncio.wait_for(swarm.resume(run), 10)
                    break
                except hivemem.Unavailable:
                    kills += 1
                    fake.swarm.fail_after = None
            assert len(await asyncio.wait_for(answers, 10)) == 4
            return run, end.output, kills

    killed_after = 0
    while True:
        executed.clear()
        run, output, kills = await finished(killed_after)
        kinds = Counter(event.kind for event in fake.swarm.runs[run].fold.events)
        # The root before its children and after them, and each child. What was approved and then killed is not asked for again.
        assert (output, kinds[Kind.KIND_QUESTION], kinds[Kind.KIND_ANSWER]) == ([2, 4], 4, 4), killed_after
        assert executed["0"] <= 2
        if kills == 0:
            break
        killed_after += 1
    assert killed_after > 8
