"""Several versions of a blueprint side by side: jobs stay on theirs, and wait where it is not loaded."""

import logging
from typing import Any

import pytest

from avtomatika import Blueprint, OrchestratorEngine
from avtomatika.app import STORAGE_KEY
from avtomatika.commands.parked import Parked, parked
from avtomatika.errors import BlueprintError
from tests.integration.http.conftest import Orchestrator, Start


def version(number: str | None, endpoint: str | None = "/jobs/flow", name: str = "flow") -> Blueprint:
    """One that gives a task and ends with the number of the version whose handler ended it."""
    flow = Blueprint(name, api_version="v1", api_endpoint=endpoint, version=number)

    @flow.handler("start", is_start=True)
    async def start(actions: Any) -> None:
        actions.dispatch_task("work", transitions={"success": "end"})

    @flow.handler("end", is_end=True)
    async def end() -> str | None:
        return number

    return flow


async def restarted(start: Start, node: Orchestrator, *blueprints: Blueprint) -> Orchestrator:
    await node.engine.stop()
    return await start(*blueprints)


async def work(node: Orchestrator) -> None:
    """The next task is done."""
    worker = await node.worker()
    await worker.report(await worker.take())


@pytest.mark.parametrize("storage", ["sqlite"], indirect=True)
async def test_a_job_goes_on_only_where_its_version_is_loaded(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    node = await start(version("1"))
    job = await node.create()
    worker = await node.worker()
    task = await worker.take()

    node = await restarted(start, node, version("2"))
    store = node.engine.app[STORAGE_KEY]
    loaded = [("flow", "2")]
    assert await parked(store, loaded) == []
    worker = await node.worker()
    status, _ = await worker.report(task)
    assert status == 200
    assert await parked(store, loaded) == [Parked("flow", "1", 1, job)]
    assert (await node.job(job))["status"] == "running"

    caplog.clear()
    node = await restarted(start, node, version("2"))
    warned = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.getMessage() for record in warned] == [
        f"blueprint.missing blueprint=flow version=1 jobs=1 example={job}"
    ]

    node = await restarted(start, node, version("1"), version("2"))
    assert (await node.ended(job))["result"] == "1"
    fresh = await node.create()
    await work(node)
    ended = await node.ended(fresh)
    assert (ended["result"], ended["blueprint_version"]) == ("2", "2")


async def test_the_version_registered_last_has_the_endpoint_of_all(start: Start) -> None:
    node = await start(version("2"), version("10"))
    assert node.engine.blueprints["flow"].version == "10"
    job = await node.create()
    assert (await node.job(job))["blueprint_version"] == "10"


async def test_versions_at_different_endpoints_are_served_side_by_side(start: Start) -> None:
    node = await start(version("1", "/jobs/old"), version("2", "/jobs/new"), version("3", None))
    jobs = [await node.create(path=f"/api/v1/jobs/{name}") for name in ("old", "new")]
    assert [(await node.job(job))["blueprint_version"] for job in jobs] == ["1", "2"]
    _, document = await node.call("GET", "/_public/openapi.json")
    names = [each["post"]["operationId"] for each in document["paths"].values() if "post" in each]
    assert len(set(names)) == len(names)
    assert {"create_flow_1", "create_flow"} <= set(names)


async def test_another_blueprint_cannot_take_the_endpoint(start: Start) -> None:
    with pytest.raises(BlueprintError, match="another one is there already"):
        await start(version("1"), version("1", name="other"))


@pytest.mark.parametrize(("first", "second"), [("2", "2"), (None, None), (None, "1")])
def test_the_same_version_cannot_be_registered_twice(first: str | None, second: str | None) -> None:
    engine = OrchestratorEngine()
    engine.register_blueprint(version(first))
    with pytest.raises(BlueprintError, match="already registered"):
        engine.register_blueprint(version(second))


async def test_a_folder_may_have_several_versions(start: Start, tmp_path: Any) -> None:
    folder = tmp_path / "blueprints"
    folder.mkdir()
    for number in (1, 2):
        (folder / f"flow_{number}.py").write_text(
            "from avtomatika import Blueprint\n"
            f"flow = Blueprint('flow', api_version='v1', api_endpoint='/jobs/flow', version='{number}')\n"
            "@flow.handler(is_start=True, is_end=True)\n"
            f"async def only(): return {number}\n"
        )
    node = await start(BLUEPRINTS_DIR=str(folder))
    assert [blueprint.edition for blueprint in node.engine.editions] == ["1", "2"]
    assert (await node.ended(await node.create()))["result"] == 2
