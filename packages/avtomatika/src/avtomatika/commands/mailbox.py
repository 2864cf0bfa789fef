"""Commands of operators on their way to workers. They may be lost; none is given out twice."""

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec

from avtomatika.kernel.time import SECOND, Instant, Span, after
from avtomatika.ports.clock import Clock
from avtomatika.ports.registry import Doc, Registry
from rxon.messages import WorkerCommand

KIND: Final = "worker_mail"
KEEP: Final = Span(3_600 * SECOND)
MOST: Final = 100
LOOK_AGAIN: Final = SECOND
"""Mail that came in at another node is not announced here."""


class Mailbox:
    """One box per worker, for all nodes that share the registry."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry, self._clock = registry, clock
        self._waiting: dict[str, asyncio.Event] = {}

    async def send(self, worker_id: str, command: WorkerCommand) -> bool:
        """The command waits for the worker, an hour at most; True when somebody waits for it here.

        The oldest are dropped when there are too many.
        """
        waiting = (*await self._box(worker_id), command)[-MOST:]
        expires = after(self._clock.now(), KEEP)
        await self._registry.put(Doc(KIND, worker_id, msgspec.json.encode(waiting), expires))
        event = self._waiting.get(worker_id)
        if event is not None:
            event.set()
        return event is not None

    async def take(self, worker_id: str) -> Sequence[WorkerCommand]:
        """What waits for the worker, and does not wait any more."""
        waiting = await self._box(worker_id)
        if waiting:
            await self._registry.delete(KIND, worker_id)
        return waiting

    async def first(self, worker_id: str, until: Instant) -> Sequence[WorkerCommand]:
        """The same, as soon as there is something; nothing when nothing comes by then."""
        return await self._wait(worker_id, until, LOOK_AGAIN)

    async def announced(self, worker_id: str, until: Instant) -> Sequence[WorkerCommand]:
        """The same, for a worker whose heartbeats bring what comes in at other nodes."""
        return await self._wait(worker_id, until, None)

    async def _wait(self, worker_id: str, until: Instant, look_again: Span | None) -> Sequence[WorkerCommand]:
        event = self._waiting[worker_id] = asyncio.Event()
        try:
            while True:
                event.clear()
                found, now = await self.take(worker_id), self._clock.now()
                if found or now >= until:
                    return found
                look = until if look_again is None else min(until, after(now, look_again))
                await _happens(event, look - now)
        finally:
            if self._waiting.get(worker_id) is event:
                del self._waiting[worker_id]

    async def _box(self, worker_id: str) -> tuple[WorkerCommand, ...]:
        doc = await self._registry.get(KIND, worker_id, now=self._clock.now())
        return () if doc is None else msgspec.json.decode(doc.body, type=tuple[WorkerCommand, ...])


async def _happens(event: asyncio.Event, within: int) -> None:
    try:
        async with asyncio.timeout(within / 1_000):
            await event.wait()
    except TimeoutError:
        return
