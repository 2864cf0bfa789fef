"""What goes around handlers: functions that see each call, and may change or refuse it."""

import functools
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from avtomatika_worker.errors import SkillError

__all__ = ["CallDetails", "Middleware", "Next", "check_middleware", "through"]

CallDetails = dict[str, Any]
Next = Callable[[], Awaitable[Any]]
Middleware = Callable[[CallDetails, Next], Awaitable[Any]]


def check_middleware(middleware: Middleware) -> None:
    """It can be called with the context of a call and what comes next. Raises SkillError."""
    call = getattr(middleware, "__call__", middleware)  # noqa: B004 - its kind, not whether there is one
    if not (inspect.iscoroutinefunction(middleware) or inspect.iscoroutinefunction(call)):
        raise SkillError(f"{middleware!r} is no coroutine function")
    try:
        inspect.signature(middleware).bind(None, None)
    except TypeError as error:
        raise SkillError(f"{middleware!r} does not take two arguments, the context and `next`") from error


async def through(middleware: Sequence[Middleware], context: CallDetails, handler: Next) -> Any:
    """What the first of ``middleware`` returns, around the others, around ``handler``."""
    call = handler
    for each in reversed(middleware):
        call = functools.partial(each, context, call)
    return await call()
