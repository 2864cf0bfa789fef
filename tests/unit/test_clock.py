"""The names of the real world are in order, and nobody can guess them."""

import uuid

from avtomatika.clock import SystemClock, SystemNames
from avtomatika.kernel.time import Instant


def test_jobs_of_one_moment_sort_by_creation() -> None:
    names = SystemNames()
    made = [names.job(Instant(1_790_000_000_000)) for _ in range(50_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_jobs_of_later_moments_come_later() -> None:
    names = SystemNames()
    made = [names.job(Instant(moment)) for moment in range(1_000, 3_000)]
    assert made == sorted(made)


def test_names_are_uuids_of_version_7_that_tell_the_moment() -> None:
    names = SystemNames()
    for number in range(1_000):
        name = uuid.UUID(names.job(Instant(1_790_000_000_000 + number // 10)))
        assert (name.version, name.variant) == (7, uuid.RFC_4122)
        assert name.int >> 80 == 1_790_000_000_000 + number // 10


def test_two_processes_name_the_jobs_of_one_moment_differently() -> None:
    one, other = SystemNames(), SystemNames()
    assert {one.job(Instant(5)) for _ in range(1_000)}.isdisjoint(other.job(Instant(5)) for _ in range(1_000))


def test_tokens_have_144_bits_and_never_come_twice() -> None:
    names = SystemNames()
    made = {names.token() for _ in range(10_000)}
    assert len(made) == 10_000
    assert {len(token) for token in made} == {24}


def test_a_clock_follows_another_and_never_runs_backwards() -> None:
    clock = SystemClock()
    before = clock.now()
    clock.follow(before + 3_600_000 - clock.uptime())
    ahead = clock.now()
    assert ahead >= before + 3_600_000
    clock.follow(before - clock.uptime())
    assert ahead <= clock.now() < ahead + 60_000
