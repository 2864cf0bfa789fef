"""How the node feels: how late its event loop is, how much work waits, how many workers there are."""

import asyncio
from typing import Final

from avtomatika import observe
from avtomatika.commands.presence import Presence
from avtomatika.errors import Unavailable
from avtomatika.kernel.time import SECOND, Span, after
from avtomatika.matching.placement import FAMILY
from avtomatika.ports.node import NodeContext

BEAT: Final = Span(SECOND)
BEATS_A_SAMPLE: Final = 5
MOST_COUNTED: Final = 1_000
"""Tasks beyond these are not counted: the figure then says that there are at least as many."""


class Pulse:
    """Tells whoever listens, every second how late the loop is and now and then what waits."""

    def __init__(self, node: NodeContext, presence: Presence) -> None:
        self._store, self._clock, self._presence = node.store, node.clock, presence
        self._node = node.name

    async def run(self) -> None:
        """Beats until this is cancelled; then the node has no figures any more."""
        beats = 0
        try:
            while True:
                if beats % BEATS_A_SAMPLE == 0:
                    await self.sample()
                await self.beat()
                beats += 1
        finally:
            observe.measured("node.gone", node=self._node)

    async def beat(self) -> None:
        """A second has passed, and how much more than that is told."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        await self._clock.sleep_until(after(self._clock.now(), BEAT))
        observe.measured("loop.beat", node=self._node, lag=max(0.0, loop.time() - began - BEAT / 1_000))

    async def sample(self) -> None:
        """What waits is told, as far as the store can say now."""
        try:
            queued = await self._store.backlog(FAMILY, now=self._clock.now(), most=MOST_COUNTED)
        except Unavailable:
            return
        workers = self._presence.count()
        observe.measured("node.sample", node=self._node, queued=queued, workers=workers)
