"""Schedules as duties of a node: they are armed, and their ticks are acted on."""

from collections.abc import Callable, Coroutine
from typing import Final

from avtomatika import observe
from avtomatika.commands.ticks import Ticks
from avtomatika.errors import Unavailable
from avtomatika.kernel.time import SECOND, Span, after
from avtomatika.ports.node import NodeContext
from avtomatika.services.consumer import Consumer, Duty

TICK_LEASE: Final = Span(10 * SECOND)
MEND_EVERY: Final = Span(60 * SECOND)
PAUSE: Final = SECOND

Work = Callable[[], Coroutine[None, None, None]]


class Armer:
    """Keeps the schedules armed."""

    def __init__(self, node: NodeContext, ticks: Ticks) -> None:
        self._clock, self._ticks = node.clock, ticks

    async def run(self) -> None:
        """The schedules are as configured once, and no tick is missing for long, until this is cancelled."""
        await self._until_done(self._ticks.arm)
        while True:
            await self._clock.sleep_until(after(self._clock.now(), MEND_EVERY))
            await self._until_done(self._ticks.mend)

    async def _until_done(self, work: Work) -> None:
        while True:
            try:
                await work()
            except Unavailable as error:
                observe.warning("schedules.paused", why=error.message)
                await self._clock.sleep_until(after(self._clock.now(), PAUSE))
            else:
                return


def tick_consumer(node: NodeContext, ticks: Ticks, *, width: int) -> Consumer:
    """The consumer of the ticks."""
    duty = Duty(name="ticks", queues=tuple(ticks.queues), handle=ticks.fire, ttl=TICK_LEASE, width=width)
    return Consumer(node, duty)
