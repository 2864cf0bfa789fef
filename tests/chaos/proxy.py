"""The network between the parties: one process, in which every link can be made to misbehave.

`python -m tests.chaos.proxy` reads JSON from its standard input: first the links, by name, then what becomes
of some of them.
"""

import asyncio
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable
from typing import Final, Literal, cast

import msgspec
import uvloop

Mode = Literal["open", "slow", "hole", "half", "cut", "closed"]
"""How a link is: open; slow; swallows everything; swallows what comes back; breaks with the first answer,
after the request has arrived; refuses."""

RESET: Final = struct.pack("ii", 1, 0)


class Plan(msgspec.Struct, frozen=True):
    """A link: who listens on `port` is connected to `target` on this machine."""

    name: str
    port: int
    target: int


class Order(msgspec.Struct, frozen=True):
    """These links are like that from now on. `delay` is for one way, in seconds."""

    links: list[str]
    mode: Mode
    delay: float = 0.0


class Link:
    """One link with its connections."""

    def __init__(self, plan: Plan) -> None:
        self.target = plan.target
        self.mode: Mode = "open"
        self.delay = 0.0
        self.pairs: set[Near] = set()

    def become(self, mode: Mode, delay: float) -> None:
        """The link is like that. Connections that lost something are broken: they could not go on."""
        self.mode, self.delay = mode, delay
        for pair in [*self.pairs]:
            if mode == "closed" or (pair.spoiled and mode not in ("hole", "half")):
                pair.abort()


class _Way:
    """One direction of a connection."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._delayed: deque[bytes] = deque()
        self.sink: asyncio.Transport | None = None

    def carry(self, data: bytes) -> None:
        """The data is on its way."""
        if self._link.mode == "slow" or self._delayed:
            self._delayed.append(data)
            asyncio.get_running_loop().call_later(self._link.delay, self._arrive)
        elif self.sink is None:
            self._delayed.append(data)
        else:
            self.sink.write(data)

    def opened(self, sink: asyncio.Transport) -> None:
        """There is somebody at the other end now."""
        self.sink = sink
        while self._delayed:
            sink.write(self._delayed.popleft())

    def _arrive(self) -> None:
        if self._delayed and self.sink is not None:
            self.sink.write(self._delayed.popleft())


class Near(asyncio.Protocol):
    """The side of a connection that began it."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.there, self.back = _Way(link), _Way(link)
        self.spoiled = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.back.sink = self._transport
        self.link.pairs.add(self)
        if self.link.mode == "closed":
            self.abort()
        elif self.link.mode == "hole":
            self.spoiled = True
        else:
            self._connecting = asyncio.ensure_future(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: Far(self), "127.0.0.1", self.link.target)
        except OSError:
            self.abort()

    def data_received(self, data: bytes) -> None:
        if self.link.mode == "hole":
            self.spoiled = True
        else:
            self.there.carry(data)

    def answered(self, data: bytes) -> None:
        """The other side has sent something."""
        match self.link.mode:
            case "hole" | "half":
                self.spoiled = True
            case "cut":
                self.abort()
            case _:
                self.back.carry(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._over(self.there.sink)

    def left(self) -> None:
        """The other side has closed."""
        self._over(self._transport)

    def _over(self, other: asyncio.Transport | None) -> None:
        if self.link.mode in ("hole", "half"):
            self.spoiled = True  # the news does not get through either
            return
        self.link.pairs.discard(self)
        if other is not None:
            other.close()

    def abort(self) -> None:
        """Both sides are told that the connection is broken."""
        self.link.pairs.discard(self)
        for transport in (self._transport, self.there.sink):
            if transport is not None and not transport.is_closing():
                found = transport.get_extra_info("socket")
                if found is not None:
                    found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                transport.abort()


class Far(asyncio.Protocol):
    """The side of a connection that was called."""

    def __init__(self, near: Near) -> None:
        self._near = near

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._near.there.opened(cast("asyncio.Transport", transport))
        if self._near not in self._near.link.pairs:
            cast("asyncio.Transport", transport).abort()

    def data_received(self, data: bytes) -> None:
        self._near.answered(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._near.left()


def near_of(link: Link) -> Callable[[], Near]:
    """Makes the near sides of a link."""
    return lambda: Near(link)


async def main() -> None:
    """Links are open, and change as they are told to, until standard input ends."""
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    links: dict[str, Link] = {}
    for plan in msgspec.json.decode(await orders.readline(), type=list[Plan]):
        link = links[plan.name] = Link(plan)
        await loop.create_server(near_of(link), "127.0.0.1", plan.port, backlog=500)
    print("ready", flush=True)
    while line := await orders.readline():
        order = msgspec.json.decode(line, type=Order)
        for name in order.links:
            links[name].become(order.mode, order.delay)
        print("done", flush=True)


if __name__ == "__main__":
    uvloop.run(main())
