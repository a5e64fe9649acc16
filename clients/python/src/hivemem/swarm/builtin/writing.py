"""Texts and code that a model writes, and the review by another node."""

from __future__ import annotations

from typing import Any

from hivemem.swarm.builtin.schemas import texts
from hivemem.swarm.node import Blueprint, Finish, NodeFailed, Outcome, node_type, parallel
from hivemem.swarm.step import Step, as_text

_CODE = {
    "type": "object",
    "properties": {"language": {"type": "string", "minLength": 1}, "code": {"type": "string", "minLength": 1}},
    "required": ["language", "code"],
}

_VERDICT = {
    "type": "object",
    "properties": {"approved": {"type": "boolean"}, "problems": {"type": "array", "items": {"type": "string"}}},
    "required": ["approved", "problems"],
}


@node_type(
    "write_text",
    schema=texts(["task"]),
    context=True,
    utterances=["write a paragraph about this", "explain how it works", "summarize the notes", "draft an e-mail"],
)
async def write_text(step: Step) -> Outcome:
    """Writes a text: an answer, an explanation, documentation, a summary."""
    text = await step.ask_text("Write the text that the task asks for, and nothing else.", step.data["task"])
    return _reviewed(step, text, 0)


@write_text.resume
async def _rewrite_text(step: Step) -> Outcome:
    found = _verdict(step)
    if found is None:
        return Finish(step.keep["work"])
    round_, task = found
    text = await step.ask_text("Write the text anew so that the problems are gone, and nothing else.", task)
    return _reviewed(step, text, round_)


@node_type(
    "write_code",
    schema=texts(["task"], ["language"]),
    context=True,
    utterances=["write a python function", "implement this class", "fix the bug in this code", "write a script"],
)
async def write_code(step: Step) -> Outcome:
    """Writes code in any language: a function, a script, a class, a fix."""
    language = step.data.get("language")
    task = f"{step.data['task']}\nLanguage: {language}" if language else step.data["task"]
    code = await step.ask_json("Write the code that the task asks for, complete.", task, _CODE)
    return _reviewed(step, code, 0)


@write_code.resume
async def _rewrite_code(step: Step) -> Outcome:
    found = _verdict(step)
    if found is None:
        return Finish(step.keep["work"])
    round_, task = found
    code = await step.ask_json("Write the code anew so that the problems are gone.", task, _CODE)
    return _reviewed(step, code, round_)


def _reviewed(step: Step, work: Any, round_: int) -> Outcome:
    """The work is done, unless reviews are wanted: then another node looks at it first."""
    if not step.settings.review:
        return Finish(work)
    data = {"task": step.data["task"], "work": as_text(work)}
    return parallel(Blueprint("review", data), keep={"work": work, "round": round_})


def _verdict(step: Step) -> tuple[int, str] | None:
    """The round that mends what a review found, and what there is to do in it; None if the work will do."""
    found = step.last_output
    if found["approved"] is True:
        return None
    problems = as_text(found["problems"])
    round_ = step.keep["round"] + 1
    if round_ > step.settings.rounds_max:
        raise NodeFailed(f"not approved after {round_ - 1} rounds: {problems}")
    written = as_text(step.keep["work"])
    return round_, f"Task: {step.data['task']}\n\nWhat was written:\n{written}\n\nProblems that a review found:\n{problems}"


@node_type(
    "review",
    schema=texts(["task", "work"]),
    context=True,
    utterances=["review this text", "check the code for mistakes", "is this answer right"],
)
async def review(step: Step) -> Outcome:
    """Checks whether work fulfils its task, and names what is wrong with it."""
    role = "Check whether the work does what the task asks. Approve it unless something is wrong or missing that matters."
    return Finish(await step.ask_json(role, f"Task: {step.data['task']}\n\nWork:\n{step.data['work']}", _VERDICT))
