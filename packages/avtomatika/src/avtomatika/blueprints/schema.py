"""JSON Schema: compiled once, without ever fetching anything (threat model 5.3.8)."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

import jsonschema_rs
import msgspec

from avtomatika.errors import InvalidInput

MAX_SCHEMA: Final = 65_536


class Violation(msgspec.Struct, frozen=True):
    """Where a value breaks a schema, as `path_of` writes it, and how."""

    path: str
    message: str


def check_schema(schema: bytes) -> None:
    """The schema can be used. Raises InvalidInput that says why not."""
    _validator(schema)


def violation(schema: bytes, data: bytes) -> str | None:
    """What is wrong with *data* by *schema*, with the path of the field, or None."""
    found = broken(schema, msgspec.json.decode(data))
    return None if found is None else f"{found.path.lstrip('.') or 'data'}: {found.message}"


def broken(schema: bytes, value: object) -> Violation | None:
    """The first thing that is wrong with the decoded *value* by *schema*, or None."""
    for error in _validator(schema).iter_errors(value):
        missing = getattr(error.kind, "property", None)  # the member that is not there
        steps = error.instance_path if missing is None else (*error.instance_path, missing)
        return Violation(path_of(steps), error.message)
    return None


def path_of(steps: Iterable[object]) -> str:
    """The steps as they are written behind the name of a value: `.items[2].price`; nothing for itself."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


def _refuse(uri: str) -> Any:
    raise ValueError(f"{uri} is not part of the schema, and nothing is fetched")


@lru_cache(maxsize=256)
def _validator(schema: bytes) -> Any:
    if len(schema) > MAX_SCHEMA:
        raise InvalidInput(f"A schema has at most {MAX_SCHEMA} bytes.")
    try:
        return jsonschema_rs.validator_for(msgspec.json.decode(schema), retriever=_refuse)
    except (ValueError, msgspec.MsgspecError, jsonschema_rs.ReferencingError) as error:
        raise InvalidInput(f"This is no JSON Schema: {error}") from error
