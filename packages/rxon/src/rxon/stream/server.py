"""Serves streams to workers on an aiohttp application."""

import asyncio
from collections.abc import Callable
from typing import Final

from aiohttp import web

from rxon.errors import ProtocolError, RxonError
from rxon.generations import Generation
from rxon.http.incoming import credentials_of
from rxon.http.server import error_response
from rxon.identifiers import validate_identifier
from rxon.stream.channel import KEEP_ALIVE, MAX_FRAME, SUBPROTOCOL, CloseCode
from rxon.stream.serving import ServedStream
from rxon.stream.socket import SocketChannel, reason_of
from rxon.transport import Credentials, WorkerGateway
from rxon.vocabulary import PATH_PREFIX, WORKER_ID_HEADER

__all__ = ["add_stream"]

PATH: Final = f"{PATH_PREFIX}/stream"
GOODBYE: Final = 5.0
COME_BACK_AFTER: Final = 1.0

GatewayOf = Callable[[web.Request], WorkerGateway]


def add_stream(app: web.Application, gateway_of: GatewayOf, max_frame: int = MAX_FRAME) -> None:
    """Workers of ``app`` may open streams to the gateway that ``gateway_of`` names per request.

    A worker has one: a newer one takes its place. When the application shuts down, every stream
    gives no more tasks, answers what it has in hand, and is closed.
    """
    streams = _Streams(gateway_of, max_frame)
    app.router.add_get(PATH, streams.open, allow_head=False)
    app.on_shutdown.append(streams.leave)


class _Streams:
    def __init__(self, gateway_of: GatewayOf, max_frame: int) -> None:
        self._gateway_of, self._max_frame = gateway_of, max_frame
        self._open: dict[str, ServedStream] = {}
        self._leaving = False

    async def open(self, request: web.Request) -> web.StreamResponse:
        """The stream, once it is over; or why there was none."""
        gateway = self._gateway_of(request)
        socket = web.WebSocketResponse(
            protocols=(SUBPROTOCOL,),
            heartbeat=KEEP_ALIVE,
            max_msg_size=self._max_frame,
            compress=False,
            decode_text=False,
        )
        try:
            credentials, worker_id = _caller(request)
            _check_upgrade(request, socket)
            await gateway.heartbeat(credentials, worker_id, None)  # is known, and may come in
        except RxonError as error:
            return error_response(error)
        try:
            await socket.prepare(request)
        except ConnectionError:
            return socket  # who asked has hung up, and hears nothing any more
        stream = ServedStream(gateway, credentials, worker_id, _Channel(socket))
        older = self._open.get(worker_id)
        self._open[worker_id] = stream
        try:
            async with asyncio.TaskGroup() as group:
                if older is not None:
                    group.create_task(older.replaced())
                if self._leaving:
                    group.create_task(stream.leave(COME_BACK_AFTER))
                await stream.run(self._max_frame)
        finally:
            if self._open.get(worker_id) is stream:
                del self._open[worker_id]
        return socket

    async def leave(self, _: web.Application) -> None:
        """Every stream is closed."""
        self._leaving = True
        try:
            async with asyncio.timeout(GOODBYE), asyncio.TaskGroup() as group:
                for stream in self._open.values():
                    group.create_task(stream.leave(COME_BACK_AFTER))
        except TimeoutError:
            return  # whoever does not read is cut off when the server stops


class _Channel(SocketChannel):
    """A WebSocket at the server."""

    def __init__(self, socket: "web.WebSocketResponse[bool]") -> None:
        super().__init__(socket)
        self._socket = socket

    async def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        # Nobody waits long for a peer that does not answer.
        await self._socket.close(code=code, message=reason_of(reason), drain=False)


def _caller(request: web.Request) -> tuple[Credentials, str]:
    credentials = credentials_of(request, None, generation=Generation.OURS)
    return credentials, validate_identifier(credentials.worker_id or "", WORKER_ID_HEADER)


def _check_upgrade(request: web.Request, socket: "web.WebSocketResponse[bool]") -> None:
    try:
        ready = socket.can_prepare(request)
    except web.HTTPException as error:
        raise ProtocolError(f"This is no opening of a WebSocket: {error.text}") from None
    if not ready.ok:
        raise ProtocolError("A stream is a WebSocket, and this request asks for none")
    if ready.protocol != SUBPROTOCOL:
        raise ProtocolError(f"The subprotocol of a stream is {SUBPROTOCOL}")
