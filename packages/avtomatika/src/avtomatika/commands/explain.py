"""Why a task waits: how many workers may have it, and what the others lack (feature D2)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from avtomatika.commands.fleet import Member, worker_of
from avtomatika.commands.offers import Offers
from avtomatika.commands.outbox import task_message_id
from avtomatika.commands.queries import Queries, Viewer
from avtomatika.errors import NotFound
from avtomatika.kernel.ids import TaskId, opened_by
from avtomatika.kernel.model import Gathering, Job, Task, Waiting
from avtomatika.kernel.time import Instant
from avtomatika.matching.placement import queue_of
from avtomatika.matching.strategies import known
from avtomatika.ports.node import NodeContext
from avtomatika.ports.store import MessageId

NEAR: Final = 200
"""So many names may lie between a name of a task and the same without its last digit."""


class Verdict(msgspec.Struct, frozen=True):
    """One worker with regard to the task: what it lacks, or nothing."""

    worker_id: str
    reasons: Sequence[str]
    load: int
    reputation: float
    cost: float
    hot: bool
    parked: bool


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """How a task stands. `state` is queued, later (it becomes available at `due`) or taken.

    Of the workers that are present, `fit` may have the task; of these `saturated` have their hands full and
    `parked` wait. `reasons` counts what the others lack; a worker may lack several things.
    """

    job: str
    task: str
    skill: str
    strategy: str
    state: str
    due: Instant | None
    present: int
    fit: int
    saturated: int
    parked: int
    reasons: Mapping[str, int]
    workers: Sequence[Verdict]
    holder: str | None = None


class Explain:
    """Answers for tasks of unfinished jobs, as this node sees its workers."""

    def __init__(self, node: NodeContext, queries: Queries, offers: Offers) -> None:
        self._store, self._clock = node.store, node.clock
        self._queries, self._offers = queries, offers

    async def task(self, name: str, viewer: Viewer) -> Explanation:
        """How the task stands. Raises NotFound for one that no job of the viewer waits for."""
        job, task = await self._find(name, viewer)
        now, order = self._clock.now(), task.order
        members = self._offers.classes.of_order(order)
        present = [member for member in self._offers.fleet.everyone() if member.until > now]
        lacking = {member.profile.id: members.why_not(member) for member in present}
        fit, full, parked = members.counts(now)
        held = await self._store.held(task_message_id(task.id), now=now)
        due = await self._due(task) if held is None else None
        waits = "queued" if due is None or due <= now else "later"
        return Explanation(
            job=job.id,
            task=task.id,
            skill=order.skill,
            strategy=known(order.strategy),
            state=waits if held is None else "taken",
            due=due,
            present=len(present),
            fit=fit,
            saturated=full,
            parked=parked,
            reasons=Counter(reason for found in lacking.values() for reason in found),
            workers=[self._verdict(member, lacking, order.skill, now) for member in present],
            holder=None if held is None else worker_of(held.owner),
        )

    def _verdict(
        self, member: Member, lacking: Mapping[str, Sequence[str]], skill: str, now: Instant
    ) -> Verdict:
        known_of_it = self._offers.fleet.candidate(member, skill, now)
        return Verdict(
            worker_id=member.profile.id,
            reasons=lacking[member.profile.id],
            load=known_of_it.load,
            reputation=known_of_it.reputation,
            cost=known_of_it.cost,
            hot=known_of_it.hot,
            parked=bool(member.parked),
        )

    async def _due(self, task: Task) -> Instant | None:
        """When the task became or becomes available, or None when it is just being moved."""
        name = task_message_id(task.id)
        near = await self._store.peek(queue_of(task), after=MessageId(name[:-1]), limit=NEAR)
        return next((message.visible_at for message in near if message.id == name), None)

    async def _find(self, name: str, viewer: Viewer) -> tuple[Job, Task]:
        try:
            job_id, opened, _ = opened_by(TaskId(name))
        except ValueError as error:
            raise NotFound("Task not found") from error
        try:
            job = await self._queries.job(job_id, viewer)
        except NotFound as error:
            raise NotFound("Task not found") from error
        phase = job.phase
        if isinstance(phase, Waiting) and phase.task.id == name:
            return job, phase.task
        if isinstance(phase, Gathering) and phase.opened == opened:
            branch = await self._store.branch(job.id, TaskId(name))
            if branch is not None and branch.report is None:
                return job, branch.task
        raise NotFound("Task not found")
