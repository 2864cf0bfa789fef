"""The states of a blueprint and the handlers of each, as the decorators leave them."""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from avtomatika.blueprints.chart import ENDINGS
from avtomatika.blueprints.conditions import Condition, condition_of
from avtomatika.blueprints.context import JobContext
from avtomatika.blueprints.injection import Handler, handler_of
from avtomatika.errors import BlueprintError
from avtomatika.kernel.model import Verdict

F = TypeVar("F", bound=Callable[..., Any])


class Conditional(msgspec.Struct, frozen=True):
    """A handler for the jobs that its condition holds for. `text` is how the condition was written."""

    condition: Condition
    text: str
    handler: Handler


class State(msgspec.Struct, frozen=True):
    """A state with its handlers. `ends` is how a job ends there, or None when it goes on."""

    name: str
    default: Handler | None = None
    conditional: tuple[Conditional, ...] = ()
    ends: Verdict | None = None

    @property
    def handlers(self) -> tuple[Handler, ...]:
        """All of its handlers."""
        default = () if self.default is None else (self.default,)
        return (*(each.handler for each in self.conditional), *default)

    def handler(self, context: JobContext) -> Handler | None:
        """The first handler whose condition holds, in the order of registration, else the default."""
        for candidate in self.conditional:
            if candidate.condition(context):
                return candidate.handler
        return self.default


class Registration:
    """A decorator that makes a function the handler of a state; `when` narrows it to some jobs."""

    def __init__(self, register: Callable[[Callable[..., Any], Conditional | None], None]) -> None:
        self._register = register

    def __call__(self, function: F) -> F:
        """The function is the default handler. Raises BlueprintError when there is one."""
        self._register(function, None)
        return function

    def when(self, condition: str | Condition) -> Callable[[F], F]:
        """A decorator for the jobs that *condition* holds for: a text, or a function of the JobContext.

        Raises BlueprintError when the text says no condition.
        """
        known = condition_of(condition)
        text = condition if isinstance(condition, str) else getattr(condition, "__name__", "condition")

        def register(function: F) -> F:
            self._register(function, Conditional(known, text, handler_of(function)))
            return function

        return register


def verdict_of_name(state: str) -> Verdict | None:
    """How a job ends that enters a state of this name which has no handler, or None for other names."""
    return ENDINGS.get(state)


def ending(state: str, is_end: bool, outcome: str | None) -> Verdict | None:
    """How a job ends in a state that was registered so, or None. Raises BlueprintError."""
    if not is_end:
        if outcome:
            raise BlueprintError(f"State '{state}' has an outcome but is no end state.")
        return None
    if not outcome:
        return ENDINGS.get(state, Verdict.FINISHED)
    if outcome not in tuple(Verdict):
        raise BlueprintError(f"The outcome of state '{state}' is none of {', '.join(Verdict)}.")
    return Verdict(outcome)
