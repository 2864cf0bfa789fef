"""Nodes of a shared store have the same secrets; the store tells them apart and nobody else."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from avtomatika import Config, OrchestratorEngine
from avtomatika.app import STORAGE_KEY
from avtomatika.app.joining import rotate
from avtomatika.commands.siblings import SHELF
from avtomatika.errors import ConfigError
from tests.integration.http.blueprints import straight

Begin = Callable[..., Awaitable[OrchestratorEngine]]

NEW = "another-approval-secret-of-the-tests"


@pytest.fixture(params=["redis", "postgres"])
def place(request: pytest.FixtureRequest, storage_prefix: str) -> dict[str, str]:
    url = request.getfixturevalue("valkey_url" if request.param == "redis" else "postgres_uri")
    return {"STORAGE_URL": url, "STORAGE_PREFIX": storage_prefix}


@pytest.fixture
async def begin(place: dict[str, str], tmp_path: Path) -> AsyncIterator[Begin]:
    """Starts nodes that know what they are told, and make up the rest in a folder of that name."""
    engines: list[OrchestratorEngine] = []

    async def begin(folder: str, **settings: str) -> OrchestratorEngine:
        home = {"AVTOMATIKA_DATA_DIR": str(tmp_path / folder), "API_PORT": "0"}
        engine = OrchestratorEngine(config=Config({**place, **home, **settings}))
        engine.register_blueprint(straight())
        await engine.start()
        engines.append(engine)
        return engine

    yield begin
    for engine in engines:
        await engine.stop()


async def test_nodes_that_made_up_their_own_do_not_get_together(begin: Begin) -> None:
    await begin("one")
    with pytest.raises(ConfigError) as refused:
        await begin("two")
    assert "CLIENT_TOKEN, GLOBAL_WORKER_TOKEN, OPERATOR_TOKEN, APPROVAL_SECRET, WEBHOOK_SECRET: not what" in (
        refused.value.message
    )
    await begin("one")


async def test_a_key_for_tasks_is_for_all_or_none(begin: Begin) -> None:
    await begin("one")
    with pytest.raises(ConfigError, match=r"^ORCHESTRATOR_SECRET_KEY: not what"):
        await begin("one", ORCHESTRATOR_SECRET_KEY="a-key-that-the-other-does-not-have")


async def test_nothing_of_the_secrets_is_in_the_store(begin: Begin, tmp_path: Path) -> None:
    engine = await begin("one")
    kept = await engine.app[STORAGE_KEY].shelf.items(SHELF)
    said = " ".join(bytes(value).decode() for value in kept.values())
    made = (tmp_path / "one" / "secrets.toml").read_text("utf-8").split('"')[1::2]
    assert len(made) == 5
    assert not any(secret in said for secret in made)


async def test_a_secret_is_replaced_node_by_node(begin: Begin, place: dict[str, Any]) -> None:
    await begin("one")
    with pytest.raises(ConfigError, match="APPROVAL_SECRET"):
        await begin("one", APPROVAL_SECRET=NEW)
    assert await rotate(Config(place).settings()) == 6
    await begin("one", APPROVAL_SECRET=NEW)
    with pytest.raises(ConfigError, match="APPROVAL_SECRET"):
        await begin("one")
