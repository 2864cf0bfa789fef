"""Reads variables, and collects what is wrong with them."""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Final, TypeVar

from avtomatika.errors import ConfigError
from avtomatika.kernel.time import Span, seconds

T = TypeVar("T")

SHORTEST: Final = 0.001
MOST_SECONDS: Final = 10**9

_PATH: Final = re.compile(r"|[A-Za-z0-9.~-][A-Za-z0-9._~-]*(/[A-Za-z0-9._~-]+)*")


class Reader:
    """Reads variables and collects every problem, so that all are reported at once."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self._problems: list[str] = []

    def text(self, name: str, default: str) -> str:
        """The variable as text."""
        return self._values.get(name, default)

    def optional(self, name: str) -> str | None:
        """The variable as text, or None when it is unset or empty."""
        return self._values.get(name) or None

    def whole(self, name: str, default: int, least: int = 0) -> int:
        """The variable as a whole number."""
        return self._parsed(
            name, default, lambda text: _at_least(int(text), least), f"a whole number from {least}"
        )

    def span(self, name: str, default: float, least: float = 0.0) -> Span:
        """The variable, in seconds, as a span."""
        what = f"seconds, from {least:g} to {MOST_SECONDS}"
        return seconds(self._parsed(name, default, lambda text: _within(float(text), least), what))

    def share(self, name: str, default: float) -> float:
        """The variable as a number from 0 to 1."""
        return self._parsed(name, default, lambda text: _share(float(text)), "a number from 0 to 1")

    def choice(self, name: str, default: str, choices: Collection[str]) -> str:
        """The variable, in upper case, as one of the choices."""
        return self._parsed(name, default, lambda text: _one_of(text.upper(), choices), ", ".join(choices))

    def path(self, name: str, default: str) -> str:
        """The variable as a path of URLs, without the slashes around it; ours begin with `_`."""
        return self._parsed(name, default, lambda text: _plain_path(text.strip("/")), "a plain path")

    def flag(self, name: str, default: bool) -> bool:
        """The variable as a truth value: `true` in any case, or `1`."""
        return self._parsed(name, default, lambda text: _FLAGS[text.strip().lower()], "true or false")

    def problem(self, name: str, what: str) -> None:
        """One more thing is wrong."""
        self._problems.append(f"{name}: {what}")

    def finish(self) -> None:
        """Nothing is wrong. Raises ConfigError that names every problem."""
        if self._problems:
            raise ConfigError("The configuration is not usable. " + "; ".join(self._problems))

    def _parsed(self, name: str, default: T, parse: Callable[[str], T], what: str) -> T:
        text = self._values.get(name)
        if text is None or text == "":
            return default
        try:
            return parse(text)
        except (ValueError, KeyError, OverflowError):
            self.problem(name, f"must be {what}, not {text!r}")
            return default


_FLAGS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def _at_least(value: T, least: int) -> T:
    if not value >= least:  # type: ignore[operator]  # T is int or float here
        raise ValueError
    return value


def _within(value: float, least: float) -> float:
    if not least <= value <= MOST_SECONDS:
        raise ValueError
    return value


def _share(value: float) -> float:
    if not 0.0 <= value <= 1.0:
        raise ValueError
    return value


def _one_of(text: str, choices: Collection[str]) -> str:
    if text not in choices:
        raise ValueError
    return text


def _plain_path(text: str) -> str:
    if not _PATH.fullmatch(text):
        raise ValueError
    return text
