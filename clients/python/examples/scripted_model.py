"""A model that needs no model: an endpoint of OpenAI's chat protocol in this process, for `document_repository.py` without one.

It is deterministic and answers from what it is asked with: it picks file names, signatures and first sentences of documentation
out of the contexts of the prompt, each with the place where it stands there. So what it writes is true, if dull.
"""

from __future__ import annotations

import contextlib
import json
import posixpath
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_CONTEXT = re.compile(r"<context>\n(.*?)\n</context>", re.DOTALL)
_HEADING = re.compile(
    r"^### (?P<path>\S+):(?P<first>\d+)-(?P<last>\d+)(?: \(outline\))?\n(?:\[(?P<inside>.*)\]\n)?", re.MULTILINE
)
_FOLDER = re.compile(r"^Document the folder `([^`]+)`", re.MULTILINE)
_CHOICE = re.compile(r"^- `([^`]+)` \((\d+) files?\)", re.MULTILINE)
_SIGNATURE = re.compile(
    r"(?:export |pub(?:\([^)]*\))? )?(?:default |async |unsafe |abstract |const )*"
    r"(?:fn|struct|enum|trait|type|def|class|func|function|interface) \w"
)
_MODULE_DOC = re.compile(r'\s*(?://!|"""|/\*\*|#+ |\* )\s*(?!\[!)(.*)')
_ITEM_DOC = re.compile(r"\s*(?:///|\* |/\*\*)\s*(.*)")

_SIGNATURES_MAX = 8
# Of one file; a section is no index.


@dataclass(frozen=True)
class Passage:
    """One piece of a context, with the place that its heading says."""

    path: str
    first: int
    last: int
    inside: str
    lines: list[str]

    @property
    def citation(self) -> str:
        return f"[{self.path}:{self.first}-{self.last}]"


def reply(request: dict[str, Any]) -> str:
    """What the model says to a request of the chat protocol."""
    prompt = str(request["messages"][-1]["content"])
    if "response_format" in request:
        schema = request["response_format"]["json_schema"]["schema"]
        return json.dumps({"folders": _largest(prompt, schema["properties"]["folders"]["maxItems"])})
    return _section(prompt)


def _largest(prompt: str, most: int) -> list[str]:
    """The folders with the most files, of those that the task lists."""
    choices = _CHOICE.findall(prompt)
    return [name for name, _ in sorted(choices, key=lambda choice: -int(choice[1]))[:most]]


def _section(prompt: str) -> str:
    """A section about the folder that the task names, from the passages of its files."""
    asked = _FOLDER.search(prompt)
    folder = asked[1] if asked else "."
    files: dict[str, list[Passage]] = {}
    for passage in _passages(prompt):
        if (posixpath.dirname(passage.path) or ".") == folder:
            files.setdefault(passage.path, []).append(passage)
    parts = [f"## `{folder}`", *(_file(path, sorted(files[path], key=lambda held: held.first)) for path in sorted(files))]
    return "\n\n".join(parts)


def _passages(prompt: str) -> Iterator[Passage]:
    for pack in _CONTEXT.findall(prompt):
        found = list(_HEADING.finditer(pack))
        ends = [*(heading.start() for heading in found[1:]), len(pack)]
        for heading, end in zip(found, ends, strict=True):
            lines = pack[heading.end() : end].splitlines()
            yield Passage(heading["path"], int(heading["first"]), int(heading["last"]), heading["inside"] or "", lines)


def _file(path: str, passages: list[Passage]) -> str:
    """What the passages say of one file: what it is for, and what it defines."""
    start = passages[0]
    about = _sentence(start.lines, _MODULE_DOC) if start.first == 1 else ""
    said = [f"**`{posixpath.basename(path)}`** {about} {start.citation}".replace("  ", " ")]
    seen: set[str] = set()
    for passage in passages:
        for number, line in enumerate(passage.lines):
            signature = line.rstrip(" {:;")
            closed = signature.count("(") == signature.count(")")
            if "mod tests" in passage.inside or not closed or not _SIGNATURE.match(line) or signature in seen:
                continue
            seen.add(signature)
            about = _sentence(_above(passage.lines, number), _ITEM_DOC)
            said.append(f"- `{signature}`{': ' if about else ''}{about} {passage.citation}")
    most = _SIGNATURES_MAX + 1
    more = [f"- and {len(said) - most} more"] if len(said) > most else []
    return "\n".join([said[0], "", *said[1:most], *more]).rstrip()


def _above(lines: list[str], number: int) -> list[str]:
    """The lines of documentation right above a definition, attributes left out."""
    above: list[str] = []
    for line in reversed(lines[:number]):
        if _ITEM_DOC.match(line):
            above.insert(0, line)
        elif not line.lstrip().startswith(("#[", "@")):
            break
    return above


def _sentence(lines: list[str], doc: re.Pattern[str]) -> str:
    """The first sentence of the documentation that `lines` begin with; empty if they begin with none."""
    text = ""
    for number, line in enumerate(lines):
        said = doc.match(line)
        # A docstring goes on without a sign of its own.
        docstring = number > 0 and lines[0].startswith('"""')
        piece = said[1] if said else line.strip() if docstring else ""
        if not piece:
            break
        text = f"{text} {piece}".strip()
        if '"""' in piece or re.search(r"[.!?](\s|$)", text):
            break
    return re.split(r"(?<=[.!?])\s", text.replace('"""', "").strip(), maxsplit=1)[0]


@contextlib.contextmanager
def serve() -> Iterator[str]:
    """Starts the endpoint on a free loopback port, and gives its base URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        if self.path != "/v1/chat/completions":
            self.send_error(404)
            return
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        said = reply(request)
        asked = sum(len(message["content"]) for message in request["messages"])
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        # Four letters are about a token.
        usage = {"prompt_tokens": asked // 4, "completion_tokens": len(said) // 4}
        for event in ({"choices": [{"delta": {"content": said}}]}, {"choices": [], "usage": usage}):
            self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: the example's own lines are what counts."""
