"""Runs code in a process of its own: JSON in, bytes out, within limits, and with everything it started gone afterwards.

What the kernel did not allow is noted with the node.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hivemem.swarm.node import NodeError, NodeFailed
from hivemem.swarm.sandbox import kill_group, probe
from hivemem.swarm.settings import ScriptSettings
from hivemem.swarm.step import Step, cut
from hivemem.swarm.tree import encode

_STDERR_BYTES_MAX = 16 * 1024
# The last ones are kept; the rest is read and dropped.

_REASON_BYTES_MAX = 600
_GONE_S_MAX = 5.0
# How long a process that was killed is waited for.


@dataclass(frozen=True, slots=True)
class Ran:
    """What a script left."""

    stdout: str
    stderr: str
    code: int | None
    """None if a signal ended it."""

    def json(self) -> Any:
        """The one JSON value that was printed. Raises NodeError where there is none, and for a script that did not succeed."""
        if self.code != 0:
            ended = "was killed" if self.code is None else f"ended with {self.code}"
            # The last lines, where the reason stands.
            reason = self.stderr.strip().encode()[-_REASON_BYTES_MAX:].decode(errors="ignore")
            raise NodeError(f"the script {ended}: {reason}")
        try:
            value = json.loads(self.stdout)
            # What this language reads and no other does, such as NaN.
            encode(value).encode()
        except (ValueError, RecursionError) as error:
            raise NodeError(f"the script printed no JSON ({error}): {cut(self.stdout, 200)!r}") from error
        return value


async def run(step: Step, language: str, code: str, given: Any) -> Ran:
    """Runs `code` with `given` as JSON on stdin, in the folder of the run. It ends with this process, however that ends.

    Raises NodeFailed where scripts are not enabled or the language is not known; NodeError where it can't be started, takes
    longer than `wall_ms`, or prints more than `output_bytes`.
    """
    settings = step.settings.scripts
    if not settings.enabled:
        enable = "Settings(scripts=ScriptSettings(enabled=True))"
        raise NodeFailed(f"scripts are not allowed in this run: whoever starts it has to say so ({enable})")
    interpreter = settings.interpreters.get(language.lower())
    if not interpreter:
        known = ", ".join(sorted(settings.interpreters))
        raise NodeFailed(f"no interpreter for {cut(language.lower(), 80)!r}; there are: {known}")
    sandbox = await probe(settings.path)
    if (missing := sandbox.missing(settings)) is not None:
        step.note(missing)
    folder = await asyncio.to_thread(_made, step.work_dir)
    with _written(folder, code, encode(given)) as (script, stdin):
        words = [*sandbox.words(settings, stdin), *interpreter, str(script)]
        return await _supervised(words, settings, folder)


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return folder.resolve()
    except OSError as error:
        raise NodeError(f"{folder} can't be written: {error}") from error


@contextlib.contextmanager
def _written(folder: Path, code: str, given: str) -> Iterator[tuple[Path, Path]]:
    """Files with a script and with what it reads, for as long as it runs."""
    script = folder / f".script-{uuid.uuid4()}"
    stdin = script.with_suffix(".json")
    try:
        for path, text in ((script, code), (stdin, given)):
            try:
                path.write_text(text, encoding="utf-8", newline="")
            except OSError as error:
                raise NodeError(f"{path} can't be written: {error}") from error
        yield script, stdin
    finally:
        # What is left is a small file in the run's own folder.
        for path in (script, stdin):
            with contextlib.suppress(OSError):
                path.unlink()


async def _supervised(words: Sequence[str], settings: ScriptSettings, folder: Path) -> Ran:
    """What a process came to. It and its group are gone when this returns, whichever way."""
    environment = {"PATH": settings.path, "LANG": "C.UTF-8", "HOME": str(folder)}
    loop = asyncio.get_running_loop()
    try:
        # Its stdin stays open until it is over: by its end those who wait beside the script hear of ours.
        transport, heard = await loop.subprocess_exec(
            partial(_Heard, settings.output_bytes), *words, cwd=folder, env=environment, start_new_session=True
        )
    except OSError as error:
        raise NodeError(f"the script can't be started: {error}") from error
    try:
        await asyncio.wait_for(heard.over, settings.wall_ms / 1000)
    except asyncio.TimeoutError:
        raise NodeError(f"the script ran longer than {settings.wall_ms} ms") from None
    finally:
        kill_group(transport.get_pid())
        try:
            await asyncio.wait({heard.gone}, timeout=_GONE_S_MAX)
        finally:
            transport.close()
    code = transport.get_returncode()
    return Ran(_text(heard.stdout), _text(heard.stderr), None if code is None or code < 0 else code)


def _text(said: bytes | bytearray) -> str:
    return said.decode(errors="replace")


class _Heard(asyncio.SubprocessProtocol):
    """Hears a process, and keeps no more of it than the limits say."""

    def __init__(self, stdout_bytes_max: int) -> None:
        loop = asyncio.get_running_loop()
        self._stdout_bytes_max = stdout_bytes_max
        self.stdout = bytearray()
        self.stderr = bytearray()
        self.over: asyncio.Future[None] = loop.create_future()
        """The process has ended, and nobody holds what it writes to; or it wrote too much."""
        self.gone: asyncio.Future[None] = loop.create_future()
        """The process has ended."""
        self._open = {1, 2}
        """What of its stdout and stderr somebody can still write to."""

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Keeps the first bytes of stdout and the last ones of stderr."""
        if fd == 2:
            self.stderr += data
            del self.stderr[:-_STDERR_BYTES_MAX]
        elif not self.over.done():
            self.stdout += data
            if len(self.stdout) > self._stdout_bytes_max:
                limit = f"{self._stdout_bytes_max} bytes, which is the limit"
                self.over.set_exception(NodeError(f"the script printed more than {limit}"))

    def pipe_connection_lost(self, fd: int, error: Exception | None) -> None:
        """Nobody holds it any more."""
        self._open.discard(fd)
        self._look()

    def process_exited(self) -> None:
        """It may still be that a child of it holds its stdout."""
        if not self.gone.done():
            self.gone.set_result(None)
        self._look()

    def _look(self) -> None:
        if self.gone.done() and not self._open and not self.over.done():
            self.over.set_result(None)
