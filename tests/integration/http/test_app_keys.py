"""The parts of an engine are found in its application, and routes of one's own are served (feature A1)."""

import aiohttp
from aiohttp import web

from avtomatika import Config, MemoryStorage, OrchestratorEngine
from avtomatika.app_keys import DISPATCHER_KEY, ENGINE_KEY, EXECUTOR_KEY, STORAGE_KEY, WORKER_SERVICE_KEY
from avtomatika.commands.offers import Offers
from tests.integration.http.blueprints import straight


async def test_the_application_of_an_engine_holds_its_parts_and_takes_routes() -> None:
    config = Config({})
    config.CLIENT_TOKEN = "client-token-of-the-tests"
    config.GLOBAL_WORKER_TOKEN = "worker-token-of-the-tests"
    config.API_PORT = 0
    engine = OrchestratorEngine(MemoryStorage(), config)
    engine.register_blueprint(straight())

    async def mine(request: web.Request) -> web.Response:
        return web.json_response({"blueprints": sorted(request.app[ENGINE_KEY].blueprints)})

    engine.app.router.add_get("/mine", mine)
    assert engine.app[ENGINE_KEY] is engine
    await engine.start()
    try:
        assert isinstance(engine.app[DISPATCHER_KEY], Offers)
        for key in (EXECUTOR_KEY, STORAGE_KEY, WORKER_SERVICE_KEY):
            assert engine.app[key] is not None
        assert engine.address is not None
        url = f"http://127.0.0.1:{engine.address[1]}/mine"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            assert await answer.json() == {"blueprints": [straight().name]}
    finally:
        await engine.stop()
