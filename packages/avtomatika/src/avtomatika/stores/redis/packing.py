"""Commits and messages as the scripts take them, and what the scripts answer as messages."""

from collections.abc import Sequence
from typing import Final

import msgspec

from avtomatika.errors import InvalidInput
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Job
from avtomatika.kernel.time import Instant
from avtomatika.ports.store import Claim, Commit, Lease, Message, MessageId, Token
from avtomatika.stores.codec import decode_body, encode, encode_head
from avtomatika.stores.redis.encoding import opaque
from avtomatika.stores.redis.lists import names, place
from avtomatika.stores.redis.moments import WIDTH, moment, text

_PACK: Final = msgspec.msgpack.Encoder()
_CLAIM: Final = msgspec.msgpack.Decoder(tuple[str, str])

Row = Sequence[bytes]


def commit_row(commit: Commit, data: bytes | None, *, replicated: bool) -> tuple[object, ...]:
    """What commit.lua takes; *data* is the user data of the job if that has to be written.

    Raises InvalidInput for text without an encoding.
    """
    try:
        return (
            text(commit.now),
            commit.claim is not None and _claim_row(commit.claim),
            commit.job is not None and _job_row(commit.job, commit.expected, data),
            [(fact.job, str(fact.version), opaque(encode(fact))) for fact in commit.facts],
            [(branch.task.id, opaque(encode(branch))) for branch in commit.branches],
            () if commit.job is None else [f"{commit.job.id}-{opened}-" for opened in commit.close],
            [_message_row(sent) for sent in commit.send] + [_lease_row(lease) for lease in commit.take],
            commit.drop,
            [(lease.message.id, lease.token) for lease in commit.ack],
            replicated,
        )
    except UnicodeEncodeError as error:
        raise InvalidInput("This text holds half a character.") from error


def _claim_row(claim: Claim) -> tuple[object, ...]:
    end = text(claim.expires_at)
    value = end.encode() + _PACK.encode((claim.fingerprint, claim.job))
    return claim.key, opaque(value), end


def claim_of(key: str, value: bytes) -> Claim:
    """The claim of the key that a commit wrote."""
    fingerprint, job = _CLAIM.decode(value[WIDTH:])
    return Claim(key, fingerprint, JobId(job), moment(value[:WIDTH]))


def _job_row(job: Job, expected: int, data: bytes | None) -> tuple[object, ...]:
    ended = text(job.updated) + job.id if job.over else ""
    return (
        job.id,
        str(expected),
        str(job.version),
        opaque(encode_head(job)),
        data is not None and opaque(data),
        job.client,
        job.status.value,
        place(job),
        opaque(names(job)),
        ended,
        job.over,
    )


def _message_row(message: Message, lease: object = False) -> tuple[object, ...]:
    rank = repr(-message.priority)
    visible = text(message.visible_at)
    return message.id, message.queue, message.job, visible, opaque(encode(message.body)), rank, lease


def _lease_row(lease: Lease) -> tuple[object, ...]:
    held = lease.owner, lease.token, text(lease.until), str(lease.delivery)
    return _message_row(lease.message, held)


def message_of(row: Row) -> Message:
    """The message that a script answered: id, queue, job, when it is visible, body, rank."""
    id_, queue, job, visible, body, rank = row[:6]
    return Message(
        MessageId(id_.decode()),
        queue.decode(),
        JobId(job.decode()),
        moment(visible),
        decode_body(body),
        -float(rank),
    )


def lease_of(row: Row, owner: str, until: Instant) -> Lease:
    """The lease that a script answered: a message, its token, how often it was given."""
    return Lease(message_of(row), owner, Token(row[6].decode()), until, int(row[7]))
