"""Faults of what several nodes share."""

from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from avtomatika.commands import mailbox, presence
from avtomatika.commands.mailbox import Mailbox
from avtomatika.commands.presence import Presence
from avtomatika.kernel.time import Instant
from avtomatika.ports.registry import Doc
from avtomatika.testing.faults import NodeRegistry
from avtomatika.testing.loop import OWNER
from rxon.messages import WorkerCommand
from tests.sim.planting import mutant


@mutant(251)
def mail_is_read_and_then_removed() -> AbstractContextManager[Any]:
    """Two nodes that look into a box at the same time both find what is in it."""

    async def take(self: Mailbox, worker_id: str) -> Sequence[WorkerCommand]:
        doc = await self._registry.get(mailbox.KIND, worker_id, now=self._clock.now())
        await self._registry.delete(mailbox.KIND, worker_id)
        return mailbox._commands(doc)

    return patch.object(Mailbox, "take", take)


@mutant(61)
def documents_are_written_over_what_came_between() -> AbstractContextManager[Any]:
    """What another node wrote since it was read is lost."""

    async def replace(self: NodeRegistry, doc: Doc, *, expected: int, now: Instant) -> bool:
        await self.put(doc)
        return True

    return patch.object(NodeRegistry, "replace", replace)


@mutant(143)
def presence_is_written_over_what_came_between() -> AbstractContextManager[Any]:
    """The same, of what workers say of themselves alone."""
    real = NodeRegistry.replace

    async def replace(self: NodeRegistry, doc: Doc, *, expected: int, now: Instant) -> bool:
        if doc.kind != presence.KIND:
            return await real(self, doc, expected=expected, now=now)
        await self.put(doc)
        return True

    return patch.object(NodeRegistry, "replace", replace)


@mutant(1)
def each_process_counts_revisions_for_itself() -> AbstractContextManager[Any]:
    """Two nodes give the same revision to different profiles, or a lower one to a later profile."""
    counts: Counter[str] = Counter()

    def following(*_: Any) -> int:
        counts[OWNER.get() or ""] += 1
        return counts[OWNER.get() or ""]

    return patch.object(presence, "_next", following)


@mutant(10)
def a_profile_of_another_node_is_not_read() -> AbstractContextManager[Any]:
    """A node goes by what it read first of a worker."""
    real = Presence._decode

    def decode(self: Presence, doc: Doc) -> Any:
        known = self._known.get(doc.key)
        if known is None:
            return real(self, doc)
        self._known[doc.key] = presence._Known(doc.version, known.body, doc.expires_at, known.worker)
        return known.worker

    return patch.object(Presence, "_decode", decode)
