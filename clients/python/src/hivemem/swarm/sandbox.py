"""What the kernel lends to keep a script in: resource limits, namespaces of its own, and a group to kill."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hivemem.swarm.settings import ScriptSettings

# Sets the limits and becomes the command that follows, with its input from the file that is named first. `ulimit` is the shell's
# own and there everywhere; dash calls the limit of processes -p, others -u.
#
# Its own stdin is a pipe that the client holds open and never writes to. A process beside the command waits for its end, which
# comes however the client ends, SIGKILL too, and kills the group then: what a run left in one client may not go on beside its
# repetition in another. As the Rust client has it.
_BEGIN = (
    'exec 3<&0; ({ read -r _ <&3; kill -9 0; } >/dev/null 2>&1 &); exec <"$1" 3<&- || exit 125; shift; '
    'ulimit -c 0 -t "$1" 2>/dev/null || { ulimit -c 0; ulimit -t "$1"; }; ulimit -v "$2" || exit 125; '
    'ulimit -f "$3" || exit 125; ulimit -u "$4" 2>/dev/null || ulimit -p "$4" 2>/dev/null; shift 4; exec "$@"'
)

# A user namespace, in it processes that die with their first one; with `--net` no network either.
_UNSHARE = ("unshare", "--map-root-user", "--pid", "--fork", "--kill-child")

_PROBE_S_MAX = 10.0


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What was found to work on this machine."""

    namespaces: bool
    network: bool
    """Whether it can be taken away."""

    def words(self, settings: ScriptSettings, given: Path) -> list[str]:
        """What is put before the interpreter and its script, which reads the file `given`."""
        limits = (
            settings.cpu_s,
            settings.memory_bytes // 1024,
            -(-settings.output_bytes // 512),
            settings.processes,
        )
        words = ["sh", "-c", _BEGIN, "sh", str(given), *map(str, limits)]
        if self.namespaces:
            alone = ["--net"] if self.network and not settings.network else []
            words += [*_UNSHARE, *alone, "--"]
        return words

    def missing(self, settings: ScriptSettings) -> str | None:
        """What could not be kept from a script, for people."""
        if not self.namespaces:
            return "the script had the network, and what it detached may live on: this kernel lends no namespaces"
        if not self.network and not settings.network:
            return "the script had the network: this kernel lends no network namespace"
        return None


async def probe(path: str) -> Sandbox:
    """What works here, with the commands on `path`. Tried once in the life of the process."""
    return await asyncio.to_thread(_found, path)


@cache
def _found(path: str) -> Sandbox:
    namespaces = _works(path)
    return Sandbox(namespaces, namespaces and _works(path, "--net"))


def _works(path: str, *more: str) -> bool:
    try:
        tried = subprocess.run(
            [*_UNSHARE, *more, "true"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": path},
            timeout=_PROBE_S_MAX,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return tried.returncode == 0


def kill_group(leader: int) -> None:
    """Kills a process and all of its group."""
    # Nobody left to kill is fine.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
