"""Too many unfinished jobs are refused before anything is accepted (guarantee G16)."""

import aiohttp
import pytest

from tests.integration.http.blueprints import flow, straight
from tests.integration.http.conftest import CLIENT_TOKEN, OTHER_TOKEN, Start

PATH = "/api/v1/jobs/flow"


async def test_one_job_more_than_a_client_may_have_is_refused_with_a_time_to_come_back(start: Start) -> None:
    node = await start(flow(), MAX_UNFINISHED_JOBS_PER_CLIENT=3)
    jobs = [await node.create() for _ in range(3)]
    headers = {"X-Client-Token": CLIENT_TOKEN}
    async with aiohttp.ClientSession() as session, session.post(node.url + PATH, headers=headers) as answer:
        assert answer.status == 429
        assert int(answer.headers["Retry-After"]) >= 1
        assert (await answer.json())["error"]["code"] == "overloaded"
    status, _ = await node.post(PATH, {}, token=OTHER_TOKEN)
    assert status == 202
    await node.post(f"/api/v1/jobs/{jobs[0]}/cancel")
    assert (await node.post(PATH, {}))[0] == 202


async def test_a_batch_that_does_not_fit_is_refused_whole(start: Start) -> None:
    node = await start(flow(), MAX_UNFINISHED_JOBS_PER_CLIENT=3)
    await node.create()
    status, body = await node.post(f"{PATH}/batch", {"jobs": [{}, {}, {}]})
    assert (status, body["error"]["code"]) == (429, "overloaded")
    _, page = await node.get("/api/v1/jobs")
    assert len(page["jobs"]) == 1
    assert (await node.post(f"{PATH}/batch", {"jobs": [{}, {}]}))[0] == 202


async def test_what_the_whole_system_keeps_is_limited_too(start: Start) -> None:
    node = await start(flow(), MAX_UNFINISHED_JOBS=2)
    await node.create()
    assert (await node.post(PATH, {}, token=OTHER_TOKEN))[0] == 202
    status, body = await node.post(PATH, {})
    assert (status, body["error"]["code"]) == (503, "unavailable")


async def test_jobs_that_are_over_take_no_room(start: Start) -> None:
    node = await start(straight(), MAX_UNFINISHED_JOBS_PER_CLIENT=1)
    for n in range(20):
        await node.ended(await node.create({"n": n}, "/api/v1/jobs/straight"))


async def test_a_restart_does_not_make_room(start: Start, storage: str) -> None:
    if storage.startswith("memory:"):
        pytest.skip("nothing outlives the process")
    node = await start(flow(), MAX_UNFINISHED_JOBS_PER_CLIENT=1)
    await node.create()
    await node.engine.stop()
    again = await start(flow(), MAX_UNFINISHED_JOBS_PER_CLIENT=1)
    assert (await again.post(PATH, {}))[0] == 429
