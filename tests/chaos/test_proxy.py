"""What the network does to those who speak through it."""

import asyncio
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.chaos import clockwork
from tests.chaos.parties import ROOT
from tests.chaos.proxy import Link, Mode, Near, Plan, near_of

SOON = 0.3
"""Long enough for something to come that is going to."""


class Network:
    """A link to a server that answers every line with the same line, and remembers what came."""

    def __init__(self, link: Link, port: int, heard: list[bytes]) -> None:
        self.link, self.heard = link, heard
        self._port = port

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self._port)

    async def ask(self, text: bytes) -> bytes | None:
        """The answer on a connection of its own; None when the connection was broken."""
        try:
            reader, writer = await self.connect()
        except ConnectionError:
            return None
        try:
            return await said(reader, writer, text)
        finally:
            writer.close()


async def said(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: bytes) -> bytes | None:
    """The answer; None when the connection was broken. Raises TimeoutError."""
    with suppress(ConnectionError):
        writer.write(text + b"\n")
        async with asyncio.timeout(SOON):
            return (await reader.readline()).rstrip() or None
    return None


@asynccontextmanager
async def network() -> AsyncIterator[Network]:
    heard: list[bytes] = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while line := await reader.readline():
                heard.append(line.rstrip())
                writer.write(line)
        writer.close()

    loop = asyncio.get_running_loop()
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    link = Link(Plan("a>b", 0, server.sockets[0].getsockname()[1]))
    front = await loop.create_server(near_of(link), "127.0.0.1", 0)
    yield Network(link, front.sockets[0].getsockname()[1], heard)
    link.become("closed", 0)
    front.close()
    server.close()
    await asyncio.sleep(0.02)


async def test_an_open_link_carries_everything() -> None:
    async with network() as net:
        assert await net.ask(b"x" * 50_000) == b"x" * 50_000


async def test_a_slow_link_carries_everything_later_and_in_order() -> None:
    async with network() as net:
        reader, writer = await net.connect()
        net.link.become("slow", 0.05)
        began = time.monotonic()
        for text in (b"1\n", b"2\n", b"3\n"):
            writer.write(text)
            await asyncio.sleep(0.005)
        assert await reader.readexactly(6) == b"1\n2\n3\n"
        assert time.monotonic() - began >= 0.1
        writer.close()


async def test_who_speaks_into_a_hole_hears_nothing_and_is_not_heard() -> None:
    async with network() as net:
        net.link.become("hole", 0)
        with pytest.raises(TimeoutError):
            await net.ask(b"hello")
        assert net.heard == []


async def test_who_speaks_over_half_a_link_is_heard_and_hears_nothing() -> None:
    async with network() as net:
        net.link.become("half", 0)
        with pytest.raises(TimeoutError):
            await net.ask(b"hello")
        assert net.heard == [b"hello"]


@pytest.mark.parametrize("mode", ["hole", "half"])
async def test_what_lost_something_is_broken_when_the_link_is_well_again(mode: Mode) -> None:
    async with network() as net:
        reader, writer = await net.connect()
        assert await said(reader, writer, b"before") == b"before"
        net.link.become(mode, 0)
        with pytest.raises(TimeoutError):
            await said(reader, writer, b"meanwhile")
        net.link.become("open", 0)
        assert await said(reader, writer, b"after") is None
        assert await net.ask(b"anew") == b"anew"
        writer.close()


async def test_what_lost_nothing_goes_on() -> None:
    async with network() as net:
        reader, writer = await net.connect()
        assert await said(reader, writer, b"before") == b"before"
        net.link.become("hole", 0)
        net.link.become("open", 0)
        assert await said(reader, writer, b"after") == b"after"
        writer.close()


async def test_a_cut_comes_after_the_request_and_before_the_answer() -> None:
    async with network() as net:
        net.link.become("cut", 0)
        assert await net.ask(b"hello") is None
        assert net.heard == [b"hello"]


async def test_a_closed_link_breaks_what_there_is_and_takes_nothing_new() -> None:
    async with network() as net:
        reader, writer = await net.connect()
        assert await said(reader, writer, b"before") == b"before"
        net.link.become("closed", 0)
        assert await said(reader, writer, b"meanwhile") is None
        assert await net.ask(b"anew") is None
        assert net.heard == [b"before"]
        writer.close()


async def test_nobody_there_is_a_broken_connection() -> None:
    loop = asyncio.get_running_loop()
    free = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = free.sockets[0].getsockname()[1]
    free.close()
    link = Link(Plan("a>b", 0, port))
    front = await loop.create_server(lambda: Near(link), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*front.sockets[0].getsockname())
    assert await said(reader, writer, b"hello") is None
    writer.close()
    front.close()


def test_the_clock_of_a_process_follows_its_file_and_its_uptime_does_not(tmp_path: Path) -> None:
    file = tmp_path / "clock"
    clockwork.make(file)
    program = (
        "import sys, time, pathlib; from tests.chaos import clockwork\n"
        "clockwork.follow(pathlib.Path(sys.argv[1]))\n"
        "for _ in sys.stdin: print(time.time(), time.time_ns(), time.monotonic(), flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(file)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def shown() -> list[float]:
            process.stdin.write("\n")
            process.stdin.flush()
            return [float(text) for text in process.stdout.readline().split()]

        before = shown()
        clockwork.step(file, 3_600.0)
        after = shown()
        process.stdin.close()
    assert after[0] - before[0] >= 3_600
    assert after[1] - before[1] >= 3_600e9
    assert after[2] - before[2] < 60
    assert struct.unpack("<d", file.read_bytes()) == (3_600.0,)
