"""Messages: what is to be done later, and the right to do it."""

from typing import NewType

import msgspec

from avtomatika.kernel.effects import (
    CancelChild,
    OfferTask,
    PurgeFiles,
    RunHandler,
    SendWebhook,
    StartAlarm,
    StartChild,
    StartTimer,
    TellParent,
)
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Value
from avtomatika.kernel.time import Instant
from avtomatika.ports.fact import Record

MessageId = NewType("MessageId", str)
Token = NewType("Token", str)


class Tick(Value, frozen=True):
    """A schedule is due at `due`. It belongs to no job. `rule` is a digest of the rule that chose the moment.

    `last` is the job of the tick before, or of the last one that got a job; empty when there was none.
    """

    schedule: str
    due: Instant
    rule: str
    last: JobId = JobId("")


Body = (
    RunHandler
    | OfferTask
    | StartTimer
    | StartAlarm
    | StartChild
    | CancelChild
    | TellParent
    | SendWebhook
    | PurgeFiles
    | Tick
    | Record
)


class Message(Value, frozen=True):
    """Something to be done later. Invisible before `visible_at`; higher `priority` comes first."""

    id: MessageId
    queue: str
    job: JobId
    visible_at: Instant
    body: Body
    priority: float = 0.0


class Lease(msgspec.Struct, frozen=True):
    """The right of `owner` to deal with a message until `until`. `delivery` counts grants, from 1."""

    message: Message
    owner: str
    token: Token
    until: Instant
    delivery: int


def unspent(lease: Lease) -> Lease:
    """A lease that has run out as soon as the message was available, with its delivery not counted.

    Who takes it in place of *lease* has given that back, as if it had never been granted.
    """
    return msgspec.structs.replace(
        lease, token=Token(""), until=lease.message.visible_at, delivery=lease.delivery - 1
    )
