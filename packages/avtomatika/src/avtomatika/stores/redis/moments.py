"""Moments as text of one width, which sorts like the moments and never becomes a number of Lua."""

from typing import Final

from avtomatika.kernel.time import Instant

WIDTH: Final = 20
_ZERO: Final = 2**63
_MOST: Final = 10**WIDTH - 1


def text(moment: int) -> str:
    """The moment, or the nearest one that has a text."""
    return f"{min(max(moment + _ZERO, 0), _MOST):020d}"


def moment(shown: bytes) -> Instant:
    """The moment that `text` wrote."""
    return Instant(int(shown) - _ZERO)
