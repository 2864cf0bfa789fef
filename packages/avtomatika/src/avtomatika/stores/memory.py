"""The reference store: everything in this process, gone with it. Atomic because it never awaits."""

from collections.abc import Callable, Mapping, Sequence

from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Job, Status
from avtomatika.kernel.time import Instant, Span
from avtomatika.ports.shelf import Shelf
from avtomatika.ports.store import (
    Claim,
    Commit,
    Durability,
    Fact,
    JobQuery,
    KeyTaken,
    Lease,
    Page,
    VersionConflict,
)
from avtomatika.stores.codec import page_cursor, place_of
from avtomatika.stores.hints import Hints
from avtomatika.stores.image import Image
from avtomatika.stores.live import LiveReads
from avtomatika.stores.readable import refuse_unanswerable, refuse_unreadable
from avtomatika.stores.shelf import MemoryShelf


class MemoryStore(LiveReads):
    """A store for tests and demonstrations."""

    durability = Durability(backend="memory", fsync="none", accepted_loss_window_s=None)

    def __init__(self, *, now: Callable[[], Instant], tokens: Callable[[], str]) -> None:
        self._image = Image(tokens)
        self._hints = Hints(now)
        self._jobs: dict[JobId, Job] = {}
        self._facts: dict[JobId, list[Fact]] = {}
        self._claims: dict[str, Claim] = {}
        self.shelf: Shelf = MemoryShelf()

    async def load(self, job: JobId) -> Job | None:
        return self._jobs.get(job)

    async def commit(self, commit: Commit) -> None:
        refuse_unreadable(commit)
        self._check(commit)
        if commit.claim is not None:
            self._claims[commit.claim.key] = commit.claim
        if commit.job is not None:
            self._jobs[commit.job.id] = commit.job
        for fact in commit.facts:
            self._facts.setdefault(fact.job, []).append(fact)
        self._hints.announce_commit(commit, self._image.apply(commit))

    def _check(self, commit: Commit) -> None:
        if commit.claim is not None:
            taken = self._claims.get(commit.claim.key)
            if taken is not None and taken.expires_at > commit.now:
                raise KeyTaken(taken)
        if commit.job is not None:
            stored = self._jobs.get(commit.job.id)
            if (0 if stored is None else stored.version) != commit.expected:
                raise VersionConflict
        for lease in commit.ack:
            self._image.messages.check(lease, commit.now)

    async def lease(
        self, queues: Sequence[str], *, owner: str, now: Instant, ttl: Span, limit: int
    ) -> Sequence[Lease]:
        taken: list[Lease] = []
        for queue in queues:
            taken += self._image.messages.lease(queue, owner, now, ttl, limit - len(taken))
        return taken

    async def extend(self, lease: Lease, *, now: Instant, ttl: Span) -> Lease:
        return self._image.messages.extend(lease, now, ttl)

    async def facts(self, job: JobId, *, after: int = 0, limit: int | None = None) -> Sequence[Fact]:
        found = [fact for fact in self._facts.get(job, ()) if fact.version > after]
        return found if limit is None else found[: max(0, limit)]

    async def find(self, query: JobQuery) -> Page:
        refuse_unanswerable(query)
        place = None if query.after is None else place_of(query.after)
        found = [job for job in self._jobs.values() if _matches(job, query, place)]
        found.sort(key=_place, reverse=True)
        page = tuple(found[: query.limit])
        return Page(page, page_cursor(page[-1]) if len(found) > query.limit else None)

    async def tally(self, client: str | None = None) -> Mapping[Status, int]:
        counts: dict[Status, int] = {}
        for job in self._jobs.values():
            if client is None or job.client == client:
                counts[job.status] = counts.get(job.status, 0) + 1
        return counts

    async def sweep(self, *, now: Instant, finished_before: Instant, limit: int) -> int:
        self._claims = {key: claim for key, claim in self._claims.items() if claim.expires_at > now}
        ended = [job for job in self._jobs.values() if job.over and job.updated < finished_before]
        for job in sorted(ended, key=lambda job: job.updated)[:limit]:
            del self._jobs[job.id]
            self._facts.pop(job.id, None)
        return min(len(ended), limit)

    def recovered(self, job: JobId) -> bool:
        return False

    async def close(self) -> None:
        return None


def _matches(job: Job, query: JobQuery, place: tuple[int, str] | None) -> bool:
    return (
        (query.client is None or job.client == query.client)
        and (query.blueprint is None or job.blueprint == query.blueprint)
        and (query.status is None or job.status is query.status)
        and all(job.labels.get(name) == value for name, value in query.labels)
        and (query.since is None or job.created >= query.since)
        and (query.before is None or job.created < query.before)
        and (place is None or _place(job) < place)
    )


def _place(job: Job) -> tuple[int, str]:
    return job.created, job.id
