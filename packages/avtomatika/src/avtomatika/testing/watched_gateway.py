"""The gateway of a node, and what is held against it: what it gives to workers and what it answers them."""

import contextvars
from collections.abc import Sequence
from typing import Any, Final

from avtomatika.commands.gateway import Gateway
from avtomatika.commands.results import Handle
from avtomatika.ports.node import NodeContext
from avtomatika.testing.stage import Stage
from rxon.errors import RxonError
from rxon.messages import (
    EventAnswer,
    Heartbeat,
    HeartbeatAnswer,
    ResultAnswer,
    TaskOffer,
    TaskResult,
    WorkerCommand,
    WorkerEvent,
)
from rxon.transport import Credentials, PollRequest
from rxon.vocabulary import AnswerStatus, EventStatus


class Account:
    """What one stream was given for its worker, and has neither sent nor given back."""

    def __init__(self) -> None:
        self.owed: dict[str, None] = {}

    def settle(self, tasks: Sequence[str]) -> None:
        """The tasks were sent or given back."""
        for task in tasks:
            self.owed.pop(task, None)


ACCOUNT: Final[contextvars.ContextVar[Account | None]] = contextvars.ContextVar("ACCOUNT", default=None)
"""The account of the stream that calls the gateway."""


class WatchedGateway(Gateway):
    """The real gateway. The ledger hears of every offer, and of every answer before it is on its way."""

    def __init__(self, stage: Stage, node: NodeContext, **parts: Any) -> None:
        super().__init__(node, **parts)
        self._stage = stage

    async def poll(
        self, credentials: Credentials, worker_id: str, request: PollRequest
    ) -> Sequence[TaskOffer]:
        """What the gateway offers."""
        begun = self._clock.now()
        offers = await super().poll(credentials, worker_id, request)
        account = ACCOUNT.get()
        for offer in offers:
            self._stage.ledger.promises.offered(key_of(offer.task_id), offer.lease_token or "", begun)
            if account is not None:
                account.owed[offer.task_id] = None
        return offers

    async def give_back(self, credentials: Credentials, worker_id: str, offers: Sequence[TaskOffer]) -> None:
        """The gateway has taken them back. An attempt that fails settles the account too."""
        account = ACCOUNT.get()
        if account is not None:
            account.settle([offer.task_id for offer in offers])
        for offer in offers:
            self._stage.counts["give_back"] += 1
            self._stage.ledger.promises.given_back(key_of(offer.task_id))
        await super().give_back(credentials, worker_id, offers)

    async def heartbeat(
        self, credentials: Credentials, worker_id: str, beat: Heartbeat | None
    ) -> HeartbeatAnswer:
        """What the gateway answers."""
        answer = await super().heartbeat(credentials, worker_id, beat)
        for command in answer.commands or ():
            self._stage.ledger.documents.given(worker_id, command)
        return answer

    async def told(self, credentials: Credentials, worker_id: str, timeout: float) -> Sequence[WorkerCommand]:
        """What the gateway tells the worker."""
        commands = await super().told(credentials, worker_id, timeout)
        for command in commands:
            self._stage.counts["commanded"] += 1
            self._stage.ledger.documents.given(worker_id, command)
        return commands

    async def report(self, credentials: Credentials, results: Sequence[TaskResult]) -> Sequence[ResultAnswer]:
        """What the gateway answers."""
        promises = self._stage.ledger.promises
        under_way = [(key_of(result.task_id), words_of(result)) for result in results]
        promises.copies.update(under_way)
        try:
            answers = await super().report(credentials, results)
        finally:
            promises.copies.subtract(under_way)
        for result, answer in zip(results, answers, strict=True):
            self._judge(result, answer)
        return answers

    def _judge(self, result: TaskResult, answer: ResultAnswer) -> None:
        stage, promises = self._stage, self._stage.ledger.promises
        handle, data = key_of(result.task_id), words_of(result)
        stage.log("answer", result.task_id, data, answer.status, answer.duplicate)
        if answer.status is AnswerStatus.ACCEPTED:
            promises.accepted_result(handle, data)
        else:
            # Deliveries are counted anew after a crash over a file: only a token tells one from another.
            told = result.lease_token is not None or stage.options.store == "memory"
            promises.refused_result(handle, data, last=told and not promises.copies[handle, data])

    async def emit(self, credentials: Credentials, event: WorkerEvent) -> EventAnswer:
        """What the gateway answers."""
        try:
            answer = await super().emit(credentials, event)
        except RxonError as error:
            self._stage.log("event", event.task_id, error.code)
            raise
        self._stage.log("event", event.task_id, answer.status)
        if answer.status is EventStatus.ACCEPTED and event.task_id is not None:
            self._stage.ledger.promises.told(Handle.parse(event.task_id).task, event.event_id)
        return answer


def key_of(task_id: str) -> tuple[Any, int, int]:
    """The delivery that a worker knows by this name."""
    handle = Handle.parse(task_id)
    return handle.task, handle.attempt, handle.delivery


def words_of(result: TaskResult) -> bytes:
    """What tells the result from others of the same delivery: its data, and why it failed."""
    data = b"null" if result.data is None else bytes(result.data)
    return data if result.error is None else data + result.error.message.encode()
