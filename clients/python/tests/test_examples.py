"""The examples do what they say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from conftest import Server, needs
from endpoint import Endpoint

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def run(name: str, *arguments: str) -> str:
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_quickstart(server: Server) -> None:
    said = run("quickstart.py", server.address)
    assert "The staging database is rebuilt every Monday." in said
    assert "of 500 tokens" in said


def test_swarm(any_server: str, endpoint: Endpoint) -> None:
    needs(any_server, lambda client: client.list_runs())
    endpoint.replies = ['{"parts": ["the rules", "the people"]}', "Two approvals."]
    said = run("swarm.py", "explain deploys", "--server", any_server, "--base-url", endpoint.address, "--model", "tiny")
    assert "end_run" in said
    assert "succeeded, 3 nodes" in said
    assert said.endswith("Two approvals.\n\nTwo approvals.\n")
    again = run("swarm.py", "--server", any_server, "--resume", said.split()[1])
    assert again.endswith("Two approvals.\n\nTwo approvals.\n")
