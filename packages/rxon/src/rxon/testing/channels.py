"""Channels without a network, and streams over them."""

import asyncio
from collections import deque

from rxon.stream.channel import Channel, ChannelClosed, CloseCode
from rxon.stream.serving import ServedStream
from rxon.transport import Credentials, WorkerGateway

__all__ = ["LoopbackOpener", "MemoryChannel", "channel_pair"]


class MemoryChannel:
    """One end of a channel in memory. At most ``room`` frames wait at each end to be received."""

    def __init__(self, room: int) -> None:
        self.peer = self
        self._room = room
        self._arrived: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._closed: ChannelClosed | None = None

    async def send(self, frame: bytes) -> None:
        """The frame is with the other end, once there is room for it."""
        while self._closed is None and len(self.peer._arrived) >= self._room:
            self._news.clear()
            await self._news.wait()
        if self._closed is not None:
            raise self._closed
        self.peer._arrived.append(frame)
        self.peer._news.set()

    async def receive(self) -> bytes:
        """The next frame; what arrived before the end is still there."""
        while not self._arrived:
            if self._closed is not None:
                raise self._closed
            self._news.clear()
            await self._news.wait()
        self.peer._news.set()
        return self._arrived.popleft()

    async def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Both ends are closed."""
        self.cut(code, reason)

    def cut(self, code: int | None = None, reason: str = "") -> None:
        """Both ends are closed; what had not arrived never does."""
        for end in (self, self.peer):
            end._closed = end._closed or ChannelClosed(code, reason)
            end._news.set()


def channel_pair(room: int = 100) -> tuple[MemoryChannel, MemoryChannel]:
    """The two ends of a channel."""
    one, other = MemoryChannel(room), MemoryChannel(room)
    one.peer, other.peer = other, one
    return one, other


class LoopbackOpener:
    """Opens streams to ``gateway`` in this process; ``close`` ends those that are still served."""

    def __init__(self, gateway: WorkerGateway, worker_id: str, token: str) -> None:
        self._gateway, self._worker_id = gateway, worker_id
        self._credentials = Credentials(token, worker_id)
        self._served: set[asyncio.Task[None]] = set()
        self.streams: list[ServedStream] = []
        self.channels: list[MemoryChannel] = []

    async def open(self) -> Channel:
        """The end of the worker; the other one is being served. Raises AuthError, WorkerUnknownError."""
        await self._gateway.heartbeat(self._credentials, self._worker_id, None)
        here, there = channel_pair()
        stream = ServedStream(self._gateway, self._credentials, self._worker_id, there)
        self.streams.append(stream)
        self.channels.append(here)
        serving = asyncio.get_running_loop().create_task(stream.run())
        self._served.add(serving)
        serving.add_done_callback(self._served.discard)
        return here

    async def close(self) -> None:
        """Nothing is served any more."""
        serving = list(self._served)
        for each in serving:
            each.cancel()
        if serving:
            await asyncio.wait(serving)
