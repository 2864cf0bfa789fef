"""JSON Schema for data of jobs: that of the protocol, with the errors of the server."""

from typing import Final

import msgspec

from avtomatika.errors import InvalidInput
from rxon.codec import parse_float
from rxon.errors import ProtocolError
from rxon.schema import validation
from rxon.schema.validation import broken, path_of

__all__ = ["broken", "check_schema", "path_of", "violation"]

_decode: Final = msgspec.json.Decoder(float_hook=parse_float).decode


def check_schema(schema: bytes) -> None:
    """The schema can be used. Raises InvalidInput that says why not."""
    try:
        validation.check_schema(schema)
    except ProtocolError as error:
        raise InvalidInput(error.message) from error


def violation(schema: bytes, data: bytes) -> str | None:
    """What is wrong with *data* by *schema*, with the path of the field, or None."""
    found = broken(schema, _decode(data))
    return None if found is None else f"{found.path.lstrip('.') or 'data'}: {found.message}"
