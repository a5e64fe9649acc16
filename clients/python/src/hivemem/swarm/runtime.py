"""Runs swarms: one lifecycle queue, executions side by side, every change written to the server before it counts.

Functions of nodes run as tasks. What they come to goes through one inbox to the coordinator, which changes the tree, appends the
events that say so, and only then lets anything follow from them. So a run that is killed at any moment resumes from what is
written, and nothing that was finished runs twice.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

from hivemem.aio import AsyncClient
from hivemem.errors import Conflict, HivememError, NotFound
from hivemem.swarm.catalogue import NodeTypes, described
from hivemem.swarm.context import said_of
from hivemem.swarm.journal import Journal, LeaseLost, passes
from hivemem.swarm.limits import check, check_budget, told
from hivemem.swarm.llm import Model
from hivemem.swarm.node import (
    Blueprint,
    Finish,
    NodeError,
    NodeFailed,
    NodeType,
    Outcome,
    Usage,
    combine,
    outcome_of,
)
from hivemem.swarm.settings import Settings, Stored
from hivemem.swarm.step import Scope, Step, as_text, stable_key
from hivemem.swarm.tree import End, Live, Tree, noted
from hivemem.types import ContextPack, Lease, NodePhase, Registered, Run, RunEvent, RunStatus

_WATCH_PAUSE_S = 1.0
# After a watch that broke off.

_TYPES_SHOWN = 10
# Of the unknown ones in an error.


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ended."""

    run: str
    """Its id."""
    status: RunStatus
    output: Any
    """The root's output, or an object with `error`."""
    nodes: int
    """Nodes that there were."""
    usage: Usage
    """Tokens of model calls since the start or the resume."""


class Swarm:
    """Runs goals as trees of nodes. One of them serves many runs, also side by side."""

    def __init__(
        self,
        client: AsyncClient,
        types: Iterable[NodeType],
        *,
        model: Model | None = None,
        settings: Settings | None = None,
        observe: Callable[[RunEvent], None] | None = None,
        on_text: Callable[[str, str], None] | None = None,
        holder: str | None = None,
    ) -> None:
        """`types` are the node types of this swarm; others are looked for in the server's catalogue.

        `observe` sees each event once it is written, `on_text` what models say on behalf of a node. Both must not block.
        `holder` names this process to people (None: host and process id). Raises ValueError for two types of one name.
        """
        self.client = client
        self.types: dict[str, NodeType] = {}
        for kind in types:
            if kind.name in self.types:
                raise ValueError(f"two node types are named {kind.name!r}")
            self.types[kind.name] = kind
        self.known = NodeTypes(client, self.types)
        self.model = model
        self.settings = settings or Settings()
        self.observe = observe or (lambda _: None)
        self.on_text = on_text or (lambda _, __: None)
        self.holder = holder or f"{socket.gethostname()}:{os.getpid()}"

    async def register(self) -> Registered:
        """Registers the node types with the router, so that goals are routed to them, and waits until they are."""
        routed = [described(kind) for kind in self.types.values() if kind.routed]
        return await self.client.register_nodes(routed, wait=True)

    async def run(self, goal: str, root: Blueprint, *, idempotency_key: str | None = None) -> RunEnd:
        """Makes a run, works on it until it ends, and says what it came to. A run that fails is no exception.

        Cancelling this leaves the run open: `resume` goes on with it. Raises LeaseLost if another process took it, what the
        server says once its patience is over, and ValueError, before there is a run, for a root that can't be executed here.
        """
        if missing := await self.known.missing([root.type], scripts=True):
            raise ValueError(f"the root can't be executed here: {missing[0]}: give its type to the swarm")
        return await self.resume(await self.create(goal, root, idempotency_key=idempotency_key))

    async def create(self, goal: str, root: Blueprint, *, idempotency_key: str | None = None) -> str:
        """Makes a run whose root is `root`, without working on it. Returns its id."""
        stored = Stored(root, self.settings)
        made = await self.client.create_run(goal, settings=stored.to_json(), idempotency_key=idempotency_key)
        return made.id

    async def resume(self, run: str) -> RunEnd:
        """Works on a run until it ends, under the limits that it was made with.

        Of this swarm's, `approve`, `scripts` and `work_dir` count.

        It is one that was created, or one whose process is gone; one that has ended is not touched. Raises LeaseLost while
        another process holds it, NotFound, and as `run`; ValueError for a run that another program made and gave no root, and
        for one with nodes that can't be executed here: of types that neither this swarm nor the catalogue has, or scripts where
        they are not enabled (it names them, and nothing of the run is changed).
        """
        held = await self.client.get_run(run)
        if held.status is not RunStatus.OPEN:
            output = json.loads(held.result) if held.result else None
            return RunEnd(run, held.status, output, held.nodes, Usage())
        stored = Stored.from_json(held.settings, self.settings)
        mine = self.settings
        limits = replace(stored.limits, approve=mine.approve, scripts=mine.scripts, work_dir=mine.work_dir)
        lease = await self._acquire(run, limits)
        patience_s = limits.patience_ms / 1000
        journal = Journal(self.client, run, fence=lease.fence, last=lease.run.last_sequence, patience_s=patience_s)
        try:
            tree = Tree.restore(await self.client.read_state(run))
            if tree.end is None:
                await self._know(run, tree, stored.root)
            return await _Coordinator(self, lease.run, limits, journal, tree).drive(stored.root)
        finally:
            await journal.release()

    async def _know(self, run: str, tree: Tree, root: Blueprint | None) -> None:
        """Raises ValueError if some node can't be executed here: it would only fail."""
        named = tree.types() if tree.created or root is None else {root.type}
        # Where nothing is there yet, nothing is lost by an error that says what is not enabled.
        scripts = self.settings.scripts.enabled or not tree.created
        if missing := await self.known.missing(named, scripts=scripts):
            told = ", ".join(missing[:_TYPES_SHOWN]) + (" …" if missing[_TYPES_SHOWN:] else "")
            raise ValueError(
                f"run {run} has nodes that can't be executed here: {told}. It was left as it is: resume it with a swarm that has "
                "their types, or with the program that began it (`hivemem swarm resume` has all the built-in ones)"
            )

    async def _acquire(self, run: str, settings: Settings) -> Lease:
        try:
            return await self.client.acquire_run(run, holder=self.holder, ttl=timedelta(milliseconds=settings.lease_ms))
        except Conflict as error:
            raise LeaseLost(error.message) from error


@dataclass(frozen=True, slots=True)
class _Change:
    """Something that happened: what it does to the tree, and who waits until it is written."""

    apply: Callable[[], list[RunEvent]]
    written: asyncio.Future[None] | None = None


class _Coordinator:
    """One run while it is worked on."""

    def __init__(self, swarm: Swarm, run: Run, settings: Settings, journal: Journal, tree: Tree) -> None:
        self._swarm = swarm
        self._client = swarm.client
        self._run = run
        self._settings = settings
        self._journal = journal
        self._tree = tree
        self._inbox: asyncio.Queue[_Change] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._executing: set[str] = set()
        self._delayed = 0
        self._stopping = False
        self._watch: asyncio.Task[None] | None = None
        self._usage = Usage()
        self._scope = Scope(
            client=swarm.client,
            model=swarm.model,
            types=swarm.known,
            settings=settings,
            run=run.id,
            goal=run.goal,
            receipts=self,
            tokens=Usage(run.prompt_tokens, run.completion_tokens),
            on_text=swarm.on_text,
        )

    async def drive(self, root: Blueprint | None) -> RunEnd:
        """Works until the run has ended."""
        deadline: asyncio.TimerHandle | None = None
        try:
            self._enter(root)
            self._background(self._journal.keep(self._settings.lease_ms / 1000, self._cancel))
            if self._settings.run_timeout_ms:
                error = f"the run took longer than {self._settings.run_timeout_ms} ms"
                end = partial(self._stop, RunStatus.FAILED, {"error": error})
                deadline = asyncio.get_running_loop().call_later(self._settings.run_timeout_ms / 1000, end)
            while not self._tree.ended:
                self._start_executions()
                await self._write(await self._next_changes())
        finally:
            self._stopping = True
            if deadline is not None:
                deadline.cancel()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        over = self._tree.end
        assert over is not None
        return RunEnd(self._run.id, over.status, over.output, self._tree.created, self._usage)

    def _enter(self, root: Blueprint | None) -> None:
        """What has to be written before anything is executed."""
        end = self._tree.end
        if end is not None:
            # The root was done, and the process killed before it could say that the run is.
            self._put(lambda: self._tree.finish(end))
        elif not self._tree.nodes:
            if root is None:
                raise ValueError(f"run {self._run.id} has no node yet, and its settings name no root")
            self._put(lambda: self._tree.plant(root))
        if self._run.cancel_requested:
            self._cancel()
        for path in self._tree.asking():
            node = self._tree.nodes[path]
            # Where nobody is to be asked any more, nobody has to answer; what was said already counts.
            said = "yes" if node.missed is None and node.approving and not self._settings.approve else node.missed
            if said is not None:
                self._put(partial(self._tree.answer, path, said, node.question))

    # The inbox.

    def _put(self, apply: Callable[[], list[RunEvent]]) -> None:
        self._inbox.put_nowait(_Change(apply))

    async def _put_and_wait(self, apply: Callable[[], list[RunEvent]]) -> None:
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._inbox.put_nowait(_Change(apply, written))
        await written

    async def _next_changes(self) -> list[_Change]:
        changes = [await self._inbox.get()]
        while not self._inbox.empty():
            changes.append(self._inbox.get_nowait())
        return changes

    async def _write(self, changes: list[_Change]) -> None:
        """Changes the tree, and writes all that they say in one append."""
        said: list[list[RunEvent]] = []
        done: list[_Change] = []
        for change in changes:
            # Nothing may come after the end; whoever waits for it to be written is cancelled.
            if self._tree.ended:
                break
            if events := change.apply():
                said.append(events)
            done.append(change)
        for event in await self._journal.append(said):
            self._swarm.observe(event)
        for change in done:
            if change.written is not None and not change.written.done():
                change.written.set_result(None)

    def _background(self, work: Any) -> asyncio.Task[None]:
        """Starts a task whose failure ends the work on this run."""
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._put(partial(_raise, error))

    def _stop(self, status: RunStatus, output: Any) -> None:
        self._put(lambda: self._tree.finish(End(status, output)))

    def _cancel(self) -> None:
        self._stop(RunStatus.CANCELLED, {"error": "cancelled"})

    # Executions.

    def _start_executions(self) -> None:
        tree = self._tree
        while tree.end is None and tree.queue and len(self._executing) < self._settings.parallel:
            path = tree.queue.popleft()
            if self._settings.approve and not tree.nodes[path].approved:
                self._put(partial(tree.ask_approval, path))
                continue
            self._executing.add(path)
            self._background(self._execute(path))
        if tree.asking() and self._watch is None:
            self._watch = self._background(self._watch_answers())
        idle = not (self._executing or self._delayed or tree.queue or self._watch) and self._inbox.empty()
        if tree.end is None and idle:
            raise RuntimeError(f"run {self._run.id} has nodes and nothing to do: {list(tree.nodes)[:5]}")

    async def _execute(self, path: str) -> None:
        node = self._tree.nodes[path]
        step = Step(
            path=path,
            type=node.type,
            data=node.data,
            attempt=node.attempts + 1,
            answer=node.answer,
            children=tuple(node.results),
            keep=node.keep,
            packs=self._prefix(path),
            scope=self._scope,
            held=node.receipts,
        )
        try:
            outcome = await self._outcome(step, node)
        except asyncio.CancelledError:
            # A function may cancel itself, with a task that it waits for; that is an error like another.
            if self._stopping:
                raise
            await self._put_and_wait(partial(self._fail, path, NodeError("the function was cancelled"), step))
        except Exception as error:
            await self._put_and_wait(partial(self._fail, path, error, step))
        else:
            await self._put_and_wait(partial(self._settle, path, outcome, step))

    async def _outcome(self, step: Step, node: Live) -> Outcome:
        kind = await self._swarm.known.find(step.type)
        function = kind.resumed if node.resumes else kind.execute
        said = None
        if kind.context and function is not None and self._settings.memory:
            above = len(step.citations)
            node.pack = await self._context(step, kind)
            said = said_of(node.pack, above) if node.pack else None
        await self._put_and_wait(partial(self._tree.begin, step.path, said))
        kind.check(step.data)
        if function is None:
            outcome: Outcome = combine(step.children)
        else:
            most_ms = self._settings.node_timeout_ms
            try:
                outcome = outcome_of(await asyncio.wait_for(function(step), most_ms / 1000))
            except asyncio.TimeoutError:
                raise NodeError(f"the node took longer than {most_ms} ms (node_timeout_ms)") from None
        await check(step.path, outcome, self._settings, self._swarm.known)
        if isinstance(outcome, Finish) and kind.remember and self._settings.memory:
            await self._remember(step, outcome.output)
        return outcome

    def _settle(self, path: str, outcome: Outcome, step: Step) -> list[RunEvent]:
        try:
            # Here and not where the function ended: others that end at the same time have taken theirs by now.
            check_budget(self._tree, outcome, self._settings)
        except NodeFailed as error:
            return self._fail(path, error, step)
        self._executing.discard(path)
        self._usage.add(step.usage)
        return noted(self._tree.settle(path, outcome, step.usage), step.notes)

    def _fail(self, path: str, error: Exception, step: Step) -> list[RunEvent]:
        self._executing.discard(path)
        self._usage.add(step.usage)
        failures = self._tree.nodes[path].failures
        retry = not isinstance(error, NodeError) or error.retry
        again = retry and failures + 1 < self._settings.attempts_max
        events = noted(self._tree.fail(path, told(error), again=again, usage=step.usage), step.notes)
        if again:
            longest_ms = min(self._settings.backoff_ms * 2**failures, self._settings.backoff_ms_max)
            self._delayed += 1
            asyncio.get_running_loop().call_later(
                longest_ms / 1000 * (1 - random.random() / 2), self._put, partial(self._try_again, path)
            )
        return events

    def _try_again(self, path: str) -> list[RunEvent]:
        self._delayed -= 1
        self._tree.queue.append(path)
        return []

    async def write_receipt(self, path: str, name: str, receipt: Any) -> None:
        """Returns once it is durable."""
        await self._put_and_wait(partial(self._tree.receipt, path, name, receipt))

    # Memory.

    def _prefix(self, path: str) -> list[ContextPack]:
        """Contexts of the nodes above that fit, from the root down: the same for all nodes below."""
        packs: list[ContextPack] = []
        left = self._settings.prefix_tokens_max
        for node in self._tree.above(path):
            if node.pack is None:
                continue
            left -= node.pack.tokens
            if left < 0:
                break
            packs.append(node.pack)
        return packs

    async def _context(self, step: Step, kind: NodeType) -> ContextPack | None:
        task = step.task if kind.task is None else kind.task(step.data)
        try:
            return await step.gather_context(task or self._run.goal)
        except NotFound:
            # Nothing was ever stored in the namespace.
            return None

    async def _remember(self, step: Step, output: Any) -> None:
        """Remembers an output once: an execution that a crash repeats and that comes to the same has the same key.

        What can't be remembered is noted and does not undo the work.
        """
        text = as_text(output)
        if not text.strip():
            return
        try:
            await self._client.remember(
                text,
                kind="output",
                title=f"{step.type} {step.path}",
                run=step.run,
                node=step.path,
                idempotency_key=stable_key(f"swarm/{step.run}/{step.path}/{text}"),
            )
        except HivememError as error:
            step.note(f"the output was not remembered: {error}")

    # Questions.

    async def _watch_answers(self) -> None:
        """Takes up what people answer, until no node asks any more."""
        while self._tree.asking():
            try:
                async with self._client.watch_run(self._run.id, from_sequence=self._journal.last + 1) as changes:
                    await self._missed_answers()
                    async for change in changes:
                        if (said := change.answered) is not None:
                            at = (said.asked_at, said.answered_at)
                            self._put(partial(self._tree.answer, said.node, said.answer, said.text, at if all(at) else None))
                        elif change.cancel_requested:
                            self._cancel()
                        elif not self._tree.asking():
                            break
            except HivememError as error:
                if not passes(error):
                    raise
                await asyncio.sleep(_WATCH_PAUSE_S)
        self._watch = None

    async def _missed_answers(self) -> None:
        """Takes up what people answered while nobody watched."""
        waiting = {question.node async for question in self._client.iter_questions(self._run.id)}
        if any(path not in waiting for path in self._tree.asking()):
            for node in (await self._client.read_state(self._run.id)).nodes:
                if node.phase is NodePhase.ASKING and node.answered:
                    self._put(partial(self._tree.answer, node.node, node.answer, node.question))


def _raise(error: BaseException) -> list[RunEvent]:
    raise error
