"""Runs that programs of both languages work on: the command line (the Rust runtime) and this package, over one real server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Server, find_binary, needs
from endpoint import Endpoint, serving
from scripted import allowed
from swarms import APPROVED, QUICK, history

import hivemem
from hivemem import AsyncClient, RunStatus
from hivemem.swarm import Blueprint, LeaseLost, OpenAi, Step, Swarm, ask, builtin, node_scripts, node_type, plan
from hivemem.swarm.approval import approval_of
from hivemem.swarm.settings import Stored
from hivemem.swarm.tree import encode
from hivemem.types import EventKind, NodePhase

WAIT_S = 30.0
"""Longest wait: the lease of a command that is killed holds for 15 s."""

# One of the goals that `ask_user_for_help` is said to be for, so that it is routed there.
QUESTION = "ask me which one to take"

# The same node types in both languages. `wait` hangs as long as there is a file named as its data says.
SCRIPTS: dict[str, Any] = {
    "steps": {
        "language": "python",
        "description": "Works on the steps of a plan.",
        "script": "import json, sys\n"
        "given = json.load(sys.stdin)\n"
        'print(json.dumps({"then": given["data"]["steps"], "keep": "both"}))\n',
    },
    "double": {
        "language": "python",
        "description": "Doubles a number.",
        "arguments": {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}},
        "script": 'import json, sys\nprint(json.dumps({"answer": 2 * json.load(sys.stdin)["data"]["n"]}))\n',
    },
    "wait": {
        "language": "python",
        "description": "Waits while there is a file.",
        "script": "import json, os, sys, time\n"
        'path = json.load(sys.stdin)["data"]["path"]\n'
        "while os.path.exists(path):\n"
        "    time.sleep(0.05)\n"
        'print(json.dumps({"answer": "waited"}))\n',
    },
}


# Written otherwise by each language, and not in the order of the alphabet.
NUMBERS = {"n": 3, "b": [1e-05, -2.5e-07, 2.5e16, 1.0, "1e-05 ä\n"], "a": None}


@node_type("steps")
async def steps(step: Step) -> Any:
    return plan(*(Blueprint(one["type"], one["data"]) for one in step.data["steps"]), keep="both")


@node_type("double", schema=SCRIPTS["double"]["arguments"])
async def double(step: Step) -> Any:
    return 2 * step.data["n"]


@node_type("wait")
async def wait(step: Step) -> Any:
    while Path(step.data["path"]).exists():
        await asyncio.sleep(0.05)
    return "waited"


def three_steps(held: Path) -> Blueprint:
    """A number doubled, a wait while `held` is there, another number doubled: `[2, "waited", 6]`."""
    todo: list[tuple[str, Any]] = [("double", {"n": 1}), ("wait", {"path": str(held)}), ("double", {"n": 3})]
    return Blueprint("steps", {"steps": [{"type": kind, "data": data} for kind, data in todo]})


@dataclass
class Both:
    """The command line in a namespace of its own, and how this package gets there."""

    address: str
    namespace: str
    folder: Path
    endpoint: Endpoint
    children: list[subprocess.Popen[str]] = field(default_factory=list)

    def command(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts `hivemem swarm …`."""
        binary = find_binary()
        assert binary is not None
        clean = {key: value for key, value in os.environ.items() if not key.startswith("HIVEMEM_")}
        whole = [binary, "swarm", *arguments, "--server", self.address, "--namespace", self.namespace]
        child = subprocess.Popen(
            whole, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean
        )
        self.children.append(child)
        return child

    def working(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts one that works on a run, with the scripts and the model."""
        scripts = self.folder / "node_scripts.json"
        scripts.write_text(json.dumps(SCRIPTS))
        lends = ["--script", str(scripts), "--allow-scripts", "--work-dir", str(self.folder / "runs")]
        return self.command(*arguments, *lends, "--llm-url", self.endpoint.address)

    def client(self) -> AsyncClient:
        return AsyncClient(self.address, namespace=self.namespace)


def ended(child: subprocess.Popen[str], status: int = 0) -> str:
    """What a command printed once it is over."""
    said, told = child.communicate(timeout=WAIT_S)
    assert child.returncode == status, f"{said[-500:]}\n{told[-2000:]}"
    return said


@pytest.fixture(scope="module")
def both(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    needs(server.address, lambda client: client.list_runs())
    with serving() as endpoint:
        # Where the router leaves it to the model.
        endpoint.replies = [json.dumps({"type": "ask_user_for_help", "data": {"question": QUESTION}})]
        made = Both(server.address, f"languages-{time.time_ns()}", tmp_path_factory.mktemp("languages"), endpoint)
        with hivemem.Client(made.address, namespace=made.namespace) as client:
            client.remember("Colours are taken by people, not by programs.")
        yield made
        for child in made.children:
            if child.poll() is None:
                child.kill()
            child.communicate(timeout=10)


@pytest.fixture
async def client(both: Both) -> AsyncIterator[AsyncClient]:
    async with both.client() as made:
        yield made


@dataclass
class Killed:
    """Runs whose command was killed in the middle of its work."""

    asking: str
    """A built-in node asks people."""
    waiting: str
    """Made here; a script waits."""
    scripted: str
    """As `waiting`."""
    approving: str
    """Made here; people are asked whether its one node may be executed."""
    helping: str
    """Made here; a built-in node asks people."""
    held: Path
    """For as long as this is there."""


@pytest.fixture(scope="module")
def killed(both: Both) -> Killed:
    """Runs that the command line began, and was killed while a node asked, a script ran, and an approval was waited for."""
    held = both.folder / "held"
    held.touch()
    with hivemem.Client(both.address, namespace=both.namespace) as client:
        waiting = client.create_run("three steps", settings=Stored(three_steps(held), QUICK).to_json()).id
        scripted = client.create_run("three steps", settings=Stored(three_steps(held), QUICK).to_json()).id
        approving = client.create_run("three", settings=Stored(Blueprint("double", NUMBERS), QUICK).to_json()).id
        helping = client.create_run("help", settings=Stored(Blueprint("route_goal", {"goal": QUESTION}), QUICK).to_json()).id
        children = [both.working("run", QUESTION), both.working("resume", approving, "--approve")]
        children += [both.working("resume", run) for run in (waiting, scripted, helping)]
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            questions = {question.run for question in client.iter_questions()}
            asking = questions - {approving, helping}
            states = [client.read_state(run) for run in (waiting, scripted)]
            phases = [{node.node: node.phase for node in state.nodes}.get("0.1") for state in states]
            if asking and {approving, helping} <= questions and phases == [NodePhase.RUNNING] * 2:
                break
            for child in children:
                assert child.poll() is None, child.communicate()
            time.sleep(0.05)
        else:
            pytest.fail("the command line does not get there")
    for child in children:
        os.kill(child.pid, signal.SIGKILL)
        child.wait(10)
    return Killed(asking.pop(), waiting, scripted, approving, helping, held)


async def once_free(client: AsyncClient, run: str) -> None:
    """Waits until the lease of the process that was killed is over."""
    end = time.monotonic() + WAIT_S
    while (await client.get_run(run)).holder:
        assert time.monotonic() < end
        await asyncio.sleep(0.1)


async def test_a_run_of_the_command_line_is_seen_whole_and_answered_from_here(
    both: Both, client: AsyncClient, killed: Killed
) -> None:
    run = killed.asking
    state = await client.read_state(run)
    assert [(node.node, node.node_type, node.phase) for node in state.nodes] == [
        ("0", "route_goal", NodePhase.WAITING),
        ("0.0", "ask_user_for_help", NodePhase.ASKING),
    ]
    assert json.loads(state.nodes[0].data) == {"goal": QUESTION}
    assert (state.nodes[1].question, state.nodes[1].answered) == (QUESTION, False)
    assert (state.run.status, state.run.open_questions, state.queue) == (RunStatus.OPEN, 1, ())
    (question,) = [question async for question in client.iter_questions(run)]
    assert (question.node, question.text, question.choices) == ("0.0", QUESTION, ())
    before = await history(client, run)
    assert [event.kind for event in before if event.node == "0.0"] == [
        EventKind.CREATE_NODE,
        EventKind.RUN_NODE,
        EventKind.QUESTION,
    ]

    swarm = Swarm(client, [steps, double, wait], settings=QUICK)
    with contextlib.suppress(LeaseLost), pytest.raises(ValueError, match="can't be executed here"):
        await swarm.resume(run)
    await once_free(client, run)
    with pytest.raises(ValueError, match=r"here: ask_user_for_help \(.*it is a llm of a program in rust.*, route_goal \("):
        await swarm.resume(run)
    assert await history(client, run) == before, "it is left as it was"
    assert not (await client.get_run(run)).holder

    answered = await client.answer_question(run, "0.0", "blue")
    assert answered.answered
    said = json.loads(ended(both.working("resume", run, "--json")))
    assert (said["status"], said["output"], said["nodes"]) == ("succeeded", "blue", 2)
    shown = json.loads(ended(both.command("show", run, "--json", "--events")))
    assert [node["phase"] for node in shown["tree"]] == ["finished", "finished"]
    assert shown["questions"] == []
    assert [event.data for event in await history(client, run) if event.kind is EventKind.ANSWER] == ['"blue"']
    again = await swarm.resume(run)
    assert (again.status, again.output, again.nodes) == (RunStatus.SUCCEEDED, "blue", 2), "what has ended is known to both"


async def test_a_run_that_the_command_line_began_goes_on_here(client: AsyncClient, killed: Killed) -> None:
    run = killed.waiting
    swarm = Swarm(client, [steps, double, wait], settings=QUICK)
    await once_free(client, run)
    killed.held.unlink(missing_ok=True)
    end = await asyncio.wait_for(swarm.resume(run), WAIT_S)
    assert (end.status, end.output, end.nodes) == (RunStatus.SUCCEEDED, [2, "waited", 6], 4)
    begun = [event.node for event in await history(client, run) if event.kind is EventKind.RUN_NODE]
    assert begun.count("0.0") == 1, "what was done is not done again"
    assert begun.count("0.1") == 2, "what was in flight is"


async def test_a_run_that_began_here_goes_on_at_the_command_line(both: Both, client: AsyncClient, tmp_path: Path) -> None:
    held = tmp_path / "held"
    held.touch()
    swarm = Swarm(client, [steps, double, wait], settings=QUICK)
    run = await swarm.create("three steps", three_steps(held))
    working = asyncio.create_task(swarm.resume(run))
    end = time.monotonic() + WAIT_S
    while {node.node: node.phase for node in (await client.read_state(run)).nodes}.get("0.1") is not NodePhase.RUNNING:
        assert time.monotonic() < end
        await asyncio.sleep(0.05)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    held.unlink()
    said = json.loads(await asyncio.to_thread(ended, both.working("resume", run, "--json")))
    assert (said["status"], said["output"], said["nodes"]) == ("succeeded", [2, "waited", 6], 4)
    begun = [event.node for event in await history(client, run) if event.kind is EventKind.RUN_NODE]
    assert (begun.count("0.0"), begun.count("0.1")) == (1, 2)
    assert (await swarm.resume(run)).output == said["output"]


async def test_scripts_that_the_command_line_registered_run_here(client: AsyncClient, killed: Killed, tmp_path: Path) -> None:
    run = killed.scripted
    await once_free(client, run)
    killed.held.unlink(missing_ok=True)
    end = await asyncio.wait_for(Swarm(client, [], settings=allowed(tmp_path)).resume(run), WAIT_S)
    assert (end.status, end.output, end.nodes) == (RunStatus.SUCCEEDED, [2, "waited", 6], 4)
    begun = [event.node for event in await history(client, run) if event.kind is EventKind.RUN_NODE]
    assert (begun.count("0.0"), begun.count("0.1")) == (1, 2)
    assert (tmp_path / run).is_dir(), "they ran here"
    before = (await client.get_node("double")).versions
    await Swarm(client, node_scripts(json.dumps(SCRIPTS))).register()
    assert (await client.get_node("double")).versions == before, "both describe a script in the same way"


async def test_a_tool_that_is_begun_here_is_made_at_the_command_line_and_used_here(
    both: Both, client: AsyncClient, tmp_path: Path
) -> None:
    arguments = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    code = "import json, sys\nprint(json.load(sys.stdin)['n'] ** 2)"
    tool = {"name": "square_it", "description": "Squares.", "language": "python", "code": code, "arguments": arguments}
    settings = replace(allowed(tmp_path), approve=True)
    async with OpenAi(both.endpoint.address, "scripted") as model:
        swarm = Swarm(client, builtin.TYPES, model=model, settings=settings)
        run = await swarm.create("squares", Blueprint("create_tool", {"goal": "square the number"}))
        both.endpoint.replies.insert(0, json.dumps(tool))
        working = asyncio.create_task(swarm.resume(run))
        for node in ("0", "0.0"):
            # Then the tests are to be approved, and nobody does.
            while not [question async for question in client.iter_questions(run) if question.node == node]:
                assert not working.done()
                await asyncio.sleep(0.05)
            if node == "0":
                await client.answer_question(run, node, "yes")
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    both.endpoint.replies.insert(0, json.dumps({"tests": [{"arguments": {"n": 3}, "expected": 9}]}))
    said = json.loads(await asyncio.to_thread(ended, both.working("resume", run, "--json")))
    assert (said["status"], said["output"], said["nodes"]) == ("succeeded", {"tool": "square_it"}, 3)
    end = await Swarm(client, [], settings=allowed(tmp_path)).run("squares", Blueprint("square_it", {"n": 5}))
    assert end.output == 25


async def test_built_in_nodes_of_the_command_line_go_on_here(client: AsyncClient, killed: Killed) -> None:
    run = killed.helping
    await client.answer_question(run, "0.0", "blue")
    await once_free(client, run)
    end = await asyncio.wait_for(Swarm(client, builtin.TYPES, settings=QUICK).resume(run), WAIT_S)
    assert (end.status, end.output, end.nodes) == (RunStatus.SUCCEEDED, "blue", 2)


async def test_built_in_nodes_from_here_go_on_at_the_command_line(both: Both, client: AsyncClient) -> None:
    settings = replace(APPROVED, review=True)
    async with OpenAi(both.endpoint.address, "scripted") as model:
        swarm = Swarm(client, builtin.TYPES, model=model, settings=settings)
        run = await swarm.create("a text", Blueprint("write_text", {"task": "a text"}))
        both.endpoint.replies.insert(0, "short")
        working = asyncio.create_task(swarm.resume(run))
        while not (await client.get_run(run)).open_questions:
            assert not working.done()
            await asyncio.sleep(0.05)
        await client.answer_question(run, "0", "yes")
        # Then the review is to be approved, and nobody does.
        while not [question async for question in client.iter_questions(run) if question.node == "0.0"]:
            assert not working.done()
            await asyncio.sleep(0.05)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    found, fine = {"approved": False, "problems": ["too short"]}, {"approved": True, "problems": []}
    both.endpoint.replies[:0] = [json.dumps(found), "a long one", json.dumps(fine)]
    said = json.loads(await asyncio.to_thread(ended, both.working("resume", run, "--json")))
    assert (said["status"], said["output"], said["nodes"]) == ("succeeded", "a long one", 3)
    assert "What was written:\nshort\n" in both.endpoint.asked[-2]["messages"][-1]["content"]


async def test_an_approval_that_the_command_line_asked_for_counts_here(client: AsyncClient, killed: Killed) -> None:
    run = killed.approving
    (question,) = [question async for question in client.iter_questions(run)]
    assert question.text == approval_of("0", "double", encode(NUMBERS)), "both ask in the same words"
    await client.answer_question(run, "0", "Okay")
    await once_free(client, run)
    end = await asyncio.wait_for(Swarm(client, [double], settings=APPROVED).resume(run), WAIT_S)
    assert (end.status, end.output) == (RunStatus.SUCCEEDED, 6)
    assert [event.kind for event in await history(client, run)] == [
        EventKind.CREATE_NODE,
        EventKind.RUN_NODE,
        EventKind.QUESTION,
        EventKind.ANSWER,
        EventKind.RUN_NODE,
        EventKind.NODE_OUTPUT,
        EventKind.DELETE_NODE,
        EventKind.END_RUN,
    ]


@pytest.mark.parametrize(
    ("answer", "options", "result"),
    [
        ("yes", ["--approve"], 6),
        ("not today", ["--approve"], {"error": "not approved: not today"}),
        ("not today", [], {"error": "not approved: not today"}),
        (None, [], 6),
    ],
)
async def test_an_approval_that_was_asked_for_here_counts_at_the_command_line(
    both: Both, client: AsyncClient, answer: str | None, options: list[str], result: Any
) -> None:
    swarm = Swarm(client, [double], settings=APPROVED)
    run = await swarm.create("three", Blueprint("double", NUMBERS))
    working = asyncio.create_task(swarm.resume(run))
    while not (await client.get_run(run)).open_questions:
        assert not working.done()
        await asyncio.sleep(0.05)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    if answer is not None:
        await client.answer_question(run, "0", answer)
    child = both.working("resume", run, "--json", *options)
    said, told = await asyncio.to_thread(child.communicate, timeout=WAIT_S)
    assert json.loads(said)["output"] == result, told
    assert [event.kind for event in await history(client, run)].count(EventKind.QUESTION) == 1, "it is not asked for again"


async def test_a_question_of_a_run_here_is_answered_at_the_command_line(both: Both, client: AsyncClient) -> None:
    @node_type("asker")
    async def asker(step: Step) -> Any:
        return step.answer or ask("Red or blue?", ["red", "blue"])

    swarm = Swarm(client, [asker], settings=QUICK)
    run = await swarm.create("a colour", Blueprint("asker"))
    working = asyncio.create_task(swarm.resume(run))
    end = time.monotonic() + WAIT_S
    while not (await client.list_questions(run)).questions:
        assert time.monotonic() < end
        await asyncio.sleep(0.05)
    shown = await asyncio.to_thread(ended, both.command("show", run))
    assert "0 asks: Red or blue? (red, blue)" in shown
    refused = both.command("answer", run, "0", "green")
    said, told = await asyncio.to_thread(refused.communicate, timeout=WAIT_S)
    assert refused.returncode != 0
    assert "not one of the choices" in said + told
    assert re.match(r"answered 0: Red or blue\?", await asyncio.to_thread(ended, both.command("answer", run, "0", "red")))
    assert (await asyncio.wait_for(working, WAIT_S)).output == "red"


async def test_why_a_run_failed_here_is_shown_there(both: Both, client: AsyncClient) -> None:
    end = await Swarm(client, [steps, wait], settings=QUICK).run(
        "fails", Blueprint("steps", {"steps": [{"type": "wait", "data": {}}]})
    )
    assert end.status is RunStatus.FAILED
    shown = json.loads(ended(both.command("show", end.run, "--json")))
    assert shown["status"] == "failed"
    assert shown["result"]["error"].startswith("child 0 (wait) failed: ")
    assert shown["tree"][1]["output"]["error"] == "KeyError: 'path'"
