"""Settings as attributes that are filled from environment variables of the same name."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Generic, TypeVar, cast, overload

import msgspec

__all__ = ["Variable", "choice", "flag", "json", "number", "optional", "text", "whole"]

T = TypeVar("T")

_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off"})
_GIVEN: Final = "_given"


class Variable(Generic[T]):
    """An attribute named like its variable.

    ``read`` makes the value of the variable's text and raises ValueError with what the text must
    be. An empty text counts as not set; then ``default`` makes the value.
    """

    def __init__(self, default: Callable[[], T], read: Callable[[str], T]) -> None:
        self._default = default
        self._read = read
        self.name = ""

    def fill(self, instance: object, environ: Mapping[str, str]) -> None:
        """The attribute has its value for ``environ``. Raises ValueError that names the variable."""
        given = environ.get(self.name, "").strip()
        if not given:
            vars(instance)[self.name] = self._default()
            return
        try:
            self.__set__(instance, self._read(given))
        except ValueError as error:
            raise ValueError(f"{self.name} must be {error}") from None

    def is_set(self, instance: object) -> bool:
        """Whether the environment or the program gave a value, and it is not the default."""
        return self.name in vars(instance).get(_GIVEN, ())

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> "Variable[T]": ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> "T | Variable[T]":
        return self if instance is None else cast("T", vars(instance)[self.name])

    def __set__(self, instance: object, value: T) -> None:
        vars(instance)[self.name] = value
        vars(instance).setdefault(_GIVEN, set()).add(self.name)


def text(default: str, fold: Callable[[str], str] = str) -> Variable[str]:
    """A text, passed through ``fold``."""
    return Variable(lambda: default, fold)


def optional() -> Variable[str | None]:
    """A text, or None."""
    return Variable(lambda: None, lambda given: given)


def whole(default: int, at_least: int = 0) -> Variable[int]:
    """A whole number, ``at_least`` or more."""

    def read(given: str) -> int:
        if given.isascii() and given.isdecimal() and int(given) >= at_least:
            return int(given)
        raise ValueError(f"a whole number from {at_least}, not {given!r}")

    return Variable(lambda: default, read)


def number(default: float) -> Variable[float]:
    """A finite number, 0 or more."""

    def read(given: str) -> float:
        try:
            value = float(given)
        except ValueError:
            value = math.nan
        if 0 <= value < math.inf:
            return value
        raise ValueError(f"a number from 0, not {given!r}")

    return Variable(lambda: default, read)


def choice(default: str, words: Sequence[str]) -> Variable[str]:
    """One of ``words``, in any case."""

    def read(given: str) -> str:
        if given.lower() in words:
            return given.lower()
        raise ValueError(f"one of {', '.join(words)}, not {given!r}")

    return Variable(lambda: default, read)


def flag(default: bool) -> Variable[bool]:
    """True or false, in the usual spellings."""

    def read(given: str) -> bool:
        if given.lower() in _TRUE | _FALSE:
            return given.lower() in _TRUE
        raise ValueError(f"true or false, not {given!r}")

    return Variable(lambda: default, read)


def json(kind: type[T], default: Callable[[], T]) -> Variable[T]:
    """JSON of the shape ``kind``."""
    decoder = msgspec.json.Decoder(kind)

    def read(given: str) -> T:
        try:
            return decoder.decode(given)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise ValueError(f"JSON of the right shape: {error}") from None

    return Variable(default, read)
