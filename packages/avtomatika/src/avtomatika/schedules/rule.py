"""Rules that say when something is due, and the moment that comes next by each.

Times of day are those of a zone. One that its clocks leave out is due at the next minute that they show; one
that they show twice is due the first time. Cron lines whose minutes or hours begin with `*` go by elapsed
time instead, as in Debian's cron: they are due at every minute that matches, however the clocks are set.
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from hashlib import sha256
from itertools import takewhile
from typing import Final, assert_never
from zoneinfo import ZoneInfo

import msgspec
from cronsim import CronSim, CronSimError

from avtomatika.errors import InvalidInput
from avtomatika.kernel.time import SECOND, Instant
from avtomatika.schedules.zone import first_valid, instants, shown, zone_of

CRON_FIELDS: Final = 5
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MOST_DAYS: Final = 50 * 366
"""A day that does not come within so many never comes."""


class Interval(msgspec.Struct, frozen=True, tag=True):
    """Every so many seconds, counted from due to due: a late run does not move those after it."""

    seconds: int


class Daily(msgspec.Struct, frozen=True, tag=True):
    """At a time of day, on these days of the week (0 is Monday) and dates of the month; empty means any."""

    hour: int
    minute: int
    zone: str
    weekdays: tuple[int, ...] = ()
    dates: tuple[int, ...] = ()


class Cron(msgspec.Struct, frozen=True, tag=True):
    """As a cron line of five fields says."""

    line: str
    zone: str


Rule = Interval | Daily | Cron


def next_fire(rule: Rule, after: Instant) -> Instant:
    """The first moment later than *after* at which the rule is due. For an interval *after* is such a moment.

    Raises InvalidInput when there is none, which `check` finds out before.
    """
    match rule:
        case Interval(seconds=seconds):
            return Instant(after + seconds * SECOND)
        case Daily(zone=name):
            zone = zone_of(name)
            return _first_after(after, zone, _times(rule, shown(after, zone).date()))
        case Cron(line=line, zone=name):
            zone = zone_of(name)
            if _goes_by_elapsed_time(line):
                return _next_match(line, zone, after)
            return _first_after(after, zone, _matches(line, shown(after, zone)))
        case _:
            assert_never(rule)


def last_fire(rule: Rule, due: Instant, until: Instant) -> Instant:
    """The last moment up to *until* at which the rule is due; *due*, which is one, if none comes later."""
    if isinstance(rule, Interval):
        step = rule.seconds * SECOND
        return Instant(due + max(0, until - due) // step * step)
    high = until
    while (following := next_fire(rule, due)) <= until:
        due = following
        middle = Instant((due + high) // 2)
        found = next_fire(rule, middle)
        if found <= until:
            due = found
        else:
            high = middle
    return due


def digest(rule: Rule) -> str:
    """A short name of the rule: another one for every rule that is due at other moments."""
    return sha256(msgspec.json.encode(rule)).hexdigest()[:16]


def told(rule: Rule) -> str:
    """The rule in words of the configuration."""
    match rule:
        case Interval(seconds=seconds):
            return f"every {seconds} s"
        case Daily(hour=hour, minute=minute, weekdays=weekdays, dates=dates, zone=zone):
            days = [DAYS[day] for day in weekdays] + [str(day) for day in dates]
            on = f" on {', '.join(days)}" if days else ""
            return f"at {hour:02}:{minute:02}{on} ({zone})"
        case Cron(line=line, zone=zone):
            return f"cron {line} ({zone})"
        case _:
            assert_never(rule)


def check(rule: Rule) -> None:
    """The rule can be read and is due some day. Raises InvalidInput that says what is wrong."""
    if isinstance(rule, Cron) and len(rule.line.split()) != CRON_FIELDS:
        raise InvalidInput(f"must have {CRON_FIELDS} fields: minute, hour, date, month, day of the week")
    try:
        next_fire(rule, Instant(0))
    except CronSimError as error:
        raise InvalidInput(f"is no cron line: {error}") from error


def _first_after(after: Instant, zone: ZoneInfo, times: Iterator[datetime]) -> Instant:
    for local in times:
        at = first_valid(local, zone)
        if at > after:
            return at
    raise InvalidInput("is never due")


def _times(rule: Daily, first: date) -> Iterator[datetime]:
    """The times that the rule names, from the day *first* on."""
    for ahead in range(MOST_DAYS):
        day = first + timedelta(days=ahead)
        right_day = not rule.weekdays or day.weekday() in rule.weekdays
        if right_day and (not rule.dates or day.day in rule.dates):
            yield datetime.combine(day, time(rule.hour, rule.minute))


def _matches(line: str, after: datetime) -> Iterator[datetime]:
    """The times that the line names, later than *after*."""
    # Without a zone: what the library makes of zones goes wrong where clocks are set by half an hour.
    return iter(CronSim(line, after))


def _goes_by_elapsed_time(line: str) -> bool:
    minutes, hours = line.split()[:2]
    return minutes.startswith("*") or hours.startswith("*")


def _next_match(line: str, zone: ZoneInfo, after: Instant) -> Instant:
    """The first instant later than *after* at which the clocks show a time that the line names."""
    local = shown(after, zone)
    forward = next(_later(_matches(line, local), zone, after), None)
    # When the clocks are about to be set back, times that match may be shown a second time before.
    repeat = timedelta(milliseconds=instants(local, zone)[-1] - after)
    if repeat:
        shown_again = takewhile(lambda time: time <= local, _matches(line, local - repeat))
        backward = next(_later(shown_again, zone, after), None)
        if backward is not None and (forward is None or backward < forward):
            return backward
    if forward is None:
        raise InvalidInput("is never due")
    return forward


def _later(times: Iterator[datetime], zone: ZoneInfo, after: Instant) -> Iterator[Instant]:
    return (at for local in times for at in instants(local, zone) if at > after)


__all__ = ["DAYS", "Cron", "Daily", "Interval", "Rule", "check", "digest", "last_fire", "next_fire", "told"]
