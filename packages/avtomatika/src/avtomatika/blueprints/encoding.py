"""User values on their way to be kept and back: as JSON, or refused in words that name them."""

from typing import Any, Final

import msgspec
from msgspec import Raw

from avtomatika.errors import HandlerError
from rxon.codec import parse_float

_DECODER: Final[msgspec.json.Decoder[Any]] = msgspec.json.Decoder(float_hook=parse_float)


def decoded(value: Raw | bytes) -> Any:
    """The value that the JSON text is. Raises msgspec.MsgspecError, UnicodeDecodeError, RecursionError.

    No text takes long, whoever wrote it: see `rxon.codec.parse_float`.
    """
    return _DECODER.decode(value)


def encoded(what: str, value: Any) -> Raw:
    """The value as JSON. Raises HandlerError that says *what* is none."""
    try:
        return Raw(_encode(value))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise HandlerError(f"{what} must be JSON: {error}") from error


def _foreign(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)  # a model of pydantic, which is not imported to find out
    if dump is None:
        raise TypeError(f"Encoding objects of type {type(value).__name__} is unsupported")
    return dump(mode="json", by_alias=True)


_encode: Final = msgspec.json.Encoder(enc_hook=_foreign).encode
