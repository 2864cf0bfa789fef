"""Work that is done now and then for as long as a node lives."""

from collections.abc import Awaitable, Callable

from avtomatika import observe
from avtomatika.errors import Unavailable
from avtomatika.kernel.time import Span, after
from avtomatika.ports.clock import Clock


class Repeated:
    """One piece of such work. While the store is away it is told as *trouble*, and tried again next time."""

    def __init__(
        self, clock: Clock, work: Callable[[], Awaitable[object]], *, every: Span, trouble: str
    ) -> None:
        self._clock, self._work, self._every, self._trouble = clock, work, every, trouble

    async def run(self) -> None:
        """Works, and waits until *every* has passed since it began, until this is cancelled."""
        while True:
            began = self._clock.now()
            try:
                await self._work()
            except Unavailable as error:
                observe.warning(self._trouble, why=error.message)
            await self._clock.sleep_until(after(began, self._every))
