"""Stores that are held against the model, and how their processes end and come back."""

import shutil
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

from avtomatika.ports.registry import Registry
from avtomatika.ports.store import Commit, Store
from avtomatika.stores.sql.sqlite import SqliteStore
from avtomatika.testing.contract.values import CountedTokens, VirtualClock
from tests.contract.opening import Backend, Place, opened


class Life(Protocol):
    """A store, life after life. `forgets` says whether the end of a process takes the leases of nodes."""

    forgets: bool

    @property
    def store(self) -> Store:
        """The store, as the process that runs has it."""
        ...

    @property
    def registry(self) -> Registry | None:
        """The registry that the processes share, or None when each has one in memory."""
        ...

    async def begin(self, clock: VirtualClock, *, slow: bool) -> None:
        """The first process runs; with *slow* on a slow disk, where there is one."""
        ...

    async def come_back(self) -> None:
        """The process has ended well, and another one runs."""
        ...

    async def be_killed(self) -> None:
        """The process was killed, and another one runs."""
        ...

    async def go_elsewhere(self) -> None:
        """What is asked from now on is asked by another process, which runs at the same time."""
        ...

    def order(self, commits: Sequence[Commit]) -> Sequence[int]:
        """In which order commits that are asked for at once take effect."""
        ...

    async def end(self) -> None:
        """Nothing runs any more."""
        ...


class SqliteLife:
    """A file. Whoever opens a copy of it is in the place of a process that was killed."""

    forgets = True
    registry: Registry | None = None

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp())
        self._lives = 0
        self._tokens = CountedTokens()

    async def begin(self, clock: VirtualClock, *, slow: bool) -> None:
        self._clock = clock
        self.store = self._open()
        self.store._writer._commit_s = 1e9 if slow else -1e9

    async def come_back(self) -> None:
        await self.store.close()
        self.store = self._open()

    async def be_killed(self) -> None:
        await self.store.commit(Commit(now=self._clock.now()))  # what was not durable so far is by now
        dead, there = self.store, self._path
        self._lives += 1
        self._path.mkdir()
        for file in there.glob("s.db*"):
            if not file.name.endswith("-shm"):
                shutil.copy(file, self._path)
        self.store = self._open()
        await dead.close()

    async def go_elsewhere(self) -> None:
        """There is one process."""

    def order(self, commits: Sequence[Commit]) -> Sequence[int]:
        """What need not be durable takes effect at once, before what waits for the disk."""
        return sorted(range(len(commits)), key=lambda n: commits[n].durable or commits[n].claim is not None)

    async def end(self) -> None:
        await self.store.close()
        shutil.rmtree(self._folder)

    def _open(self) -> SqliteStore:
        def broken(failure: Exception) -> None:
            raise failure

        return SqliteStore(self._path / "s.db", now=self._clock.now, tokens=self._tokens, broken=broken)

    @property
    def _path(self) -> Path:
        return self._folder / str(self._lives)


class SharedLife:
    """Two processes with one store, which is elsewhere and does not die; leases outlive who holds them."""

    forgets = False

    def __init__(self, place: Place) -> None:
        self._place = place
        self._nodes: list[tuple[Backend, AsyncExitStack]] = []

    @property
    def store(self) -> Store:
        return self._nodes[0][0].store

    @property
    def registry(self) -> Registry | None:
        return self._nodes[0][0].registry

    async def begin(self, clock: VirtualClock, *, slow: bool) -> None:
        self._nodes = [await self._open(), await self._open()]

    async def come_back(self) -> None:
        _, stack = self._nodes[0]
        await stack.aclose()
        self._nodes[0] = await self._open()

    async def be_killed(self) -> None:
        """The other one is there before the connections of the first are gone."""
        _, dead = self._nodes[0]
        self._nodes[0] = await self._open()
        await dead.aclose()

    async def go_elsewhere(self) -> None:
        self._nodes.reverse()

    def order(self, commits: Sequence[Commit]) -> Sequence[int]:
        return range(len(commits))

    async def end(self) -> None:
        for _, stack in self._nodes:
            await stack.aclose()

    async def _open(self) -> tuple[Backend, AsyncExitStack]:
        stack = AsyncExitStack()
        return await stack.enter_async_context(opened(self._place)), stack
