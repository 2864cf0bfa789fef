"""How stored values become bytes: JSON, with user data passed through as it came."""

import math
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Raw

from avtomatika.errors import InvalidInput
from avtomatika.kernel.effects import OfferTask
from avtomatika.kernel.model import NULL, Branch, Data, Job
from avtomatika.ports.store import Body, Commit, Fact

_FOR_EVER: Final = 2**63

_ENCODER: Final = msgspec.json.Encoder()
_JOB: Final = msgspec.json.Decoder(Job)
_FACT: Final = msgspec.json.Decoder(Fact)
_BRANCH: Final = msgspec.json.Decoder(Branch)
_BODY: Final[msgspec.json.Decoder[Body]] = msgspec.json.Decoder(Body)


class _UserData(msgspec.Struct, frozen=True, array_like=True):
    input: dict[str, Raw]
    history: dict[str, Raw]
    last: Raw


_USER_DATA: Final = msgspec.json.Decoder(_UserData)
_NO_DATA: Final[Data] = {}


def encode_head(job: Job) -> bytes:
    """The part that changes at every move."""
    return _ENCODER.encode(msgspec.structs.replace(job, input=_NO_DATA, history=_NO_DATA, last=NULL))


def encode_data(job: Job) -> bytes:
    """The user's data of the job."""
    return _ENCODER.encode((job.input, job.history, job.last))


def decode_job(head: bytes, data: bytes) -> Job:
    """The job that `encode_head` and `encode_data` took apart."""
    user = _USER_DATA.decode(data)
    return msgspec.structs.replace(_JOB.decode(head), input=user.input, history=user.history, last=user.last)


def same_data(one: Job, other: Job) -> bool:
    """True when both jobs are known, without comparing bytes, to hold the same user data."""
    return one.input is other.input and one.history is other.history and one.last is other.last


def encode(value: Fact | Branch | Body) -> bytes:
    """A stored value as bytes."""
    return _ENCODER.encode(value)


def decode_fact(raw: bytes) -> Fact:
    """The fact that `encode` wrote."""
    return _FACT.decode(raw)


def decode_branch(raw: bytes) -> Branch:
    """The branch that `encode` wrote."""
    return _BRANCH.decode(raw)


def decode_body(raw: bytes) -> Body:
    """The body of a message that `encode` wrote."""
    return _BODY.decode(raw)


def refuse_unreadable(commit: Commit) -> None:
    """Nothing in *commit* would read differently than it was written. Raises InvalidInput.

    JSON knows no number that is not finite: written, it would be null, and the store could not be opened.
    Moments have to fit into 64 bits.
    """
    job, claim = commit.job, commit.claim
    moments = [message.visible_at for message in commit.send]
    moments += () if job is None else (job.created, job.updated)
    moments += () if claim is None else (claim.expires_at,)
    if any(abs(moment) >= _FOR_EVER for moment in moments):
        raise InvalidInput("A moment lies too far away.", field="time")
    for message in commit.send + tuple(lease.message for lease in commit.take):
        body = message.body
        order = body.task.order if isinstance(body, OfferTask) else None
        if not math.isfinite(message.priority) or (order and not math.isfinite(order.priority)):
            raise InvalidInput("A priority must be a finite number.", field="priority")
        if order and order.max_cost is not None and not math.isfinite(order.max_cost):
            raise InvalidInput("A maximal cost must be a finite number.", field="max_cost")


def page_cursor(job: Job) -> str:
    """The place of a job in a listing, as text for the next request."""
    return f"{job.created}~{job.id}"


def place_of(cursor: str) -> tuple[int, str]:
    """The creation time and id that a cursor names. Raises InvalidInput for text that is none."""
    created, separator, job = cursor.partition("~")
    if not separator or not job or not (created.isascii() and created.isdecimal() and len(created) <= 15):
        raise InvalidInput("This is no cursor of an earlier page.", field="after")
    return int(created), job


__all__: Sequence[str] = [
    "decode_body",
    "decode_branch",
    "decode_fact",
    "decode_job",
    "encode",
    "encode_data",
    "encode_head",
    "page_cursor",
    "place_of",
    "refuse_unreadable",
    "same_data",
]
