"""Simulated clients: each asks for one job, insists when no answer comes, waits for its end or cancels it."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Final

from msgspec import Raw

from avtomatika.blueprints.blueprint import Blueprint
from avtomatika.commands.submit import Request
from avtomatika.errors import AlreadyOver, Conflict, NotFound, Unavailable
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.time import Span, after
from avtomatika.testing.network import ConnectionLost, Network
from avtomatika.testing.nodes import SimNode
from avtomatika.testing.options import CLIENT
from avtomatika.testing.sink import URL
from avtomatika.testing.stage import Stage
from avtomatika.testing.workload import SIGNAL

TRIES: Final = 15
WAIT: Final = Span(10_000)

Lost = (ConnectionLost, Unavailable)


class SimClient:
    """Somebody who wants one job done."""

    def __init__(self, stage: Stage, network: Network, blueprint: Blueprint, number: int) -> None:
        rng = stage.rng
        self._stage, self._network, self._blueprint = stage, network, blueprint
        self._key = f"key {number}" if rng.random() < stage.options.keys else None
        width = str(rng.randint(0, stage.options.widest)).encode()
        url = URL if rng.random() < stage.options.hooks else None
        self._request = Request(input={"width": Raw(width)}, body=width, key=self._key, webhook_url=url)
        self._cancels = rng.random() < stage.options.cancel
        self._waits = rng.random() < 0.3
        self._begin = rng.randint(0, stage.options.faults_for // 2)

    async def run(self) -> None:
        """The job is asked for, and the client does not care any more."""
        await asyncio.sleep(self._begin / 1_000)
        job = await self._submit()
        if job is None:
            return
        if self._key is not None and self._stage.rng.random() < 0.2:
            await self._submit()
        await self._signal(job)
        if self._cancels:
            await self._stage.pass_time(0, 6_000)
            await self._cancel(self._part_of(job))
        elif self._waits:
            await self._wait(job)

    async def _submit(self) -> JobId | None:
        ledger = self._stage.ledger
        for _ in range(TRIES):
            try:
                job = await self._network.request("submit", self._submit_at)
            except Lost:
                if self._key is None and self._stage.rng.random() < 0.5:
                    return None
                await self._stage.pass_time(20, 1_500)
            else:
                self._stage.log("accepted", job, self._blueprint.name, self._key or "")
                ledger.promises.accepted_job(job, self._key, ledger.jobs.get(job))
                return job
        return None

    async def _submit_at(self, node: SimNode) -> JobId:
        return await node.submit(self._blueprint, self._request, CLIENT)

    async def _signal(self, job: JobId) -> None:
        """Now and then something is sent to the job, whether it waits for it or not."""
        stage = self._stage
        for number in range(3):
            if not stage.chance(stage.options.signal):
                return
            await stage.pass_time(0, 2_000)
            payload = b'{"signal":%d}' % number
            try:
                await self._network.request("signal", partial(self._signal_at, job=job, payload=payload))
            except (AlreadyOver, *Lost):
                continue
            except Conflict:
                stage.log("too many signals", job)
            else:
                stage.ledger.promises.heard(job, payload)

    async def _signal_at(self, node: SimNode, job: JobId, payload: bytes) -> None:
        await node.control.signal(job, CLIENT, SIGNAL, Raw(payload))

    def _part_of(self, job: JobId) -> JobId:
        """The job, or now and then a child that it waits for."""
        ledger = self._stage.ledger
        for name in ledger.open:
            parent = ledger.jobs[name].parent
            if parent is not None and parent.job == job and self._stage.rng.random() < 0.7:
                return name
        return job

    async def _cancel(self, job: JobId) -> None:
        ledger = self._stage.ledger
        for _ in range(TRIES):
            try:
                await self._network.request("cancel", lambda node: node.control.cancel(job, CLIENT))
            except AlreadyOver:
                self._stage.log("too late", job)
                ledger.promises.too_late(ledger.jobs[job], revived=job in ledger.kin.revived)
                return
            except NotFound:
                ledger.violated("an accepted job is found", job)
                return
            except (Conflict, *Lost):  # an operator took the job up again meanwhile, or nobody answered
                await self._stage.pass_time(20, 1_500)
            else:
                self._stage.log("cancelled", job)
                ledger.promises.cancelled(ledger.jobs[job])
                return

    async def _wait(self, job: JobId) -> None:
        for _ in range(TRIES):
            try:
                ended = await self._network.request("wait", lambda node: self._wait_at(node, job))
            except NotFound:
                self._stage.ledger.violated("an accepted job is found", job)
                return
            except Lost:
                await self._stage.pass_time(20, 1_500)
            else:
                if ended:
                    return

    async def _wait_at(self, node: SimNode, job: JobId) -> bool:
        return (await node.queries.ended(job, CLIENT, after(node.clock.now(), WAIT))).over


def clients(stage: Stage, network: Network, blueprints: Mapping[str, Blueprint]) -> list[SimClient]:
    """As many as the options say; every blueprint is asked for before any is asked for again."""
    names = list(blueprints)
    return [
        SimClient(stage, network, blueprints[names[n % len(names)]], n) for n in range(stage.options.jobs)
    ]
