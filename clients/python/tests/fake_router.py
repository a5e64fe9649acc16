"""A router that says what it is told to, and remembers what it was asked and told."""

from __future__ import annotations

from typing import Any

import grpc

from hivemem._proto import router_pb2 as pb
from hivemem._proto import router_pb2_grpc


class FakeRouter(router_pb2_grpc.RouterServicer):
    """`decisions` by goal; every other goal has no route."""

    def __init__(self) -> None:
        self.decisions: dict[str, Any] = {}
        self.asked: list[Any] = []
        self.outcomes: list[Any] = []
        self.registered: list[Any] = []

    def says(self, goal: str, *names: str, decision: str = "route") -> None:
        candidates = [pb.RouteCandidate(name=name, summary=f"The router's {name}.") for name in names]
        self.decisions[goal] = pb.RouteResponse(decision=decision, set=names, candidates=candidates)

    def Route(self, request: Any, context: Any) -> Any:
        if not request.goal:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the goal is empty")
        self.asked.append(request)
        return self.decisions.get(request.goal) or pb.RouteResponse(decision="none", advice="break_down")

    def RecordOutcome(self, request: Any, context: Any) -> Any:
        assert request.idempotency_key
        self.outcomes.append(request)
        return pb.RecordOutcomeResponse()

    def RegisterNodes(self, requests: Any, context: Any) -> Any:
        nodes = [node for request in requests for node in request.nodes]
        self.registered += nodes
        return pb.RegisterNodesResponse(added=len(nodes))
