"""The node types that the Rust client has built in.

    swarm = Swarm(client, [*builtin.TYPES, mine], model=model)
    await swarm.register()
    end = await swarm.run("tell the team", Blueprint("route_goal", {"goal": "write a paragraph about the release"}))

Each is some logic around one model call, or none; none reviews itself. Names, schemas, outputs and what is kept are those of the
Rust client, so that a run of either goes on in the other.

`execute_code` and `run_tests` run code, and fail unless `Settings(scripts=ScriptSettings(enabled=True))` allows it; so does
`create_tool`, whose tools are tested. No goal is routed to them then.

To have another type in the place of one of them, leave that one out: a swarm refuses two of one name.
"""

from hivemem.swarm.builtin.code import execute_code, save_code
from hivemem.swarm.builtin.goals import break_down_goal, finish, route_goal
from hivemem.swarm.builtin.information import ask_user_for_help, browse_web, retrieve_info
from hivemem.swarm.builtin.tools import create_tool, run_tests, write_tests
from hivemem.swarm.builtin.writing import review, write_code, write_text
from hivemem.swarm.node import NodeType

TYPES: tuple[NodeType, ...] = (
    route_goal,
    break_down_goal,
    finish,
    write_text,
    write_code,
    review,
    save_code,
    execute_code,
    create_tool,
    write_tests,
    run_tests,
    retrieve_info,
    browse_web,
    ask_user_for_help,
)
"""All of them."""

__all__ = [
    "TYPES",
    "ask_user_for_help",
    "break_down_goal",
    "browse_web",
    "create_tool",
    "execute_code",
    "finish",
    "retrieve_info",
    "review",
    "route_goal",
    "run_tests",
    "save_code",
    "write_code",
    "write_tests",
    "write_text",
]
