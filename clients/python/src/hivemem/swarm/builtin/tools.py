"""New tools: a model writes the code, another node its tests, a third runs them; what passes is registered and routed to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hivemem.swarm import launch
from hivemem.swarm.builtin.schemas import texts
from hivemem.swarm.node import Blueprint, Finish, NodeError, NodeFailed, Outcome, node_type, parallel
from hivemem.swarm.schema import broken
from hivemem.swarm.step import Step
from hivemem.swarm.tree import encode
from hivemem.types import Node

_TOOL = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z][a-z0-9_]{2,63}$"},
        "description": {"type": "string", "minLength": 1},
        "arguments": {"type": "object"},
        "returns": {"type": "string"},
        "language": {"type": "string", "minLength": 1},
        "code": {"type": "string", "minLength": 1},
        "utterances": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["name", "description", "arguments", "language", "code"],
}

_MADE_BY = "run"
# Metadata of a tool: the run that made it and may replace it.

_TESTS_MAX = 8

_ROLE = (
    "Write a tool: a small program that reads its arguments as one JSON object on stdin and prints its result as one JSON value "
    "on stdout, nothing else. `arguments` is the JSON Schema of that object. It is general enough to be used again."
)


@node_type(
    "create_tool",
    schema=texts(["goal"], ["language"]),
    context=True,
    utterances=["make a tool for this", "create a function that the swarm can use again", "build a new capability"],
)
async def create_tool(step: Step) -> Outcome:
    """Makes a new tool for a kind of goal that no other serves: code, tests, and its entry in the catalogue."""
    goal = step.data["goal"]
    language = step.data.get("language") or f"one of {', '.join(sorted(step.settings.scripts.interpreters))}"
    tool = await _design(step, _ROLE, f"The tool is for goals like this one: {goal}\nLanguage: {language}")
    # Who writes the tests sees what it promises, not how it is done.
    promised = {name: tool.get(name) for name in ("name", "description", "arguments", "returns")}
    return parallel(Blueprint("write_tests", {"goal": goal, "tool": promised}), keep={"tool": tool, "round": 0})


@create_tool.resume
async def _mend_or_save(step: Step) -> Outcome:
    last, keep = step.last_output, dict(step.keep)
    if step.children[-1].type == "write_tests":
        keep["tests"] = last["tests"]
        return parallel(Blueprint("run_tests", {"tool": keep["tool"], "tests": keep["tests"]}), keep=keep)
    failed = last["failed"]
    if not failed:
        return await _save(step)
    keep["round"] += 1
    if keep["round"] > step.settings.rounds_max:
        raise NodeFailed(f"the tool fails its tests after {keep['round']} rounds: {encode(failed)}")
    task = f"Goal: {step.data['goal']}\n\nTool:\n{encode(keep['tool'])}\n\nFailed tests:\n{encode(failed)}"
    role = f"{_ROLE}\nThe tool below fails tests: write it anew so that it passes. Keep its name."
    keep["tool"] = await _design(step, role, task)
    return parallel(Blueprint("run_tests", {"tool": keep["tool"], "tests": keep["tests"]}), keep=keep)


async def _design(step: Step, role: str, task: str) -> dict[str, Any]:
    """A tool that can be saved; what is wrong with one is told, as often as replies are repaired."""
    told = ""
    for _ in range(step.settings.repairs_max + 1):
        tool: dict[str, Any] = await step.ask_json(role, task + told, _TOOL)
        problem = await _problem(step, tool)
        if not problem:
            return tool
        told = f"\n\nThe last tool can't be used: {problem}"
    raise NodeError(f"no usable tool was written.{told}")


async def _problem(step: Step, tool: Mapping[str, Any]) -> str:
    """Why a tool can't be saved; empty: it can.

    A schema that is none would only show when the tool is used, and a name that something else has would replace that for
    everyone.
    """
    if found := broken(tool["arguments"]):
        return f"its arguments are no JSON Schema: {found}"
    name = tool["name"]
    held = await step.scope.types.get_node(name)
    foreign = held is not None and held.metadata.get(_MADE_BY) != step.run
    if foreign or step.scope.types.is_own(name):
        return f"the name {name} is taken by another node type, choose one that nothing has yet"
    return ""


async def _save(step: Step) -> Outcome:
    tool = step.keep["tool"]
    # Somebody may have taken the name while it was tested.
    if problem := await _problem(step, tool):
        raise NodeFailed(f"the tool was not registered: {problem}")
    node = Node(
        name=tool["name"],
        description=tool["description"],
        kind="script",
        language=tool["language"],
        code=tool["code"],
        arguments=encode(tool["arguments"]),
        returns=tool.get("returns", ""),
        test_cases=tuple(map(encode, step.keep["tests"])),
        utterances=(*tool.get("utterances", ()), step.data["goal"]),
        folder="swarm/tools",
        metadata={_MADE_BY: step.run},
    )

    async def register(key: str) -> Any:
        reply = await step.client.register_nodes([node], wait=True, idempotency_key=key)
        if reply.issues:
            raise NodeFailed(f"{node.name} was not registered: {reply.issues[0].reason}")
        return {"tool": node.name}

    return Finish(await step.effect("create_tool", register))


_TO_TEST = {"goal": {"type": "string"}, "tool": {"type": "object"}}


@node_type("write_tests", schema={"type": "object", "properties": _TO_TEST, "required": [*_TO_TEST]}, context=True, routed=False)
async def write_tests(step: Step) -> Outcome:
    """Writes test cases of a tool from what it promises."""
    tool = step.data["tool"]
    arguments = _rebased(tool.get("arguments", {}), "#/properties/tests/items/properties/arguments")
    case = {
        "type": "object",
        "properties": {"arguments": arguments, "expected": {}},
        "required": ["arguments", "expected"],
    }
    schema = {
        "type": "object",
        "properties": {"tests": {"type": "array", "minItems": 1, "maxItems": _TESTS_MAX, "items": case}},
        "required": ["tests"],
    }
    role = (
        "Write three to eight test cases of the tool, edge cases among them: arguments, and the exact JSON value that it has to "
        "print for them."
    )
    return Finish(await step.ask_json(role, encode(tool), schema))


def _rebased(schema: Any, place: str) -> Any:
    """Lets references within a schema, which count from its root, be found where it stands at `place` of another."""
    if isinstance(schema, Mapping):
        # The references of one with an `$id` count from there wherever it stands.
        if "$id" in schema:
            return schema
        return {name: _reference(value, place) if name == "$ref" else _rebased(value, place) for name, value in schema.items()}
    return [_rebased(item, place) for item in schema] if isinstance(schema, list) else schema


def _reference(value: Any, place: str) -> Any:
    within = isinstance(value, str) and (value == "#" or value.startswith("#/"))
    return f"{place}{value[1:]}" if within else _rebased(value, place)


_TESTED = {"tool": {"type": "object"}, "tests": {"type": "array"}}


@node_type("run_tests", schema={"type": "object", "properties": _TESTED, "required": [*_TESTED]}, routed=False)
async def run_tests(step: Step) -> Outcome:
    """Runs the test cases of a tool."""
    tool = step.data["tool"]
    passed, failed = 0, []
    for test in step.data["tests"]:
        try:
            printed = (await launch.run(step, tool.get("language", ""), tool.get("code", ""), test["arguments"])).json()
        except NodeFailed:
            # Not allowed at all is no fault of the tool.
            raise
        except NodeError as error:
            failed.append({"test": test, "error": str(error)})
            continue
        if _same(printed, test["expected"]):
            passed += 1
        else:
            failed.append({"test": test, "printed": printed})
    return Finish({"passed": passed, "failed": failed})


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: to this language 1, 1.0 and true are one."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
