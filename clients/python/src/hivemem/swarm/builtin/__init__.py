"""The node types that the Rust client has built in, as far as they run no scripts.

    swarm = Swarm(client, [*builtin.TYPES, mine], model=model)
    await swarm.register()
    end = await swarm.run("tell the team", Blueprint("route_goal", {"goal": "write a paragraph about the release"}))

Each is some logic around one model call, or none; none reviews itself. Names, schemas, outputs and what is kept are those of the
Rust client, so that a run of either goes on in the other. What runs code stays there: `execute_code`, `create_tool` (with
`write_tests` and `run_tests`) and the scripts of the catalogue. A goal is never routed to those here; a run that has nodes of
them is left as it is.

To have another type in the place of one of them, leave that one out: a swarm refuses two of one name.
"""

from hivemem.swarm.builtin.code import save_code
from hivemem.swarm.builtin.goals import break_down_goal, finish, route_goal
from hivemem.swarm.builtin.information import ask_user_for_help, browse_web, retrieve_info
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
    "finish",
    "retrieve_info",
    "review",
    "route_goal",
    "save_code",
    "write_code",
    "write_text",
]
