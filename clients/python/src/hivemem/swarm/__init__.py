"""Runs agent swarms on a hivemem server: a tree of nodes, context before each model call, runs that survive being killed.

    @node_type("greet", schema={"type": "object", "required": ["name"]}, context=True)
    async def greet(step: Step) -> str:
        return await step.ask_text("You greet people.", f"Greet {step.data['name']}.")

    swarm = Swarm(client, [greet], model=OpenAi("http://127.0.0.1:11434/v1", "qwen3"))
    end = await swarm.run("be polite", Blueprint("greet", {"name": "Ada"}))

Needs the extra `swarm` (`pip install "hivemem[swarm]"`). The names are those of the Rust client's module `swarm`, and a run of
either can be resumed by the other, if it has the same node types; one without them leaves the run as it is. The built-in node
types are in `hivemem.swarm.builtin`; `node_scripts` reads node types in any language, which run in processes of their own.
"""

from hivemem.swarm.journal import LeaseLost
from hivemem.swarm.llm import Message, Model, Reply
from hivemem.swarm.node import (
    Ask,
    Blueprint,
    Child,
    Finish,
    NodeError,
    NodeFailed,
    NodeType,
    Outcome,
    Spawn,
    Usage,
    ask,
    combine,
    node_type,
    parallel,
    plan,
)
from hivemem.swarm.openai import OpenAi
from hivemem.swarm.runtime import RunEnd, Swarm
from hivemem.swarm.script import node_scripts
from hivemem.swarm.settings import ScriptSettings, Settings
from hivemem.swarm.step import Step, as_text

__all__ = [
    "Ask",
    "Blueprint",
    "Child",
    "Finish",
    "LeaseLost",
    "Message",
    "Model",
    "NodeError",
    "NodeFailed",
    "NodeType",
    "OpenAi",
    "Outcome",
    "Reply",
    "RunEnd",
    "ScriptSettings",
    "Settings",
    "Spawn",
    "Step",
    "Swarm",
    "Usage",
    "as_text",
    "ask",
    "combine",
    "node_scripts",
    "node_type",
    "parallel",
    "plan",
]
