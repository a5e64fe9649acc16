"""What the kernel lends to keep a script in: resource limits, namespaces of its own, and a group to kill."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from dataclasses import dataclass
from functools import cache

from hivemem.swarm.settings import ScriptSettings

# Sets the limits and becomes the command that follows. `ulimit` is the shell's own and there everywhere; dash calls the limit of
# processes -p, others -u. As the Rust client has it.
_LIMITS = (
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

    def words(self, settings: ScriptSettings) -> list[str]:
        """What is put before the interpreter and its script."""
        limits = (
            settings.cpu_s,
            settings.memory_bytes // 1024,
            -(-settings.output_bytes // 512),
            settings.processes,
        )
        words = ["sh", "-c", _LIMITS, "sh", *map(str, limits)]
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
