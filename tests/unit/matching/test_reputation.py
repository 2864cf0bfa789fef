"""A reputation moves by results and by the hour, and by nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avtomatika.kernel.model import Failure, Report
from avtomatika.kernel.time import Instant
from avtomatika.matching.reputation import (
    DAY,
    DAYS,
    HOUR,
    Outcome,
    Record,
    ReputationRules,
    is_blank,
    judged,
    noted,
    outcome_of,
    reputation_of,
)

RULES = ReputationRules()
NOW = Instant(1_000 * DAY)


def failed(code: str) -> Report:
    return Report(status="failure", failure=Failure(code=code, message="no"))


@pytest.mark.parametrize(
    ("report", "outcome"),
    [
        (Report(status="success"), Outcome.GOOD),
        (Report(status="a status of ours"), Outcome.GOOD),
        (Report(status="cancelled"), Outcome.NEUTRAL),
        (failed("PERMANENT_ERROR"), Outcome.FAILED),
        (failed("SECURITY_ERROR"), Outcome.FAILED),
        (failed("DEPENDENCY_ERROR"), Outcome.FAILED),
        (failed("CONTRACT_VIOLATION_ERROR"), Outcome.BROKE_CONTRACT),
        (failed("TRANSIENT_ERROR"), Outcome.TROUBLE),
        (failed("A_CODE_OF_OURS"), Outcome.TROUBLE),
        (failed("INVALID_INPUT_ERROR"), Outcome.NEUTRAL),
        (failed("INTEGRITY_MISMATCH_ERROR"), Outcome.NEUTRAL),
    ],
)
def test_what_a_result_says_of_its_worker(report: Report, outcome: Outcome) -> None:
    assert outcome_of(report) is outcome


@pytest.mark.parametrize(
    ("before", "outcome", "then"),
    [
        (1.0, Outcome.GOOD, 1.0),
        (0.5, Outcome.GOOD, 0.501),
        (1.0, Outcome.FAILED, 0.95),
        (1.0, Outcome.BROKE_CONTRACT, 0.8),
        (0.1, Outcome.BROKE_CONTRACT, 0.0),
        (0.7, Outcome.TROUBLE, 0.7),
        (0.7, Outcome.NEUTRAL, 0.7),
    ],
)
def test_a_result_moves_a_reputation_by_what_is_published(
    before: float, outcome: Outcome, then: float
) -> None:
    assert noted(Record(before), outcome, NOW, RULES).value == pytest.approx(then)


@pytest.mark.parametrize(
    ("good", "bad", "before", "then"),
    [(9, 1, 0.5, 0.78), (0, 10, 0.3, 0.1), (10, 0, 1.0, 1.0), (1, 2, 0.2, 0.2933)],
)
def test_the_hour_weighs_successes_and_what_was(good: int, bad: int, before: float, then: float) -> None:
    record = Record(before, {NOW // DAY: (good, bad)}, Instant(NOW - HOUR))
    assert judged(record, NOW).value == then


def test_there_is_one_judgement_an_hour() -> None:
    record = judged(Record(0.5, {NOW // DAY: (1, 1)}, Instant(0)), NOW)
    assert judged(record, Instant(NOW + HOUR - 1)) is record
    assert judged(record, Instant(NOW + HOUR)) is not record


def test_who_lost_all_trust_has_it_back_when_nothing_is_known_any_more() -> None:
    record = Record(0.1, {NOW // DAY: (0, 50)}, NOW)
    last = Instant(NOW + (DAYS - 1) * DAY)
    assert judged(record, last).value == 0.1
    assert judged(record, Instant(NOW + DAYS * DAY)).value == 0.73


def test_a_worker_of_which_nothing_is_known_is_worth_one() -> None:
    assert reputation_of(None) == 1.0
    assert is_blank(Record())
    assert not is_blank(Record(0.9))
    assert not is_blank(noted(Record(), Outcome.GOOD, NOW, RULES))


@given(st.lists(st.tuples(st.sampled_from(Outcome), st.integers(0, 3 * DAY)), max_size=80))
def test_a_reputation_stays_between_nothing_and_one(steps: list[tuple[Outcome, int]]) -> None:
    record, now = Record(), NOW
    for outcome, passed in steps:
        now = Instant(now + passed)
        record = judged(noted(record, outcome, now, RULES), now)
        assert 0.0 <= record.value <= 1.0
        assert len(record.days) <= DAYS + 1
