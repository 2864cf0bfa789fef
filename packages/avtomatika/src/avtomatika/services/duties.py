"""Which background duties a node has: the queue of each, and what is done with its messages."""

from collections.abc import Sequence
from typing import Final

from avtomatika.commands.apply import Writer
from avtomatika.commands.outbox import TIMERS, run_queue
from avtomatika.errors import NotFound
from avtomatika.kernel.effects import StartTimer
from avtomatika.kernel.events import DeadlinePassed
from avtomatika.kernel.time import SECOND, Span, after
from avtomatika.ports.clock import Clock
from avtomatika.ports.spawn import Spawn
from avtomatika.ports.store import Commit, Lease, Store
from avtomatika.services.consumer import Consumer

TIMER_LEASE: Final = Span(30_000)
SWEEP_EVERY: Final = Span(60 * SECOND)
SWEEP_LIMIT: Final = 1_000


class Timers:
    """Tells jobs that a limit has run out."""

    def __init__(self, store: Store, writer: Writer, clock: Clock) -> None:
        self._store, self._writer, self._clock = store, writer, clock

    async def fire(self, lease: Lease) -> None:
        """The job knows, and the timer is gone. Raises LeaseLost."""
        body = lease.message.body
        if isinstance(body, StartTimer):
            event = DeadlinePassed(body.task, body.attempt, body.deadline)
            try:
                await self._writer.apply(body.job, event, ack=lease)
                return
            except NotFound:
                pass
        await self._store.commit(Commit(now=self._clock.now(), ack=(lease,)))


class Sweeper:
    """Forgets what nobody needs: expired keys, and jobs that ended longer ago than they are kept."""

    def __init__(self, store: Store, clock: Clock, keep: Span | None) -> None:
        self._store, self._clock, self._keep = store, clock, keep

    async def run(self) -> None:
        """Sweeps now and then, until this is cancelled."""
        while True:
            now = self._clock.now()
            before = after(now, Span(-(self._keep if self._keep is not None else now)))
            while await self._store.sweep(now=now, finished_before=before, limit=SWEEP_LIMIT) == SWEEP_LIMIT:
                pass
            await self._clock.sleep_until(after(now, SWEEP_EVERY))


def consumers(
    *,
    store: Store,
    writer: Writer,
    clock: Clock,
    spawn: Spawn,
    node: str,
    editions: Sequence[tuple[str, str]],
    run_lease: Span,
    width: int,
) -> Sequence[Consumer]:
    """The consumers of a node that has loaded these editions of blueprints."""
    owner = f"node:{node}"
    runs = Consumer(
        "runs",
        [run_queue(*edition) for edition in editions],
        writer.perform,
        store=store,
        clock=clock,
        spawn=spawn,
        owner=owner,
        ttl=run_lease,
        width=width,
    )
    timers = Consumer(
        "timers",
        (TIMERS,),
        Timers(store, writer, clock).fire,
        store=store,
        clock=clock,
        spawn=spawn,
        owner=owner,
        ttl=TIMER_LEASE,
        width=width,
    )
    return runs, timers
