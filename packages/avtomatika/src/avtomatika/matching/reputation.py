"""What a worker is worth, from 0 to 1, as the server has seen it (feature D3): pure arithmetic.

A worker never tells its own reputation. Every result moves it a little; once an hour the share of successes
of the last thirty days moves it more, up as well as down.
"""

from enum import StrEnum
from typing import Final

import msgspec

from avtomatika.kernel.model import Report
from avtomatika.kernel.retry import CONTRACT, Remedy, remedy
from avtomatika.kernel.rules.task import CANCELLED
from avtomatika.kernel.time import Instant, Span, after

START: Final = 1.0
LEAST_JUDGED: Final = 0.1
WEIGHT_OF_SUCCESS: Final = 0.7
DAY: Final = 86_400_000
DAYS: Final = 30
HOUR: Final = Span(3_600_000)


class Outcome(StrEnum):
    """What a result says about the worker that sent it."""

    GOOD = "good"
    TROUBLE = "trouble"
    FAILED = "failed"
    BROKE_CONTRACT = "broke_contract"
    NEUTRAL = "neutral"


class ReputationRules(msgspec.Struct, frozen=True):
    """By how much results move a reputation."""

    success: float = 0.001
    failure: float = 0.05
    contract_violation: float = 0.2


class Record(msgspec.Struct, frozen=True):
    """What the server remembers of a worker: good and bad results by day, and when it was judged last."""

    value: float = START
    days: dict[int, tuple[int, int]] = {}
    judged: Instant = Instant(0)


def outcome_of(report: Report) -> Outcome:
    """What the report says about its worker. Input that is no good, and cancellation, say nothing."""
    if report.failure is None:
        return Outcome.NEUTRAL if report.status == CANCELLED else Outcome.GOOD
    code = report.failure.code
    if code == CONTRACT:
        return Outcome.BROKE_CONTRACT
    match remedy(code):
        case Remedy.RETRY:
            return Outcome.TROUBLE
        case Remedy.FAIL:
            return Outcome.NEUTRAL
        case _:
            return Outcome.FAILED


def noted(record: Record, outcome: Outcome, now: Instant, rules: ReputationRules) -> Record:
    """The record with one more result."""
    if outcome is Outcome.NEUTRAL:
        return record
    step = {
        Outcome.GOOD: rules.success,
        Outcome.FAILED: -rules.failure,
        Outcome.BROKE_CONTRACT: -rules.contract_violation,
    }.get(outcome, 0.0)
    good, bad = record.days.get(now // DAY, (0, 0))
    counted = (good + 1, bad) if outcome is Outcome.GOOD else (good, bad + 1)
    value = min(1.0, max(0.0, round(record.value + step, 6)))
    return Record(value, {**record.days, now // DAY: counted}, record.judged or now)


def judged(record: Record, now: Instant) -> Record:
    """The record as the hour leaves it, or as it is when its last judgement is less than an hour ago.

    A worker that had no result within thirty days is judged as one that nothing is known against.
    """
    if now < after(record.judged, HOUR):
        return record
    oldest = now // DAY - DAYS
    days = {day: counts for day, counts in record.days.items() if day > oldest}
    good, bad = sum(g for g, _ in days.values()), sum(b for _, b in days.values())
    share = good / (good + bad) if good + bad else 1.0
    value = WEIGHT_OF_SUCCESS * share + (1 - WEIGHT_OF_SUCCESS) * record.value
    return Record(round(min(1.0, max(LEAST_JUDGED, value)), 4), days, now)


def is_blank(record: Record) -> bool:
    """True when nothing would be lost with the record."""
    return record.value >= START and not record.days


def reputation_of(record: Record | None) -> float:
    """What the worker is worth; as much as a new one when there is no record of it."""
    return START if record is None else record.value
