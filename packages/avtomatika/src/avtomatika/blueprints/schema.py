"""JSON Schema: compiled once, without ever fetching anything (threat model 5.3.8)."""

from functools import lru_cache
from typing import Any, Final

import jsonschema_rs
import msgspec

from avtomatika.errors import InvalidInput

MAX_SCHEMA: Final = 65_536


def check_schema(schema: bytes) -> None:
    """The schema can be used. Raises InvalidInput that says why not."""
    _validator(schema)


def violation(schema: bytes, data: bytes) -> str | None:
    """What is wrong with *data* by *schema*, with the path of the field, or None."""
    value: Any = msgspec.json.decode(data)
    for error in _validator(schema).iter_errors(value):
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.instance_path)
        return f"{place.lstrip('.') or 'data'}: {error.message}"
    return None


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
