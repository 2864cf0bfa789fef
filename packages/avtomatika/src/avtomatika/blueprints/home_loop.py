"""Methods that work in coroutines and in threads alike."""

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class HomeLoop:
    """The event loop that this was made in: work of handlers is done there, wherever they run."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def done(self, work: Coroutine[Any, Any, T]) -> Awaitable[T] | T:
        """The work, to be awaited in a coroutine. In a thread without a loop: its result, once it is done."""
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result()
        if here is self._loop:
            return work
        return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))
