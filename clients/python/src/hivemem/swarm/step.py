"""One execution of a node, and what it may use: its data, its context, the model, functions, receipts."""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from hivemem.aio import AsyncClient
from hivemem.swarm import llm
from hivemem.swarm.llm import Message, Model
from hivemem.swarm.node import NAME_BYTES_MAX, Child, Finish, NodeError, NodeFailed, Usage, depth_of, named, outcome_of
from hivemem.swarm.settings import Settings
from hivemem.types import ContextPack

if TYPE_CHECKING:
    from hivemem.swarm.catalogue import NodeTypes

T = TypeVar("T")

_TASK_BYTES_MAX = 8 * 1024
# Of a task that a context is gathered for: what a node has beyond that is material, and the server takes 32 KiB.

_RECEIPT_BYTES_MAX = 960 * 1024
# Of a receipt, which goes into one event: the server's limit is 1 MiB for all of it.

_NOTES_MAX = 20
_NOTE_BYTES_MAX = 500
# Notes of one execution, and bytes of each.


class Receipts(Protocol):
    """Where receipts are written."""

    async def write_receipt(self, path: str, name: str, receipt: Any) -> None:
        """Returns once it is durable."""


@dataclass(frozen=True)
class Scope:
    """What all executions of a run share."""

    client: AsyncClient
    model: Model | None
    types: NodeTypes
    settings: Settings
    run: str
    goal: str
    receipts: Receipts
    tokens: Usage
    """Of the whole run so far."""
    on_text: Callable[[str, str], None]
    """Hears what models say, with the node that asked."""


@dataclass
class Step:
    """What a node's function is given. It is for this execution only."""

    path: str
    """Place in the tree, such as `0.2.1`."""
    type: str
    """The type that is executed."""
    data: Any
    """What it works on; fits the type's schema."""
    attempt: int
    """From 1. One that only asked for an approval counts."""
    answer: str | None
    """What people said, if the node has asked. It stays, when the children are done as well, until the node asks again."""
    children: tuple[Child, ...]
    """All children so far, in order; they are done."""
    keep: Any
    """What the node kept when it spawned them."""
    packs: list[ContextPack]
    """Its context, those of the nodes above first."""
    scope: Scope = field(repr=False)
    held: dict[str, Any] = field(repr=False)
    """Receipts of effects by name; those that are written come in by themselves."""
    usage: Usage = field(default_factory=Usage)
    """Tokens of its model calls so far."""
    call: str = field(default="", repr=False)
    """Before the names of effects: which call of a function carries them out; empty for the node itself."""
    notes: list[str] = field(default_factory=list, repr=False)
    """What people find in the history."""

    @property
    def run(self) -> str:
        """Id of the run."""
        return self.scope.run

    @property
    def goal(self) -> str:
        """Goal of the run."""
        return self.scope.goal

    @property
    def client(self) -> AsyncClient:
        """The server, for whatever else the node wants of it."""
        return self.scope.client

    @property
    def settings(self) -> Settings:
        """Limits of the run."""
        return self.scope.settings

    @property
    def work_dir(self) -> Path:
        """Folder of the run for its files; it may not be there yet."""
        return Path(self.settings.work_dir) / self.run

    @property
    def depth(self) -> int:
        """Steps from the root."""
        return depth_of(self.path)

    @property
    def task(self) -> str:
        """What the node is to do, in words: `task`, `goal` or `question` of its data, or the data itself."""
        return task_of(self.data)

    @property
    def citations(self) -> tuple[str, ...]:
        """Of all that is before its model already."""
        return tuple(dict.fromkeys(citation for pack in self.packs for citation in pack.citations))

    @property
    def last_output(self) -> Any:
        """Output of the last child. Raises NodeFailed if it failed or there is none."""
        if not self.children:
            raise NodeFailed("there is no child")
        last = self.children[-1]
        if last.error is not None:
            raise NodeFailed(f"{last.type} failed: {last.error}")
        return last.output

    def note(self, text: str) -> None:
        """Says something that people should find in the history: the first 20 notes of an execution, 500 bytes of each."""
        if len(self.notes) < _NOTES_MAX:
            self.notes.append(cut(text, _NOTE_BYTES_MAX))

    async def gather_context(self, task: str, *, budget_tokens: int | None = None) -> ContextPack:
        """Gathers more context, without what is there already; later model calls have it before them too.

        Of a task that is longer than 8 KiB the beginning counts.
        """
        found = await self.client.gather_context(
            cut(task, _TASK_BYTES_MAX),
            budget_tokens=self.settings.context_tokens if budget_tokens is None else budget_tokens,
            run=self.run,
            node=self.path,
            held=self.citations,
        )
        self.packs.append(found)
        return found

    async def ask_text(self, role: str, task: str) -> str:
        """Asks the model for a text. `role` says what it is to do, `task` with what.

        Raises NodeError of the endpoint, NodeFailed where there is no model or the run's tokens are used up.
        """
        model, messages = self._prompt(role, task)
        return await self._counted(lambda usage: llm.text(model, messages, usage, self._heard))

    async def ask_json(self, role: str, task: str, schema: Mapping[str, Any]) -> Any:
        """Asks the model for a value of `schema`, and again while the reply is none. Errors as `ask_text`."""
        model, messages = self._prompt(role, task)
        repairs = self.settings.repairs_max
        return await self._counted(
            lambda usage: llm.structured(model, messages, schema, repairs=repairs, usage=usage, on_text=self._heard)
        )

    async def _counted(self, ask: Callable[[Usage], Awaitable[T]]) -> T:
        usage = Usage()
        try:
            return await ask(usage)
        finally:
            self.usage.add(usage)
            self.scope.tokens.add(usage)

    def _heard(self, text: str) -> None:
        self.scope.on_text(self.path, text)

    def _prompt(self, role: str, task: str) -> tuple[Model, Sequence[Message]]:
        """What stands first stays the same from call to call, for endpoints with a prompt cache."""
        if self.scope.model is None:
            raise NodeFailed(f"{self.type} needs a model and the swarm has none: give it one")
        most = self.settings.tokens_max
        if 0 < most <= self.scope.tokens.total:
            raise NodeFailed(f"the run has used its {most} tokens (tokens_max)")
        known = [f"<context>\n{pack.text}\n</context>" for pack in self.packs if pack.text]
        # The nodes at the top plan for the others, so they know what there is; the ones below have their task.
        about = [llm.ABOUT_THE_SWARM] if self.depth <= 1 and self.scope.types.is_own("route_goal") else []
        user = "\n\n".join([*known, *about, role, task])
        return self.scope.model, [{"role": "system", "content": llm.SYSTEM}, {"role": "user", "content": user}]

    async def exec_function(self, name: str, arguments: Any) -> Any:
        """Calls a function: a node type that finishes at once, a script too. Its arguments are checked against its schema.

        It has the same context before its model, and what it gathers itself stays with it. The receipts of its effects hold for
        calls of this function with these arguments, and for no others: the same call twice is one effect.

        Raises NodeError for wrong arguments and for an unknown one, NodeFailed for one that can't be run here and for one that
        would spawn or ask.
        """
        kind = await self.scope.types.find(name)
        kind.check(arguments)
        call = self._call_of(name, arguments)
        packs = [*self.packs]
        inner = replace(self, type=name, data=arguments, answer=None, children=(), keep=None, packs=packs, call=call)
        outcome = outcome_of(await kind.execute(inner))
        if not isinstance(outcome, Finish):
            raise NodeFailed(f"{name} does not finish at once: spawn it instead of calling it")
        return outcome.output

    def _call_of(self, name: str, arguments: Any) -> str:
        """Names a call by what is called and with what, so that it has the same name after a resume. As the Rust client does."""
        try:
            said = json.dumps(arguments, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)
            return f"{cut(name, NAME_BYTES_MAX // 4)} {stable_key(f'{self.call}{name} {said}')} "
        except (TypeError, ValueError) as error:
            raise NodeFailed(f"the arguments of {name} are no JSON value: {error}") from error

    async def effect(self, name: str, carry_out: Callable[[str], Awaitable[Any]]) -> Any:
        """Carries something out once in the life of the run, crashes included, and returns its receipt (a JSON value).

        `name` names it under the node. Asks for its receipt before, writes it after. Between the two a crash repeats it, so
        it should come to the same when it is done twice; the stable idempotency key that `carry_out` is given helps. In a
        function that is called, it names it under the call.

        Raises NodeFailed for a name over 256 bytes (that of the call counted in) or with control characters, and for a receipt
        over 960 KiB; NodeError for one that is no JSON value.
        """
        return await self.effect_unless(lambda _: False, name, carry_out)

    async def effect_unless(
        self, no_receipt: Callable[[Any], bool], name: str, carry_out: Callable[[str], Awaitable[Any]]
    ) -> Any:
        """As `effect`, but what comes to something that is `no_receipt` is carried out again the next time."""
        key = self.call + name
        if key in self.held and not no_receipt(self.held[key]):
            return self.held[key]
        if not name or not named(key):
            most = NAME_BYTES_MAX - len(self.call.encode())
            raise NodeFailed(f"{cut(name, 80)!r} can't name an effect: give it 1 to {most} bytes without control characters")
        receipt = await carry_out(stable_key(f"swarm/{self.run}/{self.path}/effect/{key}"))
        if no_receipt(receipt):
            return receipt
        try:
            size = len(json.dumps(receipt, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode())
        except (TypeError, ValueError) as error:
            raise NodeError(f"the receipt of {name} is no JSON value: {error}") from error
        if size > _RECEIPT_BYTES_MAX:
            raise NodeFailed(f"the receipt of {name} has {size} bytes, the limit is {_RECEIPT_BYTES_MAX}: keep it elsewhere")
        await self.scope.receipts.write_receipt(self.path, key, receipt)
        return receipt


def task_of(data: Any) -> str:
    """What a node is to do, in words."""
    if isinstance(data, Mapping):
        for name in ("task", "goal", "question"):
            if isinstance(data.get(name), str):
                return str(data[name])
    return as_text(data)


def as_text(value: Any) -> str:
    """A value as people read it: a string without quotes, the one text of an object, JSON otherwise."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and len(value) == 1:
        return as_text(next(iter(value.values())))
    return json.dumps(value, ensure_ascii=False, indent=2)


def cut(text: str, bytes_max: int) -> str:
    """The first bytes of a text, at a character's boundary. What UTF-8 has no bytes for becomes a question mark."""
    return text.encode(errors="replace")[:bytes_max].decode(errors="ignore")


def stable_key(name: str) -> str:
    """A short idempotency key: a place in a deep tree would be too long for one. The same as the Rust client's."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, name))
