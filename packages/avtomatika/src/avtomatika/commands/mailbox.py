"""Commands of operators on their way to workers. They may be lost; none is given out twice."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from avtomatika.kernel.time import SECOND, Instant, Span, after
from avtomatika.ports.node import NodeContext
from avtomatika.ports.registry import Doc, Registry
from rxon.messages import WorkerCommand

KIND: Final = "worker_mail"
TOPIC: Final = "mail"
KEEP: Final = Span(3_600 * SECOND)
MOST: Final = 100
LOOK_AGAIN: Final = Span(10 * SECOND)
"""What is announced may be lost."""


class Mailbox:
    """One box per worker, for all nodes that share the registry."""

    def __init__(self, node: NodeContext, registry: Registry) -> None:
        self._store, self._clock, self._registry = node.store, node.clock, registry
        self._waiting: Counter[str] = Counter()

    async def send(self, worker_id: str, command: WorkerCommand) -> bool:
        """The command waits for the worker, an hour at most; True when somebody waits for it here.

        The oldest are dropped when there are too many. Whoever waits at another node hears of it at once.
        """
        while True:
            now = self._clock.now()
            found = await self._registry.get(KIND, worker_id, now=now)
            waiting = (*_commands(found), command)[-MOST:]
            doc = Doc(KIND, worker_id, msgspec.json.encode(waiting), after(now, KEEP))
            if await self._registry.replace(doc, expected=0 if found is None else found.version, now=now):
                break
        listens = self._waiting[worker_id] > 0
        await self._store.announce((_topic(worker_id),))
        return listens

    async def take(self, worker_id: str) -> Sequence[WorkerCommand]:
        """What waits for the worker, and does not wait any more."""
        return _commands(await self._registry.take(KIND, worker_id, now=self._clock.now()))

    async def first(self, worker_id: str, until: Instant) -> Sequence[WorkerCommand]:
        """The same, as soon as there is something; nothing when nothing comes by then."""
        return await self._wait(worker_id, until, LOOK_AGAIN)

    async def announced(self, worker_id: str, until: Instant) -> Sequence[WorkerCommand]:
        """The same, for a worker whose heartbeats bring what was not announced here."""
        return await self._wait(worker_id, until, None)

    async def _wait(self, worker_id: str, until: Instant, look_again: Span | None) -> Sequence[WorkerCommand]:
        self._waiting[worker_id] += 1
        try:
            while True:
                found, now = await self.take(worker_id), self._clock.now()
                if found or now >= until:
                    return found
                look = until if look_again is None else min(until, after(now, look_again))
                await self._store.wait((_topic(worker_id),), until=look)
        finally:
            self._waiting[worker_id] -= 1
            if not self._waiting[worker_id]:
                del self._waiting[worker_id]


def _topic(worker_id: str) -> str:
    return f"{TOPIC}:{worker_id}"


def _commands(doc: Doc | None) -> tuple[WorkerCommand, ...]:
    return () if doc is None else msgspec.json.decode(doc.body, type=tuple[WorkerCommand, ...])
