"""A router that says what it is told to, and remembers what it was asked and told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc

from hivemem._proto import router_pb2 as pb
from hivemem._proto import router_pb2_grpc


class FakeRouter(router_pb2_grpc.RouterServicer):
    """`decisions` by goal; a goal that a registered node is said to be for goes there, every other one has no route."""

    def __init__(self) -> None:
        self.decisions: dict[str, Any] = {}
        self.asked: list[Any] = []
        self.outcomes: list[Any] = []
        self.registered: list[Any] = []
        self.keys: list[str] = []
        self.when_registered: Callable[[], None] = lambda: None

    def says(self, goal: str, *names: str, decision: str = "route") -> None:
        candidates = [pb.RouteCandidate(name=name, summary=f"The router's {name}.") for name in names]
        self.decisions[goal] = pb.RouteResponse(decision=decision, set=names, candidates=candidates)

    def Route(self, request: Any, context: Any) -> Any:
        if not request.goal:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the goal is empty")
        self.asked.append(request)
        for node in reversed(self.registered):
            if request.goal in node.utterances:
                self.says(request.goal, node.name)
        return self.decisions.get(request.goal) or pb.RouteResponse(decision="none", advice="break_down")

    def GetNode(self, request: Any, context: Any) -> Any:
        versions = [node for node in reversed(self.registered) if node.name == request.name]
        if not versions:
            context.abort(grpc.StatusCode.NOT_FOUND, f"there is no node {request.name}")
        return pb.GetNodeResponse(node=versions[0], versions=[pb.NodeVersion(node=node) for node in versions])

    def RecordOutcome(self, request: Any, context: Any) -> Any:
        assert request.idempotency_key
        self.outcomes.append(request)
        return pb.RecordOutcomeResponse()

    def RegisterNodes(self, requests: Any, context: Any) -> Any:
        sent = list(requests)
        nodes = [node for request in sent for node in request.nodes]
        self.registered += nodes
        self.keys.append(sent[0].idempotency_key)
        self.when_registered()
        return pb.RegisterNodesResponse(added=len(nodes))
