"""What carries the frames of a stream: a WebSocket, or in tests two queues."""

from enum import IntEnum
from typing import Final, Protocol

__all__ = ["KEEP_ALIVE", "MAX_FRAME", "SUBPROTOCOL", "STREAM", "Channel", "ChannelClosed", "CloseCode"]

STREAM: Final = "stream"
SUBPROTOCOL: Final = "rxon.2"
MAX_FRAME: Final = 1024 * 1024
KEEP_ALIVE: Final = 20.0
"""Seconds of silence after which either side sends a PING; half as long it waits for the PONG."""


class CloseCode(IntEnum):
    """Why a connection was closed."""

    NORMAL = 1000
    TOO_LARGE = 1009
    INTERNAL_ERROR = 1011
    RESTART = 1012
    MALFORMED = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    WORKER_UNKNOWN = 4404
    REPLACED = 4409


class ChannelClosed(Exception):
    """Nothing more can be sent or received. ``code`` is what the other side gave as the reason, if it did."""

    def __init__(self, code: int | None = None, reason: str = "") -> None:
        super().__init__(f"closed with {code}: {reason}" if reason else f"closed with {code}")
        self.code, self.reason = code, reason


class Channel(Protocol):
    """A connection that carries whole frames, in order."""

    async def send(self, frame: bytes) -> None:
        """The frame is on its way; waits while the other side does not read. Raises ChannelClosed."""
        ...

    async def receive(self) -> bytes:
        """The next frame. Raises ChannelClosed when there will be none."""
        ...

    async def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """The connection is closed; calling it again does nothing."""
        ...
