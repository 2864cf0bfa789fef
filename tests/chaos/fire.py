"""Faults, carried out."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Sequence
from typing import Final

from tests.chaos import clockwork
from tests.chaos.faults import Plan
from tests.chaos.lines import Complaint, Fault, Gone, Up, now
from tests.chaos.parties import Party
from tests.chaos.proxy import Mode
from tests.chaos.stage import Stage
from tests.chaos.stores import NotPossible

MODES: Final[dict[str, Mode]] = {
    "cut off node": "hole",
    "cut off worker": "hole",
    "hole": "hole",
    "half": "half",
    "reset": "closed",
    "cut answers": "cut",
    "slow": "slow",
}
TRACEBACK: Final = "Traceback (most recent call last):"
LEADS_ON: Final = (
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)
LOOK: Final = 0.1
CALM: Final = 1.0


class Fire:
    """Does to the parties of *stage* what is planned, and takes it back."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._busy = dict[str, asyncio.Lock]()
        self._read: dict[str, int] = {}
        self._sizes: dict[str, int] = {}
        self._until = 0.0

    async def run(self, plans: Sequence[Plan]) -> None:
        """What was planned has happened, unless the load was over by then, and has been taken back."""
        began = time.monotonic()
        self._until = began + self._stage.options.seconds
        async with asyncio.TaskGroup() as group:
            for plan in plans:
                await asyncio.sleep(max(0.0, began + plan.at - time.monotonic()))
                group.create_task(self._guarded(plan))

    async def _guarded(self, plan: Plan) -> None:
        """One fault after the other for each party, which has time to do something in between."""
        async with self._busy.setdefault(plan.target, asyncio.Lock()):
            if time.monotonic() > self._until:
                return
            began = now()
            try:
                detail = await self._carry_out(plan)
            except NotPossible as why:
                self._note(plan, began, skipped=str(why))
            else:
                self._note(plan, began, detail=detail)
                await asyncio.sleep(CALM)

    def _note(self, plan: Plan, began: float, detail: str = "", skipped: str = "") -> None:
        fault = Fault(
            t=began, until=now(), kind=plan.kind, target=plan.target, detail=detail, skipped=skipped
        )
        self._stage.journal.add(fault)

    async def _carry_out(self, plan: Plan) -> str:
        stage = self._stage
        parties = stage.nodes | stage.workers
        match plan.kind:
            case "kill node" | "kill worker":
                await self._kill(parties[plan.target], plan.seconds)
            case "stop node" | "stop worker":
                party = parties[plan.target]
                party.signal(signal.SIGSTOP)
                await asyncio.sleep(plan.seconds)
                party.signal(signal.SIGCONT)
            case "kill store":
                await asyncio.to_thread(stage.store.kill)
                await asyncio.sleep(plan.seconds)
                await asyncio.to_thread(stage.store.start)
            case "pause store":
                await self._for_a_while(stage.store.pause, stage.store.go_on, plan.seconds)
            case "fill disk":
                await self._for_a_while(stage.store.fill, stage.store.empty, plan.seconds)
            case "step clock":
                path = stage.clock(plan.target)
                await self._for_a_while(
                    lambda: clockwork.step(path, plan.amount),
                    lambda: clockwork.step(path, 0.0),
                    plan.seconds,
                )
                return f"{plan.amount:+.0f} s"
            case _:
                return await self._spoil(plan)
        return ""

    async def _for_a_while(self, do: Callable[[], None], undo: Callable[[], None], seconds: float) -> None:
        await asyncio.to_thread(do)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(undo)

    async def _spoil(self, plan: Plan) -> str:
        mode = MODES[plan.kind]
        links = self._stage.become(plan.target, mode, plan.amount)
        await asyncio.sleep(plan.seconds)
        self._stage.become(plan.target, "open")
        return f"{len(links)} links {mode}"

    async def _kill(self, party: Party, seconds: float) -> None:
        party.held = True
        await asyncio.to_thread(party.kill)
        await asyncio.sleep(seconds)
        party.run()
        party.held = False
        if party.name in self._stage.nodes:
            await self._until_up(party.name)

    async def _until_up(self, node: str) -> None:
        began = now()
        while not await asyncio.to_thread(self._stage.ready, node):
            await asyncio.sleep(0.05)
            if now() - began > 60:
                return
        self._stage.journal.add(Up(t=now(), node=node, after=now() - began))

    async def supervise(self) -> None:
        """Who ends without having been killed is started again, until this is cancelled."""
        stage = self._stage
        while True:
            for party in (*stage.nodes.values(), *stage.workers.values()):
                if party.ended is not None and not party.held:
                    stage.journal.add(Gone(t=now(), party=party.name, code=party.ended))
                    await asyncio.sleep(0.2)
                    party.run()
            await asyncio.to_thread(self.listen)
            await asyncio.sleep(LOOK)

    def listen(self) -> None:
        """What nodes have complained of since the last time is written down."""
        for name, node in self._stage.nodes.items():
            if not node.log.exists():
                continue
            size = os.path.getsize(node.log)
            before = self._read.get(name, 0)
            quiet, self._sizes[name] = self._sizes.get(name) == size, size
            if size <= before or not quiet:
                continue  # there is nothing new, or it is still being written
            with node.log.open("rb") as log:
                log.seek(before)
                text = log.read(size - before).decode(errors="replace")
            self._read[name] = size
            for part in complaints(text):
                self._stage.journal.add(Complaint(t=now(), node=name, text=part[-1_500:]))


def complaints(log: str) -> list[str]:
    """The tracebacks in a log, each with those that led to it."""
    found: list[str] = []
    for part in log.split(TRACEBACK)[1:]:
        if found and found[-1].rstrip().endswith(LEADS_ON):
            found[-1] += TRACEBACK + part
        else:
            found.append(part)
    return found
