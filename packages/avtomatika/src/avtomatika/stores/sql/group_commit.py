"""Group commit: all that a turn of the event loop asked for goes to disk in one transaction.

The statements run in the loop; the COMMIT, which waits for the disk, runs there too while the disk is
fast, else in a thread. (A thread that runs statements starves beside a busy loop: every statement waits
for the interpreter lock.)
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from avtomatika.errors import StorageBroken, Unavailable
from avtomatika.kernel.time import Instant
from avtomatika.ports.store import Commit, Lease
from avtomatika.stores.sql.file import set_meta, translate
from avtomatika.stores.sql.journal import Batch

SLOW_COMMIT_S: Final = 0.002
CHECKPOINT_BYTES: Final = 4 * 1024 * 1024
FLOOR_EVERY_MS: Final = 1_000

Waiting = tuple[Commit, "asyncio.Future[None]"]


class GroupCommit:
    """The one writer of the file. `stage` puts a commit into a batch, `done` hears what is on disk."""

    def __init__(
        self,
        database: sqlite3.Connection,
        path: Path,
        *,
        stage: Callable[[Batch, Commit], None],
        done: Callable[[Commit], None],
        broken: Callable[[StorageBroken], None],
    ) -> None:
        self._database = database
        self._wal = path.with_name(path.name + "-wal")
        self._stage, self._done, self._broken = stage, done, broken
        self._waiting: list[Waiting] = []
        self._soft: list[tuple[Lease, Instant] | Commit] = []
        self._scheduled = False
        self._busy = False
        self._commit_s = 0.0
        self._batches = 0
        self._floor = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.failure: StorageBroken | None = None

    async def commit(self, commit: Commit) -> None:
        """The commit is on disk. Raises what staging raised, StorageFull or StorageBroken: it is not."""
        if self.failure is not None:
            raise self.failure
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((commit, future))
        self._schedule()
        await future

    def note(self, work: tuple[Lease, Instant] | Commit) -> None:
        """The lease or commit goes to disk with the next batch; nobody waits for it."""
        self._soft.append(work)
        self._schedule()

    async def flushed(self) -> None:
        """All that was noted so far is on disk."""
        await self.commit(Commit(now=Instant(0)))

    async def drained(self) -> None:
        """Nothing is on its way to disk."""
        while self._scheduled or self._busy or self._waiting:
            self._idle.clear()
            await self._idle.wait()

    def _schedule(self) -> None:
        if not self._scheduled and not self._busy and self.failure is None:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        waiting, self._waiting = self._waiting, []
        soft, self._soft = self._soft, []
        batch = Batch()
        staged = self._gather(batch, waiting, soft)
        try:
            self._database.execute("BEGIN IMMEDIATE")
            batch.write(self._database)
            self._keep_floor(staged)
        except sqlite3.Error as error:
            self._failed(error, staged, soft)
            return
        self._busy = True
        if self._commit_s < SLOW_COMMIT_S:
            self._after(_commit(self._database), staged, soft)
            return
        running = asyncio.get_running_loop().run_in_executor(None, _commit, self._database)
        running.add_done_callback(lambda result: self._after(result.result(), staged, soft))

    def _gather(
        self, batch: Batch, waiting: list[Waiting], soft: list[tuple[Lease, Instant] | Commit]
    ) -> list[Waiting]:
        for work in soft:
            if isinstance(work, Commit):
                self._stage(batch, work)
            else:
                batch.hold(*work)
        staged: list[Waiting] = []
        for commit, future in waiting:
            try:
                self._stage(batch, commit)
            except Exception as refusal:  # noqa: BLE001 - whoever asked for the commit hears of it
                _refuse(future, refusal)
            else:
                staged.append((commit, future))
        return staged

    def _after(
        self,
        outcome: float | sqlite3.Error,
        staged: list[Waiting],
        soft: list[tuple[Lease, Instant] | Commit],
    ) -> None:
        self._busy = False
        if isinstance(outcome, sqlite3.Error):
            self._failed(outcome, staged, soft)
            return
        self._commit_s += (outcome - self._commit_s) / 16
        for commit, future in staged:
            self._done(commit)
            if not future.done():
                future.set_result(None)
        self._go_on()

    def _go_on(self) -> None:
        self._batches += 1
        if self._batches % 64 == 0 and self._wal_size() > CHECKPOINT_BYTES:
            self._busy = True
            checkpoint = asyncio.get_running_loop().run_in_executor(None, _checkpoint, self._database)
            checkpoint.add_done_callback(self._checkpointed)
        elif self._waiting or self._soft:
            self._schedule()
        else:
            self._idle.set()

    def _checkpointed(self, result: "asyncio.Future[sqlite3.Error | None]") -> None:
        self._busy = False
        error = result.result()
        if error is not None:
            self._failed(error, [], [])
            return
        self._go_on()

    def _failed(
        self, error: sqlite3.Error, staged: list[Waiting], soft: list[tuple[Lease, Instant] | Commit]
    ) -> None:
        refusal: Unavailable | StorageBroken = translate(error)
        if self._database.in_transaction:
            try:
                self._database.execute("ROLLBACK")
            except sqlite3.Error as second:
                refusal = StorageBroken(f"Neither COMMIT nor ROLLBACK worked: {second}")
        for _, future in staged:
            _refuse(future, refusal)
        self._soft = soft + self._soft
        if isinstance(refusal, StorageBroken):
            self.failure = refusal
            for _, future in self._waiting:
                _refuse(future, refusal)
            self._waiting = []
            self._broken(refusal)
        elif self._waiting:
            self._schedule()
        self._idle.set()

    def _keep_floor(self, staged: list[Waiting]) -> None:
        latest = max((commit.now for commit, _ in staged), default=Instant(0))
        if latest - self._floor >= FLOOR_EVERY_MS:
            self._floor = latest
            set_meta(self._database, "clock_floor", latest)

    def _wal_size(self) -> int:
        try:
            return os.stat(self._wal).st_size
        except FileNotFoundError:
            return 0


def _commit(database: sqlite3.Connection) -> float | sqlite3.Error:
    begun = time.perf_counter()
    try:
        database.execute("COMMIT")
    except sqlite3.Error as error:
        return error
    return time.perf_counter() - begun


def _checkpoint(database: sqlite3.Connection) -> sqlite3.Error | None:
    try:
        database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    except sqlite3.Error as error:
        return error
    return None


def _refuse(future: "asyncio.Future[None]", refusal: Exception) -> None:
    if not future.done():
        future.set_exception(refusal)
