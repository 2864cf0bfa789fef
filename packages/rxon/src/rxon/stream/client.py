"""Opens streams to an orchestrator, with aiohttp."""

import asyncio
from ssl import SSLContext
from typing import Final, NoReturn

import aiohttp
from aiohttp import ClientWSTimeout

from rxon.errors import AuthError, ForbiddenError, TransportError, WorkerUnknownError
from rxon.http.redirects import no_redirects
from rxon.identifiers import validate_identifier
from rxon.stream.channel import KEEP_ALIVE, SUBPROTOCOL, Channel, CloseCode
from rxon.stream.socket import SocketChannel, reason_of
from rxon.vocabulary import (
    PATH_PREFIX,
    PROTOCOL_VERSION,
    VERSION_HEADER,
    WORKER_ID_HEADER,
    WORKER_TOKEN_HEADER,
)

__all__ = ["SocketOpener"]

MAX_FRAME: Final = 64 * 1024 * 1024  # a single task may be larger than what the server takes
_PATIENCE: Final = ClientWSTimeout(ws_close=2.0)  # pyright: ignore[reportCallIssue] - made by attrs


class SocketOpener:
    """Makes channels to one orchestrator. ``timeout`` is how many seconds opening one may take."""

    def __init__(
        self,
        base_url: str,
        worker_id: str,
        token: str,
        *,
        timeout: float = 5.0,
        ssl: SSLContext | None = None,
    ) -> None:
        self._url = _ws_url(base_url) + PATH_PREFIX + "/stream"
        self._headers = {
            WORKER_TOKEN_HEADER: token,
            WORKER_ID_HEADER: validate_identifier(worker_id, "worker_id"),
            VERSION_HEADER: PROTOCOL_VERSION,
        }
        self._timeout = timeout
        self._ssl = ssl
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"SocketOpener({self._url!r})"

    async def open(self) -> Channel:
        """A channel. Raises TransportError; AuthError, ForbiddenError, WorkerUnknownError as HTTP does."""
        if self._session is None:
            self._session = aiohttp.ClientSession(trace_configs=[no_redirects()])
        try:
            async with asyncio.timeout(self._timeout):
                socket = await self._session.ws_connect(
                    self._url,
                    protocols=(SUBPROTOCOL,),
                    headers=self._headers,
                    heartbeat=KEEP_ALIVE,
                    timeout=_PATIENCE,
                    max_msg_size=MAX_FRAME,
                    ssl=self._ssl if self._ssl is not None else True,
                    decode_text=False,
                )
        except aiohttp.WSServerHandshakeError as error:
            _raise_refusal(error)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise TransportError(f"{type(error).__name__}: {error}") from error
        if socket.protocol != SUBPROTOCOL:
            await socket.close()
            raise TransportError(f"The server does not speak {SUBPROTOCOL}")
        return _Channel(socket)

    async def close(self) -> None:
        """Nothing is open any more; calling it again does nothing."""
        if self._session is not None:
            await self._session.close()
            self._session = None


class _Channel(SocketChannel):
    """A WebSocket at the worker."""

    def __init__(self, socket: "aiohttp.ClientWebSocketResponse[bool]") -> None:
        super().__init__(socket)
        self._socket = socket

    async def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        await self._socket.close(code=code, message=reason_of(reason))


def _raise_refusal(error: aiohttp.WSServerHandshakeError) -> NoReturn:
    kinds = {401: AuthError, 403: ForbiddenError, 404: WorkerUnknownError}
    ours = VERSION_HEADER in (error.headers or {})  # a 404 of a proxy says nothing about the worker
    kind = kinds.get(error.status, TransportError) if ours else TransportError
    raise kind(f"No stream: status {error.status}") from error


def _ws_url(base_url: str) -> str:
    for scheme, replacement in (("http://", "ws://"), ("https://", "wss://")):
        if base_url.startswith(scheme):
            base_url = replacement + base_url.removeprefix(scheme)
    return base_url.rstrip("/")
