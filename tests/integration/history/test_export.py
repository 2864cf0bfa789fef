"""Nodes with a history outside: the table is the facts of the store, whatever happens on the way."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from avtomatika.app import STORAGE_KEY
from avtomatika.commands.outbox import HISTORY
from avtomatika.errors import Unavailable
from avtomatika.kernel.time import Instant
from avtomatika.ports.fact import Fact
from avtomatika.ports.history import Row
from avtomatika.ports.store import Store
from avtomatika.records.postgres import PostgresHistory
from avtomatika.records.sqlite import SqliteHistory
from tests.docs.pages import ROOT, blocks
from tests.integration.history.comparing import expected, facts_of
from tests.integration.history.conftest import Look, lines_of
from tests.integration.history.looking import execute
from tests.integration.http.blueprints import fan, flow, straight
from tests.integration.http.conftest import Orchestrator, started
from tests.servers.postgres import PASSWORD, PostgresServer

PAGE = ROOT / "docs" / "how-to" / "history.md"


@asynccontextmanager
async def a_node(folder: Path, history: str, storage: str = "") -> AsyncIterator[Orchestrator]:
    """A node that exports; it has stopped, and so exported what it could, at the end."""
    url = storage or f"sqlite:///{folder / 'jobs.db'}"
    engine = await started(url, (flow(), fan(), straight()), {"HISTORY_DATABASE_URI": history})
    async with aiohttp.ClientSession() as session:
        try:
            yield Orchestrator(engine, session)
        finally:
            await engine.stop()


def store_of(node: Orchestrator) -> Store:
    return node.engine.app[STORAGE_KEY]


async def live(node: Orchestrator, jobs: int) -> None:
    """Jobs of every kind have come to an end: by handlers, by workers, by a fan-out, failed and cancelled."""
    worker = await node.worker()
    made = [await node.create({"n": n}, "/api/v1/jobs/straight") for n in range(jobs)]
    made.append(await node.create({"film": "nosferatu"}))
    await worker.report(await worker.take(), {"seconds": 1.5})
    made.append(await node.create({"film": "metropolis"}))
    await worker.fail(await worker.take(), "TRANSIENT_ERROR")
    await worker.fail(await worker.take(), "INVALID_INPUT_ERROR", "it is silent")
    made.append(await node.create({"items": ["a", "b", "c"]}, "/api/v1/jobs/fan"))
    for _ in range(3):
        await worker.report(await worker.take(), {"ok": True})
    made.append(await node.create({"film": "m"}))
    await node.post(f"/api/v1/jobs/{made[-1]}/cancel")
    ended = [await node.ended(job) for job in made]
    assert [job["status"] for job in ended[-4:]] == ["finished", "failed", "finished", "cancelled"]


async def until(what: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not await what():
            await asyncio.sleep(0.01)


async def test_the_table_is_the_facts_of_the_store(tmp_path: Path, uri: str, lines: Look) -> None:
    async with a_node(tmp_path, uri) as node:
        await live(node, 20)
        facts = await facts_of(store_of(node))
    found = await lines()
    assert found == expected(facts)
    assert {line[7] for line in found} >= {"submitted", "decided", "task_reported", "cancel_requested"}
    assert {line[8] for line in found if line[7] == "task_reported"} == {"w1"}
    assert {line[3] for line in found} == {"default"}


async def test_rows_follow_while_the_node_runs(tmp_path: Path, uri: str, lines: Look) -> None:
    async with a_node(tmp_path, uri) as node:
        await live(node, 1)
        facts = await facts_of(store_of(node))

        async def all_there() -> bool:
            return len(await lines()) == len(facts)

        await until(all_there)
        assert await lines() == expected(facts)


async def test_writes_whose_acknowledgement_is_lost_are_repeated_without_a_trace(
    tmp_path: Path, uri: str, lines: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    repeated = 0

    def losing(kind: type[SqliteHistory] | type[PostgresHistory]) -> None:
        write = kind.write

        async def lose_every_other(self: Any, rows: Sequence[Row]) -> None:
            nonlocal repeated
            await write(self, rows)
            if rows:
                repeated += 1
                if repeated % 2:
                    raise Unavailable("Killed between the write and the acknowledgement.")

        monkeypatch.setattr(kind, "write", lose_every_other)

    losing(SqliteHistory)
    losing(PostgresHistory)
    monkeypatch.setattr("avtomatika.services.exporter.FIRST_PAUSE", 1)
    async with a_node(tmp_path, uri) as node:
        await live(node, 20)
        facts = await facts_of(store_of(node))

        async def nothing_waits() -> bool:
            return not await store_of(node).peek(HISTORY, limit=1)

        await until(nothing_waits)
    assert repeated >= 4
    assert await lines() == expected(facts)


async def test_facts_of_a_node_that_keeps_nothing_are_all_in_the_table_when_it_has_stopped(
    tmp_path: Path, uri: str, lines: Look
) -> None:
    async with a_node(tmp_path, uri, "memory://") as node:
        await live(node, 5)
        facts = await facts_of(store_of(node))
    assert await lines() == expected(facts)


async def test_jobs_go_on_while_the_server_is_gone_and_the_table_catches_up(
    tmp_path: Path, own_uri: str, postgres_server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with a_node(tmp_path, own_uri) as node:
        await live(node, 10)
        postgres_server.stop()
        await live(node, 40)
        postgres_server.start()
        await live(node, 10)
        facts = await facts_of(store_of(node))

        async def nothing_waits() -> bool:
            return not await store_of(node).peek(HISTORY, limit=1)

        await until(nothing_waits)
    assert await lines_of(own_uri) == expected(facts)
    told = [record.message.split()[0] for record in caplog.records if "history." in record.message]
    assert told == ["history.down", "history.back"]
    assert PASSWORD not in caplog.text


async def test_what_waited_in_a_node_that_stopped_is_exported_by_the_next_even_of_jobs_forgotten_since(
    tmp_path: Path, own_uri: str, postgres_server: PostgresServer
) -> None:
    postgres_server.stop()
    facts: list[Fact] = []
    async with a_node(tmp_path, own_uri) as node:
        await live(node, 10)
        facts = await facts_of(store_of(node))
        swept = await store_of(node).sweep(
            now=Instant(facts[-1].at), finished_before=Instant(facts[-1].at + 10_000), limit=1_000
        )
        assert swept == 14
        assert await facts_of(store_of(node)) == []
    postgres_server.start()
    async with a_node(tmp_path, own_uri) as node:
        pass
    assert await lines_of(own_uri) == expected(facts)


async def test_without_a_history_outside_no_message_is_left_for_one(tmp_path: Path) -> None:
    async with a_node(tmp_path, "") as node:
        await live(node, 1)
        assert await store_of(node).peek(HISTORY, limit=1) == []


async def test_the_questions_of_the_page_are_answered(tmp_path: Path, postgres_uri: str) -> None:
    async with a_node(tmp_path, postgres_uri) as node:
        await live(node, 2)
    questions = [block.text for block in blocks(PAGE) if block.language == "sql"]
    spent, failed = [await execute(postgres_uri, question) for question in questions]
    assert {(row["blueprint"], row["status"]) for row in spent} >= {("flow", "waiting_for_worker")}
    assert [(row["worker_id"], row["message"]) for row in failed] == [
        ("w1", "no luck"),
        ("w1", "it is silent"),
    ]


async def test_a_node_starts_without_its_history(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with a_node(tmp_path, "postgresql://u:s3cret@127.0.0.1:1/d") as node:
        await live(node, 1)

        async def told() -> bool:
            return "history.down" in caplog.text

        await until(told)
    assert "s3cret" not in caplog.text
