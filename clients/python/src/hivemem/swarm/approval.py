"""Asking people whether a node may be executed: the question, and what they may say to it.

The Rust client asks in the same words, so that either knows an approval of the other when it resumes a run.
"""

from __future__ import annotations

import re

from hivemem.swarm.step import cut

_SHOWN_BYTES_MAX = 2_000
# Of a node's data: people are shown so much of it when they approve it.

_END = "? Say yes, or why not."

_YES = frozenset({"y", "yes", "ok", "okay", "approve", "approved"})

# A text in JSON, which stays as it is, or a number that the Rust client writes in another way: 1e-05 is 0.00001, 1e-06 is 1e-6.
_SMALL = re.compile(r'"(?:[^"\\]|\\.)*"|(-?)(\d)(?:\.(\d+))?e-0(\d)')


def approval_of(path: str, node_type: str, data: str) -> str:
    """What people are asked before a node is executed. `data` is that of the node, as JSON.

    A resume knows it by its words, so they follow from the node alone.
    """
    data = _SMALL.sub(_number, data)
    shown = cut(data, _SHOWN_BYTES_MAX)
    more = " …" if len(shown) < len(data) else ""
    return f"{_beginning(path, node_type)}{shown}{more}{_END}"


def is_approval(question: str, path: str, node_type: str) -> bool:
    """Whether a question asks if the node may be executed.

    How its data stands in it does not count: whoever asked may have another order of the fields of an object.
    """
    return question.startswith(_beginning(path, node_type)) and question.endswith(_END)


def approves(answer: str) -> bool:
    """Whether an answer lets the node be executed."""
    return answer.strip().lower() in _YES


def _beginning(path: str, node_type: str) -> str:
    return f"May node {path} be executed: {node_type} "


def _number(found: re.Match[str]) -> str:
    sign, first, more, exponent = found.groups("")
    if not first:
        return found[0]
    if exponent == "5":
        return f"{sign}0.0000{first}{more}"
    return f"{sign}{first}{more and '.'}{more}e-{exponent}"
