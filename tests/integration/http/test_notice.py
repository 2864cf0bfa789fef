"""A node that stops gives notice first: it serves, says that it is not ready, and lets connections end."""

import asyncio

import aiohttp
import pytest

from tests.integration.http.blueprints import flow
from tests.integration.http.conftest import CLIENT_TOKEN, Start


async def test_a_node_that_gives_notice_serves_and_breaks_no_connection(start: Start) -> None:
    node = await start(flow(), DRAIN_NOTICE_SECONDS="1")
    url = node.url
    async with aiohttp.ClientSession(headers={"X-Client-Token": CLIENT_TOKEN}) as session:

        async def said(method: str, path: str) -> tuple[int, str | None]:
            async with session.request(method, f"{url}{path}", json={}) as answer:
                await answer.read()
                return answer.status, answer.headers.get("Connection")

        assert await said("GET", "/_public/ready") == (200, None)
        stopping = asyncio.ensure_future(node.engine.stop())
        while (ready := await said("GET", "/_public/ready"))[0] == 200:
            await asyncio.sleep(0)
        assert ready == (503, "close")
        assert await said("POST", "/api/v1/jobs/flow") == (202, "close")
        assert not stopping.done()
        await stopping
        with pytest.raises(aiohttp.ClientConnectorError):
            await said("GET", "/_public/ready")


async def test_without_notice_a_node_stops_at_once(start: Start) -> None:
    node = await start(flow())
    async with asyncio.timeout(5):
        await node.engine.stop()
