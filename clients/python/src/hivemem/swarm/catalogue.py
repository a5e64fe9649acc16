"""The node types that the runs of a swarm know: its own, and those of the server's catalogue once they were asked for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from hivemem.aio import AsyncClient
from hivemem.errors import InvalidArgument, NotFound
from hivemem.swarm.node import NodeError, NodeType, named
from hivemem.swarm.script import type_of_node
from hivemem.swarm.step import cut
from hivemem.swarm.tree import encode
from hivemem.types import Node

_NAME_BYTES_SHOWN = 80


class NodeTypes:
    """See the module. What was found in the catalogue is kept: it may have another one of that name by now."""

    def __init__(self, client: AsyncClient, own: Mapping[str, NodeType]) -> None:
        """`own` are those of the swarm, by name; they go before those of the catalogue."""
        self._client = client
        self._own = own
        self._found: dict[str, NodeType] = {}

    def is_own(self, name: str) -> bool:
        """Whether the swarm has it, whatever the catalogue says."""
        return name in self._own

    def forget(self, name: str) -> None:
        """Forgets one of the catalogue, so that it is asked again."""
        self._found.pop(name, None)

    async def find(self, name: str) -> NodeType:
        """The type of that name.

        Raises NodeError if there is none, NodeFailed for one of the catalogue that can't be run here, and what the server says
        if it can't tell.
        """
        known = self._own.get(name) or self._found.get(name)
        if known is not None:
            return known
        node = await self.get_node(name)
        if node is None:
            raise NodeError(f"there is no node type {shown(name)!r}")
        found = self._found[name] = type_of_node(node)
        return found

    async def get_node(self, name: str) -> Node | None:
        """What the catalogue has of that name now."""
        if not named(name):
            return None
        try:
            return (await self._client.get_node(name)).node
        except (NotFound, InvalidArgument):
            # What the server takes for no name at all names nothing.
            return None

    async def missing(self, names: Iterable[str], *, scripts: bool) -> list[str]:
        """Which of these can't be run here, each with why. `scripts` says whether scripts may be. Errors as the server's."""
        missing = []
        for name in sorted(names):
            try:
                if (await self.find(name)).script is not None and not scripts:
                    missing.append(f"{shown(name)} (it is a script, and scripts are not enabled)")
            except NodeError as error:
                missing.append(f"{shown(name)} ({error})")
        return missing


def shown(name: object) -> str:
    """A name that may be anything, for an error."""
    return cut(str(name), _NAME_BYTES_SHOWN)


def described(kind: NodeType) -> Node:
    """What the catalogue has to know of a type of this swarm: of a script all of it, so that it runs where only this is known."""
    if kind.script is None:
        return Node(
            name=kind.name,
            description=kind.description,
            kind="llm" if kind.context else "function",
            # Its logic is in this program, so that no other takes it for a prompt.
            language="python",
            arguments=json.dumps(kind.schema) if kind.schema is not None else "",
            utterances=kind.utterances,
            tags=("node_type",),
        )
    metadata = {"outcome": "tool" if kind.script.tool else "node"}
    metadata.update((name, "true") for name in ("effect", "resumes") if getattr(kind.script, name))
    return Node(
        name=kind.name,
        description=kind.description,
        kind="script",
        language=kind.script.language,
        code=kind.script.code,
        arguments=encode(kind.schema),
        utterances=kind.utterances,
        folder="swarm",
        metadata=metadata,
    )
