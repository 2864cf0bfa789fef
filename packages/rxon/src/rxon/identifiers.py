"""The grammar of worker, job and task ids."""

import re
from typing import Final

from rxon.errors import ProtocolError

__all__ = ["MAX_IDENTIFIER_LENGTH", "is_valid_identifier", "validate_identifier"]

MAX_IDENTIFIER_LENGTH: Final = 128
_match = re.compile(rf"[a-zA-Z0-9_-]{{1,{MAX_IDENTIFIER_LENGTH}}}").fullmatch


def is_valid_identifier(value: object) -> bool:
    """Whether ``value`` is 1 to 128 ASCII letters, digits, underscores or hyphens."""
    return isinstance(value, str) and _match(value) is not None


def validate_identifier(value: str, field: str = "identifier") -> str:
    """``value`` itself, now known to be an identifier.

    Raises ProtocolError naming ``field``.
    """
    if is_valid_identifier(value):
        return value
    raise ProtocolError(
        f"Invalid {field}: use 1 to {MAX_IDENTIFIER_LENGTH} letters, digits, '_' or '-'",
        details={"field": field},
    )
