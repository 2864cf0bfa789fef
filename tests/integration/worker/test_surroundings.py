"""What a running worker tells of its machine and of itself. GPUs are those of a fake `pynvml`."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import unused_port

from avtomatika_worker import Worker
from avtomatika_worker.surroundings import surroundings
from rxon.codec import encode
from rxon.messages import DeviceUsage, ResourcesUsage, TaskOffer
from rxon.signing.shared_key import sign_task
from rxon.testing.gateway import MemoryGateway
from rxon.testing.loopback import LoopbackTransport
from tests.integration.worker.conftest import working
from tests.unit.worker.fake_pynvml import Card, install


@pytest.fixture
def busy(worker: Worker) -> Worker:
    """A worker with a skill that has much to tell and often."""
    worker.skill("work")(lambda: None)
    worker.config.HEARTBEAT_INTERVAL = 0.05
    return worker


@asynccontextmanager
async def asking(worker: Worker) -> AsyncIterator[aiohttp.ClientSession]:
    """The worker works, and can be asked over HTTP."""
    worker.config.WORKER_PORT = unused_port()
    address = f"http://127.0.0.1:{worker.config.WORKER_PORT}"
    async with working(worker), aiohttp.ClientSession(address) as http:
        yield http


async def test_the_machine_is_registered_and_its_load_is_told(
    busy: Worker, gateway: MemoryGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = install(monkeypatch, Card(load=41))
    async with working(busy):
        await gateway.seen(lambda: any(beat is not None and beat.usage for beat in gateway.beats))
    said = gateway.registrations[0].resources
    assert said is not None
    assert [(gpu.model, gpu.id) for gpu in said.devices or ()] == [("NVIDIA GeForce RTX 4090", "0")]
    assert set(said.properties or {}) == {"cpu_cores", "ram_gb"}
    usage = next(beat.usage for beat in gateway.beats if beat is not None and beat.usage)
    assert usage.ram_used_gb > 0
    assert usage.devices_usage == (DeviceUsage("0", 41.0, {"memory_used_gb": 0.0}),)
    assert not module.is_open


async def test_what_has_not_changed_is_told_once(busy: Worker, gateway: MemoryGateway) -> None:
    busy.set_usage_checker(lambda: ResourcesUsage(50.0, 1.0))
    async with working(busy):
        await gateway.seen(lambda: any(beat is not None and beat.usage for beat in gateway.beats))
        count = len(gateway.beats)
        await gateway.seen(lambda: len(gateway.beats) >= count + 10)
    told = [beat.usage for beat in gateway.beats if beat is not None and beat.usage]
    assert told == [ResourcesUsage(50.0, 1.0)]


async def test_a_model_that_is_loaded_is_told_long_before_the_next_heartbeat(
    busy: Worker, gateway: MemoryGateway
) -> None:
    busy.config.HEARTBEAT_INTERVAL = 3600.0
    busy.config.WORKER_HEARTBEAT_COOLDOWN = 0.0

    @busy.skill
    def load(add_to_hot_cache: Any) -> None:  # in a thread
        add_to_hot_cache("vae")

    async with working(busy):
        await gateway.result_of(await gateway.offer("load"))
        await gateway.seen(lambda: any(beat and beat.hot_cache == ("vae",) for beat in gateway.beats))


async def test_metrics_are_served_where_they_are_enabled(busy: Worker, gateway: MemoryGateway) -> None:
    busy.config.WORKER_ENABLE_METRICS = True
    async with asking(busy) as http:
        await gateway.result_of(await gateway.offer("work"))
        async with http.get("/metrics") as response:
            text = await response.text()
            kind = response.headers["Content-Type"]
    assert kind.startswith("text/plain; version=0.0.4")
    assert 'worker_tasks_total{code="none",outcome="success",skill="work"} 1.0' in text
    assert f'worker_registered{{orchestrator="{busy.config.ORCHESTRATOR_URL}"}} 1.0' in text
    assert "worker_slots 10.0" in text


async def test_metrics_are_not_found_unless_they_are_enabled(busy: Worker, gateway: MemoryGateway) -> None:
    busy._with_health = True
    async with asking(busy) as http:
        await gateway.result_of(await gateway.offer("work"))
        async with http.get("/metrics") as response:
            assert response.status == 404
            assert "Metrics are disabled" in await response.text()


async def test_metrics_without_the_extra_say_what_to_install(
    busy: Worker, gateway: MemoryGateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delitem(sys.modules, "avtomatika_worker.watching.metrics", raising=False)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    busy.config.WORKER_ENABLE_METRICS = True
    async with asking(busy) as http:
        await gateway.result_of(await gateway.offer("work"))
        async with http.get("/metrics") as response:
            assert response.status == 501
            assert "avtomatika-worker[metrics]" in await response.text()
    assert "avtomatika-worker[metrics]" in caplog.text


async def test_where_nothing_is_enabled_nothing_stands_between_worker_and_transport(worker: Worker) -> None:
    way = LoopbackTransport(MemoryGateway(), "w1", "token")
    async with surroundings(worker.config, None) as around:
        assert around.way("http://a", way) is way
        assert around.watches == ()


async def test_with_the_key_of_the_orchestrator_only_its_tasks_are_run(
    busy: Worker, gateway: MemoryGateway
) -> None:
    busy.config.ORCHESTRATOR_SECRET_KEY = "the key"
    fields = {"job_id": "job", "lease_token": "lease", "lease_seconds": 30.0}
    mine = TaskOffer(task_id="task-1", type="work", **fields)
    async with working(busy):
        good = await gateway.offer("work", sig=sign_task(encode(mine), "the key"), **fields)
        bad = await gateway.offer("work")
        assert (await gateway.result_of(good)).status == "success"
        refused = await gateway.result_of(bad)
    assert refused.error is not None
    assert refused.error.code == "SECURITY_ERROR"


async def test_without_that_demand_every_task_is_run(busy: Worker, gateway: MemoryGateway) -> None:
    busy.config.ORCHESTRATOR_SECRET_KEY = "the key"
    busy.config.REQUIRE_TASK_SIGNATURE = False
    async with working(busy):
        assert (await gateway.result_of(await gateway.offer("work"))).status == "success"
