"""Workers and orchestrators stand still for longer than their leases; others take over; then they go on.

`ZOMBIES` says how often (ten times, unless it is set).
"""

import asyncio
import os
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.e2e.conftest import Launch
from tests.e2e.zombies.crew import TOKENS, Clients, Crew
from tests.e2e.zombies.judging import REFUSED, Evidence

ZOMBIES = int(os.environ.get("ZOMBIES", "10"))
STORES = ("valkey", "postgres")
TASK, ANYWHERE = "in a task", "anywhere"
STOPS = (TASK, "in a handler", TASK, "before a commit", TASK, "after a commit", TASK, ANYWHERE)
WORKERS_AT_ONCE, NODES_AT_ONCE = 3, 1
CALM_RATE = 4.0
PATIENCE = 2.0
"""Seconds until a client asks another node."""

SETTLED_WITHIN = 10.0


class Trial:
    """Zombies are made, one after the other, among jobs for which nobody stands still."""

    def __init__(self, crew: Crew, clients: Clients) -> None:
        self._crew, self._clients = crew, clients
        self._gates = {True: asyncio.Semaphore(WORKERS_AT_ONCE), False: asyncio.Semaphore(NODES_AT_ONCE)}
        self.jobs: dict[str, dict[str, Any]] = {}

    async def run(self) -> None:
        """So many times somebody stood still, and every job has ended."""
        waking = asyncio.create_task(self._crew.wake())
        calm = asyncio.create_task(self._calm())
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(ZOMBIES):
                    group.create_task(self._one(f"z{number}", STOPS[number % len(STOPS)]))
            calm.cancel()
            await asyncio.wait((calm,))
            await asyncio.sleep(PATIENCE)  # who has just woken up says what it has to say
        finally:
            waking.cancel()
            await asyncio.wait((waking,))

    async def _one(self, key: str, stop: str) -> None:
        async with self._gates[stop == TASK]:
            if stop == ANYWHERE:
                await self._crew.stop_somebody()
            else:
                self.jobs[key] = await self._clients.job(key, stop)

    async def _calm(self) -> None:
        async with asyncio.TaskGroup() as group:
            number = 0
            try:
                while True:
                    group.create_task(self._keep(f"c{number}"))
                    number += 1
                    await asyncio.sleep(1 / CALM_RATE)
            except asyncio.CancelledError:
                pass  # no more of them; those that were asked for end

    async def _keep(self, key: str) -> None:
        self.jobs[key] = await self._clients.job(key, "")


async def check_jobs(trial: Trial, clients: Clients) -> None:
    """Every job ended with the right result, which is among its facts once."""
    for key, job in trial.jobs.items():
        assert job["status"] == "finished", job
        assert job["result"] == {"value": f"of {key}", "applied": 1}, job
        reports = [fact for fact in await clients.facts(job["id"]) if fact["event_type"] == "task_reported"]
        assert len(reports) == 1, reports


def check_workers(seen: Evidence) -> Counter[str]:
    """No result of a lease that had run out was taken; how many were refused, and how many never sent."""
    found: Counter[str] = Counter()
    for pause, said in seen.results():
        for note in said:
            assert (note["status"], note["code"]) == ("refused", "stale_lease"), (vars(pause), note)
        found["refused" if said else "withdrawn before"] += 1
    return found


def check_nodes(seen: Evidence, trial: Trial) -> Counter[str]:
    """No lease counted that somebody else had by then; how many uses of such leases were refused, and why."""
    found: Counter[str] = Counter()
    losers: set[tuple[str, str]] = set()
    for use in seen.stale():
        assert use["verdict"] in REFUSED, use
        found[use["verdict"]] += 1
        losers.add((use["by"], use["message"].split(":")[1]))
    for pause in seen.pauses:
        if pause.where == "in a handler" and pause.long:
            job = trial.jobs[pause.key]["id"]
            if seen.heirs(f"run:{job}:", pause):
                assert (pause.by, job) in losers, f"{pause.by} did not hear that it is late: {vars(pause)}"
                found["handlers"] += 1
    return found


@pytest.fixture(params=STORES)
def storage(request: pytest.FixtureRequest, storage_prefix: str) -> dict[str, str]:
    """What tells an orchestrator which store it shares with the others."""
    url = request.getfixturevalue("valkey_url" if request.param == "valkey" else "postgres_uri")
    return {"STORAGE_URL": url, "STORAGE_PREFIX": storage_prefix}


@pytest.mark.slow
@pytest.mark.timeout(180 + 6 * ZOMBIES)
async def test_nothing_is_taken_from_who_stood_still_for_longer_than_its_lease(
    launch: Launch, tmp_path: Path, storage: dict[str, str]
) -> None:
    crew = await asyncio.to_thread(Crew, launch, tmp_path, storage)
    headers, limit = {"X-Client-Token": TOKENS["CLIENT_TOKEN"]}, aiohttp.ClientTimeout(total=PATIENCE)
    async with aiohttp.ClientSession(headers=headers, timeout=limit) as session:
        clients = Clients(crew.urls, session)
        trial = Trial(crew, clients)
        await trial.run()
        await check_jobs(trial, clients)
    await crew.end()
    seen = Evidence(tmp_path)
    late, refused = check_workers(seen), check_nodes(seen, trial)
    long = Counter(pause.where if pause.by.startswith("n") else TASK for pause in seen.pauses if pause.long)
    print(
        f"\n{storage['STORAGE_URL'].split(':')[0]}: {ZOMBIES} times somebody stood still,"
        f" {ZOMBIES // len(STOPS)} of them anywhere; longer than a lease of its own doing: {dict(long)};"
        f" late results of workers: {dict(late)}; late commits and renewals of nodes: {dict(refused)};"
        f" {len(trial.jobs)} jobs ended with the right result, each applied once"
    )
    assert late["refused"], "no late result was ever sent: void"
    assert refused["handlers"], "no decision of a stalled orchestrator was ever late: void"
