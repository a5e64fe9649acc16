"""Goals: which node serves one, how one is split, how results become one.

Break down, but not too much: a goal is tried by a node first, and split where none serves, where trying failed, or where the
model says that it must be.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from hivemem.errors import HivememError
from hivemem.swarm.builtin.code import execute_code
from hivemem.swarm.builtin.schemas import texts
from hivemem.swarm.builtin.tools import create_tool, run_tests
from hivemem.swarm.node import Blueprint, Child, Finish, NodeError, NodeFailed, NodeType, Outcome, node_type, parallel, plan
from hivemem.swarm.step import Step, as_text, stable_key

_ALWAYS = ("write_text", "write_code", "retrieve_info", "create_tool", "break_down_goal", "ask_user_for_help")
# There to choose from, whatever the router says, as far as they can be run here.

_RUN_CODE = (create_tool, execute_code, run_tests)

_STEPS_MAX = 12


@node_type("route_goal", schema=texts(["goal"], ["part_of"]), context=True, routed=False)
async def route_goal(step: Step) -> Outcome:
    """Finds the node type that serves a goal, and has it done."""
    route = await step.client.route(step.data["goal"], context=step.data.get("part_of", ""))
    # One node that takes the goal as it is needs no model to say so.
    if route.decision == "route" and len(route.set) == 1:
        (chosen,) = route.set
        kind = await _runnable(step, chosen)
        if kind is not None and (field := _plain_field(kind)) is not None:
            return parallel(Blueprint(chosen, {field: step.data["goal"]}))
    names = () if route.decision == "none" else route.set
    hint = f"\nThe router says: {route.advice}" if route.advice else ""
    return await _choose(step, names, hint, {candidate.name: candidate.summary for candidate in route.candidates})


@route_goal.resume
async def _routed(step: Step) -> Outcome:
    child = step.children[-1]
    await _tell(step, child)
    if child.error is None and child.type == "create_tool":
        # A new tool was made for this goal, so it is what does it.
        tool = str(child.output.get("tool")) if isinstance(child.output, Mapping) else ""
        step.scope.types.forget(tool)
        there = await _runnable(step, tool) is not None
        return await _choose(step, [tool], "\nThe tool was made for this goal: use it." if there else "", {})
    if child.error is None:
        return Finish(child.output)
    if child.type == "break_down_goal":
        raise NodeFailed(child.error)
    return parallel(Blueprint("break_down_goal", {"goal": step.data["goal"], "why": child.error}))


async def _runnable(step: Step, name: str) -> NodeType | None:
    """The type of that name, if it can be run here.

    The catalogue also has tools whose code is somewhere else, and what runs code has to be allowed to.
    """
    try:
        kind = await step.scope.types.find(name)
    except NodeError:
        return None
    runs_code = kind.script is not None or kind in _RUN_CODE
    return kind if step.settings.scripts.enabled or not runs_code else None


def _plain_field(kind: NodeType) -> str | None:
    """The one field of a type that wants one text, which is then the goal; None if it wants more."""
    schema = kind.schema or {}
    required = schema.get("required", [])
    if len(required) != 1 or required[0] not in ("goal", "task", "question"):
        return None
    wanted = schema.get("properties", {}).get(required[0])
    return str(required[0]) if isinstance(wanted, Mapping) and wanted.get("type") == "string" else None


async def _choose(step: Step, names: Sequence[str], hint: str, summaries: Mapping[str, str]) -> Outcome:
    """Has the model choose among those of `names` that can be run here, and fill in the data.

    What is always there can be chosen as well, unless there is just one of `names`.
    """
    offered = await _runnable_of(step, names)
    if len(offered) != 1:
        offered |= await _runnable_of(step, [name for name in _ALWAYS if name not in names])
    if not offered:
        raise NodeFailed("there is no node type to choose from: this swarm knows none of its own")
    task = f"Goal: {step.data['goal']}{hint}\n\nNode types to choose from:\n"
    for name, kind in offered.items():
        data = json.dumps(kind.schema or {"type": "object"}, ensure_ascii=False)
        task += f"- {name}: {summaries.get(name, kind.description)} Data: {data}\n"
    schema = {
        "type": "object",
        "properties": {"type": {"type": "string", "enum": [*offered]}, "data": {"type": "object"}},
        "required": ["type", "data"],
    }
    role = (
        "Choose the one node type that reaches the goal, with its data. Prefer one that does it at once; choose break_down_goal "
        "only if no single node can do it."
    )
    told = ""
    for _ in range(step.settings.repairs_max + 1):
        chosen = await step.ask_json(role, task + told, schema)
        try:
            offered[chosen["type"]].check(chosen["data"])
        except NodeError as error:
            told = f"\nThe last choice can't be used: {error}"
        else:
            return parallel(Blueprint(chosen["type"], chosen["data"]))
    raise NodeError(f"no usable choice was made.{told}")


async def _runnable_of(step: Step, names: Sequence[str]) -> dict[str, NodeType]:
    found = {name: await _runnable(step, name) for name in names}
    return {name: kind for name, kind in found.items() if kind is not None}


async def _tell(step: Step, child: Child) -> None:
    """The router learns what came of it. It is advice: a server that does not take it stops nothing."""
    key = stable_key(f"swarm/{step.run}/{step.path}/outcome/{len(step.children)}")
    with contextlib.suppress(HivememError):
        await step.client.record_outcome(step.data["goal"], child.type, succeeded=child.error is None, idempotency_key=key)


@node_type(
    "break_down_goal",
    schema=texts(["goal"], ["why"]),
    context=True,
    utterances=["plan a large project", "do several different things one after the other", "build a whole application"],
)
async def break_down_goal(step: Step) -> Outcome:
    """Splits a goal that is too large for one node into steps, and combines what they come to."""
    goal, why = step.data["goal"], step.data.get("why")
    most = min(step.settings.fan_out_max, _STEPS_MAX)
    one = {"type": "string", "minLength": 1}
    schema = {
        "type": "object",
        "properties": {
            "order": {"type": "string", "enum": ["parallel", "sequential"]},
            "steps": {"type": "array", "minItems": 1, "maxItems": most, "items": one},
        },
        "required": ["order", "steps"],
    }
    role = (
        f"Split the goal into as few steps as will do, at most {most}. Each is a goal that can be reached by someone who sees "
        "only it and the context. Steps that need the results of others are sequential."
    )
    task = f"Goal: {goal}\nDoing it at once failed: {why}" if why else f"Goal: {goal}"
    made = await step.ask_json(role, task, schema)
    steps = [Blueprint("route_goal", {"goal": part, "part_of": goal}) for part in made["steps"]]
    return plan(*steps) if made["order"] == "sequential" else parallel(*steps)


@break_down_goal.resume
async def _combined(step: Step) -> Outcome:
    # What combines the others is the last child.
    last = step.last_output
    if step.children[-1].type == "finish" or len(step.children) == 1:
        return Finish(last)
    for child in step.children:
        if child.error is not None:
            raise NodeFailed(f"a step failed: {child.error}")
    results = [child.to_json() for child in step.children]
    return parallel(Blueprint("finish", {"goal": step.data["goal"], "results": results}))


_RESULTS = {
    "type": "object",
    "properties": {"goal": {"type": "string"}, "results": {"type": "array"}},
    "required": ["goal", "results"],
}


@node_type("finish", schema=_RESULTS, context=True, routed=False)
async def finish(step: Step) -> Outcome:
    """Combines results of several nodes into the one answer to a goal."""
    task = f"Goal: {step.data['goal']}\n\nResults of the steps:\n"
    for result in step.data["results"]:
        held: Mapping[str, Any] = result if isinstance(result, Mapping) else {}
        task += f"--- {held.get('number')}\n{as_text(held.get('output'))}\n"
    role = "Write the answer to the goal from the results of its steps. Leave nothing out that the goal asks for."
    return Finish(await step.ask_text(role, task))
