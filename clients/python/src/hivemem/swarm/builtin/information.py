"""What is known already, what the web says, and what only people know."""

from __future__ import annotations

from hivemem.errors import HivememError
from hivemem.swarm.builtin.schemas import texts
from hivemem.swarm.journal import passes
from hivemem.swarm.node import Ask, Finish, NodeError, NodeFailed, Outcome, node_type
from hivemem.swarm.step import Step, cut
from hivemem.types import SearchFilter

_OWN_DOCS = "hivemem-docs"
# Namespace in which a server keeps its own documentation.

_PAGE_TOKENS_MAX = 6_000
_PAGE_BYTES_MAX = 32 * 1024
# Of a page that is put before a model.

_ABOUT = {
    "type": "string",
    "enum": ["", "hivemem"],
    "description": "hivemem: ask the documentation of the system that the swarm works in.",
}


@node_type(
    "retrieve_info",
    schema=texts(["question"], about=_ABOUT),
    context=True,
    utterances=["look up what we know about this", "find the documentation of this function", "where is this defined"],
)
async def retrieve_info(step: Step) -> Outcome:
    """Answers a question from memory: code, documents, earlier outputs."""
    task = question = step.data["question"]
    if step.data.get("about") == "hivemem":
        task = f"<context>\n{await _own_docs(step, question)}\n</context>\n\n{question}"
    answer = await step.ask_text("Answer the question from the context alone. Say what the context does not tell.", task)
    sources = list(step.packs[-1].citations) if step.packs else []
    return Finish({"answer": answer, "sources": sources})


async def _own_docs(step: Step, question: str) -> str:
    """What the server's own documentation says to a question."""
    try:
        docs = step.client.with_namespace(_OWN_DOCS)
        return (await docs.gather_context(question, budget_tokens=step.settings.context_tokens)).text
    except HivememError as error:
        raise NodeError(f"no documentation was found: {error}") from error


@node_type(
    "browse_web",
    schema=texts(["url"], ["question"]),
    context=True,
    utterances=["open this web page", "look it up on the internet", "read the documentation at this address"],
)
async def browse_web(step: Step) -> Outcome:
    """Reads a web page and answers a question from it."""
    url, question = step.data["url"], step.data.get("question", "")
    try:
        text = cut(await _page(step, url, question), _PAGE_BYTES_MAX)
    except HivememError as error:
        raise (NodeError if passes(error) else NodeFailed)(str(error)) from error
    if question:
        task = f"<context>\n{text}\n</context>\n\nQuestion: {question}"
        text = await step.ask_text("Answer the question from the page alone.", task)
    return Finish({"url": url, "text": text})


async def _page(step: Step, url: str, question: str) -> str:
    """What a page says to a question; if that is empty, what it is about.

    The page becomes a document of the namespace, so later nodes find it, too.
    """
    report = await step.client.fetch_and_ingest(url).finish()
    for issue in (*report.failed, *report.skipped):
        raise NodeFailed(f"{url} could not be read: {issue.reason}")
    found = SearchFilter(sources=(report.source,))
    return (await step.client.gather_context(question or url, budget_tokens=_PAGE_TOKENS_MAX, filter=found)).text


@node_type(
    "ask_user_for_help",
    schema=texts(["question"], choices={"type": "array", "items": {"type": "string"}}),
    utterances=["ask me which one to take", "get approval before going on", "I need to decide that myself"],
)
async def ask_user_for_help(step: Step) -> Outcome:
    """Asks a person what only a person can know or decide."""
    if step.answer is not None:
        return Finish(step.answer)
    return Ask(step.data["question"], tuple(step.data.get("choices", ())))
