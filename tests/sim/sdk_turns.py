"""Loops of a simulated process that can stand still."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from avtomatika.testing.stage import Stage
from avtomatika_worker.conversation.steps import Wait

Turn = Callable[[], Awaitable[Wait | None]]

STUCK_TURNS: Final = 10_000
"""A loop that takes so many turns while no time passes never ends."""


class SimProcess:
    """A process that runs, or stands still for a while. A handler may call *die*."""

    def __init__(self, stage: Stage, name: str, die: Callable[[], None]) -> None:
        self.name, self.die = name, die
        self.alive = True
        self._stage = stage
        self._standing: asyncio.Event | None = None

    async def awake(self) -> None:
        """Returns when the process runs."""
        while self._standing is not None:
            await self._standing.wait()

    def stall(self, span: int) -> None:
        """The process stands still for *span* milliseconds."""
        if self._standing is None:
            self._standing = asyncio.Event()
            self._stage.soon(span, self._go_on)

    def _go_on(self) -> None:
        if self._standing is not None:
            self._standing.set()
            self._standing = None

    def now(self) -> float:
        """Seconds of virtual time."""
        return self._stage.loop.time()

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """The work is under way, as long as the process lives."""
        task = self._stage.loop.create_task(work)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._stage.ledger.violated("a worker foresees every answer", f"{self.name}: {error!r}")

    async def _turns(self, turn: Turn, due: asyncio.Event) -> None:
        """Turn after turn: at once, or when a Wait is over or *due* is set."""
        idle, last = 0, -1.0
        while True:
            await self.awake()
            now = self.now()
            idle, last = (idle + 1 if now == last else 0), now
            if idle > STUCK_TURNS:
                raise RuntimeError(f"{turn} is always due")
            wait = await turn()
            if wait is not None:
                await _pause(due, wait.until)


async def _pause(due: asyncio.Event, until: float | None) -> None:
    if until is None:
        await due.wait()
    else:
        try:
            async with asyncio.timeout_at(until):
                await due.wait()
        except TimeoutError:
            return
    due.clear()
