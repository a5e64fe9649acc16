"""The calls of `hivemem.v1.Swarm`: runs as the server keeps them. `hivemem.swarm` is the runtime on top."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from hivemem._call import Gathered, Method, Paged, Streamed, Unary
from hivemem._convert import from_message, number_of, reader, to_message
from hivemem._proto import swarm_pb2 as pb
from hivemem.calls._common import json_text, key_or_new
from hivemem.types import (
    Appended,
    EventPage,
    Lease,
    LeaseRenewed,
    Question,
    QuestionPage,
    Run,
    RunChange,
    RunCompacted,
    RunEvent,
    RunNode,
    RunPage,
    RunState,
    RunStatus,
)

_CREATE_RUN = Method("/hivemem.v1.Swarm/CreateRun", pb.CreateRunRequest, pb.CreateRunResponse)
_LIST_RUNS = Method("/hivemem.v1.Swarm/ListRuns", pb.ListRunsRequest, pb.ListRunsResponse)
_GET_RUN = Method("/hivemem.v1.Swarm/GetRun", pb.GetRunRequest, pb.GetRunResponse)
_ACQUIRE_RUN = Method("/hivemem.v1.Swarm/AcquireRun", pb.AcquireRunRequest, pb.AcquireRunResponse)
_RENEW_RUN = Method("/hivemem.v1.Swarm/RenewRun", pb.RenewRunRequest, pb.RenewRunResponse)
_RELEASE_RUN = Method("/hivemem.v1.Swarm/ReleaseRun", pb.ReleaseRunRequest, pb.ReleaseRunResponse)
_APPEND_EVENTS = Method("/hivemem.v1.Swarm/AppendEvents", pb.AppendEventsRequest, pb.AppendEventsResponse)
_READ_STATE = Method("/hivemem.v1.Swarm/ReadState", pb.ReadStateRequest, pb.ReadStateResponse)
_READ_EVENTS = Method("/hivemem.v1.Swarm/ReadEvents", pb.ReadEventsRequest, pb.ReadEventsResponse)
_WATCH_RUN = Method("/hivemem.v1.Swarm/WatchRun", pb.WatchRunRequest, pb.WatchRunResponse)
_LIST_QUESTIONS = Method("/hivemem.v1.Swarm/ListQuestions", pb.ListQuestionsRequest, pb.ListQuestionsResponse)
_ANSWER_QUESTION = Method("/hivemem.v1.Swarm/AnswerQuestion", pb.AnswerQuestionRequest, pb.AnswerQuestionResponse)
_CANCEL_RUN = Method("/hivemem.v1.Swarm/CancelRun", pb.CancelRunRequest, pb.CancelRunResponse)
_COMPACT_RUN = Method("/hivemem.v1.Swarm/CompactRun", pb.CompactRunRequest, pb.CompactRunResponse)
_DELETE_RUN = Method("/hivemem.v1.Swarm/DeleteRun", pb.DeleteRunRequest, pb.DeleteRunResponse)


def create_run(namespace: str, goal: str, *, settings: Any = None, idempotency_key: str | None = None) -> Unary[Run]:
    """Creates a run. `settings` (a JSON object, or its text) is kept as it is."""
    request = pb.CreateRunRequest(
        namespace=namespace,
        goal=goal,
        settings="" if settings is None else json_text(settings),
        idempotency_key=key_or_new(idempotency_key),
    )
    return Unary(_CREATE_RUN, request, _run)


def list_runs(namespace: str, *, statuses: Sequence[RunStatus] = (), page_size: int = 0, page_token: str = "") -> Unary[RunPage]:
    """A page of runs, newest first, of these statuses (none: all): at most `page_size`, 1 to 100 (0: 50)."""
    words = [number_of(pb.RunStatus.DESCRIPTOR, status.value) for status in statuses]
    request = pb.ListRunsRequest(
        namespace=namespace,
        statuses=[pb.RunStatus.Name(word) for word in words],
        page_size=page_size,
        page_token=page_token,
    )
    return Unary(_LIST_RUNS, request, reader(RunPage))


def iter_runs(namespace: str, *, statuses: Sequence[RunStatus] = ()) -> Paged[Run]:
    """All runs, newest first, fetched page by page."""

    def page(token: str) -> Unary[RunPage]:
        return list_runs(namespace, statuses=statuses, page_size=100, page_token=token)

    def after(last: RunPage) -> Unary[RunPage] | None:
        return page(last.next_page_token) if last.next_page_token else None

    return Paged(page(""), lambda found: found.runs, after)


def get_run(namespace: str, run: str) -> Unary[Run]:
    """A run, as it stands. Raises NotFound."""
    return Unary(_GET_RUN, pb.GetRunRequest(namespace=namespace, run=run), _run)


def acquire_run(namespace: str, run: str, *, holder: str, ttl: timedelta | None = None) -> Unary[Lease]:
    """Takes the lease of a run for `ttl`, 1 s to 5 min (None: 15 s). `holder` names this process to people.

    Raises Conflict while another holds it, with who and for how long; NotFound.
    """
    request = pb.AcquireRunRequest(namespace=namespace, run=run, holder=holder, ttl=ttl)
    return Unary(_ACQUIRE_RUN, request, reader(Lease))


def renew_run(namespace: str, run: str, *, fence: int, ttl: timedelta | None = None) -> Unary[LeaseRenewed]:
    """Keeps the lease for another while. Raises Conflict once it was lost."""
    request = pb.RenewRunRequest(namespace=namespace, run=run, fence=fence, ttl=ttl)
    return Unary(_RENEW_RUN, request, reader(LeaseRenewed))


def release_run(namespace: str, run: str, *, fence: int) -> Unary[None]:
    """Gives the lease back. Raises Conflict once it was lost."""
    request = pb.ReleaseRunRequest(namespace=namespace, run=run, fence=fence)
    return Unary(_RELEASE_RUN, request, _released)


def append_events(namespace: str, run: str, events: Sequence[RunEvent], *, fence: int) -> Unary[Appended]:
    """Appends to the history, all or none. Events that are there already count as duplicates.

    Raises Conflict for an old fence, a gap, or another content under a number that is taken; InvalidArgument,
    LimitExceeded.
    """
    request = pb.AppendEventsRequest(
        namespace=namespace, run=run, fence=fence, events=[to_message(event, pb.RunEvent) for event in events]
    )
    return Unary(_APPEND_EVENTS, request, reader(Appended))


def read_state(namespace: str, run: str) -> Gathered[RunState]:
    """What the history comes down to: the nodes there are and the queue. Raises NotFound."""
    return Gathered(_READ_STATE, pb.ReadStateRequest(namespace=namespace, run=run), _state)


def read_events(namespace: str, run: str, *, from_sequence: int = 0, page_size: int = 0) -> Unary[EventPage]:
    """A page of the history from a number on (0: the start): at most `page_size` events, 1 to 1000 (0: 100)."""
    request = pb.ReadEventsRequest(namespace=namespace, run=run, from_sequence=from_sequence, page_size=page_size)
    return Unary(_READ_EVENTS, request, reader(EventPage))


def iter_events(namespace: str, run: str, *, from_sequence: int = 0) -> Paged[RunEvent]:
    """The history from a number on to its end, fetched page by page."""

    def page(sequence: int) -> Unary[EventPage]:
        return read_events(namespace, run, from_sequence=sequence, page_size=1000)

    def after(last: EventPage) -> Unary[EventPage] | None:
        return page(last.next_sequence) if last.next_sequence else None

    return Paged(page(from_sequence), lambda found: found.events, after)


def watch_run(namespace: str, run: str, *, from_sequence: int = 0) -> Streamed[RunChange]:
    """The history from a number on and then what happens, until the run ends or the caller leaves. No deadline."""
    request = pb.WatchRunRequest(namespace=namespace, run=run, from_sequence=from_sequence)
    return Streamed(_WATCH_RUN, request, _change)


def list_questions(namespace: str, run: str = "", *, page_size: int = 0, page_token: str = "") -> Unary[QuestionPage]:
    """A page of questions that wait for an answer, oldest first, of one run or of all."""
    request = pb.ListQuestionsRequest(namespace=namespace, run=run, page_size=page_size, page_token=page_token)
    return Unary(_LIST_QUESTIONS, request, reader(QuestionPage))


def iter_questions(namespace: str, run: str = "") -> Paged[Question]:
    """All questions that wait for an answer, fetched page by page."""

    def page(token: str) -> Unary[QuestionPage]:
        return list_questions(namespace, run, page_token=token)

    def after(last: QuestionPage) -> Unary[QuestionPage] | None:
        return page(last.next_page_token) if last.next_page_token else None

    return Paged(page(""), lambda found: found.questions, after)


def answer_question(namespace: str, run: str, node: str, answer: str) -> Unary[Question]:
    """Answers a question that a node asked. Raises NotFound if it asked none, Conflict if the answer is another already."""
    request = pb.AnswerQuestionRequest(namespace=namespace, run=run, node=node, answer=answer)
    return Unary(_ANSWER_QUESTION, request, _question)


def cancel_run(namespace: str, run: str) -> Unary[Run]:
    """Asks the holder to stop; ends the run at once if nobody holds it. Raises NotFound."""
    return Unary(_CANCEL_RUN, pb.CancelRunRequest(namespace=namespace, run=run), _run)


def compact_run(namespace: str, run: str) -> Unary[RunCompacted]:
    """Replaces what can be spared of the history by the state that it comes down to. The run can be resumed as before."""
    return Unary(_COMPACT_RUN, pb.CompactRunRequest(namespace=namespace, run=run), reader(RunCompacted))


def delete_run(namespace: str, run: str, *, idempotency_key: str | None = None) -> Unary[int]:
    """Removes a run, and says how many events it had. Memories of its nodes stay."""
    request = pb.DeleteRunRequest(namespace=namespace, run=run, idempotency_key=key_or_new(idempotency_key))
    return Unary(_DELETE_RUN, request, _events)


def _run(reply: pb.CreateRunResponse | pb.GetRunResponse | pb.CancelRunResponse) -> Run:
    return from_message(Run, reply.run)


def _released(_: pb.ReleaseRunResponse) -> None:
    return None


def _question(reply: pb.AnswerQuestionResponse) -> Question:
    return from_message(Question, reply.question)


def _events(reply: pb.DeleteRunResponse) -> int:
    return reply.events


def _state(pieces: Sequence[pb.ReadStateResponse]) -> RunState:
    run = next((piece.run for piece in pieces if piece.HasField("run")), pb.Run())
    return RunState(
        run=from_message(Run, run),
        nodes=tuple(from_message(RunNode, node) for piece in pieces for node in piece.nodes),
        queue=tuple(place for piece in pieces for place in piece.queue),
    )


def _change(reply: pb.WatchRunResponse) -> RunChange:
    return from_message(RunChange, reply)
