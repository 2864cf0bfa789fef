"""The load of the machine is measured beside the event loop, and told when it differs."""

import threading
import time

import pytest

from avtomatika_worker.config import WorkerConfig
from avtomatika_worker.machine.profile import Profile
from avtomatika_worker.machine.usage import Deadband, UsageMeter
from avtomatika_worker.running.capacity import Openings
from avtomatika_worker.skills.hot_cache import HotCache
from avtomatika_worker.skills.skills import Catalog, SkillBlueprint
from rxon.messages import DeviceUsage, ResourcesUsage


def gpu(load: float = 50, memory: float = 10.0, unit: str = "0") -> DeviceUsage:
    return DeviceUsage(unit, load, {"memory_used_gb": memory})


def usage(cpu: float = 50, ram: float = 10.0, *gpus: DeviceUsage) -> ResourcesUsage:
    return ResourcesUsage(cpu, ram, gpus or None)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (usage(cpu=50), usage(cpu=55), False),
        (usage(cpu=50), usage(cpu=55.1), True),
        (usage(cpu=50), usage(cpu=44.9), True),
        (usage(ram=10.0), usage(ram=10.5), False),
        (usage(ram=10.0), usage(ram=10.6), True),
        (usage(ram=10.0), usage(ram=9.4), True),
        (usage(ram=0.0), usage(ram=0.1), True),
        (usage(50, 10, gpu(load=50)), usage(50, 10, gpu(load=55)), False),
        (usage(50, 10, gpu(load=50)), usage(50, 10, gpu(load=56)), True),
        (usage(50, 10, gpu(memory=10)), usage(50, 10, gpu(memory=10.5)), False),
        (usage(50, 10, gpu(memory=10)), usage(50, 10, gpu(memory=11)), True),
        (usage(50, 10, gpu()), usage(50, 10), True),
        (usage(50, 10, gpu()), usage(50, 10, gpu(), gpu(unit="1")), True),
        (usage(50, 10, DeviceUsage("0", 5)), usage(50, 10, DeviceUsage("0", 5)), False),
    ],
)
def test_news_are_told_when_they_differ_enough(
    before: ResourcesUsage, after: ResourcesUsage, told: bool
) -> None:
    deadband = Deadband(5.0, 60.0)
    assert deadband.news(before, 0.0) is before
    assert (deadband.news(after, 1.0) is after) is told


def test_small_steps_are_told_once_they_add_up() -> None:
    deadband = Deadband(5.0, 60.0)
    told = [deadband.news(usage(cpu=cpu), 1.0) is not None for cpu in (50, 53, 56, 59, 62)]
    assert told == [True, False, True, False, True]


def test_after_a_while_everything_is_told_again() -> None:
    deadband = Deadband(5.0, 60.0)
    assert [deadband.news(usage(), now) is not None for now in (0.0, 59.9, 60.0, 61.0)] == [
        True,
        False,
        True,
        False,
    ]


def test_a_width_of_nothing_tells_every_change() -> None:
    deadband = Deadband(0.0, 60.0)
    assert [deadband.news(usage(cpu=cpu), 0.0) is not None for cpu in (50, 50, 50.1)] == [True, False, True]


def metered(latest: ResourcesUsage | None) -> tuple[UsageMeter, Profile]:
    meter = UsageMeter(lambda: None, 1.0)
    meter.latest = latest
    skills = SkillBlueprint()
    return meter, Profile(WorkerConfig({}), "cpu", Catalog(skills), HotCache(), None, meter)


def test_what_one_orchestrator_was_told_does_not_count_for_another() -> None:
    _, profile = metered(usage())
    one, two = profile.for_connection(), profile.for_connection()
    told = [each.heartbeat(Openings(1), ()).usage is not None for each in (one, one, two, two)]
    assert told == [True, False, True, False]


def test_an_orchestrator_that_forgot_the_worker_is_told_again() -> None:
    _, profile = metered(usage())
    assert profile.heartbeat(Openings(1), ()).usage is not None
    profile.registration(Openings(1))
    assert profile.heartbeat(Openings(1), ()).usage is not None


def test_what_is_not_known_is_not_told() -> None:
    assert metered(None)[1].heartbeat(Openings(1), ()).usage is None


def test_measuring_takes_place_in_a_thread_of_its_own() -> None:
    threads: list[threading.Thread] = []
    measured = threading.Event()

    def checker() -> ResourcesUsage:
        threads.append(threading.current_thread())
        measured.set()
        return usage()

    meter = UsageMeter(checker, 0.001)
    with meter.running():
        assert measured.wait(5)
    assert threads[0] is not threading.main_thread()
    assert threads[0].daemon
    threads[0].join(5)
    assert not threads[0].is_alive()
    assert meter.latest == usage()


def test_a_checker_that_fails_is_complained_about_once_and_asked_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls: list[float] = []
    enough = threading.Event()

    def checker() -> None:
        calls.append(time.monotonic())
        if len(calls) >= 4:
            enough.set()
        raise RuntimeError("the driver hangs")

    meter = UsageMeter(checker, 0.001)
    with meter.running():
        assert enough.wait(5)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert meter.latest is None
