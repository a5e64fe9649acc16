"""A model behind any endpoint that speaks OpenAI's chat protocol: OpenAI, Ollama, llama.cpp, vLLM."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

import httpx

from hivemem.swarm.llm import Message, OnText, Reply
from hivemem.swarm.node import NodeError, NodeFailed, Usage

if TYPE_CHECKING:
    from typing_extensions import Self

# What may be another time: too many requests. So may all of 5xx but 501: an endpoint that is busy or starting.
_PASSING = {408, 409, 425, 429}

# How endpoints refuse what they do not know, such as `response_format`.
_NOT_UNDERSTOOD = {400, 404, 415, 422, 501}

_PAUSE_S_MAX = 60.0

_REPLY_CHARS_MAX = 1024 * 1024
# Longest reply that is read: a model that loops is stopped here, and the reply counts as cut.


class OpenAi:
    """See the module. 429, 5xx and connections that fail are tried again, as long as `Retry-After` says."""

    def __init__(
        self,
        base_url: str,
        model: str,
        api_key: str = "",
        *,
        timeout_s: float = 120.0,
        attempts: int = 4,
        first_pause_s: float = 0.5,
    ) -> None:
        """The model `model` at `base_url`, such as `http://127.0.0.1:11434/v1`.

        `timeout_s` is that of one call with its tries, of which there are at most `attempts`, in seconds.
        """
        headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._model = model
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._first_pause_s = first_pause_s
        # The endpoint refused `response_format` or `stream_options`: neither is sent, and the schema is only told.
        self._plain = False
        self._http = httpx.AsyncClient(
            base_url=base_url.rstrip("/") + "/", headers=headers, timeout=httpx.Timeout(timeout_s, connect=10.0)
        )

    async def complete(
        self, messages: Sequence[Message], *, schema: Mapping[str, Any] | None = None, on_text: OnText | None = None
    ) -> Reply:
        """See `Model.complete`."""
        try:
            return await asyncio.wait_for(self._tried(messages, schema, on_text), self._timeout_s)
        except asyncio.TimeoutError:
            raise NodeError(f"{self._model} did not answer in {self._timeout_s:g} s") from None

    async def _tried(self, messages: Sequence[Message], schema: Mapping[str, Any] | None, on_text: OnText | None) -> Reply:
        pause_s = self._first_pause_s
        for attempt in range(1, self._attempts + 1):
            was_plain = self._plain
            try:
                return await self._call(self._request(messages, schema), on_text)
            except httpx.HTTPError as error:
                problem = f"{self._model} can't be reached: {error or type(error).__name__}"
                asked_s = 0.0
                if attempt == self._attempts:
                    raise NodeError(problem) from error
            except _Refused as refused:
                if refused.status in _NOT_UNDERSTOOD and not was_plain:
                    return await self._without_extras(messages, schema, on_text)
                if not refused.passes:
                    raise NodeFailed(f"{self._model}: {refused}") from None
                if attempt == self._attempts:
                    raise NodeError(f"{self._model}: {refused}") from None
                asked_s = refused.retry_after_s
            await asyncio.sleep(max(pause_s * (1 - random.random() / 2), asked_s))
            pause_s = min(pause_s * 2, _PAUSE_S_MAX)
        raise NodeError(f"{self._model} was not asked: no attempt is allowed")

    async def _without_extras(
        self, messages: Sequence[Message], schema: Mapping[str, Any] | None, on_text: OnText | None
    ) -> Reply:
        self._plain = True
        try:
            return await self._call(self._request(messages, schema), on_text)
        except _Refused as refused:
            # It refused the request for another reason: the next one may use everything again.
            self._plain = False
            kind = NodeError if refused.passes else NodeFailed
            raise kind(f"{self._model}: {refused}") from None
        except httpx.HTTPError as error:
            self._plain = False
            raise NodeError(f"{self._model} can't be reached: {error}") from error

    def _request(self, messages: Sequence[Message], schema: Mapping[str, Any] | None) -> dict[str, Any]:
        request: dict[str, Any] = {"model": self._model, "messages": list(messages), "stream": True}
        if not self._plain:
            request["stream_options"] = {"include_usage": True}
            if schema is not None:
                wanted = {"name": "reply", "schema": dict(schema)}
                request["response_format"] = {"type": "json_schema", "json_schema": wanted}
        return request

    async def _call(self, request: Mapping[str, Any], on_text: OnText | None) -> Reply:
        usage = Usage()
        pieces: list[str] = []
        length = 0
        cut = False
        async with self._http.stream("POST", "chat/completions", json=request) as response:
            if response.status_code != 200:
                raise _Refused(response.status_code, (await response.aread())[:500], response.headers)
            async for line in response.aiter_lines():
                if not line.startswith("data:") or line.strip() == "data: [DONE]":
                    continue
                piece, said, ends = _read(line)
                cut = cut or ends == "length"
                if piece:
                    pieces.append(piece)
                    length += len(piece)
                    if on_text is not None:
                        on_text(piece)
                usage = said or usage
                if length > _REPLY_CHARS_MAX:
                    cut = True
                    break
        text = "".join(pieces)
        if usage.total == 0:
            # An endpoint that does not count: four bytes are about a token.
            asked = json.dumps(request["messages"], ensure_ascii=False)
            usage = Usage(len(asked.encode()) // 4, len(text.encode()) // 4)
        return Reply(text, usage, cut)

    async def close(self) -> None:
        """Ends the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        """Itself."""
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Ends the connections."""
        await self.close()


class _Refused(Exception):
    """The endpoint answered with another status than 200."""

    def __init__(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        super().__init__(f"the endpoint answers {status}: {body.decode(errors='replace')}")
        self.status = status
        self.passes = status in _PASSING or (status >= 500 and status not in _NOT_UNDERSTOOD)
        try:
            self.retry_after_s = min(float(headers.get("retry-after", "0")), _PAUSE_S_MAX)
        except ValueError:
            self.retry_after_s = 0.0


def _read(line: str) -> tuple[str, Usage | None, str]:
    """The text, the usage and the reason for the end that an event of the stream says; each may be none."""
    try:
        event = json.loads(line.removeprefix("data:"))
        if event.get("error"):
            raise NodeError(f"the endpoint broke off: {event['error']}")
        choices = event.get("choices") or ()
        piece = "".join(choice["delta"].get("content") or "" for choice in choices)
        ends = "".join(choice.get("finish_reason") or "" for choice in choices)
        said = event.get("usage")
        usage = Usage(said.get("prompt_tokens") or 0, said.get("completion_tokens") or 0) if said else None
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        raise NodeError(f"the endpoint says what is no chat completion: {line[:200]!r}") from error
    return piece, usage, ends
