"""The sync client against a real server."""

from __future__ import annotations

import json
import socket
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from conftest import Server, start_server

import hivemem
from hivemem import Document, IngestStream, Node, Retry, SearchFilter
from hivemem.types import IngestPhase, IngestProgress


def harvest(client: hivemem.Client) -> None:
    text = b"Pumpkins are gathered in October, before the frost."
    client.put_documents([Document(uri="harvest.md", content=text, tags=("garden",))]).finish()


def tools() -> list[Node]:
    return [
        Node(name="break_down_goal", description="Splits a large goal into smaller ones that can be worked on one by one"),
        Node(name="write_text", description="Writes prose: an essay, a letter", utterances=("draft an email to the team",)),
        Node(name="convert_currency", description="Converts an amount of money from one currency to another"),
        Node(name="get_weather", description="Tells the weather forecast for a place", utterances=("will it rain?",)),
    ]


def test_a_folder_is_ingested_with_progress_and_again_without_work(client: hivemem.Client, folder: Path) -> None:
    seen: list[IngestProgress] = []
    report = client.ingest_source(str(folder), exclude=["worker.py"], tags=["demo"]).finish(seen.append)
    assert (report.files, report.added, report.failed) == (2, 2, ())
    assert report.chunks >= 2
    assert report.elapsed > timedelta(0)
    assert any(progress.acknowledged for progress in seen)
    assert seen[-1].phase is IngestPhase.DONE
    again = client.ingest_source(str(folder), tags=["demo"]).finish()
    assert (again.added, again.unchanged) == (1, 2)
    tags = {tag for hit in client.search("lease").hits for tag in hit.tags}
    assert "demo" in tags
    assert client.forget(source=str(folder)).removed == 3


def test_a_followed_folder_reports_each_change(client: hivemem.Client, folder: Path) -> None:
    with client.ingest_source(str(folder), watch=True) as stream:
        assert isinstance(stream, IngestStream)
        assert stream.next_report().added == 3
        (folder / "new.md").write_text("A new note about turnips.\n")
        assert stream.next_report().added == 1
    stats = client.stats()
    assert [source.watched for source in stats.sources] == [True]
    client.ingest_source(str(folder), watch=False).finish()
    assert [source.watched for source in client.stats().sources] == [False]


def test_every_mode_of_search_answers_with_evidence(client: hivemem.Client, folder: Path) -> None:
    client.ingest_source(str(folder)).finish()
    for mode in ("hybrid", "dense", "lexical"):
        result = client.search("when are pumpkins gathered", k=2, mode=mode, explain=True)  # type: ignore[arg-type]
        assert result.completeness.complete
        best = result.hits[0]
        assert best.path == "docs/harvest.md"
        assert best.citation.startswith(f"{best.uri}@{best.sha256}#L")
        assert best.location.line_first == 1
        assert "October" in best.text
        assert best.freshness == "fresh"
        assert best.channels
        assert best.parts
        assert best.indexed_at is not None
        assert datetime.now(timezone.utc) - best.indexed_at < timedelta(minutes=5)
    assert client.search("renew the lease", mode="graph").completeness.complete
    code = client.search("lease", filter=SearchFilter(paths=("*.py",), languages=("python",)))
    assert {hit.language for hit in code.hits} == {"python"}
    with pytest.raises(ValueError, match="none of"):
        client.search("lease", mode="telepathy")  # type: ignore[arg-type]


def test_a_context_keeps_to_its_budget_and_names_what_it_holds(client: hivemem.Client, folder: Path) -> None:
    client.ingest_source(str(folder)).finish()
    pack = client.gather_context("how does a worker keep its lease", budget_tokens=120, model="gpt-4o")
    assert 0 < pack.tokens <= pack.budget_tokens == 120
    assert pack.items
    first = pack.items[0]
    assert pack.text.encode()[first.text_start : first.text_end].strip()
    assert client.gather_context("", map=True).text.count("lease.py") == 1
    with pytest.raises(hivemem.InvalidArgument):
        client.gather_context("lease", model="no-such-model")


def test_memories_are_found_expire_are_not_doubled_and_are_forgotten(client: hivemem.Client) -> None:
    kept = client.remember(
        "Staging is rebuilt every Monday.",
        kind="fact",
        title="staging",
        tags=["ops"],
        metadata={"who": "ada"},
        run="r1",
        node="0.1",
        trust="local",
        ttl=timedelta(hours=1),
    )
    assert kept.created
    again = client.remember("Staging is rebuilt every Monday.", kind="fact", title="staging", tags=["ops"])
    assert again.created is False or again.repeats == kept.uri
    hit = client.search("when is staging rebuilt", filter=SearchFilter(tags=("run:r1",))).hits[0]
    assert hit.uri == kept.uri
    assert hit.metadata["who"] == "ada"
    assert hit.trust == "local"
    assert hit.expires_at is not None
    assert hit.expires_at > datetime.now(timezone.utc)
    assert client.forget(tag="ops").removed >= 1
    assert client.search("when is staging rebuilt").hits == ()
    assert client.forget(uri="memory:gone").removed == 0
    with pytest.raises(hivemem.InvalidArgument):
        client.forget()
    with pytest.raises(ValueError, match="not several"):
        client.forget(uri="a", tag="b")


def test_the_same_key_does_a_write_once_and_another_request_with_it_is_a_conflict(client: hivemem.Client) -> None:
    first = client.remember("The pump is on the left.", idempotency_key="k")
    assert client.remember("The pump is on the left.", idempotency_key="k") == first
    with pytest.raises(hivemem.Conflict):
        client.remember("The pump is on the right.", idempotency_key="k")


def test_many_documents_are_put_in_batches_and_keep_what_they_say(client: hivemem.Client) -> None:
    moment = datetime(2024, 5, 6, tzinfo=timezone.utc)
    documents = (
        Document(uri=f"notes/{number}.md", content=f"note number {number}".encode(), modified_at=moment) for number in range(700)
    )
    report = client.put_documents(documents, source="inline:notes", wait=False).finish()
    assert (report.files, report.failed) == (700, ())
    until = SearchFilter(modified_until=moment + timedelta(days=1), sources=("inline:notes",))
    assert client.search("note number 7", mode="lexical", filter=until).hits
    with pytest.raises(ValueError, match="time zone"):
        client.put_documents([Document(uri="a", content=b"x", modified_at=datetime(2024, 5, 6))]).finish()


def test_a_fault_on_the_way_names_itself_and_keeps_what_came_before(client: hivemem.Client) -> None:
    def documents() -> object:
        yield Document(uri="first.md", content=b"kept and found")
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        client.put_documents(documents()).finish()  # type: ignore[arg-type]
    too_large = [Document(uri="small.md", content=b"small"), Document(uri="large.md", content=b"x" * 9_000_000)]
    with pytest.raises(hivemem.LimitExceeded, match=r"large\.md"):
        client.put_documents(too_large).finish()
    until = time.monotonic() + 5
    while client.stats().documents < 2 and time.monotonic() < until:
        time.sleep(0.05)
    assert client.stats().documents == 2


def test_the_graph_shows_what_belongs_together(client: hivemem.Client, folder: Path) -> None:
    client.ingest_source(str(folder)).finish()
    assert {"lease.py", "worker.py"} <= {entry.name for entry in client.tree().entries}
    outline = client.outline("lease.py")
    assert [entry.node.qualified for entry in outline.entries] == ["Lease", "Lease::renew"]
    outline = client.outline("lease.py", limit=1)
    assert ([entry.node.qualified for entry in outline.entries], outline.left_out) == (["Lease"], 1)
    work = client.resolve("work").nodes[0]
    assert (work.kind, work.line_first) == ("function", 4)
    around = client.neighbors("work", direction="out", depth=1)
    assert any(edge.from_ == work.address and edge.confidence > 0 for edge in around.edges)
    way = client.path("work", "Lease::renew")
    assert way.nodes[0].address == work.address
    assert way.nodes[-1].name == "renew"
    assert client.related("work", limit=5).nodes
    linked = client.link("work", "docs/harvest.md", kind="related", note="both are done in autumn")
    assert linked.created
    assert linked.edge.from_ == work.address
    assert client.unlink(origin=linked.edge.origin).removed == (linked.edge.origin,)
    with pytest.raises(hivemem.NotFound):
        client.neighbors("no_such_thing_anywhere")


def test_goals_are_routed_and_what_came_of_them_is_learned(client: hivemem.Client, tmp_path: Path) -> None:
    assert client.register_nodes(tools(), wait=True).added == 4
    decision = client.route("How much is 100 dollars in euros?", k=3)
    assert decision.candidates[0].name == "convert_currency"
    assert 0 <= decision.candidates[0].probability <= 1
    assert client.route("sequence the genome of a fruit fly").decision == "none"
    first, second = client.route_batch(["compose a letter", "rain in Rome"])
    assert second.candidates[0].name == "get_weather"
    assert first.candidates
    client.record_outcome("compose an ode", "get_weather", succeeded=False, correction="write_text")
    assert client.report_routing().records[0].failed == 1
    assert client.add_examples("write_text", ["compose a poem"]) == 1

    script = {"ask_user": {"language": "python", "description": "Asks the user a question", "script": "x"}, "bad": 1}
    file = tmp_path / "node_scripts.json"
    file.write_text(json.dumps(script))
    imported = client.import_nodes(file, folder="people")
    assert (imported.added, imported.rejected) == (1, 1)
    assert imported.issues[0].reason
    assert [folder.path for folder in client.list_nodes().folders] == ["people"]
    assert {node.name for node in client.iter_nodes()} == {tool.name for tool in tools()}
    held = client.get_node("write_text")
    assert held.node is not None
    assert held.node.utterances == ("draft an email to the team",)
    assert set(held.examples) == {"compose a poem", "compose an ode"}
    assert client.remove_nodes("ask_user", "nobody") == 1
    with pytest.raises(hivemem.NotFound):
        client.get_node("nobody")
    with pytest.raises(hivemem.InvalidArgument):
        client.import_nodes("nonsense", file_name="node_scripts.json")


def test_an_admin_sees_and_cares_for_the_server(client: hivemem.Client, tmp_path: Path) -> None:
    harvest(client)
    stats = client.stats()
    assert (stats.documents, stats.namespace) == (1, client.namespace)
    assert stats.model.dimension > 0
    assert {"lexical", "vector"} <= {projection.name for projection in stats.projections}
    client.create_namespace(f"{client.namespace}-b")
    with pytest.raises(hivemem.Conflict):
        client.create_namespace(f"{client.namespace}-b")
    assert {client.namespace, f"{client.namespace}-b"} <= set(client.list_namespaces())
    report = client.fsck()
    assert {store.name for store in report.stores} >= {"catalogue", "lexical", "vector"}
    assert client.compact().disk_bytes_after > 0
    assert list(client.rebuild("lexical"))[-1].done
    file = tmp_path / "backup"
    with client.backup() as pieces, file.open("wb") as sink:
        for piece in pieces:
            sink.write(piece)
    assert file.stat().st_size > 1000


def test_errors_come_by_kind_with_what_the_server_named(client: hivemem.Client) -> None:
    with pytest.raises(hivemem.NotFound) as missing:
        client.search("anything")
    assert client.namespace in missing.value.message
    assert missing.value.code == "NOT_FOUND"
    harvest(client)
    with pytest.raises(hivemem.InvalidArgument) as empty:
        client.search("")
    assert empty.value.details[0].subject == "query"
    assert "[INVALID_ARGUMENT]" in str(empty.value)
    with pytest.raises((hivemem.InvalidArgument, hivemem.LimitExceeded)) as over:
        client.search("x", k=1001)
    assert "1000" in over.value.message
    with pytest.raises(hivemem.LimitExceeded):
        client.search("x" * 100_000)
    with pytest.raises(hivemem.NotFound):
        client.ingest_source("/no/such/folder/anywhere").finish()
    assert issubclass(hivemem.ConnectFailed, hivemem.Unavailable)


def test_calls_run_side_by_side_in_threads(client: hivemem.Client) -> None:
    harvest(client)
    found: list[str] = []

    def search() -> None:
        for _ in range(5):
            found.append(client.search("pumpkins", k=1).hits[0].title or "untitled")

    threads = [threading.Thread(target=search) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(found) == 20


def test_nobody_there_is_told_apart_from_a_broken_address() -> None:
    with hivemem.Client("http://127.0.0.1:1", retry=Retry(attempts=1)) as client:
        assert client.is_serving() is False
        with pytest.raises(hivemem.ConnectFailed, match=r"127\.0\.0\.1:1"):
            client.stats()
    for broken in ("ftp://127.0.0.1:1", "http://", "http://host/path"):
        with pytest.raises(hivemem.InvalidArgument):
            hivemem.Client(broken)
    with pytest.raises(hivemem.InvalidArgument, match="token"):
        hivemem.Client(token="line\nbreak")
    with pytest.raises(hivemem.InvalidArgument, match="https"):
        hivemem.Client("http://127.0.0.1:1", root_certificates=b"x")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_call_outlasts_a_restart_and_a_token_is_asked_for(tmp_path: Path) -> None:
    listen = f"127.0.0.1:{free_port()}"
    first = start_server(tmp_path / "data", listen=listen, token="s3cret")
    retry = Retry(attempts=40, first_s=0.1, max_s=0.5)
    with hivemem.Client(listen, token="s3cret", retry=retry) as client:
        client.remember("The pump is on the left.")
        with hivemem.Client(listen, token="wrong") as stranger, pytest.raises(hivemem.Denied):
            stranger.stats()
        first.stop()
        started: list[Server] = []
        starter = threading.Timer(0.5, lambda: started.append(start_server(tmp_path / "data", listen=listen, token="s3cret")))
        starter.start()
        try:
            assert client.search("where is the pump").hits
        finally:
            starter.join(30)
            started[0].stop()
