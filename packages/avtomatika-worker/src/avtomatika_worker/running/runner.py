"""Runs the handlers of tasks within the limits."""

import asyncio
import functools
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from avtomatika_worker.errors import HandlerError, TimedOutError
from avtomatika_worker.running.calls import Calls
from avtomatika_worker.running.capacity import Capacity, Openings
from avtomatika_worker.running.execution import Deliver, Execution
from avtomatika_worker.skills.hot_cache import HotCache
from avtomatika_worker.skills.outcome import Outcome, outcome_of_error, outcome_of_value
from avtomatika_worker.skills.skills import Catalog
from avtomatika_worker.skills.teller import Tell
from avtomatika_worker.watching.watch import TaskWatch
from rxon.messages import TaskError, TaskOffer
from rxon.vocabulary import ErrorCode, TaskStatus

if TYPE_CHECKING:  # what it needs is imported only where there is a storage
    from avtomatika_worker.files.depot import Depot

__all__ = ["Deliver", "Execution", "Runner", "Spawn", "unsupported"]

_log = logging.getLogger(__name__)


class Spawn(Protocol):
    """Starts a coroutine as a task of somebody's task group."""

    def __call__(self, coroutine: Coroutine[Any, Any, None], /) -> "asyncio.Task[None]":
        """The running task."""
        ...


class Runner:
    """Starts tasks as slots allow, and delivers each outcome exactly once.

    ``spawn`` keeps the running handlers; ``on_change`` is called when a slot becomes free.
    ``watches`` hear of every handler that is begun.
    """

    def __init__(
        self, catalog: Catalog, capacity: Capacity, hot_cache: HotCache, files_root: Path, spawn: Spawn
    ) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self.watches: Sequence[TaskWatch] = ()
        self._catalog = catalog
        self._capacity = capacity
        self._spawn = spawn
        self._calls = Calls(catalog.middleware, hot_cache, files_root, capacity.limit)
        self._waiting: deque[Execution] = deque()
        self._running: set[Execution] = set()

    @property
    def depot(self) -> "Depot | None":
        """Where inputs come from and outputs go to; None to leave both as they are."""
        return self._calls.depot

    @depot.setter
    def depot(self, depot: "Depot | None") -> None:
        self._calls.depot = depot

    @property
    def running(self) -> int:
        """How many handlers are running."""
        return len(self._running)

    def openings(self) -> Openings:
        """What the worker has room for."""
        return self._capacity.openings(self._catalog)

    def submit(self, offer: TaskOffer, deliver: Deliver, tell: Tell = lambda told: None) -> Execution | None:
        """The task runs, or waits for a slot; ``deliver`` gets its outcome later.

        Before that, ``tell`` gets what its handler tells.

        The outcome None means that there is nothing to report. None is returned, and nothing is
        delivered, when there is no such skill.
        """
        skill = self._catalog.get(offer.type)
        if skill is None:
            return None
        execution = Execution(offer, skill, self._catalog.declared(skill), deliver, tell)
        self._capacity.take(skill.type)
        if self._capacity.may_start(skill.type):
            self._start(execution)
        else:
            self._waiting.append(execution)
        return execution

    def stop(self, execution: Execution) -> None:
        """The handler is told to stop, and whatever it still returns is not delivered."""
        if execution.unwanted:
            return
        execution.cancelled = execution.unwanted = True
        if execution.task is not None:
            # A task cancelled before its first step would never reach its own clean-up.
            if execution.began:
                execution.task.cancel()
        elif execution in self._waiting:
            self._waiting.remove(execution)
            self._capacity.give_back(execution.skill.type)
            execution.deliver(execution, None)
            self.on_change()

    def stop_waiting(self) -> None:
        """Tasks that have not started never will."""
        for execution in tuple(self._waiting):
            self.stop(execution)

    def stop_running(self) -> None:
        """Every handler is told to stop."""
        for execution in tuple(self._running):
            self.stop(execution)

    def close(self) -> None:
        """No process of a handler is left."""
        self._calls.close()

    def _start(self, execution: Execution) -> None:
        self._capacity.start(execution.skill.type)
        self._running.add(execution)
        execution.task = self._spawn(self._run(execution))

    async def _run(self, execution: Execution) -> None:
        execution.began = True
        began = time.monotonic()
        outcome = None if execution.unwanted else await self._watched(execution)
        execution.over = True
        if outcome is not None and not execution.unwanted:
            execution.deliver(execution, _with_duration(outcome, time.monotonic() - began))
        else:
            execution.deliver(execution, None)
        if execution.thread is None or execution.thread.done():
            self._release(execution)
        else:
            execution.thread.add_done_callback(functools.partial(self._thread_ended, execution))

    async def _watched(self, execution: Execution) -> Outcome:
        ends = [watch.began(execution.offer) for watch in self.watches]
        outcome = await self._outcome(execution)
        for ended in reversed(ends):
            ended(None if execution.unwanted else outcome)
        return outcome

    async def _outcome(self, execution: Execution) -> Outcome:
        try:
            params = await self._calls.inputs(execution)
            value = await self._call(execution, params)
            return await self._calls.outputs(execution, outcome_of_value(value, execution.skill.name))
        except (Exception, SystemExit, asyncio.CancelledError) as error:  # noqa: BLE001 - user code
            return self._outcome_of_error(execution, error)

    async def _call(self, execution: Execution, params: Any) -> Any:
        limit = execution.skill.timeout
        if limit is None:
            return await self._calls.call(execution, params)
        timer = asyncio.timeout(limit)
        try:
            async with timer:
                return await self._calls.call(execution, params)
        except TimeoutError:
            if not timer.expired():
                raise
            execution.cancelled = True
            message = f"Skill {execution.skill.name!r} took longer than {limit:g} seconds"
            raise TimedOutError(message) from None

    def _outcome_of_error(self, execution: Execution, error: BaseException) -> Outcome:
        if isinstance(error, asyncio.CancelledError):
            execution.cancelled = True
        elif not isinstance(error, HandlerError):
            _log.warning(
                "Skill %r failed on task %s", execution.skill.name, execution.offer.task_id, exc_info=error
            )
        return outcome_of_error(error)

    def _thread_ended(self, execution: Execution, thread: "asyncio.Future[Any]") -> None:
        if not thread.cancelled():
            thread.exception()  # nobody else asks for it any more
        self._release(execution)

    def _release(self, execution: Execution) -> None:
        self._running.discard(execution)
        self._capacity.finish(execution.skill.type)
        for waiting in tuple(self._waiting):
            if self._capacity.is_full:
                break
            if self._capacity.may_start(waiting.skill.type):
                self._waiting.remove(waiting)
                self._start(waiting)
        self.on_change()


def unsupported(skill: str) -> Outcome:
    """The outcome of a task for which there is no handler."""
    error = TaskError(ErrorCode.PERMANENT_ERROR.value, f"Unsupported skill: {skill}")
    return Outcome(TaskStatus.FAILURE.value, error=error)


def _with_duration(outcome: Outcome, seconds: float) -> Outcome:
    costs = {**(outcome.costs or {}), "execution_time_seconds": round(seconds, 4)}
    return msgspec.structs.replace(outcome, costs=costs)
