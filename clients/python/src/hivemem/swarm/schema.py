"""JSON Schemas: validators of them, and what is wrong with a value, or with a schema, in words.

Nothing is fetched: schemas come from models and from the catalogue as well, and a reference must not make this process call
somebody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema
from jsonschema.protocols import Validator
from jsonschema_specifications import REGISTRY
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

_PROBLEMS_MAX = 5
_PROBLEM_CHARS_MAX = 300
# Of one problem: the library quotes the whole value.


def validator_of(schema: Any) -> Validator:
    """A validator of `schema`, of the draft that it names (none: 2020-12). Raises jsonschema.SchemaError if it is no schema."""
    made = jsonschema.validators.validator_for(schema, jsonschema.Draft202012Validator)
    made.check_schema(schema)
    validator: Validator = made(schema, registry=REGISTRY)
    return validator


def problems(validator: Validator, value: Any) -> str:
    """What is wrong with `value`, the first few; empty: nothing."""
    shown = []
    try:
        for error in validator.iter_errors(value):
            where = "".join(f"/{step}" for step in error.absolute_path)
            text = error.message[:_PROBLEM_CHARS_MAX]
            shown.append(f"{where}: {text}" if where else text)
            if len(shown) == _PROBLEMS_MAX:
                break
    except Unresolvable as error:
        shown.append(_leads_nowhere(error.ref))
    return "; ".join(shown)


def broken(schema: Any) -> str:
    """Why `schema` can't be used, as far as that shows without a value; empty: it can."""
    try:
        validator_of(schema)
    except jsonschema.SchemaError as error:
        return error.message[:_PROBLEM_CHARS_MAX]
    resolver = REGISTRY.resolver_with_root(DRAFT202012.create_resource(schema))
    for reference in _references(schema):
        try:
            resolver.lookup(reference)
        except Unresolvable:
            return _leads_nowhere(reference)
    return ""


def _references(schema: Any) -> Iterator[str]:
    """The references in a schema, those of parts with an `$id` left out: they count from there."""
    if isinstance(schema, Mapping):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        for part in schema.values():
            if not isinstance(part, Mapping) or "$id" not in part:
                yield from _references(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _references(part)


def _leads_nowhere(reference: str) -> str:
    return f"its reference {reference[:_PROBLEM_CHARS_MAX]!r} leads nowhere"
