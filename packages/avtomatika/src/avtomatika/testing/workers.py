"""Simulated workers: they poll, work, hold their tasks, report — and die, stall and repeat themselves."""

import asyncio
import contextvars
from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec

from avtomatika.commands.results import Handle
from avtomatika.testing.loop import OWNER
from avtomatika.testing.network import ConnectionLost, Network
from avtomatika.testing.nodes import WORKER_TOKEN, SimNode
from avtomatika.testing.stage import Stage
from avtomatika.testing.workload import STATUSES
from rxon.errors import UnavailableError, WorkerUnknownError
from rxon.messages import (
    Heartbeat,
    HeartbeatAnswer,
    Registration,
    SkillInfo,
    TaskOffer,
    TaskResult,
)
from rxon.messages.wire import TaskError
from rxon.transport import Credentials, PollRequest

CODES: Final = (
    "TRANSIENT_ERROR",
    "TRANSIENT_ERROR",
    "PERMANENT_ERROR",
    "INVALID_INPUT_ERROR",
    "NOBODY_KNOWS",
)
REPORT_TRIES: Final = 12
HUNG_S: Final = 10_000.0

Lost = (ConnectionLost, UnavailableError)


class SimWorker:
    """A worker with some skills. Its process may die; a new one of the same name follows."""

    def __init__(self, stage: Stage, network: Network, name: str, skills: Sequence[str]) -> None:
        self._stage, self._network = stage, network
        self.name, self._skills = name, tuple(SkillInfo(name=skill) for skill in skills)
        self._credentials = Credentials(WORKER_TOKEN, name)
        self._capacity = stage.rng.randint(1, 3)
        self._life = 0
        self._works: dict[str, asyncio.Task[None]] = {}
        self._silent: set[str] = set()
        self._past: list[TaskResult] = []
        self._results = 0

    def start(self) -> None:
        """The worker polls."""
        self._life += 1
        context = contextvars.copy_context()
        context.run(OWNER.set, f"{self.name}.{self._life}")
        self._works, self._silent = {}, set()
        self._free, self._busy = asyncio.Event(), asyncio.Event()
        for duty in (self._work_for_ever(), self._beat_for_ever()):
            self._stage.loop.create_task(duty, context=context).add_done_callback(self._ended)

    def die(self) -> None:
        """The worker is gone with all that it held, and will be back."""
        self._stage.fault("worker_dies", self.name)
        self._stage.loop.kill(f"{self.name}.{self._life}")
        self._stage.soon(self._stage.rng.randint(500, 5_000), self.start)

    def unsettled(self) -> Sequence[str]:
        """Nothing: it does not insist."""
        return ()

    async def _work_for_ever(self) -> None:
        await self._register(self._network.choose())
        await self._poll_for_ever()

    async def _poll_for_ever(self) -> None:
        poll = PollRequest(timeout=self._stage.options.longest_poll / 1_000, limit=1)
        while True:
            while len(self._works) >= self._capacity:
                self._free.clear()
                await self._free.wait()
            limit = self._capacity - len(self._works)
            asked = msgspec.structs.replace(poll, limit=limit)
            node = self._network.choose()
            try:
                offers = await self._network.request("poll", partial(self._poll_at, asked=asked), node=node)
            except WorkerUnknownError:
                await self._register(node)
            except Lost:
                await self._stage.pass_time(20, 500)
            else:
                for offer in offers:
                    self._take(offer)

    async def _register(self, node: SimNode) -> None:
        registration = Registration(
            worker_id=self.name, supported_skills=self._skills, hot_skills=self._hot()
        )
        try:
            await self._network.request(
                "register", lambda n: n.gateway.register(self._credentials, registration), node=node
            )
        except Lost:
            await self._stage.pass_time(20, 500)

    def _hot(self) -> tuple[str, ...]:
        """The skills that happen to be ready by now."""
        return tuple(skill.name for skill in self._skills if self._stage.rng.random() < 0.5)

    async def _poll_at(self, node: SimNode, asked: PollRequest) -> Sequence[TaskOffer]:
        return await node.gateway.poll(self._credentials, self.name, asked)

    def _take(self, offer: TaskOffer) -> None:
        self._stage.log("work", self.name, offer.task_id)
        task = self._stage.loop.create_task(self._work(offer))
        self._works[offer.task_id] = task
        self._busy.set()
        task.add_done_callback(lambda _: self._done(offer.task_id, task))

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._stage.ledger.violated("a worker gets answers that are specified", f"{self.name}: {error!r}")

    def _done(self, task_id: str, task: "asyncio.Task[None]") -> None:
        self._ended(task)
        if self._works.get(task_id) is task:
            del self._works[task_id]
            self._silent.discard(task_id)
            self._free.set()

    async def _work(self, offer: TaskOffer) -> None:
        stage, options = self._stage, self._stage.options
        await stage.pass_time(1, 900)
        if stage.chance(options.die):
            self.die()
        if stage.chance(options.hang):
            stage.fault("hang", offer.task_id)
            await asyncio.sleep(HUNG_S)
        if stage.chance(options.stall):
            stage.fault("stall", offer.task_id)
            self._silent.add(offer.task_id)
            await stage.pass_time(options.task_lease // 2, options.task_lease * 3)
        result = self._result(offer)
        if stage.chance(options.old) and self._past:
            await self._report_old()
        await self._report(result)
        self._past.append(result)
        if stage.chance(options.twice):
            await stage.pass_time(0, 2_000)
            stage.counts["report_twice"] += 1
            same = stage.rng.random() < 0.5
            await self._report(result if same else self._result(offer))

    async def _report_old(self) -> None:
        """A result of another time again, as it was or under the delivery before or after."""
        stage = self._stage
        old = stage.rng.choice(self._past)
        stage.counts["report_old"] += 1
        if stage.rng.random() < 0.5:
            handle = Handle.parse(old.task_id)
            other = Handle(handle.task, handle.attempt, max(1, handle.delivery + stage.rng.choice((-1, 1))))
            token = old.lease_token if stage.rng.random() < 0.5 else None
            old = msgspec.structs.replace(old, task_id=str(other), lease_token=token, data=self._data())
        await self._report(old)

    def _result(self, offer: TaskOffer) -> TaskResult:
        stage, options = self._stage, self._stage.options
        tokenless = options.tokenless > 0 and stage.rng.random() < options.tokenless
        status, error = "success", None
        if stage.chance(options.fail):
            status, error = "failure", TaskError(code=stage.rng.choice(CODES), message="it did not work")
        elif stage.chance(options.custom):
            status = stage.rng.choice((*STATUSES, "cancelled"))
        return TaskResult(
            job_id=offer.job_id,
            task_id=offer.task_id,
            worker_id=self.name,
            status=status,
            data=self._data(),
            error=error,
            lease_token=None if tokenless else offer.lease_token,
        )

    def _data(self) -> msgspec.Raw:
        """Data that no other result has."""
        self._results += 1
        return msgspec.Raw(b'{"result":"%s-%d"}' % (self.name.encode(), self._results))

    async def _report(self, result: TaskResult) -> None:
        for _ in range(REPORT_TRIES):
            try:
                await self._network.request("report", partial(self._report_at, result=result))
                return
            except Lost:
                await self._stage.pass_time(20, 900)

    async def _report_at(self, node: SimNode, result: TaskResult) -> None:
        await node.gateway.report(self._credentials, (result,))

    async def _beat_at(self, node: SimNode, beat: Heartbeat) -> HeartbeatAnswer:
        return await node.gateway.heartbeat(self._credentials, self.name, beat)

    async def _beat_for_ever(self) -> None:
        while True:
            if not self._works:
                self._busy.clear()
                await self._busy.wait()
            await asyncio.sleep(self._stage.options.task_lease / 3_000)
            held = tuple(task for task in self._works if task not in self._silent)
            if not held:
                continue
            hot = self._hot() if self._stage.rng.random() < 0.3 else None
            beat = Heartbeat(worker_id=self.name, current_tasks=held, hot_skills=hot)
            node = self._network.choose()
            try:
                answer = await self._network.request(
                    "heartbeat",
                    partial(self._beat_at, beat=beat),
                    node=node,
                )
            except WorkerUnknownError:
                await self._register(node)
            except Lost:
                continue
            else:
                for task in answer.cancel_task_ids or ():
                    if task in self._works:
                        self._works[task].cancel()
