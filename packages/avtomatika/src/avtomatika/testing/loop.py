"""An event loop with virtual time: waiting costs nothing, and the same seed gives the same order."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Executor
from contextvars import Context, ContextVar
from typing import Any, Final, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

TURNS_WITHOUT_TIME: Final = 50_000

OWNER: Final[ContextVar[str]] = ContextVar("OWNER", default="")
"""Whose work runs. Tasks inherit it from the task that started them, so a whole process can be killed."""


class Deadlock(Exception):
    """Nothing is scheduled and nobody is ready: the world would stand still for ever."""


class Livelock(Exception):
    """The world is busy and time does not pass."""


class _VirtualSelector(selectors.SelectSelector):
    """To wait is to jump to the moment that was waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.elapsed = 0.0
        self.turns = 0
        self._idle_turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Deadlock
        self.turns += 1
        if timeout > 0:
            self.elapsed += timeout
            self._idle_turns = 0
        else:
            self._idle_turns += 1
            if self._idle_turns > TURNS_WITHOUT_TIME:
                raise Livelock
        return []


class SimLoop(asyncio.SelectorEventLoop):
    """The loop of one simulated world. What would run in a thread runs at once, or after `disk()` seconds."""

    def __init__(self) -> None:
        self._virtual = _VirtualSelector()
        super().__init__(self._virtual)
        self._owned: dict[str, list[asyncio.Task[Any]]] = {}
        self.disk: Callable[[], float] = _no_delay

    @property
    def turns(self) -> int:
        """How often the loop went round."""
        return self._virtual.turns

    def time(self) -> float:
        """Virtual seconds since the beginning of the world."""
        return self._virtual.elapsed

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: object = None,
        context: Context | None = None,
        **options: Any,
    ) -> asyncio.Task[T]:
        """The task is under way and belongs to the owner of its context."""
        task: asyncio.Task[T] = super().create_task(coro, name=name, context=context, **options)
        owner = OWNER.get() if context is None else context.get(OWNER, "")
        self._owned.setdefault(owner, []).append(task)
        return task

    def tasks_of(self, owner: str) -> list[asyncio.Task[Any]]:
        """The unfinished tasks of the owner, oldest first."""
        alive = [task for task in self._owned.get(owner, ()) if not task.done()]
        self._owned[owner] = alive
        return alive

    def kill(self, owner: str) -> None:
        """No task of the owner will get further than its next wait."""
        for task in self.tasks_of(owner):
            task.cancel()

    def everybody(self) -> list[asyncio.Task[Any]]:
        """Every unfinished task."""
        return [task for owner in list(self._owned) for task in self.tasks_of(owner)]

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """What *func* returns, after the delay of a disk. Half of the delay passes before *func* runs."""
        future: asyncio.Future[T] = self.create_future()
        delay = self.disk()

        def run() -> None:
            if future.cancelled():
                return
            try:
                result = func(*args)
            except Exception as error:  # noqa: BLE001 - whoever waits hears of it
                _settle(future.set_exception, error, future)
            else:
                self.call_later(delay / 2, _settle, future.set_result, result, future)

        if delay:
            self.call_later(delay / 2, run)
        else:
            run()
        return future


def _settle(setter: Callable[[T], None], value: T, future: asyncio.Future[Any]) -> None:
    if not future.done():
        setter(value)


def _no_delay() -> float:
    return 0.0
