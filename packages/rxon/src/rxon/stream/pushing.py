"""What a server sends unasked: tasks, as far as there is room for them, and those to be stopped."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec

from rxon.codec import encode
from rxon.errors import AuthError, RxonError, UnavailableError, WorkerUnknownError
from rxon.messages import MAX_BATCH, TaskOffer
from rxon.stream.channel import ChannelClosed, CloseCode
from rxon.stream.frames import Cancel, Commands, Ready, refusal, task_frames
from rxon.transport import Credentials, PollRequest, WorkerGateway

__all__ = ["CLOSES", "Over", "Pusher"]

LOOK_AGAIN: Final = 30.0
PAUSE: Final = 0.2

CLOSES: Final[dict[type[RxonError], CloseCode]] = {
    AuthError: CloseCode.UNAUTHORIZED,
    WorkerUnknownError: CloseCode.WORKER_UNKNOWN,
}
"""Errors after which nothing that the worker says would be listened to."""


class Over(Exception):
    """The conversation is over, for this reason."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Pusher:
    """Polls for one worker with what it has credits for, and sends what comes."""

    def __init__(
        self,
        gateway: WorkerGateway,
        credentials: Credentials,
        worker_id: str,
        send: Callable[[bytes], Awaitable[None]],
    ) -> None:
        self._gateway, self._credentials, self._worker_id = gateway, credentials, worker_id
        self._send = send
        self._ready = Ready(credits=0)
        self._sent = 0
        self._told = asyncio.Event()
        self._leaving = False
        self._over = False
        self._polling: asyncio.Task[Sequence[TaskOffer] | RxonError] | None = None
        self._asked: Ready | None = None
        self._limit = 0
        self._held: dict[str, None] = {}
        self._undisturbed_work: set[asyncio.Task[None]] = set()
        self._holds = asyncio.Event()

    def hear(self, ready: Ready) -> None:
        """This is what there is room for. A poll that asks for more, or something else, is given up."""
        self._ready = ready
        asked = self._asked
        wider = asked is not None and (self._credits() < self._limit or not _alike(ready, asked))
        if wider:
            self._stop_polling()
        self._told.set()

    def leave(self) -> None:
        """No more tasks are given."""
        self._leaving = True
        self._stop_polling()

    def hold(self, tasks: Iterable[str]) -> None:
        """The worker has these tasks, and is told when it loses one."""
        self._held.update(dict.fromkeys(tasks))
        if self._held:
            self._holds.set()

    def let_go(self, tasks: Iterable[str]) -> None:
        """The worker is done with these tasks."""
        for task in tasks:
            self._held.pop(task, None)

    async def push(self, max_frame: int) -> None:
        """Tasks are sent in frames of up to *max_frame* bytes until this is cancelled. Raises Over."""
        clock = asyncio.get_running_loop().time
        while True:
            self._told.clear()
            limit = self._room()
            if limit <= 0:
                await self._told.wait()
                continue
            asked, begun = self._ready, clock()
            found = await self._poll(asked, limit, max_frame)
            if isinstance(found, RxonError):
                await self._tell(refusal(found))
                if type(found) in CLOSES:
                    raise Over(CLOSES[type(found)], found.message)
                await self._pause(getattr(found, "retry_after", 1.0))
            elif not found and self._ready is asked and clock() - begun < PAUSE:
                await self._pause(PAUSE)  # a gateway that is being closed answers at once

    async def _hand_over(self, offers: Sequence[TaskOffer], max_frame: int) -> None:
        """The offers are on their way, or available again if the connection is over, or this is cancelled.

        Raises ChannelClosed.
        """
        self._sent += len(offers)
        self.hold(offer.task_id for offer in offers)
        try:
            for frame in task_frames(offers, max_frame):
                await self._send(frame)
        except (ChannelClosed, asyncio.CancelledError):
            # Some may have arrived nevertheless: their results are refused, as after any lease that is over.
            await self._undisturbed(self._give_back(offers))
            raise

    async def _undisturbed(self, work: Coroutine[Any, Any, None]) -> None:
        """The work is done; it goes on when this is cancelled, as the end of a stream does more than once."""
        task = asyncio.get_running_loop().create_task(work)
        self._undisturbed_work.add(task)
        task.add_done_callback(self._undisturbed_work.discard)
        await asyncio.shield(task)

    async def _give_back(self, offers: Sequence[TaskOffer]) -> None:
        if not offers:
            return
        with suppress(RxonError):  # then their leases run out
            await self._gateway.give_back(self._credentials, self._worker_id, offers)

    async def watch(self) -> None:
        """What is taken from the worker is called back at once, until this is cancelled."""
        while True:
            if not self._held:
                self._holds.clear()
                await self._holds.wait()
            try:
                lost = await self._gateway.withdrawn(
                    self._credentials, self._worker_id, self._held.keys(), LOOK_AGAIN
                )
            except UnavailableError as error:
                await self._pause(error.retry_after)
                continue
            self.let_go(lost)
            if lost:
                await self._tell(Cancel(task_ids=tuple(lost)))

    async def relay(self) -> None:
        """What operators tell the worker is sent at once, until this is cancelled. Raises Over."""
        while True:
            try:
                told = await self._gateway.told(self._credentials, self._worker_id, LOOK_AGAIN)
            except RxonError as error:
                if type(error) in CLOSES:
                    raise Over(CLOSES[type(error)], error.message) from error
                await self._pause(getattr(error, "retry_after", 1.0))
                continue
            if told:
                await self._tell(Commands(commands=tuple(told)))

    async def _poll(self, ready: Ready, limit: int, max_frame: int) -> Sequence[TaskOffer] | RxonError:
        """Tasks, which are on their way; none also when something else is wanted by now.

        Raises ChannelClosed.
        """
        self._asked, self._limit = ready, limit
        # A task of its own, so that it can be given up without giving up the connection.
        polling = self._polling = asyncio.get_running_loop().create_task(self._polled(ready, max_frame))
        try:
            await asyncio.wait((polling,))
        except asyncio.CancelledError:
            self._end()
            await self._undisturbed(_settled(polling))
            raise
        finally:
            self._polling = self._asked = None
        return () if polling.cancelled() else polling.result()

    async def _polled(self, ready: Ready, max_frame: int) -> Sequence[TaskOffer] | RxonError:
        skills = None if ready.available_skills is None else frozenset(ready.available_skills)
        while True:
            request = PollRequest(None, skills, ready.hot_skills, self._limit)
            try:
                found = await self._gateway.poll(self._credentials, self._worker_id, request)
            except RxonError as error:
                return error
            if self._over:
                await self._give_back(found)
                return ()
            self._asked = None  # what has come is handed over, whatever is wanted by now
            if not found:
                return ()
            await self._hand_over(found, max_frame)
            limit = self._room()
            if limit <= 0 or not _alike(ready, self._ready):
                return found
            self._asked, self._limit = ready, limit

    def _stop_polling(self) -> None:
        # Once: a poll that is given up gives back what it had taken, and is not to be disturbed at that.
        if self._polling is not None and self._asked is not None and not self._polling.cancelling():
            self._polling.cancel()

    def _end(self) -> None:
        self._over = True
        if self._polling is not None and self._asked is None:
            self._polling.cancel()  # sending may take as long as the worker likes
        self._stop_polling()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._told.wait()
        except TimeoutError:
            return

    def _room(self) -> int:
        """How many tasks may be asked for: none if that is not above 0."""
        return 0 if self._leaving else min(self._credits(), MAX_BATCH)

    def _credits(self) -> int:
        return self._ready.credits - (self._sent - self._ready.seen)

    async def _tell(self, frame: msgspec.Struct) -> None:
        await self._send(encode(frame))


def _alike(one: Ready, other: Ready) -> bool:
    """True when both ask for the same, but for how much of it."""
    return (one.available_skills, one.hot_skills) == (other.available_skills, other.hot_skills)


async def _settled(polling: "asyncio.Task[Sequence[TaskOffer] | RxonError]") -> None:
    """The task is over. Raises what it raised, but for a cancellation."""
    await asyncio.wait((polling,))
    if not polling.cancelled():
        polling.result()
