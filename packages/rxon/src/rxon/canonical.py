"""The canonical bytes of JSON, which are what signatures and hashes cover.

The bytes are made from the JSON that was received and not from a decoded message: whether a sender leaves
out fields that hold their default, and which fields a receiver knows, makes no difference then. In the form
of today, members that are ``null`` are left out of objects, floats of integral value are integers, members
are sorted by the bytes of their names, and there is no white space. Earlier generations had other forms.
"""

from collections.abc import Callable, Collection, Iterable
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeGuard

import msgspec

from rxon.codec import encode, parse_float
from rxon.errors import ProtocolError, TooLargeError

__all__ = ["MAX_BYTES", "MAX_DEPTH", "Body", "Form", "canonical", "canonical_of"]

Body = bytes | bytearray | memoryview

MAX_BYTES: Final = 16 * 2**20
MAX_DEPTH: Final = 100


class Form(StrEnum):
    """Which canonical form, named for the release of the protocol, or of the orchestrator, that had it."""

    R14 = "r14"
    """That of today."""
    R11 = "r11"
    """Nulls are left out of arrays as well."""
    R7 = "r7"
    """Everything stays: nulls, and floats of integral value as floats."""
    O21 = "o21"
    """As R7, without the nulls in objects and arrays: what workers of that time sign and it verifies."""


class _Rules(NamedTuple):
    nulls_in_objects: bool
    nulls_in_arrays: bool
    decode: Callable[[Body], Any]


def _whole(text: str) -> int | float:
    number = parse_float(text)
    return int(number) if _LEAST <= number < _BEYOND and number.is_integer() else number


_LEAST: Final = -(2.0**63)  # floats beyond 64 bits stay what they are: 1e300 has no sensible digits
_BEYOND: Final = 2.0**64
_whole_numbers: Final = msgspec.json.Decoder(float_hook=_whole).decode
_as_written: Final = msgspec.json.Decoder(float_hook=parse_float).decode
_RULES: Final = {
    Form.R14: _Rules(False, True, _whole_numbers),
    Form.R11: _Rules(False, False, _whole_numbers),
    Form.R7: _Rules(True, True, _as_written),
    Form.O21: _Rules(False, False, _as_written),
}
_CONTAINERS: Final = frozenset((dict, list))
_encode: Final = msgspec.json.Encoder(order="sorted").encode


def canonical(
    body: Body, *, without: Collection[str] = (), form: Form = Form.R14, max_depth: int = MAX_DEPTH
) -> bytes:
    """The canonical bytes of the JSON in ``body``, ``without`` these members of the outermost object.

    Of members of the same name the last one counts, as in every decoder of this package. Integers keep all
    their digits. Raises TooLargeError above MAX_BYTES, and ProtocolError for what is not JSON, holds a
    number out of range, or is nested more than ``max_depth`` levels deep; nothing else.
    """
    if len(body) > MAX_BYTES:
        raise TooLargeError(f"Only up to {MAX_BYTES} bytes can be signed.")
    rules = _RULES[form]
    value: Any = _decoded(body, rules)
    if _is_object(value):
        for name in without:
            value.pop(name, None)
    if type(value) in _CONTAINERS:
        _settle(value, rules, max_depth)
    return _encode(value)


def canonical_of(value: Any, *, without: Collection[str] = (), form: Form = Form.R14) -> bytes:
    """The canonical bytes of a value of Python, such as a message, as it would be sent.

    Raises ProtocolError for a value that JSON cannot hold.
    """
    try:
        body = encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ProtocolError(f"There is no JSON of this: {error}") from None
    return canonical(body, without=without, form=form)


def _decoded(body: Body, rules: _Rules) -> Any:
    try:
        return rules.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ProtocolError(f"Invalid JSON body: {error}") from None
    except RecursionError:
        raise ProtocolError("Invalid JSON body: nested too deeply") from None


def _settle(value: dict[str, Any] | list[Any], rules: _Rules, depth: int) -> None:
    """The value is free of nulls where the rules say so; in place, for a large one has many parts."""
    inner: Iterable[Any]
    if isinstance(value, dict):
        if not rules.nulls_in_objects:
            for name in [name for name, member in value.items() if member is None]:
                del value[name]
        inner = value.values()
    else:
        if not rules.nulls_in_arrays:
            value[:] = [item for item in value if item is not None]
        inner = value
    if depth == 0:
        raise ProtocolError("Invalid JSON body: nested too deeply")
    for part in inner:
        if type(part) in _CONTAINERS:
            _settle(part, rules, depth - 1)


def _is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)
