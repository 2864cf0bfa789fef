"""The one loop behind every background duty: lease, handle, acknowledge; else wait for a hint."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from avtomatika import observe
from avtomatika.errors import AvtomatikaError, Unavailable
from avtomatika.kernel.time import SECOND, Instant, Span, after
from avtomatika.ports.node import NodeContext
from avtomatika.ports.store import Lease, LeaseLost

Handle = Callable[[Lease], Awaitable[None]]

LOOK_AGAIN: Final = SECOND
PAUSE: Final = SECOND

Rests = Callable[[str], bool]
"""Whether this is not to be touched for now."""


def never(_: str) -> bool:
    """Nothing rests."""
    return False


class Duty(msgspec.Struct, frozen=True):
    """Messages of these queues are to be handled, up to `width` at a time, each leased for `ttl`.

    Those in a queue that rests stay where they are, and none of their deliveries is used up.
    """

    name: str
    queues: tuple[str, ...]
    handle: Handle
    ttl: Span
    width: int
    rests: Rests = never


class Consumer:
    """Carries out one duty.

    A handler acknowledges by its own commit. When it fails, the lease runs out and the message comes again.
    """

    def __init__(self, node: NodeContext, duty: Duty) -> None:
        self.name = duty.name
        self._node, self._duty = node, duty
        self._store, self._clock = node.store, node.clock
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Messages are handled as they come, until this is cancelled."""
        while True:
            try:
                if not await self.step():
                    await self._store.wait(self._queues(), until=await self._next_look())
            except Unavailable as error:
                observe.warning("consumer.paused", consumer=self.name, why=error.message)
                await self._clock.sleep_until(after(self._clock.now(), PAUSE))

    async def step(self) -> bool:
        """The messages that are available are being handled. False when there were none."""
        if len(self._running) >= self._duty.width:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
        leases = await self._store.lease(
            self._queues(),
            owner=self._node.owner,
            now=self._clock.now(),
            ttl=self._duty.ttl,
            limit=self._duty.width - len(self._running),
        )
        for lease in leases:
            task = self._node.spawn(self._guarded(lease), name=self.name)
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return bool(leases)

    def _queues(self) -> Sequence[str]:
        return tuple(queue for queue in self._duty.queues if not self._duty.rests(queue))

    async def _guarded(self, lease: Lease) -> None:
        try:
            await self._duty.handle(lease)
        except LeaseLost:
            observe.detail("consumer.lease_lost", consumer=self.name, message=lease.message.id)
        except AvtomatikaError as error:
            observe.warning(
                "consumer.refused", consumer=self.name, message=lease.message.id, why=error.message
            )

    async def _next_look(self) -> Instant:
        look = after(self._clock.now(), LOOK_AGAIN)
        found = await asyncio.gather(*(self._store.next_due(queue) for queue in self._queues()))
        return min((look, *(due for due in found if due is not None)))
