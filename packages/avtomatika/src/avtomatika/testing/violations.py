"""What is said when a rule was broken."""

from typing import Protocol

import msgspec


class Violation(msgspec.Struct, frozen=True):
    """A rule that was broken, and by what."""

    rule: str
    detail: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.detail}"


class Violated(Protocol):
    """Called with a rule, in words that state what should be true, and with what broke it."""

    def __call__(self, rule: str, detail: object) -> None:
        """The world has broken a rule: it is over."""
        ...


class Log(Protocol):
    """Called with what happens, for the trace."""

    def __call__(self, kind: str, *what: object) -> None:
        """The trace has one line more."""
        ...
