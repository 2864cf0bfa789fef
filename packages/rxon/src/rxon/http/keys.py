"""What a worker shows and signs with."""

import msgspec

__all__ = ["Keys"]


class Keys(msgspec.Struct, frozen=True):
    """The token that the worker shows, and the one that all workers share, if it knows it.

    Earlier servers verify signatures with one or the other. With ``exchange``, the token is exchanged for one
    that expires where the server does that, and is shown no more while that one is good; it stays the one to
    sign with.
    """

    token: str
    shared: str | None = None
    exchange: bool = False

    def __repr__(self) -> str:
        return f"Keys(exchange={self.exchange})"
