"""The orchestrator and the database of the history are killed; the table is the facts of the store."""

import asyncio
import os
import random
from pathlib import Path

import pytest

from tests.e2e.conftest import Api, Launch, Program, free_port
from tests.e2e.kills.test_kills import TOKENS, Client, client_of
from tests.integration.history.comparing import expected, facts_in
from tests.integration.history.conftest import lines_of, uri
from tests.servers.fixtures import POSTGRES_VARIABLE
from tests.servers.postgres import PASSWORD, PostgresServer

__all__ = ["uri"]

JOBS, KILLS = 100, 5
SUBMIT_SECONDS = 3.0
HERE = Path(__file__).parent


async def submit_all(client: Client) -> None:
    async def later(n: int) -> None:
        await asyncio.sleep(SUBMIT_SECONDS * n / JOBS)
        await client.submit("/api/v1/jobs/steps", f"job-{n}", {"n": n})

    await asyncio.gather(*(later(n) for n in range(JOBS)))


async def kill_all_the_time(node: Program, api: Api, server: PostgresServer | None) -> None:
    """The orchestrator was killed again and again, and the server was gone from one kill to the next."""
    chance = random.Random(8)
    for kill in range(KILLS):
        await asyncio.sleep(chance.uniform(0.2, 0.5))
        if server is not None and kill in (1, 2):
            await asyncio.to_thread(server.stop if kill == 1 else server.start)
            await asyncio.sleep(0.3)  # a node that was connected notices
        await asyncio.to_thread(node.kill)
        node.run()
        await asyncio.to_thread(api.until_ready, node)


@pytest.fixture
def server(uri: str, request: pytest.FixtureRequest) -> PostgresServer | None:
    """The server that is behind the URI, if there is one and it is ours to stop."""
    found: PostgresServer | None = None
    if uri.startswith("postgresql:") and POSTGRES_VARIABLE not in os.environ:
        found = request.getfixturevalue("postgres_server")
    return found


async def test_the_table_is_the_facts_of_the_store_whatever_is_killed(
    uri: str, server: PostgresServer | None, launch: Launch, tmp_path: Path
) -> None:
    port = free_port()
    node = launch(
        HERE / "orchestrator.py",
        API_PORT=str(port),
        STORAGE_URL=f"sqlite:///{tmp_path / 'jobs.db'}",
        HISTORY_DATABASE_URI=uri,
        CLIENT_TOKEN=TOKENS["CLIENT_TOKEN"],
        GLOBAL_WORKER_TOKEN=TOKENS["WORKER_TOKEN"],
        RUN_LEASE_SECONDS="3",
        MAX_DELIVERIES="40",
    )
    api = Api(port, TOKENS["CLIENT_TOKEN"])
    api.until_ready(node)
    async with client_of(port) as client:
        async with asyncio.TaskGroup() as group:
            group.create_task(submit_all(client))
            group.create_task(kill_all_the_time(node, api, server))
        jobs = await asyncio.gather(*(client.ended(job) for job in client.accepted.values()))
    assert [job["status"] for job in jobs] == ["finished"] * JOBS
    assert node.end() == 0, node.output[-4_000:]

    table = await lines_of(uri)
    assert table == expected(facts_in(tmp_path / "jobs.db"))
    assert len({line[0] for line in table}) == JOBS
    assert "Traceback" not in node.output, node.output[-8_000:]
    assert PASSWORD not in node.output
    assert "p%2Fw" not in node.output
