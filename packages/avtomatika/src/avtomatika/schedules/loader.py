"""`schedules.toml`: a table for each schedule. Everything that is wrong with it is reported at once."""

import json
import math
import re
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from msgspec import Raw

from avtomatika.errors import ConfigError, InvalidInput
from avtomatika.kernel.model import Data
from avtomatika.kernel.time import Span, seconds
from avtomatika.schedules.rule import DAYS, Cron, Daily, Interval, Rule, check
from avtomatika.schedules.schedule import CLIENT, CatchUp, Overlap, Schedule
from avtomatika.schedules.zone import zone_of

T = TypeVar("T")

MAX_NAME: Final = 128
MOST_SECONDS: Final = 10**9
MOST_JITTER: Final = 86_400
KINDS: Final = ("interval_seconds", "daily_at", "time", "cron")

_TIME: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


def load(path: Path, *, zone: str, blueprints: Collection[str]) -> tuple[Schedule, ...]:
    """The schedules of the file; *zone* is that of schedules which name none.

    Raises ConfigError that names every problem by schedule and field.
    """
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    problems: list[str] = []
    zone = _default_zone(zone, problems)
    read = [_schedule(name, table, zone, blueprints, problems) for name, table in tables.items()]
    if problems:
        raise ConfigError(f"{path} is not usable. " + "; ".join(problems))
    return tuple(schedule for schedule in read if schedule is not None)


def _default_zone(name: str, problems: list[str]) -> str:
    try:
        return zone_of(name).key
    except InvalidInput as error:
        problems.append(f"TZ: {error.message}")
        return "UTC"


class _Table:
    """Fields are taken one by one; what nobody took is unknown."""

    def __init__(self, name: str, values: Mapping[str, Any], problems: list[str]) -> None:
        self._name, self._values, self._problems = name, dict(values), problems
        self.sound = True

    def problem(self, field: str, what: str) -> None:
        self._problems.append(f"{self._name}.{field}: {what}")
        self.sound = False

    def has(self, field: str) -> bool:
        return field in self._values

    def take(self, field: str, default: T, parse: Callable[[Any], T], what: str = "") -> T:
        if field not in self._values:
            return default
        value = self._values.pop(field)
        try:
            return parse(value)
        except InvalidInput as error:
            self.problem(field, error.message)
        except (ValueError, TypeError, OverflowError):
            self.problem(field, f"must be {what}, not {value!r}")
        return default

    def finish(self) -> None:
        for field in self._values:
            self.problem(field, "there is no such field")


def _schedule(
    name: str, values: Any, zone: str, blueprints: Collection[str], problems: list[str]
) -> Schedule | None:
    if not isinstance(values, dict):
        problems.append(f"{name}: is no table")
        return None
    table = _Table(name, cast("dict[str, Any]", values), problems)
    if not (0 < len(name) <= MAX_NAME and name.isprintable()):
        problems.append(f"{name!r}: a name has 1 to {MAX_NAME} printable characters")
    blueprint = table.take("blueprint", "", _text, "a text")
    if not blueprint and table.sound:
        table.problem("blueprint", "is missing")
    elif table.sound and blueprint not in blueprints:
        table.problem("blueprint", f"there is no blueprint {blueprint!r}")
    rule = _rule(table, zone)
    limit = f"a number of seconds above 0, up to {MOST_SECONDS}"
    schedule = Schedule(
        name=name,
        blueprint=blueprint,
        rule=rule,
        catch_up=table.take("catch_up", CatchUp.ONE, CatchUp, _one_of(tuple(CatchUp))),
        overlap=table.take("overlap", Overlap.ALLOW, Overlap, _one_of(tuple(Overlap))),
        jitter=_jitter(table, rule),
        input=table.take("input_data", {}, _data, "a table that JSON can hold"),
        dispatch_timeout=table.take("dispatch_timeout", None, _limit, limit),
        result_timeout=table.take("result_timeout", None, _limit, limit),
        priority=table.take("priority", 0.0, _number, "a number"),
        labels=table.take("labels", {}, _labels, "a table of texts"),
        client=table.take("client", CLIENT, _text, "a text"),
    )
    table.finish()
    return schedule if table.sound else None


def _rule(table: _Table, default_zone: str) -> Rule:
    zone = table.take("timezone", default_zone, _zone, "the name of a time zone")
    given = [kind for kind in KINDS if table.has(kind)]
    if len(given) != 1:
        table.problem("rule", f"needs one of {', '.join(KINDS)}, and has {' and '.join(given) or 'none'}")
    every = table.take("interval_seconds", 0, _whole, f"a whole number from 1 to {MOST_SECONDS}")
    hour, minute = table.take("time", (0, 0), _time, "a time HH:MM")
    hour, minute = table.take("daily_at", (hour, minute), _time, "a time HH:MM")
    line = table.take("cron", "", _text, "a text")
    any_day: tuple[int, ...] = ()
    weekdays = table.take("weekly_days", any_day, _weekdays, f"a list of some of {', '.join(DAYS)}")
    dates = table.take("monthly_dates", any_day, _dates, "a list of whole numbers from 1 to 31")
    if "interval_seconds" in given:
        _refuse_days(table, weekdays, dates)
        return Interval(every)
    if "cron" in given:
        _refuse_days(table, weekdays, dates)
        return _checked(table, Cron(" ".join(line.split()), zone))
    return Daily(hour, minute, zone, weekdays, dates)


def _refuse_days(table: _Table, weekdays: tuple[int, ...], dates: tuple[int, ...]) -> None:
    for field, days in (("weekly_days", weekdays), ("monthly_dates", dates)):
        if days:
            table.problem(field, "goes only with daily_at or time")


def _checked(table: _Table, rule: Cron) -> Cron:
    try:
        check(rule)
    except InvalidInput as error:
        table.problem("cron", error.message)
    return rule


def _jitter(table: _Table, rule: Rule) -> Span:
    jitter = table.take("jitter_seconds", Span(0), _delay, f"a number of seconds from 0 to {MOST_JITTER}")
    if isinstance(rule, Interval) and 0 < seconds(rule.seconds) <= jitter:
        table.problem("jitter_seconds", "must be less than interval_seconds")
    return jitter


def _one_of(choices: Collection[str]) -> str:
    return f"one of {', '.join(choices)}"


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError
    return value


def _whole(value: Any) -> int:
    if type(value) is not int or not 1 <= value <= MOST_SECONDS:
        raise ValueError
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError
    return float(value)


def _limit(value: Any) -> Span:
    if not 0 < _number(value) <= MOST_SECONDS:
        raise ValueError
    return max(Span(1), seconds(value))


def _delay(value: Any) -> Span:
    if not 0 <= _number(value) <= MOST_JITTER:
        raise ValueError
    return seconds(value)


def _zone(value: Any) -> str:
    return zone_of(_text(value)).key


def _time(value: Any) -> tuple[int, int]:
    found = _TIME.fullmatch(_text(value))
    if found is None:
        raise ValueError
    return int(found[1]), int(found[2])


def _listed(value: Any) -> Sequence[Any]:
    if not isinstance(value, list) or not value:
        raise ValueError
    return cast("Sequence[Any]", value)


def _weekdays(value: Any) -> tuple[int, ...]:
    return tuple(sorted({DAYS.index(_text(day).lower()) for day in _listed(value)}))


def _dates(value: Any) -> tuple[int, ...]:
    days = {_whole(day) for day in _listed(value)}
    if max(days) > 31:
        raise ValueError
    return tuple(sorted(days))


def _members(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError
    return cast("dict[str, Any]", value)


def _data(value: Any) -> Data:
    return {name: _encoded(member) for name, member in _members(value).items()}


def _encoded(value: Any) -> Raw:
    # Dates and times, which TOML has and JSON has not, become text.
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, default=lambda moment: moment.isoformat())
    return Raw(text.encode())


def _labels(value: Any) -> Mapping[str, str]:
    return {name: _text(label) for name, label in _members(value).items()}
