"""The async client against a real server: the same calls, as coroutines and async iterators."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from conftest import Server, needs
from fake import Fake

import hivemem
from hivemem import Document, Node, Retry


async def test_a_folder_is_ingested_searched_and_forgotten(async_client: hivemem.AsyncClient, folder: Path) -> None:
    phases = []
    report = await async_client.ingest_source(str(folder)).finish(lambda progress: phases.append(progress.phase.value))
    assert report.added == 3
    assert phases[-1] == "done"
    results = await asyncio.gather(*(async_client.search("when are pumpkins gathered", k=1) for _ in range(8)))
    assert {result.hits[0].path for result in results} == {"docs/harvest.md"}
    pack = await async_client.gather_context("renew the lease", budget_tokens=200)
    assert 0 < pack.tokens <= 200
    tree = await async_client.tree()
    assert "lease.py" in {entry.name for entry in tree.entries}
    assert (await async_client.forget(source=str(folder))).removed == 3


async def test_a_context_leaves_out_what_the_reader_holds(
    server: Server, async_client: hivemem.AsyncClient, folder: Path
) -> None:
    # The field is as old as the service of runs; a server without it does not know either.
    needs(server.address, lambda client: client.list_runs())
    await async_client.ingest_source(str(folder)).finish()
    pack = await async_client.gather_context("renew the lease", budget_tokens=200)
    rest = await async_client.gather_context("renew the lease", budget_tokens=200, held=pack.citations)
    assert pack.citations
    assert not set(rest.citations) & set(pack.citations)


async def test_documents_come_from_iterables_of_both_kinds(async_client: hivemem.AsyncClient) -> None:
    async def documents() -> AsyncIterator[Document]:
        for number in range(600):
            await asyncio.sleep(0)
            yield Document(uri=f"a{number}.md", content=f"note {number}".encode())

    assert (await async_client.put_documents(documents(), wait=False).finish()).added == 600
    assert (await async_client.put_documents([Document(uri="b.md", content=b"b")], wait=False).finish()).added == 1

    async def broken() -> AsyncIterator[Document]:
        yield Document(uri="c.md", content=b"c")
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        await async_client.put_documents(broken()).finish()


async def test_a_followed_folder_is_left_without_ending_what_runs(async_client: hivemem.AsyncClient, folder: Path) -> None:
    async with async_client.ingest_source(str(folder), watch=True) as stream:
        assert (await stream.next_report()).added == 3
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(stream.next_report(), 0.2)
    await async_client.ingest_source(str(folder), watch=False).finish()
    assert (await async_client.stats()).documents == 3


async def test_memories_nodes_and_namespaces(async_client: hivemem.AsyncClient) -> None:
    kept = await async_client.remember("Staging is rebuilt every Monday.", idempotency_key="k")
    assert await async_client.remember("Staging is rebuilt every Monday.", idempotency_key="k") == kept
    node = Node(name="get_weather", description="Tells the weather forecast", arguments='{"type":"object"}')
    assert (await async_client.register_nodes([node], wait=True)).added == 1
    assert (await async_client.route("will it rain tomorrow", budget_tokens=100)).candidates[0].name == "get_weather"
    assert [found.name async for found in async_client.iter_nodes()] == ["get_weather"]
    assert async_client.namespace in [name async for name in async_client.list_namespaces()]
    other = async_client.with_namespace(f"{async_client.namespace}-b")
    with pytest.raises(hivemem.NotFound):
        await other.search("staging")
    pieces = [piece async for piece in async_client.backup()]
    assert sum(map(len, pieces)) > 1000


async def test_errors_and_silence(async_client: hivemem.AsyncClient) -> None:
    assert await async_client.is_serving()
    await async_client.remember("The pump is on the left.")
    with pytest.raises(hivemem.InvalidArgument) as empty:
        await async_client.search("")
    assert empty.value.details[0].subject == "query"
    with pytest.raises(hivemem.NotFound):
        await async_client.ingest_source("/no/such/folder/anywhere").finish()
    async with hivemem.AsyncClient("127.0.0.1:1", retry=Retry(attempts=2, first_s=0.01)) as nobody:
        assert not await nobody.is_serving()
        with pytest.raises(hivemem.ConnectFailed):
            await nobody.stats()


async def test_a_call_ends_at_its_deadline_and_when_it_is_cancelled(fake: Fake) -> None:
    fake.memory.slow_s = 1.0
    async with hivemem.AsyncClient(fake.address) as slow:
        with pytest.raises(hivemem.DeadlineExceeded):
            await slow.with_timeout(0.1).search("x")
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(slow.search("x"), 0.1)
