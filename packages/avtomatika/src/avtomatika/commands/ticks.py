"""Schedules at work. What is due next is a message; the commit that acts on it sends the one after.

A tick is acted on in one commit: its job is accepted, it is acknowledged, and the next one is on its way.
The job is named by the schedule and the moment, so that a tick that comes again finds its job.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Final

import msgspec

from avtomatika import observe
from avtomatika.blueprints.blueprint import Blueprint
from avtomatika.blueprints.contracts import accept_input
from avtomatika.commands.apply import Writer
from avtomatika.errors import ConfigError, ContractViolation
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Job, Policy, Ready
from avtomatika.kernel.rules.submission import limited
from avtomatika.kernel.time import SECOND, Instant, Span, after
from avtomatika.ports.node import NodeContext
from avtomatika.ports.store import (
    Claim,
    Commit,
    KeyTaken,
    Lease,
    Message,
    MessageId,
    Tick,
    VersionConflict,
)
from avtomatika.schedules.rule import next_fire, told
from avtomatika.schedules.schedule import Overlap, Schedule

TICKS: Final = "tick"
ARMING: Final = Span(24 * 3_600 * SECOND)
"""For how long a node that armed a schedule keeps others from doing the same. Clocks never differ as much."""

ANOTHER_LOOK: Final = SECOND
PATIENCE: Final = Span(60 * SECOND)
"""How long a tick by a rule that this node does not have is left for the nodes that may have it."""


class Planned(msgspec.Struct, frozen=True):
    """A schedule as operators see it. `next_due` is None until it is armed, `last_job` until there is one."""

    name: str
    blueprint: str
    rule: str
    catch_up: str
    overlap: str
    next_due: Instant | None = None
    last_job: JobId | None = None


class Ticks:
    """The schedules of a node and their ticks, which wait in `queues`."""

    def __init__(
        self,
        node: NodeContext,
        writer: Writer,
        policy: Policy,
        schedules: Iterable[Schedule],
        blueprints: Iterable[Blueprint],
    ) -> None:
        """Raises ConfigError when a schedule names no blueprint, or gives it input that it does not take."""
        self._store, self._clock = node.store, node.clock
        self._writer, self._policy = writer, policy
        self._schedules: Mapping[str, Schedule] = {schedule.name: schedule for schedule in schedules}
        self._blueprints = {blueprint.name: blueprint for blueprint in blueprints}
        self.queues: Sequence[str] = tuple(map(tick_queue, self._schedules))
        for schedule in self._schedules.values():
            if schedule.blueprint not in self._blueprints:
                message = f"{schedule.name}.blueprint: there is no blueprint {schedule.blueprint!r}"
                raise ConfigError(message)
            try:
                accept_input(self._blueprints[schedule.blueprint], schedule.input)
            except ContractViolation as error:
                raise ConfigError(f"{schedule.name}.{error.message}") from error

    async def arm(self) -> None:
        """Every schedule has a tick by its rule in the store, and no other schedule has one."""
        armed = await self._store.queues(TICKS)
        gone = tuple(message.id for queue, message in armed.items() if queue not in self.queues)
        if gone:
            await self._store.commit(Commit(now=self._clock.now(), drop=gone))
        for schedule in self._schedules.values():
            await self._keep_armed(schedule, armed.get(tick_queue(schedule.name)))

    async def mend(self) -> None:
        """Every schedule has a tick in the store: one that lost its own to another node has it again."""
        armed = await self._store.queues(TICKS)
        for schedule in self._schedules.values():
            if tick_queue(schedule.name) not in armed:
                await self._keep_armed(schedule, None)

    async def _keep_armed(self, schedule: Schedule, found: Message | None) -> None:
        earlier: Claim | None = None
        while (taken := await self._arm(schedule, found, earlier)) is not None:
            again = (await self._store.queues(TICKS)).get(tick_queue(schedule.name))
            # Armed before, and taken out of the configuration since: the next in line may arm it.
            earlier = taken if again == found else None
            found = again

    async def _arm(self, schedule: Schedule, found: Message | None, earlier: Claim | None) -> Claim | None:
        """The schedule has a tick by its rule; or the claim of a node that armed it after the same look."""
        now = self._clock.now()
        seen = None if found is None else _tick_of(found)
        if seen is not None and seen.rule == schedule.digest:
            return None
        due = schedule.first(now) if seen is None else next_fire(schedule.rule, now)
        # A claim, or a node that looked before another one armed would undo what came of it since.
        line = None if earlier is None else (earlier.key, earlier.expires_at)
        key = sha256(msgspec.json.encode((TICKS, schedule.name, schedule.digest, seen, line))).hexdigest()
        claim = Claim(key, schedule.digest, JobId(""), after(now, ARMING))
        tick = _message(schedule, due, JobId("") if seen is None else seen.last)
        try:
            await self._store.commit(Commit(now=now, send=(tick,), claim=claim))
        except KeyTaken as taken:
            return taken.claim
        observe.event("schedule.armed", schedule=schedule.name, due=due)
        return None

    async def fire(self, lease: Lease) -> None:
        """The tick has its job, if it is to have one, and the next tick is on its way. Raises LeaseLost."""
        tick = _tick_of(lease.message)
        schedule = None if tick is None else self._schedules.get(tick.schedule)
        if tick is None or schedule is None:
            await self._store.commit(Commit(now=self._clock.now(), ack=(lease,)))
        elif tick.rule != schedule.digest:
            await self._leave(lease, tick, schedule)
        else:
            await self._fire(lease, tick, schedule)

    async def _fire(self, lease: Lease, tick: Tick, schedule: Schedule) -> None:
        settled = schedule.settle(tick.due, self._clock.now())
        if settled.fired is None:
            observe.event("schedule.missed", schedule=schedule.name, since=tick.due)
        elif await self._overlaps(schedule, tick):
            observe.event("schedule.overlapped", schedule=schedule.name, due=settled.fired, job=tick.last)
        else:
            job = self._job(schedule, settled.fired)
            following = _message(schedule, settled.following, job.id)
            try:
                await self._writer.submit(job, ack=(lease,), send=(following,))
            except VersionConflict:
                await self._go_on(lease, following)
            else:
                observe.event("schedule.fired", schedule=schedule.name, due=settled.fired, job=job.id)
            return
        await self._go_on(lease, _message(schedule, settled.following, tick.last))

    async def _go_on(self, lease: Lease, following: Message) -> None:
        await self._store.commit(Commit(now=self._clock.now(), ack=(lease,), send=(following,)))

    async def _leave(self, lease: Lease, tick: Tick, schedule: Schedule) -> None:
        """The tick, by another rule, is there for the nodes that have that rule, or is now one of this rule.

        While a new configuration is rolled out, nodes of both run side by side; later none may have the old.
        """
        now = self._clock.now()
        if now > after(tick.due, PATIENCE):
            await self._go_on(lease, _message(schedule, schedule.first(tick.due), tick.last))
        else:
            later = msgspec.structs.replace(lease.message, visible_at=after(now, ANOTHER_LOOK))
            await self._go_on(lease, later)

    async def _overlaps(self, schedule: Schedule, tick: Tick) -> bool:
        if schedule.overlap is Overlap.ALLOW or not tick.last:
            return False
        job = await self._store.load(tick.last)
        return job is not None and not job.over

    def _job(self, schedule: Schedule, due: Instant) -> Job:
        blueprint = self._blueprints[schedule.blueprint]
        now = self._clock.now()
        policy = limited(self._policy, schedule.dispatch_timeout, schedule.result_timeout)
        return Job(
            id=schedule.job_id(due),
            blueprint=blueprint.name,
            edition=blueprint.edition,
            state=blueprint.start_state or "",
            phase=Ready(),
            policy=policy,
            created=now,
            updated=now,
            client=schedule.client,
            labels=dict(schedule.labels),
            priority=schedule.priority,
            source=schedule.source,
            input=schedule.input,
        )

    async def schedules(self) -> Sequence[Planned]:
        """The schedules of this node, in the order of the configuration."""
        armed = await self._store.queues(TICKS)
        return [_planned(each, armed.get(tick_queue(each.name))) for each in self._schedules.values()]


def tick_queue(schedule: str) -> str:
    """The queue of the ticks of one schedule: it holds one at a time."""
    return f"{TICKS}:{schedule}"


def _message(schedule: Schedule, due: Instant, last: JobId) -> Message:
    name = tick_queue(schedule.name)
    return Message(
        id=MessageId(name),
        queue=name,
        job=JobId(""),
        visible_at=schedule.begins(due),
        body=Tick(schedule.name, due, schedule.digest, last),
    )


def _tick_of(message: Message) -> Tick | None:
    return message.body if isinstance(message.body, Tick) else None


def _planned(schedule: Schedule, message: Message | None) -> Planned:
    tick = None if message is None else _tick_of(message)
    return Planned(
        name=schedule.name,
        blueprint=schedule.blueprint,
        rule=told(schedule.rule),
        catch_up=schedule.catch_up,
        overlap=schedule.overlap,
        next_due=None if tick is None else tick.due,
        last_job=None if tick is None or not tick.last else tick.last,
    )
