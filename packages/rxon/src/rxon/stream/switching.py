"""A WorkerTransport that talks over a stream while there is one, and over HTTP while there is none."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol, runtime_checkable

from rxon.errors import AuthError, ProtocolError, RxonError, TooLargeError, TransportError, WorkerUnknownError
from rxon.messages import (
    EventAnswer,
    Heartbeat,
    HeartbeatAnswer,
    Registered,
    Registration,
    ResultAnswer,
    TaskOffer,
    TaskResult,
    WorkerCommand,
    WorkerEvent,
)
from rxon.signing.message import Signable
from rxon.stream.calling import CallingStream
from rxon.stream.channel import STREAM, Channel, CloseCode
from rxon.transport import PollRequest, PushTransport, SparingTransport, WorkerTransport

__all__ = ["Opener", "SwitchingTransport"]

FIRST_DELAY: Final = 1.0
LONGEST_DELAY: Final = 60.0
AFTER_A_RIVAL: Final = 30.0
"""Seconds: two processes of one worker must not take the stream from each other all the time."""

STEADY: Final = 5.0
"""A stream that lasted so many seconds is opened again at once when it was cut."""

WELCOME_WITHIN: Final = 5.0
POLL: Final = 30.0


@runtime_checkable
class Sealing(Protocol):
    """Knows whether a server wants messages signed."""

    def sealed(self, message: Signable) -> Signable:
        """The message as the server wants it."""
        ...


class Opener(Protocol):
    """Makes channels to one orchestrator."""

    async def open(self) -> Channel:
        """A channel. Raises RxonError."""
        ...

    async def close(self) -> None:
        """Nothing is open any more."""
        ...


class _Same:
    """What is sent is what was given."""

    def sealed(self, message: Signable) -> Signable:
        return message


class SwitchingTransport:
    """Registers over ``http``. Opens streams once the server offered them; between two of them, and when
    none can be had, everything goes over ``http`` too. With ``insist`` no task is asked for over ``http``.
    """

    def __init__(
        self, http: WorkerTransport, opener: Opener, chance: Callable[[], float], *, insist: bool = False
    ) -> None:
        self._http, self._opener, self._chance, self._insist = http, opener, chance, insist
        self._sealing: Sealing = http if isinstance(http, Sealing) else _Same()
        self._offered = False
        self._stream: CallingStream | None = None
        self._opening = asyncio.Lock()
        self._opened_at = 0.0
        self._next_try = 0.0
        self._delay = FIRST_DELAY
        self._closed = False
        self._on_cancelled: Callable[[Sequence[str]], None] = lambda tasks: None
        self._on_change: Callable[[], None] = lambda: None
        self._on_told: Callable[[Sequence[WorkerCommand]], None] = lambda commands: None

    def __repr__(self) -> str:
        return f"SwitchingTransport({self._http!r}, {self._opener!r})"

    @property
    def streaming(self) -> bool:
        """Whether a stream is open."""
        return self._open_stream() is not None

    def listen(
        self,
        cancelled: Callable[[Sequence[str]], None],
        changed: Callable[[], None],
        told: Callable[[Sequence[WorkerCommand]], None] = lambda commands: None,
    ) -> None:
        """``cancelled`` gets tasks to stop, ``changed`` is called when a stream was cut or opened.

        ``told`` gets the commands of operators.
        """
        self._on_cancelled, self._on_change, self._on_told = cancelled, changed, told
        if isinstance(self._http, PushTransport):
            self._http.listen(cancelled, lambda: None, told)

    def spare(self) -> WorkerTransport | None:
        """Another one for another event loop: over HTTP."""
        return self._http.spare() if isinstance(self._http, SparingTransport) else None

    def ready(self, request: PollRequest) -> None:
        """The server hears what there is room for, if there is a stream."""
        stream = self._open_stream()
        if stream is not None:
            stream.ready(request)

    async def register(self, registration: Registration) -> Registered:
        """The server knows the worker."""
        registered = await self._http.register(registration)
        self._offered = STREAM in registered.transports
        return registered

    async def poll(self, request: PollRequest) -> Sequence[TaskOffer]:
        """Tasks for this worker; empty when none came in time."""
        stream = await self._stream_or_none()
        if stream is not None:
            return await stream.poll(request)
        if self._insist:
            raise TransportError("There is no stream to the server")
        if self._offered:  # not longer than until the stream is to be tried again
            left = max(FIRST_DELAY, self._next_try - _now())
            timeout = min(POLL if request.timeout is None else request.timeout, left)
            request = PollRequest(timeout, request.available_skills, request.hot_skills, request.limit)
        return await self._http.poll(request)

    async def heartbeat(self, beat: Heartbeat | None) -> HeartbeatAnswer:
        """The server knows that the worker is alive."""
        stream = await self._stream_or_none()
        if stream is None:
            return await self._http.heartbeat(beat)
        return await stream.heartbeat(None if beat is None else self._sealing.sealed(beat))

    async def report(self, results: Sequence[TaskResult]) -> Sequence[ResultAnswer]:
        """Answers for at least the first of ``results``, in order."""
        stream = self._open_stream()
        if stream is None:
            return await self._http.report(results)
        try:
            return await stream.report([self._sealing.sealed(result) for result in results])
        except (ProtocolError, TooLargeError):
            # One result is at fault: only sending them singly shows which, and HTTP has an answer to it.
            return await self._http.report(results[:1])

    async def emit(self, event: WorkerEvent) -> EventAnswer:
        """The server has judged the event."""
        stream = self._open_stream()
        if stream is None:
            return await self._http.emit(event)
        return await stream.emit(self._sealing.sealed(event))

    async def close(self) -> None:
        """Connections are closed; calling it again does nothing."""
        self._closed = True
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.close()
        await self._opener.close()
        await self._http.close()

    # ------------------------------------------------------------ the stream

    def _open_stream(self) -> CallingStream | None:
        return self._stream if self._stream is not None and self._stream.is_open else None

    async def _stream_or_none(self) -> CallingStream | None:
        """The stream, opened if it is time to. Raises what says that the worker has to register again."""
        if not self._is_due():
            return self._open_stream()
        async with self._opening:
            if not self._is_due():  # somebody else has tried meanwhile
                return self._open_stream()
            try:
                return await self._open()
            except (AuthError, WorkerUnknownError):
                self._wait()
                raise
            except RxonError:
                self._wait()
                return None

    def _is_due(self) -> bool:
        return self._offered and not self.streaming and not self._closed and _now() >= self._next_try

    async def _open(self) -> CallingStream:
        older, self._stream = self._stream, None
        if older is not None:
            await older.close()
        channel = await self._opener.open()
        stream = CallingStream(channel, cancelled=self._cancelled, cut=self._cut, told=self._told)
        try:
            await _within(WELCOME_WITHIN, stream.open())
        except BaseException:
            await stream.close()
            raise
        self._stream, self._opened_at = stream, _now()
        self._on_change()
        return stream

    def _cancelled(self, tasks: Sequence[str]) -> None:
        self._on_cancelled(tasks)

    def _told(self, commands: Sequence[WorkerCommand]) -> None:
        self._on_told(commands)

    def _cut(self, stream: CallingStream) -> None:
        if stream is not self._stream or self._closed:
            return
        if stream.bye is not None:
            self._next_try = _now() + stream.bye.after
        elif stream.close_code == CloseCode.REPLACED:
            self._next_try = _now() + AFTER_A_RIVAL
        elif _now() - self._opened_at >= STEADY:
            self._delay = FIRST_DELAY
            self._next_try = 0.0
        else:
            self._wait()
        self._on_change()

    def _wait(self) -> None:
        """The next try comes later, by a delay that grows."""
        self._next_try = _now() + self._delay * (1 - self._chance() / 2)
        self._delay = min(LONGEST_DELAY, self._delay * 2)


async def _within(seconds: float, opening: Awaitable[None]) -> None:
    try:
        async with asyncio.timeout(seconds):
            await opening
    except TimeoutError:
        raise TransportError("The server said no welcome") from None


def _now() -> float:
    return asyncio.get_running_loop().time()
