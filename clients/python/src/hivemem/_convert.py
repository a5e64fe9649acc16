"""Turns messages of the protocol into the dataclasses of `hivemem.types`, and back.

A dataclass mirrors a message: fields of the same names (a trailing underscore is dropped, for `from_`), whose annotations say how
to read them. `tests/test_types.py` compares every dataclass with its message, so a field that the protocol does not have is
found there and not at run time.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Any, TypeVar

from google.protobuf import message_factory
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

T = TypeVar("T")
M = TypeVar("M", bound=Message)

# The library's descriptors come in two builds with types of their own.
_Enum = Any

# What each field of a dataclass is: its name here, its name in the message, whether it may be absent, how to read its value.
_Reader = tuple[str, str, bool, Callable[[Any], Any]]


def from_message(cls: type[T], message: Message) -> T:
    """`message` as the frozen dataclass `cls`."""
    values: dict[str, Any] = {}
    target: Any = cls
    kind: Any = type(message)
    for name, wire_name, optional, read in _readers(target, kind):
        absent = optional and not message.HasField(wire_name)
        values[name] = None if absent else read(getattr(message, wire_name))
    return cls(**values)


def reader(cls: type[T]) -> Callable[[Message], T]:
    """`from_message` with its first argument filled in."""
    return functools.partial(from_message, cls)


def to_message(value: Any, kind: type[M]) -> M:
    """The dataclass `value` as a message of this kind. What is None stays absent."""
    message = kind()
    for field in dataclasses.fields(value):
        item = getattr(value, field.name)
        if item is not None:
            put(message, field.name.rstrip("_"), item)
    return message


def put(message: Message, name: str, item: Any) -> None:
    """Sets one field, whatever it is: scalar, enum, time, list, map."""
    field: Any = message.DESCRIPTOR.fields_by_name[name]
    if isinstance(item, datetime):
        getattr(message, name).FromDatetime(_in_utc(item))
    elif isinstance(item, timedelta):
        getattr(message, name).FromTimedelta(item)
    elif isinstance(item, Enum):
        setattr(message, name, number_of(field.enum_type, str(item.value)))
    elif isinstance(item, Mapping):
        getattr(message, name).update(item)
    elif isinstance(item, (tuple, list)):
        values = getattr(message, name)
        if field.message_type is None:
            values.extend(item)
        else:
            kind = message_factory.GetMessageClass(field.message_type)
            values.extend(to_message(entry, kind) for entry in item)
    else:
        setattr(message, name, item)


def number_of(enum: _Enum, word: str) -> int:
    """Number of an enum's value by its word here: `hybrid` is SEARCH_MODE_HYBRID.

    Raises ValueError for a word that is none.
    """
    words = _words(enum)
    for number, known in words.items():
        if known == word:
            return number
    raise ValueError(f"{word!r} is none of {', '.join(sorted(words.values()))}")


def word_of(enum: _Enum, number: int) -> str:
    """Word of an enum's number; `unspecified` for one that this package does not know yet."""
    return _words(enum).get(number, "unspecified")


@functools.cache
def _words(enum: _Enum) -> dict[int, str]:
    prefix = "".join(f"_{letter}" if letter.isupper() else letter for letter in enum.name).strip("_").upper() + "_"
    return {value.number: value.name.removeprefix(prefix).lower() for value in enum.values}


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone; use datetime.now(timezone.utc) or its like")
    return moment.astimezone(timezone.utc)


@functools.cache
def _readers(cls: Any, kind: Any) -> tuple[_Reader, ...]:
    hints = typing.get_type_hints(cls)
    readers: list[_Reader] = []
    for field in dataclasses.fields(cls):
        wire_name = field.name.rstrip("_")
        hint, optional = _without_none(hints[field.name])
        readers.append((field.name, wire_name, optional, _reader_of(hint, kind, wire_name)))
    return tuple(readers)


def _without_none(hint: Any) -> tuple[Any, bool]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        rest = [part for part in typing.get_args(hint) if part is not type(None)]
        return rest[0], True
    return hint, False


def _reader_of(hint: Any, kind: type[Message], wire_name: str) -> Callable[[Any], Any]:
    field: Any = kind.DESCRIPTOR.fields_by_name[wire_name]
    origin = typing.get_origin(hint)
    if origin is tuple:
        item = typing.get_args(hint)[0]
        if isinstance(item, type) and dataclasses.is_dataclass(item):
            return lambda values: tuple(from_message(item, value) for value in values)
        return tuple
    if origin in (dict, Mapping):
        return dict
    if hint is datetime:
        return _read_time
    if hint is timedelta:
        return _read_span
    if isinstance(hint, type) and issubclass(hint, Enum):
        enum = field.enum_type
        return lambda number: hint(word_of(enum, number))
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return functools.partial(from_message, hint)
    return _as_it_is


def _read_time(value: Timestamp) -> datetime:
    return value.ToDatetime(tzinfo=timezone.utc)


def _read_span(value: Duration) -> timedelta:
    return value.ToTimedelta()


def _as_it_is(value: Any) -> Any:
    return value
