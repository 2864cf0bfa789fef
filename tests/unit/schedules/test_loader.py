"""`schedules.toml`: what it may say, and that everything that is wrong is reported at once."""

from pathlib import Path

import msgspec
import pytest
from msgspec import Raw

from avtomatika.errors import ConfigError
from avtomatika.kernel.time import Span
from avtomatika.schedules.loader import load
from avtomatika.schedules.rule import Cron, Daily, Interval, Rule
from avtomatika.schedules.schedule import CatchUp, Overlap, Schedule

BERLIN = "Europe/Berlin"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "schedules.toml"


def read(file: Path, text: str, zone: str = BERLIN) -> tuple[Schedule, ...]:
    file.write_text(text, "utf-8")
    return load(file, zone=zone, blueprints=("thumbs", "films"))


def problems(file: Path, text: str, zone: str = BERLIN) -> list[str]:
    """What is wrong, in the order in which it is told."""
    with pytest.raises(ConfigError) as caught:
        read(file, text, zone)
    head, _, told = caught.value.message.partition(" is not usable. ")
    assert head == str(file)
    return told.split("; ")


def test_a_file_of_earlier_versions_means_what_it_meant(file: Path) -> None:
    text = """
        [nightly]
        blueprint = "thumbs"
        daily_at = "02:00"
        weekly_days = ["mon", "fri"]
        input_data = { src = "s3://bkt/nightly/" }
        dispatch_timeout = 60
    """
    expected = Schedule(
        name="nightly",
        blueprint="thumbs",
        rule=Daily(2, 0, BERLIN, weekdays=(0, 4)),
        input={"src": Raw(b'"s3://bkt/nightly/"')},
        dispatch_timeout=Span(60_000),
    )
    assert read(file, text) == (expected,)


def test_every_field_is_read(file: Path) -> None:
    text = """
        ["every quarter of an hour"]
        blueprint = "films"
        cron = " */15  *  * * mon-fri"
        timezone = "America/New_York"
        catch_up = "all"
        overlap = "skip"
        jitter_seconds = 2.5
        result_timeout = 0.5
        priority = 3
        labels = { team = "a" }
        client = "acme"
    """
    expected = Schedule(
        name="every quarter of an hour",
        blueprint="films",
        rule=Cron("*/15 * * * mon-fri", "America/New_York"),
        catch_up=CatchUp.ALL,
        overlap=Overlap.SKIP,
        jitter=Span(2_500),
        result_timeout=Span(500),
        priority=3.0,
        labels={"team": "a"},
        client="acme",
    )
    assert read(file, text) == (expected,)


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ("interval_seconds = 90", Interval(90)),
        ('time = "23:59"', Daily(23, 59, BERLIN)),
        ('daily_at = "00:00"\nmonthly_dates = [31, 1, 1]', Daily(0, 0, BERLIN, dates=(1, 31))),
        ('daily_at = "00:00"\nweekly_days = ["Sun", "mon"]', Daily(0, 0, BERLIN, weekdays=(0, 6))),
        ('daily_at = "00:00"\ntimezone = "UTC"', Daily(0, 0, "UTC")),
    ],
)
def test_each_kind_of_rule_can_be_written(file: Path, fields: str, rule: Rule) -> None:
    (schedule,) = read(file, f'[s]\nblueprint = "films"\n{fields}')
    assert schedule.rule == rule


def test_schedules_keep_their_order_and_none_is_none(file: Path) -> None:
    text = "".join(f'[{name}]\nblueprint = "films"\ninterval_seconds = 9\n' for name in "zay")
    assert [schedule.name for schedule in read(file, text)] == ["z", "a", "y"]
    assert read(file, "# nothing yet") == ()


def test_input_keeps_its_types_and_moments_become_text(file: Path) -> None:
    data = '{ a = 1, b = 1.5, c = [true, "ü"], d = { e = 2026-03-01 }, f = 2026-03-01T02:00:00Z }'
    (schedule,) = read(file, f'[s]\nblueprint = "films"\ninterval_seconds = 9\ninput_data = {data}')
    assert {name: msgspec.json.decode(value) for name, value in schedule.input.items()} == {
        "a": 1,
        "b": 1.5,
        "c": [True, "ü"],
        "d": {"e": "2026-03-01"},
        "f": "2026-03-01T02:00:00+00:00",
    }


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ("", "s.rule: needs one of interval_seconds, daily_at, time, cron, and has none"),
        (
            'cron = "* * * * *"\ninterval_seconds = 9',
            "s.rule: needs one of interval_seconds, daily_at, time, cron, and has interval_seconds and cron",
        ),
        ("interval_seconds = 0", "s.interval_seconds: must be a whole number from 1 to 1000000000, not 0"),
        (
            "interval_seconds = true",
            "s.interval_seconds: must be a whole number from 1 to 1000000000, not True",
        ),
        (
            "interval_seconds = 1.5",
            "s.interval_seconds: must be a whole number from 1 to 1000000000, not 1.5",
        ),
        ('daily_at = "24:00"', "s.daily_at: must be a time HH:MM, not '24:00'"),
        ('time = "2:00"', "s.time: must be a time HH:MM, not '2:00'"),
        ("time = 02:00:00", "s.time: must be a time HH:MM, not datetime.time(2, 0)"),
        ('cron = "61 * * * *"', "s.cron: is no cron line: Bad minute"),
        (
            'cron = "0 2 * * * *"',
            "s.cron: must have 5 fields: minute, hour, date, month, day of the week",
        ),
        ('cron = "* * */20 * 1L"', "s.cron: is never due"),
        (
            'time = "02:00"\nweekly_days = ["monday"]',
            "s.weekly_days: must be a list of some of mon, tue, wed, thu, fri, sat, sun, not ['monday']",
        ),
        (
            'time = "02:00"\nmonthly_dates = [32]',
            "s.monthly_dates: must be a list of whole numbers from 1 to 31, not [32]",
        ),
        (
            'time = "02:00"\nmonthly_dates = []',
            "s.monthly_dates: must be a list of whole numbers from 1 to 31, not []",
        ),
        ('interval_seconds = 9\nweekly_days = ["mon"]', "s.weekly_days: goes only with daily_at or time"),
        ('cron = "* * * * *"\nmonthly_dates = [1]', "s.monthly_dates: goes only with daily_at or time"),
        (
            'time = "02:00"\ntimezone = "Europe/Bielefeld"',
            "s.timezone: there is no time zone 'Europe/Bielefeld'",
        ),
        ('time = "02:00"\ntimezone = "Europe"', "s.timezone: there is no time zone 'Europe'"),
        ('time = "02:00"\ntimezone = "../UTC"', "s.timezone: there is no time zone '../UTC'"),
        ('interval_seconds = 9\ncatch_up = "two"', "s.catch_up: must be one of skip, one, all, not 'two'"),
        ('interval_seconds = 9\noverlap = "no"', "s.overlap: must be one of allow, skip, not 'no'"),
        ("interval_seconds = 9\njitter_seconds = 9", "s.jitter_seconds: must be less than interval_seconds"),
        (
            "interval_seconds = 9\njitter_seconds = -1",
            "s.jitter_seconds: must be a number of seconds from 0 to 86400, not -1",
        ),
        ("interval_seconds = 9\npriority = nan", "s.priority: must be a number, not nan"),
        (
            "interval_seconds = 9\nresult_timeout = 0",
            "s.result_timeout: must be a number of seconds above 0, up to 1000000000, not 0",
        ),
        (
            "interval_seconds = 9\ninput_data = [1]",
            "s.input_data: must be a table that JSON can hold, not [1]",
        ),
        (
            "interval_seconds = 9\ninput_data = { a = inf }",
            "s.input_data: must be a table that JSON can hold, not {'a': inf}",
        ),
        ("interval_seconds = 9\nlabels = { a = 1 }", "s.labels: must be a table of texts, not {'a': 1}"),
        ("interval_seconds = 9\nintreval = 1", "s.intreval: there is no such field"),
        ("interval_seconds = 9\n[s.options]", "s.options: there is no such field"),
    ],
)
def test_what_is_wrong_is_told_by_schedule_and_field(file: Path, fields: str, problem: str) -> None:
    assert problems(file, f'[s]\nblueprint = "films"\n{fields}') == [problem]


def test_a_blueprint_is_there_and_is_one_that_is_served(file: Path) -> None:
    rest = "interval_seconds = 9"
    assert problems(file, f"[s]\n{rest}") == ["s.blueprint: is missing"]
    assert problems(file, f'[s]\nblueprint = "x"\n{rest}') == ["s.blueprint: there is no blueprint 'x'"]
    assert problems(file, f"[s]\nblueprint = 1\n{rest}") == ["s.blueprint: must be a text, not 1"]


def test_everything_is_told_at_once(file: Path) -> None:
    text = """
        stray = 1
        [a]
        blueprint = "nobody"
        interval_seconds = -1
        [b]
        cron = "nonsense"
        colour = "red"
    """
    assert problems(file, text, zone="CET-1CEST") == [
        "TZ: there is no time zone 'CET-1CEST'",
        "stray: is no table",
        "a.blueprint: there is no blueprint 'nobody'",
        "a.interval_seconds: must be a whole number from 1 to 1000000000, not -1",
        "b.blueprint: is missing",
        "b.cron: must have 5 fields: minute, hour, date, month, day of the week",
        "b.colour: there is no such field",
    ]


@pytest.mark.parametrize("name", ["", "x" * 129, "a\\nb"])
def test_a_name_can_be_shown(file: Path, name: str) -> None:
    (problem,) = problems(file, f'["{name}"]\nblueprint = "films"\ninterval_seconds = 9')
    assert problem.endswith("a name has 1 to 128 printable characters")


def test_a_file_that_is_none_or_no_toml_is_told_by_name(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"schedules\.toml cannot be read: No such file"):
        load(file, zone="UTC", blueprints=())
    with pytest.raises(ConfigError, match=r"schedules\.toml is not TOML: .*line 2"):
        read(file, "[s]\na b")
    file.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"schedules\.toml is not TOML"):
        load(file, zone="UTC", blueprints=())
