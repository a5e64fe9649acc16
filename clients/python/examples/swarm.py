"""A swarm that plans a text, writes its parts side by side, and puts them together.

It needs a server with the Swarm service, and a model behind any OpenAI-compatible endpoint, such as a local Ollama:

hivemem serve &
ollama serve &
python examples/swarm.py "explain our deploy rules to a newcomer" --base-url http://127.0.0.1:11434/v1 --model qwen3

Killed at any moment, it goes on where it was with `--resume RUN`.
"""

import argparse
import asyncio
from typing import Any

import hivemem
from hivemem.swarm import Blueprint, OpenAi, Outcome, Step, Swarm, node_type, parallel

PARTS = {
    "type": "object",
    "required": ["parts"],
    "properties": {"parts": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 5}},
}
TASK = {"type": "object", "required": ["task"], "properties": {"task": {"type": "string"}}}


@node_type("write_parts", schema=TASK, context=True)
async def write_parts(step: Step) -> Outcome:
    """Writes a longer text: plans its parts, has them written, and puts them together."""
    plan = await step.ask_json("You plan a text. Name its parts, each as a task for a writer.", step.task, PARTS)
    return parallel(*(Blueprint("write_text", {"task": part}) for part in plan["parts"]))


@write_parts.resume
async def _(step: Step) -> Any:
    return "\n\n".join(child.output for child in step.children if child.error is None)


@node_type("write_text", schema=TASK, context=True, utterances=["draft an email to the team"])
async def write_text(step: Step) -> str:
    """Writes prose: an essay, a letter, a summary."""
    return await step.ask_text("You write one part of a text, in plain words.", step.task)


async def main() -> None:
    parser = argparse.ArgumentParser(description="Run a small swarm.")
    parser.add_argument("goal", nargs="?", default="explain our deploy rules to a newcomer")
    parser.add_argument("--server", default="http://127.0.0.1:7411")
    parser.add_argument("--base-url", default="http://127.0.0.1:11434/v1")
    parser.add_argument("--model", default="qwen3")
    parser.add_argument("--api-key", default="")
    parser.add_argument("--resume", metavar="RUN")
    options = parser.parse_args()

    model = OpenAi(options.base_url, options.model, options.api_key)
    async with hivemem.AsyncClient(options.server) as client, model:
        swarm = Swarm(
            client,
            [write_parts, write_text],
            model=model,
            observe=lambda event: print(f"{event.sequence:4} {event.kind.value:12} {event.node} {event.node_type}"),
        )
        run = options.resume or await swarm.create(options.goal, Blueprint("write_parts", {"task": options.goal}))
        print("run", run)
        end = await swarm.resume(run)
        print(f"{end.status.value}, {end.nodes} nodes, {end.usage.total} tokens\n\n{end.output}")


if __name__ == "__main__":
    asyncio.run(main())
