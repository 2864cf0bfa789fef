"""A node with jobs in every state moves to another engine, by copies while it runs and one after its end."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from avtomatika import ActionFactory, Blueprint, Config
from avtomatika.app import STORAGE_KEY
from avtomatika.app.moving import copy_store, reopen
from avtomatika.app.timekeeping import opened
from avtomatika.commands.copying import Copied
from avtomatika.commands.moving import SHELF
from avtomatika.errors import ConfigError
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Gathering, Ready
from avtomatika.kernel.time import Instant, Span
from avtomatika.ports.contents import HeldJob
from avtomatika.ports.store import Commit, KeyTaken, Store
from avtomatika.stores.sql.contents import SqliteContents
from tests.integration.http.blueprints import fan, flow, straight
from tests.integration.http.conftest import Orchestrator, Worker, started

ENGINES = ["sqlite", "redis", "postgres"]
SECRETS = {
    "APPROVAL_SECRET": "approval-secret-of-the-tests",
    "WEBHOOK_SECRET": "whsec_" + "c2VjcmV0LW9mLXRoZS10ZXN0cy10aGF0LW5vYm9keS11c2Vz",
}

Begin = Callable[..., Awaitable[Orchestrator]]


@pytest.fixture(params=ENGINES)
def target(request: pytest.FixtureRequest, tmp_path: Path, storage_prefix: str) -> dict[str, str]:
    """The settings that name an empty store."""
    match request.param:
        case "redis":
            return {"STORAGE_URL": request.getfixturevalue("valkey_url"), "STORAGE_PREFIX": storage_prefix}
        case "postgres":
            return {"STORAGE_URL": request.getfixturevalue("postgres_uri")}
        case _:
            return {"STORAGE_URL": f"sqlite:///{tmp_path / 'new.db'}"}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "old.db"


@pytest.fixture
async def begin() -> AsyncIterator[Begin]:
    """Starts nodes; those that were not stopped are in the end."""
    nodes: list[Orchestrator] = []

    async def begin(blueprints: tuple[Blueprint, ...], **settings: Any) -> Orchestrator:
        wanted = {"TASK_LEASE_SECONDS": 5, "DRAIN_TIMEOUT_SECONDS": 0.2} | settings
        engine = await started(wanted.pop("STORAGE_URL"), blueprints, wanted)
        nodes.append(Orchestrator(engine, aiohttp.ClientSession()))
        return nodes[-1]

    yield begin
    for node in nodes:
        await node.session.close()
        await node.engine.stop()


async def copied(source: Path, target: dict[str, str], *, finish: bool = False) -> Copied:
    config = Config({**SECRETS, **target})
    return await copy_store(source, config.settings(), finish=finish, grace=Span(30_000))


class Life:
    """The blueprints of one process: a handler that hangs there is free in the next one."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.entered = asyncio.Event()

    def blueprints(self) -> tuple[Blueprint, ...]:
        return flow(), fan(), straight(), self._resting(), self._family(), self._asking(), self._slow()

    @staticmethod
    def _resting() -> Blueprint:
        blueprint = Blueprint("resting", api_version="v1", api_endpoint="/jobs/resting")

        @blueprint.handler(is_start=True)
        async def start(initial_data: dict[str, Any], actions: ActionFactory) -> None:
            if "sleep" in initial_data:
                actions.sleep(initial_data["sleep"], then="end")
            else:
                actions.wait_for_event("paid", "end")

        @blueprint.handler(is_end=True)
        async def end() -> str:
            return "rested"

        return blueprint

    @staticmethod
    def _family() -> Blueprint:
        blueprint = Blueprint("parent", api_version="v1", api_endpoint="/jobs/parent")

        @blueprint.handler(is_start=True)
        async def start(actions: ActionFactory) -> None:
            actions.run_blueprint("resting", {}, {"success": "end"})

        @blueprint.handler(is_end=True)
        async def end() -> str:
            return "with its child"

        return blueprint

    @staticmethod
    def _asking() -> Blueprint:
        blueprint = Blueprint("ask", api_version="v1", api_endpoint="/jobs/ask")

        @blueprint.handler(is_start=True)
        async def start(actions: ActionFactory) -> None:
            actions.await_human_approval("the shop", "Ship it?", {"approved": "end"})

        @blueprint.handler(is_end=True)
        async def end() -> str:
            return "shipped"

        return blueprint

    def _slow(self) -> Blueprint:
        blueprint = Blueprint(
            "slow", api_version="v1", api_endpoint="/jobs/slow", data_stores={"sums": {"n": 1}}
        )

        @blueprint.handler(is_start=True, is_end=True)
        async def start(data_stores: Any) -> int:
            self.entered.set()
            await self.open.wait()
            return int(await data_stores.sums.incr("n"))

        return blueprint


async def stands(node: Orchestrator, job_id: str, status: str) -> None:
    async with asyncio.timeout(5):
        while (await node.job(job_id))["status"] != status:
            await asyncio.sleep(0.005)


async def taken(worker: Worker) -> dict[str, Any]:
    """The next task, however busy the machine is."""
    async with asyncio.timeout(20):
        while True:
            task = await worker.poll()
            if task is not None:
                return task


async def child_of(node: Orchestrator) -> str:
    async with asyncio.timeout(5):
        while True:
            _, body = await node.get("/api/v1/jobs", blueprint="resting")
            found = [
                job["id"] for job in body["jobs"] if "_" in job["id"] and job["status"].startswith("waiting")
            ]
            if found:
                return str(found[0])
            await asyncio.sleep(0.005)


async def test_jobs_in_every_state_go_on_after_a_move(
    begin: Begin, source: Path, target: dict[str, str]
) -> None:
    life = Life()
    node = await begin(life.blueprints(), STORAGE_URL=f"sqlite:///{source}")
    worker = await node.worker("w1", "work")

    ended = await node.create({"n": 1}, "/api/v1/jobs/straight")
    await node.ended(ended)
    held = await node.create({"n": 2}, Idempotency_Key="once")
    task = await worker.take()
    fanned = await node.create({"items": [1, 2]}, "/api/v1/jobs/fan")
    branches = [await worker.take(), await worker.take()]
    await worker.report(branches[0], {"b": branches[0]["params"]["item"]})
    asleep = await node.create({"sleep": 1.5}, "/api/v1/jobs/resting")
    listening = await node.create({}, "/api/v1/jobs/resting")
    parent = await node.create({}, "/api/v1/jobs/parent")
    child = await child_of(node)
    asking = await node.create({}, "/api/v1/jobs/ask")
    await stands(node, asking, "waiting_for_human")
    running = await node.create({}, "/api/v1/jobs/slow")
    async with asyncio.timeout(5):
        await life.entered.wait()

    first = await copied(source, target)
    assert first.jobs == 9
    waiting = await node.create({"n": 3})  # comes after the first pass
    moved_on = await node.create({}, "/api/v1/jobs/straight")
    await node.ended(moved_on)
    with pytest.raises(ConfigError, match="unfinished copy"):
        await begin(life.blueprints(), **target)
    with pytest.raises(ConfigError, match=r"has .*old\.db open"):
        await copied(source, target, finish=True)
    await node.engine.stop()

    last = await copied(source, target, finish=True)
    assert 2 <= last.jobs <= 4, "only what was created or moved since"
    with pytest.raises(ConfigError, match="was moved to"):
        await begin(life.blueprints(), STORAGE_URL=f"sqlite:///{source}")

    life = Life()
    life.open.set()
    node = await begin(life.blueprints(), **target)
    other = await node.worker("w2", "work")
    worker = Worker(node, "w1")
    assert (await worker.register("work"))[0] == 200
    assert (await worker.report(task, {"held": True}))[0] == 200
    assert (await worker.report(branches[1], {"b": 2}))[0] == 200
    assert (await other.report(await taken(other), {"taken": True}))[0] == 200
    for job_id in (listening, child):
        assert (await node.post(f"/api/v1/jobs/{job_id}/events/paid"))[0] == 202
    assert (await node.post(f"/api/v1/jobs/{asking}/approval", {"decision": "approved"}))[0] == 200
    results = {
        ended: {"n": 1},
        held: {"held": True},
        fanned: [{"b": 1}, {"b": 2}],
        asleep: "rested",
        listening: "rested",
        child: "rested",
        parent: "with its child",
        asking: "shipped",
        running: 2,
        waiting: {"taken": True},
        moved_on: {},
    }
    for job_id, result in results.items():
        job = await node.ended(job_id)
        assert (job["status"], job["result"]) == ("finished", result)
    assert await node.create({"n": 2}, Idempotency_Key="once") == held
    _, history = await node.get(f"/api/v1/jobs/{fanned}/history")
    versions = [event["version"] for event in history["events"]]
    assert versions == list(range(1, len(versions) + 1))
    store = node.engine.app[STORAGE_KEY]
    assert await store.unfinished() == 0
    assert not any([await store.shelf.items(name) for name in (SHELF, f"{SHELF}.jobs", f"{SHELF}.messages")])


async def test_a_store_with_anything_in_it_is_refused(
    begin: Begin, source: Path, target: dict[str, str]
) -> None:
    for place in ({"STORAGE_URL": f"sqlite:///{source}"}, target):
        node = await begin((straight(),), **place)
        await node.ended(await node.create({}, "/api/v1/jobs/straight"))
        await node.engine.stop()
    with pytest.raises(ConfigError, match="not empty"):
        await copied(source, target)
    node = await begin((straight(),), **target)  # and is as it was
    await node.ended(await node.create({}, "/api/v1/jobs/straight"))


async def test_a_copy_of_one_store_is_no_copy_of_another(
    begin: Begin, source: Path, target: dict[str, str]
) -> None:
    other = source.with_name("other.db")
    for path in (source, other):
        await (await begin((straight(),), STORAGE_URL=f"sqlite:///{path}")).engine.stop()
    await copied(source, target)
    with pytest.raises(ConfigError, match=r"unfinished copy of sqlite:.*old\.db"):
        await copied(other, target)


async def test_what_was_moved_can_be_opened_again(begin: Begin, source: Path, target: dict[str, str]) -> None:
    node = await begin((straight(),), STORAGE_URL=f"sqlite:///{source}")
    await node.engine.stop()
    await copied(source, target, finish=True)
    await reopen(source)
    await begin((straight(),), STORAGE_URL=f"sqlite:///{source}")
    with pytest.raises(ConfigError, match="was not moved"):
        await reopen_stopped(begin, source)


async def reopen_stopped(begin: Begin, source: Path) -> None:
    other = source.with_name("other.db")
    await (await begin((straight(),), STORAGE_URL=f"sqlite:///{other}")).engine.stop()
    await reopen(other)


async def test_a_store_whose_process_was_killed_can_be_moved(
    begin: Begin, source: Path, target: dict[str, str]
) -> None:
    node = await begin((flow(),), STORAGE_URL=f"sqlite:///{source}")
    job_id = await node.create({"n": 1})
    left = source.with_name("left.db")
    for suffix in ("", "-wal"):  # what a process that was killed leaves
        left.with_name(left.name + suffix).write_bytes(source.with_name(source.name + suffix).read_bytes())
    await copied(left, target, finish=True)
    node = await begin((flow(),), **target)
    worker = await node.worker("w1", "work")
    await worker.report(await worker.take(), {"done": 1})
    assert (await node.ended(job_id))["result"] == {"done": 1}


async def test_reading_a_store_keeps_its_log_no_larger(
    begin: Begin, source: Path, target: dict[str, str]
) -> None:
    node = await begin((straight(),), STORAGE_URL=f"sqlite:///{source}")
    await node.ended(await node.create({}, "/api/v1/jobs/straight"))
    await copied(source, target)
    await node.engine.stop()
    log = source.with_name(source.name + "-wal")
    assert not log.exists() or os.stat(log).st_size == 0
    with sqlite3.connect(source) as database:
        assert database.execute("PRAGMA quick_check").fetchone() == ("ok",)


@pytest.mark.parametrize("url", ["memory://", "sqlite:///{source}"])
async def test_a_copy_needs_a_store_that_lasts(source: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="another store that outlives"):
        await copied(source, {"STORAGE_URL": url.format(source=source)})


async def test_a_file_that_is_not_there_is_not_made(source: Path, target: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="There is no file"):
        await copied(source, target)
    assert not source.exists()


async def test_a_copy_under_load_holds_what_the_store_holds(
    begin: Begin, source: Path, target: dict[str, str]
) -> None:
    node = await begin((flow(), fan(), straight()), STORAGE_URL=f"sqlite:///{source}")
    worker = await node.worker("w1", "work")
    done, created = asyncio.Event(), 0

    async def load(path: str, body: Any) -> None:
        nonlocal created
        while not done.is_set():
            await node.create(body, path)
            created += 1

    async def work() -> None:
        while not done.is_set():
            for task in await worker.poll_batch(5, timeout=0.1):
                await worker.report(task, {"n": 1})

    async def passes() -> None:
        for number in range(1, 4):
            async with asyncio.timeout(20):
                while created < 10 * number:
                    await asyncio.sleep(0.002)
            assert (await copied(source, target)).jobs
        done.set()

    async with asyncio.TaskGroup() as group:
        for path, body in (("straight", {"n": 1}), ("flow", {}), ("fan", {"items": [1, 2, 3]})):
            group.create_task(load(f"/api/v1/jobs/{path}", body))
        group.create_task(work())
        group.create_task(passes())
    await node.engine.stop()
    await copied(source, target, finish=True)
    assert (await contents(source)) == await contents_of_store(source, target)


async def contents(source: Path) -> tuple[Any, ...]:
    """What the old store has: jobs with facts and branches, messages with their leases, keys."""
    with SqliteContents(source) as found:
        versions = await found.versions(after=JobId(""), limit=10**6)
        jobs = [await found.job(job, after=0) for job, _ in versions]
        messages = await found.messages(after=0, limit=10**6)
        claims = await found.claims(after="", limit=10**6)
    held = sorted((m.message.id, m.message, m.lease.token if m.lease else None) for m in messages)
    return [each for each in jobs if each is not None], held, len(claims)


async def contents_of_store(source: Path, target: dict[str, str]) -> tuple[Any, ...]:
    """What the new store says of the same jobs and messages."""
    config = Config({**SECRETS, **target})
    with SqliteContents(source) as old:
        versions = await old.versions(after=JobId(""), limit=10**6)
        messages = await old.messages(after=0, limit=10**6)
        claims = await old.claims(after="", limit=10**6)
        async with opened(config.settings()) as (store, clock):
            jobs = [await held_job(store, job) for job, _ in versions]
            assert sum((await store.tally()).values()) == len(versions)
            held: list[Any] = []
            for queue in {each.message.queue for each in messages}:
                for message in await store.peek(queue, limit=10**5):
                    lease = await store.held(message.id, now=Instant(0))
                    held.append((message.id, message, lease.token if lease else None))
            for claim in claims:
                with pytest.raises(KeyTaken) as taken:
                    await store.commit(Commit(now=clock.now(), claim=claim))
                assert taken.value.claim == claim
    return jobs, sorted(held), len(claims)


async def held_job(store: Store, job_id: JobId) -> HeldJob:
    job = await store.load(job_id)
    assert job is not None
    opened = job.phase.opened if isinstance(job.phase, Gathering) else None
    opened = job.phase.gathered if isinstance(job.phase, Ready) else opened
    branches = () if opened is None else await store.branches(job_id, opened)
    in_order = tuple(sorted(branches, key=lambda branch: str(branch.task.id)))
    return HeldJob(job, tuple(await store.facts(job_id)), in_order)
