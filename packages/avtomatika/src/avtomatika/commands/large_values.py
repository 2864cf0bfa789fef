"""Large values of a job, kept beside it instead of in it (feature G2, decision 17).

In the input, the state history and the last result of a job, and in the params of its tasks, a member
larger than a limit is replaced by a reference. Handlers, workers and clients get the value and see none. A
reference says the digest of the value, and leads to values of the same job alone: to make one up, one has
to know the value.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Raw

from avtomatika import observe
from avtomatika.errors import IntegrityError, NotFound, Unavailable
from avtomatika.kernel.decisions import Decision, Dispatch, FanOut, Finish
from avtomatika.kernel.effects import OfferTask
from avtomatika.kernel.events import Decided
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import NULL, Data, Job, Order
from avtomatika.kernel.rules.handler import result_of
from avtomatika.kernel.time import SECOND, Span, after
from avtomatika.ports.blobs import Blobs
from avtomatika.ports.clock import Clock

PLACE: Final = "values"
PAUSE: Final = Span(2 * SECOND)

_BEGIN: Final = b'{"$avtomatika.value":"'
_LEAST: Final = len(_BEGIN) + 64
_LONGEST: Final = _LEAST + 32
_MEMBERS: Final = msgspec.json.Decoder(dict[str, Raw])


class _Reference(msgspec.Struct, frozen=True):
    digest: str = msgspec.field(name="$avtomatika.value")
    size: int


_REFERENCE: Final = msgspec.json.Decoder(_Reference)


class LargeValues:
    """Puts values larger than *most* bytes aside, and brings them back."""

    def __init__(
        self, blobs: Blobs, clock: Clock, most: int, noted: Callable[[JobId], Awaitable[None]]
    ) -> None:
        """*noted* hears that a job has something beside it, before it does."""
        self._blobs, self._clock, self._most, self._noted = blobs, clock, most, noted

    async def whole(self, job: Job) -> Job:
        """The job with all its values; itself if none is large. Raises IntegrityError, Unavailable."""
        if not (self._heavy(job.last) or self._any_heavy(job.input) or self._any_heavy(job.history)):
            return job
        return msgspec.structs.replace(
            job,
            input=await self._all(job.id, job.input),
            history=await self._all(job.id, job.history),
            last=await self._value(job.id, job.last),
        )

    async def patiently_whole(self, job: Job) -> Job:
        """As `whole`, however long that takes: a job waits while its values are out of reach."""
        while True:
            try:
                return await self.whole(job)
            except Unavailable as error:
                observe.warning("values.away", job=job.id, why=error.message)
                await self._clock.sleep_until(after(self._clock.now(), PAUSE))

    async def offered(self, offer: OfferTask) -> OfferTask:
        """The offer with all of its params. Raises IntegrityError when one is lost, Unavailable."""
        order = offer.task.order
        if _BEGIN not in bytes(order.params):
            return offer
        params = await self._all(offer.job, _MEMBERS.decode(order.params))
        order = msgspec.structs.replace(order, params=Raw(msgspec.json.encode(params)))
        return msgspec.structs.replace(offer, task=msgspec.structs.replace(offer.task, order=order))

    async def aside(self, job: Job, seen: Job, event: Decided) -> Decided:
        """The decision that came of the job as *seen*, whole, with what is large put aside.

        What cannot be put aside now stays where it is.
        """
        if seen is job and not self._heavy_decision(event):
            return event
        decision = event.decision
        if isinstance(decision, Finish):  # its result goes out to others, who get the value
            decision = msgspec.structs.replace(decision, result=result_of(seen, event, decision))
        given = await self._kept(job.id, job.input, seen.input, event.input)
        history = await self._kept(job.id, job.history, seen.history, event.history)
        last = seen.last if event.returned == NULL else event.returned
        return msgspec.structs.replace(
            event,
            decision=await self._light_decision(job.id, decision),
            input=given,
            history=history,
            returned=await self._light(job.id, last) if self._large(last) else event.returned,
        )

    async def _kept(self, job: JobId, before: Data, seen: Data, now: Data | None) -> Data | None:
        """What the members are *now*; those that did not change as they were *before*. None for no change."""
        kept = dict[str, Raw]()
        for key, value in (seen if now is None else now).items():
            same = key in before and value == seen[key] and _digest(before[key]) is not None
            kept[key] = before[key] if same else await self._light(job, value)
        return None if kept == before and list(kept) == list(before) else kept

    async def _light_decision(self, job: JobId, decision: Decision) -> Decision:
        match decision:
            case Dispatch(order=order):
                return msgspec.structs.replace(decision, order=await self._light_order(job, order))
            case FanOut(orders=orders):
                light = [await self._light_order(job, order) for order in orders]
                return msgspec.structs.replace(decision, orders=tuple(light))
            case _:
                return decision

    async def _light_order(self, job: JobId, order: Order) -> Order:
        if not self._large(order.params):
            return order
        members = _MEMBERS.decode(order.params)
        light = {key: await self._light(job, value) for key, value in members.items()}
        return msgspec.structs.replace(order, params=Raw(msgspec.json.encode(light)))

    async def _light(self, job: JobId, value: Raw) -> Raw:
        """A reference to the value, if it is large."""
        if not self._large(value):
            return value
        content = bytes(value)
        digest = (await asyncio.to_thread(sha256, content)).hexdigest()
        try:
            await self._noted(job)
            await self._blobs.upload_stream(_once(content), key_of(job, digest), len(content))
        except Unavailable as error:
            observe.warning("values.kept_inside", job=job, bytes=len(content), why=error.message)
            return value
        return Raw(msgspec.json.encode(_Reference(digest, len(content))))

    async def _all(self, job: JobId, data: Data) -> Mapping[str, Raw]:
        return {key: await self._value(job, raw) for key, raw in data.items()}

    async def _value(self, job: JobId, raw: Raw) -> Raw:
        digest = _digest(raw)
        if digest is None:
            return raw
        try:
            content = b"".join([piece async for piece in self._blobs.stream(key_of(job, digest))])
        except NotFound:
            content = b""
        if (await asyncio.to_thread(sha256, content)).hexdigest() != digest:
            raise IntegrityError("A large value of the job is lost.")
        return Raw(content)

    def _heavy_decision(self, event: Decided) -> bool:
        if self._heavy(event.returned):
            return True
        for changed in (event.input, event.history):
            if changed and self._any_heavy(changed):
                return True
        match event.decision:
            case Dispatch(order=order):
                return self._large(order.params)
            case FanOut(orders=orders):
                return any(self._large(order.params) for order in orders)
            case _:
                return False

    def _any_heavy(self, data: Data) -> bool:
        # By size first: every value of every job passes here, and nearly all are small.
        return any(len(raw) >= _LEAST and self._heavy(raw) for raw in data.values())

    def _heavy(self, raw: Raw) -> bool:
        size = len(raw)
        return size > self._most or (_LEAST <= size <= _LONGEST and _digest(raw) is not None)

    def _large(self, raw: Raw) -> bool:
        return len(raw) > self._most


def prefix_of(job: str) -> str:
    """What the keys of all large values of the job begin with. No file of a job is there."""
    return f"{PLACE}/{job}/"


def key_of(job: str, digest: str) -> str:
    """The key of the value with this digest."""
    return prefix_of(job) + digest


def _digest(raw: Raw) -> str | None:
    """The digest that the value is a reference to, or None when it is a value."""
    if bytes(memoryview(raw)[: len(_BEGIN)]) != _BEGIN:
        return None
    try:
        digest = _REFERENCE.decode(raw).digest
    except msgspec.MsgspecError:
        return None
    return digest if len(digest) == 64 and set(digest) <= set("0123456789abcdef") else None


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
