"""The worker's end of the WebSocket of earlier generations: commands come in, tasks go over HTTP."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from ssl import SSLContext
from typing import Final

import aiohttp
from aiohttp import WSMsgType

from rxon.codec import decode
from rxon.errors import ProtocolError, TransportError
from rxon.http.client import HttpTransport
from rxon.http.keys import Keys
from rxon.http.redirects import no_redirects
from rxon.messages import Registered, Registration, WorkerCommand
from rxon.transport import PollRequest
from rxon.vocabulary import CANCEL_TASK

__all__ = ["CommandSocket", "ListeningTransport"]

FIRST_DELAY: Final = 1.0
LONGEST_DELAY: Final = 60.0
STEADY: Final = 5.0
"""A socket that lasted so many seconds is opened again at once when it was cut."""

OPEN_WITHIN: Final = 10.0
KEEP_ALIVE: Final = 30.0
REPLACED: Final = 1008  # by another process of the same worker, which must not be robbed of it at once

_log: Final = logging.getLogger("rxon")


class CommandSocket:
    """Stays open, or is opened again, while ``run`` runs. ``hear`` gets what comes in."""

    def __init__(
        self,
        url: str,
        headers: Callable[[], Mapping[str, str]],
        hear: Callable[[WorkerCommand], None],
        chance: Callable[[], float],
        ssl: SSLContext | None = None,
    ) -> None:
        self._url, self._headers, self._hear, self._chance = url, headers, hear, chance
        self._ssl = ssl
        self._delay = FIRST_DELAY

    async def run(self) -> None:
        """Listens until it is cancelled."""
        clock = asyncio.get_running_loop().time
        async with aiohttp.ClientSession(trace_configs=[no_redirects()]) as session:
            while True:
                began = clock()
                code = await self._listen(session)
                if code == REPLACED:
                    await asyncio.sleep(LONGEST_DELAY / 2)
                elif clock() - began >= STEADY:
                    self._delay = FIRST_DELAY
                else:
                    await asyncio.sleep(self._delay * (1 - self._chance() / 2))
                    self._delay = min(LONGEST_DELAY, self._delay * 2)

    async def _listen(self, session: aiohttp.ClientSession) -> int | None:
        """The code with which the server closed, if it did."""
        try:
            async with asyncio.timeout(OPEN_WITHIN):
                socket = await session.ws_connect(
                    self._url,
                    headers=self._headers(),
                    heartbeat=KEEP_ALIVE,
                    ssl=self._ssl if self._ssl is not None else True,
                )
        except (TimeoutError, TransportError, aiohttp.ClientError, OSError) as error:
            _log.debug("No socket for commands: %s: %s", type(error).__name__, error)
            return None
        async with socket:
            async for message in socket:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    self._take(message.data)
        return socket.close_code

    def _take(self, data: str | bytes) -> None:
        try:
            command = decode(WorkerCommand, data.encode() if isinstance(data, str) else data)
        except ProtocolError as error:
            _log.warning("A command that cannot be understood: %s", error.message)
        else:
            self._hear(command)


class ListeningTransport(HttpTransport):
    """Also hears commands, over a socket beside the requests, from when the worker is registered.

    A server that offers one of ``instead`` among its transports is not asked for a socket.
    """

    def __init__(  # noqa: PLR0913 - what HttpTransport takes, and two more
        self,
        base_url: str,
        worker_id: str,
        keys: Keys,
        session: aiohttp.ClientSession | None = None,
        *,
        chance: Callable[[], float],
        instead: Sequence[str] = (),
        ssl: SSLContext | None = None,
    ) -> None:
        super().__init__(base_url, worker_id, keys, session, ssl=ssl)
        self._instead = frozenset(instead)
        self._on_cancelled: Callable[[Sequence[str]], None] = lambda tasks: None
        self._on_told: Callable[[Sequence[WorkerCommand]], None] = lambda commands: None
        url = f"{self._channel.root}/ws/{worker_id}"
        self._socket = CommandSocket(url, self._talk.headers, self._hear, chance, ssl)
        self._listening: asyncio.Task[None] | None = None

    def spare(self) -> HttpTransport:
        """One for another event loop, which hears nothing."""
        twin = super().spare()
        assert isinstance(twin, ListeningTransport)  # noqa: S101 - it is a copy
        twin._listening = None
        return twin

    def listen(
        self,
        cancelled: Callable[[Sequence[str]], None],
        changed: Callable[[], None],
        told: Callable[[Sequence[WorkerCommand]], None] = lambda commands: None,
    ) -> None:
        """``cancelled`` gets tasks to stop, ``told`` the commands of operators; nothing else ever changes."""
        self._on_cancelled, self._on_told = cancelled, told

    def ready(self, request: PollRequest) -> None:
        """Nothing: a poll says what there is room for."""

    async def register(self, registration: Registration) -> Registered:
        """The server knows the worker, and is listened to."""
        registered = await super().register(registration)
        wanted = self._instead.isdisjoint(registered.transports)
        if not wanted:
            await self._stop()
        elif self._listening is None:
            self._listening = asyncio.get_running_loop().create_task(self._socket.run())
        return registered

    async def close(self) -> None:
        """Connections are closed; calling it again does nothing."""
        await self._stop()
        await super().close()

    async def _stop(self) -> None:
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.cancel()
            await asyncio.wait([listening])

    def _hear(self, command: WorkerCommand) -> None:
        if command.command != CANCEL_TASK:
            self._on_told((command,))
        elif command.task_id is not None:
            self._on_cancelled((command.task_id,))
