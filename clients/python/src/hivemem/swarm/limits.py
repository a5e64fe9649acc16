"""What an execution may come to: JSON, of node types that there are, within the limits of the run and of one event."""

from __future__ import annotations

from typing import Any

from hivemem.errors import HivememError
from hivemem.swarm.catalogue import NodeTypes, shown
from hivemem.swarm.node import Ask, Blueprint, Finish, NodeError, NodeFailed, NodeType, Outcome, Spawn, depth_of
from hivemem.swarm.settings import Settings
from hivemem.swarm.step import cut
from hivemem.swarm.tree import ERROR_BYTES_MAX, Tree, encode

_OUTCOME_BYTES_MAX = 768 * 1024
# Steps of a plan and what is kept are one event, for which the server's limit is 1 MiB.


async def check(path: str, outcome: Outcome, settings: Settings, types: NodeTypes) -> None:
    """Raises NodeFailed for an outcome that can't be, NodeError for one that may be better another time.

    What is wrong with children is told and tried again as the Rust client does: it is mostly a model that thought of them.
    """
    spawned: tuple[Blueprint, ...] = ()
    kinds: list[NodeType] = []
    values: list[Any] = []
    if isinstance(outcome, Finish):
        values = [outcome.output]
    elif isinstance(outcome, Spawn):
        spawned = (*outcome.children, *outcome.then)
        values = [outcome.keep, *(blueprint.data for blueprint in spawned)]
        if not spawned:
            raise NodeError("it spawns nothing: return an output instead")
        if len(spawned) > settings.fan_out_max:
            raise NodeError(f"it spawns {len(spawned)} children, the limit is {settings.fan_out_max} (fan_out_max)")
        if depth_of(path) + 1 > settings.depth_max:
            raise NodeFailed(f"its children would be deeper than {settings.depth_max} (depth_max)")
        kinds = [await _kind_of(blueprint, types) for blueprint in spawned]
    else:
        values = [outcome.text, *outcome.choices]
        if not all(isinstance(value, str) for value in values):
            raise NodeFailed("its question or one of the choices is no text")
        if not outcome.text.strip():
            raise NodeFailed("it asks nothing")
    try:
        sizes = [len(encode(value).encode()) for value in values]
    except (TypeError, ValueError) as error:
        raise NodeFailed(f"what it returned is no JSON value: {error}") from error
    for kind, blueprint in zip(kinds, spawned, strict=True):
        kind.check(blueprint.data)
    # All of it goes into one append.
    if max(sizes, default=0) > settings.node_bytes_max or sum(sizes) > _OUTCOME_BYTES_MAX:
        what = "what it asks" if isinstance(outcome, Ask) else "what it returned"
        most = f"{settings.node_bytes_max} for one value (node_bytes_max), {_OUTCOME_BYTES_MAX} for all"
        raise NodeFailed(f"{what} has {sum(sizes)} bytes; the limit is {most}")


async def _kind_of(blueprint: Blueprint, types: NodeTypes) -> NodeType:
    try:
        return await types.find(blueprint.type)
    except NodeError as error:
        raise type(error)(f"it spawns a {shown(blueprint.type)!r}: {error}") from error


def check_budget(tree: Tree, outcome: Outcome, settings: Settings) -> None:
    """Raises NodeFailed for an outcome that the run has no nodes left for. Holds until the tree is changed."""
    if isinstance(outcome, Spawn):
        wanted = len(outcome.children) + len(outcome.then)
        if tree.created + tree.planned + wanted > settings.nodes_max:
            raise NodeFailed(f"with its children the run would have more than {settings.nodes_max} nodes (nodes_max)")


def told(error: Exception) -> str:
    """What an error says, as far as an event takes it."""
    text = str(error) or "no reason given"
    said = text if isinstance(error, (NodeError, HivememError)) else f"{type(error).__name__}: {text}"
    kept = cut(said, ERROR_BYTES_MAX)
    return kept if len(kept) == len(said) else f"{kept} …"
