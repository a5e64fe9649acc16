"""Small helpers of the request builders."""

from __future__ import annotations

import json
import uuid
from typing import Any, TypeVar

from google.protobuf.message import Message

from hivemem._convert import to_message

M = TypeVar("M", bound=Message)


def key_or_new(key: str | None) -> str:
    """The caller's idempotency key, or one made for this call, so that sending it again does it once."""
    return uuid.uuid4().hex if key is None else key


def message_or_none(value: Any, kind: type[M]) -> M | None:
    """The dataclass as a message, if there is one."""
    return None if value is None else to_message(value, kind)


def json_text(value: Any) -> str:
    """A JSON value as text; text is taken to be JSON already."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
