"""The WebSocket of the earlier generations: events come in, commands go out. Tasks go over HTTP beside it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec
from aiohttp import ClientConnectionResetError, WSCloseCode, WSMsgType, web

from rxon.errors import ProtocolError, RxonError, UnavailableError
from rxon.generations import Dialect, dialect_of, of_version
from rxon.http.incoming import credentials_of, version_of, worker_in_path
from rxon.messages import WorkerCommand
from rxon.transport import Credentials, WorkerDesk, WorkerGateway

__all__ = ["LegacySockets"]

LOOK_AGAIN: Final = 30.0
KEEP_ALIVE: Final = 30.0

_log: Final = logging.getLogger("rxon")

Socket = web.WebSocketResponse


class LegacySockets:
    """The sockets of this process, one per worker: a newer one takes the place of an older."""

    def __init__(self, gateway_of: Callable[[web.Request], WorkerGateway], desk: WorkerDesk) -> None:
        self._gateway_of, self._desk = gateway_of, desk
        self._of: dict[str, Socket] = {}
        self._open: set[Socket] = set()

    async def open(self, request: web.Request) -> web.StreamResponse:
        """The socket, once it is over. Who may not have one hears so before there is any."""
        named = worker_in_path(request) if "worker_id" in request.match_info else None
        credentials = credentials_of(request, named)
        worker_id = await self._desk.identify(credentials, named)
        socket = Socket(heartbeat=KEEP_ALIVE, max_msg_size=request.client_max_size)
        if not socket.can_prepare(request).ok:
            raise ProtocolError("This is the address of a WebSocket")
        dialect = dialect_of(of_version(version_of(request)))
        await socket.prepare(request)
        self._open.add(socket)
        talk = _Conversation(self._gateway_of(request), self._desk, credentials, dialect, socket)
        try:
            await talk.run(worker_id, self._claim)
        finally:
            self._open.discard(socket)
            for worker in [worker for worker, owned in self._of.items() if owned is socket]:
                del self._of[worker]
        return socket

    async def leave(self, _: web.Application) -> None:
        """Every socket is closed."""
        for socket in tuple(self._open):
            await _close(socket, WSCloseCode.GOING_AWAY, b"Server shutdown")

    async def _claim(self, worker_id: str, socket: Socket) -> None:
        older = self._of.get(worker_id)
        self._of[worker_id] = socket
        if older is not None and older is not socket:
            await _close(older, WSCloseCode.POLICY_VIOLATION, b"New connection established")


class _Conversation:
    """What goes over one socket. One that does not say whose it is belongs to whom its first task belongs."""

    def __init__(
        self,
        gateway: WorkerGateway,
        desk: WorkerDesk,
        credentials: Credentials,
        dialect: Dialect,
        socket: Socket,
    ) -> None:
        self._gateway, self._desk = gateway, desk
        self._credentials, self._dialect, self._socket = credentials, dialect, socket
        self._worker_id: str | None = None
        self._telling: list[asyncio.Task[None]] = []

    async def run(self, worker_id: str | None, claim: Callable[[str, Socket], Awaitable[None]]) -> None:
        """Returns when the socket is closed, by either side."""
        async with asyncio.TaskGroup() as group:
            if worker_id is not None:
                await self._begin(worker_id, group, claim)
            try:
                async for message in self._socket:
                    if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                        data: str | bytes = message.data
                        frame = data.encode() if isinstance(data, str) else data
                        if self._worker_id is None:
                            holder = await self._holder(frame)
                            if holder is not None:
                                await self._begin(holder, group, claim)
                        await self._hear(frame)
            finally:
                for task in self._telling:
                    task.cancel()

    async def _begin(
        self, worker_id: str, group: asyncio.TaskGroup, claim: Callable[[str, Socket], Awaitable[None]]
    ) -> None:
        self._worker_id = worker_id
        known = await self._desk.generation(worker_id)
        self._dialect = self._dialect if known is None else dialect_of(known)
        self._credentials = msgspec.structs.replace(self._credentials, worker_id=worker_id)
        await claim(worker_id, self._socket)
        self._telling = [
            group.create_task(self._tell(lambda: self._desk.mail(worker_id, LOOK_AGAIN))),
            group.create_task(
                self._tell(lambda: self._desk.stopped(self._credentials, worker_id, LOOK_AGAIN))
            ),
        ]

    async def _holder(self, frame: bytes) -> str | None:
        try:
            task = self._dialect.event(frame).task_id
            return None if task is None else await self._desk.holder(task)
        except RxonError:
            return None

    async def _hear(self, frame: bytes) -> None:
        """The event is dealt with. What is wrong with it is on the log: there is no answer here."""
        try:
            event = self._dialect.event(frame, self._worker_id)
            credentials = msgspec.structs.replace(self._credentials, body=frame)
            answer = await self._gateway.emit(credentials, event)
        except RxonError as error:
            _log.warning("worker.event_refused worker=%r why=%r", self._worker_id, error.message)
        else:
            if answer.message is not None:
                _log.warning("worker.event_refused worker=%r why=%r", self._worker_id, answer.message)

    async def _tell(self, ask: Callable[[], Awaitable[Sequence[WorkerCommand]]]) -> None:
        """Whatever comes is sent, until the socket is closed or the worker may not have it any more."""
        while not self._socket.closed:
            try:
                for command in await ask():
                    await self._socket.send_str(self._dialect.command(command).decode())
            except UnavailableError as error:
                await asyncio.sleep(error.retry_after)
            except RxonError as error:
                await _close(self._socket, WSCloseCode.POLICY_VIOLATION, error.message.encode())
                return
            except ClientConnectionResetError:
                return


async def _close(socket: Socket, code: int, reason: bytes) -> None:
    # Nobody waits long for a peer that does not answer; the reason has to fit into a control frame.
    await socket.close(code=code, message=reason[:120], drain=False)
