"""What the history of a run says of its nodes and its state does not: the contexts they were given, and how often they failed.

Read once, when a run is resumed, and only if something depends on it. Of a history that was compacted away nothing is known, and
the run goes on without.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hivemem.aio import AsyncClient
from hivemem.swarm.node import NodeType
from hivemem.swarm.tree import Tree, decode, encode
from hivemem.types import Completeness, ContextForm, ContextItem, ContextPack, EventKind, Location, NodePhase, RunNode, RunState

_SAID_BYTES_MAX = 512 * 1024
# Of what an event says about a context: the server takes 1 MiB, and most have some 20 KiB.


def said_of(pack: ContextPack, held: int) -> dict[str, Any]:
    """What an execution's event says about its context: all of it, so that it stands before the nodes below after a resume too.

    `held` is how many citations of the nodes above were left out of it. What is too large for an event is None.
    """
    said = {"text": pack.text, "citations": list(pack.citations), "tokens": pack.tokens, "held": held}
    for large in ("text", "citations"):
        if len(encode(said).encode()) > _SAID_BYTES_MAX:
            said[large] = None
    return said


async def recall(client: AsyncClient, state: RunState, tree: Tree, types: Mapping[str, NodeType], *, memory: bool) -> None:
    """Gives the nodes of `tree` their contexts and failures back. Raises the server's errors."""
    sought = {node.node for node in state.nodes if node.node in tree.nodes and _has_past(node, types, memory)}
    if not sought:
        return
    async for event in client.iter_events(state.run.id):
        if event.node not in sought:
            continue
        node = tree.nodes[event.node]
        if event.kind is EventKind.RUN_NODE:
            node.pack = _pack_of(event.data)
        elif event.kind is EventKind.NODE_ERROR:
            node.failures += 1
        elif event.kind in (EventKind.NODE_OUTPUT, EventKind.QUESTION):
            node.failures = 0


def _has_past(node: RunNode, types: Mapping[str, NodeType], memory: bool) -> bool:
    # One that is executed again gathers its context anew; only one that waits for its children has one that they are given.
    if node.phase is NodePhase.WAITING:
        return memory and types[node.node_type].context and node.children_finished < node.children
    # An execution that a crash cut short was no failure.
    return node.attempts > (node.phase is NodePhase.RUNNING)


def _pack_of(data: str) -> ContextPack | None:
    """The context that an event told of; None if there was none, or one too large for an event.

    Without its text it is none: the nodes below must not leave out what does not stand before them.
    """
    said = decode(data)
    if not isinstance(said, dict) or not isinstance(said.get("text"), str):
        return None
    text = said["text"]
    items = tuple(_item(citation) for citation in said.get("citations") or () if isinstance(citation, str))
    tokens = said["tokens"] if isinstance(said.get("tokens"), int) else len(text.encode()) // 4
    whole = Completeness(complete=True, missing=())
    return ContextPack(
        text=text, tokens=tokens, budget_tokens=tokens, tokenizer="", items=items, trace=(), completeness=whole, lsn=0
    )


def _item(citation: str) -> ContextItem:
    """An item of which only the citation is known."""
    return ContextItem(
        citation=citation,
        uri=citation.rpartition("@")[0],
        path="",
        location=Location(byte_start=0, byte_end=0, line_first=0, line_last=0),
        form=ContextForm.UNSPECIFIED,
        tokens=0,
        score=0.0,
        chunk_ids=(),
        text_start=0,
        text_end=0,
    )
