"""What an event says about the context of an execution, so that it stands before the nodes below after a resume too."""

from __future__ import annotations

import json
from typing import Any

from hivemem.types import Completeness, ContextForm, ContextItem, ContextPack, Location

_SAID_BYTES_MAX = 512 * 1024
# Of what an event says about a context: the server takes 1 MiB, and most have some 20 KiB.


def said_of(pack: ContextPack, held: int) -> dict[str, Any]:
    """What an execution's event says about its context: all of it, so that it stands before the nodes below after a resume too.

    `held` is how many citations of the nodes above were left out of it. What is too large for an event is None.
    """
    said = {"text": pack.text, "citations": list(pack.citations), "tokens": pack.tokens, "held": held}
    for large in ("text", "citations"):
        if len(json.dumps(said, ensure_ascii=False).encode(errors="replace")) > _SAID_BYTES_MAX:
            said[large] = None
    return said


def restored(data: str) -> ContextPack | None:
    """The context that an event told of; None if there was none, or one too large for an event.

    Without its text it is none: the nodes below must not leave out what does not stand before them.
    """
    said = json.loads(data) if data else None
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
