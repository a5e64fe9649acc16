"""A scripted endpoint that speaks OpenAI's chat protocol, over real HTTP."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Endpoint:
    """Answers each request by the next of its replies: a text, or a status with a body and headers."""

    address: str = ""
    replies: list[Any] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.asked.append(json.loads(handler.rfile.read(int(handler.headers["content-length"]))))
        self.keys.append(handler.headers.get("authorization"))
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if callable(reply):
            reply = reply()
        if isinstance(reply, tuple):
            status, body, headers = reply
            handler.send_response(status)
            for name, value in headers.items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(body.encode())
            return
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.end_headers()
        for at in range(0, len(reply), 5):
            self._say(handler, {"choices": [{"delta": {"content": reply[at : at + 5]}}]})
        self._say(handler, {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}})
        handler.wfile.write(b"data: [DONE]\n\n")

    @staticmethod
    def _say(handler: BaseHTTPRequestHandler, event: Any) -> None:
        handler.wfile.write(f"data: {json.dumps(event)}\n\n".encode())


@contextlib.contextmanager
def serving() -> Iterator[Endpoint]:
    """Starts one on a free loopback port."""
    scripted = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/chat/completions"
            scripted.answer(self)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    scripted.address = f"http://127.0.0.1:{server.server_port}/v1"
    yield scripted
    server.shutdown()
    server.server_close()
