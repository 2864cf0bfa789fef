"""The duty that keeps the history outside in step, whenever it can be reached."""

import asyncio
from typing import Final

from avtomatika import observe
from avtomatika.commands.export import MOST_MESSAGES, Export
from avtomatika.commands.outbox import HISTORY
from avtomatika.errors import Unavailable
from avtomatika.kernel.time import SECOND, Instant, Span, after
from avtomatika.ports.node import NodeContext

GATHER: Final = Span(20)  # one write for what comes within this time: nobody waits for the history
LOOK_AGAIN: Final = SECOND
FIRST_PAUSE: Final = Span(250)
LONGEST_PAUSE: Final = Span(5_000)


class Exporter:
    """Carries out an export. An outage is told once, at its beginning and at its end."""

    def __init__(self, node: NodeContext, export: Export) -> None:
        self._store, self._clock = node.store, node.clock
        self._export = export
        self._open = False
        self._down_since: Instant | None = None

    async def run(self) -> None:
        """Facts are exported as they come, until this is cancelled."""
        pause = FIRST_PAUSE
        while True:
            try:
                done = await self._step()
            except Unavailable as error:
                self._down(error)
                await self._clock.sleep_until(after(self._clock.now(), pause))
                pause = Span(min(2 * pause, LONGEST_PAUSE))
                continue
            pause = FIRST_PAUSE
            if not done:
                await self._store.wait((HISTORY,), until=await self._next_look())
            if done < MOST_MESSAGES:
                await self._clock.sleep_until(after(self._clock.now(), GATHER))

    async def finish(self, grace: Span) -> None:
        """What waits is exported, as far as *grace* allows, and the history is released. `run` has ended."""
        try:
            async with asyncio.timeout(grace / 1_000):
                while await self._export.step():
                    pass
        except (Unavailable, TimeoutError) as error:
            observe.warning("history.left", why=str(error) or "no time was left")
        await self._export.close()

    async def _step(self) -> int:
        if not self._open:
            await self._export.open()
            self._open = True
        done = await self._export.step()
        if self._down_since is not None:
            observe.event("history.back", down_ms=self._clock.now() - self._down_since)
            self._down_since = None
        return done

    def _down(self, error: Unavailable) -> None:
        self._open = False
        if self._down_since is None:
            self._down_since = self._clock.now()
            observe.warning("history.down", why=error.message)

    async def _next_look(self) -> Instant:
        due = await self._store.next_due(HISTORY)
        look = after(self._clock.now(), LOOK_AGAIN)
        return look if due is None else min(look, due)
