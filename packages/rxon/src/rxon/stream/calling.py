"""One stream at the worker: calls become frames, and what the server pushes waits to be fetched."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, TypeVar

import msgspec

from rxon.codec import encode
from rxon.errors import ProtocolError, RxonError, TooLargeError, TransportError
from rxon.messages import (
    MAX_BATCH,
    EventAnswer,
    Heartbeat,
    HeartbeatAnswer,
    ResultAnswer,
    TaskOffer,
    TaskResult,
    WorkerCommand,
    WorkerEvent,
)
from rxon.stream.channel import Channel, ChannelClosed, CloseCode
from rxon.stream.frames import (
    Answers,
    Beat,
    Beaten,
    Bye,
    Cancel,
    Commands,
    Error,
    Events,
    Heard,
    Ready,
    Results,
    ServerFrame,
    Tasks,
    Welcome,
    decode_server_frame,
    error_of,
    known_server_frame,
)
from rxon.transport import PollRequest

__all__ = ["CallingStream"]

MAX_BATCH_BYTES: Final = 512 * 1024
PATIENCE: Final = 30.0
"""Seconds for an answer; a server that needs longer is taken for one that cannot be reached."""

S = TypeVar("S", Answers, Beaten, Heard)
Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


class CallingStream:
    """The conversation with the server over ``channel``, from its welcome until it is cut.

    After that every call raises TransportError.
    """

    def __init__(
        self,
        channel: Channel,
        *,
        cancelled: Callable[[Sequence[str]], None] = lambda tasks: None,
        cut: Callable[["CallingStream"], None] = lambda stream: None,
        told: Callable[[Sequence[WorkerCommand]], None] = lambda commands: None,
    ) -> None:
        self.welcome: Welcome | None = None
        self.bye: Bye | None = None
        self.close_code: int | None = None
        self.is_open = False
        self._channel = channel
        self._cancelled, self._cut, self._told = cancelled, cut, told
        self._inbox: list[TaskOffer] = []
        self._seen = 0
        self._said = Ready(credits=0)
        self._wanted = self._said
        self._trouble: RxonError | None = None
        self._came = asyncio.Event()
        self._asked = asyncio.Event()
        self._answers: dict[int, asyncio.Future[ServerFrame]] = {}
        self._number = 0
        self._loops: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """The server has said its welcome. Raises TransportError, ProtocolError."""
        try:
            frame = decode_server_frame(await self._channel.receive())
        except ChannelClosed as closed:
            self.close_code = closed.code
            raise TransportError(f"The stream was {closed}") from closed
        if not isinstance(frame, Welcome):
            raise ProtocolError("A stream begins with a welcome")
        self.welcome = frame
        self.is_open = True
        spawn = asyncio.get_running_loop().create_task
        self._loops = [spawn(self._read()), spawn(self._tell())]

    def ready(self, request: PollRequest) -> None:
        """The server hears what there is room for, unless it knows."""
        skills = request.available_skills
        self._wanted = Ready(
            credits=max(0, min(request.limit, MAX_BATCH) - len(self._inbox)),
            seen=self._seen,
            available_skills=None if skills is None else tuple(sorted(skills)),
            hot_skills=request.hot_skills,
        )
        if not _means(self._wanted, self._said):
            self._asked.set()

    async def poll(self, request: PollRequest) -> Sequence[TaskOffer]:
        """Tasks that came, or come in time. When it is cancelled the server gives no more."""
        self.ready(request)
        if not self._inbox:
            try:
                await self._wait_for_tasks(request.timeout)
            except asyncio.CancelledError:
                self.ready(PollRequest(limit=0))
                raise
        if not self._inbox:
            trouble, self._trouble = self._trouble, None
            if trouble is not None:
                raise trouble
            if self.bye is None:
                self._check_open()
        tasks, self._inbox = self._inbox, []
        return tasks

    async def report(self, results: Sequence[TaskResult]) -> Sequence[ResultAnswer]:
        """Answers for the first of ``results``: for as many as go into one frame.

        Raises TooLargeError when not even the first one does.
        """
        most = 0 if self.welcome is None else self.welcome.max_frame
        size, count = 100, 0
        for result in results[:MAX_BATCH]:
            size += len(encode(result)) + 1
            if size > most or (count and size > MAX_BATCH_BYTES):
                break
            count += 1
        if not count:
            raise TooLargeError(f"The server takes no more than {most} bytes in a frame")
        frame = Results(seq=self._next(), results=tuple(results[:count]))
        answers = (await self._ask(frame, Answers)).answers
        if len(answers) != count:
            raise TransportError(f"{len(answers)} answers to {count} results")
        return answers

    async def heartbeat(self, beat: Heartbeat | None) -> HeartbeatAnswer:
        """The server knows that the worker is alive."""
        return (await self._ask(Beat(seq=self._next(), beat=beat), Beaten)).answer

    async def emit(self, event: WorkerEvent) -> EventAnswer:
        """The server has judged the event."""
        answers = (await self._ask(Events(seq=self._next(), events=(event,)), Heard)).answers
        if not answers:
            raise TransportError("No answer to an event")
        return answers[0]

    async def close(self) -> None:
        """The channel is closed, and nothing of the stream runs any more."""
        for loop in self._loops:
            loop.cancel()
        await self._channel.close()
        if self._loops:
            await asyncio.wait(self._loops)
        self._over(None)

    # ------------------------------------------------------------ the channel

    async def _read(self) -> None:
        code: int | None = None
        try:
            while True:
                frame = known_server_frame(await self._channel.receive())
                if frame is not None:
                    self._take(frame)
        except ChannelClosed as closed:
            code = closed.code
        except ProtocolError as error:
            code = CloseCode.MALFORMED
            await self._channel.close(code, error.message)
        finally:
            self._over(code)

    def _take(self, frame: ServerFrame) -> None:
        match frame:
            case Tasks(tasks=tasks):
                self._inbox += tasks
                self._seen += len(tasks)
                self._came.set()
            case Answers() | Beaten() | Heard():
                self._settle(frame.seq, frame)
            case Error(seq=seq) if seq is not None:
                self._settle(seq, frame)
            case Error():
                self._trouble = error_of(frame)
                self._came.set()
            case Cancel(task_ids=tasks):
                self._cancelled(tasks)
            case Commands(commands=commands):
                self._told(commands)
            case Bye():
                self.bye = frame
                self._over(None, closing=False)
            case Welcome():
                pass

    def _settle(self, seq: int, frame: ServerFrame) -> None:
        waiting = self._answers.pop(seq, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(frame)

    def _over(self, code: int | None, *, closing: bool = True) -> None:
        """The stream takes no more calls; unless *closing*, those under way may still be answered."""
        was_open, self.is_open = self.is_open, False
        if code is not None:
            self.close_code = code
        if closing:
            for waiting in self._answers.values():
                if not waiting.done():
                    waiting.set_exception(TransportError(f"The stream was closed with {code}"))
            self._answers.clear()
        self._came.set()
        if was_open:
            self._cut(self)

    async def _tell(self) -> None:
        """What there is room for is said once a turn of the event loop, and only when it is news."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            if not _means(self._wanted, self._said):
                self._said = self._wanted
                try:
                    await self._channel.send(encode(self._said))
                except ChannelClosed:
                    return

    async def _wait_for_tasks(self, timeout: float | None) -> None:
        self._came.clear()
        if self._trouble is not None or not self.is_open:
            return
        try:
            async with asyncio.timeout(timeout):
                await self._came.wait()
        except TimeoutError:
            return

    async def _ask(self, frame: "Results | Beat | Events", kind: type[S]) -> S:
        self._check_open()
        waiting: asyncio.Future[ServerFrame] = asyncio.get_running_loop().create_future()
        self._answers[frame.seq] = waiting
        try:
            async with asyncio.timeout(PATIENCE):
                await self._send(frame)
                answer = await waiting
        except TimeoutError:
            self._over(None)
            await self._channel.close(CloseCode.INTERNAL_ERROR, "no answer")
            raise TransportError("The server did not answer in time") from None
        finally:
            self._answers.pop(frame.seq, None)
        if isinstance(answer, Error):
            raise error_of(answer)
        if not isinstance(answer, kind):
            raise TransportError(f"An answer of another kind: {type(answer).__name__}")
        return answer

    async def _send(self, frame: msgspec.Struct) -> None:
        try:
            await self._channel.send(encode(frame))
        except ChannelClosed as closed:
            self._over(closed.code)
            raise TransportError(f"The stream was {closed}") from closed

    def _check_open(self) -> None:
        if not self.is_open:
            raise TransportError("The stream is closed")

    def _next(self) -> int:
        self._number += 1
        return self._number


def _means(wanted: Ready, said: Ready) -> bool:
    """Whether the server knows what is wanted, from what was said and the tasks it sent since."""
    left = said.credits - (wanted.seen - said.seen)
    return (
        max(0, left) == wanted.credits
        and wanted.available_skills == said.available_skills
        and wanted.hot_skills == said.hot_skills
    )
