import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Completeness(_message.Message):
    __slots__ = ("complete", "missing")
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    complete: bool
    missing: _containers.RepeatedCompositeFieldContainer[MissingPart]
    def __init__(self, complete: bool = ..., missing: _Optional[_Iterable[_Union[MissingPart, _Mapping]]] = ...) -> None: ...

class MissingPart(_message.Message):
    __slots__ = ("part", "reason")
    PART_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    part: str
    reason: str
    def __init__(self, part: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class Location(_message.Message):
    __slots__ = ("byte_start", "byte_end", "line_first", "line_last", "page_first", "page_last")
    BYTE_START_FIELD_NUMBER: _ClassVar[int]
    BYTE_END_FIELD_NUMBER: _ClassVar[int]
    LINE_FIRST_FIELD_NUMBER: _ClassVar[int]
    LINE_LAST_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIRST_FIELD_NUMBER: _ClassVar[int]
    PAGE_LAST_FIELD_NUMBER: _ClassVar[int]
    byte_start: int
    byte_end: int
    line_first: int
    line_last: int
    page_first: int
    page_last: int
    def __init__(self, byte_start: _Optional[int] = ..., byte_end: _Optional[int] = ..., line_first: _Optional[int] = ..., line_last: _Optional[int] = ..., page_first: _Optional[int] = ..., page_last: _Optional[int] = ...) -> None: ...

class SearchFilter(_message.Message):
    __slots__ = ("paths", "languages", "kinds", "sources", "tags", "modified_from", "modified_until")
    PATHS_FIELD_NUMBER: _ClassVar[int]
    LANGUAGES_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    MODIFIED_FROM_FIELD_NUMBER: _ClassVar[int]
    MODIFIED_UNTIL_FIELD_NUMBER: _ClassVar[int]
    paths: _containers.RepeatedScalarFieldContainer[str]
    languages: _containers.RepeatedScalarFieldContainer[str]
    kinds: _containers.RepeatedScalarFieldContainer[str]
    sources: _containers.RepeatedScalarFieldContainer[str]
    tags: _containers.RepeatedScalarFieldContainer[str]
    modified_from: _timestamp_pb2.Timestamp
    modified_until: _timestamp_pb2.Timestamp
    def __init__(self, paths: _Optional[_Iterable[str]] = ..., languages: _Optional[_Iterable[str]] = ..., kinds: _Optional[_Iterable[str]] = ..., sources: _Optional[_Iterable[str]] = ..., tags: _Optional[_Iterable[str]] = ..., modified_from: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., modified_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
