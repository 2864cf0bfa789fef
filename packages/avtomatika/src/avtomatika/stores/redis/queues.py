"""Messages in the server: what is there, who has it, when something is due."""

from collections.abc import Mapping, Sequence
from typing import Final

from avtomatika.errors import InvalidInput
from avtomatika.kernel.time import Instant
from avtomatika.ports.store import Lease, Message, MessageId, Token
from avtomatika.stores.redis.calls import Calls
from avtomatika.stores.redis.encoding import opaque
from avtomatika.stores.redis.moments import moment, text
from avtomatika.stores.redis.packing import Row, message_of
from avtomatika.stores.redis.scripts import BACKLOG, NEXT_DUE, PEEK, QUEUES

STEP: Final = 500


class Queues:
    """Reads of messages and leases."""

    _calls: Calls

    async def held(self, message: MessageId, *, now: Instant) -> Lease | None:
        fields = ("q", "j", "v", "b", "p", "o", "t", "u", "c")
        row = await self._calls.ask("HMGET", f":m:{message}", *fields)
        queue, job, visible, body, rank, owner, token, until, delivery = row
        if token is None or moment(until) <= now:
            return None
        kept = message_of((message.encode(), queue, job, visible, body, rank))
        return Lease(kept, owner.decode(), Token(token.decode()), moment(until), int(delivery))

    async def next_due(self, queue: str) -> Instant | None:
        due = await self._calls.read(NEXT_DUE, (queue,))
        return None if due is None else moment(due)

    async def peek(self, queue: str, *, after: MessageId | None = None, limit: int) -> Sequence[Message]:
        found: list[Message] = []
        bound = b"-" if after is None else b"(" + _encoded(after)
        while len(found) < limit:
            step = min(limit - len(found), STEP)
            rows: list[Row] = await self._calls.read(PEEK, (queue, opaque(bound), step))
            found += map(message_of, rows)
            if len(rows) < step:
                break
            bound = b"(" + rows[-1][0]
        return found

    async def queues(self, family: str) -> Mapping[str, Message]:
        found: dict[str, Message] = {}
        first, end = _family(family)
        while True:
            rows: list[Row] = await self._calls.read(QUEUES, (opaque(first), opaque(end), STEP))
            found.update((message.queue, message) for message in map(message_of, rows))
            if len(rows) < STEP:
                return found
            first = b"(" + rows[-1][1]

    async def backlog(self, family: str, *, now: Instant, most: int) -> int:
        first, end = _family(family)
        return int(await self._calls.read(BACKLOG, (opaque(first), opaque(end), text(now), most)))


def _encoded(name: str) -> bytes:
    try:
        return name.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput("This text holds half a character.") from error


def _family(family: str) -> tuple[bytes, bytes]:
    """The bounds of the names `family:…`: `;` is the letter after `:`."""
    name = _encoded(family)
    return b"[" + name + b":", b"(" + name + b";"
