"""What is said of schemas, and of values that should fit them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from hivemem.swarm.schema import broken, problems, validator_of

TREE = {"type": "object", "properties": {"left": {"$ref": "#/$defs/tree"}}}


@pytest.fixture
def impatient() -> Iterator[None]:
    """Who waits for a reply gives up soon."""
    socket.setdefaulttimeout(1)
    yield
    socket.setdefaulttimeout(None)


@pytest.mark.usefixtures("impatient")
def test_a_schema_is_not_fetched() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        elsewhere = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        assert problems(validator_of({"$ref": elsewhere}), 1) == f"its reference {elsewhere!r} leads nowhere"
        with pytest.raises(BlockingIOError):
            server.accept()
    assert problems(validator_of({"$ref": "https://json-schema.org/draft/2020-12/schema"}), {"type": "object"}) == ""


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"properties": {"tree": {"$ref": "#/$defs/tree"}}, "$defs": {"tree": TREE}}, ""),
        ({"properties": {"$ref": {"type": "string"}}}, ""),
        ({"type": "no-such-type"}, "'no-such-type' is not valid under any of the given schemas"),
        ({"items": [{"$ref": "#/$defs/gone"}]}, "[{'$ref': '#/$defs/gone'}] is not of type 'object', 'boolean'"),
        ({"anyOf": [{"$ref": "#/$defs/gone"}]}, "its reference '#/$defs/gone' leads nowhere"),
        ({"not": {"$ref": "http://127.0.0.1:9/x"}}, "its reference 'http://127.0.0.1:9/x' leads nowhere"),
    ],
)
def test_a_schema_that_can_not_be_used_says_why(schema: Any, says: str) -> None:
    assert broken(schema) == says
