"""The live part of a run: nodes that are not done, and the one lifecycle queue.

Every change is made here and comes back as the events that say it; nothing is sent from here. A node that is done leaves, and
only its result stays with its parent until that is done too, so memory follows the nodes that live, not those that were.
"""

from __future__ import annotations

import json
from bisect import insort
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hivemem.swarm.approval import approval_of, approves, is_approval
from hivemem.swarm.context import restored
from hivemem.swarm.node import Ask, Blueprint, Child, Finish, Outcome, Spawn, Usage
from hivemem.swarm.step import cut
from hivemem.types import ContextPack, EventKind, NodePhase, RunEvent, RunNode, RunState, RunStatus

ERROR_BYTES_MAX = 8 * 1024
# Of the text of an error: it goes into an event, and into the errors of the nodes above.


def encode(value: Any) -> str:
    """A JSON value as text. Raises TypeError or ValueError for what is none."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def decode(text: str) -> Any:
    """A JSON text as a value; empty is None."""
    return json.loads(text) if text else None


@dataclass
class Live:
    """A node that is not done."""

    type: str
    data: Any
    attempts: int = 0
    """Executions begun."""
    failures: int = 0
    """Executions that failed since one went well."""
    children: int = 0
    done: int = 0
    waiting: bool = False
    """Has an output and goes on when its children are done."""
    resumes: bool = False
    """Its children are done: the next execution resumes it."""
    from_: int = 0
    """First child of the outcome that it waits for."""
    then: deque[Blueprint] = field(default_factory=deque)
    """Steps of its plan that are left."""
    keep: Any = None
    results: list[Child] = field(default_factory=list)
    """Of its children that are done, by number."""
    receipts: dict[str, Any] = field(default_factory=dict)
    """Of effects by name."""
    asking: bool = False
    question: str = ""
    """What it asked last, in words."""
    approving: bool = False
    """It asks whether it may be executed, nothing of its own."""
    approved: bool = False
    """People said that it may, and it has not come to anything since."""
    missed: str | None = None
    """What people said while nobody worked on the run, until that is taken up."""
    answer: str | None = None
    answered_at: tuple[Any, Any] | None = None
    """When the question of the last answer was asked, and when answered."""
    pack: ContextPack | None = None
    """What it put before its model, for the nodes below."""


@dataclass(frozen=True)
class End:
    """How a run ended."""

    status: RunStatus
    output: Any


class Tree:
    """See the module."""

    def __init__(self) -> None:
        """An empty one."""
        self.nodes: dict[str, Live] = {}
        self.queue: deque[str] = deque()
        self.created = 0
        """Nodes over the life of the run."""
        self.end: End | None = None
        """How the run ended, once that is known."""
        self.ended = False
        """The event that says so was made: none may follow."""

    @classmethod
    def restore(cls, state: RunState) -> Tree:
        """The tree of a run as its state says it is. Nodes that were being executed come before the others in the queue."""
        tree = cls()
        tree.created = max(state.run.nodes, len(state.nodes))
        over = [node for node in state.nodes if node.phase in (NodePhase.FINISHED, NodePhase.FAILED)]
        for node in state.nodes:
            if node.phase not in (NodePhase.FINISHED, NodePhase.FAILED):
                tree.nodes[node.node] = _restored(node)
                if node.phase is NodePhase.RUNNING:
                    tree.queue.append(node.node)
        for node in over:
            tree._restore_result(node)
        tree.queue.extend(state.queue)
        return tree

    def _restore_result(self, node: RunNode) -> None:
        output = decode(node.output)
        error = _error_of(output) if node.phase is NodePhase.FAILED else None
        parent, _, number = node.node.rpartition(".")
        if not parent:
            self.end = _end_of(output, error)
        elif parent in self.nodes:
            child = Child(int(number), node.node_type, None if error is not None else output, error)
            insort(self.nodes[parent].results, child, key=lambda held: held.number)

    def above(self, path: str) -> Iterator[Live]:
        """Nodes from the root down to the parent of `path`."""
        steps = path.split(".")
        for depth in range(1, len(steps)):
            node = self.nodes.get(".".join(steps[:depth]))
            if node is not None:
                yield node

    @property
    def planned(self) -> int:
        """Steps of plans that are still to be spawned."""
        return sum(len(node.then) for node in self.nodes.values())

    def types(self) -> set[str]:
        """Node types that are still to be executed, steps of plans included."""
        steps = {step.type for node in self.nodes.values() for step in node.then}
        return steps | {node.type for node in self.nodes.values()}

    def asking(self) -> list[str]:
        """Nodes that wait for people."""
        return [path for path, node in self.nodes.items() if node.asking]

    def plant(self, root: Blueprint) -> list[RunEvent]:
        """Spawns the root."""
        return [self._create("0", root)]

    def begin(self, path: str, data: Any) -> list[RunEvent]:
        """An execution begins. `data` says with which context."""
        node = self.nodes[path]
        node.attempts += 1
        said = "" if data is None else encode(data)
        return [_event(EventKind.RUN_NODE, path, node_type=node.type, data=said, attempt=node.attempts)]

    def ask_approval(self, path: str) -> list[RunEvent]:
        """Asks people whether the node may be executed.

        The execution begins with the question, in one append, so that what they said before is never taken for an answer to it.
        """
        node = self.nodes[path]
        node.asking, node.approving = True, True
        node.question = approval_of(path, node.type, encode(node.data))
        question = encode({"text": node.question, "choices": []})
        return [*self.begin(path, None), _event(EventKind.QUESTION, path, data=question)]

    def settle(self, path: str, outcome: Outcome, usage: Usage) -> list[RunEvent]:
        """What an execution that ended well comes to."""
        node = self.nodes[path]
        node.failures = 0
        if isinstance(outcome, Finish):
            said = _spent(EventKind.NODE_OUTPUT, path, usage, output=encode(outcome.output))
            return [said, _event(EventKind.DELETE_NODE, path), *self._leave(path, outcome.output, None)]
        if isinstance(outcome, Ask):
            question = encode({"text": outcome.text, "choices": list(outcome.choices)})
            node.asking, node.answer, node.question = True, None, outcome.text
            return [_spent(EventKind.QUESTION, path, usage, data=question)]
        return self._spawn(path, node, outcome, usage)

    def _spawn(self, path: str, node: Live, outcome: Spawn, usage: Usage) -> list[RunEvent]:
        node.resumes, node.approved = False, False
        node.from_ = node.children
        node.keep, node.then, node.waiting = outcome.keep, deque(outcome.then), True
        waiting = {
            "from": node.from_,
            "base": node.from_ + len(outcome.children),
            "then": [step.to_json() for step in outcome.then],
            "keep": outcome.keep,
        }
        events = [_spent(EventKind.NODE_OUTPUT, path, usage, output=encode(waiting), waits=True)]
        events += [self._create_child(path, child) for child in outcome.children]
        return events + self._advance(path)

    def fail(self, path: str, error: str, *, again: bool, usage: Usage) -> list[RunEvent]:
        """An execution failed. With `again` the node stays, and the caller puts it into the queue after a while."""
        node = self.nodes[path]
        node.failures += 1
        output = encode({"error": error})
        said = _spent(EventKind.NODE_ERROR, path, usage, output=output, waits=again, attempt=node.attempts)
        return [said] if again else [said, *self._leave(path, None, error)]

    def receipt(self, path: str, key: str, receipt: Any) -> list[RunEvent]:
        """An effect was carried out."""
        self.nodes[path].receipts[key] = receipt
        return [_event(EventKind.RECEIPT, path, key=key, output=encode(receipt))]

    def answer(self, path: str, answer: str, question: str, at: tuple[Any, Any] | None = None) -> list[RunEvent]:
        """People answered `question`: the node is executed again, with what they said, or has failed if they do not let it.

        It may ask another one by now; then this is none of its answers. `at` tells two of one text apart: when it was asked and
        when answered, by the server's clock, None if unknown.
        """
        node = self.nodes.get(path)
        if node is None or not node.asking or node.question != question or (at is not None and node.answered_at == at):
            return []
        approval = node.approving
        node.asking, node.approving, node.answered_at = False, False, at
        said = _event(EventKind.ANSWER, path, data=encode(answer))
        if approval and not approves(answer):
            error = cut(f"not approved: {answer.strip()}", ERROR_BYTES_MAX)
            return [said, *self.fail(path, error, again=False, usage=Usage())]
        # Who has just told a node how to go on wants it to.
        node.approved = True
        if not approval:
            node.answer = answer
        self.queue.append(path)
        return [said]

    def finish(self, end: End) -> list[RunEvent]:
        """The run ends here, whatever is left."""
        self.end, self.ended = end, True
        return [_event(EventKind.END_RUN, "", status=end.status, output=encode(end.output))]

    def _create(self, path: str, blueprint: Blueprint) -> RunEvent:
        event = _event(EventKind.CREATE_NODE, path, node_type=blueprint.type, data=encode(blueprint.data))
        self.nodes[path] = Live(blueprint.type, blueprint.data)
        self.queue.append(path)
        self.created += 1
        return event

    def _create_child(self, parent: str, blueprint: Blueprint) -> RunEvent:
        node = self.nodes[parent]
        node.children += 1
        return self._create(f"{parent}.{node.children - 1}", blueprint)

    def _leave(self, path: str, output: Any, error: str | None) -> list[RunEvent]:
        node = self.nodes.pop(path)
        parent, _, number = path.rpartition(".")
        if not parent:
            return self.finish(_end_of(output, error))
        held = self.nodes[parent]
        held.done += 1
        insort(held.results, Child(int(number), node.type, output, error), key=lambda child: child.number)
        return self._advance(parent)

    def _advance(self, path: str) -> list[RunEvent]:
        """Lets a waiting node whose children are done go on: to the next step of its plan, or into the queue."""
        node = self.nodes[path]
        if not node.waiting or node.done < node.children:
            return []
        # A step that failed ends the plan: its manager decides what comes of it.
        failed = any(child.error is not None for child in node.results if child.number >= node.from_)
        if node.then and not failed:
            return [self._create_child(path, node.then.popleft())]
        node.then.clear()
        node.waiting, node.resumes = False, True
        self.queue.append(path)
        return []


def noted(events: list[RunEvent], notes: Sequence[str]) -> list[RunEvent]:
    """The same events; the first one has the notes, for people who read the history, unless it has other data."""
    if notes and events and not events[0].data:
        return [replace(events[0], data=encode({"notes": list(notes)})), *events[1:]]
    return events


def _restored(node: RunNode) -> Live:
    waiting = decode(node.output)
    if not isinstance(waiting, dict) or not {"from", "base", "then"} <= waiting.keys():
        waiting = {"from": 0, "base": 0, "then": [], "keep": None}
    waits = node.phase is NodePhase.WAITING and node.children_finished < node.children
    # A plan's steps are the children after its base; what they have not used up is left. One that is executed again, or whose
    # last step failed, has no plan any more.
    used = max(node.children - waiting["base"], 0)
    steps = waiting["then"][used:] if waits else []
    asking, said = node.phase is NodePhase.ASKING, node.answer if node.answered else None
    approval = is_approval(node.question, node.node, node.node_type)
    return Live(
        type=node.node_type,
        data=decode(node.data),
        attempts=node.attempts,
        failures=node.failures,
        children=node.children,
        done=node.children_finished,
        waiting=waits,
        resumes=node.children > 0 and not waits,
        from_=waiting["from"],
        then=deque(Blueprint(step["type"], step.get("data", {})) for step in steps),
        keep=waiting.get("keep"),
        receipts={held.key: decode(held.receipt) for held in node.receipts},
        asking=asking,
        question=node.question,
        approving=asking and approval,
        approved=said is not None and node.phase in (NodePhase.QUEUED, NodePhase.RUNNING),
        missed=said if asking else None,
        answer=None if asking or approval else said,
        pack=restored(node.context),
    )


def _end_of(output: Any, error: str | None) -> End:
    return End(RunStatus.SUCCEEDED, output) if error is None else End(RunStatus.FAILED, {"error": error})


def _error_of(output: Any) -> str:
    error = output.get("error") if isinstance(output, dict) else None
    return error if isinstance(error, str) else encode(output)


def _event(kind: EventKind, node: str, **fields: Any) -> RunEvent:
    """An event with nothing else in it; the journal numbers it."""
    return RunEvent(sequence=0, kind=kind, node=node, **fields)


def _spent(kind: EventKind, node: str, usage: Usage, **fields: Any) -> RunEvent:
    event = _event(kind, node, **fields)
    return replace(event, prompt_tokens=usage.prompt_tokens, completion_tokens=usage.completion_tokens)
