"""Node types that are scripts: of a `node_scripts.json`, or of the server's catalogue. How they are run is in `launch`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema

from hivemem.swarm import launch
from hivemem.swarm.node import Ask, Blueprint, Finish, NodeError, NodeFailed, NodeType, Outcome, Spawn, named
from hivemem.swarm.schema import problems, validator_of
from hivemem.swarm.step import Step, cut
from hivemem.swarm.tree import encode
from hivemem.types import Node

_OTHER_PROGRAMS = ("python", "rust")
# Languages of programs that register node types whose logic stays with them.

_ENTRY = validator_of(
    {
        "type": "object",
        "properties": {
            **{name: {"type": "string"} for name in ("description", "language", "script", "code")},
            **{name: {"type": "boolean"} for name in ("effect", "resumes", "tool")},
            "utterances": {"type": "array", "items": {"type": "string"}},
        },
    }
)

_BLUEPRINTS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"type": {"type": "string"}, "data": {}},
        "required": ["type"],
        "additionalProperties": False,
    },
}

_OUTCOME = validator_of(
    {
        "type": "object",
        "properties": {
            "answer": {},
            "question": {"type": "string"},
            "choices": {"type": "array", "items": {"type": "string"}},
            "children": _BLUEPRINTS,
            "then": _BLUEPRINTS,
            "keep": {},
        },
        "additionalProperties": False,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """The logic of a node type in another process."""

    language: str
    code: str
    effect: bool = False
    """It changes something outside: it is run once in the life of the run."""
    resumes: bool = False
    """It wants to be run again when its children are done."""
    tool: bool = False
    """It reads the node's data alone, and what it prints is its answer and nothing else; not an outcome."""

    async def run(self, step: Step) -> Outcome:
        """One execution. Errors as `launch.run`; NodeError for output that is no JSON, or no outcome."""

        async def carry_out(_: str) -> Any:
            given = step.data if self.tool else _input_of(step)
            return (await launch.run(step, self.language, self.code, given)).json()

        if self.effect:
            # The resumption of a node is another effect than its first execution, and a script that asks has had none yet: with
            # the answer it is run again.
            output = await step.effect_unless(self._asks, f"script {len(step.children)}", carry_out)
        else:
            output = await carry_out("")
        return Finish(output) if self.tool else outcome_of_output(output)

    def _asks(self, output: Any) -> bool:
        return not self.tool and isinstance(output, Mapping) and output.get("question") is not None


def node_scripts(text: str) -> list[NodeType]:
    """The node types of a `node_scripts.json`: `{type: {language, description, script, …}}`.

    An entry may also have `arguments` (JSON Schema of its data), `utterances`, and what `Script` says: `effect`, `resumes`,
    `tool`. Other fields are skipped: other programs have theirs in it. Raises ValueError for what is not understood, naming the
    entry.
    """
    entries = json.loads(text)
    if not isinstance(entries, dict):
        raise ValueError("node scripts are a JSON object by node type")
    return [_read(name, entry) for name, entry in entries.items()]


def _read(name: str, entry: Any) -> NodeType:
    if found := problems(_ENTRY, entry):
        raise ValueError(f"node script {name!r}: {found}")
    code, language = entry.get("script", entry.get("code", "")), entry.get("language", "")
    if not code.strip() or not language:
        raise ValueError(f"node script {name!r} needs a language and a script")
    says = {field: entry.get(field, False) for field in ("effect", "resumes", "tool")}
    script = Script(language=language, code=code, **says)
    schema = entry.get("arguments", entry.get("parameters", {"type": "object"}))
    try:
        return _type_of(name, schema, script, entry.get("description", ""), entry.get("utterances", ()))
    except NodeError as error:
        raise ValueError(f"node script {name!r}: {error}") from error


def type_of_node(node: Node) -> NodeType:
    """The node type that an entry of the catalogue is.

    One with code is a tool; one without is a prompt if that is what it was registered as. The code of all others is somewhere
    else, and a model must not make up what they would have said. Raises NodeFailed for those, and for a schema that is none.
    """
    elsewhere = node.language.lower() in _OTHER_PROGRAMS
    prompt = not node.code.strip()
    if prompt and (node.kind != "llm" or elsewhere):
        whose = f" of a program in {node.language}" if elsewhere else ""
        kind = node.kind or "function"
        raise NodeFailed(f"{node.name} can't be run here: it is a {kind}{whose}, and the catalogue has no code of it")
    try:
        schema = json.loads(node.arguments) if node.arguments else {"type": "object"}
    except ValueError as error:
        raise NodeFailed(f"the schema of {node.name} is not JSON: {error}") from error
    if prompt:
        return _type_of(node.name, schema, None, node.description, node.utterances)
    said = node.metadata
    script = Script(
        language=node.language,
        code=node.code,
        effect=said.get("effect") == "true",
        resumes=said.get("resumes") == "true",
        tool=said.get("outcome") != "node",
    )
    return _type_of(node.name, schema, script, node.description, node.utterances)


def _type_of(name: str, schema: Any, script: Script | None, description: str, utterances: Any) -> NodeType:
    """Without a script it is a prompt: its description. Raises NodeFailed for a name or a schema that is none."""
    if not named(name):
        raise NodeFailed(f"{cut(name, 40)!r} can't name a node type: it is too long or no plain text")
    try:
        validator_of(schema)
    except jsonschema.SchemaError as error:
        raise NodeFailed(f"the schema of {name} can't be used: {error.message}") from error
    said = tuple(utterances) or ((description,) if description else ())
    if script is None:
        ask, task = _prompt(description)
        return NodeType(name, ask, description, schema, context=True, utterances=said, task=task)
    resumed = script.run if script.resumes else None
    return NodeType(name, script.run, description, schema, utterances=said, resumed=resumed, script=script)


def _prompt(description: str) -> tuple[Callable[[Step], Any], Callable[[Any], str]]:
    """What asks the model, and what a context is gathered for before it does."""

    async def ask(step: Step) -> Outcome:
        return Finish(await step.ask_text(f"Your task, as it is described: {description}", encode(step.data)))

    return ask, lambda data: f"{description}\n{encode(data)}"


def _input_of(step: Step) -> dict[str, Any]:
    """What a script reads."""
    return {
        "type": step.type,
        "data": step.data,
        "node": step.path,
        "attempt": step.attempt,
        "answer": step.answer,
        "children": [child.to_json() for child in step.children],
        "keep": step.keep,
        "context": "\n\n".join(pack.text for pack in step.packs),
    }


def outcome_of_output(output: Any) -> Outcome:
    """Reads what a script printed: `{"answer": …}`, `{"question": "…"}` or `{"children": […], "then": […], "keep": …}`.

    Raises NodeError for anything else, saying what is wrong with it.
    """
    if found := problems(_OUTCOME, output):
        raise NodeError(f"the output is neither an answer nor blueprints: {found}")
    children, then = (tuple(_blueprint(one) for one in output.get(name, ())) for name in ("children", "then"))
    said = [name for name, there in (("answer", "answer" in output), ("question", "question" in output)) if there]
    if said == ["answer"] and not (children or then):
        return Finish(output["answer"])
    if said == ["question"] and not (children or then):
        return Ask(output["question"], tuple(output.get("choices", ())))
    if not said and (children or then):
        return Spawn(children=children, then=then, keep=output.get("keep"))
    raise NodeError("the output has to be one of: an answer, a question, or children")


def _blueprint(said: Mapping[str, Any]) -> Blueprint:
    return Blueprint(said["type"], said.get("data", {}))
