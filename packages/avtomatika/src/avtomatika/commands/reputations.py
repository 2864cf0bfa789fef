"""What workers are worth, as the server has seen it (feature D3). No worker has a say in it.

A penalty is on the shelf before the worker hears that its result was taken in; rewards follow within half a
minute, and may be lost with the process. Nodes add up what each of them has seen.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Raw

from avtomatika import observe
from avtomatika.errors import Unavailable
from avtomatika.kernel.model import Report
from avtomatika.kernel.time import SECOND, Span
from avtomatika.matching.reputation import (
    Outcome,
    Record,
    ReputationRules,
    is_blank,
    judged,
    noted,
    outcome_of,
    reputation_of,
)
from avtomatika.ports.clock import Clock
from avtomatika.ports.shelf import Shelf

SHELF: Final = "avtomatika.reputation"
PENALTIES: Final = (Outcome.FAILED, Outcome.BROKE_CONTRACT)
WRITE_EVERY: Final = Span(30 * SECOND)


class Reputations:
    """The records of all workers that sent results."""

    def __init__(
        self, shelf: Shelf, clock: Clock, rules: ReputationRules, changed: Callable[[str], None]
    ) -> None:
        """*changed* hears of every worker whose reputation is not what it was."""
        self._shelf, self._clock, self._rules = shelf, clock, rules
        self._changed = changed
        self._records: dict[str, Record] = {}
        self._unwritten: dict[str, list[Outcome]] = {}
        self._writing: dict[str, asyncio.Lock] = {}

    def of(self, worker_id: str) -> float:
        """The reputation of the worker, from 0 to 1."""
        return reputation_of(self._records.get(worker_id))

    async def reported(self, report: Report) -> None:
        """The result counts for or against the worker that sent it."""
        outcome, worker = outcome_of(report), report.worker
        if outcome is Outcome.NEUTRAL or not worker:
            return
        record = noted(self._records.get(worker, Record()), outcome, self._clock.now(), self._rules)
        self._unwritten.setdefault(worker, []).append(outcome)
        self._put(worker, record)
        if outcome in PENALTIES:
            try:
                await self._write(worker)
            except Unavailable as error:
                observe.warning("reputations.unwritten", why=error.message)

    async def refresh(self) -> None:
        """What every node knows is known here, and what this one saw is on the shelf. Raises Unavailable."""
        for worker in list(self._unwritten):
            await self._write(worker)
        before = dict(self._records)
        kept = {worker: _DECODER.decode(raw) for worker, raw in (await self._shelf.items(SHELF)).items()}
        for worker in {*before, *kept}:
            if self._records.get(worker) is before.get(worker):
                self._put(worker, kept.get(worker))
        now = self._clock.now()
        for worker in [worker for worker, record in kept.items() if judged(record, now) is not record]:
            await self._write(worker)

    async def _write(self, worker: str) -> None:
        """What this node saw is added to what is on the shelf, which is judged when its hour has come."""
        lock = self._writing.setdefault(worker, asyncio.Lock())
        async with lock:
            raw = await self._shelf.get(SHELF, worker)
            seen = self._unwritten.pop(worker, [])
            now = self._clock.now()
            record = Record() if raw is None else _DECODER.decode(raw)
            for outcome in seen:
                record = noted(record, outcome, now, self._rules)
            record = judged(record, now)
            try:
                await self._keep(worker, record)
            except Unavailable:
                self._unwritten[worker] = [*seen, *self._unwritten.get(worker, ())]
                raise
            for outcome in self._unwritten.get(worker, ()):
                record = noted(record, outcome, now, self._rules)
            self._put(worker, record)

    async def _keep(self, worker: str, record: Record) -> None:
        if is_blank(record):
            await self._shelf.delete(SHELF, worker)
        else:
            await self._shelf.put(SHELF, worker, Raw(msgspec.json.encode(record)))

    def _put(self, worker: str, record: Record | None) -> None:
        before = self.of(worker)
        if record is None:
            self._records.pop(worker, None)
            self._writing.pop(worker, None)
        else:
            self._records[worker] = record
        if self.of(worker) != before:
            self._changed(worker)


_DECODER: Final = msgspec.json.Decoder(Record)
