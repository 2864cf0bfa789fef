"""Data held against a JSON Schema. Schemas are compiled once, and nothing that they name is ever fetched.

Importing this module needs the extra ``schema``; nothing else of the package imports it.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

try:
    import jsonschema_rs
except ImportError as error:
    raise ImportError('JSON Schemas need jsonschema-rs: pip install "rxon[schema]"') from error
import msgspec

from rxon.codec import parse_float
from rxon.errors import ProtocolError
from rxon.vocabulary import SCHEMA_DIALECT

__all__ = ["MAX_MESSAGE", "MAX_SCHEMA", "Violation", "broken", "check_schema", "path_of", "validate"]

MAX_SCHEMA: Final = 65_536
MAX_MESSAGE: Final = 500
MAX_BACKTRACKS: Final = 100_000  # of one pattern on one value: what takes more is refused as no match


class Violation(NamedTuple):
    """Where a value breaks a schema, and how. A member that is missing is the last of ``steps``."""

    steps: tuple[str | int, ...]
    message: str

    @property
    def path(self) -> str:
        """The place as ``path_of`` writes it."""
        return path_of(self.steps)


def check_schema(schema: bytes) -> None:
    """The schema can be used. Raises ProtocolError that says why not."""
    _validator(schema)


def broken(schema: bytes, value: object) -> Violation | None:
    """The first thing that is wrong with the decoded ``value``, or None.

    Raises ProtocolError when the schema cannot be used.
    """
    for error in _validator(schema).iter_errors(value):
        missing = getattr(error.kind, "property", None)
        steps = error.instance_path if missing is None else (*error.instance_path, missing)
        return Violation(tuple(steps), _in_words(error)[:MAX_MESSAGE])
    return None


def validate(value: object, schema: Mapping[str, Any], dialect: str = SCHEMA_DIALECT) -> str | None:
    """What is wrong with the decoded ``value``, with its place, in the words of the protocol; or None.

    Nothing is wrong in any other dialect. Raises ProtocolError when the schema cannot be used.
    """
    if dialect != SCHEMA_DIALECT:
        return None
    found = broken(msgspec.json.encode(schema), value)
    if found is None:
        return None
    steps = found.steps[:-1] if found.message.startswith(_MISSING) else found.steps
    places = (f"Item at index {step}: " if isinstance(step, int) else f"Field '{step}': " for step in steps)
    return ("".join(places) + found.message)[:MAX_MESSAGE]


def path_of(steps: Iterable[object]) -> str:
    """The steps as they are written behind the name of a value: ``.items[2].price``; nothing for itself."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


_MISSING: Final = "Missing required field: "


def _in_words(error: jsonschema_rs.ValidationError) -> str:
    kind: Any = error.kind
    match kind.name:
        case "required":
            return f"{_MISSING}'{kind.property}'"
        case "additionalProperties" | "unevaluatedProperties":
            return f"Unexpected field: '{kind.unexpected[0]}'"
        case "type":
            null = ", got null" if error.instance is None else ""
            kinds = sorted(kind.types, key=lambda name: (name == "null", name))
            return f"Expected {' or '.join(kinds)}{null}"
        case "enum":
            return f"Value '{error.instance}' is not allowed. Must be one of: {kind.options}"
        case "anyOf":
            return "Value does not match any schemas"
        case _:
            return str(error.message)


_decode: Final = msgspec.json.Decoder(float_hook=parse_float).decode


def _refuse(uri: str) -> Any:
    raise ValueError(f"{uri} is not part of the schema, and nothing is fetched")


@lru_cache(maxsize=1024)
def _validator(schema: bytes) -> Any:
    if len(schema) > MAX_SCHEMA:
        raise ProtocolError(f"A schema has at most {MAX_SCHEMA} bytes.")
    patterns = jsonschema_rs.FancyRegexOptions(backtrack_limit=MAX_BACKTRACKS)
    try:
        decoded = _decode(schema)
        return jsonschema_rs.validator_for(decoded, retriever=_refuse, pattern_options=patterns)
    except (ValueError, msgspec.MsgspecError, RecursionError, jsonschema_rs.ReferencingError) as error:
        raise ProtocolError(f"This is no JSON Schema: {error}"[:MAX_MESSAGE]) from error
