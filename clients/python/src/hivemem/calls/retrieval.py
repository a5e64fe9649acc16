"""The calls of `hivemem.v1.Retrieval`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from hivemem._call import Method, Unary
from hivemem._convert import number_of, reader
from hivemem._proto import common_pb2
from hivemem._proto import retrieval_pb2 as pb
from hivemem.calls._common import message_or_none
from hivemem.types import ContextPack, SearchFilter, SearchResult

_SEARCH = Method("/hivemem.v1.Retrieval/Search", pb.SearchRequest, pb.SearchResponse)
_GATHER_CONTEXT = Method("/hivemem.v1.Retrieval/GatherContext", pb.GatherContextRequest, pb.GatherContextResponse)

Mode = Literal["hybrid", "dense", "lexical", "graph"]


def search(
    namespace: str,
    query: str,
    *,
    k: int | None = None,
    mode: Mode = "hybrid",
    filter: SearchFilter | None = None,
    explain: bool = False,
    per_document_max: int = 0,
    require_fresh: bool = False,
) -> Unary[SearchResult]:
    """Finds passages.

    `k` is how many, 1 to 1000 (None: 10); at most `per_document_max` of one document (0: no limit). `explain` adds all
    score addends. `require_fresh` reads sources that changed since again, and answers from what they hold now. A degraded
    answer is not an error: look at its `completeness`.

    Raises InvalidArgument for an empty query, LimitExceeded for one over 32 KiB or a `k` out of range, NotFound for an
    unknown namespace.
    """
    request = pb.SearchRequest(
        namespace=namespace,
        query=query,
        k=k,
        mode=pb.SearchMode.Name(number_of(pb.SearchMode.DESCRIPTOR, mode)),
        filter=message_or_none(filter, common_pb2.SearchFilter),
        explain=explain,
        per_document_max=per_document_max,
        require_fresh=require_fresh,
    )
    return Unary(_SEARCH, request, reader(SearchResult))


def gather_context(
    namespace: str,
    task: str,
    *,
    budget_tokens: int | None = None,
    model: str = "",
    filter: SearchFilter | None = None,
    require_fresh: bool = False,
    map: bool = False,
    run: str = "",
    node: str = "",
    held: Sequence[str] = (),
) -> Unary[ContextPack]:
    """Gathers a context for a task, of at most `budget_tokens` tokens (None: 4000) as `model` counts them.

    `model` is an OpenAI model or encoding name, or `local`; empty: o200k_base. `map` gives a map of the repository instead
    of evidence. `run` and `node` say who asks: outputs of the nodes above and beside it count as evidence. `held` are
    citations of what the reader has before it already; they are left out.

    Raises InvalidArgument for an unknown model or an empty task, LimitExceeded for a budget over the limit.
    """
    request = pb.GatherContextRequest(
        namespace=namespace,
        task=task,
        budget_tokens=budget_tokens,
        model=model,
        filter=message_or_none(filter, common_pb2.SearchFilter),
        require_fresh=require_fresh,
        map=map,
        run=run,
        node=node,
        held=held,
    )
    return Unary(_GATHER_CONTEXT, request, reader(ContextPack))
