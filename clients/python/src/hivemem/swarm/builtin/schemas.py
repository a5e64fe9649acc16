"""Schemas of the data of built-in node types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def texts(required: Sequence[str], optional: Sequence[str] = (), **more: Any) -> dict[str, Any]:
    """A schema of texts: those that have to be there, and those that may. `more` are schemas of other fields, which may."""
    fields: dict[str, Any] = {name: {"type": "string", "minLength": 1} for name in required}
    fields.update((name, {"type": "string"}) for name in optional)
    return {"type": "object", "properties": {**fields, **more}, "required": [*required]}
