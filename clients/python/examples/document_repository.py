"""A swarm that reads a repository and writes documentation of it, with citations.

hivemem serve &
python examples/document_repository.py ~/src/project --out /tmp/documentation

It uses the model behind HIVEMEM_LLM_BASE_URL, HIVEMEM_LLM_MODEL and HIVEMEM_LLM_API_KEY (any OpenAI-compatible endpoint), or the
scripted one of `scripted_model.py`, which needs none. Killed at any moment, it goes on with `--resume RUN`; `--kill-after N` ends
it after N events, to show that.

    document_repository     chooses folders, later joins the sections
    ├── document_folder     writes a section from the context that was gathered for it
    │   └── review_section  checks its citations: a node never reviews itself
    └── ...
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import scripted_model

import hivemem
from hivemem.swarm import Blueprint, LeaseLost, NodeFailed, OpenAi, Outcome, RunEnd, Settings, Step, Swarm, node_type, parallel
from hivemem.types import EventKind, RunEvent, RunStatus, Tree

SECTIONS_MAX = 6
FOLDERS_MAX = 60
# Largest folders that the planner chooses from.
FILES_MAX = 40
# Files of a folder that its task names: they steer what is gathered.
DRAFTS_MAX = 2
# A section may be sent back once.
PROBLEMS_MAX = 10
# Of a section that a review names.
SETTINGS = Settings(parallel=2, lease_ms=3_000)
KILLED = 137
# Exit status after --kill-after, that of a process that was killed.

CITATION = re.compile(r"\[([^\[\]\s]+):(\d+)-(\d+)\]")
# As the context's headings have it, [PATH:FIRST-LAST].
STORED = re.compile(r"@[0-9a-f]+#L(\d+)-L(\d+)$")
# As a citation ends in the history: which version of the file, and its lines.

PLANNER = "You plan the documentation of a repository. Choose the folders that a newcomer has to know."
WRITER = (
    "You write one section of a repository's documentation, in Markdown, under a heading of level 2: what the folder is for and "
    "what its files hold. Say only what the context shows. After each statement cite where it stands as [PATH:FIRST-LAST], as in "
    "the headings of the context. No other headings."
)


def object_of(**properties: Any) -> dict[str, Any]:
    """A schema of an object that has all of these."""
    return {"type": "object", "required": list(properties), "properties": properties}


TEXT = {"type": "string"}
TEXTS = {"type": "array", "items": TEXT}


@node_type("document_repository", schema=object_of(task=TEXT, source=TEXT, out=TEXT), context=True, remember=False)
async def document_repository(step: Step) -> Outcome:
    """Documents a repository that was ingested: chooses its important folders and has each documented."""
    folders = folders_of(await step.client.tree(step.data["source"], depth=12, limit=2_000), step.data["source"])
    if not folders:
        raise NodeFailed(f"{step.data['source']} holds no files")
    listing = "\n".join(f"- `{name}` ({len(files)} files): {', '.join(files)}" for name, files in folders.items())
    choice = {"type": "array", "items": {"enum": list(folders)}, "minItems": 1, "maxItems": SECTIONS_MAX, "uniqueItems": True}
    task = f"{step.task}. Choose at most {SECTIONS_MAX} of these folders:\n{listing}"
    chosen = sorted((await step.ask_json(PLANNER, task, object_of(folders=choice)))["folders"])
    tasks = [f"Document the folder `{name}` with its files {', '.join(folders[name])}" for name in chosen]
    return parallel(*(Blueprint("document_folder", {"task": task}) for task in tasks), keep={"folders": chosen})


@document_repository.resume
async def _(step: Step) -> Any:
    """Joins the sections, and remembers that there is a documentation and of what."""
    folders = step.keep["folders"]
    sections = [child.output or f"## `{folders[child.number]}`\n\nNot documented: {child.error}." for child in step.children]
    text = f"# {step.data['source'].rstrip('/').rpartition('/')[2]}\n\n" + "\n\n".join(sections) + "\n"
    file = Path(step.data["out"]) / "DOCUMENTATION.md"

    async def write(_: str) -> Any:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return {"file": str(file), "characters": len(text)}

    async def remember(key: str) -> Any:
        said = f"{step.data['source']} is documented in {file}: the folders {', '.join(folders)}."
        made = await step.client.remember(said, kind="fact", run=step.run, node=step.path, idempotency_key=key)
        return {"uri": made.uri}

    written = await step.effect("write", write)
    summary = await step.effect("remember", remember)
    failed = [folders[child.number] for child in step.children if child.error is not None]
    return {"file": written["file"], "summary": summary["uri"], "sections": len(sections) - len(failed), "failed": failed}


@node_type("document_folder", schema=object_of(task=TEXT), context=True)
async def document_folder(step: Step) -> Outcome:
    """Writes the section about one folder, and has it reviewed."""
    return await draft(step, step.task)


@document_folder.resume
async def _(step: Step) -> Any:
    problems = step.last_output["problems"]
    if not problems:
        return step.keep["text"]
    said = "; ".join(problems)
    if len(step.children) == DRAFTS_MAX:
        raise NodeFailed(f"the review refused {DRAFTS_MAX} drafts, the last one because of {said}")
    return await draft(step, f"{step.task}\n\nYour draft was sent back: {said}. Write it anew. The draft:\n{step.keep['text']}")


async def draft(step: Step, task: str) -> Outcome:
    text = await step.ask_text(WRITER, task)
    items = [item for pack in step.packs for item in pack.items]
    known = [f"{item.path or item.uri}:{item.location.line_first}-{item.location.line_last}" for item in items]
    return parallel(Blueprint("review_section", {"text": text, "known": known}), keep={"text": text})


@node_type("review_section", schema=object_of(text=TEXT, known=TEXTS), remember=False)
async def review_section(step: Step) -> dict[str, list[str]]:
    """Says what is wrong with a section's citations: each must be within a passage (PATH:FIRST-LAST) of `known`."""
    known = [CITATION.fullmatch(f"[{place}]") for place in step.data["known"]]
    passages = [(place[1], int(place[2]), int(place[3])) for place in known if place]
    cited = CITATION.findall(step.data["text"])
    problems = [] if cited else ["it cites nothing"]
    for path, first, last in cited:
        held = [(start, end) for file, start, end in passages if file == path]
        if not held:
            problems.append(f"{path} is cited and not in the context")
        elif not any(start <= int(first) <= int(last) <= end for start, end in held):
            problems.append(f"lines {first} to {last} of {path} are cited and not in the context")
    return {"problems": list(dict.fromkeys(problems))[:PROBLEMS_MAX]}


def folders_of(tree: Tree, source: str) -> dict[str, list[str]]:
    """The files that lie right in the largest folders, by the folder's path in the source; hidden folders are left out."""
    folders: dict[str, list[str]] = {}
    for entry in tree.entries:
        if not entry.is_folder:
            folder, _, name = entry.address.removeprefix(source).rpartition("/")
            if "/." not in f"/{folder}":
                folders.setdefault(folder or ".", []).append(name)
    largest = sorted(folders.items(), key=lambda folder: -len(folder[1]))[:FOLDERS_MAX]
    return {name: files[:FILES_MAX] for name, files in largest}


class Lines:
    """Prints a line for each event of a run, indented by depth, and ends the process after `kill_after` of them (0: never)."""

    def __init__(self, kill_after: int) -> None:
        self.types: dict[str, str] = {}
        self._left = kill_after

    def __call__(self, event: RunEvent) -> None:
        self.types.setdefault(event.node, event.node_type)
        indent = "  " * event.node.count(".")
        print(
            f"{event.sequence:4} {event.kind.value:12} {indent}{event.node} {self.types[event.node]}{said_by(event)}", flush=True
        )
        self._left -= 1
        if self._left == 0:
            print("killed", flush=True)
            os._exit(KILLED)


def said_by(event: RunEvent) -> str:
    """What is worth a look in an event."""
    if event.kind is EventKind.RUN_NODE and event.data:
        context = json.loads(event.data)
        return f": {len(context['citations'])} passages, {context['tokens']} tokens, {context['held']} more from above"
    if event.kind is EventKind.NODE_ERROR or (event.kind is EventKind.NODE_OUTPUT and not event.waits):
        shown = " ".join(str(json.loads(event.output)).split())
        return f": {shown[:100]}"
    return ""


@contextlib.asynccontextmanager
async def model() -> AsyncIterator[OpenAi]:
    """The model of the environment, or the scripted one."""
    with contextlib.ExitStack() as stack:
        given = os.environ.get("HIVEMEM_LLM_BASE_URL")
        name = os.environ.get("HIVEMEM_LLM_MODEL", "default") if given else "scripted"
        async with OpenAi(
            given or stack.enter_context(scripted_model.serve()), name, os.environ.get("HIVEMEM_LLM_API_KEY", "")
        ) as made:
            print("model", name)
            yield made


async def ingest(client: hivemem.AsyncClient, repository: Path) -> str:
    """Ingests the repository (what has not changed costs nothing) and returns the address of its root folder."""
    async with client.ingest_source(str(repository.resolve())) as progress:
        report = await progress.finish()
    print(f"ingested {report.source}: {report.files} files, {report.chunks} passages, {report.unchanged} files as they were")
    return report.source.rstrip("/") + "/"


async def resume(swarm: Swarm, run: str) -> RunEnd:
    """Works on a run; the lease of a process that was killed has to run out first."""
    clock = asyncio.get_running_loop().time
    patience_s = 3 * SETTINGS.lease_ms / 1000
    started, told = clock(), False
    while True:
        try:
            return await swarm.resume(run)
        except LeaseLost as held:
            if clock() - started > patience_s:
                raise
            if not told:
                print(f"waiting: {held}", flush=True)
            told = True
        await asyncio.sleep(0.2)


def report(end: RunEnd, events: list[RunEvent], resumed_at: int) -> None:
    """Says what the run came to, from its history."""
    finished = [event for event in events if event.kind is EventKind.DELETE_NODE]
    ran = [event for event in events if event.kind is EventKind.RUN_NODE]
    if resumed_at:
        before = {event.node for event in finished if event.sequence <= resumed_at}
        again = sorted({event.node for event in ran if event.sequence > resumed_at and event.node in before})
        print(f"finished before the resume: {len(before)} nodes, executed again of them: {', '.join(again) or 'none'}")
    tokens = sum(event.prompt_tokens + event.completion_tokens for event in events)
    print(f"{end.status.value}: {len(finished)} nodes finished, {len(ran)} executions, {tokens} tokens")
    if end.status is not RunStatus.SUCCEEDED:
        sys.exit(f"{end.output['error']}")
    text = Path(end.output["file"]).read_text(encoding="utf-8")
    cited = {f"/{path}:{first}-{last}" for path, first, last in CITATION.findall(text)}
    given = {citation for event in ran if event.data for citation in json.loads(event.data)["citations"]}
    sources = sorted(citation for citation in given if STORED.sub(r":\1-\2", citation).endswith(tuple(cited)))
    print(f"{len(cited)} places are cited, of {len(given)} that the nodes were given; the first ones as the history has them:")
    print("\n".join(f"  {citation}" for citation in sources[:5]))
    print(f"written {end.output['file']}, {len(text.splitlines())} lines; remembered {end.output['summary']}")


async def main() -> None:
    parser = argparse.ArgumentParser(description="Write documentation of a repository.")
    parser.add_argument("repository", type=Path, nargs="?", help="a folder that the server can read; not with --resume")
    parser.add_argument("--server", default="http://127.0.0.1:7411")
    parser.add_argument("--namespace", default="documentation")
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="where DOCUMENTATION.md goes")
    parser.add_argument("--resume", metavar="RUN", help="go on with a run")
    parser.add_argument("--kill-after", type=int, default=0, metavar="N", help="end the process after N events")
    options = parser.parse_args()
    if (options.repository is None) == (options.resume is None):
        parser.error("name a repository, or a run with --resume")

    async with hivemem.AsyncClient(options.server, namespace=options.namespace) as client, model() as chosen:
        lines = Lines(options.kill_after)
        types = [document_repository, document_folder, review_section]
        swarm = Swarm(client, types, model=chosen, settings=SETTINGS, observe=lines)
        run = options.resume
        if run is None:
            source = await ingest(client, options.repository)
            goal = f"Document the repository {options.repository.resolve().name}"
            data = {"task": goal, "source": source, "out": str(options.out.resolve())}
            run = await swarm.create(goal, Blueprint("document_repository", data))
        print("run", run, flush=True)
        before = [event async for event in client.iter_events(run)]
        lines.types.update({event.node: event.node_type for event in before if event.node_type})
        end = await resume(swarm, run)
        report(end, [event async for event in client.iter_events(run)], len(before))


if __name__ == "__main__":
    asyncio.run(main())
