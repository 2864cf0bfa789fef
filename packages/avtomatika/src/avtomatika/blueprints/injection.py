"""Which arguments a handler gets: by name, decided once when it is registered (features A2, A17)."""

import dis
import inspect
import sys
from collections.abc import Callable
from functools import cached_property
from typing import Any, Final

import msgspec

from avtomatika.blueprints.context import JobContext
from avtomatika.blueprints.contracts import INPUT, RESULT, annotated_shape, made
from avtomatika.blueprints.shapes import Shape
from avtomatika.errors import BlueprintError, HandlerError

CONTEXT_NAMES: Final = frozenset(JobContext.__dataclass_fields__)
_REFUSED: Final = (inspect.Parameter.POSITIONAL_ONLY,)
_OPEN: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_WAITS: Final = frozenset(
    {"BEFORE_ASYNC_WITH", "GET_AITER", "GET_ANEXT", "GET_AWAITABLE", "SEND", "YIELD_VALUE"}
)


class Handler(msgspec.Struct, frozen=True, dict=True):
    """A function of the user with the names of its arguments, and which of those have defaults.

    One that is `prompt` is a coroutine that never waits: it ends in the step of the loop that it begins in.
    """

    function: Callable[..., Any]
    names: tuple[str, ...]
    optional: frozenset[str]
    is_async: bool
    prompt: bool = False

    @cached_property
    def accepts(self) -> Shape | None:
        """The class that `initial_data` is made an instance of, or None when it stays a dict.

        Found when it is first asked for: an annotation may name a class that comes later in its file.
        Raises BlueprintError.
        """
        return annotated_shape(self.function, INPUT) if INPUT in self.names else None

    @cached_property
    def returns(self) -> Shape | None:
        """The class that the handler says it returns, or None. Raises BlueprintError."""
        return annotated_shape(self.function, RESULT)


def handler_of(function: Callable[..., Any]) -> Handler:
    """The function as a handler. Raises BlueprintError when its arguments cannot be given by name."""
    parameters = [p for p in inspect.signature(function).parameters.values() if p.kind not in _OPEN]
    refused = [p.name for p in parameters if p.kind in _REFUSED]
    if refused:
        raise BlueprintError(f"Arguments are given by name; {', '.join(refused)} cannot be.")
    return Handler(
        function=function,
        names=tuple(p.name for p in parameters),
        optional=frozenset(p.name for p in parameters if p.default is not p.empty),
        is_async=inspect.iscoroutinefunction(function)
        or inspect.iscoroutinefunction(getattr(function, "__call__", None)),  # noqa: B004 - an object
        prompt=_never_waits(function),
    )


def _never_waits(function: Callable[..., Any]) -> bool:
    """True when its own code says so. A function of which nothing is known may wait."""
    code = getattr(function, "__code__", None)
    if not inspect.iscode(code) or not code.co_flags & inspect.CO_COROUTINE:
        return False
    if sys.implementation.name != "cpython":
        return False  # others may spell the instructions differently
    return all(instruction.opname not in _WAITS for instruction in dis.get_instructions(code))


def arguments(handler: Handler, context: JobContext) -> dict[str, Any]:
    """The arguments of a call: the job's own names, then keys of the history, then of the input.

    `initial_data` is an instance when the handler says so. Raises HandlerError that names the argument
    which nothing provides, ContractViolation when no instance can be made.
    """
    given: dict[str, Any] = {}
    for name in handler.names:
        if name == "context":
            given[name] = context
        elif name == INPUT and handler.accepts is not None:
            given[name] = made(handler.accepts.make, INPUT, context.initial_data)
        elif name in CONTEXT_NAMES:
            given[name] = getattr(context, name)
        elif name in context.state_history:
            given[name] = context.state_history[name]
        elif name in context.initial_data:
            given[name] = context.initial_data[name]
        elif name not in handler.optional:
            raise HandlerError(
                f"Nothing provides the argument '{name}': it is no name of the job's, "
                "no key of state_history and no key of initial_data."
            )
    return given
