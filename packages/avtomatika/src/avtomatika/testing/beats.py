"""A schedule in a simulated world, and the account of its ticks: each has one job, and none is forgotten."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Raw

from avtomatika.commands.ticks import tick_queue
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Job
from avtomatika.kernel.time import SECOND, Instant, Span, after
from avtomatika.ports.store import Commit, Tick
from avtomatika.schedules.rule import Interval
from avtomatika.schedules.schedule import GRACE, CatchUp, Schedule
from avtomatika.testing.options import CLIENT, Options
from avtomatika.testing.violations import Violated

NAME: Final = "beat"
QUEUE: Final = tick_queue(NAME)
BLUEPRINT: Final = "ticked"
"""What the schedule runs, and no client: its jobs are soon over, so that there are moments without any."""

YOUNG: Final = Span(60_000)


def schedules(options: Options) -> Sequence[Schedule]:
    """The schedule of the world, if it has one."""
    if not options.beat:
        return ()
    return (
        Schedule(
            name=NAME,
            blueprint=BLUEPRINT,
            rule=Interval(options.beat),
            catch_up=CatchUp(options.catch_up),
            input={"width": Raw(b"1")},
            client=CLIENT,
        ),
    )


class Beats:
    """Judges the jobs of the schedule and the messages that make them."""

    def __init__(self, violated: Violated, jobs: Mapping[JobId, Job], options: Options) -> None:
        self._violated, self._jobs = violated, jobs
        self._step, self._catch_up = options.beat * SECOND, options.catch_up
        self._armed = False
        self._latest = Instant(0)
        self._born: dict[JobId, Instant] = {}

    def committed(self, commit: Commit) -> None:
        """A tick that is gone has its job, if it must have one, and the next tick follows it."""
        self._latest = max(self._latest, commit.now)
        if commit.job is not None and commit.job.source == f"scheduler:{NAME}":
            self._born.setdefault(commit.job.id, self._latest)
        self._armed = self._armed or any(sent.queue == QUEUE for sent in commit.send)
        for lease in commit.ack:
            tick = lease.message.body
            if isinstance(tick, Tick):
                following = [sent.body for sent in commit.send if sent.queue == lease.message.queue]
                if len(following) != 1 or not isinstance(following[0], Tick):
                    self._violated("a tick is followed by the next one", f"{tick}: {following}")
                else:
                    self._settled(tick, following[0].due, commit.now)

    def _settled(self, tick: Tick, following: Instant, now: Instant) -> None:
        last = following - self._step
        if following <= tick.due or (self._catch_up == CatchUp.ALL and last != tick.due):
            self._violated("ticks follow each other", f"{tick}, then {following}")
        late = now > after(Instant(last), GRACE)
        if JobId(f"tick-{NAME}-{last}") not in self._jobs and not (self._catch_up == CatchUp.SKIP and late):
            self._violated("a tick has its job", f"{tick}, then {following}")

    def is_young(self, job: JobId) -> bool:
        """True for a job of the schedule that may well be unfinished: there is always another one."""
        return job in self._born and self._latest < after(self._born[job], YOUNG)

    def check(self, waiting: int) -> None:
        """At rest: every job belongs to a tick, none is missing that should not be, and one tick waits."""
        if self._armed and waiting != 1:
            self._violated("a schedule has one tick that is to come", waiting)
        prefix = f"tick-{NAME}-"
        dues = sorted(int(job.removeprefix(prefix)) for job in self._jobs if job.startswith(prefix))
        for one, other in itertools.pairwise(dues):
            gap = other - one
            if gap % self._step or (self._catch_up == CatchUp.ALL and gap != self._step):
                self._violated("each tick has one job", f"{one}, then {other}")
