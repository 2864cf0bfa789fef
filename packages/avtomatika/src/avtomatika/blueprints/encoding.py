"""User values on their way to be kept: as JSON, or refused in words that name them."""

from typing import Any

import msgspec
from msgspec import Raw

from avtomatika.errors import HandlerError


def encoded(what: str, value: Any) -> Raw:
    """The value as JSON. Raises HandlerError that says *what* is none."""
    try:
        return Raw(msgspec.json.encode(value, enc_hook=_foreign))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise HandlerError(f"{what} must be JSON: {error}") from error


def _foreign(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)  # a model of pydantic, which is not imported to find out
    if dump is None:
        raise TypeError(f"Encoding objects of type {type(value).__name__} is unsupported")
    return dump(mode="json", by_alias=True)
