"""Group commit: all that a turn of the event loop asked for goes to disk in one transaction.

The statements run in the loop; the COMMIT, which waits for the disk, runs there too while the disk is
fast, else in a thread. (A thread that runs statements starves beside a busy loop: every statement waits
for the interpreter lock.)
"""

import asyncio
import math
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

from msgspec import Raw

from avtomatika.errors import StorageBroken, Unavailable
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.time import Instant
from avtomatika.ports.store import Commit, Lease
from avtomatika.stores.sql.alarm import Alarm
from avtomatika.stores.sql.checkpoints import Checkpoints
from avtomatika.stores.sql.file import checkpoint, commit, meta, set_meta, translate
from avtomatika.stores.sql.flight import Flight, Waiting, refuse, stage
from avtomatika.stores.sql.journal import Batch, Change, Prepared
from avtomatika.stores.sql.lagging import LASTS_S
from avtomatika.stores.sql.staging import Staging

SLOW_COMMIT_S: Final = 0.002
FLOOR_EVERY_MS: Final = 1_000
RETRY_S: Final = 1.0
NOTED_S: Final = 0.01  # what nobody waits for can wait: an fsync of its own would hold up a task

T = TypeVar("T")


class GroupCommit:
    """The one writer of the file. What it writes is judged and kept in memory by *staging*."""

    def __init__(
        self,
        database: sqlite3.Connection,
        path: Path,
        staging: Staging,
        *,
        broken: Callable[[StorageBroken], None],
    ) -> None:
        self._database = database
        self._checkpoints = Checkpoints(path)
        self._staging, self._broken = staging, broken
        self._waiting: list[Waiting] = []
        self._noted: list[Prepared] = []
        self._unwritten = 0
        self._all = False
        self._scheduled = False
        self._busy = False
        self._writing: Batch | None = None
        self._commit_s = 0.0
        self._floor = meta(database, "clock_floor")
        self._paused = asyncio.Event()
        self._alarm = Alarm(self._schedule)
        self._closed = False
        self.failure: StorageBroken | None = None

    async def commit(self, commit: Commit) -> None:
        """The commit is on disk. Raises what staging raised, Unavailable or StorageBroken: it is not."""
        await self._written(commit)

    async def change(self, change: Change) -> Raw | None:
        """What is there now is on disk, and returned. Raises as `commit` does."""
        await self._written(change)
        return change.value

    def note(self, commit: Commit) -> None:
        """The commit has taken effect and goes to disk sooner or later; nobody waits for it.

        Raises what refuses it.
        """
        noted = self._staging.note(commit, asyncio.get_running_loop().time())
        if noted is None:
            self._write_within(LASTS_S)
        else:
            self._noted.append(noted)
            self._unwritten += 1
            self._write_within(NOTED_S)

    def leased(self, leases: Sequence[Lease], now: Instant) -> None:
        """The leases, which are in the image, go to disk when they have lasted; nobody waits for them."""
        moment = asyncio.get_running_loop().time()
        for lease in leases:
            self._staging.lagging.leased(lease.message.id, now, moment)
        if leases:
            self._write_within(LASTS_S)

    def is_writing(self, commit: Commit) -> bool:
        """True when what is on its way to disk will change what *commit* is about."""
        return self._writing is not None and self._writing.touches(commit)

    async def flushed(self) -> None:
        """All that was noted so far is on disk."""
        self._all = True
        await self.commit(Commit(now=Instant(0)))

    async def caught_up(self) -> None:
        """The commits that were noted so far can be read from the disk, if there is space for them."""
        if self._unwritten:
            with suppress(Unavailable):
                await self.flushed()

    async def in_step(self, job: JobId) -> None:
        """What the disk has of the job is what the image has of it: at least for one step of the loop."""
        await self.caught_up()
        if self._writing is not None and self._writing.job(job) is not None:
            await self._pause()

    async def exclusively(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """*work* has run between two batches, with all noted commits on disk. Raises as `commit` does."""
        while True:
            self.refuse_if_over()
            if self._busy:
                await self._pause()
            elif self._unwritten:
                await self.flushed()
            else:
                break
        try:
            return work(self._database)
        except sqlite3.Error as error:
            raise self.failed(error) from error

    async def close(self) -> None:
        """What was asked for is on disk, and nothing more is accepted. Raises when that was not possible."""
        try:
            await self._rested()
            if self.failure is None:
                await self.flushed()
            await self._rested()  # from a checkpoint, in a thread that uses the connection
        finally:
            self._closed = True
            self._alarm.stop()

    def refuse_if_over(self) -> None:
        """The file can be written. Raises StorageBroken or Unavailable when it can not any more."""
        if self.failure is not None:
            raise self.failure
        if self._closed:
            raise Unavailable("The store is closed.")

    def failed(self, error: sqlite3.Error) -> Unavailable | StorageBroken:
        """What *error* means for the caller. After one that cannot be repaired nothing is accepted."""
        refusal = translate(error)
        if isinstance(refusal, StorageBroken) and self.failure is None and not self._closed:
            self._break(refusal)
        return refusal

    async def _written(self, work: Commit | Change) -> None:
        self.refuse_if_over()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, future))
        self._schedule()
        await future

    async def _rested(self) -> None:
        while self._scheduled or self._busy or self._waiting:
            await self._pause()

    async def _pause(self) -> None:
        self._paused.clear()
        await self._paused.wait()

    def _schedule(self) -> None:
        if not self._scheduled and not self._busy and self.failure is None and not self._closed:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _write_within(self, seconds: float) -> None:
        if not (self._scheduled or self._busy or self._closed) and self.failure is None:
            self._alarm.within(seconds)

    def _flush(self) -> None:
        self._scheduled = False
        batch = self._staging.batch()
        flight = self._gather(batch)
        if not (flight.asked or flight.noted or flight.lagging):
            self._rest()
            return
        try:
            self._database.execute("BEGIN IMMEDIATE")
            batch.write(self._database)
            self._keep_floor(flight)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait have to hear of it
            self._undo(error, flight)
            return
        self._busy = True
        self._writing = batch
        if self._commit_s < SLOW_COMMIT_S:
            self._after(commit(self._database), flight)
            return
        running = asyncio.get_running_loop().run_in_executor(None, commit, self._database)
        running.add_done_callback(lambda result: self._after(result.result(), flight))

    def _gather(self, batch: Batch) -> Flight:
        waiting, self._waiting = self._waiting, []
        noted, self._noted = self._noted, []
        for note in noted:
            batch.add(note, in_image=True)
        until = math.inf if self._all else asyncio.get_running_loop().time() - LASTS_S
        self._all = False
        lagging = self._staging.lagging.stage(batch, until)
        asked, self._waiting = stage(self._staging, batch, waiting)
        return Flight(asked, noted, lagging)

    def _after(self, outcome: float | sqlite3.Error, flight: Flight) -> None:
        if isinstance(outcome, sqlite3.Error):
            self._undo(outcome, flight)
            return
        self._commit_s += (outcome - self._commit_s) / 16
        self._unwritten -= len(flight.noted)
        for note in flight.noted:
            self._staging.written(note)
        self._staging.lagging.written(flight.lagging)
        for work, _ in flight.asked:
            if isinstance(work, Commit):
                self._staging.committed(work)
        # A turn later: who hands out tasks or waits for the end of a job goes first.
        asyncio.get_running_loop().call_soon(_tell, flight.asked)
        if self._checkpoints.due_after(0 if self._writing is None else self._writing.weight):
            self._writing = None
            running = asyncio.get_running_loop().run_in_executor(None, checkpoint, self._database)
            running.add_done_callback(self._checkpointed)
        else:
            self._go_on()

    def _go_on(self) -> None:
        self._busy = False
        self._writing = None
        self._rest()

    def _rest(self, seconds: float = NOTED_S) -> None:
        """Who waits for a pause goes on; then what waits to be written; then what can wait for so long."""
        self._paused.set()
        if self._waiting:
            self._schedule()
        elif self._noted:
            self._write_within(seconds)
        elif (due := self._staging.lagging.next_due()) is not None:
            self._write_within(max(seconds, due - asyncio.get_running_loop().time()))

    def _checkpointed(self, result: "asyncio.Future[sqlite3.Error | None]") -> None:
        error = result.result()
        if error is None:
            self._go_on()
        else:
            self._undo(error, Flight([], [], []))

    def _undo(self, error: Exception, flight: Flight) -> None:
        """Nothing of the batch has happened; what was noted is kept for the next one."""
        self._busy = False
        self._writing = None
        refusal: Unavailable | StorageBroken = translate(error)
        if self._database.in_transaction:
            try:
                self._database.execute("ROLLBACK")
            except sqlite3.Error as second:
                refusal = StorageBroken(f"Neither COMMIT nor ROLLBACK worked: {second}")
        for _, future in flight.asked:
            refuse(future, refusal)
        self._noted = flight.noted + self._noted
        if isinstance(refusal, StorageBroken):
            self._break(refusal)
        self._rest(RETRY_S)

    def _break(self, failure: StorageBroken) -> None:
        self.failure = failure
        for _, future in self._waiting:
            refuse(future, failure)
        self._waiting = []
        self._broken(failure)

    def _keep_floor(self, flight: Flight) -> None:
        latest = max((work.now for work, _ in flight.asked if isinstance(work, Commit)), default=Instant(0))
        if latest - self._floor >= FLOOR_EVERY_MS:
            set_meta(self._database, "clock_floor", latest)
            self._floor = latest


def _tell(written: Sequence[Waiting]) -> None:
    for _, future in written:
        if not future.done():
            future.set_result(None)
