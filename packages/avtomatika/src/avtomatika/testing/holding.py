"""What workers believe to hold, and what they have room for: in a gentle world both are respected."""

from collections.abc import Collection
from typing import Final

from avtomatika.commands.fleet import worker_of
from avtomatika.commands.results import Handle
from avtomatika.kernel.effects import OfferTask
from avtomatika.kernel.time import Instant
from avtomatika.ports.store import Lease, Message
from avtomatika.testing.violations import Violated

PATIENCE_MS: Final = 12_000
"""A task that others are preferred for waits 5 s before any worker may have it."""


class Holding:
    """Judges what becomes of tasks in a world where nothing goes wrong but connections."""

    def __init__(self, violated: Violated, *, gentle: bool) -> None:
        self._violated, self._gentle = violated, gentle
        self._held: dict[str, set[str]] = {}
        self._idle: dict[str, tuple[Instant, frozenset[str]]] = {}

    def took(self, worker: str, task: str) -> None:
        """The worker has the task, and says so in its heartbeats."""
        self._held.setdefault(worker, set()).add(task)

    def let_go(self, worker: str, task: str) -> None:
        """The task is settled, or was taken from the worker."""
        self._held.get(worker, set()).discard(task)

    def gone(self, worker: str) -> None:
        """The worker is no more, for now."""
        self._held.pop(worker, None)
        self._idle.pop(worker, None)

    def room(self, worker: str, skills: Collection[str], now: Instant) -> None:
        """The worker has asked for more, with these skills."""
        self._idle.setdefault(worker, (now, frozenset(skills)))

    def full(self, worker: str) -> None:
        """The worker asks for nothing."""
        self._idle.pop(worker, None)

    def lapsed(self, lease: Lease) -> None:
        """The lease had run out when its message was given to somebody else."""
        worker, body = worker_of(lease.owner), lease.message.body
        if not self._gentle or worker is None or not lease.token or not isinstance(body, OfferTask):
            return
        handle = str(Handle(body.task.id, body.task.attempt, lease.delivery))
        if handle in self._held.get(worker, ()):
            self._violated("who holds a task and says so keeps it", lease)

    def waited(self, message: Message, since: Instant, now: Instant) -> None:
        """The task that was there *since* then is given to somebody *now*, or to nobody any more."""
        body = message.body
        if not self._gentle or not isinstance(body, OfferTask) or now - since < PATIENCE_MS:
            return
        for worker, (idle, skills) in self._idle.items():
            if body.task.order.skill in skills and now - idle >= PATIENCE_MS:
                self._violated("a task does not wait beside a worker that is free", f"{worker}: {message}")
