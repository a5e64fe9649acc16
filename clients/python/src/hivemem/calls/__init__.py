"""What each call sends and how its reply is read, one module per service.

Every function takes the namespace first and then what a user gives; `hivemem.Client` and `hivemem.AsyncClient` bind the
namespace and carry the call out. So signatures and docstrings stand here, once.
"""

from __future__ import annotations

import inspect
from typing import Any

HEALTH_CHECK = "/grpc.health.v1.Health/Check"
HEALTH_SERVING = b"\x08\x01"
# The encoded reply with `status` (field 1) SERVING (1), which is all that is asked of that protocol.


def show_as_method(method: Any, built_by: inspect.Signature) -> None:
    """Gives a client's method the signature of its builder, with `self` in the namespace's place, for `help`."""
    first, *rest = built_by.parameters.values()
    method.__signature__ = built_by.replace(
        parameters=[first.replace(name="self", annotation=inspect.Parameter.empty), *rest],
        return_annotation=inspect.Signature.empty,
    )
