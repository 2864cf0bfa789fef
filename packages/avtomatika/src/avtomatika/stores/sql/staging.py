"""The image of what is unfinished, in step with the disk: commits are judged here and take effect here.

The image only ever holds what is on disk: a commit is checked, written, and when the COMMIT has returned,
applied. What is noted comes the other way: leases, and commits that need not be durable, take effect at
once. If they are about messages alone they are written when they have lasted, else with the next batch.
"""

import itertools
import sqlite3
from typing import Final

import msgspec

from avtomatika.kernel.ids import JobId, TaskId
from avtomatika.kernel.model import Job
from avtomatika.ports.store import Claim, Commit, KeyTaken, LeaseLost, VersionConflict
from avtomatika.stores.hints import Hints
from avtomatika.stores.image import Image
from avtomatika.stores.readable import refuse_unreadable
from avtomatika.stores.recent import Recent
from avtomatika.stores.sql import listing, reading
from avtomatika.stores.sql.counts import Counts, Group, group_of
from avtomatika.stores.sql.journal import Batch, Change, Prepared, messages_of, prepare
from avtomatika.stores.sql.lagging import Lagging

RECENT_JOBS: Final = 512
RECENT_BYTES: Final = 16 * 1024 * 1024


class Staging:
    """What a commit meets before and after it goes to disk."""

    def __init__(
        self,
        image: Image,
        writer: sqlite3.Connection,
        reader: sqlite3.Connection,
        hints: Hints,
        first_number: int,
    ) -> None:
        """*writer* is asked while a batch is gathered, when it rests: it has at hand what it wrote last.

        *reader*, which reads that again after every commit, is asked at other times.
        """
        self.image = image
        self.lagging = Lagging(image.messages)
        self.ended = Recent(RECENT_JOBS, RECENT_BYTES)
        self.recovered: set[JobId] = set()
        self.counts = Counts(listing.groups(reader))
        self._left: dict[tuple[JobId, int], Group | None] = {}
        self._writer, self._reader = writer, reader
        self._hints = hints
        self._numbers = itertools.count(first_number)

    def batch(self) -> Batch:
        """An empty batch, when there is no other."""
        self._left.clear()
        return Batch(self._numbers.__next__, self.lagging.has_row)

    def stage(self, batch: Batch, commit: Commit) -> None:
        """The commit belongs to the batch. Raises what refuses it: the batch is as it was."""
        refuse_unreadable(commit)
        self._check(commit, batch)
        stored = None if commit.job is None else batch.job(commit.job.id)
        batch.add(self._prepare(commit, stored))

    def alter(self, batch: Batch, change: Change) -> None:
        """The change belongs to the batch. Raises what refuses it: the batch is as it was."""
        batch.change(change, lambda place: reading.item(self._writer, *place))

    def note(self, commit: Commit, moment: float) -> Prepared | None:
        """The commit has taken effect, and is returned if it is to be written with the next batch.

        *moment* is in seconds of the loop. Raises what refuses the commit.
        """
        if commit.job is None:
            self._lag(commit, moment)
            return None
        refuse_unreadable(commit)
        self._check(commit, None)
        prepared = self._prepare(commit, None)
        self.done(commit)
        self.lagging.settled(messages_of(commit))
        if commit.job.over:
            self.ended.hold(commit.job)
        return prepared

    def written(self, noted: Prepared) -> None:
        """What was noted is on disk."""
        if noted.commit.job is not None:
            self.ended.written(noted.commit.job)

    def committed(self, commit: Commit) -> None:
        """The commit is on disk, and has taken effect."""
        self.lagging.settled(messages_of(commit))
        self.done(commit)

    def done(self, commit: Commit) -> None:
        """The commit has taken effect."""
        robbed = self.image.apply(commit)
        if commit.job is not None:
            self.recovered.discard(commit.job.id)
            left = self._left.pop((commit.job.id, commit.expected), None)
            self.counts.move(left, group_of(commit.job))
            if commit.job.over:
                self.ended.put(commit.job)
            else:
                self.ended.forget(commit.job.id)
        self._hints.announce_commit(commit, robbed)

    def forgotten(self, job: Job) -> None:
        """The job, which was over, is no longer there."""
        self.ended.forget(job.id)
        self.counts.move(group_of(job), None)

    def _lag(self, commit: Commit, moment: float) -> None:
        had = {lease.message.id: lease.message for lease in commit.ack}
        new = tuple(lease for lease in commit.take if had.get(lease.message.id) is not lease.message)
        sent = msgspec.structs.replace(commit, take=new)  # what is handed on was judged when it was sent
        refuse_unreadable(sent)
        self._check(commit, None)
        rows = prepare(sent, None, ()).messages
        for message in (*had, *commit.drop):
            self.lagging.moved(message, commit.now, moment)
        for message, row, _ in rows:
            first = self.image.messages.find(message) is None
            self.lagging.sent(message, row, commit.now, moment, first=first)
        self.done(commit)

    def _prepare(self, commit: Commit, stored: Job | None) -> Prepared:
        job = commit.job
        if job is None:
            return prepare(commit, None, ())
        closed: list[TaskId] = []
        for opened in commit.close:
            closed += (branch.task.id for branch in self.image.branches(job.id, opened))
        return prepare(commit, stored or self.image.jobs.get(job.id), tuple(closed))

    def _check(self, commit: Commit, batch: Batch | None) -> None:
        if commit.claim is not None:
            taken = self._claim(commit.claim.key, batch)
            if taken is not None and taken.expires_at > commit.now:
                raise KeyTaken(taken)
        if commit.job is not None:
            self._check_version(commit.job.id, commit.expected, batch)
        for lease in commit.ack:
            if batch is not None and batch.will_change(lease.message.id):
                raise LeaseLost
            self.image.messages.check(lease, commit.now)

    def _check_version(self, job: JobId, expected: int, batch: Batch | None) -> None:
        known = None if batch is None else batch.job(job)
        known = known or self.image.jobs.get(job) or self.ended.get(job)
        if known is None:
            database = self._reader if batch is None else self._writer
            version, group = reading.version_and_group(database, job)
        else:
            version, group = known.version, group_of(known)
        if version != expected:
            raise VersionConflict
        self._left[job, expected] = group

    def _claim(self, key: str, batch: Batch | None) -> Claim | None:
        fresh = None if batch is None else batch.claim(key)
        return fresh or reading.claim(self._reader if batch is None else self._writer, key)
