"""Connections: what is no HTTP is answered like any other mistake, and leaves no trace on the log."""

import asyncio
from collections.abc import Callable
from functools import partial
from ssl import SSLContext
from typing import Any, Final

from aiohttp import web

from avtomatika import observe
from avtomatika.http import problems

BACKLOG: Final = 1_024
HANDSHAKE: Final = 10.0
"""How many seconds a client has to agree on TLS."""

_CLIENTS_FAULT: Final = (web.RequestPayloadError, web.PayloadAccessError)


def url_of(host: str, port: int, *, tls: bool = False) -> str:
    """The URL of what listens there."""
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return f"{'https' if tls else 'http'}://{place}"


class Site(web.BaseSite):
    """The place where a runner's application listens."""

    def __init__(
        self,
        runner: web.AppRunner,
        host: str,
        port: int,
        new_id: Callable[[], str],
        tls: SSLContext | None = None,
    ) -> None:
        super().__init__(runner, backlog=BACKLOG, ssl_context=tls)
        self._host, self._port, self._new_id, self._tls = host, port, new_id, tls

    @property
    def name(self) -> str:
        """The address, for people."""
        return url_of(self._host, self._port, tls=self._tls is not None)

    async def start(self) -> None:
        """The site listens. Raises OSError when the port is taken."""
        await super().start()
        loop = asyncio.get_running_loop()
        server = self._runner.server
        if not isinstance(server, web.Server):
            raise TypeError("the runner is set up before its sites start")
        connection = partial(Connection, server, self._new_id, loop=loop, access_log=None)
        self._server = await loop.create_server(
            connection,
            self._host,
            self._port,
            backlog=self._backlog,
            ssl=self._tls,
            ssl_handshake_timeout=None if self._tls is None else HANDSHAKE,
        )


class Connection(web.RequestHandler):
    """One connection. Errors below the application are the client's as long as their status says so."""

    __slots__ = ("_new_id",)

    def __init__(self, server: web.Server, new_id: Callable[[], str], **options: Any) -> None:
        super().__init__(server, **options)
        self._new_id = new_id

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """What is written is sent there and then, unless it has to be encrypted."""
        super().connection_made(transport)
        if isinstance(transport, asyncio.WriteTransport) and transport.get_extra_info("sslcontext") is None:
            # uvloop would collect it until the end of the turn, behind whatever else is to be done in it.
            # (With TLS asyncio takes an empty buffer for a full one then: who writes waits for ever.)
            transport.set_write_buffer_limits(high=0)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to something that never became a request of the application."""
        if status >= 500:
            return super().handle_error(request, status, exc, message)
        observe.event("http.malformed", why=type(exc).__name__)
        answer = problems.malformed(self._new_id())
        answer.force_close()
        return answer

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Errors of ours go to the log; bodies that broke off or were not what they claimed do not."""
        if not isinstance(kw.get("exc_info"), _CLIENTS_FAULT):
            super().log_exception(*args, **kw)
