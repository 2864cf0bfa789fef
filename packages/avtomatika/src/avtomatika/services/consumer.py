"""The one loop behind every background duty: lease, handle, acknowledge; else wait for a hint."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from avtomatika import observe
from avtomatika.errors import AvtomatikaError, Unavailable
from avtomatika.kernel.time import SECOND, Instant, Span, after
from avtomatika.ports.clock import Clock
from avtomatika.ports.spawn import Spawn
from avtomatika.ports.store import Lease, LeaseLost, Store

Handle = Callable[[Lease], Awaitable[None]]

LOOK_AGAIN: Final = SECOND
PAUSE: Final = SECOND


class Consumer:
    """Handles the messages of some queues, up to *width* at a time.

    A handler acknowledges by its own commit. When it fails, the lease runs out and the message comes again.
    """

    def __init__(
        self,
        name: str,
        queues: Sequence[str],
        handle: Handle,
        *,
        store: Store,
        clock: Clock,
        spawn: Spawn,
        owner: str,
        ttl: Span,
        width: int,
    ) -> None:
        self.name = name
        self._queues, self._handle = tuple(queues), handle
        self._store, self._clock, self._spawn = store, clock, spawn
        self._owner, self._ttl, self._width = owner, ttl, width
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Messages are handled as they come, until this is cancelled."""
        while True:
            try:
                if not await self.step():
                    await self._store.wait(self._queues, until=await self._next_look())
            except Unavailable as error:
                observe.warning("consumer.paused", consumer=self.name, why=error.message)
                await self._clock.sleep_until(after(self._clock.now(), PAUSE))

    async def step(self) -> bool:
        """The messages that are available are being handled. False when there were none."""
        if len(self._running) >= self._width:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
        leases = await self._store.lease(
            self._queues,
            owner=self._owner,
            now=self._clock.now(),
            ttl=self._ttl,
            limit=self._width - len(self._running),
        )
        for lease in leases:
            task = self._spawn(self._guarded(lease), name=self.name)
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return bool(leases)

    async def _guarded(self, lease: Lease) -> None:
        try:
            await self._handle(lease)
        except LeaseLost:
            observe.event("consumer.lease_lost", consumer=self.name, message=lease.message.id)
        except AvtomatikaError as error:
            observe.warning(
                "consumer.refused", consumer=self.name, message=lease.message.id, why=error.message
            )

    async def _next_look(self) -> Instant:
        look = after(self._clock.now(), LOOK_AGAIN)
        for queue in self._queues:
            due = await self._store.next_due(queue)
            if due is not None and due < look:
                look = due
        return look
