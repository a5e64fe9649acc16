"""What travels with a call and what misfortunes look like, against the fake."""

from __future__ import annotations

import shutil
import subprocess
import time
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from conftest import needs
from fake import Fake, serve

import hivemem
from hivemem import DataFilter, DataObject, Detail, HivememError, Retry
from hivemem._settings import Attempts, Settings

QUICK = Retry(attempts=4, first_s=0.01)


def test_token_and_namespace_travel_and_a_write_has_a_key_of_its_own(fake: Fake) -> None:
    with hivemem.Client(fake.address, namespace="team", token="s3cret") as client:
        client.remember("a")
        client.with_namespace("other").remember("b")
    assert {metadata["authorization"] for metadata in fake.memory.metadata} == {"Bearer s3cret"}
    assert [request.namespace for request in fake.memory.remembered] == ["team", "other"]
    assert len(set(fake.memory.keys)) == 2
    assert all(fake.memory.keys)
    assert "s3cret" not in repr(client._target)


def test_a_call_is_sent_again_while_the_server_is_away_with_the_same_key(fake: Fake) -> None:
    fake.memory.away = 2
    with hivemem.Client(fake.address, retry=QUICK) as client:
        assert client.remember("a").created
        assert len(fake.memory.keys) == 3
        assert len(set(fake.memory.keys)) == 1
        fake.memory.away = 99
        with pytest.raises(hivemem.Unavailable, match="the model is loading"):
            client.remember("b")
        assert fake.memory.away == 95, "four tries"
        with pytest.raises(hivemem.Unavailable):
            client.with_retry(Retry(attempts=1)).search("x")
        assert fake.memory.away == 94


async def test_the_async_client_tries_again_as_well(fake: Fake) -> None:
    fake.memory.away = 3
    async with hivemem.AsyncClient(fake.address, retry=QUICK) as client:
        assert (await client.remember("a")).created
    assert len(set(fake.memory.keys)) == 1


def test_a_call_ends_at_its_deadline(fake: Fake) -> None:
    fake.memory.slow_s = 1.0
    with hivemem.Client(fake.address, timeout_s=0.1) as client:
        started = time.monotonic()
        with pytest.raises(hivemem.DeadlineExceeded):
            client.search("x")
        assert time.monotonic() - started < 0.9


def test_all_tries_together_keep_to_the_deadline(fake: Fake) -> None:
    fake.memory.away = 10_000
    with hivemem.Client(fake.address, timeout_s=0.3, retry=Retry(attempts=1000, first_s=0.05)) as client:
        started = time.monotonic()
        with pytest.raises(hivemem.HivememError):
            client.search("x")
        assert time.monotonic() - started < 1.0


def test_the_pause_that_the_server_asks_for_is_kept_and_pauses_grow_to_a_limit() -> None:
    now = [0.0]
    attempts = Attempts(Settings("ns", 10.0, Retry(attempts=3)), clock=lambda: now[0])
    assert attempts.pause_after(hivemem.Unavailable("x", retry_after_s=2.5)) == 2.5
    now[0] = 9.95
    with pytest.raises(hivemem.Unavailable):
        attempts.pause_after(hivemem.Unavailable("x"))
    with pytest.raises(hivemem.NotFound):
        attempts.pause_after(hivemem.NotFound("x"))
    assert list(Retry(attempts=5, first_s=1, max_s=3).pauses(lambda: 0.0)) == [1, 2, 3, 3]
    assert list(Retry(attempts=2, first_s=1).pauses(lambda: 1.0)) == [0.5]


def test_answers_up_to_the_limit_of_the_protocol_arrive_and_larger_ones_are_errors(fake: Fake) -> None:
    with hivemem.Client(fake.address) as client:
        assert len(client.search("x", k=7).hits) == 7
        with pytest.raises(hivemem.LimitExceeded):
            client.search("x", k=9)


def test_details_and_unknown_methods_come_out(fake: Fake) -> None:
    with hivemem.Client(fake.address) as client:
        with pytest.raises(hivemem.PreconditionFailed) as refused:
            client.forget(tag="x")
        assert refused.value.details == (Detail("disk", "is full"),)
        assert str(refused.value) == "nothing can be written; disk: is full [FAILED_PRECONDITION]"
        with pytest.raises(hivemem.Unsupported):
            client.stats()


def test_an_error_says_each_thing_once() -> None:
    def shown(message: str, subject: str, description: str) -> str:
        return str(HivememError(message, code="INVALID_ARGUMENT", details=[Detail(subject, description)]))

    assert shown("k must be 1 to 1000", "k", "k must be 1 to 1000") == "k must be 1 to 1000 [INVALID_ARGUMENT]"
    assert shown("bad rank", "k", "bad rank") == "bad rank (k) [INVALID_ARGUMENT]"
    assert shown("query too long", "QUERY_MAX", "9 of 3") == "query too long; QUERY_MAX: 9 of 3 [INVALID_ARGUMENT]"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl for a certificate")
def test_tls_with_a_certificate_of_ones_own(tmp_path: Path) -> None:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(cert), *subject]
    subprocess.run(make, check=True, capture_output=True, timeout=30)
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), cert.read_bytes())])
    fake, running = serve(credentials)
    try:
        with hivemem.Client(fake.address, root_certificates=cert.read_bytes()) as client:
            assert client.remember("over TLS").created
        with hivemem.Client(fake.address, retry=Retry(attempts=1)) as stranger, pytest.raises(hivemem.Unavailable):
            stranger.remember("who is it")
    finally:
        running.stop(None)


def test_data_is_registered_found_located_and_read(any_server: str, tmp_path: Path) -> None:
    needs(any_server, lambda client: client.list_data())
    file = tmp_path / "sales.txt"
    file.write_text("turnover by month")
    uri = file.as_uri()
    with hivemem.Client(any_server, namespace=f"data-{time.time_ns()}") as client:
        objects = [DataObject(uri=f"s3://bucket/{number:04}", tags=("bulk",)) for number in range(1500)]
        objects.append(DataObject(uri=uri, name="sales", description="turnover by month", tags=("money",), owner="ada"))
        objects.append(DataObject(uri="no scheme"))
        report = client.register_data(objects)
        assert (report.added, report.rejected) == (1501, 1)
        assert report.issues[0].reason
        assert len(list(client.iter_data("s3://bucket/"))) == 1500
        page = client.list_data("s3://", page_size=10)
        assert len(page.entries) == 10
        assert page.next_page_token
        assert [entry.name for entry in client.list_data(filter=DataFilter(tags=("money",))).entries] == ["sales"]
        stat = client.stat_data(uri)
        assert (stat.object.owner, stat.registered) == ("ada", True)
        assert client.locate_data(uri, presign_ttl=timedelta(minutes=5)).recipes[0].text
        pieces = list(client.fetch_data(uri))
        assert b"".join(piece.data for piece in pieces) == b"turnover by month"
        assert len(pieces[-1].content_hash) == 64
        assert client.read_data(uri, offset=9, length=2) == b"by"
        with pytest.raises(hivemem.HivememError):
            client.read_data(uri, expect_hash="0" * 64)
        assert client.verify_data(uri).exists
        hit = client.search_data("turnover", k=3)[0]
        assert hit.entry.uri == uri
        assert hit.plan is not None
        assert client.fetch_and_ingest(uri).finish().files == 1
        assert client.unregister_data(prefix="s3://bucket/") == 1500
        with pytest.raises(hivemem.NotFound):
            client.stat_data("s3://bucket/0000")
