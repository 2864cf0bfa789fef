"""One stream at the server: frames of a worker become calls of the gateway, tasks are pushed."""

import asyncio
from typing import Final

import msgspec

from rxon.codec import encode
from rxon.errors import (
    AuthError,
    ForbiddenError,
    ProtocolError,
    RateLimitError,
    RxonError,
    UnavailableError,
)
from rxon.messages import MAX_BATCH, EventAnswer, ResultAnswer, WorkerEvent
from rxon.stream.channel import MAX_FRAME, Channel, ChannelClosed, CloseCode
from rxon.stream.frames import (
    Answers,
    Beat,
    Beaten,
    Bye,
    ClientFrame,
    Events,
    Heard,
    Ready,
    Results,
    Welcome,
    decode_client_frame,
    refusal,
    sequence_of,
)
from rxon.stream.pushing import CLOSES, Over, Pusher
from rxon.transport import Credentials, WorkerGateway
from rxon.vocabulary import PROTOCOL_VERSION, AnswerStatus, EventStatus

__all__ = ["ServedStream"]

MAX_IN_HAND: Final = 64
"""Frames of one connection that are being dealt with; the next one is not read before."""


class ServedStream:
    """The conversation with one worker over ``channel``. What the gateway says is what HTTP would say."""

    def __init__(
        self, gateway: WorkerGateway, credentials: Credentials, worker_id: str, channel: Channel
    ) -> None:
        self._gateway, self._credentials, self._worker_id = gateway, credentials, worker_id
        self._channel = channel
        self._pusher = Pusher(gateway, credentials, worker_id, channel.send)
        self._reporting: set[str] = set()
        self._room = asyncio.Semaphore(MAX_IN_HAND)
        self._group = asyncio.TaskGroup()

    async def run(self, max_frame: int = MAX_FRAME) -> None:
        """Returns when the channel is closed, by either side."""
        over = Over(CloseCode.NORMAL, "")
        try:
            async with self._group as group:
                pushing = group.create_task(self._pusher.push(max_frame))
                watching = group.create_task(self._pusher.watch())
                relaying = group.create_task(self._pusher.relay())
                await self._send(Welcome(version=PROTOCOL_VERSION, max_frame=max_frame))
                try:
                    await self._read()
                finally:
                    pushing.cancel()
                    watching.cancel()
                    relaying.cancel()
        except* ChannelClosed:
            pass
        except* Over as raised:
            over = _first(raised)
        except* Exception:
            await self._channel.close(CloseCode.INTERNAL_ERROR, "internal error")
            raise
        await self._channel.close(over.code, over.reason)

    async def leave(self, after: float) -> None:
        """No more tasks are given; what is in hand is answered, and the channel closed."""
        self._pusher.leave()
        try:
            await self._send(Bye(after=after))
            for _ in range(MAX_IN_HAND):
                await self._room.acquire()  # and nothing more is read
        except ChannelClosed:
            return
        await self._channel.close(CloseCode.RESTART, "the server is going")

    async def replaced(self) -> None:
        """A newer connection of the same worker has taken the place of this one, which is closed."""
        self._pusher.leave()
        await self._channel.close(CloseCode.REPLACED, "a newer connection of this worker is here")

    # ------------------------------------------------------------ from the worker

    async def _read(self) -> None:
        while True:
            data = await self._channel.receive()
            try:
                frame = decode_client_frame(data)
                _check(frame)
            except ProtocolError as error:
                await self._refuse(data, error)
                continue
            if isinstance(frame, Ready):
                self._pusher.hear(frame)
                continue
            await self._room.acquire()
            if isinstance(frame, Results):
                tasks = [result.task_id for result in frame.results]
                self._pusher.let_go(tasks)
                self._reporting.update(tasks)
            self._group.create_task(self._deal_with(frame))

    async def _refuse(self, data: bytes, error: ProtocolError) -> None:
        """A frame with a number is answered; after any other it is not known what the worker means."""
        seq = sequence_of(data)
        if seq is None:
            raise Over(CloseCode.MALFORMED, error.message) from error
        await self._send(refusal(error, seq))

    async def _deal_with(self, frame: Results | Beat | Events) -> None:
        try:
            await self._send(await self._answer(frame))
        except RxonError as error:
            if type(error) in CLOSES:
                raise Over(CLOSES[type(error)], error.message) from error
            await self._send(refusal(error, frame.seq))
        finally:
            self._room.release()

    async def _answer(self, frame: Results | Beat | Events) -> msgspec.Struct:
        match frame:
            case Results():
                return await self._report(frame)
            case Beat():
                return await self._beat(frame)
            case Events():
                return await self._hear(frame)

    async def _report(self, frame: Results) -> Answers:
        try:
            answers = await self._gateway.report(self._credentials, frame.results)
        except (ProtocolError, ForbiddenError) as error:
            if len(frame.results) != 1:
                raise
            answers = (ResultAnswer(status=AnswerStatus.REFUSED, code=error.code, message=error.message),)
        finally:
            self._reporting.difference_update(result.task_id for result in frame.results)
        return Answers(seq=frame.seq, answers=tuple(answers))

    async def _beat(self, frame: Beat) -> Beaten:
        answer = await self._gateway.heartbeat(self._credentials, self._worker_id, frame.beat)
        tasks = () if frame.beat is None else frame.beat.current_tasks or ()
        self._pusher.hold(task for task in tasks if task not in self._reporting)
        self._pusher.let_go(answer.cancel_task_ids or ())
        return Beaten(seq=frame.seq, answer=answer)

    async def _hear(self, frame: Events) -> Heard:
        answers: list[EventAnswer] = []
        for event in frame.events:
            try:
                answers.append(await self._hear_one(event))
            except (RateLimitError, UnavailableError):
                if not answers:
                    raise
                break
        return Heard(seq=frame.seq, answers=tuple(answers))

    async def _hear_one(self, event: WorkerEvent) -> EventAnswer:
        try:
            return await self._gateway.emit(self._credentials, event)
        except (AuthError, RateLimitError, UnavailableError):
            raise
        except RxonError as error:
            return EventAnswer(EventStatus.ERROR, error.code, error.message)

    async def _send(self, frame: msgspec.Struct) -> None:
        await self._channel.send(encode(frame))


def _check(frame: ClientFrame) -> None:
    if isinstance(frame, Ready) and (frame.credits < 0 or frame.seen < 0):
        raise ProtocolError("`credits` and `seen` are 0 or more", details={"field": "credits"})
    if isinstance(frame, Results) and len(frame.results) > MAX_BATCH:
        raise ProtocolError(f"At most {MAX_BATCH} results at once", details={"field": "results"})
    if isinstance(frame, Events) and len(frame.events) > MAX_BATCH:
        raise ProtocolError(f"At most {MAX_BATCH} events at once", details={"field": "events"})


def _first(group: BaseExceptionGroup[Over]) -> Over:
    found: Over | BaseExceptionGroup[Over] = group
    while not isinstance(found, Over):
        found = found.exceptions[0]
    return found
