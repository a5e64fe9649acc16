"""What a history comes down to, as strictly as the server has it: which event may follow, and how it changes nodes and queue."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from hivemem._proto import swarm_pb2 as pb

Kind = pb.RunEvent
EVENT_BYTES_MAX = 1024 * 1024
KEY_BYTES_MAX = 256
OVER = (pb.NODE_PHASE_FINISHED, pb.NODE_PHASE_FAILED)


class Refused(Exception):
    """The state does not allow this event."""


@dataclass
class Held:
    """A node."""

    node_type: str
    data: str
    queued_at: int
    phase: int = pb.NODE_PHASE_QUEUED
    output: str = ""
    attempts: int = 0
    failures: int = 0
    context: str = ""
    children: int = 0
    children_finished: int = 0
    waits: bool = False


@dataclass
class Asked:
    """What a node asked last."""

    data: str
    sequence: int
    answer: str | None = None
    taken: bool = False

    def message(self, run: str, node: str) -> pb.Question:
        said = json.loads(self.data)
        text, choices = (said, []) if isinstance(said, str) else (said["text"], said.get("choices", []))
        question = pb.Question(run=run, node=node, text=text, choices=choices, answer=self.answer or "")
        # A clock that counts events tells two questions of one text apart.
        question.asked_at.FromSeconds(self.sequence)
        if self.answer is not None:
            question.answered = True
            question.answered_at.FromSeconds(self.sequence)
        return question


@dataclass
class Fold:
    """A run."""

    nodes: dict[str, Held] = field(default_factory=dict)
    questions: dict[str, Asked] = field(default_factory=dict)
    receipts: dict[tuple[str, str], str] = field(default_factory=dict)
    events: list[pb.RunEvent] = field(default_factory=list)
    status: int = pb.RUN_STATUS_OPEN
    result: str = ""

    def apply(self, event: pb.RunEvent) -> None:
        if self.status != pb.RUN_STATUS_OPEN:
            raise Refused(f"event {event.sequence} comes after the end of the run")
        if event.sequence != len(self.events) + 1:
            raise Refused(f"event {event.sequence} leaves a gap: the next number is {len(self.events) + 1}")
        if len(event.data.encode()) + len(event.output.encode()) > EVENT_BYTES_MAX or len(event.key.encode()) > KEY_BYTES_MAX:
            raise Refused(f"event {event.sequence} is over a limit")
        for text in (event.data, event.output):
            if text:
                json.loads(text)
        name = Kind.Kind.Name(event.kind).removeprefix("KIND_").lower()
        getattr(self, f"_{name}")(event)
        self.events.append(event)

    def queue(self) -> list[str]:
        waiting = [(held.queued_at, path) for path, held in self.nodes.items() if held.queued_at]
        return [path for _, path in sorted(waiting)]

    def _live(self, event: pb.RunEvent) -> Held:
        held = self.nodes.get(event.node)
        if held is None:
            raise Refused(f"{event.node} was not created")
        if held.phase in OVER:
            raise Refused(f"{event.node} is over")
        return held

    def _running(self, event: pb.RunEvent) -> Held:
        held = self._live(event)
        if held.phase not in (pb.NODE_PHASE_RUNNING, pb.NODE_PHASE_ASKING):
            raise Refused(f"{event.node} is not running")
        return held

    def _create_node(self, event: pb.RunEvent) -> None:
        if event.node in self.nodes or not event.node_type:
            raise Refused(f"{event.node} is there already, or has no type")
        above, _, number = event.node.rpartition(".")
        if not above and event.node != "0":
            raise Refused(f"{event.node} is no root")
        if above:
            parent = self.nodes.get(above)
            if parent is None or parent.phase in OVER or parent.children != int(number):
                raise Refused(f"{event.node} is not the next child of {above}")
            parent.children += 1
            if parent.phase == pb.NODE_PHASE_WAITING:
                parent.queued_at = 0
        self.nodes[event.node] = Held(event.node_type, event.data, event.sequence)

    def _run_node(self, event: pb.RunEvent) -> None:
        held = self._live(event)
        if held.phase == pb.NODE_PHASE_WAITING and held.children_finished < held.children:
            raise Refused(f"{event.node} has children that are not done")
        held.phase, held.queued_at, held.context = pb.NODE_PHASE_RUNNING, 0, event.data
        held.attempts += 1

    def _node_output(self, event: pb.RunEvent) -> None:
        held = self._live(event)
        if held.phase != pb.NODE_PHASE_RUNNING:
            raise Refused(f"{event.node} is not running")
        held.phase, held.waits, held.failures = pb.NODE_PHASE_WAITING, event.waits, 0
        held.output = event.output or held.output
        if held.waits and held.children_finished == held.children:
            held.queued_at = event.sequence

    def _node_error(self, event: pb.RunEvent) -> None:
        held = self._live(event)
        if event.waits:
            held.phase, held.queued_at = pb.NODE_PHASE_QUEUED, event.sequence
            held.failures += 1
            return
        held.output = event.output or held.output
        self._over(event, held, pb.NODE_PHASE_FAILED)

    def _delete_node(self, event: pb.RunEvent) -> None:
        held = self._live(event)
        if held.children_finished < held.children:
            raise Refused(f"{event.node} has children that are not done")
        held.output = event.output or held.output
        self._over(event, held, pb.NODE_PHASE_FINISHED)

    def _over(self, event: pb.RunEvent, held: Held, phase: int) -> None:
        held.phase, held.queued_at, held.context = phase, 0, ""
        self.questions.pop(event.node, None)
        parent = self.nodes.get(event.node.rpartition(".")[0])
        if parent is not None:
            parent.children_finished += 1
            if parent.phase == pb.NODE_PHASE_WAITING and parent.waits and parent.children_finished == parent.children:
                parent.queued_at = event.sequence

    def _question(self, event: pb.RunEvent) -> None:
        held = self._running(event)
        held.phase, held.failures = pb.NODE_PHASE_ASKING, 0
        asked = self.questions.get(event.node)
        if asked is None or asked.taken or asked.data != event.data:
            self.questions[event.node] = Asked(event.data, event.sequence)

    def _answer(self, event: pb.RunEvent) -> None:
        asked = self.questions.get(event.node)
        if asked is None or asked.taken:
            raise Refused(f"{event.node} asks nothing")
        held = self._live(event)
        if held.phase == pb.NODE_PHASE_ASKING:
            held.phase = pb.NODE_PHASE_RUNNING
        asked.taken = True
        if asked.answer is None:
            asked.answer = str(json.loads(event.data))

    def _receipt(self, event: pb.RunEvent) -> None:
        if not event.key:
            raise Refused("a receipt without a key")
        self._live(event)
        self.receipts[event.node, event.key] = event.output

    def _end_run(self, event: pb.RunEvent) -> None:
        if event.status in (pb.RUN_STATUS_UNSPECIFIED, pb.RUN_STATUS_OPEN):
            raise Refused("does not say how the run ended")
        self.status, self.result = event.status, event.output
