"""Values that a handler gave to an action, checked one by one."""

from collections.abc import Mapping
from math import inf, isfinite, nan
from typing import Any, TypeGuard

from avtomatika.errors import HandlerError
from avtomatika.kernel.time import Span, seconds


def transitions_of(given: Mapping[str, str] | None) -> dict[str, str]:
    """The transitions, each a text to a text. Raises HandlerError."""
    return {
        text("transitions", status): text("transitions", state)
        for status, state in mapping("transitions", given).items()
    }


def mapping(name: str, value: Any) -> Mapping[Any, Any]:
    """The mapping, empty for None. Raises HandlerError."""
    if value is None:
        return {}
    if not _is_mapping(value):
        raise HandlerError(f"{name} must be a mapping, not {value!r}.")
    return value


def _is_mapping(value: object) -> TypeGuard[Mapping[Any, Any]]:
    return isinstance(value, (dict, Mapping))  # a dict is told at once, which is what nearly everybody gives


def text(name: str, value: object) -> str:
    """The text, which is not empty and which UTF-8 can carry. Raises HandlerError."""
    if not isinstance(value, str) or not value:
        raise HandlerError(f"{name} must be a text that is not empty, not {value!r}.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise HandlerError(f"{name} must be a text that UTF-8 can carry, not {value!r}.") from None
    return value


def text_or_none(task: Mapping[str, Any], name: str) -> str | None:
    """The text under the name, or None when there is none. Raises HandlerError."""
    value = task.get(name)
    return None if value is None else text(name, value)


def number(task: Mapping[str, Any], name: str) -> float | None:
    """The finite number under the name, or None when there is none. Raises HandlerError."""
    value = task.get(name)
    if value is None:
        return None
    try:
        number = nan if isinstance(value, bool) or not isinstance(value, int | float) else float(value)
    except OverflowError:
        number = inf
    if not isfinite(number):
        raise HandlerError(f"{name} must be a finite number, not {value!r}.")
    return number


def span(task: Mapping[str, Any], name: str) -> Span | None:
    """The positive seconds under the name as a span, or None when there are none. Raises HandlerError."""
    value = number(task, name)
    if value is None:
        return None
    if not 0 < value < 10**10:
        raise HandlerError(f"{name} must be a positive number of seconds, not {value!r}.")
    return max(Span(1), seconds(value))
