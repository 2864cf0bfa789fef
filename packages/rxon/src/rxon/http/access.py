"""Tokens that expire, in exchange for the worker's own. Times are monotonic seconds."""

from typing import Final, NamedTuple

import msgspec

from rxon.codec import decode, encode

__all__ = ["Access", "Exchange"]

SHARE: Final = 0.8  # of its life, after which a token is renewed
AGAIN: Final = 600.0  # seconds after a server that gives none is asked again
SHORTEST: Final = 10.0  # seconds


class Exchange(NamedTuple):
    """A request for a token: where to, below the prefix of workers, and its body."""

    path: str
    body: bytes | None


class _Granted(msgspec.Struct):
    access_token: str
    expires_in: float = 3600.0
    refresh_token: str | None = None


class Access:
    """Which token to show, and when to ask for another one. Never asks unless ``exchange``."""

    def __init__(self, own: str, exchange: bool) -> None:
        self._own = own
        self._exchange = exchange
        self._access: str | None = None
        self._refresh: str | None = None
        self._due = 0.0

    @property
    def shown(self) -> str:
        """The token to show."""
        return self._access or self._own

    def due(self, now: float) -> Exchange | None:
        """What to ask for now, if anything."""
        if not self._exchange or now < self._due:
            return None
        if self._refresh is None:
            self._access = None  # a token cannot ask for its successor
            return Exchange("/auth/token", None)
        return Exchange("/auth/token/refresh", encode({"refresh_token": self._refresh}))

    def granted(self, body: bytes, now: float) -> None:
        """The token in ``body`` is shown from now on. Raises ProtocolError when there is none in it."""
        granted = decode(_Granted, body)
        self._access, self._refresh = granted.access_token, granted.refresh_token
        self._due = now + max(SHORTEST, granted.expires_in * SHARE)

    def denied(self, now: float) -> None:
        """What was asked for is not given; what is left is the worker's own token."""
        self._due = now if self._refresh is not None else now + AGAIN
        self._access = self._refresh = None

    def rejected(self, now: float) -> bool:
        """Whether the token that was shown, and is not good any more, was given in exchange."""
        if self._access is None:
            return False
        self._access = None
        self._due = now
        return True
