"""Connections: what is no HTTP is answered like any other mistake, and leaves no trace on the log."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from aiohttp import web

from avtomatika import observe
from avtomatika.http import problems

BACKLOG: Final = 1_024
_CLIENTS_FAULT: Final = (web.RequestPayloadError, web.PayloadAccessError)


def url_of(host: str, port: int) -> str:
    """The URL of what listens there."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Site(web.BaseSite):
    """The place where a runner's application listens."""

    def __init__(self, runner: web.AppRunner, host: str, port: int, new_id: Callable[[], str]) -> None:
        super().__init__(runner, backlog=BACKLOG)
        self._host, self._port, self._new_id = host, port, new_id

    @property
    def name(self) -> str:
        """The address, for people."""
        return url_of(self._host, self._port)

    async def start(self) -> None:
        """The site listens. Raises OSError when the port is taken."""
        await super().start()
        loop = asyncio.get_running_loop()
        server = self._runner.server
        if not isinstance(server, web.Server):
            raise TypeError("the runner is set up before its sites start")
        connection = partial(Connection, server, self._new_id, loop=loop, access_log=None)
        self._server = await loop.create_server(connection, self._host, self._port, backlog=self._backlog)


class Connection(web.RequestHandler):
    """One connection. Errors below the application are the client's as long as their status says so."""

    __slots__ = ("_new_id",)

    def __init__(self, server: web.Server, new_id: Callable[[], str], **options: Any) -> None:
        super().__init__(server, **options)
        self._new_id = new_id

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
