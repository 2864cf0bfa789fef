"""A small balancer of TCP connections: it sends each new one to the next node that says that it is ready."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import aiohttp

LOOK_EVERY = 0.2


class Balancer:
    """Between clients and the nodes at these ports."""

    def __init__(self, ports: Sequence[int]) -> None:
        self.port = 0
        self._ready = dict.fromkeys(ports, False)
        self._turn = 0
        self._open: set[asyncio.Task[None]] = set()

    async def look(self) -> None:
        """Asks every node again and again whether it is ready, until this is cancelled."""
        limit = aiohttp.ClientTimeout(total=1)
        async with aiohttp.ClientSession(timeout=limit) as session:
            while True:
                await asyncio.gather(*(self._look_at(session, port) for port in self._ready))
                await asyncio.sleep(LOOK_EVERY)

    async def _look_at(self, session: aiohttp.ClientSession, port: int) -> None:
        try:
            async with session.get(f"http://127.0.0.1:{port}/_public/ready") as answer:
                self._ready[port] = answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            self._ready[port] = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection is carried to a node, until either side closes it."""
        there = await self._node()
        if there is None:
            writer.close()
            return
        upstream, downstream = there
        ways = [asyncio.ensure_future(_carry(a, b)) for a, b in ((reader, downstream), (upstream, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for end in (downstream, writer):
                end.close()

    async def _node(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        ports = [port for port, ready in self._ready.items() if ready]
        self._turn += 1
        for n in range(len(ports)):
            port = ports[(self._turn + n) % len(ports)]
            try:
                return await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                self._ready[port] = False  # it has just gone: the next one
        return None


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while some := await reader.read(65_536):
            writer.write(some)
            await writer.drain()


@asynccontextmanager
async def balancer(ports: Sequence[int]) -> AsyncIterator[Balancer]:
    """A balancer that listens."""
    found = Balancer(ports)
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0, backlog=1_024)
    found.port = server.sockets[0].getsockname()[1]
    looking = asyncio.ensure_future(found.look())
    try:
        yield found
    finally:
        looking.cancel()
        server.close()
        await asyncio.gather(looking, return_exceptions=True)
