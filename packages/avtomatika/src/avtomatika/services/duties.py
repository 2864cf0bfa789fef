"""Which background duties a node has: the queue of each, and what is done with its messages."""

from collections.abc import Mapping, Sequence
from typing import Final

from avtomatika.commands.apply import Writer
from avtomatika.commands.job_files import PURGE_LEASE, JobFiles
from avtomatika.commands.kin import Kin
from avtomatika.commands.outbox import FILES, KIN, TIMERS, WEBHOOKS, run_queue
from avtomatika.commands.presence import Presence
from avtomatika.commands.timers import Timers
from avtomatika.commands.webhooks import DEAD, Webhooks
from avtomatika.kernel.time import SECOND, Span, after
from avtomatika.ports.node import NodeContext
from avtomatika.services.consumer import Consumer, Duty, Rests, never
from avtomatika.services.repeated import Repeated

WEBHOOK_GRACE: Final = SECOND
TIMER_LEASE: Final = Span(30_000)
SWEEP_EVERY: Final = Span(60 * SECOND)
SWEEP_LIMIT: Final = 1_000
PURGE_WIDTH: Final = 8


class Sweeper:
    """Forgets what nobody needs: expired keys, silent workers, jobs that ended longer ago than is kept."""

    def __init__(self, node: NodeContext, presence: Presence, keep: Span | None) -> None:
        self._store, self._clock = node.store, node.clock
        self._presence, self._keep = presence, keep

    async def sweep(self) -> None:
        """Nothing of that is left. Raises Unavailable."""
        now = self._clock.now()
        before = after(now, Span(-(self._keep if self._keep is not None else now)))
        while await self._store.sweep(now=now, finished_before=before, limit=SWEEP_LIMIT) == SWEEP_LIMIT:
            pass
        await self._presence.sweep()


def sweeper(node: NodeContext, presence: Presence, keep: Span | None) -> Repeated:
    """The duty of sweeping."""
    sweep = Sweeper(node, presence, keep).sweep
    return Repeated(node.clock, sweep, every=SWEEP_EVERY, trouble="sweeper.paused")


def consumers(
    node: NodeContext,
    writer: Writer,
    editions: Sequence[tuple[str, str]],
    *,
    run_lease: Span,
    width: int,
    rests: Rests = never,
) -> Sequence[Consumer]:
    """The consumers of a node that has loaded these editions of blueprints. One that *rests* is not run."""
    blueprints: Mapping[str, str] = {run_queue(*edition): edition[0] for edition in editions}
    runs = Duty(
        name="runs",
        queues=tuple(blueprints),
        handle=writer.perform,
        ttl=run_lease,
        width=width,
        rests=lambda queue: rests(blueprints[queue]),
    )
    fire = Timers(node, writer).fire
    timers = Duty(name="timers", queues=(TIMERS,), handle=fire, ttl=TIMER_LEASE, width=width)
    kin = Duty(name="kin", queues=(KIN,), handle=Kin(node, writer).deliver, ttl=TIMER_LEASE, width=width)
    return Consumer(node, runs), Consumer(node, timers), Consumer(node, kin)


def webhook_consumer(node: NodeContext, webhooks: Webhooks, *, timeout: Span, width: int) -> Consumer:
    """The consumer of webhooks, each attempt at which takes *timeout* at most."""
    lease = Span(2 * timeout + WEBHOOK_GRACE)
    queues = (WEBHOOKS, DEAD)
    return Consumer(
        node, Duty(name="webhooks", queues=queues, handle=webhooks.deliver, ttl=lease, width=width)
    )


def file_consumer(node: NodeContext, files: JobFiles) -> Consumer:
    """The consumer that removes the files of jobs which ended long enough ago."""
    return Consumer(
        node, Duty(name="files", queues=(FILES,), handle=files.purge, ttl=PURGE_LEASE, width=PURGE_WIDTH)
    )
