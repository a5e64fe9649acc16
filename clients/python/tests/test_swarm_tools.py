"""Code that a swarm writes, runs, and makes tools of."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import needs
from endpoint import Endpoint
from fake import Fake
from scripted import allowed, until
from swarms import QUICK, Scripted, history, swarm_of

import hivemem
from hivemem import AsyncClient, Retry, RunStatus
from hivemem._proto import router_pb2
from hivemem.swarm import Blueprint, OpenAi, RunEnd, Settings, Step, Swarm, builtin, node_type
from hivemem.swarm.settings import Stored
from hivemem.types import EventKind, NodePhase

GOAL = "say how often a word is in a text"
TEXT = {"word": "a", "text": "a b a"}
GOOD = "import json, sys\ngiven = json.load(sys.stdin)\nprint(given['text'].split().count(given['word']))"


def tool(code: str, **fields: Any) -> str:
    """What a model says that writes a tool."""
    word, text = {"type": "string"}, {"type": "string"}
    arguments = {"type": "object", "properties": {"word": word, "text": text}, "required": ["word", "text"]}
    says = {"name": "count_word", "description": "Counts a word.", "language": "python", "code": code, "arguments": arguments}
    return json.dumps({**says, **fields})


TESTS = json.dumps({"tests": [{"arguments": TEXT, "expected": 2}, {"arguments": {"word": "c", "text": "a"}, "expected": 0}]})


def prompted(endpoint: Endpoint) -> str:
    return str(endpoint.asked[-1]["messages"][1]["content"])


def says(endpoint: Endpoint, code: str = GOOD) -> None:
    """Lets the model make a tool whose code is `code` at first, and use it once it is there."""

    def reply() -> str:
        prompt = prompted(endpoint)
        if "Write three to eight test cases" in prompt:
            assert code not in prompt, "who writes the tests does not see the code"
            return TESTS
        if "Write a tool" in prompt:
            return tool(GOOD if "fails tests" in prompt else code)
        assert "Choose the one node type" in prompt
        if "- count_word: " in prompt:
            return json.dumps({"type": "count_word", "data": TEXT})
        return json.dumps({"type": "create_tool", "data": {"goal": GOAL}})

    endpoint.replies = [reply]


@pytest.fixture
async def client(any_server: str) -> AsyncIterator[AsyncClient]:
    needs(any_server, lambda made: made.list_runs())
    async with AsyncClient(any_server, namespace=f"tools-{time.time_ns()}") as made:
        await made.remember("Words are counted by tools.")
        yield made


async def tree(client: AsyncClient, run: str) -> list[tuple[str, str]]:
    return [(node.node, node.node_type) for node in (await client.read_state(run)).nodes]


async def run(client: AsyncClient, settings: Settings, root: str, data: Any, *replies: str) -> tuple[RunEnd, Scripted]:
    model = Scripted(*replies or ("nobody asks the model",))
    swarm = swarm_of(client, *builtin.TYPES, model=model, settings=settings)
    return await asyncio.wait_for(swarm.run("a test", Blueprint(root, data)), 60), model


def failed(end: RunEnd) -> str:
    assert end.status is RunStatus.FAILED, end
    return str(end.output["error"])


# Tools.


async def test_a_tool_is_made_tested_mended_registered_found_and_used(
    client: AsyncClient, endpoint: Endpoint, tmp_path: Path
) -> None:
    says(endpoint, "print('oops')")
    async with OpenAi(endpoint.address, "scripted") as model:
        swarm = Swarm(client, builtin.TYPES, model=model, settings=allowed(tmp_path))
        end = await asyncio.wait_for(swarm.run("count", Blueprint("route_goal", {"goal": GOAL})), 60)
        assert (end.status, end.output) == (RunStatus.SUCCEEDED, 2), end
        assert await tree(client, end.run) == [
            ("0", "route_goal"),
            ("0.0", "create_tool"),
            ("0.0.0", "write_tests"),
            ("0.0.1", "run_tests"),
            ("0.0.2", "run_tests"),
            ("0.1", "count_word"),
        ]
        node = (await client.get_node("count_word")).node
        assert node is not None
        assert (node.kind, node.language, node.code, node.folder) == ("script", "python", GOOD, "swarm/tools")
        assert (node.utterances, dict(node.metadata)) == ((GOAL,), {"run": end.run})
        assert [json.loads(case) for case in node.test_cases] == json.loads(TESTS)["tests"]
        receipts = [(event.node, event.key) for event in await history(client, end.run) if event.kind is EventKind.RECEIPT]
        assert receipts == [("0.0", "create_tool")]

        # From then on the router has it, for others as well.
        assert "count_word" in (await client.route(GOAL)).set
        asked = len(endpoint.asked)
        others = Swarm(client, builtin.TYPES, model=model, settings=allowed(tmp_path))
        again = await asyncio.wait_for(others.run("count", Blueprint("route_goal", {"goal": GOAL})), 60)
        assert (again.output, await tree(client, again.run)) == (2, [("0", "route_goal"), ("0.0", "count_word")])
        assert len(endpoint.asked) == asked + 1, "only its arguments are asked for"


async def test_a_run_that_is_killed_while_a_tool_is_made_goes_on(any_server: str, endpoint: Endpoint, tmp_path: Path) -> None:
    needs(any_server, lambda made: made.list_runs())
    # Its tests hang as long as there is a file.
    waits = f"import os, time\nwhile os.path.exists({str(tmp_path / 'held')!r}):\n    time.sleep(0.05)\n{GOOD}"
    says(endpoint, waits)
    (tmp_path / "held").touch()
    settings, namespace = replace(allowed(tmp_path), lease_ms=1_000), f"killed-{time.time_ns()}"
    with hivemem.Client(any_server, namespace=namespace) as made:
        made.remember("Words are counted by tools.")
        run = made.create_run("count", settings=Stored(Blueprint("route_goal", {"goal": GOAL}), settings).to_json()).id
        maker = str(Path(__file__).with_name("toolmaker.py"))
        child = subprocess.Popen([sys.executable, maker, any_server, namespace, run, endpoint.address, str(tmp_path)])
        try:
            end = time.monotonic() + 20
            while ("0.0.1", NodePhase.RUNNING) not in [(node.node, node.phase) for node in made.read_state(run).nodes]:
                assert time.monotonic() < end
                assert child.poll() is None
                await asyncio.sleep(0.05)
        finally:
            child.kill()
            child.wait(10)
        while made.get_run(run).holder:
            await asyncio.sleep(0.05)
    asked = len(endpoint.asked)
    (tmp_path / "held").unlink()
    async with AsyncClient(any_server, namespace=namespace) as client, OpenAi(endpoint.address, "scripted") as model:
        resumed = await asyncio.wait_for(Swarm(client, builtin.TYPES, model=model, settings=allowed(tmp_path)).resume(run), 60)
        assert (resumed.status, resumed.output) == (RunStatus.SUCCEEDED, 2), resumed
        begun = [event.node for event in await history(client, run) if event.kind is EventKind.RUN_NODE]
        assert [begun.count(node) for node in ("0.0.0", "0.0.1")] == [1, 2], "what was done is not done again"
        assert len(endpoint.asked) == asked + 1, "neither the code nor the tests are written anew"
        assert len((await client.get_node("count_word")).versions) == 1


async def test_a_tool_that_was_registered_without_a_receipt_is_the_same_one_again(
    fake: Fake, endpoint: Endpoint, tmp_path: Path
) -> None:
    says(endpoint)
    settings = replace(allowed(tmp_path), patience_ms=0)
    # The server takes no event once the tool is there.
    fake.router.when_registered = lambda: setattr(fake.swarm, "fail_after", fake.swarm.appends)
    async with AsyncClient(fake.address, retry=Retry(attempts=1)) as client, OpenAi(endpoint.address, "scripted") as model:
        swarm = Swarm(client, builtin.TYPES, model=model, settings=settings)
        run = await swarm.create("count", Blueprint("create_tool", {"goal": GOAL}))
        with pytest.raises(hivemem.Unavailable):
            await swarm.resume(run)
        fake.swarm.fail_after, fake.router.when_registered = None, lambda: None
        assert fake.swarm.runs[run].fold.receipts == {}
        assert (await swarm.resume(run)).output == {"tool": "count_word"}
    assert fake.router.keys[0] == fake.router.keys[1], "the server takes it once"
    assert fake.router.registered[0] == fake.router.registered[1]
    assert fake.swarm.runs[run].fold.receipts == {("0", "create_tool"): '{"tool":"count_word"}'}


async def test_a_tool_takes_no_name_that_something_else_has(fake: Fake, fake_client: AsyncClient, tmp_path: Path) -> None:
    fake.router.registered = [router_pb2.Node(name="old_tool", code="true")]
    names = ("write_text", "old_tool", "new_tool")
    end, model = await run(
        fake_client, allowed(tmp_path), "create_tool", {"goal": GOAL}, *(tool(GOOD, name=name) for name in names), TESTS
    )
    assert end.output == {"tool": "new_tool"}
    taken = [asked[-1]["content"] for asked in model.asked[1:3]]
    assert ["the name write_text is taken" in taken[0], "the name old_tool is taken" in taken[1]] == [True, True]
    assert [node.name for node in fake.router.registered] == ["old_tool", "new_tool"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"type": "no-such-type"}, "'no-such-type' is not valid"),
        ({"type": "object", "properties": {"x": {"$ref": "#/$defs/gone"}}}, "'#/$defs/gone' leads nowhere"),
        ({"type": "object", "properties": {"x": {"$ref": "http://127.0.0.1:9/x"}}}, "'http://127.0.0.1:9/x' leads nowhere"),
    ],
)
async def test_a_tool_has_a_schema_that_can_be_used(fake_client: AsyncClient, tmp_path: Path, arguments: Any, says: str) -> None:
    settings = replace(allowed(tmp_path), repairs_max=0)
    end, _ = await run(fake_client, settings, "create_tool", {"goal": GOAL}, tool(GOOD, arguments=arguments))
    assert "no usable tool was written.\n\nThe last tool can't be used: its arguments are no JSON Schema: " in failed(end)
    assert says in failed(end)


async def test_a_tool_that_does_not_pass_is_given_up(fake: Fake, fake_client: AsyncClient, tmp_path: Path) -> None:
    settings = replace(allowed(tmp_path), rounds_max=1)
    end, model = await run(fake_client, settings, "create_tool", {"goal": GOAL}, tool("print(1)"), TESTS, tool("exit(3)"))
    assert failed(end).startswith("the tool fails its tests after 2 rounds: [")
    assert (
        'Failed tests:\n[{"test":{"arguments":{"word":"a","text":"a b a"},"expected":2},"printed":1}'
        in model.asked[-1][-1]["content"]
    )
    assert fake.router.registered == []


async def test_values_are_the_same_if_they_are_the_same_json(fake_client: AsyncClient, tmp_path: Path) -> None:
    echo = {"language": "sh", "code": "cat"}
    tests = [
        {"arguments": {"a": 1, "b": [2]}, "expected": {"b": [2], "a": 1}},
        {"arguments": {"a": 1}, "expected": {"a": True}},
        {"arguments": {"a": 1}, "expected": {"a": 1.0}},
    ]
    end, _ = await run(fake_client, allowed(tmp_path), "run_tests", {"tool": echo, "tests": tests})
    assert end.output == {"passed": 1, "failed": [{"test": test, "printed": {"a": 1}} for test in tests[1:]]}


async def test_tests_of_a_tool_fit_a_schema_with_references(fake_client: AsyncClient, tmp_path: Path) -> None:
    tree = {"type": "object", "properties": {"left": {"$ref": "#/$defs/tree"}}}
    arguments = {"type": "object", "properties": {"tree": {"$ref": "#/$defs/tree"}}, "$defs": {"tree": tree}}
    replies = [json.dumps({"tests": [{"arguments": {"tree": {"left": left}}, "expected": 1}]}) for left in (3, {})]
    data = {"goal": "walk", "tool": {"name": "walk", "arguments": arguments}}
    end, model = await run(fake_client, QUICK, "write_tests", data, *replies)
    assert end.output["tests"][0]["arguments"] == {"tree": {"left": {}}}
    assert len(model.asked) == 2, "the first one does not fit"


async def test_a_tool_whose_code_is_elsewhere_is_not_chosen(fake: Fake, fake_client: AsyncClient, tmp_path: Path) -> None:
    schema = '{"type": "object", "properties": {"goal": {"type": "string"}}, "required": ["goal"]}'
    fake.router.registered = [
        router_pb2.Node(name="elsewhere", kind="mcp_tool", arguments=schema, utterances=["find the weather"])
    ]
    chosen = json.dumps({"type": "write_text", "data": {"task": "find the weather"}})
    end, model = await run(fake_client, allowed(tmp_path), "route_goal", {"goal": "find the weather"}, chosen, "a text")
    assert (end.output, end.nodes) == ("a text", 2)
    assert "elsewhere" not in model.asked[0][-1]["content"]
    assert "- create_tool: Makes a new tool" in model.asked[0][-1]["content"]


async def test_what_would_run_code_is_not_chosen_unless_it_may(fake: Fake, fake_client: AsyncClient, tmp_path: Path) -> None:
    schema = '{"type": "object", "properties": {"goal": {"type": "string"}}, "required": ["goal"]}'
    fake.router.registered = [router_pb2.Node(name="echo", language="sh", code="cat", arguments=schema, utterances=["jump"])]
    end, _ = await run(fake_client, allowed(tmp_path), "route_goal", {"goal": "jump"})
    assert end.output == {"goal": "jump"}, "a tool reads its data, and nothing else"
    chosen = json.dumps({"type": "write_text", "data": {"task": "jump"}})
    end, model = await run(fake_client, QUICK, "route_goal", {"goal": "jump"}, chosen, "a text")
    assert end.output == "a text"
    offered = model.asked[0][-1]["content"].partition("Node types to choose from")[2]
    assert ["- echo" in offered, "- create_tool" in offered, "- write_code" in offered] == [False, False, True]


# Code.


async def test_code_is_saved_in_the_folder_of_the_run_and_executed_there(fake_client: AsyncClient, tmp_path: Path) -> None:
    @node_type("both")
    async def both(step: Step) -> Any:
        await step.exec_function("save_code", {"path": "sub/word.txt", "code": "lantern"})
        code = {"language": "sh", "code": "cat sub/word.txt; cat; echo oops >&2; exit 4", "input": [1, "é"]}
        return await step.exec_function("execute_code", code)

    swarm = swarm_of(fake_client, *builtin.TYPES, both, settings=allowed(tmp_path))
    end = await swarm.run("x", Blueprint("both"))
    assert end.output == {"stdout": 'lantern[1,"é"]', "stderr": "oops\n", "code": 4}, "a failing program is a result, too"


async def test_of_a_flood_on_stderr_the_end_is_kept(fake_client: AsyncClient, tmp_path: Path) -> None:
    code = "head -c 5000000 /dev/zero | tr '\\0' x >&2; echo the end >&2"
    end, _ = await run(fake_client, allowed(tmp_path), "execute_code", {"language": "sh", "code": code})
    assert (len(end.output["stderr"]), end.output["stderr"][-9:], end.output["code"]) == (16 * 1024, "xthe end\n", 0)


async def test_code_with_an_effect_is_executed_once(fake: Fake, fake_client: AsyncClient, tmp_path: Path) -> None:
    gate = asyncio.Event()

    @node_type("sends")
    async def sends(step: Step) -> Any:
        code = {"language": "sh", "code": "echo sent >> sent; cat sent", "effect": True}
        printed = [(await step.exec_function("execute_code", code))["stdout"] for _ in range(2)]
        if not gate.is_set():
            gate.set()
            await asyncio.sleep(60)
        return printed

    swarm = swarm_of(fake_client, *builtin.TYPES, sends, settings=allowed(tmp_path))
    made = await swarm.create("x", Blueprint("sends"))
    working = asyncio.create_task(swarm.resume(made))
    await until(gate.is_set, "it is not executed")
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    assert (await swarm.resume(made)).output == ["sent\n", "sent\n"]
    assert len(fake.swarm.runs[made].fold.receipts) == 1


async def test_code_does_not_run_unless_somebody_allowed_it(fake_client: AsyncClient, tmp_path: Path) -> None:
    forbidden = replace(QUICK, work_dir=tmp_path)
    data = {"tool": {"language": "sh", "code": "cat"}, "tests": [{"arguments": 1, "expected": 1}]}
    for root, given in (("execute_code", {"language": "sh", "code": "true"}), ("run_tests", data)):
        end, _ = await run(fake_client, forbidden, root, given)
        assert failed(end).startswith("scripts are not allowed in this run")
    end, _ = await run(fake_client, forbidden, "create_tool", {"goal": GOAL}, tool(GOOD), TESTS)
    assert failed(end).startswith("run_tests failed: scripts are not allowed in this run")
