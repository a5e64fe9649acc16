"""The sync client: every call of `hivemem.v1` as a method, and streams as iterators."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import AsyncIterable, Callable, Iterator
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar

import grpc

from hivemem import calls
from hivemem._call import Exchanged, Gathered, Method, Packer, Paged, Sent, Streamed, Unary
from hivemem._settings import CHANNEL_OPTIONS, DEFAULT_ADDRESS, Attempts, Retry, Settings, Target, no_report, target_of
from hivemem.calls import admin, data, graph, ingest, retrieval, router, runs
from hivemem.errors import HivememError, from_rpc
from hivemem.types import IngestProgress, IngestReport

if TYPE_CHECKING:
    from typing_extensions import Self

P = ParamSpec("P")
T = TypeVar("T")


class Stream(Generic[T]):
    """Replies as they arrive. Leave it by `close`, or use it in a `with`: that cancels the call.

    Iterating raises what the server says, and what the iterable of a put raised.
    """

    def __init__(self, call: Any, read: Callable[[Any], T], address: str, fault: _Fault | None = None) -> None:
        """Made by the client."""
        self._call = call
        self._read = read
        self._address = address
        self._fault = fault

    def __iter__(self) -> Self:
        """Itself."""
        return self

    def __next__(self) -> T:
        """The next reply; waits for it."""
        try:
            reply = next(self._call)
        except StopIteration:
            self._raise_fault()
            raise
        except grpc.RpcError as error:
            self._raise_fault()
            raise from_rpc(error, self._address) from error
        self._raise_fault()
        return self._read(reply)

    def close(self) -> None:
        """Cancels the call, if it still runs."""
        self._call.cancel()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Cancels the call, if it still runs."""
        self.close()

    def _raise_fault(self) -> None:
        if self._fault is not None and self._fault.error is not None:
            self.close()
            raise self._fault.error


class IngestStream(Stream[IngestProgress]):
    """Progress of an ingest: counts so far, at some point `acknowledged`, in the last message the report.

    Leaving it cancels the call: what was acknowledged stays stored and its embedding goes on.
    """

    def finish(self, observe: Callable[[IngestProgress], None] | None = None) -> IngestReport:
        """Follows the ingest to its end, shows each message to `observe`, and returns the last report.

        Of a source that is followed (`watch`) that is when the following ends; `next_report` comes back after each sync.
        """
        report: IngestReport | None = None
        for progress in self:
            if observe is not None:
                observe(progress)
            report = progress.report or report
        if report is None:
            raise no_report()
        return report

    def next_report(self, observe: Callable[[IngestProgress], None] | None = None) -> IngestReport:
        """Follows the ingest to its next report, shows each message to `observe`."""
        for progress in self:
            if observe is not None:
                observe(progress)
            if progress.report is not None:
                return progress.report
        raise no_report()


class _Fault:
    """Where the sending half of a call leaves its error; the receiving half raises it."""

    error: BaseException | None = None


def _messages(items: Any, packer: Packer, fault: _Fault) -> Iterator[Any]:
    try:
        if isinstance(items, AsyncIterable):
            raise TypeError("an async iterable needs the AsyncClient")
        for item in items:
            if (message := packer.push(item)) is not None:
                yield message
    except Exception as error:
        fault.error = error
    if (message := packer.flush()) is not None:
        yield message


class _Connection:
    """Carries calls out over one channel."""

    def __init__(self, target: Target, settings: Settings, channel: grpc.Channel) -> None:
        self._target = target
        self._settings = settings
        self._channel = channel

    def _send_unary(self, call: Unary[T]) -> T:
        callable_ = self._callable(self._channel.unary_unary, call.method)
        if call.long:
            try:
                return call.read(callable_(call.request, metadata=self._target.metadata))
            except grpc.RpcError as error:
                raise from_rpc(error, self._target.address) from error
        return self._repeat(lambda timeout: call.read(callable_(call.request, timeout=timeout, metadata=self._target.metadata)))

    def _send_gathered(self, call: Gathered[T]) -> T:
        callable_ = self._callable(self._channel.unary_stream, call.method)
        return self._repeat(
            lambda timeout: call.read(list(callable_(call.request, timeout=timeout, metadata=self._target.metadata)))
        )

    def _repeat(self, send: Callable[[float | None], T]) -> T:
        attempts = Attempts(self._settings)
        while True:
            try:
                return send(attempts.remaining_s())
            except grpc.RpcError as error:
                failed: HivememError = from_rpc(error, self._target.address)
                failed.__cause__ = error
                pause_s = attempts.pause_after(failed)
            time.sleep(pause_s)

    def _send_sent(self, call: Sent[T]) -> T:
        callable_ = self._callable(self._channel.stream_unary, call.method)
        fault = _Fault()
        try:
            reply = callable_(_messages(call.items, call.packer, fault), metadata=self._target.metadata)
        except grpc.RpcError as error:
            if fault.error is not None:
                raise fault.error from None
            raise from_rpc(error, self._target.address) from error
        if fault.error is not None:
            raise fault.error
        return call.read(reply)

    def _send_paged(self, call: Paged[T]) -> Iterator[T]:
        following: Unary[Any] | None = call.first
        while following is not None:
            page = self._send_unary(following)
            yield from call.items(page)
            following = call.after(page)

    def _send_streamed(self, call: Streamed[T]) -> Stream[T]:
        callable_ = self._callable(self._channel.unary_stream, call.method)
        return Stream(callable_(call.request, metadata=self._target.metadata), call.read, self._target.address)

    def _send_ingest(self, call: Streamed[IngestProgress] | Exchanged[IngestProgress]) -> IngestStream:
        if isinstance(call, Streamed):
            started = self._callable(self._channel.unary_stream, call.method)(call.request, metadata=self._target.metadata)
            return IngestStream(started, call.read, self._target.address)
        fault = _Fault()
        started = self._callable(self._channel.stream_stream, call.method)(
            _messages(call.items, call.packer, fault), metadata=self._target.metadata
        )
        return IngestStream(started, call.read, self._target.address, fault)

    @staticmethod
    def _callable(kind: Any, method: Method[Any, Any]) -> Any:
        return kind(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.reply.FromString,
        )


def _bound(build: Callable[..., Any], send: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(build)
    def method(self: Client, /, *args: Any, **kwargs: Any) -> Any:
        return send(self, build(self.namespace, *args, **kwargs))

    calls.show_as_method(method, inspect.signature(build))
    return method


def _unary(build: Callable[Concatenate[str, P], Unary[T]]) -> Callable[Concatenate[Client, P], T]:
    return _bound(build, _Connection._send_unary)


def _gathered(build: Callable[Concatenate[str, P], Gathered[T]]) -> Callable[Concatenate[Client, P], T]:
    return _bound(build, _Connection._send_gathered)


def _sent(build: Callable[Concatenate[str, P], Sent[T]]) -> Callable[Concatenate[Client, P], T]:
    return _bound(build, _Connection._send_sent)


def _paged(build: Callable[Concatenate[str, P], Paged[T]]) -> Callable[Concatenate[Client, P], Iterator[T]]:
    return _bound(build, _Connection._send_paged)


def _streamed(build: Callable[Concatenate[str, P], Streamed[T]]) -> Callable[Concatenate[Client, P], Stream[T]]:
    return _bound(build, _Connection._send_streamed)


def _ingesting(
    build: Callable[Concatenate[str, P], Streamed[IngestProgress] | Exchanged[IngestProgress]],
) -> Callable[Concatenate[Client, P], IngestStream]:
    return _bound(build, _Connection._send_ingest)


class Client(_Connection):
    """A connection to a server. All methods may run side by side in threads.

    Errors are those of `hivemem.errors`. Each call ends at the client's deadline, unless its description says that it has
    none. While the server is unavailable a call is sent again as `retry` says, streams excepted.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        namespace: str = "default",
        token: str | None = None,
        timeout_s: float | None = 60.0,
        retry: Retry | None = None,
        root_certificates: bytes | None = None,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        """Connects at the first call.

        `address` is `http://HOST:PORT`, or `https://HOST:PORT` for TLS, checked against `root_certificates` (PEM; None: those
        of the gRPC library) or by `credentials` of your own. `timeout_s` is the deadline of a call with all its tries, in
        seconds; None: no deadline.

        Raises InvalidArgument for a broken address or token.
        """
        target = target_of(address, token, root_certificates, credentials)
        settings = Settings(namespace, timeout_s, retry or Retry())
        if target.credentials is None:
            channel = grpc.insecure_channel(target.authority, options=CHANNEL_OPTIONS)
        else:
            channel = grpc.secure_channel(target.authority, target.credentials, options=CHANNEL_OPTIONS)
        super().__init__(target, settings, channel)

    @property
    def namespace(self) -> str:
        """The namespace that calls are about."""
        return self._settings.namespace

    def with_namespace(self, namespace: str) -> Client:
        """The same connection for another namespace."""
        return self._with(replace(self._settings, namespace=namespace))

    def with_timeout(self, timeout_s: float | None) -> Client:
        """The same connection with another deadline, in seconds; None: none."""
        return self._with(replace(self._settings, timeout_s=timeout_s))

    def with_retry(self, retry: Retry) -> Client:
        """The same connection with other retries."""
        return self._with(replace(self._settings, retry=retry))

    def _with(self, settings: Settings) -> Client:
        other = Client.__new__(Client)
        _Connection.__init__(other, self._target, settings, self._channel)
        return other

    def is_serving(self) -> bool:
        """Whether the server says that it is ready (gRPC health); False as well where nobody answers. Sent once."""
        check: Any = self._channel.unary_unary(calls.HEALTH_CHECK)
        try:
            reply = check(b"", timeout=self._settings.timeout_s, metadata=self._target.metadata)
        except grpc.RpcError:
            return False
        return bool(reply == calls.HEALTH_SERVING)

    def close(self) -> None:
        """Ends the connection, also of the clients that `with_namespace` and its like gave."""
        self._channel.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Ends the connection."""
        self.close()

    # Ingest
    ingest_source = _ingesting(ingest.ingest_source)
    put_documents = _ingesting(ingest.put_documents)
    remember = _unary(ingest.remember)
    forget = _unary(ingest.forget)

    # Retrieval
    search = _unary(retrieval.search)
    gather_context = _unary(retrieval.gather_context)

    # Graph
    tree = _unary(graph.tree)
    outline = _unary(graph.outline)
    neighbors = _unary(graph.neighbors)
    path = _unary(graph.path)
    related = _unary(graph.related)
    link = _unary(graph.link)
    unlink = _unary(graph.unlink)
    resolve = _unary(graph.resolve)

    # Router
    register_nodes = _sent(router.register_nodes)
    import_nodes = _unary(router.import_nodes)
    list_nodes = _unary(router.list_nodes)
    iter_nodes = _paged(router.iter_nodes)
    get_node = _unary(router.get_node)
    remove_nodes = _unary(router.remove_nodes)
    add_examples = _unary(router.add_examples)
    route = _unary(router.route)
    route_batch = _unary(router.route_batch)
    record_outcome = _unary(router.record_outcome)
    report_routing = _unary(router.report_routing)

    # DataView
    register_data = _sent(data.register_data)
    unregister_data = _unary(data.unregister_data)
    list_data = _unary(data.list_data)
    iter_data = _paged(data.iter_data)
    stat_data = _unary(data.stat_data)
    locate_data = _unary(data.locate_data)
    fetch_data = _streamed(data.fetch_data)
    read_data = _gathered(data.read_data)
    verify_data = _unary(data.verify_data)
    search_data = _unary(data.search_data)
    fetch_and_ingest = _ingesting(data.fetch_and_ingest)

    # Swarm
    create_run = _unary(runs.create_run)
    list_runs = _unary(runs.list_runs)
    iter_runs = _paged(runs.iter_runs)
    get_run = _unary(runs.get_run)
    acquire_run = _unary(runs.acquire_run)
    renew_run = _unary(runs.renew_run)
    release_run = _unary(runs.release_run)
    append_events = _unary(runs.append_events)
    read_state = _gathered(runs.read_state)
    read_events = _unary(runs.read_events)
    iter_events = _paged(runs.iter_events)
    watch_run = _streamed(runs.watch_run)
    list_questions = _unary(runs.list_questions)
    iter_questions = _paged(runs.iter_questions)
    answer_question = _unary(runs.answer_question)
    cancel_run = _unary(runs.cancel_run)
    compact_run = _unary(runs.compact_run)
    delete_run = _unary(runs.delete_run)

    # Admin
    stats = _unary(admin.stats)
    create_namespace = _unary(admin.create_namespace)
    list_namespaces = _paged(admin.list_namespaces)
    rebuild = _streamed(admin.rebuild)
    fsck = _unary(admin.fsck)
    compact = _unary(admin.compact)
    backup = _streamed(admin.backup)
