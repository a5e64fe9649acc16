"""The built-in node types, each the way it goes and the way it fails."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake import Fake
from swarms import QUICK, Scripted, first_question, history, swarm_of

from hivemem import AsyncClient, RunStatus
from hivemem._proto import data_pb2
from hivemem.swarm import Blueprint, RunEnd, Settings, Step, builtin, node_type
from hivemem.swarm.builtin.code import inside
from hivemem.swarm.llm import ABOUT_THE_SWARM
from hivemem.swarm.node import NodeError
from hivemem.types import EventKind

REVIEWED = replace(QUICK, review=True, rounds_max=1)
FINE, BAD = '{"approved": true, "problems": []}', '{"approved": false, "problems": ["too short"]}'


@node_type("echo", schema={"type": "object", "required": ["goal"], "properties": {"goal": {"type": "string"}}})
async def echo(step: Step) -> Any:
    if "fail" in step.data["goal"]:
        raise ValueError("it failed")
    return f"did {step.data['goal']}"


async def run(client: AsyncClient, root: str, data: Any, *replies: str, settings: Settings = QUICK) -> tuple[RunEnd, Scripted]:
    model = Scripted(*replies or ("nobody asks the model",))
    swarm = swarm_of(client, *builtin.TYPES, echo, model=model, settings=settings)
    return await swarm.run("a test", Blueprint(root, data)), model


def prompts(model: Scripted) -> list[str]:
    return [asked[-1]["content"] for asked in model.asked]


async def tree(client: AsyncClient, run: str) -> list[tuple[str, str]]:
    return [(node.node, node.node_type) for node in (await client.read_state(run)).nodes]


async def executions(client: AsyncClient, run: str) -> int:
    return [event.kind for event in await history(client, run)].count(EventKind.RUN_NODE)


def failed(end: RunEnd) -> str:
    assert end.status is RunStatus.FAILED, end
    return str(end.output["error"])


# Goals.


async def test_a_goal_goes_to_the_one_node_that_takes_it_and_the_router_learns_of_it(
    fake: Fake, fake_client: AsyncClient
) -> None:
    fake.router.says("jump", "echo")
    end, model = await run(fake_client, "route_goal", {"goal": "jump", "part_of": "a dance"})
    assert (end.output, await tree(fake_client, end.run), model.asked) == (
        "did jump",
        [("0", "route_goal"), ("0.0", "echo")],
        [],
    )
    assert [(asked.goal, asked.context) for asked in fake.router.asked] == [("jump", "a dance")]
    assert [(told.goal, told.chosen, told.succeeded) for told in fake.router.outcomes] == [("jump", "echo", True)]


async def test_the_model_chooses_where_the_router_leaves_it_open_and_is_told_of_data_that_does_not_fit(
    fake: Fake, fake_client: AsyncClient
) -> None:
    fake.router.says("sing", "write_text", "echo", "nowhere", decision="ambiguous")
    wrong, right = '{"type": "write_text", "data": {"text": "x"}}', '{"type": "write_text", "data": {"task": "a song"}}'
    end, model = await run(fake_client, "route_goal", {"goal": "sing"}, wrong, right, "la la")
    assert end.output == "la la"
    first, second, song = prompts(model)
    assert "Goal: sing\n\nNode types to choose from:\n- write_text: The router's write_text. Data: {" in first
    assert "- break_down_goal: Splits a goal" in first
    assert "nowhere" not in first
    assert "create_tool" not in first.partition("Node types to choose from")[2], "what may not run here is not to choose"
    assert "The last choice can't be used: data of write_text: 'task' is a required property" in second
    assert "a song" in song
    end, _ = await run(fake_client, "route_goal", {"goal": "sing"}, wrong)
    assert failed(end).startswith("no usable choice was made.\nThe last choice can't be used: data of write_text:")
    assert await executions(fake_client, end.run) == QUICK.attempts_max


async def test_a_goal_that_a_node_fails_at_is_broken_down_and_the_results_are_combined(
    fake: Fake, fake_client: AsyncClient
) -> None:
    for goal in ("fail at once", "one", "two"):
        fake.router.says(goal, "echo")
    steps = json.dumps({"order": "sequential", "steps": ["one", "two"]})
    end, model = await run(fake_client, "route_goal", {"goal": "fail at once"}, steps, "both are done")
    assert end.output == "both are done"
    assert await tree(fake_client, end.run) == [
        ("0", "route_goal"),
        ("0.0", "echo"),
        ("0.1", "break_down_goal"),
        ("0.1.0", "route_goal"),
        ("0.1.0.0", "echo"),
        ("0.1.1", "route_goal"),
        ("0.1.1.0", "echo"),
        ("0.1.2", "finish"),
    ]
    nodes = {node.node: json.loads(node.data) for node in (await fake_client.read_state(end.run)).nodes}
    assert nodes["0.1"] == {"goal": "fail at once", "why": "ValueError: it failed"}
    assert nodes["0.1.0"] == {"goal": "one", "part_of": "fail at once"}
    assert nodes["0.1.2"]["results"][1] == {"number": 1, "type": "route_goal", "output": "did two"}
    asked, combined = prompts(model)
    assert "Goal: fail at once\nDoing it at once failed: ValueError: it failed" in asked
    assert "Results of the steps:\n--- 0\ndid one\n--- 1\ndid two\n" in combined
    assert [(told.chosen, told.succeeded) for told in fake.router.outcomes] == [
        ("echo", False),
        ("echo", True),
        ("echo", True),
        ("break_down_goal", True),
    ]


async def test_a_step_that_fails_fails_the_goal_that_was_broken_down(fake: Fake, fake_client: AsyncClient) -> None:
    for goal in ("fail", "one"):
        fake.router.says(goal, "echo")
    again = '{"order": "parallel", "steps": ["fail"]}'
    settings = replace(QUICK, depth_max=6, attempts_max=1)
    for steps, says in (
        ('{"order": "parallel", "steps": ["fail", "one"]}', "a step failed: route_goal failed: route_goal failed: its children"),
        ('{"order": "parallel", "steps": ["one", "fail"]}', "route_goal failed: route_goal failed: "),
    ):
        end, _ = await run(fake_client, "break_down_goal", {"goal": "all"}, steps, again, settings=settings)
        assert failed(end).startswith(says)
    end, _ = await run(fake_client, "break_down_goal", {"goal": "all"}, '{"order": "parallel", "steps": []}')
    assert "/steps: [] " in failed(end)
    end, _ = await run(fake_client, "break_down_goal", {"goal": "all"}, '{"order": "parallel", "steps": ["one"]}')
    assert (end.output, end.nodes) == ("did one", 3), "one result has nothing to be combined with"


# Texts and code.


@pytest.mark.parametrize(
    ("name", "replies", "output"),
    [
        ("write_text", ("short", "long"), "long"),
        ("write_code", ('{"language": "c", "code": "x"}', '{"language": "c", "code": "y"}'), {"language": "c", "code": "y"}),
    ],
)
async def test_what_is_written_is_reviewed_and_written_anew(
    fake_client: AsyncClient, name: str, replies: tuple[str, str], output: Any
) -> None:
    first, second = replies
    end, model = await run(fake_client, name, {"task": "a report"}, second)
    assert (end.output, end.nodes) == (output, 1), "unless the settings want it, nobody reviews"
    end, model = await run(fake_client, name, {"task": "a report"}, first, BAD, second, FINE, settings=REVIEWED)
    assert (end.output, await tree(fake_client, end.run)) == (output, [("0", name), ("0.0", "review"), ("0.1", "review")])
    _, review, anew, _ = prompts(model)
    assert "Task: a report\n\nWork:\n" in review
    assert "Task: a report\n\nWhat was written:\n" in anew
    assert 'Problems that a review found:\n[\n  "too short"\n]' in anew
    end, _ = await run(fake_client, name, {"task": "a report"}, first, BAD, second, BAD, settings=REVIEWED)
    assert failed(end) == 'not approved after 1 rounds: [\n  "too short"\n]'
    assert await executions(fake_client, end.run) == 5, "and another attempt would not be approved either"


async def test_a_language_is_asked_for(fake_client: AsyncClient) -> None:
    _, model = await run(fake_client, "write_code", {"task": "sort", "language": "c"}, '{"language": "c", "code": "x"}')
    assert "sort\nLanguage: c\n" in prompts(model)[0]


async def test_a_review_whose_reply_can_not_be_used_fails(fake_client: AsyncClient) -> None:
    end, _ = await run(fake_client, "review", {"task": "a", "work": "b"}, FINE)
    assert end.output == {"approved": True, "problems": []}
    end, _ = await run(fake_client, "review", {"task": "a", "work": "b"}, '{"approved": "yes"}')
    assert "can't be used" in failed(end)


# Files.


async def test_code_is_saved_in_the_folder_of_the_run(fake: Fake, fake_client: AsyncClient, tmp_path: Path) -> None:
    settings = replace(QUICK, work_dir=tmp_path)
    end, _ = await run(fake_client, "save_code", {"path": "src/a.py", "code": "é = 1\n"}, settings=settings)
    assert end.output == {"path": "src/a.py", "bytes": 7}
    assert (tmp_path / end.run / "src/a.py").read_bytes() == "é = 1\n".encode()
    assert fake.swarm.runs[end.run].fold.receipts == {("0", "save_code"): '{"path":"src/a.py","bytes":7}'}
    assert "work_dir" not in fake.swarm.runs[end.run].settings
    end, _ = await run(fake_client, "save_code", {"path": "../a.py", "code": "x"}, settings=settings)
    assert failed(end) == "'../a.py' is no path within the folder of the run"


async def test_no_link_leads_out_of_the_folder_of_the_run(fake_client: AsyncClient, tmp_path: Path) -> None:
    swarm = swarm_of(fake_client, *builtin.TYPES, settings=replace(QUICK, work_dir=tmp_path / "runs"))
    (tmp_path / "outside").mkdir()
    for path, target in (("sub/a.py", "sub"), ("a.py", "a.py")):
        run = await swarm.create("x", Blueprint("save_code", {"path": path, "code": "x"}))
        (tmp_path / "runs" / run).mkdir(parents=True)
        (tmp_path / "runs" / run / target).symlink_to(tmp_path / "outside")
        assert "leads out of the folder" in failed(await swarm.resume(run))
        assert await executions(fake_client, run) == 1
    assert list((tmp_path / "outside").iterdir()) == []


def test_files_stay_in_the_folder() -> None:
    folder = Path("/runs/r")
    assert inside(folder, "a/b.py") == Path("/runs/r/a/b.py")
    for bad in ("", ".", "./a", "/etc/passwd", "../x", "a/../../x", "a\0b"):
        with pytest.raises(NodeError, match="no path within"):
            inside(folder, bad)


# Information.


async def test_questions_are_answered_from_memory_with_their_sources(fake: Fake, fake_client: AsyncClient) -> None:
    end, model = await run(fake_client, "retrieve_info", {"question": "who renews"}, "the holder")
    sources = ["doc:who@0#L1-1", "doc:renews@0#L1-1"]
    assert end.output == {"answer": "the holder", "sources": sources}
    assert "# doc:renews@0#L1-1\n</context>" in prompts(model)[0]
    end, model = await run(fake_client, "retrieve_info", {"question": "what runs", "about": "hivemem"}, "nodes")
    assert [(asked.namespace, asked.task) for asked in fake.memory.contexts[1:]] == [
        ("default", "what runs"),
        ("hivemem-docs", "what runs"),
    ]
    assert prompts(model)[0].count("<context>\n# doc:what@0#L1-1\n# doc:runs@0#L1-1\n</context>") == 2
    end, _ = await run(fake_client, "retrieve_info", {"question": "x", "about": "the weather"})
    assert failed(end).startswith("data of retrieve_info: /about: 'the weather' is not one of")


async def test_a_page_is_read_and_asked(fake: Fake, fake_client: AsyncClient) -> None:
    fake.data.objects["https://a.example/"] = data_pb2.DataObject(uri="https://a.example/")
    end, model = await run(fake_client, "browse_web", {"url": "https://a.example/", "question": "prices today"}, "high")
    assert end.output == {"url": "https://a.example/", "text": "high"}
    asked = fake.memory.contexts[-1]
    assert (asked.task, list(asked.filter.sources)) == ("prices today", ["https://a.example/"])
    assert "# doc:today@0#L1-1\n</context>\n\nQuestion: prices today" in prompts(model)[0]
    end, model = await run(fake_client, "browse_web", {"url": "https://a.example/"})
    assert (end.output["text"], model.asked) == ("# doc:https://a.example/@0#L1-1", []), "without a question: what it is about"
    end, _ = await run(fake_client, "browse_web", {"url": "https://b.example/"})
    assert "nobody registered https://b.example/" in failed(end)
    assert await executions(fake_client, end.run) == 1, "another attempt would not find it either"


async def test_a_person_is_asked_and_the_answer_is_the_output(fake: Fake, fake_client: AsyncClient) -> None:
    swarm = swarm_of(fake_client, *builtin.TYPES)
    run = await swarm.create("x", Blueprint("ask_user_for_help", {"question": "Which?", "choices": ["red", "blue"]}))
    working = asyncio.create_task(swarm.resume(run))
    question = await first_question(fake_client)
    assert (question.text, question.choices) == ("Which?", ("red", "blue"))
    await fake_client.answer_question(run, "0", "blue")
    assert (await working).output == "blue"
    end = await swarm.run("x", Blueprint("ask_user_for_help", {"question": ""}))
    assert failed(end) == "data of ask_user_for_help: /question: '' should be non-empty"


# Together.


async def test_goals_are_routed_to_those_that_are_no_mere_steps_of_others(fake: Fake, fake_client: AsyncClient) -> None:
    await swarm_of(fake_client, *builtin.TYPES).register()
    routed = {node.name: node for node in fake.router.registered}
    assert routed.keys() == {kind.name for kind in builtin.TYPES} - {"route_goal", "finish", "write_tests", "run_tests"}
    for node in routed.values():
        assert len(node.utterances) >= 3
        assert node.description.endswith(".")
        assert json.loads(node.arguments)["type"] == "object"


async def test_the_nodes_at_the_top_know_the_swarm_and_the_others_their_task(fake: Fake, fake_client: AsyncClient) -> None:
    fake.router.says("write", "write_text")
    steps = json.dumps({"order": "parallel", "steps": ["write"]})
    end, model = await run(
        fake_client, "break_down_goal", {"goal": "all"}, steps, "written", settings=replace(QUICK, memory=False)
    )
    assert (end.output, len(model.asked)) == ("written", 2)
    top, below = prompts(model)
    assert top.startswith(f"{ABOUT_THE_SWARM}\n\nSplit the goal")
    assert below == "Write the text that the task asks for, and nothing else.\n\nwrite"
    model = Scripted("hello")
    await swarm_of(fake_client, builtin.write_text, model=model).run("x", Blueprint("write_text", {"task": "a"}))
    assert ABOUT_THE_SWARM not in prompts(model)[0], "it tells of types that are there"


async def test_a_tool_that_is_not_there_is_no_reason_to_stop(fake: Fake, fake_client: AsyncClient) -> None:
    @node_type("create_tool")
    async def create_tool(step: Step) -> Any:
        return step.data["makes"]

    for made, says in (({"tool": "echo"}, "use it"), ({"tool": "sorts"}, "write_text")):
        model = Scripted(
            json.dumps({"type": "create_tool", "data": {"makes": made}}), '{"type": "echo", "data": {"goal": "sort"}}'
        )
        if made["tool"] == "sorts":
            model.replies[1:] = ['{"type": "write_text", "data": {"task": "sort"}}', "sorted"]
        others = [kind for kind in builtin.TYPES if kind is not builtin.create_tool]
        swarm = swarm_of(fake_client, *others, echo, create_tool, model=model)
        end = await swarm.run("x", Blueprint("route_goal", {"goal": "sort"}))
        assert end.output == ("did sort" if made["tool"] == "echo" else "sorted")
        again = prompts(model)[1]
        assert says in again
        assert ("- echo: " in again, "write_text: " in again) == ((True, False) if made["tool"] == "echo" else (False, True))
