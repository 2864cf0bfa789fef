"""Threads for handlers that are no coroutines."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

__all__ = ["HandlerThreads"]

_Job = tuple[Callable[[], Any], "asyncio.Future[Any]", asyncio.AbstractEventLoop]


class HandlerThreads:
    """Runs calls in daemon threads, up to ``limit`` at once, which are reused.

    They are daemons because a handler that never returns must not keep a worker from ending:
    the threads of ``concurrent.futures`` are waited for when the interpreter exits.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._count = 0

    def submit(self, call: Callable[[], Any]) -> "asyncio.Future[Any]":
        """What ``call`` returns or raises, in the context of the caller."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        context = contextvars.copy_context()
        self._jobs.put((lambda: context.run(call), future, loop))
        if not self._idle.acquire(blocking=False) and self._count < self._limit:
            self._count += 1
            name = f"avtomatika-handler-{self._count}"
            threading.Thread(target=self._work, name=name, daemon=True).start()
        return future

    def _work(self) -> None:
        while True:
            call, future, loop = self._jobs.get()
            settle: Callable[[asyncio.Future[Any], Any], None] = _set_result
            try:
                value = call()
            except BaseException as error:  # noqa: BLE001 - whatever it is, the handler's task gets it
                settle, value = _set_error, error
            try:
                loop.call_soon_threadsafe(settle, future, value)
            except RuntimeError:
                return  # the loop is closed: nobody waits any more
            del call, future, value
            self._idle.release()


def _set_result(future: "asyncio.Future[Any]", value: Any) -> None:
    if not future.done():
        future.set_result(value)


def _set_error(future: "asyncio.Future[Any]", error: BaseException) -> None:
    if not future.done():
        # A future refuses StopIteration, and SystemExit would end the loop.
        plain = isinstance(error, Exception) and not isinstance(error, StopIteration)
        future.set_exception(error if plain else RuntimeError(f"The handler raised {error!r}"))
