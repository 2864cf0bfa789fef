"""Which orchestrator is asked for how much, whatever they do; time is a number here."""

from collections import Counter
from collections.abc import Iterable

import pytest

from avtomatika_worker.conversation.choosing import FIRST_CHANCE, Ask, Chooser, Mode, Rank

A, B, BACKUP = Rank("a", 10, 100), Rank("b", 10, 50), Rank("backup", 20, 10)
NOW = 100.0


def chooser(mode: Mode, *ranks: Rank, known: Iterable[str] = ("a", "b", "backup")) -> Chooser:
    subject = Chooser(mode, ranks or (BACKUP, B, A), NOW)
    for name in known:
        subject.registered(name, True)
    return subject


def limits(subject: Chooser, room: int, now: float = NOW) -> dict[str, int]:
    return {name: subject.ask(name, room, now).limit for name in ("a", "b", "backup")}


@pytest.mark.parametrize("mode", Mode)
def test_a_single_orchestrator_has_all_the_room_however_it_is_doing(mode: Mode) -> None:
    subject = Chooser(mode, [A], NOW)
    subject.lost("a")
    assert subject.ask("a", 7, NOW) == Ask(7)


class TestFailover:
    def test_only_the_first_by_priority_and_then_by_address_gives_work(self) -> None:
        assert limits(chooser(Mode.FAILOVER), 10) == {"a": 10, "b": 0, "backup": 0}

    def test_the_next_one_takes_over_when_one_is_lost_and_gives_way_when_it_is_back(self) -> None:
        subject = chooser(Mode.FAILOVER)
        assert subject.lost("a")
        assert limits(subject, 10) == {"a": 0, "b": 10, "backup": 0}
        assert subject.lost("b")
        assert limits(subject, 10) == {"a": 0, "b": 0, "backup": 10}
        assert subject.reached("b")
        assert limits(subject, 10) == {"a": 0, "b": 10, "backup": 0}
        assert subject.reached("a")
        assert not subject.reached("a")
        assert limits(subject, 10) == {"a": 10, "b": 0, "backup": 0}

    def test_one_that_refuses_is_passed_over_for_as_long_as_it_wants(self) -> None:
        subject = chooser(Mode.FAILOVER)
        subject.refused("a", NOW + 30)
        assert limits(subject, 10, NOW + 29) == {"a": 0, "b": 10, "backup": 0}
        assert subject.due(NOW) == NOW + 30
        assert limits(subject, 10, NOW + 30) == {"a": 10, "b": 0, "backup": 0}
        assert subject.due(NOW + 30) is None

    def test_one_that_refuses_to_give_work_but_answers_otherwise_is_still_passed_over(self) -> None:
        subject = chooser(Mode.FAILOVER)
        subject.refused("a", NOW + 30)
        subject.reached("a")
        assert limits(subject, 10) == {"a": 0, "b": 10, "backup": 0}

    def test_one_that_does_not_know_the_worker_is_passed_over(self) -> None:
        subject = chooser(Mode.FAILOVER)
        assert subject.registered("a", False)
        assert limits(subject, 10) == {"a": 0, "b": 10, "backup": 0}

    def test_at_first_nobody_gives_work_before_the_first_has_had_its_chance(self) -> None:
        subject = chooser(Mode.FAILOVER, known=["b"])
        assert limits(subject, 10) == {"a": 0, "b": 0, "backup": 0}
        assert subject.due(NOW) == NOW + FIRST_CHANCE
        assert limits(subject, 10, NOW + FIRST_CHANCE) == {"a": 0, "b": 10, "backup": 0}

    def test_one_that_has_failed_had_its_chance(self) -> None:
        subject = chooser(Mode.FAILOVER, known=["b"])
        subject.refused("a", NOW + 1)
        assert limits(subject, 10) == {"a": 0, "b": 10, "backup": 0}

    def test_nobody_gives_work_when_all_are_lost(self) -> None:
        subject = chooser(Mode.FAILOVER)
        for name in ("a", "b", "backup"):
            subject.lost(name)
        assert limits(subject, 10) == {"a": 0, "b": 0, "backup": 0}

    def test_the_second_is_asked_for_short_times_only(self) -> None:
        subject = chooser(Mode.FAILOVER)
        assert subject.ask("a", 1, NOW).timeout is None
        timeout = subject.ask("b", 1, NOW).timeout
        assert timeout is not None
        assert timeout <= 5


class TestWaterfall:
    def test_the_first_that_has_work_has_all_the_room(self) -> None:
        assert limits(chooser(Mode.WATERFALL), 10) == {"a": 10, "b": 0, "backup": 0}

    def test_one_without_work_leaves_the_room_to_the_next_but_for_one_task(self) -> None:
        subject = chooser(Mode.WATERFALL)
        subject.brought("a", 0)
        assert limits(subject, 10) == {"a": 1, "b": 10, "backup": 0}
        subject.brought("b", 0)
        assert limits(subject, 10) == {"a": 1, "b": 1, "backup": 10}
        subject.brought("a", 1)
        assert limits(subject, 9) == {"a": 9, "b": 1, "backup": 0}

    def test_all_are_asked_while_none_has_work(self) -> None:
        subject = chooser(Mode.WATERFALL)
        for name in ("a", "b", "backup"):
            subject.brought(name, 0)
        assert limits(subject, 10) == {"a": 10, "b": 1, "backup": 1}

    def test_a_lost_one_is_passed_over(self) -> None:
        subject = chooser(Mode.WATERFALL)
        subject.lost("a")
        assert limits(subject, 10) == {"a": 0, "b": 10, "backup": 0}


def served(subject: Chooser, rounds: int, room: int, names: Iterable[str] = ("a", "b", "backup")) -> str:
    """Everybody has more work than is asked for; the room is free again at once."""
    order = ""
    for _ in range(rounds):
        asked = {name: subject.ask(name, room, NOW).limit for name in names}
        for name, limit in asked.items():
            if limit:
                order += name[0] * limit if name != "backup" else "X" * limit
                subject.brought(name, limit)
    return order


class TestRoundRobin:
    def test_work_comes_by_weight(self) -> None:
        counts = Counter(served(chooser(Mode.ROUND_ROBIN), 160, 10))
        assert counts == {"a": 1000, "b": 500, "X": 100}

    def test_the_weights_are_smooth(self) -> None:
        order = served(chooser(Mode.ROUND_ROBIN, A, B, known=["a", "b"]), 9, 1, ["a", "b"])
        for count in range(1, 10):
            assert abs(order[:count].count("a") - count * 2 / 3) < 1

    def test_every_slot_is_shared_out(self) -> None:
        subject = chooser(Mode.ROUND_ROBIN)
        for room in range(1, 40):
            assert sum(limits(subject, room).values()) == room

    def test_one_without_work_leaves_its_part_to_the_others_but_for_one_task(self) -> None:
        subject = chooser(Mode.ROUND_ROBIN, A, B, known=["a", "b"])
        subject.brought("a", 0)
        assert subject.ask("b", 10, NOW).limit == 10
        assert subject.ask("a", 10, NOW).limit == 1

    def test_one_that_had_no_work_for_long_is_owed_nothing(self) -> None:
        subject = chooser(Mode.ROUND_ROBIN, A, B, known=["a", "b"])
        subject.brought("a", 0)
        served(subject, 100, 10, ["b"])
        subject.brought("a", 1)
        assert Counter(served(subject, 30, 1, ["a", "b"]))["b"] >= 9

    def test_those_that_are_well_share_the_room_of_a_lost_one(self) -> None:
        subject = chooser(Mode.ROUND_ROBIN)
        subject.lost("b")
        assert sum(limits(subject, 11).values()) == 11
        assert limits(subject, 11)["b"] == 0

    def test_what_a_poll_that_stands_has_asked_for_is_not_given_away_again(self) -> None:
        subject = chooser(Mode.ROUND_ROBIN, A, B, known=["a", "b"])
        subject.asking("a", 7)
        assert subject.ask("b", 10, NOW).limit <= 3
        subject.settled("a")
        subject.asking("a", 0)
        assert subject.ask("b", 10, NOW).limit >= 3

    def test_a_thousand_slots_are_shared_out_at_once(self) -> None:
        assert sum(limits(chooser(Mode.ROUND_ROBIN), 1_000).values()) == 1_000
