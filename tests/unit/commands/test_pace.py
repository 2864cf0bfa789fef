"""A worker that says all the time that it is something else has soon had its share."""

import pytest

from avtomatika.commands.pace import EVENTS_A_SECOND, EVENTS_FOR, LONGEST_PAUSE, Pace, Patience
from avtomatika.kernel.time import Instant
from rxon.errors import RateLimitError
from tests.unit.commands.test_presence import HandClock, PatientClock


def test_so_much_is_there_at_once_and_then_so_much_in_a_second() -> None:
    pace = Pace(10, 2)
    for _ in range(11):
        assert pace.wait("a", Instant(0)) == 0
        pace.take("a", 1, Instant(0))
    assert pace.wait("a", Instant(0)) == 500
    assert pace.wait("b", Instant(0)) == 0
    assert pace.wait("a", Instant(499)) == 1
    assert pace.wait("a", Instant(500)) == 0


def test_what_is_taken_beyond_is_paid_back_in_time() -> None:
    pace = Pace(10, 2)
    pace.take("a", 50, Instant(0))
    assert pace.wait("a", Instant(0)) == 20_000
    assert pace.wait("a", Instant(20_000)) == 0


def test_those_who_have_all_that_they_may_have_are_forgotten() -> None:
    pace = Pace(10, 2)
    for n in range(100_000):
        pace.take(f"w{n}", 1, Instant(n))
    assert len(pace._full) < 4_000


def presented(patience: Patience, worker: str, *, known: bool = True, size: int = 500) -> bool:
    try:
        patience.presented(worker, size, known=known)
    except RateLimitError:
        return False
    return True


def test_one_that_flaps_waits_and_the_others_do_not() -> None:
    clock = HandClock()
    patience = Patience(clock)
    taken = [presented(patience, "flapper") for _ in range(1_000)]
    assert 2 < taken.count(True) < 8
    assert presented(patience, "honest")
    with pytest.raises(RateLimitError) as caught:
        patience.changed("flapper")
    assert caught.value.retry_after > 0
    patience.changed("honest")
    clock.time = Instant(60_000)
    taken = [presented(patience, "flapper") for _ in range(1_000)]
    assert 2 < taken.count(True) < 8, "as much as at first, and no more"


def test_a_large_registration_costs_as_many_small_ones() -> None:
    patience = Patience(HandClock())
    taken = [presented(patience, "w", size=262_144) for _ in range(100)]
    assert taken.count(True) == 1, "whoever has something left may take more than that"


def test_a_fleet_of_ten_thousand_comes_back_at_once() -> None:
    patience = Patience(HandClock())
    assert all(presented(patience, f"w{n}", known=False, size=8_000) for n in range(10_000))


def test_names_that_nobody_knows_do_not_keep_out_those_that_are_known() -> None:
    clock = HandClock()
    patience = Patience(clock)
    taken = [presented(patience, f"w{n}", known=False, size=200_000) for n in range(2_000)]
    assert 1_000 < taken.count(True) < 1_300
    assert not presented(patience, "new", known=False)
    assert presented(patience, "old")
    clock.time = Instant(10_000)
    assert presented(patience, "new", known=False)


async def test_a_task_that_tells_much_is_heard_as_often_as_it_may_be() -> None:
    clock = PatientClock()
    patience = Patience(clock)
    for _ in range(EVENTS_A_SECOND * EVENTS_FOR + 1):
        await patience.told("w", "t", 200)
    assert clock.now() == 0, "so many may come at once"
    for _ in range(10 * EVENTS_A_SECOND):
        await patience.told("w", "t", 200)
    assert 9_500 <= clock.now() <= 10_000


async def test_an_event_of_many_kibibytes_counts_as_many() -> None:
    clock = PatientClock()
    patience = Patience(clock)
    for _ in range(20):
        await patience.told("w", "t", 49 * 1_024)
    assert 44_000 <= clock.now() <= 50_000


async def test_what_one_task_tells_delays_no_other_task_and_no_other_worker() -> None:
    clock = PatientClock()
    patience = Patience(clock)
    await patience.told("w", "t", 150_000)
    await patience.told("w", "other", 200)
    await patience.told("v", "t", 200)
    assert clock.now() == 0
    await patience.told("w", "t", 200)
    assert clock.now() > 4_000


async def test_whoever_does_not_wait_for_answers_is_refused() -> None:
    clock = PatientClock()
    clock.stands = True
    patience, refused = Patience(clock), list[float]()
    for _ in range(1_000):
        try:
            await patience.told("w", "t", 200)
        except RateLimitError as error:
            refused.append(error.retry_after)
    assert len(refused) > 700
    assert max(clock.waits) <= LONGEST_PAUSE
    assert min(refused) * 1_000 > LONGEST_PAUSE
