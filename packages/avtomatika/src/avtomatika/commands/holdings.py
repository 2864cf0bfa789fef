"""Which tasks a worker was handed, for generations that do not say so themselves.

It is no authority, which is the lease: it only says where to look.
"""

from collections.abc import Callable, Collection, Iterable
from typing import Final

import msgspec

from avtomatika.kernel.time import SECOND, Span, after
from avtomatika.ports.clock import Clock
from avtomatika.ports.registry import Doc, Registry

KIND: Final = "worker_holdings"
KEEP: Final = Span(86_400 * SECOND)

_Listed = tuple[str, ...]


class Holdings:
    """Task ids by worker, for all nodes that share the registry."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry, self._clock = registry, clock

    async def of(self, worker_id: str) -> Collection[str]:
        """The tasks, as they were handed out."""
        return _listed(await self._registry.get(KIND, worker_id, now=self._clock.now()))

    async def add(self, worker_id: str, tasks: Iterable[str]) -> None:
        """The worker was handed these."""
        added = tuple(tasks)
        await self._change(worker_id, lambda held: tuple(dict.fromkeys((*held, *added))))

    async def discard(self, worker_id: str, tasks: Iterable[str]) -> None:
        """It does not have these any more."""
        gone = frozenset(tasks)
        await self._change(worker_id, lambda held: tuple(task for task in held if task not in gone))

    async def _change(self, worker_id: str, change: Callable[[_Listed], _Listed]) -> None:
        """The list is changed as it is by then: other nodes change it too."""
        while True:
            now = self._clock.now()
            doc = await self._registry.get(KIND, worker_id, now=now)
            held = _listed(doc)
            listed = change(held)
            if listed == held:
                return
            expires = after(now, KEEP if listed else SECOND)
            changed = Doc(KIND, worker_id, msgspec.json.encode(listed), expires)
            expected = 0 if doc is None else doc.version
            if await self._registry.replace(changed, expected=expected, now=now):
                return


def _listed(doc: Doc | None) -> _Listed:
    return () if doc is None else msgspec.json.decode(doc.body, type=_Listed)
