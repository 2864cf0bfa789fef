"""When a rule is due: days, dates, cron lines, and what happens when clocks are set."""

from datetime import datetime, timedelta

import pytest

from avtomatika.errors import InvalidInput
from avtomatika.kernel.time import Instant
from avtomatika.schedules.rule import Cron, Daily, Interval, Rule, check, digest, last_fire, next_fire, told
from tests.unit.schedules import clocks
from tests.unit.schedules.clocks import Matches, at

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
KOLKATA, SANTIAGO, APIA = "Asia/Kolkata", "America/Santiago", "Pacific/Apia"
ST_JOHNS, CAIRO, KATHMANDU = "America/St_Johns", "Africa/Cairo", "Asia/Kathmandu"


def following(rule: Rule, after: Instant, count: int) -> list[str]:
    """The next moments, as the clocks of the zone show them."""
    zone = "UTC" if isinstance(rule, Interval) else rule.zone
    found: list[str] = []
    for _ in range(count):
        after = next_fire(rule, after)
        found.append(clocks.told(after, zone))
    return found


def test_an_interval_is_counted_from_due_to_due() -> None:
    assert next_fire(Interval(90), Instant(1_234)) == 91_234


def test_a_moment_is_later_than_the_one_asked_about() -> None:
    rule = Daily(2, 0, "UTC")
    due = at("2026-03-01T02:00")
    assert next_fire(rule, Instant(due - 1)) == due
    assert next_fire(rule, due) == at("2026-03-02T02:00")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Daily(2, 0, "UTC"), ["2026-01-01", "2026-01-02", "2026-01-03"]),
        (Daily(2, 0, "UTC", weekdays=(0, 4)), ["2026-01-02", "2026-01-05", "2026-01-09"]),
        (Daily(2, 0, "UTC", dates=(1, 31)), ["2026-01-01", "2026-01-31", "2026-02-01", "2026-03-01"]),
        (Daily(2, 0, "UTC", weekdays=(4,), dates=(13,)), ["2026-02-13", "2026-03-13", "2026-11-13"]),
        (Cron("0 2 * * mon,fri", "UTC"), ["2026-01-02", "2026-01-05", "2026-01-09"]),
        (Cron("0 2 29 2 *", "UTC"), ["2028-02-29", "2032-02-29"]),
        (Cron("0 2 L * *", "UTC"), ["2026-01-31", "2026-02-28", "2026-03-31"]),
    ],
)
def test_days_of_the_week_and_dates_narrow_each_other(rule: Rule, expected: list[str]) -> None:
    found = following(rule, at("2026-01-01T00:00"), len(expected))
    assert found == [f"{day}T02:00+00:00" for day in expected]


@pytest.mark.parametrize(
    ("zone", "time", "day", "expected"),
    [
        # Clocks are set forward: the time is left out, the next minute that is shown counts.
        (BERLIN, (2, 30), "2026-03-29", "2026-03-29T03:00+02:00"),
        (BERLIN, (2, 0), "2026-03-29", "2026-03-29T03:00+02:00"),
        (BERLIN, (1, 59), "2026-03-29", "2026-03-29T01:59+01:00"),
        (NEW_YORK, (2, 59), "2026-03-08", "2026-03-08T03:00-04:00"),
        (LORD_HOWE, (2, 15), "2026-10-04", "2026-10-04T02:30+11:00"),
        (SANTIAGO, (0, 0), "2026-09-06", "2026-09-06T01:00-03:00"),
        (CAIRO, (0, 30), "2026-04-24", "2026-04-24T01:00+03:00"),
        (APIA, (2, 0), "2011-12-30", "2011-12-31T00:00+14:00"),
        # Clocks are set back: the time is shown twice, the first time counts.
        (BERLIN, (2, 30), "2026-10-25", "2026-10-25T02:30+02:00"),
        (NEW_YORK, (1, 0), "2026-11-01", "2026-11-01T01:00-04:00"),
        (LORD_HOWE, (1, 45), "2026-04-05", "2026-04-05T01:45+11:00"),
        (SANTIAGO, (23, 30), "2026-04-04", "2026-04-04T23:30-03:00"),
        (ST_JOHNS, (0, 0), "2010-11-07", "2010-11-07T00:00-02:30"),
        # Nobody sets clocks.
        (KOLKATA, (2, 30), "2026-03-29", "2026-03-29T02:30+05:30"),
        (KATHMANDU, (2, 30), "2026-10-25", "2026-10-25T02:30+05:45"),
        ("UTC", (2, 30), "2026-03-29", "2026-03-29T02:30+00:00"),
    ],
)
def test_a_time_is_due_once_a_day_whatever_is_done_to_the_clocks(
    zone: str, time: tuple[int, int], day: str, expected: str
) -> None:
    hour, minute = time
    hours_before = Instant(at(f"{day}T{hour:02}:{minute:02}", zone) - 12 * 3_600_000)
    for rule in (Daily(hour, minute, zone), Cron(f"{minute} {hour} * * *", zone)):
        first, second = following(rule, hours_before, 2)
        assert first == expected
        assert (
            second[:16] == f"{datetime.fromisoformat(day) + timedelta(days=1):%Y-%m-%d}T{hour:02}:{minute:02}"
        )


@pytest.mark.parametrize(
    ("zone", "line", "start", "expected"),
    [
        (BERLIN, "*/30 * * * *", "2026-03-29T01:00", ["01:30+01:00", "03:00+02:00", "03:30+02:00"]),
        (BERLIN, "30 * * * *", "2026-03-29T01:00", ["01:30+01:00", "03:30+02:00", "04:30+02:00"]),
        (BERLIN, "30 * * * *", "2026-10-25T02:00", ["02:30+02:00", "02:30+01:00", "03:30+01:00"]),
        (BERLIN, "*/20 2 * * *", "2026-10-25T02:20", ["02:40+02:00", "02:00+01:00", "02:20+01:00"]),
        (LORD_HOWE, "*/20 * * * *", "2026-04-05T01:30", ["01:40+11:00", "01:40+10:30", "02:00+10:30"]),
        (LORD_HOWE, "*/20 * * * *", "2026-10-04T01:30", ["01:40+10:30", "02:40+11:00", "03:00+11:00"]),
    ],
)
def test_a_line_whose_minutes_or_hours_begin_with_a_star_goes_by_elapsed_time(
    zone: str, line: str, start: str, expected: list[str]
) -> None:
    found = following(Cron(line, zone), at(start, zone), len(expected))
    assert [text[11:] for text in found] == expected


def on(hours: set[int], minutes: set[int]) -> Matches:
    return lambda time: time.hour in hours and time.minute in minutes


ANY_HOUR = set(range(24))
LINES: list[tuple[str, bool, Matches]] = [
    ("* * * * *", True, lambda _: True),
    ("*/7 * * * *", True, on(ANY_HOUR, set(range(0, 60, 7)))),
    ("15,45 * * * *", True, on(ANY_HOUR, {15, 45})),
    ("*/10 0-3 * * *", True, on({0, 1, 2, 3}, set(range(0, 60, 10)))),
    ("5,35 0-23 * * *", False, on(ANY_HOUR, {5, 35})),
    ("0-59 2 * * *", False, on({2}, set(range(60)))),
    ("17 */2 * * *", True, on(set(range(0, 24, 2)), {17})),
    ("0 0 * * *", False, on({0}, {0})),
]


@pytest.mark.parametrize("line", LINES, ids=lambda line: str(line[0]))
@pytest.mark.parametrize(
    ("zone", "day"),
    [
        (BERLIN, "2026-03-29"),
        (BERLIN, "2026-10-25"),
        (LORD_HOWE, "2026-04-05"),
        (LORD_HOWE, "2026-10-04"),
        (SANTIAGO, "2026-04-05"),
        (SANTIAGO, "2026-09-06"),
        (ST_JOHNS, "2010-11-07"),
        (APIA, "2011-12-30"),
        (KOLKATA, "2026-03-29"),
    ],
)
def test_a_line_is_due_at_exactly_the_minutes_that_match(
    zone: str, day: str, line: tuple[str, bool, Matches]
) -> None:
    text, by_elapsed_time, matches = line
    start = datetime.fromisoformat(day) - timedelta(days=1)
    expected = [
        moment
        for moment, shown, come in clocks.minutes(zone, start, start + timedelta(days=3))
        if any(map(matches, [shown] if by_elapsed_time else come))
    ]
    rule, found = Cron(text, zone), [Instant(at(start.isoformat()) - 1)]
    while (due := next_fire(rule, found[-1])) <= expected[-1]:
        found.append(due)
    assert found[1:] == expected


@pytest.mark.parametrize("rule", [Daily(2, 30, BERLIN), Cron("*/7 * * * *", BERLIN), Interval(420)])
@pytest.mark.parametrize("hours", [0, 1, 23, 24, 800])
def test_the_last_moment_before_another_is_found_without_going_through_all(rule: Rule, hours: int) -> None:
    first = next_fire(rule, at("2026-01-01T00:00"))
    until = Instant(first + hours * 3_600_000 + 59_000)
    due = first
    while (later := next_fire(rule, due)) <= until:
        due = later
    assert last_fire(rule, first, until) == due


def test_ten_years_of_minutes_are_not_gone_through_one_by_one() -> None:
    rule, until = Cron("* * * * *", BERLIN), at("2026-01-01T00:00:30")
    assert last_fire(rule, at("2016-01-01T00:00"), until) == at("2026-01-01T00:00")


def test_a_tick_that_is_not_due_yet_is_its_own_last() -> None:
    for rule in (Interval(60), Daily(2, 0, "UTC")):
        assert last_fire(rule, Instant(10_000), Instant(5)) == 10_000


@pytest.mark.parametrize(
    "line", ["", "* * * *", "* * * * * *", "60 * * * *", "x * * * *", "0 0 30 2 *", "* * */20 * 1L"]
)
def test_a_line_that_is_none_or_is_never_due_is_refused(line: str) -> None:
    with pytest.raises(InvalidInput):
        check(Cron(line, "UTC"))


def test_a_digest_names_what_decides_about_the_moments() -> None:
    rules: list[Rule] = [
        Interval(60),
        Interval(61),
        Daily(2, 0, "UTC"),
        Daily(2, 0, BERLIN),
        Daily(2, 0, "UTC", weekdays=(1,)),
        Daily(2, 0, "UTC", dates=(1,)),
        Cron("0 2 * * *", "UTC"),
    ]
    assert len({digest(rule) for rule in rules}) == len(rules)
    assert digest(Interval(60)) == digest(Interval(60))


def test_a_rule_is_told_in_words() -> None:
    assert told(Interval(60)) == "every 60 s"
    assert told(Daily(2, 5, BERLIN, weekdays=(0, 4), dates=(1,))) == "at 02:05 on mon, fri, 1 (Europe/Berlin)"
    assert told(Cron("0 2 * * *", "UTC")) == "cron 0 2 * * * (UTC)"
