"""A strict server in this process, for the services and for the misfortunes that the real one has not (yet)."""

from __future__ import annotations

import hashlib
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
from fake_router import FakeRouter
from fold import OVER, Fold, Refused
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2, status_pb2

from hivemem._proto import (
    data_pb2,
    data_pb2_grpc,
    ingest_pb2,
    ingest_pb2_grpc,
    retrieval_pb2,
    retrieval_pb2_grpc,
    router_pb2_grpc,
    swarm_pb2_grpc,
)
from hivemem._proto import swarm_pb2 as pb

Code = grpc.StatusCode


@dataclass
class FakeRun:
    """A run with its lease."""

    id: str
    goal: str
    settings: str
    fold: Fold = field(default_factory=Fold)
    fence: int = 0
    holder: str = ""
    until: float = 0.0
    cancel_requested: bool = False
    compacted: int = 0
    changes: list[pb.WatchRunResponse] = field(default_factory=list)

    def message(self) -> pb.Run:
        fold = self.fold
        return pb.Run(
            id=self.id,
            goal=self.goal,
            status=fold.status,
            last_sequence=len(fold.events),
            nodes=len(fold.nodes),
            nodes_finished=sum(held.phase in OVER for held in fold.nodes.values()),
            open_questions=sum(asked.answer is None for asked in fold.questions.values()),
            prompt_tokens=sum(event.prompt_tokens for event in fold.events),
            completion_tokens=sum(event.completion_tokens for event in fold.events),
            holder=self.holder if self.until > time.time() else "",
            cancel_requested=self.cancel_requested,
            result=fold.result,
            settings=self.settings,
        )


class FakeSwarm(swarm_pb2_grpc.SwarmServicer):
    """Runs in memory. `fail_after` appends the server is gone, to see what a resume makes of it."""

    def __init__(self) -> None:
        self.runs: dict[str, FakeRun] = {}
        self.changed = threading.Condition()
        self.appends = 0
        self.fail_after: int | None = None
        self.lose_reply_after: int | None = None

    def _run(self, request: Any, context: grpc.ServicerContext) -> FakeRun:
        run = self.runs.get(request.run)
        if run is None:
            context.abort(Code.NOT_FOUND, f"there is no run {request.run}")
        return run

    def _held(self, request: Any, context: grpc.ServicerContext) -> FakeRun:
        run = self._run(request, context)
        if request.fence != run.fence:
            context.abort(Code.ABORTED, f"the lease {request.fence} is over; the newest is {run.fence}")
        return run

    def CreateRun(self, request: Any, context: Any) -> Any:
        with self.changed:
            assert request.idempotency_key
            run = FakeRun(str(uuid.uuid4()), request.goal, request.settings)
            self.runs[run.id] = run
            return pb.CreateRunResponse(run=run.message())

    def ListRuns(self, request: Any, context: Any) -> Any:
        with self.changed:
            runs = [run.message() for run in reversed(self.runs.values())]
            runs = [run for run in runs if not request.statuses or run.status in request.statuses]
            start, size = int(request.page_token or 0), request.page_size or 50
            token = str(start + size) if start + size < len(runs) else ""
            return pb.ListRunsResponse(runs=runs[start : start + size], next_page_token=token)

    def GetRun(self, request: Any, context: Any) -> Any:
        with self.changed:
            return pb.GetRunResponse(run=self._run(request, context).message())

    def AcquireRun(self, request: Any, context: Any) -> Any:
        with self.changed:
            run = self._run(request, context)
            if run.until > time.time():
                context.abort(Code.ABORTED, f"the run is held by {run.holder} for {run.until - time.time():.1f} s")
            if run.fold.status != pb.RUN_STATUS_OPEN:
                context.abort(Code.FAILED_PRECONDITION, "the run has ended")
            run.fence += 1
            run.holder = request.holder
            return pb.AcquireRunResponse(fence=run.fence, lease_until=self._extend(run, request), run=run.message())

    @staticmethod
    def _extend(run: FakeRun, request: Any) -> Timestamp:
        seconds = request.ttl.ToTimedelta().total_seconds() if request.HasField("ttl") else 15.0
        run.until = time.time() + seconds
        stamp = Timestamp()
        stamp.FromNanoseconds(int(run.until * 1e9))
        return stamp

    def RenewRun(self, request: Any, context: Any) -> Any:
        with self.changed:
            run = self._held(request, context)
            return pb.RenewRunResponse(lease_until=self._extend(run, request), cancel_requested=run.cancel_requested)

    def ReleaseRun(self, request: Any, context: Any) -> Any:
        with self.changed:
            self._held(request, context).until = 0.0
            return pb.ReleaseRunResponse()

    def AppendEvents(self, request: Any, context: Any) -> Any:
        with self.changed:
            run = self._held(request, context)
            if self.fail_after is not None and self.appends >= self.fail_after:
                context.abort(Code.UNAVAILABLE, "the server is gone")
            self.appends += 1
            appended = self._append(run, request.events, context)
            self.changed.notify_all()
            if self.lose_reply_after is not None and self.appends == self.lose_reply_after:
                context.abort(Code.UNAVAILABLE, "the reply was lost")
            last = len(run.fold.events)
            return pb.AppendEventsResponse(last_sequence=last, appended=appended, duplicates=len(request.events) - appended)

    @staticmethod
    def _append(run: FakeRun, events: Any, context: Any) -> int:
        appended = 0
        for event in events:
            taken = event.sequence <= len(run.fold.events)
            if taken and run.fold.events[event.sequence - 1] != event:
                context.abort(Code.ALREADY_EXISTS, f"event {event.sequence} is there with another content")
            if taken:
                continue
            try:
                run.fold.apply(event)
            except Refused as refused:
                context.abort(Code.INVALID_ARGUMENT, str(refused))
            run.changes.append(pb.WatchRunResponse(event=event))
            appended += 1
        return appended

    def ReadState(self, request: Any, context: Any) -> Iterator[Any]:
        with self.changed:
            run = self._run(request, context)
            nodes = [self._node(run, path) for path in sorted(run.fold.nodes, key=_steps)]
            queue = run.fold.queue()
            first = pb.ReadStateResponse(run=run.message(), nodes=nodes[:3])
        yield first
        for start in range(3, len(nodes), 3):
            yield pb.ReadStateResponse(nodes=nodes[start : start + 3])
        yield pb.ReadStateResponse(queue=queue)

    @staticmethod
    def _node(run: FakeRun, path: str) -> pb.RunNode:
        held, asked = run.fold.nodes[path], run.fold.questions.get(path)
        question = asked.message(run.id, path) if asked else pb.Question()
        receipts = [pb.RunReceipt(key=key, receipt=text) for (node, key), text in run.fold.receipts.items() if node == path]
        return pb.RunNode(
            node=path,
            node_type=held.node_type,
            data=held.data,
            output=held.output,
            phase=held.phase,
            attempts=held.attempts,
            failures=held.failures,
            context=held.context,
            children=held.children,
            children_finished=held.children_finished,
            receipts=receipts,
            question=question.text,
            answer=question.answer,
            answered=question.answered,
        )

    def ReadEvents(self, request: Any, context: Any) -> Any:
        with self.changed:
            run = self._run(request, context)
            start, size = max(request.from_sequence, run.compacted + 1), request.page_size or 100
            events = run.fold.events[start - 1 : start - 1 + size]
            following = start + size if start + size <= len(run.fold.events) else 0
            return pb.ReadEventsResponse(events=events, next_sequence=following, compacted_through=run.compacted)

    def WatchRun(self, request: Any, context: Any) -> Iterator[Any]:
        with self.changed:
            run = self._run(request, context)
            before = [change for change in run.changes if not change.HasField("answered") or self._waits(run, change.answered)]
            seen = len(run.changes)
        while context.is_active():
            with self.changed:
                fresh, seen, before = before + run.changes[seen:], len(run.changes), []
                ended = run.fold.status != pb.RUN_STATUS_OPEN
            for change in fresh:
                if not change.HasField("event") or change.event.sequence >= request.from_sequence:
                    yield change
            with self.changed:
                if seen == len(run.changes):
                    if ended:
                        return
                    self.changed.wait(0.1)

    @staticmethod
    def _waits(run: FakeRun, said: Any) -> bool:
        """Whether no event has taken the answer up: whoever comes later is not told of the others."""
        asked = run.fold.questions.get(said.node)
        return asked is not None and not asked.taken and asked.message(run.id, said.node) == said

    def ListQuestions(self, request: Any, context: Any) -> Any:
        with self.changed:
            questions = [
                asked.message(run.id, node)
                for run in self.runs.values()
                for node, asked in run.fold.questions.items()
                if asked.answer is None and request.run in ("", run.id)
            ]
            return pb.ListQuestionsResponse(questions=questions)

    def AnswerQuestion(self, request: Any, context: Any) -> Any:
        with self.changed:
            run = self._run(request, context)
            asked = run.fold.questions.get(request.node)
            if asked is None:
                context.abort(Code.NOT_FOUND, f"node {request.node} asks nothing")
            if asked.answer not in (None, request.answer):
                context.abort(Code.ALREADY_EXISTS, f"node {request.node} has its answer already")
            choices = asked.message(run.id, request.node).choices
            if choices and request.answer not in choices:
                context.abort(Code.INVALID_ARGUMENT, "not one of the choices")
            asked.answer = request.answer
            question = asked.message(run.id, request.node)
            run.changes.append(pb.WatchRunResponse(answered=question))
            self.changed.notify_all()
            return pb.AnswerQuestionResponse(question=question)

    def CancelRun(self, request: Any, context: Any) -> Any:
        with self.changed:
            run = self._run(request, context)
            run.cancel_requested = True
            run.changes.append(pb.WatchRunResponse(cancel_requested=True))
            if run.until <= time.time():
                run.fold.status = pb.RUN_STATUS_CANCELLED
            self.changed.notify_all()
            return pb.CancelRunResponse(run=run.message())

    def CompactRun(self, request: Any, context: Any) -> Any:
        with self.changed:
            run = self._run(request, context)
            removed = len(run.fold.events) - 1 - run.compacted
            run.compacted += max(removed, 0)
            return pb.CompactRunResponse(events_removed=max(removed, 0), bytes_removed=max(removed, 0) * 100)

    def DeleteRun(self, request: Any, context: Any) -> Any:
        with self.changed:
            run = self._run(request, context)
            del self.runs[run.id]
            return pb.DeleteRunResponse(events=len(run.fold.events))


def _steps(path: str) -> list[int]:
    return [int(step) for step in path.split(".")]


class FakeDataView(data_pb2_grpc.DataViewServicer):
    """Objects in memory, with `inline` content where their description says it."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}

    def _object(self, request: Any, context: Any) -> Any:
        if request.uri not in self.objects:
            context.abort(Code.NOT_FOUND, f"nobody registered {request.uri}")
        return self.objects[request.uri]

    def RegisterData(self, requests: Iterator[Any], context: Any) -> Any:
        reply = data_pb2.RegisterDataResponse()
        for number, request in enumerate(requests):
            assert bool(request.idempotency_key) == bool(request.namespace) == (number == 0)
            assert len(request.objects) <= 1000
            for item in request.objects:
                if "://" not in item.uri:
                    reply.rejected += 1
                    reply.issues.add(uri=item.uri, reason="has no scheme")
                    continue
                reply.added += item.uri not in self.objects
                self.objects[item.uri] = item
        return reply

    def UnregisterData(self, request: Any, context: Any) -> Any:
        gone = [uri for uri in self.objects if uri in request.uris or (request.prefix and uri.startswith(request.prefix))]
        for uri in gone:
            del self.objects[uri]
        return data_pb2.UnregisterDataResponse(removed=len(gone))

    def ListData(self, request: Any, context: Any) -> Any:
        below = [item for uri, item in sorted(self.objects.items()) if uri.startswith(request.prefix)]
        if request.filter.tags:
            below = [item for item in below if set(item.tags) & set(request.filter.tags)]
        start, size = int(request.page_token or 0), request.page_size or 100
        token = str(start + size) if start + size < len(below) else ""
        return data_pb2.ListDataResponse(
            entries=[self._entry(item) for item in below[start : start + size]], next_page_token=token
        )

    @staticmethod
    def _entry(item: Any) -> Any:
        store = item.uri.partition("://")[0]
        return data_pb2.DataEntry(uri=item.uri, name=item.name, store=store, registered=True, description=item.description)

    def StatData(self, request: Any, context: Any) -> Any:
        item = self._object(request, context)
        return data_pb2.StatDataResponse(object=item, store="s3", registered=True, freshness="unknown")

    def LocateData(self, request: Any, context: Any) -> Any:
        item = self._object(request, context)
        recipe = data_pb2.DataRecipe(form="cli", text=f"hivemem data get {item.uri}", needs="a running server")
        return data_pb2.LocateDataResponse(uri=item.uri, store="s3", recipes=[recipe])

    def FetchData(self, request: Any, context: Any) -> Iterator[Any]:
        whole = self._object(request, context).description.encode()
        digest = hashlib.sha256(whole).hexdigest()
        if request.expect_hash and request.expect_hash != digest:
            context.abort(Code.FAILED_PRECONDITION, "the content is another")
        end = request.offset + request.length if request.HasField("length") else len(whole)
        part = whole[request.offset : end]
        for start in range(0, len(part), 4):
            last = start + 4 >= len(part)
            yield data_pb2.FetchDataResponse(
                media_type="text/plain" if start == 0 else "",
                bytes_total=len(whole) if start == 0 else None,
                data=part[start : start + 4],
                content_hash=digest if last and len(part) == len(whole) else "",
            )

    def VerifyData(self, request: Any, context: Any) -> Any:
        there = request.uri in self.objects
        return data_pb2.VerifyDataResponse(exists=there, verdict="unchanged" if there else "unknown")

    def SearchData(self, request: Any, context: Any) -> Any:
        if not request.query:
            context.abort(Code.INVALID_ARGUMENT, "the query is empty")
        found = [item for item in self.objects.values() if request.query in item.description]
        plan = {item.uri: data_pb2.FetchPlan(uri=item.uri, steps="read it", cost_class="free") for item in found}
        hits = [data_pb2.DataHit(entry=self._entry(item), score=1.0, plan=plan[item.uri]) for item in found]
        return data_pb2.SearchDataResponse(hits=hits[: request.k if request.HasField("k") else 10])

    def FetchAndIngest(self, request: Any, context: Any) -> Iterator[Any]:
        self._object(request, context)
        yield ingest_pb2.IngestProgress(phase=ingest_pb2.IngestProgress.PHASE_READING)
        report = ingest_pb2.IngestReport(source=request.uri, files=1, added=1)
        yield ingest_pb2.IngestProgress(phase=ingest_pb2.IngestProgress.PHASE_DONE, report=report)


class FakeMemory(ingest_pb2_grpc.IngestServicer, retrieval_pb2_grpc.RetrievalServicer):
    """Memories and contexts, just enough; is away for the first `away` calls, and remembers what it was sent."""

    def __init__(self) -> None:
        self.away = 0
        self.retry_after_s: float | None = None
        self.remembered: list[Any] = []
        self.contexts: list[Any] = []
        self.keys: list[str] = []
        self.metadata: list[dict[str, str]] = []
        self.slow_s = 0.0

    def _note(self, context: Any) -> None:
        self.metadata.append({key: value for key, value in context.invocation_metadata() if isinstance(value, str)})
        time.sleep(self.slow_s)
        if self.away > 0:
            self.away -= 1
            abort(context, Code.UNAVAILABLE, "the model is loading", retry_after_s=self.retry_after_s)

    def Remember(self, request: Any, context: Any) -> Any:
        self.keys.append(request.idempotency_key)
        self._note(context)
        self.remembered.append(request)
        return ingest_pb2.RememberResponse(uri=f"memory:{len(self.remembered)}", created=True)

    def Forget(self, request: Any, context: Any) -> Any:
        details = [
            error_details_pb2.PreconditionFailure(
                violations=[error_details_pb2.PreconditionFailure.Violation(subject="disk", description="is full")]
            )
        ]
        abort(context, Code.FAILED_PRECONDITION, "nothing can be written", details)

    def Search(self, request: Any, context: Any) -> Any:
        self._note(context)
        return retrieval_pb2.SearchResponse(hits=[retrieval_pb2.Hit(text="x" * 1024 * 1024)] * (request.k or 1))

    def GatherContext(self, request: Any, context: Any) -> Any:
        if len(request.task.encode()) > 32 * 1024:
            context.abort(Code.INVALID_ARGUMENT, "the task is over 32 KiB")
        self.contexts.append(request)
        fresh = [f"doc:{word}@0#L1-1" for word in request.task.split()[:3]]
        fresh = [citation for citation in fresh if citation not in request.held]
        text = "\n".join(f"# {citation}" for citation in fresh)
        items = [retrieval_pb2.ContextItem(citation=citation) for citation in fresh]
        return retrieval_pb2.GatherContextResponse(text=text, tokens=4 * len(fresh), budget_tokens=100, items=items)


def abort(context: Any, code: Any, message: str, details: Any = (), retry_after_s: float | None = None) -> None:
    """Ends a call with google.rpc details."""
    packed = []
    if retry_after_s is not None:
        info = error_details_pb2.RetryInfo()
        info.retry_delay.FromMilliseconds(int(retry_after_s * 1000))
        details = [*details, info]
    for detail in details:
        entry = AnyMessage()
        entry.Pack(detail)
        packed.append(entry)
    status = status_pb2.Status(code=code.value[0], message=message, details=packed)
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(code, message)


@dataclass
class Fake:
    """All of them on one address."""

    address: str
    swarm: FakeSwarm
    data: FakeDataView
    memory: FakeMemory
    router: FakeRouter


def serve(credentials: grpc.ServerCredentials | None = None) -> tuple[Fake, grpc.Server]:
    """Starts them on a free loopback port."""
    server = grpc.server(ThreadPoolExecutor(32), options=[("grpc.max_send_message_length", -1)])
    fake = Fake("", FakeSwarm(), FakeDataView(), FakeMemory(), FakeRouter())
    swarm_pb2_grpc.add_SwarmServicer_to_server(fake.swarm, server)
    data_pb2_grpc.add_DataViewServicer_to_server(fake.data, server)
    ingest_pb2_grpc.add_IngestServicer_to_server(fake.memory, server)
    retrieval_pb2_grpc.add_RetrievalServicer_to_server(fake.memory, server)
    router_pb2_grpc.add_RouterServicer_to_server(fake.router, server)
    host = "127.0.0.1:0"
    port = server.add_insecure_port(host) if credentials is None else server.add_secure_port(host, credentials)
    server.start()
    fake.address = f"127.0.0.1:{port}" if credentials is None else f"https://127.0.0.1:{port}"
    return fake, server
