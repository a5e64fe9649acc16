"""Code in the folder of the run: kept there, and run there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from hivemem.swarm import launch
from hivemem.swarm.builtin.schemas import texts
from hivemem.swarm.node import Finish, NodeError, NodeFailed, Outcome, node_type
from hivemem.swarm.step import Step


@node_type(
    "save_code",
    schema=texts(["path", "code"]),
    utterances=["save this code to a file", "store the script", "write the file to disk"],
)
async def save_code(step: Step) -> Outcome:
    """Saves code or text as a file in the folder of the run, where later nodes find it."""
    path, content = step.data["path"], step.data["code"].encode()
    file = inside(step.work_dir, path)

    async def carry_out(_: str) -> Any:
        await asyncio.to_thread(_write, step.work_dir, file, content)
        return {"path": path, "bytes": len(content)}

    return Finish(await step.effect("save_code", carry_out))


def inside(folder: Path, path: str) -> Path:
    """The file `path` below `folder`, and never anywhere else."""
    wanted = Path(path)
    plain = not wanted.anchor and ".." not in wanted.parts and path.split("/")[0] not in ("", ".")
    if not plain or "\0" in path:
        raise NodeError(f"{path!r} is no path within the folder of the run")
    return folder / wanted


def _write(folder: Path, file: Path, content: bytes) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # Another node of the run may have left a link that leads out.
        if not file.parent.resolve().is_relative_to(folder.resolve()) or file.is_symlink():
            raise NodeFailed(f"{file} leads out of the folder of the run")
        file.write_bytes(content)
    except OSError as error:
        raise NodeError(f"{file} can't be written: {error}") from error


@node_type(
    "execute_code",
    schema=texts(["language", "code"], input={}, effect={"type": "boolean"}),
    utterances=["run this script", "execute the code", "run the command and read the terminal output"],
)
async def execute_code(step: Step) -> Outcome:
    """Runs code in a process of its own and returns what it printed."""

    async def carry_out(_: str) -> Any:
        ran = await launch.run(step, step.data["language"], step.data["code"], step.data.get("input"))
        # Here a failing program is a result like any other: whoever reads it decides.
        return {"stdout": ran.stdout, "stderr": ran.stderr, "code": ran.code}

    effect = step.data.get("effect") is True
    return Finish(await step.effect("execute_code", carry_out) if effect else await carry_out(""))
