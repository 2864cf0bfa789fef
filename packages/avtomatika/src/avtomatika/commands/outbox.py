"""How effects become messages. The one place that knows the names of queues and messages."""

from collections.abc import Iterable
from typing import Final, assert_never

import msgspec

from avtomatika.kernel.effects import (
    CancelChild,
    CloseBranches,
    Effect,
    OfferTask,
    PurgeFiles,
    RunHandler,
    SendWebhook,
    StartAlarm,
    StartChild,
    StartTimer,
    StopAlarm,
    StopRun,
    StopTimer,
    TellParent,
    WithdrawTask,
)
from avtomatika.kernel.events import Deadline
from avtomatika.kernel.ids import JobId, TaskId
from avtomatika.kernel.time import Instant
from avtomatika.matching.placement import queue_of
from avtomatika.ports.fact import Record
from avtomatika.ports.store import Message, MessageId

TIMERS: Final = "timer"
RUNS: Final = "run"
KIN: Final = "kin"
WEBHOOKS: Final = "webhook"
HISTORY: Final = "history"
FILES: Final = "files"

Prompt = StartChild | CancelChild | TellParent | SendWebhook | PurgeFiles
Sent = RunHandler | OfferTask | StartTimer | StartAlarm | Prompt
"""The effects that leave a message. All others take one back."""


class Outgoing(msgspec.Struct, frozen=True):
    """What a sequence of effects leaves to do, with pairs that cancel out already gone."""

    send: tuple[Message, ...]
    drop: tuple[MessageId, ...]
    close: tuple[int, ...]


def run_id(job: JobId, version: int) -> MessageId:
    """The name of the message that asks for the run of a handler."""
    return MessageId(f"run:{job}:{version}")


def task_message_id(task: TaskId) -> MessageId:
    """The name of the message that offers a task; its attempts share it, so that one replaces the other."""
    return MessageId(f"task:{task}")


def run_queue(blueprint: str, edition: str) -> str:
    """The queue of runs for one edition of a blueprint: only nodes that have loaded it look there."""
    return f"{RUNS}:{blueprint}@{edition}"


def timer_message(timer: StartTimer) -> Message:
    """The message that a timer is. A later one for the same limit of the same task replaces it."""
    name = _timer_id(timer.task, timer.deadline)
    return Message(id=name, queue=TIMERS, job=timer.job, visible_at=timer.due, body=timer)


def history_message(record: Record, now: Instant) -> Message:
    """The message that asks for *record*, of one fact or more, to be written to the history outside."""
    first = record.facts[0]
    name = MessageId(f"history:{first.job}:{first.version}")
    return Message(id=name, queue=HISTORY, job=first.job, visible_at=now, body=record)


def plan(effects: Iterable[Effect]) -> Outgoing:
    """What *effects*, in their order, leave to do."""
    send: dict[MessageId, Message] = {}
    drop: dict[MessageId, None] = {}
    close: list[int] = []
    for effect in effects:
        match effect:
            case CancelChild(child=child):
                _remove(send, drop, _child_id(child))
                message = message_of(effect)
                send[message.id] = message
            case (
                RunHandler()
                | OfferTask()
                | StartTimer()
                | StartAlarm()
                | StartChild()
                | TellParent()
                | SendWebhook()
                | PurgeFiles()
            ):
                message = message_of(effect)
                send[message.id] = message
            case StopRun(job=job, version=version):
                _remove(send, drop, run_id(job, version))
            case WithdrawTask(task=task, limits=limits):
                _remove(send, drop, task_message_id(task))
                for deadline in limits:
                    _remove(send, drop, _timer_id(task, deadline))
            case StopAlarm(job=job, since=since):
                _remove(send, drop, _alarm_id(job, since))
            case StopTimer(task=task, deadline=deadline):
                _remove(send, drop, _timer_id(task, deadline))
            case CloseBranches(opened=opened):
                close.append(opened)
            case _:
                assert_never(effect)
    return Outgoing(tuple(send.values()), tuple(drop), tuple(close))


def message_of(effect: Sent) -> Message:
    """The message that the effect is carried by."""
    match effect:
        case RunHandler(job=job, version=version, at=at):
            queue = run_queue(effect.blueprint, effect.edition)
            return Message(
                id=run_id(job, version),
                queue=queue,
                job=job,
                visible_at=at,
                body=effect,
                priority=effect.priority,
            )
        case OfferTask(job=job, task=task, at=at):
            return Message(
                id=task_message_id(task.id),
                queue=queue_of(task),
                job=job,
                visible_at=at,
                body=effect,
                priority=effect.priority + task.order.priority,
            )
        case StartTimer():
            return timer_message(effect)
        case StartAlarm(job=job, since=since, due=due):
            return Message(id=_alarm_id(job, since), queue=TIMERS, job=job, visible_at=due, body=effect)
        case _:
            name, queue = _place(effect)
            return Message(id=name, queue=queue, job=effect.job, visible_at=effect.at, body=effect)


def _place(effect: Prompt) -> tuple[MessageId, str]:
    """The name and the queue of the message."""
    match effect:
        case StartChild(child=child):
            return _child_id(child.id), KIN
        case CancelChild(child=name):
            return MessageId(f"undo:{name}"), KIN
        case TellParent(job=name):
            return MessageId(f"ended:{name}"), KIN
        case SendWebhook(job=name, version=version, event=event):
            return MessageId(f"webhook:{name}:{version}:{event}"), WEBHOOKS
        case PurgeFiles(job=name):
            return MessageId(f"files:{name}"), FILES


def _child_id(child: JobId) -> MessageId:
    return MessageId(f"child:{child}")


def _remove(send: dict[MessageId, Message], drop: dict[MessageId, None], name: MessageId) -> None:
    send.pop(name, None)
    drop[name] = None


def _timer_id(task: TaskId, deadline: Deadline) -> MessageId:
    return MessageId(f"timer:{task}:{deadline}")


def _alarm_id(job: JobId, since: int) -> MessageId:
    return MessageId(f"alarm:{job}:{since}")
