"""A job is followed: its history, and its news as server-sent events (features A9, B2 and B3)."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from typing import Any, NamedTuple

import aiohttp
import pytest

from avtomatika import ActionFactory, Blueprint
from avtomatika.app import STORAGE_KEY
from tests.integration.http.blueprints import fan, flow, straight
from tests.integration.http.conftest import (
    CLIENT_TOKEN,
    OPERATOR_TOKEN,
    OTHER_TOKEN,
    Orchestrator,
    Start,
    Worker,
)
from tests.integration.http.test_worker_events import tell


class Told(NamedTuple):
    """One piece of news."""

    kind: str
    id: str
    version: int
    data: Any


class Stream:
    """The news of one connection."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.last = ""

    async def next(self) -> Told | None:
        """The next piece of news, or None at the end of the stream."""
        fields: dict[str, str] = {}
        async for line in self._response.content:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                fields[name] = value
            elif "data" in fields:
                self.last = fields.get("id", self.last)
                sent = json.loads(fields["data"])
                assert sent["at"] > 0
                return Told(fields["event"], fields.get("id", ""), sent["version"], sent["data"])
        return None

    async def take(self, count: int) -> list[Told]:
        async with asyncio.timeout(10):
            return [told for _ in range(count) if (told := await self.next()) is not None]

    async def rest(self) -> list[Told]:
        """All until the end."""
        found: list[Told] = []
        async with asyncio.timeout(10):
            while (told := await self.next()) is not None:
                found.append(told)
        return found


@asynccontextmanager
async def following(
    node: Orchestrator, job_id: str, last: str | None = None, token: str = CLIENT_TOKEN, **query: str
) -> AsyncIterator[Stream]:
    """The stream of the job, which is over when this is left."""
    headers = {"X-Client-Token": token} | ({} if last is None else {"Last-Event-ID": last})
    url = f"{node.url}/api/v1/jobs/{job_id}/events"
    async with node.session.get(url, headers=headers, params=query) as response:
        assert response.status == 200, await response.text()
        assert response.headers["Content-Type"] == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store"
        yield Stream(response)


def talking() -> Blueprint:
    """Tells what it does, waits for a worker, tells again."""
    blueprint = Blueprint("talking", api_version="v1", api_endpoint="/talking")

    @blueprint.handler(is_start=True)
    async def start(actions: ActionFactory) -> None:
        actions.send_event("began", {"n": 1.0})
        actions.send_event("looked", [1, None])
        actions.update_context({"seen": True})
        actions.dispatch_task("work", {}, {"success": "second"})

    @blueprint.handler
    async def second(actions: ActionFactory) -> None:
        actions.send_event("half")
        actions.go_to("end")

    @blueprint.handler(is_end=True)
    async def end(seen: bool) -> dict[str, bool]:
        return {"seen": seen}

    return blueprint


async def whole_story(node: Orchestrator, worker: Worker, job_id: str) -> None:
    """A worker tells of the task of the job, and does it."""
    task = await worker.take()
    assert (await tell(worker, task, payload={"progress": 0.5}))[0] == 200
    assert (await tell(worker, task, "found", {"page": 7}, event_id="e-2"))[0] == 200
    assert (await worker.report(task, {"ok": True}))[0] == 200
    await node.ended(job_id)


async def test_a_follower_hears_everything_in_order(start: Start) -> None:
    node = await start(talking())
    worker = await node.worker()
    job_id = await node.create({}, "/api/v1/talking")
    async with following(node, job_id) as stream:
        await whole_story(node, worker, job_id)
        told = await stream.rest()
    assert [(each.kind, each.data.get("name"), each.data.get("status")) for each in told] == [
        ("state", None, "pending"),
        ("event", "began", None),
        ("event", "looked", None),
        ("state", None, "waiting_for_worker"),
        ("progress", "progress", None),
        ("worker_event", "found", None),
        ("state", None, "running"),
        ("event", "half", None),
        ("state", None, "running"),
        ("state", None, "finished"),
        ("end", None, "finished"),
    ]
    payloads = [each.data["payload"] for each in told if "payload" in each.data]
    assert payloads == [{"n": 1.0}, [1, None], {"progress": 0.5}, {"page": 7}, None]
    assert told[4].data["worker_id"] == "w1"
    states = [(each.data["previous_state"], each.data["state"]) for each in told if each.kind == "state"]
    assert states == [
        (None, "start"),
        ("start", "start"),
        ("start", "second"),
        ("second", "end"),
        ("end", "end"),
    ]
    assert told[-1].data == {"status": "finished", "state": "end", "result": {"seen": True}}
    versions = [each.version for each in told]
    assert versions == sorted(versions)
    # Only the last piece of a version has its id, so that a version is heard again rather than not at all.
    assert [each.id != "" for each in told] == [a != b for a, b in pairwise([*versions, 0])]


@pytest.mark.parametrize("way", ["header", "query"])
async def test_a_follower_that_comes_back_misses_nothing_and_hears_nothing_twice(
    start: Start, way: str
) -> None:
    node = await start(talking())
    worker = await node.worker()
    job_id = await node.create({}, "/api/v1/talking")
    await whole_story(node, worker, job_id)
    async with following(node, job_id) as stream:
        everything = await stream.rest()
    last, heard = "", list[Told]()
    for count in range(1, 40):
        given = {"last": last or None} if way == "header" else {"last_event_id": last}
        async with following(node, job_id, **given) as stream:
            part = await stream.take(count % 3 + 1)
            ended = await stream.next() is None and stream.last != ""
        # What came after the last id comes again.
        whole = [place for place, told in enumerate(part) if told.id]
        kept = part[: whole[-1] + 1] if whole else []
        heard, last = heard + kept, kept[-1].id if kept else last
        if heard and heard[-1].kind == "end":
            break
        assert not ended or part
    assert heard == everything


async def test_a_connection_that_is_cut_while_the_job_goes_on_is_taken_up_again(start: Start) -> None:
    node = await start(flow())
    worker = await node.worker()
    job_id = await node.create()
    task = await worker.take()
    heard: list[Told] = []
    last: str | None = None
    for n in range(6):
        async with following(node, job_id, last) as stream:
            heard += await stream.take(2 if n == 0 else 1)
            last = stream.last
        await tell(worker, task, payload={"progress": n / 10}, event_id=f"e-{n}")
    async with following(node, job_id, last) as stream:
        await worker.report(task, {})
        heard += await stream.rest()
    assert [told.data["payload"]["progress"] for told in heard if told.kind == "progress"] == [
        n / 10 for n in range(6)
    ]
    assert len({told.version for told in heard if told.kind == "state"}) == 4
    assert heard[-1].kind == "end"


async def test_who_has_heard_the_end_is_told_not_to_come_back(start: Start) -> None:
    node = await start(straight())
    job_id = await node.create({}, "/api/v1/jobs/straight")
    version = (await node.ended(job_id))["version"]
    status, body = await node.call(
        "GET",
        f"/api/v1/jobs/{job_id}/events",
        headers={"X-Client-Token": CLIENT_TOKEN, "Last-Event-ID": str(version)},
    )
    assert (status, body) == (204, None)


@pytest.mark.parametrize("last", ["x", "-1", "1.0", "9" * 13, "1 2"])
async def test_an_id_that_is_none_is_refused(start: Start, last: str) -> None:
    node = await start(flow())
    job_id = await node.create()
    headers = {"X-Client-Token": CLIENT_TOKEN, "Last-Event-ID": last}
    status, body = await node.call("GET", f"/api/v1/jobs/{job_id}/events", headers=headers)
    assert (status, body["error"]["field"]) == (400, "Last-Event-ID")


async def test_only_who_may_see_a_job_may_follow_it(start: Start) -> None:
    node = await start(flow())
    job_id = await node.create()
    for what in ("events", "history"):
        answers = [
            await node.get(f"/api/v1/jobs/{job_id}/{what}", token=OTHER_TOKEN),
            await node.get(f"/api/v1/jobs/no-such-job/{what}"),
        ]
        for status, body in answers:
            del body["error"]["request_id"]
            assert (status, body) == (404, {"error": {"code": "not_found", "message": "Job not found"}})
        assert (await node.get(f"/api/v1/jobs/{job_id}/{what}", token="nobody's token"))[0] == 401
    async with following(node, job_id, token=OPERATOR_TOKEN) as stream:
        assert (await stream.take(1))[0].data["status"] == "pending"


async def test_a_failed_job_ends_its_stream_with_the_reason(start: Start) -> None:
    node = await start(flow())
    worker = await node.worker()
    job_id = await node.create()
    await worker.fail(await worker.take(), "INVALID_INPUT_ERROR", "no such film")
    async with following(node, job_id) as stream:
        told = await stream.rest()
    assert told[-1].data["status"] == "failed"
    assert (told[-1].data["error_code"], told[-1].data["error_message"]) == (
        "INVALID_INPUT_ERROR",
        "no such film",
    )


async def test_the_progress_of_every_branch_is_told(start: Start) -> None:
    node = await start(fan())
    worker = await node.worker()
    job_id = await node.create({"items": [1, 2]}, "/api/v1/jobs/fan")
    tasks = [await worker.take(), await worker.take()]
    for n, task in enumerate(tasks):
        await tell(worker, task, payload={"progress": n / 2}, event_id=f"e-{n}")
    async with following(node, job_id) as stream:
        for task in tasks:
            await worker.report(task, {})
        told = await stream.rest()
    heard = [(each.data["task_id"], each.data["payload"]) for each in told if each.kind == "progress"]
    assert len({task for task, _ in heard}) == 2
    assert [payload["progress"] for _, payload in heard] == [0.0, 0.5]


async def waiters(node: Orchestrator, job_id: str) -> int:
    """How many wait for news of the job within the node."""
    store: Any = node.engine.app[STORAGE_KEY]
    return len(store._hints._waiting.get(f"job:{job_id}", ()))


async def until_waiters(node: Orchestrator, job_id: str, count: int) -> None:
    async with asyncio.timeout(5):
        while await waiters(node, job_id) != count:
            await asyncio.sleep(0.005)


async def test_many_follow_one_job_and_those_who_leave_leave_nothing_behind(start: Start) -> None:
    node = await start(flow())
    worker = await node.worker()
    job_id = await node.create()
    task = await worker.take()

    async def hear() -> list[Told]:
        async with following(node, job_id) as stream:
            return await stream.rest()

    async def leave() -> None:
        async with following(node, job_id) as stream:
            await stream.take(1)
            await asyncio.sleep(3600)

    staying = [asyncio.ensure_future(hear()) for _ in range(100)]
    leaving = [asyncio.ensure_future(leave()) for _ in range(100)]
    await until_waiters(node, job_id, 200)
    for each in leaving:
        each.cancel()
    await until_waiters(node, job_id, 100)
    await worker.report(task, {"n": 1})
    async with asyncio.timeout(10):
        heard = await asyncio.gather(*staying)
    assert {len(each) for each in heard} == {len(heard[0])}
    assert all(each == heard[0] for each in heard)
    await until_waiters(node, job_id, 0)
    await asyncio.gather(*leaving, return_exceptions=True)


async def test_a_node_that_stops_ends_its_streams_at_once(start: Start) -> None:
    node = await start(flow())
    job_id = await node.create()

    async def hear() -> list[Told]:
        async with following(node, job_id) as stream:
            return await stream.rest()

    followers = [asyncio.ensure_future(hear()) for _ in range(20)]
    await until_waiters(node, job_id, 20)
    async with asyncio.timeout(3):
        await node.engine.stop()
        heard = await asyncio.gather(*followers)
    assert [told[-1].kind for told in heard] == ["state"] * 20


@pytest.mark.parametrize("storage", ["sqlite"], indirect=True)
async def test_a_stream_is_taken_up_again_after_a_restart(start: Start) -> None:
    node = await start(flow())
    worker = await node.worker()
    job_id = await node.create()
    task = await worker.take()
    async with following(node, job_id) as stream:
        heard = await stream.take(2)
        last = stream.last
    await node.engine.stop()
    node = await start(flow())
    worker.node = node
    await worker.register("work")
    async with following(node, job_id, last) as stream:
        await worker.report(task, {"n": 1})
        heard += await stream.rest()
    async with following(node, job_id) as stream:
        assert heard == await stream.rest()


def counting() -> Blueprint:
    """As many steps as the input says; every one changes the state."""
    blueprint = Blueprint("counting", api_version="v1", api_endpoint="/counting")

    def step(name: str, other: str) -> None:
        @blueprint.handler(name, is_start=name == "tick")
        async def count(
            state_history: dict[str, Any], steps: int, actions: ActionFactory, pad: int = 0
        ) -> None:
            n = state_history["n"] = state_history.get("n", 0) + 1
            actions.send_event("counted", {"n": n, "pad": "x" * pad})
            actions.go_to(other if n < steps else "end")

    step("tick", "tock")
    step("tock", "tick")

    @blueprint.handler(is_end=True)
    async def end() -> None:
        return None

    return blueprint


@asynccontextmanager
async def unread(node: Orchestrator, job_id: str) -> AsyncIterator[asyncio.StreamReader]:
    """A connection that asked for the news of the job, and reads nothing by itself."""
    assert node.engine.address is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", node.engine.address[1], limit=1024)
    request = f"GET /api/v1/jobs/{job_id}/events HTTP/1.0\r\nHost: x\r\n"
    writer.write(f"{request}X-Client-Token: {CLIENT_TOKEN}\r\n\r\n".encode())
    try:
        yield reader
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


LONG = {"steps": 1_000, "pad": 12_000}
"""A job whose news are more than any buffer between two programs holds."""


async def test_a_slow_reader_holds_up_nobody_and_misses_nothing(start: Start) -> None:
    node = await start(counting(), MAX_TRANSITIONS_PER_JOB=20_000)
    job_id = await node.create(LONG, "/api/v1/counting")
    async with unread(node, job_id) as reader:
        assert (await node.ended(job_id, wait=30))["status"] == "finished"
        async with following(node, job_id) as stream:
            assert (await stream.rest())[-1].kind == "end"
        async with asyncio.timeout(10):
            raw = await reader.read(-1)
    sent = [json.loads(line[6:])["data"] for line in raw.splitlines() if line.startswith(b"data: ")]
    assert [data["payload"]["n"] for data in sent if "payload" in data] == [*range(1, 1_001)]


@pytest.mark.parametrize("storage", ["memory"], indirect=True)
async def test_a_reader_that_never_reads_does_not_keep_a_node_from_stopping(start: Start) -> None:
    node = await start(counting(), MAX_TRANSITIONS_PER_JOB=20_000)
    job_id = await node.create(LONG, "/api/v1/counting")
    async with unread(node, job_id):
        await node.ended(job_id, wait=30)
        before = asyncio.get_running_loop().time()
        await node.engine.stop()
    assert asyncio.get_running_loop().time() - before < 4


async def pages(node: Orchestrator, job_id: str, limit: int) -> list[list[dict[str, Any]]]:
    """The history of the job in pages."""
    found = list[list[dict[str, Any]]]()
    after: int | None = 0
    while after is not None:
        status, body = await node.get(f"/api/v1/jobs/{job_id}/history", limit=limit, after=after)
        assert status == 200
        found.append(body["events"])
        after = body["next"]
    return found


async def test_the_history_tells_of_every_move_what_it_did(start: Start) -> None:
    node = await start(talking())
    worker = await node.worker()
    job_id = await node.create({}, "/api/v1/talking")
    await whole_story(node, worker, job_id)
    ((rows),) = await pages(node, job_id, 100)
    assert [row["event_type"] for row in rows] == [
        "submitted",
        "decided",
        "task_signalled",
        "task_signalled",
        "task_reported",
        "decided",
        "decided",
    ]
    assert [row["version"] for row in rows] == [*range(1, 8)]
    assert {row["job_id"] for row in rows} == {job_id}
    assert len({row["event_id"] for row in rows}) == 7
    assert {row["timestamp"][-6:] for row in rows} == {"+00:00"}
    first, last = rows[0], rows[-1]
    assert (first["previous_status"], first["previous_state"], first["status"]) == (None, None, "pending")
    assert (last["previous_state"], last["state"], last["status"]) == ("end", "end", "finished")
    for before, row in pairwise(rows):
        assert (row["previous_status"], row["previous_state"]) == (before["status"], before["state"])
    assert rows[3]["data"]["payload"] == {"page": 7}
    assert "client-token" not in json.dumps(rows)


@pytest.mark.parametrize("storage", ["sqlite"], indirect=True)
async def test_a_life_of_many_pages_is_read_from_the_file(start: Start) -> None:
    node = await start(counting(), MAX_TRANSITIONS_PER_JOB=20_000)
    job_id = await node.create({"steps": 998}, "/api/v1/counting")
    assert (await node.ended(job_id))["version"] == 1_000
    found = await pages(node, job_id, 300)
    assert [row["version"] for page in found for row in page] == [*range(1, 1_001)]
    async with following(node, job_id, "400") as stream:
        told = await stream.rest()
    assert [each.version for each in told if each.kind == "state"] == [*range(401, 1_001)]


async def test_the_history_comes_in_pages(start: Start) -> None:
    node = await start(talking())
    worker = await node.worker()
    job_id = await node.create({}, "/api/v1/talking")
    await whole_story(node, worker, job_id)
    (rows,) = await pages(node, job_id, 100)
    assert [len(page) for page in await pages(node, job_id, 3)] == [3, 3, 1]
    assert [len(page) for page in await pages(node, job_id, 4)] == [4, 3]
    assert [row for page in await pages(node, job_id, 1) for row in page] == rows
    assert (await node.get(f"/api/v1/jobs/{job_id}/history", after=99))[1] == {"events": [], "next": None}
    for wrong in ({"limit": 0}, {"limit": 1001}, {"after": -1}, {"after": "x"}):
        assert (await node.get(f"/api/v1/jobs/{job_id}/history", **wrong))[0] == 400


@pytest.mark.parametrize("storage", ["memory"], indirect=True)
async def test_a_life_of_ten_thousand_moves_is_read_and_followed_without_holding_up_others(
    start: Start,
) -> None:
    node = await start(counting(), MAX_TRANSITIONS_PER_JOB=20_000)
    job_id = await node.create({"steps": 9_998}, "/api/v1/counting")
    assert (await node.ended(job_id, wait=60))["version"] == 10_000
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(0.002)
            longest = max(longest, loop.time() - before)

    watching = asyncio.ensure_future(watch())
    async with following(node, job_id, "9990") as stream:
        told = await stream.rest()
    assert [each.version for each in told if each.kind == "state"] == [*range(9_991, 10_001)]
    found = await pages(node, job_id, 1_000)
    watching.cancel()
    assert [row["version"] for page in found for row in page] == [*range(1, 10_001)]
    assert longest < 1.0
