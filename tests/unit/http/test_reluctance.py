"""Whoever is refused again and again hears it later and later."""

import io
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from avtomatika.http.reluctance import A_SECOND, AT_ONCE, LONGEST, reluctance
from tests.unit.commands.test_presence import PatientClock

Client = TestClient[web.Request, web.Application]


async def answer(request: web.Request) -> web.Response:
    return web.Response(status=int(request.query["status"]))


@pytest.fixture
def clock() -> PatientClock:
    return PatientClock()


@pytest.fixture
async def client(clock: PatientClock) -> AsyncIterator[Client]:
    app = web.Application(middlewares=(reluctance(clock),))
    app.router.add_get("/_worker/x", answer)
    app.router.add_post("/_worker/x", answer)
    app.router.add_get("/api/x", answer)
    async with TestClient(TestServer(app)) as client:
        yield client


async def call(client: Client, status: int, times: int, path: str = "/_worker/x") -> None:
    for _ in range(times):
        async with client.get(path, params={"status": status}) as response:
            assert response.status == status


@pytest.mark.parametrize("status", [400, 401, 403, 413, 429])
async def test_refusals_are_as_frequent_as_they_may_be_and_no_more(
    client: Client, clock: PatientClock, status: int
) -> None:
    await call(client, status, AT_ONCE)
    assert clock.now() == 0
    await call(client, status, 5 * A_SECOND)
    assert 4_000 <= clock.now() <= 5_000


async def test_a_refusal_of_much_counts_as_many(client: Client, clock: PatientClock) -> None:
    for _ in range(3):
        body = io.BytesIO(b"x" * AT_ONCE * 65_536)
        async with client.post("/_worker/x", params={"status": 413}, data=body) as response:
            assert response.status == 413
    assert clock.now() >= AT_ONCE // A_SECOND * 1_000


async def test_what_an_honest_fleet_hears_comes_at_once(client: Client, clock: PatientClock) -> None:
    await call(client, 401, AT_ONCE + 2)
    refused = clock.now()
    assert refused > 0
    for status in (200, 204, 404, 409, 503):
        await call(client, status, 20)
    await call(client, 400, 20, "/api/x")
    assert clock.now() == refused


async def test_nobody_waits_longer_than_that(client: Client, clock: PatientClock) -> None:
    clock.stands = True  # as if all of them waited at once
    await call(client, 400, AT_ONCE + A_SECOND * (LONGEST // 1_000) + 50)
    assert max(clock.waits) == clock.waits[-1] == LONGEST
