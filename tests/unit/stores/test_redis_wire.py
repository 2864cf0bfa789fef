"""A connection that breaks gives back every call that was not answered, at whatever moment it breaks."""

import asyncio
from typing import Any

import pytest
from redis.exceptions import ConnectionError as Broken

from avtomatika.stores.redis.wire import Call, Wire

SOON_S = 5.0


class Connection:
    """As the driver has them: it fails to send, or says something that nobody asked for."""

    def __init__(self, fails: Exception | None, says: Any = None) -> None:
        self._fails, self._says = fails, says
        self.closed = asyncio.Event()

    async def send_packed_command(self, packed: Any, check_health: bool = True) -> None:
        if self._fails is not None:
            raise self._fails

    async def read_response(self, **_: Any) -> Any:
        if self._says is None:
            await asyncio.Event().wait()
        if isinstance(self._says, Exception):
            raise self._says
        return self._says

    async def disconnect(self, nowait: bool = False) -> None:
        self.closed.set()


async def given_back(connection: Connection, calls: int = 2) -> list[Call]:
    loop = asyncio.get_running_loop()
    back: asyncio.Future[list[Call]] = loop.create_future()
    wire = Wire(connection, None, lambda _, left: back.set_result(left))  # type: ignore[arg-type] # what it uses
    sent = [Call(b"", loop.create_future(), loop.time()) for _ in range(calls)]
    await wire.send(sent)
    async with asyncio.timeout(SOON_S):
        found = await back
        await connection.closed.wait()
    assert [call for call in found if call in sent] == found
    return found


@pytest.mark.parametrize("why", [Broken("reset"), OSError("reset"), AttributeError("no writer")])
async def test_calls_that_cannot_be_sent_on_a_new_connection_are_given_back(why: Exception) -> None:
    assert len(await given_back(Connection(fails=why))) == 2


@pytest.mark.parametrize("why", [Broken("reset"), OSError("reset"), AttributeError("no reader")])
async def test_calls_whose_answers_cannot_be_read_are_given_back(why: Exception) -> None:
    assert len(await given_back(Connection(fails=None, says=why))) == 2


async def test_an_answer_too_many_ends_the_connection() -> None:
    assert await given_back(Connection(fails=None, says=b"ok"), calls=1) == []
