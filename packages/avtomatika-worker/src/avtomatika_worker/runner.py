"""Runs the handlers of tasks within the limits."""

import asyncio
import functools
import inspect
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from avtomatika_worker.capacity import Capacity, Openings
from avtomatika_worker.errors import HandlerError, TimedOutError
from avtomatika_worker.hot_cache import HotCache
from avtomatika_worker.invocation import CallContext
from avtomatika_worker.outcome import Outcome, outcome_of_error, outcome_of_value
from avtomatika_worker.skills import Catalog, Skill
from avtomatika_worker.task_files import TaskFiles, task_folder
from avtomatika_worker.teller import Tell, Teller, Told
from avtomatika_worker.threads import HandlerThreads
from avtomatika_worker.watch import TaskWatch
from rxon.messages import TaskError, TaskOffer
from rxon.vocabulary import ErrorCode, TaskStatus

__all__ = ["Deliver", "Execution", "Runner", "Spawn", "unsupported"]

_log = logging.getLogger(__name__)


class Spawn(Protocol):
    """Starts a coroutine as a task of somebody's task group."""

    def __call__(self, coroutine: Coroutine[Any, Any, None], /) -> "asyncio.Task[None]":
        """The running task."""
        ...


Deliver = Callable[["Execution", Outcome | None], None]


class Execution:
    """One task in the worker. ``cancelled`` tells its handler to stop."""

    __slots__ = (
        "began",
        "cancelled",
        "deliver",
        "files",
        "offer",
        "over",
        "skill",
        "task",
        "tell",
        "thread",
        "unwanted",
    )

    def __init__(self, offer: TaskOffer, skill: Skill, deliver: Deliver, tell: Tell) -> None:
        self.offer = offer
        self.skill = skill
        self.deliver = deliver
        self.tell = tell
        self.over = False
        self.began = False
        self.cancelled = False
        self.unwanted = False
        self.files: TaskFiles | None = None
        self.task: asyncio.Task[None] | None = None
        self.thread: asyncio.Future[Any] | None = None

    def is_cancelled(self) -> bool:
        """Whether the handler should stop, as nobody waits for its result."""
        return self.cancelled

    async def remove_files(self) -> None:
        """The folder of the task is gone; a thread that still runs is waited for."""
        if self.thread is not None:
            await asyncio.wait([self.thread])
        if self.files is not None:
            await self.files.remove()


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
        self._hot_cache = hot_cache
        self._files_root = files_root
        self._spawn = spawn
        self._threads = HandlerThreads(capacity.limit)
        self._waiting: deque[Execution] = deque()
        self._running: set[Execution] = set()

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
        execution = Execution(offer, skill, deliver, tell)
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
            value = await self._call(execution)
        except (Exception, SystemExit, asyncio.CancelledError) as error:  # noqa: BLE001 - user code
            return self._outcome_of_error(execution, error)
        return outcome_of_value(value, execution.skill.name)

    async def _call(self, execution: Execution) -> Any:
        limit = execution.skill.timeout
        if limit is None:
            return await self._invoke(execution)
        timer = asyncio.timeout(limit)
        try:
            async with timer:
                return await self._invoke(execution)
        except TimeoutError:
            if not timer.expired():
                raise
            execution.cancelled = True
            message = f"Skill {execution.skill.name!r} took longer than {limit:g} seconds"
            raise TimedOutError(message) from None

    async def _invoke(self, execution: Execution) -> Any:
        invocation = execution.skill.invocation
        context = CallContext(
            execution.offer,
            self._hot_cache,
            execution.is_cancelled,
            functools.partial(self._task_files, execution),
            Teller(execution.offer.task_id, functools.partial(_tell, execution)),
        )
        arguments = invocation.arguments(context)
        if invocation.is_async:
            return await invocation.handler(**arguments)
        execution.thread = self._threads.submit(functools.partial(invocation.handler, **arguments))
        value = await asyncio.shield(execution.thread)
        return await value if inspect.isawaitable(value) else value

    def _task_files(self, execution: Execution) -> TaskFiles:
        if execution.files is None:
            execution.files = TaskFiles(task_folder(self._files_root, execution.offer.task_id))
        return execution.files

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
            if self._capacity.may_start(waiting.skill.type):
                self._waiting.remove(waiting)
                self._start(waiting)
        self.on_change()


def unsupported(skill: str) -> Outcome:
    """The outcome of a task for which there is no handler."""
    error = TaskError(ErrorCode.PERMANENT_ERROR.value, f"Unsupported skill: {skill}")
    return Outcome(TaskStatus.FAILURE.value, error=error)


def _tell(execution: Execution, told: Told) -> None:
    if not execution.over and not execution.unwanted:
        execution.tell(told)


def _with_duration(outcome: Outcome, seconds: float) -> Outcome:
    costs = {**(outcome.costs or {}), "execution_time_seconds": round(seconds, 4)}
    return msgspec.structs.replace(outcome, costs=costs)
