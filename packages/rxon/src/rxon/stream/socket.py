"""A WebSocket of aiohttp as a channel: what its two ends have in common."""

import aiohttp
from aiohttp import WSMsgType, web

from rxon.stream.channel import ChannelClosed

Socket = aiohttp.ClientWebSocketResponse[bool] | web.WebSocketResponse[bool]


class SocketChannel:
    """One end, on which frames go out and come in. How it is closed differs."""

    def __init__(self, socket: "Socket") -> None:
        self._ends = socket

    async def send(self, frame: bytes) -> None:
        """The frame is on its way. Raises ChannelClosed."""
        try:
            await self._ends.send_frame(frame, WSMsgType.TEXT)
        except (aiohttp.ClientError, ConnectionError, RuntimeError) as error:
            raise ChannelClosed(reason=str(error)) from error

    async def receive(self) -> bytes:
        """The next frame. Raises ChannelClosed."""
        message = await self._ends.receive()
        if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            data: bytes = message.data
            return data
        raise ChannelClosed(self._ends.close_code)


def reason_of(text: str) -> bytes:
    """The reason as far as it fits into a control frame."""
    return text.encode()[:120]
