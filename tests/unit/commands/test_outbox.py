"""Effects become messages; what one effect asks and a later one takes back is never sent."""

from typing import Any

import pytest

from avtomatika.commands.outbox import TIMERS, plan, run_id, run_queue, task_message_id, timer_message
from avtomatika.kernel.effects import (
    CloseBranches,
    OfferTask,
    RunHandler,
    StartTimer,
    StopRun,
    StopTimer,
    WithdrawTask,
)
from avtomatika.kernel.events import Deadline
from avtomatika.kernel.ids import JobId, TaskId
from avtomatika.kernel.model import Order, Task
from avtomatika.kernel.time import Instant, Span

JOB, TASK = JobId("j"), TaskId("j-2-0")
RUN = RunHandler(JOB, 1, "b", "e", Instant(5))


def offer(**fields: Any) -> OfferTask:
    return OfferTask(JOB, Task(TASK, Order("s", priority=2.0), Span(1), **fields), Instant(7))


def timer(deadline: Deadline, attempt: int = 1) -> StartTimer:
    return StartTimer(JOB, TASK, attempt, deadline, Instant(9))


def test_nothing_is_nothing() -> None:
    out = plan(())
    assert (out.send, out.drop, out.close) == ((), (), ())


def test_a_run_goes_to_the_queue_of_its_edition() -> None:
    (message,) = plan([RUN]).send
    assert (message.id, message.queue) == (run_id(JOB, 1), run_queue("b", "e"))
    assert (message.job, message.visible_at, message.body) == (JOB, 5, RUN)


def test_a_task_goes_to_the_queue_of_its_class_with_its_priority() -> None:
    (message,) = plan([offer()]).send
    assert (message.id, message.queue, message.priority) == (task_message_id(TASK), "task:s", 2.0)


def test_a_timer_is_a_message_that_is_seen_when_it_is_due() -> None:
    (message,) = plan([timer(Deadline.RESULT)]).send
    assert message == timer_message(timer(Deadline.RESULT))
    assert (message.queue, message.visible_at) == (TIMERS, 9)


def test_limits_of_one_task_have_names_of_their_own() -> None:
    sent = plan([timer(deadline) for deadline in Deadline]).send
    assert len({message.id for message in sent}) == len(Deadline)


def test_a_later_attempt_replaces_the_offer_and_the_timer_of_an_earlier_one() -> None:
    out = plan([offer(), timer(Deadline.RESULT), offer(attempt=2), timer(Deadline.RESULT, 2)])
    assert [message.body for message in out.send] == [offer(attempt=2), timer(Deadline.RESULT, 2)]


@pytest.mark.parametrize(
    ("asked", "taken_back"),
    [
        (RUN, StopRun(JOB, 1)),
        (offer(), WithdrawTask(JOB, TASK)),
        (timer(Deadline.DISPATCH), WithdrawTask(JOB, TASK)),
        (timer(Deadline.DISPATCH), StopTimer(JOB, TASK, Deadline.DISPATCH)),
    ],
)
def test_what_is_taken_back_is_not_sent_but_dropped_should_it_be_there(asked: Any, taken_back: Any) -> None:
    out = plan([asked, taken_back])
    assert out.send == ()
    (message,) = plan([asked]).send
    assert message.id in out.drop


def test_what_is_asked_again_after_it_was_taken_back_is_sent() -> None:
    out = plan([StopRun(JOB, 1), RUN])
    assert [message.body for message in out.send] == [RUN]


def test_withdrawing_a_task_drops_its_offer_and_every_limit() -> None:
    expected = {task_message_id(TASK), *(timer_message(timer(deadline)).id for deadline in Deadline)}
    assert set(plan([WithdrawTask(JOB, TASK)]).drop) == expected


def test_stopping_one_limit_leaves_the_others() -> None:
    out = plan([timer(Deadline.DISPATCH), timer(Deadline.RESULT), StopTimer(JOB, TASK, Deadline.DISPATCH)])
    assert [message.body for message in out.send] == [timer(Deadline.RESULT)]


def test_closed_fan_outs_are_listed() -> None:
    assert plan([CloseBranches(JOB, 3), CloseBranches(JOB, 5)]).close == (3, 5)
