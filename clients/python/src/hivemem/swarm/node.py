"""What nodes are made of and come to: blueprints, outcomes, errors, node types. No logic of the loop is here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias
from unicodedata import category

from jsonschema.protocols import Validator

from hivemem.swarm.schema import problems, validator_of

if TYPE_CHECKING:
    from hivemem.swarm.script import Script
    from hivemem.swarm.step import Step

NAME_BYTES_MAX = 256
# Of the name of a node type or an effect, by the server's rule.


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A node that is to be: its type and what it is to work on (any JSON value, as the type's schema wants it)."""

    type: str
    data: Any = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As it is kept."""
        return {"type": self.type, "data": self.data}


@dataclass(frozen=True, slots=True)
class Finish:
    """The node has its output (any JSON value) and terminates."""

    output: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spawn:
    """Children come first; when all are done, the node's type resumes it."""

    children: tuple[Blueprint, ...] = ()
    """Side by side."""
    then: tuple[Blueprint, ...] = ()
    """One after the other, each when what is before it has terminated."""
    keep: Any = None
    """What the node wants to find again when it resumes."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A person has to be asked. With the answer the node is executed again: `step.answer`."""

    text: str
    choices: tuple[str, ...] = ()
    """The only answers that will do; empty: any."""


Outcome: TypeAlias = Finish | Spawn | Ask


def parallel(*children: Blueprint, keep: Any = None) -> Spawn:
    """Children side by side."""
    return Spawn(children=children, keep=keep)


def plan(*steps: Blueprint, keep: Any = None) -> Spawn:
    """Steps one after the other. A step that fails ends the plan, and the node resumes."""
    return Spawn(then=steps, keep=keep)


def ask(text: str, choices: Sequence[str] = ()) -> Ask:
    """A question to people."""
    return Ask(text, tuple(choices))


@dataclass(frozen=True, slots=True)
class Child:
    """What became of a child, as its parent sees it."""

    number: int
    """Which child, from 0 in the order of spawning."""
    type: str
    output: Any = None
    error: str | None = None
    """Why it failed, if it did."""

    def to_json(self) -> dict[str, Any]:
        """As a prompt shows it, or a node that combines several."""
        came_to = {"output": self.output} if self.error is None else {"error": self.error}
        return {"number": self.number, "type": self.type, **came_to}


class NodeError(Exception):
    """An execution that ended badly.

    Another attempt is made while the settings allow it. Any other exception of a node's function counts like this one.
    """

    retry = True


class NodeFailed(NodeError):
    """An execution that would end as badly another time: the node has failed."""

    retry = False


@dataclass(slots=True)
class Usage:
    """Tokens of model calls."""

    prompt_tokens: int = 0
    """Tokens that went in."""
    completion_tokens: int = 0
    """Tokens that came out."""

    def add(self, other: Usage) -> None:
        """Counts these as well."""
        self.prompt_tokens += other.prompt_tokens
        self.completion_tokens += other.completion_tokens

    @property
    def total(self) -> int:
        """Both together."""
        return self.prompt_tokens + self.completion_tokens


Function: TypeAlias = Callable[["Step"], Awaitable[Any]]


@dataclass(eq=False)
class NodeType:
    """A kind of node: what runs when one is executed. Made by `node_type`."""

    name: str
    execute: Function
    description: str = ""
    schema: Mapping[str, Any] | None = None
    """JSON Schema of a node's data."""
    context: bool = False
    """Whether a context is gathered before each execution, for `Step.task`: for types that ask a model."""
    remember: bool = True
    """Whether outputs are remembered."""
    utterances: tuple[str, ...] = ()
    """Goals that it is for, for the router."""
    routed: bool = True
    """Whether goals are routed to it; no, if it is only a step of others."""
    resumed: Function | None = field(default=None, repr=False)
    task: Callable[[Any], str] | None = field(default=None, repr=False)
    """Makes of a node's data what its context is gathered for. None: what `Step.task` says."""
    script: Script | None = field(default=None, repr=False)
    """Its logic, where that is a script."""

    def resume(self, function: Function) -> Function:
        """Decorates the function that runs when the children of a node are done.

        Without one, a node comes to what its children came to: the one output there is, or a list of them. It fails if one of
        them failed.
        """
        self.resumed = function
        return function

    def check(self, data: Any) -> None:
        """Raises NodeError if `data` is not as the schema wants it: whoever made it may make it better another time."""
        if found := problems(self._validator, data):
            raise NodeError(f"data of {self.name}: {found}")

    @cached_property
    def _validator(self) -> Validator:
        return validator_of(self.schema or {})

    async def __call__(self, step: Step) -> Any:
        """Runs the function itself, for tests."""
        return await self.execute(step)


def node_type(
    name: str,
    *,
    schema: Mapping[str, Any] | None = None,
    description: str | None = None,
    context: bool = False,
    remember: bool = True,
    utterances: Sequence[str] = (),
    routed: bool = True,
) -> Callable[[Function], NodeType]:
    """Makes a node type of an async function that takes a `Step` and returns an `Outcome`.

    Anything else that it returns is the node's output. The description is the function's docstring unless given. Raises
    jsonschema.SchemaError for a schema that is none.
    """
    if schema is not None:
        validator_of(schema)

    def made(function: Function) -> NodeType:
        said = description if description is not None else (function.__doc__ or "").strip()
        return NodeType(
            name=name,
            execute=function,
            description=said,
            schema=schema,
            context=context,
            remember=remember,
            utterances=tuple(utterances),
            routed=routed,
        )

    return made


def outcome_of(value: Any) -> Outcome:
    """What a function returned, as an outcome."""
    return value if isinstance(value, (Finish, Spawn, Ask)) else Finish(value)


def combine(children: Sequence[Child]) -> Finish:
    """The children's outputs: the one there is, or a list. Raises NodeFailed with the first child's error."""
    for child in children:
        if child.error is not None:
            raise NodeFailed(f"child {child.number} ({child.type}) failed: {child.error}")
    outputs = [child.output for child in children]
    return Finish(outputs[0] if len(outputs) == 1 else outputs)


def depth_of(path: str) -> int:
    """Steps from the root."""
    return path.count(".")


def named(name: object) -> bool:
    """Whether the server takes it for the name of a node type or an effect."""
    if not isinstance(name, str) or not name or any(category(letter) in ("Cc", "Cs") for letter in name):
        return False
    return len(name.encode()) <= NAME_BYTES_MAX
