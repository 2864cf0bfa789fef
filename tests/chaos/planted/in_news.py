"""Faults of webhooks and schedules."""

import asyncio
import os
from contextlib import suppress
from itertools import count
from typing import Any

from avtomatika.commands import webhooks
from avtomatika.commands.ticks import Ticks
from avtomatika.commands.webhooks import Webhooks
from avtomatika.errors import Unavailable
from avtomatika.kernel.effects import SendWebhook
from avtomatika.kernel.ids import JobId
from avtomatika.ports.store import Commit, Lease, Message, Tick
from avtomatika.schedules.schedule import Schedule
from tests.chaos.planted.fault import fault, without


@fault("a webhook that is due comes", only=("slow",))
def webhook_acknowledged_before_it_is_sent() -> None:
    """Each webhook is tried once, whatever comes of it."""

    async def deliver(self: Webhooks, lease: Lease) -> None:
        await self._store.commit(Commit(now=self._clock.now(), ack=(lease,)))
        news = lease.message.body
        if isinstance(news, SendWebhook):
            body = webhooks._body(news, self._links)
            name, began = webhooks.webhook_id(lease.message.id), self._clock.now()
            await self._delivery.send(
                news.url, webhooks.signed(name, began, body, self._keys(news.client)), body
            )

    Webhooks.deliver = deliver  # type: ignore[method-assign] - that is the fault


@fault("a webhook has one name", only=("slow",))
def webhooks_named_anew() -> None:
    """Each attempt at a webhook has a name of its own."""
    real, numbers = webhooks.webhook_id, count()

    def webhook_id(message: Any) -> str:
        return f"{real(message)}:{next(numbers)}"

    webhooks.webhook_id = webhook_id


def following(ticks: Ticks, lease: Lease, tick: Tick, schedule: Schedule) -> Message:
    """The tick after this one."""
    due = schedule.settle(tick.due, ticks._clock.now()).following
    found: Message = without(lease.message, visible_at=due, body=without(tick, due=due))
    return found


@fault("a tick has exactly one job", only=("kill node",), seconds=20.0)
def tick_without_claim() -> None:
    """The job of a tick is accepted before the tick is taken away, under a name of its own."""
    numbers, named = count(), Schedule.job_id

    def job_id(self: Schedule, due: Any) -> JobId:
        kind, _, moment = named(self, due).rpartition("-")
        return JobId(f"{kind}-{os.getpid()}x{next(numbers)}-{moment}")

    async def fire(self: Ticks, lease: Lease, tick: Tick, schedule: Schedule) -> None:
        await self._writer.submit(self._job(schedule, tick.due))
        await asyncio.sleep(0.6)
        await self._go_on(lease, following(self, lease, tick, schedule))

    Schedule.job_id = job_id  # type: ignore[method-assign] - that is the fault
    Ticks._fire = fire  # type: ignore[method-assign] - that is the fault


@fault("a schedule goes on", "a tick has exactly one job", only=("kill node",), seconds=20.0)
def tick_taken_before_its_job() -> None:
    """A tick is taken away first, and the one after it sent then."""

    async def fire(self: Ticks, lease: Lease, tick: Tick, schedule: Schedule) -> None:
        await self._store.commit(Commit(now=self._clock.now(), ack=(lease,)))
        await asyncio.sleep(0.5)
        message = following(self, lease, tick, schedule)
        with suppress(Unavailable):
            await self._writer.submit(self._job(schedule, tick.due), send=(message,))

    Ticks._fire = fire  # type: ignore[method-assign] - that is the fault
