"""Which tasks a worker was handed, for generations that do not say so themselves.

It is no authority, which is the lease: it only says where to look.
"""

from collections.abc import Collection, Iterable
from typing import Final

import msgspec

from avtomatika.kernel.time import SECOND, Span, after
from avtomatika.ports.clock import Clock
from avtomatika.ports.registry import Doc, Registry

KIND: Final = "worker_holdings"
KEEP: Final = Span(86_400 * SECOND)


class Holdings:
    """Task ids by worker, for all nodes that share the registry."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry, self._clock = registry, clock
        self._known: dict[str, dict[str, None]] = {}

    async def of(self, worker_id: str) -> Collection[str]:
        """The tasks. What this node comes to know meanwhile shows in them."""
        doc = await self._registry.get(KIND, worker_id, now=self._clock.now())
        known = self._known.setdefault(worker_id, {})
        listed = () if doc is None else msgspec.json.decode(doc.body, type=tuple[str, ...])
        for gone in [task for task in known if task not in listed]:
            del known[gone]
        known.update(dict.fromkeys(listed))
        return known.keys()

    async def add(self, worker_id: str, tasks: Iterable[str]) -> None:
        """The worker was handed these."""
        await self.of(worker_id)
        self._known[worker_id].update(dict.fromkeys(tasks))
        await self._keep(worker_id)

    async def discard(self, worker_id: str, tasks: Iterable[str]) -> None:
        """It does not have these any more."""
        held = await self.of(worker_id)
        gone = [task for task in tasks if task in held]
        for task in gone:
            del self._known[worker_id][task]
        if gone:
            await self._keep(worker_id)

    async def _keep(self, worker_id: str) -> None:
        known = self._known[worker_id]
        if known:
            expires = after(self._clock.now(), KEEP)
            await self._registry.put(Doc(KIND, worker_id, msgspec.json.encode(tuple(known)), expires))
        else:
            await self._registry.delete(KIND, worker_id)
            del self._known[worker_id]
