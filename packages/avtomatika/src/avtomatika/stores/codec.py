"""How stored values become bytes: JSON, with user data passed through as it came."""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Raw

from avtomatika.errors import InvalidInput
from avtomatika.kernel.model import NULL, Branch, Data, Job
from avtomatika.ports.store import Body, Fact

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

NO_USER_DATA: Final = _ENCODER.encode((_NO_DATA, _NO_DATA, NULL))
"""What `encode_data` says of a job that has none."""


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


def page_cursor(job: Job) -> str:
    """The place of a job in a listing, as text for the next request."""
    return f"{job.created}~{job.id}"


def place_of(cursor: str) -> tuple[int, str]:
    """The creation time and id that a cursor names. Raises InvalidInput for text that is none."""
    created, separator, job = cursor.partition("~")
    if not separator or not job or not (created.isascii() and created.isdecimal() and len(created) <= 18):
        raise InvalidInput("This is no cursor of an earlier page.", field="after")
    if any("\ud800" <= letter <= "\udfff" for letter in job):
        raise InvalidInput("This is no cursor of an earlier page.", field="after")
    return int(created), job


__all__: Sequence[str] = [
    "NO_USER_DATA",
    "decode_body",
    "decode_branch",
    "decode_fact",
    "decode_job",
    "encode",
    "encode_data",
    "encode_head",
    "page_cursor",
    "place_of",
    "same_data",
]
