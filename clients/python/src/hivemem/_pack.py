"""Packs documents, nodes and data objects into messages that stay under the limits of one message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from hivemem.errors import LimitExceeded

MESSAGE_BYTES_MAX = 8 * 1024 * 1024
"""Largest message, both ways; the server has the same limit."""

_BYTES_TARGET = 1024 * 1024
# A message is sent once it holds this many bytes, so that the server works while the next one is packed.

_ENVELOPE_BYTES = 16 * 1024
# Around the items in a message: namespace, source, key, and a tag and length before each item.

_ITEM_BYTES_MAX = MESSAGE_BYTES_MAX - _ENVELOPE_BYTES

M = TypeVar("M", bound=Message)


class ItemPacker(Generic[M]):
    """Packs items; `head` alone counts in the first message, so that an empty stream still says where."""

    def __init__(
        self,
        head: M,
        field: str,
        items_max: int,
        encode: Callable[[Any], Message],
        name: Callable[[Any], str],
    ) -> None:
        """`field` is the repeated field of the message that takes the items, `name` tells an item in an error."""
        self._empty = type(head)
        self._message: M | None = head
        self._field = field
        self._items_max = items_max
        self._encode = encode
        self._name = name
        self._count = 0
        self._bytes = 0

    def push(self, item: Any) -> M | None:
        """Takes one item in. Returns a message that had no room left for it, or that it made full.

        Raises LimitExceeded for an item that fits in no message.
        """
        encoded = self._encode(item)
        size = encoded.ByteSize()
        if size > _ITEM_BYTES_MAX:
            raise LimitExceeded(
                f"{self._name(item)} takes {size} bytes on the wire and a message holds {_ITEM_BYTES_MAX}; split it or "
                "leave it out (those before it are stored)"
            )
        spilled = self.flush() if self._bytes + size > _ITEM_BYTES_MAX else None
        if self._message is None:
            self._message = self._empty()
        getattr(self._message, self._field).append(encoded)
        self._count += 1
        self._bytes += size
        if spilled is None and (self._count >= self._items_max or self._bytes >= _BYTES_TARGET):
            return self.flush()
        return spilled

    def flush(self) -> M | None:
        """What is packed so far, if anything."""
        message, self._message = self._message, None
        self._count = self._bytes = 0
        return message
