"""The example that documents a repository: what it writes is true, it outlives kills, and its reviews count."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import document_repository as example
import pytest
import scripted_model
from conftest import Server, needs

import hivemem
from hivemem.swarm import Blueprint, Reply, RunEnd, Settings, Swarm
from hivemem.types import EventKind, RunStatus

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"

CONTEXT = """<context>
<!-- hivemem context -->
### src/lease.rs:1-4
[mod lease]
//! Leases of runs. They expire.

pub struct Lease {
### src/lease.rs:9-12 (outline)
[impl Lease > fn renew]
/// Keeps the lease. Ten
/// times at most.
#[must_use]
pub fn renew(&mut self) -> bool
### src/net/wire.rs:1-2
pub fn send()
</context>"""


@pytest.fixture
def address(server: Server) -> str:
    needs(server.address, lambda client: client.list_runs())
    return server.address


def run(address: str, *arguments: str, status: int = 0, **environment: str) -> str:
    command = [sys.executable, str(EXAMPLES / "document_repository.py"), "--server", address, *arguments]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("HIVEMEM_")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env={**clean, **environment})
    assert done.returncode == status, done.stdout[-500:] + done.stderr
    return done.stdout


def test_it_writes_what_is_true_and_goes_on_where_it_was_killed(address: str, folder: Path, tmp_path: Path) -> None:
    namespace = ("--namespace", f"example-{time.time_ns()}")
    said = run(address, str(folder), "--out", str(tmp_path / "out"), "--kill-after", "14", *namespace, status=example.KILLED)
    assert said.endswith("killed\n")
    name = re.search(r"^run (\S+)$", said, re.MULTILINE)[1]
    run(address, "--resume", name, "--kill-after", "6", *namespace, status=example.KILLED)
    said = run(address, "--resume", name, *namespace)
    assert re.search(r"finished before the resume: [1-4] nodes, executed again of them: none", said)
    assert "succeeded: 5 nodes finished" in said

    text = (tmp_path / "out" / "DOCUMENTATION.md").read_text()
    assert text.startswith("# source\n\n## `.`\n")
    assert "- `class Lease` [lease.py:" in text
    assert "**`harvest.md`**" in text
    cited = example.CITATION.findall(text)
    assert {path for path, _, _ in cited} == {"lease.py", "worker.py", "docs/harvest.md"}
    for path, first, last in cited:
        assert 1 <= int(first) <= int(last) <= len((folder / path).read_text().splitlines())

    with hivemem.Client(address, namespace=namespace[1]) as client:
        history = list(client.iter_events(name))
        kept = client.search("which folders are documented", k=20).hits
    finished = Counter(event.node for event in history if event.kind is EventKind.DELETE_NODE)
    assert finished == Counter(["0", "0.0", "0.0.0", "0.1", "0.1.0"])
    assert [event.key for event in history if event.kind is EventKind.RECEIPT] == ["write", "remember"]
    assert any("is documented in" in hit.text for hit in kept)


def test_the_model_is_the_one_of_the_environment(address: str, folder: Path, tmp_path: Path) -> None:
    arguments = (str(folder), "--out", str(tmp_path), "--namespace", f"example-{time.time_ns()}")
    with scripted_model.serve() as url:
        said = run(address, *arguments, HIVEMEM_LLM_BASE_URL=url, HIVEMEM_LLM_MODEL="tiny")
        assert said.startswith("model tiny\n")
        said = run(address, *arguments, status=1, HIVEMEM_LLM_BASE_URL=f"{url}/gone")
    assert "failed: 0 nodes finished" in said


class Careless:
    """The scripted model, which cites a file that isn't there until it is sent back `lessons` times for a section."""

    def __init__(self, lessons: int) -> None:
        self.lessons = lessons

    async def complete(self, messages: Sequence[Any], *, schema: Any = None, on_text: Any = None) -> Reply:
        request: dict[str, Any] = {"messages": messages}
        if schema is not None:
            request["response_format"] = {"json_schema": {"schema": schema}}
            return Reply(scripted_model.reply(request))
        learned = self.lessons == 1 and "sent back" in messages[-1]["content"]
        return Reply(scripted_model.reply(request) + ("" if learned else "\n\nIt never fails. [gone.py:1-2]"))


@pytest.fixture
async def client(address: str) -> AsyncIterator[hivemem.AsyncClient]:
    async with hivemem.AsyncClient(address, namespace=f"example-{time.time_ns()}") as made:
        yield made


async def document(client: hivemem.AsyncClient, folder: Path, out: Path, model: Any) -> RunEnd:
    source = await example.ingest(client, folder)
    data = {"task": "Document the repository", "source": source, "out": str(out)}
    types = [example.document_repository, example.document_folder, example.review_section]
    return await Swarm(client, types, model=model, settings=Settings(backoff_ms=1)).run(
        "x", Blueprint("document_repository", data)
    )


async def test_a_section_with_a_wrong_citation_is_sent_back(client: hivemem.AsyncClient, folder: Path, tmp_path: Path) -> None:
    end = await document(client, folder, tmp_path, Careless(lessons=1))
    assert (end.status, end.output["failed"], end.nodes) == (RunStatus.SUCCEEDED, [], 7)
    assert "gone.py" not in (tmp_path / "DOCUMENTATION.md").read_text()


async def test_a_section_that_stays_wrong_is_left_out(client: hivemem.AsyncClient, folder: Path, tmp_path: Path) -> None:
    end = await document(client, folder, tmp_path, Careless(lessons=2))
    assert (end.status, end.output["failed"], end.nodes) == (RunStatus.SUCCEEDED, [".", "docs"], 7)
    text = (tmp_path / "DOCUMENTATION.md").read_text()
    assert "Not documented: the review refused 2 drafts, the last one because of gone.py is cited and not in the context" in text
    assert "It never fails" not in text


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("True. [a.py:3-4] And [a.py:1-9].", []),
        ("Nothing.", ["it cites nothing"]),
        ("[b.py:1-2] [b.py:1-2]", ["b.py is cited and not in the context"]),
        ("[a.py:8-12]", ["lines 8 to 12 of a.py are cited and not in the context"]),
        ("[a.py:4-3]", ["lines 4 to 3 of a.py are cited and not in the context"]),
    ],
)
async def test_a_review_names_citations_that_prove_nothing(text: str, problems: list[str]) -> None:
    step: Any = SimpleNamespace(data={"text": text, "known": ["a.py:1-9", "memory:1-1", "no place"]})
    assert await example.review_section(step) == {"problems": problems}


def test_the_scripted_model_says_only_what_stands_in_its_context() -> None:
    prompt = f"{CONTEXT}\n\nYou write.\n\nDocument the folder `src` with its files lease.rs"
    assert scripted_model.reply({"messages": [{"role": "user", "content": prompt}]}) == (
        "## `src`\n\n"
        "**`lease.rs`** Leases of runs. [src/lease.rs:1-4]\n\n"
        "- `pub struct Lease` [src/lease.rs:1-4]\n"
        "- `pub fn renew(&mut self) -> bool`: Keeps the lease. [src/lease.rs:9-12]"
    )
