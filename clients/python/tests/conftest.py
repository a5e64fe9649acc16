"""A real server for the whole session, a namespace of its own for each test."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from endpoint import Endpoint, serving
from fake import Fake, serve

import hivemem

ROOT = Path(__file__).resolve().parents[3]
START_S = 30.0


def find_binary() -> str | None:
    """`HIVEMEM_BINARY`, what was built last in this repository, or what is on the PATH."""
    if given := os.environ.get("HIVEMEM_BINARY"):
        return given
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    built = [path for path in (target / "release/hivemem", target / "debug/hivemem") if path.is_file()]
    return str(max(built, key=lambda path: path.stat().st_mtime)) if built else shutil.which("hivemem")


@dataclass
class Server:
    """A server process of ours."""

    address: str
    process: subprocess.Popen[str]

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)


def start_server(data_dir: Path, *arguments: str, listen: str = "127.0.0.1:0", token: str = "") -> Server:
    """Starts one and waits until it says that it is ready."""
    binary = find_binary()
    if binary is None:
        pytest.fail("no hivemem binary: set HIVEMEM_BINARY, or build it (`make build`)")
    environment = {key: value for key, value in os.environ.items() if key not in ("HIVEMEM_TOKEN", "HIVEMEM_SERVER")}
    if token:
        environment["HIVEMEM_TOKEN"] = token
    with open(data_dir.with_suffix(".log"), "ab") as log:
        process = subprocess.Popen(
            [binary, "serve", "--data-dir", str(data_dir), "--listen", listen, *arguments],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment,
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.startswith("listening on "):
        process.kill()
        pytest.fail(f"the server did not start; its log: {data_dir.with_suffix('.log').read_text()[-2000:]}")
    server = Server(line.removeprefix("listening on ").strip(), process)
    with hivemem.Client(server.address, token=token or None, timeout_s=2) as client:
        end = time.monotonic() + START_S
        while not client.is_serving():
            if time.monotonic() > end or process.poll() is not None:
                server.stop()
                pytest.fail("the server is not ready in time")
            time.sleep(0.05)
    return server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = start_server(tmp_path_factory.mktemp("server") / "data")
    yield started
    started.stop()


@pytest.fixture
def client(server: Server) -> Iterator[hivemem.Client]:
    with hivemem.Client(server.address, namespace=f"t-{uuid.uuid4().hex}") as made:
        yield made


@pytest.fixture
async def async_client(server: Server) -> AsyncIterator[hivemem.AsyncClient]:
    async with hivemem.AsyncClient(server.address, namespace=f"t-{uuid.uuid4().hex}") as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small source: two programs, a note."""
    source = tmp_path / "source"
    (source / "docs").mkdir(parents=True)
    (source / "lease.py").write_text(
        "class Lease:\n"
        '    """Right to write until it is lost."""\n\n'
        "    def renew(self) -> None:\n"
        '        """Keeps the lease for another while."""\n'
        "        self.until = clock() + TTL\n"
    )
    (source / "worker.py").write_text(
        "from lease import Lease\n\n\n"
        "def work(lease: Lease) -> None:\n"
        '    """Works as long as the lease holds."""\n'
        "    lease.renew()\n"
    )
    (source / "docs" / "harvest.md").write_text("# Harvest\n\nPumpkins are gathered in October, before the frost.\n")
    return source


@pytest.fixture
def fake() -> Iterator[Fake]:
    """The strict server in this process."""
    made, running = serve()
    yield made
    running.stop(None)


@pytest.fixture
async def fake_client(fake: Fake) -> AsyncIterator[hivemem.AsyncClient]:
    async with hivemem.AsyncClient(fake.address, retry=hivemem.Retry(attempts=1)) as made:
        yield made


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """A scripted model."""
    with serving() as scripted:
        yield scripted


@pytest.fixture(params=["fake", "real"])
def any_server(request: pytest.FixtureRequest) -> str:
    """The address of the fake, and then of the real server, so that tests hold for both."""
    name = "fake" if request.param == "fake" else "server"
    return str(request.getfixturevalue(name).address)


def needs(address: str, ask: Callable[[hivemem.Client], object]) -> None:
    """Skips the test where the server is older than the service that it is about."""
    with hivemem.Client(address, namespace="needs") as client:
        try:
            ask(client)
        except hivemem.Unsupported:
            pytest.skip("this server has not got the service")
        except hivemem.HivememError:
            pass
