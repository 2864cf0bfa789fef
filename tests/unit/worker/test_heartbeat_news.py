"""Changes of what is loaded are told soon, but not all the time; and how long too many calls are paused."""

import threading

from avtomatika_worker.conversation.backoff import Backoff, Lane
from avtomatika_worker.conversation.session import Session
from avtomatika_worker.conversation.steps import Beat, Pace, Wait
from avtomatika_worker.skills.hot_cache import HotCache
from rxon.errors import RateLimitError, UnavailableError
from rxon.messages import HeartbeatAnswer

PACE = Pace(heartbeat_interval=15.0, beat_debounce=0.1, beat_cooldown=2.0)


def beaten(at: float) -> Session:
    """A session that was registered at 0 and has sent a heartbeat at that moment."""
    session = Session(PACE, lambda: 0.0)
    session.register_answered(0.0)
    session.beat_answered(Beat((), full=False), HeartbeatAnswer("ok"), at)
    return session


def test_a_change_is_told_after_the_debounce_delay() -> None:
    session = Session(PACE, lambda: 0.0)
    session.register_answered(0.0)
    session.changed(5.0)
    assert session.next_beat(5.0) == Wait(5.1)
    assert isinstance(session.next_beat(5.1), Beat)


def test_changes_in_a_row_are_told_together() -> None:
    session = Session(PACE, lambda: 0.0)
    session.register_answered(0.0)
    for now in (5.0, 5.05, 5.09):
        session.changed(now)
    assert session.next_beat(5.09) == Wait(5.1)


def test_after_a_heartbeat_the_next_one_is_not_sent_before_the_cool_down_is_over() -> None:
    session = beaten(at=5.0)
    session.changed(5.5)
    assert session.next_beat(5.6) == Wait(7.0)


def test_a_change_puts_no_heartbeat_off() -> None:
    session = beaten(at=5.0)
    session.changed(19.95)
    assert session.next_beat(19.99) == Wait(20.0)


def test_before_the_registration_nothing_is_told() -> None:
    session = Session(PACE, lambda: 0.0)
    session.changed(5.0)
    assert session.next_beat(6.0) == Wait()


def test_only_another_set_of_models_is_a_change() -> None:
    cache, changes = HotCache(), []
    cache.on_change = lambda: changes.append(cache.models)
    cache.add("a")
    cache.add("a")
    cache.remove("b")
    cache.remove("a")
    assert changes == [{"a"}, set()]


def test_models_of_many_threads_are_all_kept() -> None:
    cache = HotCache()
    start = threading.Barrier(4)

    def add(name: str) -> None:
        start.wait()
        for n in range(300):
            cache.add(f"{name}{n}")

    threads = [threading.Thread(target=add, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(cache.models) == 1200


def lane() -> Lane:
    return Lane(Backoff(1.0, 60.0, 2.0, lambda: 0.0), lambda: 0.0, floor=30.0)


def test_too_many_calls_are_followed_by_the_floor_where_the_server_says_nothing() -> None:
    subject = lane()
    subject.failed(RateLimitError("slow down", details={"retry_after": None}), 0.0)
    assert subject.next_at == 30.0


def test_what_the_server_says_comes_before_the_floor() -> None:
    subject = lane()
    subject.failed(RateLimitError("slow down", retry_after=2.0, details={"retry_after": "2"}), 0.0)
    assert subject.next_at == 2.0


def test_the_floor_is_for_too_many_calls_only() -> None:
    subject = lane()
    subject.failed(UnavailableError("busy", details={"retry_after": None}), 0.0)
    assert subject.next_at == 1.0
