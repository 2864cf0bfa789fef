"""Where the handlers of a simulated worker run, and where its results outlive it."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from avtomatika.testing.stage import Stage
from avtomatika_worker.running.capacity import Openings
from avtomatika_worker.skills.outcome import Outcome
from avtomatika_worker.skills.teller import Told
from avtomatika_worker.spool.spool import Spooled
from rxon.messages import TaskOffer
from tests.sim.sdk_handlers import handle
from tests.sim.sdk_turns import SimProcess

EVENTS: Final = ("progress", "progress", "note")


class SimSpool:
    """A disk. What is done is there until it is flushed, so that the next process finds it again."""

    def __init__(self) -> None:
        self._kept: dict[str, Spooled] = {}
        self._done: set[str] = set()

    def left(self) -> Sequence[Spooled]:
        """What the process before has left."""
        self._done.clear()
        return tuple(self._kept.values())

    def put(self, spooled: Spooled) -> None:
        """The next process finds the result."""
        self._kept[spooled.result.task_id] = spooled

    def done(self, to: str, task_id: str) -> None:
        """The result need not be kept any more."""
        self._done.add(task_id)

    def flush(self) -> None:
        """The next process does not find what is done."""
        for task_id in self._done:
            self._kept.pop(task_id, None)
        self._done.clear()

    def close(self) -> None:
        """Another process may use the spool."""
        self.flush()


class Execution:
    """A handler at work on a task."""

    files: Path | None = None

    def __init__(
        self,
        offer: TaskOffer,
        deliver: "Callable[[Execution, Outcome | None], None]",
        tell: Callable[[Told], None],
    ) -> None:
        self.offer, self.deliver, self.tell = offer, deliver, tell
        self.began = self.over = self.unwanted = self.cancelled = False
        self.task: asyncio.Task[None] | None = None


class SimRunner:
    """Runs what simulated handlers do, as `avtomatika_worker.running.runner` runs those of users."""

    def __init__(self, stage: Stage, process: SimProcess, name: str, capacity: int) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self._stage, self._process, self._name, self._capacity = stage, process, name, capacity
        self._numbers = itertools.count(1)
        self._running: dict[Execution, None] = {}

    def openings(self) -> Openings:
        """What the worker has room for."""
        return Openings(max(0, self._capacity - len(self._running)))

    def submit(
        self,
        offer: TaskOffer,
        deliver: Callable[[Execution, Outcome | None], None],
        tell: Callable[[Told], None],
    ) -> Execution:
        """The task runs."""
        self._stage.log("work", self._name, offer.task_id)
        if any(other.offer.task_id == offer.task_id and not other.unwanted for other in self._running):
            self._stage.ledger.violated("a task that is held is not run again", offer.task_id)
        execution = Execution(offer, deliver, tell)
        self._running[execution] = None
        execution.task = self._process.spawn(self._run(execution))
        if not self.openings().limit:
            self._stage.ledger.holding.full(self._process.name)
        return execution

    def stop(self, execution: Execution) -> None:
        """The handler is told to stop, and whatever it still returns is not delivered."""
        if not execution.unwanted:
            execution.cancelled = execution.unwanted = True
            if execution.task is not None and execution.began:
                execution.task.cancel()

    async def _run(self, execution: Execution) -> None:
        execution.began = True
        name = f"{self._name}-{next(self._numbers)}"
        outcome: Outcome | None = None
        try:
            if not execution.unwanted:
                outcome = await handle(self._stage, self._process, name, lambda: self._tell(execution))
                await self._process.awake()
        except asyncio.CancelledError:
            if not self._process.alive:
                raise
        execution.over = True
        execution.deliver(execution, None if execution.unwanted else outcome)
        del self._running[execution]
        self.on_change()

    def _tell(self, execution: Execution) -> None:
        if not execution.unwanted:
            kind, number = self._stage.rng.choice(EVENTS), next(self._numbers)
            execution.tell(Told(kind, msgspec.Raw(b'{"progress":%d}' % number)))
