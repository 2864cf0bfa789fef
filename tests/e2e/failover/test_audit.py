"""The audit has nothing to say of a store that hangs together, and finds whatever is taken out of it."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
import redis

from avtomatika import ActionFactory, Blueprint
from tests.e2e.failover.audit import Audit
from tests.e2e.failover.image import image_of
from tests.integration.http.conftest import CLIENT_TOKEN, started
from tests.servers.valkey import ValkeyServer

waits = Blueprint("waits", api_version="v1", api_endpoint="/jobs/waits", version="1")
ends = Blueprint("ends", api_version="v1", api_endpoint="/jobs/ends", version="1")


@waits.handler(is_start=True)
async def first(actions: ActionFactory) -> None:
    actions.dispatch_parallel([{"type": "nobody", "params": {}}] * 2, aggregate_into="gather")


@waits.aggregator
async def gather(actions: ActionFactory) -> None:
    actions.go_to("last")


@waits.handler(is_end=True)
async def last() -> None:
    return None


@ends.handler(is_start=True, is_end=True)
async def only() -> str:
    return "ended"


DAMAGES = {
    "a fact": ("f:*", "ZREMRANGEBYRANK", "0", "0"),
    "all facts": ("f:*", "DEL"),
    "a job": ("j:*", "DEL"),
    "a version": ("j:*", "HSET", "v", "77"),
    "a branch": ("b:*", "DEL"),
    "a message": ("m:*", "DEL"),
    "the queues": ("q", "DEL"),
    "the messages of a queue": ("i:*", "DEL"),
    "the turn of messages": ("r:*", "DEL"),
    "the age of messages": ("a:*", "DEL"),
    "a list": ("x:a", "ZREMRANGEBYRANK", "0", "0"),
    "another list": ("x:sfinished", "DEL"),
    "a count": ("t", "HINCRBY", "finished", "1"),
    "the counts of a client": ("t:*", "DEL"),
    "who is over": ("e", "DEL"),
    "the end of a claim": ("ce", "ZREMRANGEBYRANK", "0", "0"),
    "a claim": ("c:*", "DEL"),
}


@pytest.fixture
async def kept(valkey_server: ValkeyServer, storage_prefix: str) -> AsyncIterator[redis.Redis]:
    """What a node keeps there: a job that waits for two tasks, and one that is over."""
    engine = await started(valkey_server.url(), (waits, ends), {"STORAGE_PREFIX": storage_prefix})
    assert engine.address is not None
    url = f"http://127.0.0.1:{engine.address[1]}/api/v1/jobs/"
    async with aiohttp.ClientSession(headers={"X-Client-Token": CLIENT_TOKEN}) as session:
        for name in ("waits", "ends"):
            headers = {"Idempotency-Key": name, "Prefer": "wait=1"}
            async with session.post(url + name, json={}, headers=headers) as answer:
                assert answer.status in (200, 201, 202)
                job = (await answer.json())["job_id"]
            status = "waiting_for_parallel_tasks" if name == "waits" else "finished"
            while True:
                async with session.get(f"{url}{job}?wait=1") as shown:
                    if (await shown.json())["status"] == status:
                        break
    await engine.stop()
    with redis.Redis(port=valkey_server.port) as client:
        yield client


async def test_whatever_is_missing_or_too_much_is_found(
    kept: redis.Redis, valkey_server: ValkeyServer, storage_prefix: str
) -> None:
    def faults() -> list[str]:
        return [*Audit(image_of(valkey_server, storage_prefix), {}).faults()]

    assert faults() == []
    for what, (pattern, command, *arguments) in DAMAGES.items():
        keys = sorted(kept.keys(f"{{{storage_prefix}}}:{pattern}"))
        assert keys, what
        for key in keys:
            whole = kept.dump(key)
            kept.execute_command(command, key, *arguments)
            found = faults()
            kept.restore(key, 0, whole, replace=True)
            assert found, f"{what}: {key!r}"
    assert faults() == []
