"""Jobs are found by label, time, status and blueprint, in every mixture, in pages (feature B3)."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from itertools import product
from typing import Any, NamedTuple

import pytest

from tests.integration.http.blueprints import flow, straight
from tests.integration.http.conftest import OPERATOR_TOKEN, OTHER_TOKEN, Orchestrator, Start, on_every_store


class Made(NamedTuple):
    """A job as the tests made it."""

    id: str
    blueprint: str
    labels: dict[str, str]
    created: int
    status: str


async def many(node: Orchestrator) -> list[Made]:
    """Jobs of two blueprints with three kinds of labels, at different moments, the newest first."""
    made: list[Made] = []
    for n in range(12):
        blueprint = ("flow", "straight")[n % 2]
        labels = {"third": str(n % 3), "shop": "a/ü b" if n < 6 else "", "all": "x"}
        body = {"initial_data": {"n": n}, "labels": labels}
        job_id = await node.create(body, f"/api/v1/jobs/{blueprint}")
        status = ("waiting_for_worker", "finished")[n % 2]
        async with asyncio.timeout(5):
            while (job := await node.job(job_id))["status"] != status:
                await asyncio.sleep(0.002)
        made.append(Made(job_id, blueprint, labels, job["created_at"], status))
        await asyncio.sleep(0.003)
    return made[::-1]


async def found(node: Orchestrator, token: str | None = None, /, **query: Any) -> list[str]:
    """The ids of all jobs that the query finds, page by page."""
    ids, after, limit = list[str](), None, query.pop("limit", 1_000)
    while True:
        given = [(k, v) for k, vs in query.items() for v in (vs if isinstance(vs, list) else [vs])]
        page_of = [("limit", str(limit)), *([] if after is None else [("after", after)])]
        headers = {} if token is None else {"X-Client-Token": token}
        url = f"{node.url}/api/v1/jobs"
        own = {"X-Client-Token": "client-token-of-the-tests"} | headers
        async with node.session.get(url, params=[*given, *page_of], headers=own) as response:
            page = await response.json()
            assert response.status == 200, page
        ids += [job["id"] for job in page["jobs"]]
        after = page["next"]
        if after is None:
            return ids
        assert len(page["jobs"]) == limit


Keep = Callable[[Made], bool]


@on_every_store
async def test_every_mixture_of_filters_finds_exactly_what_it_says(start: Start) -> None:
    node = await start(flow(), straight())
    jobs = await many(node)
    middle, late = jobs[7].created, jobs[3].created
    choices: list[list[tuple[dict[str, Any], Keep]]] = [
        [({}, lambda _: True), ({"blueprint": "flow"}, lambda job: job.blueprint == "flow")],
        [({}, lambda _: True), ({"status": "finished"}, lambda job: job.status == "finished")],
        [
            ({}, lambda _: True),
            ({"label": "third:1"}, lambda job: job.labels["third"] == "1"),
            (
                {"label": ["shop:a/ü b", "third:2"]},
                lambda job: job.labels["shop"] != "" and job.labels["third"] == "2",
            ),
            ({"label": ["shop:", "all:x"]}, lambda job: job.labels["shop"] == ""),
            ({"label": ["third:1", "third:2"]}, lambda _: False),
            ({"label": "shop:a"}, lambda _: False),
        ],
        [({}, lambda _: True), ({"since": middle / 1_000}, lambda job: job.created >= middle)],
        [({}, lambda _: True), ({"before": late / 1_000}, lambda job: job.created < late)],
    ]
    for mixture in product(*choices):
        query = {name: value for part, _ in mixture for name, value in part.items()}
        expected = [job.id for job in jobs if all(keep(job) for _, keep in mixture)]
        assert await found(node, **query) == expected, query
        assert await found(node, **query, limit=2) == expected, query


async def test_times_are_seconds_or_iso_with_a_zone(start: Start) -> None:
    node = await start(straight())
    job_id = await node.create({}, "/api/v1/jobs/straight")
    created = datetime.fromtimestamp((await node.ended(job_id))["created_at"] / 1_000, UTC)
    tokyo = created.astimezone(timezone(timedelta(hours=9)))
    for same in (created, tokyo):
        assert await found(node, since=same.isoformat()) == [job_id]
        assert await found(node, before=same.isoformat()) == []
    utc = (created + timedelta(seconds=1)).isoformat().replace("+00:00", "Z")
    assert await found(node, before=utc) == [job_id]
    assert await found(node, since=utc) == []
    assert await found(node, since="0", before="99999999999") == [job_id]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"label": "shop"}, "label"),
        ({"label": ":x"}, "label"),
        ({"label": f"{'x' * 256}:y"}, "label"),
        ({"label": ["a:b"] * 9}, "label"),
        ({"since": "yesterday"}, "since"),
        ({"since": "2026-11-22T10:00:00"}, "since"),
        ({"since": "-1"}, "since"),
        ({"before": "nan"}, "before"),
        ({"before": "1e400"}, "before"),
        ({"status": "done"}, "status"),
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"after": "nothing of ours"}, "after"),
    ],
)
async def test_a_filter_that_is_none_is_refused_by_name(start: Start, query: Any, field: str) -> None:
    node = await start(flow())
    status, body = await node.get("/api/v1/jobs", **query)
    assert (status, body["error"]["code"], body["error"]["field"]) == (400, "invalid_input", field)


async def test_labels_of_others_find_nothing_and_operators_find_all(start: Start) -> None:
    node = await start(straight())
    body = {"initial_data": {}, "labels": {"shop": "7"}}
    mine = await node.create(body, "/api/v1/jobs/straight")
    _, answer = await node.post("/api/v1/jobs/straight", body, token=OTHER_TOKEN)
    theirs = answer["job_id"]
    assert await found(node, label="shop:7") == [mine]
    assert await found(node, OTHER_TOKEN, label="shop:7") == [theirs]
    assert sorted(await found(node, OPERATOR_TOKEN, label="shop:7")) == sorted([mine, theirs])


async def test_pages_with_a_filter_miss_nothing_while_jobs_are_added(start: Start) -> None:
    node = await start(straight())
    path = "/api/v1/jobs/straight"

    async def add(count: int) -> list[str]:
        return [
            await node.create({"initial_data": {}, "labels": {"n": str(n % 2)}}, path) for n in range(count)
        ]

    old = await add(40)
    wanted = [job_id for n, job_id in enumerate(old) if n % 2][::-1]
    adding = asyncio.ensure_future(add(60))
    listed = list[str]()
    query: dict[str, Any] = {"label": "n:1", "limit": 3}
    while True:
        _, page = await node.get("/api/v1/jobs", **query)
        listed += [job["id"] for job in page["jobs"]]
        query["after"] = page["next"]
        if page["next"] is None:
            break
    await adding
    assert len(set(listed)) == len(listed)
    assert [job_id for job_id in listed if job_id in set(old)] == wanted
    assert listed == sorted(listed, reverse=True)


async def test_jobs_that_end_between_pages_of_a_status_are_not_listed_twice(start: Start) -> None:
    node = await start(flow())
    worker = await node.worker()
    jobs = [await node.create({"n": n}) for n in range(8)]
    tasks = [await worker.take() for _ in jobs]
    _, first = await node.get("/api/v1/jobs", status="waiting_for_worker", limit=4)
    for task in tasks[:2]:
        await worker.report(task, {})
    _, second = await node.get("/api/v1/jobs", status="waiting_for_worker", limit=4, after=first["next"])
    listed = [job["id"] for job in first["jobs"] + second["jobs"]]
    assert len(listed) == len(set(listed)) == 6
