"""A schedule: a rule, the job that it asks for, and what becomes of moments that were missed."""

import re
from collections.abc import Mapping
from enum import StrEnum
from hashlib import sha256
from typing import Final

import msgspec

from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Data
from avtomatika.kernel.time import SECOND, Instant, Span, after
from avtomatika.schedules.rule import Interval, Rule, digest, last_fire, next_fire

CLIENT: Final = "scheduler"
"""Whose the jobs of schedules are that name no client: an id that no token opens."""

GRACE: Final = Span(60 * SECOND)
_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class CatchUp(StrEnum):
    """Which of the ticks that were missed get a job: none, the last one, or every one."""

    SKIP = "skip"
    ONE = "one"
    ALL = "all"


class Overlap(StrEnum):
    """Whether a tick gets a job while the job before it is unfinished."""

    ALLOW = "allow"
    SKIP = "skip"


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the configuration. `jitter` is the most by which a tick is put off."""

    name: str
    blueprint: str
    rule: Rule
    catch_up: CatchUp = CatchUp.ONE
    overlap: Overlap = Overlap.ALLOW
    jitter: Span = Span(0)
    input: Data = {}
    dispatch_timeout: Span | None = None
    result_timeout: Span | None = None
    priority: float = 0.0
    labels: Mapping[str, str] = {}
    client: str = CLIENT

    @property
    def digest(self) -> str:
        """The name of the rule, which ticks carry."""
        return digest(self.rule)

    @property
    def source(self) -> str:
        """What its jobs say they were made by."""
        return f"scheduler:{self.name}"

    def job_id(self, due: Instant) -> JobId:
        """The id of the job for the tick of that moment: the same, whoever asks."""
        if _PLAIN.fullmatch(self.name):
            return JobId(f"tick-{self.name}-{due}")
        return JobId(f"tick_{sha256(self.name.encode()).hexdigest()[:32]}-{due}")

    def begins(self, due: Instant) -> Instant:
        """When the tick of that moment is acted on. The delay follows from the name and the moment."""
        if not self.jitter:
            return due
        chance = sha256(f"{self.name}\n{due}".encode()).digest()
        return after(due, Span(int.from_bytes(chance[:8]) % (self.jitter + 1)))

    def first(self, start: Instant) -> Instant:
        """The first tick of a schedule that begins at *start*: at once for an interval, else as it says."""
        return start if isinstance(self.rule, Interval) else next_fire(self.rule, Instant(start - 1))

    def settle(self, due: Instant, now: Instant) -> "Settled":
        """What is to be done at *now* about the tick of *due* and those that may have been missed after it.

        A tick is missed when the next one is due as well, or when it is more than a minute late.
        """
        if self.catch_up is CatchUp.ALL:
            return Settled(due, next_fire(self.rule, due))
        last = last_fire(self.rule, due, Instant(now - self.jitter))
        missed = now > after(self.begins(last), GRACE)
        fired = None if missed and self.catch_up is CatchUp.SKIP else last
        return Settled(fired, next_fire(self.rule, last))


class Settled(msgspec.Struct, frozen=True):
    """The tick that gets a job, if any does, and the one that comes after all that are settled."""

    fired: Instant | None
    following: Instant
