"""The canonical bytes of JSON, which are what signatures and hashes cover.

The bytes are made from the JSON that was received and not from a decoded message: whether a sender leaves
out fields that hold their default, and which fields a receiver knows, makes no difference then. In the form
of today, members that are ``null`` are left out of objects, floats of integral value are integers, members
are sorted by the bytes of their names, and there is no white space. Earlier generations had other forms.
"""

from collections.abc import Collection
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeGuard

import msgspec

from rxon.codec import encode
from rxon.errors import ProtocolError, TooLargeError

__all__ = ["MAX_BYTES", "MAX_DEPTH", "Body", "Form", "canonical", "canonical_of"]

Body = bytes | bytearray | memoryview

MAX_BYTES: Final = 16 * 2**20
MAX_DEPTH: Final = 100


class Form(StrEnum):
    """Which canonical form, named for the first release of the protocol, or the orchestrator, that had it."""

    R14 = "r14"
    """That of today."""
    R11 = "r11"
    """Nulls are left out of arrays as well."""
    R7 = "r7"
    """Everything stays: nulls, and floats of integral value as floats."""
    O21 = "o21"
    """As R7, without the nulls in objects and arrays: what that orchestrator made of a message before it
    verified it."""


class _Rules(NamedTuple):
    nulls_in_objects: bool
    nulls_in_arrays: bool
    integral_floats: bool


_RULES: Final = {
    Form.R14: _Rules(False, True, False),
    Form.R11: _Rules(False, False, False),
    Form.R7: _Rules(True, True, True),
    Form.O21: _Rules(False, False, True),
}
_INTEGERS: Final = range(-(2**63), 2**64)  # larger floats stay what they are: 1e300 has no sensible digits

_PLAIN: Final = frozenset({str, int, bool, type(None)})  # spares most values a call

_decode: Final = msgspec.json.Decoder().decode
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
    value = _decoded(body)
    if without and _is_object(value):
        value = {name: member for name, member in value.items() if name not in without}
    return _encode(_normal(value, _RULES[form], max_depth))


def canonical_of(value: Any, *, without: Collection[str] = (), form: Form = Form.R14) -> bytes:
    """The canonical bytes of a value of Python, such as a message, as it would be sent.

    Raises ProtocolError for a value that JSON cannot hold.
    """
    try:
        body = encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ProtocolError(f"There is no JSON of this: {error}") from None
    return canonical(body, without=without, form=form)


def _decoded(body: Body) -> Any:
    try:
        return _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ProtocolError(f"Invalid JSON body: {error}") from None
    except RecursionError:
        raise ProtocolError("Invalid JSON body: nested too deeply") from None


def _is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _normal(value: Any, rules: _Rules, depth: int) -> Any:
    kind: type[Any] = type(value)
    if kind is float:
        return value if rules.integral_floats else _integer(value)
    if kind is not dict and kind is not list:
        return value
    if depth == 0:
        raise ProtocolError("Invalid JSON body: nested too deeply")
    if kind is dict:
        members = value.items() if rules.nulls_in_objects else _present(value)
        return {n: m if type(m) in _PLAIN else _normal(m, rules, depth - 1) for n, m in members}
    items = value if rules.nulls_in_arrays else [item for item in value if item is not None]
    return [item if type(item) in _PLAIN else _normal(item, rules, depth - 1) for item in items]


def _present(members: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(name, member) for name, member in members.items() if member is not None]


def _integer(value: float) -> int | float:
    whole = int(value)
    return whole if whole == value and whole in _INTEGERS else value
