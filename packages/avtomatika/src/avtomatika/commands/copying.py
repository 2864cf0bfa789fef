"""Everything that a store holds is in another one, written by the verbs of the port alone.

A pass can be repeated, while the old store is in use and once more when it is not: what is the same there
is left alone, what changed is brought up to date, what is gone goes. After a pass over a store that nobody
uses both hold the same.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec

from avtomatika.commands.moving import SHELF, Notes
from avtomatika.commands.siblings import SHELF as SIBLINGS
from avtomatika.errors import ConfigError
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Gathering, Job, Ready
from avtomatika.kernel.time import Instant, Span, after
from avtomatika.ports.clock import Clock
from avtomatika.ports.contents import Contents, HeldJob, HeldMessage, Item
from avtomatika.ports.message import MessageId
from avtomatika.ports.store import Claim, Commit, KeyTaken, Lease, Store, Token, VersionConflict

T = TypeVar("T")

PAGE: Final = 1_000
AT_ONCE: Final = 64
"""So many commits are under way together."""

IN_ONE: Final = 50
"""So many messages are sent in one commit: each may have the parameters of a task in it."""

GIVEN_UP: Final = "node:gone"
"""Stands for an owner that no longer exists; its leases are over."""


class Copied(msgspec.Struct, frozen=True):
    """How much a pass has written. Of jobs only what had changed.

    The clock of the target shows so much less than the source has seen: its timers are late by as much.
    """

    jobs: int
    messages: int
    claims: int
    items: int
    behind: Span = Span(0)


class Copy:
    """A pass from *source* to *target*, on which nobody runs.

    Leases that workers hold last for at least *grace* longer, for nobody could renew them meanwhile.
    """

    def __init__(self, source: Contents, target: Store, clock: Clock, grace: Span) -> None:
        self._source, self._target, self._clock, self._grace = source, target, clock, grace
        self._floor = Instant(0)

    async def __call__(self) -> Copied:
        """The target has all that the source had when its page was read.

        Raises ConfigError when the target is ahead of the source, Unavailable, StorageBroken.
        """
        self._floor = await self._source.floor()
        jobs = await self._jobs()
        await self._forget_jobs()
        messages = await self._messages()
        claims = await self._claims()
        items = await self._items()
        return Copied(jobs, messages, claims, items, Span(max(0, self._floor - self._clock.now())))

    async def clear(self) -> None:
        """The target keeps no notes of the copy any more. Raises Unavailable."""
        for name in ("jobs", "messages", "items"):
            notes = Notes(self._target.shelf, name)
            await notes.read()
            await notes.replace(())

    def _now(self) -> Instant:
        return Instant(max(self._clock.now(), self._floor))

    async def _jobs(self) -> int:
        notes = Notes(self._target.shelf, "jobs")
        noted = await notes.read()
        moved, last = 0, JobId("")
        while page := await self._source.versions(after=last, limit=PAGE):
            last = page[-1][0]
            changed = [(job, noted.get(job, 0)) for job, version in page if noted.get(job) != version]
            written: dict[str, int] = {}
            for some in _chunks(changed, AT_ONCE):
                for found in await _together([self._job(job, known) for job, known in some]):
                    written |= found
            await notes.add(written)
            moved += len(written)
        return moved

    async def _job(self, job: JobId, known: int) -> Mapping[str, int]:
        """The job is in the target as it is in the source; its version, or nothing when it is in neither."""
        there = None if not known else await self._target.load(job)
        while True:
            held = await self._source.job(job, after=0 if there is None else there.version)
            if held is None:
                return {}
            if there is None or held.job.version > there.version:
                try:
                    await self._target.commit(self._move(held, there))
                except VersionConflict:  # an earlier pass ended before it had noted what it wrote
                    there = await self._target.load(job)
                    continue
            elif held.job.version < there.version:
                raise ConfigError(f"The copy has job {job} in a later version: it is one of another store.")
            return {job: held.job.version}

    def _move(self, held: HeldJob, there: Job | None) -> Commit:
        before, after = _opened(there), _opened(held.job)
        close = () if before is None or before == after else (before,)
        expected = 0 if there is None else there.version
        return Commit(
            now=self._now(),
            job=held.job,
            expected=expected,
            facts=held.facts,
            branches=held.branches,
            close=close,
        )

    async def _forget_jobs(self) -> None:
        """What the source has forgotten is: of the jobs that are over, those that ended first."""
        first = await self._source.first_end()
        before = Instant(self._now() + 1) if first is None else first
        while await self._target.sweep(now=self._now(), finished_before=before, limit=PAGE) == PAGE:
            pass

    async def _messages(self) -> int:
        notes = Notes(self._target.shelf, "messages")
        gone = await notes.read()
        kept: list[Mapping[str, int]] = []
        sent, last = 0, 0
        while page := await self._source.messages(after=last, limit=IN_ONE):
            last = page[-1].number
            kept.append({held.message.id: 0 for held in page})
            await notes.add(kept[-1])  # before they are there: what is noted too much can be dropped
            await self._target.commit(self._send(page))
            for held in page:
                gone.pop(held.message.id, None)
            sent += len(page)
        for names in _chunks(list(gone), IN_ONE):
            drop = tuple(MessageId(name) for name in names)
            await self._target.commit(Commit(now=self._now(), drop=drop))
        await notes.replace(kept)
        return sent

    def _send(self, some: Sequence[HeldMessage]) -> Commit:
        """Those that were never given are sent; the others keep count and lease, in the same order."""
        now = self._now()
        take = tuple(self._lease(held, now) for held in some if held.delivery)
        return Commit(now=now, send=tuple(held.message for held in some if not held.delivery), take=take)

    def _lease(self, held: HeldMessage, now: Instant) -> Lease:
        lease, message = held.lease, held.message
        if lease is None or lease.owner.startswith("node:"):
            over = Instant(min(message.visible_at, now))  # its process is gone, or will be
            return Lease(message, GIVEN_UP, Token(GIVEN_UP), over, held.delivery)
        if lease.until <= self._floor:
            return lease
        longest = Span(max(held.ttl, self._grace))
        return msgspec.structs.replace(lease, until=Instant(max(lease.until, after(now, longest))))

    async def _claims(self) -> int:
        count, last = 0, ""
        while page := await self._source.claims(after=last, limit=PAGE):
            last = page[-1].key
            now = self._now()
            for some in _chunks([claim for claim in page if claim.expires_at > now], AT_ONCE):
                await _together([self._claim(claim, now) for claim in some])
                count += len(some)
        return count

    async def _claim(self, claim: Claim, now: Instant) -> None:
        try:
            await self._target.commit(Commit(now=now, claim=claim))
        except KeyTaken as taken:
            if taken.claim != claim:  # it had run out for the source, whose clock may be ahead of ours
                over = Instant(max(now, taken.claim.expires_at))
                await self._target.commit(Commit(now=over, claim=claim))

    async def _items(self) -> int:
        shelf = self._target.shelf
        notes = Notes(shelf, "items")
        gone = await notes.read()
        kept: list[Mapping[str, int]] = []
        count = 0
        async for page in self._shelves():
            kept.append({msgspec.json.encode((item.store, item.key)).decode(): 0 for item in page})
            await notes.add(kept[-1])
            for item in page:
                await shelf.put(item.store, item.key, item.value)
            for name in kept[-1]:
                gone.pop(name, None)
            count += len(page)
        for name in gone:
            store, key = msgspec.json.decode(name, type=tuple[str, str])
            await shelf.delete(store, key)
        await notes.replace(kept)
        return count

    async def _shelves(self) -> AsyncIterator[Sequence[Item]]:
        last = ("", "")
        while page := await self._source.items(after=last, limit=PAGE):
            last = page[-1].store, page[-1].key
            yield [item for item in page if not _is_ours(item.store)]


def _is_ours(store: str) -> bool:
    """True for values that belong to the place where they are, not to what is kept there."""
    return store in (SIBLINGS, SHELF) or store.startswith(f"{SHELF}.")


async def _together(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """What all of them return, once each has ended. Raises what the first of those raised that failed."""
    done: list[T] = []
    for outcome in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
        done.append(outcome)
    return done


def _chunks(values: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    return (values[first : first + most] for first in range(0, len(values), most))


def _opened(job: Job | None) -> int | None:
    """The fan-out that the job has records of."""
    phase = None if job is None else job.phase
    if isinstance(phase, Gathering):
        return phase.opened
    return phase.gathered if isinstance(phase, Ready) else None
