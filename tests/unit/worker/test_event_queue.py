"""Which event goes out next, and what becomes of those that do not."""

import msgspec
import pytest

from avtomatika_worker.conversation.event_queue import MAX_EVENTS, EventQueue
from avtomatika_worker.conversation.steps import Pace, Wait
from rxon.errors import ProtocolError, StaleLeaseError, TransportError, UnavailableError
from rxon.messages import EventAnswer, WorkerEvent
from rxon.vocabulary import EventStatus

ACCEPTED = EventAnswer(EventStatus.ACCEPTED)
DAY = 86_400


def event(n: object, task: str = "t", name: str = "found") -> WorkerEvent:
    return WorkerEvent(
        event_id=str(n),
        worker_id="w",
        origin_worker_id="w",
        event_type=name,
        payload=msgspec.Raw(b"{}"),
        target_task_id=task,
    )


def progress(n: object, task: str = "t") -> WorkerEvent:
    return event(n, task, "progress")


class Queue(EventQueue):
    """Retries at once, and can be asked for names."""

    def __init__(self, retries: int = 2) -> None:
        super().__init__(Pace(result_initial=1.0, result_retries=retries), lambda: 0.0)

    def sent(self, now: float = 0.0) -> str:
        """The id of the next event, which is accepted; or nothing."""
        due = self.next(now)
        if isinstance(due, Wait):
            return ""
        self.answered(ACCEPTED)
        return due.event_id


def test_events_are_sent_in_their_order_and_before_progress() -> None:
    queue = Queue()
    for each in (progress("p"), event(1), event(2, "other"), event(3)):
        queue.add(each)
    assert [queue.sent() for _ in range(5)] == ["1", "2", "3", "p", ""]


def test_of_progress_only_the_newest_of_each_task_is_sent() -> None:
    queue = Queue()
    for n in range(5):
        queue.add(progress(f"a{n}", "a"))
        queue.add(progress(f"b{n}", "b"))
    assert sorted([queue.sent(), queue.sent()]) == ["a4", "b4"]
    assert queue.next(0.0) == Wait()


def test_a_task_that_never_rests_sends_some_hundred_times_a_day() -> None:
    queue, now, count = Queue(), 0.0, 0
    while now < DAY:
        queue.add(progress(count))
        due = queue.next(now)
        if isinstance(due, Wait):
            assert due.until is not None
            now = due.until
        else:
            queue.answered(ACCEPTED)
            count += 1
    assert 100 < count < 600


def test_the_last_progress_of_a_task_that_is_over_does_not_wait() -> None:
    queue, called = Queue(), list[str]()
    queue.add(progress(1))
    assert queue.sent() == "1"
    queue.add(progress(2))
    assert queue.next(0.0) == Wait(0.25)
    queue.after("t", lambda: called.append("result"))
    assert (queue.sent(), called) == ("2", ["result"])


def test_the_result_of_a_task_comes_after_its_events_only() -> None:
    queue, called = Queue(), list[str]()
    queue.add(event(1, "other"))
    queue.after("t", lambda: called.append("nothing to wait for"))
    assert called == ["nothing to wait for"]
    queue.add(event(2))
    assert queue.sent() == "1"
    queue.after("t", lambda: called.append("after 2"))
    assert queue.next(0.0) == event(2)
    assert len(called) == 1
    queue.answered(ACCEPTED)
    assert called[1:] == ["after 2"]


def test_what_a_task_that_is_over_has_told_goes_before_the_rest() -> None:
    queue, called = Queue(), list[str]()
    for each in (event(1, "busy"), event(2, "done"), progress(3, "done"), event(4, "busy"), event(5, "done")):
        queue.add(each)
    queue.after("done", lambda: called.append("result"))
    assert [queue.sent(), queue.sent(), queue.sent(), *called] == ["2", "5", "3", "result"]
    assert [queue.sent(), queue.sent(), queue.sent()] == ["1", "4", ""]


def test_an_event_is_kept_for_as_long_as_the_server_is_away() -> None:
    queue = Queue()
    queue.add(event(1))
    queue.add(event(2))
    for attempt in range(20):
        assert queue.next(attempt * 100.0) == event(1)
        queue.failed(TransportError("away"), attempt * 100.0)
    assert isinstance(queue.next(1900.0), Wait)
    assert [queue.sent(3000.0), queue.sent(3000.0)] == ["1", "2"]


def test_an_event_that_the_server_fails_on_again_and_again_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    queue = Queue(retries=2)
    queue.add(event(1))
    queue.add(event(2))
    for attempt in range(3):
        assert queue.next(attempt * 100.0) == event(1)
        queue.failed(UnavailableError("full"), attempt * 100.0)
    assert queue.sent(1000.0) == "2"
    assert "'found' of task t is lost: full" in caplog.text


def test_an_event_that_breaks_connections_to_a_server_that_answers_otherwise_is_lost() -> None:
    queue, called = Queue(retries=2), list[str]()
    queue.add(event(1))
    queue.after("t", lambda: called.append("result"))
    for attempt in range(3):
        assert (queue.next(attempt * 100.0), called) == (event(1), [])
        queue.reached()
        queue.failed(TransportError("reset"), attempt * 100.0)
    assert (called, queue.next(1000.0)) == (["result"], Wait())


def test_an_event_is_sent_at_once_when_the_server_is_back() -> None:
    queue = Queue()
    queue.add(event(1))
    queue.next(0.0)
    queue.failed(TransportError("away"), 0.0)
    assert isinstance(queue.next(0.0), Wait)
    queue.reached()
    assert queue.next(0.0) == event(1)


def test_a_failing_server_gets_the_results_of_all_tasks_that_are_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue, called = Queue(retries=0), list[str]()
    for each in (event("a1", "a"), event("a2", "a"), event("b1", "b"), progress("b2", "b"), event("c1", "c")):
        queue.add(each)
    for task in "ab":
        queue.after(task, lambda task=task: called.append(task))  # type: ignore[misc]
    queue.next(0.0)
    queue.failed(UnavailableError("full"), 0.0)
    assert sorted(called) == ["a", "b"]
    assert caplog.text.count("is lost: full") == 3
    assert [queue.sent(100.0), queue.sent(100.0)] == ["c1", ""]


@pytest.mark.parametrize("error", [StaleLeaseError("gone"), ProtocolError("no")])
def test_an_event_that_is_refused_is_lost_and_the_next_one_goes_at_once(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    queue, called = Queue(), list[str]()
    queue.add(event(1))
    queue.add(event(2, "other"))
    queue.after("t", lambda: called.append("result"))
    queue.next(0.0)
    queue.failed(error, 0.0)  # type: ignore[arg-type]
    assert (called, queue.sent(0.0)) == (["result"], "2")
    assert "is lost" in caplog.text


def test_progress_that_failed_is_sent_again_unless_there_is_newer_or_the_task_is_over() -> None:
    queue, called = Queue(), list[str]()
    queue.add(progress(1))
    queue.next(0.0)
    queue.failed(TransportError("away"), 0.0)
    assert queue.next(10.0) == progress(1)
    queue.add(progress(2))
    queue.failed(TransportError("away"), 10.0)
    assert queue.next(20.0) == progress(2)
    queue.after("t", lambda: called.append("result"))
    queue.failed(TransportError("away"), 20.0)
    assert (called, queue.next(30.0)) == (["result"], Wait())


def test_what_is_forgotten_is_not_sent_again() -> None:
    queue = Queue()
    queue.add(event(1))
    queue.add(event(2))
    queue.add(progress(3))
    queue.add(event(4, "other"))
    assert queue.next(0.0) == event(1)
    queue.forget("t")
    queue.failed(TransportError("away"), 0.0)
    assert [queue.sent(10.0), queue.sent(10.0)] == ["4", ""]


def test_a_thousand_events_wait_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    queue = Queue()
    for n in range(MAX_EVENTS + 1):
        queue.add(event(n))
    queue.add(progress("p"))
    assert [queue.sent() for _ in range(MAX_EVENTS)] == [str(n) for n in range(MAX_EVENTS)]
    assert [queue.sent(), queue.sent()] == ["p", ""]
    assert "too many wait" in caplog.text


def test_an_event_that_the_server_does_not_take_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    queue = Queue()
    queue.add(event(1))
    queue.next(0.0)
    queue.answered(EventAnswer(EventStatus.ERROR, "CONTRACT_VIOLATION_ERROR", "no page"))
    assert queue.next(0.0) == Wait()
    assert "CONTRACT_VIOLATION_ERROR no page" in caplog.text
