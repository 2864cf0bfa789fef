"""Nodes are replaced one after the other while all goes on."""

import asyncio
import random
from itertools import count

import aiohttp

from tests.integration.http.blueprints import flow
from tests.integration.http.conftest import Orchestrator, Worker
from tests.integration.nodes.conftest import Nodes

GONE = (aiohttp.ClientConnectionError,)
PATIENCE = 15.0


class Balancer:
    """Leads to any of the nodes that it knows; whoever is led to one that is gone is led on."""

    def __init__(self, nodes: list[Orchestrator]) -> None:
        self.nodes, self.refused = nodes, 0
        self._chance = random.Random(0)

    def choose(self) -> Orchestrator:
        return self._chance.choice(self.nodes)


class Traffic:
    """Clients that create jobs and wait for them until it is over, and workers that do them."""

    def __init__(self, balancer: Balancer) -> None:
        self.balancer = balancer
        self.ended: list[str] = []
        self.over = False
        self._numbers = count()

    async def client(self) -> None:
        while not self.over:
            job_id = await self._create(f"key-{next(self._numbers)}")
            while True:
                try:
                    job = await self.balancer.choose().job(job_id, wait=PATIENCE)
                except GONE:
                    self.balancer.refused += 1
                    continue
                if job["status"] == "finished":
                    self.ended.append(job_id)
                    break

    async def goes_on(self) -> None:
        """Ten more jobs have ended."""
        before = len(self.ended)
        while len(self.ended) < before + 10:
            await asyncio.sleep(0.01)

    async def _create(self, key: str) -> str:
        while True:
            try:
                return await self.balancer.choose().create(Idempotency_Key=key)
            except GONE:
                self.balancer.refused += 1

    async def worker(self, name: str) -> None:
        worker = Worker(self.balancer.choose(), name)
        assert (await worker.register("work"))[0] == 200
        while True:
            task = None
            worker.node = self.balancer.choose()
            try:
                status, task = await worker.poll_raw(timeout=0.5)
                assert status in (200, 204), task
            except GONE:
                self.balancer.refused += 1
            while task is not None:
                worker.node = self.balancer.choose()
                try:
                    status, answer = await worker.report(task)
                    assert status == 200, answer
                    break
                except GONE:
                    self.balancer.refused += 1


async def test_no_request_fails_while_nodes_are_replaced_one_after_the_other(nodes: Nodes) -> None:
    settings = {"TASK_LEASE_SECONDS": 5}
    balancer = Balancer(await nodes.several(3, flow(), **settings))
    traffic = Traffic(balancer)
    async with asyncio.timeout(90), asyncio.TaskGroup() as group:
        working = [group.create_task(traffic.worker(f"w{number}")) for number in range(5)]
        asking = [group.create_task(traffic.client()) for _ in range(5)]
        for _ in range(3):
            await traffic.goes_on()
            leaving = balancer.nodes[0]
            await leaving.engine.stop()  # whoever is led there meanwhile is refused, and led on
            balancer.nodes[0] = await nodes.start(flow(), **settings)
            balancer.nodes.append(balancer.nodes.pop(0))
        await traffic.goes_on()
        traffic.over = True
        await asyncio.wait(asking)
        for task in working:
            task.cancel()
    assert len(set(traffic.ended)) == len(traffic.ended) >= 40
    assert balancer.refused
