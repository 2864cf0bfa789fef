"""What was taken from a worker before it was done: cancelled, over time, or given to another."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final

from avtomatika.commands.offers import owner_of
from avtomatika.commands.results import Handle, Results
from avtomatika.errors import InvalidInput
from avtomatika.kernel.time import SECOND, Instant, Span, after
from avtomatika.ports.node import NodeContext

LOOK_AGAIN: Final = Span(10 * SECOND)
"""The hint may be lost, and nobody announces that a lease has run out."""

Tasks = Callable[[], Awaitable[Collection[str]]]
"""The tasks that a worker has, as far as anybody knows by now: it gets others, and ends some."""


class Withdrawals:
    """Waits for tasks to be withdrawn, at whatever node that is."""

    def __init__(self, node: NodeContext, results: Results) -> None:
        self._store, self._clock, self._results = node.store, node.clock, results

    async def first(self, worker_id: str, tasks: Tasks, until: Instant) -> Sequence[str]:
        """Those of *tasks* that the worker lost; none when none is lost by then. Raises Unavailable."""
        topic = f"owner:{owner_of(worker_id)}"
        while True:
            lost = [task for task in tuple(await tasks()) if not await self._holds(worker_id, task)]
            still = await self._among(tasks, lost)
            now = self._clock.now()
            if still or now >= until:
                return still
            await self._store.wait((topic,), until=min(until, after(now, LOOK_AGAIN)))

    async def _among(self, tasks: Tasks, lost: Sequence[str]) -> Sequence[str]:
        """Those that are in the list after all this: what the worker ended meanwhile, it did not lose."""
        if not lost:
            return ()
        now_listed = await tasks()
        return [task for task in lost if task in now_listed]

    async def _holds(self, worker_id: str, task: str) -> bool:
        try:
            return await self._results.held(Handle.parse(task), worker_id) is not None
        except InvalidInput:
            return False
