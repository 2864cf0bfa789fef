"""Which events of a task were heard already. A worker that did not hear the answer sends an event again."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import msgspec
from msgspec import Raw

from avtomatika.kernel.events import TaskSignalled
from avtomatika.kernel.ids import JobId, TaskId
from avtomatika.kernel.model import Gathering, Waiting
from avtomatika.ports.store import Store

MOST_TASKS: Final = 10_000


class Told(msgspec.Struct, frozen=True):
    """What a worker tells of a task: an event with an id of its own, empty when it has none.

    `origin` is whom it comes from, when that is proven to be another worker.
    """

    id: str
    name: str
    payload: Raw
    origin: str = ""


class Memory:
    """The events of a task that are part of the job: their ids, and how many there are."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.ids: set[str] = set()
        self.counted = 0


class Heard:
    """Remembers the ids of events, and reads them from the history where other nodes may have heard some."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tasks: OrderedDict[TaskId, Memory] = OrderedDict()

    @asynccontextmanager
    async def turn(self, job: JobId, task: TaskId) -> AsyncGenerator["Memory"]:
        """The events that are part of the job, while this node deals with no other event of the task.

        Whoever makes another one part of it adds its id. Another node may do so at any time.
        """
        memory = self._tasks.setdefault(task, Memory())
        self._tasks.move_to_end(task)
        async with memory.turn:
            count = await self._count(job, task)
            if count != memory.counted:
                memory.ids, memory.counted = await self.ids(job, task), count
            known = len(memory.ids)
            yield memory
            memory.counted += len(memory.ids) - known
        while len(self._tasks) > MOST_TASKS:
            self._tasks.popitem(last=False)

    async def ids(self, job: JobId, task: TaskId) -> set[str]:
        """The ids of the events that the history of the job has of the task."""
        events = (fact.event for fact in await self._store.facts(job))
        return {e.event_id for e in events if isinstance(e, TaskSignalled) and e.task == task and e.event_id}

    async def _count(self, job: JobId, task: TaskId) -> int:
        found = await self._store.load(job)
        if found is None:
            return 0
        if isinstance(found.phase, Waiting) and found.phase.task.id == task:
            return found.phase.task.events
        if isinstance(found.phase, Gathering):
            branch = await self._store.branch(job, task)
            return 0 if branch is None else branch.task.events
        return 0
