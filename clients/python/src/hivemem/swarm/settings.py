"""Limits of a run and how patient it is. They are kept with the run, so that it resumes under the same."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hivemem.swarm.node import Blueprint

_MOST = {"depth_max": 63, "nodes_max": 100_000, "fan_out_max": 700, "node_bytes_max": 960 * 1024}
# What the server takes of any run, and what fits into one append; a limit beyond would only stop the run when it is met. As the
# Rust client has it.

_NOT_KEPT = ("approve", "scripts", "work_dir")
# The Rust client can not read the settings of a run if there is a name among them that it does not keep.

_INTERPRETERS = {
    "bash": ("bash",),
    "javascript": ("node",),
    "perl": ("perl",),
    "python": ("python3",),
    "ruby": ("ruby",),
    "sh": ("sh",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptSettings:
    """How scripts are run, and that they may be at all. Needs a POSIX system.

    The limits keep a mistake from taking the machine along; they are no wall against an attacker who knows the kernel.
    """

    enabled: bool = False
    """Off unless somebody turned it on."""
    interpreters: Mapping[str, Sequence[str]] = field(default_factory=lambda: dict(_INTERPRETERS))
    """Language, in lower case → command that the path of the script is given to."""
    path: str = "/usr/local/bin:/usr/bin:/bin"
    """Where commands are looked for: `PATH` of the script."""
    network: bool = False
    """Whether scripts may use the network. It is taken from them where the kernel lends namespaces to this user."""
    wall_ms: int = 60_000
    """Time on the clock."""
    cpu_s: int = 60
    """Time of each process on the processor, in seconds."""
    memory_bytes: int = 2 * 1024 * 1024 * 1024
    """Address space of each process."""
    output_bytes: int = 1024 * 1024
    """Most bytes of stdout, and of each file that is written."""
    processes: int = 256
    """Processes of the user who runs it. The kernel does not hold root to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Names and units are those of the Rust client, so that either resumes a run of the other.

    Raises ValueError for a limit over what the server takes: 63 for `depth_max`, 100,000 for `nodes_max`, 700 for `fan_out_max`,
    960 KiB for `node_bytes_max`.
    """

    parallel: int = 8
    """Executions at the same time."""
    nodes_max: int = 1_000
    """Nodes of the run, over its whole life."""
    depth_max: int = 12
    """Deepest node; the root is 0."""
    fan_out_max: int = 64
    """Children that one outcome may spawn, steps of a plan included."""
    attempts_max: int = 3
    """Executions of a node that may fail before the node has failed."""
    backoff_ms: int = 500
    """Wait after the first failure; doubles each time, with jitter."""
    backoff_ms_max: int = 30_000
    """Longest wait between attempts."""
    node_timeout_ms: int = 600_000
    """Time of one execution."""
    run_timeout_ms: int = 0
    """Time of the run, from its start or resume. 0: none."""
    tokens_max: int = 0
    """Tokens of all model calls, in and out. 0: no limit."""
    lease_ms: int = 15_000
    """How long the lease holds without being renewed."""
    patience_ms: int = 60_000
    """How long a server that does not answer is waited for."""
    node_bytes_max: int = 256 * 1024
    """Most bytes of a node's output, data or question, as JSON."""
    memory: bool = True
    """Gather a context before each model call and remember each output."""
    context_tokens: int = 4_000
    """Tokens of the context of one node."""
    prefix_tokens_max: int = 8_000
    """Tokens of the contexts of the nodes above that go before it."""
    repairs_max: int = 2
    """Times a model is asked again when its reply can't be used."""
    review: bool = False
    """Whether what the built-in types write is reviewed by another node."""
    rounds_max: int = 2
    """Times something may be improved after a review or a failed test."""
    scripts: ScriptSettings = field(default_factory=ScriptSettings)
    """How scripts are run; off unless enabled. Not kept with the run: whoever resumes it decides again."""
    work_dir: Path | str = "hivemem-runs"
    """Folder under which each run has its own, for its scripts and the files of its nodes. Not kept with the run."""
    approve: bool = False
    """Ask people before each execution; a repeat of one that failed is not asked for again. They say `yes` (or `y`, `ok`, `okay`,
    `approve`, `approved`); whatever else they say fails the node, with their words. Not kept with the run: whoever resumes it
    decides again."""

    def __post_init__(self) -> None:
        """Checks what the server would refuse only once the run is there."""
        for name, most in _MOST.items():
            if (wanted := getattr(self, name)) > most:
                raise ValueError(f"{name} is {wanted}, it can be {most} at most: choose less")

    @classmethod
    def of(cls, held: Mapping[str, Any]) -> Settings:
        """Those that are kept with a run. What this runtime has no use for is left out; a limit is at most what it can be."""
        known = {one.name for one in dataclasses.fields(cls)}.difference(_NOT_KEPT)
        kept = {name: value for name, value in held.items() if name in known}
        return cls(**{name: min(value, _MOST[name]) if name in _MOST else value for name, value in kept.items()})


@dataclass(frozen=True, slots=True)
class Stored:
    """What a run keeps about itself on the server."""

    root: Blueprint | None
    limits: Settings

    def to_json(self) -> str:
        """As it is kept."""
        root = None if self.root is None else self.root.to_json()
        names = (one.name for one in dataclasses.fields(self.limits) if one.name not in _NOT_KEPT)
        limits = {name: getattr(self.limits, name) for name in names}
        return json.dumps({"root": root, "limits": limits}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str, otherwise: Settings) -> Stored:
        """Reads it; a run that another program made has settings of its own making, and goes on under `otherwise`."""
        try:
            held = json.loads(text)
            root = Blueprint(held["root"]["type"], held["root"].get("data", {}))
            return cls(root, Settings.of(held["limits"]))
        except (ValueError, LookupError, TypeError, AttributeError):
            return cls(None, otherwise)
