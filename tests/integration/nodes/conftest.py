"""Several nodes over one store: in one process, each with a port and a life of its own."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from typing import Any

import aiohttp
import pytest

from avtomatika import Blueprint, OrchestratorEngine
from avtomatika.app import node as nodes_of
from avtomatika.app.backends import Backend, open_backend
from avtomatika.stores.hints import Hints
from avtomatika.stores.memory import MemoryStore
from avtomatika.stores.registry import MemoryRegistry
from tests.integration.http.conftest import Orchestrator, alarming, started
from tests.integration.nodes.mortal import Life, mortal

STORES = ("memory", "valkey", "postgres")

Open = Callable[..., Awaitable[Backend]]


class Place(Orchestrator):
    """A node, whose address is known when it is gone too."""

    def __init__(self, engine: OrchestratorEngine, session: aiohttp.ClientSession) -> None:
        super().__init__(engine, session)
        self._url = super().url

    @property
    def url(self) -> str:
        return self._url


class Nodes:
    """The nodes that a test started, in order."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._lives: dict[str, Life] = {}
        self._names = count()
        self._sessions: list[aiohttp.ClientSession] = []
        self.all: list[Orchestrator] = []

    async def start(self, *blueprints: Blueprint, **settings: Any) -> Orchestrator:
        """One more node of the store, with these blueprints."""
        name = f"node-{next(self._names)}"
        self._lives[name] = Life(name)
        given = {"INSTANCE_ID": name, **self._settings, **settings}
        engine = await started(given.pop("STORAGE_URL"), blueprints, given)
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        self._sessions.append(session)
        self.all.append(Place(engine, session))
        return self.all[-1]

    async def several(self, number: int, *blueprints: Blueprint, **settings: Any) -> list[Orchestrator]:
        """So many nodes alike, each with blueprints of its own making."""
        return [await self.start(*blueprints, **settings) for _ in range(number)]

    def life(self, name: str) -> Life:
        return self._lives[name]

    def kill(self, node: Orchestrator) -> None:
        """The node is gone, as far as its store and all others can tell."""
        self._lives[node.engine.config.INSTANCE_ID].kill()

    async def stop(self) -> None:
        """All nodes have ended."""
        for session in self._sessions:
            await session.close()
        for life in self._lives.values():
            if life.is_over:
                life.bury()
        await asyncio.gather(*(node.engine.stop() for node in self.all))


URLS = {"valkey": "valkey_url", "postgres": "postgres_uri"}


@pytest.fixture(params=STORES)
def storage(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The settings of an empty store that is shared."""
    if request.param == "memory":
        return {"STORAGE_URL": "memory://"}
    url = request.getfixturevalue(URLS[request.param])
    return {"STORAGE_URL": url, "STORAGE_PREFIX": request.getfixturevalue("storage_prefix")}


@pytest.fixture
async def nodes(
    storage: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Nodes]:
    """Starts nodes on one store; afterwards nothing on the log may be an error."""
    shared: list[Backend] = []

    async def opened(settings: Any, clock: Any, names: Any, supervisor: Any) -> Backend:
        if storage["STORAGE_URL"] != "memory://":
            backend = await open_backend(settings, clock, names, supervisor)
        else:
            if not shared:
                store = MemoryStore(now=clock.now, tokens=names.token)
                store._hints = Hints(clock.now, is_far=True)  # as `mortal` puts it some way off
                shared.append(Backend(store, MemoryRegistry()))
            backend = shared[0]
        return mortal(backend, running.life(settings.instance))

    monkeypatch.setattr(nodes_of, "open_backend", opened)
    running = Nodes(storage)
    with caplog.at_level(logging.INFO, "avtomatika"):
        yield running
        await running.stop()
        await asyncio.sleep(0)
    assert alarming(caplog.records) == []
