"""All that a store holds, for whoever carries it to another one.

It is read in pages, each of which is of one moment, while the process that owns the store goes on. What
that process changes between two pages, a later reading finds.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec
from msgspec import Raw

from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Branch, Job
from avtomatika.kernel.time import Instant, Span
from avtomatika.ports.store import Claim, Fact, Lease, Message


class HeldJob(msgspec.Struct, frozen=True):
    """A job with what belongs to its version: its facts, and the records of its branches."""

    job: Job
    facts: tuple[Fact, ...]
    branches: tuple[Branch, ...]


class HeldMessage(msgspec.Struct, frozen=True):
    """A message, how often it was given, and its last lease with the span that it was for."""

    number: int
    message: Message
    delivery: int
    lease: Lease | None
    ttl: Span


class Item(msgspec.Struct, frozen=True):
    """A value on the shelf."""

    store: str
    key: str
    value: Raw


class Contents(Protocol):
    """The contents of one store. Every verb may raise Unavailable or StorageBroken."""

    async def floor(self) -> Instant:
        """A moment that has passed for the store."""
        ...

    async def versions(self, *, after: JobId, limit: int) -> Sequence[tuple[JobId, int]]:
        """Up to *limit* jobs by id, from above *after*, with their versions."""
        ...

    async def job(self, job: JobId, *, after: int) -> HeldJob | None:
        """The job with its facts of versions above *after*, or None."""
        ...

    async def messages(self, *, after: int, limit: int) -> Sequence[HeldMessage]:
        """Up to *limit* messages in the order of their sending, from above that number."""
        ...

    async def claims(self, *, after: str, limit: int) -> Sequence[Claim]:
        """Up to *limit* claims by key, from above *after*, expired or not."""
        ...

    async def items(self, *, after: tuple[str, str], limit: int) -> Sequence[Item]:
        """Up to *limit* values by store and key, from above *after*."""
        ...

    async def first_end(self) -> Instant | None:
        """When the job that has been over for longest moved last; None when none is over."""
        ...


__all__ = ["Contents", "HeldJob", "HeldMessage", "Item"]
