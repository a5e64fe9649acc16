"""A process that is killed in the middle of its work, and others that go on with it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from conftest import needs
from killed import SETTINGS

import hivemem
from hivemem import RunStatus
from hivemem.swarm import Blueprint
from hivemem.swarm.settings import Stored

KILLS = 2


def test_a_run_outlives_processes_that_are_killed(any_server: str, tmp_path: Path) -> None:
    needs(any_server, lambda client: client.list_runs())
    log, namespace = tmp_path / "log", f"kill-{time.time_ns()}"
    with hivemem.Client(any_server, namespace=namespace) as client:
        client.remember("A namespace begins with something.")
        run = client.create_run("thirty", settings=Stored(Blueprint("manager"), SETTINGS).to_json()).id
        for kill in range(KILLS + 1):
            child = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("killed.py")), any_server, namespace, run, str(log)]
            )
            try:
                enough = 27 if kill == KILLS else 6 * (kill + 1)
                wait_for(child, log, enough)
            finally:
                child.kill()
                child.wait(10)
        ended = client.get_run(run)
        assert (ended.status, json.loads(ended.result)) == (RunStatus.SUCCEEDED, [36, 936, 1836])
        finished = [event.node for event in client.iter_events(run) if event.kind.value == "delete_node"]
        assert len(finished) == len(set(finished)) == 31
    counted = Counter(log.read_text().splitlines())
    done = {line: times for line, times in counted.items() if line.startswith("done")}
    assert len(done) == 27
    # Only what was in flight at a kill, three nodes at most, may run again.
    assert sum(counted.values()) <= 2 * 27 + 2 * 3 * KILLS
    assert max(counted.values()) <= 1 + KILLS


def wait_for(child: subprocess.Popen[bytes], log: Path, done: int) -> None:
    """Waits until so many nodes are done; the last time for the end of the process as well."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        lines = log.read_text().splitlines() if log.exists() else []
        enough = sum(line.startswith("done") for line in lines) >= done
        if (enough and done < 27) or child.poll() is not None:
            return
        time.sleep(0.01)
    raise AssertionError(f"the work does not go on: {log.read_text()[-500:]}")
