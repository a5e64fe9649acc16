"""The runtime of swarms, against the strict fake and, where it has the service, the real server."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from conftest import needs
from fake import Fake
from swarms import Scripted, fan, first_question, history, leaf, leaves, swarm_of

import hivemem
from hivemem import AsyncClient, Retry, RunEvent, RunStatus
from hivemem.swarm import (
    Blueprint,
    LeaseLost,
    NodeError,
    NodeFailed,
    NodeType,
    Settings,
    Spawn,
    Step,
    ask,
    node_type,
    parallel,
    plan,
)
from hivemem.types import EventKind


@pytest.fixture
async def client(any_server: str) -> AsyncIterator[AsyncClient]:
    needs(any_server, lambda made: made.list_runs())
    async with AsyncClient(any_server, namespace=f"swarm-{time.time_ns()}", retry=Retry(attempts=2, first_s=0.01)) as made:
        await made.remember("The lease is renewed at a third of its length.")
        yield made


async def test_children_run_side_by_side_and_their_parent_resumes(client: AsyncClient) -> None:
    seen: list[RunEvent] = []
    end = await swarm_of(client, observe=seen.append).run("double", Blueprint("fan", 5))
    assert (end.status, end.output, end.nodes) == (RunStatus.SUCCEEDED, {"sum": 20, "asked": 5}, 6)
    events = await history(client, end.run)
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert [(event.sequence, event.kind) for event in seen] == [(event.sequence, event.kind) for event in events]
    assert Counter(event.kind for event in events) == {
        EventKind.CREATE_NODE: 6,
        EventKind.RUN_NODE: 7,
        EventKind.NODE_OUTPUT: 7,
        EventKind.DELETE_NODE: 6,
        EventKind.END_RUN: 1,
    }
    run = await client.get_run(end.run)
    assert (run.status, run.nodes_finished, run.holder) == (RunStatus.SUCCEEDED, 6, "")
    again = await swarm_of(client).resume(end.run)
    assert (again.status, again.output) == (end.status, end.output), "a run that has ended is not touched"


async def test_steps_of_a_plan_run_one_after_the_other(client: AsyncClient) -> None:
    running = 0
    order = []

    @node_type("slow")
    async def slow(step: Step) -> Any:
        nonlocal running
        running += 1
        assert running == 1
        await asyncio.sleep(0.01)
        running -= 1
        order.append(step.path)
        return step.data

    @node_type("manager")
    async def manager(step: Step) -> Any:
        return plan(Blueprint("slow", "a"), Blueprint("slow", "b"), Blueprint("slow", "c"))

    end = await swarm_of(client, slow, manager).run("in order", Blueprint("manager"))
    assert end.output == ["a", "b", "c"], "without a resume a node comes to what its children came to"
    assert order == ["0.0", "0.1", "0.2"]


async def test_a_step_that_fails_ends_the_plan_and_its_manager_decides(client: AsyncClient) -> None:
    @node_type("bad")
    async def bad(step: Step) -> Any:
        raise NodeFailed("can't be done")

    @node_type("manager")
    async def manager(step: Step) -> Any:
        return plan(*leaves(1), Blueprint("bad"), *leaves(2))

    end = await swarm_of(client, leaf, bad, manager).run("x", Blueprint("manager"))
    assert end.status is RunStatus.FAILED
    assert end.output == {"error": "child 1 (bad) failed: can't be done"}
    assert end.nodes == 3

    @manager.resume
    async def _(step: Step) -> Any:
        return [child.error or child.output for child in step.children]

    end = await swarm_of(client, leaf, bad, manager).run("x", Blueprint("manager"))
    assert end.output == [2, "can't be done"]


async def test_a_failed_execution_is_tried_again_and_gives_up_in_time(client: AsyncClient) -> None:
    tries = Counter[str]()

    @node_type("flaky")
    async def flaky(step: Step) -> Any:
        tries[step.path] += 1
        assert step.attempt == tries[step.path]
        if tries[step.path] < step.data:
            raise ValueError("not yet")
        return "done"

    @node_type("late")
    async def late(step: Step) -> Any:
        await asyncio.sleep(5)

    @node_type("cancels")
    async def cancels(step: Step) -> Any:
        raise asyncio.CancelledError

    both = swarm_of(client, flaky, late, cancels, settings=Settings(backoff_ms=1, attempts_max=3, node_timeout_ms=50))
    assert (await both.run("x", Blueprint("flaky", 3))).output == "done"
    tries.clear()
    end = await both.run("x", Blueprint("flaky", 9))
    assert (end.status, end.output, tries["0"]) == (RunStatus.FAILED, {"error": "ValueError: not yet"}, 3)
    errors = [event for event in await history(client, end.run) if event.kind is EventKind.NODE_ERROR]
    assert [(event.attempt, event.waits) for event in errors] == [(1, True), (2, True), (3, False)]
    end = await both.run("x", Blueprint("late"))
    assert "longer than 50 ms" in end.output["error"]
    end = await asyncio.wait_for(both.run("x", Blueprint("cancels")), 5)
    assert "was cancelled" in end.output["error"]


@pytest.mark.parametrize(
    ("blueprint", "says"),
    [
        (Blueprint("stray"), "a 'nobody': there is no node type"),
        (Blueprint("leaf", {"n": "x"}), "n: 'x' is not of type 'integer'"),
        (Blueprint("returns"), "no JSON value"),
        (Blueprint("fan", 65), "the limit is 64"),
        (Blueprint("fan", 60), "more than 50 nodes"),
        (Blueprint("large"), "the limit is"),
        (Blueprint("deeper"), "deeper than 3"),
        (Blueprint("nothing"), "spawns nothing"),
        (Blueprint("mute"), "asks nothing"),
        (Blueprint("asks", ["x", 300_000]), "what it asks has 300002 bytes"),
        (Blueprint("asks", ["x", 100_000, *"abcdefgh"]), "what it asks has 900018 bytes"),
        (Blueprint("asks", ["x", 1, None]), "no text"),
    ],
)
async def test_what_can_not_be_is_an_error_of_its_node(fake_client: AsyncClient, blueprint: Blueprint, says: str) -> None:
    @node_type("returns")
    async def returns(step: Step) -> Any:
        return {1, 2}

    @node_type("large")
    async def large(step: Step) -> Any:
        return "x" * 300_000

    @node_type("deeper")
    async def deeper(step: Step) -> Any:
        return parallel(Blueprint("deeper"))

    @node_type("nothing")
    async def nothing(step: Step) -> Any:
        return Spawn()

    @node_type("mute")
    async def mute(step: Step) -> Any:
        return ask(" ")

    @node_type("stray")
    async def stray(step: Step) -> Any:
        return parallel(Blueprint("nobody"))

    @node_type("asks")
    async def asks(step: Step) -> Any:
        letter, times, *choices = step.data
        return ask(letter * times, [choice and choice * times for choice in choices])

    types = (leaf, fan, returns, large, deeper, nothing, mute, stray, asks)
    swarm = swarm_of(fake_client, *types, settings=Settings(nodes_max=50, depth_max=3, backoff_ms=1))
    end = await swarm.run("x", blueprint)
    assert end.status is RunStatus.FAILED
    assert says in end.output["error"]


async def test_a_node_asks_and_goes_on_with_the_answer(client: AsyncClient) -> None:
    @node_type("asker")
    async def asker(step: Step) -> Any:
        if step.answer is None:
            return ask("Red or blue?", ["red", "blue"])
        return f"{step.answer} it is"

    running = asyncio.create_task(swarm_of(client, asker).run("colour", Blueprint("asker")))
    question = await first_question(client)
    assert (question.node, question.text, question.choices) == ("0", "Red or blue?", ("red", "blue"))
    with pytest.raises(hivemem.InvalidArgument):
        await client.answer_question(question.run, "0", "green")
    with pytest.raises(hivemem.HivememError):
        await client.answer_question(question.run, "0.7", "blue")
    await client.answer_question(question.run, "0", "blue")
    await client.answer_question(question.run, "0", "blue")
    end = await asyncio.wait_for(running, 10)
    assert end.output == "blue it is"
    assert [event.kind for event in await history(client, end.run)].count(EventKind.ANSWER) == 1


async def test_an_answer_that_came_while_nobody_worked_on_the_run_is_taken_up(client: AsyncClient) -> None:
    asked = 0

    @node_type("asker")
    async def asker(step: Step) -> Any:
        nonlocal asked
        asked += 1
        return step.answer or ask("What now?")

    swarm = swarm_of(client, asker)
    running = asyncio.create_task(swarm.run("x", Blueprint("asker")))
    question = await first_question(client)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await client.answer_question(question.run, question.node, "carry on")
    end = await asyncio.wait_for(swarm.resume(question.run), 10)
    assert (end.output, asked) == ("carry on", 2)


async def test_contexts_go_before_the_model_and_leave_out_what_stands_there_already(fake: Fake) -> None:
    model = Scripted("a plan", "an answer")
    heard: list[tuple[str, str]] = []

    @node_type("thinker", context=True)
    async def thinker(step: Step) -> Any:
        await step.ask_text("You plan.", step.task)
        return parallel(Blueprint("writer", {"task": "lease renewal words"}))

    @node_type("writer", context=True)
    async def writer(step: Step) -> Any:
        return await step.ask_text("You write.", step.task)

    async with AsyncClient(fake.address) as client:
        swarm = swarm_of(client, thinker, writer, model=model, on_text=lambda *said: heard.append(said))
        end = await swarm.run("x", Blueprint("thinker", {"task": "lease renewal docs"}))
        events = await history(client, end.run)
        run = await client.get_run(end.run)
    above, below = fake.memory.contexts
    assert (above.task, above.node, list(above.held)) == ("lease renewal docs", "0", [])
    assert (below.run, below.node) == (end.run, "0.0")
    assert list(below.held) == ["doc:lease@0#L1-1", "doc:renewal@0#L1-1", "doc:docs@0#L1-1"]
    first, second = (asked[-1]["content"] for asked in model.asked)
    assert first.startswith("<context>\n# doc:lease")
    assert second.startswith("<context>\n# doc:lease"), "what the parent held stands first"
    assert second.count("doc:lease") == 1
    assert "# doc:words@0#L1-1" in second
    begun = [event.data for event in events if event.kind is EventKind.RUN_NODE]
    assert begun[1] == '{"text":"# doc:words@0#L1-1","citations":["doc:words@0#L1-1"],"tokens":4,"held":3}'
    assert (end.usage.prompt_tokens, run.prompt_tokens, run.completion_tokens) == (20, 20, 4)
    assert heard == [("0", "a plan"), ("0.0", "an answer")]
    remembered = {request.node: request for request in fake.memory.remembered}
    assert (remembered["0.0"].text, remembered["0.0"].kind, remembered["0.0"].run) == ("an answer", "output", end.run)


async def test_tokens_of_a_run_have_a_limit(fake_client: AsyncClient) -> None:
    @node_type("talker")
    async def talker(step: Step) -> Any:
        await step.ask_text("Talk.", "a")
        return await step.ask_text("Talk.", "b")

    swarm = swarm_of(fake_client, talker, model=Scripted("words"), settings=Settings(tokens_max=12, backoff_ms=1))
    end = await swarm.run("x", Blueprint("talker"))
    assert "used its 12 tokens" in end.output["error"]
    assert end.usage.total == 12
    end = await swarm_of(fake_client, talker).run("x", Blueprint("talker"))
    assert "has none" in end.output["error"]


async def test_functions_are_called_by_name_with_arguments_that_are_checked(fake_client: AsyncClient) -> None:
    @node_type("caller")
    async def caller(step: Step) -> Any:
        found: list[Any] = [await step.exec_function("leaf", {"n": 4})]
        for name, arguments in (("leaf", {}), ("nobody", None), ("fan", 2)):
            with pytest.raises(NodeError) as refused:
                await step.exec_function(name, arguments)
            assert refused.value.retry == (name != "fan")
            found.append(str(refused.value))
        return found

    end = await swarm_of(fake_client, leaf, fan, caller).run("x", Blueprint("caller"))
    assert end.output[0] == 8
    assert "'n' is a required property" in end.output[1]
    assert "nobody" in end.output[2]
    assert "spawn it" in end.output[3]


async def test_a_function_has_the_context_of_its_node_and_keeps_its_own(fake: Fake, fake_client: AsyncClient) -> None:
    @node_type("looks_up")
    async def looks_up(step: Step) -> Any:
        await step.gather_context("lease renewal")
        return list(step.citations)

    @node_type("caller", context=True)
    async def caller(step: Step) -> Any:
        return [await step.exec_function("looks_up", {}), list(step.citations)]

    end = await swarm_of(fake_client, looks_up, caller).run("x", Blueprint("caller", {"task": "docs"}))
    assert end.output == [["doc:docs@0#L1-1", "doc:lease@0#L1-1", "doc:renewal@0#L1-1"], ["doc:docs@0#L1-1"]]


async def test_a_run_is_cancelled_from_outside_and_ends_in_time(client: AsyncClient) -> None:
    started = asyncio.Event()

    @node_type("endless")
    async def endless(step: Step) -> Any:
        started.set()
        await asyncio.sleep(60)

    swarm = swarm_of(client, endless, settings=Settings(lease_ms=1_000))
    running = asyncio.create_task(swarm.run("x", Blueprint("endless")))
    await asyncio.wait_for(started.wait(), 5)
    run = (await client.list_runs(statuses=[RunStatus.OPEN])).runs[0]
    assert run.holder
    with pytest.raises(LeaseLost, match=run.holder.split(":")[0]):
        await swarm_of(client, endless).resume(run.id)
    await client.cancel_run(run.id)
    assert (await asyncio.wait_for(running, 5)).status is RunStatus.CANCELLED
    timed = swarm_of(client, endless, settings=Settings(run_timeout_ms=100))
    end = await timed.run("x", Blueprint("endless"))
    assert (end.status, end.output) == (RunStatus.FAILED, {"error": "the run took longer than 100 ms"})


async def test_of_two_that_hold_a_run_the_newer_one_wins(fake: Fake, fake_client: AsyncClient) -> None:
    gate = asyncio.Event()
    executions = 0

    @node_type("waits")
    async def waits(step: Step) -> Any:
        nonlocal executions
        executions += 1
        if executions == 1:
            await gate.wait()
        return "done"

    swarm = swarm_of(fake_client, waits)
    run = await swarm.create("x", Blueprint("waits"))
    first = asyncio.create_task(swarm.resume(run))
    while executions == 0:
        await asyncio.sleep(0.01)
    fake.swarm.runs[run].until = 0.0
    assert (await swarm_of(fake_client, waits, holder="another").resume(run)).output == "done"
    gate.set()
    with pytest.raises(LeaseLost):
        await asyncio.wait_for(first, 10)


async def test_a_reply_that_is_lost_and_a_server_that_comes_back_change_nothing(fake: Fake, fake_client: AsyncClient) -> None:
    fake.swarm.lose_reply_after = 3
    end = await swarm_of(fake_client).run("x", Blueprint("fan", 3))
    assert end.output == {"sum": 6, "asked": 3}
    fake.swarm.fail_after = fake.swarm.appends + 2
    loop = asyncio.get_running_loop()
    loop.call_later(0.1, setattr, fake.swarm, "fail_after", None)
    end = await swarm_of(fake_client, settings=Settings(patience_ms=5_000)).run("x", Blueprint("fan", 3))
    assert end.output == {"sum": 6, "asked": 3}


def tree_of_thirty(done: Counter[str], effects: Counter[str]) -> list[NodeType]:
    """A manager with a plan of three fans of nine leaves; each leaf has an effect that may happen once."""

    @node_type("work")
    async def work(step: Step) -> Any:
        async def carry_out(key: str) -> Any:
            effects[step.path] += 1
            return key

        await step.effect("send", carry_out)
        done[step.path] += 1
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

    return [work, group, manager]


async def test_a_run_that_is_killed_at_every_step_comes_to_the_same(fake: Fake) -> None:
    async def finished(kill_after: int | None) -> tuple[Any, int]:
        """Resumes until the end; the server is gone after so many appends of each attempt."""
        done, effects = Counter[str](), Counter[str]()
        types = tree_of_thirty(done, effects)
        settings = Settings(patience_ms=0, backoff_ms=1, parallel=4, memory=False)
        async with AsyncClient(fake.address, retry=Retry(attempts=1)) as client:
            swarm = swarm_of(client, *types, settings=settings)
            run = await swarm.create("thirty", Blueprint("manager"))
            kills = 0
            while True:
                fake.swarm.fail_after = None if kill_after is None or kills else fake.swarm.appends + kill_after
                try:
                    end = await swarm.resume(run)
                    break
                except hivemem.Unavailable:
                    kills += 1
        finished_paths = {
            event.node for event in fake.swarm.runs[run].fold.events if event.kind == 5 and event.node.count(".") == 2
        }
        assert len(finished_paths) == 27
        # What was in flight may run twice; what was written down as done may not. A receipt that was written holds.
        assert max(done.values()) <= 2
        assert sum(done.values()) <= 27 + 4
        assert sum(effects.values()) <= 27 + 4
        return end.output, kills

    expected, _ = await finished(None)
    assert expected == [36, 936, 1836]
    appends = 0
    while True:
        outcome, kills = await finished(appends)
        assert outcome == expected
        if kills == 0:
            break
        appends += 1
    assert appends > 20


async def test_nothing_that_is_done_runs_twice_and_a_receipt_outlives_a_kill(fake: Fake, fake_client: AsyncClient) -> None:
    sent = 0
    runs = Counter[str]()

    async def send(key: str) -> Any:
        nonlocal sent
        sent += 1
        return {"key": key}

    @node_type("one")
    async def one(step: Step) -> Any:
        runs[step.path] += 1
        return 1

    @node_type("two")
    async def two(step: Step) -> Any:
        runs[step.path] += 1
        receipt = await step.effect("mail", send)
        if runs[step.path] == 1:
            await asyncio.sleep(60)
        return receipt

    @node_type("manager")
    async def manager(step: Step) -> Any:
        return plan(Blueprint("one"), Blueprint("two"))

    swarm = swarm_of(fake_client, one, two, manager)
    run = await swarm.create("x", Blueprint("manager"))
    working = asyncio.create_task(swarm.resume(run))
    while sent == 0 or not fake.swarm.runs[run].fold.receipts:
        await asyncio.sleep(0.01)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    end = await swarm.resume(run)
    assert end.status is RunStatus.SUCCEEDED
    assert (runs["0.0"], runs["0.1"], sent) == (1, 2, 1)


async def test_a_hundred_nodes_cost_little_beyond_the_server(fake_client: AsyncClient) -> None:
    started = time.monotonic()
    settings = Settings(fan_out_max=200, parallel=16, memory=False)
    end = await swarm_of(fake_client, settings=settings).run("x", Blueprint("fan", 100))
    assert end.output["sum"] == 9900
    assert time.monotonic() - started < 5


async def test_types_are_registered_for_the_router(async_client: AsyncClient) -> None:
    @node_type("get_weather", schema={"type": "object"}, utterances=["will it rain tomorrow"], context=True)
    async def get_weather(step: Step) -> Any:
        """Tells the weather forecast for a place."""

    report = await swarm_of(async_client, get_weather).register()
    assert report.added == 1
    assert (await async_client.route("is there going to be rain")).candidates[0].name == "get_weather"
    held = (await async_client.get_node("get_weather")).node
    assert held is not None
    assert (held.kind, held.language, held.description) == ("llm", "python", "Tells the weather forecast for a place.")
    with pytest.raises(ValueError, match="two node types"):
        swarm_of(async_client, get_weather, get_weather)


async def test_runs_are_listed_watched_compacted_and_deleted(client: AsyncClient) -> None:
    end = await swarm_of(client).run("double", Blueprint("fan", 3))
    assert [run.id async for run in client.iter_runs(statuses=[RunStatus.SUCCEEDED])] == [end.run]
    kinds = [change.event.kind async for change in client.watch_run(end.run) if change.event is not None]
    assert kinds[0] is EventKind.CREATE_NODE
    assert kinds[-1] is EventKind.END_RUN
    state = await client.read_state(end.run)
    assert [node.node for node in state.nodes] == ["0", "0.0", "0.1", "0.2"]
    assert state.queue == ()
    removed = (await client.compact_run(end.run)).events_removed
    left = await history(client, end.run)
    assert 0 < removed == len(kinds) - len(left), "all but the last append"
    assert left[-1].kind is EventKind.END_RUN
    assert (await client.read_state(end.run)).nodes == state.nodes
    assert await client.delete_run(end.run) == len(kinds), "those that were compacted away count"
    with pytest.raises(hivemem.NotFound):
        await client.get_run(end.run)


def test_a_function_of_a_type_can_be_tried_alone() -> None:
    assert leaf.description == "Doubles a number."
    leaf.check({"n": 1})
    with pytest.raises(NodeError, match="data of leaf: /n: 'x' is not of type 'integer'") as wrong:
        leaf.check({"n": "x"})
    assert wrong.value.retry, "whoever made it may make it better another time"
    with pytest.raises(Exception, match="no-such-type"):
        node_type("x", schema={"type": "no-such-type"})
    assert issubclass(NodeFailed, NodeError)
