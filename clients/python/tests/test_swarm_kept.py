"""What a resume finds again, and what it leaves alone: receipts, contexts, failures, answers, runs of other programs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fake import Fake
from swarms import QUICK, Scripted, history, swarm_of

from hivemem import AsyncClient, RunStatus
from hivemem.swarm import Ask, Blueprint, NodeType, Settings, Step, Swarm, Usage, ask, node_type, parallel
from hivemem.swarm.step import stable_key
from hivemem.swarm.tree import Tree
from hivemem.types import EventKind


async def until(true: Callable[[], Any]) -> None:
    """Waits for it, 10 s at most."""
    for _ in range(1_000):
        if true():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it does not come to that")


async def killed(swarm: Swarm, run: str, when: Callable[[], Any]) -> None:
    """Works on a run and is gone in the middle."""
    working = asyncio.create_task(swarm.resume(run))
    await until(lambda: working.done() or when())
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)


async def test_effects_of_called_functions_have_receipts_of_their_own_and_keep_them(fake: Fake, fake_client: AsyncClient) -> None:
    sent: list[tuple[str, str]] = []
    stop = asyncio.Event()

    async def send(step: Step) -> Any:
        async def carry_out(key: str) -> Any:
            sent.append((f"{step.type} {step.data['to']}", key))
            return step.data["to"]

        return await step.effect("send", carry_out)

    @node_type("relay")
    async def relay(step: Step) -> Any:
        return await step.exec_function("mail", step.data)

    @node_type("caller")
    async def caller(step: Step) -> Any:
        found = [await step.exec_function("mail", {"to": to, "of": "x"}) for to in ("a", "b")]
        found += [await step.exec_function(name, {"to": "a", "of": "x"}) for name in ("wire", "relay")]
        # A second time it is done already, in whatever order its arguments are.
        found += [await step.exec_function("mail", {"of": "x", "to": "b"}), await send(step)]
        if not stop.is_set():
            stop.set()
            await asyncio.sleep(60)
        return found

    swarm = swarm_of(fake_client, NodeType("mail", send), NodeType("wire", send), relay, caller)
    run = await swarm.create("x", Blueprint("caller", {"to": "me"}))
    await killed(swarm, run, stop.is_set)
    keys = [key for _, key in fake.swarm.runs[run].fold.receipts]
    assert "send" in keys, "that of the node itself is named as it says"
    # As the Rust client names it, so that either finds it again.
    called = stable_key('mail {"of":"x","to":"b"}')
    assert f"mail {called} send" in keys
    assert len(keys) == 5
    end = await swarm.resume(run)
    assert end.output == ["a", "b", "a", "a", "b", "me"]
    assert [name for name, _ in sent] == ["mail a", "mail b", "wire a", "mail a", "caller me"]
    assert len({key for _, key in sent}) == 5


async def test_what_can_not_be_a_receipt_fails_its_node_alone(fake_client: AsyncClient) -> None:
    carried_out = 0

    @node_type("effects")
    async def effects(step: Step) -> Any:
        async def carry_out(key: str) -> Any:
            nonlocal carried_out
            carried_out += 1
            return "x" * step.data[1]

        return await step.effect(step.data[0], carry_out)

    for data, says, times in (
        (["send", 1_000_000], "the receipt of send has 1000002 bytes", 1),
        (["x" * 257, 1], "can't name an effect: give it 1 to 256 bytes", 0),
        (["a\nb", 1], "can't name an effect", 0),
    ):
        carried_out = 0
        end = await swarm_of(fake_client, effects).run("x", Blueprint("effects", data))
        assert end.status is RunStatus.FAILED
        assert says in end.output["error"]
        assert carried_out == times


async def test_a_run_with_nodes_of_other_programs_is_left_as_it_is(fake: Fake, fake_client: AsyncClient) -> None:
    started = asyncio.Event()

    @node_type("manager")
    async def manager(step: Step) -> Any:
        return parallel(Blueprint("slow"), Blueprint("other"))

    @node_type("slow")
    async def slow(step: Step) -> Any:
        if not started.is_set():
            started.set()
            await asyncio.sleep(60)
        return 1

    everything = swarm_of(fake_client, manager, slow, NodeType("other", slow.execute))
    run = await everything.create("x", Blueprint("manager"))
    with pytest.raises(ValueError, match=r"here: manager \(there is no node type 'manager'\)\. It was left as"):
        await swarm_of(fake_client, slow).resume(run)
    assert fake.swarm.runs[run].fold.events == []
    await killed(everything, run, lambda: started.is_set() and len(fake.swarm.runs[run].fold.events) > 6)
    before = list(fake.swarm.runs[run].fold.events)
    with pytest.raises(ValueError, match=r"can't be executed here: slow \("):
        await swarm_of(fake_client, manager, NodeType("other", slow.execute)).resume(run)
    assert fake.swarm.runs[run].fold.events == before
    assert not fake.swarm.runs[run].message().holder, "the lease is given up"
    assert (await everything.resume(run)).output == [1, 1]
    with pytest.raises(ValueError, match="no node type 'manager'"):
        await swarm_of(fake_client, slow).run("x", Blueprint("manager"))
    assert len(fake.swarm.runs) == 1, "no run is made that can't begin"


async def test_an_answer_stays_when_children_were_spawned_whether_the_process_is_killed_or_not(fake_client: AsyncClient) -> None:
    heard: list[str | None] = []

    @node_type("asker")
    async def asker(step: Step) -> Any:
        return ask("Which way?") if step.answer is None else parallel(Blueprint("leaf"))

    @asker.resume
    async def _(step: Step) -> Any:
        heard.append(step.answer)
        if len(heard) == 1:
            await asyncio.sleep(60)
        return step.answer

    @node_type("leaf")
    async def leaf(step: Step) -> Any:
        return None

    swarm = swarm_of(fake_client, asker, leaf)
    run = await swarm.create("x", Blueprint("asker"))
    working = asyncio.create_task(swarm.resume(run))
    while not (await fake_client.list_questions(run)).questions:
        await asyncio.sleep(0.01)
    await fake_client.answer_question(run, "0", "left")
    await until(lambda: heard)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    assert (await swarm.resume(run)).output == "left"
    assert heard == ["left", "left"]


@pytest.mark.parametrize("compacted", [False, True])
async def test_contexts_of_the_nodes_above_outlive_a_kill(fake: Fake, fake_client: AsyncClient, compacted: bool) -> None:
    started = asyncio.Event()

    @node_type("thinker", context=True)
    async def thinker(step: Step) -> Any:
        return parallel(Blueprint("writer", {"task": "lease renewal words"}))

    @node_type("writer", context=True)
    async def writer(step: Step) -> Any:
        if not started.is_set():
            started.set()
            await asyncio.sleep(60)
        return await step.ask_text("You write.", step.task)

    model = Scripted("an answer")
    run = await swarm_of(fake_client, thinker, writer).create("x", Blueprint("thinker", {"task": "lease renewal docs"}))
    await killed(swarm_of(fake_client, thinker, writer), run, started.is_set)
    if compacted:
        await fake_client.compact_run(run)
    end = await swarm_of(fake_client, thinker, writer, model=model).resume(run)
    assert end.output == "an answer"
    above, below, again = fake.memory.contexts
    assert (above.node, below.node, again.node) == ("0", "0.0", "0.0")
    prompt = model.asked[0][-1]["content"]
    assert list(below.held) == ["doc:lease@0#L1-1", "doc:renewal@0#L1-1", "doc:docs@0#L1-1"]
    assert list(again.held) == list(below.held)
    assert prompt.startswith("<context>\n# doc:lease@0#L1-1\n# doc:renewal@0#L1-1\n# doc:docs@0#L1-1\n</context>")
    assert prompt.count("doc:lease") == 1


async def test_a_kill_is_no_failure_and_a_failure_is_not_forgotten(fake_client: AsyncClient) -> None:
    executions = 0
    settings = Settings(attempts_max=2, backoff_ms=1, lease_ms=3_000)

    @node_type("flaky")
    async def flaky(step: Step) -> Any:
        nonlocal executions
        executions += 1
        if executions in step.data["hangs"]:
            await asyncio.sleep(60)
        if executions in step.data["fails"]:
            raise ValueError("not yet")
        return executions

    async def outcome(killed_in: tuple[int, ...], fails: tuple[int, ...]) -> Any:
        nonlocal executions
        executions = 0
        swarm = swarm_of(fake_client, flaky, settings=settings)
        run = await swarm.create("x", Blueprint("flaky", {"hangs": killed_in, "fails": fails}))
        for kill in killed_in:
            await killed(swarm, run, lambda number=kill: executions == number)
        return (await swarm.resume(run)).output

    assert await outcome((1, 2, 3), (4,)) == 5
    assert await outcome((2,), (1, 3)) == {"error": "ValueError: not yet"}
    assert await outcome((2,), (1,)) == 3


async def test_an_answer_to_an_earlier_question_is_none_to_the_next() -> None:
    tree = Tree()
    tree.plant(Blueprint("asker"))
    first, second = Ask("Which one?", ("a", "b")), Ask("Really?")

    def asks(question: Ask) -> None:
        tree.begin("0", None)
        tree.settle("0", question, Usage())

    def answers(question: Ask, answer: str, asked_at: int) -> list[EventKind]:
        return [event.kind for event in tree.answer("0", answer, question.text, (asked_at, asked_at + 1))]

    asks(first)
    assert answers(first, "a", 1) == [EventKind.ANSWER]
    asks(second)
    assert answers(first, "a", 1) == []
    assert answers(second, "yes", 3) == [EventKind.ANSWER]
    asks(second)
    assert answers(second, "yes", 3) == [], "asked again in the same words"
    assert tree.nodes["0"].asking
    assert answers(second, "no", 5) == [EventKind.ANSWER]
    assert tree.nodes["0"].answer == "no"


async def test_an_answer_that_comes_late_does_not_answer_the_next_question(fake: Fake, fake_client: AsyncClient) -> None:
    @node_type("asker")
    async def asker(step: Step) -> Any:
        if step.answer == "red":
            return ask("How bright?")
        return f"{step.answer}" if step.answer else ask("Which colour?")

    swarm = swarm_of(fake_client, asker, settings=QUICK)
    run = await swarm.create("x", Blueprint("asker"))
    working = asyncio.create_task(swarm.resume(run))
    for text, answer in (("Which colour?", "red"), ("How bright?", "very")):
        while [asked.text for asked in (await fake_client.list_questions(run)).questions] != [text]:
            await asyncio.sleep(0.01)
        if answer == "very":
            with fake.swarm.changed:
                # As a watch that broke off tells it again.
                fake.swarm.runs[run].changes.append(fake.swarm.runs[run].changes[told(fake, run)])
                fake.swarm.changed.notify_all()
            await asyncio.sleep(0.3)
        await fake_client.answer_question(run, "0", answer)
    assert (await asyncio.wait_for(working, 10)).output == "very"
    assert [event.data for event in await history(fake_client, run) if event.kind is EventKind.ANSWER] == ['"red"', '"very"']


def told(fake: Fake, run: str) -> int:
    """Where the first answer is among what watchers were told."""
    return next(at for at, change in enumerate(fake.swarm.runs[run].changes) if change.HasField("answered"))
