"""Blueprints whose paths cannot be told apart are refused before the node listens."""

import pytest

from avtomatika import Blueprint, Config, OrchestratorEngine
from avtomatika.errors import BlueprintError


def blueprint(name: str, endpoint: str, version: str | None = "v1") -> Blueprint:
    made = Blueprint(name, api_endpoint=endpoint, api_version=version)

    @made.handler(is_start=True, is_end=True)
    async def start() -> None: ...

    return made


def engine(*blueprints: Blueprint) -> OrchestratorEngine:
    tokens = {"CLIENT_TOKEN": "client-token-of-the-tests", "GLOBAL_WORKER_TOKEN": "worker-token-of-the-tests"}
    made = OrchestratorEngine(config=Config({"API_PORT": "0", "STORAGE_URL": "memory://", **tokens}))
    for each in blueprints:
        made.register_blueprint(each)
    return made


async def refused(*blueprints: Blueprint) -> str:
    with pytest.raises(BlueprintError) as caught:
        await engine(*blueprints).start()
    return caught.value.message


async def test_two_blueprints_cannot_share_a_path() -> None:
    said = await refused(blueprint("one", "/x"), blueprint("two", "x"))
    assert "'two'" in said
    assert "/api/v1/x" in said


@pytest.mark.parametrize(
    "endpoint",
    ["/jobs/{job_id}", "/a b", "/a?b", "/a#b", "/a%2Fb", "/é", "/", "/a//b", "/a/", "/a/../b", "/."],
)
def test_an_endpoint_that_is_no_plain_path_is_refused(endpoint: str) -> None:
    with pytest.raises(BlueprintError, match="'odd'"):
        blueprint("odd", endpoint)


@pytest.mark.parametrize("version", ["v{x}", "..", "a/b", "v 1", ""])
def test_a_version_that_is_no_part_of_a_path_is_refused(version: str) -> None:
    with pytest.raises(BlueprintError, match="'odd'"):
        blueprint("odd", "/x", version)


@pytest.mark.parametrize("endpoint", ["/x", "/jobs/my_flow", "/a/b-c/d.e/f~g"])
async def test_a_plain_path_is_fine(endpoint: str) -> None:
    node = engine(
        blueprint("fine", endpoint), blueprint("other", endpoint, "v2"), blueprint("none", endpoint, None)
    )
    await node.start()
    await node.stop()


async def test_two_blueprints_cannot_share_a_path_when_a_third_is_between_them() -> None:
    said = await refused(blueprint("one", "/x"), blueprint("between", "/y"), blueprint("two", "/x"))
    assert "'two'" in said


async def test_two_blueprints_cannot_share_a_path_that_one_spells_with_the_version() -> None:
    said = await refused(blueprint("one", "/x"), blueprint("two", "/v1/x", None))
    assert "'two'" in said
