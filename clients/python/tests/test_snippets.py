"""What the README and the docstrings show is run as it stands there, with another address."""

from __future__ import annotations

import inspect
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Server, needs
from endpoint import Endpoint
from fake import Fake
from swarms import Scripted, leaf

import hivemem
import hivemem.swarm
from hivemem.swarm import builtin

README = (Path(__file__).resolve().parents[1] / "README.md").read_text()
SERVER = "http://127.0.0.1:7411"
MODEL = "http://127.0.0.1:11434/v1"


def of_readme(number: int) -> str:
    return README.split("```python\n")[number + 1].partition("```")[0]


def of_docstring(module: Any) -> str:
    """Its first indented block."""
    lines = inspect.getdoc(module).splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith("    "))
    block = [line for line in lines[first:] if not line or line.startswith("    ")]
    return textwrap.dedent("\n".join(block))


def put(snippet: str, **others: tuple[str, str]) -> str:
    """The snippet with other texts in it; each has to be there."""
    for text, other in others.values():
        assert text in snippet
        snippet = snippet.replace(text, other)
    return snippet


async def run(snippet: str, **names: Any) -> dict[str, Any]:
    """Runs a snippet that may await, and returns its names."""
    body = textwrap.indent(snippet, "    ")
    exec(f"async def snippet():\n{body}\n    return locals()", names)
    return dict(await names["snippet"]())


@pytest.fixture
def namespace() -> str:
    return f"snippets-{time.time_ns()}"


async def test_the_client_of_the_readme(server: Server, namespace: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    snippet = put(
        of_readme(0), server=(SERVER, server.address), namespace=('"team"', repr(namespace)), repo=("/srv/repo", str(folder))
    )
    found = await run(snippet)
    assert found["report"].files == 3
    assert "two approvals on Fridays" in found["pack"].text
    said = capsys.readouterr().out
    assert "done" in said
    assert found["pack"].citations[0] in said


async def test_the_client_of_the_docstring(
    server: Server, namespace: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with hivemem.Client(server.address, namespace=namespace) as client:
        client.ingest_source(str(folder)).finish()
    call = f'Client("{server.address}", namespace={namespace!r})'
    await run(put(of_docstring(hivemem), client=(f'Client("{SERVER}")', call)), hivemem=hivemem)
    assert "lease.py@" in capsys.readouterr().out


async def test_the_swarm_of_the_readme(any_server: str, namespace: str, endpoint: Endpoint) -> None:
    needs(any_server, lambda client: client.list_runs())
    endpoint.replies = ["It is short."]
    async with hivemem.AsyncClient(any_server, namespace=namespace) as client:
        await client.remember("Search finds what ingest has put there.")
        found = await run(put(of_readme(1), model=(MODEL, endpoint.address)), client=client)
        end = found["end"]
        assert (end.status.value, end.output, end.nodes) == ("succeeded", ["It is short."] * 2, 3)
        assert found["swarm"].settings.parallel == 4
        await found["swarm"].model.close()


async def test_the_scripts_of_the_readme(
    fake_client: hivemem.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("node_scripts.json").write_text(README.split("```json\n")[1].partition("```")[0])
    found = await run(of_readme(2), client=fake_client)
    assert (found["end"].status.value, found["end"].output) == ("succeeded", 3)


async def test_the_swarm_of_the_docstring(any_server: str, namespace: str, endpoint: Endpoint) -> None:
    needs(any_server, lambda client: client.list_runs())
    endpoint.replies = ["Dear Ada!"]
    names = {name: getattr(hivemem.swarm, name) for name in hivemem.swarm.__all__}
    async with hivemem.AsyncClient(any_server, namespace=namespace) as client:
        found = await run(put(of_docstring(hivemem.swarm), model=(MODEL, endpoint.address)), client=client, **names)
        assert (found["end"].status.value, found["end"].output) == ("succeeded", "Dear Ada!")
        await found["swarm"].model.close()
    assert "Greet Ada." in endpoint.asked[0]["messages"][-1]["content"]


async def test_the_built_in_types_of_the_docstring(fake: Fake, fake_client: hivemem.AsyncClient) -> None:
    fake.router.says("write a paragraph about the release", "write_text")
    names = {"client": fake_client, "mine": leaf, "model": Scripted("It is out."), "builtin": builtin}
    found = await run(of_docstring(builtin), Swarm=hivemem.swarm.Swarm, Blueprint=hivemem.swarm.Blueprint, **names)
    assert (found["end"].status.value, found["end"].output) == ("succeeded", "It is out.")
    assert [told.chosen for told in fake.router.outcomes] == ["write_text"]
