"""What is committed is what the protocol says."""

from __future__ import annotations

import dataclasses
import enum
import importlib.util
import inspect
import re
import types
import typing
from pathlib import Path

import pytest

import hivemem
from hivemem import _convert
from hivemem import types as results
from hivemem._call import Method
from hivemem._proto import admin_pb2, common_pb2, data_pb2, graph_pb2, ingest_pb2, retrieval_pb2, router_pb2, swarm_pb2
from hivemem.calls import admin, data, graph, ingest, retrieval, router, runs

HERE = Path(__file__).resolve().parent
FILES = [admin_pb2, common_pb2, data_pb2, graph_pb2, ingest_pb2, retrieval_pb2, router_pb2, swarm_pb2]
SERVICES = {service.full_name: service for module in FILES for service in module.DESCRIPTOR.services_by_name.values()}

# Where a dataclass has another name than its message.
NAMES = {
    "Document": "InputDocument",
    "IngestPhase": "IngestProgress.Phase",
    "Remembered": "RememberResponse",
    "Forgotten": "ForgetResponse",
    "SearchResult": "SearchResponse",
    "ContextForm": "ContextItem.Form",
    "ContextPack": "GatherContextResponse",
    "Tree": "TreeResponse",
    "Outline": "OutlineResponse",
    "Neighbors": "NeighborsResponse",
    "GraphPath": "PathResponse",
    "Related": "RelatedResponse",
    "Linked": "LinkResponse",
    "Unlinked": "UnlinkResponse",
    "Resolved": "ResolveResponse",
    "Registered": "RegisterNodesResponse",
    "NodePage": "ListNodesResponse",
    "NodeHistory": "GetNodeResponse",
    "RouteDecision": "RouteResponse",
    "RoutingReport": "ReportRoutingResponse",
    "Stats": "StatsResponse",
    "FsckReport": "FsckResponse",
    "Compacted": "CompactResponse",
    "DataRegistered": "RegisterDataResponse",
    "DataPage": "ListDataResponse",
    "DataStat": "StatDataResponse",
    "DataLocation": "LocateDataResponse",
    "DataPiece": "FetchDataResponse",
    "DataVerified": "VerifyDataResponse",
    "EventKind": "RunEvent.Kind",
    "RunPage": "ListRunsResponse",
    "Lease": "AcquireRunResponse",
    "LeaseRenewed": "RenewRunResponse",
    "Appended": "AppendEventsResponse",
    "RunState": "ReadStateResponse",
    "EventPage": "ReadEventsResponse",
    "QuestionPage": "ListQuestionsResponse",
    "RunChange": "WatchRunResponse",
    "RunCompacted": "CompactRunResponse",
}


def descriptor(name: str) -> typing.Any:
    outer, _, inner = NAMES.get(name, name).partition(".")
    for module in FILES:
        file = module.DESCRIPTOR
        if outer in file.message_types_by_name:
            message = file.message_types_by_name[outer]
            return message.enum_types_by_name[inner] if inner else message
        if outer in file.enum_types_by_name:
            return file.enum_types_by_name[outer]
    raise AssertionError(f"the protocol has no {outer}")


@pytest.mark.skipif(importlib.util.find_spec("grpc_tools") is None, reason="needs grpcio-tools (extra dev)")
def test_the_committed_stubs_are_what_the_protocol_makes() -> None:
    script = HERE.parent / "generate.py"
    if not (HERE.parents[2] / "proto").is_dir():
        pytest.skip("the protocol is not beside the package")
    spec = importlib.util.spec_from_file_location("generate", script)
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    assert generate.differences(generate.generate()) == []


@pytest.mark.parametrize("name", results.__all__)
def test_a_dataclass_has_the_fields_of_its_message(name: str) -> None:
    ours, theirs = getattr(results, name), descriptor(name)
    if issubclass(ours, enum.Enum):
        assert [word.value for word in ours] == list(_convert._words(theirs).values())
        return
    hints = typing.get_type_hints(ours)
    assert {field.name.rstrip("_") for field in dataclasses.fields(ours)} == set(theirs.fields_by_name)
    for field in dataclasses.fields(ours):
        wire = theirs.fields_by_name[field.name.rstrip("_")]
        hint = str(hints[field.name])
        if wire.message_type is not None and wire.message_type.GetOptions().map_entry:
            assert "Mapping" in hint, field.name
            continue
        assert wire.is_repeated == hint.startswith("tuple"), field.name
        scalar = {"string": "str", "bytes": "bytes", "bool": "bool", "float": "float", "double": "float"}
        kinds = {9: "string", 12: "bytes", 8: "bool", 2: "float", 1: "double"}
        if wire.type in kinds:
            assert scalar[kinds[wire.type]] in hint, field.name
        elif wire.message_type is None and wire.enum_type is None:
            assert "int" in hint, field.name
        presence = wire.message_type is None and wire.has_presence and not wire.is_repeated
        assert not presence or "None" in hint, f"{field.name} may be absent"


def test_every_method_of_the_protocol_has_a_call_in_both_clients() -> None:
    modules = (ingest, retrieval, graph, router, data, runs, admin)
    methods = [value for module in modules for value in vars(module).values() if isinstance(value, Method)]
    known = {f"/{service.full_name}/{method.name}": method for service in SERVICES.values() for method in service.methods}
    assert {method.path for method in methods} == set(known)
    for method in methods:
        assert method.request.DESCRIPTOR is known[method.path].input_type, method.path
        assert method.reply.DESCRIPTOR is known[method.path].output_type, method.path
    builders = {
        name
        for module in modules
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    }
    for cls in (hivemem.Client, hivemem.AsyncClient):
        assert builders <= set(vars(cls)), cls


# Fields of requests whose arguments have other names here, or that are said in another way.
ARGUMENTS = {
    "no_wait": "wait",
    "no_watch": "watch",
    "from": "from_",
    "common": "context",
    "namespace": "name",
}


@pytest.mark.parametrize("module", [ingest, retrieval, graph, router, data, runs, admin])
def test_every_field_of_a_request_has_an_argument(module: types.ModuleType) -> None:
    methods = [value for value in vars(module).values() if isinstance(value, Method)]
    for method in methods:
        words = re.findall(r"[A-Z][a-z]*", method.path.rpartition("/")[2])
        name = "_".join(words).lower()
        parameters = set(inspect.signature(getattr(module, name)).parameters)
        if method.path == "/hivemem.v1.Admin/ListNamespaces":
            # Fetches its pages itself.
            continue
        for field in method.request.DESCRIPTOR.fields_by_name:
            assert {field, ARGUMENTS.get(field, field)} & parameters, f"{name} takes no {field}"


@pytest.mark.parametrize("cls", [hivemem.Client, hivemem.AsyncClient])
def test_help_shows_what_a_call_takes_and_does(cls: type) -> None:
    signature = inspect.signature(cls.search)  # type: ignore[attr-defined]
    assert list(signature.parameters)[:3] == ["self", "query", "k"]
    for name, member in vars(cls).items():
        if not name.startswith("_"):
            assert inspect.getdoc(member), f"{cls.__name__}.{name} says nothing"
