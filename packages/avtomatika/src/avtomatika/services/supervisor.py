"""Who owns the work of a node: everything that runs beside a request is started here and ends here."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from avtomatika import observe
from avtomatika.errors import AvtomatikaError, StorageBroken
from avtomatika.kernel.time import Span

T = TypeVar("T")


class Supervisor:
    """Duties run until they are stopped; a duty that dies stops the node. Work runs until it is done."""

    def __init__(self) -> None:
        self._work: set[asyncio.Task[Any]] = set()
        self._duties: set[asyncio.Task[None]] = set()
        self._failed: asyncio.Future[BaseException] | None = None

    def spawn(self, work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """The work is under way. An error that nobody awaits goes to the log; its lease does the rest."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._work.add(task)
        task.add_done_callback(self._work_ended)
        return task

    def start_duty(self, name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """The duty runs until `drain`."""
        duty = asyncio.get_running_loop().create_task(run(), name=name)
        self._duties.add(duty)
        duty.add_done_callback(self._duty_ended)

    def fail(self, error: BaseException) -> None:
        """Whoever waits for a failure hears of this one."""
        failed = self.failure()
        if not failed.done():
            failed.set_result(error)

    def failure(self) -> "asyncio.Future[BaseException]":
        """Done when the node cannot go on, with the reason."""
        if self._failed is None:
            self._failed = asyncio.get_running_loop().create_future()
        return self._failed

    async def stop_duties(self) -> None:
        """No duty runs any more."""
        await _cancelled(self._duties)

    async def drain(self, grace: Span) -> None:
        """All work has ended, with all that it began: by itself within *grace*, else by cancellation."""
        now = asyncio.get_running_loop().time
        deadline = now() + grace / 1_000
        while self._work and (left := deadline - now()) > 0:
            await asyncio.wait(self._work, timeout=left)
        await _cancelled(self._work)

    def _work_ended(self, task: asyncio.Task[Any]) -> None:
        self._work.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            return
        if isinstance(error, AvtomatikaError):
            observe.warning("work.refused", work=task.get_name(), code=error.code, why=error.message)
        else:
            observe.failure("work.failed", error, work=task.get_name())

    def _duty_ended(self, duty: "asyncio.Task[None]") -> None:
        self._duties.discard(duty)
        if duty.cancelled():
            return
        error = duty.exception() or RuntimeError(f"the duty '{duty.get_name()}' ended")
        if not isinstance(error, StorageBroken):
            observe.failure("duty.died", error, duty=duty.get_name())
        self.fail(error)


async def _cancelled(tasks: "set[asyncio.Task[Any]]") -> None:
    ending = list(tasks)
    for task in ending:
        task.cancel()
    if ending:
        await asyncio.wait(ending)
