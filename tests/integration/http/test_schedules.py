"""Schedules of a running engine: jobs come by themselves, and operators see what comes next."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from avtomatika import ActionFactory, Blueprint
from avtomatika.errors import ConfigError
from tests.integration.http.conftest import Start, on_every_store, on_lasting_stores

OPERATOR_TOKEN = "operator-token-of-the-tests"
OFTEN = """
[often]
blueprint = "beat"
interval_seconds = 1
input_data = { who = "heart" }
client = "default"
"""


class Beats:
    """A blueprint, and the jobs of it that ran."""

    def __init__(self) -> None:
        self.jobs: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.blueprint = Blueprint("beat")

        @self.blueprint.handler(is_start=True, is_end=True)
        async def start(job_id: str, who: str) -> str:
            self.jobs.put_nowait((job_id, who))
            return who

    async def next(self) -> str:
        job_id, who = await asyncio.wait_for(self.jobs.get(), 10)
        assert who == "heart"
        return job_id


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "schedules.toml"
    path.write_text(OFTEN)
    return path


def due(job_id: str) -> int:
    return int(job_id.rpartition("-")[2])


@on_every_store
async def test_jobs_come_by_themselves_each_a_second_after_the_one_before(start: Start, file: Path) -> None:
    beats = Beats()
    began = time.time_ns() // 1_000_000
    node = await start(beats.blueprint, SCHEDULES_CONFIG_PATH=file)
    first, second = await beats.next(), await beats.next()
    assert began <= due(first) <= time.time_ns() // 1_000_000
    assert due(second) - due(first) == 1_000
    job = await node.ended(first)
    assert (job["id"], job["status"], job["blueprint_name"]) == (first, "finished", "beat")
    assert job["initial_data"] == {"who": "heart"}
    assert job["created_at"] >= due(first)


@on_lasting_stores
async def test_a_schedule_goes_on_where_it_was_after_a_restart(start: Start, file: Path) -> None:
    beats = Beats()
    node = await start(beats.blueprint, SCHEDULES_CONFIG_PATH=file)
    first = await beats.next()
    await node.engine.stop()
    while not beats.jobs.empty():
        beats.jobs.get_nowait()
    again = await start(beats.blueprint, SCHEDULES_CONFIG_PATH=file)
    following = [await beats.next() for _ in range(2)]
    assert all((due(job) - due(first)) % 1_000 == 0 for job in following)
    assert len({first, *following}) == 3
    _, page = await again.get("/api/v1/jobs")
    assert len({job["id"] for job in page["jobs"]}) == len(page["jobs"])


async def test_operators_see_the_schedules_and_the_jobs_of_all(start: Start, file: Path) -> None:
    beats = Beats()
    file.write_text(OFTEN.replace('client = "default"\n', ""))
    node = await start(beats.blueprint, SCHEDULES_CONFIG_PATH=file, OPERATOR_TOKEN=OPERATOR_TOKEN)
    first = await beats.next()
    status, _ = await node.get(f"/api/v1/jobs/{first}")
    assert status == 404
    status, _ = await node.get(f"/api/v1/jobs/{first}", token=OPERATOR_TOKEN)
    assert status == 200
    _, answer = await node.get("/api/v1/schedules", token=OPERATOR_TOKEN)
    (schedule,) = answer["schedules"]
    assert schedule["next_due"] > due(first)
    del schedule["next_due"], schedule["last_job"]
    assert schedule == {
        "name": "often",
        "blueprint": "beat",
        "rule": "every 1 s",
        "catch_up": "one",
        "overlap": "allow",
    }


async def test_times_of_day_are_those_of_the_zone_of_the_setting(start: Start, file: Path) -> None:
    file.write_text('[noon]\nblueprint = "beat"\ndaily_at = "12:00"')
    node = await start(
        Beats().blueprint, SCHEDULES_CONFIG_PATH=file, OPERATOR_TOKEN=OPERATOR_TOKEN, TZ="Asia/Kolkata"
    )
    schedule: dict[str, Any] = {}
    while not schedule.get("next_due"):
        _, answer = await node.get("/api/v1/schedules", token=OPERATOR_TOKEN)
        (schedule,) = answer["schedules"]
    assert schedule["rule"] == "at 12:00 (Asia/Kolkata)"
    assert schedule["next_due"] % 86_400_000 == (12 * 60 - 330) * 60_000


async def test_a_file_that_cannot_be_used_stops_the_start(start: Start, file: Path) -> None:
    file.write_text('[often]\nblueprint = "nobody"\ninterval_seconds = 0')
    with pytest.raises(ConfigError) as caught:
        await start(Beats().blueprint, SCHEDULES_CONFIG_PATH=file)
    assert "often.blueprint: there is no blueprint 'nobody'" in caught.value.message
    assert "often.interval_seconds: must be a whole number" in caught.value.message


async def test_a_task_of_such_a_job_goes_to_a_worker_like_any_other(start: Start, file: Path) -> None:
    file.write_text(OFTEN.replace("interval_seconds = 1", "interval_seconds = 3600\nresult_timeout = 60"))
    beat = Blueprint("beat")

    @beat.handler(is_start=True)
    async def begin(who: str, actions: ActionFactory) -> None:
        actions.dispatch_task("listen", {"to": who}, transitions={"success": "done"})

    @beat.handler(is_end=True)
    async def done(rate: int) -> int:
        return rate

    node = await start(beat, SCHEDULES_CONFIG_PATH=file)
    worker = await node.worker("w1", "listen")
    task = await worker.take()
    assert task["params"] == {"to": "heart"}
    assert due(task["job_id"]) / 1_000 + 60 == pytest.approx(task["deadline"], abs=5)
    await worker.report(task, {"rate": 60}, token=False)
    job = await node.ended(task["job_id"])
    assert (job["status"], job["result"]) == ("finished", 60)
