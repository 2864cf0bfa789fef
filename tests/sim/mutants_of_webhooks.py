"""Faults of telling the servers of clients."""

from contextlib import AbstractContextManager
from itertools import count
from typing import Any
from unittest.mock import patch

from avtomatika.commands import webhooks
from avtomatika.commands.webhooks import Webhooks
from avtomatika.kernel import progress
from avtomatika.kernel.effects import SendWebhook
from avtomatika.kernel.model import Verdict
from avtomatika.kernel.rules import approval
from avtomatika.ports.delivery import Delivered, TryAgain
from avtomatika.ports.store import Commit, Lease
from tests.sim.planting import mutant, without


@mutant(2)
def news_gone_before_they_are_sent() -> AbstractContextManager[Any]:
    """News are acknowledged first and sent then."""

    async def deliver(self: Webhooks, lease: Lease) -> None:
        await self._store.commit(Commit(now=self._clock.now(), ack=(lease,)))
        news = lease.message.body
        if isinstance(news, SendWebhook):
            body = webhooks._body(news, self._links)
            name = webhooks.webhook_id(lease.message.id)
            await self._delivery.send(news.url, webhooks.signed(name, self._clock.now(), body, ()), body)

    return patch.object(Webhooks, "deliver", deliver)


@mutant(2)
def a_new_id_with_each_attempt() -> AbstractContextManager[Any]:
    """A server cannot tell a repetition from something new."""
    real, numbers = webhooks.webhook_id, count()

    def webhook_id(message: Any) -> str:
        return f"{real(message)}" if next(numbers) % 3 else f"{real(message)}x"

    return patch.object(webhooks, "webhook_id", webhook_id)


@mutant(2)
def one_id_for_all_news_of_a_job() -> AbstractContextManager[Any]:
    """What is new looks like a repetition."""
    real = webhooks.webhook_id
    return patch.object(webhooks, "webhook_id", lambda message: real(message).split(":")[0])


@mutant(2)
def failures_count_as_taken() -> AbstractContextManager[Any]:
    """News that a server failed to take are forgotten."""
    real = Webhooks._again

    def again(self: Webhooks, *args: Any) -> Any:
        real(self, *args)

    return patch.object(Webhooks, "_again", again)


@mutant(2)
def given_up_at_once() -> AbstractContextManager[Any]:
    """News that were not taken the first time lie among the dead."""

    def again(self: Webhooks, message: Any, news: Any, failed: TryAgain, began: Any) -> Any:
        return self._dead(message, news, failed.reason)

    return patch.object(Webhooks, "_again", again)


@mutant(2)
def refused_news_are_forgotten() -> AbstractContextManager[Any]:
    """News that a server refused do not lie among the dead."""

    def dead(self: Webhooks, *args: Any) -> None:
        return None

    return patch.object(Webhooks, "_dead", dead)


@mutant(2)
def news_of_another_moment() -> AbstractContextManager[Any]:
    """What a repetition says depends on the attempt."""
    real = webhooks._body
    return patch.object(
        webhooks, "_body", lambda news, *rest: real(without(news, at=news.at + 1_000 * news.attempt), *rest)
    )


@mutant(6)
def a_cancel_is_not_told() -> AbstractContextManager[Any]:
    """The client is told of every end but one."""
    real = progress.announcements

    def announcements(job: Any) -> Any:
        told = real(job)
        if job.phase.verdict is not Verdict.CANCELLED:
            return told
        return tuple(effect for effect in told if not isinstance(effect, SendWebhook))

    return patch.object(progress, "announcements", announcements)


@mutant(2)
def a_question_is_not_told() -> AbstractContextManager[Any]:
    """The client is not told that its job waits for somebody."""
    return patch.object(approval, "asked", lambda job: ())


@mutant(2)
def taken_for_granted() -> AbstractContextManager[Any]:
    """News count as taken before the server has answered."""
    real = Webhooks.deliver

    async def deliver(self: Webhooks, lease: Lease) -> None:
        delivery = self._delivery

        class Hasty:
            async def send(self, *args: Any) -> Any:
                self_spawned = delivery.send(*args)
                self_spawned.close()
                return Delivered()

        self._delivery = Hasty()  # type: ignore[assignment]
        try:
            await real(self, lease)
        finally:
            self._delivery = delivery

    return patch.object(Webhooks, "deliver", deliver)
